/* linear.h: what layers share that have weights, a bias and an activation (layers.c).
 * The struct of such a layer begins with Linear; variable 0 is its weight. */
#ifndef NN_LINEAR_H
#define NN_LINEAR_H

#include "nn/nn.h"

typedef struct Linear {
  Layer layer;
  bool bias;
  Activation *activation;
  Init *init, *bias_init;
} Linear;

#define LINEAR_OPTIONS                                                                 \
  LAYER_ACTIVATION(Linear),                                                            \
  LAYER_BIAS(Linear, "add a bias"),                                                    \
  LAYER_INIT(Linear,                                                                   \
             "initial weight (PyTorch: uniform with deviation 1 / sqrt(3 inputs))"),   \
  LAYER_BIAS_INIT(Linear, "initial bias"),                                             \
  LAYER_REGULARIZER(0, "weight", "kernel_regularizer"),                                \
  LAYER_REGULARIZER(1, "bias", NULL),                                                  \
  LAYER_ACTIVITY_REGULARIZER,                                                          \
  LAYER_CONSTRAINT(0, "weight", "kernel_constraint"),                                  \
  LAYER_CONSTRAINT(1, "bias", NULL)

/* Kind.check, of a layer with one weight. */
Err linear_check(Object *object, Fault *fault) WARN_UNUSED;
/* The same of n: the activation, variables 0 to n - 1, and with a bias one more. */
Err linear_declare(Linear *self, int n_weights, Fault *fault) WARN_UNUSED;
/* At build: the weight, and if there is one the bias, variable `bias`, of n numbers. */
Err linear_give(Graph *graph, Linear *self, const Shape *weight, int bias, int64_t n,
                double fan_in, double fan_out, Fault *fault) WARN_UNUSED;

#endif
