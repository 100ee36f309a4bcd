/* compare_words.c: the sentences of a comparison's page.
 *
 *   Decided        one line for each contrast that is better or worse
 *   Undecided      no clear difference, with the seeds that would decide one as large
 *                  as it looks
 *   Too few seeds  no verdict is made below STAT_TEST_MIN
 *   Equivalent     only where a rope holds the interval: "undecided" never becomes "no
 *                  effect"
 *
 * Then the best cell, and what limits a verdict: runs that went wrong, one seed that
 * makes most of a difference, the other test, looks; what to be careful about
 * (interactions, what lacks, ends of the scale); what the seeds can show. */
#include "lab/compare_private.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
  LINES_MAX = 8,             /* of one kind that is not decided */
  SEEDS_MAX = 1000,          /* beyond, the number of seeds is "over 1000" */
  CELLS_MAX = 4              /* of those with diverged trials */
};
static const double strong_share = 0.05; /* of a pair whose interaction is named */

static Text *begin(const Page *page) { return doc_begin(page->doc, DOC_PARAGRAPH); }

static __attribute__((format(printf, 2, 3))) void say(const Page *page,
                                                      const char *format, ...) {
  va_list args;
  va_start(args, format);
  text_add_args(begin(page), format, args);
  va_end(args);
}

/* "p = .012", "p < .001"; the blanks do not break. */
static ShownText p_text(double p) {
  ShownText out, number = shown_p(p);
  bool below = *number.s == '<';
  snprintf(out.s, sizeof out.s, "p" NO_BREAK "%c" NO_BREAK "%.32s", below ? '<' : '=',
           number.s + below);
  return out;
}

/* -- lines on contrasts ------------------------------------------------------------ */

/* What a contrast is; the bits of a set. */
enum {
  DECIDED = 1, UNDECIDED = 2, UNTESTED = 4, EQUIVALENT = 8,
  TYPICAL = 16,              /* its verdict is one on typical runs */
  UNEVEN = 32, CLEARLY_UNEVEN = 64,
  DOMINATED = 128,           /* decided, mostly by one seed */
  CONTRADICTED = 256,        /* the two tests disagree at 5 %, uncorrected ... */
  FREELY = 512               /* ... where the sign-flip test can come below 5 % */
};

static int traits_of(const CompareContrast *c) {
  static const int of_verdict[] = {
      [COMPARE_UNDECIDED] = UNDECIDED, [COMPARE_BETTER] = DECIDED,
      [COMPARE_WORSE] = DECIDED, [COMPARE_EQUIVALENT] = EQUIVALENT,
      [COMPARE_UNTESTED] = UNTESTED};
  const CompareAnalysis *main = compare_main(c);
  const StatPaired *paired = &main->paired;
  int traits = of_verdict[c->verdict];
  if (traits == DECIDED && main->dominant >= 0) traits |= DOMINATED;
  if (compare_is_typical(c)) traits |= TYPICAL;
  if (c->uneven) traits |= UNEVEN;
  if (c->clearly_uneven) traits |= CLEARLY_UNEVEN;
  if (paired->n < STAT_TEST_MIN || !(paired->sd_used > 0)) return traits;
  if ((paired->p_t < STAT_ALPHA) == (paired->p_flip < STAT_ALPHA)) return traits;
  bool free = stat_sign_flip_min(paired->n, 1) < STAT_ALPHA;
  return traits | CONTRADICTED | (free ? FREELY : 0);
}

static int count(const Page *page, int trait) {
  int n = 0;
  for (int i = 0; i < page->compare->n_contrasts; i++)
    n += (traits_of(&page->compare->contrasts[i]) & trait) != 0;
  return n;
}

/* What a line on a contrast is made of. */
typedef struct Line {
  Page page; /* with the decimals that its numbers need */
  const CompareContrast *contrast;
  const StatPaired *paired; /* of the analysis that the verdict comes from */
  Text *text;
} Line;

/* A kind of lines: on which contrasts, what is written between the names of the two
 * sides (NULL: no names), what is added behind. */
typedef struct LineKind {
  int trait;
  const char *between;
  void (*add)(Line line);
} LineKind;

static void say_line(const Page *page, const LineKind *kind,
                     const CompareContrast *contrast) {
  const StatPaired *paired = &compare_main(contrast)->paired;
  Text *text = doc_begin(page->doc, DOC_ITEM);
  bool turn = contrast->verdict == COMPARE_WORSE && kind->trait == DECIDED;
  if (contrast->factor >= 0)
    text_addf(text, "%s: ", page->compare->titles[contrast->factor]);
  if (kind->between)
    compare_add_sides(page->compare, contrast, turn, kind->between, text);
  kind->add((Line){page_alone(page, paired), contrast, paired, text});
}

/* A line for each contrast of the kind, up to `most`; one that says "1 more" would be
 * as long as what it leaves out. */
static void say_lines(const Page *page, const LineKind *kind, int most) {
  int n = count(page, kind->trait), said = 0;
  if (n <= most + 1) most = n;
  for (int i = 0; i < page->compare->n_contrasts && said < most; i++) {
    const CompareContrast *contrast = &page->compare->contrasts[i];
    if (!(traits_of(contrast) & kind->trait)) continue;
    say_line(page, kind, contrast);
    said++;
  }
  if (n > said) doc_say(page->doc, DOC_ITEM, "and %d more", n - said);
}

/* "2.41 to 3.80, p = .002, 7 of 8 seeds"; the interval is turned round where the
 * difference is seen from the other side. */
static void add_evidence(Line line, bool turn) {
  const CompareAnalysis *analysis = compare_main(line.contrast);
  StatInterval interval = line.paired->interval;
  int n_seeds = line.page.compare->n_seeds, n_settings = line.contrast->n_settings;
  if (turn) interval = (StatInterval){-interval.high, -interval.low};
  text_addf(line.text, "%s, %s", shown_difference_interval(&line.page, interval).s,
            p_text(analysis->p_holm).s);
  if (line.paired->n < n_seeds)
    text_addf(line.text, ", %d of %d seeds", line.paired->n, n_seeds);
  if (analysis->n_settings < n_settings)
    text_addf(line.text, ", %d of %d settings", analysis->n_settings, n_settings);
}

static const char *if_imputed(Line line) {
  return line.paired == &line.contrast->imputed.paired
             ? " with the worst value in place of diverged trials: no seed is complete"
             : "";
}

static const char *if_typical(Line line) {
  return compare_is_typical(line.contrast) ? " in typical runs" : "";
}

/* -- decided, or not --------------------------------------------------------------- */

/* "relu beats sigmoid by 3.10 points (2.41 to 3.80, p = .002)" */
static void add_decided(Line line) {
  text_addf(line.text, "%s by %s%s (", if_typical(line),
            shown_size(&line.page, fabs(line.paired->mean)).s,
            line.page.difference_unit);
  add_evidence(line, line.paired->mean < 0);
  text_addf(line.text, ")%s", if_imputed(line));
}

static const LineKind decided = {DECIDED, " beats ", add_decided};

static const char *after_holm(const Compare *compare) {
  return compare->n_contrasts > 1 ? ", p after Holm" : ", p";
}

static void say_decided(const Page *page) {
  const Compare *compare = page->compare;
  int n = count(page, DECIDED);
  Text *text = begin(page);
  text_addf(text, "%s%s", n ? "Decided" : "Nothing is decided",
            compare->runs.n_missing ? " so far" : "");
  if (n) text_addf(text, ": %d", n);
  text_addf(text, " of %s of %s", text_counted(compare->n_contrasts, "contrast").s,
            compare->spec.metric);
  if (n) text_addf(text, " (95" NO_BREAK "%% intervals%s)", after_holm(compare));
  text_add(text, n ? ":" : ".");
  say_lines(page, &decided, n);
}

/* "tanh is worse", "there is no clear difference" */
static void add_finding(Line line, CompareVerdict verdict) {
  if (verdict == COMPARE_UNDECIDED) text_add(line.text, "there is no clear difference");
  else if (verdict == COMPARE_UNTESTED) text_add(line.text, "there are too few seeds");
  else {
    compare_add_side(line.page.compare, line.contrast, line.contrast->a, line.text);
    text_addf(line.text, " is %s", compare_verdict_name(verdict));
  }
}

static void add_disputed(Line line) {
  int n = compare_n_diverged(line.contrast);
  text_addf(line.text, " depends on how %s count%s: left out, ",
            text_counted(n, "diverged trial").s, n == 1 ? "s" : "");
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
  int n_open = compare->n_contrasts - count(page, DECIDED);
  int n = seeds_at(paired, n_open, compare->level);
  return n <= compare->n_seeds ? n : seeds_at(paired, n_open, compare->level_of_more);
}

/* "tanh against relu: +0.10 points (-0.30 to 0.50, p = .51): 240 seeds" */
static void add_undecided(Line line) {
  if (line.contrast->disputed) {
    add_disputed(line);
  } else if (line.paired->mean == 0 && line.paired->sd == 0) {
    text_addf(line.text, ": the same in each of %d seeds%s", line.paired->n,
              if_imputed(line));
  } else {
    int n = seeds_needed(&line.page, line.paired);
    bool far = n == 0 || n > SEEDS_MAX;
    text_addf(line.text, ": %s%s (", shown_difference(&line.page, line.paired->mean).s,
              line.page.difference_unit);
    add_evidence(line, false);
    text_addf(line.text, ")%s: %s%d" NO_BREAK "seeds", if_imputed(line),
              far ? "over" NO_BREAK : "", far ? SEEDS_MAX : n);
  }
}

static void add_untested(Line line) {
  int n = line.paired->n;
  if (n) text_addf(line.text, " (%s)", text_counted(n, "seed").s);
  else text_add(line.text, " (no seed has both)");
}

static void add_equivalent(Line line) {
  text_addf(line.text, "%s (%s)%s", if_typical(line),
            shown_difference_interval(&line.page, line.paired->interval).s,
            if_imputed(line));
}

static void say_untested(const Page *page) {
  static const LineKind untested = {UNTESTED, " against ", add_untested};
  int n = count(page, UNTESTED), n_seeds = page->compare->n_seeds;
  if (n == 0) return;
  Text *text = begin(page);
  text_addf(text, "Too few seeds to test: %d; a verdict takes at least %d", n,
            STAT_TEST_MIN);
  if (n_seeds < STAT_TEST_MIN)
    text_addf(text, ", and there %s %d.", n_seeds == 1 ? "is" : "are", n_seeds);
  else text_add(text, ":"), say_lines(page, &untested, LINES_MAX);
}

void page_open(const Page *page) {
  static const LineKind undecided = {UNDECIDED, " against ", add_undecided};
  static const LineKind equivalent = {EQUIVALENT, " is equivalent to ", add_equivalent};
  int n_undecided = count(page, UNDECIDED), n_equivalent = count(page, EQUIVALENT);
  if (page->compare->runs.n_complete == 0) return;
  if (n_undecided)
    say(page,
        "Undecided: %d, no clear difference; behind each, the seeds that would decide "
        "one as large as it looks:",
        n_undecided);
  say_lines(page, &undecided, LINES_MAX);
  say_untested(page);
  if (n_equivalent)
    say(page,
        "Equivalent: %d, the 95" NO_BREAK "%% interval is within %.6g%s:", n_equivalent,
        page->compare->spec.rope * page->scale, page->difference_unit);
  say_lines(page, &equivalent, LINES_MAX);
}

/* -- what limits a verdict --------------------------------------------------------- */

/* "3 of 10 runs of sigmoid, 0 of 10 runs of relu: no clear difference (p = .21)" */
static void add_uneven(Line line) {
  const CompareContrast *c = line.contrast;
  for (int i = 0; i < 2; i++) {
    CompareRuns runs = i ? c->runs_b : c->runs_a;
    text_addf(line.text, "%s%d of %s of ", i ? ", " : "", compare_n_wrong(runs),
              text_counted(runs.n, "run").s);
    compare_add_side(line.page.compare, c, i ? c->b : c->a, line.text);
  }
  text_addf(line.text, ": %s clear difference (%s)", c->clearly_uneven ? "a" : "no",
            p_text(c->p_wrong_holm).s);
}

/* The short page has the clear ones, and how many others there are. */
static void say_uneven(const Page *page, bool whole) {
  const LineKind uneven = {whole ? UNEVEN : CLEARLY_UNEVEN, NULL, add_uneven};
  int n = count(page, UNEVEN), n_clear = count(page, CLEARLY_UNEVEN);
  if (n == 0) return;
  Text *text = begin(page);
  text_addf(text,
            "Runs that failed, diverged or are at the floor, where the two differ "
            "(Fisher's exact test%s)",
            after_holm(page->compare));
  if (whole || n == n_clear) text_add(text, ":");
  else if (n_clear) text_addf(text, ", clearly in %d of %d contrasts:", n_clear, n);
  else text_addf(text, ": no clear difference in %s.", text_counted(n, "contrast").s);
  say_lines(page, &uneven, LINES_MAX);
}

static void add_dominated(Line line) {
  int seed = compare_main(line.contrast)->dominant;
  text_addf(line.text, ", seed %lld", (long long)line.page.compare->seeds[seed]);
}

static void say_typical(const Page *page) {
  static const LineKind dominated = {DOMINATED, " against ", add_dominated};
  if (count(page, DOMINATED))
    say(page, "One seed makes more than half of the sum of squares:");
  say_lines(page, &dominated, LINES_MAX);
  if (count(page, TYPICAL))
    say(page, "A verdict on typical runs is none on means: what happens in few runs, "
              "it does not see.");
}

static void add_contradicted(Line line) {
  text_addf(line.text, ": %s, by sign-flip %s", p_text(line.paired->p_t).s,
            p_text(line.paired->p_flip).s);
}

static void say_contradicted(const Page *page) {
  static const LineKind contradicted = {FREELY, " against ", add_contradicted};
  int n = count(page, CONTRADICTED), n_free = count(page, FREELY);
  if (n == 0) return;
  Text *text = begin(page);
  text_addf(text,
            "The sign-flip test, which assumes no distribution, disagrees with the t "
            "test at 5" NO_BREAK "%% in %d of %s",
            n, text_counted(page->compare->n_contrasts, "contrast").s);
  if (n_free < n)
    text_addf(text, "%s: it takes %d seeds to come below .05 at all",
              n_free ? ", in some since they have few seeds" : "",
              stat_flips_needed(1, STAT_ALPHA));
  text_add(text, n_free ? ":" : ".");
  say_lines(page, &contradicted, LINES_MAX);
}

/* -- the best cell ----------------------------------------------------------------- */

static void say_no_value(const Page *page) {
  const Compare *compare = page->compare;
  const char *why = " yet";
  if (compare->runs.n_diverged)
    why = compare->runs.n_failed ? ": all that ran diverged or failed"
                                 : ": all that ran diverged";
  else if (compare->runs.n_failed && !compare->runs.n_missing) why = ": all failed";
  say(page, "No trial has a value of %s%s.", compare->spec.metric, why);
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
  Text *text = begin(page);
  if (compare->n_cells > 1) {
    text_add(text, n_valued > 1 ? "Best mean: " : "Only one cell has a value: ");
    compare_add_cell(compare, best, text);
    if (cell->note) text_addf(text, " (%s)", cell->note);
    text_add(text, " with ");
  }
  text_addf(text, "%s %s%s (", compare->spec.metric,
            shown_value(page, cell->imputed.mean).s, page->unit);
  if (!isnan(cell->imputed.interval.low))
    text_addf(text, "95" NO_BREAK "%% CI" NO_BREAK "%s, ",
              shown_interval(page, cell->imputed.interval).s);
  text_add(text, text_counted(cell->imputed.n, "seed").s);
  if (cell->runs.n_diverged)
    text_addf(text, ", of which %d diverged and count%s as the worst value",
              cell->runs.n_diverged, cell->runs.n_diverged == 1 ? "s" : "");
  text_add(text, ").");
  if (n_alike > 0)
    text_addf(text, " %s %s the same mean.", text_counted(n_alike, "other cell").s,
              n_alike == 1 ? "has" : "have");
  if (n_valued > 1)
    text_addf(text, " It was picked as the best of %d, so its mean flatters it.",
              n_valued);
}

/* That seeds are too few for the other test is said with the tests. */
static void add_verdicts(const Page *page, bool whole) {
  int looks = page->compare->spec.looks;
  if (page->compare->runs.n_complete > 0 && page->compare->n_contrasts > 0) {
    say_decided(page);
    if (whole) page_open(page);
    say_uneven(page, whole);
    say_typical(page);
    if (whole || count(page, FREELY)) say_contradicted(page);
    if (looks > 1)
      say(page,
          "Looks: %d. Seeds were added when there were results, so p is compared with "
          ".05" NO_BREAK "/" NO_BREAK "%d = %s.",
          looks, looks, shown_p_exact(page->compare->level).s);
  }
  say_best(page);
}

void page_verdicts(const Page *page) { add_verdicts(page, true); }
void page_decided(const Page *page) { add_verdicts(page, false); }

/* -- what to be careful about ------------------------------------------------------ */

/* "Interactions: a with b (12 % of the variance), ..." */
static void say_interactions(const Page *page) {
  const CompareGrid *grid = &page->compare->grid;
  const char *const *titles = page->compare->titles;
  Text *text = begin(page);
  for (int i = 0; grid->n_factors && i < grid->n_effects; i++) {
    const StatEffect *effect = &grid->effects[i];
    if (effect->source == STAT_PAIR && effect->omega2 >= strong_share)
      text_addf(text, "%s%s with %s (%.0f %% of the variance)",
                text->n_bytes ? ", " : "Interactions: ", titles[effect->a],
                titles[effect->b], 100 * effect->omega2);
  }
  if (text->n_bytes)
    text_add(text,
             ". What is said above of such a factor is an average over the other, and "
             "may hold for no single level of it.");
}

/* The first contrast of the factor; NULL: there is none. */
static const CompareContrast *contrast_of(const Compare *compare, int factor) {
  for (int i = 0; i < compare->n_contrasts; i++)
    if (compare->contrasts[i].factor == factor) return &compare->contrasts[i];
  return NULL;
}

static void say_uncompared(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = begin(page);
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (compare_leads(compare, f) && compare->varies[f] && !compare->spec.drawn[f] &&
        !contrast_of(compare, f))
      text_addf(text, "%s%s", text->n_bytes ? ", " : "Not compared with a baseline: ",
                compare->titles[f]);
  if (text->n_bytes) text_add(text, " (no two cells differ in it alone).");
}

static void say_baseline(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = begin(page);
  for (int f = 0; f < compare->spec.n_factors; f++) {
    const CompareContrast *contrast = contrast_of(compare, f);
    if (contrast && !compare->baseline_given[f])
      text_addf(text, "%s%s = %s",
                text->n_bytes ? ", "
                              : "No baseline was given; the first level serves: ",
                compare->titles[f], compare_level_title(compare, f, contrast->b));
  }
  if (text->n_bytes) text_add(text, ".");
}

static void say_rope(const Page *page) {
  const CompareSpec *spec = &page->compare->spec;
  if (spec->rope_of && page->compare->n_contrasts > 0)
    say(page, "The script's rope is one of %s: to %s it was not applied.",
        spec->rope_of, spec->metric);
  else if (count(page, UNDECIDED) && !(spec->rope > 0))
    say(page, "Undecided is not \"no difference\": say with rope = how small a "
              "difference does not matter, and what lies within it is called "
              "equivalent.");
}

/* "Diverged: 3 trials of sigmoid, he_normal (2 of 5); ..." */
static void say_diverged(const Page *page) {
  const Compare *compare = page->compare;
  int said = 0, n_cells = 0;
  if (compare->runs.n_diverged == 0) return;
  Text *text = begin(page);
  text_addf(text, "Diverged: %s of ",
            text_counted(compare->runs.n_diverged, "trial").s);
  for (int c = 0; c < compare->n_cells; c++) {
    const CompareCell *cell = &compare->cells[c];
    n_cells += cell->runs.n_diverged > 0;
    if (cell->runs.n_diverged == 0 || said == CELLS_MAX) continue;
    text_add(text, said++ ? "; " : "");
    compare_add_cell(compare, c, text);
    text_addf(text, " (%d of %d)", cell->runs.n_diverged, cell->runs.n_planned);
  }
  if (n_cells > said) text_addf(text, "; and %d cells more", n_cells - said);
  text_add(text, ". Means and intervals of cells are those of the complete trials");
  if (!isnan(compare->worst))
    text_addf(text,
              "; contrasts are given both ways, without the diverged trials and with "
              "the worst value of the study (%s%s) in their place",
              shown_value(page, compare->worst).s, page->unit);
  text_add(text, ".");
}

static void say_ends(const Page *page) {
  const struct { const char *end, *which; int n; } ends[] = {
      {"Floor", "bad", page->compare->n_floor},
      {"Ceiling", "good", page->compare->n_ceiling}};
  Text *text = begin(page);
  for (int i = 0; i < 2; i++)
    if (ends[i].n)
      text_addf(text,
                "%s: %s %s at the %s end of the scale, where differences cannot show. ",
                ends[i].end, text_counted(ends[i].n, "cell").s,
                ends[i].n == 1 ? "is" : "are", ends[i].which);
}

static void say_variances(const Page *page) {
  const Compare *compare = page->compare;
  if (compare->unequal)
    say(page,
        "Unequal variances: the sd of cells goes from %s to %s (Brown and Forsythe's "
        "test, %s). Contrasts do not assume them equal; shares of variance come mostly "
        "from the noisiest cells.",
        shown_size(page, compare->sd_min).s, shown_size(page, compare->sd_max).s,
        p_text(compare->variance_p).s);
}

static void say_incomplete(const Page *page) {
  const Compare *compare = page->compare;
  int n = compare->runs.n_missing + compare->runs.n_failed;
  if (n == 0) return;
  Text *text = begin(page);
  text_addf(text, "Incomplete: %d of %d trials have no result", n,
            compare->runs.n_planned);
  if (compare->runs.n_failed) text_addf(text, " (%d failed)", compare->runs.n_failed);
  text_add(text, ".");
}

/* No trial at all lacks trials as well. */
static bool lacks_trials(const Compare *compare, const CompareContrast *contrast,
                         const CompareAnalysis *analysis) {
  return analysis->paired.n < compare->n_seeds ||
         analysis->n_settings < contrast->n_settings;
}

/* Whatever it is that lacks: trials to come, failed ones or diverged ones. */
static void say_blocks(const Page *page) {
  const Compare *compare = page->compare;
  int n = 0;
  bool any_block = false;
  for (int i = 0; i < compare->n_contrasts; i++) {
    const CompareContrast *contrast = &compare->contrasts[i];
    bool lacks = lacks_trials(compare, contrast, &contrast->complete) ||
                 lacks_trials(compare, contrast, &contrast->imputed);
    n += lacks;
    any_block |= lacks && contrast->complete.paired.n + contrast->imputed.paired.n > 0;
  }
  if (n)
    say(page, "%d of %s lack%s trials.%s", n,
        text_counted(compare->n_contrasts, "contrast").s, n == 1 ? "s" : "",
        any_block
            ? " Such a contrast uses the largest complete block of settings and seeds, "
              "or a smaller one, of at least half its size, that has seeds enough for "
              "a verdict."
            : "");
}

void page_cautions(const Page *page) {
  if (page->compare->runs.n_complete == 0) return;
  say_interactions(page);
  say_uncompared(page);
  say_baseline(page);
  say_rope(page);
  say_incomplete(page);
  say_diverged(page);
  say_ends(page);
}

void page_words(const Page *page) {
  page_cautions(page);
  if (page->compare->runs.n_complete == 0) return;
  say_blocks(page);
  say_variances(page);
}

/* -- what the seeds can show ------------------------------------------------------- */

/* Where there is no room, the planned number stays. */
static void add_finds(const Page *page, const CompareReach *reach) {
  Table *table = doc_table(page->doc);
  table_column(table, "seeds", TABLE_TEXT, 0);
  for (int i = 0; i < reach->n; i++) {
    bool planned = reach->finds[i].n_seeds == page->compare->n_seeds;
    char title[16];
    snprintf(title, sizeof title, "%d", reach->finds[i].n_seeds);
    table_column(table, title, TABLE_NUMBER, planned ? 0 : 1 + i);
  }
  table_add(table, "in sd");
  for (int i = 0; i < reach->n; i++) table_addf(table, "%.2f", reach->finds[i].sds);
  if (isnan(page->compare->sd)) return;
  table_add(table, *page->difference_unit ? "in points" : "in its unit");
  for (int i = 0; i < reach->n; i++)
    table_add(table, shown_size(page, reach->finds[i].difference).s);
}

/* "5 seeds find a difference of 2.76 sd or more, which is 1.93 points so far" */
static void add_planned(const Page *page, const CompareReach *reach, Text *text) {
  const CompareFind *find = reach->finds;
  int n_seeds = page->compare->n_seeds;
  if (n_seeds < STAT_TEST_MIN) {
    text_addf(text,
              "%s %s too few for a verdict, which takes at least %d; of more, each "
              "number finds a difference of at least this size",
              text_counted(n_seeds, "seed").s, n_seeds == 1 ? "is" : "are",
              STAT_TEST_MIN);
    return;
  }
  while (find->n_seeds != n_seeds) find++;
  text_addf(text, "%d seeds find a difference of %.2f sd or more", n_seeds, find->sds);
  if (!isnan(find->difference))
    text_addf(text, ", which is %s%s so far,", shown_size(page, find->difference).s,
              page->difference_unit);
}

void page_reach(const Page *page) {
  const Compare *compare = page->compare;
  const CompareReach reach = compare_reach(compare);
  const Page own = page_by(page, compare->sd);
  Text *text = begin(page);
  int n = compare->n_contrasts, looks = compare->spec.looks;
  if (reach.n == 0) {
    text_addf(text, "Nothing is compared: %s.", compare_why_none(compare));
    return;
  }
  add_planned(&own, &reach, text);
  text_add(text, " with probability .8");
  if (n > 1) text_addf(text, ", corrected for %d contrasts", n);
  if (looks > 1)
    text_addf(text, "%s %d looks", n > 1 ? " and" : ", corrected for", looks);
  if (reach.finds[reach.n - 1].level < compare->level)
    text_addf(text, ". More than %d seeds are given with the look that they would add",
              compare->n_seeds);
  text_add(text,
           ". The sd is how much the difference of two varies from seed to seed.");
  add_finds(&own, &reach);
}
