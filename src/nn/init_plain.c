/* init_plain.c: initializers that do not look at the fans: constants, and laws of a
 * given width. */
#include "nn/init.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

/* -- constants --------------------------------------------------------------------- */

static Node *zeros_make(Graph *graph, const Init *self, const InitCall *call) {
  (void)self;
  return op_full(graph, 0, call->shape);
}

static void equal_rule(const Init *self, const InitCall *call, InitRule *out) {
  (void)self, (void)call;
  out->std = 0;
}

const InitKind init_zeros = {
    .kind = {.name = "zeros", .alias = "zero", .family = &init_family,
             .size = sizeof(Init),
             .doc = "All elements 0: for biases. Units whose weights are all equal "
                    "stay equal.",
             .equation = "w = 0"},
    .make = zeros_make, .rule = equal_rule};

static Node *ones_make(Graph *graph, const Init *self, const InitCall *call) {
  (void)self;
  return op_full(graph, 1, call->shape);
}

const InitKind init_ones = {
    .kind = {.name = "ones", .alias = "one", .family = &init_family,
             .size = sizeof(Init), .doc = "All elements 1.", .equation = "w = 1"},
    .make = ones_make, .rule = equal_rule};

typedef struct Constant {
  Init init;
  double value;
} Constant;

static Node *constant_make(Graph *graph, const Init *self, const InitCall *call) {
  return op_full(graph, ((const Constant *)self)->value, call->shape);
}

static const Option constant_options[] = {
    {.name = "value", .kind = OPT_REAL, .offset = offsetof(Constant, value),
     .value = "0",
     .position = 1, .doc = "value of every element"},
    {0}};

const InitKind init_constant = {
    .kind = {.name = "constant", .family = &init_family, .size = sizeof(Constant),
             .options = constant_options, .doc = "All elements the same value.",
             .equation = "w = value"},
    .make = constant_make, .rule = equal_rule};

/* -- identity ---------------------------------------------------------------------- */

typedef struct Identity {
  Init init;
  double gain;
} Identity;

/* [rows, cols]: the diagonal of a matrix that need not be square. */
static Node *identity_make(Graph *graph, const Init *self, const InitCall *call) {
  const Shape *s = call->shape;
  char got[SHAPE_TEXT];
  if (s->rank != 2) {
    fault_set(&graph->fault, ERR_SHAPE, "init.identity: got %s, allowed: two axes",
              shape_text(got, s));
    return NULL;
  }
  Node *row = op_reshape(graph, op_arange(graph, 0, 1, s->dim[0]),
                         &SHAPE_OF(s->dim[0], 1));
  Node *column = op_arange(graph, 0, 1, s->dim[1]);
  return op_scale(graph, op_eq(graph, row, column), ((const Identity *)self)->gain);
}

static const Option identity_options[] = {
    {.name = "gain", .kind = OPT_REAL, .offset = offsetof(Identity, gain),
     .value = "1", .position = 1, .doc = "value on the diagonal"},
    {0}};

const InitKind init_identity = {
    .kind = {.name = "identity", .alias = "eye", .family = &init_family,
             .size = sizeof(Identity), .options = identity_options,
             .doc = "The identity matrix: a layer begins by passing its input on, cut "
                    "off or filled up with zeros where the sizes differ.",
             .equation = "w_ij = gain if i = j else 0",
             .source = "Le et al., arXiv:1504.00941, section 2"},
    .make = identity_make};

/* -- normal ------------------------------------------------------------------------ */

/* Standard deviation of the normal law cut off at two sigma. */
#define TRUNCATED_STD 0.87962566103423978

static Node *draw_normal(Graph *graph, const InitCall *call, double mean, double std) {
  Stream stream = graph_draw(graph, "init", call->stream);
  return op_random_normal(graph, call->shape, mean, std, stream);
}

/* What lies outside is drawn again. A value is outside with probability 0.0455, eight
 * times over with 2e-11; then it is set on the edge. */
static Node *draw_truncated(Graph *graph, const InitCall *call, double mean,
                            double std) {
  enum { ROUNDS = 8 };
  Node *z = op_clip(graph, draw_normal(graph, call, 0, 1), -2, 2);
  for (int i = 1; i < ROUNDS; i++) {
    Node *next = draw_normal(graph, call, 0, 1);
    Node *inside = op_le(graph, op_abs(graph, next), graph_scalar(graph, 2));
    z = op_where(graph, inside, next, z);
  }
  return op_add(graph, op_scale(graph, z, std / TRUNCATED_STD),
                graph_scalar(graph, mean));
}

Node *init_normal_law(Graph *graph, const InitCall *call, double mean, double std,
                      bool truncated) {
  return (truncated ? draw_truncated : draw_normal)(graph, call, mean, std);
}

typedef struct Normal {
  Init init;
  double mean, std;
  bool truncated;
} Normal;

static Node *normal_make(Graph *graph, const Init *self, const InitCall *call) {
  const Normal *n = (const Normal *)self;
  return init_normal_law(graph, call, n->mean, n->std, n->truncated);
}

static void normal_rule(const Init *self, const InitCall *call, InitRule *out) {
  (void)call;
  out->std = ((const Normal *)self)->std;
}

static const Option normal_options[] = {
    {.name = "mean", .kind = OPT_REAL, .offset = offsetof(Normal, mean), .value = "0",
     .position = 1, .doc = "mean of the distribution"},
    {.name = "std", .kind = OPT_REAL, .offset = offsetof(Normal, std), .value = "0.05",
     .alias = "stddev", .position = 2, .lo = 0, .hi = 1e6,
     .doc = "standard deviation of the distribution (PyTorch: 1)"},
    INIT_TRUNCATED(Normal),
    {0}};

const InitKind init_normal = {
    .kind = {.name = "normal", .alias = "random_normal", .family = &init_family,
             .size = sizeof(Normal), .options = normal_options,
             .doc = "Normal distribution with a fixed deviation, whatever the size of "
                    "the layer.",
             .equation = "w ~ N(mean, std^2)"},
    .make = normal_make, .rule = normal_rule};

/* The law before it is cut off has the deviation std, as in Keras and PyTorch. */
static Node *truncated_make(Graph *graph, const Init *self, const InitCall *call) {
  const Normal *n = (const Normal *)self;
  return init_normal_law(graph, call, n->mean, n->std * TRUNCATED_STD, true);
}

static void truncated_rule(const Init *self, const InitCall *call, InitRule *out) {
  normal_rule(self, call, out);
  out->std *= TRUNCATED_STD;
}

static const Option truncated_options[] = {
    {.name = "mean", .kind = OPT_REAL, .offset = offsetof(Normal, mean), .value = "0",
     .position = 1, .doc = "mean of the distribution"},
    {.name = "std", .kind = OPT_REAL, .offset = offsetof(Normal, std), .value = "0.05",
     .alias = "stddev", .position = 2, .lo = 0, .hi = 1e6,
     .doc = "standard deviation before the tails are cut off; that of the result is "
            "0.8796 of it (PyTorch: 1)"},
    {0}};

const InitKind init_truncated_normal = {
    .kind = {.name = "truncated_normal", .alias = "trunc_normal",
             .family = &init_family, .size = sizeof(Normal),
             .options = truncated_options,
             .doc = "Normal distribution without tails: values beyond two standard "
                    "deviations are drawn again.",
             .equation = "w ~ N(mean, std^2), |w - mean| <= 2 std"},
    .make = truncated_make, .rule = truncated_rule};

/* -- uniform ----------------------------------------------------------------------- */

typedef struct Uniform {
  Init init;
  double lo, hi;
} Uniform;

static Node *uniform_make(Graph *graph, const Init *self, const InitCall *call) {
  const Uniform *u = (const Uniform *)self;
  Stream stream = graph_draw(graph, "init", call->stream);
  return op_random_uniform(graph, call->shape, u->lo, u->hi, stream);
}

static void uniform_rule(const Init *self, const InitCall *call, InitRule *out) {
  const Uniform *u = (const Uniform *)self;
  (void)call;
  out->std = (u->hi - u->lo) / sqrt(12);
}

static Err uniform_check(Object *object, Fault *fault) {
  const Uniform *u = (const Uniform *)object;
  if (u->lo <= u->hi) return ERR_OK;
  return fault_set(fault, ERR_VALUE, "init.uniform: lo = %g is above hi = %g", u->lo,
                   u->hi);
}

static const Option uniform_options[] = {
    {.name = "lo", .kind = OPT_REAL, .offset = offsetof(Uniform, lo), .value = "-0.05",
     .alias = "minval a", .position = 1, .doc = "smallest value (PyTorch: 0)"},
    {.name = "hi", .kind = OPT_REAL, .offset = offsetof(Uniform, hi), .value = "0.05",
     .alias = "maxval b", .position = 2, .doc = "largest value (PyTorch: 1)"},
    {0}};

const InitKind init_uniform = {
    .kind = {.name = "uniform", .alias = "random_uniform", .family = &init_family,
             .size = sizeof(Uniform), .options = uniform_options,
             .check = uniform_check,
             .doc = "Uniform distribution in a fixed range, whatever the size of the "
                    "layer.",
             .equation = "w ~ U(lo, hi)"},
    .make = uniform_make, .rule = uniform_rule};
