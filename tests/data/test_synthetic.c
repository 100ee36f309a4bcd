/* Statistics of the synthetic sets, and that they repeat. */
#include "options.h"
#include "data/data.h"
#include "test.h"

static Source *make(const char *name, double n, double noise, uint64_t run_seed) {
  Fault fault = {0};
  const Kind *kind = family_find(&dataset_family, name, &fault);
  Object *o = object_new(kind, &fault);
  Err err = give_number(o, option_find(kind, "n", &fault), n, &fault);
  if (!err && noise >= 0)
    err = give_number(o, option_find(kind, "noise", &fault), noise, &fault);
  if (err) fail_msg("%s", fault.text);
  ((Source *)o)->run_seed = run_seed;
  return (Source *)o;
}

static const Rows *rows_of(Source *source) {
  Fault fault = {0};
  const Rows *rows = source_rows(source, 0, &fault);
  if (!rows) fail_msg("%s", fault.text);
  return rows;
}

static double radius(const Rows *r, int64_t i) {
  return hypot(array_get(&r->x->a, 2 * i), array_get(&r->x->a, 2 * i + 1));
}

TEST(synthetic_sets_repeat_with_their_seed) {
  const char *const names[] = {"spirals", "moons", "circles", "xor", "gaussians"};
  for (int k = 0; k < 5; k++) {
    Source *a = make(names[k], 100, -1, 1), *b = make(names[k], 100, -1, 1);
    Source *c = make(names[k], 100, -1, 2), *d = make(names[k], 60, -1, 1);
    size_t n_bytes = 200 * sizeof(real);
    assert_memory_equal(rows_of(a)->x->a.data, rows_of(b)->x->a.data, n_bytes);
    assert_memory_not_equal(rows_of(a)->x->a.data, rows_of(c)->x->a.data, n_bytes);
    assert_memory_equal(rows_of(a)->x->a.data, rows_of(d)->x->a.data,
                        120 * sizeof(real));
    Fault fault = {0};
    const Kind *kind = c->object.kind;
    Object *named = object_new(kind, &fault);
    Err err = give_number(named, option_find(kind, "n", &fault), 100, &fault);
    if (!err) err = give_number(named, option_find(kind, "seed", &fault), 1, &fault);
    assert_int_equal(err, ERR_OK);
    ((Source *)named)->run_seed = 9;
    assert_memory_equal(rows_of(a)->x->a.data, rows_of((Source *)named)->x->a.data,
                        n_bytes);
    Object *all[] = {&a->object, &b->object, &c->object, &d->object, named};
    for (int i = 0; i < 5; i++) object_release(all[i]);
  }
}

TEST(circles_lie_on_their_radii) {
  Source *s = make("circles", 2000, 0, 1);
  const Rows *r = rows_of(s);
  double x = 0, y = 0;
  assert_int_equal(r->n_classes, 2);
  for (int64_t i = 0; i < 2000; i++) {
    CHECK_NEAR(radius(r, i), array_get(&r->y->a, i) == 1 ? 1 : 0.5, 1e-6);
    x += array_get(&r->x->a, 2 * i);
    y += array_get(&r->x->a, 2 * i + 1);
  }
  CHECK_NEAR(x / 2000, 0, 0.06);
  CHECK_NEAR(y / 2000, 0, 0.06);
  object_release(s);
  s = make("circles", 20000, 0.1, 1);
  r = rows_of(s);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 20000; i += 2) { /* the outer one: E r^2 = 1 + 2 sigma^2 */
    sum += radius(r, i);
    squares += radius(r, i) * radius(r, i);
  }
  CHECK_NEAR(squares / 10000, 1.02, 0.01);
  CHECK_NEAR(squares / 10000 - sum / 10000 * sum / 10000, 0.01, 0.001);
  object_release(s);
}

TEST(moons_are_half_circles) {
  Source *s = make("moons", 1000, 0, 1);
  const Rows *r = rows_of(s);
  for (int64_t i = 0; i < 1000; i++) {
    double x = array_get(&r->x->a, 2 * i), y = array_get(&r->x->a, 2 * i + 1);
    bool upper = array_get(&r->y->a, i) == 1;
    CHECK_NEAR(upper ? hypot(x, y) : hypot(x - 1, y - 0.5), 1, 1e-6);
    assert_true(upper ? y >= 0 : y <= 0.5 + 1e-6);
  }
  object_release(s);
}

TEST(spirals_are_balanced_arms) {
  Source *s = make("spirals", 999, 0, 1);
  const Rows *r = rows_of(s);
  int count[3] = {0};
  for (int64_t i = 0; i < 999; i++) {
    double radius_i = radius(r, i), label = array_get(&r->y->a, i);
    assert_true(radius_i < 1 + 1e-6);
    double angle = 2 * 3.14159265358979 * (radius_i + (label - 1) / 2);
    CHECK_NEAR(array_get(&r->x->a, 2 * i), radius_i * cos(angle), 1e-5);
    count[(int)label]++;
  }
  assert_int_equal(count[1], 500);
  assert_int_equal(count[2], 499);
  object_release(s);
}

TEST(xor_follows_the_quadrants) {
  Source *s = make("xor", 4000, 0, 5);
  const Rows *r = rows_of(s);
  int count[3] = {0};
  for (int64_t i = 0; i < 4000; i++) {
    double x = array_get(&r->x->a, 2 * i), y = array_get(&r->x->a, 2 * i + 1);
    assert_true(fabs(x) <= 1 && fabs(y) <= 1);
    int label = (int)array_get(&r->y->a, i);
    assert_int_equal(label, (x < 0) != (y < 0) ? 2 : 1);
    count[label]++;
  }
  assert_true(count[1] > 1850 && count[2] > 1850);
  object_release(s);
}

TEST(wrong_options_are_refused) {
  Fault fault = {0};
  const Kind *kind = family_find(&dataset_family, "spirals", &fault);
  Object *o = object_new(kind, &fault);
  const Option *n = option_find(kind, "n", &fault);
  assert_int_equal(give_number(o, n, 0, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "data.spirals"));
  fault_clear(&fault);
  assert_null(family_find(&dataset_family, "spiral", &fault));
  assert_non_null(strstr(fault.text, "spirals"));
  object_release(o);
}
