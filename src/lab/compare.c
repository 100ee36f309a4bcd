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

struct CompareBlock {
  struct CompareBlock *next;
  _Alignas(max_align_t) char data[];
};

void *compare_keep(struct CompareBlock **blocks, int64_t n, size_t size, Fault *fault) {
  size_t bytes = sizeof **blocks + (size_t)n * size + 1;
  struct CompareBlock *block = calloc(1, bytes);
  if (!block) {
    fault_memory(fault, bytes);
    return NULL;
  }
  block->next = *blocks;
  *blocks = block;
  return block->data;
}

void compare_drop(struct CompareBlock *blocks) {
  for (struct CompareBlock *next; blocks; blocks = next) {
    next = blocks->next;
    free(blocks);
  }
}

void *compare_alloc(Compare *compare, int64_t n, size_t size) {
  return compare_keep(&compare->spec.blocks, n, size, compare->fault);
}

char *compare_keep_text(struct CompareBlock **blocks, Text *text, Fault *fault) {
  char *copy = compare_keep(blocks, (int64_t)text->n_bytes + 1, 1, fault);
  if (text->failed) fault_memory(fault, text->n_bytes), copy = NULL;
  if (copy && text->data) memcpy(copy, text->data, text->n_bytes);
  text_deinit(text);
  return copy;
}

void compare_free(Compare *compare) {
  if (compare) compare_drop(compare->spec.blocks);
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

/* Adds these levels, if there is an `out`; returns how many they are. */
static int add_levels(const Compare *compare, int cell, int other, Part part,
                      Text *out) {
  int n = 0;
  for (int f = 0; f < compare->spec.n_factors; f++) {
    int l = compare->cells[cell].levels[f];
    bool same = l == compare->cells[other].levels[f];
    if (!compare->varies[f] || l < 0 || (part && same != (part == PART_SAME))) continue;
    const char *level = compare_level(compare, f, l);
    if (out && n) text_add(out, ", ");
    if (out)
      level_add(compare->spec.factors[f].name, level, count_factors(compare, level),
                out);
    n++;
  }
  if (out && !n) text_add(out, "all trials");
  return n;
}

void compare_add_cell(const Compare *compare, int cell, Text *out) {
  add_levels(compare, cell, cell, PART_ALL, out);
}

/* Where the cells have levels that differ, on both sides, those that they share are
 * named once, after them or before. */
static void add_cells(const Compare *compare, int a, const char *between, int b,
                      bool before, Text *out) {
  bool shares = add_levels(compare, a, b, PART_SAME, NULL) &&
                add_levels(compare, a, b, PART_OTHER, NULL) &&
                add_levels(compare, b, a, PART_OTHER, NULL);
  Part part = shares ? PART_OTHER : PART_ALL;
  if (shares && before) add_levels(compare, a, b, PART_SAME, out), text_add(out, ": ");
  add_levels(compare, a, b, part, out);
  text_add(out, between);
  if (shares || !compare->cells[b].baseline) add_levels(compare, b, a, part, out);
  else text_add(out, before ? "baseline" : "the baseline");
  if (shares && !before)
    text_add(out, " at "), add_levels(compare, a, b, PART_SAME, out);
}

void compare_add_side(const Compare *compare, const CompareContrast *contrast, int side,
                      Text *out) {
  if (contrast->factor < 0) compare_add_cell(compare, side, out);
  else text_add(out, compare_level_title(compare, contrast->factor, side));
}

void compare_add_sides(const Compare *compare, const CompareContrast *contrast,
                       bool turn, const char *between, Text *out) {
  int first = turn ? contrast->b : contrast->a,
      second = turn ? contrast->a : contrast->b;
  if (contrast->factor < 0) {
    add_cells(compare, first, between, second, false, out);
    return;
  }
  text_addf(out, "%s%s%s", compare_level_title(compare, contrast->factor, first),
            between, compare_level_title(compare, contrast->factor, second));
}

void compare_add_contrast(const Compare *compare, const CompareContrast *contrast,
                          Text *out) {
  int factor = contrast->factor;
  if (factor < 0) {
    add_cells(compare, contrast->a, " - ", contrast->b, true, out);
    return;
  }
  const char *level = compare_level(compare, factor, contrast->a);
  if (!level_tells(level, count_factors(compare, level)))
    text_addf(out, "%s=", compare->spec.factors[factor].name);
  compare_add_sides(compare, contrast, false, " - ", out);
}

const char *compare_place(Compare *compare, const int *levels) {
  Text place = {0};
  for (int f = 0; f < compare->spec.n_factors; f++) {
    const CompareFactor *factor = &compare->spec.factors[f];
    bool known = levels[f] >= 0 && levels[f] < factor->n_levels;
    text_addf(&place, "%s%s=%s", f ? " " : "", factor->name,
              known ? factor->levels[levels[f]] : "-");
  }
  const char *text = compare_keep_text(&compare->spec.blocks, &place, compare->fault);
  return text ? text : "";
}

/* -- what is compared -------------------------------------------------------------- */

static Err check_spec(const CompareSpec *spec, Fault *fault) {
  must(spec->metric && spec->n_factors >= 0 && spec->n_pairs >= 0);
  must(spec->resolution >= 0 && !isinf(spec->resolution));
  must(spec->looks >= 0 && spec->looks_of_more >= 0);
  if (spec->n_factors >= STAT_FACTORS_MAX)
    return fault_set(fault, ERR_VALUE, "compare: %d factors, allowed: up to %d",
                     spec->n_factors, STAT_FACTORS_MAX - 1);
  if (!(spec->rope >= 0) || isinf(spec->rope))
    return fault_set(fault, ERR_VALUE, "compare: rope is %g, allowed: 0 or more",
                     spec->rope);
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

static Err check_trials(const CompareSpec *spec, const CompareTrial *trials, int64_t n,
                        Fault *fault) {
  for (int64_t i = 0; i < n; i++)
    for (int f = 0; f < spec->n_factors; f++) {
      int level = trials[i].levels[f], n_levels = spec->factors[f].n_levels;
      if (level < -1 || level >= n_levels)
        return fault_set(fault, ERR_VALUE,
                         "compare: a trial has level number %d of factor \"%s\", "
                         "allowed: 0 to %d, or -1",
                         level, spec->factors[f].name, n_levels - 1);
    }
  return ERR_OK;
}

/* A copy of the factors: baselines that are not given are filled in later. */
static Err copy_factors(Compare *compare) {
  const CompareSpec *spec = &compare->spec;
  CompareFactor *factors = compare_alloc(compare, spec->n_factors, sizeof *factors);
  if (!factors) return ERR_MEMORY;
  for (int f = 0; f < spec->n_factors; f++) {
    factors[f] = spec->factors[f];
    compare->baseline_given[f] = factors[f].baseline >= 0;
  }
  compare->spec.factors = factors;
  int looks = spec->looks > 1 ? spec->looks : 1;
  int more = spec->looks_of_more > looks ? spec->looks_of_more : looks;
  compare->level = STAT_ALPHA / looks;
  compare->level_of_more = STAT_ALPHA / more;
  return ERR_OK;
}

double compare_level_at(const Compare *compare, int n_seeds) {
  return n_seeds > compare->n_seeds ? compare->level_of_more : compare->level;
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
  return order ? order : ((*x)->seed > (*y)->seed) - ((*x)->seed < (*y)->seed);
}

static int by_seed(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static Err find_seeds(Compare *compare, const CompareTrial *trials, int64_t n) {
  int64_t *seeds = compare_alloc(compare, n, sizeof *seeds);
  if (!seeds) return ERR_MEMORY;
  for (int64_t i = 0; i < n; i++) seeds[i] = trials[i].seed;
  qsort(seeds, (size_t)n, sizeof *seeds, by_seed);
  for (int64_t i = 0; i < n; i++)
    if (compare->n_seeds == 0 || seeds[compare->n_seeds - 1] != seeds[i])
      seeds[compare->n_seeds++] = seeds[i];
  compare->seeds = seeds;
  return ERR_OK;
}

void compare_add_runs(CompareRuns *to, CompareRuns runs) {
  to->n_planned += runs.n_planned;
  to->n += runs.n;
  to->n_missing += runs.n_missing;
  to->n_complete += runs.n_complete;
  to->n_diverged += runs.n_diverged;
  to->n_failed += runs.n_failed;
  to->n_floored += runs.n_floored;
}

static void put_trial(Compare *compare, int c, const CompareTrial *trial) {
  CompareCell *cell = &compare->cells[c];
  const int64_t *seed = bsearch(&trial->seed, compare->seeds, (size_t)compare->n_seeds,
                                sizeof *seed, by_seed);
  int64_t at = (int64_t)c * compare->n_seeds + (seed - compare->seeds);
  CompareState state = trial->state;
  if (state == COMPARE_COMPLETE && !(fabs(trial->value) <= COMPARE_VALUE_MAX))
    state = COMPARE_DIVERGED;
  compare->values[at] = state == COMPARE_COMPLETE ? trial->value : NAN;
  compare->imputed[at] = state == COMPARE_DIVERGED ? INFINITY : compare->values[at];
  cell->runs.n_planned++;
  cell->runs.n += state != COMPARE_MISSING;
  cell->runs.n_complete += state == COMPARE_COMPLETE;
  cell->runs.n_diverged += state == COMPARE_DIVERGED;
  cell->runs.n_failed += state == COMPARE_FAILED;
  cell->runs.n_missing += state == COMPARE_MISSING;
}

/* Is it the first of its cell? The trials are sorted. */
static bool begins_cell(const Compare *compare, const CompareTrial *const *sorted,
                        int64_t i) {
  return i == 0 || compare_levels(sorted[i - 1]->levels, sorted[i]->levels,
                                  compare->spec.n_factors) != 0;
}

static Err fill_table(Compare *compare, const CompareTrial *const *sorted, int64_t n) {
  for (int64_t i = 0; i < n; i++) compare->n_cells += begins_cell(compare, sorted, i);
  int64_t size = (int64_t)compare->n_cells * compare->n_seeds;
  if (size > TABLE_MAX)
    return fault_set(compare->fault, ERR_VALUE,
                     "compare: %d cells x %d seeds, allowed: up to %d together; cells "
                     "should share their seeds",
                     compare->n_cells, compare->n_seeds, TABLE_MAX);
  compare->cells = compare_alloc(compare, compare->n_cells, sizeof *compare->cells);
  compare->values = compare_alloc(compare, size, sizeof *compare->values);
  compare->imputed = compare_alloc(compare, size, sizeof *compare->imputed);
  if (!compare->cells || !compare->values || !compare->imputed) return ERR_MEMORY;
  for (int64_t i = 0; i < size; i++) compare->values[i] = compare->imputed[i] = NAN;
  int cell = -1;
  for (int64_t i = 0; i < n; i++) {
    if (begins_cell(compare, sorted, i)) {
      compare->cells[++cell].levels = sorted[i]->levels;
      compare->cells[cell].note = sorted[i]->note;
    } else if (sorted[i - 1]->seed == sorted[i]->seed) {
      const char *place = compare_place(compare, sorted[i]->levels);
      return fault_set(compare->fault, ERR_VALUE,
                       "compare: trial %s%sseed=%lld is given twice", place,
                       *place ? " " : "", (long long)sorted[i]->seed);
    }
    put_trial(compare, cell, sorted[i]);
  }
  return ERR_OK;
}

static Err make_table(Compare *compare, const CompareTrial *trials, int64_t n) {
  const CompareTrial **sorted = compare_alloc(compare, n, sizeof *sorted);
  if (!sorted || find_seeds(compare, trials, n)) return ERR_MEMORY;
  for (int64_t i = 0; i < n; i++) sorted[i] = &trials[i];
  qsort_r(sorted, (size_t)n, sizeof *sorted, by_cell_and_seed,
          &compare->spec.n_factors);
  return fill_table(compare, sorted, n);
}

int compare_values(const Compare *compare, int cell, bool impute, double *out) {
  const double *row = compare_row(compare, cell, impute);
  int n = 0;
  for (int s = 0; s < compare->n_seeds; s++)
    if (!isnan(row[s])) out[n++] = row[s];
  return n;
}

int compare_find_cell(const Compare *compare, const int *levels) {
  for (int c = 0; c < compare->n_cells; c++)
    if (compare_levels(compare->cells[c].levels, levels, compare->spec.n_factors) == 0)
      return c;
  return -1;
}

/* -- facts about factors ----------------------------------------------------------- */

/* Do a and b always change together: one level of a for each of b, and the reverse?
 * `of` has room for the levels of both; -2: not seen yet. */
static bool change_together(const Compare *compare, int a, int b, int *of) {
  int n_a = compare->spec.factors[a].n_levels + 1;
  int n = n_a + compare->spec.factors[b].n_levels + 1;
  for (int l = 0; l < n; l++) of[l] = -2;
  for (int c = 0; c < compare->n_cells; c++) {
    const int *levels = compare->cells[c].levels;
    must(levels);
    int la = levels[a], lb = levels[b];
    int *of_a = &of[la + 1], *of_b = &of[n_a + lb + 1];
    if (*of_a == -2) *of_a = lb;
    if (*of_b == -2) *of_b = la;
    if (*of_a != lb || *of_b != la) return false;
  }
  return true;
}

/* Does the factor vary? Its baseline, where none is given, is the first level that
 * occurs. */
static void find_levels(Compare *compare, int f, CompareFactor *factor) {
  int first = -1, lowest = factor->n_levels;
  for (int c = 0; c < compare->n_cells; c++) {
    must(compare->cells[c].levels);
    int level = compare->cells[c].levels[f];
    compare->varies[f] |= first >= 0 && level >= 0 && level != first;
    if (first < 0) first = level;
    if (level >= 0 && level < lowest) lowest = level;
  }
  if (factor->baseline < 0) factor->baseline = lowest < factor->n_levels ? lowest : 0;
}

/* Are there cells, and do they differ, in factors that are drawn? */
static bool is_drawn(const Compare *compare) {
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (compare->varies[f] && compare->spec.drawn[f]) return true;
  return false;
}

const char *compare_why_none(const Compare *compare) {
  return is_drawn(compare) ? "points that are drawn have no baseline"
                           : "no two cells differ in one factor alone";
}

static bool is_baseline(const Compare *compare, const CompareCell *cell) {
  for (int f = 0; f < compare->spec.n_factors; f++)
    if (compare->varies[f] && compare->alias[f] == f && cell->levels[f] >= 0 &&
        cell->levels[f] != compare->spec.factors[f].baseline)
      return false;
  return !is_drawn(compare);
}

/* Adds the name of the factor, or with a cell of its level there, and of those that
 * change with it: "activation+init", "relu+he_normal". */
static const char *title_of(Compare *compare, int factor, const CompareCell *cell) {
  Text title = {0};
  for (int f = factor; f < compare->spec.n_factors; f++)
    if (compare->alias[f] == factor)
      text_addf(&title, "%s%s", f > factor ? "+" : "",
                cell ? compare_level(compare, f, cell->levels[f])
                     : compare->spec.factors[f].name);
  return compare_keep_text(&compare->spec.blocks, &title, compare->fault);
}

static Err make_titles(Compare *compare, int f) {
  int n = compare->spec.factors[f].n_levels + 1;
  const char **titles = compare_alloc(compare, n, sizeof *titles);
  compare->titles[f] = title_of(compare, f, NULL);
  compare->level_titles[f] = titles;
  for (int c = 0; titles && c < compare->n_cells; c++) {
    const char **title = &titles[compare->cells[c].levels[f] + 1];
    if (!*title) *title = title_of(compare, f, &compare->cells[c]);
  }
  return compare->fault->code;
}

static Err find_facts(Compare *compare) {
  int n_factors = compare->spec.n_factors, n_levels = 0;
  CompareFactor *factors = (CompareFactor *)compare->spec.factors; /* our copy */
  for (int f = 0; f < n_factors; f++) n_levels += factors[f].n_levels + 1;
  int *seen = compare_alloc(compare, n_levels, sizeof *seen);
  if (!seen) return ERR_MEMORY;
  for (int f = 0; f < n_factors; f++) {
    find_levels(compare, f, &factors[f]);
    compare->alias[f] = f;
    for (int g = 0; g < f && compare->varies[f] && compare->alias[f] == f; g++)
      if (compare->varies[g] && compare->alias[g] == g &&
          change_together(compare, g, f, seen))
        compare->alias[f] = g;
  }
  for (int c = 0; c < compare->n_cells; c++)
    compare->cells[c].baseline = is_baseline(compare, &compare->cells[c]);
  for (int f = 0; f < n_factors; f++)
    if (compare_leads(compare, f) && make_titles(compare, f)) return ERR_MEMORY;
  return ERR_OK;
}

/* -- summaries --------------------------------------------------------------------- */

/* In the goal's direction; false where one is NaN. */
static bool is_better(const Compare *compare, double a, double b) {
  return compare->spec.goal == COMPARE_MAX ? a > b : a < b;
}

/* The best and the worst value of all; NaN: there is none. What diverged gets the
 * worst. */
static void find_ends(Compare *compare) {
  int64_t size = (int64_t)compare->n_cells * compare->n_seeds;
  compare->best = compare->worst = NAN;
  for (int64_t i = 0; i < size; i++) {
    double value = compare->values[i];
    if (isnan(value)) continue;
    if (!is_better(compare, compare->best, value)) compare->best = value;
    if (!is_better(compare, value, compare->worst)) compare->worst = value;
  }
  for (int64_t i = 0; i < size; i++)
    if (isinf(compare->imputed[i])) compare->imputed[i] = compare->worst;
}

Err compare_bootstrap(const Compare *compare, const char *purpose, Text *name,
                      const double *values, int n, StatInterval *out) {
  Stream stream = {philox_key(0, purpose, name->data), 0};
  Err err = name->failed ? fault_memory(compare->fault, name->n_bytes)
                         : stat_bootstrap_t(values, n, stream, out, compare->fault);
  text_deinit(name);
  return err;
}

static Err summarize(const Compare *compare, int cell, bool impute, double *values,
                     StatSample *out) {
  Text name = {0};
  int n = compare_values(compare, cell, impute, values);
  Err err = stat_sample(values, n, out, compare->fault);
  if (err || !compare->spec.bootstrap) return err;
  compare_add_cell(compare, cell, &name);
  return compare_bootstrap(compare, "bootstrap cell", &name, values, n, &out->interval);
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
  if (is_better(compare, x, y)) return -1;
  if (is_better(compare, y, x)) return 1;
  if (!first->sample.n != !second->sample.n) return first->sample.n ? -1 : 1;
  return i - k;
}

static Err make_cells(Compare *compare) {
  find_ends(compare);
  double *values = compare_alloc(compare, compare->n_seeds, sizeof *values);
  compare->order = compare_alloc(compare, compare->n_cells, sizeof(int));
  if (!values || !compare->order) return ERR_MEMORY;
  for (int c = 0; c < compare->n_cells; c++) {
    CompareCell *cell = &compare->cells[c];
    Err err = summarize(compare, c, false, values, &cell->sample);
    if (!err) err = summarize(compare, c, true, values, &cell->imputed);
    if (err) return err;
    compare->order[c] = c;
  }
  qsort_r(compare->order, (size_t)compare->n_cells, sizeof(int), by_mean, compare);
  return ERR_OK;
}

Err compare_new(Compare **out, const CompareSpec *spec, const CompareTrial *trials,
                int64_t n_trials, Fault *fault) {
  Fault own = {0};
  must(n_trials >= 0);
  *out = NULL;
  Err err = check_spec(spec, &own);
  if (!err) err = check_trials(spec, trials, n_trials, &own);
  Compare *compare = calloc(1, sizeof *compare);
  if (!compare) {
    compare_drop(spec->blocks);
    return fault_memory(fault, sizeof *compare);
  }
  compare->spec = *spec;
  compare->fault = &own;
  if (!err) err = copy_factors(compare);
  if (!err) err = make_table(compare, trials, n_trials);
  if (!err) err = find_facts(compare);
  if (!err) err = make_cells(compare);
  if (!err) err = compare_make_flags(compare);
  if (!err) err = compare_make_contrasts(compare);
  if (!err) err = compare_make_grid(compare);
  compare->fault = NULL;
  if (!err) {
    *out = compare;
    return ERR_OK;
  }
  compare_free(compare);
  return fault_pass(fault, &own);
}
