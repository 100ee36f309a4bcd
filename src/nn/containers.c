/* containers.c: layers that hold layers: Sequential, Residual, Concat, and the layers
 * that a user writes. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <stdlib.h>
#include <string.h>

/* -- lists of layers --------------------------------------------------------------- */

typedef struct Container {
  Layer layer;
  ObjectList layers; /* of Layer */
  int64_t axis;      /* Concat */
} Container;

static int container_children(Layer *layer, Layer *const **out) {
  ObjectList *layers = &((Container *)layer)->layers;
  *out = (Layer *const *)layers->v;
  return layers->n;
}

/* Is `inner` the layer itself or somewhere inside it? */
static bool holds(Layer *layer, const Layer *inner) {
  if (layer == inner) return true;
  Layer *const *child = NULL;
  int n = layer_children(layer, &child);
  for (int i = 0; i < n; i++)
    if (holds(child[i], inner)) return true;
  return false;
}

/* Takes up the children, none of which holds the container. */
static Err take_children(Layer *layer, Fault *fault) {
  Layer *const *child = NULL;
  int n = layer_children(layer, &child);
  char label[96];
  for (int i = 0; i < n; i++)
    if (holds(child[i], layer))
      return fault_set(fault, ERR_VALUE, "%s: a net cannot be a layer of itself",
                       kind_label(layer->object.kind, label, sizeof label));
  for (int i = 0; i < n; i++) layer_adopt(layer, child[i]);
  return ERR_OK;
}

static Err container_check(Object *object, Fault *fault) {
  return take_children((Layer *)object, fault);
}

#define AT(type, field) .offset = offsetof(type, field)

/* -- Sequential -------------------------------------------------------------------- */

static Ports sequential_ports(Graph *graph, Layer *layer, const Ports *in) {
  const ObjectList *layers = &((Container *)layer)->layers;
  Ports x = *in;
  for (int i = 0; i < layers->n; i++)
    x = layer_forward(graph, (Layer *)layers->v[i], &x);
  return x;
}

static const Option sequential_options[] = {
    {.name = "layers", .kind = OPT_OBJECTS, AT(Container, layers), .position = 1,
     .value = "none", .family = &layer_family, .doc = "the layers, in order"},
    LAYER_OPTIONS,
    {0}};

static ObjectList *sequential_growing(Layer *layer) {
  return &((Container *)layer)->layers;
}

const LayerKind layer_sequential = {
    .kind = {.name = "Sequential", .family = &layer_family, .size = sizeof(Container),
             .options = sequential_options, .check = container_check,
             .deinit = layer_deinit,
             .doc = "Applies layers one after the other; net:add appends one. Of "
                    "net(a, b), the first layer gets both.",
             .equation = "y = f_n(... f_2(f_1(x)))",
             .source = "Goodfellow, Bengio & Courville, Deep Learning, 2016, "
                       "chapter 6"},
    .prefix = "sequential", .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"layers", "Dense 3"}}, {{2, {3, 5}}}, {2, {3, 3}}},
        {{{"layers", "BatchNorm"}}, {{2, {7, 2}}}, {2, {7, 2}}},
        {{{"layers", "Lambda"}}, {{2, {2, 3}}, {2, {2, 3}}}, {2, {2, 3}}},
        LAYER_SAMPLES_END},
    .ports = sequential_ports, .children = container_children,
    .growing = sequential_growing};

Err layer_add(Layer *sequential, Layer *layer, Fault *fault) {
  ObjectList *(*growing)(Layer *) = layer_kind(sequential)->growing;
  if (!growing)
    return fault_set(fault, ERR_VALUE,
                     "add: nn.%s holds no list of layers; allowed: "
                     "nn.Sequential",
                     sequential->object.kind->name);
  if (holds(layer, sequential))
    return fault_set(fault, ERR_VALUE, "add: a net cannot be a layer of itself");
  ObjectList *list = growing(sequential);
  size_t n_bytes = ((size_t)list->n + 1) * sizeof *list->v;
  Object **larger = realloc(list->v, n_bytes);
  if (!larger) return fault_memory(fault, n_bytes);
  list->v = larger;
  list->v[list->n++] = object_retain(layer);
  layer_adopt(sequential, layer);
  sequential->object.version++;
  return ERR_OK;
}

/* -- Concat ------------------------------------------------------------------------ */

/* A step of what is joined counts if it counts in all parts. */
static Node *joined_mask(Graph *graph, Node *mask, Node *other) {
  return !mask || mask == other ? other : !other ? mask : op_mul(graph, mask, other);
}

/* The results of all layers, one behind the other; 0: a fault. */
static int concat_parts(Graph *graph, Container *c, const Ports *in, Node **y,
                        Node **mask) {
  int n = 0;
  for (int i = 0; i < c->layers.n; i++) {
    Ports out = layer_forward(graph, (Layer *)c->layers.v[i], in);
    if (n + out.n > MAX_IN)
      fault_set(&graph->fault, ERR_VALUE, "%s: joins at most %d tensors", c->layer.name,
                MAX_IN);
    if (graph->fault.code) return 0;
    for (int k = 0; k < out.n; k++) {
      y[n++] = out.v[k].x;
      *mask = joined_mask(graph, *mask, out.v[k].mask);
    }
  }
  return n;
}

static Ports concat_ports(Graph *graph, Layer *layer, const Ports *in) {
  Container *c = (Container *)layer;
  Node *y[MAX_IN], *mask = NULL, *x = in->v[0].x;
  int64_t axis = c->axis < 0 ? x->shape.rank + c->axis : c->axis - 1;
  if (axis < 0 || axis >= x->shape.rank)
    return layer_ports_of(layer_refuse(graph, layer, "an input that has the axis",
                                       &x->shape),
                          NULL);
  int n = concat_parts(graph, c, in, y, &mask);
  if (n && mask && axis < 2)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: joins along axis %d what has a mask of steps; put nn.Unmask() "
              "before it to drop it",
              layer->name, (int)axis + 1);
  return layer_ports_of(n && !graph->fault.code ? op_concat(graph, y, n, (int)axis)
                                                : NULL,
                        mask);
}

static Err concat_check(Object *object, Fault *fault) {
  Container *c = (Container *)object;
  if (c->layers.n < 1 || c->layers.n > MAX_IN)
    return fault_set(fault, ERR_VALUE, "nn.Concat: %d layers, allowed: 1 to %d",
                     c->layers.n, MAX_IN);
  if (c->axis == 0)
    return fault_set(fault, ERR_VALUE,
                     "nn.Concat: option \"axis\": got 0, allowed: axes count from 1, "
                     "-1 is the last");
  return container_check(object, fault);
}

static const Option concat_options[] = {
    {.name = "layers", .kind = OPT_OBJECTS, AT(Container, layers), .position = 1,
     .family = &layer_family, .doc = "the layers; each gets the same input"},
    {.name = "axis", .kind = OPT_INT, AT(Container, axis), .value = "-1",
     .lo = -MAX_RANK,
     .hi = MAX_RANK, .doc = "axis along which the outputs are joined; -1 is the last"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_concat = {
    .kind = {.name = "Concat", .family = &layer_family, .size = sizeof(Container),
             .options = concat_options, .check = concat_check, .deinit = layer_deinit,
             .doc = "Gives the same input to several layers and joins their outputs "
                    "along an axis.",
             .equation = "y = [f_1(x), f_2(x), ...]",
             .source = "Szegedy et al., CVPR 2015, section 4 (filter concatenation)"},
    .prefix = "concat", .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"layers", "Dense 3"}}, {{2, {2, 1}}}, {2, {2, 3}}},
        {{{"layers", "Dense 2"}}, {{2, {5, 7}}}, {2, {5, 2}}},
        {{{"layers", "Lambda"}, {"axis", "1"}}, {{2, {2, 3}}, {2, {2, 3}}},
         {2, {4, 3}}},
        LAYER_SAMPLES_END},
    .ports = concat_ports, .children = container_children};

/* -- Residual ---------------------------------------------------------------------- */

typedef struct Residual {
  Layer layer;
  Layer *block, *shortcut; /* neighbours: read as an array by residual_children */
} Residual;

static int residual_children(Layer *layer, Layer *const **out) {
  Residual *r = (Residual *)layer;
  *out = &r->block;
  return r->shortcut ? 2 : 1;
}

static Err residual_check(Object *object, Fault *fault) {
  Residual *r = (Residual *)object;
  if (!r->block)
    return fault_set(fault, ERR_VALUE, "nn.Residual: \"block\" is missing: a layer");
  return take_children(&r->layer, fault);
}

static Node *residual_sum(Graph *graph, const Layer *layer, Node *y, Node *s) {
  if (!shape_equal(&y->shape, &s->shape)) {
    char block[SHAPE_TEXT], shortcut[SHAPE_TEXT];
    fault_set(&graph->fault, ERR_SHAPE,
              "%s: the block gives %s, the shortcut %s; they must be the same",
              layer->name, shape_text(block, &y->shape),
              shape_text(shortcut, &s->shape));
    return NULL;
  }
  return op_add(graph, y, s);
}

/* Each result of the block beside that of the shortcut; masks are the block's. */
static Ports residual_ports(Graph *graph, Layer *layer, const Ports *in) {
  Residual *r = (Residual *)layer;
  Ports y = layer_forward(graph, r->block, in);
  Ports s = r->shortcut ? layer_forward(graph, r->shortcut, in) : *in;
  if (y.n == 0 || s.n == 0) return (Ports){0};
  if (y.n != s.n)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: the block gives %d tensors, the shortcut %d; they must be as many",
              layer->name, y.n, s.n);
  for (int i = 0; i < y.n && !graph->fault.code; i++)
    y.v[i].x = residual_sum(graph, layer, y.v[i].x, s.v[i].x);
  if (graph->fault.code) y.n = 0;
  return y;
}

static const Option residual_options[] = {
    {.name = "block", .kind = OPT_OBJECT, AT(Residual, block), .position = 1,
     .family = &layer_family, .doc = "the layer whose output is added to the shortcut"},
    {.name = "shortcut", .kind = OPT_OBJECT, AT(Residual, shortcut),
     .family = &layer_family,
     .doc = "a layer for the shortcut, in place of the input itself"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_residual = {
    .kind = {.name = "Residual", .family = &layer_family, .size = sizeof(Residual),
             .options = residual_options, .check = residual_check,
             .deinit = layer_deinit,
             .doc = "Adds a shortcut, by default the input itself, to the output of a "
                    "block.",
             .equation = "y = block(x) + shortcut(x)",
             .source = "He et al., CVPR 2016, eq. 1 and 2"},
    .prefix = "residual", .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"block", "LayerNorm"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"block", "Dense 2"}, {"shortcut", "Dense 2"}}, {{3, {3, 5, 2}}},
         {3, {3, 5, 2}}},
        {{{"block", "LayerNorm"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        LAYER_SAMPLES_END},
    .ports = residual_ports, .children = residual_children};

/* -- layers of the user ------------------------------------------------------------ */

typedef struct Custom {
  Layer layer;
  Callable *function;
  ObjectList layers;
  char **names; /* of its variables */
} Custom;

static int custom_children(Layer *layer, Layer *const **out) {
  ObjectList *layers = &((Custom *)layer)->layers;
  *out = (Layer *const *)layers->v;
  return layers->n;
}

static void custom_deinit(Object *object) {
  Custom *c = (Custom *)object;
  for (int i = 0; i < c->layer.n_vars; i++) free(c->names[i]);
  free(c->names);
  layer_deinit(object);
}

static Ports custom_ports(Graph *graph, Layer *layer, const Ports *in) {
  return layer_function(graph, layer, ((Custom *)layer)->function, in);
}

static const Option custom_options[] = {
    {.name = "forward", .kind = OPT_CALL, AT(Custom, function), .position = 1,
     .doc = "forward(self, x, ...) -> tensor, ..."},
    {.name = "layers", .kind = OPT_OBJECTS, AT(Custom, layers), .value = "none",
     .family = &layer_family, .doc = "the layers that it uses"},
    LAYER_OPTIONS,
    {0}};

/* Made by layer_custom_new alone. */
static const LayerKind layer_custom = {
    .kind = {.name = "Custom", .family = &layer_family, .size = sizeof(Custom),
             .options = custom_options, .deinit = custom_deinit,
             .doc = "A table with `forward`."},
    .prefix = "custom", .shares = true, .ports = custom_ports,
    .children = custom_children};

static Err custom_variables(Custom *c, Variable *const *variables,
                            const char *const *names, int n, Fault *fault) {
  c->names = calloc((size_t)n + 1, sizeof *c->names);
  if (!c->names) return fault_memory(fault, (size_t)n * sizeof *c->names);
  Err err = layer_reserve(&c->layer, n, (const char *const *)c->names, fault);
  for (int i = 0; !err && i < n; i++) {
    c->layer.var[i] = variable_claim(variables[i]);
    c->names[i] = text_copy(names[i]);
    if (!c->names[i]) err = fault_memory(fault, strlen(names[i]) + 1);
  }
  return err;
}

Layer *layer_custom_new(Callable *forward, Layer *const *layers, int n_layers,
                        Variable *const *variables, const char *const *names,
                        int n_variables, Fault *fault) {
  for (int i = 0; i < n_variables; i++)
    if (layer_check_name(names[i], "a layer's variable", VARIABLE_NAME - 1, fault))
      return NULL;
  Custom *c = (Custom *)object_new(&layer_custom.kind, fault);
  if (!c) return NULL;
  c->function = callable_retain(forward);
  Err err = option_set_objects(&c->layer.object, &custom_options[1],
                               (Object *const *)layers, n_layers, fault);
  for (int i = 0; !err && i < n_layers; i++) layer_adopt(&c->layer, layers[i]);
  if (!err && n_variables)
    err = custom_variables(c, variables, names, n_variables, fault);
  if (!err) return &c->layer;
  object_release(c);
  return NULL;
}
