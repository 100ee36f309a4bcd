/* bind_init.c: the global `init`: initializers, gains of activations, LSUV. */
#include "lua/core.h"
#include "lua/reflect.h"
#include "graph/ops.h"
#include "nn/nn.h"

/* init.orthogonal()(3, 3): a tensor of that shape; of weights [in, out], fan-in and
 * fan-out. */
static int init_call(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Init *init = bind_check_object(L, 1, &init_family);
  Shape shape;
  int next = bind_check_shape(L, 2, &shape);
  if (next <= lua_gettop(L) || shape.rank < 1)
    return luaL_error(L, "an initializer takes sizes, as in init.he_normal()(3, 4)");
  for (int i = 0; i < shape.rank; i++)
    if (shape.dim[i] < 1)
      return luaL_error(L, "size %d is %I; allowed: at least 1", i + 1,
                        (LUAI_UACINT)shape.dim[i]);
  double fan_in = (double)shape.dim[0], fan_out = (double)shape.dim[shape.rank - 1];
  InitCall call = {.shape = &shape, .fan_in = fan_in, .fan_out = fan_out,
                   .stream = "call"};
  bind_push_node(L, init_make(graph, init, &call));
  graph_scope_end(graph, scope);
  return 1;
}

static const Function init_methods[] = {{"__call", init_call, NULL, NULL, NULL}, {0}};
static const FamilyBinding init_binding = {.family = &init_family,
                                           .methods = init_methods};

/* init.gain("leaky_relu", 0.2): a name with what its constructor takes; or an
 * activation. */
static int gain(lua_State *L) {
  bool named = lua_type(L, 1) == LUA_TSTRING;
  Fault fault = {0};
  double g;
  const Kind *kind = named ? family_find(&activation_family, lua_tostring(L, 1), &fault)
                           : NULL;
  if (named && !kind) return bind_raise_fault(L, &fault);
  Object *activation = named ? bind_object_from_args(L, 2, kind)
                             : bind_object_from_lua(L, 1, &activation_family, &fault);
  if (!activation) {
    fault_prefix(&fault, "init.gain: got");
    return bind_raise_fault(L, &fault);
  }
  Err err = init_gain((Activation *)activation, &g, &fault);
  object_release(activation);
  if (err) return bind_raise_fault(L, &fault);
  lua_pushnumber(L, g);
  return 1;
}

static const Option lsuv_options[] = {
    {.name = "tolerance", .kind = OPT_REAL, .offset = offsetof(Lsuv, tolerance),
     .value = "0.1", .lo = 0, .hi = 1, .open = true, .alias = "tol",
     .doc = "largest distance from 1 of the variance of a layer's outputs"},
    {.name = "trials", .kind = OPT_INT, .offset = offsetof(Lsuv, trials), .value = "10",
     .lo = 1, .hi = 1000, .alias = "max_trials",
     .doc = "largest number of times that the weight of a layer is scaled"},
    {0}};

static const Kind lsuv_function;
static const Kind *const lsuv_kinds[] = {&lsuv_function, NULL};
static const Family lsuv_family = {.name = "function",
                                   .module = "init",
                                   .kinds = lsuv_kinds};

static const Kind lsuv_function = {
    .name = "lsuv", .family = &lsuv_family, .size = sizeof(Lsuv),
    .options = lsuv_options,
    .doc = "weights that give every layer outputs of variance 1"};

/* init.lsuv(net, x, { options }) -> net */
static int lsuv(lua_State *L) {
  Graph *graph = session_graph(L);
  Layer *net = bind_check_object(L, 1, &layer_family);
  if (!bind_is_tensor(L, 2))
    return luaL_error(L, "init.lsuv: argument 2 is %s; allowed: a tensor, a batch",
                      bind_argument_text(L, 2));
  Lsuv *call = (Lsuv *)bind_object_from_args(L, 3, &lsuv_function);
  int scope = bind_enter_call(L);
  Ports in = layer_ports_of(bind_check_node(L, 2), NULL);
  Fault fault = {0};
  Err err = layer_lsuv(graph, net, &in, call, &fault);
  object_release(call);
  graph_scope_end(graph, scope);
  if (err) return bind_raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

int open_init(lua_State *L) {
  static const Function functions[] = {
      {"lsuv", lsuv, "init.lsuv(net, x, { options })",
       "Initializes the net by a batch x (LSUV): orthogonal weights, scaled so that "
       "the outputs of each layer have variance 1 before its activation (Mishkin & "
       "Matas, ICLR 2016). Frozen weights stay. Returns the net.",
       &lsuv_function},
      {"gain", gain, "init.gain(activation, { options })",
       "The gain with which weights keep the variance through an activation; it takes "
       "that activation's options.",
       NULL},
      {0}};
  lua_newtable(L);
  bind_register_family(L, &init_binding);
  reflect_set_functions(L, functions);
  return 1;
}
