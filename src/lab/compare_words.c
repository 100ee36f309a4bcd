/* compare_words.c: what to be careful about: interactions, what lacks, ends of the
 * scale. */
#include "lab/compare_page.h"
#include <math.h>

static const double strong_share = 0.05; /* of a pair: its interaction is told */

void page_add_p(double p, Text *text) {
  char buffer[SHOWN_BYTES];
  shown_p(p, buffer);
  bool below = *buffer == '<';
  text_addf(text, "p" NO_BREAK "%c" NO_BREAK "%s", below ? '<' : '=', buffer + below);
}

static void say_interactions(const Page *page) {
  const CompareGrid *grid = &page->compare->grid;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  for (int i = 0; grid->n_factors && i < grid->n_effects; i++) {
    const StatEffect *effect = &grid->effects[i];
    bool strong = effect->source == STAT_PAIR && effect->omega2 >= strong_share;
    if (!strong) continue;
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

static void say_uncompared(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  for (int f = 0; f < compare->spec.n_factors; f++) {
    bool compared = !compare->varies[f] || !compare_leads(compare, f) ||
                    compare->spec.drawn[f];
    for (int i = 0; i < compare->n_contrasts; i++)
      compared = compared || compare->contrasts[i].factor == f;
    if (compared) continue;
    text_add(text, text->n_bytes ? ", " : "Not compared with a baseline: ");
    compare_add_factor(compare, f, text);
  }
  if (text->n_bytes) text_add(text, " (no two cells differ in it alone).");
}

static void say_baseline(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  for (int i = 0; i < compare->n_contrasts; i++) {
    const CompareContrast *contrast = &compare->contrasts[i];
    bool again = i > 0 && contrast->factor == contrast[-1].factor;
    if (again || contrast->factor < 0 || compare->baseline_given[contrast->factor])
      continue;
    text_add(text,
             text->n_bytes ? ", " : "No baseline was given; the first level serves: ");
    compare_add_factor(compare, contrast->factor, text);
    text_add(text, " = ");
    compare_add_level(compare, contrast->factor, contrast->b, text);
  }
  if (text->n_bytes) text_add(text, ".");
}

static void say_rope(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int undecided = 0;
  if (compare->spec.rope_of && compare->n_contrasts > 0) {
    text_addf(text, "The script's rope is one of %s: to %s it was not applied.",
              compare->spec.rope_of, compare->spec.metric);
    return;
  }
  for (int i = 0; i < compare->n_contrasts; i++)
    undecided += compare->contrasts[i].verdict == COMPARE_UNDECIDED;
  if (undecided == 0 || compare->spec.rope > 0) return;
  text_add(text, "Undecided is not \"no difference\": say with rope = how small a "
                 "difference does not matter, and what lies within it is called "
                 "equivalent.");
}

/* "Diverged: 3 trials, in sigmoid, he_normal (2) and ..." */
static void say_diverged(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int told = 0, cells = 0;
  if (compare->n_diverged == 0) return;
  for (int c = 0; c < compare->n_cells; c++) cells += compare->cells[c].n_diverged > 0;
  text_addf(text, "Diverged: %d trial%s of ", compare->n_diverged,
            page_plural(compare->n_diverged));
  for (int c = 0; c < compare->n_cells && told < 4; c++) {
    const CompareCell *cell = &compare->cells[c];
    if (cell->n_diverged == 0) continue;
    text_add(text, told++ ? "; " : "");
    compare_add_cell(compare, c, text);
    text_addf(text, " (%d of %d)", cell->n_diverged, cell->n_planned);
  }
  if (cells > told) text_addf(text, "; and %d cells more", cells - told);
  text_add(text, ". Means and intervals of cells are those of the complete trials");
  if (!isnan(compare->worst)) {
    char worst[SHOWN_BYTES];
    text_addf(text,
              "; contrasts are told both ways, without the diverged trials and with "
              "the worst value of the study (%s%s) in their place",
              shown_value(page->shown, compare->worst, worst), page->shown.unit);
  }
  text_add(text, ".");
}

static void say_ends(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  if (compare->n_floor)
    text_addf(text,
              "Floor: %d cell%s at the bad end of the scale, where differences cannot "
              "show. ",
              compare->n_floor, compare->n_floor == 1 ? " is" : "s are");
  if (compare->n_ceiling)
    text_addf(text,
              "Ceiling: %d cell%s at the good end of the scale, where differences "
              "cannot show. ",
              compare->n_ceiling, compare->n_ceiling == 1 ? " is" : "s are");
}

static void say_variances(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  char low[SHOWN_BYTES], high[SHOWN_BYTES];
  if (!compare->unequal) return;
  text_addf(text,
            "Unequal variances: the sd of cells goes from %s to %s (Brown and "
            "Forsythe's test, ",
            shown_size(page->shown, compare->sd_min, low),
            shown_size(page->shown, compare->sd_max, high));
  page_add_p(compare->variance_p, text);
  text_add(text,
           "). Contrasts do not assume them equal; shares of variance come mostly from "
           "the noisiest cells.");
}

static void say_incomplete(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  int n = compare->n_missing + compare->n_failed;
  if (n == 0) return;
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
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
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
  text_addf(text, "%d of %d contrast%s lack%s trials.", n, compare->n_contrasts,
            page_plural(compare->n_contrasts), n == 1 ? "s" : "");
  if (any_block)
    text_add(text, " Such a contrast uses the largest complete block of settings and "
                   "seeds, or a smaller one, of at least half its size, that has seeds "
                   "enough for a verdict.");
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
  if (page->compare->n_complete == 0) return;
  page_cautions(page);
  say_blocks(page);
  say_variances(page);
}
