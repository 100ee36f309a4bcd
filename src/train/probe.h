/* probe.h: probes measure a net while it trains. They change nothing of it: training
 * gives the same bytes with and without.
 *
 * A probe is a record: what it asks of every step (gauge.h), and under which name each
 * of these quantities is kept. All probes of a fit are one listener, which puts the
 * numbers of each step into the fit's log (probe_log.h). Adding a probe:
 * train/probe_<name>.c and its row in probes.def. */
#ifndef TRAIN_PROBE_H
#define TRAIN_PROBE_H

#include "base/record.h"
#include "train/event.h"
#include "train/gauge.h"

typedef struct Probe {
  Object object;
} Probe;

/* A number for each variable that the step trains, into the series of the variable's
 * name. */
typedef struct ProbeQuantity {
  const char *name; /* "norm"; NULL ends a list */
  Gauge gauge;
} ProbeQuantity;

typedef struct ProbeKind {
  Kind kind;
  const ProbeQuantity *quantities;
} ProbeKind;

extern const Family probe_family; /* module "probe" */

/* The probes of a fit, or of the steps of a loop. All zero: there are none. */
typedef struct Probes {
  const ObjectList *list; /* of Probe; borrowed */
  ProbeLog *log;          /* of the fit's history; borrowed */
  Gauges gauges;          /* what all of them ask of a step */
  Gauge *ask;
  int n_known;      /* parameters of the step before, ... */
  Variable **known; /* ... retained ... */
  int *series;      /* ... and the series of each of their values, as gauges.value */
  int64_t known_room, series_room;
} Probes;

/* `who`: "train.fit", for the refusal of a probe that is there twice. */
Err probes_open(Probes *out, const ObjectList *list, ProbeLog *log, const char *who,
                Fault *fault) WARN_UNUSED;
void probes_close(Probes *probes);
/* Step number `step` is done, of these nets and single variables: what was asked of it
 * goes into the log, under the names that variables have in their net (of several nets
 * with "net1." before it), single ones as they are called or as "variable_1". */
Err probes_take(Probes *probes, Layer *const *nets, int n_nets, int64_t step,
                Fault *fault) WARN_UNUSED;
/* For StepTarget: NULL where there are no probes. */
static inline Gauges *probes_gauges(Probes *p) {
  return p->gauges.n_ask ? &p->gauges : NULL;
}

/* `self` is the Probes. */
extern const Events probe_events;

#endif
