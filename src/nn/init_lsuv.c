/* init_lsuv.c: layer-sequential unit-variance initialization.
 *
 *   for each layer with a weight, in the order of the net:
 *     w <- orthogonal
 *     until |var y - 1| <= tolerance, y = what the layer gives of the batch before its
 *     activation:  w <- w / sqrt(var y)
 *
 * Mishkin & Matas, ICLR 2016, algorithm 1. Biases and frozen weights stay as they are.
 * Where a weight is read through another layer (nn.WeightNorm), that one's lengths are
 * scaled. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Err make_orthogonal(Graph *graph, Layer *layer) {
  char stream[STREAM_NAME + 64];
  const Shape *shape = &layer->var[0]->current->shape;
  if (!layer_stream(graph, layer, stream)) return graph->fault.code;
  snprintf(stream + strlen(stream), 64, ".lsuv");
  Init *init = (Init *)family_make(&init_family, "orthogonal", &graph->fault);
  if (!init) return graph->fault.code;
  InitCall call = {.shape = shape, .stream = stream};
  Node *value = init_make(graph, init, &call);
  object_release(init);
  return value ? variable_assign(graph, layer->var[0], value) : graph->fault.code;
}

/* The variance of what the layer gives before its activation; < 0: a fault, or the net
 * does not come to it. What comes behind it, and may not fit any more, is of no
 * interest. */
static double output_variance(Graph *graph, Layer *net, Layer *layer, const Ports *in) {
  Node *y = NULL;
  layer->watch = &y;
  layer_call_ports(graph, net, in);
  layer->watch = NULL;
  if (!y || graph->fault.code) return -1;
  const Tensor *value = graph_value(graph, op_var(graph, y, ALL_AXES, false));
  return value ? array_get(&value->a, 0) : -1;
}

static Err scale_to_one(Graph *graph, Layer *net, Layer *layer, const Ports *in,
                        const Lsuv *lsuv) {
  Variable *scaled = layer->reader ? layer->reader->var[0] : layer->var[0];
  for (int64_t i = 0; i < lsuv->trials && !graph->fault.code; i++) {
    double var = output_variance(graph, net, layer, in);
    if (var < 0) break;
    if (!(var > 0) || isinf(var)) {
      char got[32];
      return fault_set(&graph->fault, ERR_VALUE,
                       "init.lsuv: what %s gives of this batch has the variance %s; "
                       "allowed: a number above 0",
                       layer->name, text_number(got, var));
    }
    if (fabs(var - 1) <= lsuv->tolerance) break;
    Node *w = variable_read(graph, scaled);
    Node *value = op_scale(graph, w, 1 / sqrt(var));
    if (variable_assign(graph, scaled, value)) break;
    (void)!graph_value(graph, scaled->current);
  }
  if (graph->fault.code) return graph->fault.code;
  return layer_note_value(graph, layer, 0, layer->var[0]->current, "lsuv");
}

Err layer_lsuv(Graph *graph, Layer *net, const Ports *in, const Lsuv *lsuv,
               Fault *fault) {
  LayerList list = {0};
  bool training = graph->training;
  graph->training = false;
  layer_call_ports(graph, net, in); /* builds */
  Err err = graph_ok(graph, fault);
  if (!err) err = layer_list(net, &list, fault);
  for (int i = 0; !err && i < list.n; i++) {
    int scope = graph_scope_begin(graph);
    bool taken = layer_kind(list.v[i])->units_axis && !list.v[i]->var[0]->frozen;
    if (taken && !make_orthogonal(graph, list.v[i]))
      (void)!scale_to_one(graph, net, list.v[i], in, lsuv);
    graph_scope_end(graph, scope);
    err = graph_ok(graph, fault);
  }
  free(list.v);
  graph->training = training;
  return err;
}
