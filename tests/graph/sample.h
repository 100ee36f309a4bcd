/* sample.h: the op table as a list of test cases: inputs made from the samples of the
 * records, and a driver that runs one op on plain memory, without a graph.
 *
 * Values are a pure function of (op, sample, input), so a failure can be looked at
 * again. */
#ifndef TESTS_GRAPH_SAMPLE_H
#define TESTS_GRAPH_SAMPLE_H

#include "test.h"
#include "graph/graph.h"
#include "graph/op.h"

/* Ops that the graph makes itself; they are never run. */
static inline bool op_is_run(const Op *op) {
  return !(op->flags & OP_LEAF) && op != &op_record_pick;
}

static inline int sample_count(const Op *op) {
  int n = 0;
  while (op->samples && (op->samples[n].n_in != 0 || op->samples[n].n_attr >= 0)) n++;
  return n;
}

/* Number i of the list `purpose` of an op: uniform in [0, 1). */
static inline double test_uniform(const Op *op, const char *purpose, int k, int64_t i) {
  Stream stream = {philox_key(1, purpose, op->name), (uint64_t)k};
  return philox_unit(philox_word(stream, (uint64_t)i));
}

static inline double sample_value(const SampleIn *in, double u) {
  double lo = in->lo, hi = in->hi;
  if (in->dtype != DT_REAL) return lo + floor(u * (hi - lo + 1));
  if (lo != 0 || hi != 0) return lo + u * (hi - lo);
  double v = -2 + 4 * u;
  if (fabs(v) >= 0.05) return v;
  return v < 0 ? v - 0.05 : v + 0.05;
}

/* Returns new: input i of sample k. */
static inline Tensor *sample_tensor(const Op *op, int k, int i) {
  const SampleIn *in = &op->samples[k].in[i];
  Fault fault = {0};
  Tensor *t = tensor_new(NULL, in->dtype, &in->shape, &fault);
  assert_non_null(t);
  char purpose[32];
  snprintf(purpose, sizeof purpose, "sample input %d", i);
  for (int64_t e = 0; e < tensor_count(t); e++)
    array_set(&t->a, e, sample_value(in, test_uniform(op, purpose, k, e)));
  return t;
}

/* A node of the op over constants; borrowed until the graph's scope ends. Its failures
 * are printed: NULL then. */
static inline Node *sample_node(Graph *graph, const Op *op, int k, Tensor *const *in) {
  const Sample *s = &op->samples[k];
  Node *nodes[MAX_SAMPLE_IN];
  for (int i = 0; i < s->n_in; i++) nodes[i] = graph_const(graph, in[i]);
  Node *node = graph_apply(graph, op, nodes, s->n_in, s->attr, s->n_attr);
  Fault fault = {0};
  if (graph_ok(graph, &fault)) {
    print_error("%s, sample %d: %s\n", op->name, k + 1, fault.text);
    return NULL;
  }
  return node;
}

/* -- memory with guards ------------------------------------------------------------ */

enum { GUARD = 64, GUARD_BYTE = 0xA5, JUNK_BYTE = 0xFF }; /* eight of 0xFF: a NaN */

static inline size_t round64(size_t n) { return (n + 63) / 64 * 64; }

/* 64-byte aligned memory for n bytes, all junk (NaN as reals), between two guards. */
static inline void *guarded_new(size_t n) {
  unsigned char *block = aligned_alloc(64, round64(n) + 2 * (size_t)GUARD);
  assert_non_null(block);
  memset(block, GUARD_BYTE, round64(n) + 2 * (size_t)GUARD);
  memset(block + GUARD, JUNK_BYTE, round64(n));
  return block + GUARD;
}

static inline bool guarded_intact(const void *p, size_t n) {
  const unsigned char *before = (const unsigned char *)p - GUARD;
  const unsigned char *after = (const unsigned char *)p + round64(n);
  for (int i = 0; i < GUARD; i++)
    if (before[i] != GUARD_BYTE || after[i] != GUARD_BYTE) return false;
  return true;
}

static inline void guarded_free(void *p) {
  if (p) free((unsigned char *)p - GUARD);
}

/* -- one op on plain memory -------------------------------------------------------- */

typedef struct Direct {
  OpCall call;
  OpSplit split;           /* its n_blocks are this struct's own */
  Array in[MAX_SAMPLE_IN]; /* copies of the sample's inputs */
  Array out[MAX_OUT];
} Direct;

static inline size_t array_bytes(const Array *a) {
  return (size_t)shape_count(&a->shape) * dtype_bytes(a->dtype);
}

static inline Array array_guarded(const Shape *shape, DType dtype) {
  Array a = {.shape = *shape, .dtype = dtype};
  a.data = guarded_new(array_bytes(&a));
  return a;
}

/* How the work is cut; free n_blocks. */
static inline OpSplit split_of_call(const OpCall *call) {
  int n_phases = op_phases(call);
  int64_t *n_blocks = malloc((size_t)n_phases * sizeof *n_blocks);
  assert_non_null(n_blocks);
  return op_split(call, n_phases, n_blocks);
}

/* The shapes of the outputs are those of `node`. */
static inline void direct_init(Direct *d, const Node *node, Tensor *const *in,
                               int n_in) {
  *d = (Direct){.call = {.op = node->op, .n_in = n_in, .n_out = node->n_out,
                         .n_attr = node->n_attr, .attr = node->attr}};
  d->call.in = d->in;
  d->call.out = d->out;
  for (int i = 0; i < n_in; i++) {
    d->in[i] = array_guarded(&in[i]->a.shape, in[i]->a.dtype);
    memcpy(d->in[i].data, in[i]->a.data, array_bytes(&d->in[i]));
  }
  for (int o = 0; o < node->n_out; o++)
    d->out[o] = array_guarded(&node->out_shape[o], node->out_dtype[o]);
  d->split = split_of_call(&d->call);
  d->call.scratch = guarded_new(op_memory_bytes(&d->split, 1));
  op_set_own(&d->call, &d->split);
}

/* Blocks from the last to the first: no order is promised. */
static inline void direct_run(Direct *d) {
  unsigned control = par_denormals_off();
  for (int phase = 0; phase < d->split.n_phases; phase++)
    for (int64_t b = d->split.n_blocks[phase] - 1; b >= 0; b--)
      d->call.op->run(&d->call, phase, b);
  par_denormals_restore(control);
}

static inline void direct_deinit(Direct *d) {
  for (int i = 0; i < d->call.n_in; i++) guarded_free(d->in[i].data);
  for (int o = 0; o < d->call.n_out; o++) guarded_free(d->out[o].data);
  guarded_free(d->call.scratch);
  free(d->split.n_blocks);
}

/* Returns new (free it): the elements as doubles. */
static inline double *array_doubles(const Array *a) {
  int64_t n = shape_count(&a->shape);
  double *v = malloc((size_t)(n + 1) * sizeof *v);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) v[i] = array_get(a, i);
  return v;
}

/* Are people to see a line per op? */
static inline bool verbose(void) { return getenv("RUNNER_VERBOSE") != NULL; }

#endif
