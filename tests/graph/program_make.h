/* program_make.h: programs made at random, each a pure function of its seed. A maker
 * builds the graph while it adds steps, so every step has shapes that fit; what an op
 * refuses is left out. Integers keep their range, so that indices and labels are right.
 *
 * Each family of ops has one function that adds a step or a few; a table weighs
 * them. */
#ifndef TESTS_GRAPH_PROGRAM_MAKE_H
#define TESTS_GRAPH_PROGRAM_MAKE_H

#include "graph/program.h"

typedef struct Maker {
  Program *program;
  Build build;
  Dice dice;
  int64_t dims[5]; /* what axes may have */
  int64_t most;    /* elements of a tensor */
  int n_uses[MAX_STEPS];
} Maker;

/* Adds the step, unless it cannot be or gets too large: -1 then. */
static inline int add_step(Maker *m, Step s) {
  Program *p = m->program;
  Graph *graph = m->build.graph;
  if (p->n == MAX_STEPS) return -1;
  Node *node = build_step(&m->build, &s, p->n);
  fault_clear(&graph->fault);
  if (!node) return -1;
  for (int o = 0; o < node->n_out; o++)
    if (shape_count(&node->out_shape[o]) > m->most) return -1;
  s.shape = node->shape;
  s.dtype = node->dtype;
  s.n_out = node->n_out;
  for (int k = 0; k < s.n_in; k++)
    if (s.in[k] >= 0) m->n_uses[s.in[k]]++;
  p->step[p->n] = s;
  return p->n++;
}

static inline int add_value(Maker *m, DType dtype, Shape shape, double lo, double hi) {
  return add_step(m, (Step){.kind = STEP_VALUE, .shape = shape, .dtype = dtype,
                            .lo = lo,
                            .hi = hi});
}

static inline int add_real(Maker *m, Shape shape) {
  static const double ends[][2] = {{-2, 2}, {-2, 2}, {0.1, 2}, {-0.5, 1.5}};
  const double *end = ends[dice_below(&m->dice, 4)];
  int v = add_value(m, DT_REAL, shape, end[0], end[1]);
  if (v < 0 || !dice_one_in(&m->dice, 3)) return v;
  return add_step(m, (Step){.kind = STEP_VARIABLE, .n_in = 1, .in = {v}});
}

static inline int add_scalar(Maker *m, double lo, double hi) {
  return add_value(m, DT_REAL, SHAPE_SCALAR, lo, hi);
}

static inline const Step *step_of(const Maker *m, int i) {
  return &m->program->step[i];
}

static inline int64_t any_dim(Maker *m) { return m->dims[dice_below(&m->dice, 5)]; }

static inline Shape any_shape(Maker *m) {
  Shape s = {(int)dice_below(&m->dice, 5), {0}};
  if (s.rank == 4) s.rank = (int)dice_below(&m->dice, 5);
  for (int a = 0; a < s.rank; a++) s.dim[a] = dice_one_in(&m->dice, 5) ? 1 : any_dim(m);
  while (shape_count(&s) > m->most) s.rank--;
  return s;
}

/* A step, sooner a late one, or one whose result is not used yet. */
static inline int any_step(Maker *m) {
  int64_t n = m->program->n;
  int64_t a = dice_below(&m->dice, n), b = dice_below(&m->dice, n);
  if (dice_one_in(&m->dice, 2))
    for (int64_t i = a; i >= 0; i--)
      if (!m->n_uses[i]) return (int)i;
  if (dice_one_in(&m->dice, 3))
    return (int)(n - 1 - dice_below(&m->dice, n < 3 ? n : 3));
  return (int)(a > b ? a : b);
}

static inline int any_of_dtype(Maker *m, DType dtype, int least_rank) {
  for (int k = 0; k < 12; k++) {
    int i = any_step(m);
    if (step_of(m, i)->dtype == dtype && step_of(m, i)->shape.rank >= least_rank)
      return i;
  }
  return -1;
}

static inline int any_real(Maker *m, int least_rank) {
  int i = any_of_dtype(m, DT_REAL, least_rank);
  if (i >= 0) return i;
  Shape s = any_shape(m);
  while (s.rank < least_rank) s.dim[s.rank++] = any_dim(m);
  return add_real(m, s);
}

static inline int real_of_shape(Maker *m, Shape shape) {
  for (int k = 0; k < 12; k++) {
    int i = any_step(m);
    if (step_of(m, i)->dtype == DT_REAL && shape_equal(&step_of(m, i)->shape, &shape))
      return i;
  }
  return add_real(m, shape);
}

/* Some shape that is broadcast together with `s`. */
static inline Shape fitting_shape(Maker *m, Shape s) {
  int drop = s.rank && dice_one_in(&m->dice, 3) ? (int)dice_below(&m->dice, s.rank + 1)
                                                : 0;
  Shape fit = {s.rank - drop, {0}};
  for (int a = 0; a < fit.rank; a++) {
    fit.dim[a] = s.dim[a + drop];
    if (dice_one_in(&m->dice, 4)) fit.dim[a] = 1;
    else if (fit.dim[a] == 1 && dice_one_in(&m->dice, 2)) fit.dim[a] = any_dim(m);
  }
  return fit;
}

static inline int fitting_step(Maker *m, int x) {
  Shape both, s = step_of(m, x)->shape;
  for (int k = 0; k < 8 && !dice_one_in(&m->dice, 8); k++) {
    int i = any_step(m);
    if (shape_broadcast(&both, &step_of(m, i)->shape, &s)) return i;
  }
  return add_real(m, fitting_shape(m, s));
}

static inline int apply_step(Maker *m, const Op *op, int n_in, const int *in,
                             const Attr *attr, int n_attr) {
  Step s = {
      .kind = STEP_APPLY, .op = op, .n_in = n_in, .n_attr = n_attr, .lo = 1, .hi = 0};
  bool integers = false;
  for (int k = 0; k < n_in; k++) {
    if (in[k] < 0) return -1;
    s.in[k] = in[k];
    const Step *x = step_of(m, in[k]);
    if (x->dtype == DT_REAL) continue;
    s.lo = integers ? fmin(s.lo, x->lo) : x->lo;
    s.hi = integers ? fmax(s.hi, x->hi) : x->hi;
    integers = true;
  }
  if (n_attr) memcpy(s.attr, attr, (size_t)n_attr * sizeof *attr);
  return add_step(m, s);
}

/* Integers in 1 .. n of the shape: a value, a draw, or computed from reals. */
static inline int add_indices(Maker *m, Shape shape, int64_t n) {
  if (n < 1) return -1;
  int i = add_value(m, dice_one_in(&m->dice, 4) && n < 256 ? DT_UINT8 : DT_INT32, shape,
                    1, (double)n);
  if (n < 2 || !dice_one_in(&m->dice, 3)) return i;
  int zero = add_scalar(m, 0, 0), one = add_scalar(m, 1, 1),
      x = real_of_shape(m, shape);
  int above = apply_step(m, &op_record_gt, 2, (int[]){x, zero}, NULL, 0);
  int sum = apply_step(m, &op_record_add, 2, (int[]){above, one}, NULL, 0);
  if (sum < 0) return i;
  Step cast = {.kind = STEP_APPLY, .op = &op_record_cast, .n_in = 1, .in = {sum},
               .n_attr = 1, .attr = {{.i = DT_INT32}}, .lo = 1, .hi = 2};
  return add_step(m, cast);
}

static inline int indices_up_to(Maker *m, int64_t n) {
  for (int k = 0; k < 12; k++) {
    int i = any_step(m);
    const Step *s = step_of(m, i);
    if (s->dtype != DT_REAL && s->lo >= 1 && s->hi <= (double)n) return i;
  }
  return add_indices(m, fitting_shape(m, SHAPE_OF(any_dim(m))), n);
}

/* -- one op of each family --------------------------------------------------------- */

static inline void make_unary(Maker *m) {
  static const Op *const ops[] = {
#define KERNEL(type, name, args)
#define UNARY(name) &op_record_##name,
#define BINARY(name)
#include "kernel/elementwise.def"
#undef KERNEL
  };
  int x = any_step(m);
  const Op *op = ops[dice_below(&m->dice, sizeof ops / sizeof *ops)];
  bool partial = op == &op_record_log || op == &op_record_sqrt ||
                 op == &op_record_log1p;
  if (partial && !dice_one_in(&m->dice, 4))
    x = apply_step(m, &op_record_abs, 1, &x, NULL, 0);
  apply_step(m, op, 1, &x, NULL, 0);
}

static inline void make_parameters(Maker *m) {
  int x = any_step(m);
  double a = dice_between(&m->dice, -1, 1);
  switch (dice_below(&m->dice, 4)) {
  case 0: apply_step(m, &op_record_leaky_relu, 1, &x, &(Attr){.f = a}, 1); break;
  case 1: apply_step(m, &op_record_elu, 1, &x, &(Attr){.f = fabs(a)}, 1); break;
  case 2:
    apply_step(m, &op_record_clip, 1, &x, (Attr[]){{.f = a}, {.f = a + 1}}, 2);
    break;
  case 3: {
    int y = real_of_shape(m, step_of(m, x)->shape);
    Attr attr[] = {{.f = fabs(a)}, {.f = 1.5}};
    apply_step(m, &op_record_moving_average, 2, (int[]){x, y}, attr, 2);
  }
  }
}

static inline void make_binary(Maker *m) {
  static const Op *const ops[] = {
#define KERNEL(type, name, args)
#define UNARY(name)
#define BINARY(name) &op_record_##name,
#include "kernel/elementwise.def"
#undef KERNEL
  };
  const Op *op = ops[dice_below(&m->dice, sizeof ops / sizeof *ops)];
  if (dice_one_in(&m->dice, 2)) op = ops[dice_below(&m->dice, 3)]; /* add sub mul */
  int x = any_step(m), y = fitting_step(m, x);
  bool swap = dice_one_in(&m->dice, 2);
  apply_step(m, op, 2, (int[]){swap ? y : x, swap ? x : y}, NULL, 0);
}

/* f(x) with a part of x or of f(x), or with its mean: broadcast again over all of
 * it. */
static inline void make_with_own(Maker *m) {
  int x = any_real(m, 1);
  if (x < 0) return;
  int y = dice_one_in(&m->dice, 3) ? x : apply_step(m, &op_record_tanh, 1, &x, NULL, 0);
  int of = dice_one_in(&m->dice, 2) ? x : y, part = -1;
  Shape s = step_of(m, x)->shape;
  if (dice_one_in(&m->dice, 3)) {
    Attr attr[AXES_ROOM + 1];
    int n = axes_to_attr(attr, (unsigned)dice_below(&m->dice, (int64_t)1 << s.rank),
                         s.rank);
    attr[n].i = 1;
    part = apply_step(m, &op_record_mean, 1, &of, attr, n + 1);
  } else if (s.dim[0] > 0) {
    Attr attr[RANGES_ROOM] = {{.i = 3 * s.rank}}, *range = attr + 1;
    range[0].i = dice_below(&m->dice, s.dim[0]), range[1].i = range[2].i = 1;
    if (dice_one_in(&m->dice, 2)) range[0].i = 0;
    for (int a = 1; a < s.rank; a++)
      range[3 * a + 1].i = s.dim[a], range[3 * a + 2].i = 1;
    part = apply_step(m, &op_record_slice, 1, &of, attr, 1 + 3 * s.rank);
  }
  apply_step(m, dice_one_in(&m->dice, 2) ? &op_record_sub : &op_record_mul, 2,
             (int[]){y, part}, NULL, 0);
}

static inline void make_where(Maker *m) {
  int x = any_step(m), y = fitting_step(m, x), c = fitting_step(m, x);
  if (y >= 0 && c >= 0 && dice_one_in(&m->dice, 2))
    c = apply_step(m, &op_record_lt, 2, (int[]){c, x}, NULL, 0);
  apply_step(m, &op_record_where, 3, (int[]){c, x, y}, NULL, 0);
}

static inline void make_cast(Maker *m) {
  int x = any_step(m);
  DType to = step_of(m, x)->dtype == DT_REAL ? DT_REAL : (DType)dice_below(&m->dice, 3);
  if (to == DT_UINT8 && step_of(m, x)->hi > 255) to = DT_REAL;
  apply_step(m, &op_record_cast, 1, &x, &(Attr){.i = to}, 1);
}

static inline void make_reduce(Maker *m) {
  static const Op *const ops[] = {&op_record_sum, &op_record_mean, &op_record_var,
                                  &op_record_max, &op_record_min};
  int x = dice_one_in(&m->dice, 8) ? any_step(m) : any_real(m, 0);
  if (x < 0) return;
  const Op *op = ops[dice_below(&m->dice, 5)];
  int rank = step_of(m, x)->shape.rank;
  int64_t all = ((int64_t)1 << rank) - 1;
  int64_t axes = dice_one_in(&m->dice, 4) ? all : dice_below(&m->dice, all + 1);
  Attr attr[AXES_ROOM + 2];
  int n = axes_to_attr(attr, (unsigned)axes, rank);
  attr[n].i = dice_below(&m->dice, 2), attr[n + 1].i = 0;
  apply_step(m, op, 1, &x, attr, n + (op == &op_record_var ? 2 : 1));
}

static inline void make_arg(Maker *m) {
  int x = any_real(m, 1);
  if (x < 0) return;
  Attr axis = {.i = dice_below(&m->dice, step_of(m, x)->shape.rank)};
  Step s = {.kind = STEP_APPLY, .n_in = 1, .in = {x}, .n_attr = 1, .attr = {axis},
            .lo = 1,
            .hi = (double)step_of(m, x)->shape.dim[axis.i]};
  s.op = dice_one_in(&m->dice, 2) ? &op_record_argmax : &op_record_argmin;
  add_step(m, s);
}

static inline void make_reshape(Maker *m) {
  int x = any_step(m);
  Shape from = step_of(m, x)->shape, to = from;
  switch (dice_below(&m->dice, 4)) {
  case 0: to = SHAPE_OF(shape_count(&from)); break;
  case 1: /* the first two axes as one */
    if (from.rank < 2) return;
    to = (Shape){from.rank - 1, {from.dim[0] * from.dim[1]}};
    for (int a = 2; a < from.rank; a++) to.dim[a - 1] = from.dim[a];
    break;
  case 2: /* one more axis */
    if (from.rank == MAX_RANK) return;
    to.dim[to.rank++] = 1;
    break;
  case 3: /* another order of the dims: other strides */
    for (int a = 0; a < from.rank; a++) to.dim[a] = from.dim[from.rank - 1 - a];
    break;
  }
  Attr attr[SHAPE_ROOM];
  apply_step(m, &op_record_reshape, 1, &x, attr, shape_to_attr(attr, &to));
}

static inline void make_broadcast(Maker *m) {
  int x = any_step(m);
  Shape s = step_of(m, x)->shape;
  for (int a = 0; a < s.rank; a++)
    if (s.dim[a] == 1) s.dim[a] = any_dim(m);
  if (s.rank < MAX_RANK && dice_one_in(&m->dice, 2)) {
    memmove(s.dim + 1, s.dim, (size_t)s.rank * sizeof *s.dim);
    s.rank++;
    s.dim[0] = any_dim(m);
  }
  Attr attr[SHAPE_ROOM];
  apply_step(m, &op_record_broadcast_to, 1, &x, attr, shape_to_attr(attr, &s));
}

static inline void make_transpose(Maker *m) {
  int x = any_step(m), rank = step_of(m, x)->shape.rank;
  Attr attr[SHAPE_ROOM] = {{.i = rank}}, *perm = attr + 1;
  for (int a = 0; a < rank; a++) perm[a].i = a;
  for (int a = rank - 1; a > 0; a--) {
    int64_t b = dice_below(&m->dice, a + 1), other = perm[b].i;
    perm[b].i = perm[a].i;
    perm[a].i = other;
  }
  apply_step(m, &op_record_transpose, 1, &x, attr, 1 + rank);
}

/* Half of them leading slices, which are views. */
static inline void make_slice(Maker *m) {
  int x = any_step(m);
  const Shape s = step_of(m, x)->shape;
  Attr attr[RANGES_ROOM] = {{.i = 3 * s.rank}}, *range = attr + 1;
  bool leading = dice_one_in(&m->dice, 2);
  for (int a = 0; a < s.rank; a++) {
    int64_t n = s.dim[a], start = 0, count = n, step = 1;
    if (n > 0 && (a == 0 || !leading)) {
      start = dice_below(&m->dice, n);
      step = leading ? 1 : 1 + dice_below(&m->dice, 2);
      count = 1 + dice_below(&m->dice, (n - start + step - 1) / step);
      if (!leading && dice_one_in(&m->dice, 3)) {
        start += (count - 1) * step;
        step = -step;
      }
      if (dice_one_in(&m->dice, 30)) count = 0;
    }
    range[3 * a] = (Attr){.i = start};
    range[3 * a + 1] = (Attr){.i = count};
    range[3 * a + 2] = (Attr){.i = step};
  }
  apply_step(m, &op_record_slice, 1, &x, attr, 1 + 3 * s.rank);
}

static inline void make_concat(Maker *m) {
  int in[3], n = 1 + (int)dice_below(&m->dice, 3);
  in[0] = any_step(m);
  Shape s = step_of(m, in[0])->shape;
  if (s.rank == 0) return;
  int axis = (int)dice_below(&m->dice, s.rank);
  for (int k = 1; k < n; k++) {
    in[k] = any_of_dtype(m, step_of(m, in[0])->dtype, s.rank);
    Shape like = in[k] < 0 ? s : step_of(m, in[k])->shape;
    like.dim[axis] = s.dim[axis];
    if (in[k] < 0 || !shape_equal(&like, &s)) in[k] = in[0];
  }
  apply_step(m, &op_record_concat, n, in, &(Attr){.i = axis}, 1);
}

static inline void make_pad(Maker *m) {
  int x = any_real(m, 0);
  if (x < 0) return;
  int n = 2 * step_of(m, x)->shape.rank;
  Attr attr[PADS_ROOM] = {{.i = n}};
  for (int k = 1; k <= n; k++) attr[k].i = dice_below(&m->dice, 3);
  apply_step(m, &op_record_pad, 1, &x, attr, 1 + n);
}

static inline void make_index(Maker *m) {
  if (dice_one_in(&m->dice, 3)) {
    int64_t classes = any_dim(m);
    int i = indices_up_to(m, classes);
    apply_step(m, &op_record_one_hot, 1, &i, &(Attr){.i = classes}, 1);
    return;
  }
  int x = dice_one_in(&m->dice, 6) ? any_of_dtype(m, DT_INT32, 1) : any_real(m, 1);
  if (x < 0) return;
  int i = indices_up_to(m, step_of(m, x)->shape.dim[0]);
  if (i < 0) return;
  const Step from = *step_of(m, x);
  int y = apply_step(m, &op_record_gather, 2, (int[]){x, i}, (Attr[]){{.i = 0}}, 1);
  if (y < 0) return;
  m->program->step[y].lo = from.lo;
  m->program->step[y].hi = from.hi;
}

static inline void make_created(Maker *m) {
  Attr attr[SHAPE_ROOM + 4] = {{0}};
  Shape s = any_shape(m);
  Attr *a = attr + shape_to_attr(attr, &s);
  Attr key = {.i = (int64_t)dice_word(&m->dice)}, draw = {.i = dice_below(&m->dice, 9)};
  Step step = {.kind = STEP_APPLY, .n_attr = s.rank + 5, .lo = 1, .hi = 0};
  a[0].f = -1, a[1].f = 1.5, a[2] = key, a[3] = draw;
  switch (dice_below(&m->dice, 6)) {
  case 0: step.op = &op_record_random_uniform; break;
  case 1: step.op = &op_record_random_normal; break;
  case 2:
    step.op = &op_record_random_int;
    step.lo = 1, step.hi = (double)(1 + any_dim(m));
    a[0].i = 1, a[1].i = (int64_t)step.hi;
    break;
  case 3:
    step.op = &op_record_dropout_mask, step.n_attr--;
    a[0].f = 0.4, a[1] = key, a[2] = draw;
    break;
  case 4:
    step.op = &op_record_arange, step.n_attr = 3;
    attr[0].f = -1, attr[1].f = 0.5, attr[2].i = any_dim(m);
    break;
  case 5: step.op = &op_record_eye, step.n_attr = 1, attr[0].i = any_dim(m); break;
  }
  memcpy(step.attr, attr, sizeof attr);
  add_step(m, step);
}

static inline void make_matmul(Maker *m) {
  int x = any_real(m, 2);
  if (x < 0) return;
  Shape sx = step_of(m, x)->shape, s = {2, {0}};
  bool tx = dice_one_in(&m->dice, 3), ty = dice_one_in(&m->dice, 3);
  int64_t inner = sx.dim[sx.rank - (tx ? 2 : 1)];
  if (sx.rank > 2 && dice_one_in(&m->dice, 2)) s = sx;
  s.dim[s.rank - (ty ? 1 : 2)] = inner;
  s.dim[s.rank - (ty ? 2 : 1)] = any_dim(m);
  int y = real_of_shape(m, s);
  apply_step(m, &op_record_matmul, 2, (int[]){x, y}, (Attr[]){{.i = tx}, {.i = ty}}, 2);
}

static inline void make_softmax(Maker *m) {
  int x = any_real(m, 1);
  if (x < 0) return;
  Attr axis = {.i = dice_below(&m->dice, step_of(m, x)->shape.rank)};
  apply_step(m, dice_one_in(&m->dice, 2) ? &op_record_softmax : &op_record_log_softmax,
             1, &x, &axis, 1);
}

static inline int make_pick(Maker *m, int x, int64_t output) {
  if (x < 0) return -1;
  return add_step(m, (Step){.kind = STEP_PICK, .n_in = 1, .in = {x}, .n_attr = 1,
                            .attr = {{.i = output}}});
}

static inline void make_cross_entropy(Maker *m) {
  int x = any_real(m, 2);
  if (x < 0 || step_of(m, x)->shape.rank != 2) return;
  Shape s = step_of(m, x)->shape;
  int labels = add_indices(m, SHAPE_OF(s.dim[0]), s.dim[1]);
  int loss = apply_step(m, &op_record_softmax_cross_entropy, 2, (int[]){x, labels},
                        NULL, 0);
  if (dice_one_in(&m->dice, 2)) make_pick(m, loss, dice_below(&m->dice, 2));
}

static inline void make_norm(Maker *m) {
  bool layer = dice_one_in(&m->dice, 2);
  int x = any_real(m, layer ? 1 : 2);
  if (x < 0) return;
  Shape s = step_of(m, x)->shape;
  Shape one = SHAPE_OF(layer ? s.dim[s.rank - 1] : s.dim[1]);
  int in[3] = {x, real_of_shape(m, one), real_of_shape(m, one)};
  int y = apply_step(m, layer ? &op_record_layer_norm : &op_record_batch_norm, 3, in,
                     &(Attr){.f = 1e-5}, 1);
  if (y < 0) return;
  for (int o = 0; o < step_of(m, y)->n_out; o++)
    if (dice_one_in(&m->dice, 2)) make_pick(m, y, o);
}

static inline void make_gradient(Maker *m) {
  int y = any_real(m, 0);
  if (y < 0) return;
  Shape s = step_of(m, y)->shape;
  Step g = {.kind = STEP_GRADIENT, .n_in = 2, .in = {y, -1}};
  if (shape_count(&s) != 1 || dice_one_in(&m->dice, 4)) g.in[1] = real_of_shape(m, s);
  for (int k = 0; k < 24 && g.n_in < 2 + MAX_WRT; k++) {
    int w = (int)dice_below(&m->dice, y + 1);
    bool leaf = step_of(m, w)->kind == STEP_VARIABLE || dice_one_in(&m->dice, 6);
    if (leaf && step_of(m, w)->dtype == DT_REAL) g.in[g.n_in++] = w;
  }
  if (g.n_in == 2 || (g.in[1] < 0 && shape_count(&s) != 1)) return;
  int first = add_step(m, g);
  for (int k = 1; first >= 0 && k < g.n_in - 2; k++)
    if (dice_one_in(&m->dice, 2))
      add_step(m, (Step){.kind = STEP_GRADIENT_MORE, .n_in = 1, .in = {first},
                         .n_attr = 1,
                         .attr = {{.i = k}}});
}

static inline void make_history(Maker *m) {
  int x = any_step(m);
  StepKind kinds[] = {STEP_DETACH, STEP_TRACK, STEP_EVALUATED, STEP_VARIABLE};
  StepKind kind = kinds[dice_below(&m->dice, 4)];
  if (step_of(m, x)->n_out > 1 && kind != STEP_EVALUATED) return;
  if (step_of(m, x)->dtype != DT_REAL) return;
  add_step(m, (Step){.kind = kind, .n_in = 1, .in = {x}});
  if (kind == STEP_EVALUATED && step_of(m, x)->n_out > 1) make_pick(m, x, 1);
}

/* One parameter's update; its outputs are roots. */
static inline void update_one(Maker *m, bool adam, const int *rate, int w, int g) {
  Attr attr[4] = {{.f = 0.9}, {.f = 0.99}, {.f = 1e-8}, {.i = dice_below(&m->dice, 2)}};
  Program *p = m->program;
  if (w < 0) return;
  Shape s = step_of(m, w)->shape;
  int slot = real_of_shape(m, s), y;
  if (adam) {
    int v = add_value(m, DT_REAL, s, 0.01, 1);
    y = apply_step(m, &op_record_adam_update, 9,
                   (int[]){w, g, slot, v, rate[0], rate[3], rate[3], rate[2], rate[1]},
                   attr, 4);
  } else {
    y = apply_step(m, &op_record_sgd_update, attr[3].i ? 7 : 6,
                   (int[]){w, g, rate[0], rate[1], rate[2], rate[1], slot}, &attr[3],
                   1);
  }
  for (int o = 0; y >= 0 && o < step_of(m, y)->n_out; o++) {
    int root = make_pick(m, y, o);
    if (root >= 0 && p->n_roots < MAX_ROOTS) p->root[p->n_roots++] = root;
  }
}

/* The mean of some steps, added up: what a gradient is taken of. */
static inline int make_loss(Maker *m) {
  int loss = -1;
  for (int64_t n = 1 + dice_below(&m->dice, 3); n > 0; n--) {
    int x = any_real(m, 0);
    if (x < 0) continue;
    Attr attr[AXES_ROOM + 1];
    int n_attr = axes_to_attr(attr, ALL_AXES, step_of(m, x)->shape.rank);
    attr[n_attr++].i = 0;
    int mean = apply_step(m, &op_record_mean, 1, &x, attr, n_attr);
    if (mean < 0) continue;
    loss = loss < 0 ? mean
                    : apply_step(m, &op_record_add, 2, (int[]){loss, mean}, NULL, 0);
  }
  return loss;
}

/* As a training step does: gradients of a loss by variables, and their updates, which
 * share the rates. */
static inline void make_training(Maker *m) {
  bool adam = dice_one_in(&m->dice, 2);
  Step g = {.kind = STEP_GRADIENT, .n_in = 2, .in = {make_loss(m), -1}};
  int rate[4] = {add_scalar(m, 0.01, 0.2), add_scalar(m, 0.1, 1), add_scalar(m, 0, 0.1),
                 add_scalar(m, 1, 5)};
  if (g.in[0] < 0) return;
  for (int i = 0; i < g.in[0] && g.n_in < 2 + MAX_WRT; i++)
    if (step_of(m, i)->kind == STEP_VARIABLE && !dice_one_in(&m->dice, 4))
      g.in[g.n_in++] = i;
  if (g.n_in == 2) return;
  int first = add_step(m, g);
  for (int k = 0; first >= 0 && k < g.n_in - 2; k++) {
    Step more = {.kind = STEP_GRADIENT_MORE, .n_in = 1, .in = {first}, .n_attr = 1,
                 .attr = {{.i = k}}};
    int gw = k ? add_step(m, more) : first;
    if (gw >= 0) update_one(m, adam, rate, g.in[2 + k], gw);
  }
}

/* Updates of anything by anything. */
static inline void make_updates(Maker *m) {
  int rate[4] = {add_scalar(m, 0.01, 0.2), add_scalar(m, 0.1, 1), add_scalar(m, 0, 0.1),
                 add_scalar(m, 1, 5)};
  for (int64_t n = 1 + dice_below(&m->dice, 3); n > 0; n--) {
    int g = any_real(m, 0);
    if (g < 0) return;
    update_one(m, dice_one_in(&m->dice, 2), rate,
               real_of_shape(m, step_of(m, g)->shape), g);
  }
}

/* -- a whole program --------------------------------------------------------------- */

typedef struct Family {
  int weight;
  void (*make)(Maker *m);
} Family;

static inline void make_one(Maker *m) {
  static const Family families[] = {
      {12, make_unary},  {4, make_parameters}, {20, make_binary},  {4, make_where},
      {4, make_with_own},
      {2, make_cast},    {7, make_reduce},     {1, make_arg},      {6, make_reshape},
      {3, make_broadcast}, {3, make_transpose}, {5, make_slice},   {3, make_concat},
      {2, make_pad},     {3, make_index},      {4, make_created},  {6, make_matmul},
      {3, make_softmax}, {3, make_cross_entropy}, {5, make_norm},  {5, make_gradient},
      {4, make_history}};
  int total = 0, n = (int)(sizeof families / sizeof *families);
  for (int f = 0; f < n; f++) total += families[f].weight;
  int64_t at = dice_below(&m->dice, total);
  int f = 0;
  while (at >= families[f].weight) at -= families[f++].weight;
  families[f].make(m);
}

/* Most are tiny; some have tensors of several blocks, tiles and threads' shares. */
static inline int64_t choose_sizes(Maker *m) {
  static const int64_t small[] = {1, 2, 3, 4, 5, 7}, large[] = {1, 2, 33, 70, 130, 300};
  bool is_large = dice_one_in(&m->dice, 16), zero = dice_one_in(&m->dice, 12);
  for (int k = 0; k < 5; k++)
    m->dims[k] = (is_large ? large : small)[dice_below(&m->dice, 6)];
  if (zero) m->dims[0] = 0;
  m->most = is_large ? 40000 : 400;
  if (is_large) return 2 + dice_below(&m->dice, 14);
  return 1 + dice_below(&m->dice, dice_one_in(&m->dice, 4) ? 45 : 14);
}

static inline void add_roots(Maker *m) {
  Program *p = m->program;
  int64_t n = 1 + dice_below(&m->dice, 4);
  for (int64_t k = 0; k < n && p->n_roots < MAX_ROOTS; k++) {
    int root = k == 0 ? p->n - 1 : any_step(m);
    if (step_of(m, root)->n_out > 1) root = make_pick(m, root, 0);
    if (root >= 0) p->root[p->n_roots++] = root;
  }
}

static inline void program_make(Program *p, Graph *graph, uint64_t seed) {
  memset(p, 0, sizeof *p);
  p->seed = seed;
  Maker m = {.program = p, .dice = {seed}};
  build_begin(&m.build, graph, seed);
  int64_t n = choose_sizes(&m);
  add_real(&m, any_shape(&m));
  for (int64_t k = 0; k < n; k++) make_one(&m);
  if (dice_one_in(&m.dice, 3)) make_training(&m);
  if (dice_one_in(&m.dice, 8)) make_updates(&m);
  if (dice_one_in(&m.dice, 12)) make_one(&m);
  add_roots(&m);
  if (p->n_roots == 0) p->root[p->n_roots++] = 0;
  build_end(&m.build);
}

#endif
