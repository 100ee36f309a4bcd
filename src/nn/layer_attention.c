/* layer_attention.c: attention of several heads, of sequences to themselves or to
 * others.
 *
 * The op (graph/ops_attention.c) finds each head's columns in one product of all heads,
 * so that nothing is moved. Steps that a mask leaves out are read as 0: whatever they
 * held, no product meets it; as keys they have weight 0. So are, as keys, the steps
 * that no query sees by the mask of pairs that came with the call (sight.h). */
#include "nn/nn.h"
#include "graph/ops.h"
#include "nn/positions.h"
#include "nn/sight.h"
#include <stdio.h>

typedef struct MultiHeadAttention {
  Layer layer;
  int64_t heads, key_dim, value_dim, output_dim;
  bool bias, causal, return_scores, rotary;
  double dropout, rotary_base;
  Init *init, *bias_init;
} MultiHeadAttention;

enum { QUERY, KEY, VALUE, OUTPUT, BIASES, N_VARS = 2 * BIASES };
static const char *const attention_vars[] = {
    "weight_q", "weight_k", "weight_v", "weight_o", "bias_q",
    "bias_k",   "bias_v",   "bias_o",   NULL};

static Err attention_check(Object *object, Fault *fault) {
  MultiHeadAttention *self = (MultiHeadAttention *)object;
  Err err = ERR_OK;
  for (int i = 0; !err && i < (self->bias ? N_VARS : BIASES); i++)
    err = layer_declare(&self->layer, i, true, fault);
  return err;
}

/* Number i of query, key and value: with fewer inputs the last one is the others. */
static const Port *role(const Ports *in, int i) {
  return &in->v[i < in->n ? i : in->n - 1];
}

static int64_t features(const Ports *in, int i) {
  const Shape *x = &role(in, i)->x->shape;
  return x->dim[x->rank - 1];
}

/* Columns of a head's queries and keys; 0: they cannot be divided. */
static int64_t key_columns(const MultiHeadAttention *self, const Ports *in) {
  int64_t F = features(in, QUERY);
  if (self->key_dim) return self->key_dim;
  return F % self->heads ? 0 : F / self->heads;
}

/* As "2x3x4, 2x5x4". */
static const char *shapes_text(char *out, size_t n_bytes, const Ports *in) {
  char one[SHAPE_TEXT];
  size_t used = 0;
  for (int i = 0; i < in->n && used < n_bytes; i++)
    used += (size_t)snprintf(out + used, n_bytes - used, "%s%s", i ? ", " : "",
                             shape_text(one, &in->v[i].x->shape));
  return out;
}

/* Sequences, the queries' examples as many as the others', of which there is one key at
 * least? */
static Err check_sequences(const Layer *layer, const Ports *in, Fault *fault) {
  char got[MAX_PORTS * (SHAPE_TEXT + 2)];
  for (int i = QUERY; i <= VALUE; i++) {
    const Shape *x = &role(in, i)->x->shape;
    bool fits = x->rank == 3 && x->dim[0] == in->v[0].x->shape.dim[0] &&
                (i < VALUE || x->dim[1] == role(in, KEY)->x->shape.dim[1]);
    if (!fits)
      return fault_set(fault, ERR_SHAPE,
                       "%s: expects sequences [N, T, F] of the same N, and keys and "
                       "values of the same T, got %s",
                       layer->name, shapes_text(got, sizeof got, in));
  }
  return ERR_OK;
}

static Err attention_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  const MultiHeadAttention *self = (const MultiHeadAttention *)layer;
  Err err = check_sequences(layer, in, fault);
  if (err) return err;
  int64_t D = key_columns(self, in), E = self->value_dim ? self->value_dim : D;
  if (!D)
    return fault_set(fault, ERR_SHAPE,
                     "%s: %lld features cannot be shared by %lld heads; allowed: "
                     "heads that divide them, or key_dim = ...",
                     layer->name, (long long)features(in, QUERY),
                     (long long)self->heads);
  int64_t H = self->heads;
  int64_t to[] = {H * D, H * D, H * E,
                  self->output_dim ? self->output_dim : features(in, QUERY)};
  for (int i = QUERY; !err && i <= OUTPUT; i++) {
    int64_t from = i == OUTPUT ? H * E : features(in, i);
    err = layer_give(graph, layer, i, self->init, &SHAPE_OF(from, to[i]), (double)from,
                     (double)to[i], fault);
    if (!err && self->bias)
      err = layer_give(graph, layer, BIASES + i, self->bias_init, &SHAPE_OF(to[i]),
                       (double)from, (double)to[i], fault);
  }
  return err;
}

/* x [N, T, F], 0 where `counts` [N, T] is 0; x itself where that is NULL. */
static Node *counted(Graph *graph, Node *x, Node *counts) {
  x = op_cast(graph, x, DT_REAL);
  if (!counts || !x) return x;
  const Shape steps = SHAPE_OF(x->shape.dim[0], x->shape.dim[1], 1);
  return op_where(graph, op_reshape(graph, counts, &steps), x, graph_scalar(graph, 0));
}

static Node *projected(Graph *graph, Layer *layer, Node *x, int i) {
  const Shape *w = &layer->var[i]->current->shape;
  if (x && x->shape.dim[2] != w->dim[0]) {
    char expects[64];
    snprintf(expects, sizeof expects, "%lld features for %s", (long long)w->dim[0],
             attention_vars[i]);
    return layer_refuse(graph, layer, expects, &x->shape);
  }
  Node *y = op_matmul(graph, x, layer_read(graph, layer, i));
  bool bias = ((const MultiHeadAttention *)layer)->bias;
  return bias ? op_add(graph, y, layer_read(graph, layer, BIASES + i)) : y;
}

/* The mask of what is attended to: of the key, and of the value if it has its own. */
static Node *keys_mask(Graph *graph, const Ports *in) {
  Node *key = role(in, KEY)->mask, *value = role(in, VALUE)->mask;
  if (!key || !value || key == value) return key ? key : value;
  return op_mul(graph, key, value);
}

/* Does `mask` broadcast to the pairs [N, Q, S]? */
static bool fits(const Shape *mask, const Shape *pairs) {
  if (mask->rank != 2 && mask->rank != 3) return false;
  for (int i = 1; i <= mask->rank; i++) {
    int64_t n = mask->dim[mask->rank - i];
    if (n != 1 && n != pairs->dim[3 - i]) return false;
  }
  return true;
}

/* Which keys each query may see by the call's own mask, [N, Q, S]; NULL: it has none,
 * or does not fit. */
static Node *pairs_mask(Graph *graph, const Layer *layer, const Ports *in) {
  Sight *sight = graph->sight;
  Node *mask = sight ? sight->own : NULL;
  if (!mask) return NULL;
  sight->own_used = true;
  const Shape *q = &in->v[0].x->shape, *k = &role(in, KEY)->x->shape;
  const Shape pairs = SHAPE_OF(q->dim[0], q->dim[1], k->dim[1]);
  if (fits(&mask->shape, &pairs)) return op_broadcast_to(graph, mask, &pairs);
  char got[SHAPE_TEXT], all[SHAPE_TEXT], each[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "%s: the attention mask: got %s, allowed: [N, Q, S], %s, or [Q, S], %s: "
            "for each query the keys that it may see, the same in all heads (a mask of "
            "steps [N, T] is the option \"mask\")",
            layer->name, shape_text(got, &mask->shape), shape_text(all, &pairs),
            shape_text(each, &SHAPE_OF(pairs.dim[1], pairs.dim[2])));
  return NULL;
}

/* What a query may see, [N, S] or [N, Q, S], and which keys some query sees, [N, S];
 * NULL: all. */
typedef struct Seen {
  Node *mask, *keys;
} Seen;

static Seen what_is_seen(Graph *graph, const Layer *layer, const Ports *in) {
  Node *keys = keys_mask(graph, in), *pairs = pairs_mask(graph, layer, in);
  if (!pairs) return (Seen){keys, keys};
  const Shape *s = &pairs->shape;
  if (keys)
    pairs = op_mul(graph, pairs,
                   op_reshape(graph, keys, &SHAPE_OF(s->dim[0], 1, s->dim[2])));
  Node *some = op_max(graph, pairs, 1u << 1, false);
  return (Seen){pairs, op_gt(graph, some, graph_scalar(graph, 0.5))};
}

/* q, k and v of all heads. */
static void project_all(Graph *graph, Layer *layer, const Ports *in, Node *keys,
                        Node **part) {
  const MultiHeadAttention *self = (const MultiHeadAttention *)layer;
  Node *x[3];
  for (int i = QUERY; i <= VALUE; i++) {
    const Port *port = role(in, i);
    bool before = i && role(in, i - 1) == port && (i > KEY || keys == port->mask);
    x[i] = before ? x[i - 1] : counted(graph, port->x, i ? keys : port->mask);
    part[i] = projected(graph, layer, x[i], i);
  }
  for (int i = QUERY; self->rotary && i <= KEY; i++)
    part[i] = op_rotary(graph, part[i], positions_of(graph, role(in, i)->mask),
                        self->heads, self->rotary_base);
}

static Ports attention_ports(Graph *graph, Layer *layer, const Ports *in) {
  const MultiHeadAttention *self = (const MultiHeadAttention *)layer;
  Fault fault = {0};
  if (!layer_takes(graph, layer, in, 1, 3)) return (Ports){0};
  if (check_sequences(layer, in, &fault)) {
    fault_pass(&graph->fault, &fault);
    return (Ports){0};
  }
  Node *part[3];
  Seen seen = what_is_seen(graph, layer, in);
  project_all(graph, layer, in, seen.keys, part);
  const Shape weights = SHAPE_OF(in->v[0].x->shape.dim[0], self->heads,
                                 in->v[0].x->shape.dim[1],
                                 role(in, KEY)->x->shape.dim[1]);
  Node *kept = layer_drop(graph, layer, "dropout", self->dropout, &weights);
  if (graph->fault.code) return (Ports){0};
  Node *all = op_attention(graph, part[QUERY], part[KEY], part[VALUE], seen.mask, kept,
                           self->heads, self->causal);
  Node *y = all ? projected(graph, layer, graph_pick(graph, all, 0), OUTPUT) : NULL;
  Ports out = layer_ports_of(y, in->v[0].mask);
  if (self->return_scores && all)
    out.v[out.n++] = (Port){graph_pick(graph, all, 1), NULL};
  if (graph->fault.code) out.n = 0;
  return out;
}

#define AT(field) .offset = offsetof(MultiHeadAttention, field)

static const Option attention_options[] = {
    {.name = "num_heads", .kind = OPT_INT, AT(heads), .position = 1, .lo = 1, .hi = 1e6,
     .alias = "nhead", .sizes = true,
     .doc = "H, the number of heads (PyTorch: after embed_dim)"},
    {.name = "key_dim", .kind = OPT_INT, AT(key_dim), .position = 2, .value = "0",
     .lo = 0, .hi = 1e9, .sizes = true,
     .doc = "D, columns of a head's queries and keys; 0: the features of the queries "
            "over H, as in PyTorch"},
    {.name = "value_dim", .kind = OPT_INT, AT(value_dim), .value = "0", .lo = 0,
     .hi = 1e9, .sizes = true,
     .doc = "E, columns of a head's values; 0: as key_dim"},
    {.name = "output_dim", .kind = OPT_INT, AT(output_dim), .value = "0", .lo = 0,
     .hi = 1e9, .alias = "output_shape embed_dim", .sizes = true,
     .doc = "features of the result; 0: those of the queries"},
    {.name = "causal", .kind = OPT_BOOL, AT(causal), .value = "false",
     .alias = "use_causal_mask is_causal", .doc = "a step looks at no later one"},
    LAYER_BIAS(MultiHeadAttention, "add biases"),
    {.name = "dropout", .kind = OPT_REAL, AT(dropout), .value = "0", .lo = 0, .hi = 1,
     .open_hi = true, .doc = "share of the weights of values that is dropped"},
    {.name = "rotary", .kind = OPT_BOOL, AT(rotary), .value = "false",
     .doc = "turn queries and keys by their positions (RoFormer); of even key_dim"},
    {.name = "rotary_base", .kind = OPT_REAL, AT(rotary_base), .value = "10000",
     .lo = 1, .hi = 1e30, .open = true, .doc = "of its wavelengths"},
    {.name = "return_scores", .kind = OPT_BOOL, AT(return_scores), .value = "false",
     .alias = "return_attention_scores need_weights",
     .doc = "return the weights of the values, [N, H, T, S], too, before dropout"},
    LAYER_INIT(MultiHeadAttention, "initial weights, each with its own fans (PyTorch: "
                                   "those of query, key and value as one)"),
    LAYER_BIAS_INIT(MultiHeadAttention, "initial biases"),
    LAYER_REGULARIZER_OF(0, "weight", "four weights", "kernel_regularizer"),
    LAYER_REGULARIZER_OF(1, "bias", "four biases", NULL),
    LAYER_ACTIVITY_REGULARIZER,
    LAYER_CONSTRAINT_OF(0, "weight", "four weights", "kernel_constraint"),
    LAYER_CONSTRAINT_OF(1, "bias", "four biases", NULL),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_multi_head_attention = {
    .kind = {.name = "MultiHeadAttention", .family = &layer_family,
             .size = sizeof(MultiHeadAttention),
             .options = attention_options, .check = attention_check,
             .deinit = layer_deinit,
             .example = "local layer = nn.MultiHeadAttention(2)\n"
                        "print(layer(tensor.randn(1, 3, 4)))",
             .doc = "Attention of sequences [N, T, F] to themselves, net(x), or to "
                    "others [N, S, G], net(query, key) or net(query, key, value) "
                    "(Keras: query, value, key) -> [N, T, F]. Steps of the keys that "
                    "their mask leaves out have weight exactly 0; a step that may look "
                    "at none gives the bias alone. net(x, { attention_mask = m }) says "
                    "which keys each query may see, beside padding and causal: [N, Q, "
                    "S] or [Q, S], 1 where it may (PyTorch's of booleans: where it may "
                    "not); it holds for all attention inside the net that is called, "
                    "and keys that no query sees may hold anything. weight_q [F, H D], "
                    "weight_k and weight_v [G, H D], weight_o [H D, F], and a bias for "
                    "each.",
             .equation = "y = concat_h(softmax(q_h k_h^T / sqrt(D)) v_h) W_o + b_o, q "
                         "= x W_q + b_q, k = z W_k + b_k, v = z W_v + b_v",
             .source = "Vaswani et al., NIPS 2017, section 3.2.2; rotary: Su et al., "
                       "arXiv:2104.09864"},
    .prefix = "multi_head_attention", .gives_steps = true,
    .knows_masks = true, .vars = attention_vars,
    .regular_span = BIASES,
    .samples = (const LayerSample[]){
        {{{"num_heads", "2"}}, {{3, {2, 3, 4}}}, {3, {2, 3, 4}}},
        {{{"num_heads", "1"}, {"key_dim", "2"}, {"value_dim", "3"}, {"causal", "true"},
          {"dropout", "0.3"}, {"bias", "false"}},
         {{3, {1, 4, 3}}}, {3, {1, 4, 3}}},
        {{{"num_heads", "2"}, {"key_dim", "2"}, {"rotary", "true"},
          {"output_dim", "5"}},
         {{3, {2, 2, 3}}, {3, {2, 3, 2}}, {3, {2, 3, 1}}},
         {3, {2, 2, 5}}},
        {{{"num_heads", "3"}, {"return_scores", "true"}},
         {{3, {2, 2, 3}}, {3, {2, 4, 2}}}, {3, {2, 2, 3}}},
        LAYER_SAMPLES_END},
    .build = attention_build, .ports = attention_ports};
