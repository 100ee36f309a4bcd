/* test_activation.c: every activation of the table at the edges of numbers: zeros of
 * both signs, denormals, the smallest and largest normal numbers, infinities, NaN, and
 * around the places where formulas meet. Values are judged by the record's reference in
 * long double, first and second derivatives by its differences; a new record is judged
 * by itself.
 *
 * What must hold: NaN stays NaN; where the function has a limit, that is the value at
 * infinity, and the derivative there is the limit's; a denormal counts as zero. Tails
 * keep their digits in values; derivatives are right to the last places of 1. */
#include "options.h"
#include "test.h"
#include "graph/ops.h"
#include "nn/nn.h"
#include <float.h>

#ifdef REAL_DOUBLE
#define SMALLEST DBL_MIN
#define LARGEST DBL_MAX
#define DENORMAL DBL_TRUE_MIN
#else
#define SMALLEST FLT_MIN
#define LARGEST FLT_MAX
#define DENORMAL FLT_TRUE_MIN
#endif

enum { VALUE_ULP = 8, MAX_POINTS = 2000 };

static Graph graph;
static Fault fault;

static const double magnitudes[] = {
    0, DENORMAL, SMALLEST / 2, SMALLEST, 1e-30, 1e-7, 1e-3, 0.3, 0.625, 0.7517915, 1,
    1.5, 2.5,
    4, 5, 5.5, 6, 9.02, 10, 12.9, 13.05, 15.94, 17.33, 20, 37.4, 40, 80, 87.3, 87.34,
    88.7, 92, 100,
    103.9, 110, 700, 708.3, 709.7, 745, 1e3, 1e10, 1e19, 1e30, LARGEST / 2, LARGEST,
    INFINITY};

static int make_points(real *x) {
  int n = 0;
  for (size_t i = 0; i < sizeof magnitudes / sizeof *magnitudes; i++) {
    x[n++] = (real)magnitudes[i];
    x[n++] = (real)-magnitudes[i];
  }
  for (int i = 0; i < 800; i++) x[n++] = (real)((i - 400) * 0.2737);
  x[n++] = NAN;
  return n;
}

/* -- judgements -------------------------------------------------------------------- */

typedef long double Reference(const Activation *a, long double x);

/* Within VALUE_ULP roundings of numbers as large as `size`. */
static bool near_value(double got, long double want, long double size) {
  if (isnan(want)) return isnan(got);
  if (fabsl(want) > LARGEST) return got == (double)(real)want;
  if (fabsl(want) < 2 * SMALLEST) return fabs(got) <= 2 * SMALLEST;
  return fabsl(got - want) <= VALUE_ULP * REAL_EPS * size;
}

/* Where differences of f are taken, and how far apart, so that they keep their digits.
 */
static long double place(double x) { return fmaxl(-LARGEST, fminl(LARGEST, x)); }
static long double scaled(long double h, long double x) {
  return h * fmaxl(1, fabsl(x));
}

/* The slopes to either side of x. */
static void slopes(long double out[2], Reference *f, const Activation *a,
                   long double x) {
  const long double h = scaled(1e-6L, x);
  out[0] = (f(a, x) - f(a, x - h)) / h;
  out[1] = (f(a, x + h) - f(a, x)) / h;
}

/* How y is to be judged: as it is by default, or in a form that a word chooses, which
 * may round its argument, too: that moves y by x f'(x) per rounding. */
typedef enum Precision { OF_VALUE, OF_ARGUMENT } Precision;

static bool right_value(Reference *f, const Activation *a, double x, double got,
                        Precision precision) {
  bool denormal = x != 0 && fabs(x) < SMALLEST;
  long double want = f(a, x), s[2], size = fabsl(want);
  slopes(s, f, a, place(x));
  if (precision == OF_ARGUMENT) size += fabsl(x * (s[0] + s[1]) / 2);
  return near_value(got, want, size) ||
         (denormal && near_value(got, f(a, 0), fabsl(f(a, 0))));
}

static bool has_kink(Reference *f, const Activation *a, long double x) {
  long double s[2];
  slopes(s, f, a, x);
  return fabsl(s[1] - s[0]) > 1e-3L;
}

static long double second_difference(Reference *f, const Activation *a, long double x) {
  const long double h = scaled(2e-5L, x);
  return (f(a, x + h) - 2 * f(a, x) + f(a, x - h)) / (h * h);
}

/* The curvature below and above x, as it follows from that at two places to the side.
 */
static bool curvature_jumps(long double out[2], Reference *f, const Activation *a,
                            long double x) {
  for (int side = 0; side < 2; side++) {
    const long double away = scaled(side ? 2e-4L : -2e-4L, x);
    out[side] = 2 * second_difference(f, a, x + away) -
                second_difference(f, a, x + 2 * away);
  }
  return fabsl(out[1] - out[0]) > 0.01L;
}

static bool between(double got, const long double side[2], long double slack) {
  return got >= fminl(side[0], side[1]) - slack &&
         got <= fmaxl(side[0], side[1]) + slack;
}

/* Where slope or curvature jump, any slope between those to either side will do. */
static bool right_slope(Reference *f, const Activation *a, double x, double got) {
  long double s[2], curvature[2], tolerance = 16 * REAL_EPS + 1e-10L;
  slopes(s, f, a, place(x));
  if (has_kink(f, a, place(x)) || curvature_jumps(curvature, f, a, place(x)))
    return between(got, s, 1e-5L);
  return fabsl(got - (s[0] + s[1]) / 2) <= tolerance * fmaxl(1, fabsl(s[0]));
}

/* Nothing is asked at a kink. */
static bool right_curve(Reference *f, const Activation *a, double x, double got) {
  long double at = place(x), side[2], tolerance = 32 * REAL_EPS + 1e-7L;
  if (has_kink(f, a, at) || has_kink(f, a, at - 1e-4L) || has_kink(f, a, at + 1e-4L))
    return true;
  if (curvature_jumps(side, f, a, at)) return between(got, side, 1e-3L);
  return fabsl(got - second_difference(f, a, at)) <= tolerance;
}

/* -- one activation ---------------------------------------------------------------- */

/* y, dy/dx and d2y/dx2 at all points: doubles, side by side. */
static void differentiate(double *out[3], Activation *a, const real *x, int n) {
  int scope = graph_scope_begin(&graph);
  Tensor *t = tensor_new(NULL, DT_REAL, &SHAPE_OF(n), &fault);
  memcpy(t->a.data, x, sizeof *x * (size_t)n);
  Node *in = graph_track(&graph, graph_const(&graph, t)), *all[3];
  tensor_release(t);
  all[0] = activation_apply(&graph, a, in);
  for (int k = 1; k < 3; k++) {
    Node *sum = op_sum(&graph, all[k - 1], ALL_AXES, false);
    assert_int_equal(graph_grad(&graph, sum, NULL, &in, 1, &all[k]), ERR_OK);
  }
  assert_int_equal(graph_eval(&graph, all, 3), ERR_OK);
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < n; i++) out[k][i] = array_get(&node_value(all[k])->a, i);
  graph_scope_end(&graph, scope);
}

static int check_elementwise(Activation *a, Precision precision) {
  static real x[MAX_POINTS];
  static double y[MAX_POINTS], slope[MAX_POINTS], curve[MAX_POINTS];
  const ActivationKind *kind = (const ActivationKind *)a->object.kind;
  int n = make_points(x), n_wrong = 0;
  differentiate((double *[]){y, slope, curve}, a, x, n);
  for (int i = 0; i < n; i++) {
    double at = (double)x[i];
    if (!right_value(kind->reference, a, at, y[i], precision)) {
      print_error("%s(%.9g): got %.12g, want %.12Lg\n", kind->kind.name, at, y[i],
                  kind->reference(a, at));
      n_wrong++;
    }
    if (isnan(at)) continue;
    if (!right_slope(kind->reference, a, at, slope[i])) {
      print_error("%s: derivative at %.9g is %.12g\n", kind->kind.name, at, slope[i]);
      n_wrong++;
    }
    if (!right_curve(kind->reference, a, at, curve[i])) {
      print_error("%s: second derivative at %.9g is %.12g\n", kind->kind.name, at,
                  curve[i]);
      n_wrong++;
    }
  }
  return n_wrong;
}

/* One without a reference must not be elementwise: y[1] depends on x[2]. */
static void check_mixes(Activation *a) {
  double y[2];
  for (int k = 0; k < 2; k++) {
    int scope = graph_scope_begin(&graph);
    Node *x = graph_from_doubles(&graph, DT_REAL, &SHAPE_OF(1, 2), (double[]){0, k});
    Tensor *t = graph_value(&graph, activation_apply(&graph, a, x));
    assert_non_null(t);
    y[k] = array_get(&t->a, 0);
    graph_scope_end(&graph, scope);
  }
  if (y[0] == y[1]) fail_msg("%s: its record lacks a reference", a->object.kind->name);
}

static void set_word(Activation *a, const Option *option, const char *word) {
  Given given = {.value = {.kind = VALUE_TEXT, .as.text = word}};
  assert_int_equal(option_set(&a->object, option, &given, &fault), ERR_OK);
}

/* With its defaults, with each number among its options at two more values, and with
 * each word. What a layer does is tested as a layer. */
TEST(every_activation_is_right_at_the_edges_of_numbers) {
  int n_wrong = 0;
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  for (int k = 0; activation_family.kinds[k]; k++) {
    const Kind *kind = activation_family.kinds[k];
    Activation *a = (Activation *)family_make(&activation_family, kind->name, &fault);
    assert_non_null(a);
    if (!((const ActivationKind *)kind)->reference) {
      if (!a->layer) check_mixes(a);
      object_release(a);
      continue;
    }
    n_wrong += check_elementwise(a, OF_VALUE);
    for (int o = 1; o <= option_count(kind); o++) {
      const Option *option = option_at(kind, o);
      for (int w = 0; option && option->choices && option->choices[w]; w++) {
        set_word(a, option, option->choices[w]);
        n_wrong += check_elementwise(a, w ? OF_ARGUMENT : OF_VALUE);
      }
      if (!option || option->kind != OPT_REAL) continue;
      for (int v = 0; v < 2; v++) {
        double value = v ? 0.3 : option->lo;
        assert_int_equal(give_number(&a->object, option, value, &fault), ERR_OK);
        n_wrong += check_elementwise(a, OF_VALUE);
      }
    }
    object_release(a);
  }
  graph_close(&graph);
  assert_int_equal(n_wrong, 0);
}

/* The built-in one is as a user writes it, x * sigmoid(x): the same bytes of values and
 * gradients wherever the sigmoid is a normal number. */
TEST(silu_has_the_bytes_of_x_times_sigmoid) {
  enum { N = 701 };
  real x[N];
  fault = (Fault){0};
  assert_int_equal(graph_open(&graph, 1, 1, &fault), ERR_OK);
  for (int i = 0; i < N; i++) x[i] = (real)((i - N / 2) * 0.2437);
  Tensor *t = tensor_new(NULL, DT_REAL, &SHAPE_OF(N), &fault);
  memcpy(t->a.data, x, sizeof x);
  int scope = graph_scope_begin(&graph);
  Node *in = graph_track(&graph, graph_const(&graph, t)), *y[2], *g[2];
  y[0] = op_silu(&graph, in);
  y[1] = op_mul(&graph, in, op_sigmoid(&graph, in));
  for (int k = 0; k < 2; k++) {
    Node *sum = op_sum(&graph, op_square(&graph, y[k]), ALL_AXES, false);
    assert_int_equal(graph_grad(&graph, sum, NULL, &in, 1, &g[k]), ERR_OK);
    assert_int_equal(graph_eval(&graph, (Node *[]){y[k], g[k]}, 2), ERR_OK);
  }
  for (int i = 0; i < N; i++) {
    if (x[i] < -87) continue;
    const real *a = tensor_reals(node_value(y[0])), *b = tensor_reals(node_value(y[1]));
    assert_memory_equal(&a[i], &b[i], sizeof *a);
    a = tensor_reals(node_value(g[0]));
    b = tensor_reals(node_value(g[1]));
    assert_memory_equal(&a[i], &b[i], sizeof *a);
  }
  graph_scope_end(&graph, scope);
  tensor_release(t);
  graph_close(&graph);
}
