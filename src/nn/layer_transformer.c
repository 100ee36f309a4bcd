/* layer_transformer.c: the blocks of a Transformer.
 *
 * A block is two or three times: something computed of x and added to it.
 *
 *   post-norm  x <- norm(x + dropout(f(x)))
 *   pre-norm   x <- x + dropout(f(norm(x)))
 *
 * f is attention of x to itself, in a decoder then attention of x to a memory, and last
 * a feed-forward net of each step. Each norm, f and dropout is a layer, made with the
 * block, one behind the other in its option `parts`; so copies, files, names and
 * net:replace treat them as any layers. */
#include "nn/nn.h"
#include "base/record_copy.h"
#include "graph/ops.h"
#include "nn/sight.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(type, field) .offset = offsetof(type, field)

/* -- FeedForward ------------------------------------------------------------------- */

typedef struct FeedForward {
  Layer layer;
  int64_t units;
  bool bias;
  double dropout;
  Activation *activation;
  Init *init, *bias_init;
} FeedForward;

enum { WEIGHT_1, WEIGHT_2, BIAS_1, BIAS_2 };
static const char *const forward_vars[] = {"weight_1", "weight_2", "bias_1", "bias_2",
                                           NULL};

static Err forward_check(Object *object, Fault *fault) {
  FeedForward *self = (FeedForward *)object;
  layer_adopt_activation(&self->layer);
  Err err = ERR_OK;
  for (int i = WEIGHT_1; !err && i <= (self->bias ? BIAS_2 : WEIGHT_2); i++)
    err = layer_declare(&self->layer, i, true, fault);
  return err;
}

static Err forward_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  const FeedForward *self = (const FeedForward *)layer;
  const Shape *x = &in->v[0].x->shape;
  if (x->rank < 2) return layer_refuse_input(layer, "[N, T, F]", x, fault);
  int64_t F = x->dim[x->rank - 1], size[] = {F, self->units, F};
  Err err = ERR_OK;
  for (int i = 0; !err && i < 2; i++) {
    double from = (double)size[i], to = (double)size[i + 1];
    err = layer_give(graph, layer, WEIGHT_1 + i, self->init,
                     &SHAPE_OF(size[i], size[i + 1]), from, to, fault);
    if (!err && self->bias)
      err = layer_give(graph, layer, BIAS_1 + i, self->bias_init,
                       &SHAPE_OF(size[i + 1]), from, to, fault);
  }
  return err;
}

/* x W + b, of the first or the second. */
static Node *half(Graph *graph, const Layer *layer, Node *x, int i) {
  Node *y = op_matmul(graph, x, layer_read(graph, layer, WEIGHT_1 + i));
  bool bias = ((const FeedForward *)layer)->bias;
  return bias ? op_add(graph, y, layer_read(graph, layer, BIAS_1 + i)) : y;
}

static Node *feed_forward(Graph *graph, Layer *layer, Node *x) {
  const FeedForward *self = (const FeedForward *)layer;
  int64_t F = layer->var[WEIGHT_1]->current->shape.dim[0];
  char expects[64];
  if (x->shape.rank < 2 || x->shape.dim[x->shape.rank - 1] != F) {
    snprintf(expects, sizeof expects, "[N, T, %lld]", (long long)F);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  Node *h = layer_activated(graph, layer,
                            half(graph, layer, op_cast(graph, x, DT_REAL), 0));
  if (!h) return NULL;
  Node *kept = layer_drop(graph, layer, "dropout", self->dropout, &h->shape);
  if (graph->fault.code) return NULL;
  return half(graph, layer, kept ? op_mul(graph, h, kept) : h, 1);
}

#define FF_ACTIVATION(type)                                                            \
  {.name = "activation", .kind = OPT_OBJECT, AT(type, activation),                     \
   .family = &activation_family, .value = "relu",                                      \
   .doc = "activation function of the feed-forward net"}
#define INITS(type)                                                                    \
  LAYER_BIAS(type, "add biases"), LAYER_INIT(type, "initial weights"),                 \
      LAYER_BIAS_INIT(type, "initial biases")
#define DROPOUT(type, text)                                                            \
  {.name = "dropout", .kind = OPT_REAL, AT(type, dropout), .value = "0", .lo = 0,      \
   .hi = 1, .open_hi = true, .doc = text}

static const Option forward_options[] = {
    {.name = "units", .kind = OPT_INT, AT(FeedForward, units), .position = 1, .lo = 1,
     .hi = 1e9, .sizes = true, .doc = "U, the width between the two"},
    FF_ACTIVATION(FeedForward),
    DROPOUT(FeedForward, "share of the units that is dropped"),
    INITS(FeedForward),
    LAYER_REGULARIZER_OF(0, "weight", "two weights", "kernel_regularizer"),
    LAYER_REGULARIZER_OF(1, "bias", "two biases", NULL),
    LAYER_ACTIVITY_REGULARIZER,
    LAYER_CONSTRAINT_OF(0, "weight", "two weights", "kernel_constraint"),
    LAYER_CONSTRAINT_OF(1, "bias", "two biases", NULL),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_feed_forward = {
    .kind = {.name = "FeedForward", .family = &layer_family,
             .size = sizeof(FeedForward), .options = forward_options,
             .check = forward_check, .deinit = layer_deinit,
             .example = "print(nn.FeedForward(8)(tensor.randn(1, 3, 4)))",
             .doc = "Two Dense layers, the second back to the features of the input, "
                    "on the last axis: [N, T, F] -> [N, T, F]. weight_1 [F, U], bias_1 "
                    "[U], weight_2 [U, F], bias_2 [F].",
             .equation = "y = f(x W_1 + b_1) W_2 + b_2",
             .source = "Vaswani et al., NIPS 2017, section 3.3"},
    .prefix = "feed_forward", .gives_steps = true,
    .keeps_time = true, .vars = forward_vars,
    .regular_span = BIAS_1,
    .activation = offsetof(FeedForward, activation),
    .samples = (const LayerSample[]){
        {{{"units", "3"}}, {{3, {2, 3, 2}}}, {3, {2, 3, 2}}},
        {{{"units", "2"}, {"activation", "gelu"}, {"dropout", "0.3"},
          {"bias", "false"}}, {{2, {5, 3}}}, {2, {5, 3}}},
        LAYER_SAMPLES_END},
    .build = forward_build, .forward = feed_forward};

/* -- blocks ------------------------------------------------------------------------ */

typedef enum NormWord { NORM_LAYER, NORM_RMS, NORM_NONE } NormWord;
static const char *const norm_words[] = {"layer", "rms", "none", NULL};
static const char *const norm_kinds[] = {"LayerNorm", "RMSNorm", "Identity"};
typedef enum FinalWord { FINAL_AUTO, FINAL_ALWAYS, FINAL_NEVER } FinalWord;
static const char *const final_words[] = {"auto", "always", "never", NULL};

typedef struct Transformer {
  Layer layer;
  /* what the parts are made with */
  int64_t n_blocks, heads, key_dim, units;
  double dropout, eps;
  bool norm_first, causal, rotary, bias;
  int norm, final_norm;
  Activation *activation;
  Init *init, *bias_init;
  ObjectList parts;
  int n_steps; /* of a block */
} Transformer;

enum { ENCODER_STEPS = 2, DECODER_STEPS = 3 };
enum { NORM, INNER, DROP, PARTS_OF_STEP };

static bool ends_in_norm(const Transformer *self) {
  return self->final_norm == FINAL_ALWAYS ||
         (self->final_norm == FINAL_AUTO && self->norm_first);
}

static int parts_wanted(const Transformer *self) {
  return (int)self->n_blocks * self->n_steps * PARTS_OF_STEP + ends_in_norm(self);
}

/* -- its parts --------------------------------------------------------------------- */

/* Sets an option that the object has, by name. */
static Err give(Object *o, const char *name, Value value, Fault *fault) {
  const Option *option = option_named(o->kind, name);
  Given given = {.value = value};
  return option ? option_set(o, option, &given, fault) : ERR_OK;
}

static Value integer(int64_t v) { return (Value){.kind = VALUE_INT, .as.integer = v}; }
static Value number(double v) { return (Value){.kind = VALUE_REAL, .as.real = v}; }
static Value boolean(bool v) { return (Value){.kind = VALUE_BOOL, .as.boolean = v}; }

/* A copy for each part: an activation may have variables. */
static Err give_copy(Object *o, const char *name, void *object, Fault *fault) {
  const Option *option = option_named(o->kind, name);
  ObjectCopies copies = {0};
  Object *copy = option && object ? object_copy(object, &copies, fault) : NULL;
  Err err = copy               ? option_set_object(o, option, copy, fault)
            : option && object ? fault->code
                               : ERR_OK;
  object_release(copy);
  object_copies_deinit(&copies);
  return err;
}

/* Every part gets what it has an option for. */
static Err give_all(const Transformer *self, Object *o, bool causal, Fault *fault) {
  const struct { const char *name; Value value; } all[] = {
      {"num_heads", integer(self->heads)}, {"key_dim", integer(self->key_dim)},
      {"units", integer(self->units)},     {"causal", boolean(causal)},
      {"dropout", number(self->dropout)},  {"rate", number(self->dropout)},
      {"rotary", boolean(self->rotary)},   {"eps", number(self->eps)},
      {"bias", boolean(self->bias)}};
  Err err = ERR_OK;
  for (size_t i = 0; !err && i < sizeof all / sizeof *all; i++)
    err = give(o, all[i].name, all[i].value, fault);
  if (!err) err = give_copy(o, "activation", self->activation, fault);
  if (!err) err = give_copy(o, "init", self->init, fault);
  return err ? err : give_copy(o, "bias_init", self->bias_init, fault);
}

/* Part number i: returns new. Attention to a memory is not causal, nor turned: its
 * places are those of another sequence. */
static Object *make_part(const Transformer *self, int i, Fault *fault) {
  int n_steps = self->n_steps, step = i / PARTS_OF_STEP % n_steps;
  bool last = i == (int)self->n_blocks * n_steps * PARTS_OF_STEP;
  bool memory = n_steps == DECODER_STEPS && step == 1;
  const char *inner = step == n_steps - 1 ? "FeedForward" : "MultiHeadAttention";
  const char *const names[] = {norm_kinds[self->norm], inner, "Dropout"};
  const Kind *kind = family_find(&layer_family, names[last ? NORM : i % PARTS_OF_STEP],
                                 fault);
  Object *o = kind ? object_new(kind, fault) : NULL;
  if (!o) return NULL;
  Err err = give_all(self, o, self->causal && !memory, fault);
  if (!err && memory) err = give(o, "rotary", boolean(false), fault);
  if (!err) err = object_ready(o, NULL, fault);
  if (!err) return o;
  object_release(o);
  return NULL;
}

static Err make_parts(Transformer *self, Fault *fault) {
  int n = parts_wanted(self);
  Object **parts = calloc((size_t)n, sizeof *parts);
  Err err = parts ? ERR_OK : fault_memory(fault, (size_t)n * sizeof *parts);
  for (int i = 0; !err && i < n; i++)
    if (!(parts[i] = make_part(self, i, fault))) err = fault->code;
  if (!err)
    err = option_set_objects(&self->layer.object,
                             option_named(self->layer.object.kind, "parts"), parts, n,
                             fault);
  for (int i = 0; parts && i < n; i++) object_release(parts[i]);
  free(parts);
  return err;
}

static Err transformer_check(Object *object, Fault *fault) {
  Transformer *self = (Transformer *)object;
  char label[96];
  if (!self->parts.n && make_parts(self, fault)) return fault->code;
  if (self->parts.n != parts_wanted(self))
    return fault_set(fault, ERR_VALUE,
                     "%s: has %d parts, but its options ask for %d: how many blocks "
                     "and norms there are is said when it is made",
                     kind_label(object->kind, label, sizeof label), self->parts.n,
                     parts_wanted(self));
  for (int i = 0; i < self->parts.n; i++)
    layer_adopt(&self->layer, (Layer *)self->parts.v[i]);
  return ERR_OK;
}

static Err encoder_check(Object *object, Fault *fault) {
  ((Transformer *)object)->n_steps = ENCODER_STEPS;
  return transformer_check(object, fault);
}

static Err decoder_check(Object *object, Fault *fault) {
  ((Transformer *)object)->n_steps = DECODER_STEPS;
  return transformer_check(object, fault);
}

/* How many parts there are, and where the norms stand; what parts are made of, they
 * have taken over. */
static bool transformer_reads(const Option *field) {
  static const size_t own[] = {offsetof(Transformer, parts),
                               offsetof(Transformer, n_blocks),
                               offsetof(Transformer, norm_first),
                               offsetof(Transformer, final_norm)};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (field->offset == own[i]) return true;
  return field->offset < sizeof(Layer);
}

static int transformer_children(Layer *layer, Layer *const **out) {
  ObjectList *parts = &((Transformer *)layer)->parts;
  *out = (Layer *const *)parts->v;
  return parts->n;
}

/* -- forward ----------------------------------------------------------------------- */

static Ports through(Graph *graph, const Transformer *self, int part, Ports x) {
  return layer_forward(graph, (Layer *)self->parts.v[part], &x);
}

/* The attention of a step; that to a memory sees by the call's mask for it. */
static Ports inner(Graph *graph, const Transformer *self, int part, Ports x,
                   bool memory) {
  Sight *sight = graph->sight;
  if (!memory || !sight) return through(graph, self, part, x);
  Sight of_memory = {.own = sight->memory};
  graph->sight = &of_memory;
  Ports y = through(graph, self, part, x);
  graph->sight = sight;
  sight->memory_used |= of_memory.own_used;
  return y;
}

/* What a step of a block makes of x: `first` is its first part. */
static Port block_step(Graph *graph, const Transformer *self, int first, Port x,
                       const Port *memory) {
  Ports y = {.n = 1, .v = {x}};
  if (self->norm_first) y = through(graph, self, first + NORM, y);
  if (memory && y.n) y.v[y.n++] = *memory;
  y = inner(graph, self, first + INNER, y, memory != NULL);
  y = through(graph, self, first + DROP, y);
  if (!y.n) return (Port){NULL, NULL};
  if (!shape_equal(&y.v[0].x->shape, &x.x->shape)) {
    layer_refuse(graph, (Layer *)self->parts.v[first + INNER],
                 "to give what it takes, to be added to it", &y.v[0].x->shape);
    return (Port){NULL, NULL};
  }
  Port sum = {op_add(graph, x.x, y.v[0].x), x.mask};
  if (self->norm_first || !sum.x) return sum;
  y = through(graph, self, first + NORM, (Ports){.n = 1, .v = {sum}});
  return y.n ? y.v[0] : (Port){NULL, NULL};
}

static Ports transformer_ports(Graph *graph, Layer *layer, const Ports *in) {
  const Transformer *self = (const Transformer *)layer;
  int n_steps = self->n_steps, part = 0, inputs = n_steps - 1;
  if (!layer_takes(graph, layer, in, inputs, inputs)) return (Ports){0};
  Port x = {op_cast(graph, in->v[0].x, DT_REAL), in->v[0].mask};
  if (x.x && x.x->shape.rank != 3)
    return layer_ports_of(layer_refuse(graph, layer, "[N, T, F]", &x.x->shape), NULL);
  for (int i = 0; x.x && i < self->n_blocks * n_steps; i++, part += PARTS_OF_STEP) {
    const Port *memory = n_steps == DECODER_STEPS && i % n_steps == 1 ? &in->v[1]
                                                                      : NULL;
    x = block_step(graph, self, part, x, memory);
  }
  Ports out = layer_ports_of(x.x, x.mask);
  return out.n && ends_in_norm(self) ? through(graph, self, part, out) : out;
}

/* -- records ----------------------------------------------------------------------- */

#define TRANSFORMER_OPTIONS(causal_)                                                   \
  {.name = "num_heads", .kind = OPT_INT, AT(Transformer, heads), .position = 1,        \
   .lo = 1, .hi = 1e6, .alias = "nhead",                                               \
   .doc = "heads of attention (PyTorch: after d_model)"},                              \
  {.name = "units", .kind = OPT_INT, AT(Transformer, units), .position = 2, .lo = 1,   \
   .hi = 1e9, .alias = "ff dim_feedforward intermediate_dim",                          \
   .doc = "width of the feed-forward net"},                                            \
  {.name = "layers", .kind = OPT_INT, AT(Transformer, n_blocks), .value = "1",         \
   .lo = 1, .hi = 1000, .alias = "num_layers", .doc = "number of blocks"},             \
  {.name = "key_dim", .kind = OPT_INT, AT(Transformer, key_dim), .value = "0",         \
   .lo = 0, .hi = 1e9, .doc = "columns of a head; 0: F over num_heads"},               \
  DROPOUT(Transformer,                                                                 \
          "share that is dropped of what each step of a block adds, of its "           \
          "hidden units and of the weights of attention (PyTorch: 0.1)"),              \
  FF_ACTIVATION(Transformer),                                                          \
  {.name = "norm_first", .kind = OPT_BOOL, AT(Transformer, norm_first),                \
   .value = "false", .alias = "normalize_first",                                       \
   .doc = "normalize what each step takes (pre-norm), not its sum (post-norm)"},       \
  {.name = "norm", .kind = OPT_CHOICE, AT(Transformer, norm), .value = "layer",        \
   .choices = norm_words, .doc = "the normalization"},                                 \
  {.name = "final_norm", .kind = OPT_CHOICE, AT(Transformer, final_norm),              \
   .value = "auto", .choices = final_words, .yes = "always", .no = "never",            \
   .doc = "one more behind the last block; \"auto\": with norm_first"},                \
  {.name = "eps", .kind = OPT_REAL, AT(Transformer, eps), .value = "1e-5", .lo = 0,    \
   .hi = 1e9, .alias = "epsilon layer_norm_eps layer_norm_epsilon",                    \
   .doc = "of the normalizations"},                                                    \
  {.name = "causal", .kind = OPT_BOOL, AT(Transformer, causal), .value = causal_,      \
   .alias = "use_causal_mask is_causal",                                               \
   .doc = "a step looks at no later one"},                                             \
  {.name = "rotary", .kind = OPT_BOOL, AT(Transformer, rotary), .value = "false",      \
   .doc = "turn queries and keys by their positions"},                                 \
  INITS(Transformer),                                                                  \
  {.name = "parts", .kind = OPT_OBJECTS, AT(Transformer, parts), .value = "none",      \
   .family = &layer_family,                                                            \
   .doc = "its layers, made from the other options: norm, attention and dropout, "     \
          "..., norm, feed-forward net and dropout of each block"},                    \
  LAYER_OPTIONS

static const Option encoder_options[] = {TRANSFORMER_OPTIONS("false"), {0}};
static const Option decoder_options[] = {TRANSFORMER_OPTIONS("true"), {0}};

#define TRANSFORMER_SOURCE                                                             \
  "Vaswani et al., NIPS 2017, section 3.1; pre-norm: Xiong et al., ICML 2020"

const LayerKind layer_transformer_encoder = {
    .kind = {.name = "TransformerEncoder", .family = &layer_family,
             .size = sizeof(Transformer),
             .options = encoder_options, .check = encoder_check,
             .deinit = layer_deinit,
             .example = "local net = nn.TransformerEncoder(2, 8, { layers = 2 })\n"
                        "print(net(tensor.randn(1, 3, 4)))",
             .doc = "Blocks of attention of a sequence to itself and a feed-forward "
                    "net of each step: [N, T, F] -> [N, T, F]. With causal = true "
                    "it is what language models are (a decoder without a memory). "
                    "It does not know the steps' places: put nn."
                    "SinePositionEncoding or nn.PositionEmbedding before it, or "
                    "set rotary = true. net(x, { attention_mask = m }) is for all "
                    "blocks (nn.MultiHeadAttention).",
             .equation = "x <- norm(x + attention(x)); x <- norm(x + ff(x)); "
                         "norm_first: x <- x + attention(norm(x)); x <- x + "
                         "ff(norm(x))",
             .source = TRANSFORMER_SOURCE},
    .prefix = "transformer_encoder", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"num_heads", "2"}, {"units", "3"}}, {{3, {2, 3, 4}}}, {3, {2, 3, 4}}},
        {{{"num_heads", "1"}, {"units", "2"}, {"layers", "2"},
          {"norm_first", "true"}, {"dropout", "0.2"}, {"causal", "true"}},
         {{3, {1, 3, 4}}}, {3, {1, 3, 4}}},
        LAYER_SAMPLES_END},
    .ports = transformer_ports, .children = transformer_children,
    .reads = transformer_reads};

const LayerKind layer_transformer_decoder = {
    .kind = {.name = "TransformerDecoder", .family = &layer_family,
             .size = sizeof(Transformer),
             .options = decoder_options, .check = decoder_check,
             .deinit = layer_deinit,
             .example = "local net = nn.TransformerDecoder(2, 8)\n"
                        "print(net(tensor.randn(1, 3, 4), tensor.randn(1, 5, 4)))",
             .doc = "Blocks of attention of a sequence to its past, to a memory, "
                    "and a feed-forward net of each step: net(x, memory), [N, T, "
                    "F] and [N, S, G] -> [N, T, F]. The memory is what an encoder "
                    "gives, with its mask. { attention_mask = m } of the call is for "
                    "attention to the past, { memory_mask = m } for that to the "
                    "memory, { mask = { a, b } } the padding of both.",
             .equation = "x <- norm(x + attention(x)); x <- norm(x + attention(x, "
                         "memory)); x <- norm(x + ff(x))",
             .source = TRANSFORMER_SOURCE},
    .prefix = "transformer_decoder", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"num_heads", "2"}, {"units", "3"}}, {{3, {2, 3, 4}}, {3, {2, 2, 3}}},
         {3, {2, 3, 4}}},
        {{{"num_heads", "1"}, {"units", "2"}, {"norm_first", "true"},
          {"norm", "rms"}},
         {{3, {1, 2, 2}}, {3, {1, 3, 2}}}, {3, {1, 2, 2}}},
        LAYER_SAMPLES_END},
    .ports = transformer_ports, .children = transformer_children,
    .reads = transformer_reads};
