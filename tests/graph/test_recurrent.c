/* test_recurrent.c: the walk of recurrent cells, over every cell and form, at sizes
 * that the samples of their records do not reach: what an example gives does not depend
 * on those beside it, on steps that do not count, nor on whether the way back is kept.
 */
#include "graph/sample.h"
#include "graph/ops.h"
#include "graph/recurrent.h"

/* A cell's op with its inputs. */
typedef struct Case {
  const Op *op;
  const Cell *cell;
  int form;
  int64_t N, T, F, H;
  Tensor *in[IN_DROP + 1];
} Case;

static Graph graph;

static Tensor *numbers(const Shape *shape, int purpose, double scale) {
  Fault fault = {0};
  Tensor *t = tensor_new(NULL, DT_REAL, shape, &fault);
  assert_non_null(t);
  for (int64_t i = 0; i < tensor_count(t); i++)
    array_set(&t->a, i,
              scale * (2 * test_uniform(&op_record_rnn, "cell", purpose, i) - 1));
  return t;
}

static void begin(Case *c) {
  const Cell *cell = c->cell;
  c->in[IN_X] = numbers(&SHAPE_OF(c->N, c->T, c->F), IN_X, 1);
  c->in[IN_WEIGHT] = numbers(&SHAPE_OF(recurrent_weight_size(cell, c->F, c->H)),
                             IN_WEIGHT, 1 / sqrt((double)c->H));
  c->in[IN_STATE] = numbers(&SHAPE_OF(c->N, cell->states * c->H), IN_STATE, 1);
  c->in[IN_MASK] = numbers(&SHAPE_OF(c->N, c->T), IN_MASK, 0);
  c->in[IN_DROP] = numbers(&SHAPE_OF(c->N, c->H), IN_DROP, 2);
  for (int64_t i = 0; i < c->N * c->T; i++) array_set(&c->in[IN_MASK]->a, i, 1);
}

static void end(Case *c) {
  for (int i = 0; i <= IN_DROP; i++) tensor_release(c->in[i]);
}

/* Calls check for each cell, form and size. */
static void for_every_cell(void (*check)(Case *c)) {
  static const int64_t sizes[][4] = {{1, 1, 1, 1}, {1, 70, 3, 5}, {17, 9, 4, 33},
                                     {33, 3, 270, 16}, {2, 40, 1, 7}, {40, 5, 2, 6},
                                     {300, 2, 1, 3}};
  Fault fault = {0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  const Op *ops[] = {&op_record_rnn, &op_record_lstm, &op_record_gru};
  for (int o = 0; o < 3; o++) {
    const CellOps *own = ops[o]->own;
    for (int form = 0; form < own->n_forms; form++)
      for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        Case c = {.op = ops[o], .cell = own->forms[form], .form = form,
                  .N = sizes[s][0], .T = sizes[s][1], .F = sizes[s][2],
                  .H = sizes[s][3]};
        int scope = graph_scope_begin(&graph);
        begin(&c);
        check(&c);
        end(&c);
        graph_scope_end(&graph, scope);
      }
  }
  graph_close(&graph);
}

static Tensor *value_of(Node *node) {
  Fault fault = {0};
  Tensor *t = graph_value(&graph, node);
  if (graph_ok(&graph, &fault)) fail_msg("%s", fault.text);
  return t;
}

static void same_bytes(const Case *c, const char *what, const void *a, const void *b,
                       int64_t n) {
  if (memcmp(a, b, (size_t)n * sizeof(real)))
    fail_msg("%s, form %d, %dx%dx%d -> %d: %s", c->op->name, c->form, (int)c->N,
             (int)c->T, (int)c->F, (int)c->H, what);
}

/* Results 0 and 1 of the op on constants, or on `leaf`. */
static Node *run(const Case *c, Node *const *leaf, bool reverse, bool keep) {
  Node *in[IN_DROP + 1];
  for (int i = 0; i <= IN_DROP; i++)
    in[i] = leaf ? leaf[i] : graph_const(&graph, c->in[i]);
  RecurrentForm form = {.form = c->form, .reverse = reverse, .keep = keep};
  return op_recurrent(&graph, c->op, in, IN_DROP + 1, &form);
}

/* -- alone, or in a batch ---------------------------------------------------------- */

static Tensor *row_of(const Tensor *t, int64_t row) {
  Fault fault = {0};
  Shape shape = t->a.shape;
  int64_t n = shape_count(&shape) / shape.dim[0];
  shape.dim[0] = 1;
  Tensor *one = tensor_new(NULL, DT_REAL, &shape, &fault);
  assert_non_null(one);
  memcpy(one->a.data, (const real *)t->a.data + row * n, (size_t)n * sizeof(real));
  return one;
}

static void check_alone(Case *c) {
  Node *all = run(c, NULL, false, true);
  const real *y = value_of(graph_pick(&graph, all, 0))->a.data;
  for (int64_t row = 0; row<c->N; row += c->N> 3 ? c->N - 1 : 1) {
    Case one = *c;
    one.N = 1;
    for (int i = 0; i <= IN_DROP; i++)
      one.in[i] = i == IN_WEIGHT ? tensor_retain(c->in[i]) : row_of(c->in[i], row);
    Node *alone = graph_pick(&graph, run(&one, NULL, false, false), 0);
    same_bytes(c, "an example alone differs", y + row * c->T * c->H,
               value_of(alone)->a.data, c->T * c->H);
    end(&one);
  }
}

TEST(an_example_gives_the_same_bytes_alone_and_in_a_batch) {
  for_every_cell(check_alone);
}

/* -- steps that do not count ------------------------------------------------------- */

/* The same sequence with two steps of NaN before (or behind) it. */
static Case padded(const Case *c, bool before) {
  Case p = *c;
  p.T = c->T + 2;
  for (int i = 0; i <= IN_DROP; i++) tensor_retain(p.in[i]);
  tensor_release(p.in[IN_X]);
  tensor_release(p.in[IN_MASK]);
  p.in[IN_X] = numbers(&SHAPE_OF(p.N, p.T, p.F), IN_X, 1);
  p.in[IN_MASK] = numbers(&SHAPE_OF(p.N, p.T), IN_MASK, 0);
  for (int64_t i = 0; i < p.N * p.T * p.F; i++) array_set(&p.in[IN_X]->a, i, NAN);
  for (int64_t n = 0; n < p.N; n++) {
    int64_t at = n * p.T + (before ? 2 : 0);
    memcpy((real *)p.in[IN_X]->a.data + at * p.F,
           (const real *)c->in[IN_X]->a.data + n * c->T * c->F,
           (size_t)(c->T * c->F) * sizeof(real));
    for (int64_t t = 0; t < c->T; t++) array_set(&p.in[IN_MASK]->a, at + t, 1);
  }
  return p;
}

static void check_padded(Case *c) {
  for (int reverse = 0; reverse < 2; reverse++) {
    Node *last = graph_pick(&graph, run(c, NULL, reverse, false), 1);
    const Tensor *want = value_of(last);
    for (int before = 0; before < 2; before++) {
      Case p = padded(c, before);
      Node *got = graph_pick(&graph, run(&p, NULL, reverse, before), 1);
      same_bytes(c, "padding changes the state", value_of(got)->a.data, want->a.data,
                 tensor_count(want));
      end(&p);
    }
  }
}

TEST(padding_left_and_right_changes_no_byte_of_the_state) {
  for_every_cell(check_padded);
}

/* -- what is kept ------------------------------------------------------------------ */

enum { N_WRT = IN_STATE + 1 };

/* Gradients by x, weight and state, with and without what the op keeps. */
static void gradients(const Case *c, bool keep, bool reverse, bool dropped,
                      Node **out) {
  Node *leaf[IN_DROP + 1];
  for (int i = 0; i <= IN_DROP; i++) leaf[i] = graph_const(&graph, c->in[i]);
  for (int i = 0; i < N_WRT; i++) leaf[i] = graph_track(&graph, leaf[i]);
  RecurrentForm form = {.form = c->form, .reverse = reverse, .keep = keep};
  Node *all = op_recurrent(&graph, c->op, leaf, dropped ? IN_DROP + 1 : IN_DROP, &form);
  Node *loss = op_add(&graph,
                      op_sum(&graph, op_square(&graph, graph_pick(&graph, all, 0)),
                             ALL_AXES, false),
                      op_sum(&graph, graph_pick(&graph, all, 1), ALL_AXES, false));
  assert_int_equal(graph_grad(&graph, loss, NULL, leaf, N_WRT, out), ERR_OK);
}

static void check_kept(Case *c) {
  for (int way = 0; way < 4; way++) {
    Node *again[N_WRT], *kept[N_WRT];
    gradients(c, false, way & 1, way & 2, again);
    gradients(c, true, way & 1, way & 2, kept);
    for (int i = 0; i < N_WRT; i++)
      same_bytes(c, "a gradient depends on what was kept", value_of(again[i])->a.data,
                 value_of(kept[i])->a.data, tensor_count(c->in[i]));
  }
}

TEST(gradients_are_the_same_bytes_whether_the_way_back_is_kept_or_not) {
  for_every_cell(check_kept);
}

static void check_padded_gradients(Case *c) {
  Node *want[N_WRT], *got[N_WRT];
  gradients(c, true, false, false, want);
  Case p = padded(c, true);
  for (int64_t i = 0; i < tensor_count(p.in[IN_X]); i++)
    if (isnan(array_get(&p.in[IN_X]->a, i))) array_set(&p.in[IN_X]->a, i, 1e30);
  gradients(&p, true, false, false, got);
  const Tensor *a = value_of(want[IN_WEIGHT]), *b = value_of(got[IN_WEIGHT]);
  double norm = 1, worst = 0;
  for (int64_t i = 0; i < tensor_count(a); i++)
    norm = fmax(norm, fabs(array_get(&a->a, i)));
  for (int64_t i = 0; i < tensor_count(a); i++)
    worst = fmax(worst, fabs(array_get(&a->a, i) - array_get(&b->a, i)) / norm);
  bool ok = worst <= (sizeof(real) > sizeof(float) ? 1e-12 : 1e-5);
  if (!ok)
    fail_msg("%s, form %d: padding moves a gradient by %g", c->op->name, c->form,
             worst);
  end(&p);
}

TEST(padding_changes_no_gradient) { for_every_cell(check_padded_gradients); }
