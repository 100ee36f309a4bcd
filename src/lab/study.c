/* study.c: trials of an experiment, their states, their code and their order; see
 * study.h. A trial's fingerprint is the hash of a listing of all code that it reaches;
 * listings are kept in the experiment's directory, so that a difference can be shown.
 */
#include "lab/study.h"
#include "base/file.h"
#include "base/out.h"
#include "base/sys.h"
#include "base/path.h"
#include "lab/level.h"
#include "lab/plan_file.h"
#include "lab/query.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- opening ----------------------------------------------------------------------- */

/* The cell, and its trials: seed-major. */
static Err open_cell(Study *s, int number, const Json *seeds, Fault *fault) {
  const Json *fingerprints = json_find(s->plan, "fingerprints");
  const char *text;
  char hash[17];
  StudyCell *cell = &s->cells[number];
  cell->levels = json_item(json_find(s->plan, "cells"), number);
  if (plan_file_config(s->plan, cell->levels, &cell->config, hash, fault))
    return fault->code;
  if (json_count(fingerprints) == s->n_cells &&
      json_get_text(json_item(fingerprints, number), &text))
    snprintf(cell->fingerprint, HASH_TEXT, "%s", text);
  for (int64_t k = 0; k < json_count(seeds); k++) {
    StudyTrial *t = &s->trials[k * s->n_cells + number];
    t->cell = number;
    json_get_int(json_item(seeds, k), &t->info.seed);
    store_trial_id(hash, t->info.seed, t->info.id);
  }
  return ERR_OK;
}

static Err allocate(Study *s, const Json *seeds, Fault *fault) {
  s->n_cells = (int)json_count(json_find(s->plan, "cells"));
  s->n_trials = s->n_left = s->n_cells * json_count(seeds);
  s->cells = calloc((size_t)s->n_cells + 1, sizeof *s->cells);
  s->trials = calloc((size_t)s->n_trials + 1, sizeof *s->trials);
  return s->cells && s->trials
             ? ERR_OK
             : fault_memory(fault, (size_t)s->n_trials * sizeof *s->trials);
}

/* A new plan goes on saying which code was kept. One on disk that cannot be read says
 * nothing: what other code made is asked about. */
static void take_earlier(Study *s) {
  Fault none = {0};
  s->earlier = plan_file_read(s->store.directory, &none);
  json_put_shared(s->plan, "kept_code", json_find(s->earlier, "kept_code"));
}

Err study_open(Study *out, Json *plan, const Json *seeds, const char *runs, bool create,
               Fault *fault) {
  *out = (Study){.plan = plan, .data = json_map()};
  out->name = json_text(plan, "name");
  out->metric = json_text(plan, "metric");
  out->report = json_text(plan, "report");
  out->larger_is_better = strcmp(json_text(plan, "goal"), "max") == 0;
  /* What was read has cells (plan_file.h): one that was made lacks memory. */
  Err err = json_find(plan, "cells") ? allocate(out, seeds, fault)
                                     : fault_memory(fault, sizeof(void *));
  for (int i = 0; !err && i < out->n_cells; i++) err = open_cell(out, i, seeds, fault);
  if (!err && runs) {
    err = store_open(&out->store, runs, out->name, create, fault);
    out->stored = !err;
    if (!err) take_earlier(out);
  }
  if (err) study_close(out);
  return err;
}

void study_close(Study *study) {
  for (int64_t i = 0; study->trials && i < study->n_trials; i++)
    trial_info_deinit(&study->trials[i].info);
  for (int i = 0; study->cells && i < study->n_cells; i++)
    json_free(study->cells[i].config);
  if (study->stored) store_close(&study->store);
  json_free(study->plan);
  json_free(study->earlier);
  json_free(study->data);
  free(study->cells);
  free(study->trials);
  *study = (Study){0};
}

/* -- states ------------------------------------------------------------------------ */

static bool is_done(TrialState state) {
  return state == TRIAL_COMPLETE || state == TRIAL_DIVERGED;
}

/* Keeps the counts and sums in step with a trial: `sign` -1 takes it out, 1 puts it
 * in. */
static void count(Study *s, const StudyTrial *t, int sign) {
  if (is_done(t->info.state)) s->n_done += sign;
  else if (trial_state_is_published(t->info.state)) s->n_failed += sign;
  else s->n_left += sign;
  double value;
  if (t->info.state != TRIAL_COMPLETE ||
      !json_find_number(t->info.values, s->report, &value))
    return;
  s->cells[t->cell].sum += sign * value;
  s->cells[t->cell].n += sign;
}

static void set_state(Study *s, StudyTrial *t, TrialState state) {
  count(s, t, -1);
  t->info.state = state;
  count(s, t, 1);
}

bool study_is_published(const StudyTrial *trial) {
  return trial_state_is_published(trial->info.state);
}

bool study_is_done(const StudyTrial *trial) { return is_done(trial->info.state); }

bool study_is_foreign(const StudyTrial *trial) {
  return trial->foreign && is_done(trial->info.state);
}

bool study_is_asked_about(const StudyTrial *trial) {
  return study_is_foreign(trial) && !trial->kept;
}

/* note_kept writes this. */
static bool is_kept(const Study *s, const StudyTrial *t) {
  const Json *beside = json_find(json_find(s->plan, "kept_code"), t->info.fingerprint);
  return json_find(beside, s->cells[t->cell].fingerprint) != NULL;
}

static void note_data(Study *s, StudyTrial *t) {
  for (void *it = json_first(t->info.data); it; it = json_next(t->info.data, it)) {
    const char *hash, *known = json_text_or(s->data, json_key(it), NULL);
    if (!json_get_text(json_value(it), &hash)) continue;
    if (!known) json_put_text(s->data, json_key(it), hash);
    if (!known || strcmp(known, hash) == 0) continue;
    t->other_data = true;
    snprintf(s->other_data, sizeof s->other_data, "%s", json_key(it));
  }
}

/* Takes what is in `info`, of that trial. */
static void take_info(Study *s, StudyTrial *t, TrialInfo *info) {
  count(s, t, -1);
  memcpy(info->id, t->info.id, sizeof info->id);
  info->seed = t->info.seed;
  trial_info_deinit(&t->info);
  t->info = *info;
  *info = (TrialInfo){0};
  t->foreign = *t->info.fingerprint && *s->cells[t->cell].fingerprint &&
               strcmp(t->info.fingerprint, s->cells[t->cell].fingerprint) != 0;
  t->kept = t->foreign && is_kept(s, t);
  t->other_data = false;
  if (study_is_published(t)) note_data(s, t);
  json_free(t->info.data);
  t->info.data = NULL;
  count(s, t, 1);
}

Err study_look_at(Study *study, int64_t trial, Fault *fault) {
  StudyTrial *t = &study->trials[trial];
  TrialInfo info = {0};
  Err err = store_look(&study->store, t->info.id, &info, fault);
  if (!err) take_info(study, t, &info);
  trial_info_deinit(&info);
  bool mixed = study->code_decided && !study->keeps_foreign && study_is_asked_about(t);
  if (!err && mixed)
    err = fault_set(fault, ERR_USAGE,
                    "%s: trial %s was run by another process with other code while the "
                    "study ran; the same command asks what to do with such "
                    "trials",
                    study->name, t->info.id);
  return err;
}

static Err end_look(Study *study, Fault *fault) {
  study->n_found = study->n_done + study->n_failed;
  return study->earlier ? study_note_looks(study, fault) : ERR_OK;
}

Err study_look(Study *study, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && study->stored && i < study->n_trials; i++)
    err = study_look_at(study, i, fault);
  return err ? err : end_look(study, fault);
}

Err study_look_up(Study *study, Index *index, Fault *fault) {
  Query query = {.experiment = study->name, .all = true, .whole = true};
  Json *rows = NULL, *by_id = json_map();
  int64_t n = 0;
  Err err = query_ask(index, QUERY_TRIALS, &query, &rows, &n, fault);
  for (int64_t i = 0; i < json_count(rows); i++)
    json_put_shared(by_id, json_text(json_item(rows, i), "id"), json_item(rows, i));
  for (int64_t i = 0; !err && i < study->n_trials; i++) {
    TrialInfo info;
    trial_info_of_row(json_find(by_id, study->trials[i].info.id), &info);
    take_info(study, &study->trials[i], &info);
  }
  json_free(rows);
  json_free(by_id);
  return err ? err : end_look(study, fault);
}

Err study_outcome(Study *study, int64_t trial, const TrialEnd *end, double seconds,
                  Fault *fault) {
  TrialInfo info = {.state = end->state, .seconds = seconds};
  info.message = end->message ? text_copy(end->message) : NULL;
  info.values = json_share((Json *)end->values);
  info.rows = json_share((Json *)end->rows);
  take_info(study, &study->trials[trial], &info);
  return end->message && !study->trials[trial].info.message ? fault_memory(fault, 0)
                                                            : ERR_OK;
}

Err study_check_report(const Study *study, Fault *fault) {
  enum { NAMES = 64 };
  const char *names[NAMES], *nearest = NULL;
  int64_t n_lack = 0;
  for (int64_t i = 0; i < study->n_trials; i++) {
    const StudyTrial *t = &study->trials[i];
    if (t->info.state != TRIAL_COMPLETE || json_find(t->info.values, study->report))
      continue;
    int n = 0;
    for (void *it = json_first(t->info.values); it && n < NAMES;
         it = json_next(t->info.values, it))
      names[n++] = json_key(it);
    if (n_lack++ == 0) nearest = text_nearest(study->report, names, n);
  }
  if (!n_lack) return ERR_OK;
  return fault_set(fault, ERR_USAGE,
                   "%s: %lld complete trials have no value \"%s\", which the "
                   "experiment reports%s%s%s; runner rm removes trials, to be run "
                   "again",
                   study->name, (long long)n_lack, study->report,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

/* -- code -------------------------------------------------------------------------- */

enum { CODE_BYTES = 1 << 24 };

/* The listing that an old trial ran; false: it is not there (any more). */
static bool read_listing(const Study *s, const char *fingerprint, Text *out) {
  Fault none = {0};
  Path path = path_of("%s/code/%.16s-listing", s->store.directory, fingerprint);
  bool found = file_read(path.s, CODE_BYTES, out, &none) == ERR_OK;
  text_add(out, "");
  return found && !out->failed;
}

static void add_difference(const Study *s, const StudyTrial *t, const Json *listings,
                           CodeDifference difference, void *ctx, Text *out) {
  Text old = {0};
  const char *now;
  if (read_listing(s, t->info.fingerprint, &old) &&
      json_find_text(listings, s->cells[t->cell].fingerprint, &now)) {
    char *lines = difference(ctx, old.data, now);
    if (lines) text_addf(out, "%s\n", lines);
    free(lines);
  }
  text_deinit(&old);
}

static Err ask(const Study *s, int64_t n, const Text *what, Fault *fault) {
  return fault_set(fault, ERR_USAGE,
                   "%s: the code has changed since %lld of the trials ran:\n%s"
                   "choose what to do with them:\n"
                   "  --code=rerun   run them again with the code as it is now\n"
                   "  --code=keep    let them stand beside new ones\n"
                   "those that failed are run again either way",
                   s->name, (long long)n, what->n_bytes ? what->data : "");
}

/* New, or another reference to the map that is there. */
static Json *map_in(const Json *map, const char *key) {
  Json *there = json_find(map, key);
  return there && json_kind(there) == JSON_KIND_MAP ? json_share(there) : json_map();
}

/* Writes into the plan that results of other code are kept beside those of the code as
 * it is now: kept_code: { the code that made them: { the code of now: since when } }.
 */
static void note_kept(Study *s) {
  char now[32];
  Json *kept = map_in(s->plan, "kept_code");
  clock_utc(now);
  for (int64_t i = 0; i < s->n_trials; i++) {
    StudyTrial *t = &s->trials[i];
    if (!study_is_asked_about(t)) continue;
    Json *beside = map_in(kept, t->info.fingerprint);
    json_put_text(beside, s->cells[t->cell].fingerprint, now);
    json_put(kept, t->info.fingerprint, beside);
    t->kept = true;
  }
  json_put(s->plan, "kept_code", kept);
}

/* Resets what other code left unfinished or failed at, and what it finished if that is
 * to be run again. Another coordinator may do the same: what has the code of now
 * stays. */
static Err reset_foreign(Study *s, CodeChoice choice, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < s->n_trials; i++) {
    const StudyTrial *t = &s->trials[i];
    TrialState state = t->info.state;
    bool untouched = state == TRIAL_PENDING || state == TRIAL_RUNNING, done;
    bool stays = choice != CODE_RERUN && study_is_done(t);
    if (!t->foreign || untouched || stays) continue;
    err = store_reset_foreign(&s->store, t->info.id, s->cells[t->cell].fingerprint,
                              &done, fault);
    if (!err) err = study_look_at(s, i, fault);
  }
  return err;
}

/* Nothing is changed before the question is answered. */
Err study_check_code(Study *study, CodeChoice choice, const Json *listings,
                     CodeDifference difference, void *ctx, Fault *fault) {
  Text what = {0};
  const StudyTrial *first = NULL;
  int64_t n_asked = 0, n_foreign = 0;
  Err err = ERR_OK;
  for (int64_t i = 0; study->stored && i < study->n_trials; i++) {
    const StudyTrial *t = &study->trials[i];
    n_foreign += study_is_foreign(t);
    if (study_is_asked_about(t) && n_asked++ == 0) first = t;
  }
  if (n_asked && choice == CODE_ASK) {
    add_difference(study, first, listings, difference, ctx, &what);
    err = ask(study, n_asked, &what, fault);
  }
  if (!err && study->stored) err = reset_foreign(study, choice, fault);
  if (!err && n_asked && choice == CODE_KEEP) note_kept(study);
  if (!err && n_foreign && choice == CODE_RERUN)
    json_put(study->plan, "kept_code", json_map());
  if (!err && choice == CODE_RERUN && study->n_done == 0)
    err = study_forget_looks(study, fault);
  study->n_found = study->n_done + study->n_failed;
  study->code_decided = true;
  study->keeps_foreign = choice == CODE_KEEP;
  text_deinit(&what);
  return err;
}

static Err keep_file(const Study *s, const char *path, Json *hashes, Fault *fault) {
  Text text = {0};
  char hash[HASH_TEXT];
  Err err = file_read(path, CODE_BYTES, &text, fault);
  if (!err)
    err = store_keep(&s->store, path, text.data ? text.data : "", text.n_bytes, hash,
                     fault);
  if (!err) json_push(hashes, json_mapf("path %s hash %s", path, hash));
  text_deinit(&text);
  return err;
}

Err study_write_code(const Study *study, const Json *listings, const Json *files,
                     Json *hashes, Fault *fault) {
  char hash[HASH_TEXT];
  const char *text;
  Err err = ERR_OK;
  for (void *it = json_first(listings); !err && it; it = json_next(listings, it))
    if (json_get_text(json_value(it), &text))
      err = store_keep(&study->store, "listing", text, strlen(text), hash, fault);
  for (int64_t i = 0; !err && i < json_count(files); i++)
    if (json_get_text(json_item(files, i), &text))
      err = keep_file(study, text, hashes, fault);
  return err;
}

Err study_write_plan(const Study *study, bool tuning, Fault *fault) {
  if (!tuning) return store_plan(&study->store, study->plan, fault);
  Json *plan = json_map(), *others = json_list();
  json_put_all(plan, study->plan);
  for (int64_t i = 0; i < study->n_trials; i++)
    json_push_text(others, study->trials[i].info.id);
  json_putf(plan, "cells %p fingerprints %p others %p", json_list(), json_list(),
            others);
  Err err = store_plan(&study->store, plan, fault);
  json_free(plan);
  return err;
}

/* -- the queue --------------------------------------------------------------------- */

/* Has it no result, and is it not running? */
static bool is_open(const StudyTrial *trial) {
  return trial->info.state == TRIAL_PENDING || trial->info.state == TRIAL_INTERRUPTED ||
         trial->info.state == TRIAL_STALE;
}

static bool to_run(const StudyTrial *t) { return !t->ours && is_open(t); }

int64_t study_next(Study *study) {
  for (; study->next < study->n_trials; study->next++) {
    StudyTrial *t = &study->trials[study->next];
    if (!to_run(t)) continue;
    t->ours = true;
    set_state(study, t, TRIAL_RUNNING);
    return study->next++;
  }
  return -1;
}

void study_put_back(Study *study, int64_t trial, bool again) {
  StudyTrial *t = &study->trials[trial];
  set_state(study, t, TRIAL_INTERRUPTED);
  t->ours = !again;
  if (again && trial < study->next) study->next = trial;
}

Err study_look_again(Study *study, int64_t trial, bool ended, Fault *fault) {
  StudyTrial *t = &study->trials[trial];
  if (study_look_at(study, trial, fault)) return fault->code;
  t->ours = study_is_published(t) || (ended && t->info.damaged);
  if (is_open(t) && !t->ours) study_put_back(study, trial, true);
  return ERR_OK;
}

Err study_look_at_others(Study *study, int64_t *n, Fault *fault) {
  Err err = ERR_OK;
  *n = 0;
  for (int64_t i = 0; !err && i < study->n_trials; i++) {
    StudyTrial *t = &study->trials[i];
    if (t->info.state != TRIAL_RUNNING || t->ours) continue;
    err = study_look_at(study, i, fault);
    if (t->info.state == TRIAL_RUNNING) ++*n;
    else if (to_run(t) && i < study->next) study->next = i;
  }
  return err;
}

static bool has_result(const Study *s, const StudyTrial *t) {
  return file_exists(path_of("%s/%s/result.json", s->store.trials, t->info.id).s);
}

/* Its result was removed. It is to be run again, and counted in n[0], unless that
 * happened before: then it is left, in n[1]. */
static Err note_gone(Study *s, int64_t trial, int64_t n[2], Fault *fault) {
  StudyTrial *t = &s->trials[trial];
  if (study_look_at(s, trial, fault) || !is_open(t)) return fault->code;
  n[t->gone]++;
  t->ours = t->gone;
  if (!t->gone && trial < s->next) s->next = trial;
  t->gone = true;
  return ERR_OK;
}

static void print_gone(const Study *s, int64_t n, const char *what) {
  if (n)
    err_print("%s: %lld result%s removed while the study ran%s\n", s->store.directory,
              (long long)n, n == 1 ? " was" : "s were", what);
}

Err study_find_gone(Study *study, bool tuning, int64_t *n, Fault *fault) {
  int64_t n_gone[2] = {0, 0};
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < study->n_trials; i++)
    if (study_is_published(&study->trials[i]) && !has_result(study, &study->trials[i]))
      err = note_gone(study, i, n_gone, fault);
  print_gone(study, n_gone[0], ": run again");
  print_gone(study, n_gone[1], ", and again: left; the same command runs what is left");
  *n = n_gone[0];
  if (err || file_exists(path_of("%s/experiment.json", study->store.directory).s))
    return err;
  return study_write_plan(study, tuning, fault);
}

void study_left_text(const Study *study, bool tuning, Text *out) {
  const char *also = tuning ? " of tuning, and all that are reported" : "";
  if (study->n_left && study->stored)
    text_addf(out, "the same command runs what is left: %lld of %lld trials%s",
              (long long)study->n_left, (long long)study->n_trials, also);
  else if (study->n_left)
    text_addf(out,
              "%lld of %lld trials%s are left; nothing was recorded, the same command "
              "runs "
              "all",
              (long long)study->n_left, (long long)study->n_trials, also);
  else if (tuning) text_add(out, "the same command runs all trials that are reported");
  else text_add(out, "all trials are done: the same command shows what they tell");
}

int study_best(const Study *study, double *mean, int *n) {
  int best = -1;
  for (int i = 0; i < study->n_cells; i++) {
    const StudyCell *cell = &study->cells[i];
    if (cell->n == 0) continue;
    double own = cell->sum / cell->n;
    bool better = best < 0 || (study->larger_is_better ? own > *mean : own < *mean);
    if (!better) continue;
    best = i;
    *mean = own;
    *n = cell->n;
  }
  return best;
}

/* How many factors have a level of that name. */
static int count_factors(const Json *factors, const char *level) {
  int n = 0;
  for (int64_t i = 0; i < json_count(factors); i++) {
    const Json *levels = json_find(json_item(factors, i), "levels");
    const char *other;
    bool found = false;
    for (int64_t k = 0; k < json_count(levels) && !found; k++)
      found = json_get_text(json_item(levels, k), &other) && strcmp(other, level) == 0;
    n += found;
  }
  return n;
}

void study_cell_text(const Study *study, int cell, Text *out) {
  study_levels_text(study, study->cells[cell].levels, out);
}

void study_levels_text(const Study *study, const Json *levels, Text *out) {
  const Json *factors = json_find(study->plan, "factors");
  for (int64_t i = 0, n = 0; i < json_count(factors); i++) {
    const char *level, *factor = json_text(json_item(factors, i), "name");
    if (json_find_text(levels, factor, &level)) {
      text_add(out, n++ ? ", " : "");
      level_add(factor, level, count_factors(factors, level), out);
    }
  }
}
