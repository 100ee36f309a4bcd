/* core.c: faults as Lua errors, user functions as Callables. */
#include "lua/core.h"
#include "base/out.h"
#include "base/sys.h"
#include "lua/interrupt.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- faults ------------------------------------------------------------------------ */

/* Registry: the text that was raised last by bind_raise_text. */
static const char raised_key = 0;

static NEVER_RETURNS int raise_at(lua_State *L, Err code, FaultPlace place) {
  if (code == ERR_INTERRUPT) bind_count_interruption(L);
  session(L)->raised.code = code;
  session(L)->raised.place = place;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &raised_key);
  lua_error(L);
}

int bind_raise_text(lua_State *L, Err code) { raise_at(L, code, (FaultPlace){0}); }

int bind_raise_fault(lua_State *L, const Fault *fault) {
  if (fault->located) lua_pushliteral(L, "");
  else luaL_where(L, 1);
  lua_pushstring(L, fault->text);
  lua_concat(L, 2);
  raise_at(L, fault->code, fault->place);
}

/* Is the value at `at` what was raised last? */
static bool was_raised(lua_State *L, int at) {
  at = lua_absindex(L, at);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &raised_key);
  bool same = lua_rawequal(L, at, -1);
  lua_pop(L, 1);
  return same;
}

bool bind_is_interruption(lua_State *L, int at) {
  return session(L)->raised.code == ERR_INTERRUPT && was_raised(L, at);
}

/* A script may have caught what was raised: its code does not go with another error. */
static void forget_other_fault(lua_State *L, int error) {
  if (!was_raised(L, error)) session(L)->raised.code = ERR_OK;
}

void bind_raise_graph_fault(lua_State *L) {
  Fault fault = {0};
  if (graph_ok(session_graph(L), &fault)) bind_raise_fault(L, &fault);
}

/* Is a Lua function of a script running at this level? Its line then, and its name. */
static bool mark_level(Session *s, lua_State *L, lua_Debug *at) {
  lua_getinfo(L, "fl", at);
  const void *function = lua_topointer(L, -1);
  lua_pop(L, 1);
  if (at->currentline < 0) return false;
  KnownFile *known = &s->calls.known_files[(uintptr_t)function / 32 % KNOWN_FILES];
  if (function != known->function) {
    lua_getinfo(L, "S", at);
    if (at->source[0] == '=') return false;
    *known = (KnownFile){function, graph_intern(&s->graph, at->short_src)};
  }
  s->graph.file = known->file;
  s->graph.line = at->currentline;
  return true;
}

/* Marks the script line of the running Lua function on nodes made from now on. */
static void mark_line(lua_State *L) {
  Session *s = session(L);
  lua_Debug at;
  s->graph.file = NULL;
  for (int level = 1; lua_getstack(L, level, &at); level++) /* 0: the binding */
    if (mark_level(s, L, &at)) return;
}

/* Calls of bindings that have not ended, outermost first. One that an error ended is
 * known by its place on the C stack, which grows downwards: it lies where we are now,
 * or beyond. All others go on after us: a finalizer written in Lua runs in the middle
 * of whatever binding allocates, and must leave its nodes alone. */
int bind_enter_call(lua_State *L) {
  Session *s = session(L);
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  while (s->calls.n > s->calls.base && s->calls.v[s->calls.n - 1].frame <= here)
    graph_scope_end(&s->graph, s->calls.v[--s->calls.n].scope);
  if (s->calls.n == s->calls.base) graph_scope_end(&s->graph, s->calls.scope_base);
  mark_line(L);
  int scope = graph_scope_begin(&s->graph);
  must(s->calls.n < MAX_CALLS);
  s->calls.v[s->calls.n++] = (Call){here, scope};
  return scope;
}

/* Pushes the text of an error value. One that has no text of its own would be an
 * address, another one in each run: it is printed as Lua's own interpreter does. */
static const char *push_error_text(lua_State *L, int at) {
  at = lua_absindex(L, at);
  bool telling = lua_isstring(L, at) ||
                 luaL_getmetafield(L, at, "__tostring") != LUA_TNIL;
  if (!telling)
    return lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, at));
  return luaL_tolstring(L, at, NULL);
}

/* What a script makes of an interruption, an error of its own among others, is one. */
static Err code_of_error(bool interrupted, Err raised) {
  if (raised) return raised;
  return interrupted ? ERR_INTERRUPT : ERR_SCRIPT;
}

Err bind_fault_from_lua(lua_State *L, Fault *fault) {
  Err raised = session(L)->raised.code;
  bool first = !fault->code;
  int top = lua_gettop(L);
  fault_set(fault, code_of_error(interrupt_pending(), raised), "%s",
            push_error_text(L, -1));
  if (first) fault->located = true;
  if (first && raised == ERR_NONFINITE) fault->place = session(L)->raised.place;
  session(L)->raised.code = ERR_OK;
  lua_settop(L, top - 1);
  return fault->code;
}

static bool begins(const char *line, const char *with) {
  return strncmp(line, with, strlen(with)) == 0;
}

/* Takes the library's own frames out of the traceback on the stack, with the C
 * functions that they call and those without a name, through which they are called:
 * they are no help to who wrote the script. A tail call goes with the frame before
 * it. */
#define LIBRARY_FRAME "\n\t" LIBRARY_CHUNK
static void drop_library_frames(lua_State *L) {
  luaL_Buffer kept;
  const char *line = lua_tostring(L, -1);
  bool dropped = false;
  luaL_buffinit(L, &kept);
  while (*line) {
    size_t n = strcspn(line + 1, "\n") + 1; /* with the newline before it */
    dropped = begins(line, LIBRARY_FRAME) || begins(line, "\n\t[C]: in ?") ||
              (begins(line, "\n\t[C]: in ") && begins(line + n, LIBRARY_FRAME)) ||
              (dropped && begins(line, "\n\t(...tail"));
    if (!dropped) luaL_addlstring(&kept, line, n);
    line += n;
  }
  luaL_pushresult(&kept);
}

/* Texts alone: who catches an error value of his own gets that very value. */
static int keep_frames(lua_State *L) {
  return lua_type(L, 1) == LUA_TSTRING ? bind_with_traceback(L) : 1;
}

/* From the frame that raised it on. An error of a function that C called, a layer's or
 * a callback's, comes by here again on its way out: its traceback is whole already. The
 * fault that was raised goes on with the longer text. */
int bind_with_traceback(lua_State *L) {
  forget_other_fault(L, 1);
  const char *text = push_error_text(L, 1);
  Err code = code_of_error(interrupt_pending(), session(L)->raised.code);
  if (code == ERR_USAGE || code == ERR_INTERRUPT || code == ERR_STORAGE)
    return 1; /* no code is at fault */
  if (strstr(text, TRACEBACK_HEAD)) lua_pushstring(L, text);
  else luaL_traceback(L, L, text, 1);
  drop_library_frames(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &raised_key);
  return 1;
}

int bind_call_guarded(lua_State *L, int n_args, int n_results) {
  int handler = lua_gettop(L) - n_args;
  lua_pushcfunction(L, keep_frames);
  lua_insert(L, handler);
  int status = lua_pcall(L, n_args, n_results, handler);
  lua_remove(L, handler);
  return status;
}

Err bind_call_handled(lua_State *L, int n_args, int n_results, lua_CFunction on_error,
                      Fault *fault) {
  int handler = lua_gettop(L) - n_args;
  lua_pushcfunction(L, on_error);
  lua_insert(L, handler);
  int status = lua_pcall(L, n_args, n_results, handler);
  lua_remove(L, handler);
  return status == LUA_OK ? ERR_OK : bind_fault_from_lua(L, fault);
}

Err bind_call_protected(lua_State *L, int n_args, int n_results, Fault *fault) {
  return bind_call_handled(L, n_args, n_results, bind_with_traceback, fault);
}

LuaEntry bind_entry_begin(Session *s) {
  LuaEntry entry = {s->calls.scope_base, s->calls.base, s->calls.n, s->graph.file,
                    s->graph.line};
  s->calls.scope_base = graph_scope_begin(&s->graph);
  s->calls.base = s->calls.n;
  return entry;
}

void bind_entry_end(Session *s, const LuaEntry *entry) {
  s->calls.scope_base = entry->scope_base;
  s->calls.base = entry->base_calls;
  s->calls.n = entry->n_calls;
  s->graph.file = entry->file;
  s->graph.line = entry->line;
}

/* A light userdata has no length. */
void *bind_to_userdata(lua_State *L, int arg, const void *key) {
  const void **data = lua_touserdata(L, arg);
  return data && lua_rawlen(L, arg) >= sizeof *data && *data == key ? data : NULL;
}

void *bind_push_box(lua_State *L, size_t n_bytes, const char *meta, lua_CFunction gc) {
  void *box = memset(lua_newuserdatauv(L, n_bytes, 0), 0, n_bytes);
  if (luaL_newmetatable(L, meta)) {
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return box;
}

void bind_new_metatable(lua_State *L, const char *name) {
  luaL_newmetatable(L, name);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
}

void bind_begin_listing(lua_State *L, const void *key, const char *text) {
  lua_pushlightuserdata(L, (void *)key);
  lua_pushstring(L, text);
  lua_newtable(L);
}

void bind_add_part(lua_State *L, const char *name) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_Integer n = (lua_Integer)lua_rawlen(L, -2);
  lua_rawseti(L, -2, n + 2);
  lua_pushstring(L, name);
  lua_rawseti(L, -2, n + 1);
}

void bind_add_numbered_part(lua_State *L, const char *name, int64_t number) {
  char numbered[96];
  snprintf(numbered, sizeof numbered, "%s.%lld", name, (long long)number);
  bind_add_part(L, numbered);
}

/* -- values ------------------------------------------------------------------------ */

static void push_ints(lua_State *L, const IntList *ints) {
  lua_createtable(L, ints->n, 0);
  for (int i = 0; i < ints->n; i++) {
    lua_pushinteger(L, ints->v[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

void bind_push_real(lua_State *L, double value) {
  lua_pushnumber(L, isnan(value) ? (lua_Number)NAN : value);
}

bool bind_is_nan(lua_State *L, int arg) {
  return lua_type(L, arg) == LUA_TNUMBER && isnan(lua_tonumber(L, arg));
}

int bind_push_text(lua_State *L, Text *text) {
  bool failed = text->failed;
  if (!failed) lua_pushlstring(L, text->data ? text->data : "", text->n_bytes);
  text_deinit(text);
  return failed ? luaL_error(L, "out of memory") : 1;
}

int bind_value_columns(lua_State *L) {
  return session(L)->prompt.is_open ? out_columns() : out_page_columns();
}

void bind_push_value(lua_State *L, const Value *value) {
  switch (value->kind) {
  case VALUE_NIL:
  case VALUE_LIST: /* these two are asked for where they came from */
  case VALUE_REF:
  case VALUE_OTHER:
  case VALUE_MANY: lua_pushnil(L); break;
  case VALUE_BOOL: lua_pushboolean(L, value->as.boolean); break;
  case VALUE_INT: lua_pushinteger(L, value->as.integer); break;
  case VALUE_REAL: bind_push_real(L, value->as.real); break;
  case VALUE_TEXT: lua_pushstring(L, value->as.text); break;
  case VALUE_INTS: push_ints(L, &value->as.ints); break;
  case VALUE_NODE: bind_push_node(L, value->as.ref); break;
  case VALUE_OBJECT: bind_push_object(L, value->as.ref); break;
  case VALUE_HELD: bind_push_callable(L, value->as.ref); break;
  case VALUE_FIELDS:
    lua_createtable(L, 0, value->as.fields.n);
    for (int i = 0; i < value->as.fields.n; i++) {
      bind_push_value(L, &value->as.fields.v[i]);
      lua_setfield(L, -2, value->as.fields.v[i].name);
    }
    break;
  }
}

/* -- user functions ---------------------------------------------------------------- */

typedef struct LuaFunction {
  Callable callable;
  lua_State *L;
  int ref; /* in the registry */
} LuaFunction;

/* Any value but nil, as the caller asked. */
static Err hold_value(lua_State *L, Value *out, Fault *fault) {
  *out = (Value){.kind = VALUE_NIL};
  if (lua_isnoneornil(L, -1)) return ERR_OK;
  Callable *held = bind_callable_from_lua(L, lua_gettop(L), fault);
  if (!held) return ERR_MEMORY;
  *out = (Value){.kind = VALUE_HELD, .as.ref = held};
  return ERR_OK;
}

/* The Lua value at the top as a Value; tensors are kept in the current scope. */
static Err take_value(lua_State *L, Value *out, Fault *fault) {
  Graph *graph = session_graph(L);
  if (out->kind == VALUE_HELD) return hold_value(L, out, fault);
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
  case LUA_TNONE: *out = (Value){.kind = VALUE_NIL}; return ERR_OK;
  case LUA_TBOOLEAN:
    *out = (Value){.kind = VALUE_BOOL, .as.boolean = lua_toboolean(L, -1)};
    return ERR_OK;
  case LUA_TNUMBER:
    *out = (Value){.kind = VALUE_REAL, .as.real = lua_tonumber(L, -1)};
    return ERR_OK;
  default: break;
  }
  Node *node = graph_borrow(graph, bind_to_operand(L, -1));
  if (!node && graph->fault.code) return graph_ok(graph, fault);
  *out = node ? (Value){.kind = VALUE_NODE, .as.ref = node}
              : (Value){.kind = VALUE_OTHER, .as.text = luaL_typename(L, -1)};
  return ERR_OK;
}

typedef struct FunctionCall {
  int ref;
  const Value *in;
  int n_in;
} FunctionCall;

/* Pushing can raise (memory), so it is done in the same protected call. */
static int call_with_values(lua_State *L) {
  const FunctionCall *call = lua_touserdata(L, 1);
  luaL_checkstack(L, call->n_in + 4, "too many arguments");
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->ref);
  for (int i = 0; i < call->n_in; i++) bind_push_value(L, &call->in[i]);
  lua_call(L, call->n_in, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

static Err lua_function_call(Callable *self, const Value *in, int n_in, Value *out,
                             int n_out, Fault *fault) {
  LuaFunction *f = (LuaFunction *)self;
  lua_State *L = f->L;
  Session *s = session(L);
  int top = lua_gettop(L);
  if (!lua_checkstack(L, n_in + n_out + 8)) return fault_memory(fault, 0);
  LuaEntry entry = bind_entry_begin(s);
  lua_pushcfunction(L, call_with_values);
  lua_pushlightuserdata(L, &(FunctionCall){f->ref, in, n_in});
  Err err = bind_call_protected(L, 1, LUA_MULTRET, fault);
  int n_results = err ? 0 : lua_gettop(L) - top;
  lua_settop(L, top + n_out);
  for (int i = 0; !err && i < n_out; i++) {
    lua_pushvalue(L, top + 1 + i);
    err = take_value(L, &out[i], fault);
    if (!err && out[i].kind == VALUE_NIL && i > 0 && i < n_results)
      out[i] = (Value){.kind = VALUE_OTHER, .as.text = "nil"};
    lua_pop(L, 1);
  }
  if (!err && n_out && n_results > n_out)
    out[n_out - 1] = (Value){.kind = VALUE_MANY, .as.integer = n_results};
  lua_settop(L, top);
  bind_entry_end(s, &entry);
  return err;
}

static void lua_function_free(Callable *self) {
  LuaFunction *f = (LuaFunction *)self;
  luaL_unref(f->L, LUA_REGISTRYINDEX, f->ref);
  free(f);
}

Callable *bind_callable_from_lua(lua_State *L, int arg, Fault *fault) {
  LuaFunction *f = malloc(sizeof *f);
  if (!f) {
    fault_memory(fault, sizeof *f);
    return NULL;
  }
  lua_pushvalue(L, arg);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  /* Calls come at any time: they run on the main thread of the state. */
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  *f = (LuaFunction){{1, lua_function_call, lua_function_free}, main, ref};
  return (Callable *)f;
}

void bind_push_callable(lua_State *L, const Callable *callable) {
  must(callable->call == lua_function_call);
  lua_rawgeti(L, LUA_REGISTRYINDEX, ((const LuaFunction *)callable)->ref);
}

int bind_push_table_copy(lua_State *L, int arg) {
  lua_newtable(L);
  int copy = lua_gettop(L);
  if (lua_isnoneornil(L, arg)) return copy;
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  return copy;
}
