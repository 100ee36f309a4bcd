/* stat_anova.c: the balanced analysis of variance, by sweeping.
 *
 * On a copy of the values, effect after effect is taken out: the mean over everything
 * but the effect's own indices is subtracted, and its squares, times the values it
 * stands for, are the effect's sum of squares. In a balanced grid the effects are
 * orthogonal, so after the means of lower order are gone this is the classical
 * decomposition, without the cancellation of the textbook's sums. */
#include "lab/stat_anova.h"
#include "lab/stat_dist.h"
#include "lab/stat_sample.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A grid and how to walk it: value i has level i / stride[f] % levels[f] of factor f;
 * the block is i % n_blocks. */
typedef struct Grid {
  double *v;
  int64_t n;
  const int *levels;
  int64_t stride[STAT_FACTORS_MAX];
  int n_factors, n_blocks;
} Grid;

static Grid grid_of(const int *levels, int n_factors, int n_blocks) {
  must(n_factors >= 0 && n_factors <= STAT_FACTORS_MAX && n_blocks >= 1);
  Grid grid = {.n = n_blocks, .levels = levels, .n_factors = n_factors,
               .n_blocks = n_blocks};
  for (int f = n_factors - 1; f >= 0; f--) {
    must(levels[f] >= 1);
    grid.stride[f] = grid.n;
    grid.n *= levels[f];
  }
  return grid;
}

/* Sweeps out the means of the groups that `group` numbers; returns their sum of
 * squares. `sums` has room for one number per group. All groups have the same size. */
static double sweep(Grid *grid, int64_t n_groups, double *sums,
                    int64_t (*group)(const Grid *grid, int64_t i, int a, int b), int a,
                    int b) {
  int64_t in_group = grid->n / n_groups;
  double size = (double)in_group, squares = 0;
  memset(sums, 0, (size_t)n_groups * sizeof *sums);
  for (int64_t i = 0; i < grid->n; i++) sums[group(grid, i, a, b)] += grid->v[i];
  for (int64_t g = 0; g < n_groups; g++) sums[g] /= size;
  for (int64_t i = 0; i < grid->n; i++) grid->v[i] -= sums[group(grid, i, a, b)];
  for (int64_t g = 0; g < n_groups; g++) squares += sums[g] * sums[g];
  return size * squares;
}

static int64_t group_all(const Grid *grid, int64_t i, int a, int b) {
  (void)grid, (void)i, (void)a, (void)b;
  return 0;
}
static int64_t group_factor(const Grid *grid, int64_t i, int a, int b) {
  (void)b;
  return i / grid->stride[a] % grid->levels[a];
}
static int64_t group_pair(const Grid *grid, int64_t i, int a, int b) {
  return group_factor(grid, i, a, 0) * grid->levels[b] + group_factor(grid, i, b, 0);
}
static int64_t group_cell(const Grid *grid, int64_t i, int a, int b) {
  (void)a, (void)b;
  return i / grid->n_blocks;
}
static int64_t group_block(const Grid *grid, int64_t i, int a, int b) {
  (void)a, (void)b;
  return i % grid->n_blocks;
}

int stat_anova_count(int n_factors, int n_blocks) {
  int pairs = n_factors * (n_factors - 1) / 2;
  return n_factors + pairs + (n_factors > 2) + 2 * (n_blocks > 1) + 1;
}

/* Writes the effects with df and sum of squares; returns how many. `sums` has room for
 * the cells, or for the blocks if those are more. */
static int decompose(Grid *grid, double *sums, StatEffect *out) {
  int n = 0;
  const int *levels = grid->levels;
  int64_t n_cells = grid->n / grid->n_blocks, df_left = n_cells - 1;
  sweep(grid, 1, sums, group_all, 0, 0);
  double total = 0;
  for (int64_t i = 0; i < grid->n; i++) total += grid->v[i] * grid->v[i];
  for (int f = 0; f < grid->n_factors; f++) {
    StatEffect effect = {.source = STAT_FACTOR, .a = f, .b = -1, .df = levels[f] - 1};
    effect.ss = sweep(grid, levels[f], sums, group_factor, f, 0);
    df_left -= effect.df;
    out[n++] = effect;
  }
  for (int a = 0; a < grid->n_factors; a++) {
    for (int b = a + 1; b < grid->n_factors; b++) {
      StatEffect effect = {.source = STAT_PAIR, .a = a, .b = b};
      effect.df = (int64_t)(levels[a] - 1) * (levels[b] - 1);
      effect.ss = sweep(grid, (int64_t)levels[a] * levels[b], sums, group_pair, a, b);
      df_left -= effect.df;
      out[n++] = effect;
    }
  }
  if (grid->n_factors > 2) {
    StatEffect effect = {.source = STAT_HIGHER, .a = -1, .b = -1, .df = df_left};
    effect.ss = sweep(grid, n_cells, sums, group_cell, 0, 0);
    out[n++] = effect;
  }
  if (grid->n_blocks > 1) {
    StatEffect block = {.source = STAT_BLOCK, .a = -1, .b = -1};
    block.df = grid->n_blocks - 1;
    block.ss = sweep(grid, grid->n_blocks, sums, group_block, 0, 0);
    StatEffect rest = {.source = STAT_RESIDUAL, .a = -1, .b = -1};
    rest.df = block.df * (n_cells - 1);
    for (int64_t i = 0; i < grid->n; i++) rest.ss += grid->v[i] * grid->v[i];
    out[n++] = block;
    out[n++] = rest;
  }
  out[n++] = (StatEffect){.source = STAT_TOTAL, .a = -1, .b = -1, .df = grid->n - 1,
                          .ss = total};
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
  int64_t n_groups = b < 0 ? levels[a] : (int64_t)levels[a] * levels[b];
  int64_t in_group = grid.n / n_blocks / n_groups;
  double size = (double)in_group;
  memset(out, 0, (size_t)(n_groups * n_blocks) * sizeof *out);
  for (int64_t i = 0; i < grid.n; i++) {
    int64_t g = b < 0 ? group_factor(&grid, i, a, 0) : group_pair(&grid, i, a, b);
    out[g * n_blocks + i % n_blocks] += values[i];
  }
  for (int64_t i = 0; i < n_groups * n_blocks; i++) out[i] /= size;
}

/* Replaces the values of each usable group by their distances from its median; returns
 * the number of groups, whose sizes are then sizes[0 ..]. */
static Err to_distances(const double *values, const int *sizes, int n_groups,
                        double *distances, int *kept, int *n_kept, Fault *fault) {
  *n_kept = 0;
  for (int g = 0; g < n_groups; values += sizes[g++]) {
    if (sizes[g] < 2) continue;
    StatSample sample;
    Err err = stat_sample(values, sizes[g], &sample, fault);
    if (err) return err;
    for (int i = 0; i < sizes[g]; i++) *distances++ = fabs(values[i] - sample.median);
    kept[(*n_kept)++] = sizes[g];
  }
  return ERR_OK;
}

/* The p of the one-way F test. */
static double one_way(const double *values, const int *sizes, int n_groups) {
  int n = 0;
  double sum = 0, between = 0, within = 0;
  for (int g = 0; g < n_groups; g++)
    for (int i = 0; i < sizes[g]; i++) sum += values[n++];
  const double *group = values;
  for (int g = 0; g < n_groups; group += sizes[g++]) {
    double mean = stat_mean(group, sizes[g]);
    between += sizes[g] * (mean - sum / n) * (mean - sum / n);
    for (int i = 0; i < sizes[g]; i++) within += (group[i] - mean) * (group[i] - mean);
  }
  if (n_groups < 2 || n == n_groups || !(between + within > 0)) return NAN;
  double f = between / (n_groups - 1) / (within / (n - n_groups));
  return stat_f_tail(f, n_groups - 1, n - n_groups);
}

Err stat_brown_forsythe(const double *values, const int *sizes, int n_groups, double *p,
                        Fault *fault) {
  size_t n = 1;
  for (int g = 0; g < n_groups; g++) n += (size_t)sizes[g];
  double *distances = malloc(n * sizeof *distances);
  int *kept = malloc(((size_t)n_groups + 1) * sizeof *kept);
  int n_kept = 0;
  Err err = distances && kept ? ERR_OK : fault_memory(fault, n * sizeof *distances);
  if (!err)
    err = to_distances(values, sizes, n_groups, distances, kept, &n_kept, fault);
  if (!err) *p = one_way(distances, kept, n_kept);
  free(distances);
  free(kept);
  return err;
}
