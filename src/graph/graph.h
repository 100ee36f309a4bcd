/* graph.h: expressions. A Node is an immutable value that may not have been computed
 * yet.
 *
 * Invariants
 *   - A node's shape and dtype are known when it is made; a wrong shape is an error
 *     there.
 *   - What a node's value is never changes: a Variable changes by pointing at another
 *     node.
 *   - A node holds its inputs until it is evaluated and not tracked; then it forgets
 *     them. Tracked nodes (those that depend on a variable) keep their history for
 *     graph_grad, up to a length: see history.c.
 *   - Draws fix their stream position when made, as an attribute.
 *
 * Ownership. A Graph is a session: all nodes, streams and counters of one script.
 * Functions that make nodes return them *borrowed*, valid until the innermost
 * graph_scope ends; whoever keeps one longer retains it. Constructors accept NULL
 * inputs and then return NULL, and the first failure stays in graph->fault: so a chain
 * of calls is checked once, at its end. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/par.h"
#include "base/philox.h"
#include "tensor/tensor.h"

typedef struct Graph Graph;
typedef struct Node Node;
typedef struct Op Op;
typedef struct Variable Variable;
typedef struct Origins Origins;

enum { MAX_OUT = 4, MAX_IN = 64, GRAPH_KEPT = 4096 };

typedef union Attr {
  int64_t i;
  double f;
} Attr;

/* What is known of a value before it is computed: see known.c. Dropout counts as
 * nothing. */
typedef struct Known {
  double lo, hi; /* no element is below or above */
  double total;  /* of each row along the last axis; NaN: not known */
  bool logs;     /* exponentials of a row sum to 1 */
} Known;

struct Node {
  /* read-only */
  const Op *op;
  Shape shape; /* of output 0 */
  DType dtype;
  int n_in, n_attr, n_out;
  Node **in; /* retained; NULL once forgotten */
  Attr *attr;
  const Shape *out_shape; /* n_out of them */
  const DType *out_dtype;
  Variable *var;   /* of a read: the variable; its value may be gone */
  bool tracked;    /* depends on a variable, or was marked by graph_track */
  bool forgotten;  /* had inputs, has none any more */
  bool net_output; /* returned by a net: a cross-entropy takes it for logits */
  bool sequence;   /* [N, T, ..., features], as a layer of sequences gives it */
  uint32_t rule;   /* number of the optimizer's rule for one parameter that it is part
                      of: it may wait for the commit of a plan; 0: none */
  Known known;
  const char *layer; /* interned path of the layer that made it, or NULL */
  const char *file;  /* interned script name, or NULL */
  int line;
  uint64_t serial; /* order of making: inputs have smaller ones */
  uint32_t step;   /* transaction in which it was made, with which it expires;
                      0: none */
  /* private to graph/ */
  Graph *graph; /* whose list of free blocks its memory goes back to */
  int refs;
  int handles;            /* holders outside the graph: its value is worth keeping */
  int depth;              /* longest path of unevaluated nodes below it */
  int64_t history;        /* upper bound of the nodes below it: see history.c */
  Origins *from;          /* what it was computed from, once it has forgotten */
  size_t pending_bytes;   /* of values that wait for its evaluation: upper bound */
  Tensor *value[MAX_OUT]; /* all or none */
  uint64_t mark;          /* of the walk that visited it last */
  int64_t index;          /* its place in that walk */
  Node *link;             /* next of those about to be freed */
};

/* Blocks of nodes that were freed, by size: a step makes and frees hundreds. None are
 * kept in a build whose heap is watched, so that a use after a free is seen. */
enum { NODE_CLASSES = 16, NODE_CLASS_BYTES = 64 };
#ifdef WATCHED_HEAP
enum { FREE_NODES = 0 };
#else
enum { FREE_NODES = 8192 };
#endif

/* -- session ----------------------------------------------------------------------- */

typedef struct Counter {
  uint64_t key;
  uint64_t count;
} Counter;

/* What names streams and records in a run. Setting the seed anew restarts all but
 * `fits`. */
typedef struct RunCounts {
  int nets;         /* since the seed was set, by build */
  int fits;         /* in the run: records and checkpoints are named by it */
  int fit_streams;  /* since the seed was set */
  uint32_t seeding; /* number of that setting: nets from before it count anew */
} RunCounts;

/* What plans are kept for: steps, and values that are looked at. */
typedef enum PlanUse { PLANS_OF_STEPS, PLANS_OF_VALUES, N_PLAN_USES } PlanUse;
typedef struct PlanStore {
  struct CachedPlan **v;
  int n;
} PlanStore;
enum { PLAN_SIGHTS = 128 };

struct Graph {
  /* public: set by whoever drives the session */
  Par par;
  uint64_t seed;
  bool training;     /* mode of layers: see train/step */
  bool dropout;      /* in inference, too, dropouts draw: Monte-Carlo dropout */
  bool statistics;   /* in inference normalizations take their batch, whose statistics
                        become the running ones: train/refresh.h */
  Node *penalty;     /* what layers add to the loss of the step under way, retained; or
                        NULL: graph_penalize */
  const char *layer; /* label for nodes being made */
  void *net;         /* the net that is being called (nn/net.c), or NULL */
  struct Sight *sight; /* which keys attention in it may see (nn/sight.h); NULL: all */
  const char *file;    /* script line for nodes being made */
  int line;
  Fault fault; /* the first failure since graph_ok */
  MemoryCount memory;
  RunCounts count;
  Text *dump;        /* the stages of the first built step go there; NULL: none */
  bool static_trace; /* the function of a static step runs: values are not there */
  bool naive;        /* all is run by the naive executor, the oracle */
  bool checked;      /* plans are verified after each pass; preset in checked
                        builds (-DRUNNER_CHECKED) */
  unsigned warned;   /* bits of GraphWarning that were given */
  int whole_history; /* > 0: none is cut, in functions given to grad */
  bool no_origins;   /* what is evaluated ends with its transaction, and no gradient
                        of it is asked for: what it came from is not remembered */
  uint32_t rule, n_rules; /* of nodes being made, 0: none; and the last number given */
  /* private */
  uint64_t next_serial, walk;
  Node *free_nodes[NODE_CLASSES]; /* linked by `link` */
  int n_free_nodes;
  uint64_t counted_at; /* serial at which a history was counted last */
  bool many_origins;   /* some node was computed from more than it remembers */
  int n_gradients;     /* under way: nothing is evaluated meanwhile, for evaluation
                          renumbers nodes and lets them forget their inputs */
  Node **pool;         /* borrowed nodes of the open scopes */
  int n_pool;
  int64_t pool_room;
  Counter *counters; /* read-only: draws made from each stream so far */
  int n_counters;
  int next_counter; /* behind the last that was drawn from */
  int64_t counter_room;
  struct Undo *undo; /* of the open transaction */
  int n_undo;
  int64_t undo_room;
  bool in_transaction;
  Node **kept; /* held until the open transaction ends: graph_keep */
  int n_kept;
  int64_t kept_room;
  uint64_t first_serial;  /* of nodes made in the open transaction */
  uint32_t step, n_steps; /* number of the open transaction, 0: none; and the last */
  int n_counters_at_begin;
  uint64_t seed_at_begin;
  RunCounts count_at_begin;
  uint32_t n_seedings; /* the last number given to a setting of the seed */
  uint64_t n_reshaped; /* assignments of other rows to variables (any_rows) */
  bool named;          /* the open transaction named a net or a stream */
  uint32_t
      *void_steps; /* taken back, in order: names that they gave count for nothing */
  int n_void_steps;
  int64_t void_room;
  Counter *counters_at_begin;
  int64_t begin_room;
  PlanStore plans[N_PLAN_USES]; /* found again by structure: cache.h */
  uint64_t plan_uses;
  bool begins_at_values; /* plans being made begin at every value that is there, also at
                            one through which a gradient could flow */
  uint64_t sights[PLAN_SIGHTS]; /* keys of graphs that were computed without a plan: a
                                   ring */
  int next_sight;
  int64_t plan_debt;    /* what planning values has cost and their runs not saved yet */
  unsigned char *arena; /* of plans: one runs at a time */
  size_t arena_bytes;
  char **interned; /* places of a hash table; NULL: free */
  int64_t n_interned, interned_room;
};

/* threads as in par_init. */
Err graph_open(Graph *graph, int threads, uint64_t seed, Fault *fault) WARN_UNUSED;
void graph_close(Graph *graph);

/* Has nothing failed? Else moves the fault out (to `fault`, unless NULL) and clears
 * it. */
Err graph_ok(Graph *graph, Fault *fault) WARN_UNUSED;

/* Nodes made between begin and end are released at the end, unless retained. */
int graph_scope_begin(Graph *graph);
void graph_scope_end(Graph *graph, int scope);

/* Keeps a node that the caller may not own until the current scope ends; NULL-safe. */
Node *graph_borrow(Graph *graph, Node *node);

/* Adds a number without axes to the loss of the step under way. */
void graph_penalize(Graph *graph, Node *penalty);
/* The sum of what was added since, borrowed until the scope ends, and takes it away;
 * NULL: nothing. */
Node *graph_take_penalty(Graph *graph);

/* One copy of the string for the session's life. */
const char *graph_intern(Graph *graph, const char *string);

/* The next draw of the stream (graph seed, purpose, name): fixes its position. */
Stream graph_draw(Graph *graph, const char *purpose, const char *name);
/* The only one of a stream that nothing else draws from: none is counted. */
Stream graph_draw_once(const Graph *graph, const char *purpose, const char *name);
/* The next draw of a stream whose key is known, as of an earlier graph_draw. */
Stream graph_draw_again(Graph *graph, uint64_t key);
/* Sets the seed and starts all streams anew, from their names on: what is drawn
 * afterwards depends on nothing that was made before, if the counts of nets and fits
 * restart, too. */
void graph_seed(Graph *graph, uint64_t seed);
void graph_restart_counts(Graph *graph);
/* Was the transaction of this number one that named nets or streams and was taken
 * back? */
bool graph_is_void(const Graph *graph, uint32_t step);
/* Sets the seed and how far all streams are: `counters` as they were in
 * graph->counters. */
Err graph_set_streams(Graph *graph, uint64_t seed, const Counter *counters, int n,
                      Fault *fault) WARN_UNUSED;

/* A line on stderr that a session gives once, with the script line of the node; NULL:
 * the one under way. */
typedef enum GraphWarning {
  WARN_NORMALIZED, WARN_BOUNDED, WARN_BROADCAST, WARN_UNTRAINED
} GraphWarning;
void graph_warn(Graph *graph, GraphWarning which, const Node *node, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* -- nodes ------------------------------------------------------------------------- */

Node *node_retain(Node *node);
void node_release(Node *node); /* NULL is a no-op */
/* A handle is a retained reference from outside (Lua, a variable): values of such nodes
 * are kept once computed. */
Node *node_hold(Node *node);
void node_drop(Node *node); /* NULL is a no-op */

/* A node with a given value; takes no reference of its caller's (retains the
 * tensor). */
Node *graph_const(Graph *graph, Tensor *value);
/* A 0-axis real constant. */
Node *graph_scalar(Graph *graph, double value);
/* As graph_const, from plain numbers; used by tests and readers. */
Node *graph_from_doubles(Graph *graph, DType dtype, const Shape *shape,
                         const double *v);

/* The same value as `x` as another node, cut from its history: no gradient flows on
 * into x, be it a leaf. NULL-safe; evaluates nothing. */
Node *graph_detach(Graph *graph, Node *x);
/* x itself where it is not tracked, else cut from its history; NULL-safe. */
Node *graph_untracked(Graph *graph, Node *x);
/* The same value as `x` as another node to differentiate by; gradients of gradients
 * still flow on into x. Tracked, so that what is computed from it keeps its history. */
Node *graph_track(Graph *graph, Node *x);

/* The general constructor; the named ones in ops.h call it. */
Node *graph_apply(Graph *graph, const Op *op, Node *const *in, int n_in,
                  const Attr *attr, int n_attr);
/* Output `i` of a node with several. */
Node *graph_pick(Graph *graph, Node *node, int i);

/* The node does not expire with the transaction in which it was made. */
void node_outlive(Node *node);
/* Was it made in a transaction that has ended? Then the fault says so. */
bool graph_expired(Graph *graph, const Node *node);
/* The same of a transaction's number, as nodes have it. */
bool graph_step_over(Graph *graph, uint32_t step);
/* Holds a node of the open transaction until that ends; false, and nothing done, for
 * any other node and when GRAPH_KEPT are held. */
bool graph_keep(Graph *graph, Node *node);

extern const Known KNOWN_NOTHING;
#define KNOWN_SLACK 1e-6 /* of bounds and totals: what rounding may add */
/* Is every element in [0, 1]? Does each row along the last axis sum to 1 besides? */
bool known_probabilities(const Known *known);
bool known_distributions(const Known *known);

/* -- variables --------------------------------------------------------------------- */

struct Variable {
  /* read-only */
  int refs;
  bool has_value;   /* false until first assigned */
  char *name;       /* "dense_1.weight"; NULL while it has none */
  Node *current;    /* held: what it stands for now, perhaps not computed yet */
  uint64_t version; /* grows with every assignment */
  /* private; here because each step needs them with the version */
  double lo, hi;    /* where its elements lie (op.h, Range) ... */
  uint64_t bounded; /* ... as long as this is its version */
  Node *leaf;       /* the read of `version`, made once */
  /* public */
  bool trainable;       /* optimizers may change it */
  bool frozen;          /* by net:freeze */
  struct Object *limit; /* retained: bounds what an update gives (nn/regular.h); or
                           NULL */
  int units_axis;       /* along which it does; from 0, below it the last */
  bool any_rows;        /* the first axis is that of a batch: of values of other rows */
  /* private */
  int n_reads;          /* nodes that read it: they keep the struct, not the value */
  int n_pending;        /* assignments since it last stood for a computed value */
  uint64_t first_read;  /* serial of the first node that read it */
  uint32_t assigned_in; /* the last transaction that assigned it ... */
  Node *before;         /* ... and what it stood for before, borrowed */
  int place;            /* in the last list that it was looked up in */
  bool loose;       /* a script's own, of no layer, and no step was made to train it:
                       made at ... */
  const char *file; /* ... this line; interned, or NULL */
  int line;
};

Variable *variable_new(const char *name, Fault *fault); /* name may be NULL */
Variable *variable_retain(Variable *v);
Variable *
variable_claim(Variable *v); /* the same for who trains it: it is loose no more */
void variable_release(Variable *v);
Err variable_rename(Variable *v, const char *name, Fault *fault) WARN_UNUSED;
void variable_limit(Variable *v, struct Object *limit, int units_axis); /* NULL: none */

/* What it stands for at this moment, as a leaf of the graph: later assignments do not
 * change it. A fault when it has no value yet ("build the net first"). */
Node *variable_read(Graph *graph, Variable *v);
/* From now on it stands for `value` (detached, evaluated when it is looked at or when
 * the chain gets long). The first assignment fixes shape (without rows, if any_rows)
 * and dtype. Inside a transaction it is undone by graph_rollback. */
Err variable_assign(Graph *graph, Variable *v, Node *value) WARN_UNUSED;
/* May a value of this shape be assigned? */
bool variable_fits(const Variable *v, const Shape *shape);

/* Has the open transaction assigned it? */
static inline bool variable_is_assigned(const Graph *graph, const Variable *v) {
  return graph->step && v->assigned_in == graph->step;
}

/* What it stood for when the open transaction began; what it stands for now, if it has
 * not been assigned since or had no value then. */
static inline Node *variable_at_begin(const Graph *graph, const Variable *v) {
  return variable_is_assigned(graph, v) && v->before ? v->before : v->current;
}
/* Does this read of a variable give that? One made before an earlier assignment does
 * not. */
static inline bool variable_read_at_begin(const Graph *graph, const Node *read) {
  return read->var && read->in && read->in[0] == variable_at_begin(graph, read->var);
}

/* The variable's value was written in place: reads made from now on are new ones. */
void variable_touch(Variable *v);
/* Is the variable the only holder of its value (computed), so that it may be written
 * over? */
bool variable_owned(const Variable *v);

/* Takes back what the open transaction assigned to the variable, if anything, and gives
 * the value that it had before the tensor *t, of its shape, in exchange for its own.
 * Only where that value has no other holder. */
bool variable_can_swap(const Graph *graph, const Variable *v);
void variable_swap(Graph *graph, Variable *v, Tensor **t);

/* -- transactions: compute, check, commit ------------------------------------------ */

/* Between begin and commit every assignment, draw and count can be undone. They do not
 * nest: begin inside one is a caller's bug. */
/* Nodes made in a transaction expire when it ends: using one later is an error. */
void graph_begin(Graph *graph);
void graph_commit(Graph *graph);
void graph_rollback(Graph *graph);
/* Variable of assignment number i (from 0) since graph_begin; NULL behind the last. */
Variable *graph_assigned(const Graph *graph, int i);

/* -- gradient ---------------------------------------------------------------------- */

/* out[i] = d(y . gy) / d wrt[i] as new nodes. gy NULL: y must have one element. Each
 * wrt is a real node below y, held since before anything below y was evaluated; of a
 * read, all reads of the same variable count. One that y does not depend on gives
 * zeros; through an op that is not differentiable nothing flows. A fault when history
 * on the way was forgotten. */
Err graph_grad(Graph *graph, Node *y, Node *gy, Node *const *wrt, int n,
               Node **out) WARN_UNUSED;

/* -- execution: the naive executor, op by op --------------------------------------- */

/* Computes the values of the nodes. Afterwards graph_value is not NULL for each. On a
 * fault (data that an op refuses, memory, interrupt) values computed so far are
 * dropped. */
Err graph_eval(Graph *graph, Node *const *nodes, int n) WARN_UNUSED;

/* The values that the roots would have if variables had others: v[k] that of at[k].
 * What `leaf` answers yes of, and reads of other variables, stay as they are; draws are
 * the same again. The values of all nodes are afterwards what they were. out[r]: new
 * references, the caller's. */
typedef struct EvalAt {
  Node *const *root;
  int n_roots;
  bool (*leaf)(const Node *node);
  Variable *const *v;
  Tensor *const *at;
  int n_v;
} EvalAt;
Err graph_eval_at(Graph *graph, const EvalAt *what, Tensor **out) WARN_UNUSED;

/* The value of an evaluated node (output 0), borrowed; NULL when not evaluated. */
Tensor *node_value(const Node *node);
/* Computes it first where it has no value: the same values and the same faults as
 * graph_eval, by a plan where the like of the graph was computed before and that pays:
 * see values.c. NULL and graph->fault on failure. */
Tensor *graph_value(Graph *graph, Node *node);

/* Adds "nan at [3, 7]", the first element that is not finite; false, and nothing is
 * added: all are. */
bool array_explain_nonfinite(const Array *a, Text *out);

/* Recomputes what lies below `node` in order and describes the first value that is not
 * finite: layer, op, index. Adds to `out`; nothing when all is finite. *layer is the
 * layer's label, interned; NULL: the value is of no layer. */
void graph_explain_nonfinite(Graph *graph, Node *node, Text *out, const char **layer);

/* The nodes below `roots` in order, one line each: for people. */
void graph_dump(Graph *graph, Node *const *roots, int n, Text *out);

#endif
