/* set_box.c: data sets as values of Lua, and as options.
 *
 * A box is pushed before the thing it will own is made, so that no error can leak
 * it. */
#include "lua/set_private.h"

Dataset **set_new_box(lua_State *L) {
  Dataset **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, SET_META);
  return box;
}

Dataset *bind_to_dataset(lua_State *L, int arg) {
  Dataset **box = luaL_testudata(L, arg, SET_META);
  return box ? *box : NULL;
}

static void *get_dataset(lua_State *L, int arg, Fault *fault) {
  Source *source = bind_to_object(L, arg, &dataset_family);
  if (source)
    fault_set(fault, ERR_VALUE, "%s has several parts; take one of them, as in .train",
              source->object.kind->name);
  Dataset *set = bind_to_dataset(L, arg);
  return set ? dataset_retain(set) : NULL;
}

static void push_dataset(lua_State *L, void *set) {
  *set_new_box(L) = dataset_retain(set);
}

Dataset *bind_check_dataset(lua_State *L, int arg) {
  Dataset *set = bind_to_dataset(L, arg);
  if (set) return set;
  Source *source = bind_to_object(L, arg, &dataset_family);
  if (source)
    luaL_error(L, "%s has several parts; take one of them, as in .train",
               source->object.kind->name);
  if (bind_is_tensor(L, arg))
    luaL_argerror(L, arg,
                  "got a tensor; allowed: a data set, as data.set(x, y) makes one");
  luaL_typeerror(L, arg, "data set");
  return NULL;
}

const RefBinding set_ref_binding = {&dataset_ref_type, get_dataset, push_dataset};

int set_store(lua_State *L, Dataset **box, Dataset *made, const Fault *fault) {
  *box = made;
  return made ? 1 : bind_raise_fault(L, fault);
}

int set_no_field(lua_State *L, const char *what, const char *name,
                 const char *const *names, int n) {
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(L,
                    nearest ? "%s has no field or method \"%s\"; did you mean \"%s\"?"
                            : "%s has no field or method \"%s\"",
                    what, name, nearest);
}

void *set_arguments(lua_State *L, const Kind *kind) {
  Object *call = bind_object_from_args(L, 2, kind);
  bind_push_object(L, call);
  object_release(call);
  return call;
}

uint64_t set_seed(lua_State *L, int64_t seed) {
  return seed > 0 ? (uint64_t)seed : session_graph(L)->seed;
}

void set_add_metatable(lua_State *L, const char *name, const luaL_Reg *functions) {
  bind_new_metatable(L, name);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
