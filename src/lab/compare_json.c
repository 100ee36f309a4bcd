/* compare_json.c: a comparison as JSON, in the metric's own unit.
 *
 *   { name, metric, goal, range, rope,
 *     rope_of: another metric whose rope is not applied,
 *     seeds, trials: {planned, complete, ...}, worst,
 *     factors: [{name, levels, baseline, baseline_given, together_with}],
 *     cells: [{levels: {factor: level}, baseline, n, mean, sd, interval, ...}], best
 *     first, by diverged_as_worst where trials diverged,
 *     grid: {text, whole, cells, seeds, effects: [...], margins: [...]},
 *     resolution, looks, level,
 *     contrasts: [{factor, a, b, verdict, typical_runs, runs_a, runs_b, p_runs,
 *                  p_runs_holm,
 *                  complete: {...}, diverged_as_worst: {...}}],
 *     reach: {seeds, contrasts, level, seeds_needed, sd,
 *             finds: [{seeds, level, sds, difference}]},
 *     variances: {p, sd_min, sd_max, unequal}, floor, ceiling }
 * A number that is not there is null; an interval is [low, high] or null. */
#include "lab/compare_private.h"
#include <math.h>

static void put_sample(Json *map, const StatSample *s) {
  json_putf(map, "n %d mean %g sd %g interval [%g,%g] median %g min %g max %g", s->n,
            s->mean, s->sd, s->interval.low, s->interval.high, s->median, s->min,
            s->max);
}

static void put_level(Json *map, const Compare *compare, int factor, int level) {
  json_put_text(map, compare->spec.factors[factor].name,
                level < 0 ? NULL : compare_level(compare, factor, level));
}

static Json *levels_json(const Compare *compare, const int *levels) {
  Json *map = json_map();
  for (int f = 0; f < compare->spec.n_factors; f++)
    put_level(map, compare, f, levels[f]);
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
    json_putf(map, "baseline %s baseline_given %c",
              compare_level(compare, f, factor->baseline), compare->baseline_given[f]);
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
    Json *map = json_map(), *imputed = json_map();
    json_put(map, "levels", levels_json(compare, cell->levels));
    if (cell->note) json_put_text(map, "note", cell->note);
    json_put_bool(map, "baseline", cell->baseline);
    put_sample(map, &cell->sample);
    json_putf(map,
              "planned %d diverged %d failed %d missing %d floored %d floor %c ceiling "
              "%c",
              cell->n_planned, cell->n_diverged, cell->n_failed, cell->n_missing,
              cell->n_floored, cell->floor, cell->ceiling);
    put_sample(imputed, &cell->imputed);
    if (cell->n_diverged) json_put(map, "diverged_as_worst", imputed);
    else json_free(imputed);
    json_push(list, map);
  }
  return list;
}

static Json *analysis_json(const Compare *compare, const CompareAnalysis *analysis) {
  const StatPaired *p = &analysis->paired;
  Json *map = json_map();
  json_putf(map,
            "seeds %d settings %d difference %g sd %g sd_used %g interval [%g,%g] d_z "
            "%g "
            "t %g p_t %g p_sign_flip %g p %g p_holm %g",
            p->n, analysis->n_settings, p->mean, p->sd, p->sd_used, p->interval.low,
            p->interval.high, p->d_z, p->t, p->p_t, p->p_flip, p->p, analysis->p_holm);
  if (analysis->dominant >= 0)
    json_put_int(map, "decisive_seed", compare->seeds[analysis->dominant]);
  json_putf(map, "won %g won_interval [%g,%g] verdict %s", p->won, p->won_interval.low,
            p->won_interval.high, compare_verdict_name(analysis->verdict));
  return map;
}

static void put_side(Json *map, const char *key, const Compare *compare,
                     const CompareContrast *contrast, int side) {
  if (contrast->factor < 0)
    json_put(map, key, levels_json(compare, compare->cells[side].levels));
  else json_put_text(map, key, compare_level(compare, contrast->factor, side));
}

static void put_runs(Json *map, const char *key, CompareRuns runs) {
  Json *counts = json_map();
  json_putf(counts, "n %d failed %d diverged %d floored %d", runs.n, runs.n_failed,
            runs.n_diverged, runs.n_floored);
  json_put(map, key, counts);
}

static Json *contrast_json(const Compare *compare, const CompareContrast *contrast) {
  int factor = contrast->factor;
  Json *map = json_map();
  json_put_text(map, "factor", factor < 0 ? NULL : compare->spec.factors[factor].name);
  put_side(map, "a", compare, contrast, contrast->a);
  put_side(map, "b", compare, contrast, contrast->b);
  json_putf(map, "verdict %s disputed %c settings %d typical_runs %c",
            compare_verdict_name(contrast->verdict), contrast->disputed,
            contrast->n_settings, compare_is_typical(contrast));
  put_runs(map, "runs_a", contrast->runs_a);
  put_runs(map, "runs_b", contrast->runs_b);
  json_putf(map, "p_runs %g p_runs_holm %g", contrast->p_wrong, contrast->p_wrong_holm);
  json_put(map, "complete", analysis_json(compare, &contrast->complete));
  if (contrast->runs_a.n_diverged + contrast->runs_b.n_diverged > 0)
    json_put(map, "diverged_as_worst", analysis_json(compare, &contrast->imputed));
  return map;
}

static Json *effect_json(const Compare *compare, const StatEffect *effect) {
  static const char *const names[] = {"factor", "pair", "higher", "seed", "residual",
                                      "total"};
  Json *map = json_map(), *factors = json_list();
  json_put_text(map, "source", names[effect->source]);
  if (effect->a >= 0) json_push_text(factors, compare->spec.factors[effect->a].name);
  if (effect->b >= 0) json_push_text(factors, compare->spec.factors[effect->b].name);
  json_put(map, "factors", factors);
  json_putf(map, "df %lld ss %g eta2 %g omega2 %g f %g p_descriptive %g",
            (long long)effect->df, effect->ss, effect->eta2, effect->omega2, effect->f,
            effect->p);
  return map;
}

static Json *margin_json(const Compare *compare, const CompareMargin *margin) {
  Json *map = json_map(), *levels = json_map();
  put_level(levels, compare, margin->a, margin->level_a);
  if (margin->b >= 0) put_level(levels, compare, margin->b, margin->level_b);
  json_put(map, "levels", levels);
  put_sample(map, &margin->sample);
  return map;
}

static Json *grid_json(const Compare *compare) {
  const CompareGrid *grid = &compare->grid;
  Json *map = json_map(), *effects = json_list(), *margins = json_list();
  json_putf(map, "text %s whole %c cells %d seeds %d", grid->text, grid->whole,
            grid->n_cells, grid->n_seeds);
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
  json_putf(map, "seeds %d contrasts %d level %g seeds_needed %d sd %g",
            compare->n_seeds, compare->n_contrasts, compare->level, STAT_TEST_MIN,
            compare->sd);
  for (int i = 0; i < reach.n; i++) {
    const CompareFind *find = &reach.finds[i];
    Json *row = json_map();
    json_putf(row, "seeds %d level %g sds %g difference %g", find->n_seeds, find->level,
              find->sds, find->difference);
    json_push(finds, row);
  }
  json_put(map, "finds", finds);
  return map;
}

/* The spec, as far as it is not told with the factors. */
static void put_spec(Json *map, const Compare *compare) {
  const CompareSpec *spec = &compare->spec;
  bool bounded = spec->low < spec->high;
  json_putf(map, "name %s metric %s goal %s range [%g,%g] rope %g", spec->name,
            spec->metric, spec->goal == COMPARE_MAX ? "max" : "min",
            bounded ? spec->low : NAN, spec->high, spec->rope > 0 ? spec->rope : NAN);
  if (spec->rope_of) json_put_text(map, "rope_of", spec->rope_of);
  json_putf(map, "intervals %s resolution %g looks %d level %g",
            spec->bootstrap ? "bootstrap-t" : "t",
            spec->resolution > 0 ? spec->resolution : NAN,
            spec->looks > 1 ? spec->looks : 1, compare->level);
}

Json *compare_json(const Compare *compare) {
  Json *map = json_map(), *seeds = json_list(), *contrasts = json_list();
  Json *trials = json_map(), *variances = json_map();
  put_spec(map, compare);
  for (int s = 0; s < compare->n_seeds; s++) json_push_int(seeds, compare->seeds[s]);
  json_put(map, "seeds", seeds);
  json_putf(trials, "planned %d complete %d diverged %d failed %d missing %d",
            compare->n_trials, compare->n_complete, compare->n_diverged,
            compare->n_failed, compare->n_missing);
  json_put(map, "trials", trials);
  json_putf(map, "worst %g", compare->worst);
  json_put(map, "factors", factors_json(compare));
  json_put(map, "cells", cells_json(compare));
  json_put(map, "grid", grid_json(compare));
  for (int i = 0; i < compare->n_contrasts; i++)
    json_push(contrasts, contrast_json(compare, &compare->contrasts[i]));
  json_put(map, "contrasts", contrasts);
  json_put(map, "reach", compare_reach_json(compare));
  json_putf(variances, "p %g sd_min %g sd_max %g unequal %c", compare->variance_p,
            compare->sd_min, compare->sd_max, compare->unequal);
  json_put(map, "variances", variances);
  json_putf(map, "floor %d ceiling %d", compare->n_floor, compare->n_ceiling);
  return map;
}
