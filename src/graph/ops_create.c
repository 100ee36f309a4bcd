/* ops_create.c: tensors from nothing: counting, the identity matrix, random draws.
 *
 * Element i of a draw is a function of (stream, i) alone, whatever the blocks, and both
 * REAL builds draw from the same words w of the stream (u = (w >> 8) 2^-24, in [0, 1)):
 *   random_uniform  lo + (hi - lo) u(w_i)
 *   random_normal   elements 2j and 2j + 1: mean + std r cos(a) and mean + std r
 *                   sin(a), r = sqrt(-2 log(u(w_2j) + 2^-24)), a = 2 pi u(w_2j+1)
 *   random_int      lo + a number below hi - lo + 1 from w_2i and w_2i+1 (philox_below)
 *   dropout_mask    0 where u(w_i) < rate, else 1 / (1 - rate)
 * Normals are computed in double by the C library: they make initial weights, not
 * steps. */
#include "graph/known.h"
#include "graph/ops_move.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>

enum { BLOCK = 1 << 14, NORMAL_BLOCK = 1 << 12, INT_BLOCK = 1 << 12 };

static const double two_pi = 6.283185307179586;

static int64_t out_count(const OpCall *call) {
  return shape_count(&call->out[0].shape);
}

static int64_t blocks_of(const OpCall *call, int64_t block) {
  int64_t n = (out_count(call) + block - 1) / block;
  return n > 1 ? n : 1;
}

/* The stream, in the last two slots. */
static Stream stream_of(const OpCall *call) {
  const Attr *last = call->attr + call->n_attr - 2;
  return (Stream){(uint64_t)last[0].i, (uint64_t)last[1].i};
}

static void stream_to_attr(Attr *attr, Stream s) {
  attr[0].i = (int64_t)s.key;
  attr[1].i = (int64_t)s.draw;
}

/* -- arange ------------------------------------------------------------------------ */

static Err arange_infer(OpInfer *io) {
  if (!isfinite(io->attr[0].f) || !isfinite(io->attr[1].f))
    return fault_set(io->fault, ERR_VALUE, "got first %g and step %g, allowed: finite",
                     io->attr[0].f, io->attr[1].f);
  if (io->attr[2].i < 0)
    return fault_set(io->fault, ERR_VALUE, "n: got %lld, allowed: 0 and more",
                     (long long)io->attr[2].i);
  io->out_shape[0] = SHAPE_OF(io->attr[2].i);
  return ERR_OK;
}

static void arange_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  real *out = call->out[0].data;
  int64_t end = least(out_count(call), (block + 1) * BLOCK);
  for (int64_t i = block * BLOCK; i < end; i++)
    out[i] = (real)(call->attr[0].f + (double)i * call->attr[1].f);
}

static void plain_split(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = blocks_of(call, BLOCK);
}

static void arange_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  (void)in;
  for (int64_t i = 0; i < out_count(call); i++)
    out[0][i] = call->attr[0].f + (double)i * call->attr[1].f;
}

/* -- eye --------------------------------------------------------------------------- */

static Err eye_infer(OpInfer *io) {
  int64_t n = io->attr[0].i;
  if (n < 0 || n > INT32_MAX)
    return fault_set(io->fault, ERR_VALUE, "n: got %lld, allowed: 0 to %d",
                     (long long)n, INT32_MAX);
  io->out_shape[0] = SHAPE_OF(n, n);
  return ERR_OK;
}

static void eye_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  real *out = call->out[0].data;
  int64_t n = call->attr[0].i, end = least(n * n, (block + 1) * BLOCK);
  int64_t i = block * BLOCK;
  int64_t next = n ? (i + n) / (n + 1) * (n + 1) : 0; /* the first one at or after i */
  for (; i < end; i++) out[i] = 0;
  for (; next < end; next += n + 1) out[next] = 1;
}

static void eye_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  (void)in;
  int64_t n = call->attr[0].i;
  for (int64_t i = 0; i < n * n; i++) out[0][i] = i / n == i % n;
}

/* -- uniform ----------------------------------------------------------------------- */

static Err draw_infer(OpInfer *io) {
  if (attr_check_shape(io->attr, 0, io->fault)) return io->fault->code;
  io->out_shape[0] = shape_from_attr(io->attr);
  return ERR_OK;
}

static Err uniform_infer(OpInfer *io) {
  double lo = attr_behind(io->attr)[0].f, hi = attr_behind(io->attr)[1].f;
  if (!(isfinite(lo) && isfinite(hi) && lo <= hi))
    return fault_set(io->fault, ERR_VALUE,
                     "got lo %g and hi %g, allowed: finite, lo not above hi", lo, hi);
  return draw_infer(io);
}

static void uniform_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  int64_t from = block * BLOCK, n = least(out_count(call) - from, BLOCK);
  kernels()->random_uniform((real *)call->out[0].data + from, stream_of(call),
                            (uint64_t)from, n, attr_behind(call->attr)[0].f,
                            attr_behind(call->attr)[1].f);
}

/* A word costs about twenty operations. */
static void draw_split(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = blocks_of(call, BLOCK);
  split->work = 20 * out_count(call);
}

static void uniform_reference(const OpCall *call, const double *const *in,
                              double *const *out) {
  (void)in;
  double lo = attr_behind(call->attr)[0].f, hi = attr_behind(call->attr)[1].f;
  for (int64_t i = 0; i < out_count(call); i++)
    out[0][i] = lo + (hi - lo) * philox_unit(philox_word(stream_of(call), (uint64_t)i));
}

/* -- normal ------------------------------------------------------------------------ */

static Err normal_infer(OpInfer *io) {
  double mean = attr_behind(io->attr)[0].f, std = attr_behind(io->attr)[1].f;
  if (!(isfinite(mean) && isfinite(std) && std >= 0))
    return fault_set(io->fault, ERR_VALUE,
                     "got mean %g and std %g, allowed: finite, std not negative", mean,
                     std);
  return draw_infer(io);
}

/* The two standard normals of a pair of words (Box and Muller, 1958). */
static void normal_pair(double z[2], uint32_t w0, uint32_t w1) {
  double r = sqrt(-2 * log(philox_unit(w0) + 0x1p-24)), a = two_pi * philox_unit(w1);
  z[0] = r * cos(a);
  z[1] = r * sin(a);
}

static void normal_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  int64_t from = block * NORMAL_BLOCK, n = least(out_count(call) - from, NORMAL_BLOCK);
  real *out = (real *)call->out[0].data + from;
  double mean = attr_behind(call->attr)[0].f, std = attr_behind(call->attr)[1].f;
  uint32_t words[NORMAL_BLOCK];
  kernels()->random_words(words, stream_of(call), (uint64_t)from / 4, (n + 3) / 4);
  for (int64_t i = 0; i < n; i += 2) {
    double z[2];
    normal_pair(z, words[i], words[i + 1]);
    out[i] = (real)(mean + std * z[0]);
    if (i + 1 < n) out[i + 1] = (real)(mean + std * z[1]);
  }
}

static void normal_split(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = blocks_of(call, NORMAL_BLOCK);
  split->work = 60 * out_count(call);
}

static void normal_reference(const OpCall *call, const double *const *in,
                             double *const *out) {
  (void)in;
  for (int64_t i = 0; i < out_count(call); i++) {
    double z[2];
    uint64_t pair = (uint64_t)(i - i % 2);
    normal_pair(z, philox_word(stream_of(call), pair),
                philox_word(stream_of(call), pair + 1));
    out[0][i] = attr_behind(call->attr)[0].f + attr_behind(call->attr)[1].f * z[i % 2];
  }
}

/* -- integers ---------------------------------------------------------------------- */

static Err int_infer(OpInfer *io) {
  int64_t lo = attr_behind(io->attr)[0].i, hi = attr_behind(io->attr)[1].i;
  if (lo < INT32_MIN || hi > INT32_MAX || lo > hi)
    return fault_set(io->fault, ERR_VALUE,
                     "got lo %lld and hi %lld, allowed: %d to %d, lo not above hi",
                     (long long)lo, (long long)hi, INT32_MIN, INT32_MAX);
  io->out_dtype[0] = DT_INT32;
  return draw_infer(io);
}

static int64_t draw_int(const OpCall *call, int64_t i) {
  int64_t lo = attr_behind(call->attr)[0].i, hi = attr_behind(call->attr)[1].i;
  return lo +
         (int64_t)philox_below(stream_of(call), (uint64_t)i, (uint64_t)(hi - lo) + 1);
}

static void int_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  int32_t *out = call->out[0].data;
  int64_t end = least(out_count(call), (block + 1) * INT_BLOCK);
  for (int64_t i = block * INT_BLOCK; i < end; i++) out[i] = (int32_t)draw_int(call, i);
}

static void int_split(const OpCall *call, OpSplit *split) {
  split->n_blocks[0] = blocks_of(call, INT_BLOCK);
  split->work = 60 * out_count(call);
}

static void int_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  (void)in;
  for (int64_t i = 0; i < out_count(call); i++) out[0][i] = (double)draw_int(call, i);
}

/* -- dropout ----------------------------------------------------------------------- */

static Err mask_infer(OpInfer *io) {
  double rate = attr_behind(io->attr)[0].f;
  if (!(rate >= 0 && rate < 1))
    return fault_set(io->fault, ERR_VALUE, "rate: got %g, allowed: from 0 to below 1",
                     rate);
  return draw_infer(io);
}

static void mask_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  int64_t from = block * BLOCK, n = least(out_count(call) - from, BLOCK);
  kernels()->random_mask((real *)call->out[0].data + from, stream_of(call),
                         (uint64_t)from, n, attr_behind(call->attr)[0].f);
}

static void mask_reference(const OpCall *call, const double *const *in,
                           double *const *out) {
  (void)in;
  double rate = attr_behind(call->attr)[0].f;
  for (int64_t i = 0; i < out_count(call); i++) {
    double u = philox_unit(philox_word(stream_of(call), (uint64_t)i));
    out[0][i] = u < rate ? 0 : 1 / (1 - rate);
  }
}

/* -- samples ----------------------------------------------------------------------- */

static const Sample arange_samples[] = {
    {ATTRS({.f = 1}, {.f = 1}, {.i = 1})},
    {ATTRS({.f = 2.5}, {.f = -0.1}, {.i = 17})},
    {ATTRS({.f = 0}, {.f = 3}, {.i = 20001})},
    SAMPLES_END};

static const Sample eye_samples[] = {
    {ATTRS({.i = 1})}, {ATTRS({.i = 7})},
    {ATTRS({.i = 150})}, SAMPLES_END};

/* Shapes, `a` and `b` as each op's attributes are, key and draw of the stream. */
#define DIMS ATTR_LIST
#define DRAW_SAMPLE(shape, a, b, key, draw)                                            \
  { ATTRS(shape, a, b, {.i = (key)}, {.i = (draw)}) }

static const Sample uniform_samples[] = {
    DRAW_SAMPLE(ATTR_EMPTY, {.f = 0}, {.f = 1}, 11, 0),
    DRAW_SAMPLE(DIMS({1}), {.f = -1}, {.f = 1}, 12, 1),
    DRAW_SAMPLE(DIMS({3}, {11}), {.f = 2}, {.f = 2}, -13, 2),
    DRAW_SAMPLE(DIMS({20001}), {.f = -0.5}, {.f = 3}, 14, 3), SAMPLES_END};

static const Sample normal_samples[] = {
    DRAW_SAMPLE(ATTR_EMPTY, {.f = 0}, {.f = 1}, 11, 0),
    DRAW_SAMPLE(DIMS({1}), {.f = -1}, {.f = 1}, 12, 1),
    DRAW_SAMPLE(DIMS({3}, {11}), {.f = 2}, {.f = 0}, -13, 2),
    DRAW_SAMPLE(DIMS({20001}), {.f = 0.5}, {.f = 3}, 14, 3), SAMPLES_END};

static const Sample int_samples[] = {
    DRAW_SAMPLE(ATTR_EMPTY, {.i = 0}, {.i = 1}, 11, 0),
    DRAW_SAMPLE(DIMS({1}), {.i = 7}, {.i = 7}, 12, 1),
    DRAW_SAMPLE(DIMS({3}, {11}), {.i = -5}, {.i = 5}, -13, 2),
    DRAW_SAMPLE(DIMS({20001}), {.i = 1}, {.i = 1000}, 14, 3), SAMPLES_END};

#define MASK_SAMPLE(shape, rate, key, draw)                                            \
  { ATTRS(shape, {.f = (rate)}, {.i = (key)}, {.i = (draw)}) }

static const Sample mask_samples[] = {
    MASK_SAMPLE(ATTR_EMPTY, 0.5, 11, 0), MASK_SAMPLE(DIMS({1}), 0.1, 12, 1),
    MASK_SAMPLE(DIMS({3}, {11}), 0, -13, 2), MASK_SAMPLE(DIMS({20001}), 0.3, 14, 3),
    SAMPLES_END};

/* -- records ----------------------------------------------------------------------- */

const Op op_record_arange = {
    .name = "arange", .n_in = 0, .n_out = 1, .flags = OP_NO_GRAD,
    .attrs = OP_ATTRS({.name = "first", .kind = ATTR_REAL, .doc = "the first number"},
                      {.name = "step", .kind = ATTR_REAL, .value = "1",
                       .doc = "from each number to the next"},
                      {.name = "n", .kind = ATTR_INT, .lo = 0, .hi = 1e15,
                       .doc = "how many numbers"}),
    .doc = "Evenly spaced numbers: [n].",
    .equation = "y_i = first + (i - 1) step, i = 1 .. n",
    .infer = arange_infer, .split = plain_split, .run = arange_run, .vjp = vjp_none,
    .reference = arange_reference, .samples = arange_samples,
};

const Op op_record_eye = {
    .name = "eye", .n_in = 0, .n_out = 1, .flags = OP_NO_GRAD,
    .attrs = OP_ATTRS({.name = "n", .kind = ATTR_INT, .lo = 0, .hi = 2147483647,
                       .doc = "rows and columns"}),
    .doc = "The identity matrix: [n, n].",
    .equation = "y_ij = [i = j]",
    .infer = eye_infer, .split = plain_split, .run = eye_run, .vjp = vjp_none,
    .reference = eye_reference, .samples = eye_samples,
};

#define SHAPE_ATTR                                                                     \
  { .name = "shape", .kind = ATTR_SHAPE, .doc = "of the result" }
#define STREAM_ATTR                                                                    \
  { .name = "stream", .kind = ATTR_STREAM, .doc = "where the draw begins" }

const Op op_record_random_uniform = {
    .name = "random_uniform", .n_in = 0, .n_out = 1, .flags = OP_DRAW | OP_NO_GRAD,
    .attrs = OP_ATTRS(SHAPE_ATTR,
                      {.name = "lo", .kind = ATTR_REAL, .value = "0",
                       .doc = "lower end"},
                      {.name = "hi", .kind = ATTR_REAL, .value = "1",
                       .doc = "upper end"},
                      STREAM_ATTR),
    .doc = "Uniform draws from [lo, hi); rounding to real may give hi itself.",
    .equation = "y_i = lo + (hi - lo) u_i, u_i from [0, 1) in steps of 2^-24",
    .infer = uniform_infer, .split = draw_split, .run = uniform_run, .vjp = vjp_none,
    .reference = uniform_reference, .samples = uniform_samples,
};

const Op op_record_random_normal = {
    .name = "random_normal", .n_in = 0, .n_out = 1, .flags = OP_DRAW | OP_NO_GRAD,
    .attrs = OP_ATTRS(SHAPE_ATTR,
                      {.name = "mean", .kind = ATTR_REAL, .value = "0",
                       .doc = "expected value"},
                      {.name = "std", .kind = ATTR_REAL, .value = "1",
                       .doc = "standard deviation, at least 0"},
                      STREAM_ATTR),
    .doc = "Normal draws.",
    .equation = "y_i = mean + std z_i, z_i ~ N(0, 1)",
    .source = "Box, Muller, \"A note on the generation of random normal deviates\", "
              "1958",
    .infer = normal_infer, .split = normal_split, .run = normal_run, .vjp = vjp_none,
    .reference = normal_reference, .samples = normal_samples,
};

const Op op_record_random_int = {
    .name = "random_int", .n_in = 0, .n_out = 1, .flags = OP_DRAW | OP_NO_GRAD,
    .attrs = OP_ATTRS(SHAPE_ATTR,
                      {.name = "lo", .kind = ATTR_INT, .lo = -2147483648.0,
                       .hi = 2147483647, .doc = "the smallest"},
                      {.name = "hi", .kind = ATTR_INT, .lo = -2147483648.0,
                       .hi = 2147483647, .doc = "the largest"},
                      STREAM_ATTR),
    .doc = "Uniform draws of integers, both ends included; int32.",
    .equation = "y_i ~ U{lo .. hi}",
    .infer = int_infer, .split = int_split, .run = int_run, .vjp = vjp_none,
    .reference = int_reference, .samples = int_samples,
};

const Op op_record_dropout_mask = {
    .name = "dropout_mask", .n_in = 0, .n_out = 1,
    .flags = OP_DRAW | OP_NO_GRAD | OP_INTERNAL,
    .attrs = OP_ATTRS(SHAPE_ATTR,
                      {.name = "rate", .kind = ATTR_REAL, .lo = 0, .hi = 1,
                       .doc = "probability of 0, below 1"},
                      STREAM_ATTR),
    .doc = "Factors of inverted dropout.",
    .equation = "y_i = 0 with probability rate, else 1 / (1 - rate)",
    .source = "Srivastava et al., \"Dropout\", JMLR 2014, section 10",
    .infer = mask_infer, .split = draw_split, .run = mask_run, .vjp = vjp_none,
    .reference = mask_reference, .samples = mask_samples, .known = known_dropout_mask,
};

/* -- constructors ------------------------------------------------------------------ */

Node *op_arange(Graph *g, double first, double step, int64_t n) {
  Attr attr[3] = {{.f = first}, {.f = step}, {.i = n}};
  return graph_apply(g, &op_record_arange, NULL, 0, attr, 3);
}

Node *op_eye(Graph *g, int64_t n) {
  return graph_apply(g, &op_record_eye, NULL, 0, &(Attr){.i = n}, 1);
}

/* From `n` numbers; the last attribute is the stream. */
static Node *draw(Graph *g, const Op *op, const Shape *shape, const Attr *number, int n,
                  Stream s) {
  Attr attr[SHAPE_ROOM + 2 + 2];
  int n_attr = shape_to_attr(attr, shape);
  for (int k = 0; k < n; k++) attr[n_attr++] = number[k];
  stream_to_attr(attr + n_attr, s);
  return graph_apply(g, op, NULL, 0, attr, n_attr + 2);
}

Node *op_random_uniform(Graph *g, const Shape *shape, double lo, double hi, Stream s) {
  const Attr ends[] = {{.f = lo}, {.f = hi}};
  return draw(g, &op_record_random_uniform, shape, ends, 2, s);
}

Node *op_random_normal(Graph *g, const Shape *shape, double mean, double std,
                       Stream s) {
  const Attr moments[] = {{.f = mean}, {.f = std}};
  return draw(g, &op_record_random_normal, shape, moments, 2, s);
}

Node *op_random_int(Graph *g, const Shape *shape, int64_t lo, int64_t hi, Stream s) {
  const Attr ends[] = {{.i = lo}, {.i = hi}};
  return draw(g, &op_record_random_int, shape, ends, 2, s);
}

Node *op_dropout_mask(Graph *g, const Shape *shape, double rate, Stream s) {
  return draw(g, &op_record_dropout_mask, shape, &(Attr){.f = rate}, 1, s);
}
