/* layer_embedding.c: a vector for each number: words, characters, categories.
 *
 * Ids are whole numbers from 1, of any integer type or real; nothing flows back into
 * them. With mask_zero the id 0 is padding: it gives zeros, its step does not count,
 * and no row of the weight is its own. A mask that comes with the ids holds besides:
 * what is at the steps that it leaves out may be anything. */
#include "nn/nn.h"
#include "graph/ops.h"

typedef struct Embedding {
  Layer layer;
  int64_t n, d;
  bool mask_zero, trainable;
  bool frozen;     /* as `trainable` set its variable last */
  Tensor *weights; /* NULL: drawn by init */
  Init *init;
} Embedding;

enum { WEIGHT };
static const char *const embedding_vars[] = {"weight", NULL};

static Err embedding_check(Object *object, Fault *fault) {
  Embedding *self = (Embedding *)object;
  const Shape wanted = SHAPE_OF(self->n, self->d);
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  if (self->weights && !shape_equal(&self->weights->a.shape, &wanted))
    return fault_set(fault, ERR_SHAPE,
                     "nn.Embedding: option \"weights\": got %s, allowed: %s, a row for "
                     "each id",
                     shape_text(got, &self->weights->a.shape),
                     shape_text(want, &wanted));
  Err err = layer_declare(&self->layer, WEIGHT, true, fault);
  if (err || self->frozen == !self->trainable) return err;
  self->layer.var[WEIGHT]->frozen = self->frozen = !self->trainable;
  return ERR_OK;
}

static Err embedding_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  Embedding *self = (Embedding *)layer;
  (void)in;
  if (!self->weights)
    return layer_give(graph, layer, WEIGHT, self->init, &SHAPE_OF(self->n, self->d),
                      (double)self->n, (double)self->d, fault);
  Node *given = op_cast(graph, graph_const(graph, self->weights), DT_REAL);
  if (!given || variable_assign(graph, layer->var[WEIGHT], given))
    return graph_ok(graph, fault);
  return ERR_OK;
}

/* Of the ids at which the mask is 1; zeros elsewhere. */
static Node *embed_counted(Graph *graph, Node *weight, Node *ids, Node *mask) {
  if (!ids || !mask) return NULL;
  Node *safe = op_where(graph, mask, ids, graph_scalar(graph, 1));
  Shape steps = ids->shape;
  steps.dim[steps.rank++] = 1;
  return op_where(graph, op_reshape(graph, mask, &steps),
                  op_gather(graph, weight, safe), graph_scalar(graph, 0));
}

static Ports embedding_ports(Graph *graph, Layer *layer, const Ports *in) {
  const Embedding *self = (const Embedding *)layer;
  if (!layer_takes(graph, layer, in, 1, 1)) return (Ports){0};
  Node *ids = in->v[0].x, *mask = in->v[0].mask, *weight = layer_read(graph, layer, 0);
  if (ids->shape.rank < 1 || ids->shape.rank >= MAX_RANK ||
      (mask && ids->shape.rank != 2))
    return layer_ports_of(layer_refuse(graph, layer, "ids [N, T]", &ids->shape), NULL);
  if (!self->mask_zero)
    return layer_ports_of(mask ? embed_counted(graph, weight, ids, mask)
                               : op_gather(graph, weight, ids),
                          mask);
  if (ids->shape.rank != 2)
    return layer_ports_of(layer_refuse(graph, layer, "ids [N, T] for mask_zero",
                                       &ids->shape),
                          NULL);
  if (mask) ids = op_where(graph, mask, ids, graph_scalar(graph, 0));
  mask = op_ne(graph, ids, graph_scalar(graph, 0));
  return layer_ports_of(op_embed(graph, weight, ids), mask);
}

#define AT(field) .offset = offsetof(Embedding, field)

static const Option embedding_options[] = {
    {.name = "n", .kind = OPT_INT, AT(n), .position = 1, .lo = 1, .hi = 1e9,
     .alias = "input_dim num_embeddings", .sizes = true,
     .doc = "number of ids: 1 to n"},
    {.name = "d", .kind = OPT_INT, AT(d), .position = 2, .lo = 1, .hi = 1e9,
     .alias = "output_dim embedding_dim", .sizes = true,
     .doc = "length of each vector"},
    {.name = "mask_zero", .kind = OPT_BOOL, AT(mask_zero), .value = "false",
     .doc = "the id 0 is padding: zeros, and a mask that leaves its step out (Keras: "
            "it takes a row of the weight, so that n is one more there)"},
    {.name = "weights", .kind = OPT_REF, AT(weights), .ref_type = &tensor_ref_type,
     .value = "none",
     .doc = "initial weight [n, d], in place of init"},
    {.name = "trainable", .kind = OPT_BOOL, AT(trainable), .value = "true",
     .doc = "false: the weight is frozen, as by net:freeze"},
    {.name = "init", .kind = OPT_OBJECT, AT(init), .family = &init_family,
     .value = "uniform", .alias = "embeddings_initializer",
     .doc = "initial weight (as in Keras; PyTorch: standard normal)"},
    LAYER_REGULARIZER(WEIGHT, "weight", "embeddings_regularizer"),
    LAYER_ACTIVITY_REGULARIZER,
    LAYER_REGULAR("weight_constraint", limit[WEIGHT], &constraint_family,
                  "embeddings_constraint",
                  "bounds the vector of each id after each update (Keras: each column "
                  "of the weight)"),
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_embedding = {
    .kind = {.name = "Embedding", .family = &layer_family, .size = sizeof(Embedding),
             .options = embedding_options, .check = embedding_check,
             .deinit = layer_deinit,
             .example = "local words = nn.Embedding(10, 3, { mask_zero = true })\n"
                        "print(words(tensor({ { 4, 7, 2 }, { 9, 0, 0 } }, { dtype = "
                        "\"int32\" })))",
             .doc = "A trained vector for each id, of words or other things that are "
                    "numbered from 1: [N, T] -> [N, T, d]. weight [n, d].",
             .equation = "y[n, t] = weight[x[n, t]]",
             .source = "Bengio et al., JMLR 3, 2003, section 2"},
    .prefix = "embedding", .gives_steps = true,
    .knows_masks = true, .vars = embedding_vars,
    .units_axis = 1, .sample_ids = 2,
    .samples = (const LayerSample[]){
        {{{"n", "4"}, {"d", "3"}}, {{2, {2, 5}}}, {3, {2, 5, 3}}},
        {{{"n", "2"}, {"d", "1"}, {"mask_zero", "true"}}, {{2, {3, 4}}},
         {3, {3, 4, 1}}},
        {{{"n", "7"}, {"d", "2"}}, {{2, {9, 1}}}, {3, {9, 1, 2}}},
        LAYER_SAMPLES_END},
    .build = embedding_build, .ports = embedding_ports};
