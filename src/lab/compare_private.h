/* compare_private.h: what the parts of compare share: memory, table of trials,
 * names. */
#ifndef LAB_COMPARE_PRIVATE_H
#define LAB_COMPARE_PRIVATE_H

#include "lab/compare.h"

/* value and state of cell c and seed s stand at c * n_seeds + s. */
typedef struct Trials {
  double *value;       /* of complete ones; else NaN */
  CompareState *state; /* a combination that is not planned is missing */
} Trials;

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

/* Zeroed memory that lives as long as `compare`; NULL and a fault on lack of it. */
void *compare_alloc(Compare *compare, int64_t n, size_t size, Fault *fault);
/* A copy of that memory. */
char *compare_copy(Compare *compare, const char *text, Fault *fault);

/* The trial's value if it is complete, or, when `impute` is set, the worst if it
 * diverged. False: none. */
bool compare_value(const Compare *compare, int cell, int seed, bool impute,
                   double *out);

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
 * text_add_level_of tells them. */
void compare_add_factor(const Compare *compare, int factor, Text *out);
void compare_add_level(const Compare *compare, int factor, int level, Text *out);
void compare_add_cell(const Compare *compare, int cell, Text *out);
/* Two cells with what is told between them: "tanh beats relu at he_normal" where they
 * share levels, else "tanh, he_normal beats the baseline", "... beats relu,
 * lecun_normal". */
void compare_add_cells(const Compare *compare, int a, const char *between, int b,
                       Text *out);
/* "tanh - relu", "lr=0.1 - 0.2", "encoder=large - small"; of cells "he_normal: tanh -
 * relu", "tanh - baseline". */
void compare_add_contrast(const Compare *compare, const CompareContrast *contrast,
                          Text *out);

/* The parts of compare_new, in this order. */
Err compare_make_flags(Compare *compare, Fault *fault) WARN_UNUSED;
Err compare_make_contrasts(Compare *compare, Fault *fault) WARN_UNUSED;
Err compare_find_sd(Compare *compare, Fault *fault) WARN_UNUSED;
Err compare_make_grid(Compare *compare, Fault *fault) WARN_UNUSED;

#endif
