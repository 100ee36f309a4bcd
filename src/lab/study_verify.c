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

/* What is counted, in the order of the answer as JSON. */
enum { RECORDS, ALTERED, UNREADABLE, MISSING, RUN_AGAIN, DIFFER, COUNTS };
static const char *const count_names[COUNTS] = {
    [RECORDS] = "records", [ALTERED] = "altered",     [UNREADABLE] = "unreadable",
    [MISSING] = "missing", [RUN_AGAIN] = "run_again", [DIFFER] = "differ"};

typedef struct Findings {
  const Study *study;
  bool *unsound; /* of each trial: its files are not those of its digest, or cannot be
                    read */
  int64_t n[COUNTS];
  Json *rows; /* of the trials with which something is wrong */
  Text lines; /* the same as text */
  Text ids;   /* of those that were altered, separated by commas */
  Json *plan; /* sentences: what is wrong with experiment.json */
} Findings;

/* One line, or as many as a terminal asks for. */
static void add_wrapped(Text *out, Text *line) {
  if (line->failed) out->failed = true;
  else text_add_wrapped(out, line->data, 0, 2, out_table_columns());
  text_deinit(line);
}

/* `message` may be NULL. */
static void add_row(Findings *f, const StudyTrial *t, const char *problem,
                    const char *message) {
  bool altered = strcmp(problem, "altered") == 0;
  long long seed = t->info.seed;
  Text cell = {0}, line = {0};
  study_cell_text(f->study, t->cell, &cell);
  const char *name = cell.data ? cell.data : "";
  Json *row = json_mapf("problem %s cell %s seed %lld id %s other_code %hhd", problem,
                        name, seed, t->info.id, t->foreign);
  if (message) json_put_text(row, "message", message);
  json_push(f->rows, row);
  text_addf(&line, "%s: %s, seed %lld (%s)", problem, name, seed, t->info.id);
  if (altered) {
    text_add(&line, ": its files are not those of which its digest was made");
    text_addf(&f->ids, "%s%s", f->ids.n_bytes ? "," : "", t->info.id);
  } else if (message) {
    text_add(&line, ": ");
    text_add_first_line(&line, message);
  } else if (t->foreign) {
    text_add(&line, ": it was made by other code");
  }
  add_wrapped(&f->lines, &line);
  text_deinit(&cell);
}

/* -- the records: are they what was written? --------------------------------------- */

static void note_unreadable(Findings *f, const StudyTrial *t, const char *message) {
  add_row(f, t, "unreadable", message);
  f->n[UNREADABLE]++;
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

/* Where the system does not let us read a file, only this record is unreadable. */
static Err check_whole(Findings *f, int64_t trial, Fault *fault) {
  const StudyTrial *t = &f->study->trials[trial];
  bool whole = true;
  Fault own = {0};
  Err err = crash_check(&f->study->store, t->info.id, &whole, &own);
  if (err && err != ERR_STORAGE) return fault_pass(fault, &own);
  f->n[RECORDS]++;
  f->unsound[trial] = !whole || err;
  f->n[ALTERED] += !err && !whole;
  if (err) note_unreadable(f, t, own.text);
  else if (!whole) add_row(f, t, "altered", NULL);
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
      f->n[RECORDS]++;
      note_unreadable(f, t, t->info.message);
    } else f->n[MISSING] += !study_is_published(t);
  }
  if (!err && f->n[RECORDS] == 0)
    err = fault_set(fault, ERR_VALUE, "%s: no trial is done: nothing to verify",
                    f->study->name);
  return err;
}

/* -- the plan: does it ask for what the study does? -------------------------------- */

/* Equal values give equal texts. */
static Text text_of(const Json *value, const char *otherwise) {
  Text text = {0};
  Fault ignored = {0};
  if (value) (void)!json_write_canonical(value, &text, &ignored);
  else text_add(&text, otherwise);
  return text;
}

static void shorten(Text *text) {
  enum { SHOWN = 60 };
  if (text->n_bytes <= SHOWN) return;
  text->n_bytes = SHOWN;
  text_add(text, "...");
}

static void check_key(Findings *f, const char *key, const Json *there,
                      const Json *asked) {
  Text old = text_of(there, "missing"), now = text_of(asked, "none"), line = {0};
  if (old.data && now.data && strcmp(old.data, now.data) != 0) {
    shorten(&old);
    shorten(&now);
    text_addf(&line, "experiment.json: \"%s\" is %s, and the script asks for %s", key,
              old.data, now.data);
  }
  if (line.n_bytes && !line.failed) json_push_text(f->plan, line.data);
  text_deinit(&line);
  text_deinit(&old);
  text_deinit(&now);
}

/* What decides which trials there are and how they are compared. */
static void check_plan(Findings *f) {
  static const char *const keys[] = {
      "name",   "factors",     "cells",  "args", "seeds", "baseline",
      "metric", "metric_goal", "report", "goal", "range", "rope",
      "contrasts", "cell_contrasts", "random"};
  Fault fault = {0};
  Json *there = plan_file_read(f->study->store.directory, &fault);
  if (!there)
    json_push_text(f->plan, fault.code ? fault.text : "experiment.json is not there");
  for (size_t i = 0; there && i < sizeof keys / sizeof *keys; i++) {
    const Json *value = json_find(there, keys[i]);
    const Json *asked = json_find(f->study->plan, keys[i]);
    if (value || asked) check_key(f, keys[i], value, asked);
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
    if (study_is_done(&s->trials[i]) && !f->unsound[i]) all[(*n)++] = i;
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
    f->n[DIFFER]++;
    add_row(f, old, now->info.digest[0] ? "differs" : trial_state_name(now->info.state),
            NULL);
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
  int64_t *chosen = choose(f, sample, &f->n[RUN_AGAIN]);
  Err err = chosen ? ERR_OK
                   : fault_memory(fault, (size_t)f->study->n_trials * sizeof *chosen);
  if (!err && f->n[RUN_AGAIN]) {
    Fault removing = {0};
    err = run_chosen(f, options, directory.s, chosen, f->n[RUN_AGAIN], fault);
    if (file_remove(directory.s, &removing) && !err) err = fault_pass(fault, &removing);
  }
  free(chosen);
  return err;
}

/* -- the answer -------------------------------------------------------------------- */

/* How the trials whose files were altered become what they were. */
static void add_advice(const Findings *f, Text *out) {
  enum { NAMED = 3 };
  Text line = {0};
  int64_t n = f->n[ALTERED];
  const char *what = n > 1 ? "them" : "it";
  text_addf(&line,
            "runner rm %s id=%s%s removes %s; the script, run again, makes %s "
            "anew",
            f->study->name, n > NAMED ? "..." : f->ids.data, n > 1 ? " --yes" : "",
            what, what);
  add_wrapped(out, &line);
}

static void add_plan(const Findings *f, Text *out) {
  const char *text = "";
  Text line = {0};
  for (int64_t i = 0; i < json_count(f->plan); i++) {
    if (json_get_text(json_item(f->plan, i), &text)) text_add_clean(&line, text);
    add_wrapped(out, &line);
  }
  text_add(&line, "the script, run again, writes experiment.json anew");
  if (*text) add_wrapped(out, &line);
  text_deinit(&line);
}

static void add_closing(const Findings *f, Text *out) {
  const int64_t *n = f->n;
  Text line = {0};
  text_addf(&line,
            "%lld of %lld records are whole; %lld of %lld trials came to the same "
            "digest",
            (long long)(n[RECORDS] - n[ALTERED] - n[UNREADABLE]), (long long)n[RECORDS],
            (long long)(n[RUN_AGAIN] - n[DIFFER]), (long long)n[RUN_AGAIN]);
  if (n[MISSING])
    text_addf(&line, "; %lld of %lld trials %s no record", (long long)n[MISSING],
              (long long)f->study->n_trials, n[MISSING] == 1 ? "has" : "have");
  add_wrapped(out, &line);
}

static Err print_json(Findings *f, Fault *fault) {
  Json *answer = json_map();
  for (int i = 0; i < COUNTS; i++) json_put_int(answer, count_names[i], f->n[i]);
  json_put(answer, "trials", json_share(f->rows));
  json_put(answer, "plan", json_share(f->plan));
  return out_json(answer, fault);
}

static Err print_text(Findings *f, Fault *fault) {
  Text *out = &f->lines;
  if (f->n[ALTERED] && !f->ids.failed) add_advice(f, out);
  add_plan(f, out);
  add_closing(f, out);
  if (out->failed) return fault_memory(fault, out->n_bytes);
  out_data(out->data, out->n_bytes);
  return ERR_OK;
}

Err study_verify(const Study *study, const PoolOptions *options, int sample, bool json,
                 int64_t *n_wrong, Fault *fault) {
  Findings f = {.study = study, .rows = json_list(), .plan = json_list(),
                .unsound = calloc((size_t)study->n_trials + 1, sizeof(bool))};
  Err err = f.rows && f.plan && f.unsound
                ? ERR_OK
                : fault_memory(fault, (size_t)study->n_trials);
  if (!err) err = check_records(&f, fault);
  if (!err) check_plan(&f);
  if (!err) err = run_again(&f, options, sample, fault);
  if (!err) err = (json ? print_json : print_text)(&f, fault);
  *n_wrong = f.n[ALTERED] + f.n[UNREADABLE] + f.n[DIFFER] + json_count(f.plan);
  json_free(f.rows);
  json_free(f.plan);
  text_deinit(&f.lines);
  text_deinit(&f.ids);
  free(f.unsound);
  return err;
}
