/* test_plan_arena.c: stretches are placed where the plain definition says, and with
 * work that grows little faster than their number. */
#include "graph/plan_arena.h"
#include "test.h"

enum { MANY = 600 };

static uint64_t drawn;

/* 0 .. n - 1. */
static int draw(int n) {
  drawn = drawn * 6364136223846793005u + 1442695040888963407u;
  return (int)((drawn >> 33) % (uint64_t)n);
}

/* -- the plain definition ---------------------------------------------------------- */

/* Does s[i] at offset `at` meet one of those before it? Then *end is where that one
 * ends. */
static bool meets(const Stretch *s, int i, size_t at, size_t *end) {
  for (int k = 0; k < i; k++) {
    size_t from = s[k].offset, n = plan_rounded(s[k].n_bytes);
    bool same_time = s[i].born <= s[k].dies && s[k].born <= s[i].dies;
    if (!same_time || from + n <= at || at + plan_rounded(s[i].n_bytes) <= from)
      continue;
    *end = from + n;
    return true;
  }
  return false;
}

/* The lowest place of each beside those before it: 0, or the end of one that is in the
 * way. */
static void check_places(const Stretch *s, int n, size_t n_bytes) {
  size_t all = 0;
  for (int i = 0; i < n; i++) {
    size_t at = 0;
    while (meets(s, i, at, &at)) continue;
    assert_int_equal(s[i].offset, at);
    if (at + plan_rounded(s[i].n_bytes) > all) all = at + plan_rounded(s[i].n_bytes);
    if (i) assert_true(s[i - 1].n_bytes >= s[i].n_bytes);
  }
  assert_int_equal(n_bytes, all);
}

static StretchesSize placed(Stretch *s, int n, int n_jobs) {
  Fault fault = {0};
  StretchesSize size;
  assert_int_equal(stretches_place(s, n, n_jobs, &size, &fault), ERR_OK);
  return size;
}

/* -- as plans have them, and at random --------------------------------------------- */

static Stretch stretch(int i, int born, int dies, size_t n_bytes) {
  return (Stretch){
      .value = i, .item = -1, .born = born, .dies = dies, .n_bytes = n_bytes};
}

/* n values that live from the way out to the way back, and one of two jobs beside
 * each. */
static int make_there_and_back(Stretch *s, int n, int n_sizes) {
  for (int i = 0; i < n; i++) {
    s[2 * i] = stretch(2 * i, i, 2 * n - 1 - i, 64 * (size_t)(1 + i % n_sizes));
    s[2 * i + 1] = stretch(2 * i + 1, i, i + 1, 100);
  }
  return 2 * n;
}

/* Gradients: each from its job on to the last. */
static int make_until_the_end(Stretch *s, int n, int n_sizes) {
  for (int i = 0; i < n; i++)
    s[i] = stretch(i, i, n - 1, 192 * (size_t)(1 + i % n_sizes));
  return n;
}

TEST(random_stretches_are_where_the_definition_says) {
  static Stretch s[MANY];
  for (int round = 0; round < 200; round++) {
    drawn = (uint64_t)round;
    int n = 1 + draw(round < 195 ? 60 : MANY), n_jobs = 1 + draw(round % 2 ? 8 : 200);
    int longest = 1 + draw(n_jobs), n_sizes = 1 + draw(round % 3 ? 4 : 500);
    for (int i = 0; i < n; i++) {
      int born = draw(n_jobs), life = draw(longest);
      int dies = born + life < n_jobs ? born + life : n_jobs - 1;
      s[i] = stretch(i, born, dies, (size_t)draw(n_sizes) * (round % 5 ? 64 : 17));
    }
    StretchesSize size = placed(s, n, n_jobs);
    check_places(s, n, size.n_bytes);
  }
}

TEST(stretches_of_long_nets_are_where_the_definition_says) {
  static Stretch s[MANY];
  for (int n_sizes = 1; n_sizes < 100; n_sizes = 3 * n_sizes + 1) {
    int n = make_there_and_back(s, MANY / 2, n_sizes);
    check_places(s, n, placed(s, n, n).n_bytes);
    n = make_until_the_end(s, MANY, n_sizes);
    check_places(s, n, placed(s, n, n).n_bytes);
  }
}

TEST(values_that_all_live_at_once_lie_one_behind_the_other) {
  static Stretch s[MANY];
  for (int i = 0; i < MANY; i++) s[i] = stretch(i, 0, 0, 64);
  assert_int_equal(placed(s, MANY, 1).n_bytes, 64 * MANY);
  for (int i = 0; i < MANY; i++) assert_int_equal(s[i].offset, 64 * i);
}

TEST(nothing_and_values_without_bytes_take_no_room) {
  Stretch s[] = {stretch(0, 0, 3, 0), stretch(1, 1, 1, 0)};
  assert_int_equal(placed(s, 0, 1).n_bytes, 0);
  assert_int_equal(placed(s, 2, 4).n_bytes, 0);
  assert_int_equal(s[0].offset + s[1].offset, 0);
}

/* -- the work ---------------------------------------------------------------------- */

/* Twice as many take little more than twice the looks: each passes one level more. */
static void check_growth(int (*make)(Stretch *s, int n, int n_sizes), int n_sizes) {
  enum { LEAST = 2000, MOST = 16000, LOOKS_EACH = 200 };
  Stretch *s = malloc((size_t)2 * MOST * sizeof *s);
  int64_t before = 0;
  assert_non_null(s);
  for (int n = LEAST; n <= MOST; n *= 2) {
    int n_made = make(s, n, n_sizes);
    int64_t looks = placed(s, n_made, 2 * n).n_looks;
    if (before) assert_true((double)looks <= 2.3 * (double)before);
    assert_true(looks <= LOOKS_EACH * (int64_t)n_made);
    before = looks;
  }
  free(s);
}

TEST(the_work_grows_with_the_number_of_stretches) {
  for (int n_sizes = 1; n_sizes <= 9; n_sizes += 4) {
    check_growth(make_there_and_back, n_sizes);
    check_growth(make_until_the_end, n_sizes);
  }
}
