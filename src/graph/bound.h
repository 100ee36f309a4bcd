/* bound.h: where the inputs of a plan come from, and a plan that is run again without a
 * trace.
 *
 * A trace finds a plan and says what its inputs are. A BoundPlan keeps that answer:
 * each input is an argument, a variable at the moment of the run, a number of the
 * caller or a constant; each draw is the next of its stream. It runs as often as its
 * arguments have the same shapes, without a graph and without an allocation. */
#ifndef GRAPH_BOUND_H
#define GRAPH_BOUND_H

#include "graph/cache.h"

/* The tensors that change from run to run, by position. Borrowed. */
enum { BOUND_ARGS = 12 };
typedef struct PlanArgs {
  Tensor *const *v;
  int n;
} PlanArgs;

typedef struct BoundPlan {
  /* read-only */
  CachedPlan *cached; /* pinned; NULL: nothing is bound */
  Tensor **out;       /* values of the first n_out roots, after a run */
  int n_out;
  /* private */
  Graph *graph;
  PlanSource *in; /* of each input of the plan; its constants and variables are
                     retained */
  uint64_t *draw_key;
  uint64_t signature, seed;
  uint32_t seeding;  /* streams are known by keys, which come from the seed */
  uint64_t reshaped; /* variables are read with the shapes that they had */
  Shape arg_shape[BOUND_ARGS];
  DType arg_dtype[BOUND_ARGS];
  int n_args;
} BoundPlan;

/* Binds the plan of the trace, whose first n_out roots are results. `signature`: of all
 * settings that the graph followed from. Nothing is bound where arguments share memory
 * or memory lacks. `out` is all zero, or released. */
void bound_take(BoundPlan *out, Graph *graph, CachedPlan *cached, const Trace *trace,
                Node *const *root, int n_out, const PlanArgs *args, uint64_t signature);
void bound_release(BoundPlan *bound); /* of all zero: a no-op */

/* Would a graph that is built now be that of the plan: the same shapes, settings,
 * streams? */
bool bound_fits(const BoundPlan *bound, uint64_t signature, const PlanArgs *args);

/* Fills in_data, streams and the first n_out of root_data for a run; the others are the
 * caller's. Values that variables were given before and that are not computed yet are
 * computed. */
Err bound_begin(BoundPlan *bound, const PlanArgs *args, VariableList variables,
                const real *numbers, Fault *fault) WARN_UNUSED;

/* -- graphs that are built and computed batch after batch -------------------------- */

enum { REPEAT_OUT = 3 };
typedef struct Repeat {
  /* set by the caller */
  Graph *graph;
  /* Builds the graph of a batch: out[0 .. *n_out - 1] are to be computed. */
  Err (*emit)(void *ctx, Node **out, int *n_out, Fault *fault);
  void *ctx;
  bool bindable; /* it follows from the signature and the arguments' shapes: emit
                    runs no function of the user */
  /* after a batch, until the next */
  Tensor *value[REPEAT_OUT]; /* retained */
  int n_values;
  /* private */
  BoundPlan bound;
} Repeat;

/* One batch: by the plan of the one before where that fits, without emit; else as
 * graph_value does. `n_batches`: so many of these shapes are to come, with this one. */
Err repeat_run(Repeat *repeat, const PlanArgs *args, uint64_t signature,
               int64_t n_batches, Fault *fault) WARN_UNUSED;
void repeat_end(Repeat *repeat);

#endif
