/* study_print.c: what a study says as a document: its plan, and its end. */
#include "base/out.h"
#include "lab/study_compare.h"
#include "lab/study_progress.h"
#include "lab/terms.h"
#include <string.h>

enum {
  CELLS_SHOWN = 200, SKIPPED_SHOWN = 40, FAILED_SHOWN = 10, LEVELS_SHOWN = 60,
  TERMS_NAMED = 12
};

/* -- the end of a run -------------------------------------------------------------- */

/* Bytes of the first line of why the trial failed. */
static size_t first_line(const StudyTrial *t) {
  return t->info.message ? strcspn(t->info.message, "\n") : 0;
}

static bool failed_alike(const StudyTrial *a, const StudyTrial *b) {
  size_t n = first_line(a);
  return b->info.state == TRIAL_FAILED && n == first_line(b) &&
         (n == 0 || memcmp(a->info.message, b->info.message, n) == 0);
}

/* Did an earlier trial fail in the same way? */
static bool is_repeated(const Study *s, int64_t trial) {
  for (int64_t i = 0; i < trial; i++)
    if (failed_alike(&s->trials[trial], &s->trials[i])) return true;
  return false;
}

static void add_failure(const Study *s, int64_t trial, Text *out) {
  const StudyTrial *t = &s->trials[trial];
  int64_t alike = 0;
  for (int64_t i = trial + 1; i < s->n_trials; i++)
    alike += failed_alike(t, &s->trials[i]);
  study_cell_text(s, t->cell, out);
  text_addf(out, ", seed %lld", (long long)t->info.seed);
  if (alike) text_addf(out, " and %s", text_counted(alike, "other").s);
  text_add(out, ": ");
  if (t->info.message) text_add_first_line(out, t->info.message);
}

static void add_failed(const Study *s, Doc *doc) {
  int n = 0;
  doc_break(doc);
  doc_say(doc, DOC_PARAGRAPH, "%s failed:", text_counted(s->n_failed, "trial").s);
  for (int64_t i = 0; i < s->n_trials && n <= FAILED_SHOWN; i++) {
    if (s->trials[i].info.state != TRIAL_FAILED || is_repeated(s, i)) continue;
    if (n++ < FAILED_SHOWN) add_failure(s, i, doc_begin(doc, DOC_ITEM));
    else doc_say(doc, DOC_ITEM, "and others, for other reasons");
  }
}

/* Did every trial of several end in this way? */
static bool all_ended(const Study *s, TrialState state) {
  for (int64_t i = 0; i < s->n_trials; i++)
    if (s->trials[i].info.state != state) return false;
  return s->n_trials > 1;
}

/* Where the whole study failed for one reason, or diverged, one line says why. False:
 * it is no such. */
static bool add_reason(const Study *s, bool whole, Doc *doc) {
  bool failed = all_ended(s, TRIAL_FAILED);
  bool diverged = !whole && all_ended(s, TRIAL_DIVERGED);
  for (int64_t i = 0; i < s->n_trials && failed; i++)
    failed = failed_alike(&s->trials[0], &s->trials[i]);
  if (!failed && !diverged) return false;
  Text *text = doc_begin(doc, DOC_PARAGRAPH);
  text_addf(text, "%s: all %lld trials %s: ", s->name, (long long)s->n_trials,
            failed ? "failed" : "diverged, the first");
  if (s->trials[0].info.message) text_add_first_line(text, s->trials[0].info.message);
  return true;
}

/* Where the rest is to be found, and what the words mean. */
static void add_pointers(const Study *s, bool whole, Doc *doc) {
  Text used = {0};
  terms_used(doc, TERMS_NAMED, &used);
  doc_break(doc);
  if (!whole && s->stored)
    doc_say(doc, DOC_PARAGRAPH,
            DOC_CODE "runner compare %s --long" DOC_END " adds the tests, "
                     "what each factor explains, and what both assume",
            s->name);
  if (used.n_bytes && !used.failed)
    doc_say(doc, DOC_PARAGRAPH,
            DOC_CODE "runner help TERM" DOC_END " explains a word: %s", used.data);
  text_deinit(&used);
}

/* Each reason is given once, with the first trial that it ended. */
void study_result_doc(const Study *study, const Compare *compare, bool whole,
                      Doc *doc) {
  bool one_reason = add_reason(study, whole, doc);
  bool results = !one_reason && compare->runs.n_complete + compare->runs.n_diverged > 0;
  if (study->n_cells && !one_reason)
    compare_doc(compare, whole ? COMPARE_ALL : COMPARE_SHORT, doc);
  if (study->n_failed && !one_reason) add_failed(study, doc);
  if (study->n_failed && study->stored)
    doc_say(doc, DOC_PARAGRAPH,
            DOC_CODE "runner retry %s" DOC_END " makes them run again", study->name);
  study_notes_doc(study, doc);
  if (study->n_cells && results) add_pointers(study, whole, doc);
}

/* -- the plan ---------------------------------------------------------------------- */

/* Trials of a cell: how many have ended in each way. */
typedef struct CellCount {
  int done, failed, left;
} CellCount;

static CellCount count_cell(const Study *s, int cell) {
  CellCount n = {0};
  for (int64_t i = cell; i < s->n_trials; i += s->n_cells) {
    if (study_is_done(&s->trials[i])) n.done++;
    else if (study_is_published(&s->trials[i])) n.failed++;
    else n.left++;
  }
  return n;
}

/* Names of the factors, then of the parameters that were tuned; *n of them,
 * borrowed. */
static void names_of(const Json *plan, const char **names, int *n) {
  const Json *factors = json_find(plan, "factors");
  const Json *tuned = json_find(json_find(plan, "tuned"), "names");
  for (int64_t i = 0; i < json_count(factors) && *n < LEVELS_SHOWN; i++)
    names[(*n)++] = json_text(json_item(factors, i), "name");
  for (int64_t i = 0; i < json_count(tuned) && *n < LEVELS_SHOWN; i++)
    if (json_get_text(json_item(tuned, i), &names[*n])) ++*n;
}

static void add_cells(const Study *s, Doc *doc) {
  const char *names[LEVELS_SHOWN];
  int n_names = 0, shown = s->n_cells < CELLS_SHOWN ? s->n_cells : CELLS_SHOWN;
  names_of(s->plan, names, &n_names);
  Table *table = doc_table(doc);
  table->outdented = true;
  table_column(table, "cell", TABLE_NUMBER, 0);
  for (int i = 0; i < n_names; i++) table_column(table, names[i], TABLE_TEXT, 0);
  table_head(table, ">done|>failed|>to run", NULL);
  for (int cell = 0; cell < shown; cell++) {
    const Json *levels = s->cells[cell].levels;
    CellCount n = count_cell(s, cell);
    table_addf(table, "%d", cell + 1);
    for (int i = 0; i < n_names; i++)
      table_add(table, json_text_or(levels, names[i], "-"));
    table_addf(table, "%d", n.done);
    table_addf(table, "%d", n.failed);
    table_addf(table, "%d", n.left);
  }
  if (shown < s->n_cells)
    doc_say(doc, DOC_PARAGRAPH, "and %d cells more", s->n_cells - shown);
}

static void add_skipped(const Study *s, Doc *doc) {
  const Json *skipped = json_find(s->plan, "skipped");
  int64_t n = json_count(skipped);
  if (n == 0) return;
  doc_break(doc);
  doc_say(doc, DOC_PARAGRAPH, "left out: %s", text_counted(n, "cell").s);
  for (int64_t i = 0; i < n && i < SKIPPED_SHOWN; i++) {
    Text *line = doc_begin(doc, DOC_ITEM);
    study_levels_text(s, json_find(json_item(skipped, i), "cell"), line);
    text_addf(line, ": %s", json_text(json_item(skipped, i), "why"));
  }
  if (n > SKIPPED_SHOWN)
    doc_say(doc, DOC_ITEM, "and %lld more", (long long)(n - SKIPPED_SHOWN));
}

/* Seconds that the rest will take, by the mean of the *n trials that ended; of these
 * and those, trials of tuning come before those of the plan. */
static double time_left(const Study *s, int jobs, int64_t *n) {
  const Json *tuned = json_find(s->plan, "tuned");
  double sum = 0;
  *n = json_int(tuned, "done");
  json_find_number(tuned, "seconds", &sum);
  double left = (double)(s->n_left + json_int(tuned, "trials") - *n);
  for (int64_t i = 0; i < s->n_trials; i++) {
    if (!study_is_published(&s->trials[i]) || s->trials[i].info.seconds <= 0) continue;
    sum += s->trials[i].info.seconds;
    ++*n;
  }
  return *n ? sum / (double)*n * left / (jobs > 0 ? jobs : 1) : 0;
}

static void add_time(const Study *s, int jobs, Doc *doc) {
  int64_t n;
  char spent[32];
  double left = time_left(s, jobs, &n);
  if (s->n_left == 0) return;
  if (n == 0)
    doc_say(doc, DOC_PARAGRAPH,
            "estimated time: unknown before a trial has ended; seeds=1 runs one of "
            "each cell, and they count");
  else
    doc_say(doc, DOC_PARAGRAPH, "estimated time: %s by %s, from %s that ended",
            study_duration_text(left, spent), text_counted(jobs, "worker").s,
            text_counted(n, "trial").s);
}

static void add_tuning(const Study *s, Doc *doc) {
  const Json *tuned = json_find(s->plan, "tuned");
  if (json_int(tuned, "trials"))
    doc_say(doc, DOC_PARAGRAPH,
            "tuning: %lld trials choose the parameters of each cell before; %lld done",
            (long long)json_int(tuned, "trials"), (long long)json_int(tuned, "done"));
}

static void add_size(const Study *s, Doc *doc) {
  int64_t n_seeds = s->n_cells ? s->n_trials / s->n_cells : 0;
  doc_say(doc, DOC_PARAGRAPH, "%s: %s x %s = %s: %lld done, %lld failed, %lld to run",
          s->name, text_counted(s->n_cells, "cell").s, text_counted(n_seeds, "seed").s,
          text_counted(s->n_trials, "trial").s, (long long)s->n_done,
          (long long)s->n_failed, (long long)s->n_left);
}

static void plan_doc(const Study *study, const Compare *compare, int jobs, Doc *doc) {
  add_size(study, doc);
  doc_break(doc);
  add_cells(study, doc);
  add_skipped(study, doc);
  doc_break(doc);
  add_tuning(study, doc);
  add_time(study, jobs, doc);
  doc_break(doc);
  compare_doc(compare, COMPARE_REACH, doc);
  study_notes_doc(study, doc);
}

static Json *plan_json(const Study *study, const Compare *compare, int jobs) {
  int64_t n;
  double left = time_left(study, jobs, &n);
  Json *plan = json_map(), *counts = json_list();
  for (int cell = 0; cell < study->n_cells; cell++) {
    CellCount c = count_cell(study, cell);
    json_push(counts, json_mapf("done %d failed %d left %d", c.done, c.failed, c.left));
  }
  json_put_all(plan, study->plan);
  json_putf(plan, "done %lld failed %lld left %lld cell_counts %p",
            (long long)study->n_done, (long long)study->n_failed,
            (long long)study->n_left, counts);
  if (n || !study->n_left) json_put_number(plan, "seconds", left);
  json_putf(plan, "reach %p notes %p", compare_reach_json(compare), study_notes(study));
  return plan;
}

Err study_print_result(const Study *study, bool whole, Fault *fault) {
  Compare *compare;
  Doc doc = {0};
  if (study_compare(study, NULL, &compare, fault)) return fault->code;
  study_result_doc(study, compare, whole, &doc);
  compare_free(compare);
  return doc_print(&doc, NULL, fault);
}

Err study_print_plan(const Study *study, int jobs, bool json, const DocWriter *format,
                     Fault *fault) {
  Compare *compare;
  Doc doc = {0};
  if (study_compare(study, NULL, &compare, fault)) return fault->code;
  Json *answer = json ? plan_json(study, compare, jobs) : NULL;
  if (!json) plan_doc(study, compare, jobs, &doc);
  compare_free(compare);
  return json ? out_json(answer, fault) : doc_print(&doc, format, fault);
}
