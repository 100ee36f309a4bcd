/* plan_file.c: reading experiment.json, and the trials that it asks for; see
 * plan_file.h. */
#include "lab/plan_file.h"
#include "lab/look.h"
#include "lab/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_of(const Json *json, JsonKind kind) {
  return json && json_kind(json) == kind;
}

/* A table of Lua without entries is written as a map. */
static bool is_list(const Json *json) {
  return is_of(json, JSON_KIND_LIST) ||
         (is_of(json, JSON_KIND_MAP) && json_count(json) == 0);
}

static bool is_map(const Json *json) { return is_of(json, JSON_KIND_MAP); }
static bool is_integer(const Json *json) { return is_of(json, JSON_KIND_INT); }
static bool is_text(const Json *json) { return is_of(json, JSON_KIND_TEXT); }

static bool is_trial(const Json *json) {
  const char *id;
  return json_get_text(json, &id) && name_is_trial(id) && strlen(id) < TRIAL_ID;
}

static bool is_map_of_maps(const Json *json) {
  for (void *it = is_map(json) ? json_first(json) : NULL; it; it = json_next(json, it))
    if (!is_map(json_value(it))) return false;
  return is_map(json);
}

static bool is_factor(const Json *json) {
  return is_text(json_find(json, "name")) && is_list(json_find(json, "levels"));
}

static bool is_pair(const Json *json) {
  return is_of(json, JSON_KIND_LIST) && json_count(json) == 2 &&
         is_map(json_item(json, 0)) && is_map(json_item(json, 1));
}

static bool is_goal(const Json *json) {
  const char *goal;
  return json_get_text(json, &goal) &&
         (strcmp(goal, "max") == 0 || strcmp(goal, "min") == 0);
}

static bool is_number(const Json *json) {
  double number;
  return json_get_number(json, &number);
}

typedef struct Field {
  const char *key;
  bool needed;
  bool (*fits)(const Json *item);
  const char *allowed; /* of a list: what its items are */
  bool list;
} Field;

static const Field plan_fields[] = {
    {"cells", true, is_map, "maps factor -> level", true},
    {"seeds", true, is_integer, "integers", true},
    {"range", false, is_number, "numbers", true},
    {"factors", true, is_factor, "maps with a name and a list of levels", true},
    {"contrasts", false, is_pair, "pairs of cells", true},
    {"skipped", false, is_map, "maps", true},
    {"others", false, is_trial, "ids of trials", true},
    {"looks", false, is_map, "maps", true},
    {"fingerprints", false, is_text, "hashes of code", true},
    {"words", false, is_text, "words of the command line", true},
    {"script", false, is_text, "a path", false},
    {"script_path", false, is_text, "a path", false},
    {"name", true, is_text, "text", false},
    {"metric", true, is_text, "text", false},
    {"report", true, is_text, "text", false},
    {"goal", true, is_goal, "max or min", false},
    {"args", false, is_map, "a map", false},
    {"baseline", false, is_map, "a map", false},
    {"tuned", false, is_map, "a map", false},
    {"kept_code", false, is_map_of_maps, "a map of maps", false},
    {NULL, false, NULL, NULL, false}};
static const Field tuned_fields[] = {
    {"names", false, is_text, "names of parameters", true},
    {NULL, false, NULL, NULL, false}};

static bool fits(const Field *field, const Json *json) {
  if (!json) return !field->needed;
  if (!field->list) return field->fits(json);
  bool all = is_list(json);
  for (int64_t i = 0; all && i < json_count(json); i++)
    all = field->fits(json_item(json, i));
  return all;
}

static Err check(const Json *map, const Field *field, const char *directory,
                 Fault *fault) {
  for (; field->key; field++) {
    const Json *json = json_find(map, field->key);
    if (!fits(field, json))
      return fault_set(fault, ERR_STORAGE,
                       "%s/experiment.json: \"%s\" %s, allowed: %s%s", directory,
                       field->key, json ? "is something else" : "is missing",
                       field->list ? "a list of " : "", field->allowed);
  }
  return ERR_OK;
}

/* Its readers make room for all of them. */
static Err check_size(const Json *plan, const char *directory, Fault *fault) {
  const Json *others = json_find(plan, "others");
  int64_t n_cells = json_count(json_find(plan, "cells"));
  int64_t n_seeds = json_count(json_find(plan, "seeds"));
  int64_t n = n_cells * n_seeds, n_others = json_count(others);
  if (n <= TRIALS_MAX && n_others <= TRIALS_MAX) return ERR_OK;
  return fault_set(fault, ERR_STORAGE,
                   "%s/experiment.json: asks for %lld trials, allowed: up to %d",
                   directory, (long long)(n > n_others ? n : n_others), TRIALS_MAX);
}

Json *plan_file_read(const char *directory, Fault *fault) {
  Json *plan = look_json(directory, "experiment.json", fault);
  if (!plan) return NULL;
  Err err = check(plan, plan_fields, directory, fault);
  if (!err) err = check(json_find(plan, "tuned"), tuned_fields, directory, fault);
  if (!err) err = check_size(plan, directory, fault);
  if (!err) return plan;
  json_free(plan);
  return NULL;
}

/* -- its trials -------------------------------------------------------------------- */

Err plan_file_config(const Json *plan, const Json *cell, Json **config, char hash[17],
                     Fault *fault) {
  Json *args = json_find(plan, "args");
  *config = json_mapf("factors %p args %p", json_share((Json *)cell),
                      args ? json_share(args) : json_map());
  return *config ? store_config_hash(*config, hash, fault)
                 : fault_memory(fault, sizeof(void *));
}

static Err add_cells(Planned *out, const Json *cells, const Json *seeds, Fault *fault) {
  int64_t n_cells = json_count(cells), n_seeds = json_count(seeds);
  for (int64_t c = 0; c < n_cells; c++) {
    char hash[17];
    const Json *cell = json_item(cells, c);
    Json *config;
    Err err = plan_file_config(out->experiment, cell, &config, hash, fault);
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

Err plan_file_open(Planned *out, const char *directory, Fault *fault) {
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
  if (err) plan_file_close(out);
  else add_others(out, others);
  return err;
}

void plan_file_close(Planned *planned) {
  free(planned->v);
  json_free(planned->experiment);
  *planned = (Planned){0};
}
