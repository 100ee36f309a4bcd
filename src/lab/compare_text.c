/* compare_text.c: the tables that a run ends with: cells, effects, contrasts. */
#include "base/out.h"
#include "lab/compare_words.h"
#include "lab/table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  CELL_ROWS = 40,            /* of the table of cells; the rest is told in a line */
  BAR_COLUMNS = 20,          /* of a share of 100 % */
  MATRICES = 2,              /* of interactions, at most */
  INDENT = 2
};
static const double matrix_share = 0.02;   /* smallest share of a pair that is shown */
static const double negligible_share = 0.0005;   /* pairs below it share a row */

/* A file takes tables of any width, but sentences are read. */
static int sentence_columns(int width) {
  return width < OUT_NO_LIMIT ? width : out_columns();
}

static void add_sentence(const char *text, int width, Text *out) {
  text_add_wrapped(out, text, 0, INDENT, sentence_columns(width));
}

/* Adds the text, cleaned. */
static void add_paragraph(const Text *text, int width, Text *out) {
  Text clean = {0};
  if (text->data) text_add_clean(&clean, text->data);
  if (text->failed || clean.failed) out->failed = true;
  else if (clean.data) add_sentence(clean.data, width, out);
  text_deinit(&clean);
}

/* -- cells --------------------------------------------------------------------------- */

static void add_counts(const Compare *compare, Text *text) {
  text_addf(text, "%d of %d trials complete", compare->n_complete, compare->n_trials);
  if (compare->n_diverged) text_addf(text, ", %d diverged", compare->n_diverged);
  if (compare->n_failed) text_addf(text, ", %d failed", compare->n_failed);
  if (compare->n_missing) text_addf(text, ", %d without a result", compare->n_missing);
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

static void add_heading(const Compare *compare, Shown shown, int width, Text *out) {
  const CompareSpec *spec = &compare->spec;
  Text text = {0};
  if (spec->name) text_addf(&text, "%s: ", spec->name);
  text_addf(&text, "%s%s, %s is better; %d cell%s, %d seed%s; ", spec->metric,
            *shown.unit ? " in" NO_BREAK "%" : "",
            spec->goal == COMPARE_MAX ? "higher" : "lower", compare->n_cells,
            compare->n_cells == 1 ? "" : "s", compare->n_seeds,
            compare->n_seeds == 1 ? "" : "s");
  add_counts(compare, &text);
  text_addf(&text, "; 95" NO_BREAK "%% intervals of the mean over seeds, by %s",
            spec->bootstrap ? "bootstrap-t" : "Student's t");
  if (compare->n_diverged && compare->n_complete)
    text_add(&text, "; sorted with diverged trials as the worst value");
  add_throughout(compare, &text);
  add_paragraph(&text, width, out);
  text_deinit(&text);
  text_add(out, "\n");
}

/* "baseline, floor, 2 diverged" */
static void add_note(const CompareCell *cell, Table *table) {
  Text note = {0};
  const struct { int n; const char *word; } counts[] = {
    {cell->n_diverged, "diverged"}, {cell->n_failed, "failed"}, {cell->n_missing, "to go"}};
  if (cell->note) text_addf(&note, "%s, ", cell->note);
  if (cell->baseline) text_add(&note, "baseline, ");
  if (cell->floor) text_add(&note, "floor, ");
  if (cell->ceiling) text_add(&note, "ceiling, ");
  for (int i = 0; i < 3; i++)
    if (counts[i].n) text_addf(&note, "%d %s, ", counts[i].n, counts[i].word);
  if (note.data && !note.failed) note.data[note.n_bytes - 2] = 0;
  table_add(table, note.data && !note.failed ? note.data : "");
  text_deinit(&note);
}

/* Into one column, or one for each factor that varies. */
static void add_cell_levels(const Compare *compare, int c, bool together, Table *table) {
  if (together) {
    Text name = {0};
    compare_add_cell(compare, c, &name);
    table_add(table, name.data && !name.failed ? name.data : "");
    text_deinit(&name);
    return;
  }
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (compare->varies[f])
      table_add(table, compare_level(compare, f, compare->cells[c].levels[f]));
}

static void add_cell_row(const Compare *compare, Shown shown, int c, bool together,
                         Table *table) {
  const CompareCell *cell = &compare->cells[c];
  const StatSample *sample = &cell->sample;
  char buffer[SHOWN_BYTES];
  add_cell_levels(compare, c, together, table);
  table_addf(table, "%d", sample->n);
  table_add(table, sample->n ? shown_value(shown, sample->mean, buffer) : "-");
  table_add(table, shown_interval(shown, sample->interval, buffer));
  table_add(table, shown_value(shown, sample->sd, buffer));
  table_add(table, shown_value(shown, sample->median, buffer));
  table_add(table, shown_value(shown, sample->min, buffer));
  table_add(table, shown_value(shown, sample->max, buffer));
  table_add(table, cell->n_diverged ? shown_value(shown, cell->imputed.mean, buffer) : "");
  add_note(cell, table);
}

static void cell_columns(const Compare *compare, bool together, Table *table) {
  if (together) table_column(table, "cell", TABLE_LEFT, 0);
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (!together && compare->varies[f])
      table_column(table, compare->spec.factors[f].name, TABLE_LEFT, 0);
  table_column(table, "n", TABLE_RIGHT, 0);
  table_column(table, "mean", TABLE_RIGHT, 0);
  table_column(table, "95 % interval", TABLE_RIGHT, 0);
  table_column(table, "sd", TABLE_RIGHT, 1);
  table_column(table, "median", TABLE_RIGHT, 3);
  table_column(table, "min", TABLE_RIGHT, 2);
  table_column(table, "max", TABLE_RIGHT, 2);
  table_column(table, "div. as worst", TABLE_RIGHT, 1);
  table_column(table, "", TABLE_LEFT, 0);
}

static Table cell_table(const Compare *compare, Shown shown, int rows, bool together) {
  Table table = {0};
  cell_columns(compare, together, &table);
  for (int i = 0; i < rows; i++)
    add_cell_row(compare, shown, compare->order[i], together, &table);
  return table;
}

/* "and 9 more, the last: sigmoid, batch 61.2; `runner ls study --cells` lists all" */
static void add_cells_left(const Compare *compare, Shown shown, int rows, int width,
                           Text *out) {
  char buffer[SHOWN_BYTES];
  int last = compare->order[compare->n_cells - 1];
  const StatSample *sample = &compare->cells[last].sample;
  Text text = {0};
  text_addf(&text, "and %d more, the last: ", compare->n_cells - rows);
  compare_add_cell(compare, last, &text);
  text_addf(&text, " %s", sample->n ? shown_value(shown, sample->mean, buffer)
                                    : "without a value");
  if (compare->spec.listing) text_addf(&text, "; `%s` lists all", compare->spec.listing);
  add_paragraph(&text, width, out);
  text_deinit(&text);
}

static void add_cells(const Compare *compare, Shown shown, int width, Text *out) {
  add_heading(compare, shown, width, out);
  int rows = compare->n_cells > CELL_ROWS ? CELL_ROWS : compare->n_cells;
  Table table = cell_table(compare, shown, rows, false);
  if (!table_fits(&table, width, INDENT)) {      /* too many factors for columns */
    table_deinit(&table);
    table = cell_table(compare, shown, rows, true);
  }
  table_write(&table, width, INDENT, out);
  table_deinit(&table);
  if (rows < compare->n_cells) add_cells_left(compare, shown, rows, width, out);
}

/* -- effects ------------------------------------------------------------------------- */

static void add_source(const Compare *compare, const StatEffect *effect, Text *text) {
  static const char *const names[] = {
    [STAT_HIGHER] = "interactions of three and more",
    [STAT_BLOCK] = "seed", [STAT_RESIDUAL] = "residual: seed within cell"};
  if (effect->source <= STAT_PAIR) compare_add_factor(compare, effect->a, text);
  if (effect->source == STAT_PAIR) {
    text_add(text, " x ");
    compare_add_factor(compare, effect->b, text);
  } else if (effect->source > STAT_PAIR) {
    text_add(text, names[effect->source]);
  }
}

/* Largest share first; seed and residual last. */
static int by_share(const void *a, const void *b) {
  const StatEffect *x = *(const StatEffect *const *)a, *y = *(const StatEffect *const *)b;
  bool x_last = x->source >= STAT_BLOCK, y_last = y->source >= STAT_BLOCK;
  if (x_last != y_last) return x_last ? 1 : -1;
  if (x_last) return (int)x->source - (int)y->source;
  if (x->eta2 != y->eta2) return x->eta2 > y->eta2 ? -1 : 1;
  return x < y ? -1 : 1;
}

static void add_share_row(const Compare *compare, const StatEffect *effect, Table *table) {
  Text source = {0};
  char bar[BAR_COLUMNS + 1] = "";
  add_source(compare, effect, &source);
  table_add(table, source.data && !source.failed ? source.data : "");
  text_deinit(&source);
  table_addf(table, "%.1f %%", 100 * effect->eta2);
  if (isnan(effect->omega2)) table_add(table, "");
  else table_addf(table, "%.1f %%", 100 * fmax(0, effect->omega2));
  int n = (int)lround(BAR_COLUMNS * effect->eta2);
  for (int i = 0; i < n && i < BAR_COLUMNS; i++) bar[i] = '#', bar[i + 1] = 0;
  table_add(table, bar);
}

/* A pair of factors that explains next to nothing. */
static bool is_negligible(const StatEffect *effect) {
  return effect->source == STAT_PAIR && effect->eta2 < negligible_share;
}

/* Rows of all effects; three and more negligible pairs are one. */
static void add_share_rows(const Compare *compare, const StatEffect *const *sorted, int n,
                           Table *table) {
  int n_negligible = 0;
  for (int i = 0; i < n; i++) n_negligible += is_negligible(sorted[i]);
  bool fold = n_negligible >= 3, told = false;
  for (int i = 0; i < n; i++) {
    if (!fold || !is_negligible(sorted[i])) {
      add_share_row(compare, sorted[i], table);
    } else if (!told) {
      table_addf(table, "%d other pairs, each", n_negligible);
      table_add(table, "< 0.1 %");
      table_add(table, "");
      table_add(table, "");
      told = true;
    }
  }
}

static void add_shares(const Compare *compare, int width, Text *out) {
  const CompareGrid *grid = &compare->grid;
  int n = grid->n_effects - 1;         /* without the total */
  const StatEffect **sorted = malloc((size_t)n * sizeof *sorted);
  if (!sorted) {
    out->failed = true;
    return;
  }
  for (int i = 0; i < n; i++) sorted[i] = &grid->effects[i];
  qsort(sorted, (size_t)n, sizeof *sorted, by_share);
  Table table = {0};
  table_column(&table, "", TABLE_LEFT, 0);
  table_column(&table, "eta^2", TABLE_RIGHT, 0);
  table_column(&table, "omega^2", TABLE_RIGHT, 1);
  table_column(&table, "", TABLE_LEFT, 2);
  add_share_rows(compare, sorted, n, &table);
  table_write(&table, width, INDENT, out);
  table_deinit(&table);
  free(sorted);
}

static void add_level_name(const Compare *compare, int factor, int level, Table *table) {
  Text name = {0};
  compare_add_level(compare, factor, level, &name);
  table_add(table, name.data && !name.failed ? name.data : "");
  text_deinit(&name);
}

static void add_marginal_means(const Compare *compare, Shown shown, int width, Text *out) {
  const CompareGrid *grid = &compare->grid;
  Table table = {0};
  char buffer[SHOWN_BYTES];
  table_column(&table, "factor", TABLE_LEFT, 0);
  table_column(&table, "level", TABLE_LEFT, 0);
  table_column(&table, "mean", TABLE_RIGHT, 0);
  table_column(&table, "95 % interval", TABLE_RIGHT, 1);
  int last = -1;
  for (int i = 0; i < grid->n_margins && grid->margins[i].b < 0; i++) {
    const CompareMargin *margin = &grid->margins[i];
    if (compare->spec.drawn[margin->a]) continue;
    Text name = {0};
    if (margin->a != last) compare_add_factor(compare, margin->a, &name);
    table_add(&table, name.data && !name.failed ? name.data : "");
    text_deinit(&name);
    last = margin->a;
    add_level_name(compare, margin->a, margin->level_a, &table);
    table_add(&table, shown_value(shown, margin->sample.mean, buffer));
    table_add(&table, shown_interval(shown, margin->sample.interval, buffer));
  }
  text_add(out, "\n  Means over everything else:\n");
  table_write(&table, width, INDENT, out);
  table_deinit(&table);
}

/* The means of a pair of factors: rows are a's levels, columns b's. */
typedef struct Matrix {
  const CompareMargin *v;    /* row by row */
  int n_rows, n_columns;
} Matrix;

static Matrix matrix_of(const CompareGrid *grid, const StatEffect *effect) {
  int first = 0, n_rows = 0, n_columns = 0;
  while (grid->margins[first].a != effect->a || grid->margins[first].b != effect->b)
    first++;
  const CompareMargin *v = &grid->margins[first];
  for (int i = 0; first + i < grid->n_margins; i++) {
    if (v[i].a != effect->a || v[i].b != effect->b) break;
    n_columns += v[i].level_a == v->level_a;
    n_rows += v[i].level_b == v->level_b;
  }
  return (Matrix){v, n_rows, n_columns};
}

/* Of n columns from `first` on. */
static Table matrix_table(const Compare *compare, Shown shown, Matrix matrix, int first,
                          int n) {
  Table table = {0};
  char buffer[SHOWN_BYTES];
  table_column(&table, "", TABLE_LEFT, 0);
  for (int c = first; c < first + n; c++) {
    Text name = {0};
    compare_add_level(compare, matrix.v[c].b, matrix.v[c].level_b, &name);
    table_column(&table, name.data && !name.failed ? name.data : "", TABLE_RIGHT, 0);
    text_deinit(&name);
  }
  for (int r = 0; r < matrix.n_rows; r++) {
    const CompareMargin *row = &matrix.v[r * matrix.n_columns];
    add_level_name(compare, row->a, row->level_a, &table);
    for (int c = first; c < first + n; c++)
      table_add(&table, shown_value(shown, row[c].sample.mean, buffer));
  }
  return table;
}

static void add_matrix_title(const Compare *compare, const StatEffect *effect, int width,
                             Text *out) {
  Text title = {0}, clean = {0};
  text_add(&title, "Means of ");
  add_source(compare, effect, &title);
  text_add(&title, ":");
  if (!title.failed) text_add_clean(&clean, title.data);
  text_add(out, "\n  ");
  if (title.failed || clean.failed) out->failed = true;
  else text_add_wrapped(out, clean.data, INDENT, INDENT, sentence_columns(width));
  text_deinit(&title);
  text_deinit(&clean);
}

/* As many columns at a time as there is room for. */
static void add_matrix(const Compare *compare, Shown shown, const StatEffect *effect,
                       int width, Text *out) {
  Matrix matrix = matrix_of(&compare->grid, effect);
  add_matrix_title(compare, effect, width, out);
  for (int first = 0, n; first < matrix.n_columns; first += n) {
    n = matrix.n_columns - first;
    if (n >= TABLE_COLUMNS_MAX) n = TABLE_COLUMNS_MAX - 1;
    Table table = matrix_table(compare, shown, matrix, first, n);
    while (n > 1 && !table_fits(&table, width, INDENT)) {
      table_deinit(&table);
      table = matrix_table(compare, shown, matrix, first, --n);
    }
    if (first > 0) text_add(out, "\n");
    table_write(&table, width, INDENT, out);
    table_deinit(&table);
  }
}

static double share_of(const StatEffect *effect) {
  return isnan(effect->omega2) ? effect->eta2 : effect->omega2;
}

/* The pairs with the largest shares, if they are worth it. */
static void add_matrices(const Compare *compare, Shown shown, int width, Text *out) {
  const CompareGrid *grid = &compare->grid;
  double below = INFINITY;
  for (int k = 0; k < MATRICES; k++) {
    const StatEffect *largest = NULL;
    for (int i = 0; i < grid->n_effects; i++) {
      const StatEffect *effect = &grid->effects[i];
      if (effect->source != STAT_PAIR || !(share_of(effect) < below)) continue;
      if (compare->spec.drawn[effect->a] || compare->spec.drawn[effect->b]) continue;
      if (!largest || share_of(effect) > share_of(largest)) largest = effect;
    }
    if (!largest || share_of(largest) < matrix_share) return;
    add_matrix(compare, shown, largest, width, out);
    below = share_of(largest);
  }
}

static void add_effects(const Compare *compare, Shown shown, int width, Text *out) {
  const CompareGrid *grid = &compare->grid;
  Text text = {0};
  if (grid->n_factors == 0) {
    text_addf(&text, "What each factor explains: not told, %s.",
              compare->n_complete ? "there is no complete grid of two levels or more"
                                  : "no trial has a value");
  } else if (isnan(grid->effects[0].eta2)) {
    text_addf(&text, "What each factor explains: nothing varies on %s.", grid->text);
  } else {
    text_addf(&text, "What each factor explains: shares of variance on %s.", grid->text);
  }
  add_paragraph(&text, width, out);
  text_deinit(&text);
  if (grid->n_factors == 0 || isnan(grid->effects[0].eta2)) return;
  add_shares(compare, width, out);
  text_add(out, "  ");
  text_add_wrapped(out, "They describe this grid and test nothing: other levels would "
                   "give other shares. omega^2 takes off what chance alone would give.",
                   INDENT, INDENT, sentence_columns(width));
  if (grid->n_factors > 1) add_marginal_means(compare, shown, width, out);
  add_matrices(compare, shown, width, out);
}

/* -- contrasts ----------------------------------------------------------------------- */

static void add_contrast_name(const Compare *compare, const CompareContrast *contrast,
                              Table *table) {
  Text name = {0};
  compare_add_contrast(compare, contrast, &name);
  table_add(table, name.data && !name.failed ? name.data : "");
  text_deinit(&name);
}

/* "worse", or "worse (9/10 seeds, 5/6 settings)" if not all were used: what qualifies the
 * verdict stands with it, so that no narrow table is without. */
static void add_verdict(const Compare *compare, const CompareContrast *contrast,
                        const CompareAnalysis *analysis, Table *table) {
  Text text = {0};
  const char *verdict = compare_verdict_name(analysis->verdict), *between = " (";
  text_add(&text, verdict);
  if (analysis == compare_main(contrast) && compare_is_typical(contrast)) {
    text_addf(&text, "%stypical runs", between);
    between = ", ";
  }
  if (analysis->paired.n < compare->n_seeds) {
    text_addf(&text, "%s%d/%d seeds", between, analysis->paired.n, compare->n_seeds);
    between = ", ";
  }
  if (analysis->n_settings < contrast->n_settings && analysis->n_settings > 0) {
    text_addf(&text, "%s%d/%d settings", between, analysis->n_settings, contrast->n_settings);
    between = ", ";
  }
  if (*between == ',') text_add(&text, ")");
  table_add(table, text.failed ? verdict : text.data);
  text_deinit(&text);
}

static void add_numbers(const Compare *compare, Shown shown,
                        const CompareContrast *contrast, const CompareAnalysis *analysis,
                        Table *table) {
  const StatPaired *paired = &analysis->paired;
  char buffer[SHOWN_BYTES];
  double won = round(2 * paired->won * paired->n) / 2;   /* ties are halves */
  table_add(table, paired->n ? shown_difference(shown, paired->mean, buffer) : "-");
  table_add(table, shown_difference_interval(shown, paired->interval, buffer));
  if (paired->n < 2 || isnan(paired->d_z)) table_add(table, "");
  else table_addf(table, "%.2f", paired->d_z);
  table_add(table, paired->n < 2 ? "" : shown_p(paired->p, buffer));
  if (compare->n_contrasts > 1) table_add(table, shown_p(analysis->p_holm, buffer));
  table_add(table, paired->n ? shown_p(paired->p_flip, buffer) : "");
  if (paired->n == 0) table_add(table, "");
  else table_addf(table, "%.*f/%d", won != floor(won), won, paired->n);
  if (paired->n == 0) table_add(table, "");
  else table_addf(table, "%.0f-%.0f %%", 100 * paired->won_interval.low,
                  100 * paired->won_interval.high);
  add_verdict(compare, contrast, analysis, table);
}

static void contrast_columns(const Compare *compare, Table *table) {
  bool holm = compare->n_contrasts > 1;
  table_column(table, "factor", TABLE_LEFT, 1);
  table_column(table, "contrast", TABLE_LEFT, 0);
  table_column(table, "difference", TABLE_RIGHT, 0);
  table_column(table, "95 % interval", TABLE_RIGHT, 0);
  table_column(table, "d_z", TABLE_RIGHT, 3);
  table_column(table, "p", TABLE_RIGHT, holm ? 4 : 0);
  if (holm) table_column(table, "p Holm", TABLE_RIGHT, 0);
  table_column(table, "p flip", TABLE_RIGHT, 0);
  table_column(table, "won", TABLE_RIGHT, 2);
  table_column(table, "95 % of won", TABLE_RIGHT, 5);
  table_column(table, "verdict", TABLE_LEFT, 0);
}

static void add_contrast_rows(const Compare *compare, Shown shown,
                              const CompareContrast *contrast, bool new_factor,
                              Table *table) {
  Text factor = {0};
  bool both = contrast->runs_a.n_diverged + contrast->runs_b.n_diverged > 0;
  if (new_factor && contrast->factor >= 0)
    compare_add_factor(compare, contrast->factor, &factor);
  else if (new_factor)
    text_add(&factor, "cells");
  table_add(table, factor.data && !factor.failed ? factor.data : "");
  text_deinit(&factor);
  add_contrast_name(compare, contrast, table);
  add_numbers(compare, shown, contrast, &contrast->complete, table);
  if (!both) return;
  table_add(table, "");
  table_add(table, "  diverged as worst");
  add_numbers(compare, shown, contrast, &contrast->imputed, table);
}

static void add_contrasts(const Compare *compare, Shown shown, int width, Text *out) {
  if (compare->n_contrasts == 0) {
    add_sentence(compare->n_cells == 1 ? "Contrasts: none, there is one cell."
                 : compare_is_drawn(compare)
                 ? "Contrasts: none, points that are drawn have no baseline."
                 : "Contrasts: none, no two cells differ in one factor alone.", width, out);
    return;
  }
  if (compare->n_complete == 0) {
    add_sentence("Contrasts: none yet, no trial has a value.", width, out);
    return;
  }
  Text text = {0};
  bool settings = false;
  for (int i = 0; i < compare->n_contrasts; i++)
    settings = settings || compare->contrasts[i].n_settings > 1;
  text_addf(&text, "Contrasts%s: paired by seed%s; paired t test",
            *shown.unit ? " in points" : "",
            settings ? ", mean over the settings of the other factors" : "");
  if (compare->n_contrasts > 1) text_addf(&text, ", Holm over %d", compare->n_contrasts);
  text_add(&text, "; p flip: sign-flip test.");
  add_paragraph(&text, width, out);
  text_deinit(&text);
  Table table = {0};
  contrast_columns(compare, &table);
  for (int i = 0; i < compare->n_contrasts; i++)
    add_contrast_rows(compare, shown, &compare->contrasts[i],
                      i == 0 || compare->contrasts[i].factor !=
                                    compare->contrasts[i - 1].factor, &table);
  table_write(&table, width, INDENT, out);
  table_deinit(&table);
}

/* Nothing is there to compare: how many trials there are; the verdict says the rest. */
static void add_nothing(const Compare *compare, int width, Text *out) {
  Text text = {0};
  if (compare->spec.name) text_addf(&text, "%s: ", compare->spec.name);
  add_counts(compare, &text);
  add_paragraph(&text, width, out);
  text_deinit(&text);
}

Err compare_text(const Compare *compare, int width, int parts, Text *out, Fault *fault) {
  Shown shown = shown_of(compare);
  if ((parts & COMPARE_VERDICTS) && compare->n_complete + compare->n_diverged == 0) {
    add_nothing(compare, width, out);
    parts = COMPARE_VERDICTS;
  }
  size_t begin = out->n_bytes;
  for (int part = 1; part <= COMPARE_WORDS; part *= 2) {
    if (!(parts & part)) continue;
    if (out->n_bytes > begin) text_add(out, "\n");
    if (part == COMPARE_VERDICTS) compare_add_verdicts(compare, sentence_columns(width), out);
    if (part == COMPARE_CELLS) add_cells(compare, shown, width, out);
    if (part == COMPARE_EFFECTS) add_effects(compare, shown, width, out);
    if (part == COMPARE_CONTRASTS) add_contrasts(compare, shown, width, out);
    if (part == COMPARE_REACH) compare_add_reach(compare, sentence_columns(width), out);
    if (part == COMPARE_WORDS) compare_add_words(compare, sentence_columns(width), out);
  }
  return out->failed ? fault_memory(fault, out->n_bytes) : ERR_OK;
}
