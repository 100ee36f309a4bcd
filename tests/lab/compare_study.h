/* compare_study.h: a study to fill and to compare, and what is looked for in the text,
 * for the tests of comparisons. */
#ifndef TESTS_COMPARE_STUDY_H
#define TESTS_COMPARE_STUDY_H

#include "lab/compare.h"
#include "test.h"

enum { TRIALS_MAX = 2000 };

typedef struct Study {
  CompareFactor factors[4];
  CompareSpec spec;
  int levels[TRIALS_MAX][4];
  CompareTrial trials[TRIALS_MAX];
  int n;
} Study;

static const char *const activations[] = {"relu", "tanh", "sigmoid"};
static const char *const norms[] = {"none", "batch"};

/* Two factors: activation and norm, with baselines relu and none. */
static inline Study *study_new(void) {
  Study *study = calloc(1, sizeof *study);
  assert_non_null(study);
  study->factors[0] = (CompareFactor){"activation", activations, 3, 0};
  study->factors[1] = (CompareFactor){"norm", norms, 2, 0};
  study->spec = (CompareSpec){.name = "study", .metric = "test_accuracy", .low = 0,
                              .high = 1, .factors = study->factors, .n_factors = 2};
  return study;
}

static inline CompareTrial *add(Study *study, int a, int b, int64_t seed,
                                double value) {
  assert_true(study->n < TRIALS_MAX);
  int *levels = study->levels[study->n];
  levels[0] = a;
  levels[1] = b;
  CompareTrial *trial = &study->trials[study->n++];
  *trial = (CompareTrial){levels, seed, COMPARE_COMPLETE, value, NULL};
  return trial;
}

/* Noise that looks random, of about +-0.01, and differs in every trial. */
static inline double noise(int a, int b, int64_t seed) {
  Stream stream = {philox_key(5, "noise", NULL), (uint64_t)seed};
  return 0.02 * philox_unit(philox_word(stream, (uint64_t)(10 * a + b))) - 0.01;
}

/* All cells: tanh is 0.03 below relu, sigmoid 0.2, batch 0.05 above none. */
static inline void fill(Study *study, int n_seeds) {
  static const double effect[] = {0, -0.03, -0.2};
  for (int64_t seed = 1; seed <= n_seeds; seed++)
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 2; b++)
        add(study, a, b, seed, 0.8 + effect[a] + 0.05 * b + noise(a, b, seed));
}

static inline CompareTrial *find(Study *study, int a, int b, int64_t seed) {
  for (int i = 0; i < study->n; i++)
    if (study->levels[i][0] == a && study->levels[i][1] == b &&
        study->trials[i].seed == seed)
      return &study->trials[i];
  fail();
  return NULL;
}

static inline Compare *compare(const Study *study) {
  Compare *out = NULL;
  Fault fault = {0};
  if (compare_new(&out, &study->spec, study->trials, study->n, &fault))
    fail_msg("%s", fault.text);
  return out;
}

static inline const CompareContrast *contrast(const Compare *compare, int factor,
                                              int a) {
  for (int i = 0; i < compare->n_contrasts; i++)
    if (compare->contrasts[i].factor == factor && compare->contrasts[i].a == a)
      return &compare->contrasts[i];
  fail_msg("no contrast of factor %d, level %d", factor, a);
  return NULL;
}

static inline char *text_of(const Compare *compare, int width, int parts) {
  Text text = {0};
  Doc doc = {0};
  compare_doc(compare, parts, &doc);
  doc_write(&doc, NULL, width, &text);
  doc_deinit(&doc);
  assert_false(text.failed);
  return text.data ? text.data : calloc(1, 1);
}

/* Is `want` in the text, lines taken as one? */
static inline void check_says(const Compare *compare, int parts, const char *want) {
  char *text = text_of(compare, 100000, parts);
  if (!strstr(text, want)) fail_msg("\"%s\" is not in:\n%s", want, text);
  free(text);
}

static inline void check_silent(const Compare *compare, int parts, const char *word) {
  char *text = text_of(compare, 100000, parts);
  if (strstr(text, word)) fail_msg("\"%s\" is in:\n%s", word, text);
  free(text);
}

static inline void check_refused(const Study *study, const char *want) {
  Compare *c = NULL;
  Fault fault = {0};
  Err err = compare_new(&c, &study->spec, study->trials, study->n, &fault);
  assert_int_equal(err, ERR_VALUE);
  assert_null(c);
  if (!strstr(fault.text, want)) fail_msg("\"%s\" is not in \"%s\"", want, fault.text);
}

static inline void finish(Study *study, Compare *compare) {
  compare_free(compare);
  free(study);
}

/* No control characters, valid UTF-8 (cleaning changes nothing), no long lines. */
static inline void check_clean(const char *text, int width) {
  Text copy = {0};
  for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
    char buffer[4096];
    size_t n = strcspn(line, "\n");
    assert_true(n < sizeof buffer && line[n] == '\n');
    snprintf(buffer, sizeof buffer, "%.*s", (int)n, line);
    copy.n_bytes = 0;
    text_add_clean(&copy, buffer);
    if (n) assert_string_equal(copy.data, buffer);
    if (text_columns(buffer) > width)
      fail_msg("%d columns, allowed %d: %s", text_columns(buffer), width, buffer);
    if (n) assert_true(buffer[n - 1] != ' ');
  }
  text_deinit(&copy);
}

#endif
