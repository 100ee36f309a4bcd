/* test_layers_fuzz.c: layers of images and steps with options and shapes drawn at
 * random: what is refused says why; else planned = op by op to the bit, for the result
 * and the gradients, and (double) the gradient of the input is the difference along a
 * random direction; those of weights are compared in test_layers_gradients.c.
 *
 *   FUZZ_LAYERS=n   how many of each kind (40; with LONG set 4,000) */
#include "nn/layer_sample.h"
#include "graph/item.h"
#include "graph/plan.h"
#include <stdlib.h>

enum { MOST_KNOBS = 8, MOST_ROOTS = 8 };

/* An option: `n` whole numbers (0: as many as the kind takes of 1, 2 and 4) from lo to
 * hi, or one of the words, blank-separated. */
typedef struct Knob {
  const char *name;
  int n, lo, hi;
  const char *words;
  bool needed;
} Knob;

#define PADDING2                                                                       \
  { "padding", 0, 0, 3, "valid same", false }
#define PADDING1(w)                                                                    \
  { "padding", 2, 0, 3, w, false }
#define PAIR(name, hi)                                                                 \
  { name, 2, 1, hi, NULL, false }
#define ONE(name, hi)                                                                  \
  { name, 1, 1, hi, NULL, false }
#define NEEDED(name, n, lo, hi)                                                        \
  { name, n, lo, hi, NULL, true }
#define YES_NO(name)                                                                   \
  { name, 0, 0, -1, "true false", false }
#define WORDS(name, w)                                                                 \
  { name, 0, 0, -1, w, false }

static const struct {
  const char *kind;
  int rank;
  Knob knob[MOST_KNOBS];
} drawn[] = {
    {"Conv2D", 4, {NEEDED("filters", 1, 1, 6), NEEDED("kernel_size", 2, 1, 4),
                   PAIR("stride", 3), PADDING2, PAIR("dilation", 3), ONE("groups", 2),
                   YES_NO("bias")}},
    {"DepthwiseConv2D", 4, {NEEDED("kernel_size", 2, 1, 4), PAIR("stride", 3), PADDING2,
                            PAIR("dilation", 3), ONE("depth_multiplier", 3)}},
    {"SeparableConv2D", 4, {NEEDED("filters", 1, 1, 6), NEEDED("kernel_size", 2, 1, 4),
                            PAIR("stride", 3), PADDING2, ONE("depth_multiplier", 3)}},
    {"ConvTranspose2D", 4, {NEEDED("filters", 1, 1, 6), NEEDED("kernel_size", 2, 1, 4),
                            PAIR("stride", 3), PADDING2,
                            {"output_padding", 2, 0, 1, NULL, false},
                            PAIR("dilation", 3), ONE("groups", 2)}},
    {"MaxPool2D", 4, {PAIR("pool_size", 4), PAIR("stride", 3), PADDING2,
                      PAIR("dilation", 3), YES_NO("ceil_mode")}},
    {"AveragePooling2D", 4, {PAIR("pool_size", 4), PAIR("stride", 3), PADDING2,
                             YES_NO("ceil_mode"), YES_NO("count_include_pad")}},
    /* Odd norms have no bounded derivative where a sum is 0. */
    {"LpPool2D", 4, {{"norm_type", 0, 0, -1, "1 2 4", true}, PAIR("pool_size", 4),
                     PAIR("stride", 3), YES_NO("ceil_mode")}},
    {"GlobalMaxPooling2D", 4, {YES_NO("keepdims")}},
    {"GlobalAveragePooling2D", 4, {YES_NO("keepdims")}},
    {"AdaptiveMaxPool2D", 4, {NEEDED("output_size", 2, 0, 12)}},
    {"AdaptiveAvgPool2D", 4, {NEEDED("output_size", 2, 0, 12)}},
    {"UpSample", 4, {PAIR("scale_factor", 4), PAIR("output_size", 12),
                     WORDS("mode", "nearest bilinear"), YES_NO("align_corners")}},
    {"Conv1D", 3, {NEEDED("filters", 1, 1, 6), NEEDED("kernel_size", 1, 1, 4),
                   ONE("stride", 3), PADDING1("valid same causal"), ONE("dilation", 3),
                   ONE("groups", 2), YES_NO("bias")}},
    {"MaxPool1D", 3, {ONE("pool_size", 4), ONE("stride", 3), PADDING1("valid same"),
                      ONE("dilation", 3), YES_NO("ceil_mode")}},
    {"AveragePooling1D", 3, {ONE("pool_size", 4), ONE("stride", 3),
                             PADDING1("valid same"), YES_NO("ceil_mode"),
                             YES_NO("count_include_pad")}},
    {"LpPool1D", 3, {{"norm_type", 0, 0, -1, "1 2 4", true}, ONE("pool_size", 4),
                     ONE("stride", 3), YES_NO("ceil_mode")}},
    {"GlobalMaxPooling1D", 3, {YES_NO("keepdims")}},
    {"GlobalAveragePooling1D", 3, {YES_NO("keepdims")}},
    {"AdaptiveMaxPool1D", 3, {NEEDED("output_size", 1, 0, 12)}},
    {"AdaptiveAvgPool1D", 3, {NEEDED("output_size", 1, 0, 12)}},
    {"LayerNorm", 4, {{"axis", 0, 2, 4, NULL, false}, YES_NO("affine")}},
    {"RMSNorm", 4, {{"axis", 0, 2, 4, NULL, false}, YES_NO("affine")}}};

enum { N_DRAWN = sizeof drawn / sizeof *drawn };

/* -- draws ------------------------------------------------------------------------- */

static uint64_t case_number, word_at;

static int draw(int lo, int hi) {
  Stream stream = {philox_key(3, "test", "layers"), case_number};
  return lo + (int)(philox_word(stream, word_at++) % (uint32_t)(hi - lo + 1));
}

static void draw_word(char *out, size_t n_bytes, const char *words) {
  int n = 1;
  for (const char *at = words; *at; at++) n += *at == ' ';
  const char *at = words;
  for (int skip = draw(0, n - 1); skip > 0; skip--) at = strchr(at, ' ') + 1;
  snprintf(out, n_bytes, "%.*s", (int)strcspn(at, " "), at);
}

/* As sample_set takes it. */
static void draw_value(char *out, size_t n_bytes, const Knob *knob) {
  if (knob->words && (knob->hi < knob->lo || draw(0, 1))) {
    draw_word(out, n_bytes, knob->words);
    return;
  }
  int n = knob->n ? knob->n : 1 << draw(0, 2);
  size_t used = 0;
  for (int i = 0; i < n; i++)
    used += (size_t)snprintf(out + used, n_bytes - used, "%s%d", i ? " " : "",
                             draw(knob->lo, knob->hi));
}

/* One of the case, described in `text`; NULL: its options are refused, in words. */
static Layer *draw_layer(int k, Text *text) {
  Fault fault = {0};
  Object *layer = object_new(family_find(&layer_family, drawn[k].kind, &fault), &fault);
  assert_non_null(layer);
  text_addf(text, "case %llu: nn.%s", (unsigned long long)case_number, drawn[k].kind);
  for (const Knob *knob = drawn[k].knob; knob->name; knob++) {
    char value[32];
    if (!knob->needed && draw(0, 2) == 0) continue;
    draw_value(value, sizeof value, knob);
    text_addf(text, ", %s = %s", knob->name, value);
    sample_set(layer, knob->name, value);
  }
  if (!object_ready(layer, NULL, &fault)) return (Layer *)layer;
  assert_true(strlen(fault.text) > 10);
  object_release(layer);
  return NULL;
}

static Shape draw_shape(int rank, Text *text) {
  Shape x = {.rank = rank, .dim = {draw(1, 3)}};
  for (int d = 1; d < rank; d++) x.dim[d] = draw(1, d == 1 && rank == 4 ? 6 : 9);
  char buffer[SHAPE_TEXT];
  text_addf(text, " on %s", shape_text(buffer, &x));
  return x;
}

/* -- one case ---------------------------------------------------------------------- */

static Tensor *drawn_numbers(const Shape *shape, uint64_t from) {
  return sample_numbers(shape, 100000 * case_number + from, -2, 2);
}

/* L = sum(c y). */
static Node *emit(Graph *graph, Layer *layer, Node *x) {
  Node *y = layer_call(graph, layer, x);
  if (!y) return NULL;
  Tensor *c = drawn_numbers(&y->shape, 5000);
  Node *total = op_sum(graph, op_mul(graph, y, graph_const(graph, c)), ALL_AXES, false);
  tensor_release(c);
  return total;
}

/* The value and its gradients by x and the parameters, evaluated; how many; 0: the
 * layer refuses the shape, in words. */
static int run(Graph *graph, Layer *layer, Tensor *t, bool planned, Node **root) {
  Fault fault = {0};
  StateList list;
  Node *x = graph_track(graph, graph_const(graph, t)), *wrt[MOST_ROOTS] = {x};
  root[0] = emit(graph, layer, x);
  if (!root[0]) {
    assert_int_not_equal(graph_ok(graph, &fault), ERR_OK);
    if (!strstr(fault.text, layer->name)) fail_msg("no layer in: %s", fault.text);
    return 0;
  }
  assert_int_equal(layer_parameters(layer, &list, &fault), ERR_OK);
  for (int i = 0; i < list.n; i++) wrt[1 + i] = variable_read(graph, list.v[i]);
  int n = 1 + list.n;
  assert_true(n < MOST_ROOTS);
  assert_int_equal(graph_grad(graph, root[0], NULL, wrt, n, root + 1), ERR_OK);
  for (int i = 0; i <= n; i++) root[i] = graph_detach(graph, root[i]);
  assert_int_equal((planned ? plan_eval : graph_eval)(graph, root, n + 1), ERR_OK);
  state_deinit(&list);
  return n + 1;
}

static void check_equal(const Node *a, const Node *b, const char *what) {
  const Array *x = &node_value(a)->a, *y = &node_value(b)->a;
  assert_true(shape_equal(&x->shape, &y->shape));
  if (memcmp(x->data, y->data, (size_t)shape_count(&x->shape) * sizeof(real)) != 0)
    fail_msg("planned gives other bytes: %s", what);
}

#ifdef REAL_DOUBLE
/* (L(x + h way) - L(x - h way)) / 2 h, of x = t. */
static double difference(Graph *graph, Layer *layer, const Tensor *t, const Tensor *way,
                         double h) {
  double value[2];
  Tensor *moved = drawn_numbers(&t->a.shape, 0);
  for (int side = 0; side < 2; side++) {
    for (int64_t i = 0; i < tensor_count(t); i++)
      array_set(&moved->a, i,
                array_get(&t->a, i) + (side ? h : -h) * array_get(&way->a, i));
    value[side] = item_of(graph, emit(graph, layer, graph_const(graph, moved)));
  }
  tensor_release(moved);
  return (value[1] - value[0]) / (2 * h);
}
#endif

/* dL along a random direction of x, by differences and by the gradient. Of two numbers
 * of a window that are nearer than the distance h the other may be the maximum there:
 * then a smaller one decides. */
static void check_difference(Graph *graph, Layer *layer, Tensor *t, Node *gradient,
                             const char *what) {
#ifdef REAL_DOUBLE
  double want = 0, size = 1, got = NAN;
  Tensor *way = drawn_numbers(&t->a.shape, 9000);
  for (int64_t i = 0; i < tensor_count(t); i++) {
    double term = array_get(&node_value(gradient)->a, i) * array_get(&way->a, i);
    want += term;
    size += fabs(term);
  }
  bool near = false;
  for (double h = 1e-6; !near && h > 1e-9; h /= 10) {
    got = difference(graph, layer, t, way, h);
    near = fabs(got - want) <= 1e-6 * size;
  }
  if (!near) fail_msg("gradient %.12g, difference %.12g: %s", want, got, what);
  tensor_release(way);
#else
  (void)graph, (void)layer, (void)t, (void)gradient, (void)what;
#endif
}

/* Was it taken? */
static bool check_case(Graph *graph, int k) {
  Text text = {0};
  word_at = 0;
  Layer *layer = draw_layer(k, &text);
  Shape shape = draw_shape(drawn[k].rank, &text);
  int scope = graph_scope_begin(graph), n = 0;
  if (layer) {
    Tensor *t = drawn_numbers(&shape, 0);
    Node *naive[MOST_ROOTS + 1], *planned[MOST_ROOTS + 1];
    n = run(graph, layer, t, false, naive);
    if (n) assert_int_equal(run(graph, layer, t, true, planned), n);
    for (int i = 0; i < n; i++) check_equal(naive[i], planned[i], text.data);
    if (n) check_difference(graph, layer, t, naive[1], text.data);
    tensor_release(t);
    object_release(layer);
  }
  graph_scope_end(graph, scope);
  text_deinit(&text);
  return n > 0;
}

TEST(layers_of_images_and_steps_drawn_at_random) {
  Graph graph;
  Fault fault = {0};
  const char *given = getenv("FUZZ_LAYERS");
  int rounds = given ? atoi(given) : getenv("LONG") ? 4000 : 40;
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  for (int k = 0; k < N_DRAWN; k++) {
    int n_taken = 0;
    for (int round = 0; round < rounds; round++) {
      case_number = (uint64_t)k << 32 | (uint64_t)round;
      n_taken += check_case(&graph, k);
    }
    if (n_taken < rounds / 5)
      fail_msg("nn.%s: only %d of %d were taken", drawn[k].kind, n_taken, rounds);
  }
  graph_close(&graph);
}
