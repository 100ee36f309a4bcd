/* net.c: what all layers share: names, variables, build, forward.
 *
 * A net is a tree of layers (a layer may occur in it twice: then it shares its weights,
 * and in several nets). Names are computed anew, from the layer that is asked for them,
 * at each request: they follow what was added and do not depend on other nets that
 * share a layer; renaming touches only what changed. Streams of random numbers are
 * named once, when a layer first draws, and keep their names. */
#include "nn/nn.h"
#include "base/ints.h"
#include "base/array.h"
#include "base/utf8.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the tree ---------------------------------------------------------------------- */

void layer_adopt(Layer *layer, Layer *child) {
  if (child->owner) return;
  child->owner = layer;
  child->sibling = layer->owned;
  layer->owned = child;
}

static void leave_owner(Layer *child) {
  if (!child->owner) return;
  Layer **link = &child->owner->owned;
  while (*link != child) link = &(*link)->sibling;
  *link = child->sibling;
  child->owner = child->sibling = NULL;
}

static Layer *outermost(Layer *layer) {
  while (layer->owner) layer = layer->owner;
  return layer;
}

/* A leaf's option `activation`; NULL: it has none. */
static const Activation *own_activation(const Layer *layer) {
  size_t offset = layer_kind(layer)->activation;
  return offset ? *(Activation *const *)((const char *)layer + offset) : NULL;
}

/* Where the layer that does a leaf's activation is held; NULL: none does it. */
static Layer *const *activation_layer(const Layer *layer) {
  const Activation *activation = own_activation(layer);
  return activation && activation->layer ? &activation->layer : NULL;
}

void layer_adopt_activation(Layer *layer) {
  Layer *const *child = activation_layer(layer);
  if (child) layer_adopt(layer, *child);
}

int layer_children(Layer *layer, Layer *const **out) {
  const LayerKind *kind = layer_kind(layer);
  if (kind->children) return kind->children(layer, out);
  Layer *const *child = activation_layer(layer);
  if (child) *out = child;
  return child != NULL;
}

/* Appends layer and what is inside; marks what it has, for unmark. */
static Err collect(LayerList *list, Layer *layer, Fault *fault) {
  if (layer->visited) return ERR_OK;
  enum { FIRST = 32 };
  Err err = ARRAY_ROOM(list->v, list->room, most(list->n + 1, FIRST), fault);
  if (err) return err;
  layer->visited = true;
  list->v[list->n++] = layer;
  Layer *const *child = NULL;
  int n = layer_children(layer, &child);
  for (int i = 0; !err && i < n; i++) err = collect(list, child[i], fault);
  return err;
}

static Err list_tree(Layer *net, LayerList *out, Fault *fault) {
  *out = (LayerList){0};
  Err err = collect(out, net, fault);
  for (int i = 0; i < out->n; i++) out->v[i]->visited = false;
  if (err) {
    free(out->v);
    *out = (LayerList){0};
  }
  return err;
}

Err layer_list(Layer *net, LayerList *out, Fault *fault) {
  *out = (LayerList){0};
  Err err = layer_name(net, fault);
  return err ? err : list_tree(net, out, fault);
}

/* -- names ------------------------------------------------------------------------- */

enum { LAYER_NAME = 128, LONGEST_NAME = 120 };

Err layer_check_name(const char *name, const char *whose, int longest, Fault *fault) {
  size_t n_bytes = strlen(name);
  if (n_bytes == 0 || n_bytes > (size_t)longest)
    return fault_set(fault, ERR_VALUE, "the name of %s has %zu bytes; allowed: 1 to %d",
                     whose, n_bytes, longest);
  for (const char *at = name, *end = name + n_bytes; at < end;) {
    uint32_t code = 0;
    size_t n = utf8_next(at, end, &code);
    if (n == 0 || code < ' ' || code == 0x7f)
      return fault_set(fault, ERR_VALUE,
                       "the name of %s has at byte %d what is %s; allowed: text in "
                       "UTF-8",
                       whose, (int)(at - name) + 1,
                       n ? "a control character" : "no UTF-8");
    at += n;
  }
  return ERR_OK;
}

/* How many of its kind stand in the list up to number i, named ones included: so a name
 * given to one layer renames no other. */
static int count_kind(const LayerList *list, int i) {
  int count = 1;
  for (int k = 0; k < i; k++)
    count += list->v[k]->object.kind == list->v[i]->object.kind;
  return count;
}

static void own_name(const LayerList *list, int i, char name[LAYER_NAME]) {
  const Layer *layer = list->v[i];
  if (layer->given_name) snprintf(name, LAYER_NAME, "%s", layer->given_name);
  else
    snprintf(name, LAYER_NAME, "%s_%d", layer_kind(layer)->prefix, count_kind(list, i));
}

/* "nn.Dense number 2 (name given)" */
static char *describe(const LayerList *list, int i, char *buffer, size_t n_bytes) {
  char label[96];
  const Layer *layer = list->v[i];
  snprintf(buffer, n_bytes, "%s number %d (name %s)",
           kind_label(layer->object.kind, label, sizeof label), count_kind(list, i),
           layer->given_name ? "given" : "counted");
  return buffer;
}

/* Two counted names always differ. */
static Err check_names(const LayerList *list, char (*name)[LAYER_NAME], Fault *fault) {
  for (int i = 0; i < list->n; i++)
    for (int k = 0; list->v[i]->given_name && k < list->n; k++) {
      if (k == i || strcmp(name[i], name[k]) != 0) continue;
      char one[160], other[160];
      return fault_set(fault, ERR_VALUE,
                       "two layers of the net are called \"%s\": %s and %s; names must "
                       "differ",
                       name[i], describe(list, i < k ? i : k, one, sizeof one),
                       describe(list, i < k ? k : i, other, sizeof other));
    }
  return ERR_OK;
}

static Err set_name(Layer *layer, const char *name, Fault *fault) {
  if (layer->name && strcmp(layer->name, name) == 0) return ERR_OK;
  char *copy = text_copy(name);
  if (!copy) return fault_memory(fault, strlen(name) + 1);
  free(layer->name);
  layer->name = copy;
  layer->label = NULL;
  return ERR_OK;
}

static Err name_variables(Layer *layer, Fault *fault) {
  for (int i = 0; i < layer->n_vars; i++) {
    Variable *v = layer->var[i];
    if (!v) continue;
    char name[LAYER_NAME + VARIABLE_NAME];
    snprintf(name, sizeof name, "%s.%s", layer->name, layer->var_name[i]);
    if (v->name && strcmp(v->name, name) == 0) continue;
    if (variable_rename(v, name, fault)) return ERR_MEMORY;
  }
  return ERR_OK;
}

/* All names or, on a fault, none: but for lack of memory. */
static Err name_list(const LayerList *list, const Layer *asked, Fault *fault) {
  char(*name)[LAYER_NAME] = malloc((size_t)list->n * sizeof *name + 1);
  Err err = name ? ERR_OK : fault_memory(fault, (size_t)list->n * sizeof *name);
  for (int i = 0; !err && i < list->n; i++) {
    const char *given = list->v[i]->given_name;
    if (given) err = layer_check_name(given, "a layer", LONGEST_NAME, fault);
    if (!err) own_name(list, i, name[i]);
  }
  if (!err) err = check_names(list, name, fault);
  for (int i = list->n - 1; !err && i >= 0;
       i--) { /* of a shared tensor the first counts */
    list->v[i]->namer = asked;
    err = set_name(list->v[i], name[i], fault);
    if (!err) err = name_variables(list->v[i], fault);
  }
  free(name);
  return err;
}

/* Did `asked` name the layer and all inside it last? */
static bool named_by(Layer *layer, const Layer *asked) {
  Layer *const *child = NULL;
  int n = layer_children(layer, &child);
  for (int i = 0; i < n; i++)
    if (!named_by(child[i], asked)) return false;
  return layer->namer == asked;
}

Err layer_name(Layer *net, Fault *fault) {
  LayerList list;
  uint64_t signature = object_signature(&net->object);
  if (net->named == signature && net->name && named_by(net, net)) return ERR_OK;
  Err err = list_tree(net, &list, fault);
  if (!err) err = name_list(&list, net, fault);
  free(list.v);
  net->named = err ? 0 : signature;
  return err;
}

/* -- streams ----------------------------------------------------------------------- */

static int place_in(const LayerList *list, const Layer *layer) {
  for (int i = 0; i < list->n; i++)
    if (list->v[i] == layer) return i;
  return -1;
}

/* The outermost net around `net` and all its layers; one that has replaced `net` among
 * its layers is not around it any more. */
static Layer *list_around(Layer *net, LayerList *out, Fault *fault) {
  for (;;) {
    Layer *around = outermost(net);
    if (list_tree(around, out, fault)) return NULL;
    if (place_in(out, net) >= 0) return around;
    free(out->v);
    leave_owner(net);
  }
}

/* What a transaction that was rolled back gave counts for nothing, also when another
 * net has its number now; one of another seeding says nothing about the streams of this
 * one. */
static bool counts(const Graph *graph, const NetNumber *number) {
  if (graph_is_void(graph, number->step)) return false;
  return number->n && number->n <= graph->count.nets &&
         number->seeding == graph->count.seeding;
}

static NetNumber number_now(const Graph *graph, int64_t n) {
  return (NetNumber){n, graph->step, graph->count.seeding};
}

int64_t layer_number(const Graph *graph, Layer *layer) {
  const Layer *net = outermost(layer);
  return counts(graph, &net->number) ? net->number.n : 0;
}

void layer_set_number(const Graph *graph, Layer *layer, int64_t number) {
  outermost(layer)->number = number_now(graph, number);
}

bool layer_has_stream(const Graph *graph, const Layer *layer) {
  return layer->stream && counts(graph, &layer->stream_net);
}

Err layer_set_stream(const Graph *graph, Layer *layer, int64_t net, const char *name,
                     Fault *fault) {
  char *copy = text_copy(name);
  if (!copy) return fault_memory(fault, strlen(name) + 1);
  free(layer->stream);
  layer->stream = copy;
  layer->stream_net = number_now(graph, net);
  return ERR_OK;
}

/* The stream is that of the layer in the outermost net around the one that is called
 * now. */
static Err name_stream(Graph *graph, Layer *layer) {
  LayerList list;
  char name[LAYER_NAME] = "";
  Layer *net = list_around(graph->net ? graph->net : layer, &list, &graph->fault);
  if (!net) return graph->fault.code;
  int place = place_in(&list, layer);
  must(place >= 0);
  own_name(&list, place, name);
  free(list.v);
  graph->named = true;
  if (!layer_number(graph, net)) layer_set_number(graph, net, ++graph->count.nets);
  return layer_set_stream(graph, layer, net->number.n, name, &graph->fault);
}

char *layer_stream(Graph *graph, Layer *layer, char *buffer) {
  if (!layer_has_stream(graph, layer) && name_stream(graph, layer)) return NULL;
  snprintf(buffer, STREAM_NAME, "net%lld/%s", (long long)layer->stream_net.n,
           layer->stream);
  return buffer;
}

/* -- variables --------------------------------------------------------------------- */

Err layer_reserve(Layer *layer, int n, const char *const *names, Fault *fault) {
  layer->var = calloc((size_t)n + 1, sizeof *layer->var);
  if (!layer->var) return fault_memory(fault, (size_t)n * sizeof *layer->var);
  layer->n_vars = n;
  layer->var_name = names;
  return ERR_OK;
}

static Err reserve_own(Layer *layer, Fault *fault) {
  const char *const *names = layer_kind(layer)->vars;
  int n = 0;
  while (names[n]) n++;
  return layer_reserve(layer, n, names, fault);
}

/* Which of LayerRegular's are those of variable i; REGULAR_VARS or more: none. */
static int regular_of(const Layer *layer, int i) {
  int span = layer_kind(layer)->regular_span;
  return span ? i / span : i;
}

/* Asked again whenever an option is set. */
static void bound_variable(Layer *layer, int i) {
  int k = regular_of(layer, i);
  Constraint *limit = k < REGULAR_VARS ? layer->regular.limit[k] : NULL;
  variable_limit(layer->var[i], limit ? &limit->object : NULL,
                 layer_kind(layer)->units_axis - 1);
}

Err layer_declare(Layer *layer, int i, bool trainable, Fault *fault) {
  if (!layer_var(layer, i)) {
    if (!layer->var && reserve_own(layer, fault)) return ERR_MEMORY;
    layer->var[i] = variable_new(NULL, fault);
    if (!layer->var[i]) return ERR_MEMORY;
    layer->var[i]->trainable = trainable;
  }
  bound_variable(layer, i);
  return ERR_OK;
}

void layer_deinit(Object *object) {
  Layer *layer = (Layer *)object;
  leave_owner(layer);
  while (layer->owned) leave_owner(layer->owned);
  for (int i = 0; i < layer->n_vars; i++) variable_release(layer->var[i]);
  for (int i = 0; layer->note && i < layer->n_vars; i++)
    object_release(layer->note[i].init);
  free(layer->var);
  free(layer->note);
  object_release(layer->trained);
  free(layer->name);
  free(layer->stream);
}

/* -- what follows a layer ---------------------------------------------------------- */

static bool follows_in(const ObjectList *list, int from, const ActivationKind **out,
                       bool *passes);

/* What comes of results that go into the layer: *out is the activation, NULL where it
 * is none. False: not known. *passes: they go through it as they are, as far as an
 * initializer is concerned. */
static bool follows_into(Layer *layer, const ActivationKind **out, bool *passes) {
  const LayerKind *kind = layer_kind(layer);
  const Activation *activation = own_activation(layer);
  *passes = false;
  if (kind->growing) return follows_in(kind->growing(layer), 0, out, passes);
  *out = kind->as_activation;
  if (!*out && activation && !layer->n_vars) *out = activation_kind(activation);
  if (*out) return true;
  if (!layer->n_vars && object_has_call(&layer->object)) return false;
  *passes = kind->norm || (!layer->n_vars && !kind->children);
  return true;
}

/* The same of the layers of a list from number `from` on. */
static bool follows_in(const ObjectList *list, int from, const ActivationKind **out,
                       bool *passes) {
  bool known = true;
  *passes = true;
  for (int i = from; *passes && i < list->n; i++)
    known = follows_into((Layer *)list->v[i], out, passes);
  return known;
}

/* Its own activation, or the next of its Sequential, or of the one around that. */
static bool follows(const Layer *layer, const ActivationKind **out) {
  const Activation *activation = own_activation(layer);
  Layer *owner = layer->owner;
  *out = activation ? activation_kind(activation) : NULL;
  if (*out) return true;
  if (!owner) return false;
  if (layer_kind(owner)->weight) return follows(owner, out);
  if (!layer_kind(owner)->growing) return false;
  const ObjectList *list = layer_kind(owner)->growing(owner);
  bool passes = true;
  int i = 0;
  while (i < list->n && list->v[i] != &layer->object) i++;
  if (i == list->n) return false;
  bool known = follows_in(list, i + 1, out, &passes);
  return (passes && follows(owner, out) && *out) || known;
}

static double deviation(const Array *a) {
  int64_t n = shape_count(&a->shape);
  double mean = 0, squares = 0;
  for (int64_t i = 0; i < n; i++) mean += array_get(a, i);
  mean /= (double)n;
  for (int64_t i = 0; i < n; i++) {
    double d = array_get(a, i) - mean;
    squares += d * d;
  }
  return sqrt(squares / (double)n);
}

Err layer_note_value(Graph *graph, Layer *layer, int i, Node *value,
                     const char *since) {
  const Tensor *t = graph_value(graph, value);
  if (!t || !layer->note) return graph->fault.code;
  layer->note[i].std = deviation(&t->a);
  layer->note[i].since = since;
  return ERR_OK;
}

/* Keeps how the variable gets its value, for people. */
static Err note_init(Graph *graph, Layer *layer, int i, Init *init,
                     const InitCall *call, Node *value) {
  size_t n = (size_t)layer->n_vars;
  if (!layer->note) layer->note = calloc(n, sizeof *layer->note);
  if (!layer->note) return fault_memory(&graph->fault, n * sizeof *layer->note);
  InitNote *note = &layer->note[i];
  object_release(note->init);
  *note = (InitNote){.init = object_retain(init), .call = *call};
  note->call.shape = NULL;
  note->call.stream = NULL;
  if (init_rule(init, call).std == 0) return ERR_OK; /* so is the drawn one */
  return layer_note_value(graph, layer, i, value, NULL);
}

Err layer_give(Graph *graph, Layer *layer, int i, Init *init, const Shape *shape,
               double fan_in, double fan_out, Fault *fault) {
  Variable *v = layer->var[i];
  if (v->has_value) { /* loaded or assigned before the build */
    const Shape *have = &v->current->shape;
    if (shape_equal(have, shape)) return ERR_OK;
    char got[SHAPE_TEXT], want[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE, "%s: holds %s, but the input asks for %s",
                     v->name, shape_text(got, have), shape_text(want, shape));
  }
  char stream[STREAM_NAME + 64];
  if (!layer_stream(graph, layer, stream)) return graph_ok(graph, fault);
  snprintf(stream + strlen(stream), 64, ".%.60s", layer->var_name[i]);
  InitCall call = {shape, fan_in, fan_out, stream, false, NULL};
  call.placed = follows(layer, &call.follows);
  Node *value = init_make(graph, init, &call);
  if (!value || note_init(graph, layer, i, init, &call, value) ||
      variable_assign(graph, v, value))
    return graph_ok(graph, fault);
  return ERR_OK;
}

Err layer_give_constant(Graph *graph, Layer *layer, int i, double value,
                        const Shape *shape, Fault *fault) {
  Object *init = family_make(&init_family, "constant", fault);
  if (!init) return fault->code;
  Given given = {.value = {.kind = VALUE_REAL, .as.real = value}};
  Err err = option_set(init, option_at(init->kind, 1), &given, fault);
  if (!err) err = layer_give(graph, layer, i, (Init *)init, shape, 1, 1, fault);
  object_release(init);
  return err;
}

Node *layer_read(Graph *graph, const Layer *layer, int i) {
  Variable *v = layer_var(layer, i);
  Node *value = v ? variable_read(graph, v) : NULL;
  if (i || !layer->reader) return value;
  return layer_kind(layer->reader)->weight(graph, layer->reader, value);
}

static bool has_values(const Layer *layer) {
  for (int i = 0; i < layer->n_vars; i++)
    if (layer->var[i] && !layer->var[i]->has_value) return false;
  return true;
}

bool layer_built(Layer *net) {
  Layer *const *child = NULL;
  int n = layer_children(net, &child);
  for (int i = 0; i < n; i++)
    if (!layer_built(child[i])) return false;
  return has_values(net);
}

/* -- forward ----------------------------------------------------------------------- */

Err layer_refuse_input(const Layer *layer, const char *expects, const Shape *got,
                       Fault *fault) {
  char text[SHAPE_TEXT];
  return fault_set(fault, ERR_SHAPE, "%s: expects %s, got %s", layer->name, expects,
                   shape_text(text, got));
}

Node *layer_refuse(Graph *graph, Layer *layer, const char *expects, const Shape *got) {
  if (!graph->fault.code) layer_refuse_input(layer, expects, got, &graph->fault);
  return NULL;
}

bool layer_takes(Graph *graph, Layer *layer, const Ports *in, int least, int most) {
  if (in->n >= least && in->n <= most) return true;
  if (least == most)
    fault_set(&graph->fault, ERR_VALUE, "%s: takes %d tensor%s, got %d", layer->name,
              most, most == 1 ? "" : "s", in->n);
  else
    fault_set(&graph->fault, ERR_VALUE, "%s: takes %d to %d tensors, got %d",
              layer->name, least, most, in->n);
  return false;
}

/* Result number i (from 0) of the user's function; NULL and a fault: it is no
 * tensor. */
static Node *take_result(Graph *graph, const Layer *layer, const Value *got, int i) {
  char text[32];
  if (got->kind == VALUE_NODE) return got->as.ref;
  if (got->kind == VALUE_MANY)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: the function returned %lld values; allowed: up to %d tensors",
              layer->name, (long long)got->as.integer, MAX_PORTS);
  else if (i == 0)
    fault_set(&graph->fault, ERR_VALUE,
              "%s: a layer gives tensors: the function returned %s", layer->name,
              value_text(got, text, sizeof text));
  else
    fault_set(&graph->fault, ERR_VALUE,
              "%s: a layer gives tensors: value %d that the function returned is %s",
              layer->name, i + 1, value_text(got, text, sizeof text));
  return NULL;
}

Ports layer_function(Graph *graph, Layer *layer, Callable *function, const Ports *in) {
  Value x[MAX_PORTS], y[MAX_PORTS] = {{0}};
  Ports out = {0};
  for (int i = 0; i < in->n; i++)
    x[i] = (Value){.kind = VALUE_NODE, .as.ref = in->v[i].x};
  if (function->call(function, x, in->n, y, MAX_PORTS, &graph->fault))
    return (Ports){0};
  do {
    Node *node = take_result(graph, layer, &y[out.n], out.n);
    if (!node) return (Ports){0};
    out.v[out.n++] = (Port){node, NULL};
  } while (out.n < MAX_PORTS && y[out.n].kind != VALUE_NIL);
  return out;
}

static Err build_for(Graph *graph, Layer *layer, const Ports *in) {
  const LayerKind *kind = layer_kind(layer);
  if (!kind->build || has_values(layer)) return ERR_OK;
  Fault fault = {0};
  if (kind->build(graph, layer, in, &fault)) fault_pass(&graph->fault, &fault);
  return graph->fault.code;
}

static const char *mask_origin(const Node *mask) {
  return mask->layer ? mask->layer : "the input";
}

/* Does the layer know what to do with the masks that come? */
static Err check_masks(Graph *graph, const Layer *layer, const Ports *in) {
  const LayerKind *kind = layer_kind(layer);
  if (kind->keeps_time || kind->knows_masks) return ERR_OK;
  for (int i = 0; i < in->n; i++)
    if (in->v[i].mask)
      return fault_set(&graph->fault, ERR_VALUE,
                       "%s: knows no mask of steps, which may mix, but gets that of "
                       "%s; put nn.Unmask() between them to drop it",
                       layer->name, mask_origin(in->v[i].mask));
  return ERR_OK;
}

/* The mask that came passes on, if the steps are still there. */
static Ports keep_mask(Graph *graph, const Layer *layer, Node *y, Node *mask) {
  const Shape *steps = mask && y ? &mask->shape : NULL;
  if (!steps || (y->shape.rank >= 2 && y->shape.dim[0] == steps->dim[0] &&
                 y->shape.dim[1] == steps->dim[1]))
    return layer_ports_of(y, mask);
  char got[SHAPE_TEXT], want[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "%s: gives %s, whose steps are not those of the mask of %s, %s; "
            "nn.Unmask() before it drops the mask",
            layer->name, shape_text(got, &y->shape), mask_origin(mask),
            shape_text(want, steps));
  return (Ports){0};
}

static Ports build_and_forward(Graph *graph, Layer *layer, const Ports *in) {
  const LayerKind *kind = layer_kind(layer);
  if (check_masks(graph, layer, in)) return (Ports){0};
  if (kind->forward && !layer_takes(graph, layer, in, 1, 1)) return (Ports){0};
  if (build_for(graph, layer, in)) return (Ports){0};
  if (!kind->forward) return kind->ports(graph, layer, in);
  return keep_mask(graph, layer, kind->forward(graph, layer, in->v[0].x),
                   in->v[0].mask);
}

/* What the layer adds to the loss of a step: by its variables once in it, by each of
 * its results. */
static void penalize(Graph *graph, Layer *layer, Node *y) {
  LayerRegular *r = &layer->regular;
  double n = y->shape.rank ? (double)y->shape.dim[0] : 1;
  if (r->activity) graph_penalize(graph, regularizer_penalty(graph, r->activity, y, n));
  for (int i = 0; r->step != graph->step && i < layer->n_vars; i++) {
    int k = regular_of(layer, i);
    if (k >= REGULAR_VARS) break;
    if (!r->penalty[k] || !layer->var[i]) continue;
    Node *value = variable_read(graph, layer->var[i]);
    graph_penalize(graph, regularizer_penalty(graph, r->penalty[k], value, 1));
  }
  r->step = graph->step;
}

/* What comes from a layer of sequences is one, and is one still behind layers that know
 * of steps; of a net's its last layer knows. */
static void note_sequences(const Layer *layer, const Ports *in, const Ports *out) {
  const LayerKind *kind = layer_kind(layer);
  bool passes = kind->keeps_time || (kind->knows_masks && !kind->children);
  bool sequence = kind->gives_steps || (passes && port_is_sequence(&in->v[0]));
  for (int i = 0; sequence && i < out->n; i++)
    if (out->v[i].x->shape.rank > 2) out->v[i].x->sequence = true;
}

Ports layer_forward(Graph *graph, Layer *layer, const Ports *in) {
  if (in->n == 0 || graph->fault.code) return (Ports){0};
  const char *outer = graph->layer;
  if (!layer->label) layer->label = graph_intern(graph, layer->name);
  graph->layer = layer->label;
  Ports out = build_and_forward(graph, layer, in);
  if (graph->training && graph->in_transaction && out.n)
    penalize(graph, layer, out.v[0].x);
  graph->layer = outer;
  if (out.n == 0) return out;
  note_sequences(layer, in, &out);
  layer->input = in->v[0].x->shape;
  layer->output = out.v[0].x->shape;
  layer->n_inputs = in->n;
  layer->seen = true;
  return out;
}

/* The current node of each variable that has a value; NULL for the others. */
static Node **hold_values(const StateList *list, Fault *fault) {
  Node **value = calloc((size_t)list->n + 1, sizeof *value);
  if (!value) fault_memory(fault, (size_t)list->n * sizeof *value);
  for (int i = 0; value && i < list->n; i++)
    if (list->v[i]->has_value) value[i] = node_hold(list->v[i]->current);
  return value;
}

/* Puts back what has changed since, in spite of the fault that is there. */
static void put_back(Graph *graph, const StateList *list, Node *const *value) {
  Fault fault = graph->fault;
  fault_clear(&graph->fault);
  for (int i = 0; i < list->n; i++)
    if (value[i] && value[i] != list->v[i]->current &&
        variable_assign(graph, list->v[i], value[i]))
      break;
  graph->fault = fault;
}

/* In training mode a forward updates running statistics; outside of a step, whose end
 * takes everything back, one that fails must leave those of all layers as they were. */
static Ports forward_or_nothing(Graph *graph, Layer *net, const Ports *in) {
  if (!graph->training || graph->in_transaction) return layer_forward(graph, net, in);
  StateList list;
  if (layer_state(net, &list, &graph->fault)) return (Ports){0};
  Node **before = hold_values(&list, &graph->fault);
  Ports out = {0};
  if (before) out = layer_forward(graph, net, in);
  if (before && out.n == 0) put_back(graph, &list, before);
  for (int i = 0; before && i < list.n; i++) node_drop(before[i]);
  free(before);
  state_deinit(&list);
  return out;
}

static bool is_input(const Ports *in, const Node *node) {
  for (int i = 0; i < in->n; i++)
    if (in->v[i].x == node) return true;
  return false;
}

/* Steps that do not count hold 0 from here on: whatever they held, NaN too, no layer
 * meets. */
static Ports without_masked_steps(Graph *graph, const Ports *given) {
  Ports in = *given;
  for (int i = 0; i < in.n; i++) {
    const Node *x = in.v[i].x, *mask = in.v[i].mask;
    if (!mask || x->dtype != DT_REAL) continue;
    Shape steps = mask->shape;
    while (steps.rank < x->shape.rank) steps.dim[steps.rank++] = 1;
    Node *counts = op_reshape(graph, in.v[i].mask, &steps);
    in.v[i].x = op_where(graph, counts, in.v[i].x, graph_scalar(graph, 0));
    if (!in.v[i].x) return (Ports){0};
  }
  return in;
}

/* Inside a call of a net that holds this one, names are those of the net that was
 * called. */
Ports layer_call_ports(Graph *graph, Layer *net, const Ports *given) {
  if (given->n == 0 || graph->fault.code) return (Ports){0};
  const Ports inputs = without_masked_steps(graph, given), *in = &inputs;
  if (in->n == 0) return (Ports){0};
  Layer *called = graph->net;
  bool inside = called && net->namer == called;
  if (!inside && layer_name(net, &graph->fault)) return (Ports){0};
  if (!inside) graph->net = net;
  Ports out = forward_or_nothing(graph, net, in);
  graph->net = called;
  for (int i = 0; i < out.n; i++)
    if (!is_input(in, out.v[i].x)) out.v[i].x->net_output = true;
  return out;
}

Port layer_call_one(Graph *graph, Layer *net, const Ports *in) {
  Ports out = layer_call_ports(graph, net, in);
  if (out.n > 1)
    fault_set(&graph->fault, ERR_VALUE, "%s: gives %d tensors, allowed: one", net->name,
              out.n);
  return out.n == 1 ? out.v[0] : (Port){NULL, NULL};
}

Node *layer_call(Graph *graph, Layer *net, Node *x) {
  Ports in = layer_ports_of(x, NULL);
  return layer_call_one(graph, net, &in).x;
}

Node *layer_activated(Graph *graph, Layer *layer, Node *y) {
  const Activation *activation = own_activation(layer);
  if (layer->watch) *layer->watch = y;
  return activation ? activation_apply(graph, activation, y) : y;
}

Node *layer_activate(Graph *graph, const Activation *self, Node *x) {
  return layer_call(graph, self->layer, x);
}

static Err batch_of_one(const IntList *shape, Shape *out, Fault *fault) {
  if (shape->n < 1 || shape->n >= MAX_RANK)
    return fault_set(fault, ERR_SHAPE,
                     "build: a shape of %d axes; allowed: 1 to %d, the shape of one "
                     "example, without the batch axis",
                     shape->n, MAX_RANK - 1);
  *out = (Shape){.rank = shape->n + 1, .dim = {1}};
  for (int i = 0; i < shape->n; i++) {
    if (shape->v[i] < 1)
      return fault_set(fault, ERR_SHAPE, "build: a size of %lld, allowed: at least 1",
                       (long long)shape->v[i]);
    out->dim[i + 1] = shape->v[i];
  }
  return ERR_OK;
}

Err layer_build(Graph *graph, Layer *net, const IntList *shape, int n, Fault *fault) {
  Shape input[MAX_PORTS];
  if (n < 1 || n > MAX_PORTS)
    return fault_set(fault, ERR_VALUE, "build: shapes of %d inputs, allowed: 1 to %d",
                     n, MAX_PORTS);
  for (int i = 0; i < n; i++)
    if (batch_of_one(&shape[i], &input[i], fault)) return fault->code;
  bool training = graph->training;
  int scope = graph_scope_begin(graph);
  graph->training = false;
  Ports in = {.n = n};
  for (int i = 0; i < n; i++) in.v[i].x = op_full(graph, 0, &input[i]);
  layer_call_ports(graph, net, &in);
  graph->training = training;
  graph_scope_end(graph, scope);
  /* What this call left in layers that keep a state is none. */
  Err err = graph_ok(graph, fault);
  return err ? err : layer_reset_states(graph, net, fault);
}

Err layer_prepare(Graph *graph, Layer *net, Fault *fault) {
  if (layer_built(net)) return ERR_OK;
  LayerList list;
  Err err = layer_list(net, &list, fault);
  IntList shape = {0};
  for (int i = 0; !err && i < list.n && !shape.n; i++) {
    Layer *const *child = NULL;
    shape = list.v[i]->input_shape;
    if (layer_children(list.v[i], &child) == 0) break;
  }
  free(list.v);
  if (!err && !shape.n && net->seen && net->n_inputs == 1 && net->input.rank > 1) {
    shape.n = net->input.rank - 1;
    memcpy(shape.v, net->input.dim + 1, (size_t)shape.n * sizeof *shape.v);
  }
  return err || !shape.n ? err : layer_build(graph, net, &shape, 1, fault);
}
