/* range.c: interval arithmetic. Inputs of the rules are known; sums and products of
 * ranges within a rule may have become unknown, which stays. Reals below REAL_SMALLEST
 * count as 0. */
#include "graph/range.h"

/* Every number from lo to hi, and what rounding may make of it; smaller ones than a
 * real holds may become 0 or stay. */
static Range between(double lo, double hi) {
  if (!(fabs(lo) <= RANGE_LIMIT && fabs(hi) <= RANGE_LIMIT)) return RANGE_UNKNOWN;
  lo -= fabs(lo) * REAL_EPS;
  hi += fabs(hi) * REAL_EPS;
  if (fabs(lo) < REAL_SMALLEST && lo != 0) lo = lo > 0 ? 0 : -REAL_SMALLEST;
  if (fabs(hi) < REAL_SMALLEST && hi != 0) hi = hi < 0 ? 0 : REAL_SMALLEST;
  return (Range){lo, hi};
}

/* From the smallest to the largest of four. */
static Range around(double a, double b, double c, double d) {
  return between(fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d)));
}

Range range_sum(Range a, Range b) {
  if (!range_known(a) || !range_known(b)) return RANGE_UNKNOWN;
  return between(a.lo + b.lo, a.hi + b.hi);
}

Range range_product(Range a, Range b) {
  if (!range_known(a) || !range_known(b)) return RANGE_UNKNOWN;
  return around(a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi);
}

void range_neg(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = (Range){-in[0].hi, -in[0].lo};
}

/* The distance of a range from 0. */
static double least_size(Range x) { return x.lo > 0 ? x.lo : x.hi < 0 ? -x.hi : 0; }

void range_abs(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = (Range){least_size(in[0]), range_size(in[0])};
}

void range_sign(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = (Range){in[0].lo > 0 ? 1 : in[0].lo < 0 ? -1 : 0,
                   in[0].hi > 0 ? 1 : in[0].hi < 0 ? -1 : 0};
}

void range_square(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  double least = least_size(in[0]), most = range_size(in[0]);
  out[0] = between(least * least, most * most);
}

void range_sqrt(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = in[0].lo >= 0 ? between(sqrt(in[0].lo), sqrt(in[0].hi)) : RANGE_UNKNOWN;
}

void range_add(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = range_sum(in[0], in[1]);
}

void range_sub(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = range_sum(in[0], (Range){-in[1].hi, -in[1].lo});
}

void range_mul(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = range_product(in[0], in[1]);
}

void range_div(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  Range a = in[0], b = in[1];
  out[0] = least_size(b) >= REAL_SMALLEST
               ? around(a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi)
               : RANGE_UNKNOWN;
}

void range_maximum(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = (Range){fmax(in[0].lo, in[1].lo), fmax(in[0].hi, in[1].hi)};
}

void range_minimum(const OpCall *call, const Range *in, Range *out) {
  (void)call;
  out[0] = (Range){fmin(in[0].lo, in[1].lo), fmin(in[0].hi, in[1].hi)};
}

/* The norm's own rounding is far less than a thousandth; of reals whose squares are too
 * small to count it holds nothing. */
Range range_within_norm(double norm) {
  double lost = sqrt(REAL_SMALLEST) * 1e3;
  return norm >= 0 ? range_around(norm * 1.001 + lost) : RANGE_UNKNOWN;
}
