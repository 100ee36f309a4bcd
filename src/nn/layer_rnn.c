/* layer_rnn.c: the simple recurrent layer; see layer_recurrent.c. weight_ih is [F, H],
 * weight_hh [H, H] and bias [H], one for PyTorch's two. */
#include "nn/recurrent.h"

typedef struct Rnn {
  RecurrentLayer base;
  int activation;
} Rnn;

static const char *const rnn_vars[] = RECURRENT_VAR_NAMES(NULL);
static const char *const activation_names[] = {[RNN_TANH] = "tanh",
                                               [RNN_RELU] = "relu", NULL};

static int rnn_form(const RecurrentLayer *layer) {
  return ((const Rnn *)layer)->activation;
}

static const RecurrentCell rnn_cell = {.op = &op_record_rnn, .gates = 1, .states = 1,
                                       .form = rnn_form};
RECURRENT_FUNCTIONS(rnn)

static const Option rnn_options[] = {
    RECURRENT_OPTIONS,
    {.name = "activation", .kind = OPT_CHOICE, .offset = offsetof(Rnn, activation),
     .choices = activation_names, .value = "tanh", .alias = "nonlinearity",
     .doc = "what makes h; with relu and recurrent_init = \"identity\" the layer is an "
            "IRNN"},
    {0}};

const LayerKind layer_rnn = {
    .kind = {.name = "SimpleRNN", .alias = "RNN", .family = &layer_family,
             .size = sizeof(Rnn), .options = rnn_options,
             .example = "print(nn.SimpleRNN(3)(tensor.randn(4, 5, 6)))",
             .doc = "Simple recurrent layer over sequences: [N, T, F] -> [N, H], the "
                    "last step, or [N, T, H], all steps. Steps that a mask leaves out "
                    "do not change the state h. weight_ih [F, H], weight_hh [H, H], "
                    "bias [H]. How a gradient vanishes on its way back, step by step, "
                    "of a loss l of x = tensor.variable(...): grad(l, { x })[1]"
                    ":square():sum({ 1, 3 }):sqrt().",
             .equation = "h <- f(x W_ih + h W_hh + b), f = tanh or relu",
             .source = "Elman, Cognitive Science 14, 1990; IRNN: Le et al., "
                       "arXiv:1504.00941, section 2; dropout: Gal & Ghahramani, NIPS "
                       "2016",
             .check = rnn_check, .deinit = layer_deinit},
    RECURRENT_KIND(rnn),
    .samples = (const LayerSample[]){
        {{{"units", "1"}}, {{3, {1, 1, 1}}}, {2, {1, 1}}},
        {{{"units", "3"}, {"return_sequences", "true"}, {"activation", "relu"}},
         {{3, {2, 4, 2}}},
         {3, {2, 4, 3}}},
        {{{"units", "2"}, {"return_state", "true"}, {"bias", "false"}},
         {{3, {3, 2, 3}}, {2, {3, 2}}}, {2, {3, 2}}},
        {{{"units", "2"}, {"recurrent_dropout", "0.4"}, {"dropout", "0.3"},
          {"go_backwards", "true"}},
         {{3, {3, 3, 3}}},
         {2, {3, 2}}},
        {{{"units", "3"}, {"layer_norm", "true"}, {"return_sequences", "true"}},
         {{3, {2, 3, 2}}},
         {3, {2, 3, 3}}},
        LAYER_SAMPLES_END}};
