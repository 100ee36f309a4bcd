/* init.c: the records of the initializers.
 *
 * Scaled ones draw with a variance of gain^2 c / fan, where fan is the number of inputs or
 * outputs of one unit, or their mean:
 *
 *   glorot   c = 1, fan = (fan_in + fan_out) / 2    [Glorot & Bengio 2010, eq. 16]
 *   he       c = 2, fan = fan_in                    [He et al. 2015, eq. 10]
 *   lecun    c = 1, fan = fan_in                    [LeCun et al. 1998, section 4.6]
 *
 * A uniform law on [-a, a] has variance a^2 / 3, so a = sqrt(3 variance). */
#include "nn/init.h"
#include "graph/ops.h"
#include "nn/activation.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* -- draws ------------------------------------------------------------------------- */

/* Standard deviation of the normal law cut off at two sigma. */
#define TRUNCATED_STD 0.87962566103423978

static Node *draw_normal(Graph *graph, const Shape *shape, double mean, double std,
                         const char *stream) {
  return op_random_normal(graph, shape, mean, std, graph_draw(graph, "init", stream));
}

/* Normal cut off at two sigma, rescaled to the deviation `std`: what lies outside is drawn
 * again. A value is outside with probability 0.0455, eight times over with 2e-11; then it
 * is set on the edge. */
static Node *draw_truncated(Graph *graph, const Shape *shape, double mean, double std,
                            const char *stream) {
  enum { ROUNDS = 8 };
  Node *z = op_clip(graph, draw_normal(graph, shape, 0, 1, stream), -2, 2);
  for (int i = 1; i < ROUNDS; i++) {
    Node *next = draw_normal(graph, shape, 0, 1, stream);
    Node *inside = op_le(graph, op_abs(graph, next), graph_scalar(graph, 2));
    z = op_where(graph, inside, next, z);
  }
  return op_add(graph, op_scale(graph, z, std / TRUNCATED_STD), graph_scalar(graph, mean));
}

static Node *make_constant(Graph *graph, Init *init, const Shape *shape, double fan_in,
                           double fan_out, const char *stream) {
  (void)fan_in, (void)fan_out, (void)stream;
  return op_full(graph, init->value, shape);
}

static Node *make_ones(Graph *graph, Init *init, const Shape *shape, double fan_in,
                       double fan_out, const char *stream) {
  (void)init, (void)fan_in, (void)fan_out, (void)stream;
  return op_full(graph, 1, shape);
}

static Node *make_normal(Graph *graph, Init *init, const Shape *shape, double fan_in,
                         double fan_out, const char *stream) {
  (void)fan_in, (void)fan_out;
  return (init->truncated ? draw_truncated : draw_normal)(graph, shape, init->mean,
                                                          init->std, stream);
}

static Node *make_uniform(Graph *graph, Init *init, const Shape *shape, double fan_in,
                          double fan_out, const char *stream) {
  (void)fan_in, (void)fan_out;
  return op_random_uniform(graph, shape, init->lo, init->hi,
                           graph_draw(graph, "init", stream));
}

/* Standard deviation of a scaled initializer. */
static double scaled_std(const Init *init, double c, double fan_in, double fan_out) {
  double fan = init->mode == FAN_IN    ? fan_in
               : init->mode == FAN_OUT ? fan_out
                                       : (fan_in + fan_out) / 2;
  return init->gain * sqrt(c / (fan > 0 ? fan : 1));
}

static Node *scaled_uniform(Graph *graph, const Shape *shape, double std,
                            const char *stream) {
  double a = sqrt(3) * std;
  return op_random_uniform(graph, shape, -a, a, graph_draw(graph, "init", stream));
}

static Node *make_scaled_uniform(Graph *graph, Init *init, const Shape *shape,
                                 double fan_in, double fan_out, const char *stream) {
  return scaled_uniform(graph, shape, scaled_std(init, 1, fan_in, fan_out), stream);
}

static Node *make_he_uniform(Graph *graph, Init *init, const Shape *shape, double fan_in,
                             double fan_out, const char *stream) {
  return scaled_uniform(graph, shape, scaled_std(init, 2, fan_in, fan_out), stream);
}

static Node *make_scaled_normal(Graph *graph, Init *init, const Shape *shape,
                                double fan_in, double fan_out, const char *stream) {
  double std = scaled_std(init, 1, fan_in, fan_out);
  return (init->truncated ? draw_truncated : draw_normal)(graph, shape, 0, std, stream);
}

static Node *make_he_normal(Graph *graph, Init *init, const Shape *shape, double fan_in,
                            double fan_out, const char *stream) {
  double std = scaled_std(init, 2, fan_in, fan_out);
  return (init->truncated ? draw_truncated : draw_normal)(graph, shape, 0, std, stream);
}

/* -- orthogonal -------------------------------------------------------------------- */

/* Makes the `n` rows of length `d` (n <= d) orthonormal by modified Gram-Schmidt, in double;
 * done twice, so that they are orthogonal to rounding. */
static void orthonormalize(double *v, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++)
    for (int pass = 0; pass < 2; pass++) {
      double *row = v + i * d, norm = 0;
      for (int64_t j = 0; j < i; j++) {
        const double *other = v + j * d;
        double dot = 0;
        for (int64_t k = 0; k < d; k++) dot += row[k] * other[k];
        for (int64_t k = 0; k < d; k++) row[k] -= dot * other[k];
      }
      for (int64_t k = 0; k < d; k++) norm += row[k] * row[k];
      norm = norm > 0 ? sqrt(norm) : 1;
      for (int64_t k = 0; k < d; k++) row[k] /= norm;
    }
}

/* The matrix [rows, cols] of the shape: the first axis against all others; the shorter side
 * becomes orthonormal. */
static Node *make_orthogonal(Graph *graph, Init *init, const Shape *shape, double fan_in,
                             double fan_out, const char *stream) {
  (void)fan_in, (void)fan_out;
  int64_t count = shape_count(shape), rows = shape->rank ? shape->dim[0] : 1;
  int64_t cols = rows ? count / rows : 0;
  int64_t n = rows < cols ? rows : cols, d = rows < cols ? cols : rows;
  Tensor *normal = graph_value(graph, draw_normal(graph, &SHAPE_OF(n, d), 0, 1, stream));
  if (!normal) return NULL;
  double *v = calloc((size_t)(2 * count + 1), sizeof *v);
  if (!v) {
    fault_memory(&graph->fault, (size_t)(2 * count + 1) * sizeof *v);
    return NULL;
  }
  double *w = v + count;
  for (int64_t i = 0; i < count; i++) v[i] = array_get(&normal->a, i);
  orthonormalize(v, n, d);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++)
      w[i * cols + j] = init->gain * (rows < cols ? v[i * cols + j] : v[j * rows + i]);
  Node *node = graph_from_doubles(graph, DT_REAL, shape, w);
  free(v);
  return node;
}

/* -- a function of the user -------------------------------------------------------- */

static Node *make_function(Graph *graph, Init *init, const Shape *shape, double fan_in,
                           double fan_out, const char *stream) {
  (void)stream;
  Value in[3] = {{.kind = VALUE_INTS}, {.kind = VALUE_REAL, .as.real = fan_in},
                 {.kind = VALUE_REAL, .as.real = fan_out}};
  in[0].as.ints.n = shape->rank;
  for (int i = 0; i < shape->rank; i++) in[0].as.ints.v[i] = shape->dim[i];
  Node *node = callable_node(graph, init->function, in, 3, "initializer");
  return op_cast(graph, graph_untracked(graph, node), DT_REAL);
}

/* -- records ----------------------------------------------------------------------- */

static const char *const mode_names[] = {"fan_in", "fan_out", "fan_avg", NULL};

#define AT(field) .offset = offsetof(Init, field)
#define GAIN                                                                           \
  {.name = "gain", .kind = OPT_REAL, AT(gain), .value = "1", .lo = 0, .hi = 1e6,       \
   .open = true, .doc = "factor on the deviation: see init.gain"}
#define MODE(default_)                                                                 \
  {.name = "mode", .kind = OPT_CHOICE, AT(mode), .value = default_,                    \
   .choices = mode_names, .doc = "which fan scales the variance"}
#define TRUNCATED                                                                      \
  {.name = "truncated", .kind = OPT_BOOL, AT(truncated), .value = "false",             \
   .doc = "cut off at two sigma and rescaled, as in Keras"}

static const Option constant_options[] = {
    {.name = "value", .kind = OPT_REAL, AT(value), .value = "0", .position = 1,
     .doc = "value of every element"},
    {0}};
static const Option normal_options[] = {
    {.name = "mean", .kind = OPT_REAL, AT(mean), .value = "0", .position = 1,
     .doc = "mean"},
    {.name = "std", .kind = OPT_REAL, AT(std), .value = "0.05", .alias = "stddev",
     .position = 2, .lo = 0, .hi = 1e6, .doc = "standard deviation (PyTorch: 1)"},
    TRUNCATED,
    {0}};
static const Option uniform_options[] = {
    {.name = "lo", .kind = OPT_REAL, AT(lo), .value = "-0.05", .alias = "minval a",
     .position = 1, .doc = "lower end (PyTorch: 0)"},
    {.name = "hi", .kind = OPT_REAL, AT(hi), .value = "0.05", .alias = "maxval b",
     .position = 2, .doc = "upper end (PyTorch: 1)"},
    {0}};
static const Option avg_uniform_options[] = {GAIN, MODE("fan_avg"), {0}};
static const Option in_uniform_options[] = {GAIN, MODE("fan_in"), {0}};
static const Option avg_normal_options[] = {GAIN, MODE("fan_avg"), TRUNCATED, {0}};
static const Option in_normal_options[] = {GAIN, MODE("fan_in"), TRUNCATED, {0}};
static const Option orthogonal_options[] = {GAIN, {0}};
static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, AT(function), .position = 1,
     .doc = "f(shape, fan_in, fan_out) -> tensor of that shape"},
    {0}};

static Err check_uniform(Object *object, Fault *fault) {
  const Init *init = (const Init *)object;
  if (init->lo <= init->hi) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "init.uniform: lo = %g is above hi = %g", init->lo,
                   init->hi);
}

static const InitKind
    init_zeros = {{.name = "zeros", .alias = "zero", .family = &init_family,
                   .size = sizeof(Init), .doc = "All zero.", .equation = "w = 0"},
                  make_constant},
    init_ones = {{.name = "ones", .alias = "one", .family = &init_family,
                  .size = sizeof(Init), .doc = "All one.", .equation = "w = 1"},
                 make_ones},
    init_constant = {{.name = "constant", .family = &init_family, .size = sizeof(Init),
                      .options = constant_options, .doc = "All the same.",
                      .equation = "w = value"},
                     make_constant},
    init_normal = {{.name = "normal", .alias = "random_normal", .family = &init_family,
                    .size = sizeof(Init), .options = normal_options,
                    .doc = "Normal law, whatever the fans.",
                    .equation = "w ~ N(mean, std^2)"},
                   make_normal},
    init_uniform = {{.name = "uniform", .alias = "random_uniform",
                     .family = &init_family, .size = sizeof(Init),
                     .options = uniform_options, .check = check_uniform,
                     .doc = "Uniform law, whatever the fans.",
                     .equation = "w ~ U(lo, hi)"},
                    make_uniform},
    init_glorot_uniform = {{.name = "glorot_uniform", .alias = "xavier_uniform",
                            .family = &init_family, .size = sizeof(Init),
                            .options = avg_uniform_options,
                            .doc = "Keeps the variance of activations and gradients of "
                                   "linear layers.",
                            .equation = "w ~ U(-a, a), a = gain sqrt(6 / (fan_in + "
                                        "fan_out))",
                            .source = "Glorot & Bengio, AISTATS 2010, eq. 16"},
                           make_scaled_uniform},
    init_glorot_normal = {{.name = "glorot_normal", .alias = "xavier_normal",
                           .family = &init_family, .size = sizeof(Init),
                           .options = avg_normal_options,
                           .doc = "As glorot_uniform, with a normal law.",
                           .equation = "w ~ N(0, gain^2 2 / (fan_in + fan_out))",
                           .source = "Glorot & Bengio, AISTATS 2010, eq. 12"},
                          make_scaled_normal},
    init_he_uniform = {{.name = "he_uniform", .alias = "kaiming_uniform",
                        .family = &init_family, .size = sizeof(Init),
                        .options = in_uniform_options,
                        .doc = "As he_normal, with a uniform law.",
                        .equation = "w ~ U(-a, a), a = gain sqrt(6 / fan_in)",
                        .source = "He et al., ICCV 2015, eq. 10"},
                       make_he_uniform},
    init_he_normal = {{.name = "he_normal", .alias = "kaiming_normal",
                       .family = &init_family, .size = sizeof(Init),
                       .options = in_normal_options,
                       .doc = "Keeps the variance through rectifiers.",
                       .equation = "w ~ N(0, gain^2 2 / fan_in)",
                       .source = "He et al., ICCV 2015, eq. 10"},
                      make_he_normal},
    init_lecun_uniform = {{.name = "lecun_uniform", .family = &init_family,
                           .size = sizeof(Init), .options = in_uniform_options,
                           .doc = "As lecun_normal, with a uniform law.",
                           .equation = "w ~ U(-a, a), a = gain sqrt(3 / fan_in)",
                           .source = "LeCun et al., Efficient BackProp, 1998, section "
                                     "4.6"},
                          make_scaled_uniform},
    init_lecun_normal = {{.name = "lecun_normal", .family = &init_family,
                          .size = sizeof(Init), .options = in_normal_options,
                          .doc = "Sums of inputs of variance 1 have variance 1.",
                          .equation = "w ~ N(0, gain^2 / fan_in)",
                          .source = "LeCun et al., Efficient BackProp, 1998, section 4.6"},
                         make_scaled_normal},
    init_orthogonal = {{.name = "orthogonal", .family = &init_family,
                        .size = sizeof(Init), .options = orthogonal_options,
                        .doc = "Orthonormal rows or columns, whichever are fewer.",
                        .equation = "w' w = gain^2 I",
                        .source = "Saxe et al., ICLR 2014, section 3"},
                       make_orthogonal},
    init_function = {{.name = "function", .family = &init_family, .size = sizeof(Init),
                      .options = function_options, .doc = "A function of the user.",
                      .equation = "w = f(shape, fan_in, fan_out)"},
                     make_function};

static const Kind *const init_kinds[] = {
    &init_zeros.kind,         &init_ones.kind,          &init_constant.kind,
    &init_normal.kind,        &init_uniform.kind,       &init_glorot_uniform.kind,
    &init_glorot_normal.kind, &init_he_uniform.kind,    &init_he_normal.kind,
    &init_lecun_uniform.kind, &init_lecun_normal.kind,  &init_orthogonal.kind,
    NULL};

const Family init_family = {"initializer", "init", init_kinds, &init_function.kind};

Node *init_make(Graph *graph, Init *init, const Shape *shape, double fan_in,
                double fan_out, const char *stream) {
  if (graph->fault.code) return NULL;
  const InitKind *kind = (const InitKind *)init->object.kind;
  Node *node = kind->make(graph, init, shape, fan_in, fan_out, stream);
  if (!node || shape_equal(&node->shape, shape)) return node;
  char want[SHAPE_TEXT], got[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE, "init.%s: got %s, allowed: %s", kind->kind.name,
            shape_text(got, &node->shape), shape_text(want, shape));
  return NULL;
}

/* -- gain -------------------------------------------------------------------------- */

Err init_gain(const char *activation, double slope, double *out, Fault *fault) {
  const Kind *kind = family_find(&activation_family, activation, fault);
  if (!kind) return ERR_VALUE;
  double (*gain)(double slope) = ((const ActivationKind *)kind)->gain;
  if (gain) {
    *out = gain(slope);
    return ERR_OK;
  }
  Text known = {0};
  for (int i = 0; activation_family.kinds[i]; i++)
    if (((const ActivationKind *)activation_family.kinds[i])->gain)
      text_addf(&known, "%s%s", known.n_bytes ? ", " : "", activation_family.kinds[i]->name);
  Err err = fault_set(fault, ERR_VALUE, "init.gain: none known for \"%s\", allowed: %s",
                      activation, known.data ? known.data : "");
  text_deinit(&known);
  return err;
}
