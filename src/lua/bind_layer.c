/* bind_layer.c: a Lua table with a function `forward` is a layer.
 *
 *   { w = tensor.variable(...), inner = nn.Dense(3),
 *     rest = { nn.Dense(2), nn.Dense(1) },
 *     forward = function(self, x, ...) return ... end,
 *     parameters = function(self) return { ... } end }
 *
 * It trains the variables and layers that are in its fields, or in lists there, and
 * the variables that `parameters` gives. They are looked at once, when the table
 * becomes a layer. In order of the fields' names, since pairs() has none; each counts
 * once. */
#include "lua/net_private.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

/* upvalue 1: the table. forward(self, x, ...) */
static int call_forward(lua_State *L) {
  int n = lua_gettop(L);
  lua_getfield(L, lua_upvalueindex(1), "forward");
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 2);
  lua_call(L, n + 1, LUA_MULTRET);
  return lua_gettop(L);
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

/* -- what it trains ---------------------------------------------------------------- */

typedef struct Members {
  Layer **layers; /* these and the variables: borrowed from the Lua stack */
  Variable **variables;
  const char **names; /* of the variables; kept by the Lua stack */
  int n_layers, n_variables;
  int64_t layer_room, variable_room, name_room;
} Members;

static void members_deinit(Members *m) {
  free(m->layers);
  free(m->variables);
  free(m->names);
}

static bool add_layer(Members *m, Layer *layer) {
  if (ARRAY_ROOM(m->layers, m->layer_room, m->n_layers + 1, NULL)) return false;
  m->layers[m->n_layers++] = layer;
  return true;
}

static bool add_variable(Members *m, Variable *variable, const char *name) {
  if (ARRAY_ROOM(m->variables, m->variable_room, m->n_variables + 1, NULL) ||
      ARRAY_ROOM(m->names, m->name_room, m->n_variables + 1, NULL))
    return false;
  m->variables[m->n_variables] = variable;
  m->names[m->n_variables++] = name;
  return true;
}

static bool has_member(const Members *m, const Layer *layer, const Variable *variable) {
  for (int i = 0; layer && i < m->n_layers; i++)
    if (m->layers[i] == layer) return true;
  for (int i = 0; variable && i < m->n_variables; i++)
    if (m->variables[i] == variable) return true;
  return false;
}

/* Lists in lists; one that holds itself has an end, too. */
enum { LIST_DEPTH = 8 };

/* The value at the top, if it is a layer or a variable, called `name`. It stays there:
 * what `parameters` does to the table must not free it. */
static void take_member(lua_State *L, Members *m, const char *name) {
  Layer *layer = bind_to_object(L, -1, &layer_family);
  Variable *variable = bind_to_variable(L, -1);
  if ((!layer && !variable) || has_member(m, layer, variable)) return;
  if (!(layer ? add_layer(m, layer) : add_variable(m, variable, name)))
    luaL_error(L, "out of memory");
}

/* The elements of the list at `list`, called "name_1" and so on, and those of lists in
 * it. They and their names stay on the stack. */
static void take_list(lua_State *L, Members *m, int list, const char *name, int depth) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 1; i <= n; i++) {
    luaL_checkstack(L, 8, "too many layers or variables");
    int type = lua_rawgeti(L, list, i);
    if (type != LUA_TTABLE && type != LUA_TUSERDATA) {
      lua_pop(L, 1);
      continue;
    }
    const char *own = lua_pushfstring(L, "%s_%I", name, (LUAI_UACINT)i);
    lua_insert(L, -2);
    if (type == LUA_TTABLE && depth < LIST_DEPTH)
      take_list(L, m, lua_gettop(L), own, depth + 1);
    else take_member(L, m, own);
  }
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the table's fields, sorted: n of them, in a userdata. It is pushed, and
 * a list that keeps the names where the table does not. */
static const char **field_names(lua_State *L, int table, int *n) {
  *n = 0;
  lua_newtable(L);
  int kept = lua_gettop(L);
  lua_pushnil(L);
  for (; lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    lua_pushvalue(L, -2);
    lua_rawseti(L, kept, ++*n);
  }
  const char **names = lua_newuserdatauv(L, sizeof *names * (size_t)(*n + 1), 0);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, kept, i + 1);
    names[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  if (*n) qsort(names, (size_t)*n, sizeof *names, by_text);
  return names;
}

/* (table, members): fields, lists of fields, then what `parameters` gives. The results,
 * which are kept, hold the members and their names. */
static int list_members(lua_State *L) {
  Members *m = lua_touserdata(L, 2);
  int n;
  const char **names = field_names(L, 1, &n);
  for (int i = 0; i < n; i++) {
    luaL_checkstack(L, 8, "too many fields");
    lua_pushstring(L, names[i]);
    lua_rawget(L, 1);
    int value = lua_gettop(L);
    if (lua_type(L, value) == LUA_TTABLE) take_list(L, m, value, names[i], 1);
    lua_pushvalue(L, value);
    take_member(L, m, names[i]);
  }
  if (lua_getfield(L, 1, "parameters") == LUA_TFUNCTION) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_type(L, -1) == LUA_TTABLE) take_list(L, m, lua_gettop(L), "parameter", 1);
  }
  return lua_gettop(L) - 2;
}

/* Of the table at `arg`. Returns new. */
static Object *layer_from_table(lua_State *L, int arg, Fault *fault) {
  Members m = {0};
  Layer *layer = NULL;
  int top = lua_gettop(L);
  lua_pushcfunction(L, list_members);
  lua_pushvalue(L, arg);
  lua_pushlightuserdata(L, &m);
  Err err = bind_call_protected(L, 2, LUA_MULTRET, fault);
  lua_pushvalue(L, arg);
  lua_pushcclosure(L, call_forward, 1);
  Callable *forward = err ? NULL : bind_callable_from_lua(L, lua_gettop(L), fault);
  if (forward)
    layer = layer_custom_new(forward, m.layers, m.n_layers, m.variables, m.names,
                             m.n_variables, fault);
  callable_release(forward);
  members_deinit(&m);
  lua_settop(L, top);
  return (Object *)layer;
}

Object *bind_layer_from_value(lua_State *L, int arg, Fault *fault) {
  Object *activation = bind_to_object(L, arg, &activation_family);
  if (activation)
    return (Object *)layer_activation_new((Activation *)activation, fault);
  arg = lua_absindex(L, arg);
  if (lua_type(L, arg) == LUA_TTABLE && has_forward(L, arg))
    return layer_from_table(L, arg, fault);
  bool list = lua_type(L, arg) == LUA_TTABLE && lua_rawlen(L, arg) > 0;
  bind_refuse_value(L, arg,
                    list ? " that is a list (write nn.Sequential { ... })"
                    : lua_type(L, arg) == LUA_TTABLE ? " without a function `forward`"
                                                     : "",
                    fault);
  return NULL;
}
