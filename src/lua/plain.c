/* plain.c: values of Lua into checkpoints and back, bit by bit.
 *
 *   value  := nil | true | false | integer | number | string | table | tensor
 *   nil    'n'     true 'T'     false 'F'
 *   integer 'i' int64    number 'd' double    string 's' size, bytes
 *   table  '{' (key value)* '}'
 *   tensor 't' its number, from 1; it is in the checkpoint as <part>.<number>
 *
 * Tables are copied as trees: one that is met twice becomes two, one that holds itself
 * is an error. Metatables are left out. */
#include "lua/checkpoints.h"
#include <string.h>

enum { DEEPEST = 100 };

/* -- saving ------------------------------------------------------------------------ */

typedef struct Writer {
  lua_State *L;
  Checkpoint *c;
  const char *part;
  Text *bytes;
  int64_t n_tensors;
} Writer;

static void put(Writer *w, const void *bytes, size_t n_bytes) {
  text_add_bytes(w->bytes, bytes, n_bytes);
  if (w->bytes->failed) luaL_error(w->L, "out of memory");
}

static void put_tag(Writer *w, char tag) { put(w, &tag, 1); }

static void put_number(Writer *w) {
  lua_State *L = w->L;
  if (lua_isinteger(L, -1)) {
    int64_t v = lua_tointeger(L, -1);
    put_tag(w, 'i');
    put(w, &v, sizeof v);
  } else {
    double v = lua_tonumber(L, -1);
    put_tag(w, 'd');
    put(w, &v, sizeof v);
  }
}

static void put_string(Writer *w) {
  size_t n_bytes;
  const char *text = lua_tolstring(w->L, -1, &n_bytes);
  uint64_t size = n_bytes;
  put_tag(w, 's');
  put(w, &size, sizeof size);
  put(w, text, n_bytes);
}

static void put_tensor(Writer *w) {
  lua_State *L = w->L;
  Fault fault = {0};
  char name[32];
  int64_t number = ++w->n_tensors;
  snprintf(name, sizeof name, "%lld", (long long)number);
  put_tag(w, 't');
  put(w, &number, sizeof number);
  if (checkpoint_add(w->c, w->part, name, bind_check_value(L, lua_gettop(L)), &fault))
    bind_raise_fault(L, &fault);
}

static void put_value(Writer *w, int depth);

static void put_table(Writer *w, int depth) {
  lua_State *L = w->L;
  if (depth == DEEPEST)
    luaL_error(L,
               "what is to be kept nests deeper than %d tables; does one hold itself?",
               DEEPEST);
  luaL_checkstack(L, 6, "tables nest too deep");
  put_tag(w, '{');
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    put_value(w, depth + 1);
    lua_pop(L, 1);
    put_value(w, depth + 1);
    lua_pop(L, 1);
  }
  put_tag(w, '}');
}

/* The key under which a table holds the value at the top, for the message. */
static const char *place(lua_State *L, int depth) {
  return depth && lua_gettop(L) > 1 ? luaL_tolstring(L, -2, NULL) : "the value";
}

/* The value at the top of the stack, which stays. */
static void put_value(Writer *w, int depth) {
  lua_State *L = w->L;
  switch (lua_type(L, -1)) {
  case LUA_TNIL: put_tag(w, 'n'); return;
  case LUA_TBOOLEAN: put_tag(w, lua_toboolean(L, -1) ? 'T' : 'F'); return;
  case LUA_TNUMBER: put_number(w); return;
  case LUA_TSTRING: put_string(w); return;
  case LUA_TTABLE: put_table(w, depth); return;
  default: break;
  }
  if (bind_is_tensor(L, lua_gettop(L))) {
    put_tensor(w);
    return;
  }
  const char *type = luaL_typename(L, -1);
  luaL_error(L,
             "%s: a %s cannot be kept; allowed: booleans, numbers, strings, tensors, "
             "and tables of those",
             place(L, depth), type);
}

void plain_save(lua_State *L, int arg, Checkpoint *c, const char *part, Text *bytes) {
  Fault fault = {0};
  Writer w = {.L = L, .c = c, .part = part, .bytes = bytes};
  lua_pushvalue(L, arg);
  put_value(&w, 0);
  lua_pop(L, 1);
  if (checkpoint_add_bytes(c, part, "value", bytes->data, bytes->n_bytes, &fault))
    bind_raise_fault(L, &fault);
}

/* -- reading ----------------------------------------------------------------------- */

typedef struct Reader {
  lua_State *L;
  const Checkpoint *c;
  const char *part;
  const char *at, *end;
} Reader;

static void damaged(Reader *r) {
  luaL_error(r->L, "the checkpoint holds no values \"%s\"", r->part);
}

static const char *take(Reader *r, size_t n_bytes) {
  const char *bytes = r->at;
  if ((size_t)(r->end - r->at) < n_bytes) damaged(r);
  r->at += n_bytes;
  return bytes;
}

static int64_t take_word(Reader *r) {
  int64_t word;
  memcpy(&word, take(r, sizeof word), sizeof word);
  return word;
}

static void push_tensor_number(Reader *r, int64_t number) {
  lua_State *L = r->L;
  char name[32];
  snprintf(name, sizeof name, "%lld", (long long)number);
  Tensor *tensor = checkpoint_find(r->c, r->part, name);
  if (!tensor) damaged(r);
  int scope = bind_enter_call(L);
  bind_push_node(L, graph_const(session_graph(L), tensor));
  graph_scope_end(session_graph(L), scope);
}

static bool push_plain(Reader *r, int depth);

static void push_table(Reader *r, int depth) {
  lua_State *L = r->L;
  luaL_checkstack(L, 6, "tables nest too deep");
  lua_newtable(L);
  while (push_plain(r, depth + 1)) {
    if (!push_plain(r, depth + 1) || lua_isnil(L, -2)) damaged(r);
    lua_rawset(L, -3);
  }
}

/* False, and nothing pushed, at the end of a table. */
static bool push_plain(Reader *r, int depth) {
  lua_State *L = r->L;
  double number;
  size_t n_bytes;
  char tag = *take(r, 1);
  if (depth > DEEPEST) damaged(r);
  switch (tag) {
  case 'n': lua_pushnil(L); return true;
  case 'T':
  case 'F': lua_pushboolean(L, tag == 'T'); return true;
  case 'i': lua_pushinteger(L, take_word(r)); return true;
  case 'd':
    memcpy(&number, take(r, sizeof number), sizeof number);
    lua_pushnumber(L, number);
    return true;
  case 's':
    n_bytes = (size_t)take_word(r);
    lua_pushlstring(L, take(r, n_bytes), n_bytes);
    return true;
  case '{': push_table(r, depth); return true;
  case 't': push_tensor_number(r, take_word(r)); return true;
  case '}': return false;
  default: damaged(r); return false;
  }
}

void plain_push(lua_State *L, const Checkpoint *c, const char *part) {
  const Tensor *bytes = checkpoint_find(c, part, "value");
  Reader r = {.L = L, .c = c, .part = part};
  if (!bytes || bytes->a.dtype != DT_UINT8) damaged(&r);
  r.at = bytes->a.data;
  r.end = r.at + tensor_count(bytes);
  if (!push_plain(&r, 0)) damaged(&r);
}
