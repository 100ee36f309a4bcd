/* recurrent.h: what the recurrent layers share (layer_recurrent.c): options, variables,
 * state in and out, dropout, and the op of their cell. A layer of a cell is a struct
 * that begins with RecurrentLayer, a RecurrentCell and a record. */
#ifndef NN_RECURRENT_H
#define NN_RECURRENT_H

#include "nn/nn.h"
#include "graph/op.h"
#include "graph/ops.h"

typedef struct RecurrentLayer {
  Layer layer;
  int64_t units;
  bool return_sequences, return_state, go_backwards, stateful, bias, layer_norm;
  double dropout, recurrent_dropout;
  Init *init, *recurrent_init, *bias_init;
  bool aligned; /* private: go_backwards leaves each result at its step, for now */
} RecurrentLayer;

/* Variables, in this order: weights; gains of layer_norm; the kept state; the cell's
 * own, which enters its op behind the bias. */
enum { WEIGHT_IH, WEIGHT_HH, BIAS, NORM_IH, NORM_HH, NORM_WEIGHT, NORM_BIAS, HIDDEN,
       CELL, OWN, RECURRENT_VARS };
/* For .vars of the records; `own`: the name of the cell's own one, or NULL. */
#define RECURRENT_VAR_NAMES(own)                                                       \
  {"weight_ih",   "weight_hh", "bias",   "norm_ih", "norm_hh",                         \
   "norm_weight", "norm_bias", "hidden", "cell",    own, NULL}

typedef struct RecurrentCell {
  const Op *op;
  int gates, states;
  int (*form)(const RecurrentLayer *layer);
  /* Elements of its own variable, in H; 0: none. */
  int (*own)(const RecurrentLayer *layer);
  bool own_is_bias; /* it is not there without `bias`: 0 */
  /* Its own bias, given; NULL: as it is. */
  Node *(*bias)(Graph *graph, const RecurrentLayer *layer, Node *bias);
  int split; /* columns of weight_hh, in H, of its first matrix where there are two, in
                the form split_form; 0: one */
  int split_form;
} RecurrentCell;

Err recurrent_check(Object *object, const RecurrentCell *cell, Fault *fault);
Err recurrent_build(Graph *graph, Layer *layer, const RecurrentCell *cell,
                    const Ports *in, Fault *fault);
Ports recurrent_ports(Graph *graph, Layer *layer, const RecurrentCell *cell,
                      const Ports *in);
/* LayerKind.reset: no state is kept. */
Err recurrent_reset(Graph *graph, Layer *layer);

#define RECURRENT_AT(field) .offset = offsetof(RecurrentLayer, field)
#define RECURRENT_FLAG(name_, field, text)                                             \
  {.name = name_, .kind = OPT_BOOL, RECURRENT_AT(field), .value = "false", .doc = text}
#define RECURRENT_RATE(name_, field, text)                                             \
  {.name = name_, .kind = OPT_REAL, RECURRENT_AT(field), .value = "0", .lo = 0,        \
   .hi = 1, .open_hi = true, .doc = text}
#define RECURRENT_OPTIONS                                                              \
  {.name = "units", .kind = OPT_INT, RECURRENT_AT(units), .position = 1, .lo = 1,      \
   .hi = 1e9, .alias = "hidden_size", .sizes = true,                                  \
   .doc = "H, the number of cells"},                                                  \
  RECURRENT_FLAG("return_sequences", return_sequences,                                 \
                 "return h of all steps [N, T, H], not only of the last one [N, H]"),  \
  RECURRENT_FLAG("return_state", return_state,                                         \
                 "return the last state, matrices [N, H], after the result; net(x, "   \
                 "state ...) takes it"),                                               \
  RECURRENT_FLAG("go_backwards", go_backwards,                                         \
                 "take the last step first; results of all steps are in that order"),  \
  RECURRENT_FLAG("stateful", stateful,                                                 \
                 "begin where the last call ended, with as many rows; no gradient "    \
                 "flows back there (truncated back-propagation). net:reset_states() "  \
                 "begins anew, with any number of rows"),                              \
  RECURRENT_RATE("dropout", dropout, "share of the features of x that is dropped, the "\
                 "same at all steps"),                                                 \
  RECURRENT_RATE("recurrent_dropout", recurrent_dropout,                               \
                 "share of h that its products do not see, the same at all steps"),    \
  RECURRENT_FLAG("layer_norm", layer_norm,                                             \
                 "normalize the products with x and h, and the c of LSTM before h "    \
                 "sees it, with gains of their own; step by step, so slower"),         \
  LAYER_BIAS(RecurrentLayer, "add a bias"),                                            \
  LAYER_INIT(RecurrentLayer, "initial weight_ih"),                                     \
  {.name = "recurrent_init", .kind = OPT_OBJECT, RECURRENT_AT(recurrent_init),         \
   .family = &init_family, .value = "orthogonal", .alias = "recurrent_initializer",    \
   .doc = "initial weight_hh"},                                                        \
  LAYER_BIAS_INIT(RecurrentLayer, "initial bias"),                                     \
  LAYER_REGULARIZER(WEIGHT_IH, "weight", "kernel_regularizer"),                        \
  LAYER_REGULARIZER_OF(WEIGHT_HH, "recurrent", "recurrent weight", NULL),              \
  LAYER_REGULARIZER(BIAS, "bias", NULL),                                               \
  LAYER_ACTIVITY_REGULARIZER,                                                          \
  LAYER_CONSTRAINT(WEIGHT_IH, "weight", "kernel_constraint"),                          \
  LAYER_CONSTRAINT_OF(WEIGHT_HH, "recurrent", "recurrent weight", NULL),               \
  LAYER_CONSTRAINT(BIAS, "bias", NULL),                                                \
  LAYER_OPTIONS

/* Fields of the record, of functions <word>_check and so on: RECURRENT_FUNCTIONS. */
#define RECURRENT_KIND(word)                                                           \
  .prefix = #word, .knows_masks = true, .gives_steps = true, .recurrent = true,        \
  .vars = word##_vars,                                                                 \
  .build = word##_build, .ports = word##_ports, .reset = recurrent_reset
#define RECURRENT_FUNCTIONS(word)                                                      \
  static Err word##_check(Object *object, Fault *fault) {                              \
    return recurrent_check(object, &word##_cell, fault);                               \
  }                                                                                    \
  static Err word##_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) { \
    return recurrent_build(graph, layer, &word##_cell, in, fault);                     \
  }                                                                                    \
  static Ports word##_ports(Graph *graph, Layer *layer, const Ports *in) {             \
    return recurrent_ports(graph, layer, &word##_cell, in);                            \
  }

#endif
