/* compare_doc.c: the page that says what a study shows: the tables of cells, effects
 * and contrasts; the sentences are those of compare_words.c. */
#include "lab/compare_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  CELL_ROWS = 40,            /* of the table of cells; a line says how many more are */
  BAR_COLUMNS = 20,          /* of a share of 100 % */
  MATRICES = 2               /* of interactions, at most */
};
static const double matrix_share = 0.02; /* smallest share of a pair that is shown */
static const double negligible_share = 0.0005; /* pairs below it share a row */

/* The unit alone, as headers have it. */
static const char *bare(const char *unit) {
  return *unit ? unit + strlen(NO_BREAK) : unit;
}

/* The number and what is written behind it, or nothing for NaN. */
static ShownText plain(double number, int decimals, const char *behind) {
  ShownText out = {""};
  if (!isnan(number)) snprintf(out.s, 32, "%.*f%s", decimals, number, behind);
  return out;
}

/* -- cells ------------------------------------------------------------------------- */

static void add_counts(const Compare *compare, Text *text) {
  text_addf(text, "%d of %d trials complete", compare->runs.n_complete,
            compare->runs.n_planned);
  if (compare->runs.n_diverged)
    text_addf(text, ", %d diverged", compare->runs.n_diverged);
  if (compare->runs.n_failed) text_addf(text, ", %d failed", compare->runs.n_failed);
  if (compare->runs.n_missing)
    text_addf(text, ", %d without a result", compare->runs.n_missing);
}

/* "; throughout: norm = batch, momentum = 0 (where it applies)" */
static void add_throughout(const Compare *compare, Text *text) {
  const char *before = "; throughout: ";
  for (int f = 0; f < compare->spec.n_factors; f++) {
    int level = -1, n = 0;
    for (int c = 0; c < compare->n_cells; c++) {
      n += compare->cells[c].levels[f] >= 0;
      if (level < 0) level = compare->cells[c].levels[f];
    }
    if (compare->varies[f] || level < 0) continue;
    text_addf(text, "%s%s = %s%s", before, compare->spec.factors[f].name,
              compare_level(compare, f, level),
              n < compare->n_cells ? " (where it applies)" : "");
    before = ", ";
  }
}

static void add_heading(const Page *page) {
  const Compare *compare = page->compare;
  const CompareSpec *spec = &compare->spec;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  if (spec->name) text_addf(text, "%s: ", spec->name);
  text_addf(text, "%s%s, %s is better; %s, %s; ", spec->metric,
            *page->unit ? " in" NO_BREAK "%" : "",
            spec->goal == COMPARE_MAX ? "higher" : "lower",
            text_counted(compare->n_cells, "cell").s,
            text_counted(compare->n_seeds, "seed").s);
  add_counts(compare, text);
  text_addf(text, "; 95" NO_BREAK "%% intervals of the mean over seeds, by %s",
            spec->bootstrap ? "bootstrap-t" : "Student's t");
  if (compare->runs.n_diverged && compare->runs.n_complete)
    text_add(text, "; sorted with diverged trials as the worst value");
  add_throughout(compare, text);
  doc_break(page->doc);
}

/* "baseline, floor, 2 diverged" */
static void add_note(const Compare *compare, const CompareCell *cell, Table *table) {
  const struct { int n; const char *word; } notes[] = {
      {cell->note != NULL, cell->note},
      {cell->baseline && compare->n_cells > 1, "baseline"}, {cell->floor, "floor"},
      {cell->ceiling, "ceiling"}, {cell->runs.n_diverged, "diverged"},
      {cell->runs.n_failed, "failed"}, {cell->runs.n_missing, "to go"}};
  const char *comma = "";
  for (int i = 0; i < 7; i++) {
    if (!notes[i].n) continue;
    text_add(table_cell(table), comma);
    if (i > 3) text_addf(table_cell(table), "%d ", notes[i].n);
    text_add(table_cell(table), notes[i].word);
    comma = ", ";
  }
  table_cell_end(table);
}

/* How the table of cells is made: with all numbers, or with the intervals drawn; the
 * levels of a cell in one column, where there are too many factors for columns of their
 * own. */
typedef struct CellTable {
  bool drawn, together;
} CellTable;

static void add_cell_columns(const Page *page, CellTable how, Table *table) {
  const Compare *compare = page->compare;
  if (how.together) table_column(table, "cell", TABLE_TEXT, 0);
  for (int f = 0; !how.together && f < compare->spec.n_factors; f++)
    if (compare->varies[f])
      table_column(table, compare->spec.factors[f].name, TABLE_TEXT, 0);
  table_head(table,
             how.drawn ? ">n|=mean|~95 % interval|=95 % interval:1"
                       : ">n|=mean|=95 % interval|=sd:1|=median:3|=min:2|=max:2|"
                         "=div. as worst:1",
             bare(page->unit));
  table_column(table, "", TABLE_TEXT, 0);
}

static void add_cell_row(const Page *page, int c, CellTable how, Table *table) {
  const Compare *compare = page->compare;
  const CompareCell *cell = &compare->cells[c];
  const StatSample *sample = &cell->sample;
  const StatInterval cut = shown_cut(page, sample->interval);
  if (how.together)
    compare_add_cell(compare, c, table_cell(table)), table_cell_end(table);
  for (int f = 0; !how.together && f < compare->spec.n_factors; f++)
    if (compare->varies[f])
      table_add(table, compare_level(compare, f, cell->levels[f]));
  table_addf(table, "%d", sample->n);
  table_add(table, sample->n ? shown_value(page, sample->mean).s : "-");
  if (how.drawn)
    table_add_drawn(table, page->scale * cut.low, page->scale * sample->mean,
                    page->scale * cut.high);
  table_add(table, shown_interval(page, sample->interval).s);
  if (!how.drawn)
    table_cells(table, 5, shown_value(page, sample->sd).s,
                shown_value(page, sample->median).s, shown_value(page, sample->min).s,
                shown_value(page, sample->max).s,
                cell->runs.n_diverged ? shown_value(page, cell->imputed.mean).s : "");
  add_note(compare, cell, table);
}

/* "and 9 more, the last: sigmoid, batch 61.2; `runner ls study --cells` lists all" */
static void add_cells_left(const Page *page, int rows) {
  const Compare *compare = page->compare;
  int last = compare->order[compare->n_cells - 1];
  const StatSample *sample = &compare->cells[last].sample;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  text_addf(text, "and %d more, the last: ", compare->n_cells - rows);
  compare_add_cell(compare, last, text);
  text_addf(text, " %s",
            sample->n ? shown_value(page, sample->mean).s : "without a value");
  if (compare->spec.listing)
    text_addf(text, "; " DOC_CODE "%s" DOC_END " lists all", compare->spec.listing);
}

static void add_table(const Page *page, bool drawn) {
  int n = page->compare->n_cells, rows = n > CELL_ROWS ? CELL_ROWS : n;
  add_heading(page);
  Table *tables[2];
  tables[0] = doc_table(page->doc);
  tables[1] = table_narrow(tables[0]);
  for (int together = 0; together < 2 && tables[together]; together++) {
    CellTable how = {drawn, together};
    add_cell_columns(page, how, tables[together]);
    for (int i = 0; i < rows; i++)
      add_cell_row(page, page->compare->order[i], how, tables[together]);
  }
  if (rows < n) add_cells_left(page, rows);
}

static void add_cells(const Page *page) { add_table(page, false); }

/* -- effects ----------------------------------------------------------------------- */

/* "activation", "activation x init", "seed" */
static void add_source(const Compare *compare, const StatEffect *effect, Text *text) {
  static const char *const names[] = {
    [STAT_HIGHER] = "interactions of three and more",
    [STAT_BLOCK] = "seed", [STAT_RESIDUAL] = "residual: seed within cell"};
  if (effect->source > STAT_PAIR) text_add(text, names[effect->source]);
  else text_add(text, compare->titles[effect->a]);
  if (effect->source == STAT_PAIR) text_addf(text, " x %s", compare->titles[effect->b]);
}

/* Largest share first; seed and residual last. */
static int by_share(const void *a, const void *b) {
  const StatEffect *x = *(const StatEffect *const *)a,
                   *y = *(const StatEffect *const *)b;
  bool x_last = x->source >= STAT_BLOCK, y_last = y->source >= STAT_BLOCK;
  if (x_last != y_last) return x_last ? 1 : -1;
  if (x_last) return (int)x->source - (int)y->source;
  if (x->eta2 != y->eta2) return x->eta2 > y->eta2 ? -1 : 1;
  return x < y ? -1 : 1;
}

static void add_share_row(const Compare *compare, const StatEffect *effect,
                          Table *table) {
  int n = (int)lround(BAR_COLUMNS * effect->eta2);
  double omega2 = isnan(effect->omega2) ? NAN : 100 * fmax(0, effect->omega2);
  add_source(compare, effect, table_cell(table));
  table_cell_end(table);
  table_cells(table, 2, plain(100 * effect->eta2, 1, " %").s, plain(omega2, 1, " %").s);
  table_addf(table, "%.*s", n > 0 ? n : 0, "####################");
}

/* A pair of factors that explains next to nothing. */
static bool is_negligible(const StatEffect *effect) {
  return effect->source == STAT_PAIR && effect->eta2 < negligible_share;
}

/* Rows of all effects; three and more negligible pairs are one. */
static void add_shares(const Page *page) {
  const CompareGrid *grid = &page->compare->grid;
  const StatEffect *sorted[STAT_EFFECTS_MAX] = {NULL};
  int n = grid->n_effects - 1; /* without the total */
  int n_negligible = 0, n_left_out = 0;
  Table *table = doc_table(page->doc);
  table_head(table, "|>eta^2|>omega^2:1|:2", NULL);
  for (int i = 0; i < n; i++) {
    sorted[i] = &grid->effects[i];
    n_negligible += is_negligible(sorted[i]);
  }
  qsort(sorted, (size_t)n, sizeof *sorted, by_share);
  for (int i = 0; i < n; i++) {
    if (n_negligible < 3 || !is_negligible(sorted[i])) {
      add_share_row(page->compare, sorted[i], table);
    } else if (n_left_out++ == 0) {
      table_addf(table, "%d other pairs, each", n_negligible);
      table_cells(table, 3, "< 0.1 %", "", "");
    }
  }
}

static void add_marginal_means(const Page *page) {
  const Compare *compare = page->compare;
  const CompareGrid *grid = &compare->grid;
  doc_break(page->doc);
  doc_say(page->doc, DOC_NOTE, "Means over everything else:");
  Table *table = doc_table(page->doc);
  table_head(table, "factor|level|=mean|=95 % interval:1", bare(page->unit));
  int last = -1;
  for (int i = 0; i < grid->n_margins && grid->margins[i].b < 0; i++) {
    const CompareMargin *margin = &grid->margins[i];
    if (compare->spec.drawn[margin->a]) continue;
    table_cells(table, 4, margin->a != last ? compare->titles[margin->a] : "",
                compare_level_title(compare, margin->a, margin->level_a),
                shown_value(page, margin->sample.mean).s,
                shown_interval(page, margin->sample.interval).s);
    last = margin->a;
  }
}

/* The means of a pair of factors: rows are a's levels, columns b's. The pair's margins
 * follow each other, row by row. */
static void add_matrix(const Page *page, const StatEffect *effect) {
  const Compare *compare = page->compare;
  const CompareMargin *first = compare->grid.margins, *m;
  const CompareMargin *end = first + compare->grid.n_margins;
  while (first->a != effect->a || first->b != effect->b) first++;
  doc_break(page->doc);
  Text *title = doc_begin(page->doc, DOC_NOTE);
  text_add(title, "Means of ");
  add_source(compare, effect, title);
  text_add(title, ":");
  Table *table = doc_table(page->doc);
  table->split = true;
  table_column(table, "", TABLE_TEXT, 0);
  for (m = first; m < end && m->b == effect->b && m->level_a == first->level_a; m++)
    table_column(table, compare_level_title(compare, m->b, m->level_b), TABLE_NUMBER,
                 0);
  for (m = first; m < end && m->a == effect->a && m->b == effect->b; m++) {
    if (m->level_b == first->level_b)
      table_add(table, compare_level_title(compare, m->a, m->level_a));
    table_add(table, shown_value(page, m->sample.mean).s);
  }
}

static double share_of(const StatEffect *effect) {
  return isnan(effect->omega2) ? effect->eta2 : effect->omega2;
}

/* The pairs with the largest shares, if they are worth it. */
static void add_matrices(const Page *page) {
  const CompareGrid *grid = &page->compare->grid;
  const bool *drawn = page->compare->spec.drawn;
  double below = INFINITY;
  for (int k = 0; k < MATRICES; k++) {
    const StatEffect *largest = NULL;
    for (int i = 0; i < grid->n_effects; i++) {
      const StatEffect *effect = &grid->effects[i];
      if (effect->source != STAT_PAIR || !(share_of(effect) < below)) continue;
      if (drawn[effect->a] || drawn[effect->b]) continue;
      if (!largest || share_of(effect) > share_of(largest)) largest = effect;
    }
    if (!largest || share_of(largest) < matrix_share) return;
    add_matrix(page, largest);
    below = share_of(largest);
  }
}

static void add_effects(const Page *page) {
  const CompareGrid *grid = &page->compare->grid;
  bool varies = grid->n_factors > 0 && !isnan(grid->effects[0].eta2);
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  if (grid->n_factors == 0)
    text_addf(text, "What each factor explains is not known: %s.",
              page->compare->runs.n_complete
                  ? "there is no complete grid of two levels or more"
                  : "no trial has a value");
  else
    text_addf(text, "What each factor explains: %s on %s.",
              varies ? "shares of variance" : "nothing varies", grid->text);
  if (!varies) return;
  add_shares(page);
  doc_say(page->doc, DOC_NOTE,
          "They describe this grid and test nothing: other levels would give other "
          "shares. omega^2 takes off what chance alone would give.");
  if (grid->n_factors > 1) add_marginal_means(page);
  add_matrices(page);
}

/* -- contrasts --------------------------------------------------------------------- */

/* "worse", or "worse (9/10 seeds, 5/6 settings)" if not all were used: what qualifies
 * the verdict is in one cell with it, so that no narrow table is without. */
static void add_verdict(const Compare *compare, const CompareContrast *contrast,
                        const CompareAnalysis *analysis, Table *table) {
  Text *text = table_cell(table);
  int n = analysis->paired.n, n_settings = analysis->n_settings;
  text_add(text, compare_verdict_name(analysis->verdict));
  size_t begin = text->n_bytes;
  if (analysis == compare_main(contrast) && compare_is_typical(contrast))
    text_add(text, ", typical runs");
  if (n < compare->n_seeds) text_addf(text, ", %d/%d seeds", n, compare->n_seeds);
  if (n_settings > 0 && n_settings < contrast->n_settings)
    text_addf(text, ", %d/%d settings", n_settings, contrast->n_settings);
  if (text->n_bytes > begin) {
    text->data[begin] = ' ', text->data[begin + 1] = '(';
    text_add(text, ")");
  }
  table_cell_end(table);
}

static void add_numbers(const Page *page, const CompareContrast *contrast,
                        const CompareAnalysis *analysis, Table *table) {
  const StatPaired *paired = &analysis->paired;
  bool any = paired->n > 0, two = paired->n > 1;
  double won = round(2 * paired->won * paired->n) / 2; /* ties are halves */
  table_cells(table, 4, any ? shown_difference(page, paired->mean).s : "-",
              shown_difference_interval(page, paired->interval).s,
              two ? plain(paired->d_z, 2, "").s : "", two ? shown_p(paired->p).s : "");
  if (page->compare->n_contrasts > 1) table_add(table, shown_p(analysis->p_holm).s);
  if (any) {
    table_add(table, shown_p(paired->p_flip).s);
    table_addf(table, "%.*f/%d", won != floor(won), won, paired->n);
    table_addf(table, "%.0f-%.0f %%", 100 * paired->won_interval.low,
               100 * paired->won_interval.high);
  } else {
    table_cells(table, 3, "", "", "");
  }
  add_verdict(page->compare, contrast, analysis, table);
}

/* The factor is named where it begins. */
static void add_contrast_rows(const Page *page, int i, Table *table) {
  const CompareContrast *contrast = &page->compare->contrasts[i];
  int factor = contrast->factor;
  bool begins = i == 0 || factor != contrast[-1].factor;
  table_add(table, !begins ? "" : factor < 0 ? "cells" : page->compare->titles[factor]);
  compare_add_contrast(page->compare, contrast, table_cell(table));
  table_cell_end(table);
  add_numbers(page, contrast, &contrast->complete, table);
  if (!compare_n_diverged(contrast)) return;
  table_cells(table, 2, "", "  diverged as worst");
  add_numbers(page, contrast, &contrast->imputed, table);
}

static void add_contrasts(const Page *page) {
  const Compare *compare = page->compare;
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  if (compare->n_contrasts == 0 || compare->runs.n_complete == 0) {
    text_addf(text, "Contrasts: none%s%s.", compare->n_contrasts ? " yet, " : ", ",
              compare->n_contrasts    ? "no trial has a value"
              : compare->n_cells == 1 ? "there is one cell"
                                      : compare_why_none(compare));
    return;
  }
  bool settings = false;
  for (int i = 0; i < compare->n_contrasts; i++)
    settings = settings || compare->contrasts[i].n_settings > 1;
  text_addf(text, "Contrasts%s: paired by seed%s; paired t test",
            *page->unit ? " in points" : "",
            settings ? ", mean over the settings of the other factors" : "");
  if (compare->n_contrasts > 1) text_addf(text, ", Holm over %d", compare->n_contrasts);
  text_add(text, "; p flip: sign-flip test.");
  Table *table = doc_table(page->doc);
  table_head(table, "factor:1|contrast|=difference|=95 % interval|>d_z:3",
             bare(page->difference_unit));
  table_head(table, compare->n_contrasts > 1 ? ">p:4|>p Holm" : ">p", NULL);
  table_head(table, ">p flip|>won:2|>95 % of won:5|verdict", NULL);
  for (int i = 0; i < compare->n_contrasts; i++) add_contrast_rows(page, i, table);
}

/* Nothing is there to compare: how many trials there are; the verdict says the rest. */
static void add_nothing(const Page *page) {
  Text *text = doc_begin(page->doc, DOC_PARAGRAPH);
  if (page->compare->spec.name) text_addf(text, "%s: ", page->compare->spec.name);
  add_counts(page->compare, text);
}

static void add_short(const Page *page) {
  page_decided(page);
  doc_break(page->doc);
  add_table(page, true);
  doc_break(page->doc);
  page_open(page);
  doc_break(page->doc);
  page_cautions(page);
}

void compare_doc(const Compare *compare, int parts, Doc *doc) {
  static void (*const add[])(const Page *page) = {
      page_verdicts, add_cells, add_effects, add_contrasts, page_reach, page_words,
      add_short};
  const Page page = page_of(compare, doc);
  bool nothing = compare->runs.n_complete + compare->runs.n_diverged == 0;
  if (nothing && (parts & (COMPARE_VERDICTS | COMPARE_SHORT))) {
    add_nothing(&page);
    page_verdicts(&page);
    return;
  }
  for (size_t i = 0; i < sizeof add / sizeof *add; i++) {
    if (!(parts & (1 << i))) continue;
    doc_break(doc);
    add[i](&page);
  }
}
