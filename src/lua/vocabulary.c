/* vocabulary.c: vocabularies as values: data.vocabulary, set.vocabulary and what they
 * do. They do not change. */
#include "base/file.h"
#include "base/ints.h"
#include "base/utf8.h"
#include "data/token_rows.h"
#include "graph/ops.h"
#include "lua/set_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VOCABULARY_META "runner.vocabulary"

/* -- handles ----------------------------------------------------------------------- */

/* Before the vocabulary is made, so that no error can leak it. */
static Vocabulary **new_box(lua_State *L) {
  Vocabulary **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, VOCABULARY_META);
  return box;
}

static int store(lua_State *L, Vocabulary **box, Vocabulary *made, const Fault *fault) {
  *box = made;
  return made ? 1 : bind_raise_fault(L, fault);
}

static const Vocabulary *check_vocabulary(lua_State *L, int arg) {
  return *(Vocabulary **)luaL_checkudata(L, arg, VOCABULARY_META);
}

void set_push_vocabulary(lua_State *L, Vocabulary *v) {
  if (v) *new_box(L) = vocabulary_retain(v);
  else lua_pushnil(L);
}

int set_push_vocabulary_text(lua_State *L, const char *text) {
  Fault fault = {0};
  if (!text) {
    lua_pushnil(L);
    return 1;
  }
  Vocabulary **box = new_box(L);
  return store(L, box, vocabulary_from_text(text, strlen(text), &fault), &fault);
}

static bool is_utf8(const char *at, size_t n_bytes) {
  const char *end = at + n_bytes;
  uint32_t code;
  for (size_t n; at < end; at += n) {
    n = utf8_next(at, end, &code);
    if (n == 0) return false;
  }
  return true;
}

/* A text is the vocabulary of its characters. */
static void *get_vocabulary(lua_State *L, int arg, Fault *fault) {
  Vocabulary **box = luaL_testudata(L, arg, VOCABULARY_META);
  if (box) return vocabulary_retain(*box);
  if (lua_type(L, arg) != LUA_TSTRING) return NULL;
  size_t n_bytes;
  const char *text = lua_tolstring(L, arg, &n_bytes);
  bool zero = memchr(text, 0, n_bytes) != NULL;
  if (!zero && is_utf8(text, n_bytes))
    return vocabulary_of_characters(text, n_bytes, fault);
  fault_set(fault, ERR_SCRIPT,
            zero ? "a text with a zero byte" : "bytes that are not UTF-8");
  return NULL;
}

static void push_vocabulary(lua_State *L, void *v) { set_push_vocabulary(L, v); }

static const RefBinding vocabulary_binding = {&vocabulary_ref_type, get_vocabulary,
                                              push_vocabulary};

/* -- data.vocabulary --------------------------------------------------------------- */

typedef struct MakeCall {
  Object object;
  TextList tokens;
  int sort;
  bool lower;
} MakeCall;

static const Family make_calls;
static const Option make_options[] = {
    {.name = "tokens", .kind = OPT_TEXTS, .offset = offsetof(MakeCall, tokens),
     .position = 1,
     .doc = "a list of tokens, which get the numbers 1, 2, ...; one text is the path "
            "of a file that vocabulary:save wrote"},
    {.name = "by", .kind = OPT_CHOICE, .offset = offsetof(MakeCall, sort),
     .value = "words", .choices = token_sorts,
     .doc = "what texts are cut into: characters, or words"},
    {.name = "lower", .kind = OPT_BOOL, .offset = offsetof(MakeCall, lower),
     .value = "false", .alias = "lowercase", .doc = "take texts in small letters"},
    {0}};
static const Kind make_kind = {
    .name = "vocabulary", .family = &make_calls, .size = sizeof(MakeCall),
    .options = make_options,
    .example = "local v = data.vocabulary { \"<unk>\", \"a\", \"dog\", \"barks\" }\n"
               "print(v:decode(v:encode \"a dog sings\"))",
    .doc = "Tokens and their numbers. One that is not among them has that of "
           "\"<unk>\" where this is one of them, else it is an error."};
static const Kind *const make_kinds[] = {&make_kind, NULL};
static const Family make_calls = {.name = "vocabulary call", .module = "data",
                                  .kinds = make_kinds};

static Vocabulary *load_file(const char *path, Fault *fault) {
  Text text = {0};
  Input in;
  text_add(&text, "");
  Err err = input_open_packed(&in, path, fault);
  if (!err) err = input_rest(&in, INT64_MAX, &text, fault);
  input_close(&in);
  Vocabulary *v = err ? NULL : vocabulary_from_text(text.data, text.n_bytes, fault);
  if (!v) fault_prefix(fault, "data.vocabulary: %s", path);
  text_deinit(&text);
  return v;
}

static Vocabulary *of_tokens(const MakeCall *call, Fault *fault) {
  Vocabulary *v = vocabulary_new(call->sort, call->lower, fault);
  Err err = v ? ERR_OK : ERR_MEMORY;
  for (int i = 0; i < call->tokens.n && !err; i++) {
    const char *token = call->tokens.v[i];
    err = vocabulary_add(v, (Token){token, strlen(token)}, NULL, fault);
    if (!err && (v->tokens.n != i + 1 || !*token))
      err = fault_set(fault, ERR_VALUE,
                      "data.vocabulary: token %d is %s; allowed: texts, each once",
                      i + 1, *token ? "there twice" : "empty");
  }
  if (!err) return v;
  vocabulary_release(v);
  return NULL;
}

static int make_vocabulary(lua_State *L) {
  bool path = lua_type(L, 1) == LUA_TSTRING;
  Object *call = bind_object_from_args(L, 1, &make_kind);
  bind_push_object(L, call);
  object_release(call);
  const TextList *given = &((MakeCall *)call)->tokens;
  Vocabulary **box = new_box(L);
  Fault fault = {0};
  return store(L, box,
               path ? load_file(given->v[0], &fault)
                    : of_tokens((MakeCall *)call, &fault),
               &fault);
}

/* -- encode ------------------------------------------------------------------------ */

typedef struct EncodeCall {
  Object object;
  int64_t length;
  int padding, truncate; /* a Side each */
} EncodeCall;

static const Family encode_calls;
static const Option encode_options[] = {
    {.name = "length", .kind = OPT_INT, .offset = offsetof(EncodeCall, length),
     .value = "0", .lo = 0, .hi = 1e6,
     .doc = "numbers of a row; 0: those of the longest text"},
    SIDE_OPTIONS(EncodeCall, "texts"),
    {0}};
static const Kind encode_kind = {
    .name = "encode", .family = &encode_calls, .size = sizeof(EncodeCall),
    .options = encode_options, .doc = "The numbers of a text, or of a list of texts."};
static const Kind *const encode_kinds[] = {&encode_kind, NULL};
static const Family encode_calls = {.name = "vocabulary method",
                                    .module = "vocabulary", .kinds = encode_kinds};

/* Numbers of texts and what is made of them, which a userdata frees. */
typedef struct Numbers {
  int64_t n, t; /* rows; the longest */
  int32_t **row;
  int64_t *n_row;
  Tensor *x, *mask;
} Numbers;

static int numbers_gc(lua_State *L) {
  Numbers *numbers = lua_touserdata(L, 1);
  for (int64_t i = 0; i < numbers->n; i++) free(numbers->row[i]);
  free(numbers->row);
  free(numbers->n_row);
  tensor_release(numbers->x);
  tensor_release(numbers->mask);
  *numbers = (Numbers){0};
  return 0;
}

/* The text at the top, popped, as the next row. */
static void add_text(lua_State *L, const Vocabulary *v, Numbers *out) {
  size_t n_bytes;
  Fault fault = {0};
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "vocabulary.encode: got %s; allowed: a text or a list of texts",
               bind_argument_text(L, -1));
  const char *text = lua_tolstring(L, -1, &n_bytes);
  if (!is_utf8(text, n_bytes))
    luaL_error(L, "vocabulary.encode: text %I is not UTF-8", (LUAI_UACINT)out->n + 1);
  int64_t *n = &out->n_row[out->n];
  out->row[out->n] = vocabulary_encode(v, text, n_bytes, 1, n, &fault);
  fault_prefix(&fault, "vocabulary.encode: text %lld", (long long)out->n + 1);
  if (!out->row[out->n]) bind_raise_fault(L, &fault);
  out->t = most(out->t, out->n_row[out->n++]);
  lua_pop(L, 1);
}

/* Numbers of the text or texts at 2, whose owner it pushes. */
static Numbers *push_numbers(lua_State *L, const Vocabulary *v) {
  bool list = lua_type(L, 2) == LUA_TTABLE;
  int64_t n = list ? (int64_t)lua_rawlen(L, 2) : 1;
  Numbers *out = bind_push_box(L, sizeof *out, "runner.numbers", numbers_gc);
  out->row = calloc((size_t)n + 1, sizeof *out->row);
  out->n_row = calloc((size_t)n + 1, sizeof *out->n_row);
  if (!out->row || !out->n_row) luaL_error(L, "no memory for %I texts", (LUAI_UACINT)n);
  for (int64_t i = 1; i <= n; i++) {
    if (list) lua_rawgeti(L, 2, i);
    else lua_pushvalue(L, 2);
    add_text(L, v, out);
  }
  return out;
}

static void push_tensor(lua_State *L, Tensor *t) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  bind_push_node(L, graph_const(graph, t));
  graph_scope_end(graph, scope);
}

/* x [n, t] of int32, or its only row, and the mask. */
static void push_rows(lua_State *L, Numbers *numbers, const EncodeCall *call,
                      bool one) {
  MemoryCount *memory = &session_graph(L)->memory;
  int64_t t = call->length ? call->length : numbers->t;
  Shape shape = one ? SHAPE_OF(t) : SHAPE_OF(numbers->n, t);
  Fault fault = {0};
  numbers->x = tensor_new(memory, DT_INT32, &shape, &fault);
  if (numbers->x) numbers->mask = tensor_new(memory, DT_REAL, &shape, &fault);
  if (!numbers->mask) bind_raise_fault(L, &fault);
  for (int64_t i = 0; i < numbers->n; i++)
    tokens_put(numbers->row[i], numbers->n_row[i], &numbers->x->a, numbers->mask, i, t,
               call->padding, call->truncate);
  push_tensor(L, numbers->x);
  push_tensor(L, numbers->mask);
}

/* vocabulary:encode(text or texts, { options }) -> x, mask */
static int encode(lua_State *L) {
  const Vocabulary *v = check_vocabulary(L, 1);
  EncodeCall call = {0},
             *given = (EncodeCall *)bind_object_from_args(L, 3, &encode_kind);
  call.length = given->length;
  call.padding = given->padding;
  call.truncate = given->truncate;
  object_release(given);
  push_rows(L, push_numbers(L, v), &call, lua_type(L, 2) == LUA_TSTRING);
  return 2;
}

/* -- decode ------------------------------------------------------------------------ */

static int64_t whole_number(lua_State *L, double x) {
  if (x != floor(x) || fabs(x) > 0x1p53)
    luaL_error(L, "vocabulary.decode: got %f; allowed: whole numbers, as encode gives",
               x);
  return (int64_t)x;
}

/* Pushes the text of n numbers. */
static void push_decoded(lua_State *L, const Vocabulary *v, const int64_t *numbers,
                         int64_t n) {
  Text text = {0};
  Fault fault = {0};
  if (!vocabulary_decode(v, numbers, n, &text, &fault)) {
    bind_push_text(L, &text);
    return;
  }
  text_deinit(&text);
  fault_prefix(&fault, "vocabulary.decode");
  bind_raise_fault(L, &fault);
}

static int decode_list(lua_State *L, const Vocabulary *v) {
  int64_t n = (int64_t)lua_rawlen(L, 2);
  int64_t *numbers = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *numbers, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    if (lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "vocabulary.decode: got %s in a list; allowed: numbers",
                 bind_argument_text(L, -1));
    numbers[i] = whole_number(L, lua_tonumber(L, -1));
    lua_pop(L, 1);
  }
  push_decoded(L, v, numbers, n);
  return 1;
}

/* vocabulary:decode(x) -> text of [t] or of a list, list of texts of [n, t] */
static int decode(lua_State *L) {
  const Vocabulary *v = check_vocabulary(L, 1);
  if (lua_type(L, 2) == LUA_TTABLE) return decode_list(L, v);
  const Array *a = &bind_check_value(L, 2)->a;
  int rank = a->shape.rank;
  if (rank < 1 || rank > 2) {
    char shape[SHAPE_TEXT];
    return luaL_error(L,
                      "vocabulary.decode: got shape %s; allowed: one axis, or one for "
                      "texts and one for their tokens",
                      shape_text(shape, &a->shape));
  }
  int64_t n = rank == 1 ? 1 : a->shape.dim[0], t = a->shape.dim[rank - 1];
  int64_t *numbers = lua_newuserdatauv(L, (size_t)(n * t + 1) * sizeof *numbers, 0);
  for (int64_t i = 0; i < n * t; i++) numbers[i] = whole_number(L, array_get(a, i));
  if (rank == 2) lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    push_decoded(L, v, numbers + i * t, t);
    if (rank == 2) lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* -- the rest ---------------------------------------------------------------------- */

static int number(lua_State *L) {
  const Vocabulary *v = check_vocabulary(L, 1);
  size_t n_bytes;
  const char *token = luaL_checklstring(L, 2, &n_bytes);
  int64_t found = vocabulary_find(v, (Token){token, n_bytes});
  if (found) lua_pushinteger(L, found);
  else lua_pushnil(L);
  return 1;
}

static int save(lua_State *L) {
  Text text = {0};
  Fault fault = {0};
  const char *path = luaL_checkstring(L, 2);
  Err err = vocabulary_text(check_vocabulary(L, 1), &text, &fault);
  if (!err) err = file_put_out(path, text.data, text.n_bytes, &fault);
  text_deinit(&text);
  if (err) return bind_raise_fault(L, &fault);
  lua_settop(L, 1);
  return 1;
}

static int tokens(lua_State *L) {
  const Names *names = &check_vocabulary(L, 1)->tokens;
  lua_createtable(L, (int)names->n, 0);
  for (int64_t i = 0; i < names->n; i++) {
    lua_pushstring(L, names->v[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int vocabulary_len(lua_State *L) {
  lua_pushinteger(L, check_vocabulary(L, 1)->tokens.n);
  return 1;
}

static int vocabulary_gc(lua_State *L) {
  Vocabulary **box = lua_touserdata(L, 1);
  vocabulary_release(*box);
  *box = NULL;
  return 0;
}

static void push_what(lua_State *L, const Vocabulary *v) {
  lua_pushfstring(L, "vocabulary of %I %s%s", (LUAI_UACINT)v->tokens.n,
                  token_sorts[v->sort], v->lower ? ", in small letters" : "");
}

static int vocabulary_tostring(lua_State *L) {
  push_what(L, check_vocabulary(L, 1));
  return 1;
}

static int vocabulary_newindex(lua_State *L) {
  return luaL_error(L, "vocabularies do not change");
}

static int vocabulary_listing(lua_State *L) {
  const Vocabulary *v = check_vocabulary(L, 1);
  push_what(L, v);
  bind_begin_listing(L, v, lua_tostring(L, -1));
  lua_pushinteger(L, (lua_Integer)vocabulary_hash(v));
  bind_add_part(L, "tokens");
  return 3;
}

static const Function vocabulary_methods[] = {
    {"encode", encode, "vocabulary:encode(text, { options })",
     "The numbers of a text's tokens, int32 [t], and the mask, 1 where there is one. "
     "Of a list of texts: [n, t] each, filled up with 0.",
     &encode_kind},
    {"decode", decode, "vocabulary:decode(x)",
     "The text of numbers [t]; of numbers [n, t] a list of texts. 0, <start> and <end> "
     "are left out; between words there is a blank.",
     NULL},
    {"number", number, "vocabulary:number(token)",
     "The number of a token, nil where there is none.", NULL},
    {"tokens", tokens, "vocabulary:tokens()", "All tokens, a list by number.", NULL},
    {"save", save, "vocabulary:save(path)",
     "Writes it to a file, which data.vocabulary(path) reads. Returns it.", NULL},
    {0}};

/* A token by its number, or a method. upvalue 1: the methods. */
static int vocabulary_index(lua_State *L) {
  const Vocabulary *v = check_vocabulary(L, 1);
  if (lua_isinteger(L, 2)) {
    lua_Integer i = lua_tointeger(L, 2);
    if (i >= 1 && i <= v->tokens.n) lua_pushstring(L, v->tokens.v[i - 1]);
    else lua_pushnil(L);
    return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *names[sizeof vocabulary_methods / sizeof *vocabulary_methods];
  int n = 0;
  for (const Function *m = vocabulary_methods; m->name; m++) names[n++] = m->name;
  return set_no_field(L, "a vocabulary", luaL_checkstring(L, 2), names, n);
}

void set_open_vocabulary(lua_State *L) {
  static const Function make[] = {
      {"vocabulary", make_vocabulary, "data.vocabulary(tokens, { options })",
       "Tokens and their numbers, of a list or of a file; set.vocabulary is that of a "
       "text.",
       &make_kind},
      {0}};
  static const luaL_Reg functions[] = {{"__gc", vocabulary_gc},
                                       {"__len", vocabulary_len},
                                       {"__newindex", vocabulary_newindex},
                                       {"__tostring", vocabulary_tostring},
                                       {LISTING, vocabulary_listing},
                                       {NULL, NULL}};
  static const FamilyBinding calls = {.family = &make_calls};
  bind_register_ref(L, &vocabulary_binding);
  lua_newtable(L);
  bind_register_family(L, &calls); /* its record serves the function, not the module */
  lua_pop(L, 1);
  set_add_metatable(L, VOCABULARY_META, functions);
  luaL_getmetatable(L, VOCABULARY_META);
  lua_newtable(L);
  reflect_set_functions(L, vocabulary_methods);
  lua_pushcclosure(L, vocabulary_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  reflect_set_functions(L, make);
}
