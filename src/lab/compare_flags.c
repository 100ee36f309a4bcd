/* compare_flags.c: what a reader should be careful about: floors, ceilings, variances.
 *
 * Ends of the scale. Where a configuration cannot get worse (a network that answers one
 * class only), differences between such configurations are squeezed to nothing, and the
 * spread with them. A cell is at the floor if
 *   its mean is within 2 % of the metric's range (low to high, if known) of the bad
 *   end; or
 *   at least half of its values are alike (within 1 % of the range of all values) and
 *   as bad as the worst of the study, and either at least two of them are equal to the
 *   last bit, or another cell is so too and its sd is at most a quarter of the median
 *   of the cells that are not.
 * A cell is at the ceiling if its mean is within 2 % of the range of the good end, or
 * at least half of its values, and two, are equal to the study's best to the last bit.
 * Where a measure is coarse (the accuracy on 100 rows), equal values are nothing
 * special: the second of each pair of rules holds only if the end has at least twice as
 * many values as any other value has.
 *
 * Runs at the floor. Where some runs of a configuration learn and others do not, its
 * mean describes neither. A run is at the floor if its own value is within 2 % of the
 * metric's range of the bad end; or its value is like the worst of the study, and its
 * cell is at the floor, or the study has such a floor: some cell has values both there
 * and elsewhere, at least two are there, and either half of the range of all values
 * separates them from the rest, or the end has twice as many as any other value and a
 * tenth of the range does, or three are equal to the last bit.
 *
 * Variances. They count as unequal if Brown and Forsythe's test over the cells with
 * five trials or more gives p < .05 and the largest sd is at least twice the
 * smallest. */
#include "lab/compare_private.h"
#include <math.h>

enum {
  VARIANCE_MIN = 5,          /* fewer values say little about a spread */
  FLOOR_EQUAL = 3,           /* values that are the same to the last bit */
  FLOOR_GAP = 10,            /* times what counts as alike: a tenth of the range, ... */
  FLOOR_FAR = 50             /* ... and half of it */
};

typedef struct Ends {
  double alike;                   /* values closer than that are alike */
  bool crowded_bad, crowded_good; /* see stands_out */
  bool has_floored;    /* some cells have runs both at the bad end and apart from it */
  int n_alike;         /* cells with half of their values at the bad end */
  double sd_elsewhere; /* the median sd of the other cells; NaN: there is none */
} Ends;

/* How many values of the cell are within `tolerance` of `end`. */
static int count_at(const Compare *compare, int cell, double end, double tolerance) {
  const double *row = compare_row(compare, cell, false);
  int n = 0;
  for (int s = 0; s < compare->n_seeds; s++) n += fabs(row[s] - end) <= tolerance;
  return n;
}

/* Is the value within 2 % of the metric's range of its good (or bad) end? */
static bool near_bound(const Compare *compare, double value, bool good) {
  double low = compare->spec.low, high = compare->spec.high;
  bool upper = good == (compare->spec.goal == COMPARE_MAX);
  return low < high && fabs(value - (upper ? high : low)) <= 0.02 * (high - low);
}

/* Are there more values within `tolerance` of `end` than a coarse measure would give?
 * The values are sorted. */
static bool stands_out(const double *values, int64_t n, double end, double tolerance) {
  int64_t at_end = 0, most = 0, run = 0;
  for (int64_t i = 0; i < n; i++) {
    bool alike = fabs(values[i] - end) <= tolerance;
    at_end += alike;
    run = alike ? 0 : run > 0 && values[i] == values[i - 1] ? run + 1 : 1;
    if (run > most) most = run;
  }
  return at_end >= 2 * most;
}

/* Are at least half of the cell's values as bad as the worst? */
static bool is_alike(const Compare *compare, int cell, const Ends *ends) {
  int n = compare->cells[cell].sample.n;
  return n > 0 && 2 * count_at(compare, cell, compare->worst, ends->alike) >= n;
}

/* Are the values at the bad end set apart from the others? */
static bool is_apart(const Compare *compare, const double *values, int64_t n,
                     const Ends *ends) {
  double gap = INFINITY;
  int n_end = 0, n_equal = 0;
  for (int64_t i = 0; i < n; i++) {
    double distance = fabs(values[i] - compare->worst);
    n_equal += distance == 0;
    n_end += distance <= ends->alike;
    if (distance > ends->alike) gap = fmin(gap, distance);
  }
  if (n_end < 2 || isinf(gap)) return false;
  bool clear = n_equal >= FLOOR_EQUAL || gap >= FLOOR_GAP * ends->alike;
  return (ends->crowded_bad && clear) || gap >= FLOOR_FAR * ends->alike;
}

static bool any_cell_is_mixed(const Compare *compare, const Ends *ends) {
  for (int c = 0; c < compare->n_cells; c++) {
    int n = count_at(compare, c, compare->worst, ends->alike);
    if (n > 0 && n < compare->cells[c].sample.n) return true;
  }
  return false;
}

/* `values` has room for all, and for a cell's sd. */
static void find_crowds(const Compare *compare, double *values, Ends *ends) {
  int64_t n = 0;
  int n_sds = 0;
  for (int c = 0; c < compare->n_cells; c++)
    n += compare_values(compare, c, false, &values[n]);
  stat_sort(values, n);
  ends->crowded_bad = stands_out(values, n, compare->worst, ends->alike);
  ends->crowded_good = stands_out(values, n, compare->best, 0);
  ends->has_floored = is_apart(compare, values, n, ends) &&
                      any_cell_is_mixed(compare, ends);
  for (int c = 0; c < compare->n_cells; c++) {
    bool alike = is_alike(compare, c, ends);
    ends->n_alike += alike;
    if (!alike && compare->cells[c].sample.n >= 2)
      values[n_sds++] = compare->cells[c].sample.sd;
  }
  stat_sort(values, n_sds);
  ends->sd_elsewhere = n_sds ? values[n_sds / 2] : NAN;
}

static bool at_floor(const Compare *compare, int c, const Ends *ends) {
  if (near_bound(compare, compare->cells[c].sample.mean, false)) return true;
  if (!ends->crowded_bad || !is_alike(compare, c, ends)) return false;
  bool squeezed = compare->cells[c].sample.sd <= ends->sd_elsewhere / 4;
  return count_at(compare, c, compare->worst, 0) > 1 || (ends->n_alike > 1 && squeezed);
}

static bool at_ceiling(const Compare *compare, int c, const Ends *ends) {
  if (near_bound(compare, compare->cells[c].sample.mean, true)) return true;
  int best = count_at(compare, c, compare->best, 0);
  return ends->crowded_good && best > 1 && 2 * best >= compare->cells[c].sample.n;
}

static void flag_runs(const Compare *compare, int c, const Ends *ends) {
  CompareCell *cell = &compare->cells[c];
  const double *row = compare_row(compare, c, false);
  for (int s = 0; s < compare->n_seeds; s++) {
    bool at_end = fabs(row[s] - compare->worst) <= ends->alike;
    cell->runs.n_floored += (at_end && (cell->floor || ends->has_floored)) ||
                            near_bound(compare, row[s], false);
  }
}

static void flag_ends(Compare *compare, double *values) {
  Ends ends = {.alike = 0.01 * fabs(compare->best - compare->worst)};
  if (!(ends.alike > 0)) return;
  find_crowds(compare, values, &ends);
  for (int c = 0; c < compare->n_cells; c++) {
    CompareCell *cell = &compare->cells[c];
    if (cell->sample.n == 0) continue;
    cell->floor = at_floor(compare, c, &ends);
    cell->ceiling = at_ceiling(compare, c, &ends);
    flag_runs(compare, c, &ends);
    compare->n_floor += cell->floor;
    compare->n_ceiling += cell->ceiling;
  }
}

static Err flag_variances(Compare *compare, double *values, int *sizes) {
  int64_t n = 0;
  compare->sd_min = compare->sd_max = NAN;
  for (int c = 0; c < compare->n_cells; c++) {
    const StatSample *sample = &compare->cells[c].sample;
    sizes[c] = sample->n < VARIANCE_MIN ? 0 : sample->n;
    if (sizes[c] == 0) continue;
    n += compare_values(compare, c, false, &values[n]);
    compare->sd_min = fmin(compare->sd_min, sample->sd);
    compare->sd_max = fmax(compare->sd_max, sample->sd);
  }
  Err err = stat_brown_forsythe(values, sizes, compare->n_cells, &compare->variance_p,
                                compare->fault);
  compare->unequal = compare->variance_p < STAT_ALPHA &&
                     compare->sd_max >= 2 * compare->sd_min;
  return err;
}

Err compare_make_flags(Compare *compare) {
  int64_t size = (int64_t)compare->n_cells * (compare->n_seeds + 1);
  double *values = compare_alloc(compare, size, sizeof *values);
  int *sizes = compare_alloc(compare, compare->n_cells, sizeof *sizes);
  if (!values || !sizes) return ERR_MEMORY;
  flag_ends(compare, values);
  for (int c = 0; c < compare->n_cells; c++)
    compare_add_runs(&compare->runs, compare->cells[c].runs);
  return flag_variances(compare, values, sizes);
}
