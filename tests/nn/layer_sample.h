/* layer_sample.h: layers as their records' samples say, and inputs for them. Functions
 * of the user are y1 = x1 sin(x1), y2 = x2 x1, ... as many as there are inputs. */
#ifndef TESTS_NN_LAYER_SAMPLE_H
#define TESTS_NN_LAYER_SAMPLE_H

#include "options.h"
#include "test.h"
#include "graph/ops.h"
#include "nn/nn.h"

/* Of the layer under test, as its function needs it. */
static Graph *sample_graph;

static Err sample_function(Callable *self, const Value *in, int n_in, Value *out,
                           int n_out, Fault *fault) {
  (void)self, (void)fault;
  Node *first = in[0].as.ref;
  assert_true(n_in <= n_out);
  for (int i = 0; i < n_in; i++) {
    Node *x = in[i].as.ref;
    Node *y = op_mul(sample_graph, x, i ? first : op_sin(sample_graph, x));
    out[i] = (Value){.kind = VALUE_NODE, .as.ref = y};
  }
  return ERR_OK;
}

static void sample_function_free(Callable *self) { (void)self; }

static void sample_set(Object *o, const char *name, const char *value);

/* Of the text "Dense 3". */
static Object *sample_inner(const char *text) {
  Fault fault = {0};
  char name[64];
  const char *rest = strchr(text, ' ');
  snprintf(name, sizeof name, "%.*s", rest ? (int)(rest - text) : (int)strlen(text),
           text);
  const Kind *kind = family_find(&layer_family, name, &fault);
  if (!kind) fail_msg("%s", fault.text);
  Object *layer = object_new(kind, &fault);
  if (rest) sample_set(layer, option_at(kind, 1)->name, rest + 1);
  return layer;
}

static void sample_set(Object *o, const char *name, const char *value) {
  Fault fault = {0};
  const Option *opt = option_find(o->kind, name, &fault);
  if (!opt) fail_msg("%s", fault.text);
  Err err;
  char *end;
  double number = strtod(value, &end);
  if (opt->family == &layer_family) {
    Object *inner = sample_inner(value);
    for (const Option *own = inner->kind->options; own->name; own++) {
      static Callable function = {1, sample_function, sample_function_free};
      if (own->kind == OPT_CALL)
        assert_int_equal(option_set_call(inner, own, &function, &fault), ERR_OK);
    }
    err = object_ready(inner, NULL, &fault);
    if (!err && opt->kind == OPT_OBJECT) err = option_set_object(o, opt, inner, &fault);
    else if (!err) err = option_set_objects(o, opt, &inner, 1, &fault);
    object_release(inner);
  } else if (end > value && *end == ' ') {
    Value item[MAX_RANK] = {{0}};
    Given given = {.value.kind = VALUE_LIST, .items = item};
    for (const char *at = value; *at; at = end) {
      assert_in_range(given.value.as.n_items, 0, MAX_RANK - 1);
      item[given.value.as.n_items++] = (Value){.kind = VALUE_INT,
                                               .as.integer = strtol(at, &end, 10)};
    }
    err = option_set(o, opt, &given, &fault);
  } else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
    err = give_bool(o, opt, value[0] == 't', &fault);
  } else if (end > value && !*end) {
    err = give_number(o, opt, number, &fault);
  } else {
    err = option_set_text(o, opt, value, &fault);
  }
  if (err) fail_msg("%s: %s", o->kind->name, fault.text);
}

/* Returns new. */
static inline Layer *sample_layer(const Kind *kind, const LayerSample *sample) {
  static Callable function = {1, sample_function, sample_function_free};
  Fault fault = {0};
  Object *layer = object_new(kind, &fault);
  assert_non_null(layer);
  for (int i = 0; i < SAMPLE_OPTIONS && sample->options[i].name; i++)
    sample_set(layer, sample->options[i].name, sample->options[i].value);
  for (const Option *opt = kind->options; opt && opt->name; opt++)
    if (opt->kind == OPT_CALL)
      assert_int_equal(option_set_call(layer, opt, &function, &fault), ERR_OK);
  if (object_ready(layer, NULL, &fault)) fail_msg("%s: %s", kind->name, fault.text);
  return (Layer *)layer;
}

static inline int sample_inputs(const LayerSample *sample) {
  int n = 0;
  while (n < SAMPLE_INPUTS && sample->in[n].rank) n++;
  return n;
}

/* -- a fixed source of numbers ----------------------------------------------------- */

static inline double sample_number(uint64_t i, double lo, double hi) {
  Stream stream = {philox_key(5, "test", "gradients"), 0};
  return lo + (hi - lo) * philox_unit(philox_word(stream, i));
}

/* Returns new: away from 0, where rectifiers have a kink. */
static inline Tensor *sample_numbers(const Shape *shape, uint64_t from, double lo,
                                     double hi) {
  Fault fault = {0};
  Tensor *t = tensor_new(NULL, DT_REAL, shape, &fault);
  assert_non_null(t);
  for (int64_t i = 0; i < tensor_count(t); i++) {
    double v = sample_number(from + (uint64_t)i, lo, hi);
    array_set(&t->a, i, lo < 0 && fabs(v) < 0.05 ? v + 0.1 : v);
  }
  return t;
}

/* Input number i, from 0, of the sample: returns new. */
static inline Tensor *sample_input(const LayerKind *kind, const LayerSample *sample,
                                   int i) {
  bool ids = i == 0 && kind->sample_ids;
  Tensor *t = sample_numbers(&sample->in[i], 300 * (uint64_t)i, ids ? 1 : -2,
                             ids ? (double)kind->sample_ids + 1 : 2);
  for (int64_t k = 0; ids && k < tensor_count(t); k++)
    array_set(&t->a, k, floor(array_get(&t->a, k)));
  return t;
}

#endif
