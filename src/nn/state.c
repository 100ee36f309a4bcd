/* state.c: nets from outside: their variables by name, freezing, loading,
 * prediction. */
#include "graph/bound.h"
#include "nn/nn.h"
#include "base/out.h"
#include "graph/ops.h"
#include "nn/sight.h"
#include "nn/trained.h"
#include "tensor/safetensors.h"
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- variables by name ------------------------------------------------------------- */

/* Can one of the layers hold a variable that another one has, too? */
static bool may_share(const LayerList *layers) {
  for (int i = 0; i < layers->n; i++)
    if (layer_kind(layers->v[i])->shares) return true;
  return false;
}

static bool is_listed(const StateList *list, const Variable *v) {
  for (int i = 0; i < list->n; i++)
    if (list->v[i] == v) return true;
  return false;
}

typedef struct Place {
  int layer, var;
} Place;

/* The names of the listed variables, in one block behind their pointers. */
static Err add_names(StateList *list, const LayerList *layers, const Place *place,
                     Fault *fault) {
  size_t n_bytes = ((size_t)list->n + 1) * sizeof *list->name, at = n_bytes;
  for (int i = 0; i < list->n; i++) {
    const Layer *layer = layers->v[place[i].layer];
    n_bytes += strlen(layer->name) + 1 + strlen(layer->var_name[place[i].var]) + 1;
  }
  list->name = malloc(n_bytes);
  if (!list->name) return fault_memory(fault, n_bytes);
  for (int i = 0; i < list->n; i++) {
    const Layer *layer = layers->v[place[i].layer];
    list->name[i] = (char *)list->name + at;
    at += (size_t)sprintf(list->name[i], "%s.%s", layer->name,
                          layer->var_name[place[i].var]) +
          1;
  }
  return ERR_OK;
}

/* A layer "a.b" with a tensor "c" and a layer "a" with a tensor "b.c" would have the
 * same name in a file. */
static Err check_names(const StateList *list, Fault *fault) {
  for (int i = 0; i < list->n; i++) {
    bool one_point = strchr(list->name[i], '.') == strrchr(list->name[i], '.');
    for (int k = 0; !one_point && k < i; k++)
      if (strcmp(list->name[i], list->name[k]) == 0)
        return fault_set(fault, ERR_VALUE,
                         "two tensors of the net are called \"%s\", a layer and its "
                         "tensor with points in their names; names must differ",
                         list->name[i]);
  }
  return ERR_OK;
}

static Err take_variables(const LayerList *layers, bool trainable_only, bool named,
                          StateList *out, Fault *fault) {
  size_t room = 1;
  for (int k = 0; k < layers->n; k++) room += (size_t)layers->v[k]->n_vars;
  out->v = malloc(room * sizeof *out->v);
  Place *place = malloc(room * sizeof *place);
  bool shared = may_share(layers);
  Err err = out->v && place ? ERR_OK : fault_memory(fault, room * sizeof *place);
  for (int k = 0; !err && k < layers->n; k++)
    for (int i = 0; i < layers->v[k]->n_vars; i++) {
      Variable *v = layers->v[k]->var[i];
      if (!v || (trainable_only && !v->trainable)) continue;
      if (shared && is_listed(out, v)) continue;
      place[out->n] = (Place){k, i};
      out->v[out->n++] = v;
    }
  if (!err && named) err = add_names(out, layers, place, fault);
  if (!err && named) err = check_names(out, fault);
  free(place);
  return err;
}

static Err list_variables(Layer *net, bool trainable_only, bool named, StateList *out,
                          Fault *fault) {
  *out = (StateList){0};
  LayerList layers;
  Err err = layer_list(net, &layers, fault);
  if (!err) err = take_variables(&layers, trainable_only, named, out, fault);
  free(layers.v);
  if (err) state_deinit(out);
  return err;
}

Err layer_state(Layer *net, StateList *out, Fault *fault) {
  return list_variables(net, false, true, out, fault);
}

Err layer_parameters(Layer *net, StateList *out, Fault *fault) {
  return list_variables(net, true, true, out, fault);
}

Err layer_trained(Layer *net, StateList *out, Fault *fault) {
  return list_variables(net, true, false, out, fault);
}

void state_deinit(StateList *list) {
  free(list->v);
  free(list->name);
  *list = (StateList){0};
}

const char *state_name(const StateList *list, int i) {
  return list->name ? list->name[i] : list->v[i]->name;
}

/* -- load -------------------------------------------------------------------------- */

static Variable *find_variable(const StateList *state, const char *name) {
  for (int i = 0; i < state->n; i++)
    if (strcmp(state->name[i], name) == 0) return state->v[i];
  return NULL;
}

static Node *find_value(const NamedValue *values, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (strcmp(values[i].name, name) == 0) return values[i].value;
  return NULL;
}

static void add_name(Text *text, const char *name) {
  text_addf(text, "%s%s", text->n_bytes ? ", " : "", name);
}

/* Every name on both sides, every shape equal? */
static Err check_load(const StateList *state, const NamedValue *values, int n,
                      Fault *fault) {
  Text missing = {0}, unknown = {0}, wrong = {0};
  for (int i = 0; i < state->n; i++)
    if (!find_value(values, n, state->name[i])) add_name(&missing, state->name[i]);
  for (int i = 0; i < n; i++) {
    const Variable *v = find_variable(state, values[i].name);
    char have[SHAPE_TEXT], got[SHAPE_TEXT];
    if (!v) add_name(&unknown, values[i].name);
    else if (!variable_fits(v, &values[i].value->shape))
      text_addf(&wrong, "%s%s is %s in the net, %s in the state",
                wrong.n_bytes ? "; " : "", values[i].name,
                shape_text(have, &v->current->shape),
                shape_text(got, &values[i].value->shape));
  }
  Err err = ERR_OK;
  if (missing.n_bytes || unknown.n_bytes || wrong.n_bytes)
    err = fault_set(fault, wrong.n_bytes ? ERR_SHAPE : ERR_VALUE,
                    "load: %s%s%s%s%s%s%s", missing.n_bytes ? "missing " : "",
                    missing.n_bytes ? missing.data : "",
                    missing.n_bytes && unknown.n_bytes ? "; " : "",
                    unknown.n_bytes ? "unknown " : "",
                    unknown.n_bytes ? unknown.data : "",
                    wrong.n_bytes && (missing.n_bytes || unknown.n_bytes) ? "; " : "",
                    wrong.n_bytes ? wrong.data : "");
  text_deinit(&missing);
  text_deinit(&unknown);
  text_deinit(&wrong);
  return err;
}

Err layer_load(Graph *graph, Layer *net, const NamedValue *values, int n,
               Fault *fault) {
  StateList state;
  Err err = layer_state(net, &state, fault);
  if (!err) err = check_load(&state, values, n, fault);
  for (int i = 0; !err && i < state.n; i++) {
    Node *value = find_value(values, n, state.name[i]);
    if (variable_assign(graph, state.v[i], op_cast(graph, value, DT_REAL)))
      err = graph_ok(graph, fault);
  }
  state_deinit(&state);
  return err;
}

/* -- files ------------------------------------------------------------------------- */

/* What the variable holds. What is computed already needs no evaluation, which an
 * interrupt would end: a script that was asked to stop can still save what was
 * learned. */
static Tensor *held_value(Graph *graph, Variable *v) {
  Tensor *value = v->has_value ? node_value(v->current) : NULL;
  return value ? value : graph_value(graph, variable_read(graph, v));
}

Err layer_save(Graph *graph, Layer *net, const char *path, Fault *fault) {
  StateList state;
  Err err = layer_state(net, &state, fault);
  if (err) return err;
  NamedTensor *tensors = calloc((size_t)state.n + 1, sizeof *tensors);
  if (!tensors) err = fault_memory(fault, (size_t)state.n * sizeof *tensors);
  for (int i = 0; !err && i < state.n; i++) {
    tensors[i] = (NamedTensor){state.name[i], held_value(graph, state.v[i])};
    err = graph_ok(graph, fault);
  }
  Text trained = {0};
  if (!err) err = layer_trained_text(net, &trained, fault);
  NamedText meta = {TRAINED_META, trained.data};
  if (!err)
    err = safetensors_save(path, tensors, state.n, &meta, trained.n_bytes > 0, fault);
  text_deinit(&trained);
  free(tensors);
  state_deinit(&state);
  return err;
}

/* The weights are what counts: what the net was trained with, where it cannot be read,
 * is a warning. */
static void load_trained(Layer *net, const TensorFile *file, const char *path) {
  Fault fault = {0};
  const char *text = tensor_file_meta(file, TRAINED_META);
  if (text && layer_trained_from_text(net, text, &fault))
    err_print("warning: %s: what the net was trained with cannot be read: %s\n", path,
              fault.text);
}

Err layer_load_file(Graph *graph, Layer *net, const char *path, Fault *fault) {
  TensorFile file;
  Err err = safetensors_load(&file, path, &graph->memory, fault);
  if (err) return err;
  int scope = graph_scope_begin(graph);
  NamedValue *values = calloc((size_t)file.n_tensors + 1, sizeof *values);
  if (!values) err = fault_memory(fault, (size_t)file.n_tensors * sizeof *values);
  for (int i = 0; !err && i < file.n_tensors; i++) {
    values[i].name = file.tensors[i].name;
    values[i].value = graph_const(graph, file.tensors[i].tensor);
    err = graph_ok(graph, fault);
  }
  if (!err) err = layer_load(graph, net, values, file.n_tensors, fault);
  if (err) fault_prefix(fault, "%s", path);
  else load_trained(net, &file, path);
  free(values);
  tensor_file_deinit(&file);
  graph_scope_end(graph, scope);
  return err;
}

/* -- freeze ------------------------------------------------------------------------ */

typedef bool Fits(const char *pattern, const char *name);

static bool is_name(const char *pattern, const char *name) {
  return strcmp(pattern, name) == 0;
}

static bool is_like(const char *pattern, const char *name) {
  return fnmatch(pattern, name, 0) == 0;
}

/* Its variables, or those of them whose names fit, where `fits` is given. */
static int freeze_variables(Layer *layer, Fits *fits, const char *pattern,
                            bool frozen) {
  int n = 0;
  for (int i = 0; i < layer->n_vars; i++) {
    Variable *v = layer->var[i];
    if (!v || (fits && !fits(pattern, v->name))) continue;
    v->frozen = frozen;
    n++;
  }
  if (n) layer->object.version++;
  return n;
}

/* The layer with all that is in it. */
static int freeze_tree(Layer *layer, bool frozen) {
  if (layer->visited) return 0;
  Layer *const *child = NULL;
  int n = freeze_variables(layer, NULL, NULL, frozen);
  int n_children = layer_children(layer, &child);
  layer->visited = true;
  for (int i = 0; i < n_children; i++) n += freeze_tree(child[i], frozen);
  layer->visited = false;
  return n;
}

/* A weight that is read through another layer is frozen with what that one makes of
 * it. */
static int freeze_layer(Layer *layer, Fits *fits, const char *pattern, bool frozen) {
  if (!fits(pattern, layer->name))
    return freeze_variables(layer, fits, pattern, frozen);
  int n = freeze_tree(layer, frozen);
  if (layer->reader) n += freeze_variables(layer->reader, NULL, NULL, frozen);
  return n;
}

static int freeze_layers(const LayerList *list, Fits *fits, const char *pattern,
                         bool frozen) {
  int n = 0;
  for (int i = 0; i < list->n; i++)
    n += freeze_layer(list->v[i], fits, pattern, frozen);
  return n;
}

/* A name that has a sign of patterns in it means itself alone. */
Err layer_freeze(Layer *net, const char *pattern, bool frozen, Fault *fault) {
  LayerList list;
  Err err = layer_list(net, &list, fault);
  if (err) return err;
  if (!freeze_layers(&list, is_name, pattern, frozen) &&
      !freeze_layers(&list, is_like, pattern, frozen)) {
    Text names = {0};
    for (int i = 0; i < list.n; i++)
      if (list.v[i]->var_name) add_name(&names, list.v[i]->name);
    err = fault_set(fault, ERR_VALUE,
                    "%s: no layer or variable is called \"%s\"; layers with variables: "
                    "%s",
                    frozen ? "freeze" : "unfreeze", pattern,
                    names.data ? names.data : "none");
    text_deinit(&names);
  }
  free(list.v);
  return err;
}

Err layer_reset_states(Graph *graph, Layer *net, Fault *fault) {
  LayerList list;
  Err err = layer_list(net, &list, fault);
  if (err) return err;
  for (int i = 0; i < list.n && !err; i++) {
    Err (*reset)(Graph *, Layer *) = layer_kind(list.v[i])->reset;
    if (reset && reset(graph, list.v[i])) err = graph_ok(graph, fault);
  }
  free(list.v);
  return err;
}

const Layer *layer_needs_batches(Layer *net) {
  Layer *const *child = NULL;
  int n = layer_children(net, &child);
  const Layer *found = NULL;
  for (int i = 0; i < n && !found; i++) found = layer_needs_batches(child[i]);
  bool (*uses_batch)(const Layer *) = layer_kind(net)->uses_batch;
  return found ? found : uses_batch && uses_batch(net) ? net : NULL;
}

/* -- prediction -------------------------------------------------------------------- */

/* Rows [from, from + n) of x. */
static Node *rows(Graph *graph, Node *x, int64_t from, int64_t n) {
  int64_t start[MAX_RANK] = {from}, count[MAX_RANK], step[MAX_RANK];
  for (int i = 0; i < x->shape.rank; i++) {
    count[i] = i ? x->shape.dim[i] : n;
    step[i] = 1;
  }
  return op_slice(graph, x, start, count, step);
}

/* The shape of the labels of outputs: a row's for the largest, else one for each
 * output. */
static Shape label_shape(const Shape *y, ReadAs as) {
  Shape shape = *y;
  if (y->rank >= 2 && (as == READ_CATEGORICAL || (y->rank == 2 && y->dim[1] == 1)))
    shape.rank--;
  return shape;
}

static int64_t label_at(const Reading *reading, const Array *y, int64_t i) {
  int64_t width = reading_width(&y->shape);
  if (reading->as == READ_CATEGORICAL) return reading_largest(y, i * width, width);
  return reading_yes(reading, array_get(y, i));
}

/* Returns new: the labels of computed outputs, of which `from` rows stand before. */
static Tensor *labels_of(Graph *graph, const Tensor *y, const Reading *reading,
                         int64_t from) {
  Shape shape = label_shape(&y->a.shape, reading->as);
  Tensor *out = tensor_new(&graph->memory, DT_INT32, &shape, &graph->fault);
  int64_t n = out ? tensor_count(out) : 0, n_rows = n ? shape.dim[0] : 1;
  for (int64_t i = 0; i < n; i++) {
    int64_t label = label_at(reading, &y->a, i);
    array_set(&out->a, i, (double)label);
    if (label) continue;
    fault_set(&graph->fault, ERR_NONFINITE,
              "predict_classes: an output of row %lld is NaN, which is no class",
              (long long)(from + i * n_rows / n + 1));
    tensor_release(out);
    return NULL;
  }
  return out;
}

/* Copies the rows of one batch to their place; makes `*out` at the first one. */
static Err keep_rows(Graph *graph, Tensor **out, const Tensor *y, int64_t from,
                     int64_t n_rows, int64_t n_all) {
  if (y->a.shape.rank < 1 || y->a.shape.dim[0] != n_rows) {
    char got[SHAPE_TEXT];
    return fault_set(&graph->fault, ERR_SHAPE,
                     "predict: the net gives %s for %lld rows",
                     shape_text(got, &y->a.shape), (long long)n_rows);
  }
  if (!*out) {
    Shape shape = y->a.shape;
    shape.dim[0] = n_all;
    *out = tensor_new(&graph->memory, y->a.dtype, &shape, &graph->fault);
    if (!*out) return graph->fault.code;
  }
  size_t row_bytes = (size_t)shape_stride(&y->a.shape, 0) * dtype_bytes(y->a.dtype);
  memcpy((char *)(*out)->a.data + (size_t)from * row_bytes, y->a.data,
         (size_t)n_rows * row_bytes);
  return ERR_OK;
}

/* Inputs, their masks, masks of pairs: what a plan of a batch is given. */
enum { PREDICT_TENSORS = 2 * MAX_PORTS + 2 };

typedef struct Prediction {
  Graph *graph;
  Layer *net;
  Ports in;           /* all rows, computed */
  Sight *sight;       /* of all rows, computed; NULL: none */
  Tensor *out;        /* what was predicted so far, of all rows; NULL: nothing */
  int64_t from, size; /* rows of the batch: its first, and how many */
  bool labels;        /* instead of outputs */
  Reading reading;    /* of the outputs: for labels */
  Repeat repeat;
} Prediction;

static int64_t n_rows_of(const Prediction *p) { return p->in.v[0].x->shape.dim[0]; }

/* The rows of this batch keep what is known of all. NULL-safe. */
static Node *batch_rows_of(const Prediction *p, Node *all) {
  Node *part = all && p->size < all->shape.dim[0]
                   ? rows(p->graph, all, p->from, p->size)
                   : all;
  return !part || graph_value(p->graph, part) ? part : NULL;
}

/* Has a mask of pairs the rows of the inputs? Else it is the same for all batches. */
static bool has_rows(const Prediction *p, const Node *pairs) {
  return pairs && pairs->shape.rank == 3 && pairs->shape.dim[0] == n_rows_of(p);
}

static Node *batch_pairs_of(const Prediction *p, Node *pairs) {
  return has_rows(p, pairs) ? batch_rows_of(p, pairs) : pairs;
}

/* The net's result for the batch. */
static Node *call_batch(Prediction *p, const Ports *in) {
  Graph *graph = p->graph;
  Sight *all = p->sight;
  if (!all) return layer_call_one(graph, p->net, in).x;
  Sight part = {.own = batch_pairs_of(p, all->own),
                .memory = batch_pairs_of(p, all->memory)};
  graph->sight = &part;
  Node *y = graph->fault.code ? NULL : layer_call_one(graph, p->net, in).x;
  graph->sight = all;
  all->own_used |= part.own_used;
  all->memory_used |= part.memory_used;
  return y;
}

static Err emit_batch(void *ctx, Node **out, int *n_out, Fault *fault) {
  Prediction *p = ctx;
  Graph *graph = p->graph;
  Ports in = {.n = p->in.n};
  for (int i = 0; i < in.n; i++)
    in.v[i] = (Port){batch_rows_of(p, p->in.v[i].x), batch_rows_of(p, p->in.v[i].mask)};
  out[0] = graph->fault.code ? NULL : call_batch(p, &in);
  *n_out = 1;
  if (!out[0]) return graph_ok(graph, fault);
  if (p->labels && out[0]->shape.rank < 1)
    return fault_set(fault, ERR_SHAPE, "predict_classes: the outputs have no rows");
  if (p->labels) p->reading = layer_reading(p->net, out[0]);
  return ERR_OK;
}

/* The rows of one batch, as a view. */
static Tensor *view_rows(const Prediction *p, const Node *all, Fault *fault) {
  Tensor *value = node_value(all);
  Shape shape = value->a.shape;
  shape.dim[0] = p->size;
  return tensor_view(value, p->from * shape_stride(&shape, 0), &shape, fault);
}

/* The tensors of the batch, which are the caller's; returns how many. */
static int list_args(const Prediction *p, Tensor *args[PREDICT_TENSORS]) {
  Fault *fault = &p->graph->fault;
  int n = 0;
  for (int i = 0; i < p->in.n; i++) args[n++] = view_rows(p, p->in.v[i].x, fault);
  for (int i = 0; i < p->in.n; i++)
    if (p->in.v[i].mask) args[n++] = view_rows(p, p->in.v[i].mask, fault);
  const Node *pairs[] = {p->sight ? p->sight->own : NULL,
                         p->sight ? p->sight->memory : NULL};
  for (int i = 0; i < 2; i++)
    if (has_rows(p, pairs[i])) args[n++] = view_rows(p, pairs[i], fault);
  return n;
}

static Err predict_batch(Prediction *p, int64_t size) {
  Graph *graph = p->graph;
  int64_t n = n_rows_of(p), left = n - p->from;
  Tensor *args[PREDICT_TENSORS];
  p->size = left < size ? left : size;
  int n_args = list_args(p, args);
  uint64_t settings = object_signature(&p->net->object);
  Fault fault = {0};
  Err err = graph_ok(graph, &fault);
  if (!err)
    err = repeat_run(&p->repeat, &(PlanArgs){args, n_args}, settings,
                     p->size < size ? 1 : left / size, &fault);
  while (n_args) tensor_release(args[--n_args]);
  if (err) {
    fault_pass(&graph->fault, &fault);
    return err;
  }
  const Tensor *y = p->repeat.value[0];
  Tensor *made = p->labels ? labels_of(graph, y, &p->reading, p->from) : NULL;
  if (!p->labels || made)
    (void)!keep_rows(graph, &p->out, made ? made : y, p->from, p->size, n);
  tensor_release(made);
  p->from += p->size;
  return graph->fault.code;
}

/* Has each input the rows of the first, and are all computed? */
static bool inputs_ready(Graph *graph, const Ports *in) {
  for (int i = 0; i < in->n; i++) {
    const Node *x = in->v[i].x, *first = in->v[0].x;
    if (x->shape.rank && x->shape.dim[0] > 0 &&
        x->shape.dim[0] == first->shape.dim[0] && graph_value(graph, in->v[i].x) &&
        (!in->v[i].mask || graph_value(graph, in->v[i].mask)))
      continue;
    if (!graph->fault.code && (i == 0 || !x->shape.rank || first->shape.dim[0] < 1))
      fault_set(&graph->fault, ERR_SHAPE, "predict: no rows in the input");
    else if (!graph->fault.code)
      fault_set(&graph->fault, ERR_SHAPE,
                "predict: input 1 has %lld rows, input %d has %lld",
                (long long)first->shape.dim[0], i + 1, (long long)x->shape.dim[0]);
    return false;
  }
  return in->n > 0;
}

/* Are the call's masks of pairs computed? */
static bool sight_ready(Graph *graph) {
  const Sight *sight = graph->sight;
  return !sight || ((!sight->own || graph_value(graph, sight->own)) &&
                    (!sight->memory || graph_value(graph, sight->memory)));
}

static Node *predict(Graph *graph, Layer *net, const Ports *in, int64_t batch,
                     bool labels) {
  if (graph->fault.code || in->n == 0) return NULL;
  if (!inputs_ready(graph, in) || !sight_ready(graph)) return NULL;
  int64_t n = in->v[0].x->shape.dim[0];
  Prediction p = {.graph = graph, .net = net, .in = *in, .sight = graph->sight,
                  .labels = labels};
  p.repeat = (Repeat){.graph = graph, .emit = emit_batch, .ctx = &p,
                      .bindable = !object_has_call(&net->object) && !graph->dropout};
  bool training = graph->training, failed = false;
  graph->training = false;
  while (!failed && p.from < n) failed = predict_batch(&p, batch) != ERR_OK;
  graph->training = training;
  repeat_end(&p.repeat);
  Node *result = failed ? NULL : graph_const(graph, p.out);
  tensor_release(p.out);
  return result;
}

Node *layer_predict(Graph *graph, Layer *net, const Ports *in, int64_t batch) {
  return predict(graph, net, in, batch, false);
}

Node *layer_predict_classes(Graph *graph, Layer *net, const Ports *in, int64_t batch) {
  return predict(graph, net, in, batch, true);
}
