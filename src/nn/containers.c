/* containers.c: layers that hold layers: Sequential, Residual, Concat, Add, Multiply,
 * and the layers that a user writes. */
#include "nn/nn.h"
#include "base/ints.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>
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

/* -- Concat, Add, Multiply --------------------------------------------------------- */

/* A step of what is joined counts if it counts in all parts. */
static Node *joined_mask(Graph *graph, Node *mask, Node *other) {
  return !mask || mask == other ? other : !other ? mask : op_mul(graph, mask, other);
}

/* What there is to join. */
typedef struct Parts {
  int n; /* 0: a fault */
  Node *x[MAX_IN], *mask;
  bool sequence; /* is one of them one? Then what is joined is, too */
} Parts;

static void add_parts(Graph *graph, const Layer *layer, const Ports *in, Parts *parts) {
  if (parts->n + in->n > MAX_IN)
    fault_set(&graph->fault, ERR_VALUE, "%s: joins at most %d tensors", layer->name,
              MAX_IN);
  for (int k = 0; k < in->n && !graph->fault.code; k++) {
    parts->x[parts->n++] = in->v[k].x;
    parts->mask = joined_mask(graph, parts->mask, in->v[k].mask);
    parts->sequence |= port_is_sequence(&in->v[k]);
  }
}

/* The results of all layers, one behind the other; without layers the inputs. */
static Parts parts_of(Graph *graph, Layer *layer, const Ports *in) {
  const ObjectList *layers = &((Container *)layer)->layers;
  Parts parts = {0};
  if (!layers->n && !layer_takes(graph, layer, in, 2, MAX_PORTS)) return parts;
  if (!layers->n) add_parts(graph, layer, in, &parts);
  for (int i = 0; i < layers->n; i++) {
    Ports out = layer_forward(graph, (Layer *)layers->v[i], in);
    add_parts(graph, layer, &out, &parts);
  }
  if (graph->fault.code) parts.n = 0;
  return parts;
}

static Ports joined(Node *y, const Parts *parts) {
  if (y) y->sequence |= parts->sequence && y->shape.rank > 2;
  return layer_ports_of(y, parts->mask);
}

static Ports concat_ports(Graph *graph, Layer *layer, const Ports *in) {
  Container *c = (Container *)layer;
  Node *x = in->v[0].x;
  int64_t axis = shape_axis(x->shape.rank, c->axis);
  if (axis < 0 || axis >= x->shape.rank)
    return layer_ports_of(layer_refuse(graph, layer, "an input that has the axis",
                                       &x->shape),
                          NULL);
  Parts parts = parts_of(graph, layer, in);
  if (parts.n && parts.mask && axis < 2)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: joins along axis %d what has a mask of steps; put nn.Unmask() "
              "before it to drop it",
              layer->name, (int)axis + 1);
  if (graph->fault.code || !parts.n) return (Ports){0};
  return joined(op_concat(graph, parts.x, parts.n, (int)axis), &parts);
}

static Err parts_check(Object *object, Fault *fault) {
  const Container *c = (const Container *)object;
  char label[96];
  if (c->layers.n > MAX_IN)
    return fault_set(fault, ERR_VALUE, "%s: %d layers, allowed: up to %d",
                     kind_label(object->kind, label, sizeof label), c->layers.n,
                     MAX_IN);
  return container_check(object, fault);
}

static Err concat_check(Object *object, Fault *fault) {
  if (((const Container *)object)->axis == 0)
    return fault_set(fault, ERR_VALUE,
                     "nn.Concat: option \"axis\": got 0, allowed: axes count from 1, "
                     "-1 is the last");
  return parts_check(object, fault);
}

#define PARTS_OPTION                                                                   \
  {.name = "layers", .kind = OPT_OBJECTS, AT(Container, layers), .position = 1,        \
   .value = "none", .family = &layer_family,                                           \
   .doc = "the layers; each gets the same input. Without layers the inputs "           \
          "themselves, net(a, b), are taken"}

static const Option concat_options[] = {
    PARTS_OPTION,
    {.name = "axis", .kind = OPT_INT, AT(Container, axis), .value = "-1",
     .lo = -MAX_RANK,
     .hi = MAX_RANK, .doc = "axis along which the outputs are joined; -1 is the last"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_concat = {
    .kind = {.name = "Concat", .family = &layer_family, .size = sizeof(Container),
             .options = concat_options, .check = concat_check, .deinit = layer_deinit,
             .example = "local both = nn.Concat { nn.Dense(2), nn.Dense(3) }\n"
                        "print(both(tensor.randn(4, 6)))",
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
        {.in = {{2, {2, 3}}, {2, {2, 4}}}, .out = {2, {2, 7}}},
        LAYER_SAMPLES_END},
    .ports = concat_ports, .children = container_children};

/* One after the other, of one shape, or with 1 where the first has more. */
static Ports folded(Graph *graph, Layer *layer, const Ports *in,
                    Node *(*op)(Graph *, Node *, Node *)) {
  Parts parts = parts_of(graph, layer, in);
  Node *y = parts.n ? parts.x[0] : NULL;
  for (int i = 1; i < parts.n && y; i++) {
    const Shape *first = &parts.x[0]->shape, *other = &parts.x[i]->shape;
    bool fits = first->rank == other->rank;
    for (int d = 0; fits && d < first->rank; d++)
      fits = other->dim[d] == first->dim[d] || other->dim[d] == 1;
    if (!fits) {
      char expects[SHAPE_TEXT + 64], text[SHAPE_TEXT];
      snprintf(expects, sizeof expects, "tensors of %s, or 1 along some axes",
               shape_text(text, first));
      return layer_ports_of(layer_refuse(graph, layer, expects, other), NULL);
    }
    y = op(graph, y, parts.x[i]);
  }
  return joined(y, &parts);
}

static Ports add_ports(Graph *graph, Layer *layer, const Ports *in) {
  return folded(graph, layer, in, op_add);
}

static Ports multiply_ports(Graph *graph, Layer *layer, const Ports *in) {
  return folded(graph, layer, in, op_mul);
}

static const Option parts_options[] = {PARTS_OPTION, LAYER_OPTIONS, {0}};

static const LayerSample parts_samples[] = {
    {{{"layers", "Dense 3"}}, {{2, {2, 4}}}, {2, {2, 3}}},
    {.in = {{2, {2, 3}}, {2, {2, 3}}, {2, {2, 1}}}, .out = {2, {2, 3}}},
    {.in = {{3, {2, 3, 2}}, {3, {2, 1, 2}}}, .out = {3, {2, 3, 2}}},
    LAYER_SAMPLES_END};

const LayerKind layer_adding = {
    .kind = {.name = "Add", .family = &layer_family, .size = sizeof(Container),
             .options = parts_options, .check = parts_check, .deinit = layer_deinit,
             .example = "print(nn.Add()(tensor.randn(4, 6), tensor.randn(4, 6)))",
             .doc = "Adds the results of several layers on the same input, or several "
                    "inputs.",
             .equation = "y = f_1(x) + f_2(x) + ..., or x_1 + x_2 + ...",
             .source = "Chollet et al., Keras, 2015 (merging layers)"},
    .prefix = "add", .knows_masks = true, .samples = parts_samples, .ports = add_ports,
    .children = container_children};

const LayerKind layer_multiplying = {
    .kind = {.name = "Multiply", .family = &layer_family, .size = sizeof(Container),
             .options = parts_options, .check = parts_check, .deinit = layer_deinit,
             .example = "print(nn.Multiply()(tensor.randn(4, 6), tensor.randn(4, 6)))",
             .doc = "Multiplies, element by element, the results of several layers on "
                    "the same input, or several inputs: a gate.",
             .equation = "y = f_1(x) f_2(x) ..., or x_1 x_2 ...",
             .source = "Chollet et al., Keras, 2015 (merging layers)"},
    .prefix = "multiply", .knows_masks = true, .samples = parts_samples,
    .ports = multiply_ports, .children = container_children};

/* -- Residual ---------------------------------------------------------------------- */

typedef struct Residual {
  Layer layer;
  Layer *block, *shortcut, *pre_activation, *activation;
  Layer *inside[4]; /* room for residual_children: those that there are, in order */
  bool projection;
  double scale; /* NaN: none */
} Residual;

enum { FACTOR, PROJECTION };
static const char *const residual_vars[] = {"factor", "weight", NULL};

static int residual_children(Layer *layer, Layer *const **out) {
  Residual *r = (Residual *)layer;
  Layer *const all[] = {r->pre_activation, r->block, r->shortcut, r->activation};
  int n = 0;
  for (int i = 0; i < 4; i++)
    if (all[i]) r->inside[n++] = all[i];
  *out = r->inside;
  return n;
}

static Err residual_check(Object *object, Fault *fault) {
  Residual *r = (Residual *)object;
  if (!r->block)
    return fault_set(fault, ERR_VALUE, "nn.Residual: \"block\" is missing: a layer");
  if (r->shortcut && r->projection)
    return fault_set(fault, ERR_VALUE,
                     "nn.Residual: \"shortcut\" and \"projection\" are given; "
                     "allowed: "
                     "one of them");
  Err err = take_children(&r->layer, fault);
  if (!err && !isnan(r->scale)) err = layer_declare(&r->layer, FACTOR, true, fault);
  if (!err && r->projection) err = layer_declare(&r->layer, PROJECTION, true, fault);
  return err;
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

/* Images through a kernel of one pixel, in the steps in which the block goes. */
static Node *project_images(Graph *graph, Node *x, Node *w, const Shape *y) {
  ConvSteps steps = {.dilation = {1, 1}, .groups = 1};
  for (int i = 0; i < 2; i++)
    steps.stride[i] = divide_up(x->shape.dim[2 + i], most(1, y->dim[2 + i]));
  return op_conv2d(graph, x, w, &steps);
}

/* x as the block's result y is shaped, through a weight of its own, whose shape follows
 * from both. */
static Node *project(Graph *graph, Layer *layer, Node *x, const Shape *y) {
  bool images = x->shape.rank == 4;
  int axis = images ? 1 : x->shape.rank - 1;
  if (axis < 1 || y->rank != x->shape.rank)
    return layer_refuse(graph, layer, "inputs with as many axes as its block gives",
                        &x->shape);
  int64_t n_in = x->shape.dim[axis], n_out = y->dim[axis];
  Shape shape = images ? SHAPE_OF(n_out, n_in, 1, 1) : SHAPE_OF(n_in, n_out);
  Fault fault = {0};
  bool built = layer->var[PROJECTION]->has_value;
  Object *init = built ? NULL : family_make(&init_family, "glorot_uniform", &fault);
  Err err = built || init ? layer_give(graph, layer, PROJECTION, (Init *)init, &shape,
                                       (double)n_in, (double)n_out, &fault)
                          : fault.code;
  object_release(init);
  if (err) fault_pass(&graph->fault, &fault);
  x = op_cast(graph, x, DT_REAL);
  Node *w = err ? NULL : layer_read(graph, layer, PROJECTION);
  if (!x || !w) return NULL;
  return images ? project_images(graph, x, w, y) : op_matmul(graph, x, w);
}

static Ports shortcut_of(Graph *graph, Residual *r, const Ports *in, const Ports *y) {
  if (r->shortcut) return layer_forward(graph, r->shortcut, in);
  Ports s = *in;
  for (int i = 0; r->projection && i < s.n && i < y->n && !graph->fault.code; i++)
    s.v[i].x = project(graph, &r->layer, in->v[i].x, &y->v[i].x->shape);
  if (graph->fault.code) s.n = 0;
  return s;
}

/* Each result of the block beside that of the shortcut; masks are the block's. */
static Ports residual_ports(Graph *graph, Layer *layer, const Ports *in) {
  Residual *r = (Residual *)layer;
  Ports x = r->pre_activation ? layer_forward(graph, r->pre_activation, in) : *in;
  Ports y = layer_forward(graph, r->block, &x);
  Ports s = y.n ? shortcut_of(graph, r, in, &y) : (Ports){0};
  if (y.n == 0 || s.n == 0) return (Ports){0};
  if (y.n != s.n)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: the block gives %d tensors, the shortcut %d; they must be as many",
              layer->name, y.n, s.n);
  Node *scale = layer_read(graph, layer, FACTOR);
  for (int i = 0; i < y.n && !graph->fault.code; i++) {
    bool sequence = port_is_sequence(&y.v[i]) || port_is_sequence(&s.v[i]);
    if (scale) y.v[i].x = op_mul(graph, y.v[i].x, scale);
    y.v[i].x = residual_sum(graph, layer, y.v[i].x, s.v[i].x);
    if (sequence && y.v[i].x) y.v[i].x->sequence = true;
  }
  if (graph->fault.code) y.n = 0;
  return r->activation ? layer_forward(graph, r->activation, &y) : y;
}

static Err residual_build(Graph *graph, Layer *layer, const Ports *in, Fault *fault) {
  (void)in;
  if (!layer_var(layer, FACTOR)) return ERR_OK;
  double scale = ((const Residual *)layer)->scale;
  return layer_give_constant(graph, layer, FACTOR, scale, &SHAPE_OF(1), fault);
}

static const Option residual_options[] = {
    {.name = "block", .kind = OPT_OBJECT, AT(Residual, block), .position = 1,
     .family = &layer_family, .doc = "the layer whose output is added to the shortcut"},
    {.name = "shortcut", .kind = OPT_OBJECT, AT(Residual, shortcut),
     .family = &layer_family,
     .doc = "a layer for the shortcut, in place of the input itself"},
    {.name = "projection", .kind = OPT_BOOL, AT(Residual, projection), .value = "false",
     .doc = "the shortcut is a trained linear map to what the block gives: of images "
            "[N, C, H, W] of each pixel, in the steps of the block, else of the last "
            "axis"},
    {.name = "pre_activation", .kind = OPT_OBJECT, AT(Residual, pre_activation),
     .family = &layer_family,
     .doc = "through which the input goes into the block, but not into the shortcut: "
            "nn.Sequential { nn.BatchNorm(), \"relu\" }"},
    {.name = "activation", .kind = OPT_OBJECT, AT(Residual, activation),
     .family = &layer_family, .doc = "of the sum"},
    {.name = "scale", .kind = OPT_REAL, AT(Residual, scale), .value = "none",
     .lo = -1e6, .hi = 1e6,
     .doc = "initial value of a trained factor on the block; 0: at first the block "
            "adds nothing. Fixup: 1, with init = \"zeros\" in the last layer of the "
            "block and gain = L^(-1 / (2 m - 2)) in its others, for L blocks of m "
            "layers"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_residual = {
    .kind = {.name = "Residual", .family = &layer_family, .size = sizeof(Residual),
             .options = residual_options, .check = residual_check,
             .deinit = layer_deinit,
             .call = "nn.Residual(nn.Dense(6))",
             .doc = "Adds a shortcut, by default the input itself, to the output of a "
                    "block. The block may begin as nothing (scale), and take its input "
                    "through a normalization and an activation (pre_activation). "
                    "factor: of scale; weight: of projection.",
             .equation = "y = activation(scale block(pre_activation(x)) + "
                         "shortcut(x))",
             .source = "He et al., CVPR 2016, eq. 1 and 2; pre-activation: He et al., "
                       "ECCV 2016, section 4; scale: De & Smith, NeurIPS 2020, and "
                       "Zhang et al. (Fixup), ICLR 2019"},
    .prefix = "residual", .knows_masks = true, .vars = residual_vars,
    .samples = (const LayerSample[]){
        {{{"block", "LayerNorm"}}, {{2, {4, 3}}}, {2, {4, 3}}},
        {{{"block", "Dense 2"}, {"shortcut", "Dense 2"}}, {{3, {3, 5, 2}}},
         {3, {3, 5, 2}}},
        {{{"block", "LayerNorm"}}, {{4, {2, 3, 2, 5}}}, {4, {2, 3, 2, 5}}},
        {{{"block", "Dense 2"}, {"projection", "true"}, {"scale", "0.5"},
          {"pre_activation", "LayerNorm"}, {"activation", "PReLU"}}, {{2, {3, 5}}},
         {2, {3, 2}}},
        LAYER_SAMPLES_END},
    .build = residual_build, .ports = residual_ports, .children = residual_children};

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
