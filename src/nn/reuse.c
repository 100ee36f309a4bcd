/* reuse.c: nets made of others: a part, a copy, one with another layer in it. */
#include "nn/reuse.h"
#include "base/record_copy.h"
#include <stdlib.h>
#include <string.h>

/* -- cut --------------------------------------------------------------------------- */

Layer *layer_cut(Layer *net, int n, Fault *fault) {
  Layer *const *child = NULL;
  int n_layers = layer_children(net, &child);
  if (!layer_kind(net)->growing) {
    fault_set(fault, ERR_VALUE,
              "cut: nn.%s holds no list of layers; allowed: nn.Sequential",
              net->object.kind->name);
    return NULL;
  }
  int first = n < 0 ? n_layers + n : n;
  if (first < 1 || first > n_layers) {
    fault_set(fault, ERR_VALUE,
              "cut: got %d; allowed: 1 to %d, the layers of the net, or -1 to %d, "
              "those left out at its end",
              n, n_layers, 1 - n_layers);
    return NULL;
  }
  Layer *out = (Layer *)object_new(net->object.kind, fault);
  Err err = out ? object_ready(&out->object, NULL, fault) : fault->code;
  for (int i = 0; i < first && !err; i++) err = layer_add(out, child[i], fault);
  if (!err) return out;
  object_release(out);
  return NULL;
}

/* -- replace ----------------------------------------------------------------------- */

/* Puts `with` in the place of `old` among the layer's options. False: it is in none. */
static bool replace_in(Layer *layer, const Layer *old, Layer *with, Err *err,
                       Fault *fault) {
  for (const Option *opt = layer->object.kind->options; opt && opt->name; opt++) {
    Value value;
    option_get(&layer->object, opt, &value);
    if (value.kind == VALUE_OBJECT && value.as.ref == old) {
      *err = option_set_object(&layer->object, opt, &with->object, fault);
      return true;
    }
    int n = value.kind == VALUE_LIST ? value.as.n_items : 0;
    Object **items = calloc((size_t)n + 1, sizeof *items);
    if (!items) {
      *err = fault_memory(fault, ((size_t)n + 1) * sizeof *items);
      return true;
    }
    bool found = false;
    for (int i = 0; i < n; i++) {
      option_item(&layer->object, opt, i, &value);
      bool it = value.kind == VALUE_OBJECT && value.as.ref == old;
      items[i] = it ? &with->object : value.kind == VALUE_OBJECT ? value.as.ref : NULL;
      found = found || it;
    }
    if (found) *err = option_set_objects(&layer->object, opt, items, n, fault);
    free(items);
    if (found) return true;
  }
  return false;
}

/* The same, where the layer takes it; else all is as it was. */
static bool replace_checked(Layer *layer, Layer *old, Layer *with, Err *err,
                            Fault *fault) {
  if (!replace_in(layer, old, with, err, fault)) return false;
  if (*err || !(*err = object_ready(&layer->object, NULL, fault))) return true;
  Fault other = {0};
  Err back = ERR_OK;
  (void)!replace_in(layer, with, old, &back, &other);
  return true;
}

static Layer *layer_named(const LayerList *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (strcmp(list->v[i]->name, name) == 0) return list->v[i];
  return NULL;
}

static Err refuse_name(const LayerList *list, const char *name, Fault *fault) {
  enum { NAMES = 256 };
  const char *names[NAMES];
  int n = 0;
  for (int i = 1; i < list->n && n < NAMES; i++) names[n++] = list->v[i]->name;
  const char *nearest = text_nearest(name, names, n);
  return fault_set(fault, ERR_VALUE, "replace: no layer is called \"%s\"%s%s%s", name,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

/* The layers of a list do not hold `layer`? Else it would be a layer of itself. */
static Err check_apart(const LayerList *list, Layer *with, Fault *fault) {
  LayerList inside;
  Err err = layer_list(with, &inside, fault);
  if (err) return err;
  for (int i = 0; i < inside.n && !err; i++)
    if (inside.v[i] == list->v[0])
      err = fault_set(fault, ERR_VALUE, "replace: a net cannot be a layer of itself");
  free(inside.v);
  return err;
}

static Err replace_layer(const LayerList *list, const char *name, Layer *with,
                         Fault *fault) {
  Layer *old = layer_named(list, name);
  if (!old) return refuse_name(list, name, fault);
  if (old == list->v[0])
    return fault_set(fault, ERR_VALUE, "replace: \"%s\" is the net itself", name);
  Err err = check_apart(list, with, fault);
  if (err) return err;
  object_retain(old);
  bool replaced = false;
  for (int i = 0; i < list->n && !err; i++)
    if (replace_checked(list->v[i], old, with, &err, fault)) {
      replaced = true;
      if (!err) layer_adopt(list->v[i], with);
    }
  object_release(old);
  if (err || replaced) return err;
  return fault_set(fault, ERR_VALUE,
                   "replace: \"%s\" is in a layer of the script, which alone knows "
                   "what "
                   "it does with it",
                   name);
}

Err layer_replace(Layer *net, const char *name, Layer *with, Fault *fault) {
  LayerList list;
  Err err = layer_name(net, fault);
  if (!err) err = layer_list(net, &list, fault);
  if (err) return err;
  err = replace_layer(&list, name, with, fault);
  free(list.v);
  return err ? err : layer_name(net, fault);
}

/* -- clone ------------------------------------------------------------------------- */

/* A layer of a script does what its function does, with the layers that this has. */
static Err check_known(const LayerList *list, Fault *fault) {
  for (int i = 0; i < list->n; i++)
    if (layer_kind(list->v[i])->shares)
      return fault_set(fault, ERR_VALUE,
                       "clone: \"%s\" is a layer of the script, whose function goes on "
                       "using its own parts: make it anew",
                       list->v[i]->name);
  return ERR_OK;
}

static Err copy_variables(Graph *graph, const Layer *from, const Layer *to,
                          Fault *fault) {
  for (int i = 0; i < from->n_vars && i < to->n_vars; i++) {
    Variable *v = from->var[i], *w = to->var[i];
    if (!v || !w || !v->has_value) continue;
    if (variable_assign(graph, w, graph_detach(graph, variable_read(graph, v))))
      return graph_ok(graph, fault);
    w->frozen = v->frozen;
  }
  return ERR_OK;
}

static Err copy_weights(Graph *graph, const ObjectCopies *copies, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; i < copies->n && !err; i++)
    if (copies->v[i].of->kind->family == &layer_family)
      err = copy_variables(graph, (const Layer *)copies->v[i].of,
                           (const Layer *)copies->v[i].copy, fault);
  return err;
}

Layer *layer_clone(Graph *graph, Layer *net, bool weights, Fault *fault) {
  LayerList list;
  ObjectCopies copies = {0};
  Err err = layer_name(net, fault);
  if (!err) err = layer_list(net, &list, fault);
  if (err) return NULL;
  err = check_known(&list, fault);
  free(list.v);
  Layer *out = err ? NULL : (Layer *)object_copy(&net->object, &copies, fault);
  if (out && weights) err = copy_weights(graph, &copies, fault);
  if (out && weights) out->trained = object_retain(net->trained);
  object_copies_deinit(&copies);
  if (!err) return out;
  object_release(out);
  return NULL;
}
