/* layer_lstm.c: the long short-term memory; see layer_recurrent.c.
 *
 * weight_ih is [F, 4 H], weight_hh [H, 4 H] and bias [4 H], called as in PyTorch but
 * with inputs first, as everywhere here, and with one bias for PyTorch's two; the gates
 * come in PyTorch's and Keras's order: input, forget, cell, output. */
#include "nn/recurrent.h"

typedef struct Lstm {
  RecurrentLayer base;
  double forget_bias;
  bool peepholes;
} Lstm;

enum { GATES = 4, PEEPHOLES = 3 };

static const char *const lstm_vars[] = RECURRENT_VAR_NAMES("peephole");

static int lstm_form(const RecurrentLayer *layer) {
  return ((const Lstm *)layer)->peepholes ? LSTM_PEEPHOLES : LSTM_PLAIN;
}

static int lstm_own(const RecurrentLayer *layer) {
  return ((const Lstm *)layer)->peepholes ? PEEPHOLES : 0;
}

/* The forget gate's part is forget_bias everywhere. */
static Node *lstm_bias(Graph *graph, const RecurrentLayer *layer, Node *bias) {
  int64_t H = layer->units, step = 1, first = 0, n = 2 * H;
  Node *parts[] = {op_slice(graph, bias, &first, &H, &step),
                   op_full(graph, ((const Lstm *)layer)->forget_bias, &SHAPE_OF(H)),
                   op_slice(graph, bias, &n, &n, &step)};
  return op_concat(graph, parts, 3, 0);
}

static const RecurrentCell lstm_cell = {.op = &op_record_lstm, .gates = GATES,
                                        .states = 2, .form = lstm_form,
                                        .own = lstm_own, .bias = lstm_bias};
RECURRENT_FUNCTIONS(lstm)

static const Option lstm_options[] = {
    RECURRENT_OPTIONS,
    {.name = "forget_bias", .kind = OPT_REAL, .offset = offsetof(Lstm, forget_bias),
     .value = "1", .lo = -1e6, .hi = 1e6,
     .doc = "initial bias of the forget gate (as in Keras; PyTorch: about 0)"},
    {.name = "peepholes", .kind = OPT_BOOL, .offset = offsetof(Lstm, peepholes),
     .value = "false",
     .doc = "the gates see c, each unit its own: weights `peephole` [3 H] of input, "
            "forget and output gate, which begin as bias_init says"},
    {0}};

const LayerKind layer_lstm = {
    .kind = {.name = "LSTM", .family = &layer_family, .size = sizeof(Lstm),
             .options = lstm_options,
             .example = "print(nn.LSTM(3)(tensor.randn(4, 5, 6)))",
             .doc = "Long short-term memory over sequences: [N, T, F] -> [N, H], the "
                    "last step, or [N, T, H], all steps. Steps that a mask leaves out "
                    "do not change the state, h and c. weight_ih [F, 4 H], weight_hh "
                    "[H, 4 H] and bias [4 H] hold the input gate, forget gate, cell "
                    "and output gate, in this order.",
             .equation = "i, f, g, o = x W_ih + h W_hh + b; c <- sigmoid(f) c + "
                         "sigmoid(i) tanh(g); h <- sigmoid(o) tanh(c)",
             .source = "Hochreiter & Schmidhuber, Neural Computation 9, 1997; Gers et "
                       "al., Neural Computation 12, 2000; peepholes: Gers et al., JMLR "
                       "3, 2002; layer_norm: Ba et al., arXiv:1607.06450, section "
                       "6.4; dropout: Gal & Ghahramani, NIPS 2016",
             .check = lstm_check, .deinit = layer_deinit},
    RECURRENT_KIND(lstm),
    .samples = (const LayerSample[]){
        {{{"units", "1"}}, {{3, {1, 1, 1}}}, {2, {1, 1}}},
        {{{"units", "3"}, {"return_sequences", "true"}, {"bias", "false"}},
         {{3, {2, 4, 2}}},
         {3, {2, 4, 3}}},
        {{{"units", "2"}, {"return_state", "true"}, {"peepholes", "true"}},
         {{3, {3, 2, 3}}, {2, {3, 2}}, {2, {3, 2}}}, {2, {3, 2}}},
        {{{"units", "2"}, {"recurrent_dropout", "0.4"}, {"dropout", "0.3"},
          {"go_backwards", "true"}, {"return_sequences", "true"}},
         {{3, {3, 3, 3}}},
         {3, {3, 3, 2}}},
        {{{"units", "3"}, {"layer_norm", "true"}, {"return_sequences", "true"}},
         {{3, {2, 3, 2}}},
         {3, {2, 3, 3}}},
        LAYER_SAMPLES_END}};
