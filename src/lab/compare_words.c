/* compare_words.c: what to be careful about: interactions, what lacks, ends of the
 * scale. */
#include "lab/compare_page.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { CELLS_TOLD = 4 };                 /* of those with diverged trials */
static const double strong_share = 0.05; /* of a pair: its interaction is told */

void page_say(const Page *page, const char *format, ...) {
  va_list args;
  va_start(args, format);
  text_add_args(page_begin(page), format, args);
  va_end(args);
}

ShownText page_p(double p) {
  ShownText out, number = shown_p(p);
  bool below = *number.text == '<';
  snprintf(out.text, sizeof out.text, "p" NO_BREAK "%c" NO_BREAK "%.32s",
           below ? '<' : '=', number.text + below);
  return out;
}

/* "Interactions: a with b (12 % of the variance), ..." */
static void say_interactions(const Page *page) {
  const CompareGrid *grid = &page->compare->grid;
  Text *text = page_begin(page);
  for (int i = 0; grid->n_factors && i < grid->n_effects; i++) {
    const StatEffect *effect = &grid->effects[i];
    if (effect->source != STAT_PAIR || !(effect->omega2 >= strong_share)) continue;
    text_add(text, text->n_bytes ? ", " : "Interactions: ");
    compare_add_factor(page->compare, effect->a, text);
    text_add(text, " with ");
    compare_add_factor(page->compare, effect->b, text);
    text_addf(text, " (%.0f %% of the variance)", 100 * effect->omega2);
  }
  if (text->n_bytes)
    text_add(text,
             ". What is said above of such a factor is an average over the other, and "
             "may hold for no single level of it.");
}

/* -- cautions ---------------------------------------------------------------------- */

/* The first contrast of the factor; NULL: there is none. */
static const CompareContrast *contrast_of(const Compare *compare, int factor) {
  for (int i = 0; i < compare->n_contrasts; i++)
    if (compare->contrasts[i].factor == factor) return &compare->contrasts[i];
  return NULL;
}

static void say_uncompared(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = page_begin(page);
  for (int f = 0; f < compare->spec.n_factors; f++) {
    bool meant = compare->varies[f] && compare_leads(compare, f) &&
                 !compare->spec.drawn[f];
    if (!meant || contrast_of(compare, f)) continue;
    text_add(text, text->n_bytes ? ", " : "Not compared with a baseline: ");
    compare_add_factor(compare, f, text);
  }
  if (text->n_bytes) text_add(text, " (no two cells differ in it alone).");
}

static void say_baseline(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = page_begin(page);
  for (int f = 0; f < compare->spec.n_factors; f++) {
    const CompareContrast *contrast = contrast_of(compare, f);
    if (!contrast || compare->baseline_given[f]) continue;
    text_add(text,
             text->n_bytes ? ", " : "No baseline was given; the first level serves: ");
    compare_add_factor(compare, f, text);
    text_add(text, " = ");
    compare_add_level(compare, f, contrast->b, text);
  }
  if (text->n_bytes) text_add(text, ".");
}

static void say_rope(const Page *page) {
  const Compare *compare = page->compare;
  bool undecided = false;
  for (int i = 0; i < compare->n_contrasts; i++)
    undecided |= compare->contrasts[i].verdict == COMPARE_UNDECIDED;
  if (compare->spec.rope_of && compare->n_contrasts > 0)
    page_say(page, "The script's rope is one of %s: to %s it was not applied.",
             compare->spec.rope_of, compare->spec.metric);
  else if (undecided && !(compare->spec.rope > 0))
    page_say(page,
             "Undecided is not \"no difference\": say with rope = how "
             "small a difference does not matter, and what lies within it is called "
             "equivalent.");
}

/* "Diverged: 3 trials of sigmoid, he_normal (2 of 5); ..." */
static void say_diverged(const Page *page) {
  const Compare *compare = page->compare;
  int told = 0, n_cells = 0;
  if (compare->n_diverged == 0) return;
  Text *text = page_begin(page);
  text_addf(text, "Diverged: %d trial%s of ", compare->n_diverged,
            page_plural(compare->n_diverged));
  for (int c = 0; c < compare->n_cells; c++) {
    const CompareCell *cell = &compare->cells[c];
    n_cells += cell->n_diverged > 0;
    if (cell->n_diverged == 0 || told == CELLS_TOLD) continue;
    text_add(text, told++ ? "; " : "");
    compare_add_cell(compare, c, text);
    text_addf(text, " (%d of %d)", cell->n_diverged, cell->n_planned);
  }
  if (n_cells > told) text_addf(text, "; and %d cells more", n_cells - told);
  text_add(text, ". Means and intervals of cells are those of the complete trials");
  if (!isnan(compare->worst))
    text_addf(text,
              "; contrasts are told both ways, without the diverged trials and "
              "with the worst value of the study (%s%s) in their place",
              shown_value(page->shown, compare->worst).text, page->shown.unit);
  text_add(text, ".");
}

static void say_ends(const Page *page) {
  const struct { const char *end, *which; int n; } ends[] = {
      {"Floor", "bad", page->compare->n_floor},
      {"Ceiling", "good", page->compare->n_ceiling}};
  Text *text = page_begin(page);
  for (int i = 0; i < 2; i++)
    if (ends[i].n)
      text_addf(text,
                "%s: %d cell%s at the %s end of the scale, where differences cannot "
                "show. ",
                ends[i].end, ends[i].n, ends[i].n == 1 ? " is" : "s are",
                ends[i].which);
}

static void say_variances(const Page *page) {
  const Compare *compare = page->compare;
  if (compare->unequal)
    page_say(page,
             "Unequal variances: the sd of cells goes from %s to %s "
             "(Brown and Forsythe's test, %s). Contrasts do not assume them equal; "
             "shares of "
             "variance come mostly from the noisiest cells.",
             shown_size(page->shown, compare->sd_min).text,
             shown_size(page->shown, compare->sd_max).text,
             page_p(compare->variance_p).text);
}

static void say_incomplete(const Page *page) {
  const Compare *compare = page->compare;
  int n = compare->n_missing + compare->n_failed;
  if (n == 0) return;
  Text *text = page_begin(page);
  text_addf(text, "Incomplete: %d of %d trials have no result", n, compare->n_trials);
  if (compare->n_failed) text_addf(text, " (%d failed)", compare->n_failed);
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
    page_say(page, "%d of %d contrast%s lack%s trials.%s", n, compare->n_contrasts,
             page_plural(compare->n_contrasts), n == 1 ? "s" : "",
             any_block
                 ? " Such a contrast uses the largest complete block of settings and "
                   "seeds, or a smaller one, of at least half its size, that has seeds "
                   "enough for a verdict."
                 : "");
}

void page_cautions(const Page *page) {
  if (page->compare->n_complete == 0) return;
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
  if (page->compare->n_complete == 0) return;
  say_blocks(page);
  say_variances(page);
}
