/* session.c: a Lua state with the library in it.
 *
 * The library's names (modules.def and what lua/lib returns) live in a table behind _G,
 * so that they can be read but not assigned. Scripts run with strict globals: reading
 * or assigning a name that was not declared is an error. */
#include "lua/lab.h"
#include "lua/checkpoints.h"
#include "lua/interrupt.h"
#include "lua/reflect.h"
#include "lua/run_record.h"
#include "lua/trace.h"
#include "base/environment.h"
#include "base/out.h"
#include "graph/op.h"
#include <string.h>

/* Registry: the table of the library's names; that of the functions which C calls. */
static const char names_key = 0, hooks_key = 0;
/* Registry: the globals of code typed at the prompt; those of the library's Lua part;
 * the state of math.random. */
static const char prompt_key = 0, private_key = 0, random_key = 0;

/* -- strict globals ---------------------------------------------------------------- */

enum { MAX_NAMES = 1024 };

/* Adds the string keys of the table at `at` to the names. */
static int add_names(lua_State *L, int at, const char **names, int n) {
  lua_pushnil(L);
  while (lua_next(L, at)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && n < MAX_NAMES)
      names[n++] = lua_tostring(L, -1);
  }
  return n;
}

/* The nearest name in the library, _G or what was declared at the prompt, or NULL.
 * Leaves what it found on the stack. */
static const char *nearest_name(lua_State *L, const char *name) {
  const char *names[MAX_NAMES];
  int n = 0, top = lua_gettop(L);
  lua_pushglobaltable(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &prompt_key);
  for (int at = top + 1; at <= top + 3; at++)
    if (lua_istable(L, at)) n = add_names(L, at, names, n);
  return text_nearest(name, names, n);
}

static int read_global(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  const char *name = luaL_tolstring(L, 2, NULL);
  const char *nearest = nearest_name(L, name);
  return luaL_error(L,
                    nearest ? "undeclared global \"%s\"; did you mean \"%s\"?"
                            : "undeclared global \"%s\"",
                    name, nearest);
}

/* Is the name at stack index 2 one of the library? */
static bool is_library_name(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_pushvalue(L, 2);
  bool library = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return library;
}

static int write_global(lua_State *L) {
  const char *name = luaL_tolstring(L, 2, NULL);
  return luaL_error(L,
                    is_library_name(L)
                        ? "\"%s\" is the library's and cannot be assigned; write "
                          "`local %s = ...`"
                        : "assigning undeclared global \"%s\"; write `local %s = ...`",
                    name, name);
}

static void make_globals_strict(lua_State *L) {
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, read_global);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, write_global);
  lua_setfield(L, -2, "__newindex");
  lua_pushliteral(L, "strict");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* At the prompt: a new global, unless the name is the library's. */
static int write_prompt_global(lua_State *L) {
  if (is_library_name(L)) return write_global(L);
  lua_pushglobaltable(L);
  lua_replace(L, 1);
  lua_rawset(L, 1);
  return 0;
}

void push_prompt_globals(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &prompt_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &prompt_key);
  lua_createtable(L, 0, 2);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, write_prompt_global);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
}

/* -- output through one door, so that it lands in the record ----------------------- */

/* Pushes the value's text as the prompt shows it (lib/prompt_show.lua). */
static void push_shown(lua_State *L, int arg) {
  int type = lua_type(L, arg);
  if (bind_is_nan(L, arg)) {
    lua_pushliteral(L, "nan");
  } else if (type == LUA_TTABLE || type == LUA_TFUNCTION) {
    push_hook(L, "show");
    lua_pushvalue(L, arg);
    lua_call(L, 1, 1);
  } else {
    luaL_tolstring(L, arg, NULL);
  }
}

static int lua_print(lua_State *L) {
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    size_t n_bytes;
    push_shown(L, i);
    const char *text = lua_tolstring(L, -1, &n_bytes);
    if (i > 1) out_write("\t", 1);
    out_write(text, n_bytes);
    lua_pop(L, 1);
  }
  out_write("\n", 1);
  return 0;
}

static int lua_write(lua_State *L) {
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    size_t n_bytes = strlen("nan");
    const char *text = bind_is_nan(L, i) ? "nan" : luaL_checklstring(L, i, &n_bytes);
    out_write(text, n_bytes);
  }
  lua_getglobal(L, "io");
  lua_getfield(L, -1, "stdout");
  return 1;
}

static void replace_output(lua_State *L) {
  lua_pushcfunction(L, lua_print);
  lua_setglobal(L, "print");
  lua_getglobal(L, "io");
  lua_pushcfunction(L, lua_write);
  lua_setfield(L, -2, "write");
  lua_pop(L, 1);
}

void seed_all(lua_State *L, lua_Integer seed) {
  graph_seed(session_graph(L), (uint64_t)seed);
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, seed);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

/* Lua keeps the state of math.random in a userdata that its functions share:
 * checkpoints hold its bytes. Anchored, should a script put another function in its
 * place. */
static void find_random(lua_State *L) {
  Session *s = session(L);
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "random");
  must(lua_getupvalue(L, -1, 1) && lua_type(L, -1) == LUA_TUSERDATA);
  s->resume.random = lua_touserdata(L, -1);
  s->resume.random_bytes = lua_rawlen(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &random_key);
  lua_pop(L, 2);
}

/* -- what the Lua part of the library gets ----------------------------------------- */

static int internal_nearest(lua_State *L) {
  const char *names[MAX_NAMES];
  int n = add_names(L, 2, names, 0);
  lua_pushstring(L, text_nearest(luaL_checkstring(L, 1), names, n));
  return 1;
}

/* Raises a fault of the command line: exit status 2. */
static int internal_usage_error(lua_State *L) {
  Fault fault = {0};
  fault_set(&fault, ERR_USAGE, "%s", luaL_checkstring(L, 1));
  lua_pushstring(L, fault.text);
  return bind_raise_text(L, fault.code);
}

/* Ends the script without a fault. */
static int internal_stop(lua_State *L) {
  session(L)->stopped = true;
  lua_pushliteral(L, "stopped");
  return lua_error(L);
}

/* (name, value, origin): one resolved argument, for the record. */
static int internal_record_argument(lua_State *L) {
  Json *args = json_find(session(L)->record->config, "args");
  const char *name = luaL_checkstring(L, 1);
  json_put_text(session(L)->record->origins, name, luaL_checkstring(L, 3));
  switch (lua_type(L, 2)) {
  case LUA_TBOOLEAN: json_put_bool(args, name, lua_toboolean(L, 2)); break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, 2)) json_put_int(args, name, lua_tointeger(L, 2));
    else json_put_number(args, name, lua_tonumber(L, 2));
    break;
  default: json_put_text(args, name, luaL_tolstring(L, 2, NULL)); break;
  }
  return 0;
}

/* (seed, origin) */
static int internal_set_seed(lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1);
  seed_all(L, seed);
  json_put_text(session(L)->record->origins, "seed", luaL_checkstring(L, 2));
  json_put_int(session(L)->record->config, "seed", seed);
  return 0;
}

static int internal_columns(lua_State *L) {
  lua_pushinteger(L, out_columns());
  return 1;
}

static int internal_value_columns(lua_State *L) {
  lua_pushinteger(L, bind_value_columns(L));
  return 1;
}

static const luaL_Reg internal_functions[] = {
    {"nearest", internal_nearest},       {"usage_error", internal_usage_error},
    {"stop", internal_stop},             {"record_argument", internal_record_argument},
    {"set_seed", internal_set_seed},     {"columns", internal_columns},
    {"value_columns", internal_value_columns},
    {"trace", lua_trace},
    {NULL, NULL}};

/* Lua's reserved words (manual, section 3.1) as a list. */
static void push_keywords(lua_State *L) {
  static const char *const words[] = {
      "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto",
      "if",
      "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until",
      "while"};
  enum { N = sizeof words / sizeof *words };
  lua_createtable(L, N, 0);
  for (int i = 0; i < N; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_internal(lua_State *L) {
  Session *s = session(L);
  luaL_newlib(L, internal_functions);
  reflect_open(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_setfield(L, -2, "names");
  lua_pushboolean(L, out_colour_on());
  lua_setfield(L, -2, "colour");
  lua_newtable(L);
  lua_setfield(L, -2, "documented");
  lua_pushliteral(L, "=" LIBRARY_CHUNK);
  lua_setfield(L, -2, "library_chunk");
  push_keywords(L);
  lua_setfield(L, -2, "keywords");
  lua_createtable(L, s->launch.n_args, 0);
  for (int i = 0; i < s->launch.n_args; i++) {
    lua_pushstring(L, s->launch.args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "words");
  lua_pushboolean(L, s->launch.want_help);
  lua_setfield(L, -2, "want_help");
  lua_pushstring(L, s->launch.script);
  lua_setfield(L, -2, "script");
  lua_pushstring(L, s->launch.code);
  lua_setfield(L, -2, "chunk");
  add_lab_functions(L);
}

/* Copies the table at `from`, if there is one, into that of the registry. */
static void join_table(lua_State *L, int from, const void *key) {
  if (!lua_istable(L, from)) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_pushnil(L);
  while (lua_next(L, from)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
}

/* A copy of the globals that the library's Lua part sees: what a user does to his
 * leaves it alone. */
static void keep_private_globals(lua_State *L) {
  lua_newtable(L);
  lua_pushglobaltable(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &private_key);
}

/* Runs one embedded file with the internal table at `internal`. It returns the names
 * that scripts see, then functions that C calls. */
static void open_lua_lib(lua_State *L, const struct LuaLib *lib, int internal) {
  int top = lua_gettop(L);
  if (luaL_loadbufferx(L, (const char *)lib->code, lib->n_bytes, lib->name, "b"))
    lua_error(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &private_key);
  lua_setupvalue(L, -2, 1);
  lua_pushvalue(L, internal);
  lua_call(L, 1, 2);
  join_table(L, top + 1, &names_key);
  join_table(L, top + 2, &hooks_key);
  lua_settop(L, top);
}

/* Is it a part, which is run when it is first needed? */
static bool is_part(const struct LuaLib *lib) { return strchr(lib->name, '_') != NULL; }

/* __index of the internal table: runs the part that gives it this field. */
static int read_internal(lua_State *L) {
  const char *field = lua_tostring(L, 2);
  for (const struct LuaLib *lib = lua_lib; field && lib->name; lib++)
    if (is_part(lib) && strcmp(strchr(lib->name, '_') + 1, field) == 0) {
      open_lua_lib(L, lib, 1);
      lua_pushstring(L, field);
      lua_rawget(L, 1);
      return 1;
    }
  return 0;
}

/* The value at the top becomes the __index of the table below it. The hooks have the
 * internal table: a hook that no file returned is a field that a part gives. */
static void set_index(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

static void open_lua_libs(lua_State *L) {
  push_internal(L);
  lua_pushcfunction(L, read_internal);
  set_index(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushvalue(L, -2);
  set_index(L);
  lua_pop(L, 1);
  for (const struct LuaLib *lib = lua_lib; lib->name; lib++)
    if (!is_part(lib)) open_lua_lib(L, lib, lua_gettop(L));
  lua_pop(L, 1);
}

void push_hook(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void check_arguments(lua_State *L) {
  if (session(L)->arguments_checked) return;
  session(L)->arguments_checked = true;
  push_hook(L, "check_arguments");
  lua_call(L, 0, 0);
}

/* -- strict modules ---------------------------------------------------------------- */

/* The module that has the name, as "loss.mse", on the stack; or nil. */
static void push_path_elsewhere(lua_State *L, const char *name) {
  int top = lua_gettop(L);
  const char *const modules[] = {
#define MODULE(module) #module,
#include "lua/modules.def"
#undef MODULE
      NULL};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  for (int i = 0; modules[i]; i++) {
    if (lua_getfield(L, top + 1, modules[i]) == LUA_TTABLE) {
      lua_pushstring(L, name);
      if (lua_rawget(L, -2) != LUA_TNIL) {
        lua_settop(L, top);
        lua_pushfstring(L, "%s.%s", modules[i], name);
        return;
      }
    }
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  lua_pushnil(L);
}

/* __index of a module; upvalue 1: its name. */
static int read_module(lua_State *L) {
  const char *names[MAX_NAMES], *module = lua_tostring(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *name = luaL_tolstring(L, 2, NULL);
  push_path_elsewhere(L, name);
  if (!lua_isnil(L, -1))
    return luaL_error(L, "%s has no \"%s\"; did you mean %s?", module, name,
                      lua_tostring(L, -1));
  int n = add_names(L, 1, names, 0);
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(L,
                    nearest ? "%s has no \"%s\"; did you mean \"%s\"?"
                            : "%s has no \"%s\"; help(%s) lists what it has",
                    module, name, nearest ? nearest : module);
}

/* The module at the top, if it is a table, raises errors for names that it has not. */
static void make_strict(lua_State *L, const char *name) {
  if (!lua_istable(L, -1)) return;
  if (!lua_getmetatable(L, -1)) lua_newtable(L);
  lua_pushstring(L, name);
  lua_pushcclosure(L, read_module, 1);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "strict");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

/* -- opening ----------------------------------------------------------------------- */

static void open_modules(lua_State *L) {
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
#define MODULE(name)                                                                   \
  open_##name(L);                                                                      \
  make_strict(L, #name);                                                               \
  lua_pushvalue(L, -1);                                                                \
  lua_setfield(L, -4, #name);                                                          \
  lua_setfield(L, -2, "runner." #name);
#include "lua/modules.def"
#undef MODULE
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "runner");
  lua_pop(L, 2);
}

/* Nothing made here is garbage: the first collection begins when as much has been made
 * again. (A step of a negative size is a loan to the collector.) */
static int open_all(lua_State *L) {
  lua_gc(L, LUA_GCSTOP);
  luaL_openlibs(L);
  replace_output(L);
  bind_replace_catchers(L);
  find_random(L);
  seed_all(L, (lua_Integer)session(L)->graph.seed);
  open_modules(L);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hooks_key);
  keep_private_globals(L);
  open_lua_libs(L);
  make_globals_strict(L);
  lua_gc(L, LUA_GCRESTART);
  lua_gc(L, LUA_GCSTEP, -lua_gc(L, LUA_GCCOUNT));
  return 0;
}

void look_beside_script(lua_State *L, const char *path) {
  const char *end = strrchr(path, '/');
  if (end) lua_pushlstring(L, path, (size_t)(end - path)); /* "" for the root */
  else lua_pushliteral(L, ".");
  const char *directory = lua_tostring(L, -1);
  lua_getglobal(L, "package");
  if (!strpbrk(directory, ";?") && lua_getfield(L, -1, "path") == LUA_TSTRING) {
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", directory, directory,
                    lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

lua_State *session_open(Session *s, Fault *fault) {
  s->record = run_record_new(s->graph.seed);
  lua_State *L = s->record ? luaL_newstate() : NULL;
  if (!L) {
    run_record_free(s->record);
    fault_memory(fault, 0);
    return NULL;
  }
  *(Session **)lua_getextraspace(L) = s;
  s->graph.naive = env_is("RUNNER_EXECUTOR", "naive");
  s->graph.checked |= env_is("RUNNER_CHECKED", "1");
  lua_pushcfunction(L, open_all);
  if (bind_call_protected(L, 0, 0, fault)) {
    session_close(s, L);
    return NULL;
  }
  return L;
}

void session_close(Session *s, lua_State *L) {
  session_forget_checkpoints(s);
  bind_unwatch_interrupts(L);
  lua_close(L);
  run_record_free(s->record);
  s->record = NULL;
}
