/* compare.c: from trials to the table of cells; the other parts build on it.
 *
 * Trials are sorted by levels, then by seed; equal levels are a cell. All that follows
 * works on the table cells x seeds. All memory hangs on one list and goes at once. */
#include "lab/compare_private.h"
#include "lab/level.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 1 << 24 }; /* cells x seeds */

struct Block {
  struct Block *next;
  _Alignas(max_align_t) char data[];
};

void *compare_alloc(Compare *compare, int64_t n, size_t size, Fault *fault) {
  size_t bytes = sizeof(struct Block) + (size_t)n * size + 1;
  struct Block *block = calloc(1, bytes);
  if (!block) {
    fault_memory(fault, bytes);
    return NULL;
  }
  block->next = compare->blocks;
  compare->blocks = block;
  return block->data;
}

char *compare_copy(Compare *compare, const char *text, Fault *fault) {
  size_t n = strlen(text);
  char *copy = compare_alloc(compare, (int64_t)n + 1, 1, fault);
  return copy ? memcpy(copy, text, n + 1) : NULL;
}

void compare_free(Compare *compare) {
  if (!compare) return;
  for (struct Block *block = compare->blocks, *next; block; block = next) {
    next = block->next;
    free(block);
  }
  free(compare);
}

/* -- names ------------------------------------------------------------------------- */

const char *compare_verdict_name(CompareVerdict verdict) {
  static const char *const names[] = {"undecided", "better", "worse", "equivalent",
                                      "too few seeds"};
  return names[verdict];
}

const char *compare_level(const Compare *compare, int factor, int level) {
  return level < 0 ? "-" : compare->spec.factors[factor].levels[level];
}

void compare_add_factor(const Compare *compare, int factor, Text *out) {
  text_add(out, compare->spec.factors[factor].name);
  for (int f = factor + 1; f < compare->spec.n_factors; f++)
    if (compare->alias[f] == factor)
      text_addf(out, "+%s", compare->spec.factors[f].name);
}

/* The level that factor `f` has wherever `factor` has `level`. */
static int partner(const Compare *compare, int factor, int level, int f) {
  for (int c = 0; c < compare->n_cells; c++)
    if (compare->cells[c].levels[factor] == level) return compare->cells[c].levels[f];
  return -1;
}

void compare_add_level(const Compare *compare, int factor, int level, Text *out) {
  text_add(out, compare_level(compare, factor, level));
  for (int f = factor + 1; f < compare->spec.n_factors; f++)
    if (compare->alias[f] == factor)
      text_addf(out, "+%s",
                compare_level(compare, f, partner(compare, factor, level, f)));
}

/* How many factors have a level of that name. */
static int count_factors(const Compare *compare, const char *level) {
  int n = 0;
  for (int f = 0; f < compare->spec.n_factors; f++) {
    const CompareFactor *factor = &compare->spec.factors[f];
    int l = 0;
    while (l < factor->n_levels && strcmp(factor->levels[l], level) != 0) l++;
    n += l < factor->n_levels;
  }
  return n;
}

/* Which levels of a cell: all, or those that are the same, or not, in another cell. */
typedef enum Part { PART_ALL, PART_SAME, PART_OTHER } Part;

static bool is_part(const Compare *compare, int cell, int other, Part part,
                    int factor) {
  int level = compare->cells[cell].levels[factor];
  if (!compare->varies[factor] || level < 0) return false;
  return part == PART_ALL ||
         (part == PART_SAME) == (level == compare->cells[other].levels[factor]);
}

static void add_levels(const Compare *compare, int cell, int other, Part part,
                       Text *out) {
  const char *between = "";
  for (int f = 0; f < compare->spec.n_factors; f++) {
    if (!is_part(compare, cell, other, part, f)) continue;
    text_add(out, between);
    const char *level = compare_level(compare, f, compare->cells[cell].levels[f]);
    level_add(compare->spec.factors[f].name, level, count_factors(compare, level), out);
    between = ", ";
  }
  if (!*between) text_add(out, "all trials");
}

void compare_add_cell(const Compare *compare, int cell, Text *out) {
  add_levels(compare, cell, cell, PART_ALL, out);
}

/* Do the cells have levels that differ, on both sides, and others that they share? */
static bool can_be_short(const Compare *compare, int a, int b) {
  int n_same = 0, n_a = 0, n_b = 0;
  for (int f = 0; f < compare->spec.n_factors; f++) {
    n_same += is_part(compare, a, b, PART_SAME, f);
    n_a += is_part(compare, a, b, PART_OTHER, f);
    n_b += is_part(compare, b, a, PART_OTHER, f);
  }
  return n_same > 0 && n_a > 0 && n_b > 0;
}

void compare_add_cells(const Compare *compare, int a, const char *between, int b,
                       Text *out) {
  bool is_short = can_be_short(compare, a, b);
  Part part = is_short ? PART_OTHER : PART_ALL;
  add_levels(compare, a, b, part, out);
  text_add(out, between);
  if (!is_short && compare->cells[b].baseline) text_add(out, "the baseline");
  else add_levels(compare, b, a, part, out);
  if (!is_short) return;
  text_add(out, " at ");
  add_levels(compare, a, b, PART_SAME, out);
}

bool compare_is_drawn(const Compare *compare) {
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (compare->varies[f] && compare->spec.drawn[f]) return true;
  return false;
}

/* What the cells share comes first, so that contrasts of one setting look alike. */
static void add_cell_contrast(const Compare *compare, int a, int b, Text *out) {
  bool is_short = can_be_short(compare, a, b);
  if (is_short) {
    add_levels(compare, a, b, PART_SAME, out);
    text_add(out, ": ");
  }
  add_levels(compare, a, b, is_short ? PART_OTHER : PART_ALL, out);
  text_add(out, " - ");
  if (!is_short && compare->cells[b].baseline) text_add(out, "baseline");
  else add_levels(compare, b, a, is_short ? PART_OTHER : PART_ALL, out);
}

void compare_add_contrast(const Compare *compare, const CompareContrast *contrast,
                          Text *out) {
  int factor = contrast->factor;
  if (factor < 0) {
    add_cell_contrast(compare, contrast->a, contrast->b, out);
    return;
  }
  const char *level = compare_level(compare, factor, contrast->a);
  if (!level_tells(level, count_factors(compare, level)))
    text_addf(out, "%s=", compare->spec.factors[factor].name);
  compare_add_level(compare, factor, contrast->a, out);
  text_add(out, " - ");
  compare_add_level(compare, factor, contrast->b, out);
}

/* -- the copy of the spec ---------------------------------------------------------- */

static Err check_spec(const CompareSpec *spec, Fault *fault) {
  must(spec->metric && spec->n_factors >= 0 && spec->n_pairs >= 0);
  if (spec->n_factors >= STAT_FACTORS_MAX)
    return fault_set(fault, ERR_VALUE, "compare: %d factors, allowed: up to %d",
                     spec->n_factors, STAT_FACTORS_MAX - 1);
  if (!(spec->rope >= 0) || isinf(spec->rope))
    return fault_set(fault, ERR_VALUE, "compare: rope is %g, allowed: 0 or more",
                     spec->rope);
  must(spec->resolution >= 0 && !isinf(spec->resolution));
  must(spec->looks >= 0 && spec->looks_of_more >= 0);
  for (int f = 0; f < spec->n_factors; f++) {
    const CompareFactor *factor = &spec->factors[f];
    if (factor->n_levels < 1)
      return fault_set(fault, ERR_VALUE, "compare: factor \"%s\" has no levels",
                       factor->name);
    if (factor->baseline < -1 || factor->baseline >= factor->n_levels)
      return fault_set(fault, ERR_VALUE,
                       "compare: baseline of factor \"%s\" is level number %d, "
                       "allowed: 0 to %d, or -1",
                       factor->name, factor->baseline, factor->n_levels - 1);
  }
  return ERR_OK;
}

static Err copy_factor(Compare *compare, const CompareFactor *from, CompareFactor *to,
                       Fault *fault) {
  const char **levels = compare_alloc(compare, from->n_levels, sizeof *levels, fault);
  if (!levels) return ERR_MEMORY;
  *to = *from;
  to->levels = levels;
  to->name = compare_copy(compare, from->name, fault);
  if (!to->name) return ERR_MEMORY;
  for (int l = 0; l < from->n_levels; l++)
    if (!(levels[l] = compare_copy(compare, from->levels[l], fault))) return ERR_MEMORY;
  return ERR_OK;
}

/* Nothing is left as it is. */
static Err copy_text(Compare *compare, const char **text, Fault *fault) {
  if (*text && !(*text = compare_copy(compare, *text, fault))) return ERR_MEMORY;
  return ERR_OK;
}

/* `pairs` stay the caller's: they are used while compare_new runs only. */
static Err copy_spec(Compare *compare, const CompareSpec *spec, Fault *fault) {
  compare->spec = *spec;
  CompareFactor *factors = compare_alloc(compare, spec->n_factors, sizeof *factors,
                                         fault);
  if (!factors) return ERR_MEMORY;
  compare->spec.factors = factors;
  for (int f = 0; f < spec->n_factors; f++) {
    Err err = copy_factor(compare, &spec->factors[f], &factors[f], fault);
    if (err) return err;
    compare->baseline_given[f] = spec->factors[f].baseline >= 0;
  }
  Err err = copy_text(compare, &compare->spec.metric, fault);
  if (!err) err = copy_text(compare, &compare->spec.name, fault);
  if (!err) err = copy_text(compare, &compare->spec.listing, fault);
  if (!err) err = copy_text(compare, &compare->spec.rope_of, fault);
  return err;
}

/* -- cells and seeds --------------------------------------------------------------- */

static int compare_levels(const int *a, const int *b, int n) {
  for (int f = 0; f < n; f++)
    if (a[f] != b[f]) return a[f] < b[f] ? -1 : 1;
  return 0;
}

static int by_cell_and_seed(const void *a, const void *b, void *n_factors) {
  const CompareTrial *const *x = a, *const *y = b;
  int order = compare_levels((*x)->levels, (*y)->levels, *(int *)n_factors);
  if (order) return order;
  return ((*x)->seed > (*y)->seed) - ((*x)->seed < (*y)->seed);
}

static int by_seed(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static Err check_trials(const Compare *compare, const CompareTrial *trials, int64_t n,
                        Fault *fault) {
  for (int64_t i = 0; i < n; i++) {
    for (int f = 0; f < compare->spec.n_factors; f++) {
      const CompareFactor *factor = &compare->spec.factors[f];
      int level = trials[i].levels[f];
      if (level < -1 || level >= factor->n_levels)
        return fault_set(fault, ERR_VALUE,
                         "compare: a trial has level number %d of factor \"%s\", "
                         "allowed: 0 to %d, or -1",
                         level, factor->name, factor->n_levels - 1);
    }
  }
  return ERR_OK;
}

static Err find_seeds(Compare *compare, const CompareTrial *trials, int64_t n,
                      Fault *fault) {
  int64_t *seeds = compare_alloc(compare, n, sizeof *seeds, fault);
  if (!seeds) return ERR_MEMORY;
  for (int64_t i = 0; i < n; i++) seeds[i] = trials[i].seed;
  qsort(seeds, (size_t)n, sizeof *seeds, by_seed);
  int kept = 0;
  for (int64_t i = 0; i < n; i++)
    if (kept == 0 || seeds[kept - 1] != seeds[i]) seeds[kept++] = seeds[i];
  compare->seeds = seeds;
  compare->n_seeds = kept;
  return ERR_OK;
}

static int seed_index(const Compare *compare, int64_t seed) {
  const int64_t *at = bsearch(&seed, compare->seeds, (size_t)compare->n_seeds,
                              sizeof seed, by_seed);
  return (int)(at - compare->seeds);
}

/* Makes the cells of the sorted trials, each with a copy of its levels. */
static Err find_cells(Compare *compare, const CompareTrial **sorted, int64_t n,
                      Fault *fault) {
  int n_factors = compare->spec.n_factors;
  for (int64_t i = 0; i < n; i++)
    compare->n_cells += i == 0 || compare_levels(sorted[i - 1]->levels,
                                                 sorted[i]->levels, n_factors) != 0;
  compare->cells = compare_alloc(compare, compare->n_cells, sizeof(CompareCell), fault);
  int *levels = compare_alloc(compare, (int64_t)compare->n_cells * n_factors,
                              sizeof *levels, fault);
  if (!compare->cells || !levels) return ERR_MEMORY;
  int cell = 0;
  for (int64_t i = 0; i < n; i++) {
    if (i > 0 &&
        compare_levels(sorted[i - 1]->levels, sorted[i]->levels, n_factors) == 0)
      continue;
    memcpy(levels, sorted[i]->levels, (size_t)n_factors * sizeof *levels);
    compare->cells[cell].levels = levels;
    levels += n_factors;
    if (sorted[i]->note &&
        !(compare->cells[cell].note = compare_copy(compare, sorted[i]->note, fault)))
      return ERR_MEMORY;
    cell++;
  }
  return ERR_OK;
}

static Err same_trial_twice(const Compare *compare, int cell, int64_t seed,
                            Fault *fault) {
  Text text = {0};
  for (int f = 0; f < compare->spec.n_factors; f++)
    text_addf(&text, "%s=%s ", compare->spec.factors[f].name,
              compare_level(compare, f, compare->cells[cell].levels[f]));
  Err err = fault_set(fault, ERR_VALUE, "compare: trial %sseed=%lld is given twice",
                      text.data ? text.data : "", (long long)seed);
  text_deinit(&text);
  return err;
}

static CompareState state_of(const CompareTrial *trial) {
  bool is_number = fabs(trial->value) <= COMPARE_VALUE_MAX;
  return trial->state == COMPARE_COMPLETE && !is_number ? COMPARE_DIVERGED
                                                        : trial->state;
}

static void count_trial(Compare *compare, CompareCell *cell, CompareState state) {
  cell->n_planned++;
  cell->n_diverged += state == COMPARE_DIVERGED;
  cell->n_failed += state == COMPARE_FAILED;
  cell->n_missing += state == COMPARE_MISSING;
  compare->n_trials++;
  compare->n_complete += state == COMPARE_COMPLETE;
  compare->n_diverged += state == COMPARE_DIVERGED;
  compare->n_failed += state == COMPARE_FAILED;
  compare->n_missing += state == COMPARE_MISSING;
}

static Err fill_table(Compare *compare, const CompareTrial **sorted, int64_t n,
                      Fault *fault) {
  Trials *trials = compare_alloc(compare, 1, sizeof *trials, fault);
  if (!trials) return ERR_MEMORY;
  int64_t size = (int64_t)compare->n_cells * compare->n_seeds;
  if (size > TABLE_MAX)
    return fault_set(fault, ERR_VALUE,
                     "compare: %d cells x %d seeds, allowed: up to %d together; cells "
                     "should share their seeds",
                     compare->n_cells, compare->n_seeds, TABLE_MAX);
  trials->value = compare_alloc(compare, size, sizeof *trials->value, fault);
  trials->state = compare_alloc(compare, size, sizeof *trials->state, fault);
  if (!trials->value || !trials->state) return ERR_MEMORY;
  for (int64_t i = 0; i < size; i++) trials->value[i] = NAN;
  int cell = 0;
  for (int64_t i = 0; i < n; i++) {
    const CompareTrial *trial = sorted[i];
    if (i > 0 && compare_levels(sorted[i - 1]->levels, trial->levels,
                                compare->spec.n_factors) != 0)
      cell++;
    else if (i > 0 && sorted[i - 1]->seed == trial->seed)
      return same_trial_twice(compare, cell, trial->seed, fault);
    int64_t at = (int64_t)cell * compare->n_seeds + seed_index(compare, trial->seed);
    trials->state[at] = state_of(trial);
    if (trials->state[at] == COMPARE_COMPLETE) trials->value[at] = trial->value;
    count_trial(compare, &compare->cells[cell], trials->state[at]);
  }
  compare->trials = trials;
  return ERR_OK;
}

static Err make_table(Compare *compare, const CompareTrial *trials, int64_t n,
                      Fault *fault) {
  Err err = check_trials(compare, trials, n, fault);
  if (!err) err = find_seeds(compare, trials, n, fault);
  const CompareTrial **sorted = err ? NULL
                                    : compare_alloc(compare, n, sizeof *sorted, fault);
  if (!sorted) return err ? err : ERR_MEMORY;
  for (int64_t i = 0; i < n; i++) sorted[i] = &trials[i];
  qsort_r(sorted, (size_t)n, sizeof *sorted, by_cell_and_seed,
          &compare->spec.n_factors);
  err = find_cells(compare, sorted, n, fault);
  return err ? err : fill_table(compare, sorted, n, fault);
}

bool compare_value(const Compare *compare, int cell, int seed, bool impute,
                   double *out) {
  int64_t at = (int64_t)cell * compare->n_seeds + seed;
  CompareState state = compare->trials->state[at];
  if (state == COMPARE_COMPLETE) *out = compare->trials->value[at];
  else if (state == COMPARE_DIVERGED && impute && isfinite(compare->worst))
    *out = compare->worst;
  else return false;
  return true;
}

int compare_find_cell(const Compare *compare, const int *levels) {
  int low = 0, high = compare->n_cells;
  while (low < high) {
    int middle = (low + high) / 2;
    int order = compare_levels(compare->cells[middle].levels, levels,
                               compare->spec.n_factors);
    if (order == 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1;
}

/* -- facts about factors ----------------------------------------------------------- */

/* Do a and b always change together: one level of a for each of b, and the reverse? */
static bool change_together(const Compare *compare, int a, int b, int *of_a,
                            int *of_b) {
  for (int l = 0; l <= compare->spec.factors[a].n_levels; l++) of_a[l] = -2;
  for (int l = 0; l <= compare->spec.factors[b].n_levels; l++) of_b[l] = -2;
  for (int c = 0; c < compare->n_cells; c++) {
    const int *levels = compare->cells[c].levels;
    must(levels);
    int la = levels[a], lb = levels[b];
    if (of_a[la + 1] == -2) of_a[la + 1] = lb;
    if (of_b[lb + 1] == -2) of_b[lb + 1] = la;
    if (of_a[la + 1] != lb || of_b[lb + 1] != la) return false;
  }
  return true;
}

/* The baseline that nobody gave: the first level that occurs. */
static int first_level(const Compare *compare, int factor) {
  int first = compare->spec.factors[factor].n_levels;
  for (int c = 0; c < compare->n_cells; c++) {
    must(compare->cells[c].levels);
    int level = compare->cells[c].levels[factor];
    if (level >= 0 && level < first) first = level;
  }
  return first < compare->spec.factors[factor].n_levels ? first : 0;
}

static Err find_facts(Compare *compare, Fault *fault) {
  int n_factors = compare->spec.n_factors, most = 1;
  CompareFactor *factors = (CompareFactor *)compare->spec.factors; /* our copy */
  for (int f = 0; f < n_factors; f++)
    if (factors[f].n_levels > most) most = factors[f].n_levels;
  int *seen = compare_alloc(compare, 2 * ((int64_t)most + 1), sizeof *seen, fault);
  if (!seen) return ERR_MEMORY;
  for (int f = 0; f < n_factors; f++) {
    must(compare->n_cells == 0 || compare->cells[0].levels);
    for (int c = 0, first = -1; c < compare->n_cells; c++) {
      int level = compare->cells[c].levels[f];
      compare->varies[f] |= first >= 0 && level >= 0 && level != first;
      if (first < 0) first = level;
    }
    if (factors[f].baseline < 0) factors[f].baseline = first_level(compare, f);
    compare->alias[f] = f;
    for (int g = 0; g < f && compare->varies[f] && compare->alias[f] == f; g++)
      if (compare->varies[g] && compare->alias[g] == g &&
          change_together(compare, g, f, seen, seen + most + 1))
        compare->alias[f] = g;
  }
  for (int c = 0; c < compare->n_cells; c++) {
    CompareCell *cell = &compare->cells[c];
    cell->baseline = !compare_is_drawn(compare);
    must(cell->levels);
    for (int f = 0; f < n_factors; f++)
      if (compare->varies[f] && compare->alias[f] == f && cell->levels[f] >= 0 &&
          cell->levels[f] != factors[f].baseline)
        cell->baseline = false;
  }
  return ERR_OK;
}

/* -- summaries --------------------------------------------------------------------- */

static void find_worst(Compare *compare) {
  compare->worst = NAN;
  int64_t size = (int64_t)compare->n_cells * compare->n_seeds;
  for (int64_t i = 0; i < size; i++) {
    double value = compare->trials->value[i];
    if (isnan(value)) continue;
    bool worse = compare->spec.goal == COMPARE_MAX ? value < compare->worst
                                                   : value > compare->worst;
    if (isnan(compare->worst) || worse) compare->worst = value;
  }
}

static Err summarize(const Compare *compare, int cell, bool impute, double *values,
                     StatSample *out, Fault *fault) {
  int n = 0;
  for (int s = 0; s < compare->n_seeds; s++)
    if (compare_value(compare, cell, s, impute, &values[n])) n++;
  Err err = stat_sample(values, n, out, fault);
  if (err || !compare->spec.bootstrap) return err;
  Text name = {0};
  compare_add_cell(compare, cell, &name);
  Stream stream = {philox_key(0, "bootstrap cell", name.data), 0};
  err = name.failed ? fault_memory(fault, name.n_bytes)
                    : stat_bootstrap_t(values, n, stream, &out->interval, fault);
  text_deinit(&name);
  return err;
}

/* Cells from best to worst, diverged trials at the worst value: few survivors make no
 * best cell. Of equal ones those without a complete trial come last; those without a
 * value are behind all, in the order of their levels. */
static int by_mean(const void *a, const void *b, void *context) {
  const Compare *compare = context;
  int i = *(const int *)a, k = *(const int *)b;
  const CompareCell *first = &compare->cells[i], *second = &compare->cells[k];
  double x = first->imputed.mean, y = second->imputed.mean;
  if (isnan(x) != isnan(y)) return isnan(x) ? 1 : -1;
  if (compare->spec.goal == COMPARE_MAX ? x > y : x < y) return -1;
  if (compare->spec.goal == COMPARE_MAX ? x < y : x > y) return 1;
  if (!first->sample.n != !second->sample.n) return first->sample.n ? -1 : 1;
  return i - k;
}

static Err make_cells(Compare *compare, Fault *fault) {
  find_worst(compare);
  double *values = compare_alloc(compare, compare->n_seeds, sizeof *values, fault);
  compare->order = compare_alloc(compare, compare->n_cells, sizeof(int), fault);
  if (!values || !compare->order) return ERR_MEMORY;
  for (int c = 0; c < compare->n_cells; c++) {
    CompareCell *cell = &compare->cells[c];
    Err err = summarize(compare, c, false, values, &cell->sample, fault);
    if (!err) err = summarize(compare, c, true, values, &cell->imputed, fault);
    if (err) return err;
    compare->order[c] = c;
  }
  qsort_r(compare->order, (size_t)compare->n_cells, sizeof(int), by_mean, compare);
  return ERR_OK;
}

/* -- the level --------------------------------------------------------------------- */

static void find_levels(Compare *compare) {
  int looks = compare->spec.looks > 1 ? compare->spec.looks : 1;
  int more = compare->spec.looks_of_more > looks ? compare->spec.looks_of_more : looks;
  compare->level = STAT_ALPHA / looks;
  compare->level_of_more = STAT_ALPHA / more;
}

double compare_level_at(const Compare *compare, int n_seeds) {
  return n_seeds > compare->n_seeds ? compare->level_of_more : compare->level;
}

Err compare_new(Compare **out, const CompareSpec *spec, const CompareTrial *trials,
                int64_t n_trials, Fault *fault) {
  must(n_trials >= 0);
  *out = NULL;
  Err err = check_spec(spec, fault);
  if (err) return err;
  Compare *compare = calloc(1, sizeof *compare);
  if (!compare) return fault_memory(fault, sizeof *compare);
  err = copy_spec(compare, spec, fault);
  find_levels(compare);
  if (!err) err = make_table(compare, trials, n_trials, fault);
  if (!err) err = find_facts(compare, fault);
  if (!err) err = make_cells(compare, fault);
  if (!err) err = compare_make_flags(compare, fault);
  if (!err) err = compare_make_contrasts(compare, fault);
  if (!err) err = compare_find_sd(compare, fault);
  if (!err) err = compare_make_grid(compare, fault);
  compare->spec.pairs = NULL;
  compare->spec.n_pairs = 0;
  if (err) compare_free(compare);
  else *out = compare;
  return err;
}
