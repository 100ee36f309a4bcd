/* probe.c: the family of probes, and the listener that they are in a fit; see
 * probe.h. */
#include "train/probe.h"
#include "base/array.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the family -------------------------------------------------------------------- */

#define PROBE(name) extern const ProbeKind probe_##name;
#include "train/probes.def"
#undef PROBE

static const Kind *const probe_kinds[] = {
#define PROBE(name) &probe_##name.kind,
#include "train/probes.def"
#undef PROBE
    NULL};

const Family probe_family = {.name = "probe", .module = "probe", .kinds = probe_kinds};

static const ProbeKind *kind_of(const Probes *p, int i) {
  return (const ProbeKind *)p->list->v[i]->kind;
}

/* -- what is asked ----------------------------------------------------------------- */

Err probes_open(Probes *out, const ObjectList *list, ProbeLog *log, const char *who,
                Fault *fault) {
  *out = (Probes){.list = list, .log = log};
  size_t n = 0;
  for (int i = 0; i < list->n; i++) {
    for (int k = 0; k < i; k++)
      if (list->v[k]->kind == list->v[i]->kind)
        return fault_set(fault, ERR_VALUE,
                         "%s: option \"probes\": \"%s\" is there twice", who,
                         list->v[i]->kind->name);
    for (const ProbeQuantity *q = kind_of(out, i)->quantities; q->name; q++) n++;
  }
  if (n == 0) return ERR_OK;
  out->gauges.ask = out->ask = malloc(n * sizeof *out->ask);
  if (!out->ask) return fault_memory(fault, n * sizeof *out->ask);
  for (int i = 0; i < list->n; i++)
    for (const ProbeQuantity *q = kind_of(out, i)->quantities; q->name; q++)
      out->ask[out->gauges.n_ask++] = q->gauge;
  return ERR_OK;
}

static void forget_params(Probes *p) {
  for (int i = 0; i < p->n_known; i++) variable_release(p->known[i]);
  p->n_known = 0;
}

void probes_close(Probes *p) {
  forget_params(p);
  free(p->known);
  free(p->series);
  free(p->ask);
  gauges_deinit(&p->gauges);
  *p = (Probes){0};
}

/* -- which series each value belongs to -------------------------------------------- */

static bool same_params(const Probes *p) {
  size_t n_bytes = (size_t)p->gauges.n_params * sizeof(Variable *);
  return p->n_known == p->gauges.n_params &&
         memcmp(p->known, p->gauges.param, n_bytes) == 0;
}

static Err known_room(Probes *p, int n, Fault *fault) {
  int64_t n_series = (int64_t)n * p->gauges.n_ask;
  Err err = ARRAY_ROOM(p->known, p->known_room, n, fault);
  return err ? err : ARRAY_ROOM(p->series, p->series_room, n_series, fault);
}

enum { PARAM_NAME = 256 };

/* The name of v in the nets with these states; of a single variable, of which there
 * were *n_single, its own. */
static void name_param(const StateList *states, int n_nets, const Variable *v,
                       int *n_single, char name[PARAM_NAME]) {
  for (int k = 0; k < n_nets; k++)
    for (int i = 0; i < states[k].n; i++) {
      if (states[k].v[i] != v) continue;
      const char *own = state_name(&states[k], i);
      if (n_nets > 1) snprintf(name, PARAM_NAME, "net%d.%s", k + 1, own);
      else snprintf(name, PARAM_NAME, "%s", own);
      return;
    }
  ++*n_single;
  if (v->name && *v->name) snprintf(name, PARAM_NAME, "%s", v->name);
  else snprintf(name, PARAM_NAME, "variable_%d", *n_single);
}

/* The series of all quantities of parameter i, whose name is given. */
static Err find_series(Probes *p, int i, const char *name, Fault *fault) {
  int *series = p->series + i * p->gauges.n_ask;
  for (int k = 0; k < p->list->n; k++)
    for (const ProbeQuantity *q = kind_of(p, k)->quantities; q->name; q++) {
      *series = probe_log_series(p->log, kind_of(p, k)->kind.name, name, q->name,
                                 fault);
      if (*series++ < 0) return fault->code;
    }
  return ERR_OK;
}

static Err find_all_series(Probes *p, const StateList *states, int n_nets,
                           Fault *fault) {
  int n_single = 0;
  Err err = ERR_OK;
  for (int i = 0; !err && i < p->gauges.n_params; i++) {
    char name[PARAM_NAME];
    name_param(states, n_nets, p->gauges.param[i], &n_single, name);
    err = find_series(p, i, name, fault);
  }
  return err;
}

/* Other parameters than those of the step before: of the first, or some were frozen or
 * thawed. */
static Err learn_params(Probes *p, Layer *const *nets, int n_nets, Fault *fault) {
  int n = p->gauges.n_params, n_states = 0;
  StateList *states = calloc((size_t)n_nets + 1, sizeof *states);
  forget_params(p);
  Err err = states ? known_room(p, n, fault) : fault_memory(fault, 0);
  for (; !err && n_states < n_nets; n_states++)
    if ((err = layer_parameters(nets[n_states], &states[n_states], fault))) break;
  if (!err) err = find_all_series(p, states, n_nets, fault);
  while (n_states) state_deinit(&states[--n_states]);
  free(states);
  for (; !err && p->n_known < n; p->n_known++)
    p->known[p->n_known] = variable_retain(p->gauges.param[p->n_known]);
  return err;
}

Err probes_take(Probes *p, Layer *const *nets, int n_nets, int64_t step, Fault *fault) {
  const Gauges *g = &p->gauges;
  Err err = same_params(p) ? ERR_OK : learn_params(p, nets, n_nets, fault);
  probe_log_step(p->log, step);
  for (int i = 0; !err && i < g->n_ask * g->n_params; i++)
    err = probe_log_add(p->log, p->series[i], (double)g->value[i], fault);
  return err;
}

/* -- the listener ------------------------------------------------------------------ */

static Err take_step(void *self, FitRun *run, Fault *fault) {
  int64_t step = (run->epoch - 1) * run->n_batches + run->batch;
  return probes_take(self, &run->net, 1, step, fault);
}

static Err save_log(void *self, const FitRun *run, Checkpoint *c, const char *part,
                    Fault *fault) {
  (void)run;
  const ProbeLog *log = ((Probes *)self)->log;
  Json *list = json_list();
  Err err = ERR_OK;
  for (int i = 0; !err && i < log->n; i++) {
    const ProbeSeries *s = &log->v[i];
    char name[32];
    Json *map = json_map();
    json_put_text(map, "probe", s->probe);
    json_put_text(map, "layer", s->layer);
    json_put_text(map, "quantity", s->quantity);
    json_put_int(map, "windows", s->n);
    json_push(list, map);
    snprintf(name, sizeof name, "series%d", i + 1);
    err = checkpoint_add_bytes(c, part, name, s->v, (size_t)s->n * sizeof *s->v, fault);
  }
  json_put(c->state, part, list);
  return err;
}

static Err load_series(ProbeLog *log, const Checkpoint *c, const char *part,
                       const Json *map, Fault *fault) {
  const char *probe = "", *layer = "", *quantity = "";
  int64_t n = 0;
  char name[32];
  if (!json_find_text(map, "probe", &probe) || !json_find_text(map, "layer", &layer) ||
      !json_find_text(map, "quantity", &quantity) ||
      !json_find_int(map, "windows", &n) || n < 0 || n > PROBE_WINDOWS)
    return fault_set(fault, ERR_DATA, "what the probes have measured is missing");
  int i = probe_log_series(log, probe, layer, quantity, fault);
  if (i < 0) return fault->code;
  Err err = probe_log_room(&log->v[i], (int)n, fault);
  snprintf(name, sizeof name, "series%d", i + 1);
  if (!err)
    err = checkpoint_get_bytes(c, part, name, log->v[i].v,
                               (size_t)n * sizeof(ProbeWindow), fault);
  if (!err) log->v[i].n = (int)n;
  return err;
}

static Err load_log(void *self, FitRun *run, const Checkpoint *c, const char *part,
                    Fault *fault) {
  (void)run;
  ProbeLog *log = ((Probes *)self)->log;
  const Json *list = checkpoint_part(c, part);
  if (!list || json_kind(list) != JSON_KIND_LIST)
    return fault_set(fault, ERR_DATA, "what the probes have measured is missing");
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < json_count(list); i++)
    err = load_series(log, c, part, json_item(list, i), fault);
  return err;
}

const Events probe_events = {
    .on = {[FIT_BATCH_END] = take_step}, .save = save_log, .load = load_log};
