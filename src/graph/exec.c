/* exec.c: the naive executor. Every node is computed by its op's own kernel, one after
 * the other, each into memory of its own. It decides nothing and is the oracle for
 * everything faster.
 *
 * A value is kept while it may be read: for roots, for nodes held from outside, and
 * until the last user below the roots has been computed. Nodes that depend on no
 * variable then forget their inputs. */
#include "graph/graph_private.h"
#include "base/sys.h"
#include <math.h>
#include <stdlib.h>

/* -- one node ---------------------------------------------------------------------- */

typedef struct Job {
  const OpCall *call;
  int phase;
} Job;

/* Blocks that an interrupt finds are left out; run_op then refuses the value. */
static void job_block(void *ctx, int64_t block) {
  const Job *job = ctx;
  if (!interrupt_pending()) job->call->op->run(job->call, job->phase, block);
}

enum { FEW_PHASES = 8 };

static Err run_phases(Graph *graph, OpCall call, int n_phases, int64_t *n_blocks) {
  OpSplit split = op_split(&call, n_phases, n_blocks);
  size_t room = (op_memory_bytes(&split, graph->par.threads) + 63) / 64 * 64;
  if (room && !(call.scratch = aligned_alloc(64, room)))
    return fault_memory(&graph->fault, room);
  op_set_own(&call, &split);
  for (int phase = 0; phase < split.n_phases; phase++) {
    Job job = {&call, phase};
    par_for(&graph->par, split.n_blocks[phase], split.work / split.n_phases, job_block,
            &job);
  }
  free(call.scratch);
  if (interrupt_pending())
    return fault_set(&graph->fault, ERR_INTERRUPT, "interrupted");
  return ERR_OK;
}

static Err run_op(Graph *graph, const OpCall *call) {
  int64_t few[FEW_PHASES], *n_blocks = few;
  int n_phases = op_phases(call);
  if (n_phases > FEW_PHASES) n_blocks = malloc((size_t)n_phases * sizeof *n_blocks);
  if (!n_blocks)
    return fault_memory(&graph->fault, (size_t)n_phases * sizeof *n_blocks);
  Err err = run_phases(graph, *call, n_phases, n_blocks);
  if (n_blocks != few) free(n_blocks);
  return err;
}

/* Shares storage where the op only renames it: read, pick, reshape, leading slice. */
static Err alias(Graph *graph, Node *node, int output, int64_t offset) {
  Tensor *source = node->in[0]->value[output];
  node->value[0] = tensor_view(source, offset, &node->shape, &graph->fault);
  return graph->fault.code;
}

/* Computes the value of one node whose inputs have theirs. */
static Err node_compute(Graph *graph, Node *node) {
  const Op *op = node->op;
  if (op == &op_record_pick) return alias(graph, node, (int)node->attr[0].i, 0);
  if (op == &op_record_read) return alias(graph, node, 0, 0);
  int64_t offset = op->view ? op->view(node) : -1;
  if (offset >= 0) return alias(graph, node, 0, offset);

  Array in[MAX_IN], out[MAX_OUT];
  for (int i = 0; i < node->n_in; i++) in[i] = node->in[i]->value[0]->a;
  for (int o = 0; o < node->n_out; o++) {
    node->value[o] = tensor_new(&graph->memory, node->out_dtype[o], &node->out_shape[o],
                                &graph->fault);
    if (!node->value[o]) break;
    out[o] = node->value[o]->a;
  }
  OpCall call = {.op = op, .n_in = node->n_in, .n_out = node->n_out,
                 .n_attr = node->n_attr, .in = in, .out = out, .attr = node->attr};
  if (!graph->fault.code && op->check) op->check(&call, &graph->fault);
  if (!graph->fault.code) run_op(graph, &call);
  if (graph->fault.code) {
    char label[256];
    node_drop_values(node);
    fault_prefix(&graph->fault, "%s", node_label(label, sizeof label, node));
    graph->fault.located = node->file != NULL;
  }
  return graph->fault.code;
}

/* -- all nodes below some roots ---------------------------------------------------- */

typedef struct Run {
  Graph *graph;
  Walk walk;
  int64_t *n_users; /* still to be computed */
  bool *fresh;      /* computed by this run */
} Run;

static bool has_value(const Node *node) { return node->value[0] != NULL; }

static Err run_init(Run *run, Graph *graph, Node *const *roots, int n,
                    bool (*stop)(const Node *node)) {
  *run = (Run){.graph = graph};
  if (walk_collect(graph, &run->walk, roots, n, stop)) return graph->fault.code;
  size_t count = (size_t)run->walk.n;
  run->n_users = calloc(count + 1, sizeof *run->n_users);
  run->fresh = calloc(count + 1, sizeof *run->fresh);
  if (!run->n_users || !run->fresh)
    return fault_memory(&graph->fault, count * sizeof *run->n_users);
  for (int64_t i = 0; i < run->walk.n; i++) {
    Node *node = run->walk.v[i];
    if (has_value(node)) continue;
    for (int k = 0; k < node->n_in; k++) run->n_users[node->in[k]->index]++;
  }
  for (int i = 0; i < n; i++) run->n_users[roots[i]->index]++; /* roots stay */
  return ERR_OK;
}

static void run_deinit(Run *run) {
  walk_deinit(&run->walk);
  free(run->n_users);
  free(run->fresh);
}

/* One user of `node` is done: drops its value when no other will read it. */
static void used(Run *run, Node *node) {
  if (--run->n_users[node->index] == 0 && run->fresh[node->index] && !node->handles)
    node_drop_values(node);
}

static Err run_all(Run *run) {
  for (int64_t i = 0; i < run->walk.n; i++) {
    Node *node = run->walk.v[i];
    if (has_value(node)) continue;
    if (interrupt_pending())
      return fault_set(&run->graph->fault, ERR_INTERRUPT, "interrupted");
    if (node_compute(run->graph, node)) return run->graph->fault.code;
    run->fresh[i] = true;
    for (int k = 0; k < node->n_in; k++) used(run, node->in[k]);
  }
  return ERR_OK;
}

/* In order of making: a node freed by a later one's forgetting was looked at before.
 * What forgets remembers what it was computed from, unless no_origins is set. */
Err walk_forget(Graph *graph, const Walk *walk, const bool *fresh) {
  Origins *below = NULL;
  bool ok = true;
  for (int64_t i = 0; ok && i < walk->n; i++) {
    Node *node = walk->v[i];
    if (!fresh[i] || node->tracked || !node->in) continue;
    bool forgets = has_value(node);
    if (!graph->no_origins && !origin_is_leaf(node)) {
      if (!below) below = calloc((size_t)walk->n + 1, sizeof *below);
      ok = below && origins_of_inputs(node, below);
      if (ok && forgets) ok = origins_keep(node, &below[i]);
    }
    if (ok && forgets) node_forget_inputs(node);
  }
  origins_free(below, walk->n);
  return ok ? ERR_OK : fault_memory(&graph->fault, (size_t)walk->n * sizeof *below);
}

static void run_undo(Run *run) {
  for (int64_t i = 0; i < run->walk.n; i++)
    if (run->fresh[i]) node_drop_values(run->walk.v[i]);
}

Err graph_eval(Graph *graph, Node *const *nodes, int n) {
  if (graph->fault.code) return graph->fault.code;
  Run run;
  Err err = run_init(&run, graph, nodes, n, has_value);
  if (!err) {
    unsigned control = par_denormals_off();
    err = run_all(&run);
    par_denormals_restore(control);
    if (err) run_undo(&run);
    else err = walk_forget(graph, &run.walk, run.fresh);
  }
  run_deinit(&run);
  return err;
}

/* -- the same at other values of variables ----------------------------------------- */

/* What all nodes of a walk have meanwhile put aside. */
typedef struct Aside {
  Tensor *value[MAX_OUT];
  bool leaf;
} Aside;

/* What a leaf that reads one of the variables is to have; NULL: it reads none. */
static Tensor *value_at(const Graph *graph, const EvalAt *what, const Node *leaf) {
  if (!variable_read_at_begin(graph, leaf)) return NULL;
  for (int k = 0; k < what->n_v; k++)
    if (what->v[k] == leaf->var) return what->at[k];
  return NULL;
}

/* Leaves have their values, or the others; all else has none. */
static Err put_aside(Run *run, const EvalAt *what, Aside *aside) {
  for (int64_t i = 0; i < run->walk.n; i++) aside[i].leaf = what->leaf(run->walk.v[i]);
  for (int64_t i = 0; i < run->walk.n; i++) {
    Node *node = run->walk.v[i];
    for (int o = 0; o < node->n_out; o++) {
      aside[i].value[o] = node->value[o];
      node->value[o] = NULL;
    }
  }
  for (int64_t i = 0; i < run->walk.n; i++) {
    Node *node = run->walk.v[i];
    Tensor *at = aside[i].leaf ? value_at(run->graph, what, node) : NULL;
    if (at) node->value[0] = tensor_retain(at);
    for (int o = 0; aside[i].leaf && !at && o < node->n_out; o++)
      if (aside[i].value[o]) node->value[o] = tensor_retain(aside[i].value[o]);
    if (aside[i].leaf && !has_value(node) && node_compute(run->graph, node))
      return run->graph->fault.code;
  }
  return ERR_OK;
}

static void put_back(Run *run, const Aside *aside) {
  for (int64_t i = 0; i < run->walk.n; i++) {
    Node *node = run->walk.v[i];
    node_drop_values(node);
    for (int o = 0; o < node->n_out; o++) node->value[o] = aside[i].value[o];
  }
}

static void count_users(Run *run, const EvalAt *what, const Aside *aside) {
  for (int64_t i = 0; i < run->walk.n; i++)
    for (int k = 0; !aside[i].leaf && k < run->walk.v[i]->n_in; k++)
      run->n_users[run->walk.v[i]->in[k]->index]++;
  for (int r = 0; r < what->n_roots; r++) run->n_users[what->root[r]->index]++;
}

Err graph_eval_at(Graph *graph, const EvalAt *what, Tensor **out) {
  if (graph->fault.code) return graph->fault.code;
  Run run = {.graph = graph};
  if (walk_collect(graph, &run.walk, what->root, what->n_roots, what->leaf))
    return graph->fault.code;
  size_t count = (size_t)run.walk.n + 1;
  Aside *aside = calloc(count, sizeof *aside);
  run.n_users = calloc(count, sizeof *run.n_users);
  run.fresh = calloc(count, sizeof *run.fresh);
  Err err = aside && run.n_users && run.fresh
                ? ERR_OK
                : fault_memory(&graph->fault, count * sizeof *aside);
  unsigned control = par_denormals_off();
  if (!err) {
    count_users(&run, what, aside);
    err = put_aside(&run, what, aside);
    if (!err) err = run_all(&run);
    for (int r = 0; !err && r < what->n_roots; r++)
      out[r] = tensor_retain(what->root[r]->value[0]);
    put_back(&run, aside);
  }
  par_denormals_restore(control);
  run_deinit(&run);
  free(aside);
  return err;
}

/* -- finding the first value that is not finite ------------------------------------ */

/* Index from 1 of the first element that is not finite; 0: none. */
static int64_t first_bad(const Array *a) {
  if (a->dtype != DT_REAL) return 0;
  for (int64_t i = 0; i < shape_count(&a->shape); i++)
    if (!isfinite((double)((const real *)a->data)[i])) return i + 1;
  return 0;
}

/* "[3, 7]": a flat index (from 1) as one index per axis. */
static void add_index(Text *out, const Shape *shape, int64_t flat) {
  text_add(out, "[");
  for (int axis = 0; axis < shape->rank; axis++) {
    int64_t i = (flat - 1) / shape_stride(shape, axis) % shape->dim[axis];
    text_addf(out, "%s%lld", axis ? ", " : "", (long long)i + 1);
  }
  text_add(out, "]");
}

/* The variable whose value the node is, if it is one of the walk: its value was bad
 * before the step. */
static const Variable *variable_of(const Walk *walk, const Node *node) {
  if (node->var) return node->var;
  for (int64_t i = node->index + 1; i < walk->n; i++) {
    const Node *read = walk->v[i];
    if (read->var && read->in && read->in[0] == node) return read->var;
  }
  return NULL;
}

bool array_explain_nonfinite(const Array *a, Text *out) {
  int64_t bad = first_bad(a);
  if (!bad) return false;
  char value[32];
  text_addf(out, "%s at ", text_number(value, array_get(a, bad - 1)));
  add_index(out, &a->shape, bad);
  return true;
}

static bool explain_node(const Walk *walk, Node *node, Text *out, const char **layer) {
  for (int o = 0; o < node->n_out; o++) {
    const Array *a = &node->value[o]->a;
    if (!first_bad(a)) continue;
    char label[256];
    const Variable *variable = variable_of(walk, node);
    if (variable && variable->name) text_addf(out, "%s already was", variable->name);
    else text_addf(out, "first in %s", node_label(label, sizeof label, node));
    text_add(out, " ");
    array_explain_nonfinite(a, out);
    *layer = node->layer;
    return true;
  }
  return false;
}

/* Looks at all values, also those that are there already: a bad one may lie below. */
void graph_explain_nonfinite(Graph *graph, Node *node, Text *out, const char **layer) {
  *layer = NULL;
  Run run = {.graph = graph};
  if (walk_collect(graph, &run.walk, &node, 1, NULL)) return;
  run.fresh = calloc((size_t)run.walk.n + 1, sizeof *run.fresh);
  unsigned control = par_denormals_off();
  bool found = !run.fresh;
  for (int64_t i = 0; !found && i < run.walk.n; i++) {
    Node *at = run.walk.v[i];
    if (!has_value(at)) {
      if (node_compute(graph, at)) break;
      run.fresh[i] = true;
    }
    found = explain_node(&run.walk, at, out, layer);
  }
  par_denormals_restore(control);
  if (run.fresh) run_undo(&run);
  run_deinit(&run);
}
