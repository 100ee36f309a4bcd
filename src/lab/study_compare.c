/* study_compare.c: a study's trials as a comparison. */
#include "lab/study_compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Everything that a CompareSpec borrows while compare_new reads it. */
typedef struct Draft {
  const Study *study;
  const Json *factors; /* of the plan */
  int n_factors;
  CompareSpec spec;
  CompareFactor *factor;
  ComparePair *pairs;
  int *pair_levels, *cell_levels;
  Text *notes;  /* of cells: the parameters that were tuned */
  Text listing; /* see CompareSpec */
  CompareTrial *trials;
} Draft;

/* Number of the level, -1 for none. */
static int level_number(const CompareFactor *factor, const char *name) {
  for (int i = 0; name && i < factor->n_levels; i++)
    if (strcmp(factor->levels[i], name) == 0) return i;
  return -1;
}

static Err draft_factor(const Draft *d, int i, CompareFactor *out, Fault *fault) {
  const Json *row = json_item(d->factors, i), *levels = json_find(row, "levels");
  int n = levels ? (int)json_count(levels) : 0;
  const char **names = calloc((size_t)n + 1, sizeof *names);
  if (!names) return fault_memory(fault, 0);
  for (int k = 0; k < n; k++)
    if (!json_get_text(json_item(levels, k), &names[k])) names[k] = "";
  const Json *baseline = json_find(d->study->plan, "baseline");
  *out = (CompareFactor){
      .name = json_text(row, "name"), .levels = names, .n_levels = n};
  out->baseline = level_number(out, json_text_or(baseline, out->name, NULL));
  return ERR_OK;
}

static void draft_levels(const Draft *d, const Json *cell, int *out) {
  for (int i = 0; i < d->n_factors; i++)
    out[i] = level_number(&d->factor[i], json_text_or(cell, d->factor[i].name, NULL));
}

static void draft_pairs(Draft *d) {
  const Json *contrasts = json_find(d->study->plan, "contrasts");
  for (int i = 0; i < d->spec.n_pairs; i++) {
    int *a = &d->pair_levels[2 * i * d->n_factors], *b = a + d->n_factors;
    draft_levels(d, json_item(json_item(contrasts, i), 0), a);
    draft_levels(d, json_item(json_item(contrasts, i), 1), b);
    d->pairs[i] = (ComparePair){a, b};
  }
}

static CompareState state_of(TrialState state) {
  switch (state) {
  case TRIAL_COMPLETE: return COMPARE_COMPLETE;
  case TRIAL_DIVERGED: return COMPARE_DIVERGED;
  case TRIAL_FAILED: return COMPARE_FAILED;
  default: return COMPARE_MISSING;
  }
}

static void draft_note(const Json *names, const Json *cell, Text *note) {
  const char *name, *value;
  for (int64_t i = 0; names && i < json_count(names); i++)
    if (json_get_text(json_item(names, i), &name) &&
        json_get_text(json_find(cell, name), &value))
      text_addf(note, "%s%s=%s", note->n_bytes ? ", " : "", name, value);
}

static void draft_trials(Draft *d, const char *metric) {
  const Study *s = d->study;
  const Json *cells = json_find(s->plan, "cells");
  const Json *tuned = json_find(json_find(s->plan, "tuned"), "names");
  for (int i = 0; i < s->n_cells; i++) {
    draft_levels(d, json_item(cells, i), &d->cell_levels[i * d->n_factors]);
    draft_note(tuned, json_item(cells, i), &d->notes[i]);
  }
  for (int64_t i = 0; i < s->n_trials; i++) {
    const StudyTrial *t = &s->trials[i];
    CompareTrial *out = &d->trials[i];
    *out = (CompareTrial){&d->cell_levels[t->cell * d->n_factors], t->seed,
                          state_of(t->state), 0, d->notes[t->cell].data};
    if (out->state == COMPARE_COMPLETE &&
        !json_get_number(json_find(t->values, metric), &out->value))
      out->state = COMPARE_MISSING;
  }
}

/* A range that is known is that of all values, unless one says otherwise: an accuracy
 * may be told in percent. */
static void draft_range(Draft *d, const StudyQuestion *question) {
  double low = question->low, high = question->high;
  if (strcmp(d->spec.metric, d->study->report) == 0) {
    const Json *range = json_find(d->study->plan, "range");
    bool told = range && json_kind(range) == JSON_KIND_LIST && json_count(range) == 2;
    if (!told || !json_get_number(json_item(range, 0), &low) ||
        !json_get_number(json_item(range, 1), &high))
      low = high = 0;
  }
  for (int64_t i = 0; low < high && i < d->study->n_trials; i++)
    if (d->trials[i].state == COMPARE_COMPLETE &&
        !(d->trials[i].value >= low && d->trials[i].value <= high))
      low = high = 0;
  d->spec.low = low;
  d->spec.high = high;
}

/* The step in which values come that are shares of rows: 1 / rows, of the fewest if
 * trials differ. 0 where nobody recorded the rows, or a value is no such share: one
 * that is weighted, or of more outputs than rows, or told in percent. */
static void draft_resolution(Draft *d) {
  const Study *s = d->study;
  double fewest = INFINITY;
  for (int64_t i = 0; i < s->n_trials; i++) {
    double rows, hits;
    if (d->trials[i].state != COMPARE_COMPLETE) continue;
    if (!json_get_number(json_find(s->trials[i].rows, d->spec.metric), &rows) ||
        !(rows >= 1))
      return;
    hits = d->trials[i].value * rows;
    if (!(fabs(hits - round(hits)) <= STAT_ROUNDING * 16 * rows) || hits > rows) return;
    fewest = fmin(fewest, rows);
  }
  d->spec.resolution = 1 / fewest;
}

/* The plan's rope and what `ls` shows are those of the reported metric. */
static void draft_reported(Draft *d) {
  const Study *s = d->study;
  bool other = strcmp(d->spec.metric, s->report) != 0;
  json_get_number(json_find(s->plan, "rope"), &d->spec.rope);
  if (d->spec.rope > 0 && other) {
    d->spec.rope = 0;
    d->spec.rope_of = s->report;
  }
  if (s->stored) text_addf(&d->listing, "runner ls %s --cells", s->name);
  if (s->stored && other) text_addf(&d->listing, " --metric=%s", d->spec.metric);
  d->spec.listing = d->listing.data;
}

static Err allocate(Draft *d, Fault *fault) {
  const Study *s = d->study;
  size_t n = (size_t)d->n_factors + 1;
  d->factor = calloc(n, sizeof *d->factor);
  d->pairs = calloc((size_t)d->spec.n_pairs + 1, sizeof *d->pairs);
  d->pair_levels = calloc(2 * n * ((size_t)d->spec.n_pairs + 1),
                          sizeof *d->pair_levels);
  d->cell_levels = calloc(n * ((size_t)s->n_cells + 1), sizeof *d->cell_levels);
  d->notes = calloc((size_t)s->n_cells + 1, sizeof *d->notes);
  d->trials = calloc((size_t)s->n_trials + 1, sizeof *d->trials);
  bool all = d->factor && d->pairs && d->pair_levels && d->cell_levels && d->notes &&
             d->trials && !d->listing.failed;
  return all ? ERR_OK : fault_memory(fault, (size_t)s->n_trials * sizeof *d->trials);
}

static void draft_deinit(Draft *d) {
  for (int i = 0; d->factor && i < d->n_factors; i++) free((void *)d->factor[i].levels);
  free(d->factor);
  free(d->pairs);
  free(d->pair_levels);
  free(d->cell_levels);
  for (int i = 0; d->notes && i < d->study->n_cells; i++) text_deinit(&d->notes[i]);
  free(d->notes);
  free(d->trials);
  text_deinit(&d->listing);
}

static Err goal_of(const Study *study, const StudyQuestion *question,
                   const char *metric, CompareGoal *out, Fault *fault) {
  *out = study->larger_is_better ? COMPARE_MAX : COMPARE_MIN;
  const char *goal = json_text_or(study->plan, "metric_goal", NULL);
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
  const Json *plan = study->plan, *contrasts = json_find(plan, "contrasts");
  Draft d = {.study = study, .factors = json_find(plan, "factors")};
  if (!question) question = &plain;
  *out = NULL;
  d.n_factors = (int)json_count(d.factors);
  d.spec = (CompareSpec){.name = study->name, .n_factors = d.n_factors,
                         .metric = question->metric ? question->metric : study->report,
                         .bootstrap = question->bootstrap};
  if (goal_of(study, question, d.spec.metric, &d.spec.goal, fault)) return fault->code;
  d.spec.n_pairs = contrasts ? (int)json_count(contrasts) : 0;
  d.spec.looks = study_looks(study);
  d.spec.looks_of_more = study_looks_of_more(study);
  json_get_bool(json_find(plan, "cell_contrasts"), &d.spec.cell_contrasts);
  draft_reported(&d);
  Err err = allocate(&d, fault);
  for (int i = 0; !err && i < d.n_factors; i++) {
    err = draft_factor(&d, i, &d.factor[i], fault);
    /* Of a random search, only what is drawn has no baseline in the plan. */
    if (i < STAT_FACTORS_MAX)
      d.spec.drawn[i] = json_find(plan, "random") && d.factor[i].baseline < 0;
  }
  if (!err) {
    draft_pairs(&d);
    draft_trials(&d, d.spec.metric);
    draft_range(&d, question);
    draft_resolution(&d);
    d.spec.factors = d.factor;
    d.spec.pairs = d.pairs;
    err = compare_new(out, &d.spec, d.trials, study->n_trials, fault);
  }
  draft_deinit(&d);
  return err;
}
