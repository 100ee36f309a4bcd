/* compare_grid.c: the largest complete sub-grid, and what each factor explains on it.
 *
 * The dimensions are the factors that vary (of those that change together, the first)
 * and the seeds; a factor that does not apply counts as one more level. Of the dense
 * table of their levels the largest complete part is chosen (if it can be, with two
 * seeds, which leaves a residual); factors with one level left in it are held fixed. */
#include "lab/compare_private.h"
#include "lab/stat_grid.h"
#include <math.h>
#include <string.h>

enum {
  DENSE_MAX = 1 << 20
}; /* combinations of the table; a sparser study has no grid */

typedef struct Dense {
  int n_dims; /* seeds included, as the last */
  int factor[STAT_FACTORS_MAX];
  int sizes[STAT_FACTORS_MAX];
  int *levels[STAT_FACTORS_MAX]; /* that occur, of each factor, ascending */
  int64_t n;                     /* combinations */
  int *cell;                     /* per combination of levels; -1: none */
  bool *keep;                    /* per level of each dimension */
  int first[STAT_FACTORS_MAX];
} Dense;

/* Levels of the factor that occur in cells. */
static Err find_levels(Compare *compare, int factor, Dense *dense, Fault *fault) {
  int n_levels = compare->spec.factors[factor].n_levels, d = dense->n_dims++;
  bool *seen = compare_alloc(compare, n_levels + 1, sizeof *seen, fault);
  int *levels = compare_alloc(compare, n_levels + 1, sizeof *levels, fault);
  if (!seen || !levels) return ERR_MEMORY;
  for (int c = 0; c < compare->n_cells; c++)
    seen[compare->cells[c].levels[factor] + 1] = true;
  dense->factor[d] = factor;
  dense->levels[d] = levels;
  for (int l = -1; l < n_levels; l++)
    if (seen[l + 1]) levels[dense->sizes[d]++] = l;
  return ERR_OK;
}

static int level_index(const Dense *dense, int d, int level) {
  int i = 0;
  while (dense->levels[d][i] != level) i++;
  return i;
}

static Err dense_init(Compare *compare, Dense *dense, Fault *fault) {
  for (int f = 0; f < compare->spec.n_factors; f++) {
    if (!compare->varies[f] || !compare_leads(compare, f)) continue;
    Err err = find_levels(compare, f, dense, fault);
    if (err) return err;
  }
  int seeds = dense->n_dims++, n_levels = 0;
  dense->factor[seeds] = -1;
  dense->sizes[seeds] = compare->n_seeds;
  dense->n = 1;
  for (int d = 0; d < dense->n_dims; d++) {
    dense->first[d] = n_levels;
    n_levels += dense->sizes[d];
    dense->n *= dense->sizes[d];
    if (dense->n > DENSE_MAX) return ERR_OK;
  }
  if (dense->n == 0) return ERR_OK;
  int64_t n_cells = dense->n / compare->n_seeds;
  dense->cell = compare_alloc(compare, n_cells, sizeof *dense->cell, fault);
  dense->keep = compare_alloc(compare, n_levels, sizeof *dense->keep, fault);
  if (!dense->cell || !dense->keep) return ERR_MEMORY;
  for (int64_t i = 0; i < n_cells; i++) dense->cell[i] = -1;
  for (int c = 0; c < compare->n_cells; c++) {
    int64_t at = 0;
    for (int d = 0; d < seeds; d++)
      at = at * dense->sizes[d] +
           level_index(dense, d, compare->cells[c].levels[dense->factor[d]]);
    dense->cell[at] = c;
  }
  return ERR_OK;
}

static Err choose(Compare *compare, Dense *dense, Fault *fault) {
  bool *present = compare_alloc(compare, dense->n, sizeof *present, fault);
  if (!present) return ERR_MEMORY;
  for (int64_t i = 0; i < dense->n; i++) {
    int cell = dense->cell[i / compare->n_seeds];
    double value;
    present[i] = cell >= 0 && compare_value(compare, cell, (int)(i % compare->n_seeds),
                                            false, &value);
  }
  int64_t count;
  return stat_grid_largest(present, dense->sizes, dense->n_dims, 2, dense->keep, &count,
                           fault);
}

static int n_kept(const Dense *dense, int d) {
  int n = 0;
  for (int l = 0; l < dense->sizes[d]; l++) n += dense->keep[dense->first[d] + l];
  return n;
}

/* The values of the chosen part, in the dense table's order. */
static double *kept_values(Compare *compare, const Dense *dense, Fault *fault) {
  double *values = compare_alloc(compare, dense->n, sizeof *values, fault);
  int64_t n = 0;
  for (int64_t i = 0; values && i < dense->n; i++) {
    bool kept = true;
    int64_t rest = i;
    for (int d = dense->n_dims - 1; d >= 0; rest /= dense->sizes[d--])
      kept = kept && dense->keep[dense->first[d] + rest % dense->sizes[d]];
    if (kept)
      compare_value(compare, dense->cell[i / compare->n_seeds],
                    (int)(i % compare->n_seeds), false, &values[n++]);
  }
  return values;
}

/* -- what it is, in words ---------------------------------------------------------- */

/* "activation without sigmoid", or "activation in {relu, tanh}", whichever is
 * shorter. */
static void add_dimension(const Compare *compare, const Dense *dense, int d,
                          Text *out) {
  int kept = n_kept(dense, d);
  bool tell_kept = 2 * kept <= dense->sizes[d];
  const char *between = "";
  compare_add_factor(compare, dense->factor[d], out);
  text_add(out, kept == 1 ? " = " : tell_kept ? " in {" : " without ");
  for (int l = 0; l < dense->sizes[d]; l++) {
    if (dense->keep[dense->first[d] + l] != (tell_kept || kept == 1)) continue;
    text_add(out, between);
    compare_add_level(compare, dense->factor[d], dense->levels[d][l], out);
    between = ", ";
  }
  if (kept > 1 && tell_kept) text_add(out, "}");
}

static Err describe(Compare *compare, const Dense *dense, Fault *fault) {
  CompareGrid *grid = &compare->grid;
  Text text = {0};
  text_addf(&text, "%d of %d cells x %d of %d seeds", grid->n_cells, compare->n_cells,
            grid->n_seeds, compare->n_seeds);
  if (grid->whole) {
    text.n_bytes = 0;
    text_addf(&text, "all %d cells x %d seed%s", grid->n_cells, grid->n_seeds,
              grid->n_seeds == 1 ? "" : "s");
  }
  const char *between = ": ";
  for (int d = 0; d + 1 < dense->n_dims; d++) {
    if (n_kept(dense, d) == dense->sizes[d]) continue;
    text_add(&text, between);
    add_dimension(compare, dense, d, &text);
    between = "; ";
  }
  grid->text = text.failed ? NULL : compare_copy(compare, text.data, fault);
  Err err = text.failed  ? fault_memory(fault, text.n_bytes)
            : grid->text ? ERR_OK
                         : ERR_MEMORY;
  text_deinit(&text);
  return err;
}

/* -- effects and margins ----------------------------------------------------------- */

/* The chosen grid's factors, as dimensions of the dense table. */
typedef struct Kept {
  int n;
  int dim[STAT_FACTORS_MAX];
  int levels[STAT_FACTORS_MAX];
} Kept;

/* The spec's level that is number `i` of those kept. */
static int kept_level(const Dense *dense, int d, int i) {
  for (int l = 0; l < dense->sizes[d]; l++)
    if (dense->keep[dense->first[d] + l] && i-- == 0) return dense->levels[d][l];
  return -1;
}

static Err make_effects(Compare *compare, const Dense *dense, const Kept *kept,
                        const double *values, Fault *fault) {
  CompareGrid *grid = &compare->grid;
  grid->n_effects = stat_anova_count(kept->n, grid->n_seeds);
  grid->effects = compare_alloc(compare, grid->n_effects, sizeof *grid->effects, fault);
  if (!grid->effects) return ERR_MEMORY;
  Err err = stat_anova(values, kept->levels, kept->n, grid->n_seeds, grid->effects,
                       fault);
  for (int i = 0; i < grid->n_effects && !err; i++) {
    StatEffect *effect = &grid->effects[i];
    if (effect->a >= 0) effect->a = dense->factor[kept->dim[effect->a]];
    if (effect->b >= 0) effect->b = dense->factor[kept->dim[effect->b]];
  }
  return err;
}

/* By bootstrap-t, as all intervals then are. */
static Err bootstrap_margin(const Compare *compare, const double *values,
                            CompareMargin *margin, Fault *fault) {
  Text name = {0};
  const int factors[] = {margin->a, margin->b},
            levels[] = {margin->level_a, margin->level_b};
  for (int i = 0; i < 2 && factors[i] >= 0; i++)
    text_addf(&name, "%s=%s ", compare->spec.factors[factors[i]].name,
              compare_level(compare, factors[i], levels[i]));
  Stream stream = {philox_key(0, "bootstrap margin", name.data), 0};
  Err err = name.failed ? fault_memory(fault, name.n_bytes)
                        : stat_bootstrap_t(values, margin->sample.n, stream,
                                           &margin->sample.interval, fault);
  text_deinit(&name);
  return err;
}

/* Adds the margins of kept factor a, or of a and b. */
static Err add_margins(Compare *compare, const Dense *dense, const Kept *kept, int a,
                       int b, const double *values, double *sums, Fault *fault) {
  CompareGrid *grid = &compare->grid;
  int n_b = b < 0 ? 1 : kept->levels[b];
  stat_marginals(values, kept->levels, kept->n, grid->n_seeds, a, b, sums);
  for (int i = 0; i < kept->levels[a] * n_b; i++) {
    CompareMargin *margin = &grid->margins[grid->n_margins++];
    margin->a = dense->factor[kept->dim[a]];
    margin->b = b < 0 ? -1 : dense->factor[kept->dim[b]];
    margin->level_a = kept_level(dense, kept->dim[a], i / n_b);
    margin->level_b = b < 0 ? -1 : kept_level(dense, kept->dim[b], i % n_b);
    const double *means = sums + (int64_t)i * grid->n_seeds; /* one for each seed */
    Err err = stat_sample(means, grid->n_seeds, &margin->sample, fault);
    if (!err && compare->spec.bootstrap)
      err = bootstrap_margin(compare, means, margin, fault);
    if (err) return err;
  }
  return ERR_OK;
}

static Err make_margins(Compare *compare, const Dense *dense, const Kept *kept,
                        const double *values, Fault *fault) {
  CompareGrid *grid = &compare->grid;
  int64_t n = 0;
  for (int a = 0; a < kept->n; a++) {
    n += kept->levels[a];
    for (int b = a + 1; b < kept->n; b++)
      n += (int64_t)kept->levels[a] * kept->levels[b];
  }
  grid->margins = compare_alloc(compare, n, sizeof *grid->margins, fault);
  double *sums = compare_alloc(compare, dense->n, sizeof *sums, fault);
  if (!grid->margins || !sums) return ERR_MEMORY;
  Err err = ERR_OK;
  for (int a = 0; a < kept->n && !err; a++)
    err = add_margins(compare, dense, kept, a, -1, values, sums, fault);
  for (int a = 0; a < kept->n && !err; a++)
    for (int b = a + 1; b < kept->n && !err; b++)
      err = add_margins(compare, dense, kept, a, b, values, sums, fault);
  return err;
}

static Kept kept_factors(Compare *compare, const Dense *dense) {
  CompareGrid *grid = &compare->grid;
  Kept kept = {0};
  grid->n_cells = 1;
  grid->n_seeds = n_kept(dense, dense->n_dims - 1);
  for (int d = 0; d + 1 < dense->n_dims; d++) {
    int levels = n_kept(dense, d);
    grid->n_cells *= levels;
    if (levels < 2) continue;
    kept.dim[kept.n] = d;
    kept.levels[kept.n++] = levels;
  }
  grid->whole = grid->n_cells == compare->n_cells && grid->n_seeds == compare->n_seeds;
  return kept;
}

Err compare_make_grid(Compare *compare, Fault *fault) {
  Dense dense = {0};
  CompareGrid *grid = &compare->grid;
  Err err = dense_init(compare, &dense, fault);
  if (err || !dense.keep) return err;
  err = choose(compare, &dense, fault);
  if (err) return err;
  Kept kept = kept_factors(compare, &dense);
  if (kept.n == 0 || grid->n_seeds == 0) return ERR_OK;
  int *factors = compare_alloc(compare, kept.n, sizeof *factors, fault);
  double *values = factors ? kept_values(compare, &dense, fault) : NULL;
  if (!values) return ERR_MEMORY;
  for (int i = 0; i < kept.n; i++) factors[i] = dense.factor[kept.dim[i]];
  err = make_effects(compare, &dense, &kept, values, fault);
  if (!err) err = make_margins(compare, &dense, &kept, values, fault);
  if (!err) err = describe(compare, &dense, fault);
  if (err) return err;
  grid->factors = factors;
  grid->n_factors = kept.n;
  return ERR_OK;
}
