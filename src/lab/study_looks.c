/* study_looks.c: looks at results after which seeds were added.
 *
 * Adding seeds until a difference is significant finds ones that are none, and more
 * often with each look: at five seeds and again at eight in 8 of 100 studies, not in 5.
 * So a run whose plan has seeds that the plan on disk lacks writes down those
 * whose results were there, if they were enough for a verdict, looked at or not.
 * experiment.json keeps looks: [{ args: hash of the arguments, seeds: [n]
 * }] over all plans, each set of seeds once; those of the same arguments count. */
#include "lab/plan_file.h"
#include "lab/stat.h"
#include "lab/study.h"
#include <string.h>

static bool has_seed(const Json *seeds, int64_t seed) {
  int64_t other;
  for (int64_t i = 0; i < json_count(seeds); i++)
    if (json_get_int(json_item(seeds, i), &other) && other == seed) return true;
  return false;
}

static bool adds_seeds(const Json *seeds, const Json *before) {
  int64_t seed;
  for (int64_t i = 0; i < json_count(seeds); i++)
    if (json_get_int(json_item(seeds, i), &seed) && !has_seed(before, seed))
      return true;
  return false;
}

static bool same_seeds(const Json *a, const Json *b) {
  return !adds_seeds(a, b) && !adds_seeds(b, a);
}

static Err args_hash(const Json *plan, char out[17], Fault *fault) {
  Json *none = json_map(), *config;
  Err err = plan_file_config(plan, none, &config, out, fault);
  json_free(config);
  json_free(none);
  return err;
}

static bool is_of(const Json *look, const char *args) {
  const char *text;
  return json_find_text(look, "args", &text) && strcmp(text, args) == 0;
}

/* The seeds with which two cells have a result, which is what a contrast needs. */
static Err seeds_with_results(const Study *s, const Planned *planned, Json *out,
                              Fault *fault) {
  const Json *seeds = json_find(planned->experiment, "seeds");
  int64_t n_seeds = json_count(seeds);
  int64_t n_cells = json_count(json_find(planned->experiment, "cells"));
  for (int64_t i = 0; i < n_seeds; i++) {
    int n = 0;
    for (int64_t c = 0; c < n_cells && n < 2; c++) {
      TrialInfo info;
      if (store_look(&s->store, planned->v[i * n_cells + c].id, &info, fault))
        return fault->code;
      n += info.state == TRIAL_COMPLETE || info.state == TRIAL_DIVERGED;
      trial_info_deinit(&info);
    }
    if (n == 2) json_push(out, json_share(json_item(seeds, i)));
  }
  return ERR_OK;
}

/* Takes `seeds`. */
static void add_look(Json *looks, const char *args, Json *seeds) {
  bool known = json_count(seeds) < STAT_TEST_MIN;
  for (int64_t i = 0; i < json_count(looks) && !known; i++) {
    const Json *look = json_item(looks, i);
    known = is_of(look, args) && same_seeds(json_find(look, "seeds"), seeds);
  }
  if (known) {
    json_free(seeds);
    return;
  }
  json_push(looks, json_mapf("args %s seeds %p", args, seeds));
}

/* A copy of those of the plan that is not of these arguments; "": of all. */
static Json *looks_but(const Json *plan, const char *args) {
  const Json *looks = json_find(plan, "looks");
  Json *copy = json_list();
  for (int64_t i = 0; i < json_count(looks); i++)
    if (!is_of(json_item(looks, i), args))
      json_push(copy, json_share(json_item(looks, i)));
  return copy;
}

/* Adds the look at what the plan on disk has results of. */
static Err add_look_before(const Study *s, Json *looks, Fault *fault) {
  Planned planned;
  char args[17];
  Json *seeds = json_list();
  Err err = plan_file_open(&planned, s->store.directory, fault);
  if (!err) err = args_hash(planned.experiment, args, fault);
  if (!err) err = seeds_with_results(s, &planned, seeds, fault);
  if (err) json_free(seeds);
  else add_look(looks, args, seeds);
  plan_file_close(&planned);
  return err;
}

Err study_note_looks(Study *study, Fault *fault) {
  const Json *before = json_find(study->earlier, "seeds");
  Json *looks = looks_but(study->earlier, "");
  Err err = ERR_OK;
  if (before && adds_seeds(json_find(study->plan, "seeds"), before))
    err = add_look_before(study, looks, fault);
  if (json_count(looks)) json_put(study->plan, "looks", looks);
  else json_free(looks);
  return err;
}

Err study_forget_looks(Study *study, Fault *fault) {
  char args[17];
  if (!json_find(study->plan, "looks")) return ERR_OK;
  Err err = args_hash(study->plan, args, fault);
  if (!err) json_put(study->plan, "looks", looks_but(study->plan, args));
  return err;
}

static int count_looks(const Json *looks, const char *args) {
  int n = 0;
  for (int64_t i = 0; i < json_count(looks); i++) n += is_of(json_item(looks, i), args);
  return n;
}

/* As seeds_with_results, of what the study has seen. */
static Json *seeds_seen(const Study *s) {
  const Json *seeds = json_find(s->plan, "seeds");
  Json *out = json_list();
  for (int64_t i = 0; i < json_count(seeds) && (i + 1) * s->n_cells <= s->n_trials;
       i++) {
    int n = 0;
    for (int64_t c = 0; c < s->n_cells; c++)
      n += study_is_done(&s->trials[i * s->n_cells + c]);
    if (n >= 2) json_push(out, json_share(json_item(seeds, i)));
  }
  return out;
}

StudyLooks study_looks(const Study *study) {
  Fault none = {0};
  char args[17];
  StudyLooks n = {1, 1};
  if (args_hash(study->plan, args, &none)) return n;
  Json *looks = looks_but(study->plan, "");
  n.now += count_looks(looks, args);
  add_look(looks, args, seeds_seen(study));
  n.of_more += count_looks(looks, args);
  json_free(looks);
  return n;
}
