/* bind_nn.c: the globals `nn`, `loss` and `optim`, and the methods of nets. */
#include "lua/net_private.h"
#include "lua/reflect.h"
#include "lua/set_private.h"
#include "nn/trained.h"
#include "graph/ops.h"
#include <stdlib.h>
#include <string.h>

static Layer *check_layer(lua_State *L, int arg) {
  return bind_check_object(L, arg, &layer_family);
}

/* Raises the fault in `fault` or in the graph. */
static int raise_either(lua_State *L, const Fault *fault) {
  if (fault->code) return bind_raise_fault(L, fault);
  bind_raise_graph_fault(L);
  return luaL_error(L, "internal error: a fault is missing");
}

/* -- structure --------------------------------------------------------------------- */

static int net_add(lua_State *L) {
  Layer *net = check_layer(L, 1);
  Fault fault = {0};
  Object *layer = bind_object_from_lua(L, 2, &layer_family, &fault);
  if (!layer) {
    fault_prefix(&fault, "add: got");
    return bind_raise_fault(L, &fault);
  }
  Err err = layer_add(net, (Layer *)layer, &fault);
  object_release(layer);
  if (err) return bind_raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

/* The sizes at `arg` (numbers to the end, or a list); returns the next argument. */
static int check_sizes(lua_State *L, int arg, IntList *out) {
  Shape shape;
  int next = bind_check_shape(L, arg, &shape);
  *out = (IntList){.n = shape.rank};
  memcpy(out->v, shape.dim, sizeof(int64_t) * (size_t)shape.rank);
  return next;
}

/* net:build(28, 28), net:build { 28, 28 }; several inputs: net:build({ 3 }, { 4 }). */
static int net_build(lua_State *L) {
  Layer *net = check_layer(L, 1);
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L), n = 0;
  IntList shapes[MAX_PORTS + 1];
  Fault fault = {0};
  int next = check_sizes(L, 2, &shapes[n++]);
  while (n <= MAX_PORTS && lua_type(L, next) == LUA_TTABLE)
    next = check_sizes(L, next, &shapes[n++]);
  Err err = layer_build(graph, net, shapes, n, &fault);
  graph_scope_end(graph, scope);
  if (err) return raise_either(L, &fault);
  lua_settop(L, 1);
  return 1;
}

typedef struct SummaryCall {
  Object object;
  Loss *loss;
  bool init;
} SummaryCall;

static const Kind summary_method;
static const Kind *const net_method_kinds[] = {&summary_method, NULL};
static const Family net_methods = {.name = "net",
                                   .module = "net",
                                   .kinds = net_method_kinds};

static const Option summary_options[] = {
    {.name = "loss", .kind = OPT_OBJECT, .offset = offsetof(SummaryCall, loss),
     .position = 1, .value = "none", .family = &loss_family,
     .doc = "says in which form a cross-entropy takes the outputs"},
    {.name = "init", .kind = OPT_BOOL, .offset = offsetof(SummaryCall, init),
     .value = "false",
     .doc = "also say how each parameter got its initial value: rule, fan, gain, the "
            "deviation that follows, and that of the numbers drawn"},
    {0}};

static const Kind summary_method = {
    .name = "summary", .family = &net_methods, .size = sizeof(SummaryCall),
    .options = summary_options,
    .doc = "a table of the layers, their shapes and parameters"};

/* net:summary(), net:summary("cross_entropy") or net:summary { loss = ... }: a
 * string. */
static int net_summary(lua_State *L) {
  Layer *net = check_layer(L, 1);
  Graph *graph = session_graph(L);
  Fault fault = {0};
  SummaryCall *call = NULL;
  if (!lua_isnoneornil(L, 2))
    call = (SummaryCall *)bind_object_from_args(L, 2, &summary_method);
  int scope = bind_enter_call(L);
  Text text = {0};
  Err err = layer_summary(graph, net, call ? call->loss : NULL, call && call->init,
                          &text, &fault);
  graph_scope_end(graph, scope);
  object_release(call);
  if (!err) return bind_push_text(L, &text);
  text_deinit(&text);
  return raise_either(L, &fault);
}

/* A net as a line per layer; one layer with all its options. */
static int layer_tostring(lua_State *L) {
  Layer *layer = check_layer(L, 1);
  Text text = {0};
  if (layer_kind(layer)->children) layer_add_lines(&text, layer);
  else object_add_text(&text, &layer->object);
  return bind_push_text(L, &text);
}

static int net_parameters(lua_State *L) {
  Fault fault = {0};
  StateList list;
  Layer *net = check_layer(L, 1);
  if (layer_prepare(session_graph(L), net, &fault) ||
      layer_parameters(net, &list, &fault))
    return bind_raise_fault(L, &fault);
  lua_createtable(L, list.n, 0);
  for (int i = 0; i < list.n; i++) {
    bind_push_variable_as(L, list.v[i], list.name[i]);
    lua_rawseti(L, -2, i + 1);
  }
  state_deinit(&list);
  return 1;
}

/* -- state ------------------------------------------------------------------------- */

/* Iterator of pairs(state): upvalues names (a list) and position. */
static int state_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;
  lua_pushinteger(L, i);
  lua_replace(L, lua_upvalueindex(2));
  if (lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TNIL) return 1;
  lua_pushvalue(L, -1);
  lua_rawget(L, 1);
  return 2;
}

/* upvalue 1: names. */
static int state_pairs(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, state_next, 2);
  lua_pushvalue(L, 1);
  return 2;
}

static int state_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
  return 1;
}

static int state_index(lua_State *L) {
  return luaL_error(L, "the state has no tensor \"%s\"", luaL_tolstring(L, 2, NULL));
}

/* A table name -> tensor whose pairs() goes in the order of the layers. */
static int net_state(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  StateList list;
  Layer *net = check_layer(L, 1);
  if (layer_prepare(graph, net, &fault) || layer_state(net, &list, &fault))
    return bind_raise_fault(L, &fault);
  lua_createtable(L, 0, list.n);
  lua_createtable(L, list.n, 0);
  bool read = true;
  for (int i = 0; read && i < list.n; i++) {
    Node *node = graph_detach(graph, variable_read(graph, list.v[i]));
    if (!(read = node != NULL)) break;
    bind_push_node(L, node);
    lua_setfield(L, -3, list.name[i]);
    lua_pushstring(L, list.name[i]);
    lua_rawseti(L, -2, i + 1);
  }
  state_deinit(&list);
  graph_scope_end(graph, scope);
  bind_raise_graph_fault(L);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, state_pairs, 1);
  lua_setfield(L, -2, "__pairs");
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, state_len, 1);
  lua_setfield(L, -2, "__len");
  lua_pushcfunction(L, state_index);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
  return 1;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const NamedValue *)a)->name, ((const NamedValue *)b)->name);
}

/* The entries of the table at `arg`, sorted, in a userdata that the collector frees. */
static NamedValue *table_values(lua_State *L, int arg, int *n) {
  *n = 0;
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1)) (*n)++;
  NamedValue *values = lua_newuserdatauv(L, sizeof *values * (size_t)(*n + 1), 0);
  int i = 0;
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1)) {
    const char *got = luaL_typename(L, -1);
    if (lua_type(L, -2) != LUA_TSTRING || !bind_is_tensor(L, -1))
      luaL_error(L, "load: got %s = a %s; allowed: names with tensors",
                 luaL_tolstring(L, -2, NULL), got);
    values[i++] = (NamedValue){lua_tostring(L, -2), bind_check_node(L, -1)};
  }
  qsort(values, (size_t)i, sizeof *values, by_name);
  return values;
}

static int net_load(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Layer *net = check_layer(L, 1);
  Fault fault = {0};
  Err err;
  if (lua_type(L, 2) == LUA_TSTRING) {
    err = layer_load_file(graph, net, lua_tostring(L, 2), &fault);
  } else {
    luaL_checktype(L, 2, LUA_TTABLE);
    int n;
    NamedValue *values = table_values(L, 2, &n);
    err = layer_load(graph, net, values, n, &fault);
  }
  graph_scope_end(graph, scope);
  if (err) return raise_either(L, &fault);
  lua_settop(L, 1);
  return 1;
}

static int net_save(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  Err err = layer_save(graph, check_layer(L, 1), luaL_checkstring(L, 2), &fault);
  graph_scope_end(graph, scope);
  if (err) return raise_either(L, &fault);
  lua_settop(L, 1);
  return 1;
}

/* nil where it was trained on no texts. */
static int net_vocabulary(lua_State *L) {
  return set_push_vocabulary_text(L, layer_vocabulary(check_layer(L, 1)));
}

static int set_frozen(lua_State *L, bool frozen) {
  Fault fault = {0};
  const char *pattern = luaL_optstring(L, 2, "*");
  if (layer_freeze(check_layer(L, 1), pattern, frozen, &fault))
    return bind_raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

static int net_freeze(lua_State *L) { return set_frozen(L, true); }
static int net_unfreeze(lua_State *L) { return set_frozen(L, false); }

static int net_reset_states(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  Err err = layer_reset_states(graph, check_layer(L, 1), &fault);
  graph_scope_end(graph, scope);
  if (err) return raise_either(L, &fault);
  lua_settop(L, 1);
  return 1;
}

/* -- layers ------------------------------------------------------------------------ */

/* A layer's options and variables. The number of an outermost one that has been built
 * names its streams, but for layers that were built in another net. */
static int layer_listing(lua_State *L) {
  const Graph *graph = session_graph(L);
  Layer *layer = check_layer(L, 1);
  bind_push_object_listing(L, &layer->object, true);
  for (int i = 0; i < layer->n_vars; i++) {
    if (!layer->var[i]) continue;
    bind_push_variable(L, layer->var[i]);
    bind_add_part(L, layer->var_name[i]);
  }
  if (!layer->owner && layer->number.n) {
    lua_pushinteger(L, layer_number(graph, layer));
    bind_add_part(L, "number");
  }
  if (layer_has_stream(graph, layer) &&
      layer->stream_net.n != layer_number(graph, layer)) {
    lua_pushfstring(L, "net%I/%s", (LUAI_UACINT)layer->stream_net.n, layer->stream);
    bind_add_part(L, "stream");
  }
  return 3;
}

static int net_len(lua_State *L) {
  Layer *const *child;
  lua_pushinteger(L, layer_children(check_layer(L, 1), &child));
  return 1;
}

/* net[i]: the layer directly inside; -1 is the last, and the one after it nil, for
 * ipairs. */
static bool push_child(lua_State *L, Layer *net) {
  int is_integer;
  lua_Integer i = lua_tointegerx(L, 2, &is_integer);
  Layer *const *child = NULL;
  int n = layer_children(net, &child);
  if (!is_integer || i == 0 || i > n + 1 || i < -n)
    luaL_error(L, "%s: got the index %s; allowed: 1 to %d, the layers in it%s",
               net->object.kind->name, luaL_tolstring(L, 2, NULL), n,
               n ? "" : ", of which there are none");
  if (i == n + 1) lua_pushnil(L);
  else bind_push_object(L, &child[i > 0 ? i - 1 : n + i]->object);
  return true;
}

/* net[1], and the variables of a layer: dense.weight. */
static bool layer_index(lua_State *L) {
  Layer *layer = check_layer(L, 1);
  if (lua_type(L, 2) == LUA_TNUMBER) return push_child(L, layer);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  const char *const *vars = layer->var_name ? layer->var_name : layer_kind(layer)->vars;
  for (int i = 0; vars && vars[i]; i++) {
    Variable *v = layer_var(layer, i);
    if (strcmp(vars[i], name) != 0) continue;
    if (!v)
      luaL_error(L, "nn.%s: it was made without %s", layer->object.kind->name, name);
    if (!v->has_value)
      luaL_error(L,
                 "nn.%s: %s has no value yet: it gets one at first use, or by "
                 "net:build(shape)",
                 layer->object.kind->name, name);
    bind_push_variable(L, v);
    return true;
  }
  return false;
}

static const Habit layer_habits[] = {
    {"fit", "train.fit(net, set, { ... })"},
    {"compile", "train.fit(net, set, { loss = ..., optimizer = ... })"},
    {"forward", "net(x)"},
    {"call", "net(x)"},
    {"backward", "grad(y, { x }), or train.step"},
    {"zero_grad", "train.step, which needs none"},
    {"train", "net(x, { training = true }); train.step and train.fit do so by "
              "themselves"},
    {"eval", "net(x), which is inference"},
    {"kernel", "layer.weight"},
    {"weights", "net:parameters(), net:state() or layer.weight"},
    {"get_layer", "net[i]"},
    {"children", "for i, layer in ipairs(net)"},
    {"modules", "for i, layer in ipairs(net)"},
    {"append", "net:add(layer)"},
    {"count_params", "net:summary()"},
    {"to", "nothing: everything runs on the CPU"},
    {"cuda", "nothing: everything runs on the CPU"},
    {"trainable_variables", "net:parameters()"},
    {"get_weights", "net:state()"},
    {"set_weights", "net:load(state)"},
    {"state_dict", "net:state()"},
    {"load_state_dict", "net:load(state)"},
    {"save_weights", "net:save(path)"},
    {"load_weights", "net:load(path)"},
    {NULL, NULL}};

#define SIZES_FOLLOW "sizes of inputs follow by themselves"
#define ONE_OP "nothing: the layer is one op over all steps"
#define SEQUENCES "nothing: sequences are [N, T, features]"
static const Habit layer_options_elsewhere[] = {
    {"in_features", "nn.Dense(units): " SIZES_FOLLOW},
    {"in_channels", "nn.Conv2D(filters, kernel_size): " SIZES_FOLLOW},
    {"num_features", "nn.BatchNorm(): " SIZES_FOLLOW},
    {"num_channels", "nn.GroupNorm(groups): " SIZES_FOLLOW},
    {"normalized_shape", "nn.LayerNorm(), of the last axis, or axis = { 2, 3, 4 }: "
                         SIZES_FOLLOW},
    {"input_size", "nn.LSTM(units): " SIZES_FOLLOW},
    {"d_model", "nothing: " SIZES_FOLLOW},
    {"kdim", "nothing: " SIZES_FOLLOW " (key_dim is of one head)"},
    {"vdim", "nothing: " SIZES_FOLLOW " (value_dim is of one head)"},
    {"input_length", "nothing: " SIZES_FOLLOW},
    {"input_dim", "input_shape = { ... }, or leave it out: sizes follow at first use"},
    {"batch_first", SEQUENCES},
    {"time_major", SEQUENCES},
    {"data_format", "nothing: images are [N, C, H, W], sequences [N, T, features]"},
    {"attention_axes", "nothing: attention is along axis 2, that of the steps"},
    {"device", "nothing: everything runs on the CPU"},
    {"dtype", "nothing: all layers compute in the numbers of the program"},
    {"seed", "tensor.seed(n), or the argument seed of the run: layers draw from "
             "streams of their names"},
    {"trainable", "net:freeze(name)"},
    {"freeze", "net:freeze(name), or trainable = false of nn.Embedding"},
    {"_freeze", "net:freeze(name), or trainable = false of nn.Embedding"},
    {"num_layers", "nn.Sequential of so many layers, all but the last with "
                   "return_sequences = true"},
    {"bidirectional", "nn.Bidirectional(nn.LSTM(units))"},
    {"unit_forget_bias", "forget_bias = 1, or 0"},
    {"proj_size", "a nn.Dense layer behind it"},
    {"activation", "nn.activation(name) behind it (inside LSTM and GRU are tanh and "
                   "sigmoid; nn.SimpleRNN takes one)"},
    {"recurrent_activation", "nothing: the gates of LSTM and GRU are sigmoids"},
    {"zero_output_for_mask", "nothing: what follows leaves out the steps that a mask "
                             "does not count; or y * mask:reshape(N, T, 1)"},
    {"unroll", ONE_OP},
    {"use_cudnn", ONE_OP},
    {"implementation", ONE_OP},
    {"flash_attention", "nothing: attention is one op"},
    {"add_bias_kv", "nothing: a query that sees no key gives the bias alone"},
    {"add_zero_attn", "nothing: a query that sees no key gives the bias alone"},
    {"average_attn_weights", "return_scores = true gives those of each head: y, p = "
                             "layer(x), then p:mean(2)"},
    {"padding_mode", "nothing: what is padded is 0"},
    {"divisor_override", "count_include_pad = true, which divides by the size of the "
                         "window"},
    {"return_indices", "nothing: pools give their maxima, not where they were"},
    {"padding_idx", "mask_zero = true: ids count from 1, and 0 is padding"},
    {"max_norm", "weight_constraint = nn.max_norm(m): of all rows, after each update"},
    {"center", "affine of a normalization: both weight and bias, or none"},
    {"scale", "affine of a normalization: both weight and bias, or none"},
    {"gamma_initializer", "layer.weight:assign(t), once the layer is built"},
    {"beta_initializer", "layer.bias:assign(t), once the layer is built"},
    {"track_running_stats", "nothing: they are kept; net:freeze(name) makes training "
                            "use them, too"},
    {"size", "scale_factor (Keras) or output_size (PyTorch) of nn.UpSample"},
    {NULL, NULL}};

static const Function layer_methods[] = {
    {"__call", net_call, NULL, NULL, NULL},
    {"__len", net_len, NULL, NULL, NULL},
    {"__tostring", layer_tostring, NULL, NULL, NULL},
    {LISTING, layer_listing, NULL, NULL, NULL},
    {"add", net_add, "net:add(layer)", "Appends a layer. Returns the net.", NULL},
    {"build", net_build, "net:build(shape)",
     "Creates the parameters for inputs of that shape, without the batch axis; of "
     "several inputs a list each. Returns the net.",
     NULL},
    {"summary", net_summary, "net:summary(loss, { init = false })",
     "A table of the layers, their shapes and parameters, as text. With a loss it also "
     "says in which form that takes the outputs; with init = true how each parameter "
     "got its initial value.",
     &summary_method},
    {"parameters", net_parameters, "net:parameters()", "The list of all variables "
     "that are trained.", NULL},
    {"state", net_state, "net:state()",
     "All tensors of the net by name, in order. It is a snapshot, through which no "
     "gradient flows; for a penalty use net:parameters().",
     NULL},
    {"load", net_load, "net:load(state)",
     "Takes over tensors by name, from a table or a .safetensors file. Returns the "
     "net.",
     NULL},
    {"vocabulary", net_vocabulary, "net:vocabulary()",
     "The numbers of the tokens of the texts that train.fit has trained the net on, "
     "which are saved with it; nil where there were none.",
     NULL},
    {"save", net_save, "net:save(path)",
     "Writes the state to a .safetensors file. Returns the net.",
     NULL},
    {"freeze", net_freeze, "net:freeze(pattern)",
     "Takes layers out of the training: all, or those whose names fit the pattern, as "
     "\"dense_*\", each with the layers in it. Returns the net.",
     NULL},
    {"unfreeze", net_unfreeze, "net:unfreeze(pattern)",
     "Takes layers into the training again: all, or those whose names fit the pattern, "
     "each with the layers in it. Returns the net.",
     NULL},
    {"reset_states", net_reset_states, "net:reset_states()",
     "Sets the state that stateful recurrent layers keep from call to call to 0. "
     "Returns the net.",
     NULL},
    {"cut", net_cut, "net:cut(n)",
     "Makes a net of the first n layers of a Sequential; cut(-1) is all but the last. "
     "They are the same layers, so what trains one net trains the other: "
     "net:clone():cut(n) has its own.",
     NULL},
    {"replace", net_replace, "net:replace(name, layer)",
     "Puts a layer in the place of the one of that name, such as a new head for "
     "another task. Returns the net.",
     NULL},
    {"clone", net_clone, "net:clone({ options })",
     "Makes a net of the same layers with parameters of its own: copies, as PyTorch's "
     "deepcopy does, or with weights = false new ones, as Keras's clone_model does. "
     "Layers of a script, tables with `forward`, cannot be cloned.",
     &clone_method},
    {"predict", net_predict,
     "net:predict(x, { batch_size = 256, mask = m, dropout = true })",
     "The outputs for all rows of x, computed batch by batch. A net that takes several "
     "tensors: net:predict(a, b). A number in place of the options is the batch_size. "
     "attention_mask is that of nn.MultiHeadAttention.",
     NULL},
    {"predict_classes", net_predict_classes,
     "net:predict_classes(x, { batch_size = 256, mask = m })",
     "The label, from 1, of the largest output of each row.", NULL},
    {"evaluate", net_evaluate, "net:evaluate(set, { options })",
     "Measures the net on a data set. Returns a table of measures.", &evaluation_kind},
    {0}};

static const char *const *layer_fields(const Kind *kind) {
  return ((const LayerKind *)kind)->vars;
}

static const FamilyBinding layer_binding = {
    .family = &layer_family, .methods = layer_methods,
    .from_table = bind_layer_from_value, .also = &activation_family,
    .index = layer_index, .fields = layer_fields,
    .habits = layer_habits, .option_habits = layer_options_elsewhere,
    .elsewhere = "sizes of inputs follow by themselves: nn.Dense(20) in place of (10, "
                 "20)"};

/* -- activations: nn.relu(x), nn.elu(0.5)(x), nn.elu(0.5) -------------------------- */

/* The activation at `f` of the input at `x`. */
static int push_activated(lua_State *L, int f, int x) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Activation *activation = bind_check_object(L, f, &activation_family);
  bind_push_node(L, activation_apply(graph, activation,
                                     op_cast(graph, bind_check_node(L, x), DT_REAL)));
  graph_scope_end(graph, scope);
  return 1;
}

static int activation_call(lua_State *L) {
  if (lua_gettop(L) > 2) return luaL_error(L, "an activation takes one tensor");
  return push_activated(L, 1, 2);
}

/* upvalue 1: the kind. With a tensor first: its value; else an object. */
static int make_or_apply_activation(lua_State *L) {
  const Kind *kind = lua_touserdata(L, lua_upvalueindex(1));
  bool apply = bind_is_tensor(L, 1);
  Object *activation = bind_object_from_args(L, apply ? 2 : 1, kind);
  bind_push_object(L, activation);
  object_release(activation);
  return apply ? push_activated(L, lua_gettop(L), 1) : 1;
}

static const Function activation_methods[] = {{"__call", activation_call, NULL, NULL,
                                               NULL},
                                              {0}};
/* Can layers of that kind be activations? */
static bool is_activation(const Kind *layer) {
  return ((const LayerKind *)layer)->as_activation != NULL;
}

/* The layer at `arg` as the activation that it does. Returns new. */
static Object *activation_from_layer(lua_State *L, int arg, Fault *fault) {
  Layer *layer = bind_to_object(L, arg, &layer_family);
  const ActivationKind *kind = layer ? layer_kind(layer)->as_activation : NULL;
  char label[96];
  if (!kind) {
    fault_set(fault, ERR_SCRIPT, "%s",
              layer ? kind_label(layer->object.kind, label, sizeof label)
                    : bind_argument_text(L, arg));
    return NULL;
  }
  Activation *activation = (Activation *)object_new(&kind->kind, fault);
  if (!activation) return NULL;
  object_release(activation->layer);
  activation->layer = object_retain(layer);
  return &activation->object;
}

static const FamilyBinding activation_binding = {
    .family = &activation_family, .methods = activation_methods,
    .from_table = activation_from_layer, .also = &layer_family,
    .takes = is_activation};

/* -- nn.activation(name or function), nn.norm(name) -------------------------------- */

static int make_activation(lua_State *L) {
  Fault fault = {0};
  Object *activation = bind_object_from_lua(L, 1, &activation_family, &fault);
  if (!activation && fault.code == ERR_SCRIPT)
    return luaL_error(L,
                      "nn.activation: got %s, allowed: an activation or its name, or "
                      "a function",
                      fault.text);
  if (!activation) {
    fault_prefix(&fault, "nn.activation");
    return bind_raise_fault(L, &fault);
  }
  Layer *layer = layer_activation_new((Activation *)activation, &fault);
  object_release(activation);
  if (!layer) return bind_raise_fault(L, &fault);
  bind_push_object(L, &layer->object);
  object_release(layer);
  return 1;
}

/* Raises: no normalization has that name; with those that there are. */
static int refuse_norm(lua_State *L, const char *name) {
  enum { NAMES = 64 };
  const char *names[NAMES];
  luaL_Buffer all;
  int n = 0;
  luaL_buffinit(L, &all);
  for (const Kind *const *k = layer_family.kinds; *k && n < NAMES; k++) {
    const char *norm = ((const LayerKind *)*k)->norm;
    if (!norm) continue;
    lua_pushfstring(L, "%s\"%s\"", n ? ", " : "", norm);
    luaL_addvalue(&all);
    names[n++] = norm;
  }
  luaL_pushresult(&all);
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(L, "nn.norm: got \"%s\"%s%s%s, allowed: %s", name,
                    nearest ? " (did you mean \"" : "", nearest ? nearest : "",
                    nearest ? "\"?)" : "", lua_tostring(L, -1));
}

/* nn.norm(name, options of that layer): the layer whose record has that name as its
 * norm. */
static int make_norm(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  for (const Kind *const *k = layer_family.kinds; *k; k++) {
    const char *norm = ((const LayerKind *)*k)->norm;
    if (!norm || strcmp(norm, name) != 0) continue;
    Object *layer = bind_object_from_args(L, 2, *k);
    bind_push_object(L, layer);
    object_release(layer);
    return 1;
  }
  return refuse_norm(L, name);
}

static const FamilyBinding regularizer_binding = {.family = &regularizer_family};
static const FamilyBinding constraint_binding = {.family = &constraint_family};

int open_nn(lua_State *L) {
  static const Function functions[] = {
      {"activation", make_activation, "nn.activation(name)",
       "Makes a layer of the name of an activation, or of a function.", NULL},
      {"norm", make_norm, "nn.norm(name, { options })",
       "Makes a normalization layer of a short name, as \"batch\", with the options of "
       "that layer; \"none\" passes its input on.",
       NULL},
      {0}};
  lua_newtable(L);
  bind_register_family_as(L, &activation_binding, make_or_apply_activation);
  bind_register_family(L, &layer_binding);
  bind_register_family(L, &regularizer_binding);
  bind_register_family(L, &constraint_binding);
  reflect_set_functions(L, functions);
  return 1;
}

/* -- loss: loss.mse(output, target, weight, mask), loss.mse { ... } ---------------- */

enum { LOSS_TENSORS = 4 };

/* Output, target, weight and mask from argument `first` on; what is no tensor is not
 * given. */
static int push_loss(lua_State *L, Loss *loss, int first) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  LossBatch batch = {.output = bind_check_node(L, first),
                     .target = bind_check_node(L, first + 1)};
  if (bind_is_tensor(L, first + 2)) batch.weight = bind_check_node(L, first + 2);
  if (bind_is_tensor(L, first + 3)) batch.mask = bind_check_node(L, first + 3);
  bind_push_node(L, loss_apply(graph, loss, &batch));
  graph_scope_end(graph, scope);
  return 1;
}

static int loss_call(lua_State *L) {
  Loss *loss = bind_check_object(L, 1, &loss_family);
  for (int i = 4; i <= lua_gettop(L); i++)
    if (i > 1 + LOSS_TENSORS || !(bind_is_tensor(L, i) || lua_isnil(L, i)))
      return luaL_error(L,
                        "loss.%s: argument %d is %s; allowed: output, target, weight, "
                        "mask",
                        loss->object.kind->name, i - 1, bind_argument_text(L, i));
  return push_loss(L, loss, 2);
}

/* upvalue 1: the kind. With tensors: the value; else an object for train.fit. Options
 * come after the tensors. */
static int make_or_apply_loss(lua_State *L) {
  const Kind *kind = lua_touserdata(L, lua_upvalueindex(1));
  bool apply = bind_is_tensor(L, 1);
  int options = apply ? 3 : 1;
  while (apply && options <= LOSS_TENSORS && options <= lua_gettop(L) &&
         (bind_is_tensor(L, options) || lua_isnil(L, options)))
    options++;
  Object *loss = bind_object_from_args(L, options, kind);
  bind_push_object(L, loss);
  object_release(loss);
  return apply ? push_loss(L, (Loss *)loss, 1) : 1;
}

static const Function loss_methods[] = {{"__call", loss_call, NULL, NULL, NULL}, {0}};
static const FamilyBinding loss_binding = {.family = &loss_family,
                                           .methods = loss_methods};

int open_loss(lua_State *L) {
  lua_newtable(L);
  bind_register_family_as(L, &loss_binding, make_or_apply_loss);
  return 1;
}

/* -- optim ------------------------------------------------------------------------- */

/* Options and state: one that has trained goes on from there. */
static int optim_listing(lua_State *L) {
  const Optimizer *opt = bind_check_object(L, 1, &optim_family);
  const OptimSlot *slot;
  bind_push_object_listing(L, &opt->object, true);
  lua_pushinteger(L, opt->t);
  bind_add_part(L, "steps");
  for (int i = 0; i < opt->n_slots; i++) {
    bind_push_variable(L, opt->slots[i].param);
    bind_add_numbered_part(L, "trained", i + 1);
    for (int s = 0; (slot = optimizer_slot_at(opt, s)); s++) {
      if (!opt->slots[i].slot[s]) continue;
      bind_push_variable(L, opt->slots[i].slot[s]);
      bind_add_numbered_part(L, slot->name, i + 1);
    }
  }
  return 3;
}

static const Function optim_methods[] = {{LISTING, optim_listing, NULL, NULL, NULL},
                                         {0}};
static const Habit optim_habits[] = {
    {"step", "local step = train.step(f, net, optimizer), then step(x, y)"},
    {"minimize", "local step = train.step(f, net, optimizer), then step(x, y)"},
    {"zero_grad", "train.step(f, net, optimizer), which needs none"},
    {"apply_gradients", "train.step(f, net, optimizer)"},
    {"learning_rate", "optimizer.lr"},
    {NULL, NULL}};

static const FamilyBinding optim_binding = {
    .family = &optim_family, .methods = optim_methods, .habits = optim_habits,
    .elsewhere = "what it trains is the argument of train.fit and train.step(f, net, "
                 "optimizer), options by name, as in optim.SGD { lr = 0.1, momentum = "
                 "0.9 }"};
static const FamilyBinding schedule_binding = {.family = &schedule_family};

/* { "*.bias", weight_decay = 0 }: a pattern, and options by name. */
static Object *group_from_table(lua_State *L, int arg, Fault *fault) {
  const Kind *kind = optim_group_family.kinds[0];
  if (lua_type(L, arg) != LUA_TTABLE) {
    bind_refuse_value(L, arg, "", fault);
    return NULL;
  }
  Object *group = object_new(kind, fault);
  if (!group) return NULL;
  bind_push_object(L, group); /* owns it: what follows may raise */
  object_release(group);
  int table = bind_push_table_copy(L, arg);
  if (lua_rawgeti(L, table, 1) != LUA_TNIL) {
    lua_setfield(L, table, option_at(kind, 1)->name);
    lua_pushnil(L);
    lua_rawseti(L, table, 1);
  } else lua_pop(L, 1);
  Err err = bind_set_options(L, table, group, false, NULL, fault);
  if (!err) err = object_ready(group, NULL, fault);
  if (!err) object_retain(group);
  lua_pop(L, 2);
  return err ? NULL : group;
}

static const FamilyBinding group_binding = {.family = &optim_group_family,
                                            .from_table = group_from_table};

int open_optim(lua_State *L) {
  lua_newtable(L);
  bind_register_family(L, &optim_binding);
  bind_register_family(L, &schedule_binding);
  bind_register_family(L, &group_binding);
  return 1;
}
