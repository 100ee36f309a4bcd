/* compare_words.c: the verdict in sentences, and what to be careful about.
 *
 * One sentence about the best cell, one where the seeds cannot decide anything, one paragraph
 * for each factor with contrasts (what is better or worse first, then what does equally well,
 * then what is undecided), one for strong interactions; after a blank line the cautions.
 * "Undecided" never becomes "no effect": only a rope that holds the interval says that
 * something does not matter. */
#include "lab/compare_show.h"
#include "lab/table.h"
#include <math.h>
#include <stdlib.h>

enum { INDENT = 2, UNDECIDED_TOLD = 4 };   /* of one factor, or of cells */
static const double strong_share = 0.05;   /* of a pair: its interaction is told */

typedef struct Words {
  const Compare *compare;
  Shown shown;
  int width;
  Text *out;
} Words;

/* Adds the text, cleaned, as a paragraph; frees it. */
static void say(const Words *words, Text *text) {
  Text clean = {0};
  if (text->data) text_add_clean(&clean, text->data);
  if (text->failed || clean.failed) words->out->failed = true;
  else if (clean.n_bytes) text_add_wrapped(words->out, clean.data, 0, INDENT, words->width);
  text_deinit(&clean);
  text_deinit(text);
}

static const char *plural(int n) { return n == 1 ? "" : "s"; }

/* -- contrasts ----------------------------------------------------------------------- */

/* The analysis that the verdict comes from. */
static const CompareAnalysis *main_analysis(const CompareContrast *contrast) {
  return contrast->complete.paired.n > 0 ? &contrast->complete : &contrast->imputed;
}

/* "a beats b", or the other way round where `turn` is set. */
static void add_sides(const Words *words, const CompareContrast *contrast, bool turn,
                      const char *between, Text *text) {
  int first = turn ? contrast->b : contrast->a, second = turn ? contrast->a : contrast->b;
  if (contrast->factor < 0) {
    compare_add_cells(words->compare, first, between, second, text);
    return;
  }
  compare_add_level(words->compare, contrast->factor, first, text);
  text_add(text, between);
  compare_add_level(words->compare, contrast->factor, second, text);
}

/* "p = .012", "p < .001" */
static void add_p(double p, Text *text) {
  char buffer[SHOWN_BYTES];
  shown_p(p, buffer);
  bool below = *buffer == '<';
  text_addf(text, "p" NO_BREAK "%c" NO_BREAK "%s", below ? '<' : '=', buffer + below);
}

/* "(95 % CI 2.4 to 3.8, 10 seeds, p = .002 after Holm)"; the interval is turned round
 * where the difference is told from the other side. */
static void add_evidence(const Words *words, const CompareContrast *contrast, bool turn,
                         Text *text) {
  char buffer[SHOWN_BYTES];
  const CompareAnalysis *analysis = main_analysis(contrast);
  StatInterval interval = analysis->paired.interval;
  if (turn) interval = (StatInterval){-interval.high, -interval.low};
  text_add(text, "(");
  if (!isnan(interval.low))
    text_addf(text, "95" NO_BREAK "%% CI" NO_BREAK "%s, ",
              shown_difference_interval(words->shown, interval, buffer));
  text_addf(text, "%d" NO_BREAK "seed%s, ", analysis->paired.n, plural(analysis->paired.n));
  if (analysis->n_settings < contrast->n_settings)
    text_addf(text, "%d of %d settings, ", analysis->n_settings, contrast->n_settings);
  add_p(analysis->p_holm, text);
  text_add(text, words->compare->n_contrasts > 1 ? " after Holm)" : ")");
}

static void add_if_imputed(const CompareContrast *contrast, const CompareAnalysis *analysis,
                           Text *text) {
  if (analysis == &contrast->imputed)
    text_add(text, " with the worst value in place of diverged trials: no seed is "
                   "complete");
}

/* "relu beats sigmoid by 3.1 points (...)" */
static void add_decided(const Words *words, const CompareContrast *contrast, Text *text) {
  const CompareAnalysis *analysis = main_analysis(contrast);
  bool a_wins = contrast->verdict == COMPARE_BETTER;
  char buffer[SHOWN_BYTES];
  add_sides(words, contrast, !a_wins, " beats ", text);
  text_addf(text, " by %s%s ",
            shown_size(words->shown, fabs(analysis->paired.mean), buffer),
            words->shown.difference_unit);
  add_evidence(words, contrast, analysis->paired.mean < 0, text);
  add_if_imputed(contrast, analysis, text);
}

static void add_between(Text *text, size_t begin, const char *between) {
  if (text->n_bytes > begin) text_add(text, between);
}

/* Contrasts from `first` up to `end` are those of one factor. */
typedef struct Range {
  int first, end;
} Range;

static int count_verdict(const Words *words, Range range, CompareVerdict verdict) {
  int n = 0;
  for (int i = range.first; i < range.end; i++)
    n += words->compare->contrasts[i].verdict == verdict;
  return n;
}

static void add_equivalent(const Words *words, Range range, Text *text) {
  const CompareContrast *contrasts = words->compare->contrasts;
  int n = count_verdict(words, range, COMPARE_EQUIVALENT), done = 0;
  int factor = contrasts[range.first].factor;
  char buffer[SHOWN_BYTES];
  if (n == range.end - range.first && factor >= 0)
    text_add(text, "does not matter here: ");
  for (int i = range.first; i < range.end; i++) {
    if (contrasts[i].verdict != COMPARE_EQUIVALENT) continue;
    if (done > 0) text_add(text, done + 1 == n ? " and " : ", ");
    if (factor < 0) add_sides(words, &contrasts[i], false, " like ", text);
    else compare_add_level(words->compare, factor, contrasts[i].a, text);
    done++;
  }
  if (factor >= 0) {
    text_addf(text, " %s equivalent to ", n == 1 ? "is" : "are");
    compare_add_level(words->compare, factor, contrasts[range.first].b, text);
  }
  text_addf(text, " (the interval%s within %s%s)", n == 1 ? " is" : "s are",
            shown_size(words->shown, words->compare->spec.rope, buffer),
            words->shown.difference_unit);
}

/* "tanh against relu is undecided (difference +0.10 points, 95 % CI ...)", or a list. */
static void add_undecided(const Words *words, Range range, Text *text) {
  const CompareContrast *contrasts = words->compare->contrasts;
  const char *between = "undecided: ";
  char number[SHOWN_BYTES], interval[SHOWN_BYTES];
  for (int i = range.first; i < range.end; i++) {
    const CompareContrast *contrast = &contrasts[i];
    const CompareAnalysis *analysis = main_analysis(contrast);
    if (contrast->verdict != COMPARE_UNDECIDED || contrast->disputed) continue;
    text_add(text, between);
    between = ", ";
    add_sides(words, contrast, false, " against ", text);
    if (analysis->paired.n == 0) {
      text_add(text, " (no seed has both)");
      continue;
    }
    if (analysis->paired.mean == 0 && analysis->paired.sd == 0) {
      text_addf(text, " (the same in each of %d seeds)", analysis->paired.n);
      add_if_imputed(contrast, analysis, text);
      continue;
    }
    text_addf(text, " (%s%s",
              shown_difference(words->shown, analysis->paired.mean, number),
              words->shown.difference_unit);
    shown_difference_interval(words->shown, analysis->paired.interval, interval);
    if (*interval) text_addf(text, ", 95" NO_BREAK "%% CI" NO_BREAK "%s", interval);
    else text_addf(text, ", %d seed%s", analysis->paired.n, plural(analysis->paired.n));
    text_add(text, ", ");
    add_p(analysis->p_holm, text);
    text_add(text, words->compare->n_contrasts > 1 ? " after Holm)" : ")");
    add_if_imputed(contrast, analysis, text);
  }
}

/* "the difference is undecided", "tanh is worse" */
static void add_finding(const Words *words, const CompareContrast *contrast,
                        CompareVerdict verdict, Text *text) {
  if (verdict == COMPARE_UNDECIDED) text_add(text, "the difference");
  else if (contrast->factor < 0) compare_add_cell(words->compare, contrast->a, text);
  else compare_add_level(words->compare, contrast->factor, contrast->a, text);
  text_addf(text, " is %s", compare_verdict_name(verdict));
}

static void add_disputed(const Words *words, const CompareContrast *contrast, Text *text) {
  text_add(text, "undecided: ");
  add_sides(words, contrast, false, " against ", text);
  int n = contrast->n_diverged_a + contrast->n_diverged_b;
  text_addf(text, " depends on how %d diverged trial%s count%s: left out, ", n,
            plural(n), n == 1 ? "s" : "");
  add_finding(words, contrast, contrast->complete.verdict, text);
  text_add(text, "; counted as the worst value, ");
  add_finding(words, contrast, contrast->imputed.verdict, text);
}

/* Where contrasts are many: what is decided is told, and how many are not. */
static void add_many_undecided(Range range, int n, Text *text) {
  if (n == range.end - range.first) text_addf(text, "all %d contrasts", n);
  else text_addf(text, "%d of %d contrasts", n, range.end - range.first);
  text_add(text, " are undecided");
}

static void say_factor(const Words *words, Range range) {
  const Compare *compare = words->compare;
  const CompareContrast *contrasts = compare->contrasts;
  int factor = contrasts[range.first].factor;
  Text text = {0};
  if (factor >= 0) compare_add_factor(compare, factor, &text);
  else text_add(&text, "cells");
  text_add(&text, ": ");
  size_t begin = text.n_bytes;
  int n_disputed = 0;
  for (int i = range.first; i < range.end; i++) {
    CompareVerdict verdict = contrasts[i].verdict;
    n_disputed += contrasts[i].disputed;
    if (verdict != COMPARE_BETTER && verdict != COMPARE_WORSE) continue;
    add_between(&text, begin, "; ");
    add_decided(words, &contrasts[i], &text);
  }
  if (count_verdict(words, range, COMPARE_EQUIVALENT) > 0) {
    add_between(&text, begin, "; ");
    add_equivalent(words, range, &text);
  }
  for (int i = range.first; i < range.end; i++) {
    if (!contrasts[i].disputed) continue;
    add_between(&text, begin, "; ");
    add_disputed(words, &contrasts[i], &text);
  }
  int n_undecided = count_verdict(words, range, COMPARE_UNDECIDED) - n_disputed;
  if (n_undecided > 0) {
    add_between(&text, begin, "; ");
    if (n_undecided > UNDECIDED_TOLD) add_many_undecided(range, n_undecided, &text);
    else add_undecided(words, range, &text);
  }
  text_add(&text, ".");
  say(words, &text);
}

static void say_contrasts(const Words *words) {
  const Compare *compare = words->compare;
  Range range = {0, 0};
  for (; range.first < compare->n_contrasts; range.first = range.end) {
    int factor = compare->contrasts[range.first].factor;
    while (range.end < compare->n_contrasts &&
           compare->contrasts[range.end].factor == factor)
      range.end++;
    say_factor(words, range);
  }
}

/* -- the best cell, interactions ----------------------------------------------------- */

/* Cells with a complete trial. */
static int count_valued(const Compare *compare) {
  int n = 0;
  for (int c = 0; c < compare->n_cells; c++) n += compare->cells[c].sample.n > 0;
  return n;
}

/* Cells other than the best that share its mean to the last bit. */
static int count_alike(const Compare *compare, int best) {
  int n = 0;
  for (int c = 0; c < compare->n_cells; c++)
    n += c != best && compare->cells[c].sample.n > 0 &&
         compare->cells[c].imputed.mean == compare->cells[best].imputed.mean;
  return n;
}

static void say_best(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  char mean[SHOWN_BYTES], interval[SHOWN_BYTES];
  int n_valued = count_valued(compare);
  if (n_valued == 0) {
    text_addf(&text, "No trial has a value of %s%s.", compare->spec.metric,
              compare->n_diverged && compare->n_failed ? ": all that ran diverged or failed"
              : compare->n_diverged ? ": all that ran diverged" : " yet");
    say(words, &text);
    return;
  }
  int best = compare->order[0];
  const CompareCell *cell = &compare->cells[best];
  if (compare->n_cells > 1) {
    text_add(&text, n_valued > 1 ? "Best mean: " : "Only one cell has a value: ");
    compare_add_cell(compare, best, &text);
    if (cell->note) text_addf(&text, " (%s)", cell->note);
    text_add(&text, " with ");
  }
  text_addf(&text, "%s %s%s (", compare->spec.metric,
            shown_value(words->shown, cell->imputed.mean, mean), words->shown.unit);
  shown_interval(words->shown, cell->imputed.interval, interval);
  if (*interval) text_addf(&text, "95" NO_BREAK "%% CI" NO_BREAK "%s, ", interval);
  text_addf(&text, "%d seed%s", cell->imputed.n, plural(cell->imputed.n));
  if (cell->n_diverged)
    text_addf(&text, ", of which %d diverged and count%s as the worst value",
              cell->n_diverged, cell->n_diverged == 1 ? "s" : "");
  text_add(&text, ").");
  int n_alike = count_alike(compare, best);
  if (n_alike)
    text_addf(&text, " %d other cell%s the same mean.", n_alike,
              n_alike == 1 ? " has" : "s have");
  if (n_valued > 1)
    text_addf(&text, " It was picked as the best of %d, so its mean flatters it.", n_valued);
  say(words, &text);
}

static void say_interactions(const Words *words) {
  const CompareGrid *grid = &words->compare->grid;
  Text text = {0};
  for (int i = 0; grid->n_factors && i < grid->n_effects; i++) {
    const StatEffect *effect = &grid->effects[i];
    bool strong = effect->source == STAT_PAIR && effect->omega2 >= strong_share;
    if (!strong) continue;
    text_add(&text, text.n_bytes ? ", " : "Interactions: ");
    compare_add_factor(words->compare, effect->a, &text);
    text_add(&text, " with ");
    compare_add_factor(words->compare, effect->b, &text);
    text_addf(&text, " (%.0f %% of the variance)", 100 * effect->omega2);
  }
  if (text.n_bytes)
    text_add(&text, ". What is said above of such a factor is an average over the other, "
                    "and may hold for no single level of it.");
  say(words, &text);
}

/* -- cautions ------------------------------------------------------------------------ */

/* ": the smallest p ... is .0625, after Holm .312, which is not below .05" */
static void add_smallest_p(CompareReach reach, Text *text) {
  char p[SHOWN_BYTES];
  text_addf(text, ": the smallest p of the sign-flip test is %s",
            shown_p_exact(reach.p_min, p));
  if (reach.n_contrasts > 1)
    text_addf(text, ", after Holm %s", shown_p_exact(reach.p_min_holm, p));
  text_addf(text, ", which is %sbelow .05", reach.reachable ? "" : "not ");
}

static void add_reach_sentence(CompareReach reach, Text *text) {
  text_addf(text, "%d seed%s can%s reach significance in ", reach.n_seeds,
            plural(reach.n_seeds), reach.reachable ? "" : "not");
  if (reach.n_contrasts > 1) text_addf(text, "%d contrasts", reach.n_contrasts);
  else text_add(text, "one contrast");
  if (reach.n_seeds > 0) add_smallest_p(reach, text);
  text_add(text, ".");
  if (reach.needed == 0)
    text_add(text, " No number of seeds can, in so many contrasts.");
  else if (!reach.reachable)
    text_addf(text, " At least %d seeds are needed.", reach.needed);
  else if (reach.n_seeds == reach.needed)
    text_add(text, " But only for a difference that has the same sign in every seed; more "
                   "seeds make it likelier.");
}

void compare_add_reach(const Compare *compare, int width, Text *out) {
  Words words = {compare, shown_of(compare), width, out};
  Text text = {0};
  if (compare->n_contrasts == 0)
    text_addf(&text, "Nothing is compared: %s.", compare_is_drawn(compare)
              ? "points that are drawn have no baseline"
              : "no two cells differ in one factor alone");
  else
    add_reach_sentence(compare->planned, &text);
  say(&words, &text);
}

static void say_reach(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  if (compare->n_contrasts == 0 || compare->reach.reachable || compare->n_complete == 0)
    return;
  if (compare->reach.n_seeds < compare->planned.n_seeds)
    text_addf(&text, "So far the contrasts have %d of %d seeds. ", compare->reach.n_seeds,
              compare->planned.n_seeds);
  add_reach_sentence(compare->reach, &text);
  say(words, &text);
}

static void say_uncompared(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  for (int f = 0; f < compare->spec.n_factors; f++) {
    bool compared = !compare->varies[f] || !compare_leads(compare, f) ||
                    compare->spec.drawn[f];
    for (int i = 0; i < compare->n_contrasts; i++)
      compared = compared || compare->contrasts[i].factor == f;
    if (compared) continue;
    text_add(&text, text.n_bytes ? ", " : "Not compared with a baseline: ");
    compare_add_factor(compare, f, &text);
  }
  if (text.n_bytes) text_add(&text, " (no two cells differ in it alone).");
  say(words, &text);
}

static void say_baseline(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  for (int i = 0; i < compare->n_contrasts; i++) {
    const CompareContrast *contrast = &compare->contrasts[i];
    bool again = i > 0 && contrast->factor == contrast[-1].factor;
    if (again || contrast->factor < 0 || compare->baseline_given[contrast->factor])
      continue;
    text_add(&text, text.n_bytes ? ", "
                                 : "No baseline was given; the first level serves: ");
    compare_add_factor(compare, contrast->factor, &text);
    text_add(&text, " = ");
    compare_add_level(compare, contrast->factor, contrast->b, &text);
  }
  if (text.n_bytes) text_add(&text, ".");
  say(words, &text);
}

static void say_rope(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  int undecided = 0;
  if (compare->spec.rope_of && compare->n_contrasts > 0) {
    text_addf(&text, "The script's rope is one of %s: to %s it was not applied.",
              compare->spec.rope_of, compare->spec.metric);
    say(words, &text);
    return;
  }
  for (int i = 0; i < compare->n_contrasts; i++)
    undecided += compare->contrasts[i].verdict == COMPARE_UNDECIDED;
  if (undecided == 0 || compare->spec.rope > 0 || !compare->reach.reachable) return;
  text_add(&text, "Undecided is not \"no difference\": say with rope = how small a "
                  "difference does not matter, and what lies within it is called "
                  "equivalent.");
  say(words, &text);
}

/* "Diverged: 3 trials, in sigmoid, he_normal (2) and ..." */
static void say_diverged(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  int told = 0, cells = 0;
  if (compare->n_diverged == 0) return;
  for (int c = 0; c < compare->n_cells; c++) cells += compare->cells[c].n_diverged > 0;
  text_addf(&text, "Diverged: %d trial%s of ", compare->n_diverged,
            plural(compare->n_diverged));
  for (int c = 0; c < compare->n_cells && told < 4; c++) {
    const CompareCell *cell = &compare->cells[c];
    if (cell->n_diverged == 0) continue;
    text_add(&text, told++ ? "; " : "");
    compare_add_cell(compare, c, &text);
    text_addf(&text, " (%d of %d)", cell->n_diverged, cell->n_planned);
  }
  if (cells > told) text_addf(&text, "; and %d cells more", cells - told);
  text_add(&text, ". Means and intervals of cells are those of the complete trials");
  if (!isnan(compare->worst)) {
    char worst[SHOWN_BYTES];
    text_addf(&text, "; contrasts are told both ways, without the diverged trials and "
              "with the worst value of the study (%s%s) in their place",
              shown_value(words->shown, compare->worst, worst), words->shown.unit);
  }
  text_add(&text, ".");
  say(words, &text);
}

static void say_ends(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  if (compare->n_floor)
    text_addf(&text, "Floor: %d cell%s at the bad end of the scale, where differences "
              "cannot show. ", compare->n_floor,
              compare->n_floor == 1 ? " is" : "s are");
  if (compare->n_ceiling)
    text_addf(&text, "Ceiling: %d cell%s at the good end of the scale, where differences "
              "cannot show. ", compare->n_ceiling,
              compare->n_ceiling == 1 ? " is" : "s are");
  say(words, &text);
}

static void say_variances(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  char low[SHOWN_BYTES], high[SHOWN_BYTES];
  if (!compare->unequal) return;
  text_addf(&text, "Unequal variances: the sd of cells goes from %s to %s (Brown and "
            "Forsythe's test, ",
            shown_size(words->shown, compare->sd_min, low),
            shown_size(words->shown, compare->sd_max, high));
  add_p(compare->variance_p, &text);
  text_add(&text, "). Contrasts do not assume them equal; shares of variance come mostly "
                  "from the noisiest cells.");
  say(words, &text);
}

static void say_incomplete(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  int n = compare->n_missing + compare->n_failed;
  if (n == 0) return;
  text_addf(&text, "Incomplete: %d of %d trials have no result", n, compare->n_trials);
  if (compare->n_failed) text_addf(&text, " (%d failed)", compare->n_failed);
  text_add(&text, ".");
  say(words, &text);
}

/* No trial at all lacks trials as well. */
static bool lacks_trials(const Compare *compare, const CompareContrast *contrast,
                         const CompareAnalysis *analysis) {
  return analysis->paired.n < compare->n_seeds ||
         analysis->n_settings < contrast->n_settings;
}

/* Whatever it is that lacks: trials to come, failed ones or diverged ones. */
static void say_blocks(const Words *words) {
  const Compare *compare = words->compare;
  Text text = {0};
  int n = 0;
  bool any_block = false;
  for (int i = 0; i < compare->n_contrasts; i++) {
    const CompareContrast *contrast = &compare->contrasts[i];
    if (!lacks_trials(compare, contrast, &contrast->complete) &&
        !lacks_trials(compare, contrast, &contrast->imputed))
      continue;
    n++;
    any_block |= contrast->complete.paired.n + contrast->imputed.paired.n > 0;
  }
  if (n == 0) return;
  text_addf(&text, "%d of %d contrast%s lack%s trials.", n, compare->n_contrasts,
            plural(compare->n_contrasts), n == 1 ? "s" : "");
  if (any_block)
    text_add(&text, " Such a contrast uses the largest complete block of settings and "
                    "seeds, or a smaller one, of at least half its size, that has seeds "
                    "enough for significance.");
  say(words, &text);
}

static void add_cautions(Words words, Text *out) {
  Text cautions = {0};
  words.out = &cautions;
  say_uncompared(&words);
  say_baseline(&words);
  say_rope(&words);
  say_incomplete(&words);
  say_diverged(&words);
  say_blocks(&words);
  say_ends(&words);
  say_variances(&words);
  if (cautions.n_bytes) text_addf(out, "\n%s", cautions.data);
  out->failed = out->failed || cautions.failed;
  text_deinit(&cautions);
}

void compare_add_words(const Compare *compare, int width, Text *out) {
  Words words = {compare, shown_of(compare), width, out};
  say_best(&words);
  if (compare->n_complete == 0) return;
  say_reach(&words);
  say_contrasts(&words);
  say_interactions(&words);
  add_cautions(words, out);
}
