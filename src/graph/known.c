/* known.c: what is known of values before they are computed: bounds, and what the rows
 * along the last axis sum to. A cross-entropy asks for it: is this output a
 * probability, do those of a row sum to 1?
 *
 * Each rule is interval arithmetic: from what is known of the inputs, the tightest
 * bounds that every value of the output keeps; where nothing follows, nothing is
 * claimed. NaN is outside all bounds and is no concern of theirs. Rounding may cross a
 * bound by as much as rounding does.
 *
 *   exp(z) >= 0,  1 + exp(z) >= 1,  so 1 / (1 + exp(z)) is in [0, 1]
 *   e = exp(z) >= 0,  so e / sum(e) is in [0, 1] and sums to 1
 *
 * Constants without axes are known; those with axes are data, of which nothing is said,
 * and so are variables: a number that training moves is no fact. */
#include "graph/known.h"
#include <math.h>
#include <string.h>

const Known KNOWN_NOTHING = {-INFINITY, INFINITY, NAN, false};

bool known_probabilities(const Known *k) {
  return k->lo >= 0 && k->hi <= 1 + KNOWN_SLACK;
}

bool known_distributions(const Known *k) {
  return known_probabilities(k) && fabs(k->total - 1) <= KNOWN_SLACK;
}

/* -- helpers ----------------------------------------------------------------------- */

static Known between(double lo, double hi) {
  return (Known){isnan(lo) ? -INFINITY : lo, isnan(hi) ? INFINITY : hi, NAN, false};
}

static const Known *of(const Node *y, int i) { return &y->in[i]->known; }

static int64_t last_dim(const Node *x) {
  return x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
}

static bool is_number(const Known *k) { return k->lo == k->hi; }

/* What a row of x sums to, when x is broadcast to the shape of y. */
static double row_total(const Node *y, int i) {
  const Node *x = y->in[i];
  if (last_dim(y) == 0) return NAN;
  if (is_number(&x->known)) return x->known.lo * (double)last_dim(y);
  return last_dim(x) == last_dim(y) ? x->known.total : NAN;
}

/* The same values, whose rows are whole or not. */
static Known rows_of(const Known *x, bool whole) {
  Known k = *x;
  if (whole) return k;
  k.total = NAN;
  k.logs = false;
  return k;
}

/* 0 times anything is 0. */
static double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

static Known product(double a, double b, double c, double d) {
  double v[] = {times(a, c), times(a, d), times(b, c), times(b, d)};
  double lo = v[0], hi = v[0];
  for (int i = 1; i < 4; i++) {
    lo = fmin(lo, v[i]);
    hi = fmax(hi, v[i]);
  }
  return between(lo, hi);
}

/* -- elementwise, one input -------------------------------------------------------- */

Known known_increasing(const Node *y) {
  const Known *x = of(y, 0);
  return between(y->op->scalar(&x->lo, y->attr), y->op->scalar(&x->hi, y->attr));
}

Known known_exp(const Node *y) {
  Known k = known_increasing(y);
  if (of(y, 0)->logs) k.total = 1;
  return k;
}

Known known_log(const Node *y) {
  Known k = known_increasing(y);
  k.logs = known_distributions(of(y, 0));
  return k;
}

/* Limits just inside [0, 1] keep logarithms finite; they leave a distribution one. */
Known known_clip(const Node *y) {
  enum { PARTS = 1000 };
  double lo = y->attr[0].f, hi = y->attr[1].f;
  Known k = known_increasing(y);
  if (lo * (double)last_dim(y) * PARTS <= 1 && (1 - hi) * PARTS <= 1)
    k.total = known_distributions(of(y, 0)) ? of(y, 0)->total : NAN;
  return k;
}

Known known_neg(const Node *y) {
  const Known *x = of(y, 0);
  Known k = between(-x->hi, -x->lo);
  k.total = -x->total;
  return k;
}

Known known_abs(const Node *y) {
  const Known *x = of(y, 0);
  if (x->lo >= 0) return *x;
  return between(fmax(-x->hi, 0), fmax(-x->lo, x->hi));
}

Known known_square(const Node *y) {
  Known k = known_abs(y);
  return between(k.lo * k.lo, k.hi * k.hi);
}

Known known_reciprocal(const Node *y) {
  const Known *x = of(y, 0);
  return x->lo >= 0 ? between(1 / x->hi, 1 / fabs(x->lo)) : KNOWN_NOTHING; /* -0 too */
}

Known known_wave(const Node *y) {
  (void)y;
  return between(-1, 1);
}

Known known_same(const Node *y) { return *of(y, 0); }

/* -- elementwise, several inputs --------------------------------------------------- */

/* Is b the same function of the same inputs as a, written twice? */
static bool same_function(const Node *a, const Node *b) {
  if (a == b) return true;
  bool alike = a->op == b->op && a->in && b->in && a->n_in == b->n_in && a->n_in > 0 &&
               a->n_attr == b->n_attr && !(a->op->flags & (OP_DRAW | OP_LEAF));
  for (int i = 0; alike && i < a->n_in; i++) alike = a->in[i] == b->in[i];
  return alike && memcmp(a->attr, b->attr, (size_t)a->n_attr * sizeof *a->attr) == 0;
}

/* Is h = 1 - g? */
static bool is_rest(const Node *h, const Node *g) {
  if (h->op != &op_record_sub || !h->in) return false;
  const Known *one = of(h, 0);
  return is_number(one) && one->lo == 1 && same_function(h->in[1], g);
}

typedef struct Mixture {
  const Node *weight, *a, *b;
} Mixture;

/* Is y = g a + (1 - g) b, of a weight g in [0, 1]? */
static bool is_mixture(const Node *y, Mixture *out) {
  const Node *m = y->in[0], *n = y->in[1];
  if (m->op != &op_record_mul || n->op != &op_record_mul || !m->in || !n->in)
    return false;
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      const Node *g = m->in[i], *h = n->in[j];
      if (!known_probabilities(&g->known) || !(is_rest(h, g) || is_rest(g, h)))
        continue;
      *out = (Mixture){g, m->in[1 - i], n->in[1 - j]};
      return true;
    }
  return false;
}

/* Between both; a row of two that have one total has it too, where it has one
 * weight. */
static Known known_mixture(const Node *y, const Mixture *mix) {
  const Known *a = &mix->a->known, *b = &mix->b->known;
  Known k = between(fmin(a->lo, b->lo), fmax(a->hi, b->hi));
  bool one_weight = last_dim(mix->weight) <= 1;
  if (one_weight && last_dim(mix->a) == last_dim(y) &&
      last_dim(mix->b) == last_dim(y) && a->total == b->total)
    k.total = a->total;
  return k;
}

Known known_add(const Node *y) {
  Mixture mix;
  if (is_mixture(y, &mix)) return known_mixture(y, &mix);
  Known k = between(of(y, 0)->lo + of(y, 1)->lo, of(y, 0)->hi + of(y, 1)->hi);
  k.total = row_total(y, 0) + row_total(y, 1);
  return k;
}

Known known_sub(const Node *y) {
  Known k = between(of(y, 0)->lo - of(y, 1)->hi, of(y, 0)->hi - of(y, 1)->lo);
  k.total = row_total(y, 0) - row_total(y, 1);
  return k;
}

Known known_mul(const Node *y) {
  const Known *a = of(y, 0), *b = of(y, 1);
  Known k = product(a->lo, a->hi, b->lo, b->hi);
  if (is_number(a)) k.total = a->lo * row_total(y, 1);
  else if (is_number(b)) k.total = b->lo * row_total(y, 0);
  return k;
}

/* Is `sum` what the rows of x sum to, one number per row? */
static bool is_row_sum(const Node *sum, const Node *x) {
  if (sum->op != &op_record_sum || !sum->in || !x->shape.rank) return false;
  if (!same_function(sum->in[0], x)) return false;
  unsigned last = 1u << (x->shape.rank - 1);
  return attr_axes(sum->attr) == last && attr_behind(sum->attr)->i;
}

/* Is it such a sum, or one that something was added to, or that is kept from being
 * small? */
static bool is_row_sum_or_more(const Node *b, const Node *x) {
  if (is_row_sum(b, x)) return true;
  if (!b->in || (b->op != &op_record_add && b->op != &op_record_maximum)) return false;
  for (int i = 0; i < 2; i++)
    if (is_row_sum(b->in[i], x))
      return b->op == &op_record_maximum || of(b, 1 - i)->lo >= 0;
  return false;
}

Known known_div(const Node *y) {
  const Known *a = of(y, 0), *b = of(y, 1);
  Known k = KNOWN_NOTHING;
  if (is_row_sum(y->in[1], y->in[0])) {
    if (a->lo >= 0) k = between(0, 1);
    k.total = 1;
    return k;
  }
  if (a->lo >= 0 && is_row_sum_or_more(y->in[1], y->in[0])) return between(0, 1);
  if (b->lo > 0) k = product(a->lo, a->hi, 1 / b->hi, 1 / b->lo);
  if (is_number(b)) k.total = row_total(y, 0) / b->lo;
  return k;
}

/* Of no negative number to one exponent: it rises with the base, or falls where that is
 * < 0. */
Known known_pow(const Node *y) {
  const Known *a = of(y, 0), *b = of(y, 1);
  if (!(a->lo >= 0) || !is_number(b)) return KNOWN_NOTHING;
  double lo = pow(fabs(a->lo), b->lo), hi = pow(a->hi, b->lo);
  return b->lo >= 0 ? between(lo, hi) : between(hi, lo);
}

Known known_truth(const Node *y) {
  (void)y;
  return between(0, 1);
}

Known known_maximum(const Node *y) {
  return between(fmax(of(y, 0)->lo, of(y, 1)->lo), fmax(of(y, 0)->hi, of(y, 1)->hi));
}

Known known_minimum(const Node *y) {
  return between(fmin(of(y, 0)->lo, of(y, 1)->lo), fmin(of(y, 0)->hi, of(y, 1)->hi));
}

Known known_where(const Node *y) {
  return between(fmin(of(y, 1)->lo, of(y, 2)->lo), fmax(of(y, 1)->hi, of(y, 2)->hi));
}

/* -- reductions -------------------------------------------------------------------- */

/* Does the last axis of x stay? */
static bool keeps_last(const Node *y) {
  int rank = y->in[0]->shape.rank;
  return rank > 0 && !(attr_axes(y->attr) >> (rank - 1) & 1);
}

Known known_sum(const Node *y) {
  int64_t n_out = shape_count(&y->shape);
  int64_t n_each = n_out ? shape_count(&y->in[0]->shape) / n_out : 0;
  double n = (double)n_each;
  Known k = between(times(of(y, 0)->lo, n), times(of(y, 0)->hi, n));
  if (keeps_last(y)) k.total = of(y, 0)->total * n;
  return k;
}

Known known_mean(const Node *y) {
  Known k = known_extreme(y);
  if (keeps_last(y)) k.total = of(y, 0)->total;
  return k;
}

Known known_extreme(const Node *y) { return rows_of(of(y, 0), false); }

/* -- moved elements ---------------------------------------------------------------- */

Known known_reshape(const Node *y) {
  return rows_of(of(y, 0), last_dim(y) && last_dim(y) == last_dim(y->in[0]));
}

/* Of a number repeated nothing is said: it is data. */
Known known_broadcast(const Node *y) {
  bool whole = last_dim(y) && last_dim(y) == last_dim(y->in[0]);
  return whole ? *of(y, 0) : KNOWN_NOTHING;
}

Known known_transpose(const Node *y) {
  int last = y->shape.rank - 1;
  return rows_of(of(y, 0), last >= 0 && y->attr[1 + last].i == last);
}

/* A row is whole when it has all its elements, in whatever order. */
Known known_slice(const Node *y) { return known_reshape(y); }

Known known_concat(const Node *y) {
  Known k = rows_of(of(y, 0), y->attr[0].i != y->shape.rank - 1);
  for (int i = 1; i < y->n_in; i++) {
    const Known *x = of(y, i);
    k.lo = fmin(k.lo, x->lo);
    k.hi = fmax(k.hi, x->hi);
    k.logs = k.logs && x->logs;
    if (k.total != x->total) k.total = NAN;
  }
  return k;
}

Known known_gather(const Node *y) {
  bool padded = y->attr[0].i;
  Known k = rows_of(of(y, 0), y->in[0]->shape.rank > 1 && !padded);
  if (padded) k.lo = fmin(k.lo, 0), k.hi = fmax(k.hi, 0);
  return k;
}

/* -- distributions ----------------------------------------------------------------- */

static bool along_last(const Node *y) { return y->attr[0].i == y->shape.rank - 1; }

Known known_softmax(const Node *y) {
  return (Known){0, 1, along_last(y) ? 1 : NAN, false};
}

Known known_log_softmax(const Node *y) {
  return (Known){-INFINITY, 0, NAN, along_last(y)};
}

/* Taken for 1, as in inference: what a net's output is must not depend on the mode. */
Known known_dropout_mask(const Node *y) {
  (void)y;
  return (Known){1, 1, NAN, false};
}
