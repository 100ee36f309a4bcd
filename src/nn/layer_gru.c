/* layer_gru.c: the gated recurrent unit; see layer_recurrent.c.
 *
 * weight_ih is [F, 3 H], weight_hh [H, 3 H] and bias [3 H]; the gates come in PyTorch's
 * order: reset, update, new (Keras: update, reset, new). With reset_after the new part
 * has a bias of its own inside the reset, bias_hn [H]; that of the other gates is one
 * for PyTorch's two. */
#include "nn/recurrent.h"

typedef struct Gru {
  RecurrentLayer base;
  bool reset_after;
} Gru;

enum { GATES = 3 };

static const char *const gru_vars[] = RECURRENT_VAR_NAMES("bias_hn");

static int gru_form(const RecurrentLayer *layer) {
  return ((const Gru *)layer)->reset_after ? GRU_RESET_AFTER : GRU_RESET_BEFORE;
}

static int gru_own(const RecurrentLayer *layer) {
  return ((const Gru *)layer)->reset_after ? 1 : 0;
}

static const RecurrentCell gru_cell = {.op = &op_record_gru, .gates = GATES,
                                       .states = 1,
                                       .form = gru_form, .own = gru_own,
                                       .own_is_bias = true, .split = 2,
                                       .split_form = GRU_RESET_BEFORE};
RECURRENT_FUNCTIONS(gru)

static const Option gru_options[] = {
    RECURRENT_OPTIONS,
    {.name = "reset_after", .kind = OPT_BOOL, .offset = offsetof(Gru, reset_after),
     .value = "true",
     .doc = "reset what the product with h gave (PyTorch, Keras), not what it takes "
            "(the paper)"},
    {0}};

const LayerKind layer_gru = {
    .kind = {.name = "GRU", .family = &layer_family, .size = sizeof(Gru),
             .options = gru_options,
             .example = "print(nn.GRU(3)(tensor.randn(4, 5, 6)))",
             .doc = "Gated recurrent unit over sequences: [N, T, F] -> [N, H], the "
                    "last step, or [N, T, H], all steps. Steps that a mask leaves out "
                    "do not change the state h. weight_ih [F, 3 H], weight_hh [H, 3 "
                    "H] and bias [3 H] hold the reset gate, update gate and new part, "
                    "in this order (Keras: update gate first); bias_hn [H] is that "
                    "inside the reset.",
             .equation = "r, z = sigmoid(x W_ih + h W_hh + b); n = tanh(x W_in + b_n + "
                         "r (h W_hn + b_hn)), or with reset_after = false tanh(x W_in "
                         "+ b_n + (r h) W_hn); h <- (1 - z) n + z h",
             .source = "Cho et al., arXiv:1406.1078, equations 5 to 8; layer_norm: Ba "
                       "et al., arXiv:1607.06450, section 6.1; dropout: Gal & "
                       "Ghahramani, NIPS 2016",
             .check = gru_check, .deinit = layer_deinit},
    RECURRENT_KIND(gru),
    .samples = (const LayerSample[]){
        {{{"units", "1"}}, {{3, {1, 1, 1}}}, {2, {1, 1}}},
        {{{"units", "3"}, {"return_sequences", "true"}, {"bias", "false"}},
         {{3, {2, 4, 2}}},
         {3, {2, 4, 3}}},
        {{{"units", "2"}, {"return_state", "true"}, {"reset_after", "false"}},
         {{3, {3, 2, 3}}, {2, {3, 2}}}, {2, {3, 2}}},
        {{{"units", "2"}, {"recurrent_dropout", "0.4"}, {"dropout", "0.3"},
          {"go_backwards", "true"}, {"reset_after", "false"}},
         {{3, {3, 3, 3}}},
         {2, {3, 2}}},
        {{{"units", "3"}, {"layer_norm", "true"}, {"return_sequences", "true"}},
         {{3, {2, 3, 2}}},
         {3, {2, 3, 3}}},
        LAYER_SAMPLES_END}};
