/* Every transform, by the samples of its record. */
#include "options.h"
#include "data/transform.h"
#include "test.h"
#include <math.h>
#include <string.h>

enum { MOST = 4096 };

static Transform *sample_transform(const TransformKind *kind,
                                   const TransformSample *s) {
  Fault fault = {0};
  Object *o = object_new(&kind->kind, &fault);
  bool given[16] = {false};
  assert_non_null(o);
  if (s->option) {
    const Option *opt = option_find(o->kind, s->option, &fault);
    assert_non_null(opt);
    given[opt - o->kind->options] = true;
    Err err = opt->choices
                  ? option_set_text(o, opt, opt->choices[(int)s->value], &fault)
              : opt->kind == OPT_BOOL ? give_bool(o, opt, s->value != 0, &fault)
                                      : give_number(o, opt, s->value, &fault);
    assert_int_equal(err, ERR_OK);
  }
  assert_int_equal(object_ready(o, given, &fault), ERR_OK);
  return (Transform *)o;
}

/* Every element of y is one of x or `other`. */
static bool holds_only(const real *y, int64_t n, const real *x, int64_t n_x,
                       real other) {
  for (int64_t i = 0; i < n; i++) {
    bool found = y[i] == other;
    for (int64_t j = 0; j < n_x && !found; j++) found = y[i] == x[j];
    if (!found) return false;
  }
  return true;
}

/* The row becomes nothing but mixtures of both, and the share says how much of it is
 * left: between pictures of ones and of zeros it is their mean. */
static void check_mix(const TransformKind *kind, const TransformSample *s) {
  real x[MOST], other[MOST] = {0}, again[MOST];
  Transform *t = sample_transform(kind, s);
  int64_t n = shape_count(&s->features);
  Shape out;
  Fault fault = {0};
  assert_int_equal(kind->shape(t, &s->features, &out, &fault), ERR_OK);
  assert_true(shape_equal(&out, &s->features) && n <= MOST);
  for (uint64_t epoch = 1; epoch <= 40; epoch++) {
    RowDraw draw = {{philox_key(1, "augment", kind->kind.name), epoch}, 128};
    double sum = 0;
    for (int64_t i = 0; i < n; i++) x[i] = again[i] = 1;
    double share = kind->mix(t, x, other, &s->features, &draw);
    assert_true(share >= 0 && share <= 1);
    assert_true(kind->mix(t, NULL, NULL, &s->features, &draw) == share);
    assert_true(kind->mix(t, again, other, &s->features, &draw) == share);
    assert_memory_equal(x, again, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    bool ok = fabs(sum / (double)n - share) <= 1e-6;
    assert_true(ok);
  }
  object_release(t);
}

static void check_sample(const TransformKind *kind, const TransformSample *s) {
  real x[MOST], y[MOST], again[MOST];
  Transform *t = sample_transform(kind, s);
  Shape out;
  Fault fault = {0};
  assert_int_equal(kind->shape(t, &s->features, &out, &fault), ERR_OK);
  int64_t n_in = shape_count(&s->features), n_out = shape_count(&out);
  assert_true(n_in <= MOST && n_out <= MOST && n_out > 0);
  for (int64_t i = 0; i < n_in; i++) x[i] = (real)(i + 1);
  for (uint64_t epoch = 0; epoch <= 8; epoch++) {
    RowDraw draw = {{philox_key(1, "augment", kind->kind.name), epoch}, 128};
    const RowDraw *drawn = epoch ? &draw : NULL;
    memset(y, 0xff, sizeof y);
    memset(again, 0, sizeof again);
    kind->row(t, x, &s->features, y, &out, drawn);
    kind->row(t, x, &s->features, again, &out, drawn);
    assert_memory_equal(y, again, (size_t)n_out * sizeof *y);
    if (kind->moves) assert_true(holds_only(y, n_out, x, n_in, 0));
    for (int64_t i = 0; i < n_out; i++) assert_true(isfinite(y[i]));
    if (!drawn && shape_equal(&s->features, &out))
      assert_memory_equal(y, x, (size_t)n_in * sizeof *x);
  }
  object_release(t);
}

TEST(each_kind_has_samples_and_keeps_what_it_says) {
  assert_non_null(transform_family.kinds[0]);
  for (int i = 0; transform_family.kinds[i]; i++) {
    const TransformKind *kind = (const TransformKind *)transform_family.kinds[i];
    assert_non_null(kind->samples);
    assert_true(kind->samples->features.rank > 0);
    assert_non_null(kind->kind.doc);
    assert_non_null(kind->kind.equation);
    assert_non_null(kind->kind.source);
    for (const TransformSample *s = kind->samples; s->features.rank > 0; s++)
      (kind->mix ? check_mix : check_sample)(kind, s);
  }
}
