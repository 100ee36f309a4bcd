/* test_line_search.c: the strong Wolfe conditions hold of what is found; where nothing
 * can be found, the point is the lowest that was seen, and finite. */
#include "nn/line_search.h"
#include "test.h"
#include <math.h>

typedef struct Curve {
  double (*f)(double t);

} Curve;

/* By differences: the functions are smooth. */
static Err look(void *ctx, LinePoint *p, Fault *fault) {
  const Curve *c = ctx;
  (void)fault;
  assert_in_range(p->room, 1, LINE_ROOMS - 1);
  double h = 1e-6 * fmax(1, fabs(p->t)), f = c->f(p->t);
  p->f = isfinite(f) ? f : INFINITY;
  if (isfinite(f)) p->slope = (c->f(p->t + h) - c->f(p->t - h)) / (2 * h);
  return ERR_OK;
}

static LineSearch search_of(Curve *c) {
  return (LineSearch){.share = 1e-4, .slope_share = 0.9, .most = 25, .least = 1e-12,
                      .look = look, .ctx = c};
}

static LinePoint found(double (*f)(double t), double t, double slope, int *n_looks) {
  Curve c = {.f = f};
  LineSearch s = search_of(&c);
  Fault fault = {0};
  LinePoint out, start = {.f = f(0), .slope = slope};
  assert_int_equal(line_search(&s, &start, t, &out, &fault), ERR_OK);
  if (n_looks) *n_looks = s.n_looks;
  return out;
}

static bool fulfils(const LinePoint *p, double f0, double slope) {
  return p->t > 0 && p->f <= f0 + 1e-4 * p->t * slope && fabs(p->slope) <= -0.9 * slope;
}

static double parabola(double t) { return (t - 3) * (t - 3); }
static double quartic(double t) { return pow(t - 1, 4) - t; }
static double waves(double t) { return 0.1 * t * t - sin(3 * t); }
static double barrier(double t) { return -5 * t - log(1 - t); } /* until 1 */
static double steep(double t) { return exp(t * t) - t; }        /* inf from 27 on */

TEST(what_is_found_fulfils_both_conditions) {
  static const struct {
    double (*f)(double t);
    double slope;
  } curves[] = {{parabola, -6}, {quartic, -5}, {waves, -3}, {barrier, -4}, {steep, -1}};
  static const double first[] = {1e-6, 0.01, 0.3, 1, 7, 100, 1e6};
  for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
    for (size_t k = 0; k < sizeof first / sizeof *first; k++) {
      LinePoint p = found(curves[i].f, first[k], curves[i].slope, NULL);
      if (!fulfils(&p, curves[i].f(0), curves[i].slope))
        fail_msg("curve %zu from %g: t %g, f %g, slope %g", i, first[k], p.t, p.f,
                 p.slope);
    }
}

TEST(a_first_try_that_fits_is_the_only_one) {
  int n;
  LinePoint p = found(parabola, 2, -6, &n);
  assert_int_equal(n, 1);
  assert_true(p.t == 2);
}

static double falls(double t) { return -t; }
static double rises(double t) { return t; }
static double nowhere(double t) { return t == 0 ? 0 : NAN; }

TEST(where_nothing_fits_the_lowest_point_is_given_after_a_bounded_number_of_looks) {
  int n;
  LinePoint p = found(falls, 1, -1, &n);
  assert_int_equal(n, 26);
  assert_true(p.t > 1 && p.f == -p.t);
  p = found(rises, 1, -1, &n); /* the slope at the start is a lie */
  assert_in_range(n, 2, 26);
  assert_true(p.t == 0 && p.f == 0 && p.room == 0);
  p = found(nowhere, 1, -1, &n);
  assert_in_range(n, 2, 26);
  assert_true(p.t == 0 && p.f == 0 && p.room == 0);
}

static Err refuse(void *ctx, LinePoint *p, Fault *fault) {
  (void)ctx;
  (void)p;
  return fault_set(fault, ERR_INTERRUPT, "interrupted");
}

TEST(an_error_ends_the_search) {
  LineSearch s = {.share = 1e-4, .slope_share = 0.9, .most = 25, .look = refuse};
  Fault fault = {0};
  const LinePoint start = {.f = 1, .slope = -1};
  LinePoint out;
  assert_int_equal(line_search(&s, &start, 1, &out, &fault), ERR_INTERRUPT);
  assert_int_equal(s.n_looks, 1);
}
