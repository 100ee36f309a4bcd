/* lab_json.c: values between Lua and JSON. */
#include "lua/lab.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* Metatable of tables that are lists even when they are empty. */
#define LIST_META "runner.list"

void mark_list(lua_State *L, int arg) {
  arg = lua_absindex(L, arg);
  luaL_newmetatable(L, LIST_META);
  lua_setmetatable(L, arg);
}

static bool is_list(lua_State *L, int arg) {
  if (lua_rawlen(L, arg) > 0) return true;
  if (!lua_getmetatable(L, arg)) return false;
  luaL_getmetatable(L, LIST_META);
  bool marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return marked;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key that is no UTF-8, or holds a zero byte, would come back as another one. */
static bool check_key(lua_State *L, int arg, Fault *fault) {
  size_t n;
  const char *key = lua_tolstring(L, arg, &n), *at = key, *end = key + n;
  for (size_t bytes = 1; at < end && *at && bytes; at += bytes) {
    uint32_t code;
    bytes = utf8_next(at, end, &code);
  }
  if (at == end && strlen(key) == n) return true;
  fault_set(fault, ERR_VALUE,
            "a table with the key \"%s\" cannot be written down; allowed: UTF-8 "
            "without zero bytes",
            key);
  return false;
}

/* New: the string keys, sorted; they live as long as the table. NULL and a fault on
 * lack of memory, and for a key that cannot be written. */
static const char **sorted_keys(lua_State *L, int arg, int *n, Fault *fault) {
  int room = 0;
  *n = 0;
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    room++;
    if (lua_type(L, -2) != LUA_TSTRING || check_key(L, -2, fault)) continue;
    lua_pop(L, 2);
    return NULL;
  }
  const char **keys = malloc(((size_t)room + 1) * sizeof *keys);
  for (lua_pushnil(L); keys && lua_next(L, arg); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) keys[(*n)++] = lua_tostring(L, -2);
  if (keys) qsort(keys, (size_t)*n, sizeof *keys, by_bytes);
  else fault_memory(fault, (size_t)room * sizeof *keys);
  return keys;
}

static Json *map_from_lua(lua_State *L, int arg, Fault *fault) {
  int n;
  const char **keys = sorted_keys(L, arg, &n, fault);
  Json *map = keys ? json_map() : NULL;
  if (keys && !map) fault_memory(fault, 0);
  for (int i = 0; map && i < n; i++) {
    lua_pushstring(L, keys[i]);
    lua_rawget(L, arg);
    Json *value = json_from_lua(L, -1, fault);
    lua_pop(L, 1);
    json_put(map, keys[i], value);
    if (value) continue;
    json_free(map);
    map = NULL;
  }
  free(keys);
  return map;
}

static Json *list_from_lua(lua_State *L, int arg, Fault *fault) {
  Json *list = json_list();
  if (!list) fault_memory(fault, 0);
  for (lua_Integer i = 1; list && i <= (lua_Integer)lua_rawlen(L, arg); i++) {
    lua_rawgeti(L, arg, i);
    Json *value = json_from_lua(L, -1, fault);
    lua_pop(L, 1);
    json_push(list, value);
    if (value) continue;
    json_free(list);
    list = NULL;
  }
  return list;
}

static Json *plain_from_lua(lua_State *L, int arg, Fault *fault) {
  Json *holder = json_map();
  switch (lua_type(L, arg)) {
  case LUA_TNUMBER:
    if (lua_isinteger(L, arg)) json_put_int(holder, "value", lua_tointeger(L, arg));
    else json_put_number(holder, "value", lua_tonumber(L, arg));
    break;
  case LUA_TSTRING: json_put_text(holder, "value", lua_tostring(L, arg)); break;
  case LUA_TBOOLEAN: json_put_bool(holder, "value", lua_toboolean(L, arg)); break;
  case LUA_TNIL: json_put_text(holder, "value", NULL); break;
  default:
    json_free(holder);
    fault_set(fault, ERR_VALUE, "a %s cannot be written down", luaL_typename(L, arg));
    return NULL;
  }
  Json *value = json_share(json_find(holder, "value"));
  json_free(holder);
  if (!value) fault_memory(fault, 0);
  return value;
}

Json *json_from_lua(lua_State *L, int arg, Fault *fault) {
  arg = lua_absindex(L, arg);
  if (!lua_checkstack(L, 8)) {
    fault_memory(fault, 0);
    return NULL;
  }
  if (lua_type(L, arg) != LUA_TTABLE) return plain_from_lua(L, arg, fault);
  return is_list(L, arg) ? list_from_lua(L, arg, fault) : map_from_lua(L, arg, fault);
}

void push_json(lua_State *L, const Json *json) {
  int64_t whole;
  double number;
  const char *text;
  bool yes;
  luaL_checkstack(L, 4, "JSON is nested too deeply");
  if (json_get_int(json, &whole)) lua_pushinteger(L, whole);
  else if (json_get_text(json, &text)) lua_pushstring(L, text);
  else if (json_get_number(json, &number)) bind_push_real(L, number);
  else if (json_get_bool(json, &yes)) lua_pushboolean(L, yes);
  else if (json && json_kind(json) == JSON_KIND_LIST) {
    lua_createtable(L, (int)json_count(json), 0);
    for (int64_t i = 0; i < json_count(json); i++) {
      push_json(L, json_item(json, i));
      lua_rawseti(L, -2, i + 1);
    }
  } else if (json && json_kind(json) == JSON_KIND_MAP) {
    lua_createtable(L, 0, (int)json_count(json));
    for (void *it = json_first(json); it; it = json_next(json, it)) {
      push_json(L, json_value(it));
      lua_setfield(L, -2, json_key(it));
    }
  } else lua_pushnil(L);
}

void push_numbers(lua_State *L, const Json *map) {
  double number;
  lua_newtable(L);
  for (void *it = json_first(map); it; it = json_next(map, it)) {
    if (!json_get_number(json_value(it), &number)) continue;
    bind_push_real(L, number);
    lua_setfield(L, -2, json_key(it));
  }
}
