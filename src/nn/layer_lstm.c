/* layer_lstm.c: the long short-term memory, over sequences [N, T, features].
 *
 * The equations are in graph/ops_lstm.c. weight_ih is [F, 4 H], weight_hh [H, 4
 * H] and bias [4 H], called as in PyTorch but with inputs first, as everywhere here;
 * the gates come in PyTorch's and Keras's order: input, forget, cell, output. */
#include "nn/nn.h"
#include "graph/op.h"
#include "graph/ops.h"
#include <stdio.h>

typedef struct Lstm {
  Layer layer;
  int64_t units;
  bool return_sequences, return_state, bias;
  double forget_bias;
  Init *init, *recurrent_init;
} Lstm;

enum { WEIGHT_IH, WEIGHT_HH, BIAS, GATES = 4 };
static const char *const lstm_vars[] = {"weight_ih", "weight_hh", "bias", NULL};

static Err lstm_check(Object *object, Fault *fault) {
  Lstm *self = (Lstm *)object;
  Err err = layer_declare(&self->layer, WEIGHT_IH, true, fault);
  if (!err) err = layer_declare(&self->layer, WEIGHT_HH, true, fault);
  return err || !self->bias ? err : layer_declare(&self->layer, BIAS, true, fault);
}

/* Zeros, but for the forget gate's part. */
static Err give_bias(Graph *graph, Lstm *self, Fault *fault) {
  Variable *bias = self->layer.var[BIAS];
  int64_t H = self->units;
  if (bias->has_value && bias->current->shape.dim[0] == GATES * H) return ERR_OK;
  Err err = layer_give_constant(graph, &self->layer, BIAS, 0, &SHAPE_OF(GATES * H),
                                fault);
  if (err) return err;
  Node *parts[] = {op_full(graph, 0, &SHAPE_OF(H)),
                   op_full(graph, self->forget_bias, &SHAPE_OF(H)),
                   op_full(graph, 0, &SHAPE_OF(2 * H))};
  if (variable_assign(graph, bias, op_concat(graph, parts, 3, 0)))
    return graph_ok(graph, fault);
  return ERR_OK;
}

static Err lstm_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Lstm *self = (Lstm *)layer;
  const Shape *x = &in->v[0].x->shape;
  char got[SHAPE_TEXT];
  if (x->rank != 3)
    return fault_set(fault, ERR_SHAPE, "%s: expects [N, T, features], got %s",
                     layer->name, shape_text(got, x));
  int64_t F = x->dim[2], H = self->units;
  Err err = layer_give(graph, layer, WEIGHT_IH, self->init, &SHAPE_OF(F, GATES * H),
                       (double)F, (double)(GATES * H), fault);
  if (!err)
    err = layer_give(graph, layer, WEIGHT_HH, self->recurrent_init,
                     &SHAPE_OF(H, GATES * H), (double)H, (double)(GATES * H), fault);
  return err || !self->bias ? err : give_bias(graph, self, fault);
}

/* Columns of a state: h (0) or c (1). */
static Node *state_part(Graph *graph, Node *state, int64_t H, int which) {
  int64_t start[MAX_RANK] = {0, which * H}, step[MAX_RANK] = {1, 1};
  int64_t count[MAX_RANK] = {state ? state->shape.dim[0] : 0, H};
  return state ? op_slice(graph, state, start, count, step) : NULL;
}

/* The state to begin with, h beside c; NULL: a fault. */
static Node *first_state(Graph *graph, Layer *layer, const Ports *in, int64_t H) {
  const Shape part = SHAPE_OF(in->v[0].x->shape.dim[0], H);
  if (in->n == 1) return op_full(graph, 0, &SHAPE_OF(part.dim[0], 2 * H));
  Node *state[2];
  for (int i = 0; i < 2; i++) {
    state[i] = op_cast(graph, in->v[1 + i].x, DT_REAL);
    char expects[64];
    snprintf(expects, sizeof expects, "h and c of %lldx%lld beside x",
             (long long)part.dim[0], (long long)H);
    if (!shape_equal(&in->v[1 + i].x->shape, &part))
      return layer_refuse(graph, layer, expects, &in->v[1 + i].x->shape);
  }
  return op_concat(graph, state, 2, 1);
}

static Ports lstm_ports(Graph *graph, Layer *layer, const Ports *in) {
  const Lstm *self = (const Lstm *)layer;
  Node *x = in->v[0].x, *mask = in->v[0].mask;
  int64_t H = self->units, F = layer->var[WEIGHT_IH]->current->shape.dim[0];
  if (in->n == 2 && !layer_takes(graph, layer, in, 3, 3)) return (Ports){0};
  if (!layer_takes(graph, layer, in, 1, 3)) return (Ports){0};
  if (x->shape.rank != 3 || x->shape.dim[2] != F) {
    char expects[64];
    snprintf(expects, sizeof expects, "[N, T, %lld]", (long long)F);
    return layer_ports_of(layer_refuse(graph, layer, expects, &x->shape), NULL);
  }
  Node *bias = self->bias ? layer_read(graph, layer, BIAS)
                          : op_full(graph, 0, &SHAPE_OF(GATES * H));
  Node *weight[] = {layer_read(graph, layer, WEIGHT_IH),
                    layer_read(graph, layer, WEIGHT_HH), bias};
  for (int i = 0; i < 3; i++) weight[i] = op_reshape(graph, weight[i], &SHAPE_OF(-1));
  Node *steps = mask ? mask
                     : op_full(graph, 1, &SHAPE_OF(x->shape.dim[0], x->shape.dim[1]));
  Node *inputs[] = {op_cast(graph, x, DT_REAL), op_concat(graph, weight, 3, 0),
                    first_state(graph, layer, in, H), steps};
  Node *all = op_recurrent(graph, &op_record_lstm, inputs, 4,
                           &(RecurrentForm){.keep = graph->training});
  Node *last = all ? graph_pick(graph, all, 1) : NULL,
       *h = state_part(graph, last, H, 0);
  if (graph->fault.code || !h) return (Ports){0};
  Ports out = self->return_sequences ? layer_ports_of(graph_pick(graph, all, 0), mask)
                                     : layer_ports_of(h, NULL);
  if (self->return_state) {
    out.n = 3;
    out.v[1] = (Port){h, NULL};
    out.v[2] = (Port){state_part(graph, last, H, 1), NULL};
  }
  if (graph->fault.code) out.n = 0;
  return out;
}

#define AT(field) .offset = offsetof(Lstm, field)

static const Option lstm_options[] = {
    {.name = "units", .kind = OPT_INT, AT(units), .position = 1, .lo = 1, .hi = 1e9,
     .alias = "hidden_size", .doc = "H, the number of cells"},
    {.name = "return_sequences", .kind = OPT_BOOL, AT(return_sequences),
     .value = "false",
     .doc = "return h of all steps [N, T, H], not only of the last one [N, H]"},
    {.name = "return_state", .kind = OPT_BOOL, AT(return_state), .value = "false",
     .doc = "return the last h and c, [N, H] each, after the result; net(x, h, c) "
            "takes them"},
    {.name = "bias", .kind = OPT_BOOL, AT(bias), .value = "true", .alias = "use_bias",
     .doc = "add a bias"},
    {.name = "forget_bias", .kind = OPT_REAL, AT(forget_bias), .value = "1", .lo = -1e6,
     .hi = 1e6,
     .doc = "initial bias of the forget gate (as in Keras; PyTorch: about 0)"},
    {.name = "init", .kind = OPT_OBJECT, AT(init), .family = &init_family,
     .value = "glorot_uniform", .alias = "kernel_initializer",
     .doc = "initial weight_ih"},
    {.name = "recurrent_init", .kind = OPT_OBJECT, AT(recurrent_init),
     .family = &init_family,
     .value = "orthogonal", .alias = "recurrent_initializer",
     .doc = "initial weight_hh"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_lstm = {
    .kind = {.name = "LSTM", .family = &layer_family, .size = sizeof(Lstm),
             .options = lstm_options,
             .example = "print(nn.LSTM(3)(tensor.randn(4, 5, 6)))",
             .doc = "Long short-term memory over sequences: [N, T, F] -> [N, H], the "
                    "last step, or [N, T, H], all steps. Steps that a mask leaves out "
                    "do not change the state. weight_ih [F, 4 H], weight_hh [H, 4 H] "
                    "and bias [4 H] hold the input gate, forget gate, cell and output "
                    "gate, in this order.",
             .equation = "i, f, g, o = x W_ih + h W_hh + b; c <- sigmoid(f) c + "
                         "sigmoid(i) tanh(g); h <- sigmoid(o) tanh(c)",
             .source = "Hochreiter & Schmidhuber, Neural Computation 9, 1997; Gers et "
                       "al., Neural Computation 12, 2000",
             .check = lstm_check, .deinit = layer_deinit},
    .prefix = "lstm", .knows_masks = true, .vars = lstm_vars,
    .samples = (const LayerSample[]){
        {{{"units", "1"}}, {{3, {1, 1, 1}}}, {2, {1, 1}}},
        {{{"units", "3"}, {"return_sequences", "true"}, {"bias", "false"}},
         {{3, {2, 4, 2}}},
         {3, {2, 4, 3}}},
        {{{"units", "2"}, {"return_state", "true"}},
         {{3, {3, 2, 3}}, {2, {3, 2}}, {2, {3, 2}}}, {2, {3, 2}}},
        LAYER_SAMPLES_END},
    .build = lstm_build, .ports = lstm_ports};
