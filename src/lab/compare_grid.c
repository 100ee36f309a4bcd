/* compare_grid.c: the largest complete sub-grid, and what each factor explains on it.
 *
 * The dimensions are the factors that vary (of those that change together, the first)
 * and the seeds; a factor that does not apply counts as one more level. Of the dense
 * table of their levels the largest complete part is chosen (if it can be, with two
 * seeds, which leaves a residual); factors with one level left in it are held fixed. */
#include "lab/compare_private.h"
#include <math.h>
#include <string.h>

enum {
  DENSE_MAX = 1 << 20
}; /* combinations of the table; a sparser study has no grid */

typedef struct Dimension {
  int factor; /* -1: the seeds */
  int n, n_kept;
  int *levels;      /* of the factor, those that occur, ascending */
  const bool *keep; /* per level: is it of the chosen part? */
} Dimension;

typedef struct Dense {
  int n_dims; /* seeds included, as the last */
  Dimension dims[STAT_FACTORS_MAX];
  int64_t n;  /* combinations */
  int *cell;  /* per combination of levels; -1: none */
  bool *keep; /* per level of each dimension */
} Dense;

static Err add_factor(Compare *compare, int factor, Dense *dense) {
  int n = compare->spec.factors[factor].n_levels + 1;
  bool *occurs = compare_alloc(compare, n, sizeof *occurs);
  int *levels = compare_alloc(compare, n, sizeof *levels);
  if (!occurs || !levels) return ERR_MEMORY;
  Dimension *dim = &dense->dims[dense->n_dims++];
  *dim = (Dimension){.factor = factor, .levels = levels};
  for (int c = 0; c < compare->n_cells; c++)
    occurs[compare->cells[c].levels[factor] + 1] = true;
  for (int l = 0; l < n; l++)
    if (occurs[l]) levels[dim->n++] = l - 1;
  return ERR_OK;
}

/* Where the cell is in the table of cells. */
static int64_t place_of(const Dense *dense, const CompareCell *cell) {
  int64_t at = 0;
  for (int d = 0; d + 1 < dense->n_dims; d++) {
    const Dimension *dim = &dense->dims[d];
    int i = 0;
    while (dim->levels[i] != cell->levels[dim->factor]) i++;
    at = at * dim->n + i;
  }
  return at;
}

/* Nothing is kept where the table would be too large, or is empty. */
static Err dense_init(Compare *compare, Dense *dense) {
  int n_levels = 0;
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (compare->varies[f] && compare_leads(compare, f) &&
        add_factor(compare, f, dense))
      return ERR_MEMORY;
  dense->dims[dense->n_dims++] = (Dimension){.factor = -1, .n = compare->n_seeds};
  dense->n = 1;
  for (int d = 0; d < dense->n_dims && dense->n <= DENSE_MAX; d++) {
    n_levels += dense->dims[d].n;
    dense->n *= dense->dims[d].n;
  }
  if (dense->n == 0 || dense->n > DENSE_MAX) return ERR_OK;
  int64_t n_cells = dense->n / compare->n_seeds;
  dense->cell = compare_alloc(compare, n_cells, sizeof *dense->cell);
  dense->keep = compare_alloc(compare, n_levels, sizeof *dense->keep);
  if (!dense->cell || !dense->keep) return ERR_MEMORY;
  for (int64_t i = 0; i < n_cells; i++) dense->cell[i] = -1;
  for (int c = 0; c < compare->n_cells; c++)
    dense->cell[place_of(dense, &compare->cells[c])] = c;
  return ERR_OK;
}

static bool value_at(const Compare *compare, const Dense *dense, int64_t i,
                     double *out) {
  int cell = dense->cell[i / compare->n_seeds];
  return cell >= 0 &&
         compare_value(compare, cell, (int)(i % compare->n_seeds), false, out);
}

static Err choose(Compare *compare, Dense *dense) {
  bool *present = compare_alloc(compare, dense->n, sizeof *present),
       *keep = dense->keep;
  int sizes[STAT_FACTORS_MAX];
  double value;
  if (!present) return ERR_MEMORY;
  for (int64_t i = 0; i < dense->n; i++)
    present[i] = value_at(compare, dense, i, &value);
  for (int d = 0; d < dense->n_dims; d++) sizes[d] = dense->dims[d].n;
  int64_t count;
  Err err = stat_grid_largest(present, sizes, dense->n_dims, 2, keep, &count,
                              compare->fault);
  for (int d = 0; d < dense->n_dims; keep += dense->dims[d++].n) {
    dense->dims[d].keep = keep;
    for (int l = 0; l < dense->dims[d].n; l++) dense->dims[d].n_kept += keep[l];
  }
  return err;
}

/* The level that is number `i` of those that are kept, or of those that are not. */
static int level_number(const Dimension *dim, bool kept, int i) {
  for (int l = 0; l < dim->n; l++)
    if (dim->keep[l] == kept && i-- == 0) return dim->levels[l];
  return -1;
}

/* The values of the chosen part, in the dense table's order. */
static double *kept_values(Compare *compare, const Dense *dense) {
  double *values = compare_alloc(compare, dense->n, sizeof *values);
  int64_t n = 0;
  for (int64_t i = 0; values && i < dense->n; i++) {
    bool kept = true;
    int64_t rest = i;
    for (int d = dense->n_dims - 1; d >= 0; rest /= dense->dims[d--].n)
      kept = kept && dense->dims[d].keep[rest % dense->dims[d].n];
    n += kept && value_at(compare, dense, i, &values[n]);
  }
  return values;
}

/* -- what it is, in words ---------------------------------------------------------- */

/* "activation without sigmoid", or "activation in {relu, tanh}", whichever is shorter.
 */
static void add_dimension_text(const Compare *compare, const Dimension *dim,
                               Text *out) {
  bool one = dim->n_kept == 1, kept = one || 2 * dim->n_kept <= dim->n;
  text_addf(out, "%s%s", compare->titles[dim->factor],
            one    ? " = "
            : kept ? " in {"
                   : " without ");
  for (int i = 0; i < (kept ? dim->n_kept : dim->n - dim->n_kept); i++) {
    int level = level_number(dim, kept, i);
    text_addf(out, "%s%s", i ? ", " : "",
              compare_level_title(compare, dim->factor, level));
  }
  if (kept && !one) text_add(out, "}");
}

static Err describe(Compare *compare, const Dense *dense) {
  CompareGrid *grid = &compare->grid;
  const char *between = ": ";
  Text text = {0};
  if (grid->whole)
    text_addf(&text, "all %d cells x %s", grid->n_cells,
              text_counted(grid->n_seeds, "seed").s);
  else
    text_addf(&text, "%d of %d cells x %d of %d seeds", grid->n_cells, compare->n_cells,
              grid->n_seeds, compare->n_seeds);
  for (int d = 0; d + 1 < dense->n_dims; d++) {
    if (dense->dims[d].n_kept == dense->dims[d].n) continue;
    text_add(&text, between);
    add_dimension_text(compare, &dense->dims[d], &text);
    between = "; ";
  }
  grid->text = compare_keep_text(&compare->spec.blocks, &text, compare->fault);
  return grid->text ? ERR_OK : ERR_MEMORY;
}

/* -- effects and margins ----------------------------------------------------------- */

/* Leaves the chosen levels, of the factors that have two or more. */
static void compact(Dense *dense) {
  int n_dims = 0;
  for (int d = 0; d + 1 < dense->n_dims; d++) {
    Dimension *dim = &dense->dims[n_dims];
    *dim = dense->dims[d];
    dim->n = 0;
    for (int l = 0; dim->n < dim->n_kept; l++)
      if (dim->keep[l]) dim->levels[dim->n++] = dim->levels[l];
    n_dims += dim->n > 1;
  }
  dense->n_dims = n_dims;
}

/* A compact grid from here on: `sizes` are its numbers of levels. */
static Err make_effects(Compare *compare, const Dense *dense, const int *sizes,
                        const double *values) {
  CompareGrid *grid = &compare->grid;
  grid->n_effects = stat_anova_count(dense->n_dims, grid->n_seeds);
  grid->effects = compare_alloc(compare, grid->n_effects, sizeof *grid->effects);
  if (!grid->effects) return ERR_MEMORY;
  Err err = stat_anova(values, sizes, dense->n_dims, grid->n_seeds, grid->effects,
                       compare->fault);
  for (int i = 0; i < grid->n_effects && !err; i++) {
    StatEffect *effect = &grid->effects[i];
    if (effect->a >= 0) effect->a = dense->dims[effect->a].factor;
    if (effect->b >= 0) effect->b = dense->dims[effect->b].factor;
  }
  return err;
}

/* By bootstrap-t, as all intervals then are. */
static Err bootstrap_margin(const Compare *compare, const double *values,
                            CompareMargin *margin) {
  Text name = {0};
  const int factors[] = {margin->a, margin->b};
  const int levels[] = {margin->level_a, margin->level_b};
  for (int i = 0; i < 2 && factors[i] >= 0; i++)
    text_addf(&name, "%s=%s ", compare->spec.factors[factors[i]].name,
              compare_level(compare, factors[i], levels[i]));
  return compare_bootstrap(compare, "bootstrap margin", &name, values, margin->sample.n,
                           &margin->sample.interval);
}

/* Adds the margins of the grid's factor a, or of a and b. */
static Err add_margins(Compare *compare, const Dense *dense, const int *sizes, int a,
                       int b, const double *values, double *sums) {
  CompareGrid *grid = &compare->grid;
  const Dimension *of_a = &dense->dims[a], *of_b = b < 0 ? NULL : &dense->dims[b];
  int n_b = of_b ? of_b->n : 1;
  stat_marginals(values, sizes, dense->n_dims, grid->n_seeds, a, b, sums);
  for (int i = 0; i < of_a->n * n_b; i++) {
    CompareMargin *margin = &grid->margins[grid->n_margins++];
    const double *means = sums + (int64_t)i * grid->n_seeds; /* one for each seed */
    margin->a = of_a->factor;
    margin->b = of_b ? of_b->factor : -1;
    margin->level_a = of_a->levels[i / n_b];
    margin->level_b = of_b ? of_b->levels[i % n_b] : -1;
    Err err = stat_sample(means, grid->n_seeds, &margin->sample, compare->fault);
    if (!err && compare->spec.bootstrap) err = bootstrap_margin(compare, means, margin);
    if (err) return err;
  }
  return ERR_OK;
}

static Err make_margins(Compare *compare, const Dense *dense, const int *sizes,
                        const double *values) {
  CompareGrid *grid = &compare->grid;
  int64_t n = 0, n_values = grid->n_seeds;
  for (int a = 0; a < dense->n_dims; a++) {
    n_values *= sizes[a];
    n += sizes[a];
    for (int b = a + 1; b < dense->n_dims; b++) n += (int64_t)sizes[a] * sizes[b];
  }
  grid->margins = compare_alloc(compare, n, sizeof *grid->margins);
  double *sums = compare_alloc(compare, n_values, sizeof *sums);
  if (!grid->margins || !sums) return ERR_MEMORY;
  Err err = ERR_OK;
  for (int a = 0; a < dense->n_dims && !err; a++)
    err = add_margins(compare, dense, sizes, a, -1, values, sums);
  for (int a = 0; a < dense->n_dims && !err; a++)
    for (int b = a + 1; b < dense->n_dims && !err; b++)
      err = add_margins(compare, dense, sizes, a, b, values, sums);
  return err;
}

Err compare_make_grid(Compare *compare) {
  Dense dense = {0};
  CompareGrid *grid = &compare->grid;
  int n_factors = 0, sizes[STAT_FACTORS_MAX];
  Err err = dense_init(compare, &dense);
  if (err || !dense.keep) return err;
  err = choose(compare, &dense);
  if (err) return err;
  grid->n_cells = 1;
  grid->n_seeds = dense.dims[dense.n_dims - 1].n_kept;
  for (int d = 0; d + 1 < dense.n_dims; d++) {
    grid->n_cells *= dense.dims[d].n_kept;
    n_factors += dense.dims[d].n_kept > 1;
  }
  grid->whole = grid->n_cells == compare->n_cells && grid->n_seeds == compare->n_seeds;
  if (n_factors == 0 || grid->n_seeds == 0) return ERR_OK;
  grid->n_factors = n_factors;
  double *values = kept_values(compare, &dense);
  if (!values || describe(compare, &dense)) return ERR_MEMORY;
  compact(&dense);
  for (int d = 0; d < dense.n_dims; d++) sizes[d] = dense.dims[d].n;
  err = make_effects(compare, &dense, sizes, values);
  return err ? err : make_margins(compare, &dense, sizes, values);
}
