/* test_layers.c: what holds of every layer, shown on the samples of its record: shapes,
 * saving, loading and cloning, the same bytes for any number of threads, planned or op
 * by op, in training and in inference; what help needs. Gradients:
 * test_layers_gradients.c. */
#include "nn/layer_sample.h"
#include "graph/plan.h"
#include "nn/reuse.h"
#include "tempdir.h"

enum { MOST_OUT = 2 * MAX_PORTS + 64 };

/* -- results as bytes -------------------------------------------------------------- */

typedef struct Results {
  int n;
  Tensor *v[MOST_OUT];
} Results;

static void results_free(Results *r) {
  for (int i = 0; i < r->n; i++) tensor_release(r->v[i]);
  r->n = 0;
}

/* Returns new: it outlives its graph. */
static Tensor *copy_of(const Tensor *t) {
  Fault fault = {0};
  Tensor *copy = tensor_new(NULL, t->a.dtype, &t->a.shape, &fault);
  memcpy(copy->a.data, t->a.data, (size_t)tensor_count(t) * dtype_bytes(t->a.dtype));
  return copy;
}

static void check_equal(const Results *a, const Results *b, const char *kind,
                        const char *what) {
  assert_int_equal(a->n, b->n);
  for (int i = 0; i < a->n; i++) {
    size_t n_bytes = (size_t)tensor_count(a->v[i]) * dtype_bytes(a->v[i]->a.dtype);
    assert_true(shape_equal(&a->v[i]->a.shape, &b->v[i]->a.shape));
    if (memcmp(a->v[i]->a.data, b->v[i]->a.data, n_bytes) != 0)
      fail_msg("nn.%s: result %d differs: %s", kind, i + 1, what);
  }
}

typedef struct Setup {
  int threads;
  bool training, planned;
  const char *load, *save; /* files of its state; or NULL */
  bool clone;              /* a copy in place of the layer that was loaded */
} Setup;

static void check_shapes(const Layer *layer, const LayerSample *sample,
                         const Ports *out) {
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (!shape_equal(&out->v[0].x->shape, &sample->out))
    fail_msg("nn.%s: gives %s, its sample says %s", layer->object.kind->name,
             shape_text(got, &out->v[0].x->shape), shape_text(want, &sample->out));
  assert_true(shape_equal(&layer->output, &sample->out));
  assert_int_equal(layer->n_inputs, sample_inputs(sample));
}

/* The results and the gradients by the inputs and parameters. */
static Results run_layer(const Kind *kind, const LayerSample *sample,
                         const Setup *setup) {
  Graph graph;
  Fault fault = {0};
  Results results = {0};
  assert_int_equal(graph_open(&graph, setup->threads, 1, &fault), ERR_OK);
  sample_graph = &graph;
  graph.training = setup->training;
  Layer *layer = sample_layer(kind, sample);
  if (setup->load && layer_load_file(&graph, layer, setup->load, &fault))
    fail_msg("%s", fault.text);
  if (setup->clone) {
    Layer *copy = layer_clone(&graph, layer, true, &fault);
    if (!copy) fail_msg("nn.%s: %s", kind->name, fault.text);
    object_release(layer);
    layer = copy;
  }
  Node *root[MOST_OUT], *wrt[MOST_OUT];
  Ports in = {.n = sample_inputs(sample)};
  for (int i = 0; i < in.n; i++) {
    Tensor *x = sample_input(layer_kind(layer), sample, i);
    in.v[i].x = wrt[i] = graph_track(&graph, graph_const(&graph, x));
    tensor_release(x);
  }
  Ports out = layer_call_ports(&graph, layer, &in);
  if (!out.n) fail_msg("nn.%s: %s", kind->name, graph.fault.text);
  check_shapes(layer, sample, &out);
  assert_true(layer_built(layer));
  Node *total = NULL;
  for (int i = 0; i < out.n; i++) {
    root[results.n++] = out.v[i].x;
    Node *sum = op_sum(&graph, op_square(&graph, out.v[i].x), ALL_AXES, false);
    total = total ? op_add(&graph, total, sum) : sum;
  }
  StateList list;
  assert_int_equal(layer_parameters(layer, &list, &fault), ERR_OK);
  for (int i = 0; i < list.n; i++) wrt[in.n + i] = variable_read(&graph, list.v[i]);
  int n_wrt = in.n + list.n;
  assert_int_equal(graph_grad(&graph, total, NULL, wrt, n_wrt, root + results.n),
                   ERR_OK);
  results.n += n_wrt;
  for (int i = 0; i < results.n; i++)
    root[i] = graph_detach(&graph, root[i]); /* one output */
  Err err = setup->planned ? plan_eval(&graph, root, results.n)
                           : graph_eval(&graph, root, results.n);
  if (err) fail_msg("nn.%s: %s", kind->name, graph.fault.text);
  for (int i = 0; i < results.n; i++) results.v[i] = copy_of(node_value(root[i]));
  state_deinit(&list);
  if (setup->save && layer_save(&graph, layer, setup->save, &fault))
    fail_msg("%s", fault.text);
  object_release(layer);
  graph_close(&graph);
  return results;
}

static void check_sample(const Kind *kind, const LayerSample *sample,
                         const char *file) {
  for (int training = 0; training < 2; training++) {
    static const struct { Setup setup; const char *what; } others[] = {
        {{1, false, true, NULL, NULL, false}, "planned"},
        {{3, false, false, NULL, NULL, false}, "3 threads"},
        {{3, false, true, NULL, NULL, false}, "planned, 3 threads"}};
    Setup first = {.threads = 1, .training = training, .save = file};
    Results want = run_layer(kind, sample, &first);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
      Setup setup = others[i].setup;
      setup.training = training;
      Results got = run_layer(kind, sample, &setup);
      check_equal(&want, &got, kind->name, others[i].what);
      results_free(&got);
    }
    if (!training) { /* in training, running statistics have moved since */
      Setup loaded = {.threads = 1, .load = file};
      Results got = run_layer(kind, sample, &loaded);
      check_equal(&want, &got, kind->name, "saved and loaded");
      results_free(&got);
      loaded.clone = true;
      got = run_layer(kind, sample, &loaded);
      check_equal(&want, &got, kind->name, "loaded and cloned");
      results_free(&got);
    }
    results_free(&want);
  }
}

TEST(every_layer_on_its_samples) {
  const char *file = temp_path("layer.safetensors");
  for (int k = 0; layer_family.kinds[k]; k++) {
    const LayerKind *kind = (const LayerKind *)layer_family.kinds[k];
    if (!kind->samples || !kind->samples->out.rank)
      fail_msg("nn.%s has no samples", kind->kind.name);
    for (const LayerSample *sample = kind->samples; sample->out.rank; sample++)
      check_sample(&kind->kind, sample, file);
  }
}

static void open_sample_graph(Graph *graph) {
  Fault fault = {0};
  assert_int_equal(graph_open(graph, 1, 1, &fault), ERR_OK);
  sample_graph = graph;
}

/* net:build(shapes) gives what the first use gives. */
TEST(every_layer_can_be_built_by_shapes) {
  Graph graph;
  Fault fault = {0};
  open_sample_graph(&graph);
  for (int k = 0; layer_family.kinds[k]; k++) {
    const LayerKind *kind = (const LayerKind *)layer_family.kinds[k];
    for (const LayerSample *sample = kind->samples; sample->out.rank; sample++) {
      Layer *layer = sample_layer(&kind->kind, sample);
      IntList shapes[SAMPLE_INPUTS] = {{0}};
      int n = sample_inputs(sample);
      for (int i = 0; i < n; i++)
        for (int d = 1; d < sample->in[i].rank; d++)
          shapes[i].v[shapes[i].n++] = sample->in[i].dim[d];
      if (layer_build(&graph, layer, shapes, n, &fault)) fail_msg("%s", fault.text);
      assert_true(layer_built(layer) && layer->seen);
      for (int d = 1; d < sample->out.rank; d++)
        assert_int_equal(layer->output.dim[d], sample->out.dim[d]);
      object_release(layer);
    }
  }
  graph_close(&graph);
}

TEST(every_layer_says_what_help_shows) {
  for (int k = 0; layer_family.kinds[k]; k++) {
    const LayerKind *kind = (const LayerKind *)layer_family.kinds[k];
    if (!kind->kind.doc || !kind->kind.equation || !kind->kind.source)
      fail_msg("nn.%s lacks its documentation, equation or source", kind->kind.name);
    assert_non_null(kind->prefix);
    assert_true(!kind->forward != !kind->ports);
    assert_false(kind->forward && kind->knows_masks);
  }
}

/* -- masks ------------------------------------------------------------------------- */

static Ports masked(Graph *graph) {
  double x[12], steps[6] = {1, 1, 0, 1, 0, 0};
  for (int i = 0; i < 12; i++) x[i] = i;
  Node *mask = graph_from_doubles(graph, DT_REAL, &SHAPE_OF(2, 3), steps);
  return layer_ports_of(graph_from_doubles(graph, DT_REAL, &SHAPE_OF(2, 3, 2), x),
                        mask);
}

/* A mask passes through what keeps time, and nothing else; no layer drops it in
 * silence. */
TEST(masks_pass_where_time_is_kept) {
  Graph graph;
  Fault fault = {0};
  open_sample_graph(&graph);
  for (int k = 0; layer_family.kinds[k]; k++) {
    const LayerKind *kind = (const LayerKind *)layer_family.kinds[k];
    if (kind->knows_masks) continue;
    int scope = graph_scope_begin(&graph);
    Layer *layer = sample_layer(&kind->kind, kind->samples);
    Ports in = masked(&graph), out = layer_call_ports(&graph, layer, &in);
    bool keeps = kind->keeps_time;
    if (keeps) assert_ptr_equal(out.v[0].mask, in.v[0].mask);
    else assert_int_equal(out.n, 0);
    assert_int_equal(graph_ok(&graph, &fault), keeps ? ERR_OK : ERR_VALUE);
    if (!keeps) assert_non_null(strstr(fault.text, "nn.Unmask"));
    if (!keeps) assert_non_null(strstr(fault.text, layer->name));
    fault = (Fault){0};
    object_release(layer);
    graph_scope_end(&graph, scope);
  }
  graph_close(&graph);
}
