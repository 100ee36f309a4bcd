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
  int sizes[STAT_FACTORS_MAX]; /* levels of each dimension */
  int64_t n;                   /* combinations */
  double *values;              /* of these; NaN: none */
  bool *keep;                  /* per level of each dimension */
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
  dense->values = compare_alloc(compare, dense->n, sizeof *dense->values);
  dense->keep = compare_alloc(compare, n_levels, sizeof *dense->keep);
  if (!dense->values || !dense->keep) return ERR_MEMORY;
  for (int64_t i = 0; i < dense->n; i++) dense->values[i] = NAN;
  for (int c = 0; c < compare->n_cells; c++)
    memcpy(dense->values + place_of(dense, &compare->cells[c]) * compare->n_seeds,
           compare_row(compare, c, false),
           (size_t)compare->n_seeds * sizeof *dense->values);
  return ERR_OK;
}

static Err choose(Compare *compare, Dense *dense) {
  bool *present = compare_alloc(compare, dense->n, sizeof *present),
       *keep = dense->keep;
  if (!present) return ERR_MEMORY;
  for (int64_t i = 0; i < dense->n; i++) present[i] = !isnan(dense->values[i]);
  for (int d = 0; d < dense->n_dims; d++) dense->sizes[d] = dense->dims[d].n;
  int64_t count;
  Err err = stat_grid_largest(present, dense->sizes, dense->n_dims, 2, keep, &count,
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

/* Leaves the values of the chosen part, in their order. */
static void keep_values(Dense *dense) {
  int64_t n = 0;
  for (int64_t i = 0; i < dense->n; i++) {
    bool kept = true;
    int64_t rest = i;
    for (int d = dense->n_dims - 1; d >= 0; rest /= dense->dims[d--].n)
      kept = kept && dense->dims[d].keep[rest % dense->dims[d].n];
    if (kept) dense->values[n++] = dense->values[i];
  }
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
    dense->sizes[n_dims] = dim->n;
    n_dims += dim->n > 1;
  }
  dense->n_dims = n_dims;
}

/* Of a grid that is compact, as what follows. */
static Err make_effects(Compare *compare, const Dense *dense) {
  CompareGrid *grid = &compare->grid;
  grid->n_effects = stat_anova_count(dense->n_dims, grid->n_seeds);
  grid->effects = compare_alloc(compare, grid->n_effects, sizeof *grid->effects);
  if (!grid->effects) return ERR_MEMORY;
  Err err = stat_anova(dense->values, dense->sizes, dense->n_dims, grid->n_seeds,
                       grid->effects, compare->fault);
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
static Err add_margins(Compare *compare, const Dense *dense, int a, int b,
                       double *sums) {
  CompareGrid *grid = &compare->grid;
  const Dimension *of_a = &dense->dims[a], *of_b = b < 0 ? NULL : &dense->dims[b];
  int n_b = of_b ? of_b->n : 1;
  stat_marginals(dense->values, dense->sizes, dense->n_dims, grid->n_seeds, a, b, sums);
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

static Err make_margins(Compare *compare, const Dense *dense) {
  CompareGrid *grid = &compare->grid;
  const int *sizes = dense->sizes;
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
    err = add_margins(compare, dense, a, -1, sums);
  for (int a = 0; a < dense->n_dims && !err; a++)
    for (int b = a + 1; b < dense->n_dims && !err; b++)
      err = add_margins(compare, dense, a, b, sums);
  return err;
}

Err compare_make_grid(Compare *compare) {
  Dense dense = {0};
  CompareGrid *grid = &compare->grid;
  int n_factors = 0;
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
  if (describe(compare, &dense)) return ERR_MEMORY;
  keep_values(&dense);
  compact(&dense);
  err = make_effects(compare, &dense);
  return err ? err : make_margins(compare, &dense);
}
