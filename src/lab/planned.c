/* planned.c: the trials that an experiment.json asks for; see planned.h. */
#include "lab/planned.h"
#include "lab/plan_file.h"
#include <stdio.h>
#include <stdlib.h>

Json *planned_config(const Json *plan, const Json *cell) {
  Json *config = json_map(), *args = json_find(plan, "args");
  json_put(config, "factors", json_share((Json *)cell));
  json_put(config, "args", args ? json_share(args) : json_map());
  return config;
}

static Err add_cells(Planned *out, const Json *cells, const Json *seeds, Fault *fault) {
  int64_t n_cells = json_count(cells), n_seeds = json_count(seeds);
  for (int64_t c = 0; c < n_cells; c++) {
    char hash[17];
    const Json *cell = json_item(cells, c);
    Json *config = planned_config(out->experiment, cell);
    Err err = store_config_hash(config, hash, fault);
    json_free(config);
    for (int64_t s = 0; !err && s < n_seeds; s++) {
      PlannedTrial *trial = &out->v[s * n_cells + c];
      trial->factors = cell;
      json_get_int(json_item(seeds, s), &trial->seed);
      store_trial_id(hash, trial->seed, trial->id);
    }
    if (err) return err;
  }
  out->n = n_cells * n_seeds;
  return ERR_OK;
}

static void add_others(Planned *out, const Json *others) {
  for (int64_t i = 0; i < json_count(others); i++) {
    const char *id;
    if (!json_get_text(json_item(others, i), &id)) continue;
    PlannedTrial *trial = &out->v[out->n++];
    snprintf(trial->id, sizeof trial->id, "%s", id);
    trial->seed = store_trial_seed(id);
  }
}

Err planned_open(Planned *out, const char *directory, Fault *fault) {
  *out = (Planned){.experiment = plan_file_read(directory, fault)};
  if (!out->experiment) return fault->code;
  const Json *cells = json_find(out->experiment, "cells");
  const Json *seeds = json_find(out->experiment, "seeds");
  const Json *others = json_find(out->experiment, "others");
  int64_t n = json_count(cells) * json_count(seeds) + json_count(others);
  out->v = calloc((size_t)n + 1, sizeof *out->v);
  Err err = out->v ? add_cells(out, cells, seeds, fault)
                   : fault_memory(fault, (size_t)n * sizeof *out->v);
  out->tuning = json_count(others) > 0 && json_count(cells) == 0;
  if (err) planned_close(out);
  else add_others(out, others);
  return err;
}

void planned_close(Planned *planned) {
  free(planned->v);
  json_free(planned->experiment);
  *planned = (Planned){0};
}
