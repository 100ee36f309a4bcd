/* compare_json.c: a comparison as JSON, in the metric's own unit.
 *
 *   { name, metric, goal, range, rope, rope_of: another metric whose rope is not
 * applied, seeds, trials: {planned, complete, ...}, worst, factors: [{name, levels,
 * baseline, baseline_given, together_with}], cells: [{levels: {factor: level},
 * baseline, n, mean, sd, interval, ...}], best first, by diverged_as_worst where trials
 * diverged, grid: {text, whole, cells, seeds, effects: [...], margins: [...]},
 *     resolution, looks, level,
 *     contrasts: [{factor, a, b, verdict, typical_runs, runs_a, runs_b, p_runs,
 * p_runs_holm, complete: {...}, diverged_as_worst: {...}}], reach: {seeds, contrasts,
 * level, seeds_needed, sd, finds: [{seeds, level, sds, difference}]}, variances: {p,
 * sd_min, sd_max, unequal}, floor, ceiling } A number that is not there is null; an
 * interval is [low, high] or null. */
#include "lab/compare_private.h"
#include <math.h>

/* NaN is null: it stands for "there is none". */
static void put_number(Json *map, const char *key, double value) {
  if (isnan(value)) json_put_text(map, key, NULL);
  else json_put_number(map, key, value);
}

static void put_interval(Json *map, const char *key, StatInterval interval) {
  if (isnan(interval.low)) {
    json_put_text(map, key, NULL);
    return;
  }
  Json *list = json_list();
  json_push_number(list, interval.low);
  json_push_number(list, interval.high);
  json_put(map, key, list);
}

static void put_sample(Json *map, const StatSample *sample) {
  json_put_int(map, "n", sample->n);
  put_number(map, "mean", sample->mean);
  put_number(map, "sd", sample->sd);
  put_interval(map, "interval", sample->interval);
  put_number(map, "median", sample->median);
  put_number(map, "min", sample->min);
  put_number(map, "max", sample->max);
}

static Json *levels_json(const Compare *compare, const int *levels) {
  Json *map = json_map();
  for (int f = 0; f < compare->spec.n_factors; f++)
    json_put_text(map, compare->spec.factors[f].name,
                  levels[f] < 0 ? NULL : compare_level(compare, f, levels[f]));
  return map;
}

static Json *factors_json(const Compare *compare) {
  Json *list = json_list();
  for (int f = 0; f < compare->spec.n_factors; f++) {
    const CompareFactor *factor = &compare->spec.factors[f];
    Json *map = json_map(), *levels = json_list();
    for (int l = 0; l < factor->n_levels; l++)
      json_push_text(levels, factor->levels[l]);
    json_put_text(map, "name", factor->name);
    json_put(map, "levels", levels);
    json_put_text(map, "baseline", compare_level(compare, f, factor->baseline));
    json_put_bool(map, "baseline_given", compare->baseline_given[f]);
    if (!compare_leads(compare, f))
      json_put_text(map, "together_with",
                    compare->spec.factors[compare->alias[f]].name);
    json_push(list, map);
  }
  return list;
}

static Json *cells_json(const Compare *compare) {
  Json *list = json_list();
  for (int i = 0; i < compare->n_cells; i++) {
    const CompareCell *cell = &compare->cells[compare->order[i]];
    Json *map = json_map();
    json_put(map, "levels", levels_json(compare, cell->levels));
    if (cell->note) json_put_text(map, "note", cell->note);
    json_put_bool(map, "baseline", cell->baseline);
    put_sample(map, &cell->sample);
    json_put_int(map, "planned", cell->n_planned);
    json_put_int(map, "diverged", cell->n_diverged);
    json_put_int(map, "failed", cell->n_failed);
    json_put_int(map, "missing", cell->n_missing);
    json_put_int(map, "floored", cell->n_floored);
    json_put_bool(map, "floor", cell->floor);
    json_put_bool(map, "ceiling", cell->ceiling);
    if (cell->n_diverged) {
      Json *imputed = json_map();
      put_sample(imputed, &cell->imputed);
      json_put(map, "diverged_as_worst", imputed);
    }
    json_push(list, map);
  }
  return list;
}

static Json *analysis_json(const Compare *compare, const CompareAnalysis *analysis) {
  const StatPaired *paired = &analysis->paired;
  Json *map = json_map();
  json_put_int(map, "seeds", paired->n);
  json_put_int(map, "settings", analysis->n_settings);
  put_number(map, "difference", paired->mean);
  put_number(map, "sd", paired->sd);
  put_number(map, "sd_used", paired->sd_used);
  put_interval(map, "interval", paired->interval);
  put_number(map, "d_z", paired->d_z);
  put_number(map, "t", paired->t);
  put_number(map, "p_t", paired->p_t);
  put_number(map, "p_sign_flip", paired->p_flip);
  put_number(map, "p", paired->p);
  put_number(map, "p_holm", analysis->p_holm);
  if (analysis->dominant >= 0)
    json_put_int(map, "decisive_seed", compare->seeds[analysis->dominant]);
  put_number(map, "won", paired->won);
  put_interval(map, "won_interval", paired->won_interval);
  json_put_text(map, "verdict", compare_verdict_name(analysis->verdict));
  return map;
}

static void put_side(Json *map, const char *key, const Compare *compare,
                     const CompareContrast *contrast, int side) {
  if (contrast->factor < 0)
    json_put(map, key, levels_json(compare, compare->cells[side].levels));
  else json_put_text(map, key, compare_level(compare, contrast->factor, side));
}

static Json *runs_json(CompareRuns runs) {
  Json *map = json_map();
  json_put_int(map, "n", runs.n);
  json_put_int(map, "failed", runs.n_failed);
  json_put_int(map, "diverged", runs.n_diverged);
  json_put_int(map, "floored", runs.n_floored);
  return map;
}

static Json *contrasts_json(const Compare *compare) {
  Json *list = json_list();
  for (int i = 0; i < compare->n_contrasts; i++) {
    const CompareContrast *contrast = &compare->contrasts[i];
    Json *map = json_map();
    json_put_text(map, "factor",
                  contrast->factor < 0 ? NULL
                                       : compare->spec.factors[contrast->factor].name);
    put_side(map, "a", compare, contrast, contrast->a);
    put_side(map, "b", compare, contrast, contrast->b);
    json_put_text(map, "verdict", compare_verdict_name(contrast->verdict));
    json_put_bool(map, "disputed", contrast->disputed);
    json_put_int(map, "settings", contrast->n_settings);
    json_put_bool(map, "typical_runs", compare_is_typical(contrast));
    json_put(map, "runs_a", runs_json(contrast->runs_a));
    json_put(map, "runs_b", runs_json(contrast->runs_b));
    put_number(map, "p_runs", contrast->p_wrong);
    put_number(map, "p_runs_holm", contrast->p_wrong_holm);
    json_put(map, "complete", analysis_json(compare, &contrast->complete));
    if (contrast->runs_a.n_diverged + contrast->runs_b.n_diverged > 0)
      json_put(map, "diverged_as_worst", analysis_json(compare, &contrast->imputed));
    json_push(list, map);
  }
  return list;
}

static Json *effect_json(const Compare *compare, const StatEffect *effect) {
  static const char *const names[] = {"factor", "pair", "higher", "seed", "residual",
                                      "total"};
  Json *map = json_map(), *factors = json_list();
  json_put_text(map, "source", names[effect->source]);
  if (effect->a >= 0) json_push_text(factors, compare->spec.factors[effect->a].name);
  if (effect->b >= 0) json_push_text(factors, compare->spec.factors[effect->b].name);
  json_put(map, "factors", factors);
  json_put_int(map, "df", effect->df);
  put_number(map, "ss", effect->ss);
  put_number(map, "eta2", effect->eta2);
  put_number(map, "omega2", effect->omega2);
  put_number(map, "f", effect->f);
  put_number(map, "p_descriptive", effect->p);
  return map;
}

static Json *margin_json(const Compare *compare, const CompareMargin *margin) {
  Json *map = json_map(), *levels = json_map();
  json_put_text(levels, compare->spec.factors[margin->a].name,
                compare_level(compare, margin->a, margin->level_a));
  if (margin->b >= 0)
    json_put_text(levels, compare->spec.factors[margin->b].name,
                  compare_level(compare, margin->b, margin->level_b));
  json_put(map, "levels", levels);
  put_sample(map, &margin->sample);
  return map;
}

static Json *grid_json(const Compare *compare) {
  const CompareGrid *grid = &compare->grid;
  Json *map = json_map(), *effects = json_list(), *margins = json_list();
  json_put_text(map, "text", grid->text);
  json_put_bool(map, "whole", grid->whole);
  json_put_int(map, "cells", grid->n_cells);
  json_put_int(map, "seeds", grid->n_seeds);
  for (int i = 0; i < grid->n_effects; i++)
    json_push(effects, effect_json(compare, &grid->effects[i]));
  for (int i = 0; i < grid->n_margins; i++)
    json_push(margins, margin_json(compare, &grid->margins[i]));
  json_put(map, "effects", effects);
  json_put(map, "margins", margins);
  return map;
}

Json *compare_reach_json(const Compare *compare) {
  const CompareReach reach = compare_reach(compare);
  Json *map = json_map(), *finds = json_list();
  json_put_int(map, "seeds", compare->n_seeds);
  json_put_int(map, "contrasts", compare->n_contrasts);
  json_put_number(map, "level", compare->level);
  json_put_int(map, "seeds_needed", STAT_TEST_MIN);
  put_number(map, "sd", compare->sd);
  for (int i = 0; i < reach.n; i++) {
    Json *find = json_map();
    json_put_int(find, "seeds", reach.finds[i].n_seeds);
    json_put_number(find, "level", reach.finds[i].level);
    json_put_number(find, "sds", reach.finds[i].sds);
    put_number(find, "difference", reach.finds[i].difference);
    json_push(finds, find);
  }
  json_put(map, "finds", finds);
  return map;
}

static Json *trials_json(const Compare *compare) {
  Json *map = json_map();
  json_put_int(map, "planned", compare->n_trials);
  json_put_int(map, "complete", compare->n_complete);
  json_put_int(map, "diverged", compare->n_diverged);
  json_put_int(map, "failed", compare->n_failed);
  json_put_int(map, "missing", compare->n_missing);
  return map;
}

/* The spec, as far as it is not told with the factors. */
static void put_spec(Json *map, const Compare *compare) {
  const CompareSpec *spec = &compare->spec;
  bool bounded = spec->low < spec->high;
  json_put_text(map, "name", spec->name);
  json_put_text(map, "metric", spec->metric);
  json_put_text(map, "goal", spec->goal == COMPARE_MAX ? "max" : "min");
  put_interval(map, "range",
               bounded ? (StatInterval){spec->low, spec->high}
                       : (StatInterval){NAN, NAN});
  put_number(map, "rope", spec->rope > 0 ? spec->rope : NAN);
  if (spec->rope_of) json_put_text(map, "rope_of", spec->rope_of);
  json_put_text(map, "intervals", spec->bootstrap ? "bootstrap-t" : "t");
  put_number(map, "resolution", spec->resolution > 0 ? spec->resolution : NAN);
  json_put_int(map, "looks", spec->looks > 1 ? spec->looks : 1);
  json_put_number(map, "level", compare->level);
}

Json *compare_json(const Compare *compare) {
  Json *map = json_map(), *seeds = json_list();
  Json *variances = json_map();
  put_spec(map, compare);
  for (int s = 0; s < compare->n_seeds; s++) json_push_int(seeds, compare->seeds[s]);
  json_put(map, "seeds", seeds);
  json_put(map, "trials", trials_json(compare));
  put_number(map, "worst", compare->worst);
  json_put(map, "factors", factors_json(compare));
  json_put(map, "cells", cells_json(compare));
  json_put(map, "grid", grid_json(compare));
  json_put(map, "contrasts", contrasts_json(compare));
  json_put(map, "reach", compare_reach_json(compare));
  put_number(variances, "p", compare->variance_p);
  put_number(variances, "sd_min", compare->sd_min);
  put_number(variances, "sd_max", compare->sd_max);
  json_put_bool(variances, "unequal", compare->unequal);
  json_put(map, "variances", variances);
  json_put_int(map, "floor", compare->n_floor);
  json_put_int(map, "ceiling", compare->n_ceiling);
  return map;
}
