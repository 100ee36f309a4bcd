/* class_weight.c: the option class_weight of a fit: { 1, 2, 0.5 }, a weight for each
 * class in their order, or { cat = 2, [3] = 0.5 }, by name or label, where the others
 * weigh 1. */
#include "lua/sources.h"
#include "train/train.h"
#include <math.h>

/* The number at the top, popped. */
static double pop_weight(lua_State *L) {
  bool number = lua_type(L, -1) == LUA_TNUMBER;
  double w = number ? lua_tonumber(L, -1) : NAN;
  if (!(w >= 0 && w <= REAL_MAX))
    luaL_error(L,
               "train.fit: option \"class_weight\": got %s; allowed: finite numbers, 0 "
               "or more",
               number ? luaL_tolstring(L, -1, NULL) : luaL_typename(L, -1));
  lua_pop(L, 1);
  return w;
}

/* The label that the key below the top is or names. */
static int64_t label_of(lua_State *L, const Dataset *set) {
  int64_t n = dataset_classes(set);
  if (lua_type(L, -2) == LUA_TSTRING) {
    Fault fault = {0};
    int64_t class = dataset_class_of(set, lua_tostring(L, -2), &fault);
    if (class) return class;
    luaL_error(L, "train.fit: option \"class_weight\": %s", fault.text);
  }
  int whole;
  lua_Integer label = lua_tointegerx(L, -2, &whole);
  if (!whole || label < 1 || label > n)
    luaL_error(L,
               "train.fit: option \"class_weight\": got a weight for %s; allowed: "
               "labels from 1 to %I",
               luaL_tolstring(L, -2, NULL), (LUAI_UACINT)n);
  return label;
}

static void read_list(lua_State *L, int arg, Tensor *out) {
  for (int64_t i = 0; i < tensor_count(out); i++) {
    lua_rawgeti(L, arg, i + 1);
    array_set(&out->a, i, pop_weight(L));
  }
}

static void read_map(lua_State *L, int arg, const Dataset *set, Tensor *out) {
  for (int64_t i = 0; i < tensor_count(out); i++) array_set(&out->a, i, 1);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    int64_t label = label_of(L, set);
    array_set(&out->a, label - 1, pop_weight(L));
  }
}

void bind_read_class_weight(lua_State *L, int arg, Dataset *set, Tensor **out) {
  Fault fault = {0};
  arg = lua_absindex(L, arg);
  if (lua_type(L, arg) != LUA_TTABLE)
    luaL_error(L,
               "train.fit: option \"class_weight\": got a %s; allowed: a list of "
               "numbers, or a table by name or label of a class",
               luaL_typename(L, arg));
  if (dataset_load(set, &fault)) bind_raise_fault(L, &fault);
  int64_t n_list = (int64_t)lua_rawlen(L, arg);
  int64_t n = n_list ? n_list : dataset_classes(set);
  *out = tensor_new(&session_graph(L)->memory, DT_REAL, &SHAPE_OF(n), &fault);
  if (!*out) bind_raise_fault(L, &fault);
  if (n_list) read_list(L, arg, *out);
  else if (n) read_map(L, arg, set, *out);
}

/* Lists and tables are read above, before the options are set. */
static void *no_weights(lua_State *L, int arg, Fault *fault) {
  (void)L, (void)arg, (void)fault;
  return NULL;
}

static void push_weights(lua_State *L, void *weights) {
  bind_push_node(L, graph_const(session_graph(L), weights));
}

const RefBinding class_weight_binding = {&class_weight_ref_type, no_weights,
                                         push_weights};
