/* study_print.c: what a study prints on stdout: its plan, and its end. */
#include "base/out.h"
#include "lab/study_compare.h"
#include "lab/study_progress.h"
#include "lab/table.h"
#include <string.h>

enum { CELLS_SHOWN = 200, SKIPPED_SHOWN = 40, FAILED_SHOWN = 10 };

static Err flush(Text *text, Fault *fault) {
  if (!text->failed && text->n_bytes) out_data(text->data, text->n_bytes);
  Err err = text->failed ? fault_memory(fault, text->n_bytes) : ERR_OK;
  text_deinit(text);
  return err;
}

/* -- the end of a run ---------------------------------------------------------------- */

/* Bytes of the first line of why the trial failed. */
static size_t first_line(const StudyTrial *t) {
  return t->message ? strcspn(t->message, "\n") : 0;
}

static bool failed_alike(const StudyTrial *a, const StudyTrial *b) {
  size_t n = first_line(a);
  return b->state == TRIAL_FAILED && n == first_line(b) &&
         (n == 0 || memcmp(a->message, b->message, n) == 0);
}

/* Did an earlier trial fail in the same way? */
static bool told_before(const Study *s, int64_t trial) {
  for (int64_t i = 0; i < trial; i++)
    if (failed_alike(&s->trials[trial], &s->trials[i])) return true;
  return false;
}

static void add_failure(const Study *s, int64_t trial, Text *out) {
  const StudyTrial *t = &s->trials[trial];
  int64_t alike = 0;
  for (int64_t i = trial + 1; i < s->n_trials; i++) alike += failed_alike(t, &s->trials[i]);
  text_add(out, "  ");
  study_cell_text(s, t->cell, out);
  text_addf(out, ", seed %lld", (long long)t->seed);
  if (alike) text_addf(out, " and %lld other%s", (long long)alike, alike == 1 ? "" : "s");
  text_add(out, ": ");
  if (t->message) text_add_first_line(out, t->message);
  text_add(out, "\n");
}

/* Each reason once, with the first trial that it ended. */
static void add_failed(const Study *s, Text *out) {
  int n = 0;
  if (s->n_failed == 0) return;
  text_addf(out, "\n%lld trial%s failed:\n", (long long)s->n_failed,
            s->n_failed == 1 ? "" : "s");
  for (int64_t i = 0; i < s->n_trials && n <= FAILED_SHOWN; i++) {
    if (s->trials[i].state != TRIAL_FAILED || told_before(s, i)) continue;
    if (n++ < FAILED_SHOWN) add_failure(s, i, out);
    else text_add(out, "  and others, for other reasons\n");
  }
  if (s->stored) text_addf(out, "`runner retry %s` makes them run again\n", s->name);
}

Err study_print_result(const Study *study, Fault *fault) {
  Text out = {0};
  Compare *compare;
  if (study_compare(study, NULL, &compare, fault)) return fault->code;
  Err err = compare_text(compare, out_table_columns(), COMPARE_ALL, &out, fault);
  compare_free(compare);
  add_failed(study, &out);
  study_add_notes(study, out_columns(), &out);
  Err printing = flush(&out, fault);
  return err ? err : printing;
}

/* -- the plan ------------------------------------------------------------------------ */

static const char *level_of(const Study *s, int cell, const char *factor) {
  const char *level = "-";
  json_get_text(json_find(json_item(json_find(s->plan, "cells"), cell), factor), &level);
  return level;
}

static const char *factor_name(const Json *factors, int64_t i) {
  const char *name = "";
  json_get_text(json_find(json_item(factors, i), "name"), &name);
  return name;
}

/* Trials of a cell: how many have ended in each way. */
typedef struct CellCount { int done, failed, left; } CellCount;

static CellCount count_cell(const Study *s, int cell) {
  CellCount n = {0};
  for (int64_t i = cell; i < s->n_trials; i += s->n_cells) {
    TrialState state = s->trials[i].state;
    if (state == TRIAL_COMPLETE || state == TRIAL_DIVERGED) n.done++;
    else if (state == TRIAL_FAILED || state == TRIAL_CANCELLED) n.failed++;
    else n.left++;
  }
  return n;
}

static int64_t at_most(int64_t n, int64_t most) { return n < most ? n : most; }

static const char *tuned_name(const Json *names, int64_t i) {
  const char *name = "";
  json_get_text(json_item(names, i), &name);
  return name;
}

static void add_cells(const Study *s, Text *out) {
  const Json *factors = json_find(s->plan, "factors");
  const Json *tuned = json_find(json_find(s->plan, "tuned"), "names");
  int64_t n_factors = at_most(json_count(factors), TABLE_COLUMNS_MAX - 4);
  int64_t n_tuned = tuned ? at_most(json_count(tuned), TABLE_COLUMNS_MAX - 4 - n_factors) : 0;
  int shown = (int)at_most(s->n_cells, CELLS_SHOWN);
  Table table = {0};
  table_column(&table, "cell", TABLE_RIGHT, 0);
  for (int64_t i = 0; i < n_factors; i++)
    table_column(&table, factor_name(factors, i), TABLE_LEFT, 0);
  for (int64_t i = 0; i < n_tuned; i++)
    table_column(&table, tuned_name(tuned, i), TABLE_LEFT, 0);
  table_column(&table, "done", TABLE_RIGHT, 0);
  table_column(&table, "failed", TABLE_RIGHT, 0);
  table_column(&table, "to run", TABLE_RIGHT, 0);
  for (int cell = 0; cell < shown; cell++) {
    CellCount n = count_cell(s, cell);
    table_addf(&table, "%d", cell + 1);
    for (int64_t i = 0; i < n_factors; i++)
      table_add(&table, level_of(s, cell, factor_name(factors, i)));
    for (int64_t i = 0; i < n_tuned; i++)
      table_add(&table, level_of(s, cell, tuned_name(tuned, i)));
    table_addf(&table, "%d", n.done);
    table_addf(&table, "%d", n.failed);
    table_addf(&table, "%d", n.left);
  }
  table_write(&table, out_table_columns(), 0, out);
  table_deinit(&table);
  if (shown < s->n_cells) text_addf(out, "and %d cells more\n", s->n_cells - shown);
}

/* Adds the text in lines as wide as the terminal, the first of which has `used` columns, and
 * ends it. */
static void add_line(Text *line, int used, int indent, Text *out) {
  if (line->data) text_add_wrapped(out, line->data, used, indent, out_columns());
  out->failed |= line->failed;
  text_deinit(line);
}

static void add_skipped(const Study *s, Text *out) {
  const Json *skipped = json_find(s->plan, "skipped");
  int64_t n = skipped ? json_count(skipped) : 0;
  if (n) text_addf(out, "\nleft out: %lld cell%s\n", (long long)n, n == 1 ? "" : "s");
  for (int64_t i = 0; i < n && i < SKIPPED_SHOWN; i++) {
    const Json *row = json_item(skipped, i);
    const char *why = "";
    json_get_text(json_find(row, "why"), &why);
    Text line = {0};
    study_levels_text(s, json_find(row, "cell"), &line);
    text_add(&line, ": ");
    text_add_clean(&line, why);
    text_add(out, "  ");
    add_line(&line, 2, 4, out);
  }
  if (n > SKIPPED_SHOWN) text_addf(out, "  and %lld more\n", (long long)(n - SKIPPED_SHOWN));
}

/* Trials of tuning, which come before those of the plan. */
typedef struct Tuning {
  int64_t trials, done;
  double seconds;            /* of those done */
} Tuning;

static Tuning tuning_of(const Study *s) {
  Tuning tuning = {0};
  const Json *tuned = json_find(s->plan, "tuned");
  json_get_int(json_find(tuned, "trials"), &tuning.trials);
  json_get_int(json_find(tuned, "done"), &tuning.done);
  json_get_number(json_find(tuned, "seconds"), &tuning.seconds);
  return tuning;
}

/* Seconds that the rest will take, by the mean of the *n trials that ended. */
static double time_left(const Study *s, int jobs, int64_t *n) {
  Tuning tuning = tuning_of(s);
  double sum = tuning.seconds, left = (double)(s->n_left + tuning.trials - tuning.done);
  *n = tuning.done;
  for (int64_t i = 0; i < s->n_trials; i++) {
    if (!study_is_published(&s->trials[i]) || s->trials[i].seconds <= 0) continue;
    sum += s->trials[i].seconds;
    ++*n;
  }
  return *n ? sum / (double)*n * left / (jobs > 0 ? jobs : 1) : 0;
}

static void add_time(const Study *s, int jobs, Text *out) {
  int64_t n;
  char spent[32];
  double left = time_left(s, jobs, &n);
  if (s->n_left == 0) return;
  Text line = {0};
  if (n == 0)
    text_add(&line, "estimated time: unknown before a trial has ended; seeds=1 runs one of "
                    "each cell, and they count");
  else
    text_addf(&line, "estimated time: %s by %d worker%s, from %lld trial%s that ended",
              duration_text(left, spent), jobs, jobs == 1 ? "" : "s", (long long)n,
              n == 1 ? "" : "s");
  add_line(&line, 0, 2, out);
}

static void add_tuning(const Study *s, Text *out) {
  Tuning tuning = tuning_of(s);
  Text line = {0};
  if (!tuning.trials) return;
  text_addf(&line, "tuning: %lld trials choose the parameters of each cell before; %lld done",
            (long long)tuning.trials, (long long)tuning.done);
  add_line(&line, 0, 2, out);
}

static Err add_reach(const Study *s, Text *out, Fault *fault) {
  Compare *compare;
  if (study_compare(s, NULL, &compare, fault)) return fault->code;
  text_add(out, "\n");
  Err err = compare_text(compare, out_columns(), COMPARE_REACH, out, fault);
  compare_free(compare);
  return err;
}

static void add_size(const Study *s, Text *out) {
  Text line = {0};
  long long n_seeds = s->n_cells ? s->n_trials / s->n_cells : 0;
  text_addf(&line, "%s: %d cell%s x %lld seed%s = %lld trial%s: %lld done, %lld failed, %lld to "
            "run", s->name, s->n_cells, s->n_cells == 1 ? "" : "s", n_seeds,
            n_seeds == 1 ? "" : "s", (long long)s->n_trials, s->n_trials == 1 ? "" : "s",
            (long long)s->n_done, (long long)s->n_failed, (long long)s->n_left);
  add_line(&line, 0, 2, out);
  text_add(out, "\n");
}

Err study_print_plan(const Study *study, int jobs, Fault *fault) {
  Text out = {0};
  add_size(study, &out);
  add_cells(study, &out);
  add_skipped(study, &out);
  if (tuning_of(study).trials || study->n_left) text_add(&out, "\n");
  add_tuning(study, &out);
  add_time(study, jobs, &out);
  Err err = add_reach(study, &out, fault);
  study_add_notes(study, out_columns(), &out);
  Err printing = flush(&out, fault);
  return err ? err : printing;
}

static Json *reach_json(const Study *s, Fault *fault) {
  Compare *compare;
  if (study_compare(s, NULL, &compare, fault)) return NULL;
  Json *reach = compare_reach_json(compare);
  compare_free(compare);
  return reach;
}

/* A list of { done, failed, left }, of each cell. */
static Json *counts_json(const Study *s) {
  Json *counts = json_list();
  for (int cell = 0; cell < s->n_cells; cell++) {
    CellCount n = count_cell(s, cell);
    Json *row = json_map();
    json_put_int(row, "done", n.done);
    json_put_int(row, "failed", n.failed);
    json_put_int(row, "left", n.left);
    json_push(counts, row);
  }
  return counts;
}

Err study_print_plan_json(const Study *study, int jobs, Fault *fault) {
  Text out = {0};
  int64_t n;
  double left = time_left(study, jobs, &n);
  Json *reach = reach_json(study, fault), *plan = json_map();
  if (!reach) {
    json_free(plan);
    return fault->code;
  }
  for (void *it = json_first(study->plan); it; it = json_next(study->plan, it))
    json_put(plan, json_key(it), json_share(json_value(it)));
  json_put_int(plan, "done", study->n_done);
  json_put_int(plan, "failed", study->n_failed);
  json_put_int(plan, "left", study->n_left);
  json_put(plan, "cell_counts", counts_json(study));
  if (n || !study->n_left) json_put_number(plan, "seconds", left);
  json_put(plan, "reach", reach);
  json_put(plan, "notes", study_notes(study));
  Err err = json_write(plan, 2, &out, fault);
  json_free(plan);
  text_add(&out, "\n");
  Err printing = flush(&out, fault);
  return err ? err : printing;
}
