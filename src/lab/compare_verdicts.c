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

/* "2.41 to 3.80, p = .002, 7 of 8 seeds"; the interval is turned round where the
 * difference is told from the other side. */
static void add_evidence(const Page *page, const CompareContrast *contrast, bool turn,
                         Text *text) {
  const CompareAnalysis *analysis = compare_main(contrast);
  const Shown shown = shown_alone(page->shown, &analysis->paired);
  StatInterval interval = analysis->paired.interval;
  if (turn) interval = (StatInterval){-interval.high, -interval.low};
  text_addf(text, "%s, %s", shown_difference_interval(shown, interval).text,
            page_p(analysis->p_holm).text);
  if (analysis->paired.n < page->compare->n_seeds)
    text_addf(text, ", %d of %d seeds", analysis->paired.n, page->compare->n_seeds);
  if (analysis->n_settings < contrast->n_settings)
    text_addf(text, ", %d of %d settings", analysis->n_settings, contrast->n_settings);
}

static const char *if_imputed(const CompareContrast *contrast) {
  return compare_main(contrast) == &contrast->imputed
             ? " with the worst value in place of diverged trials: no seed is complete"
             : "";
}

static const char *if_typical(const CompareContrast *contrast) {
  return compare_is_typical(contrast) ? " in typical runs" : "";
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
static bool is_clearly_uneven(const CompareContrast *c) { return c->clearly_uneven; }

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
    if (contrast->factor >= 0) {
      compare_add_factor(page->compare, contrast->factor, text);
      text_add(text, ": ");
    }
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
  bool turn = contrast->verdict != COMPARE_BETTER;
  compare_add_sides(page->compare, contrast, turn, " beats ", text);
  text_addf(text, "%s by %s%s (", if_typical(contrast),
            shown_size(shown, fabs(paired->mean)).text, shown.difference_unit);
  add_evidence(page, contrast, paired->mean < 0, text);
  text_addf(text, ")%s", if_imputed(contrast));
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
    compare_add_side(page->compare, contrast, contrast->a, text);
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
  const Shown shown = shown_alone(page->shown, paired);
  compare_add_sides(page->compare, contrast, false, " against ", text);
  if (contrast->disputed) {
    add_disputed(page, contrast, text);
    return;
  }
  if (paired->mean == 0 && paired->sd == 0) {
    text_addf(text, ": the same in each of %d seeds%s", paired->n,
              if_imputed(contrast));
    return;
  }
  int n = seeds_needed(page, paired);
  bool far = n == 0 || n > SEEDS_TOLD;
  text_addf(text, ": %s%s (", shown_difference(shown, paired->mean).text,
            shown.difference_unit);
  add_evidence(page, contrast, false, text);
  text_addf(text, ")%s: %s%d" NO_BREAK "seeds", if_imputed(contrast),
            far ? "over" NO_BREAK : "", far ? SEEDS_TOLD : n);
}

static void say_undecided(const Page *page) {
  int n = count(page, is_undecided);
  if (n == 0) return;
  doc_say(page->doc, DOC_PARAGRAPH,
          "Undecided: %d, no clear difference; behind each, the seeds "
          "that would decide one as large as it looks:",
          n);
  say_each(page, is_undecided, tell_undecided, TOLD);
}

static void tell_untested(const Page *page, const CompareContrast *contrast,
                          Text *text) {
  int n = compare_main(contrast)->paired.n;
  compare_add_sides(page->compare, contrast, false, " against ", text);
  if (n) text_addf(text, " (%d seed%s)", n, page_plural(n));
  else text_add(text, " (no seed has both)");
}

static void say_untested(const Page *page) {
  const Compare *compare = page->compare;
  int n = count(page, is_untested);
  bool each = compare->n_seeds >= STAT_TEST_MIN;
  if (n == 0) return;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  text_addf(text, "Too few seeds to test: %d; a verdict takes at least %d", n,
            STAT_TEST_MIN);
  if (!each)
    text_addf(text, ", and there %s %d", compare->n_seeds == 1 ? "is" : "are",
              compare->n_seeds);
  text_add(text, each ? ":" : ".");
  if (each) say_each(page, is_untested, tell_untested, TOLD);
}

static void tell_equivalent(const Page *page, const CompareContrast *contrast,
                            Text *text) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  const Shown shown = shown_alone(page->shown, paired);
  compare_add_sides(page->compare, contrast, false, " is equivalent to ", text);
  text_addf(text, "%s (%s)%s", if_typical(contrast),
            shown_difference_interval(shown, paired->interval).text,
            if_imputed(contrast));
}

static void say_equivalent(const Page *page) {
  int n = count(page, is_equivalent);
  if (n == 0) return;
  doc_say(page->doc, DOC_PARAGRAPH,
          "Equivalent: %d, the 95" NO_BREAK "%% interval is within "
          "%.6g%s:",
          n, page->compare->spec.rope * page->shown.scale, page->shown.difference_unit);
  say_each(page, is_equivalent, tell_equivalent, TOLD);
}

/* -- what a verdict leaves open ---------------------------------------------------- */

/* "3 of 10 runs of sigmoid" */
static void add_runs(const Page *page, const CompareContrast *contrast,
                     CompareRuns runs, int side, Text *text) {
  text_addf(text, "%d of %d run%s of ", compare_n_wrong(runs), runs.n,
            page_plural(runs.n));
  compare_add_side(page->compare, contrast, side, text);
}

static void tell_uneven(const Page *page, const CompareContrast *contrast, Text *text) {
  add_runs(page, contrast, contrast->runs_a, contrast->a, text);
  text_add(text, ", ");
  add_runs(page, contrast, contrast->runs_b, contrast->b, text);
  text_addf(text, ": %s clear difference (%s)", contrast->clearly_uneven ? "a" : "no",
            page_p(contrast->p_wrong_holm).text);
}

/* The short page has the clear ones, and how many others there are. */
static void say_uneven(const Page *page, bool whole) {
  int n = count(page, is_uneven), n_clear = count(page, is_clearly_uneven);
  if (n == 0) return;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  text_addf(text,
            "Runs that failed, diverged or are at the floor, where the two differ "
            "(Fisher's exact test%s)",
            after_holm(page->compare));
  if (whole || n == n_clear) text_add(text, ":");
  else if (n_clear) text_addf(text, ", clearly in %d of %d contrasts:", n_clear, n);
  else text_addf(text, ": no clear difference in %d contrast%s.", n, page_plural(n));
  say_each(page, whole ? is_uneven : is_clearly_uneven, tell_uneven, TOLD);
}

static bool is_dominated(const CompareContrast *c) {
  return is_decided(c) && compare_main(c)->dominant >= 0;
}

static void tell_dominated(const Page *page, const CompareContrast *contrast,
                           Text *text) {
  const Compare *compare = page->compare;
  compare_add_sides(compare, contrast, false, " against ", text);
  text_addf(text, ", seed %lld",
            (long long)compare->seeds[compare_main(contrast)->dominant]);
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
  const StatPaired *paired = &compare_main(c)->paired;
  return paired->n >= STAT_TEST_MIN && paired->sd_used > 0 &&
         (paired->p_t < STAT_ALPHA) != (paired->p_flip < STAT_ALPHA);
}

/* And could the sign-flip test with so few seeds come below 5 % at all? */
static bool is_contradicted_freely(const CompareContrast *c) {
  return is_contradicted(c) &&
         stat_sign_flip_min(compare_main(c)->paired.n, 1) < STAT_ALPHA;
}

static void tell_contradicted(const Page *page, const CompareContrast *contrast,
                              Text *text) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  compare_add_sides(page->compare, contrast, false, " against ", text);
  text_addf(text, ": %s, by sign-flip %s", page_p(paired->p_t).text,
            page_p(paired->p_flip).text);
}

static void say_contradicted(const Page *page) {
  int n = count(page, is_contradicted), n_free = count(page, is_contradicted_freely);
  int n_all = page->compare->n_contrasts;
  if (n == 0) return;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  text_addf(text,
            "The sign-flip test, which assumes no distribution, disagrees with the t "
            "test "
            "at 5" NO_BREAK "%% in %d of %d contrast%s",
            n, n_all, page_plural(n_all));
  if (n_free < n)
    text_addf(text, "%s: it takes %d seeds to come below .05 at all",
              n_free ? ", in some since they have few seeds" : "",
              stat_flips_needed(1, STAT_ALPHA));
  text_add(text, n_free ? ":" : ".");
  say_each(page, is_contradicted_freely, tell_contradicted, TOLD);
}

static void say_looks(const Page *page) {
  int looks = page->compare->spec.looks;
  if (looks > 1)
    doc_say(page->doc, DOC_PARAGRAPH,
            "Looks: %d. Seeds were added when there were results, so p "
            "is compared with .05" NO_BREAK "/" NO_BREAK "%d = %s.",
            looks, looks, shown_p_exact(page->compare->level).text);
}

/* -- the best cell ----------------------------------------------------------------- */

static void say_no_value(const Page *page) {
  const Compare *compare = page->compare;
  bool diverged = compare->n_diverged > 0, failed = compare->n_failed > 0;
  doc_say(page->doc, DOC_PARAGRAPH, "No trial has a value of %s%s.",
          compare->spec.metric,
          diverged && failed              ? ": all that ran diverged or failed"
          : diverged                      ? ": all that ran diverged"
          : failed && !compare->n_missing ? ": all failed"
                                          : " yet");
}

/* Of others that share its mean to the last bit, too. */
static void say_best(const Page *page) {
  const Compare *compare = page->compare;
  int n_valued = 0, n_alike = -1, best = compare->n_cells ? compare->order[0] : 0;
  const CompareCell *cell = &compare->cells[best];
  for (int c = 0; c < compare->n_cells; c++) {
    n_valued += compare->cells[c].sample.n > 0;
    n_alike += compare->cells[c].sample.n > 0 &&
               compare->cells[c].imputed.mean == cell->imputed.mean;
  }
  if (n_valued == 0) {
    say_no_value(page);
    return;
  }
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  if (compare->n_cells > 1) {
    text_add(text, n_valued > 1 ? "Best mean: " : "Only one cell has a value: ");
    compare_add_cell(compare, best, text);
    if (cell->note) text_addf(text, " (%s)", cell->note);
    text_add(text, " with ");
  }
  text_addf(text, "%s %s%s (", compare->spec.metric,
            shown_value(page->shown, cell->imputed.mean).text, page->shown.unit);
  if (!isnan(cell->imputed.interval.low))
    text_addf(text, "95" NO_BREAK "%% CI" NO_BREAK "%s, ",
              shown_interval(page->shown, cell->imputed.interval).text);
  text_addf(text, "%d seed%s", cell->imputed.n, page_plural(cell->imputed.n));
  if (cell->n_diverged)
    text_addf(text, ", of which %d diverged and count%s as the worst value",
              cell->n_diverged, cell->n_diverged == 1 ? "s" : "");
  text_add(text, ").");
  if (n_alike > 0)
    text_addf(text, " %d other cell%s the same mean.", n_alike,
              n_alike == 1 ? " has" : "s have");
  if (n_valued > 1)
    text_addf(text, " It was picked as the best of %d, so its mean flatters it.",
              n_valued);
}

void page_open(const Page *page) {
  if (page->compare->n_complete == 0 || page->compare->n_contrasts == 0) return;
  say_undecided(page);
  say_untested(page);
  say_equivalent(page);
}

/* That seeds are too few for the other test is told with the tests. */
static void add_decided(const Page *page, bool whole) {
  if (page->compare->n_complete > 0 && page->compare->n_contrasts > 0) {
    say_decided(page);
    if (whole) page_open(page);
    say_uneven(page, whole);
    say_typical(page);
    if (whole || count(page, is_contradicted_freely)) say_contradicted(page);
    say_looks(page);
  }
  say_best(page);
}

void page_verdicts(const Page *page) { add_decided(page, true); }
void page_decided(const Page *page) { add_decided(page, false); }
