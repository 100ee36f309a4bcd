/* compare_private.h: what the parts of compare share: memory, table of trials,
 * names. */
#ifndef LAB_COMPARE_PRIVATE_H
#define LAB_COMPARE_PRIVATE_H

#include "lab/compare.h"

/* The analysis that a verdict comes from: of complete trials, where there are any. */
static inline const CompareAnalysis *compare_main(const CompareContrast *contrast) {
  return contrast->complete.paired.n > 0 ? &contrast->complete : &contrast->imputed;
}

static inline bool compare_is_decided(CompareVerdict verdict) {
  return verdict == COMPARE_BETTER || verdict == COMPARE_WORSE;
}

/* Is the verdict one on typical runs, and none on means? */
static inline bool compare_is_typical(const CompareContrast *contrast) {
  if (compare_is_decided(contrast->verdict))
    return contrast->uneven || compare_main(contrast)->dominant >= 0;
  return contrast->uneven && contrast->verdict == COMPARE_EQUIVALENT;
}

static inline int compare_n_wrong(CompareRuns runs) {
  return runs.n_failed + runs.n_diverged + runs.n_floored;
}

/* Zeroed memory that lives as long as `compare`; NULL and its fault on lack of it. */
void *compare_alloc(Compare *compare, int64_t n, size_t size);

/* The trial's value if it is complete, or, when `impute` is set, the worst if it
 * diverged. False: none. */
bool compare_value(const Compare *compare, int cell, int seed, bool impute,
                   double *out);
/* Those of all seeds that have one; returns how many. */
int compare_values(const Compare *compare, int cell, bool impute, double *out);
/* In the goal's direction; false where one is NaN. */
bool compare_is_better(const Compare *compare, double a, double b);

/* By bootstrap-t; the draws are those of the purpose and the name, which is taken. */
Err compare_bootstrap(const Compare *compare, const char *purpose, Text *name,
                      const double *values, int n, StatInterval *out) WARN_UNUSED;

/* Index of the cell with these levels, or -1. */
int compare_find_cell(const Compare *compare, const int *levels);

/* "-" for a factor that does not apply. */
const char *compare_level(const Compare *compare, int factor, int level);

/* The first factor of those that always change together. */
static inline bool compare_leads(const Compare *compare, int factor) {
  return compare->alias[factor] == factor;
}

/* Are there cells, and do they differ, in factors that are drawn? */
bool compare_is_drawn(const Compare *compare);

/* Add names: "activation+init" and "relu+he_normal" for factors that change together;
 * "relu, norm=none" for a cell: its levels of the factors that vary and apply, as
 * level_add has them; "activation=relu norm=none" for levels that are no cell. */
void compare_add_factor(const Compare *compare, int factor, Text *out);
void compare_add_level(const Compare *compare, int factor, int level, Text *out);
void compare_add_cell(const Compare *compare, int cell, Text *out);
void compare_add_place(const Compare *compare, const int *levels, Text *out);
/* One side of a contrast, a level or a cell. Both, the second first where `turn` is
 * set: of cells "tanh beats relu at he_normal" where they share levels, else "tanh,
 * he_normal beats the baseline", "... beats relu, lecun_normal". */
void compare_add_side(const Compare *compare, const CompareContrast *contrast, int side,
                      Text *out);
void compare_add_sides(const Compare *compare, const CompareContrast *contrast,
                       bool turn, const char *between, Text *out);
/* "tanh - relu", "lr=0.1 - 0.2", "encoder=large - small"; of cells "he_normal: tanh -
 * relu", so that contrasts of one setting look alike, or "tanh - baseline". */
void compare_add_contrast(const Compare *compare, const CompareContrast *contrast,
                          Text *out);

/* The parts of compare_new, in this order. */
Err compare_make_flags(Compare *compare) WARN_UNUSED;
Err compare_make_contrasts(Compare *compare) WARN_UNUSED;
Err compare_find_sd(Compare *compare) WARN_UNUSED;
Err compare_make_grid(Compare *compare) WARN_UNUSED;

#endif
