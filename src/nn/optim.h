/* optim.h: optimizers as records.
 *
 * An optimizer emits update nodes; it changes nothing itself. Its slots (velocity,
 * moments) are variables, one set per parameter, found by the parameter's identity.
 * What changes from step to step (rates, corrections) are 0-axis nodes made anew at
 * each step, so they are inputs of the step and no part of its structure; every other
 * option is part of it.
 *
 * A kind is its struct, its options and its OptimKind in one file, optim_<name>.c, and
 * one line of optimizers.def.
 *
 * A kind may have a second way to update: it looks at all parameters as one vector and
 * evaluates loss and gradient again, at points of its choice, before the step ends (a
 * line search). Such a step emits nothing: OptimSearch.
 *
 * Schedules count the optimizer's steps. Corrections of bias count the updates of each
 * parameter: one that joins later (thawed, added, of another net) begins at its
 * first. */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include "base/record.h"
#include "graph/graph.h"
#include "nn/schedule.h"
#include <stddef.h>

/* -- optimizers -------------------------------------------------------------------- */

typedef struct OptimSlots {
  Variable *param; /* retained */
  Variable **slot; /* of the kind's list, in its order, "<param>.velocity" and so
                      on; NULL: never used */
  int64_t t;       /* updates of the parameter by this optimizer */
} OptimSlots;

/* Parameters with a rate or a weight decay of their own, by their names. */
typedef struct OptimGroup {
  Object object;
  char *pattern;
  double lr, weight_decay; /* NaN: those of the optimizer */
  /* read-only */
  double rate; /* of the last step */
  bool met;    /* a variable of what is trained has such a name */
} OptimGroup;

/* What every optimizer is; a kind's own struct begins with it. */
typedef struct Optimizer {
  Object object;
  /* options */
  double lr, weight_decay, decay;
  double clipnorm, global_clipnorm, clipvalue; /* NaN: none */
  Schedule *schedule;                          /* NULL: lr as it is */
  ObjectList groups;                           /* of OptimGroup */
  int64_t accumulate; /* steps whose gradients are one update's; 1: each */
  int64_t lookahead;  /* updates from one look back to the next; 0: none */
  double lookahead_share;
  /* read-only */
  int64_t t;          /* updates done: steps, but for those that only accumulate */
  int64_t epoch;      /* set by fit, from 1; 0 outside of it */
  bool last;          /* set by fit: the step ends an epoch, so it updates */
  double rate;        /* of the last update */
  int64_t n_gathered; /* steps since the last update, where steps accumulate */
  double gathered;    /* what their gradients count in all */
  OptimSlots *slots;
  int n_slots;
  int64_t slot_room;
} Optimizer;

/* -- for the kinds ----------------------------------------------------------------- */

/* One value that an optimizer keeps for each parameter, of its shape, from zeros on. */
typedef struct OptimSlot {
  const char *name;                      /* "velocity"; NULL ends a list */
  bool (*wanted)(const Optimizer *self); /* with these options? NULL: always */
} OptimSlot;

/* A number that may change from step to step without changing the step's structure. The
 * rate and the weight decay are such for every kind. */
typedef struct OptimNumber {
  size_t offset; /* of the real option that it is; 0: of none, then `value` */
  double (*value)(const Optimizer *self,
                  double t);             /* at the t-th update of a parameter */
  bool counted;                          /* depends on t */
  bool (*wanted)(const Optimizer *self); /* with these options? NULL: always */
} OptimNumber;

/* What an update is made of: nodes of one parameter. */
typedef struct OptimUpdate {
  Graph *graph;
  uint32_t rule;        /* graph->rule of its nodes */
  Node *w;              /* becomes the new value */
  Node *g;              /* the gradient, clipped by value */
  Node *scale;          /* factor on it, by clipping of norms */
  bool scaled, decayed; /* else the factor is 1, the decay 0 */
  Node *lr, *weight_decay;
  Node *const *number; /* as the kind lists them, NULL where not wanted */
  Node **slot;         /* as the kind lists them, NULL where not wanted; become the
                          new values */
} OptimUpdate;

/* A step that evaluates again. Nodes have values; those in lists are retained by the
 * caller, who also releases what the kind puts in their place. */
typedef struct OptimSearch {
  Graph *graph;
  int n, n_slots; /* parameters; slots of each that are wanted */
  double rate;
  const double *weight_decay; /* of each parameter */
  Node **w, **slot;           /* [i], [i * n_slots + s]: become the new values */
  double loss;                /* at w as it was at the begin ... */
  Node **gradient;            /* ... with the gradient */
  /* Fills the list with retained nodes: the gradient of the loss at these parameters,
   * with the same draws as at the begin, and what the step assigns left out. The loss
   * is INFINITY where it or an element of the gradient is not finite. */
  Err (*evaluate)(void *ctx, Node *const *w, double *loss, Node **gradient,
                  Fault *fault);
  void *ctx;
} OptimSearch;
/* Puts a node in place of another one of a list. */
void optim_put(Node **place, Node *node);

typedef struct OptimKind {
  Kind kind;
  const OptimSlot *slots;     /* ended by a name NULL; NULL: none */
  const OptimNumber *numbers; /* ended by zeros; NULL: none */
  /* The definition, in elementwise ops: one pass over memory. Results of another shape
   * than the parameter's, and what reads other elements, are computed before the
   * commit. */
  void (*rule)(const Optimizer *self, OptimUpdate *u);
  /* Before the rules: of all parameters of the step together, where what becomes of one
   * depends on the others. May set slots. NULL: it does not. */
  void (*joint)(const Optimizer *self, OptimUpdate *const *u, int n);
  /* With these options a step evaluates again: `search` in place of all rules. NULL:
   * never. */
  bool (*searches)(const Optimizer *self);
  Err (*search)(const Optimizer *self, OptimSearch *search, Fault *fault);
  /* The same values, to the byte, by an op of its own; NULL: none. */
  void (*fused)(const Optimizer *self, OptimUpdate *u);
  /* Options of each case for the tests and the bench, "momentum=0.9 nesterov=1"; words
   * for choices; NULL ends. */
  const char *const *samples;
} OptimKind;

/* Returns new: an optimizer of the kind with the options of a sample. */
Optimizer *optimizer_of_sample(const Kind *kind, const char *sample, Fault *fault);

/* 1 / (1 - beta^t): what a mean from 0 on lacks at its t-th value. */
double optim_correction(double beta, double t);
/* x / (sqrt(y) + eps), or eps inside the root: x / sqrt(y + eps). */
Node *optim_over_root(Graph *graph, Node *x, Node *y, double eps, bool inside);
/* The gradient with its factor; and with the coupled decay added. */
Node *optim_scaled(const OptimUpdate *u);
Node *optim_gradient(const OptimUpdate *u);

#define OPTIM_RECORD(own)                                                              \
  .family = &optim_family, .size = sizeof(own), .deinit = optimizer_deinit
void optimizer_deinit(Object *object);

#define OPTIM_AT(field) .offset = offsetof(Optimizer, field)
#define OPTIM_LR(default_)                                                             \
  {.name = "lr", .kind = OPT_REAL, OPTIM_AT(lr), .value = default_,                    \
   .alias = "learning_rate", .position = 1, .lo = 0, .hi = 1e9, .doc = "learning rate"}
/* What follows a kind's own options. */
#define OPTIM_COMMON(decay_doc, decay_default)                                         \
  {.name = "weight_decay", .kind = OPT_REAL, OPTIM_AT(weight_decay),                   \
   .value = decay_default, .lo = 0, .hi = 1e9, .doc = decay_doc},                      \
  {.name = "clipnorm", .kind = OPT_REAL, OPTIM_AT(clipnorm), .value = "none", .lo = 0, \
   .hi = 1e9, .open = true,                                                            \
   .doc = "largest norm of each parameter's gradient; a longer one is scaled down to " \
          "it"},                                                                       \
  {.name = "global_clipnorm", .kind = OPT_REAL, OPTIM_AT(global_clipnorm),             \
   .value = "none", .lo = 0, .hi = 1e9, .open = true,                                  \
   .doc = "largest norm of all gradients together; if it is larger, all are scaled "   \
          "down by one factor"},                                                       \
  {.name = "clipvalue", .kind = OPT_REAL, OPTIM_AT(clipvalue), .value = "none",        \
   .lo = 0, .hi = 1e9, .open = true,                                                   \
   .doc = "each element of a gradient is limited to this size, also an infinite one"}, \
  {.name = "schedule", .kind = OPT_OBJECT, OPTIM_AT(schedule),                         \
   .family = &schedule_family, .alias = "lr_schedule",                                 \
   .doc = "changes the learning rate from epoch to epoch, or from step to step"},      \
  {.name = "decay", .kind = OPT_REAL, OPTIM_AT(decay), .value = "0",                   \
   .alias = "lr_decay", .lo = 0, .hi = 1e9,                                            \
   .doc = "divides the rate by 1 + decay t, t: number of updates before (Keras's "     \
          "decay, PyTorch's lr_decay)"},                                               \
  {.name = "groups", .kind = OPT_OBJECTS, OPTIM_AT(groups),                            \
   .family = &optim_group_family, .alias = "param_groups", .value = "none",            \
   .doc = "rates and weight decays by names of variables or layers, as { { "           \
          "\"*.bias\", weight_decay = 0 }, { \"dense_1\", lr = 0.001 } }; of several " \
          "that fit, the first counts"},                                               \
  {.name = "accumulate", .kind = OPT_INT, OPTIM_AT(accumulate), .value = "1",          \
   .alias = "gradient_accumulation_steps", .lo = 1, .hi = 1e9,                         \
   .doc = "number of steps whose mean gradient makes one update: in train.fit the "    \
          "mean over all their rows, by their weights; the last step of an epoch "     \
          "updates too. Schedules and corrections count updates"},                     \
  {.name = "lookahead", .kind = OPT_INT, OPTIM_AT(lookahead), .value = "0", .lo = 0,   \
   .hi = 1e9,                                                                          \
   .doc = "number of updates after which the weights go back to a slow copy, which "   \
          "has moved a share of the way to them; 0: never (Zhang et al., NeurIPS "     \
          "2019, algorithm 1: 5)"},                                                    \
  {.name = "lookahead_share", .kind = OPT_REAL, OPTIM_AT(lookahead_share),             \
   .value = "0.5", .lo = 0, .hi = 1, .open = true,                                     \
   .doc = "share of the way that the slow copy moves"},                                \
  {0}
#define OPTIM_EPS_INSIDE(own)                                                          \
  {.name = "eps_inside", .kind = OPT_BOOL, .offset = offsetof(own, eps_inside),        \
   .value = "false",                                                                   \
   .doc = "add eps inside the square root (Keras: so in RMSprop and Adagrad; "         \
          "PyTorch: nowhere)"}
#define OPTIM_COUPLED "w times this is added to the gradient (coupled)"

/* -- for who trains ---------------------------------------------------------------- */

/* The numbers of a step: first those that all parameters share, then the others of each
 * class of parameters that have been updated equally often, where that matters, and
 * are of one of the optimizer's groups. What is in which class is part of the step's
 * structure; usually there is one class. */
typedef struct OptimNumbers {
  int n_params, n_classes, n; /* n: of value and input */
  int n_shared, n_each;       /* of all parameters; of each class */
  bool counted;               /* classes differ by updates */
  uint64_t limits;            /* which parameters are bounded, and by what; 0: none */
  int *class;                 /* of each parameter; from 0, as they first occur */
  double *count;              /* of each class: updates of a parameter, with this one */
  const OptimGroup **group;   /* of each class; NULL: none */
  double *value;              /* owns the memory of all five */
  real *input;                /* the same, as a plan takes them */
} OptimNumbers;

extern const Family optim_family;       /* module "optim" */
extern const Family optim_group_family; /* of option tables alone */

/* Variables that are trained, or would be if they were not frozen: each group must
 * fit one of those that were met when a step begins. */
void optimizer_meet(Optimizer *opt, Variable *const *v, int n);
/* ERR_VALUE that names the group which fits none. */
Err optimizer_check_groups(const Optimizer *opt, Fault *fault) WARN_UNUSED;
/* The first that fits the variable's name or that of its layer; NULL: none. */
OptimGroup *optimizer_group(const Optimizer *opt, const Variable *param);
/* Of its parameters; NULL: of those of no group. */
double optim_group_decay(const Optimizer *opt, const OptimGroup *group);

/* Groups the parameters, whose slots are there, by their counts. */
Err optim_numbers_init(OptimNumbers *out, const Optimizer *opt, Variable *const *params,
                       int n, Fault *fault) WARN_UNUSED;
void optim_numbers_deinit(OptimNumbers *numbers); /* all zero is empty: a no-op */

/* One step of these parameters begins: t grows by one where it updates, the rate is
 * set, `numbers` filled. *grouped is false, and nothing has changed, when counts within
 * a class differ by now. */
Err optimizer_begin(Optimizer *opt, Variable *const *params, OptimNumbers *numbers,
                    bool *grouped, Fault *fault) WARN_UNUSED;
/* Of the update that a step is part of, from 1; while the step is not done. */
int64_t optimizer_update_number(const Optimizer *opt);
/* The step is done: each of its parameters has had one more update, or one more
 * gradient that counts `weight` waits for it. */
void optimizer_count(Optimizer *opt, Variable *const *params, int n, double weight);
/* Do gradients of several steps make one update? */
static inline bool optimizer_accumulates(const Optimizer *opt) {
  return opt->accumulate > 1;
}
/* Gradients that wait are left out of the next update. */
void optimizer_forget_gathered(Optimizer *opt);

/* The state of an optimizer before a step, restored when the step fails: steps,
 * rate, and which parameters have slots. The slots' values are the transaction's. */
typedef struct OptimMark {
  int64_t t;
  double rate;
  int n_slots;
} OptimMark;
OptimMark optimizer_mark(const Optimizer *opt);
void optimizer_rollback(Optimizer *opt, const OptimMark *mark);

/* How many slots each parameter has in a step with these options. */
int optimizer_slots_each(const Optimizer *opt);
/* The slots of all parameters, made and zeroed where missing: the s-th that is wanted,
 * of parameter i, is out[i * optimizer_slots_each + s]. Inside a transaction new slots
 * are undone with it. */
Err optimizer_slots(Graph *graph, Optimizer *opt, Variable *const *params, int n,
                    Variable **out) WARN_UNUSED;

/* Slot number s, wanted or not, from 0: the kind's, then those that all kinds may
 * have; NULL after the last. */
const OptimSlot *optimizer_slot_at(const Optimizer *opt, int s);
/* Slot `s` of a parameter, NULL where it was never used; borrowed. */
Variable *optimizer_slot(const Optimizer *opt, const Variable *param, int s);
/* Puts back a slot's value. */
Err optimizer_set_slot(Graph *graph, Optimizer *opt, Variable *param, int s,
                       Node *value, Fault *fault) WARN_UNUSED;
/* How often it has updated a parameter; set for one that has slots. */
int64_t optimizer_updates(const Optimizer *opt, const Variable *param);
void optimizer_set_updates(Optimizer *opt, const Variable *param, int64_t t);

/* Emits new values: of parameter i into w[i], of slot j (as optimizer_slots numbers
 * them) into slot[j]. number[k] are 0-axis nodes, as `numbers` lists their values;
 * `weight` what the gradients count where steps accumulate (NULL: 1). */
Err optimizer_emit(Graph *graph, Optimizer *opt, const OptimNumbers *numbers,
                   Node *const *number, Node *weight, Variable *const *params,
                   Variable *const *slots, Node *const *grads, Node **w,
                   Node **slot) WARN_UNUSED;

/* Does a step evaluate again (OptimKind.search)? */
bool optimizer_searches(const Optimizer *opt);
/* Its end, in place of optimizer_emit. `search` has all but rate and weight_decay,
 * which come from the optimizer. ERR_VALUE: a parameter is bounded. */
Err optimizer_search(const Optimizer *opt, Variable *const *params, OptimSearch *search,
                     Fault *fault) WARN_UNUSED;

/* What the structure of the emitted nodes depends on, as words for the key of a plan:
 * every option but those that are numbers of a step, the slots, the groups. Returns how
 * many; `out` NULL: only that. */
int optimizer_words(const Optimizer *opt, const OptimNumbers *numbers, uint64_t *out);

#endif
