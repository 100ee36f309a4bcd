/* cache.h: plans found again by structure.
 *
 * A step builds its forward graph anew each time. Its Trace is that graph as a list;
 * the key of a trace says all that a plan depends on: ops, attributes, shapes, types,
 * which leaf is which variable, and words of the caller (the optimizer and its
 * settings). Numbers, stream positions and values are inputs and no part of it. A hit
 * skips everything that follows from the forward graph: gradient, updates, planning.
 *
 * Plans of steps and plans of values (values.c) are kept apart, at most CACHE_PLANS of
 * each: so no number of evaluations pushes out a plan of training. Of each the one
 * unused for longest makes room. */
#ifndef GRAPH_CACHE_H
#define GRAPH_CACHE_H

#include "graph/plan.h"

enum { CACHE_PLANS = 64 };

/* The nodes below some roots, in order; borrowed, valid while the graph lives. */
typedef struct Trace {
  Node **v;
  int64_t n;
  uint64_t *key;
  size_t *start; /* of each node's words in the key; then their end */
  size_t n_key;
  int64_t key_room;
  uint64_t hash;
} Trace;

/* Variables by position: a plan's inputs and updates name them so. */
typedef struct VariableList {
  Variable *const *v;
  int n;
} VariableList;

/* Lists what lies below the roots. Pending values of variables that were assigned
 * before `first_serial` are evaluated first. */
Err trace_list(Trace *out, Graph *graph, Node *const *roots, int n,
               uint64_t first_serial) WARN_UNUSED;
/* Makes the key; the roots are nodes of the list. */
Err trace_key(Trace *trace, Graph *graph, Node *const *roots, int n,
              VariableList variables, const uint64_t *words, int n_words) WARN_UNUSED;
void trace_deinit(Trace *trace);
/* The step is over: its nodes forget their inputs, so that one that is still held
 * somewhere (by a handle that was not collected) keeps nothing else alive. */
void trace_expire(Trace *trace, const Graph *graph);

/* Where an input of a plan comes from; the last two in place of FROM_TRACE where a plan
 * is run without a trace (bound.h). */
typedef enum PlanFrom {
  FROM_TRACE, FROM_VARIABLE, FROM_NUMBER, FROM_CONSTANT, FROM_ARGUMENT, FROM_READ
} PlanFrom;
typedef struct PlanSource {
  PlanFrom from;
  int64_t index;      /* in the trace, the variables, the numbers, the arguments */
  Tensor *constant;   /* of FROM_CONSTANT: retained */
  Variable *variable; /* of FROM_READ, as it is at the run: retained */
} PlanSource;

typedef struct CachedPlan {
  /* read-only */
  Plan *plan;
  PlanSource *in;
  int64_t *draw; /* place of each draw in the trace */
  int n_in, n_draws, n_roots;
  int pins; /* holders that keep it from being replaced */
  /* private */
  uint64_t *key, hash;
  uint64_t made, used; /* when, counted in uses of plans */
  size_t n_key;
  void **in_data, **root_data; /* room for a run */
  Range *known, *proved;       /* of its inputs, of its roots */
  Tensor **spare;              /* per root: memory kept from run to run, or NULL */
  Stream *streams;
} CachedPlan;

/* The first node at which the trace differs from the plan that was `made` so, and in
 * what, for people: "train.lua:12: dense_1: matmul (32x10): its shape was 31x10"; false
 * when that plan is no longer kept. */
bool trace_difference(const Trace *trace, const Graph *graph, uint64_t made, Text *out);

/* The plan of this structure, or NULL. */
CachedPlan *cache_find(Graph *graph, PlanUse use, const Trace *trace);
/* Is there a place for one more, or a plan without pins that the last `n_uses` uses of
 * plans were none of? */
bool cache_has_room(const Graph *graph, PlanUse use, uint64_t n_uses);
/* Plans all roots and keeps the plan under the trace's key. numbers[k] are 0-axis nodes
 * that the caller gives at each run. NULL and graph->fault on failure. */
CachedPlan *cache_add(Graph *graph, PlanUse use, const Trace *trace, Node *const *roots,
                      int n_roots, VariableList variables, Node *const *numbers,
                      int n_numbers);
void cache_clear(Graph *graph);

/* What a run is given, valid until it is over. */
typedef struct PlanGiven {
  const PlanSource *in; /* of each input */
  const Trace
      *trace; /* of the same structure, with the positions of draws; or NULL ... */
  const uint64_t *draw_key; /* ... and each draw is the next of this stream */
  VariableList variables;
  const real *numbers;
  Tensor *const *args;
} PlanGiven;
/* Fills cached->in_data, known and streams. */
void cached_bind(CachedPlan *cached, Graph *graph, const PlanGiven *given);

/* Runs what cached_bind and root_data say. */
Err cached_compute(Graph *graph, CachedPlan *cached) WARN_UNUSED;
/* The updates. Cannot fail. */
static inline void cached_commit(Graph *graph, CachedPlan *cached) {
  plan_commit(graph, cached->plan);
}
/* Between the two: root_data has changed for updates. */
void cached_redirect(Graph *graph, CachedPlan *cached);

/* Between the two. Is it proved that the updates make finite values (plan.h)? The last
 * roots are the new values of the variables, in their order. */
bool cached_proves_finite(Graph *graph, CachedPlan *cached);
/* Of a commit that follows from a proof: the variables have the versions that it gives
 * them, and know where their elements will lie. */
void cached_keep_ranges(const CachedPlan *cached, VariableList variables);

#endif
