/* compare.h: what a study says: cells, contrasts, shares of variance, a verdict in
 * words.
 *
 *   trials of all cells --> compare_new --> Compare --> compare_doc, compare_json
 *
 * A CompareTrial is made for every cell and seed that is planned, also for those that
 * have no result yet, in any order: before anything has run, when all are
 * COMPARE_MISSING, COMPARE_REACH says how large a difference these seeds find. Seeds
 * are never selected from; nothing here is a maximum over seeds.
 *
 * What is compared. A contrast sets level a of a factor against its baseline b. For
 * each seed the difference a - b is averaged over the settings: those combinations of
 * the other factors in which both levels are planned. So n is the number of seeds, not
 * of trials. Where trials lack, the largest complete block of settings x seeds is used,
 * or a smaller one of at least half its size that has seeds enough for a verdict; the
 * page says which. A factor that applies to one of the two levels only (a momentum that
 * adam does not have) is averaged over first. Factors that always change together (zip)
 * count as one. Cell contrasts compare two cells seed by seed. A contrast of two cells
 * that another one has already, in either order, is not made again.
 *
 * Verdict, from STAT_TEST_MIN seeds on: equivalent if a rope is given and holds the
 * interval; else better or worse if p after Holm is below the level and the interval
 * excludes 0; else undecided. p is that of the paired t test (stat.h). What it
 * tests is that it makes no difference to the distribution of results which of the two
 * is run: where they differ in their share of runs that failed, diverged or are at the
 * floor, or one seed makes more than half of the sum of squares, a verdict is one on
 * typical runs, and those shares are compared by themselves. The level is STAT_ALPHA,
 * shared by the looks where seeds were added after one. With diverged trials two
 * analyses are made: complete cases, and diverged ones as the worst value of the study.
 * Where one decides what the other does not it is undecided and marked as disputed;
 * where no complete case is left the second counts. */
#ifndef LAB_COMPARE_H
#define LAB_COMPARE_H

#include "base/json.h"
#include "doc/doc.h"
#include "lab/stat.h"

typedef enum CompareGoal { COMPARE_MAX, COMPARE_MIN } CompareGoal;

typedef struct CompareFactor {
  const char *name;
  const char *const *levels;
  int n_levels; /* at least 1 */
  int baseline; /* -1: none given, the first level that occurs serves */
} CompareFactor;

/* A cell contrast: levels of both cells, one per factor. */
typedef struct ComparePair {
  const int *a, *b;
} ComparePair;

typedef struct CompareSpec {
  const char *name;    /* of the experiment; NULL: unknown */
  const char *listing; /* the command that lists all cells; NULL: there is none */
  const char *metric;  /* what `value` is */
  CompareGoal goal;
  double low, high;    /* the range that the metric has, low < high; else unknown.
                          A metric from 0 to 1 is shown in % and in points */
  double rope;         /* differences up to it do not matter; 0: none given */
  const char *rope_of; /* the other metric that a rope was given for, which is not
                          applied here; NULL: there is no such rope */
  const CompareFactor *factors;
  int n_factors;                /* up to STAT_FACTORS_MAX - 1; may be 0 */
  bool drawn[STAT_FACTORS_MAX]; /* by factor: its levels are points of a random search.
                               They are not compared, and no cell is the baseline */
  bool cell_contrasts; /* each cell against the one whose levels are the baselines */
  const ComparePair *pairs; /* further cell contrasts */
  int n_pairs;
  bool bootstrap;    /* intervals by bootstrap-t where there are seeds enough */
  double resolution; /* the step in which values of a trial come; 0: none is known */
  int looks;         /* at results, this one included, after which seeds were added;
                        0 and 1: the only one */
  int looks_of_more; /* with more seeds than are planned; 0: as many */
  struct CompareBlock *blocks; /* memory that goes with the comparison (compare_keep) */
} CompareSpec;

#define COMPARE_VALUE_MAX                                                              \
  1e145 /* squares of a whole table's values have a finite sum */

/* COMPARE_MISSING is all that has no result: pending, running, interrupted, cancelled.
 * A complete trial whose value is not finite, or larger than that, counts as
 * diverged. */
typedef enum CompareState {
  COMPARE_MISSING, COMPARE_COMPLETE, COMPARE_DIVERGED, COMPARE_FAILED
} CompareState;

typedef struct CompareTrial {
  const int *levels; /* one per factor; -1: the factor does not apply */
  int64_t seed;
  CompareState state;
  double value;     /* of a complete one */
  const char *note; /* shown beside the cell, as "lr=0.1"; the cell's first trial
                       tells; NULL: none */
} CompareTrial;

/* -- results ----------------------------------------------------------------------- */

/* What became of runs. */
typedef struct CompareRuns {
  int n_planned, n_missing; /* those without a result */
  int n;                    /* that ended: complete, diverged, failed */
  int n_complete, n_diverged, n_failed;
  int n_floored; /* complete ones that learned nothing: see compare_flags.c */
} CompareRuns;

typedef struct CompareCell {
  const int *levels;
  const char *note; /* NULL: none */
  bool baseline;    /* each factor at its baseline */
  CompareRuns runs;
  StatSample sample;   /* of the complete trials */
  StatSample imputed;  /* the same with diverged ones at the worst value */
  bool floor, ceiling; /* where the metric can hardly differ: see compare_flags.c */
} CompareCell;

typedef enum CompareVerdict {
  COMPARE_UNDECIDED,         /* no clear difference */
  COMPARE_BETTER, COMPARE_WORSE, COMPARE_EQUIVALENT,
  COMPARE_UNTESTED           /* too few seeds */
} CompareVerdict;
const char *compare_verdict_name(CompareVerdict verdict);

typedef struct CompareAnalysis {
  int n_settings;    /* used, of the contrast's n_settings */
  StatPaired paired; /* a - b; `won` is in the goal's direction */
  double p_holm;     /* NaN: untested */
  int dominant;      /* the seed (index) that makes more than half of the sum of
                        squares; -1: none does */
  CompareVerdict verdict;
} CompareAnalysis;

typedef struct CompareContrast {
  int factor;     /* -1: of cells */
  int a, b;       /* levels of the factor, or indices of cells */
  int n_settings; /* planned */
  CompareRuns runs_a, runs_b;
  bool uneven;         /* the share of those that went wrong is not the same ... */
  bool clearly_uneven; /* ... which is no chance */
  double p_wrong, p_wrong_holm; /* Fisher's exact test of these shares; Holm over the
                              contrasts with such runs. NaN: there are none */
  CompareAnalysis complete, imputed; /* the same where nothing diverged */
  bool disputed;
  CompareVerdict verdict;
} CompareContrast;

/* How large a difference n_seeds find with probability STAT_POWER after Holm. */
typedef struct CompareFind {
  int n_seeds;
  double level;      /* shared by the looks, that at so many seeds included */
  double sds;        /* in sd of the differences */
  double difference; /* in the metric's unit; NaN: no sd is known yet */
} CompareFind;

enum { COMPARE_FINDS = 6 };

/* For 4, 5, 6, 8 and 10 seeds, and those planned; none without a contrast. */
typedef struct CompareReach {
  int n;
  CompareFind finds[COMPARE_FINDS];
} CompareReach;

/* Mean of a level, or of a pair of levels, on the grid. */
typedef struct CompareMargin {
  int a, b; /* factors; b -1: of one factor */
  int level_a, level_b;
  StatSample sample; /* over seeds */
} CompareMargin;

/* The largest complete sub-grid, and its analysis of variance. */
typedef struct CompareGrid {
  int n_factors; /* with two levels or more in it; 0: there is no grid */
  int n_cells, n_seeds;
  bool whole; /* all cells and all seeds are in it */
  char *text; /* what it is, in words */
  int n_effects;
  StatEffect *effects; /* a and b are factors of the spec */
  int n_margins;
  CompareMargin *margins; /* by factors, then by pairs */
} CompareGrid;

typedef struct Compare {
  /* read-only */
  CompareSpec spec; /* a copy; baselines are filled in */
  bool baseline_given[STAT_FACTORS_MAX];
  int alias[STAT_FACTORS_MAX];   /* the first factor that it always changes with */
  bool varies[STAT_FACTORS_MAX]; /* more than one level is planned. One with a single
                                level that only some cells have follows from the other
                                factors */
  const char *titles[STAT_FACTORS_MAX]; /* "activation+init", of each factor that is
                                           the first of those that change together */
  const char *const *level_titles[STAT_FACTORS_MAX]; /* the same of their levels, from
                                           level -1 on; NULL: no cell has it */
  int n_seeds;
  const int64_t *seeds; /* ascending */
  int n_cells;
  CompareCell *cells; /* sorted by levels */
  int *order;         /* cells from best to worst mean, diverged trials at the worst
                         value; those without a mean last */
  CompareRuns runs;   /* of all cells */
  double best, worst; /* values; diverged trials are imputed with the worst. NaN:
                         there is none */
  int n_contrasts;
  CompareContrast *contrasts;
  double level;         /* below which p after Holm decides */
  double level_of_more; /* the same with more seeds than these: see compare_level_at */
  double sd;            /* of differences: the median contrast's; NaN: unknown yet */
  CompareGrid grid;
  bool unequal;           /* cells have unequal variances */
  double variance_p;      /* Brown and Forsythe's test over cells; NaN: not tested */
  double sd_min, sd_max;  /* over the cells tested */
  int n_floor, n_ceiling; /* cells */
  /* private */
  double *values;  /* of complete trials, else NaN: [cell][seed] */
  double *imputed; /* the same with diverged ones at the worst value, if there is one */
  Fault *fault;    /* while it is made */
} Compare;

/* Memory for what a spec and trials refer to: the comparison takes the spec's, and
 * frees it. Zeroed; NULL and a fault on lack of it. The same with a copy of the text,
 * which is taken. */
void *compare_keep(struct CompareBlock **blocks, int64_t n, size_t size, Fault *fault);
char *compare_keep_text(struct CompareBlock **blocks, Text *text, Fault *fault);
void compare_drop(struct CompareBlock *blocks);

/* Takes the spec's blocks, also on failure; borrows all else that spec and trials refer
 * to, but for the pairs, as long as it lives. ERR_VALUE names what does not fit: a
 * level out of range, a cell and seed given twice, a cell contrast of a cell that is
 * not planned, a rope below 0. */
Err compare_new(Compare **out, const CompareSpec *spec, const CompareTrial *trials,
                int64_t n_trials, Fault *fault) WARN_UNUSED;
void compare_free(Compare *compare); /* NULL is a no-op */

/* The level of a verdict on n_seeds of each cell, shared by its looks. */
double compare_level_at(const Compare *compare, int n_seeds);
CompareReach compare_reach(const Compare *compare);

/* -- output ------------------------------------------------------------------------ */

typedef enum ComparePart {
  COMPARE_VERDICTS = 1,      /* what is decided, what is not */
  COMPARE_CELLS = 2,         /* the table of cells, best first */
  COMPARE_EFFECTS = 4,       /* what each factor explains */
  COMPARE_CONTRASTS = 8,     /* the table of contrasts */
  COMPARE_REACH = 16,        /* what the seeds can show */
  COMPARE_WORDS = 32,        /* what to be careful about */
  COMPARE_ALL = 47,          /* the page that --long asks for */
  COMPARE_SHORT = 64         /* what a run ends with: what is decided, the cells with
                                their intervals drawn, what is open, what to be
                                careful about */
} ComparePart;

/* Adds the parts (a sum of ComparePart), a section each. */
void compare_doc(const Compare *compare, int parts, Doc *doc);

/* Everything above, in the metric's own unit. Returns new; lack of memory shows in
 * json_write. */
Json *compare_json(const Compare *compare);
/* The part of it that `plan` gives before anything has run. */
Json *compare_reach_json(const Compare *compare);

#endif
