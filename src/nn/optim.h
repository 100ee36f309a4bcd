/* optim.h: optimizers and schedules as records.
 *
 * An optimizer emits update nodes; it changes nothing itself. Its slots (velocity, moments)
 * are variables, one set per parameter, found by the parameter's identity. Rates are 0-axis
 * nodes made anew at each step, so they are inputs of the step and no part of its
 * structure. */
#ifndef NN_OPTIM_H
#define NN_OPTIM_H

#include "base/record.h"
#include "graph/graph.h"

/* -- schedules --------------------------------------------------------------------- */

typedef enum SchedulePer { PER_EPOCH, PER_STEP } SchedulePer;

/* rate = lr * factor(t), t = 0, 1, ... epochs or steps; a user's function gives the rate
 * itself: f(t, lr). */
typedef struct Schedule {
  Object object;
  int per;                     /* SchedulePer */
  int64_t every, steps, warmup;
  double gamma, final;
  Callable *function;
} Schedule;

typedef struct ScheduleKind {
  Kind kind;
  double (*factor)(const Schedule *schedule, double t);
} ScheduleKind;

extern const Family schedule_family;     /* module "optim" */

/* The rate at time t for base rate lr; a fault from a user's function, or when the rate is
 * negative or not finite. */
Err schedule_rate(Schedule *schedule, int64_t t, double lr, double *out, Fault *fault)
    WARN_UNUSED;

/* -- optimizers -------------------------------------------------------------------- */

enum { OPTIM_SLOTS = 2 };

typedef struct OptimSlots {
  Variable *param;             /* retained */
  Variable *slot[OPTIM_SLOTS]; /* named "<param>.velocity" and so on */
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

/* What changes from step to step without changing its structure. */
typedef enum OptimNumber {
  NUMBER_LR, NUMBER_MOMENTUM, NUMBER_DECAY, NUMBER_CORRECTION1, NUMBER_CORRECTION2,
  OPTIM_NUMBERS
} OptimNumber;

typedef struct OptimKind {
  Kind kind;
  const char *const *slots;    /* names, NULL-terminated */
  /* The node whose outputs are the new value and the new slots. */
  Node *(*update)(Graph *graph, const Optimizer *opt, Node *const *number, Node *w,
                  Node *gw, Node *const *slot, Node *scale);
  /* Does it use slots at all (SGD without momentum does not)? NULL: yes. */
  bool (*wants_slots)(const Optimizer *opt);
} OptimKind;

extern const Family optim_family;        /* module "optim" */

/* One step begins: t grows by one, the rate is set, `number` filled. The caller puts `t` back
 * if the step fails. */
Err optimizer_begin(Optimizer *opt, double number[OPTIM_NUMBERS], Fault *fault) WARN_UNUSED;

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

/* Emits new values: of parameter i into w[i], of slot j (as optimizer_slots numbers them)
 * into slot[j]. number[k] are 0-axis nodes. */
Err optimizer_emit(Graph *graph, Optimizer *opt, Node *const *number,
                   Variable *const *params, Variable *const *slots, Node *const *grads,
                   int n, Node **w, Node **slot) WARN_UNUSED;

/* What the structure of the emitted nodes depends on, as words for the key of a plan. */
enum { OPTIM_WORDS = 12 };
int optimizer_words(const Optimizer *opt, uint64_t out[OPTIM_WORDS]);

#endif
