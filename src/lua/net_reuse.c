/* net_reuse.c: net:cut, net:replace, net:clone. */
#include "lua/net_private.h"
#include "nn/reuse.h"

static Layer *check_net(lua_State *L) { return bind_check_object(L, 1, &layer_family); }

/* Pushes what was made, or raises the fault. */
static int push_net(lua_State *L, Layer *net, const Fault *fault) {
  if (!net) return bind_raise_fault(L, fault);
  bind_push_object(L, &net->object);
  object_release(net);
  return 1;
}

int net_cut(lua_State *L) {
  Fault fault = {0};
  lua_Integer n = luaL_checkinteger(L, 2);
  if (n < INT32_MIN || n > INT32_MAX) n = 0;
  return push_net(L, layer_cut(check_net(L), (int)n, &fault), &fault);
}

int net_replace(lua_State *L) {
  Layer *net = check_net(L);
  const char *name = luaL_checkstring(L, 2);
  Fault fault = {0};
  Object *with = bind_object_from_lua(L, 3, &layer_family, &fault);
  if (!with) {
    fault_prefix(&fault, "replace: got");
    return bind_raise_fault(L, &fault);
  }
  Err err = layer_replace(net, name, (Layer *)with, &fault);
  object_release(with);
  if (err) return bind_raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

typedef struct CloneCall {
  Object object;
  bool weights;
} CloneCall;

static const Family reuse_methods;
static const Option clone_options[] = {
    {.name = "weights", .kind = OPT_BOOL, .offset = offsetof(CloneCall, weights),
     .value = "true",
     .doc = "copy the values of parameters and statistics, and which are frozen; else "
            "the new net draws its own"},
    {0}};

const Kind clone_method = {
    .name = "clone", .family = &reuse_methods, .size = sizeof(CloneCall),
    .options = clone_options, .doc = "A net of the same layers."};

static const Kind *const reuse_kinds[] = {&clone_method, NULL};
static const Family reuse_methods = {.name = "net",
                                     .module = "net",
                                     .kinds = reuse_kinds};

int net_clone(lua_State *L) {
  Graph *graph = session_graph(L);
  Layer *net = check_net(L);
  CloneCall *call = (CloneCall *)bind_object_from_args(L, 2, &clone_method);
  bool weights = call->weights;
  object_release(call);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  Layer *copy = layer_clone(graph, net, weights, &fault);
  graph_scope_end(graph, scope);
  return push_net(L, copy, &fault);
}
