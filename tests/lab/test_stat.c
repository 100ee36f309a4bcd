/* Statistics against SciPy and statsmodels (reference/statistics.json), and their
 * edges. */
#include "base/file.h"
#include "base/json.h"
#include "lab/stat.h"
#include "test.h"

/* -- the references ---------------------------------------------------------------- */

static Json *reference;

static const Json *rows_of(const char *name) {
  Fault fault = {0};
  Text text = {0};
  if (!reference) {
    assert_int_equal(file_read("tests/lab/reference/statistics.json", 1 << 20, &text,
                               &fault),
                     ERR_OK);
    reference = json_parse(text.data, text.n_bytes, &fault);
    text_deinit(&text);
  }
  const Json *rows = json_find(reference, name);
  assert_non_null(rows);
  assert_true(json_count(rows) > 0);
  return rows;
}

static double number_at(const Json *row, int64_t i) {
  double value = NAN;
  assert_true(json_get_number(json_item(row, i), &value));
  return value;
}

static double number_of(const Json *row, const char *key) {
  double value = NAN;
  assert_true(json_find_number(row, key, &value));
  return value;
}

/* The list of numbers; its length in *n. At most 1000. */
static const double *numbers_of(const Json *row, const char *key, int *n) {
  static double numbers[2][1000];
  static int turn;
  const Json *list = json_find(row, key);
  assert_non_null(list);
  *n = (int)json_count(list);
  assert_true(*n <= 1000);
  turn = 1 - turn;
  for (int i = 0; i < *n; i++) numbers[turn][i] = number_at(list, i);
  return numbers[turn];
}

/* 1e-9, relative to values above 1; small tails are compared relative as well. */
static void check_close(double got, double want) {
  double tolerance = 1e-9 * fmax(fabs(want), fmin(1, fabs(want) + 1e-300));
  CHECK_NEAR(got, want, fmax(tolerance, 1e-300));
}

/* The same for sums, whose error is that of what was summed. */
static void check_sum(double got, double want, double scale) {
  CHECK_NEAR(got, want, 1e-9 * scale);
}

TEST(distributions_agree_with_scipy) {
  const Json *rows = rows_of("beta");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    check_close(stat_beta(number_at(row, 0), number_at(row, 1), number_at(row, 2)),
                number_at(row, 3));
  }
  rows = rows_of("t_tail");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    check_close(stat_t_tail(number_at(row, 0), number_at(row, 1)), number_at(row, 2));
    check_close(stat_t_tail(-number_at(row, 0), number_at(row, 1)), number_at(row, 2));
  }
  rows = rows_of("f_tail");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    check_close(stat_f_tail(number_at(row, 0), number_at(row, 1), number_at(row, 2)),
                number_at(row, 3));
  }
}

TEST(critical_values_agree_with_scipy) {
  const Json *rows = rows_of("t_critical");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    check_close(stat_t_critical(number_at(row, 0), number_at(row, 1)),
                number_at(row, 2));
  }
  rows = rows_of("normal_critical");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    check_close(stat_normal_critical(number_at(row, 0)), number_at(row, 1));
  }
  CHECK_NEAR(stat_t_critical(1, 4), 0, 1e-300);
  assert_true(isnan(stat_t_tail(NAN, 3)));
}

TEST(samples_and_t_intervals_agree) {
  const Json *rows = rows_of("samples");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    int n;
    const double *values = numbers_of(row, "values", &n);
    StatSample sample;
    assert_int_equal(stat_sample(values, n, &sample, NULL), ERR_OK);
    assert_int_equal(sample.n, n);
    check_close(sample.mean, number_of(row, "mean"));
    check_close(sample.sd, number_of(row, "sd"));
    check_close(sample.median, number_of(row, "median"));
    check_close(sample.min, number_of(row, "min"));
    check_close(sample.max, number_of(row, "max"));
    check_close(sample.interval.low, number_of(row, "low"));
    check_close(sample.interval.high, number_of(row, "high"));
  }
}

TEST(paired_tests_agree) {
  const Json *rows = rows_of("paired");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    int n;
    const double *differences = numbers_of(row, "differences", &n);
    StatPaired paired = stat_paired(differences, n, 1, 0);
    check_close(paired.mean, number_of(row, "mean"));
    check_close(paired.sd, number_of(row, "sd"));
    check_close(paired.d_z, number_of(row, "d_z"));
    check_close(paired.t, number_of(row, "t"));
    check_close(paired.p_t, number_of(row, "p_t"));
    check_close(paired.won, number_of(row, "won"));
    check_close(paired.won_interval.low, number_of(row, "won_low"));
    check_close(paired.won_interval.high, number_of(row, "won_high"));
    CHECK_NEAR(paired.p_flip, number_of(row, "p"), 0);
    CHECK_NEAR(paired.p, paired.p_t, 0);
    if (n < STAT_INTERVAL_MIN) {
      assert_true(isnan(paired.interval.low) && isnan(paired.interval.high));
      continue;
    }
    check_close(paired.interval.low, number_of(row, "low"));
    check_close(paired.interval.high, number_of(row, "high"));
  }
}

TEST(holm_and_wilson_agree) {
  const Json *rows = rows_of("holm");
  for (int64_t i = 0; i < json_count(rows); i++) {
    int n, m;
    double adjusted[100];
    const double *p = numbers_of(json_item(rows, i), "p", &n);
    const double *want = numbers_of(json_item(rows, i), "adjusted", &m);
    assert_int_equal(stat_holm(p, n, adjusted, NULL), ERR_OK);
    for (int k = 0; k < n; k++) check_close(adjusted[k], want[k]);
  }
  rows = rows_of("wilson");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    StatInterval interval = stat_wilson(number_at(row, 0), (int)number_at(row, 1));
    CHECK_NEAR(interval.low, number_at(row, 2), 1e-9);
    CHECK_NEAR(interval.high, number_at(row, 3), 1e-9);
  }
}

static void check_effect(const StatEffect *effect, const Json *want, double total) {
  assert_int_equal(effect->df, (int64_t)number_of(want, "df"));
  check_sum(effect->ss, number_of(want, "ss"), total);
  CHECK_NEAR(effect->eta2, number_of(want, "eta2"), 1e-9);
  if (!json_find(want, "f")) {
    assert_true(isnan(effect->f) && isnan(effect->p) && isnan(effect->omega2));
    return;
  }
  CHECK_NEAR(effect->omega2, number_of(want, "omega2"), 1e-9);
  check_sum(effect->f, number_of(want, "f"), 1 + number_of(want, "f"));
  CHECK_NEAR(effect->p, number_of(want, "p"), 1e-9);
}

TEST(anova_agrees_with_statsmodels) {
  const Json *rows = rows_of("anova");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i), *want = json_find(row, "effects");
    const Json *list = json_find(row, "levels");
    int levels[4], n_values, n_factors = (int)json_count(list);
    int n_blocks = (int)number_of(row, "blocks");
    for (int f = 0; f < n_factors; f++) levels[f] = (int)number_at(list, f);
    const double *values = numbers_of(row, "values", &n_values);
    StatEffect effects[16];
    assert_int_equal(stat_anova_count(n_factors, n_blocks), json_count(want));
    assert_int_equal(stat_anova(values, levels, n_factors, n_blocks, effects, NULL),
                     ERR_OK);
    double total = number_of(json_item(want, json_count(want) - 1), "ss");
    for (int64_t k = 0; k < json_count(want); k++)
      check_effect(&effects[k], json_item(want, k), total);
  }
}

TEST(brown_forsythe_agrees) {
  const Json *rows = rows_of("brown_forsythe");
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    int n, n_groups, sizes[8];
    const double *counts = numbers_of(row, "sizes", &n_groups);
    for (int g = 0; g < n_groups; g++) sizes[g] = (int)counts[g];
    const double *values = numbers_of(row, "values", &n);
    double p;
    assert_int_equal(stat_brown_forsythe(values, sizes, n_groups, &p, NULL), ERR_OK);
    check_close(p, number_of(row, "p"));
  }
  json_free(reference);
  reference = NULL;
}

/* -- edges ------------------------------------------------------------------------- */

TEST(small_samples_have_no_interval) {
  double values[] = {3, 1};
  StatSample sample;
  assert_int_equal(stat_sample(values, 0, &sample, NULL), ERR_OK);
  assert_true(sample.n == 0 && isnan(sample.mean) && isnan(sample.interval.low));
  assert_int_equal(stat_sample(values, 1, &sample, NULL), ERR_OK);
  assert_true(sample.mean == 3 && sample.median == 3 && isnan(sample.sd));
  assert_int_equal(stat_sample(values, 2, &sample, NULL), ERR_OK);
  assert_true(sample.median == 2 && sample.min == 1 && sample.max == 3);
  assert_true(isnan(sample.interval.low) && isnan(sample.interval.high));
}

TEST(bootstrap_is_deterministic_and_follows_skew) {
  double values[] = {1, 1.1, 1.2, 1.3, 1.5, 1.9, 2.8, 6};
  StatInterval first, again, other,
      plain = stat_t_interval(stat_mean(values, 8), stat_sd(values, 8), 8, 0.05);
  Stream stream = {philox_key(0, "test", "a"), 0};
  Stream another = {philox_key(0, "test", "b"), 0};
  assert_int_equal(stat_bootstrap_t(values, 8, stream, &first, NULL), ERR_OK);
  assert_int_equal(stat_bootstrap_t(values, 8, stream, &again, NULL), ERR_OK);
  assert_int_equal(stat_bootstrap_t(values, 8, another, &other, NULL), ERR_OK);
  assert_memory_equal(&first, &again, sizeof first);
  assert_true(first.low != other.low);
  assert_true(first.low > plain.low && first.high > plain.high); /* the long tail */
  assert_int_equal(stat_bootstrap_t(values, 4, stream, &first, NULL), ERR_OK);
  plain = stat_t_interval(stat_mean(values, 4), stat_sd(values, 4), 4, 0.05);
  assert_memory_equal(&first, &plain, sizeof first);
  double flat[] = {2, 2, 2, 2, 2};
  assert_int_equal(stat_bootstrap_t(flat, 5, stream, &first, NULL), ERR_OK);
  assert_true(first.low == 2 && first.high == 2);
}

TEST(sign_flip_reaches_its_smallest_value) {
  double values[30];
  for (int i = 0; i < 30; i++) values[i] = 1 + 0.01 * i;
  for (int n = 1; n <= 30; n++)
    CHECK_NEAR(stat_sign_flip(values, n, 1), stat_sign_flip_min(n, 1), 0);
  CHECK_NEAR(stat_sign_flip_min(5, 1), 0.0625, 0);
  CHECK_NEAR(stat_sign_flip_min(21, 1), 1.0 / 100001, 1e-18);
  CHECK_NEAR(stat_sign_flip(values, 0, 1), 1, 0);
}

TEST(sign_flip_without_any_difference_is_one) {
  double values[25] = {0};
  CHECK_NEAR(stat_sign_flip(values, 7, 1), 1, 0);
  CHECK_NEAR(stat_sign_flip(values, 25, 1), 1, 0);
  StatPaired paired = stat_paired(values, 7, 1, 0);
  assert_true(isnan(paired.d_z) && isnan(paired.p_t) && paired.won == 0.5);
}

/* 0.1 + 0.2 - 0.3 is 6e-17: a spread of that size is none, and d_z infinite. */
TEST(rounding_is_no_spread_of_a_sample) {
  double values[7], turned[7];
  for (int i = 0; i < 7; i++) {
    values[i] = i % 2 ? 0.1 + 0.2 : 0.3;
    turned[i] = -values[i];
  }
  StatSample sample;
  assert_int_equal(stat_sample(values, 7, &sample, NULL), ERR_OK);
  CHECK_NEAR(sample.sd, 0, 0);
  StatPaired paired = stat_paired(values, 7, 1, 0);
  assert_true(paired.d_z == INFINITY && paired.t == INFINITY);
  CHECK_NEAR(paired.p_t, 0, 0);
  CHECK_NEAR(paired.p_flip, 2.0 / 128, 0);
  CHECK_NEAR(paired.p, paired.p_flip, 0); /* there is no sd to go by */
  CHECK_NEAR(paired.interval.low, 0.3, 1e-15);
  CHECK_NEAR(paired.interval.high, 0.3, 1e-15);
  assert_true(stat_paired(turned, 7, 1, 0).d_z == -INFINITY);
  values[0] = 0.3 + 1e-9;
  assert_true(stat_sd(values, 7) > 1e-10);
}

TEST(equal_values_have_no_shares_of_variance) {
  double values[36];
  int levels[] = {3, 2};
  StatEffect effects[6];
  for (int i = 0; i < 36; i++)
    values[i] = 0.1 + 0.2 * 3; /* their mean is another number */
  assert_int_equal(stat_anova(values, levels, 2, 6, effects, NULL), ERR_OK);
  for (int i = 0; i < 6; i++) assert_true(isnan(effects[i].eta2) && effects[i].ss == 0);
}

/* Thirds cancel up to rounding: patterns with equal sums must all count. */
TEST(sign_flip_counts_ties_in_spite_of_rounding) {
  double values[] = {0.1, 0.2,
                     0.3}; /* |sum| is 0.6 for +++ and ---; 0.1 + 0.2 != 0.3 */
  CHECK_NEAR(stat_sign_flip(values, 3, 1), 0.25, 0);
  double turned[] = {-0.1, -0.2, 0.3}; /* the sum is 0 but for rounding */
  CHECK_NEAR(stat_sign_flip(turned, 3, 1), 1, 0);
}

/* The draws of 21 pairs agree with all patterns of the first 20 and one more, computed
 * here by brute force. */
TEST(drawn_sign_flip_is_near_the_exact_one) {
  enum { N = 21 };
  double values[N], sum = 0;
  Stream stream = {philox_key(3, "test", NULL), 0};
  for (int i = 0; i < N; i++) {
    values[i] = philox_unit(philox_word(stream, (uint64_t)i)) - 0.45;
    sum += values[i];
  }
  int64_t extreme = 0;
  for (int pattern = 0; pattern < 1 << N; pattern++) {
    double flipped = 0;
    for (int i = 0; i < N; i++) flipped += pattern >> i & 1 ? -values[i] : values[i];
    extreme += fabs(flipped) >= fabs(sum) * (1 - 1e-12);
  }
  double exact = (double)extreme / (1 << N);
  assert_true(exact > 0.01 && exact < 0.9);
  CHECK_NEAR(stat_sign_flip(values, N, 1), exact,
             4 * sqrt(exact * (1 - exact) / STAT_FLIPS));
}

/* What n seeds can reach, n + 1 can. */
TEST(more_seeds_never_take_significance_away) {
  static const int families[] = {1, 7, 100, 5000, 6317, 26000, 99000};
  for (int i = 0; i < 7; i++) {
    int m = families[i], needed = stat_flips_needed(m, STAT_ALPHA);
    assert_true(needed > 0);
    for (int n = 1; n <= 40; n++)
      assert_int_equal(m * stat_sign_flip_min(n, m) < STAT_ALPHA, n >= needed);
  }
  double values[25];
  for (int i = 0; i < 25; i++) values[i] = 1 + 0.01 * i;
  CHECK_NEAR(stat_sign_flip(values, 25, 6317), stat_sign_flip_min(25, 6317), 0);
}

/* A p that the first draws settle is the same in any family. */
TEST(draws_go_on_only_where_none_is_extreme) {
  double values[25];
  for (int i = 0; i < 25; i++) values[i] = i < 6 ? -1 : 1;
  double p = stat_sign_flip(values, 25, 1);
  assert_true(p > 0.005 && p < 0.03);
  CHECK_NEAR(stat_sign_flip(values, 25, 100000), p, 0);
}

TEST(sign_flip_needs_seeds_for_a_family) {
  assert_int_equal(stat_flips_needed(1, STAT_ALPHA), 6);
  assert_int_equal(stat_flips_needed(6, STAT_ALPHA), 8);
  assert_int_equal(stat_flips_needed(7, STAT_ALPHA), 9);
  assert_int_equal(stat_flips_needed(12, STAT_ALPHA), 9);
  assert_int_equal(stat_flips_needed(25, STAT_ALPHA), 10);
  assert_int_equal(stat_flips_needed(26, STAT_ALPHA), 11);
  assert_int_equal(stat_flips_needed(100000000, STAT_ALPHA), 0);
}

TEST(anova_of_one_block_and_of_constant_values) {
  double values[] = {1, 2, 4, 9}, same[] = {5, 5, 5, 5};
  int levels[] = {2, 2};
  StatEffect effects[8];
  assert_int_equal(stat_anova_count(2, 1), 4);
  assert_int_equal(stat_anova(values, levels, 2, 1, effects, NULL), ERR_OK);
  CHECK_NEAR(effects[0].ss + effects[1].ss + effects[2].ss, effects[3].ss, 1e-12);
  assert_true(isnan(effects[0].omega2) && effects[0].eta2 > 0);
  assert_int_equal(stat_anova(same, levels, 1, 2, effects, NULL), ERR_OK);
  assert_true(effects[0].ss == 0 && isnan(effects[0].eta2));
}

/* -- the largest complete part ----------------------------------------------------- */

static bool keep[64];

static int wanted; /* levels of the last dimension */

static int64_t largest(const bool *present, const int *sizes, int n_dims) {
  int64_t count = -1;
  Err err = stat_grid_largest(present, sizes, n_dims, wanted, keep, &count, NULL);
  assert_int_equal(err, ERR_OK);
  return count;
}

TEST(a_complete_grid_stays_whole) {
  bool present[24];
  for (int i = 0; i < 24; i++) present[i] = true;
  assert_int_equal(largest(present, (int[]){2, 3, 4}, 3), 24);
  for (int i = 0; i < 9; i++) assert_true(keep[i]);
}

TEST(one_hole_costs_the_cheapest_level) {
  bool present[40];
  for (int i = 0; i < 40; i++) present[i] = i != 13; /* level 1, column 3 */
  assert_int_equal(largest(present, (int[]){4, 10}, 2), 36);
  assert_false(keep[4 + 3]);
}

TEST(empty_grids) {
  bool present[6] = {false};
  assert_int_equal(largest(present, (int[]){2, 3}, 2), 0);
  assert_int_equal(largest(present, (int[]){1}, 1), 0);
  present[4] = true;
  assert_int_equal(largest(present, (int[]){2, 3}, 2), 1);
  assert_true(keep[1] && keep[2 + 1] && !keep[0]);
}

/* Each column lacks another row, but the first three: 4 x 3, or 1 x 5 with five
 * columns. */
TEST(more_of_the_last_dimension_is_preferred_within_reason) {
  const bool rows[4][6] = {{1, 1, 1, 1, 1, 0}, {1, 1, 1, 0, 0, 1},
                           {1, 1, 1, 1, 0, 1}, {1, 1, 1, 1, 0, 0}};
  assert_int_equal(largest(&rows[0][0], (int[]){4, 6}, 2), 12);
  wanted = 4;
  assert_int_equal(largest(&rows[0][0], (int[]){4, 6}, 2), 12); /* 3 rows x 4 */
  assert_true(keep[4 + 3] && !keep[1]);
  wanted = 5;
  assert_int_equal(largest(&rows[0][0], (int[]){4, 6}, 2), 12); /* 1 x 5 is too small */
  assert_true(keep[0] && keep[1] && keep[2] && keep[3]);
  wanted = 7;
  assert_int_equal(largest(&rows[0][0], (int[]){4, 6}, 2), 12);
  wanted = 0;
}

/* Every choice of rows, each with the columns complete in it. */
static int64_t brute_force(const bool *present, int n_rows, int n_columns) {
  int64_t best = 0;
  for (int rows = 1; rows < 1 << n_rows; rows++) {
    int n = 0;
    for (int c = 0; c < n_columns; c++) {
      bool complete = true;
      for (int r = 0; r < n_rows; r++)
        if (rows >> r & 1) complete = complete && present[r * n_columns + c];
      n += complete;
    }
    int64_t count = (int64_t)n * __builtin_popcount((unsigned)rows);
    if (count > best) best = count;
  }
  return best;
}

TEST(the_search_finds_what_brute_force_finds) {
  Stream stream = {philox_key(1, "test grid", NULL), 0};
  for (stream.draw = 0; stream.draw < 300; stream.draw++) {
    bool present[8 * 10];
    int sizes[] = {1 + (int)philox_below(stream, 100, 8),
                   1 + (int)philox_below(stream, 101, 10)};
    for (int i = 0; i < 80; i++)
      present[i] = philox_below(stream, (uint64_t)i, 100) < 40 + stream.draw / 5;
    int64_t count = largest(present, sizes, 2);
    assert_int_equal(count, brute_force(present, sizes[0], sizes[1]));
    int64_t kept[2] = {0, 0};
    for (int r = 0; r < sizes[0]; r++) {
      kept[0] += keep[r];
      for (int c = 0; c < sizes[1]; c++)
        if (keep[r] && keep[sizes[0] + c]) assert_true(present[r * sizes[1] + c]);
    }
    for (int c = 0; c < sizes[1]; c++) kept[1] += keep[sizes[0] + c];
    if (count > 0) assert_int_equal(kept[0] * kept[1], count);
  }
}
