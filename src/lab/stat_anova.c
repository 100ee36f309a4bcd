/* stat_anova.c: the balanced analysis of variance, by sweeping.
 *
 * On a copy of the values, effect after effect is taken out: the mean over everything
 * but the effect's own indices is subtracted, and its squares, times the values
 * of each, are the effect's sum of squares. In a balanced grid the effects are
 * orthogonal, so after the means of lower order are gone this is the classical
 * decomposition, without the cancellation of the textbook's sums. */
#include "lab/stat.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIMS_MAX = STAT_FACTORS_MAX + 1 };

/* A grid and how to walk it: its dimensions are the factors, then the block; value i
 * has level i / stride[d] % levels[d] of dimension d. */
typedef struct Grid {
  double *v;
  int64_t n;
  int n_factors;
  int levels[DIMS_MAX];
  int64_t stride[DIMS_MAX];
} Grid;

static Grid grid_of(const int *levels, int n_factors, int n_blocks) {
  must(n_factors >= 0 && n_factors <= STAT_FACTORS_MAX && n_blocks >= 1);
  Grid grid = {.n = 1, .n_factors = n_factors};
  for (int d = n_factors; d >= 0; d--) {
    grid.levels[d] = d < n_factors ? levels[d] : n_blocks;
    grid.stride[d] = grid.n;
    must(grid.levels[d] >= 1);
    grid.n *= grid.levels[d];
  }
  return grid;
}

/* The number of value i's group: of those with its levels of these dimensions. */
static int64_t group_of(const Grid *grid, const int *dims, int n_dims, int64_t i) {
  int64_t group = 0;
  for (int k = 0; k < n_dims; k++) {
    int d = dims[k];
    group = group * grid->levels[d] + i / grid->stride[d] % grid->levels[d];
  }
  return group;
}

/* The means of the values by group; returns how many groups there are. */
static int64_t group_means(const Grid *grid, const double *values, const int *dims,
                           int n_dims, double *means) {
  int64_t n_groups = 1;
  for (int k = 0; k < n_dims; k++) n_groups *= grid->levels[dims[k]];
  int64_t in_group = grid->n / n_groups;
  double size = (double)in_group;
  memset(means, 0, (size_t)n_groups * sizeof *means);
  for (int64_t i = 0; i < grid->n; i++)
    means[group_of(grid, dims, n_dims, i)] += values[i];
  for (int64_t g = 0; g < n_groups; g++) means[g] /= size;
  return n_groups;
}

/* The effect of these dimensions: sweeps out the means of their groups. `means` has
 * room for one number per group. */
static StatEffect sweep(Grid *grid, StatSource source, const int *dims, int n_dims,
                        double *means) {
  StatEffect effect = {.source = source, .a = -1, .b = -1, .df = 1};
  int64_t n_groups = group_means(grid, grid->v, dims, n_dims, means);
  int64_t in_group = grid->n / n_groups;
  for (int64_t i = 0; i < grid->n; i++)
    grid->v[i] -= means[group_of(grid, dims, n_dims, i)];
  for (int64_t g = 0; g < n_groups; g++) effect.ss += means[g] * means[g];
  effect.ss *= (double)in_group;
  for (int k = 0; k < n_dims; k++) effect.df *= grid->levels[dims[k]] - 1;
  if (source <= STAT_PAIR) effect.a = dims[0];
  if (source == STAT_PAIR) effect.b = dims[1];
  return effect;
}

static double squares_of(const Grid *grid) {
  double squares = 0;
  for (int64_t i = 0; i < grid->n; i++) squares += grid->v[i] * grid->v[i];
  return squares;
}

int stat_anova_count(int n_factors, int n_blocks) {
  int pairs = n_factors * (n_factors - 1) / 2;
  return n_factors + pairs + (n_factors > 2) + 2 * (n_blocks > 1) + 1;
}

/* Writes the effects with df and sum of squares; returns how many. `sums` has room for
 * the cells, or for the blocks if those are more. */
static int decompose(Grid *grid, double *sums, StatEffect *out) {
  int n = 0, factors[STAT_FACTORS_MAX], block = grid->n_factors;
  int64_t df_cells = grid->n / grid->levels[block] - 1, df_higher = df_cells;
  sweep(grid, STAT_TOTAL, NULL, 0, sums);
  StatEffect total = {STAT_TOTAL, -1, -1, .df = grid->n - 1, .ss = squares_of(grid)};
  for (int f = 0; f < grid->n_factors; f++) {
    factors[f] = f;
    out[n++] = sweep(grid, STAT_FACTOR, &f, 1, sums);
  }
  for (int a = 0; a < grid->n_factors; a++)
    for (int b = a + 1; b < grid->n_factors; b++)
      out[n++] = sweep(grid, STAT_PAIR, (int[]){a, b}, 2, sums);
  for (int i = 0; i < n; i++) df_higher -= out[i].df;
  if (grid->n_factors > 2) {
    out[n] = sweep(grid, STAT_HIGHER, factors, grid->n_factors, sums);
    out[n++].df = df_higher;
  }
  if (grid->levels[block] > 1) {
    StatEffect rest = {.source = STAT_RESIDUAL, .a = -1, .b = -1};
    out[n] = sweep(grid, STAT_BLOCK, &block, 1, sums);
    rest.df = out[n++].df * df_cells;
    rest.ss = squares_of(grid);
    out[n++] = rest;
  }
  out[n++] = total;
  return n;
}

/* Shares and F from the sums of squares. */
static void share_out(StatEffect *effects, int n) {
  double total = effects[n - 1].ss, ms = NAN;
  const StatEffect *residual = NULL;
  for (int i = 0; i < n; i++)
    if (effects[i].source == STAT_RESIDUAL) residual = &effects[i];
  if (residual && residual->df > 0) ms = residual->ss / (double)residual->df;
  for (int i = 0; i < n; i++) {
    StatEffect *effect = &effects[i];
    effect->eta2 = effect->omega2 = effect->f = effect->p = NAN;
    if (!(total > 0)) continue;
    effect->eta2 = effect->ss / total;
    if (effect->source >= STAT_RESIDUAL || isnan(ms)) continue;
    must(residual);
    effect->omega2 = (effect->ss - (double)effect->df * ms) / (total + ms);
    effect->f = effect->ss / (double)effect->df / ms;
    effect->p = stat_f_tail(effect->f, (double)effect->df, (double)residual->df);
  }
}

Err stat_anova(const double *values, const int *levels, int n_factors, int n_blocks,
               StatEffect *out, Fault *fault) {
  Grid grid = grid_of(levels, n_factors, n_blocks);
  int64_t n_cells = grid.n / n_blocks;
  int64_t n_sums = n_cells > n_blocks ? n_cells : n_blocks;
  size_t bytes = (size_t)(grid.n + n_sums) * sizeof(double);
  grid.v = malloc(bytes);
  if (!grid.v) return fault_memory(fault, bytes);
  memcpy(grid.v, values, (size_t)grid.n * sizeof *values);
  int n = decompose(&grid, grid.v + grid.n, out);
  must(n == stat_anova_count(n_factors, n_blocks));
  bool equal = stat_sd(values, (int)grid.n) == 0; /* sums of rounding have no shares */
  for (int i = 0; i < n && equal; i++) out[i].ss = 0;
  share_out(out, n);
  free(grid.v);
  return ERR_OK;
}

void stat_marginals(const double *values, const int *levels, int n_factors,
                    int n_blocks, int a, int b, double *out) {
  Grid grid = grid_of(levels, n_factors, n_blocks);
  const int dims[] = {a, b < 0 ? n_factors : b, n_factors};
  group_means(&grid, values, dims, b < 0 ? 2 : 3, out);
}

/* The p of the one-way F test of groups of two and more. */
static double one_way(const double *values, const int *sizes, int n_groups) {
  int n = 0, n_used = 0;
  double sum = 0, between = 0, within = 0;
  for (int g = 0; g < n_groups; g++) {
    n_used += sizes[g] >= 2;
    for (int i = 0; i < sizes[g] && sizes[g] >= 2; i++) sum += values[n++];
  }
  const double *group = values;
  for (int g = 0; g < n_groups; g++) {
    if (sizes[g] < 2) continue;
    double mean = stat_mean(group, sizes[g]);
    between += sizes[g] * (mean - sum / n) * (mean - sum / n);
    for (int i = 0; i < sizes[g]; i++) within += (group[i] - mean) * (group[i] - mean);
    group += sizes[g];
  }
  if (n_used < 2 || n == n_used || !(between + within > 0)) return NAN;
  double f = between / (n_used - 1) / (within / (n - n_used));
  return stat_f_tail(f, n_used - 1, n - n_used);
}

Err stat_brown_forsythe(const double *values, const int *sizes, int n_groups, double *p,
                        Fault *fault) {
  size_t n = 1;
  for (int g = 0; g < n_groups; g++) n += (size_t)sizes[g];
  double *distances = malloc(n * sizeof *distances), *out = distances;
  Err err = distances ? ERR_OK : fault_memory(fault, n * sizeof *distances);
  for (int g = 0; g < n_groups && !err; values += sizes[g++]) {
    StatSample sample;
    err = stat_sample(values, sizes[g], &sample, fault);
    for (int i = 0; i < sizes[g] && sizes[g] >= 2 && !err; i++)
      *out++ = fabs(values[i] - sample.median);
  }
  if (!err) *p = one_way(distances, sizes, n_groups);
  free(distances);
  return err;
}
