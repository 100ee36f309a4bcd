/* ops_reduce.c: reductions over any set of axes.
 *
 * Adjacent axes that are both kept or both reduced count as one group; axes of one
 * element vanish. What remains alternates, and its innermost group decides: where it is
 * reduced, an output is the sum (say) over rows of contiguous elements; where it is
 * kept, a tile of outputs is the sum over rows of as many columns. The work is cut by
 * shape alone into units (one output, or one tile of columns) and, where a unit is
 * long, into pieces. One piece: phase 0 reduces and finishes. Several: phase 0 leaves
 * their states in scratch, phase 1 merges them in order. States are doubles.
 *
 * Gradients, with n elements per output and gy spread back over the reduced axes:
 *   sum   gx = gy                     mean  gx = gy / n
 *   var   gx = gy 2 (x - mean(x)) / (n - correction)  (the mean's share vanishes)
 *   norm  none: it is for clipping
 *   max   gx = gy [x = y] / |{x = y}|, shared equally among equals; min likewise */
#include "graph/known.h"
#include "graph/ops_move.h"
#include "graph/ops_walk.h"
#include "graph/range.h"
#include "base/ints.h"
#include "kernel/kernel.h"
#include <math.h>
#include <stdlib.h>

enum {
  PIECE = 1 << 15,       /* elements reduced at one go */
  MAX_TILE = 256,        /* columns of a unit */
  MAX_PLANES = 3,        /* doubles of one output's state */
  BUFFER = 4096,         /* integers converted at a time */
  AHEAD = 4, AHEAD_LEAST = 16, AHEAD_MOST = 1024 /* rows ahead; elements of them */
};

/* -- axes -------------------------------------------------------------------------- */

/* The attributes: a list of axes, keepdims; of var the correction, too. */
static bool keepdims_of(const Attr *attr) { return attr_behind(attr)->i != 0; }
static int64_t correction_of(const Attr *attr) { return attr_behind(attr)[1].i; }

static bool is_reduced(unsigned axes, int axis) { return axes >> axis & 1; }

/* Elements per output. */
static int64_t reduced_count(const Shape *x, unsigned axes) {
  int64_t n = 1;
  for (int a = 0; a < x->rank; a++)
    if (is_reduced(axes, a)) n *= x->dim[a];
  return n;
}

/* x's shape with the reduced axes of length 1, or without them. */
static Shape shape_after(const Shape *x, unsigned axes, bool keepdims) {
  Shape s = {0, {0}};
  for (int a = 0; a < x->rank; a++) {
    if (!is_reduced(axes, a)) s.dim[s.rank++] = x->dim[a];
    else if (keepdims) s.dim[s.rank++] = 1;
  }
  return s;
}

/* -- plan -------------------------------------------------------------------------- */

/* Outer groups of axes, the innermost first. */
typedef struct Groups {
  int n;
  int64_t count;
  int64_t dim[MAX_RANK], stride[MAX_RANK];
} Groups;

static void groups_add(Groups *g, int64_t dim, int64_t stride) {
  g->dim[g->n] = dim;
  g->stride[g->n++] = stride;
  g->count *= dim;
}

/* Where element `index` of the groups begins. */
static int64_t groups_offset(const Groups *g, int64_t index) {
  int64_t offset = 0;
  for (int i = 0; i < g->n; i++) {
    offset += index % g->dim[i] * g->stride[i];
    index /= g->dim[i];
  }
  return offset;
}

typedef struct Plan {
  bool rows;             /* the innermost group is reduced */
  int64_t n_inner;       /* its elements */
  Groups kept, reduced;  /* the others */
  int64_t tile, n_tiles; /* outputs of a unit; units per element of `kept` */
  int64_t n_units;
  int64_t segment;    /* rows: contiguous elements of a step */
  int64_t n_segments; /* ... of which a row has so many */
  int64_t n_steps;    /* of a unit: segments, or rows of a tile */
  int64_t piece_steps, n_pieces;
  int64_t block_units; /* where a unit is one piece */
  int64_t merge_units; /* of a block of phase 1 */
} Plan;

/* Fills n_inner, rows, kept, reduced. */
static void plan_groups(Plan *p, const Shape *x, unsigned axes) {
  bool any = false, last = false;
  int64_t stride = 1, dim = 1;
  p->n_inner = 1;
  p->kept.count = p->reduced.count = 1;
  for (int a = x->rank - 1; a >= -1; a--) {
    if (a >= 0 && x->dim[a] == 1) continue;
    bool this = a >= 0 && is_reduced(axes, a);
    if (a >= 0 && dim > 1 && this == last) {
      dim *= x->dim[a];
      continue;
    }
    if (dim > 1 && !any) {
      any = true;
      p->rows = last;
      p->n_inner = dim;
    } else if (dim > 1) {
      groups_add(last ? &p->reduced : &p->kept, dim, stride);
    }
    stride *= dim;
    if (a >= 0) dim = x->dim[a];
    last = this;
  }
}

/* Of a tensor that is not empty. */
static Plan plan_of(const Shape *x, unsigned axes) {
  Plan p = {0};
  plan_groups(&p, x, axes);
  if (p.rows) {
    p.tile = p.n_tiles = 1;
    p.segment = least(p.n_inner, PIECE);
    p.n_segments = divide_up(p.n_inner, p.segment);
    p.n_steps = p.reduced.count * p.n_segments;
    p.piece_steps = PIECE / p.segment;
  } else {
    p.n_tiles = divide_up(p.n_inner, MAX_TILE);
    p.tile = least(p.n_inner, (divide_up(p.n_inner, p.n_tiles) + 15) / 16 * 16);
    p.n_tiles = divide_up(p.n_inner, p.tile);
    p.n_steps = p.reduced.count;
    p.piece_steps = PIECE / p.tile;
  }
  p.n_units = p.kept.count * p.n_tiles;
  p.n_pieces = divide_up(p.n_steps, p.piece_steps);
  p.block_units = most(1, BLOCK / (p.n_steps * (p.rows ? p.segment : p.tile)));
  p.merge_units = most(1, BLOCK / (p.n_pieces * p.tile));
  return p;
}

static Plan plan_call(const OpCall *call) {
  return plan_of(&call->in[0].shape, attr_axes(call->attr));
}

static bool is_empty(const OpCall *call) {
  return shape_count(&call->in[0].shape) == 0;
}

static int reduce_phases(const OpCall *call) {
  return is_empty(call) || plan_call(call).n_pieces == 1 ? 1 : 2;
}

static void reduce_split(const OpCall *call, OpSplit *split) {
  if (is_empty(call)) return;
  Plan p = plan_call(call);
  split->n_blocks[0] = divide_up(p.n_units, p.block_units);
  if (p.n_pieces == 1) return;
  split->n_blocks[0] = p.n_units * p.n_pieces;
  split->n_blocks[1] = divide_up(p.n_units, p.merge_units);
  split->scratch_bytes = (size_t)(p.n_units * p.n_pieces * p.tile * MAX_PLANES) *
                         sizeof(double);
}

/* -- run --------------------------------------------------------------------------- */

/* What is reduced how. A state has `n_planes` planes of N doubles, `start` at first. */
typedef struct Reducer {
  int n_planes;
  double start;
  void (*row)(double *state, const real *x, int64_t n);
  void (*columns)(double *state, const real *x, int64_t M, int64_t stride, int64_t N);
  void (*merge)(double *into, const double *from, int64_t N);
  /* The state, at output c, of one element alone. */
  void (*element)(double *state, double x, int64_t N, int64_t c);
  /* The value of output c; n elements went into it. */
  double (*finish)(const double *state, int64_t N, int64_t c, int64_t n,
                   const Attr *attr);
} Reducer;

static bool would_round(const Array *x) {
  return x->dtype == DT_INT32 && !REAL_HOLDS_INT32;
}

/* N int32 as states of one element each, so that none is rounded to a float on the
 * way. */
static void add_int32(const Reducer *r, double *state, const Array *x, int64_t offset,
                      int64_t N) {
  double one[MAX_TILE * MAX_PLANES];
  for (int64_t c = 0; c < N; c++) r->element(one, array_get(x, offset + c), N, c);
  r->merge(state, one, N);
}

static void add_row(const Reducer *r, double *state, const Array *x, int64_t offset,
                    int64_t n) {
  if (would_round(x)) {
    for (int64_t i = 0; i < n; i++) add_int32(r, state, x, offset + i, 1);
    return;
  }
  real buffer[BUFFER];
  int64_t room = x->dtype == DT_REAL ? n : BUFFER;
  for (int64_t i = 0; i < n; i += room) {
    int64_t m = least(n - i, room);
    r->row(state, elements_as_reals(x, offset + i, m, buffer), m);
  }
}

static void add_columns(const Reducer *r, double *state, const Array *x, int64_t offset,
                        int64_t M, int64_t stride, int64_t N) {
  if (x->dtype == DT_REAL) {
    r->columns(state, (const real *)x->data + offset, M, stride, N);
    return;
  }
  if (would_round(x)) {
    for (int64_t i = 0; i < M; i++) add_int32(r, state, x, offset + i * stride, N);
    return;
  }
  real buffer[BUFFER];
  for (int64_t i = 0, m; i < M; i += m) {
    m = least(M - i, BUFFER / N);
    for (int64_t j = 0; j < m; j++)
      elements_as_reals(x, offset + (i + j) * stride, N, buffer + j * N);
    r->columns(state, buffer, m, N, N);
  }
}

/* One unit's place in the input and among the outputs. */
typedef struct Unit {
  int64_t offset, out, N;
} Unit;

static Unit unit_at(const Plan *p, int64_t unit) {
  int64_t kept = unit / p->n_tiles, column = unit % p->n_tiles * p->tile;
  if (p->rows) return (Unit){groups_offset(&p->kept, kept), kept, 1};
  return (Unit){groups_offset(&p->kept, kept) + column, kept * p->n_inner + column,
                least(p->tile, p->n_inner - column)};
}

/* Reduces steps [from, to) of a unit into its state. */
static void reduce_steps(const Reducer *r, const Plan *p, const Array *x, const Unit *u,
                         int64_t from, int64_t to, double *state) {
  for (int64_t i = 0; i < r->n_planes * u->N; i++) state[i] = r->start;
  if (p->rows) {
    bool fetch = p->n_inner >= AHEAD_LEAST && p->n_inner <= AHEAD_MOST;
    for (int64_t q = from; q < to; q++) {
      int64_t at = q % p->n_segments * p->segment;
      if (fetch && q + AHEAD < to)
        elements_fetch(x, u->offset + groups_offset(&p->reduced, q + AHEAD),
                       p->n_inner);
      add_row(r, state, x,
              u->offset + groups_offset(&p->reduced, q / p->n_segments) + at,
              least(p->segment, p->n_inner - at));
    }
    return;
  }
  int64_t run = p->reduced.n ? p->reduced.dim[0] : 1;
  int64_t stride = p->reduced.n ? p->reduced.stride[0] : 0;
  for (int64_t q = from, M; q < to; q += M) {
    M = least(to - q, run - q % run);
    add_columns(r, state, x, u->offset + groups_offset(&p->reduced, q), M, stride,
                u->N);
  }
}

static void finish_unit(const Reducer *r, const Unit *u, const OpCall *call, int64_t n,
                        const double *state) {
  Array *out = &call->out[0];
  real *reals = out->dtype == DT_REAL ? (real *)out->data + u->out : NULL;
  for (int64_t c = 0; c < u->N; c++) {
    double y = r->finish(state, u->N, c, n, call->attr);
    if (reals) reals[c] = (real)y;
    else array_set(out, u->out + c, y);
  }
}

static double *scratch_at(const Plan *p, const OpCall *call, int64_t unit,
                          int64_t piece) {
  return (double *)call->scratch + (unit * p->n_pieces + piece) * p->tile * MAX_PLANES;
}

/* Phase 1: the pieces of each unit, in order. */
static void merge_units(const Reducer *r, const Plan *p, const OpCall *call, int64_t n,
                        int64_t block) {
  int64_t end = least(p->n_units, (block + 1) * p->merge_units);
  for (int64_t unit = block * p->merge_units; unit < end; unit++) {
    Unit u = unit_at(p, unit);
    double *state = scratch_at(p, call, unit, 0);
    for (int64_t i = 1; i < p->n_pieces; i++)
      r->merge(state, scratch_at(p, call, unit, i), u.N);
    finish_unit(r, &u, call, n, state);
  }
}

static void reduce_run(const OpCall *call, int phase, int64_t block, const Reducer *r) {
  const Array *x = &call->in[0];
  if (is_empty(call)) {
    real *out = call->out[0].data;
    for (int64_t i = 0; i < shape_count(&call->out[0].shape); i++) out[i] = 0;
    return;
  }
  Plan p = plan_call(call);
  int64_t n = reduced_count(&x->shape, attr_axes(call->attr));
  if (phase == 1) {
    merge_units(r, &p, call, n, block);
  } else if (p.n_pieces > 1) {
    int64_t unit = block / p.n_pieces, from = block % p.n_pieces * p.piece_steps;
    Unit u = unit_at(&p, unit);
    reduce_steps(r, &p, x, &u, from, least(p.n_steps, from + p.piece_steps),
                 scratch_at(&p, call, unit, block % p.n_pieces));
  } else {
    double state[MAX_TILE * MAX_PLANES];
    int64_t end = least(p.n_units, (block + 1) * p.block_units);
    for (int64_t unit = block * p.block_units; unit < end; unit++) {
      Unit u = unit_at(&p, unit);
      reduce_steps(r, &p, x, &u, 0, p.n_steps, state);
      finish_unit(r, &u, call, n, state);
    }
  }
}

/* -- the reducers ------------------------------------------------------------------ */

static void merge_sum(double *into, const double *from, int64_t N) {
  for (int64_t c = 0; c < N; c++) into[c] += from[c];
}

static void merge_norm(double *into, const double *from, int64_t N) {
  merge_sum(into, from, NORM_STATE * N);
}

/* NaN replaces any number and stays. */
static void merge_max(double *into, const double *from, int64_t N) {
  for (int64_t c = 0; c < N; c++)
    if (from[c] > into[c] || isnan(from[c])) into[c] = from[c];
}

static void merge_min(double *into, const double *from, int64_t N) {
  for (int64_t c = 0; c < N; c++)
    if (from[c] < into[c] || isnan(from[c])) into[c] = from[c];
}

/* Planes: count, mean, squares about the mean (see kernel/vector/reduce.c). */
static void merge_var(double *into, const double *from, int64_t N) {
  for (int64_t c = 0; c < N; c++) {
    double n_a = into[c], n_b = from[c], total = n_a + n_b;
    double d = from[N + c] - into[N + c];
    into[c] = total;
    into[N + c] += d * (n_b / total);
    into[2 * N + c] += from[2 * N + c] + d * d * (n_a * n_b / total);
  }
}

static void element_as_is(double *state, double x, int64_t N, int64_t c) {
  (void)N;
  state[c] = x;
}

static void element_var(double *state, double x, int64_t N, int64_t c) {
  state[c] = 1;
  state[N + c] = x;
  state[2 * N + c] = 0;
}

static double finish_as_is(const double *state, int64_t N, int64_t c, int64_t n,
                           const Attr *attr) {
  (void)N, (void)n, (void)attr;
  return state[c];
}

static double finish_mean(const double *state, int64_t N, int64_t c, int64_t n,
                          const Attr *attr) {
  (void)N, (void)attr;
  return state[c] / (double)n;
}

static double finish_var(const double *state, int64_t N, int64_t c, int64_t n,
                         const Attr *attr) {
  return state[2 * N + c] / (double)(n - correction_of(attr));
}

static void sum_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){1, 0, k->reduce_sum_row, k->reduce_sum_columns, merge_sum,
                        element_as_is, finish_as_is});
}

static void mean_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){1, 0, k->reduce_sum_row, k->reduce_sum_columns, merge_sum,
                        element_as_is, finish_mean});
}

static void var_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){3, 0, k->reduce_var_row, k->reduce_var_columns, merge_var,
                        element_var, finish_var});
}

/* The squares of all sizes brought together; kernel.h. */
static double finish_norm(const double *state, int64_t N, int64_t c, int64_t n,
                          const Attr *attr) {
  (void)n, (void)attr;
  double middle = state[NORM_MIDDLE * N + c], large = state[NORM_LARGE * N + c];
  double a = sqrt(middle), b = sqrt(state[NORM_SMALL * N + c]) / NORM_UP;
  if (isnan(middle)) return middle;
  if (large > 0) return sqrt(large + (middle * NORM_DOWN) * NORM_DOWN) / NORM_DOWN;
  double most = a > b ? a : b, rest = a > b ? b : a;
  return rest > 0 ? most * sqrt(1 + (rest / most) * (rest / most)) : most;
}

/* Of an integer, whose square is neither small nor large. */
static void element_norm(double *state, double x, int64_t N, int64_t c) {
  state[NORM_SMALL * N + c] = state[NORM_LARGE * N + c] = 0;
  state[NORM_MIDDLE * N + c] = x * x;
}

static void norm_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){NORM_STATE, 0, k->reduce_norm_row, k->reduce_norm_columns,
                        merge_norm, element_norm, finish_norm});
}

static void quick_norm_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){NORM_STATE, 0, k->reduce_quick_norm_row, k->reduce_norm_columns,
                        merge_norm, element_norm, finish_norm});
}

static void max_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){1, -INFINITY, k->reduce_max_row, k->reduce_max_columns,
                        merge_max, element_as_is, finish_as_is});
}

static void min_run(const OpCall *call, int phase, int64_t block) {
  const Kernels *k = kernels();
  reduce_run(call, phase, block,
             &(Reducer){1, INFINITY, k->reduce_min_row, k->reduce_min_columns,
                        merge_min, element_as_is, finish_as_is});
}

/* -- shapes ------------------------------------------------------------------------ */

static Err sum_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  char text[SHAPE_TEXT];
  for (int k = 1; k <= io->attr[0].i; k++)
    if (io->attr[k].i < 0 || io->attr[k].i >= x->rank)
      return fault_set(io->fault, ERR_SHAPE, "axes: got axis %lld, but x has %d (%s)",
                       (long long)io->attr[k].i + 1, x->rank, shape_text(text, x));
  io->out_shape[0] = shape_after(x, attr_axes(io->attr), keepdims_of(io->attr));
  return ERR_OK;
}

/* What has no value over no elements. */
static Err nonempty_infer(OpInfer *io) {
  const Shape *x = &io->in[0]->shape;
  char text[SHAPE_TEXT];
  if (sum_infer(io)) return io->fault->code;
  if (reduced_count(x, attr_axes(io->attr)) > 0) return ERR_OK;
  return fault_set(io->fault, ERR_SHAPE,
                   "x is %s: there are no elements along the axes to reduce",
                   shape_text(text, x));
}

static Err extreme_infer(OpInfer *io) {
  io->out_dtype[0] = infer_selected(io);
  return nonempty_infer(io);
}

static Err var_infer(OpInfer *io) {
  if (nonempty_infer(io)) return io->fault->code;
  int64_t n = reduced_count(&io->in[0]->shape, attr_axes(io->attr));
  int64_t correction = correction_of(io->attr);
  if (correction >= 0 && correction < n) return ERR_OK;
  return fault_set(io->fault, ERR_VALUE,
                   "correction: got %lld, allowed: 0 to %lld, less than the %lld "
                   "elements reduced",
                   (long long)correction, (long long)n - 1, (long long)n);
}

/* -- gradients --------------------------------------------------------------------- */

/* v, of y's shape, with the reduced axes back as axes of length 1. */
static Node *with_axes(Graph *graph, Node *y, Node *v) {
  Shape s = shape_after(&y->in[0]->shape, attr_axes(y->attr), true);
  return op_reshape(graph, v, &s);
}

static int64_t per_output(const Node *y) {
  return reduced_count(&y->in[0]->shape, attr_axes(y->attr));
}

static void sum_vjp(Graph *graph, Node *y, Node *const *gy, const bool *want,
                    Node **gx) {
  if (!want[0]) return;
  gx[0] = op_broadcast_to(graph, with_axes(graph, y, gy[0]), &y->in[0]->shape);
}

static void mean_vjp(Graph *graph, Node *y, Node *const *gy, const bool *want,
                     Node **gx) {
  if (!want[0]) return;
  Node *share = op_scale(graph, gy[0], 1.0 / (double)per_output(y));
  gx[0] = op_broadcast_to(graph, with_axes(graph, y, share), &y->in[0]->shape);
}

static void var_vjp(Graph *graph, Node *y, Node *const *gy, const bool *want,
                    Node **gx) {
  if (!want[0]) return;
  Node *x = y->in[0];
  Node *mean = op_mean(graph, x, attr_axes(y->attr), true);
  double factor = 2.0 / (double)(per_output(y) - correction_of(y->attr));
  Node *share = op_scale(graph, with_axes(graph, y, gy[0]), factor);
  gx[0] = op_chain_mul(graph, share, op_sub(graph, x, mean));
}

static void extreme_vjp(Graph *graph, Node *y, Node *const *gy, const bool *want,
                        Node **gx) {
  if (!want[0]) return;
  Node *is_best = op_eq(graph, y->in[0], with_axes(graph, y, y));
  Node *n_best = op_sum(graph, is_best, attr_axes(y->attr), true);
  Node *share = op_chain_div(graph, with_axes(graph, y, gy[0]), n_best);
  gx[0] = op_mul(graph, is_best, share);
}

/* -- references -------------------------------------------------------------------- */

/* The output that input element i belongs to. */
static int64_t output_of(const OpCall *call, int64_t i) {
  const Shape *x = &call->in[0].shape;
  unsigned axes = attr_axes(call->attr);
  int64_t at[MAX_RANK], o = 0;
  shape_unravel(at, x, i);
  for (int a = 0; a < x->rank; a++)
    if (!is_reduced(axes, a)) o = o * x->dim[a] + at[a];
  return o;
}

/* In long double, so that the order of the terms does not show. */
static long double *new_sums(const OpCall *call) {
  long double *s = calloc((size_t)shape_count(&call->out[0].shape) + 1, sizeof *s);
  must(s);
  return s;
}

/* out = sum / n */
static void sum_over(const OpCall *call, const double *in, double *out, double n) {
  long double *s = new_sums(call);
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++)
    s[output_of(call, i)] += in[i];
  for (int64_t o = 0; o < shape_count(&call->out[0].shape); o++)
    out[o] = (double)(s[o] / n);
  free(s);
}

static void sum_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  sum_over(call, in[0], out[0], 1);
}

static void mean_reference(const OpCall *call, const double *const *in,
                           double *const *out) {
  int64_t n = reduced_count(&call->in[0].shape, attr_axes(call->attr));
  sum_over(call, in[0], out[0], (double)n);
}

static void var_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  int64_t n = reduced_count(&call->in[0].shape, attr_axes(call->attr));
  long double *s = new_sums(call);
  mean_reference(call, in, out);
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++) {
    long double d = (long double)in[0][i] - out[0][output_of(call, i)];
    s[output_of(call, i)] += d * d;
  }
  for (int64_t o = 0; o < shape_count(&call->out[0].shape); o++)
    out[0][o] = (double)(s[o] / (n - correction_of(call->attr)));
  free(s);
}

static void norm_reference(const OpCall *call, const double *const *in,
                           double *const *out) {
  long double *s = new_sums(call);
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++)
    s[output_of(call, i)] += (long double)in[0][i] * (long double)in[0][i];
  for (int64_t o = 0; o < shape_count(&call->out[0].shape); o++)
    out[0][o] = (double)sqrtl(s[o]);
  free(s);
}

static void extreme_reference(const OpCall *call, const double *const *in,
                              double *const *out, double sign) {
  for (int64_t o = 0; o < shape_count(&call->out[0].shape); o++)
    out[0][o] = -sign * INFINITY;
  for (int64_t i = 0; i < shape_count(&call->in[0].shape); i++) {
    double *best = &out[0][output_of(call, i)], x = in[0][i];
    if (isnan(x) || sign * x > sign * *best) *best = x;
  }
}

static void max_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  extreme_reference(call, in, out, 1);
}

static void min_reference(const OpCall *call, const double *const *in,
                          double *const *out) {
  extreme_reference(call, in, out, -1);
}

/* -- samples ----------------------------------------------------------------------- */

/* A sample on axes, from 0: ON({0}, {2}). */
#define ON ATTR_LIST
#define SAMPLE(axes, keepdims, ...)                                                    \
  {.n_in = 1, .in = {{.shape = __VA_ARGS__}}, ATTRS(axes, {.i = (keepdims)})}

/* Rows and columns, one piece and several, groups on either side. */
#define SAMPLES                                                                        \
  SAMPLE(ATTR_EMPTY, 0, {0, {0}}), SAMPLE(ON({0}), 0, {1, {1}}),                       \
      SAMPLE(ON({0}, {1}), 1, {2, {3, 17}}), SAMPLE(ON({1}), 1, {2, {5, 33}}),         \
      SAMPLE(ON({0}), 0, {2, {9, 5}}), SAMPLE(ON({0}, {2}), 0, {3, {4, 3, 7}}),        \
      SAMPLE(ON({1}, {3}), 0, {4, {3, 5, 2, 7}}), SAMPLE(ATTR_EMPTY, 0, {2, {3, 4}}),  \
      SAMPLE(ON({0}, {2}), 1, {4, {3, 5, 2, 7}}), SAMPLE(ON({0}), 0, {2, {70, 300}}),  \
      SAMPLE(ON({0}), 0, {2, {2100, 17}}), SAMPLE(ON({0}), 0, {1, {33001}}),           \
      SAMPLE(ON({0}, {2}), 0, {3, {40, 3, 301}})

/* Of integers. */
#define INTEGERS(lo_, hi_) .dtype = DT_INT32, .lo = (lo_), .hi = (hi_)
#define INTEGER_SAMPLES                                                                \
  SAMPLE(ON({0}), 0, {2, {7, 21}}, .dtype = DT_UINT8, .hi = 255),                      \
      SAMPLE(ON({1}), 0, {2, {7, 21}}, INTEGERS(-99, 99)),                             \
      SAMPLE(ON({0}), 0, {2, {2100, 17}}, INTEGERS(16777216, 16777219)),               \
      SAMPLE(ON({0}), 0, {1, {33001}}, INTEGERS(-2147483648.0, 2147483647))

static const Sample sum_samples[] = {SAMPLES, INTEGER_SAMPLES,
                                     SAMPLE(ON({0}), 0, {2, {0, 3}}), SAMPLES_END};
static const Sample reduce_samples[] = {SAMPLES, INTEGER_SAMPLES, SAMPLES_END};

/* Squares beyond what a real can hold, and below. */
#ifdef REAL_DOUBLE
#define FAR 1e200
#else
#define FAR 1e30
#endif
#define UP_TO(far) .lo = (far) / 8, .hi = far
static const Sample norm_samples[] = {
    SAMPLES, INTEGER_SAMPLES, SAMPLE(ON({0}), 0, {1, {33001}}, UP_TO(FAR)),
    SAMPLE(ON({0}), 0, {1, {33001}}, UP_TO(1 / FAR)),
    SAMPLE(ON({0}), 0, {2, {70, 300}}, UP_TO(FAR)),
    SAMPLE(ON({0}), 0, {2, {70, 300}}, UP_TO(1 / FAR)),
    SAMPLE(ON({1}), 0, {2, {5, 33}}, UP_TO(FAR)), SAMPLES_END};

#define VAR(axes, keepdims, correction, ...)                                           \
  {.n_in = 1, .in = {{.shape = __VA_ARGS__}},                                          \
   ATTRS(axes, {.i = (keepdims)}, {.i = (correction)})}

static const Sample var_samples[] = {
    VAR(ATTR_EMPTY, 0, 0, {0, {0}}), VAR(ON({0}), 0, 0, {1, {1}}),
    VAR(ON({0}, {1}), 1, 1, {2, {3, 17}}), VAR(ON({1}), 1, 0, {2, {5, 33}}),
    VAR(ON({0}), 0, 1, {2, {9, 5}}), VAR(ON({0}, {2}), 0, 0, {3, {4, 3, 7}}),
    VAR(ON({1}, {3}), 0, 0, {4, {3, 5, 2, 7}}), VAR(ON({0}), 0, 1, {2, {70, 300}}),
    VAR(ON({0}), 0, 0, {2, {2100, 17}}), VAR(ON({0}), 0, 1, {1, {33001}}),
    VAR(ON({0}, {2}), 0, 0, {3, {40, 3, 301}}),
    VAR(ON({1}), 0, 0, {2, {5, 33}}, .lo = 1000, .hi = 1001),
    VAR(ON({0}), 0, 0, {2, {33, 5}}, INTEGERS(16777216, 16777219)), SAMPLES_END};

/* -- records ----------------------------------------------------------------------- */

#define REDUCES .phases = reduce_phases, .split = reduce_split
#define REDUCE_ATTRS                                                                   \
  {.name = "axes", .kind = ATTR_AXES, .doc = "the axes to reduce"},                    \
      {.name = "keepdims", .kind = ATTR_BOOL, .value = "false",                        \
       .doc = "keep the reduced axes, with size 1"}

const Op op_record_sum = {
    .name = "sum", .n_in = 1, .n_out = 1, .attrs = OP_ATTRS(REDUCE_ATTRS),
    .doc = "Sum over axes; 0 over no elements. Of integers exact, then rounded once "
           "to real.",
    .equation = "y = sum_i x_i",
    .infer = sum_infer, REDUCES, .run = sum_run, .vjp = sum_vjp,
    .reference = sum_reference, .samples = sum_samples, .known = known_sum,
};

const Op op_record_mean = {
    .name = "mean", .n_in = 1, .n_out = 1, .attrs = OP_ATTRS(REDUCE_ATTRS),
    .doc = "Mean over axes.",
    .equation = "y = (1/n) sum_i x_i",
    .infer = nonempty_infer, REDUCES, .run = mean_run, .vjp = mean_vjp,
    .reference = mean_reference, .samples = reduce_samples, .known = known_mean,
};

const Op op_record_var = {
    .name = "var", .n_in = 1, .n_out = 1,
    .attrs = OP_ATTRS(REDUCE_ATTRS,
                      {.name = "correction", .kind = ATTR_INT, .value = "0", .lo = 0,
                       .hi = 1e9, .doc = "n - correction is the divisor: 0 gives the "
                                         "biased, 1 the unbiased variance"}),
    .doc = "Variance over axes.",
    .equation = "y = (1/(n - correction)) sum_i (x_i - mean(x))^2",
    .infer = var_infer, REDUCES, .run = var_run, .vjp = var_vjp,
    .reference = var_reference, .samples = var_samples,
};

const Op op_record_norm = {
    .name = "norm", .n_in = 1, .n_out = 1, .flags = OP_NO_GRAD | OP_INTERNAL,
    .attrs = OP_ATTRS(REDUCE_ATTRS),
    .doc = "Euclidean norm over axes: finite wherever a real holds it, even if the "
           "squares overflow.",
    .equation = "y = sqrt(sum_i x_i^2)",
    .source = "Blue, ACM Transactions on Mathematical Software 4, 1978",
    .infer = sum_infer, REDUCES, .run = norm_run, .vjp = vjp_none,
    .reference = norm_reference, .tolerance = 64, .samples = norm_samples,
};

const Op op_record_quick_norm = {
    .name = "quick_norm", .n_in = 1, .n_out = 1, .flags = OP_NO_GRAD | OP_INTERNAL,
    .attrs = OP_ATTRS(REDUCE_ATTRS),
    .doc = "As norm, but the squares of 1,024 neighbours are added in reals where "
           "that keeps six digits: for what is shown, not trained with.",
    .equation = "y = sqrt(sum_i x_i^2)", .covers = range_within_norm,
    .infer = sum_infer, REDUCES, .run = quick_norm_run, .vjp = vjp_none,
    .reference = norm_reference, .tolerance = 64, .samples = norm_samples,
};

const Op op_record_max = {
    .name = "max", .n_in = 1, .n_out = 1, .attrs = OP_ATTRS(REDUCE_ATTRS),
    .doc = "Largest element over axes; NaN wins. Equal ones share the gradient "
           "equally. Of integers an integer.",
    .equation = "y = max_i x_i",
    .infer = extreme_infer, REDUCES, .run = max_run, .vjp = extreme_vjp,
    .reference = max_reference, .samples = reduce_samples, .known = known_extreme,
};

const Op op_record_min = {
    .name = "min", .n_in = 1, .n_out = 1, .attrs = OP_ATTRS(REDUCE_ATTRS),
    .doc = "Smallest element over axes; NaN wins. Equal ones share the gradient "
           "equally. Of integers an integer.",
    .equation = "y = min_i x_i",
    .infer = extreme_infer, REDUCES, .run = min_run, .vjp = extreme_vjp,
    .reference = min_reference, .samples = reduce_samples, .known = known_extreme,
};

/* -- constructors ------------------------------------------------------------------ */

/* The correction of var is 0. */
static Node *reduce(Graph *g, const Op *op, Node *x, unsigned axes, bool keepdims) {
  Attr attr[AXES_ROOM + 2];
  int n = x ? axes_to_attr(attr, axes, x->shape.rank) : 0;
  attr[n].i = keepdims;
  attr[n + 1].i = 0;
  return graph_apply(g, op, &x, 1, attr, n + 1 + (op == &op_record_var));
}

Node *op_sum(Graph *g, Node *x, unsigned axes, bool keepdims) {
  return reduce(g, &op_record_sum, x, axes, keepdims);
}

Node *op_mean(Graph *g, Node *x, unsigned axes, bool keepdims) {
  return reduce(g, &op_record_mean, x, axes, keepdims);
}

Node *op_var(Graph *g, Node *x, unsigned axes, bool keepdims) {
  return reduce(g, &op_record_var, x, axes, keepdims);
}

Node *op_norm(Graph *g, Node *x, unsigned axes, bool keepdims) {
  return reduce(g, &op_record_norm, x, axes, keepdims);
}

Node *op_quick_norm(Graph *g, Node *x) {
  return reduce(g, &op_record_quick_norm, x, ALL_AXES, false);
}

Node *op_max(Graph *g, Node *x, unsigned axes, bool keepdims) {
  return reduce(g, &op_record_max, x, axes, keepdims);
}

Node *op_sum_to(Graph *g, Node *x, const Shape *shape) {
  if (!x || shape_equal(&x->shape, shape)) return x;
  int extra = x->shape.rank - shape->rank;
  must(extra >= 0);
  unsigned axes = 0;
  for (int a = 0; a < x->shape.rank; a++)
    if (a < extra || (shape->dim[a - extra] == 1 && x->shape.dim[a] != 1))
      axes |= 1u << a;
  return op_reshape(g, op_sum(g, x, axes, false), shape);
}
