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

/* What every optimizer is; a kind's own struct begins with it. */
typedef struct Optimizer {
  Object object;
  /* options */
  double lr, weight_decay;
  double clipnorm, global_clipnorm, clipvalue; /* NaN: none */
  Schedule *schedule;                          /* NULL: lr as it is */
  /* read-only */
  int64_t t;     /* steps done */
  int64_t epoch; /* set by fit, from 1; 0 outside of it */
  double rate;   /* of the last step */
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
                  double t); /* at the t-th update of a parameter */
  bool counted;              /* depends on t */
} OptimNumber;

/* What an update is made of: nodes of one parameter. */
typedef struct OptimUpdate {
  Graph *graph;
  Node *w;              /* becomes the new value */
  Node *g;              /* the gradient, clipped by value */
  Node *scale;          /* factor on it, by clipping of norms */
  bool scaled, decayed; /* else the factor is 1, the decay 0 */
  Node *lr, *weight_decay;
  Node *const *number; /* as the kind lists them */
  Node **slot;         /* as the kind lists them, NULL where not wanted; become the
                          new values */
} OptimUpdate;

typedef struct OptimKind {
  Kind kind;
  const OptimSlot *slots;     /* NULL: none */
  const OptimNumber *numbers; /* ended by zeros; NULL: none */
  /* The definition, in elementwise ops: one pass over memory. Results of another shape
   * than the parameter's, and what reads other elements, are computed before the
   * commit. */
  void (*rule)(const Optimizer *self, OptimUpdate *u);
  /* The same values, to the byte, by an op of its own; NULL: none. */
  void (*fused)(const Optimizer *self, OptimUpdate *u);
  /* Options of each case for the tests and the bench, "momentum=0.9 nesterov=1"; NULL
   * ends. */
  const char *const *samples;
} OptimKind;

/* Returns new: an optimizer of the kind with the options of a sample. */
Optimizer *optimizer_of_sample(const Kind *kind, const char *sample, Fault *fault);

/* 1 / (1 - beta^t): what a mean from 0 on lacks at its t-th value. */
double optim_correction(double beta, double t);
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
  {0}
/* Of a struct with fields beta1, beta2 and eps, of which the last arguments say more.
 */
#define OPTIM_MOMENTS(own, second_doc, ...)                                            \
  {.name = "beta1", .kind = OPT_REAL, .offset = offsetof(own, beta1), .value = "0.9",  \
   .alias = "beta_1", .lo = 0, .hi = 1, .open_hi = true,                               \
   .doc = "share of the old value in the first moment"},                               \
  {.name = "beta2", .kind = OPT_REAL, .offset = offsetof(own, beta2),                  \
   .value = "0.999", .alias = "beta_2", .lo = 0, .hi = 1, .open_hi = true,             \
   .doc = second_doc},                                                                 \
  {.name = "eps", .kind = OPT_REAL, .offset = offsetof(own, eps), .value = "1e-8",     \
   .alias = "epsilon", .lo = 0, .hi = 1e9, __VA_ARGS__}
#define OPTIM_COUPLED "w times this is added to the gradient (coupled)"

/* -- for who trains ---------------------------------------------------------------- */

/* The numbers of a step: first those that all parameters share, then the counted ones
 * of each group of parameters that have been updated equally often. What is in which
 * group is part of the step's structure; usually there is one group. */
typedef struct OptimNumbers {
  int n_params, n_groups, n; /* n: of value and input */
  int n_shared, n_counted;   /* of all parameters; of each group */
  int *group;                /* of each parameter; from 0, as they first occur */
  double *count;             /* of each group: updates of a parameter, with this one */
  double *value;             /* owns the memory of all four */
  real *input;               /* the same, as a plan takes them */
} OptimNumbers;

extern const Family optim_family; /* module "optim" */

/* Groups the parameters, whose slots are there, by their counts. */
Err optim_numbers_init(OptimNumbers *out, const Optimizer *opt, Variable *const *params,
                       int n, Fault *fault) WARN_UNUSED;
void optim_numbers_deinit(OptimNumbers *numbers); /* all zero is empty: a no-op */

/* One step of these parameters begins: t grows by one, the rate is set, `numbers`
 * filled. *grouped is false, and nothing has changed, when counts within a group differ
 * by now. */
Err optimizer_begin(Optimizer *opt, Variable *const *params, OptimNumbers *numbers,
                    bool *grouped, Fault *fault) WARN_UNUSED;
/* The step is done: each of its parameters has had one more update. */
void optimizer_count(Optimizer *opt, Variable *const *params, int n);

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

/* All slots of the kind, wanted or not; ended by a name NULL. */
const OptimSlot *optimizer_slot_list(const Optimizer *opt);
/* Slot `s` of that list for a parameter, NULL where it was never used; borrowed. */
Variable *optimizer_slot(const Optimizer *opt, const Variable *param, int s);
/* Puts back a slot's value. */
Err optimizer_set_slot(Graph *graph, Optimizer *opt, Variable *param, int s,
                       Node *value, Fault *fault) WARN_UNUSED;
/* How often it has updated a parameter; set for one that has slots. */
int64_t optimizer_updates(const Optimizer *opt, const Variable *param);
void optimizer_set_updates(Optimizer *opt, const Variable *param, int64_t t);

/* Emits new values: of parameter i into w[i], of slot j (as optimizer_slots numbers
 * them) into slot[j]. number[k] are 0-axis nodes, as `numbers` lists their values. */
Err optimizer_emit(Graph *graph, Optimizer *opt, const OptimNumbers *numbers,
                   Node *const *number, Variable *const *params, Variable *const *slots,
                   Node *const *grads, Node **w, Node **slot) WARN_UNUSED;

/* What the structure of the emitted nodes depends on, as words for the key of a plan:
 * every option but those that are numbers of a step, the slots, the groups. Returns how
 * many; `out` NULL: only that. */
int optimizer_words(const Optimizer *opt, const OptimNumbers *numbers, uint64_t *out);

#endif
