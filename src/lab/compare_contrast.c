/* compare_contrast.c: the family of contrasts: settings, differences, tests, verdicts.
 *
 * A contrast is a list of members: cells, each on one side (a or b) and in one setting.
 * Cells of one side and setting are averaged (more than one only where a factor does
 * not apply to the other side). A setting counts for a seed when all its members have a
 * value; the largest complete block of settings x seeds gives one difference for each
 * seed. A block with seeds enough for a verdict is preferred, if it is half as
 * large. */
#include "lab/compare_private.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct Member {
  int cell, setting;
  bool is_a;
  int n_alike; /* members of its side and setting, itself included */
} Member;

typedef struct Members {
  Member *v; /* by setting */
  int n, n_settings;
} Members;

/* -- members ----------------------------------------------------------------------- */

typedef struct Sharing {
  const Compare *compare;
  bool shared[STAT_FACTORS_MAX]; /* factors that make a setting */
} Sharing;

static int by_setting(const void *a, const void *b, void *context) {
  const Sharing *sharing = context;
  const CompareCell *cells = sharing->compare->cells;
  const int *p = cells[((const Member *)a)->cell].levels;
  const int *q = cells[((const Member *)b)->cell].levels;
  for (int f = 0; f < sharing->compare->spec.n_factors; f++)
    if (sharing->shared[f] && p[f] != q[f]) return p[f] < q[f] ? -1 : 1;
  return 0;
}

static int by_setting_and_cell(const void *a, const void *b, void *context) {
  int order = by_setting(a, b, context);
  return order ? order : ((const Member *)a)->cell - ((const Member *)b)->cell;
}

/* A factor makes settings unless it changes with the contrast's, or applies to one side
 * only. */
static Sharing sharing_of(const Compare *compare, int factor, const Members *members) {
  Sharing sharing = {.compare = compare};
  for (int f = 0; f < compare->spec.n_factors; f++) {
    bool applies[2] = {false, false};
    for (int i = 0; i < members->n; i++)
      if (compare->cells[members->v[i].cell].levels[f] >= 0)
        applies[members->v[i].is_a] = true;
    sharing.shared[f] = compare->alias[f] != factor && applies[0] == applies[1];
  }
  return sharing;
}

/* Numbers the settings, and leaves out those that only one side has. */
static void number_settings(Members *members, Sharing *sharing) {
  int kept = 0;
  members->n_settings = 0;
  for (int i = 0, end; i < members->n; i = end) {
    int n[2] = {0, 0};
    for (end = i; end < members->n; end++) {
      if (by_setting(&members->v[i], &members->v[end], sharing)) break;
      n[members->v[end].is_a]++;
    }
    if (!n[0] || !n[1]) continue;
    for (int k = i; k < end; k++) {
      const Member *m = &members->v[k];
      members->v[kept++] = (Member){m->cell, members->n_settings, m->is_a, n[m->is_a]};
    }
    members->n_settings++;
  }
  members->n = kept;
}

/* Those of levels a and b of a factor, or, with factor -1, two cells. */
static void find_members(const Compare *compare, int factor, int a, int b,
                         Members *out) {
  out->n = 0;
  if (factor < 0) {
    out->v[out->n++] = (Member){a, 0, true, 1};
    out->v[out->n++] = (Member){b, 0, false, 1};
    out->n_settings = 1;
    return;
  }
  for (int c = 0; c < compare->n_cells; c++) {
    int level = compare->cells[c].levels[factor];
    if (level == a || level == b) out->v[out->n++] = (Member){c, 0, level == a, 0};
  }
  Sharing sharing = sharing_of(compare, factor, out);
  qsort_r(out->v, (size_t)out->n, sizeof *out->v, by_setting_and_cell, &sharing);
  number_settings(out, &sharing);
}

/* -- one analysis ------------------------------------------------------------------ */

/* Scratch for one contrast; sizes for the largest. */
typedef struct Scratch {
  Members members;
  double *side[2];     /* [setting][seed]: mean over the members of b, of a */
  bool *present;       /* [setting][seed] */
  bool *keep;          /* settings, then seeds */
  double *differences; /* per seed kept */
  int *seeds;          /* their indices */
  int (*pairs)[2]; /* per contrast: its cells, the lower first, if it has just two */
  int n_tests;     /* contrasts, once they are counted */
} Scratch;

static Err scratch_init(Compare *compare, Scratch *out) {
  int64_t cells = compare->n_cells, seeds = compare->n_seeds, table = cells * seeds;
  out->members.v = compare_alloc(compare, cells, sizeof *out->members.v);
  out->present = compare_alloc(compare, table, sizeof *out->present);
  out->keep = compare_alloc(compare, cells + seeds, sizeof *out->keep);
  out->differences = compare_alloc(compare, seeds, sizeof *out->differences);
  out->seeds = compare_alloc(compare, seeds, sizeof *out->seeds);
  for (int i = 0; i < 2; i++)
    out->side[i] = compare_alloc(compare, table, sizeof *out->side[i]);
  return compare->fault->code;
}

/* Fills both sides, NaN where a member has no value, and what is present. */
static void fill_sides(const Compare *compare, bool impute, Scratch *scratch) {
  const Members *members = &scratch->members;
  int n_seeds = compare->n_seeds, size = members->n_settings * n_seeds;
  double *b = scratch->side[0], *a = scratch->side[1];
  for (int k = 0; k < size; k++) a[k] = b[k] = 0;
  for (int i = 0; i < members->n; i++) {
    const Member *member = &members->v[i];
    const double *row = compare_row(compare, member->cell, impute);
    double *side = (member->is_a ? a : b) + (int64_t)member->setting * n_seeds;
    for (int s = 0; s < n_seeds; s++) side[s] += row[s] / member->n_alike;
  }
  for (int k = 0; k < size; k++) scratch->present[k] = !isnan(a[k]) && !isnan(b[k]);
}

/* The seed's difference, averaged over the settings kept. One that is only rounding of
 * the values is none, so that it counts as a tie; *error is what it may be off by. */
static double difference_of(const Compare *compare, const Scratch *scratch, int seed,
                            int n_kept, double *error) {
  double sum = 0, size = 0;
  for (int k = 0; k < scratch->members.n_settings; k++) {
    if (!scratch->keep[k]) continue;
    int64_t at = (int64_t)k * compare->n_seeds + seed;
    sum += scratch->side[1][at] - scratch->side[0][at];
    size += fabs(scratch->side[1][at]) + fabs(scratch->side[0][at]);
  }
  *error = STAT_ROUNDING * size / n_kept;
  return fabs(sum) <= STAT_ROUNDING * size ? 0 : sum / n_kept;
}

/* The least sd of differences that values in steps allow: each is off by an error that
 * is even over one step, of variance step^2 / 12; a difference has two, a mean over k
 * settings 1 / k. */
static double sd_floor(const Compare *compare, int n_settings) {
  return n_settings ? compare->spec.resolution / sqrt(6.0 * n_settings) : 0;
}

/* The differences of the seeds kept; returns how many. Where they differ by no more
 * than rounding of the values they are made equal: large values leave more of it in a
 * small difference than its own size shows. */
static int fill_differences(const Compare *compare, Scratch *scratch, int n_kept) {
  double *differences = scratch->differences, largest_error = 0, low = 0, high = 0;
  int n = 0;
  for (int s = 0; s < compare->n_seeds; s++) {
    if (!scratch->keep[scratch->members.n_settings + s]) continue;
    double error, difference = difference_of(compare, scratch, s, n_kept, &error);
    low = n ? fmin(low, difference) : difference;
    high = n ? fmax(high, difference) : difference;
    largest_error = fmax(largest_error, error);
    scratch->seeds[n] = s;
    differences[n++] = difference;
  }
  for (int i = 0; i < n && high - low <= 2 * largest_error; i++) differences[i] = low;
  return n;
}

/* Where the sd is the floor the interval by t stays: resamples know of no floor. */
static Err bootstrap_contrast(const Compare *compare, const CompareContrast *contrast,
                              const double *differences, StatPaired *paired) {
  Text name = {0};
  if (paired->sd_used > paired->sd) return ERR_OK;
  compare_add_contrast(compare, contrast, &name);
  return compare_bootstrap(compare, "bootstrap contrast", &name, differences, paired->n,
                           &paired->interval);
}

/* Seeds won count in the goal's direction. */
static void turn_won(StatPaired *paired) {
  StatInterval interval = paired->won_interval;
  paired->won = 1 - paired->won;
  paired->won_interval = (StatInterval){1 - interval.high, 1 - interval.low};
}

static Err analyse(const Compare *compare, const CompareContrast *contrast, bool impute,
                   Scratch *scratch, CompareAnalysis *out) {
  fill_sides(compare, impute, scratch);
  int n_settings = scratch->members.n_settings;
  int sizes[2] = {n_settings, compare->n_seeds};
  int64_t count = 0;
  Err err = stat_grid_largest(scratch->present, sizes, 2, STAT_TEST_MIN, scratch->keep,
                              &count, compare->fault);
  if (err) return err;
  out->n_settings = 0;
  for (int k = 0; k < n_settings; k++) out->n_settings += scratch->keep[k];
  int n = fill_differences(compare, scratch, out->n_settings);
  out->paired = stat_paired(scratch->differences, n, scratch->n_tests,
                            sd_floor(compare, out->n_settings));
  out->p_holm = n < STAT_TEST_MIN ? NAN : out->paired.p;
  int dominant = out->paired.dominant;
  out->dominant = dominant < 0 ? -1 : scratch->seeds[dominant];
  if (compare->spec.bootstrap)
    err = bootstrap_contrast(compare, contrast, scratch->differences, &out->paired);
  if (compare->spec.goal == COMPARE_MIN) turn_won(&out->paired);
  return err;
}

/* -- the family -------------------------------------------------------------------- */

/* Holm's adjustment over all contrasts of the p that is `at` bytes into each; NaN
 * stays. A contrast whose p is NaN counts as a test where `counts` says so. */
static Err adjust(Compare *compare, size_t at, bool counts) {
  int n = compare->n_contrasts, n_tests = 0;
  double *p = compare_alloc(compare, 2 * (int64_t)n, sizeof *p);
  double **own = compare_alloc(compare, n, sizeof *own);
  if (!p || !own) return ERR_MEMORY;
  for (int i = 0; i < n; i++) {
    own[n_tests] = (void *)((char *)&compare->contrasts[i] + at);
    p[n_tests] = *own[n_tests];
    n_tests += counts || !isnan(p[n_tests]);
  }
  Err err = stat_holm(p, n_tests, p + n, compare->fault);
  for (int i = 0; i < n_tests && !err; i++)
    if (!isnan(p[i])) *own[i] = p[n + i];
  return err;
}

static CompareVerdict verdict_of(const Compare *compare,
                                 const CompareAnalysis *analysis) {
  StatInterval interval = analysis->paired.interval;
  double rope = compare->spec.rope;
  if (analysis->paired.n < STAT_TEST_MIN) return COMPARE_UNTESTED;
  if (rope > 0 && interval.low >= -rope && interval.high <= rope)
    return COMPARE_EQUIVALENT;
  bool apart = interval.low > 0 || interval.high < 0;
  if (!apart || !(analysis->p_holm < compare->level)) return COMPARE_UNDECIDED;
  bool higher = interval.low > 0;
  return higher == (compare->spec.goal == COMPARE_MAX) ? COMPARE_BETTER : COMPARE_WORSE;
}

static bool is_open(CompareVerdict verdict) {
  return verdict == COMPARE_UNDECIDED || verdict == COMPARE_UNTESTED;
}

static void conclude(const Compare *compare, CompareContrast *contrast) {
  CompareAnalysis *complete = &contrast->complete, *imputed = &contrast->imputed;
  complete->verdict = verdict_of(compare, complete);
  imputed->verdict = verdict_of(compare, imputed);
  contrast->verdict = complete->verdict;
  if (complete->paired.n == 0) {
    contrast->verdict = imputed->verdict;
  } else if (complete->verdict != imputed->verdict &&
             !(is_open(complete->verdict) && is_open(imputed->verdict))) {
    contrast->disputed = true;
    contrast->verdict = COMPARE_UNDECIDED;
  }
  contrast->clearly_uneven = contrast->uneven &&
                             contrast->p_wrong_holm < compare->level;
}

/* -- runs that went wrong ---------------------------------------------------------- */

static void test_runs(const Compare *compare, const Members *members,
                      CompareContrast *contrast) {
  CompareRuns *a = &contrast->runs_a, *b = &contrast->runs_b;
  for (int i = 0; i < members->n; i++) {
    const Member *member = &members->v[i];
    compare_add_runs(member->is_a ? a : b, compare->cells[member->cell].runs);
  }
  int wrong_a = compare_n_wrong(*a), wrong_b = compare_n_wrong(*b);
  contrast->p_wrong = contrast->p_wrong_holm = NAN;
  if (wrong_a + wrong_b == 0 || a->n == 0 || b->n == 0) return;
  contrast->uneven = (int64_t)wrong_a * b->n != (int64_t)wrong_b * a->n;
  contrast->p_wrong = stat_fisher(wrong_a, a->n, wrong_b, b->n);
  contrast->p_wrong_holm = contrast->p_wrong;
}

/* -- which contrasts --------------------------------------------------------------- */

/* Adds it, unless no setting has both sides. Asked twice is tested once, or Holm's
 * adjustment would count it twice: of contrasts of the same two cells, whichever way
 * round, the first stays. Those of more cells are of levels, and no two of them are
 * alike. */
static void add_contrast(Compare *compare, Scratch *scratch, int factor, int a, int b) {
  Members *members = &scratch->members;
  find_members(compare, factor, a, b, members);
  int at = compare->n_contrasts, *pair = scratch->pairs[at];
  pair[0] = pair[1] = -1;
  if (members->n_settings == 0) return;
  if (members->n == 2) {
    int first = members->v[0].cell, second = members->v[1].cell;
    pair[0] = first < second ? first : second;
    pair[1] = first < second ? second : first;
    for (int i = 0; i < at; i++)
      if (scratch->pairs[i][0] == pair[0] && scratch->pairs[i][1] == pair[1]) return;
  }
  compare->contrasts[compare->n_contrasts++] = (CompareContrast){
      .factor = factor, .a = a, .b = b, .n_settings = members->n_settings};
}

static void add_level_contrasts(Compare *compare, Scratch *scratch) {
  for (int f = 0; f < compare->spec.n_factors; f++) {
    const CompareFactor *factor = &compare->spec.factors[f];
    if (!compare_leads(compare, f) || compare->spec.drawn[f]) continue;
    for (int level = 0; level < factor->n_levels; level++)
      if (level != factor->baseline)
        add_contrast(compare, scratch, f, level, factor->baseline);
  }
}

static Err add_cell_contrasts(Compare *compare, Scratch *scratch) {
  int base = 0;
  while (base < compare->n_cells && !compare->cells[base].baseline) base++;
  for (int c = 0; compare->spec.cell_contrasts && c < compare->n_cells; c++)
    if (c != base && base < compare->n_cells)
      add_contrast(compare, scratch, -1, c, base);
  for (int i = 0; i < compare->spec.n_pairs; i++) {
    const ComparePair *pair = &compare->spec.pairs[i];
    int a = compare_find_cell(compare, pair->a),
        b = compare_find_cell(compare, pair->b);
    if (a < 0 || b < 0)
      return fault_set(compare->fault, ERR_VALUE,
                       "compare: a contrast asks for the cell %s, which is not one of "
                       "the study's %d cells",
                       compare_place(compare, a < 0 ? pair->a : pair->b),
                       compare->n_cells);
    if (a == b)
      return fault_set(compare->fault, ERR_VALUE,
                       "compare: a contrast of a cell with itself");
    add_contrast(compare, scratch, -1, a, b);
  }
  return ERR_OK;
}

static Err make_family(Compare *compare, Scratch *scratch) {
  int64_t most = compare->spec.n_pairs + 1;
  if (compare->spec.cell_contrasts) most += compare->n_cells;
  for (int f = 0; f < compare->spec.n_factors; f++)
    most += compare->spec.factors[f].n_levels;
  compare->contrasts = compare_alloc(compare, most, sizeof *compare->contrasts);
  scratch->pairs = compare_alloc(compare, most, sizeof *scratch->pairs);
  if (!compare->contrasts || !scratch->pairs) return ERR_MEMORY;
  add_level_contrasts(compare, scratch);
  return add_cell_contrasts(compare, scratch);
}

static Err analyse_contrast(Compare *compare, Scratch *scratch,
                            CompareContrast *contrast) {
  find_members(compare, contrast->factor, contrast->a, contrast->b, &scratch->members);
  test_runs(compare, &scratch->members, contrast);
  Err err = analyse(compare, contrast, false, scratch, &contrast->complete);
  if (err) return err;
  if (compare_n_diverged(contrast))
    return analyse(compare, contrast, true, scratch, &contrast->imputed);
  contrast->imputed = contrast->complete;
  return ERR_OK;
}

/* The median over the contrasts that have one. */
static Err find_sd(Compare *compare) {
  double *sds = compare_alloc(compare, compare->n_contrasts, sizeof *sds);
  if (!sds) return ERR_MEMORY;
  int n = 0;
  for (int i = 0; i < compare->n_contrasts; i++) {
    double sd = compare_main(&compare->contrasts[i])->paired.sd_used;
    if (sd > 0) sds[n++] = sd;
  }
  stat_sort(sds, n);
  compare->sd = n ? sds[n / 2] : NAN;
  return ERR_OK;
}

/* The family is made first: how many contrasts there are is what draws of a test go by.
 */
Err compare_make_contrasts(Compare *compare) {
  Scratch scratch = {0};
  Err err = scratch_init(compare, &scratch);
  if (!err) err = make_family(compare, &scratch);
  scratch.n_tests = compare->n_contrasts;
  for (int i = 0; i < compare->n_contrasts && !err; i++)
    err = analyse_contrast(compare, &scratch, &compare->contrasts[i]);
  /* One with too few seeds for a verdict is of the family all the same; one in which no
   * run went wrong cannot come out and is not (Tarone, Biometrics 46, 1990). */
  if (!err) err = adjust(compare, offsetof(CompareContrast, complete.p_holm), true);
  if (!err) err = adjust(compare, offsetof(CompareContrast, imputed.p_holm), true);
  if (!err) err = adjust(compare, offsetof(CompareContrast, p_wrong_holm), false);
  for (int i = 0; i < compare->n_contrasts && !err; i++)
    conclude(compare, &compare->contrasts[i]);
  return err ? err : find_sd(compare);
}

/* -- what the seeds can show ------------------------------------------------------- */

/* After Holm the first of m contrasts is tested at level / m: it is counted as if there
 * were one difference. */
static void add_find(const Compare *compare, int n_seeds, CompareReach *reach) {
  double level = compare_level_at(compare, n_seeds);
  double sds = stat_smallest(n_seeds, level / compare->n_contrasts);
  reach->finds[reach->n++] = (CompareFind){n_seeds, level, sds, sds * compare->sd};
}

CompareReach compare_reach(const Compare *compare) {
  static const int asked[] = {4, 5, 6, 8, 10};
  CompareReach reach = {0};
  int planned = compare->n_seeds;
  bool added = planned < STAT_TEST_MIN;
  if (compare->n_contrasts == 0) return reach;
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
    if (!added && planned < asked[i]) add_find(compare, planned, &reach);
    added = added || planned <= asked[i];
    add_find(compare, asked[i], &reach);
  }
  if (!added) add_find(compare, planned, &reach);
  return reach;
}
