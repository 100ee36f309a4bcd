/* study_verify.c: records checked against their digests; trials run again, beside the
 * study, and their digests compared. */
#include "lab/study_verify.h"
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "base/philox.h"
#include "base/sys.h"
#include "lab/crash.h"
#include "lab/look.h"
#include "lab/plan_file.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is found out, and told at the end. */
typedef struct Findings {
  const Study *study;
  bool *altered; /* of each trial: its files are not those of its digest, or cannot
                    be read */
  int64_t n_records, n_altered, n_unreadable, n_missing, n_run, n_differ;
  Json *rows; /* of the trials with which something is wrong */
  Json *plan; /* sentences: what is wrong with experiment.json */
} Findings;

/* The row, borrowed. */
static Json *add_row(Findings *f, const StudyTrial *t, const char *problem) {
  const Study *s = f->study;
  Json *row = json_map();
  Text cell = {0};
  study_cell_text(s, t->cell, &cell);
  json_put_text(row, "problem", problem);
  json_put_text(row, "cell", cell.data ? cell.data : "");
  json_put_int(row, "seed", t->info.seed);
  json_put_text(row, "id", t->info.id);
  json_put_bool(row, "other_code", t->foreign);
  json_push(f->rows, row);
  text_deinit(&cell);
  return row;
}

/* -- the records: are they what was written? --------------------------------------- */

static void note_unreadable(Findings *f, const StudyTrial *t, const char *message) {
  json_put_text(add_row(f, t, "unreadable"), "message", message);
  f->n_unreadable++;
}

/* No digest is made of meta.json. */
static void check_meta(Findings *f, const StudyTrial *t) {
  char *damage = NULL;
  Path path = path_of("%s/%s", f->study->store.trials, t->info.id);
  Json *meta = look_meta(path.s, &damage);
  if (!meta)
    note_unreadable(f, t,
                    damage ? damage : path_of("%s/meta.json: is not there", path.s).s);
  json_free(meta);
  free(damage);
}

/* A file that the system does not let us read is one record's trouble. */
static Err check_whole(Findings *f, int64_t trial, Fault *fault) {
  const StudyTrial *t = &f->study->trials[trial];
  bool whole = true;
  Fault own = {0};
  Err err = crash_check(&f->study->store, t->info.id, &whole, &own);
  if (err && err != ERR_STORAGE) return fault_set(fault, err, "%s", own.text);
  f->n_records++;
  f->altered[trial] = !whole || err;
  f->n_altered += !err && !whole;
  if (err) note_unreadable(f, t, own.text);
  else if (!whole) add_row(f, t, "altered");
  else check_meta(f, t);
  return ERR_OK;
}

/* A failed trial has a digest too, of what it did before its end: it promises
 * nothing. */
static Err check_records(Findings *f, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < f->study->n_trials; i++) {
    const StudyTrial *t = &f->study->trials[i];
    if (study_is_done(t)) err = check_whole(f, i, fault);
    else if (t->info.damaged) {
      f->n_records++;
      note_unreadable(f, t, t->info.message);
    } else f->n_missing += !study_is_published(t);
  }
  return err;
}

/* -- the plan: does it ask for what the study does? -------------------------------- */

static void add_text(Text *out, const Json *value, const char *otherwise) {
  Fault ignored = {0};
  Json *canonical = value ? json_canonical(value) : NULL;
  if (!value) text_add(out, otherwise);
  else (void)!json_write(canonical, 0, out, &ignored);
  json_free(canonical);
}

/* The two texts, cut where they are long. */
static void note_difference(Findings *f, const char *key, const Text *there,
                            const Text *here) {
  enum { SHOWN = 60 };
  Text line = {0};
  text_addf(&line, "experiment.json: \"%s\" is %.*s%s, and the script asks for %.*s%s",
            key, SHOWN, there->data, there->n_bytes > SHOWN ? "..." : "", SHOWN,
            here->data, here->n_bytes > SHOWN ? "..." : "");
  if (!line.failed) json_push_text(f->plan, line.data);
  text_deinit(&line);
}

/* What decides which trials there are and how they are compared. */
static void check_plan(Findings *f) {
  static const char *const keys[] = {"name", "factors", "cells", "args", "seeds",
                                     "baseline",
                                     "metric", "metric_goal", "report", "goal", "range",
                                     "rope",
                                     "contrasts", "cell_contrasts", "random"};
  Fault fault = {0};
  Json *there = plan_file_read(f->study->store.directory, &fault);
  if (!there)
    json_push_text(f->plan, fault.code ? fault.text : "experiment.json is not there");
  for (size_t i = 0; there && i < sizeof keys / sizeof *keys; i++) {
    Text old = {0}, now = {0};
    const Json *value = json_find(there, keys[i]),
               *asked = json_find(f->study->plan, keys[i]);
    if (!value && !asked) continue;
    add_text(&old, value, "missing");
    add_text(&now, asked, "none");
    if (old.data && now.data && strcmp(old.data, now.data) != 0)
      note_difference(f, keys[i], &old, &now);
    text_deinit(&old);
    text_deinit(&now);
  }
  json_free(there);
}

/* -- a sample, run again ----------------------------------------------------------- */

/* Numbers of `sample` of the trials whose record is whole (0: all), in any order; NULL
 * on lack of memory. */
static int64_t *choose(const Findings *f, int sample, int64_t *n) {
  const Study *s = f->study;
  int64_t *all = calloc((size_t)s->n_trials + 1, sizeof *all);
  *n = 0;
  for (int64_t i = 0; all && i < s->n_trials; i++)
    if (study_is_done(&s->trials[i]) && !f->altered[i]) all[(*n)++] = i;
  if (!all || sample <= 0 || sample >= *n) return all;
  Stream stream = {(uint64_t)getpid(), (uint64_t)(clock_s() * 1e6)};
  for (int64_t i = 0; i < sample; i++) { /* the first `sample` places of a shuffle */
    int64_t k = i +
                (int64_t)philox_below(stream, (uint64_t)(2 * i), (uint64_t)(*n - i));
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

static void compare_digests(Findings *f, const Study *again, const int64_t *chosen) {
  for (int64_t i = 0; i < again->n_trials; i++) {
    const StudyTrial *old = &f->study->trials[chosen[i]], *now = &again->trials[i];
    if (strcmp(old->info.digest, now->info.digest) == 0) continue;
    f->n_differ++;
    add_row(f, old,
            now->info.digest[0] ? "differs" : trial_state_name(now->info.state));
  }
}

static Err run_chosen(Findings *f, const PoolOptions *options, const char *directory,
                      const int64_t *chosen, int64_t n, Fault *fault) {
  const Study *s = f->study;
  Study again;
  PoolOptions own = *options;
  own.runs = directory;
  Err err = study_open(&again, json_share(s->plan), json_find(s->plan, "seeds"),
                       directory, true, fault);
  if (err) return err;
  err = keep_only(&again, chosen, n, fault);
  if (!err) err = pool_run(&again, &own, fault);
  if (!err) compare_digests(f, &again, chosen);
  if (err == ERR_INTERRUPT) { /* what was run goes with the directory */
    fault_clear(fault);
    fault_set(fault, err,
              "interrupted: nothing is verified; the same command runs all %s again",
              text_counted(n, "trial").s);
  }
  study_close(&again);
  return err;
}

static Err run_again(Findings *f, const PoolOptions *options, int sample,
                     Fault *fault) {
  Path directory = path_of("%s/" VERIFY_DIRECTORY "%ld", options->runs, (long)getpid());
  int64_t *chosen = choose(f, sample, &f->n_run);
  Err err = chosen ? ERR_OK
                   : fault_memory(fault, (size_t)f->study->n_trials * sizeof *chosen);
  if (!err && f->n_run) {
    Fault removing = {0};
    err = run_chosen(f, options, directory.s, chosen, f->n_run, fault);
    if (file_remove(directory.s, &removing) && !err) err = fault_pass(fault, &removing);
  }
  free(chosen);
  return err;
}

/* -- what is told ------------------------------------------------------------------ */

/* One line, or as many as a terminal asks for. */
static void add_wrapped(Text *out, Text *line) {
  if (line->failed) out->failed = true;
  else text_add_wrapped(out, line->data, 0, 2, out_table_columns());
  text_deinit(line);
}

static void add_line(Text *out, const Json *row) {
  Text line = {0};
  const char *problem = json_text(row, "problem"),
             *message = json_text_or(row, "message", NULL);
  text_addf(&line, "%s: %s, seed %lld (%s)", problem, json_text(row, "cell"),
            (long long)json_int(row, "seed"), json_text(row, "id"));
  if (strcmp(problem, "altered") == 0) {
    text_add(&line, ": its files are not those of which its digest was made");
  } else if (message) {
    text_add(&line, ": ");
    text_add_first_line(&line, message);
  } else if (json_bool(row, "other_code")) {
    text_add(&line, ": it was made by other code");
  }
  add_wrapped(out, &line);
}

/* How the trials whose files were altered become what they were. */
static void add_advice(const Findings *f, Text *out) {
  Text line = {0};
  const char *comma = "";
  if (!f->n_altered) return;
  text_addf(&line, "runner rm %s id=%s", f->study->name, f->n_altered > 3 ? "..." : "");
  for (int64_t i = 0; f->n_altered <= 3 && i < json_count(f->rows); i++) {
    const Json *row = json_item(f->rows, i);
    if (strcmp(json_text(row, "problem"), "altered") != 0) continue;
    text_addf(&line, "%s%s", comma, json_text(row, "id"));
    comma = ",";
  }
  text_addf(&line, "%s removes %s; the script, run again, makes %s anew",
            f->n_altered > 1 ? " --yes" : "", f->n_altered > 1 ? "them" : "it",
            f->n_altered > 1 ? "them" : "it");
  add_wrapped(out, &line);
}

static void add_plan(const Findings *f, Text *out) {
  for (int64_t i = 0; i < json_count(f->plan); i++) {
    Text line = {0};
    const char *text;
    if (json_get_text(json_item(f->plan, i), &text)) text_add_clean(&line, text);
    add_wrapped(out, &line);
  }
  Text line = {0};
  text_add(&line, "the script, run again, writes experiment.json anew");
  if (json_count(f->plan)) add_wrapped(out, &line);
  text_deinit(&line);
}

static void add_closing(const Findings *f, Text *out) {
  Text line = {0};
  int64_t n_whole = f->n_records - f->n_altered - f->n_unreadable;
  text_addf(&line,
            "%lld of %lld records are whole; %lld of %lld trials came to the same "
            "digest",
            (long long)n_whole, (long long)f->n_records,
            (long long)(f->n_run - f->n_differ), (long long)f->n_run);
  if (f->n_missing)
    text_addf(&line, "; %lld of %lld trials %s no record", (long long)f->n_missing,
              (long long)f->study->n_trials, f->n_missing == 1 ? "has" : "have");
  add_wrapped(out, &line);
}

static Json *findings_json(const Findings *f) {
  const struct { const char *key; int64_t n; } counts[] = {
      {"records", f->n_records}, {"altered", f->n_altered},
      {"unreadable", f->n_unreadable}, {"missing", f->n_missing},
      {"run_again", f->n_run},     {"differ", f->n_differ}};
  Json *answer = json_map();
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    json_put_int(answer, counts[i].key, counts[i].n);
  json_put(answer, "trials", json_share(f->rows));
  json_put(answer, "plan", json_share(f->plan));
  return answer;
}

static Err tell(const Findings *f, Fault *fault) {
  Text out = {0};
  for (int64_t i = 0; i < json_count(f->rows); i++)
    add_line(&out, json_item(f->rows, i));
  add_advice(f, &out);
  add_plan(f, &out);
  add_closing(f, &out);
  Err err = out.failed ? fault_memory(fault, out.n_bytes) : ERR_OK;
  if (!err) out_data(out.data, out.n_bytes);
  text_deinit(&out);
  return err;
}

Err study_verify(const Study *study, const PoolOptions *options, int sample, bool json,
                 int64_t *n_wrong, Fault *fault) {
  Findings f = {.study = study, .rows = json_list(), .plan = json_list(),
                .altered = calloc((size_t)study->n_trials + 1, sizeof(bool))};
  Err err = f.rows && f.plan && f.altered
                ? ERR_OK
                : fault_memory(fault, (size_t)study->n_trials);
  if (!err) err = check_records(&f, fault);
  if (!err && f.n_records == 0)
    err = fault_set(fault, ERR_VALUE, "%s: no trial is done: nothing to verify",
                    study->name);
  if (!err) check_plan(&f);
  if (!err) err = run_again(&f, options, sample, fault);
  if (!err) err = json ? out_json(findings_json(&f), fault) : tell(&f, fault);
  *n_wrong = f.n_altered + f.n_unreadable + f.n_differ + json_count(f.plan);
  json_free(f.rows);
  json_free(f.plan);
  free(f.altered);
  return err;
}
