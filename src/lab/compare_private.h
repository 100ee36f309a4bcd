/* compare_private.h: what the parts of a comparison share: its memory and its table of
 * trials, names, numbers as they are shown, the parts of its page. */
#ifndef LAB_COMPARE_PRIVATE_H
#define LAB_COMPARE_PRIVATE_H

#include "lab/compare.h"

/* The analysis that a verdict comes from: of complete trials, where there are any. */
static inline const CompareAnalysis *compare_main(const CompareContrast *contrast) {
  return contrast->complete.paired.n > 0 ? &contrast->complete : &contrast->imputed;
}

/* Is the verdict one on typical runs, and none on means? */
static inline bool compare_is_typical(const CompareContrast *contrast) {
  if (contrast->verdict == COMPARE_BETTER || contrast->verdict == COMPARE_WORSE)
    return contrast->uneven || compare_main(contrast)->dominant >= 0;
  return contrast->uneven && contrast->verdict == COMPARE_EQUIVALENT;
}

void compare_add_runs(CompareRuns *to, CompareRuns runs);
static inline int compare_n_wrong(CompareRuns runs) {
  return runs.n_failed + runs.n_diverged + runs.n_floored;
}

/* Diverged trials: then there are two analyses. */
static inline int compare_n_diverged(const CompareContrast *contrast) {
  return contrast->runs_a.n_diverged + contrast->runs_b.n_diverged;
}

/* Zeroed memory that lives as long as `compare`; NULL and its fault on lack of it. */
void *compare_alloc(Compare *compare, int64_t n, size_t size);

/* The cell's values by seed, NaN for none: of complete trials, or with `impute` of
 * diverged ones too. */
static inline const double *compare_row(const Compare *compare, int cell, bool impute) {
  const double *values = impute ? compare->imputed : compare->values;
  return values + (int64_t)cell * compare->n_seeds;
}
/* Those that there are; returns how many. */
int compare_values(const Compare *compare, int cell, bool impute, double *out);

/* By bootstrap-t; the draws are those of the purpose and the name, which is taken. */
Err compare_bootstrap(const Compare *compare, const char *purpose, Text *name,
                      const double *values, int n, StatInterval *out) WARN_UNUSED;

/* Index of the cell with these levels, or -1. */
int compare_find_cell(const Compare *compare, const int *levels);

/* The first factor of those that always change together. */
static inline bool compare_leads(const Compare *compare, int factor) {
  return compare->alias[factor] == factor;
}

/* -- names ------------------------------------------------------------------------- */

/* "-" for a factor that does not apply. */
const char *compare_level(const Compare *compare, int factor, int level);
/* The same with those of the factors that change with it, "relu+he_normal": of a level
 * that some cell has. */
static inline const char *compare_level_title(const Compare *compare, int factor,
                                              int level) {
  return compare->level_titles[factor][level + 1];
}

/* Kept: "activation=relu norm=none", of levels that may be no cell. */
const char *compare_place(Compare *compare, const int *levels);
/* Adds "relu, norm=none": the cell's levels of the factors that vary and apply, as
 * level_add has them. */
void compare_add_cell(const Compare *compare, int cell, Text *out);
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

/* Why there is no contrast, in words. */
const char *compare_why_none(const Compare *compare);

/* -- the parts of compare_new, in this order --------------------------------------- */

Err compare_make_flags(Compare *compare) WARN_UNUSED;
Err compare_make_contrasts(Compare *compare) WARN_UNUSED;
Err compare_make_grid(Compare *compare) WARN_UNUSED;

/* -- the page ---------------------------------------------------------------------- */

/* A page and how its numbers are shown: a metric from 0 to 1 times 100, in % and its
 * differences in points. */
typedef struct Page {
  const Compare *compare;
  Doc *doc;
  double scale;
  int decimals; /* of values; -1: four digits in all, for sizes beyond */
  int difference_decimals;
  const char *unit;            /* after a value, no-break space included: "%", or "" */
  const char *difference_unit; /* the same: "points", or "" */
} Page;

Page page_of(const Compare *compare, Doc *doc);
/* The same for differences of this spread (above 0) alone, or for one in a sentence:
 * with as many decimals as they need. */
Page page_by(const Page *page, double spread);
Page page_alone(const Page *page, const StatPaired *paired);

/* Each is "" for NaN. */
typedef struct ShownText {
  char s[80];
} ShownText;
ShownText shown_value(const Page *page, double value);
/* The interval, ended with the range of the metric. */
StatInterval shown_cut(const Page *page, StatInterval interval);
/* Of a value: "12.50 to 100.00 (cut)" where it would go beyond the metric's range. */
ShownText shown_interval(const Page *page, StatInterval interval);
ShownText shown_difference(const Page *page, double value); /* with sign */
ShownText shown_size(const Page *page, double value);       /* without */
ShownText shown_difference_interval(const Page *page, StatInterval interval);
ShownText shown_p(double p);       /* ".012", "<.001", "1" */
ShownText shown_p_exact(double p); /* three digits: ".00195" */

/* Each adds its part of the page (compare.h). */
void page_verdicts(const Page *page);
void page_reach(const Page *page);
void page_words(const Page *page);

/* Those of the short page: what is decided, and what limits that; what is open;
 * cautions. */
void page_decided(const Page *page);
void page_open(const Page *page);
void page_cautions(const Page *page);

#endif
