/* optim.h: optimizers as records.
 *
 * An optimizer emits update nodes; it changes nothing itself. Its slots (velocity, moments)
 * are variables, one set per parameter, found by the parameter's identity. Rates are 0-axis
 * nodes made anew at each step, so they are inputs of the step and no part of its
 * structure.
 *
 * Schedules count the optimizer's steps. Corrections of bias count the updates of each
 * parameter: one that joins later (thawed, added, of another net) begins at its first. */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include "base/record.h"
#include "graph/graph.h"
#include "nn/schedule.h"

/* -- optimizers -------------------------------------------------------------------- */

enum { OPTIM_SLOTS = 2 };

typedef struct OptimSlots {
  Variable *param;             /* retained */
  Variable *slot[OPTIM_SLOTS]; /* named "<param>.velocity" and so on */
  int64_t t;                   /* updates of the parameter by this optimizer */
} OptimSlots;

typedef struct Optimizer {
  Object object;
  /* options */
  double lr, momentum, weight_decay, beta1, beta2, eps;
  bool nesterov;
  double clipnorm, global_clipnorm, clipvalue;   /* NaN: none */
  Schedule *schedule;          /* NULL: lr as it is */
  /* read-only */
  int64_t t;                   /* steps done */
  int64_t epoch;               /* set by fit, from 1; 0 outside of it */
  double rate;                 /* of the last step */
  OptimSlots *slots;
  int n_slots, slot_capacity;
} Optimizer;

/* What changes from step to step without changing its structure: the numbers of the update
 * of one parameter. */
typedef enum OptimNumber {
  NUMBER_LR, NUMBER_MOMENTUM, NUMBER_DECAY, NUMBER_CORRECTION1, NUMBER_CORRECTION2,
  OPTIM_NUMBERS,
  NUMBERS_SHARED = NUMBER_CORRECTION1, NUMBERS_OF_GROUP = OPTIM_NUMBERS - NUMBERS_SHARED
} OptimNumber;

/* The numbers of a step: first those that all parameters share, then the corrections of each
 * group of parameters that have been updated equally often. What is in which group is part
 * of the step's structure; usually there is one group. */
typedef struct OptimNumbers {
  int n_params, n_groups, n;   /* n: of value and input */
  int *group;                  /* of each parameter; from 0, as they first occur */
  double *value;               /* owns the memory of all three */
  real *input;                 /* the same, as a plan takes them */
} OptimNumbers;

typedef struct OptimKind {
  Kind kind;
  const char *const *slots;    /* names, NULL-terminated */
  /* The node whose outputs are the new value and the new slots. */
  Node *(*update)(Graph *graph, const Optimizer *opt, Node *const *number, Node *w,
                  Node *gw, Node *const *slot, Node *scale);
  /* Does it use slots at all (SGD without momentum does not)? NULL: yes. */
  bool (*wants_slots)(const Optimizer *opt);
  bool corrects;               /* its update takes the corrections; else they are NULL */
} OptimKind;

extern const Family optim_family;        /* module "optim" */

/* Groups the parameters, whose slots are there, by their counts. */
Err optim_numbers_init(OptimNumbers *out, const Optimizer *opt, Variable *const *params,
                       int n, Fault *fault) WARN_UNUSED;
void optim_numbers_deinit(OptimNumbers *numbers);   /* all zero is empty: a no-op */

/* One step of these parameters begins: t grows by one, the rate is set, `numbers` filled.
 * *grouped is false, and nothing has changed, when counts within a group differ by now. */
Err optimizer_begin(Optimizer *opt, Variable *const *params, OptimNumbers *numbers,
                    bool *grouped, Fault *fault) WARN_UNUSED;
/* The step is done: each of its parameters has had one more update. */
void optimizer_count(Optimizer *opt, Variable *const *params, int n);

/* Where an optimizer stands before a step, and back there when the step fails: steps, rate,
 * and which parameters have slots. The slots' values are the transaction's. */
typedef struct OptimMark {
  int64_t t;
  double rate;
  int n_slots;
} OptimMark;
OptimMark optimizer_mark(const Optimizer *opt);
void optimizer_rollback(Optimizer *opt, const OptimMark *mark);

/* The slots of all parameters, made and zeroed where missing: slot s of parameter i is
 * out[i * k + s]; k, at most OPTIM_SLOTS, is returned in *n_each. Inside a transaction new
 * slots are undone with it. */
Err optimizer_slots(Graph *graph, Optimizer *opt, Variable *const *params, int n,
                    Variable **out, int *n_each) WARN_UNUSED;

/* Names of its slots, "velocity", NULL-terminated. */
const char *const *optimizer_slot_names(const Optimizer *opt);
/* Slot `s` of a parameter, NULL where it was never used; borrowed. */
Variable *optimizer_slot(const Optimizer *opt, const Variable *param, int s);
/* Puts back a slot's value. */
Err optimizer_set_slot(Graph *graph, Optimizer *opt, Variable *param, int s, Node *value,
                       Fault *fault) WARN_UNUSED;
/* How often it has updated a parameter; set for one that has slots. */
int64_t optimizer_updates(const Optimizer *opt, const Variable *param);
void optimizer_set_updates(Optimizer *opt, const Variable *param, int64_t t);

/* Emits new values: of parameter i into w[i], of slot j (as optimizer_slots numbers them)
 * into slot[j]. number[k] are 0-axis nodes, as `numbers` lists their values. */
Err optimizer_emit(Graph *graph, Optimizer *opt, const OptimNumbers *numbers,
                   Node *const *number, Variable *const *params, Variable *const *slots,
                   Node *const *grads, Node **w, Node **slot) WARN_UNUSED;

/* What the structure of the emitted nodes depends on, as words for the key of a plan: at most
 * OPTIM_WORDS and one for each parameter. */
enum { OPTIM_WORDS = 12 };
int optimizer_words(const Optimizer *opt, const OptimNumbers *numbers, uint64_t *out);

#endif
