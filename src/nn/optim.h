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

typedef struct OptimStep OptimStep;      /* scalar nodes of one step: optim.c */

typedef struct OptimKind {
  Kind kind;
  const char *const *slots;    /* names, NULL-terminated */
  /* The node whose outputs are the new value and the new slots. */
  Node *(*update)(Graph *graph, const Optimizer *opt, const OptimStep *step, Node *w,
                  Node *gw, Node *const *slot, Node *scale);
  /* Does it use slots at all (SGD without momentum does not)? NULL: yes. */
  bool (*wants_slots)(const Optimizer *opt);
} OptimKind;

extern const Family optim_family;        /* module "optim" */

/* variable <- value, to be done once all values are computed and checked. Both borrowed. */
typedef struct Assignment { Variable *variable; Node *value; } Assignment;

/* One step: t grows by one, slots are made where missing. `out` has room for
 * n * (1 + OPTIM_SLOTS); *n_out says how many. The caller puts `t` back if the step fails
 * (optimizer->t = t before). Inside a transaction, new slots are undone with it. */
Err optimizer_emit(Graph *graph, Optimizer *opt, Variable *const *params,
                   Node *const *grads, int n, Assignment *out, int *n_out) WARN_UNUSED;

#endif
