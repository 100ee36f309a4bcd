/* compare_verdicts.c: what a study decided, which comes first on the page, and what it
 * did not.
 *
 *   Decided        one line for each contrast that is better or worse
 *   Undecided      no clear difference, with the seeds that would decide one as large
 * as it looks Too few seeds  no verdict is made below STAT_TEST_MIN Equivalent     only
 * where a rope holds the interval: "undecided" never becomes "no effect"
 *
 * Then the best cell, and what a verdict leaves open: runs that went wrong, one seed
 * that makes most of a difference, the other test, looks. */
#include "lab/compare_page.h"
#include "lab/stat_power.h"
#include <math.h>

enum {
  TOLD = 8,                  /* lines of one kind that is not decided */
  SEEDS_TOLD = 1000          /* beyond, no number of seeds is told */
};

/* -- a contrast -------------------------------------------------------------------- */

/* "activation: "; of cells nothing. */
static void add_factor(const Page *page, const CompareContrast *contrast, Text *text) {
  if (contrast->factor < 0) return;
  compare_add_factor(page->compare, contrast->factor, text);
  text_add(text, ": ");
}

/* "a beats b", or the other way round where `turn` is set. */
static void add_sides(const Page *page, const CompareContrast *contrast, bool turn,
                      const char *between, Text *text) {
  int first = turn ? contrast->b : contrast->a,
      second = turn ? contrast->a : contrast->b;
  if (contrast->factor < 0) {
    compare_add_cells(page->compare, first, between, second, text);
    return;
  }
  compare_add_level(page->compare, contrast->factor, first, text);
  text_add(text, between);
  compare_add_level(page->compare, contrast->factor, second, text);
}

/* "2.41 to 3.80, p = .002, 7 of 8 seeds"; the interval is turned round where the
 * difference is told from the other side. */
static void add_evidence(const Page *page, const CompareContrast *contrast, bool turn,
                         Text *text) {
  char buffer[SHOWN_BYTES];
  const CompareAnalysis *analysis = compare_main(contrast);
  StatInterval interval = analysis->paired.interval;
  if (turn) interval = (StatInterval){-interval.high, -interval.low};
  text_addf(text, "%s, ",
            shown_difference_interval(shown_alone(page->shown, &analysis->paired),
                                      interval, buffer));
  page_add_p(analysis->p_holm, text);
  if (analysis->paired.n < page->compare->n_seeds)
    text_addf(text, ", %d of %d seeds", analysis->paired.n, page->compare->n_seeds);
  if (analysis->n_settings < contrast->n_settings)
    text_addf(text, ", %d of %d settings", analysis->n_settings, contrast->n_settings);
}

static void add_if_imputed(const CompareContrast *contrast, Text *text) {
  if (compare_main(contrast) == &contrast->imputed)
    text_add(text,
             " with the worst value in place of diverged trials: no seed is complete");
}

typedef bool Choice(const CompareContrast *contrast);

static bool is_decided(const CompareContrast *c) {
  return compare_is_decided(c->verdict);
}
static bool is_undecided(const CompareContrast *c) {
  return c->verdict == COMPARE_UNDECIDED;
}
static bool is_untested(const CompareContrast *c) {
  return c->verdict == COMPARE_UNTESTED;
}
static bool is_equivalent(const CompareContrast *c) {
  return c->verdict == COMPARE_EQUIVALENT;
}
static bool is_uneven(const CompareContrast *c) { return c->uneven; }

static int count(const Page *page, Choice *chosen) {
  int n = 0;
  for (int i = 0; i < page->compare->n_contrasts; i++)
    n += chosen(&page->compare->contrasts[i]);
  return n;
}

typedef void Teller(const Page *page, const CompareContrast *contrast, Text *text);

/* A line for each contrast that is chosen, up to `most`. */
static void say_each(const Page *page, Choice *chosen, Teller *tell, int most) {
  int n = count(page, chosen), told = 0;
  if (n <= most + 1) most = n; /* a line that says "1 more" tells less */
  for (int i = 0; i < page->compare->n_contrasts && told < most; i++) {
    const CompareContrast *contrast = &page->compare->contrasts[i];
    if (!chosen(contrast)) continue;
    Text *text = doc_begin(page->doc, DOC_ITEM);
    add_factor(page, contrast, text);
    tell(page, contrast, text);
    told++;
  }
  if (n > told) doc_say(page->doc, DOC_ITEM, "and %d more", n - told);
}

/* -- decided, or not --------------------------------------------------------------- */

/* "relu beats sigmoid by 3.10 points (2.41 to 3.80, p = .002)" */
static void tell_decided(const Page *page, const CompareContrast *contrast,
                         Text *text) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  const Shown shown = shown_alone(page->shown, paired);
  char buffer[SHOWN_BYTES];
  add_sides(page, contrast, contrast->verdict != COMPARE_BETTER, " beats ", text);
  if (compare_is_typical(contrast)) text_add(text, " in typical runs");
  text_addf(text, " by %s%s (", shown_size(shown, fabs(paired->mean), buffer),
            shown.difference_unit);
  add_evidence(page, contrast, paired->mean < 0, text);
  text_add(text, ")");
  add_if_imputed(contrast, text);
}

static const char *after_holm(const Compare *compare) {
  return compare->n_contrasts > 1 ? ", p after Holm" : ", p";
}

static void say_decided(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = count(page, is_decided);
  const char *so_far = compare->n_missing ? " so far" : "";
  if (n == 0) text_addf(text, "Nothing is decided%s", so_far);
  else text_addf(text, "Decided%s: %d", so_far, n);
  text_addf(text, " of %d contrast%s of %s", compare->n_contrasts,
            page_plural(compare->n_contrasts), compare->spec.metric);
  if (n) text_addf(text, " (95" NO_BREAK "%% intervals%s)", after_holm(compare));
  text_add(text, n ? ":" : ".");
  say_each(page, is_decided, tell_decided, n);
}

/* "tanh is worse", "there is no clear difference" */
static void add_finding(const Page *page, const CompareContrast *contrast,
                        CompareVerdict verdict, Text *text) {
  if (verdict == COMPARE_UNDECIDED) text_add(text, "there is no clear difference");
  else if (verdict == COMPARE_UNTESTED) text_add(text, "there are too few seeds");
  else {
    if (contrast->factor < 0) compare_add_cell(page->compare, contrast->a, text);
    else compare_add_level(page->compare, contrast->factor, contrast->a, text);
    text_addf(text, " is %s", compare_verdict_name(verdict));
  }
}

static void add_disputed(const Page *page, const CompareContrast *contrast,
                         Text *text) {
  int n = contrast->runs_a.n_diverged + contrast->runs_b.n_diverged;
  text_addf(text, " depends on how %d diverged trial%s count%s: left out, ", n,
            page_plural(n), n == 1 ? "s" : "");
  add_finding(page, contrast, contrast->complete.verdict, text);
  text_add(text, "; counted as the worst value, ");
  add_finding(page, contrast, contrast->imputed.verdict, text);
}

/* With which a difference as large as the one seen would be decided; 0: none. More are
 * needed than there are, whatever chance is. */
static int seeds_at(const StatPaired *paired, int n_tests, double level) {
  int n = paired->sd_used > 0 ? stat_pairs_needed(paired->d_z, level / n_tests)
                              : stat_flips_needed(n_tests, level);
  return n > 0 && n <= paired->n ? paired->n + 1 : n;
}

/* What is decided by now needs no correction any more; seeds that are not planned are
 * looked at once more. */
static int seeds_needed(const Page *page, const StatPaired *paired) {
  const Compare *compare = page->compare;
  int n_open = compare->n_contrasts - count(page, is_decided);
  int n = seeds_at(paired, n_open, compare->level);
  return n <= compare->n_seeds ? n : seeds_at(paired, n_open, compare->level_of_more);
}

/* "tanh against relu: +0.10 points (-0.30 to 0.50, p = .51): 240 seeds" */
static void tell_undecided(const Page *page, const CompareContrast *contrast,
                           Text *text) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  char buffer[SHOWN_BYTES];
  add_sides(page, contrast, false, " against ", text);
  if (contrast->disputed) {
    add_disputed(page, contrast, text);
    return;
  }
  if (paired->mean == 0 && paired->sd == 0) {
    text_addf(text, ": the same in each of %d seeds", paired->n);
    add_if_imputed(contrast, text);
    return;
  }
  const Shown shown = shown_alone(page->shown, paired);
  text_addf(text, ": %s%s (", shown_difference(shown, paired->mean, buffer),
            shown.difference_unit);
  add_evidence(page, contrast, false, text);
  text_add(text, ")");
  add_if_imputed(contrast, text);
  int n = seeds_needed(page, paired);
  if (n > 0 && n <= SEEDS_TOLD) text_addf(text, ": %d" NO_BREAK "seeds", n);
  else text_addf(text, ": over" NO_BREAK "%d" NO_BREAK "seeds", SEEDS_TOLD);
}

static void say_undecided(const Page *page) {
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = count(page, is_undecided);
  if (n == 0) return;
  text_addf(text,
            "Undecided: %d, no clear difference; behind each, the seeds that would "
            "decide one as large as it looks:",
            n);
  say_each(page, is_undecided, tell_undecided, TOLD);
}

static void tell_untested(const Page *page, const CompareContrast *contrast,
                          Text *text) {
  int n = compare_main(contrast)->paired.n;
  add_sides(page, contrast, false, " against ", text);
  if (n) text_addf(text, " (%d seed%s)", n, page_plural(n));
  else text_add(text, " (no seed has both)");
}

static void say_untested(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = count(page, is_untested);
  if (n == 0) return;
  text_addf(text, "Too few seeds to test: %d; a verdict takes at least %d", n,
            STAT_TEST_MIN);
  if (compare->n_seeds < STAT_TEST_MIN)
    text_addf(text, ", and there %s %d", compare->n_seeds == 1 ? "is" : "are",
              compare->n_seeds);
  bool each = compare->n_seeds >= STAT_TEST_MIN;
  text_add(text, each ? ":" : ".");
  if (each) say_each(page, is_untested, tell_untested, TOLD);
}

static void tell_equivalent(const Page *page, const CompareContrast *contrast,
                            Text *text) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  char buffer[SHOWN_BYTES];
  add_sides(page, contrast, false, " is equivalent to ", text);
  if (compare_is_typical(contrast)) text_add(text, " in typical runs");
  text_addf(text, " (%s)",
            shown_difference_interval(shown_alone(page->shown, paired),
                                      paired->interval, buffer));
  add_if_imputed(contrast, text);
}

static void say_equivalent(const Page *page) {
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = count(page, is_equivalent);
  if (n == 0) return;
  text_addf(text, "Equivalent: %d, the 95" NO_BREAK "%% interval is within %.6g%s:", n,
            page->compare->spec.rope * page->shown.scale, page->shown.difference_unit);
  say_each(page, is_equivalent, tell_equivalent, TOLD);
}

/* -- what a verdict leaves open ---------------------------------------------------- */

/* "3 of 10 runs of sigmoid" */
static void add_runs(const Page *page, const CompareContrast *contrast, bool of_a,
                     Text *text) {
  CompareRuns runs = of_a ? contrast->runs_a : contrast->runs_b;
  int side = of_a ? contrast->a : contrast->b;
  text_addf(text, "%d of %d run%s of ", compare_n_wrong(runs), runs.n,
            page_plural(runs.n));
  if (contrast->factor < 0) compare_add_cell(page->compare, side, text);
  else compare_add_level(page->compare, contrast->factor, side, text);
}

static void tell_uneven(const Page *page, const CompareContrast *contrast, Text *text) {
  bool clear = contrast->p_wrong_holm < page->compare->level;
  add_runs(page, contrast, true, text);
  text_add(text, ", ");
  add_runs(page, contrast, false, text);
  text_addf(text, ": %s (", clear ? "a clear difference" : "no clear difference");
  page_add_p(contrast->p_wrong_holm, text);
  text_add(text, ")");
}

static void say_uneven(const Page *page) {
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = count(page, is_uneven);
  if (n == 0) return;
  text_addf(text,
            "Runs that failed, diverged or are at the floor, where the two differ "
            "(Fisher's exact test%s):",
            after_holm(page->compare));
  say_each(page, is_uneven, tell_uneven, TOLD);
}

static bool is_dominated(const CompareContrast *c) {
  return is_decided(c) && compare_main(c)->dominant >= 0;
}

static void tell_dominated(const Page *page, const CompareContrast *contrast,
                           Text *text) {
  add_sides(page, contrast, false, " against ", text);
  text_addf(text, ", seed %lld",
            (long long)page->compare->seeds[compare_main(contrast)->dominant]);
}

static void say_typical(const Page *page) {
  if (count(page, is_dominated)) {
    doc_say(page->doc, DOC_PARAGRAPH,
            "One seed makes more than half of the sum of squares:");
    say_each(page, is_dominated, tell_dominated, TOLD);
  }
  if (count(page, compare_is_typical))
    doc_say(page->doc, DOC_PARAGRAPH,
            "A verdict on typical runs is none on means: what happens in few runs, it "
            "does not see.");
}

/* Do the two tests disagree at 5 %, before any correction? */
static bool is_contradicted(const CompareContrast *c) {
  const CompareAnalysis *analysis = compare_main(c);
  const StatPaired *paired = &analysis->paired;
  return paired->n >= STAT_TEST_MIN && paired->sd_used > 0 &&
         (paired->p_t < STAT_ALPHA) != (paired->p_flip < STAT_ALPHA);
}

static bool can_agree(const CompareContrast *c) {
  return stat_sign_flip_min(compare_main(c)->paired.n, 1) < STAT_ALPHA;
}

static bool is_contradicted_freely(const CompareContrast *c) {
  return is_contradicted(c) && can_agree(c);
}

static void tell_contradicted(const Page *page, const CompareContrast *contrast,
                              Text *text) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  add_sides(page, contrast, false, " against ", text);
  text_add(text, ": ");
  page_add_p(paired->p_t, text);
  text_add(text, ", by sign-flip ");
  page_add_p(paired->p_flip, text);
}

static void say_contradicted(const Page *page) {
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = count(page, is_contradicted), n_free = count(page, is_contradicted_freely);
  if (n == 0) return;
  text_addf(text,
            "The sign-flip test, which assumes no distribution, disagrees with the t "
            "test at 5" NO_BREAK "%% in %d of %d contrast%s",
            n, page->compare->n_contrasts, page_plural(page->compare->n_contrasts));
  if (n_free < n)
    text_addf(text, "%s: it takes %d seeds to come below .05 at all",
              n_free ? ", in some since they have few seeds" : "",
              stat_flips_needed(1, STAT_ALPHA));
  text_add(text, n_free ? ":" : ".");
  say_each(page, is_contradicted_freely, tell_contradicted, TOLD);
}

static void say_looks(const Page *page) {
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  char p[SHOWN_BYTES];
  int looks = page->compare->spec.looks;
  if (looks < 2) return;
  text_addf(text,
            "Looks: %d. Seeds were added when there were results, so p is compared "
            "with "
            ".05" NO_BREAK "/" NO_BREAK "%d = %s.",
            looks, looks, shown_p_exact(page->compare->level, p));
}

/* -- the best cell ----------------------------------------------------------------- */

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

static void say_best(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  char mean[SHOWN_BYTES], interval[SHOWN_BYTES];
  int n_valued = count_valued(compare);
  if (n_valued == 0) {
    text_addf(text, "No trial has a value of %s%s.", compare->spec.metric,
              compare->n_diverged && compare->n_failed
                  ? ": all that ran diverged or failed"
              : compare->n_diverged                      ? ": all that ran diverged"
              : compare->n_failed && !compare->n_missing ? ": all failed"
                                                         : " yet");
    return;
  }
  int best = compare->order[0];
  const CompareCell *cell = &compare->cells[best];
  if (compare->n_cells > 1) {
    text_add(text, n_valued > 1 ? "Best mean: " : "Only one cell has a value: ");
    compare_add_cell(compare, best, text);
    if (cell->note) text_addf(text, " (%s)", cell->note);
    text_add(text, " with ");
  }
  text_addf(text, "%s %s%s (", compare->spec.metric,
            shown_value(page->shown, cell->imputed.mean, mean), page->shown.unit);
  shown_interval(page->shown, cell->imputed.interval, interval);
  if (*interval) text_addf(text, "95" NO_BREAK "%% CI" NO_BREAK "%s, ", interval);
  text_addf(text, "%d seed%s", cell->imputed.n, page_plural(cell->imputed.n));
  if (cell->n_diverged)
    text_addf(text, ", of which %d diverged and count%s as the worst value",
              cell->n_diverged, cell->n_diverged == 1 ? "s" : "");
  text_add(text, ").");
  int n_alike = count_alike(compare, best);
  if (n_alike)
    text_addf(text, " %d other cell%s the same mean.", n_alike,
              n_alike == 1 ? " has" : "s have");
  if (n_valued > 1)
    text_addf(text, " It was picked as the best of %d, so its mean flatters it.",
              n_valued);
}

static bool has_verdicts(const Page *page) {
  return page->compare->n_complete > 0 && page->compare->n_contrasts > 0;
}

void page_verdicts(const Page *page) {
  if (has_verdicts(page)) {
    say_decided(page);
    say_undecided(page);
    say_untested(page);
    say_equivalent(page);
    say_uneven(page);
    say_typical(page);
    say_contradicted(page);
    say_looks(page);
  }
  say_best(page);
}

/* That seeds are too few for the other test is told with the tests. */
void page_decided(const Page *page) {
  if (has_verdicts(page)) {
    say_decided(page);
    say_uneven(page);
    say_typical(page);
    if (count(page, is_contradicted_freely)) say_contradicted(page);
    say_looks(page);
  }
  say_best(page);
}

void page_open(const Page *page) {
  if (!has_verdicts(page)) return;
  say_undecided(page);
  say_untested(page);
  say_equivalent(page);
}
