/* study_code.c: trials that other code made; the code that is kept beside the results.
 *
 * A trial's fingerprint is the hash of a listing of all code that it reaches. The
 * listings are kept in the experiment's directory, so that a difference can be told in
 * words. */
#include "base/file.h"
#include "base/path.h"
#include "base/sys.h"
#include "lab/study.h"
#include <stdlib.h>
#include <string.h>

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
      json_find_text(listings, s->fingerprints[t->cell], &now)) {
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

static Err reset(Study *s, int64_t trial, Fault *fault) {
  const StudyTrial *t = &s->trials[trial];
  bool done;
  if (store_reset_foreign(&s->store, t->info.id, s->fingerprints[t->cell], &done,
                          fault))
    return fault->code;
  return study_look_at(s, trial, fault);
}

/* New, or another reference to the map that is there. */
static Json *map_in(const Json *map, const char *key) {
  Json *there = json_find(map, key);
  return there && json_kind(there) == JSON_KIND_MAP ? json_share(there) : json_map();
}

/* Writes into the plan that what is foreign stands beside the code as it is now:
 * kept_code: { the code that made it: { the code that it stands beside: since when }
 * }. */
static void note_kept(Study *s) {
  char now[32];
  Json *kept = map_in(s->plan, "kept_code");
  clock_utc(now);
  for (int64_t i = 0; i < s->n_trials; i++) {
    StudyTrial *t = &s->trials[i];
    if (!study_is_asked_about(t)) continue;
    Json *beside = map_in(kept, t->info.fingerprint);
    json_put_text(beside, s->fingerprints[t->cell], now);
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
    TrialState state = s->trials[i].info.state;
    bool untouched = state == TRIAL_PENDING || state == TRIAL_RUNNING;
    bool stays = choice != CODE_RERUN && study_is_done(&s->trials[i]);
    if (s->trials[i].foreign && !untouched && !stays) err = reset(s, i, fault);
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
  Json *row = err ? NULL : json_map();
  if (row) {
    json_put_text(row, "path", path);
    json_put_text(row, "hash", hash);
    json_push(hashes, row);
  }
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
  json_put(plan, "cells", json_list());
  json_put(plan, "fingerprints", json_list());
  json_put(plan, "others", others);
  Err err = store_plan(&study->store, plan, fault);
  json_free(plan);
  return err;
}
