/* init_scaled.c: initializers whose variance follows from the fans.
 *
 * They draw with a variance of gain^2 c / fan, where fan is the number of inputs or
 * outputs of one unit, or their mean:
 *
 *   glorot   c = 1, fan = (fan_in + fan_out) / 2    [Glorot & Bengio 2010, eq. 16]
 *   he       c = 2, fan = fan_in                    [He et al. 2015, eq. 10]
 *   lecun    c = 1, fan = fan_in                    [LeCun et al. 1998, section 4.6]
 *
 * A uniform law on [-a, a] has variance a^2 / 3, so a = sqrt(3 variance). */
#include "nn/init.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

typedef enum FanMode { FAN_IN, FAN_OUT, FAN_AVG } FanMode;
static const char *const mode_names[] = {"fan_in", "fan_out", "fan_avg", NULL};

typedef struct Scaled {
  Init init;
  double gain;
  int mode; /* FanMode */
} Scaled;

typedef struct ScaledNormal {
  Scaled scaled;
  bool truncated;
} ScaledNormal;

static double fan_of(const Init *self, const InitCall *call) {
  int mode = ((const Scaled *)self)->mode;
  double fan = mode == FAN_IN    ? call->fan_in
               : mode == FAN_OUT ? call->fan_out
                                 : (call->fan_in + call->fan_out) / 2;
  return fan > 0 ? fan : 1;
}

static double scaled_std(const Init *self, double c, const InitCall *call) {
  return ((const Scaled *)self)->gain * sqrt(c / fan_of(self, call));
}

static void scaled_rule(const Init *self, double c, const InitCall *call,
                        InitRule *out) {
  const Scaled *s = (const Scaled *)self;
  out->mode = mode_names[s->mode];
  out->fan = fan_of(self, call);
  out->gain = s->gain * sqrt(c);
  out->std = scaled_std(self, c, call);
}

static void single_rule(const Init *self, const InitCall *call, InitRule *out) {
  scaled_rule(self, 1, call, out);
}

static void double_rule(const Init *self, const InitCall *call, InitRule *out) {
  scaled_rule(self, 2, call, out);
}

static Node *scaled_uniform(Graph *graph, const Init *self, double c,
                            const InitCall *call) {
  double a = sqrt(3) * scaled_std(self, c, call);
  return op_random_uniform(graph, call->shape, -a, a,
                           graph_draw(graph, "init", call->stream));
}

static Node *scaled_normal(Graph *graph, const Init *self, double c,
                           const InitCall *call) {
  bool truncated = ((const ScaledNormal *)self)->truncated;
  return init_normal_law(graph, call, 0, scaled_std(self, c, call), truncated);
}

static Node *single_uniform(Graph *graph, const Init *self, const InitCall *call) {
  return scaled_uniform(graph, self, 1, call);
}

static Node *double_uniform(Graph *graph, const Init *self, const InitCall *call) {
  return scaled_uniform(graph, self, 2, call);
}

static Node *single_normal(Graph *graph, const Init *self, const InitCall *call) {
  return scaled_normal(graph, self, 1, call);
}

static Node *double_normal(Graph *graph, const Init *self, const InitCall *call) {
  return scaled_normal(graph, self, 2, call);
}

/* -- records ----------------------------------------------------------------------- */

#define MODE(default_)                                                                 \
  {.name = "mode", .kind = OPT_CHOICE, .offset = offsetof(Scaled, mode),               \
   .value = default_, .choices = mode_names,                                           \
   .doc = "fan_in: inputs of a unit; fan_out: units that an input reaches; fan_avg: "  \
          "their mean"}

static const Option avg_uniform[] = {INIT_GAIN(Scaled), MODE("fan_avg"), {0}};
static const Option in_uniform[] = {INIT_GAIN(Scaled), MODE("fan_in"), {0}};
static const Option avg_normal[] = {INIT_GAIN(Scaled), MODE("fan_avg"),
                                    INIT_TRUNCATED(ScaledNormal), {0}};
static const Option in_normal[] = {INIT_GAIN(Scaled), MODE("fan_in"),
                                   INIT_TRUNCATED(ScaledNormal), {0}};

typedef enum Law { LAW_TRUNCATED, LAW_NORMAL, LAW_UNIFORM } Law;
static const char *const law_names[] = {"truncated_normal", "normal", "uniform", NULL};

typedef struct VarianceScaling {
  ScaledNormal normal; /* its gain is 1 */
  double scale;
  int law; /* Law */
} VarianceScaling;

static Node *variance_scaling_make(Graph *graph, const Init *self,
                                   const InitCall *call) {
  VarianceScaling v = *(const VarianceScaling *)self;
  v.normal.scaled.gain = 1;
  v.normal.truncated = v.law == LAW_TRUNCATED;
  return (v.law == LAW_UNIFORM ? scaled_uniform : scaled_normal)(graph,
                                                                 &v.normal.scaled.init,
                                                                 v.scale, call);
}

static void variance_scaling_rule(const Init *self, const InitCall *call,
                                  InitRule *out) {
  VarianceScaling v = *(const VarianceScaling *)self;
  v.normal.scaled.gain = 1;
  scaled_rule(&v.normal.scaled.init, v.scale, call, out);
}

static const Option variance_scaling_options[] = {
    {.name = "scale", .kind = OPT_REAL, .offset = offsetof(VarianceScaling, scale),
     .value = "1", .position = 1, .lo = 0, .hi = 1e6, .open = true,
     .doc = "the variance of the weights is scale / fan"},
    MODE("fan_in"),
    {.name = "distribution", .kind = OPT_CHOICE,
     .offset = offsetof(VarianceScaling, law), .value = "truncated_normal",
     .choices = law_names, .alias = "law",
     .doc = "of the weights; truncated_normal: none beyond two standard deviations, "
            "rescaled to the same variance"},
    {0}};

const InitKind init_variance_scaling = {
    .kind = {.name = "variance_scaling", .alias = "VarianceScaling",
             .family = &init_family, .size = sizeof(VarianceScaling),
             .options = variance_scaling_options,
             .doc = "Random weights of variance scale / fan: the rule of glorot (scale "
                    "1, fan_avg), he (scale 2, fan_in) and lecun (scale 1, fan_in).",
             .equation = "var(w) = scale / fan",
             .source = "He et al., ICCV 2015, section 2.2"},
    .make = variance_scaling_make, .rule = variance_scaling_rule};

const InitKind init_glorot_uniform = {
    .kind = {.name = "glorot_uniform", .alias = "xavier_uniform",
             .family = &init_family,
             .size = sizeof(Scaled), .options = avg_uniform,
             .doc = "Uniform weights that keep the variance of activations and of "
                    "gradients from layer to layer, for linear units, tanh and "
                    "sigmoid.",
             .equation = "w ~ U(-a, a), a = gain sqrt(6 / (fan_in + fan_out))",
             .source = "Glorot & Bengio, AISTATS 2010, eq. 16"},
    .make = single_uniform, .rule = single_rule};

const InitKind init_glorot_normal = {
    .kind = {.name = "glorot_normal", .alias = "xavier_normal", .family = &init_family,
             .size = sizeof(ScaledNormal), .options = avg_normal,
             .doc = "Like glorot_uniform, with a normal distribution.",
             .equation = "w ~ N(0, gain^2 2 / (fan_in + fan_out))",
             .source = "Glorot & Bengio, AISTATS 2010, eq. 12"},
    .make = single_normal, .rule = single_rule};

const InitKind init_he_uniform = {
    .kind = {.name = "he_uniform", .alias = "kaiming_uniform", .family = &init_family,
             .size = sizeof(Scaled), .options = in_uniform,
             .doc = "Like he_normal, with a uniform distribution.",
             .equation = "w ~ U(-a, a), a = gain sqrt(6 / fan_in)",
             .source = "He et al., ICCV 2015, eq. 10"},
    .make = double_uniform, .rule = double_rule};

const InitKind init_he_normal = {
    .kind = {.name = "he_normal", .alias = "kaiming_normal", .family = &init_family,
             .size = sizeof(ScaledNormal), .options = in_normal,
             .doc = "Normal weights that keep the variance of activations from layer "
                    "to layer, for relu and its kin.",
             .equation = "w ~ N(0, gain^2 2 / fan_in)",
             .source = "He et al., ICCV 2015, eq. 10"},
    .make = double_normal, .rule = double_rule};

const InitKind init_lecun_uniform = {
    .kind = {.name = "lecun_uniform", .family = &init_family, .size = sizeof(Scaled),
             .options = in_uniform,
             .doc = "Like lecun_normal, with a uniform distribution.",
             .equation = "w ~ U(-a, a), a = gain sqrt(3 / fan_in)",
             .source = "LeCun et al., Efficient BackProp, 1998, section 4.6"},
    .make = single_uniform, .rule = single_rule};

const InitKind init_lecun_normal = {
    .kind = {.name = "lecun_normal", .family = &init_family,
             .size = sizeof(ScaledNormal),
             .options = in_normal,
             .doc = "Normal weights with which sums of inputs of variance 1 have "
                    "variance 1, for linear units and selu.",
             .equation = "w ~ N(0, gain^2 / fan_in)",
             .source = "LeCun et al., Efficient BackProp, 1998, section 4.6"},
    .make = single_normal, .rule = single_rule};
