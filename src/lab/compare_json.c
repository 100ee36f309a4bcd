/* compare_json.c: a comparison as JSON, in the metric's own unit: what is compared,
 * cells from best to worst, the grid, contrasts, what the seeds can show, variances.
 * A number that is not there is null; an interval is [low, high] or null. Where trials
 * diverged a cell and a contrast have "diverged_as_worst" beside what is of the
 * complete ones. */
#include "lab/compare_private.h"
#include <math.h>

/* Returns the map. */
static Json *put_sample(Json *map, const StatSample *s) {
  json_putf(map, "n %d mean %g sd %g interval [%g,%g] median %g min %g max %g", s->n,
            s->mean, s->sd, s->interval.low, s->interval.high, s->median, s->min,
            s->max);
  return map;
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

static Json *factor_json(const Compare *compare, int f) {
  const CompareFactor *factor = &compare->spec.factors[f];
  Json *levels = json_list();
  for (int l = 0; l < factor->n_levels; l++) json_push_text(levels, factor->levels[l]);
  Json *map = json_mapf("name %s levels %p baseline %s baseline_given %hhd",
                        factor->name, levels,
                        compare_level(compare, f, factor->baseline),
                        compare->baseline_given[f]);
  const char *leader = compare->spec.factors[compare->alias[f]].name;
  if (!compare_leads(compare, f)) json_put_text(map, "together_with", leader);
  return map;
}

static Json *cell_json(const Compare *compare, int i) {
  const CompareCell *cell = &compare->cells[compare->order[i]];
  const CompareRuns runs = cell->runs;
  Json *map = json_mapf("levels %p", levels_json(compare, cell->levels));
  if (cell->note) json_put_text(map, "note", cell->note);
  json_put_bool(map, "baseline", cell->baseline);
  put_sample(map, &cell->sample);
  json_putf(map,
            "planned %d diverged %d failed %d missing %d floored %d floor %hhd ceiling "
            "%hhd",
            runs.n_planned, runs.n_diverged, runs.n_failed, runs.n_missing,
            runs.n_floored, cell->floor, cell->ceiling);
  if (runs.n_diverged)
    json_put(map, "diverged_as_worst", put_sample(json_map(), &cell->imputed));
  return map;
}

static Json *analysis_json(const Compare *compare, const CompareAnalysis *analysis) {
  const StatPaired *p = &analysis->paired;
  Json *map = json_mapf("seeds %d settings %d difference %g sd %g sd_used %g interval "
                        "[%g,%g] d_z %g t %g p_t %g p_sign_flip %g p %g p_holm %g",
                        p->n, analysis->n_settings, p->mean, p->sd, p->sd_used,
                        p->interval.low, p->interval.high, p->d_z, p->t, p->p_t,
                        p->p_flip, p->p, analysis->p_holm);
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

static Json *runs_json(CompareRuns runs) {
  return json_mapf("n %d failed %d diverged %d floored %d", runs.n, runs.n_failed,
                   runs.n_diverged, runs.n_floored);
}

static Json *contrast_json(const Compare *compare, int i) {
  const CompareContrast *contrast = &compare->contrasts[i];
  int factor = contrast->factor;
  Json *map = json_mapf("factor %s",
                        factor < 0 ? NULL : compare->spec.factors[factor].name);
  put_side(map, "a", compare, contrast, contrast->a);
  put_side(map, "b", compare, contrast, contrast->b);
  json_putf(map,
            "verdict %s disputed %hhd settings %d typical_runs %hhd runs_a %p runs_b "
            "%p p_runs %g p_runs_holm %g complete %p",
            compare_verdict_name(contrast->verdict), contrast->disputed,
            contrast->n_settings, compare_is_typical(contrast),
            runs_json(contrast->runs_a), runs_json(contrast->runs_b), contrast->p_wrong,
            contrast->p_wrong_holm, analysis_json(compare, &contrast->complete));
  if (compare_n_diverged(contrast))
    json_put(map, "diverged_as_worst", analysis_json(compare, &contrast->imputed));
  return map;
}

static Json *effect_json(const Compare *compare, int i) {
  static const char *const names[] = {"factor", "pair", "higher", "seed", "residual",
                                      "total"};
  const StatEffect *effect = &compare->grid.effects[i];
  Json *factors = json_list();
  if (effect->a >= 0) json_push_text(factors, compare->spec.factors[effect->a].name);
  if (effect->b >= 0) json_push_text(factors, compare->spec.factors[effect->b].name);
  return json_mapf("source %s factors %p df %lld ss %g eta2 %g omega2 %g f %g "
                   "p_descriptive %g",
                   names[effect->source], factors, (long long)effect->df, effect->ss,
                   effect->eta2, effect->omega2, effect->f, effect->p);
}

static Json *margin_json(const Compare *compare, int i) {
  const CompareMargin *margin = &compare->grid.margins[i];
  Json *levels = json_map();
  put_level(levels, compare, margin->a, margin->level_a);
  if (margin->b >= 0) put_level(levels, compare, margin->b, margin->level_b);
  return put_sample(json_mapf("levels %p", levels), &margin->sample);
}

static Json *list_of(const Compare *compare, int n,
                     Json *(*item)(const Compare *, int)) {
  Json *list = json_list();
  for (int i = 0; i < n; i++) json_push(list, item(compare, i));
  return list;
}

Json *compare_reach_json(const Compare *compare) {
  const CompareReach reach = compare_reach(compare);
  Json *finds = json_list();
  for (int i = 0; i < reach.n; i++) {
    const CompareFind *find = &reach.finds[i];
    json_push(finds, json_mapf("seeds %d level %g sds %g difference %g", find->n_seeds,
                               find->level, find->sds, find->difference));
  }
  return json_mapf("seeds %d contrasts %d level %g seeds_needed %d sd %g finds %p",
                   compare->n_seeds, compare->n_contrasts, compare->level,
                   STAT_TEST_MIN, compare->sd, finds);
}

/* What is asked, but for the factors. */
static Json *spec_json(const Compare *compare) {
  const CompareSpec *spec = &compare->spec;
  bool bounded = spec->low < spec->high;
  Json *map = json_mapf("name %s metric %s goal %s range [%g,%g] rope %g", spec->name,
                        spec->metric, spec->goal == COMPARE_MAX ? "max" : "min",
                        bounded ? spec->low : NAN, spec->high,
                        spec->rope > 0 ? spec->rope : NAN);
  if (spec->rope_of) json_put_text(map, "rope_of", spec->rope_of);
  json_putf(map, "intervals %s resolution %g looks %d level %g",
            spec->bootstrap ? "bootstrap-t" : "t",
            spec->resolution > 0 ? spec->resolution : NAN,
            spec->looks > 1 ? spec->looks : 1, compare->level);
  return map;
}

Json *compare_json(const Compare *compare) {
  const CompareRuns runs = compare->runs;
  const CompareGrid *grid = &compare->grid;
  Json *map = spec_json(compare), *seeds = json_list();
  for (int s = 0; s < compare->n_seeds; s++) json_push_int(seeds, compare->seeds[s]);
  Json *trials = json_mapf("planned %d complete %d diverged %d failed %d missing %d",
                           runs.n_planned, runs.n_complete, runs.n_diverged,
                           runs.n_failed, runs.n_missing);
  json_putf(map, "seeds %p trials %p worst %g factors %p cells %p", seeds, trials,
            compare->worst, list_of(compare, compare->spec.n_factors, factor_json),
            list_of(compare, compare->n_cells, cell_json));
  json_put(map, "grid",
           json_mapf("text %s whole %hhd cells %d seeds %d effects %p margins %p",
                     grid->text, grid->whole, grid->n_cells, grid->n_seeds,
                     list_of(compare, grid->n_effects, effect_json),
                     list_of(compare, grid->n_margins, margin_json)));
  json_putf(map, "contrasts %p reach %p",
            list_of(compare, compare->n_contrasts, contrast_json),
            compare_reach_json(compare));
  json_put(map, "variances",
           json_mapf("p %g sd_min %g sd_max %g unequal %hhd", compare->variance_p,
                     compare->sd_min, compare->sd_max, compare->unequal));
  json_putf(map, "floor %d ceiling %d", compare->n_floor, compare->n_ceiling);
  return map;
}
