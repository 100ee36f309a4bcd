/* net.c: what all layers share: names, variables, build, forward.
 *
 * A net is a tree of layers (a layer may stand in it twice: then it shares its weights).
 * Names are computed anew from the outermost layer whenever somebody asks, so they follow
 * what was added; renaming touches only what changed. */
#include "nn/nn.h"
#include "graph/ops.h"
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

int layer_children(Layer *layer, Layer *const **out) {
  const LayerKind *kind = layer_kind(layer);
  return kind->children ? kind->children(layer, out) : 0;
}

/* Appends layer and what is inside; marks what it has, for unmark. */
static Err collect(LayerList *list, Layer *layer, Fault *fault) {
  if (layer->visited) return ERR_OK;
  if (list->n == list->capacity) {
    int wanted = list->capacity ? 2 * list->capacity : 32;
    Layer **larger = realloc(list->v, (size_t)wanted * sizeof *larger);
    if (!larger) return fault_memory(fault, (size_t)wanted * sizeof *larger);
    list->v = larger;
    list->capacity = wanted;
  }
  layer->visited = true;
  list->v[list->n++] = layer;
  Layer *const *child = NULL;
  int n = layer_children(layer, &child);
  for (int i = 0; i < n; i++) {
    Err err = collect(list, child[i], fault);
    if (err) return err;
  }
  return ERR_OK;
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
  for (int i = 0; i < LAYER_VARS; i++) {
    Variable *v = layer->var[i];
    if (!v) continue;
    char name[200];
    snprintf(name, sizeof name, "%.120s.%.60s", layer->name, layer->var_name[i]);
    if (v->name && strcmp(v->name, name) == 0) continue;
    if (variable_rename(v, name, fault)) return ERR_MEMORY;
  }
  return ERR_OK;
}

/* Number i of the list: the given name, or its prefix with how many of the kind stand
 * before it, named ones included: so a name given to one layer renames no other. */
static Err name_one(const LayerList *list, int i, Fault *fault) {
  Layer *layer = list->v[i];
  int count = 1;
  for (int k = 0; k < i; k++) count += list->v[k]->object.kind == layer->object.kind;
  char name[140];
  if (layer->given_name && !*layer->given_name)
    return fault_set(fault, ERR_VALUE, "a layer's name is \"\"; allowed: at least one "
                     "character");
  if (layer->given_name) snprintf(name, sizeof name, "%.120s", layer->given_name);
  else snprintf(name, sizeof name, "%s_%d", layer_kind(layer)->prefix, count);
  for (int k = 0; k < i; k++)
    if (strcmp(list->v[k]->name, name) == 0)
      return fault_set(fault, ERR_VALUE,
                       "two layers of the net are called \"%s\"; names must differ", name);
  if (set_name(layer, name, fault)) return ERR_MEMORY;
  return name_variables(layer, fault);
}

static bool contains(const LayerList *list, const Layer *layer) {
  for (int i = 0; i < list->n; i++)
    if (list->v[i] == layer) return true;
  return false;
}

Err layer_name(Layer *layer, Fault *fault) {
  LayerList list;
  Layer *net = outermost(layer);
  uint64_t signature = object_signature(&net->object);
  if (net->named == signature && layer->name) return ERR_OK;
  Err err = list_tree(net, &list, fault);
  if (!err && !contains(&list, layer)) { /* its owner has replaced it */
    free(list.v);
    leave_owner(layer);
    return layer_name(layer, fault);
  }
  for (int i = 0; !err && i < list.n; i++) err = name_one(&list, i, fault);
  free(list.v);
  if (!err) net->named = signature;
  return err;
}

/* The net's number in the run, given when it is first needed. One that is larger than the
 * count was taken back by a rollback. */
static int64_t net_number(Graph *graph, Layer *layer) {
  Layer *net = outermost(layer);
  if (net->number == 0 || net->number > graph->net_count)
    net->number = ++graph->net_count;
  return net->number;
}

int64_t layer_number(Layer *layer) { return outermost(layer)->number; }

void layer_set_number(Layer *layer, int64_t number) { outermost(layer)->number = number; }

char *layer_stream(Graph *graph, Layer *layer, char *buffer) {
  snprintf(buffer, STREAM_NAME, "net%lld/%.120s", (long long)net_number(graph, layer),
           layer->name);
  return buffer;
}

/* -- variables --------------------------------------------------------------------- */

Err layer_declare(Layer *layer, int i, bool trainable, Fault *fault) {
  if (layer->var[i]) return ERR_OK;
  layer->var_name = layer_kind(layer)->vars;
  layer->var[i] = variable_new(NULL, fault);
  if (!layer->var[i]) return ERR_MEMORY;
  layer->var[i]->trainable = trainable;
  return ERR_OK;
}

void layer_deinit(Object *object) {
  Layer *layer = (Layer *)object;
  leave_owner(layer);
  while (layer->owned) leave_owner(layer->owned);
  for (int i = 0; i < LAYER_VARS; i++) variable_release(layer->var[i]);
  free(layer->name);
}

Err layer_give(Graph *graph, Layer *layer, int i, Init *init, const Shape *shape,
               double fan_in, double fan_out, Fault *fault) {
  Variable *v = layer->var[i];
  if (v->has_value) { /* loaded or assigned before the build */
    const Shape *have = &v->current->shape;
    if (shape_equal(have, shape)) return ERR_OK;
    char got[SHAPE_TEXT], want[SHAPE_TEXT];
    return fault_set(fault, ERR_SHAPE, "%s: holds %s, but the input asks for %s", v->name,
                     shape_text(got, have), shape_text(want, shape));
  }
  char stream[STREAM_NAME + 64];
  layer_stream(graph, layer, stream);
  snprintf(stream + strlen(stream), 64, ".%.60s", layer->var_name[i]);
  Node *value = init_make(graph, init, shape, fan_in, fan_out, stream);
  if (!value || variable_assign(graph, v, value)) return graph_ok(graph, fault);
  return ERR_OK;
}

static bool has_values(const Layer *layer) {
  for (int i = 0; i < LAYER_VARS; i++)
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

Node *layer_refuse(Graph *graph, Layer *layer, const char *expects, const Shape *got) {
  char text[SHAPE_TEXT];
  if (!graph->fault.code)
    fault_set(&graph->fault, ERR_SHAPE, "%s: expects %s, got %s", layer->name, expects,
              shape_text(text, got));
  return NULL;
}

static Node *build_and_forward(Graph *graph, Layer *layer, Node *x) {
  const LayerKind *kind = layer_kind(layer);
  if (kind->build && !has_values(layer)) {
    Fault fault = {0};
    if (kind->build(graph, layer, &x->shape, &fault)) {
      fault_set(&graph->fault, fault.code, "%s", fault.text);
      return NULL;
    }
  }
  return kind->forward(graph, layer, x);
}

Node *layer_forward(Graph *graph, Layer *layer, Node *x) {
  if (!x || graph->fault.code) return NULL;
  const char *outer = graph->layer;
  if (!layer->label) layer->label = graph_intern(graph, layer->name);
  graph->layer = layer->label;
  Node *y = build_and_forward(graph, layer, x);
  graph->layer = outer;
  if (!y) return NULL;
  layer->input = x->shape;
  layer->output = y->shape;
  layer->seen = true;
  return y;
}

/* What the variables stood for that have a value; NULL elsewhere. */
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

/* In training mode a forward updates running statistics; outside of a step, whose end takes
 * everything back, one that fails must leave those of all layers as they were. */
static Node *forward_or_nothing(Graph *graph, Layer *net, Node *x) {
  if (!graph->training || graph->in_transaction) return layer_forward(graph, net, x);
  StateList list;
  if (layer_state(net, &list, &graph->fault)) return NULL;
  Node **before = hold_values(&list, &graph->fault), *y = NULL;
  if (before && !(y = layer_forward(graph, net, x))) put_back(graph, &list, before);
  for (int i = 0; before && i < list.n; i++) node_drop(before[i]);
  free(before);
  state_deinit(&list);
  return y;
}

Node *layer_call(Graph *graph, Layer *net, Node *x) {
  if (!x || graph->fault.code || layer_name(net, &graph->fault)) return NULL;
  Node *y = forward_or_nothing(graph, net, x);
  if (y && y != x) y->net_output = true;
  return y;
}

Err layer_build(Graph *graph, Layer *net, const IntList *shape, Fault *fault) {
  if (shape->n < 1 || shape->n >= MAX_RANK)
    return fault_set(fault, ERR_SHAPE,
                     "build: a shape of %d axes; allowed: 1 to %d, the shape of one "
                     "example, without the batch axis", shape->n, MAX_RANK - 1);
  Shape input = {.rank = shape->n + 1, .dim = {1}};
  for (int i = 0; i < shape->n; i++) {
    if (shape->v[i] < 1)
      return fault_set(fault, ERR_SHAPE, "build: a size of %lld, allowed: at least 1",
                       (long long)shape->v[i]);
    input.dim[i + 1] = shape->v[i];
  }
  bool training = graph->training;
  int scope = graph_scope_begin(graph);
  graph->training = false;
  layer_call(graph, net, op_full(graph, 0, &input));
  graph->training = training;
  graph_scope_end(graph, scope);
  return graph_ok(graph, fault);
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
  if (!err && !shape.n && net->seen && net->input.rank > 1) {
    shape.n = net->input.rank - 1;
    memcpy(shape.v, net->input.dim + 1, (size_t)shape.n * sizeof *shape.v);
  }
  return err || !shape.n ? err : layer_build(graph, net, &shape, fault);
}
