/* plan.h: a graph compiled once, then only run.
 *
 * A plan knows the shapes of a graph, not its values: leaves (constants, variables) and
 * draws are given at each run, and so is the memory of the roots. Everything between
 * lives in the session's arena, at offsets given by lifetime. Elementwise ops one after
 * the other run as one pass over tiles; independent ops run as one job; ops that go row
 * by row run as a chain, in which rows stay with their thread. A run allocates nothing.
 *
 * Bits. A plan gives the same bytes as the naive executor: the same kernels run on the
 * same blocks, only where they read and write differs.
 *
 *   compute   everything but the optimizer's updates
 *   commit    the updates: ops of their own (OP_UPDATE) and the elementwise parts of
 *             rules (Node.rule) that make new values (op renew). They may write over
 *             what they read; one whose result something else than an update reads
 *             belongs to compute, and where it is a new value that is copied at
 *             commit */
#ifndef GRAPH_PLAN_H
#define GRAPH_PLAN_H

#include "graph/op.h"

typedef struct Plan Plan;

/* Compiles what lies below the roots. The graph's nodes are not needed afterwards. NULL
 * and graph->fault on failure. */
Plan *plan_new(Graph *graph, Node *const *roots, int n_roots);
void plan_free(Plan *plan); /* NULL is a no-op */

/* While the nodes live, after plan_new: the leaves in the order of inputs, the draws in
 * the order of streams. */
int plan_leaves(const Plan *plan, Node *const **out);
int plan_draws(const Plan *plan, Node *const **out);
/* Forgets the nodes of the two lists above. */
void plan_release_nodes(Plan *plan);

/* A node at which a plan begins: its value is given. */
bool plan_is_leaf(const Node *node);
Tensor *plan_leaf_value(const Node *leaf); /* borrowed */
void *plan_leaf_data(const Node *leaf);    /* of that value */

/* What a run is given: data of each leaf, memory for each root (of its size), streams
 * of the draws. The root of an update may be the memory of what it updates. */
typedef struct PlanRun {
  void *const *in;
  void *const *root;
  const Stream *draw;
} PlanRun;

/* Faults (data that an op refuses, interrupt, memory) stand in graph->fault. */
Err plan_compute(Graph *graph, Plan *plan, const PlanRun *run) WARN_UNUSED;
/* After plan_compute: is it proved that every value which the updates will write is
 * finite? A proof needs where the values lie that they begin with: `known`, per leaf
 * (op.h, Range; RANGE_UNKNOWN: it is measured), and where the gradients lie
 * (plan_proof.c). `out`, per root, is filled for the roots of updates. No proof does
 * not say that a value is not finite. */
bool plan_proves_finite(Graph *graph, Plan *plan, const Range *known, Range *out);
/* After plan_compute: other memory for the roots of updates. */
void plan_redirect(Graph *graph, Plan *plan, const PlanRun *run);
/* After plan_compute of the same run. Cannot fail. */
void plan_commit(Graph *graph, Plan *plan);

/* Is every element of a real array finite? True of integers. */
bool array_is_finite(Graph *graph, const Array *a);

/* Evaluates as graph_eval does, by a plan made for this call: for tests. */
Err plan_eval(Graph *graph, Node *const *nodes, int n) WARN_UNUSED;

typedef struct PlanSize {
  int n_nodes, n_groups, n_items, n_jobs;
  size_t arena_bytes; /* of the plan */
  size_t naive_bytes; /* sum of the buffers that the naive executor makes: values
                         and scratch memory, each rounded up as tensors are */
  int64_t n_looks;    /* taken spans of the arena that were looked at to place its
                         values: a measure of the work of planning */
} PlanSize;
PlanSize plan_size(const Plan *plan);
/* Passes, jobs, items, groups and where their values live: for people. */
void plan_dump(const Plan *plan, Text *out);

#endif
