/* bind_nn.c: the globals `nn`, `init`, `loss` and `optim`, and the methods of nets. */
#include "lua/net_private.h"
#include "lua/reflect.h"
#include <stdlib.h>
#include <string.h>

static Layer *check_layer(lua_State *L, int arg) {
  return check_object(L, arg, &layer_family);
}

/* Raises what stands in `fault` or in the graph. */
static int raise_either(lua_State *L, const Fault *fault) {
  if (fault->code) return raise_fault(L, fault);
  raise_graph_fault(L);
  return luaL_error(L, "internal error: a fault is missing");
}

/* -- calling ------------------------------------------------------------------------- */

/* The one option of net(x, { training = true }). */
static bool option_training(lua_State *L, int arg, bool otherwise) {
  if (lua_isnoneornil(L, arg)) return otherwise;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "training") != 0)
      luaL_error(L, "net: unknown option \"%s\"; allowed: \"training\"",
                 luaL_tolstring(L, -2, NULL));
    if (lua_type(L, -1) != LUA_TBOOLEAN)
      luaL_error(L, "net: option \"training\": got a %s, allowed: true or false",
                 luaL_typename(L, -1));
    otherwise = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return otherwise;
}

static int net_call(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = enter_call(L);
  Layer *net = check_layer(L, 1);
  Node *x = check_node(L, 2);
  bool before = graph->training;
  graph->training = option_training(L, 3, before);
  Node *y = layer_call(graph, net, x);
  graph->training = before;
  push_node(L, y);
  graph_scope_end(graph, scope);
  return 1;
}

/* -- structure ----------------------------------------------------------------------- */

static int net_add(lua_State *L) {
  Layer *net = check_layer(L, 1);
  Fault fault = {0};
  Object *layer = object_from_lua(L, 2, &layer_family, &fault);
  if (!layer) {
    fault_prefix(&fault, "add: got");
    return raise_fault(L, &fault);
  }
  Err err = layer_add(net, (Layer *)layer, &fault);
  object_release(layer);
  if (err) return raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

static int net_build(lua_State *L) {
  Layer *net = check_layer(L, 1);
  Graph *graph = session_graph(L);
  int scope = enter_call(L);
  Shape shape;
  Fault fault = {0};
  check_shape(L, 2, &shape);
  IntList list = {.n = shape.rank};
  memcpy(list.v, shape.dim, sizeof(int64_t) * (size_t)shape.rank);
  Err err = layer_build(graph, net, &list, &fault);
  graph_scope_end(graph, scope);
  if (err) return raise_either(L, &fault);
  lua_settop(L, 1);
  return 1;
}

/* net:summary() or net:summary("sparse_categorical_crossentropy"): a string. */
static int net_summary(lua_State *L) {
  Layer *net = check_layer(L, 1);
  Graph *graph = session_graph(L);
  Fault fault = {0};
  Object *loss = NULL;
  if (!lua_isnoneornil(L, 2)) {
    loss = object_from_lua(L, 2, &loss_family, &fault);
    if (!loss) return raise_fault(L, &fault);
  }
  int scope = enter_call(L);
  Text text = {0};
  Err err = layer_summary(graph, net, (Loss *)loss, &text, &fault);
  graph_scope_end(graph, scope);
  object_release(loss);
  if (!err && text.failed) err = fault_memory(&fault, text.n_bytes);
  if (!err) lua_pushlstring(L, text.data ? text.data : "", text.n_bytes);
  text_deinit(&text);
  return err ? raise_either(L, &fault) : 1;
}

static int net_parameters(lua_State *L) {
  Fault fault = {0};
  StateList list;
  Layer *net = check_layer(L, 1);
  if (layer_prepare(session_graph(L), net, &fault) || layer_parameters(net, &list, &fault))
    return raise_fault(L, &fault);
  lua_createtable(L, list.n, 0);
  for (int i = 0; i < list.n; i++) {
    push_variable(L, list.v[i]);
    lua_rawseti(L, -2, i + 1);
  }
  state_deinit(&list);
  return 1;
}

/* -- state --------------------------------------------------------------------------- */

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
  int scope = enter_call(L);
  Fault fault = {0};
  StateList list;
  Layer *net = check_layer(L, 1);
  if (layer_prepare(graph, net, &fault) || layer_state(net, &list, &fault))
    return raise_fault(L, &fault);
  lua_createtable(L, 0, list.n);
  lua_createtable(L, list.n, 0);
  bool read = true;
  for (int i = 0; read && i < list.n; i++) {
    Node *node = graph_detach(graph, variable_read(graph, list.v[i]));
    if (!(read = node != NULL)) break;
    push_node(L, node);
    lua_setfield(L, -3, list.v[i]->name);
    lua_pushstring(L, list.v[i]->name);
    lua_rawseti(L, -2, i + 1);
  }
  state_deinit(&list);
  graph_scope_end(graph, scope);
  raise_graph_fault(L);
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

/* The entries of the table at `arg` in a userdata that the collector frees. */
static NamedValue *table_values(lua_State *L, int arg, int *n) {
  *n = 0;
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1)) (*n)++;
  NamedValue *values = lua_newuserdatauv(L, sizeof *values * (size_t)(*n + 1), 0);
  int i = 0;
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1)) {
    const char *got = luaL_typename(L, -1);
    if (lua_type(L, -2) != LUA_TSTRING || !is_tensor(L, -1))
      luaL_error(L, "load: got %s = a %s; allowed: names with tensors",
                 luaL_tolstring(L, -2, NULL), got);
    values[i++] = (NamedValue){lua_tostring(L, -2), check_node(L, -1)};
  }
  return values;
}

static int net_load(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = enter_call(L);
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
  int scope = enter_call(L);
  Fault fault = {0};
  Err err = layer_save(graph, check_layer(L, 1), luaL_checkstring(L, 2), &fault);
  graph_scope_end(graph, scope);
  if (err) return raise_either(L, &fault);
  lua_settop(L, 1);
  return 1;
}

static int set_frozen(lua_State *L, bool frozen) {
  Fault fault = {0};
  const char *pattern = luaL_optstring(L, 2, "*");
  if (layer_freeze(check_layer(L, 1), pattern, frozen, &fault)) return raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

static int net_freeze(lua_State *L) { return set_frozen(L, true); }
static int net_unfreeze(lua_State *L) { return set_frozen(L, false); }

/* -- predicting ---------------------------------------------------------------------- */

enum { PREDICT_BATCH = 256 };

static int predict(lua_State *L, Node *(*f)(Graph *, Layer *, Node *, int64_t)) {
  Graph *graph = session_graph(L);
  int scope = enter_call(L);
  Layer *net = check_layer(L, 1);
  Node *x = check_node(L, 2);
  lua_Integer batch = luaL_optinteger(L, 3, PREDICT_BATCH);
  luaL_argcheck(L, batch >= 1, 3, "batch size: allowed: at least 1");
  push_node(L, f(graph, net, x, batch));
  graph_scope_end(graph, scope);
  return 1;
}

static int net_predict(lua_State *L) { return predict(L, layer_predict); }
static int net_predict_classes(lua_State *L) { return predict(L, layer_predict_classes); }

/* -- a Lua table with `forward` is a layer ------------------------------------------- */

/* upvalue 1: the table. forward(self, x) */
static int call_forward(lua_State *L) {
  lua_getfield(L, lua_upvalueindex(1), "forward");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

typedef struct Members {
  const char *names[MAX_IN];
  int n;
} Members;

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the fields that hold layers or variables, sorted: pairs() has no order. */
static void list_members(lua_State *L, int table, Members *m) {
  m->n = 0;
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && m->n < MAX_IN &&
        (to_variable(L, -1) || to_object(L, -1, &layer_family)))
      m->names[m->n++] = lua_tostring(L, -2);
  if (m->n) qsort(m->names, (size_t)m->n, sizeof *m->names, by_text);
}

static int get_forward(lua_State *L) {
  lua_getfield(L, 1, "forward");
  return 1;
}

/* Has the table a function `forward`? Protected: its metatable may raise. */
static bool has_forward(lua_State *L, int table) {
  lua_pushcfunction(L, get_forward);
  lua_pushvalue(L, table);
  bool found = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return found;
}

/* Also an activation, as nn.relu() gives it, is a layer. Raises nothing. */
static Object *layer_from_value(lua_State *L, int arg, Fault *fault) {
  Object *activation = to_object(L, arg, &activation_family);
  if (activation) return (Object *)layer_activation_new((Activation *)activation, fault);
  arg = lua_absindex(L, arg);
  if (lua_type(L, arg) != LUA_TTABLE || !has_forward(L, arg)) {
    fault_set(fault, ERR_SCRIPT, "a %s%s", luaL_typename(L, arg),
              lua_type(L, arg) == LUA_TTABLE ? " without a function `forward`" : "");
    return NULL;
  }
  Members m;
  Layer *layers[MAX_IN];
  Variable *variables[MAX_IN];
  const char *names[MAX_IN];
  int n_layers = 0, n_variables = 0;
  list_members(L, arg, &m);
  for (int i = 0; i < m.n; i++) {
    lua_getfield(L, arg, m.names[i]);
    Layer *layer = to_object(L, -1, &layer_family);
    if (layer) layers[n_layers++] = layer;
    else {
      names[n_variables] = m.names[i];
      variables[n_variables++] = to_variable(L, -1);
    }
    lua_pop(L, 1);
  }
  lua_pushvalue(L, arg);
  lua_pushcclosure(L, call_forward, 1);
  Callable *forward = callable_from_lua(L, lua_gettop(L), fault);
  lua_pop(L, 1);
  if (!forward) return NULL;
  Layer *layer = layer_custom_new(forward, layers, n_layers, variables, names, n_variables,
                                  fault);
  callable_release(forward);
  return (Object *)layer;
}

/* A layer's options and variables. The number of an outermost one that has been built names
 * its streams. */
static int layer_listing(lua_State *L) {
  const Layer *layer = check_layer(L, 1);
  push_object_listing(L, &layer->object);
  for (int i = 0; i < LAYER_VARS; i++) {
    if (!layer->var[i]) continue;
    push_variable(L, layer->var[i]);
    add_part(L, layer->var_name[i]);
  }
  if (!layer->owner && layer->number) {
    lua_pushinteger(L, layer_number(session_graph(L), check_layer(L, 1)));
    add_part(L, "number");
  }
  return 3;
}

static const Function layer_methods[] = {
    {"__call", net_call, NULL, NULL, NULL},
    {LISTING, layer_listing, NULL, NULL, NULL},
    {"add", net_add, "net:add(layer)", "Appends a layer; gives the net.", NULL},
    {"build", net_build, "net:build(shape)", "Gives the parameters shape and value for "
     "inputs of that shape, without the batch axis; gives the net.", NULL},
    {"summary", net_summary, "net:summary(loss)", "A table of the layers, their shapes and "
     "parameters, as text.", NULL},
    {"parameters", net_parameters, "net:parameters()", "The list of all variables that are "
     "trained.", NULL},
    {"state", net_state, "net:state()", "All tensors of the net by name, in order: a "
     "snapshot.", NULL},
    {"load", net_load, "net:load(state)", "Takes over tensors by name, from a table or a "
     ".safetensors file; gives the net.", NULL},
    {"save", net_save, "net:save(path)", "Writes the state as .safetensors; gives the net.",
     NULL},
    {"freeze", net_freeze, "net:freeze(pattern)", "Takes layers out of the training, all or "
     "those whose names fit, as in \"dense_*\"; gives the net.", NULL},
    {"unfreeze", net_unfreeze, "net:unfreeze(pattern)", "Takes them in again.", NULL},
    {"predict", net_predict, "net:predict(x, batch_size)", "The outputs for all rows of x, "
     "batch by batch.", NULL},
    {"predict_classes", net_predict_classes, "net:predict_classes(x, batch_size)",
     "The label, from 1, of the largest output of each row.", NULL},
    {"evaluate", net_evaluate, "net:evaluate(set, { options })", "Measures the net on a data "
     "set; gives a table.", &evaluation_kind},
    {0}};

static const FamilyBinding layer_binding = {&layer_family, layer_methods, layer_from_value};
static const FamilyBinding activation_binding = {&activation_family, NULL, NULL};

/* -- nn.activation(name or function), nn.norm(name) ---------------------------------- */

static int make_activation(lua_State *L) {
  Fault fault = {0};
  Object *activation = object_from_lua(L, 1, &activation_family, &fault);
  if (!activation) {
    fault_prefix(&fault, "nn.activation: got");
    return raise_fault(L, &fault);
  }
  Layer *layer = layer_activation_new((Activation *)activation, &fault);
  object_release(activation);
  if (!layer) return raise_fault(L, &fault);
  push_object(L, &layer->object);
  object_release(layer);
  return 1;
}

/* nn.norm("none" | "batch" | "layer", options of that layer) */
static int make_norm(lua_State *L) {
  static const struct { const char *name; const LayerKind *kind; } norms[] = {
      {"none", &layer_identity}, {"batch", &layer_batch_norm}, {"layer", &layer_layer_norm}};
  enum { N = sizeof norms / sizeof *norms };
  const char *name = luaL_checkstring(L, 1), *names[N];
  for (int i = 0; i < N; i++) {
    names[i] = norms[i].name;
    if (strcmp(name, names[i]) != 0) continue;
    Object *layer = object_from_args(L, 2, &norms[i].kind->kind);
    push_object(L, layer);
    object_release(layer);
    return 1;
  }
  const char *nearest = text_nearest(name, names, N);
  return luaL_error(L, "nn.norm: got \"%s\"%s%s%s, allowed: \"none\", \"batch\", \"layer\"",
                    name, nearest ? " (did you mean \"" : "", nearest ? nearest : "",
                    nearest ? "\"?)" : "");
}

int open_nn(lua_State *L) {
  static const Function functions[] = {
      {"activation", make_activation, "nn.activation(name)", "A layer of an activation's "
       "name, or of a function.", NULL},
      {"norm", make_norm, "nn.norm(name, { options })", "The normalization \"batch\" or "
       "\"layer\", or \"none\", as a layer with that layer's options.", NULL},
      {0}};
  lua_newtable(L);
  register_family(L, &activation_binding);
  register_family(L, &layer_binding);
  set_library_functions(L, functions);
  return 1;
}

/* -- init ---------------------------------------------------------------------------- */

static const FamilyBinding init_binding = {&init_family, NULL, NULL};

/* init.gain("leaky_relu", 0.2) */
static int gain(lua_State *L) {
  Fault fault = {0};
  double g;
  if (init_gain(luaL_checkstring(L, 1), luaL_optnumber(L, 2, 0.01), &g, &fault))
    return raise_fault(L, &fault);
  lua_pushnumber(L, g);
  return 1;
}

int open_init(lua_State *L) {
  static const Function functions[] = {
      {"gain", gain, "init.gain(activation, slope)", "The gain that keeps the variance "
       "through an activation.", NULL},
      {0}};
  lua_newtable(L);
  register_family(L, &init_binding);
  set_library_functions(L, functions);
  return 1;
}

/* -- loss: loss.mse(output, target), loss.mse { ... } -------------------------------- */

static int push_loss(lua_State *L, Loss *loss, int output, int target) {
  Graph *graph = session_graph(L);
  int scope = enter_call(L);
  push_node(L, loss_apply(graph, loss, check_node(L, output), check_node(L, target)));
  graph_scope_end(graph, scope);
  return 1;
}

static int loss_call(lua_State *L) {
  return push_loss(L, check_object(L, 1, &loss_family), 2, 3);
}

/* upvalue 1: the kind. With tensors: the value; else an object for train.fit. */
static int make_or_apply_loss(lua_State *L) {
  const Kind *kind = lua_touserdata(L, lua_upvalueindex(1));
  bool apply = is_tensor(L, 1);
  Object *loss = object_from_args(L, apply ? 3 : 1, kind);
  push_object(L, loss);
  object_release(loss);
  return apply ? push_loss(L, (Loss *)loss, 1, 2) : 1;
}

static const Function loss_methods[] = {{"__call", loss_call, NULL, NULL, NULL}, {0}};
static const FamilyBinding loss_binding = {&loss_family, loss_methods, NULL};

int open_loss(lua_State *L) {
  lua_newtable(L);
  register_family_as(L, &loss_binding, make_or_apply_loss);
  return 1;
}

/* -- optim --------------------------------------------------------------------------- */

/* Options, and where it stands: one that has trained goes on from there. */
static int optim_listing(lua_State *L) {
  const Optimizer *opt = check_object(L, 1, &optim_family);
  const char *const *names = optimizer_slot_names(opt);
  push_object_listing(L, &opt->object);
  lua_pushinteger(L, opt->t);
  add_part(L, "steps");
  for (int i = 0; i < opt->n_slots; i++) {
    push_variable(L, opt->slots[i].param);
    add_numbered_part(L, "trained", i + 1);
    for (int s = 0; names && names[s]; s++) {
      if (!opt->slots[i].slot[s]) continue;
      push_variable(L, opt->slots[i].slot[s]);
      add_numbered_part(L, names[s], i + 1);
    }
  }
  return 3;
}

static const Function optim_methods[] = {{LISTING, optim_listing, NULL, NULL, NULL}, {0}};
static const FamilyBinding optim_binding = {&optim_family, optim_methods, NULL};
static const FamilyBinding schedule_binding = {&schedule_family, NULL, NULL};

int open_optim(lua_State *L) {
  lua_newtable(L);
  register_family(L, &optim_binding);
  register_family(L, &schedule_binding);
  return 1;
}
