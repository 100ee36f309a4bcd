/* compare_verdicts.c: what a study decided, which comes first on the page, and what it
 * did not.
 *
 *   Decided        one line for each contrast that is better or worse
 *   Undecided      no clear difference, with the seeds that would decide one as large
 *                  as it looks
 *   Too few seeds  no verdict is made below STAT_TEST_MIN
 *   Equivalent     only where a rope holds the interval: "undecided" never becomes "no
 *                  effect"
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

/* What a line on a contrast is made of. */
typedef struct Line {
  const Page *page;
  const CompareContrast *contrast;
  const StatPaired *paired; /* of the analysis that the verdict comes from */
  Shown shown;              /* with the decimals that its numbers need */
  Text *text;
} Line;

typedef bool Choice(const CompareContrast *contrast);
typedef void Teller(Line line);

static int count(const Page *page, Choice *chosen) {
  int n = 0;
  for (int i = 0; i < page->compare->n_contrasts; i++)
    n += chosen(&page->compare->contrasts[i]);
  return n;
}

/* A line for each contrast that is chosen, up to `most`. */
static void say_each(const Page *page, Choice *chosen, Teller *tell, int most) {
  int n = count(page, chosen), told = 0;
  if (n <= most + 1) most = n; /* a line that says "1 more" tells less */
  for (int i = 0; i < page->compare->n_contrasts && told < most; i++) {
    const CompareContrast *contrast = &page->compare->contrasts[i];
    const StatPaired *paired = &compare_main(contrast)->paired;
    if (!chosen(contrast)) continue;
    Text *text = doc_begin(page->doc, DOC_ITEM);
    if (contrast->factor >= 0) {
      compare_add_factor(page->compare, contrast->factor, text);
      text_add(text, ": ");
    }
    tell((Line){page, contrast, paired, shown_alone(page->shown, paired), text});
    told++;
  }
  if (n > told) doc_say(page->doc, DOC_ITEM, "and %d more", n - told);
}

static void add_sides(Line line, const char *between) {
  compare_add_sides(line.page->compare, line.contrast, false, between, line.text);
}

/* "2.41 to 3.80, p = .002, 7 of 8 seeds"; the interval is turned round where the
 * difference is told from the other side. */
static void add_evidence(Line line, bool turn) {
  const CompareAnalysis *analysis = compare_main(line.contrast);
  StatInterval interval = line.paired->interval;
  int n_seeds = line.page->compare->n_seeds, n_settings = line.contrast->n_settings;
  if (turn) interval = (StatInterval){-interval.high, -interval.low};
  text_addf(line.text, "%s, %s", shown_difference_interval(line.shown, interval).text,
            page_p(analysis->p_holm).text);
  if (line.paired->n < n_seeds)
    text_addf(line.text, ", %d of %d seeds", line.paired->n, n_seeds);
  if (analysis->n_settings < n_settings)
    text_addf(line.text, ", %d of %d settings", analysis->n_settings, n_settings);
}

static const char *if_imputed(const CompareContrast *contrast) {
  return compare_main(contrast) == &contrast->imputed
             ? " with the worst value in place of diverged trials: no seed is complete"
             : "";
}

static const char *if_typical(const CompareContrast *contrast) {
  return compare_is_typical(contrast) ? " in typical runs" : "";
}

/* -- decided, or not --------------------------------------------------------------- */

static bool is_decided(const CompareContrast *c) {
  return compare_is_decided(c->verdict);
}

/* "relu beats sigmoid by 3.10 points (2.41 to 3.80, p = .002)" */
static void tell_decided(Line line) {
  bool turn = line.contrast->verdict != COMPARE_BETTER;
  compare_add_sides(line.page->compare, line.contrast, turn, " beats ", line.text);
  text_addf(line.text, "%s by %s%s (", if_typical(line.contrast),
            shown_size(line.shown, fabs(line.paired->mean)).text,
            line.shown.difference_unit);
  add_evidence(line, line.paired->mean < 0);
  text_addf(line.text, ")%s", if_imputed(line.contrast));
}

static const char *after_holm(const Compare *compare) {
  return compare->n_contrasts > 1 ? ", p after Holm" : ", p";
}

static void say_decided(const Page *page) {
  const Compare *compare = page->compare;
  int n = count(page, is_decided), n_all = compare->n_contrasts;
  const char *so_far = compare->n_missing ? " so far" : "";
  Text *text = page_begin(page);
  if (n == 0) text_addf(text, "Nothing is decided%s", so_far);
  else text_addf(text, "Decided%s: %d", so_far, n);
  text_addf(text, " of %d contrast%s of %s", n_all, page_plural(n_all),
            compare->spec.metric);
  if (n) text_addf(text, " (95" NO_BREAK "%% intervals%s)", after_holm(compare));
  text_add(text, n ? ":" : ".");
  say_each(page, is_decided, tell_decided, n);
}

/* "tanh is worse", "there is no clear difference" */
static void add_finding(Line line, CompareVerdict verdict) {
  if (verdict == COMPARE_UNDECIDED) text_add(line.text, "there is no clear difference");
  else if (verdict == COMPARE_UNTESTED) text_add(line.text, "there are too few seeds");
  else {
    compare_add_side(line.page->compare, line.contrast, line.contrast->a, line.text);
    text_addf(line.text, " is %s", compare_verdict_name(verdict));
  }
}

static void add_disputed(Line line) {
  int n = line.contrast->runs_a.n_diverged + line.contrast->runs_b.n_diverged;
  text_addf(line.text, " depends on how %d diverged trial%s count%s: left out, ", n,
            page_plural(n), n == 1 ? "s" : "");
  add_finding(line, line.contrast->complete.verdict);
  text_add(line.text, "; counted as the worst value, ");
  add_finding(line, line.contrast->imputed.verdict);
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

static bool is_undecided(const CompareContrast *c) {
  return c->verdict == COMPARE_UNDECIDED;
}

/* "tanh against relu: +0.10 points (-0.30 to 0.50, p = .51): 240 seeds" */
static void tell_undecided(Line line) {
  const char *imputed = if_imputed(line.contrast);
  add_sides(line, " against ");
  if (line.contrast->disputed) {
    add_disputed(line);
  } else if (line.paired->mean == 0 && line.paired->sd == 0) {
    text_addf(line.text, ": the same in each of %d seeds%s", line.paired->n, imputed);
  } else {
    int n = seeds_needed(line.page, line.paired);
    bool far = n == 0 || n > SEEDS_TOLD;
    text_addf(line.text, ": %s%s (",
              shown_difference(line.shown, line.paired->mean).text,
              line.shown.difference_unit);
    add_evidence(line, false);
    text_addf(line.text, ")%s: %s%d" NO_BREAK "seeds", imputed,
              far ? "over" NO_BREAK : "", far ? SEEDS_TOLD : n);
  }
}

static bool is_untested(const CompareContrast *c) {
  return c->verdict == COMPARE_UNTESTED;
}

static void tell_untested(Line line) {
  int n = line.paired->n;
  add_sides(line, " against ");
  if (n) text_addf(line.text, " (%d seed%s)", n, page_plural(n));
  else text_add(line.text, " (no seed has both)");
}

static void say_untested(const Page *page) {
  int n = count(page, is_untested), n_seeds = page->compare->n_seeds;
  if (n == 0) return;
  Text *text = page_begin(page);
  text_addf(text, "Too few seeds to test: %d; a verdict takes at least %d", n,
            STAT_TEST_MIN);
  if (n_seeds < STAT_TEST_MIN)
    text_addf(text, ", and there %s %d.", n_seeds == 1 ? "is" : "are", n_seeds);
  else text_add(text, ":"), say_each(page, is_untested, tell_untested, TOLD);
}

static bool is_equivalent(const CompareContrast *c) {
  return c->verdict == COMPARE_EQUIVALENT;
}

static void tell_equivalent(Line line) {
  add_sides(line, " is equivalent to ");
  text_addf(line.text, "%s (%s)%s", if_typical(line.contrast),
            shown_difference_interval(line.shown, line.paired->interval).text,
            if_imputed(line.contrast));
}

void page_open(const Page *page) {
  int n_undecided = count(page, is_undecided),
      n_equivalent = count(page, is_equivalent);
  if (page->compare->n_complete == 0) return;
  if (n_undecided)
    page_say(page,
             "Undecided: %d, no clear difference; behind each, the seeds that would "
             "decide one as large as it looks:",
             n_undecided);
  say_each(page, is_undecided, tell_undecided, TOLD);
  say_untested(page);
  if (n_equivalent)
    page_say(page, "Equivalent: %d, the 95" NO_BREAK "%% interval is within %.6g%s:",
             n_equivalent, page->compare->spec.rope * page->shown.scale,
             page->shown.difference_unit);
  say_each(page, is_equivalent, tell_equivalent, TOLD);
}

/* -- what a verdict leaves open ---------------------------------------------------- */

static bool is_uneven(const CompareContrast *c) { return c->uneven; }
static bool is_clearly_uneven(const CompareContrast *c) { return c->clearly_uneven; }

/* "3 of 10 runs of sigmoid, 0 of 10 runs of relu: no clear difference (p = .21)" */
static void tell_uneven(Line line) {
  const CompareContrast *c = line.contrast;
  for (int i = 0; i < 2; i++) {
    CompareRuns runs = i ? c->runs_b : c->runs_a;
    text_addf(line.text, "%s%d of %d run%s of ", i ? ", " : "", compare_n_wrong(runs),
              runs.n, page_plural(runs.n));
    compare_add_side(line.page->compare, c, i ? c->b : c->a, line.text);
  }
  text_addf(line.text, ": %s clear difference (%s)", c->clearly_uneven ? "a" : "no",
            page_p(c->p_wrong_holm).text);
}

/* The short page has the clear ones, and how many others there are. */
static void say_uneven(const Page *page, bool whole) {
  int n = count(page, is_uneven), n_clear = count(page, is_clearly_uneven);
  if (n == 0) return;
  Text *text = page_begin(page);
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

static void tell_dominated(Line line) {
  int seed = compare_main(line.contrast)->dominant;
  add_sides(line, " against ");
  text_addf(line.text, ", seed %lld", (long long)line.page->compare->seeds[seed]);
}

static void say_typical(const Page *page) {
  if (count(page, is_dominated))
    page_say(page, "One seed makes more than half of the sum of squares:");
  say_each(page, is_dominated, tell_dominated, TOLD);
  if (count(page, compare_is_typical))
    page_say(page, "A verdict on typical runs is none on means: what happens in few "
                   "runs, it does not see.");
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

static void tell_contradicted(Line line) {
  add_sides(line, " against ");
  text_addf(line.text, ": %s, by sign-flip %s", page_p(line.paired->p_t).text,
            page_p(line.paired->p_flip).text);
}

static void say_contradicted(const Page *page) {
  int n = count(page, is_contradicted), n_free = count(page, is_contradicted_freely);
  int n_all = page->compare->n_contrasts;
  if (n == 0) return;
  Text *text = page_begin(page);
  text_addf(text,
            "The sign-flip test, which assumes no distribution, disagrees with the t "
            "test at 5" NO_BREAK "%% in %d of %d contrast%s",
            n, n_all, page_plural(n_all));
  if (n_free < n)
    text_addf(text, "%s: it takes %d seeds to come below .05 at all",
              n_free ? ", in some since they have few seeds" : "",
              stat_flips_needed(1, STAT_ALPHA));
  text_add(text, n_free ? ":" : ".");
  say_each(page, is_contradicted_freely, tell_contradicted, TOLD);
}

/* -- the best cell ----------------------------------------------------------------- */

static void say_no_value(const Page *page) {
  const Compare *compare = page->compare;
  const char *why = " yet";
  if (compare->n_diverged)
    why = compare->n_failed ? ": all that ran diverged or failed"
                            : ": all that ran diverged";
  else if (compare->n_failed && !compare->n_missing) why = ": all failed";
  page_say(page, "No trial has a value of %s%s.", compare->spec.metric, why);
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
  Text *text = page_begin(page);
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

/* That seeds are too few for the other test is told with the tests. */
static void add_decided(const Page *page, bool whole) {
  int looks = page->compare->spec.looks;
  if (page->compare->n_complete > 0 && page->compare->n_contrasts > 0) {
    say_decided(page);
    if (whole) page_open(page);
    say_uneven(page, whole);
    say_typical(page);
    if (whole || count(page, is_contradicted_freely)) say_contradicted(page);
    if (looks > 1)
      page_say(page,
               "Looks: %d. Seeds were added when there were results, so p is compared "
               "with .05" NO_BREAK "/" NO_BREAK "%d = %s.",
               looks, looks, shown_p_exact(page->compare->level).text);
  }
  say_best(page);
}

void page_verdicts(const Page *page) { add_decided(page, true); }
void page_decided(const Page *page) { add_decided(page, false); }
