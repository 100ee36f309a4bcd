/* study_verify.c: trials run again, beside the study, and their digests compared. */
#include "lab/study_verify.h"
#include "base/file.h"
#include "base/out.h"
#include "base/philox.h"
#include "base/sys.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A failed trial has a digest too, of what it did before its end. */
static bool is_done(const StudyTrial *t) {
  return (t->state == TRIAL_COMPLETE || t->state == TRIAL_DIVERGED) && t->digest[0];
}

/* Numbers of `sample` of the done trials (0: all), in any order; NULL on lack of memory. */
static int64_t *choose(const Study *s, int sample, int64_t *n) {
  int64_t *all = calloc((size_t)s->n_trials + 1, sizeof *all);
  *n = 0;
  for (int64_t i = 0; all && i < s->n_trials; i++)
    if (is_done(&s->trials[i])) all[(*n)++] = i;
  if (!all || sample <= 0 || sample >= *n) return all;
  Stream stream = {(uint64_t)getpid(), (uint64_t)(clock_s() * 1e6)};
  for (int64_t i = 0; i < sample; i++) {   /* the first `sample` places of a shuffle */
    int64_t k = i + (int64_t)philox_below(stream, (uint64_t)(2 * i), (uint64_t)(*n - i));
    int64_t swapped = all[i];
    all[i] = all[k];
    all[k] = swapped;
  }
  *n = sample;
  return all;
}

/* Leaves only the chosen trials in a study that was just opened. */
static Err keep_only(Study *again, const int64_t *chosen, int64_t n, Fault *fault) {
  StudyTrial *kept = calloc((size_t)n + 1, sizeof *kept);
  if (!kept) return fault_memory(fault, (size_t)n * sizeof *kept);
  for (int64_t i = 0; i < n; i++) kept[i] = again->trials[chosen[i]];
  free(again->trials);
  again->trials = kept;
  again->n_trials = again->n_left = n;
  return ERR_OK;
}

static void tell(const Study *s, const StudyTrial *old, const StudyTrial *now) {
  Text line = {0};
  text_addf(&line, "%s: ", now->digest[0] ? "differs" : trial_state_name(now->state));
  study_cell_text(s, old->cell, &line);
  text_addf(&line, ", seed %lld (%s)", (long long)old->seed, old->id);
  if (strcmp(old->made_by, s->fingerprints[old->cell]) != 0)
    text_add(&line, ": it was made by other code");
  if (!line.failed) out_print("%s\n", line.data);
  text_deinit(&line);
}

static int64_t compare_digests(const Study *s, const Study *again, const int64_t *chosen) {
  int64_t n_differ = 0;
  for (int64_t i = 0; i < again->n_trials; i++) {
    const StudyTrial *old = &s->trials[chosen[i]], *now = &again->trials[i];
    if (strcmp(old->digest, now->digest) == 0) continue;
    n_differ++;
    tell(s, old, now);
  }
  return n_differ;
}

static Err run_again(const Study *s, const PoolOptions *options, const char *directory,
                     const int64_t *chosen, int64_t n, int64_t *n_differ, Fault *fault) {
  Study again;
  PoolOptions own = *options;
  own.runs = directory;
  Err err = study_open(&again, json_share(s->plan), json_find(s->plan, "seeds"), NULL,
                       directory, true, fault);
  if (err) return err;
  err = keep_only(&again, chosen, n, fault);
  for (int i = 0; i < s->n_cells; i++)
    memcpy(again.fingerprints[i], s->fingerprints[i], HASH_TEXT);
  if (!err) err = pool_run(&again, &own, fault);
  if (!err) *n_differ = compare_digests(s, &again, chosen);
  study_close(&again);
  return err;
}

Err study_verify(Study *study, const PoolOptions *options, int sample, int64_t *n_differ,
                 Fault *fault) {
  Text directory = {0};
  int64_t n = 0, *chosen = choose(study, sample, &n);
  *n_differ = 0;
  text_addf(&directory, "%s/" VERIFY_DIRECTORY "%ld", options->runs, (long)getpid());
  Err err = chosen && !directory.failed ? ERR_OK : fault_memory(fault, 0);
  if (!err && n == 0)
    err = fault_set(fault, ERR_VALUE, "%s: no trial is done: nothing to verify", study->name);
  if (!err) {
    err = run_again(study, options, directory.data, chosen, n, n_differ, fault);
    Fault removing = {0};
    Err removed = file_remove(directory.data, &removing);
    if (!err && removed) err = fault_set(fault, removed, "%s", removing.text);
  }
  if (!err)
    out_print("%lld of %lld trials came to the same digest\n", (long long)(n - *n_differ),
              (long long)n);
  text_deinit(&directory);
  free(chosen);
  return err;
}
