/* study_compare.c: a study's trials as a comparison. */
#include "lab/study_compare.h"
#include <math.h>
#include <string.h>

/* What a comparison is made of; all that is new is in the spec's blocks. */
typedef struct Draft {
  const Study *study;
  CompareSpec spec;
  CompareFactor *factor;
  CompareTrial *trials;
  Fault *fault;
} Draft;

static void *draft_alloc(Draft *d, int64_t n, size_t size) {
  return compare_keep(&d->spec.blocks, n, size, d->fault);
}

/* Number of the level, -1 for none. */
static int level_number(const CompareFactor *factor, const char *name) {
  for (int i = 0; name && i < factor->n_levels; i++)
    if (strcmp(factor->levels[i], name) == 0) return i;
  return -1;
}

static Err draft_factors(Draft *d) {
  const Json *plan = d->study->plan, *factors = json_find(plan, "factors");
  const Json *baseline = json_find(plan, "baseline");
  d->spec.n_factors = (int)json_count(factors);
  d->spec.factors = d->factor = draft_alloc(d, d->spec.n_factors, sizeof *d->factor);
  for (int i = 0; d->factor && i < d->spec.n_factors; i++) {
    const Json *row = json_item(factors, i), *levels = json_find(row, "levels");
    int n = (int)json_count(levels);
    const char **names = draft_alloc(d, n, sizeof *names);
    if (!names) return ERR_MEMORY;
    for (int k = 0; k < n; k++)
      if (!json_get_text(json_item(levels, k), &names[k])) names[k] = "";
    CompareFactor *out = &d->factor[i];
    *out = (CompareFactor){json_text(row, "name"), names, n, -1};
    out->baseline = level_number(out, json_text_or(baseline, out->name, NULL));
    /* of a random search, only what is drawn has no baseline in the plan */
    if (i < STAT_FACTORS_MAX)
      d->spec.drawn[i] = json_find(plan, "random") && out->baseline < 0;
  }
  return d->fault->code;
}

/* New: the levels of a cell. */
static const int *draft_levels(Draft *d, const Json *cell) {
  int *out = draft_alloc(d, d->spec.n_factors, sizeof *out);
  for (int i = 0; out && i < d->spec.n_factors; i++)
    out[i] = level_number(&d->factor[i], json_text_or(cell, d->factor[i].name, NULL));
  return out;
}

static Err draft_pairs(Draft *d) {
  const Json *contrasts = json_find(d->study->plan, "contrasts");
  d->spec.n_pairs = (int)json_count(contrasts);
  ComparePair *pairs = draft_alloc(d, d->spec.n_pairs, sizeof *pairs);
  d->spec.pairs = pairs;
  for (int i = 0; pairs && i < d->spec.n_pairs; i++) {
    const Json *pair = json_item(contrasts, i);
    pairs[i] = (ComparePair){draft_levels(d, json_item(pair, 0)),
                             draft_levels(d, json_item(pair, 1))};
  }
  return d->fault->code;
}

/* The parameters of the cell that were tuned: "lr=0.1, momentum=0"; NULL: none. */
static const char *draft_note(Draft *d, const Json *cell) {
  const Json *names = json_find(json_find(d->study->plan, "tuned"), "names");
  const char *name, *value;
  Text note = {0};
  for (int64_t i = 0; i < json_count(names); i++)
    if (json_get_text(json_item(names, i), &name) && json_find_text(cell, name, &value))
      text_addf(&note, "%s%s=%s", note.n_bytes ? ", " : "", name, value);
  return note.n_bytes ? compare_keep_text(&d->spec.blocks, &note, d->fault) : NULL;
}

/* A complete trial without the metric counts as one without a result. Trials of a cell
 * are n_cells apart. */
static Err draft_trials(Draft *d) {
  static const CompareState states[TRIAL_STATES] = {
      [TRIAL_COMPLETE] = COMPARE_COMPLETE, [TRIAL_DIVERGED] = COMPARE_DIVERGED,
      [TRIAL_FAILED] = COMPARE_FAILED}; /* the others are missing */
  const Study *s = d->study;
  d->trials = draft_alloc(d, s->n_trials, sizeof *d->trials);
  for (int64_t i = 0; d->trials && i < s->n_trials; i++) {
    const StudyTrial *t = &s->trials[i];
    const CompareTrial *first = &d->trials[t->cell];
    const Json *cell = s->cells[t->cell].levels;
    CompareTrial *out = &d->trials[i];
    out->seed = t->info.seed;
    out->state = states[t->info.state];
    out->levels = i < s->n_cells ? draft_levels(d, cell) : first->levels;
    out->note = i < s->n_cells ? draft_note(d, cell) : first->note;
    if (!out->levels) return ERR_MEMORY;
    if (out->state == COMPARE_COMPLETE &&
        !json_find_number(t->info.values, d->spec.metric, &out->value))
      out->state = COMPARE_MISSING;
  }
  return d->fault->code;
}

/* A range that is known is that of all values, unless one says otherwise: an accuracy
 * may be in percent. */
static void draft_range(Draft *d, const StudyQuestion *question) {
  const Json *range = json_find(d->study->plan, "range");
  double low = question->low, high = question->high;
  if (strcmp(d->spec.metric, d->study->report) == 0 &&
      (json_count(range) != 2 || !json_get_number(json_item(range, 0), &low) ||
       !json_get_number(json_item(range, 1), &high)))
    low = high = 0;
  for (int64_t i = 0; low < high && i < d->study->n_trials; i++)
    if (d->trials[i].state == COMPARE_COMPLETE &&
        !(d->trials[i].value >= low && d->trials[i].value <= high))
      low = high = 0;
  d->spec.low = low;
  d->spec.high = high;
}

/* The step in which values come that are shares of rows: 1 / rows, of the fewest if
 * trials differ. 0 where no rows are recorded, or a value is no such share: one that is
 * weighted, or of more outputs than rows, or in percent. */
static void draft_resolution(Draft *d) {
  const Study *s = d->study;
  double fewest = INFINITY;
  for (int64_t i = 0; i < s->n_trials; i++) {
    double rows, hits;
    if (d->trials[i].state != COMPARE_COMPLETE) continue;
    if (!json_find_number(s->trials[i].info.rows, d->spec.metric, &rows) ||
        !(rows >= 1))
      return;
    hits = d->trials[i].value * rows;
    if (!(fabs(hits - round(hits)) <= STAT_ROUNDING * 16 * rows) || hits > rows) return;
    fewest = fmin(fewest, rows);
  }
  d->spec.resolution = 1 / fewest;
}

/* The plan's rope and what `ls` shows are those of the reported metric. */
static Err draft_reported(Draft *d) {
  const Study *s = d->study;
  bool other = strcmp(d->spec.metric, s->report) != 0;
  Text listing = {0};
  json_find_number(s->plan, "rope", &d->spec.rope);
  if (d->spec.rope > 0 && other) {
    d->spec.rope = 0;
    d->spec.rope_of = s->report;
  }
  if (!s->stored) return ERR_OK;
  text_addf(&listing, "runner ls %s --cells", s->name);
  if (other) text_addf(&listing, " --metric=%s", d->spec.metric);
  d->spec.listing = compare_keep_text(&d->spec.blocks, &listing, d->fault);
  return d->fault->code;
}

static Err goal_of(const Study *study, const StudyQuestion *question,
                   const char *metric, CompareGoal *out, Fault *fault) {
  const char *goal = json_text_or(study->plan, "metric_goal", NULL);
  *out = study->larger_is_better ? COMPARE_MAX : COMPARE_MIN;
  if (question->goal) *out = *question->goal;
  else if (strcmp(metric, study->report) == 0) return ERR_OK;
  else if (strcmp(metric, study->metric) == 0 && goal)
    *out = strcmp(goal, "max") == 0 ? COMPARE_MAX : COMPARE_MIN;
  else
    return fault_set(fault, ERR_USAGE,
                     "whether more or less %s is better is not known: add --goal max "
                     "or --goal min",
                     metric);
  return ERR_OK;
}

Err study_compare(const Study *study, const StudyQuestion *question, Compare **out,
                  Fault *fault) {
  static const StudyQuestion plain;
  Draft d = {.study = study, .fault = fault};
  StudyLooks looks = study_looks(study);
  *out = NULL;
  if (!question) question = &plain;
  d.spec = (CompareSpec){.name = study->name,
                         .metric = question->metric ? question->metric : study->report,
                         .bootstrap = question->bootstrap, .looks = looks.now,
                         .looks_of_more = looks.of_more};
  json_find_bool(study->plan, "cell_contrasts", &d.spec.cell_contrasts);
  Err err = goal_of(study, question, d.spec.metric, &d.spec.goal, fault);
  if (!err) err = draft_reported(&d);
  if (!err) err = draft_factors(&d);
  if (!err) err = draft_pairs(&d);
  if (!err) err = draft_trials(&d);
  if (err) {
    compare_drop(d.spec.blocks);
    return err;
  }
  draft_range(&d, question);
  draft_resolution(&d);
  return compare_new(out, &d.spec, d.trials, study->n_trials, fault);
}
