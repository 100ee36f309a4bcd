/* held.h: the values of a net's variables, kept by a callback. */
#ifndef TRAIN_HELD_H
#define TRAIN_HELD_H

#include "train/event.h"

/* A variable and a value of it; retained, held. */
typedef struct Held {
  Variable *variable;
  Node *value; /* NULL: it had none yet */
} Held;

/* As layer_state listed them. All zero: nothing is held. */
typedef struct HeldState {
  int n;
  Held *v;
} HeldState;

/* In place of what was held. Values are immutable: holding the nodes is a snapshot,
 * nothing is copied. */
Err held_take(HeldState *held, Layer *net, Fault *fault) WARN_UNUSED;
void held_drop(HeldState *held);
/* The variables get these values again; what has joined the net since keeps what it
 * has. */
Err held_put_back(const HeldState *held, Graph *graph, Fault *fault) WARN_UNUSED;

/* Values named as in the net, as a part of a checkpoint; and back: `what` they are,
 * for a fault. */
Err held_save(const HeldState *held, const FitRun *run, Checkpoint *c, const char *part,
              Fault *fault) WARN_UNUSED;
Err held_load(HeldState *held, FitRun *run, const Checkpoint *c, const char *part,
              const char *what, Fault *fault) WARN_UNUSED;

#endif
