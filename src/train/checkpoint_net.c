/* checkpoint_net.c: nets, optimizers and streams into checkpoints and back.
 *
 * What is put back is checked first: a fault leaves the net as it was. Values that have
 * been computed are taken as they are; only those that wait for it are evaluated. */
#include "base/record_json.h"
#include "nn/trained.h"
#include "train/checkpoint.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- values of variables ----------------------------------------------------------- */

/* One that is kept by itself, outside of nets, may have no name. */
static const char *name_of(const StateList *variables, int i) {
  const char *name = state_name(variables, i);
  return name ? name : "value";
}

static Err add_value(Checkpoint *c, const char *part, const char *name, Graph *graph,
                     Variable *v, Fault *fault) {
  if (!v->has_value) return ERR_OK;
  Tensor *value = node_value(v->current);
  if (!value) value = graph_value(graph, v->current);
  return value ? checkpoint_add(c, part, name, value, fault) : graph_ok(graph, fault);
}

Err checkpoint_add_values(Checkpoint *c, const char *part, Graph *graph,
                          const StateList *variables, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < variables->n; i++) {
    err = add_value(c, part, name_of(variables, i), graph, variables->v[i], fault);
  }
  return err;
}

static Tensor *find_value(const Checkpoint *c, const char *part,
                          const StateList *variables, int i) {
  return checkpoint_find(c, part, name_of(variables, i));
}

static Err check_value(const Checkpoint *c, const char *part,
                       const StateList *variables, int i, Fault *fault) {
  const Variable *v = variables->v[i];
  const Tensor *t = find_value(c, part, variables, i);
  const char *name = name_of(variables, i);
  if (!v->has_value) return ERR_OK;
  if (!t)
    return fault_set(fault, ERR_DATA, "%s: the checkpoint has no value for it", name);
  const Shape *have = &v->current->shape;
  if (variable_fits(v, &t->a.shape) && v->current->dtype == t->a.dtype) return ERR_OK;
  char want[SHAPE_TEXT], got[SHAPE_TEXT];
  return fault_set(fault, ERR_DATA, "%s: is %s %s, in the checkpoint %s %s", name,
                   dtype_name(v->current->dtype), shape_text(want, have),
                   dtype_name(t->a.dtype), shape_text(got, &t->a.shape));
}

Err checkpoint_get_values(const Checkpoint *c, const char *part, Graph *graph,
                          const StateList *variables, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < variables->n; i++)
    err = check_value(c, part, variables, i, fault);
  int scope = graph_scope_begin(graph);
  for (int i = 0; !err && i < variables->n; i++) {
    Tensor *t = find_value(c, part, variables, i);
    if (t && variable_assign(graph, variables->v[i], graph_const(graph, t)))
      err = graph_ok(graph, fault);
  }
  graph_scope_end(graph, scope);
  return err;
}

/* -- what a layer is besides its values -------------------------------------------- */

static Json *shape_json(const Shape *shape) {
  Json *list = json_list();
  for (int i = 0; i < shape->rank; i++) json_push_int(list, shape->dim[i]);
  return list;
}

static bool shape_from_json(const Json *list, Shape *out) {
  *out = SHAPE_SCALAR;
  if (!list || json_kind(list) != JSON_KIND_LIST || json_count(list) > MAX_RANK)
    return false;
  for (; out->rank < json_count(list); out->rank++)
    if (!json_get_int(json_item(list, out->rank), &out->dim[out->rank])) return false;
  return true;
}

static Json *layer_json(const Graph *graph, const Layer *layer) {
  Json *map = json_map(), *frozen = json_list();
  json_put(map, "options", object_values(&layer->object, &layer_family));
  if (layer->seen) {
    json_put(map, "input", shape_json(&layer->input));
    json_put(map, "output", shape_json(&layer->output));
    if (layer->n_inputs != 1) json_put_int(map, "inputs", layer->n_inputs);
  }
  for (int i = 0; i < layer->n_vars; i++)
    if (layer->var[i] && layer->var[i]->frozen) json_push_int(frozen, i + 1);
  json_put(map, "frozen", frozen);
  if (layer_has_stream(graph, layer)) {
    json_put_int(map, "stream_net", layer->stream_net.n);
    json_put_text(map, "stream", layer->stream);
  }
  return map;
}

static bool is_frozen(const Json *list, int i) {
  int64_t number;
  for (int64_t k = 0; k < json_count(list); k++)
    if (json_get_int(json_item(list, k), &number) && number == i + 1) return true;
  return false;
}

static Err layer_from_json(const Graph *graph, Layer *layer, const Json *map,
                           Fault *fault) {
  const Json *frozen = json_find(map, "frozen");
  Err err = object_set_values(&layer->object, json_find(map, "options"), &layer_family,
                              fault);
  if (err) return err;
  if (!frozen || json_kind(frozen) != JSON_KIND_LIST)
    return fault_set(fault, ERR_DATA, "the checkpoint does not say what is frozen");
  for (int i = 0; i < layer->n_vars; i++) {
    Variable *v = layer->var[i];
    if (!v || v->frozen == is_frozen(frozen, i)) continue;
    v->frozen = !v->frozen;
    layer->object.version++;
  }
  Shape input, output;
  int64_t n_inputs;
  if (shape_from_json(json_find(map, "input"), &input) &&
      shape_from_json(json_find(map, "output"), &output)) {
    layer->input = input;
    layer->output = output;
    layer->n_inputs = json_find_int(map, "inputs", &n_inputs) ? (int)n_inputs : 1;
    layer->seen = true;
  }
  int64_t net;
  const char *stream = NULL;
  if (json_find_int(map, "stream_net", &net) && json_find_text(map, "stream", &stream))
    return layer_set_stream(graph, layer, net, stream, fault);
  return ERR_OK;
}

/* -- which setting of the seed ----------------------------------------------------- */

/* Numbers of nets and names of streams count in the setting of the seed that gave them:
 * one made by a callback of the fit did not happen in this process. Later ones differ
 * from it. */
static void take_seeding(const Checkpoint *c, Graph *graph) {
  int64_t seeding;
  if (!json_find_int(checkpoint_part(c, "graph"), "seeding", &seeding)) return;
  graph->count.seeding = (uint32_t)seeding;
  if (graph->n_seedings < graph->count.seeding)
    graph->n_seedings = graph->count.seeding;
}

/* -- nets -------------------------------------------------------------------------- */

Err checkpoint_add_net(Checkpoint *c, const char *part, Graph *graph, Layer *net,
                       Fault *fault) {
  LayerList layers;
  StateList state = {0};
  Err err = layer_list(net, &layers, fault);
  if (!err) err = layer_state(net, &state, fault);
  if (!err) err = checkpoint_add_values(c, part, graph, &state, fault);
  if (!err) {
    Json *map = json_map(), *list = json_map();
    for (int i = 0; i < layers.n; i++)
      json_put(list, layers.v[i]->name, layer_json(graph, layers.v[i]));
    json_put_int(map, "number", layer_number(graph, net));
    json_put(map, "layers", list);
    Json *trained = layer_trained_json(net);
    if (trained) json_put(map, "trained", trained);
    json_put(c->state, part, map);
  }
  state_deinit(&state);
  free(layers.v);
  return err;
}

/* The same layers by name and number of values? */
static Err check_layers(const Checkpoint *c, const char *part, const LayerList *layers,
                        const StateList *state, Fault *fault) {
  const Json *list = json_find(checkpoint_part(c, part), "layers");
  for (int i = 0; i < layers->n; i++)
    if (!json_find(list, layers->v[i]->name))
      return fault_set(fault, ERR_DATA, "the checkpoint has no layer \"%s\"",
                       layers->v[i]->name);
  if (json_count(list) != layers->n)
    return fault_set(fault, ERR_DATA, "%d layers, in the checkpoint %lld", layers->n,
                     (long long)json_count(list));
  for (int i = 0; i < state->n; i++) {
    Err err = check_value(c, part, state, i, fault);
    if (err) return err;
  }
  return ERR_OK;
}

Err checkpoint_get_net(const Checkpoint *c, const char *part, Graph *graph, Layer *net,
                       Fault *fault) {
  LayerList layers;
  StateList state = {0};
  int64_t number = 0;
  const Json *map = checkpoint_part(c, part), *list = json_find(map, "layers");
  if (!list || json_kind(list) != JSON_KIND_MAP ||
      !json_find_int(map, "number", &number))
    return fault_set(fault, ERR_DATA, "the checkpoint holds no net \"%s\"", part);
  Err err = layer_list(net, &layers, fault);
  if (!err) err = layer_state(net, &state, fault);
  if (!err) err = check_layers(c, part, &layers, &state, fault);
  if (!err) take_seeding(c, graph);
  for (int i = 0; !err && i < layers.n; i++)
    err = layer_from_json(graph, layers.v[i], json_find(list, layers.v[i]->name),
                          fault);
  if (!err) err = checkpoint_get_values(c, part, graph, &state, fault);
  if (!err) err = layer_trained_from_json(net, json_find(map, "trained"), fault);
  if (!err) layer_set_number(graph, net, number);
  state_deinit(&state);
  free(layers.v);
  return err;
}

/* -- optimizers -------------------------------------------------------------------- */

Err checkpoint_add_optimizer(Checkpoint *c, const char *part, const Optimizer *opt,
                             Fault *fault) {
  Json *map = json_map();
  json_put_int(map, "t", opt->t);
  json_put_int(map, "gathered_steps", opt->n_gathered);
  json_put_number(map, "gathered", opt->gathered);
  json_put(map, "options", object_values(&opt->object, NULL));
  json_put(c->state, part, map);
  return checkpoint_add_bytes(c, part, "rate", &opt->rate, sizeof opt->rate, fault);
}

Err checkpoint_get_optimizer(const Checkpoint *c, const char *part, Optimizer *opt,
                             Fault *fault) {
  int64_t t;
  double rate;
  const Json *map = checkpoint_part(c, part);
  if (!json_find_int(map, "t", &t))
    return fault_set(fault, ERR_DATA, "the checkpoint holds no optimizer \"%s\"", part);
  Err err = checkpoint_get_bytes(c, part, "rate", &rate, sizeof rate, fault);
  if (!err)
    err = object_set_values(&opt->object, json_find(map, "options"), NULL, fault);
  if (err) return err;
  optimizer_forget_gathered(opt);
  json_find_int(map, "gathered_steps", &opt->n_gathered);
  json_find_number(map, "gathered", &opt->gathered);
  opt->t = t;
  opt->rate = rate;
  return ERR_OK;
}

/* "<prefix>dense_1.weight.velocity" */
static void slot_name(char *buffer, size_t n_bytes, const char *prefix,
                      const StateList *variables, int i, const char *slot) {
  snprintf(buffer, n_bytes, "%.100s%.200s.%.40s", prefix, name_of(variables, i), slot);
}

enum { SLOT_NAME = 352 };

/* Beside a variable's slots: how often the optimizer has updated it. */
static const char updates_name[] = "updates";

/* *any: it has slots. */
static Err add_slots_of(Checkpoint *c, const char *part, const char *prefix,
                        Graph *graph, const Optimizer *opt, const StateList *variables,
                        int i, bool *any, Fault *fault) {
  const Variable *v = variables->v[i];
  const OptimSlot *one;
  char name[SLOT_NAME];
  *any = false;
  for (int s = 0; (one = optimizer_slot_at(opt, s)); s++) {
    Variable *slot = optimizer_slot(opt, v, s);
    if (!slot) continue;
    *any = true;
    slot_name(name, sizeof name, prefix, variables, i, one->name);
    Err err = add_value(c, part, name, graph, slot, fault);
    if (err) return err;
  }
  if (!*any) return ERR_OK;
  int64_t t = optimizer_updates(opt, v);
  slot_name(name, sizeof name, prefix, variables, i, updates_name);
  return checkpoint_add_bytes(c, part, name, &t, sizeof t, fault);
}

Err checkpoint_add_slots(Checkpoint *c, const char *part, const char *prefix,
                         Graph *graph, const Optimizer *opt, const StateList *variables,
                         int *n, Fault *fault) {
  for (int i = 0; i < variables->n; i++) {
    bool any;
    Err err = add_slots_of(c, part, prefix, graph, opt, variables, i, &any, fault);
    if (err) return err;
    if (n) *n += any;
  }
  return ERR_OK;
}

/* Its slots and their count, or none where it was never trained. A slot that depends on
 * the options may not have been used yet; one at least is there. */
static Err get_slots_of(const Checkpoint *c, const char *part, const char *prefix,
                        Graph *graph, Optimizer *opt, const StateList *variables, int i,
                        Fault *fault) {
  Variable *v = variables->v[i];
  const OptimSlot *one;
  char name[SLOT_NAME];
  int64_t t;
  bool any = false;
  slot_name(name, sizeof name, prefix, variables, i, updates_name);
  if (!checkpoint_find(c, part, name)) return ERR_OK;
  Err err = checkpoint_get_bytes(c, part, name, &t, sizeof t, fault);
  for (int s = 0; !err && (one = optimizer_slot_at(opt, s)); s++) {
    slot_name(name, sizeof name, prefix, variables, i, one->name);
    Tensor *value = checkpoint_find(c, part, name);
    bool may_lack = one->wanted && (any || optimizer_slot_at(opt, s + 1));
    if (!value && may_lack) continue;
    if (!value)
      return fault_set(fault, ERR_DATA, "the checkpoint has no \"%s.%s\"", part, name);
    any = true;
    err = optimizer_set_slot(graph, opt, v, s, graph_const(graph, value), fault);
  }
  if (!err) optimizer_set_updates(opt, v, t);
  return err;
}

Err checkpoint_get_slots(const Checkpoint *c, const char *part, const char *prefix,
                         Graph *graph, Optimizer *opt, const StateList *variables,
                         Fault *fault) {
  Err err = ERR_OK;
  int scope = graph_scope_begin(graph);
  for (int i = 0; !err && i < variables->n; i++)
    err = get_slots_of(c, part, prefix, graph, opt, variables, i, fault);
  graph_scope_end(graph, scope);
  return err;
}

/* -- a net and its optimizer ------------------------------------------------------- */

Err checkpoint_add_training(Checkpoint *c, Graph *graph, Layer *net,
                            const Optimizer *opt, Fault *fault) {
  StateList params = {0};
  Err err = checkpoint_add_net(c, "net", graph, net, fault);
  if (!err) err = checkpoint_add_optimizer(c, "optimizer", opt, fault);
  if (!err) err = layer_parameters(net, &params, fault);
  if (!err)
    err = checkpoint_add_slots(c, "optimizer", "", graph, opt, &params, NULL, fault);
  state_deinit(&params);
  return err;
}

Err checkpoint_get_training(const Checkpoint *c, Graph *graph, Layer *net,
                            Optimizer *opt, Fault *fault) {
  StateList params = {0};
  Err err = checkpoint_get_net(c, "net", graph, net, fault);
  if (!err) err = checkpoint_get_optimizer(c, "optimizer", opt, fault);
  if (!err) err = layer_parameters(net, &params, fault);
  if (!err) err = checkpoint_get_slots(c, "optimizer", "", graph, opt, &params, fault);
  state_deinit(&params);
  return err;
}

/* -- streams ----------------------------------------------------------------------- */

Err checkpoint_add_streams(Checkpoint *c, const Graph *graph, Fault *fault) {
  Json *map = json_map();
  json_put_int(map, "seed", (int64_t)graph->seed);
  json_put_int(map, "nets", graph->count.nets);
  json_put_int(map, "fits", graph->count.fits);
  json_put_int(map, "fit_streams", graph->count.fit_streams);
  json_put_int(map, "seeding", graph->count.seeding);
  json_put_int(map, "streams", graph->n_counters);
  json_put(c->state, "graph", map);
  return checkpoint_add_bytes(c, "graph", "streams", graph->counters,
                              (size_t)graph->n_counters * sizeof(Counter), fault);
}

Err checkpoint_get_streams(const Checkpoint *c, Graph *graph, Fault *fault) {
  int64_t seed, nets, fits, fit_streams, n;
  const Json *map = checkpoint_part(c, "graph");
  if (!json_find_int(map, "seed", &seed) || !json_find_int(map, "nets", &nets) ||
      !json_find_int(map, "fits", &fits) || !json_find_int(map, "streams", &n) ||
      n < 0 || n > INT32_MAX)
    return fault_set(fault, ERR_DATA, "the checkpoint holds no streams");
  if (!json_find_int(map, "fit_streams", &fit_streams)) fit_streams = fits;
  Counter *counters = malloc(((size_t)n + 1) * sizeof *counters);
  if (!counters) return fault_memory(fault, (size_t)n * sizeof *counters);
  Err err = checkpoint_get_bytes(c, "graph", "streams", counters,
                                 (size_t)n * sizeof *counters, fault);
  if (!err) err = graph_set_streams(graph, (uint64_t)seed, counters, (int)n, fault);
  free(counters);
  if (err) return err;
  take_seeding(c, graph);
  graph->count.nets = (int)nets;
  graph->count.fits = (int)fits;
  graph->count.fit_streams = (int)fit_streams;
  return ERR_OK;
}
