/* bind_ops.c: every public op of the op table as a Lua function and method. Arguments
 * are the op's inputs, then its attributes in order, or by name in a last table:
 *
 *   t:sum()   t:sum(1)   t:sum({1, 2}, true)   t:sum{axes = 1, keepdims = true}
 *
 * Lua counts axes, indices and positions from 1; a node's attributes from 0. */
#include "lua/tensor_private.h"
#include "lua/reflect.h"
#include "graph/ops.h"
#include "base/ints.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_WORDS = 32 };

/* One call being read. */
typedef struct OpArgs {
  lua_State *L;
  const Op *op;
  Node *in[MAX_IN];
  bool literal[MAX_IN];  /* a number of Lua, not a tensor */
  double number[MAX_IN]; /* ... which one */
  int n_in;
  Attr few[FEW_WORDS],
      *attr; /* `few`, or memory of Lua's at the stack place `memory` */
  int n_attr, room, memory;
} OpArgs;

static int refuse(const OpArgs *a, const OpAttr *spec, const char *allowed, int arg) {
  lua_State *L = a->L;
  arg = lua_absindex(L, arg);
  int type = lua_type(L, arg);
  if (type == LUA_TNUMBER || type == LUA_TBOOLEAN || type == LUA_TNIL)
    luaL_tolstring(L, arg, NULL);
  else if (type == LUA_TSTRING) lua_pushfstring(L, "\"%s\"", lua_tostring(L, arg));
  else
    lua_pushfstring(L, "a %s",
                    bind_is_tensor(L, arg) ? "tensor" : lua_typename(L, type));
  return luaL_error(L, "%s: \"%s\": got %s, allowed: %s", a->op->name, spec->name,
                    lua_tostring(L, -1), allowed);
}

static int refuse_count(const OpArgs *a, const OpAttr *spec, lua_Integer n,
                        const char *allowed) {
  return luaL_error(a->L, "%s: \"%s\": got %I values, allowed: %s", a->op->name,
                    spec->name, (LUAI_UACINT)n, allowed);
}

/* n more words of attributes; the words before them may move. */
static Attr *add_words(OpArgs *a, int n) {
  if (a->n_attr + n > a->room) {
    int room = (int)most(a->n_attr + n, 2 * (int64_t)a->room);
    Attr *larger = lua_newuserdatauv(a->L, (size_t)room * sizeof *larger, 0);
    memcpy(larger, a->attr, (size_t)a->n_attr * sizeof *larger);
    lua_replace(a->L, a->memory);
    a->attr = larger;
    a->room = room;
  }
  a->n_attr += n;
  return a->attr + a->n_attr - n;
}

/* A list of n words, zeroed. */
static Attr *add_list(OpArgs *a, int n) {
  Attr *list = add_words(a, 1 + n);
  list->i = n;
  memset(list + 1, 0, (size_t)n * sizeof *list);
  return list;
}

static double number_at(const OpArgs *a, const OpAttr *spec, int arg, bool integer) {
  lua_State *L = a->L;
  double v = lua_tonumber(L, arg);
  bool ranged = spec->lo != 0 || spec->hi != 0,
       number = lua_type(L, arg) == LUA_TNUMBER;
  bool ok = number && isfinite(v) && (!integer || v == floor(v)) &&
            (!ranged || (v >= spec->lo && v <= spec->hi));
  if (ok) return v;
  char allowed[128];
  bool finite = !number || isfinite(v) || integer || ranged;
  attr_allowed(spec, allowed, sizeof allowed);
  return refuse(a, spec, finite ? allowed : "a finite number", arg);
}

static int64_t whole_at(const OpArgs *a, const OpAttr *spec, int arg) {
  return (int64_t)number_at(a, spec, arg, true);
}

static int rank_of(const OpArgs *a) { return a->n_in ? a->in[0]->shape.rank : 0; }

/* -- attributes that are one value ------------------------------------------------- */

static void read_int(OpArgs *a, const OpAttr *spec, int arg) {
  int64_t v = whole_at(a, spec, arg);
  add_words(a, 1)->i = v;
}

static bool preset_int(OpArgs *a, const OpAttr *spec) {
  if (!spec->value) return false;
  add_words(a, 1)->i = strtoll(spec->value, NULL, 10);
  return true;
}

static void read_real(OpArgs *a, const OpAttr *spec, int arg) {
  double v = number_at(a, spec, arg, false);
  add_words(a, 1)->f = v;
}

static bool preset_real(OpArgs *a, const OpAttr *spec) {
  if (!spec->value) return false;
  add_words(a, 1)->f = strtod(spec->value, NULL);
  return true;
}

static void read_bool(OpArgs *a, const OpAttr *spec, int arg) {
  if (lua_type(a->L, arg) != LUA_TBOOLEAN)
    refuse(a, spec, attr_types[ATTR_BOOL].allowed, arg);
  add_words(a, 1)->i = lua_toboolean(a->L, arg);
}

static bool preset_bool(OpArgs *a, const OpAttr *spec) {
  if (!spec->value) return false;
  add_words(a, 1)->i = strcmp(spec->value, "true") == 0;
  return true;
}

/* An axis in Lua (1 ..., -1 is the last) of input 0, from 0. */
static int axis_at(const OpArgs *a, const OpAttr *spec, int arg) {
  int rank = rank_of(a);
  double v = lua_type(a->L, arg) == LUA_TNUMBER ? lua_tonumber(a->L, arg) : 0;
  bool whole = v == floor(v) && v != 0 && fabs(v) <= rank;
  if (whole) return (int)shape_axis(rank, (int64_t)v);
  char allowed[96];
  if (rank == 0) return refuse(a, spec, "none: a scalar tensor has no axes", arg);
  snprintf(allowed, sizeof allowed, "an axis from 1 to %d, or -1 for the last%s", rank,
           v == 0 && lua_type(a->L, arg) == LUA_TNUMBER ? " (axes count from 1)" : "");
  return refuse(a, spec, allowed, arg);
}

static void read_axis(OpArgs *a, const OpAttr *spec, int arg) {
  int axis = axis_at(a, spec, arg);
  add_words(a, 1)->i = axis;
}

static bool preset_axis(OpArgs *a, const OpAttr *spec) {
  if (!spec->value) return false;
  add_words(a, 1)->i = shape_axis(rank_of(a), strtoll(spec->value, NULL, 10));
  return true;
}

static void read_dtype(OpArgs *a, const OpAttr *spec, int arg) {
  DType dtype = DT_REAL;
  if (lua_type(a->L, arg) != LUA_TSTRING ||
      !dtype_parse(&dtype, lua_tostring(a->L, arg)))
    refuse(a, spec, attr_types[ATTR_DTYPE].allowed, arg);
  add_words(a, 1)->i = dtype;
}

static bool preset_none(OpArgs *a, const OpAttr *spec) {
  (void)a, (void)spec;
  return false;
}

/* -- lists ------------------------------------------------------------------------- */

/* A single value is a list of one. */
static lua_Integer length_at(lua_State *L, int arg) {
  return lua_type(L, arg) == LUA_TTABLE ? luaL_len(L, arg) : 1;
}

static void refuse_length(const OpArgs *a, const OpAttr *spec, lua_Integer n,
                          int limit) {
  char allowed[32];
  snprintf(allowed, sizeof allowed, "at most %d", limit);
  refuse_count(a, spec, n, allowed);
}

/* Of a list of axes or sizes. */
static int length_of_rank(const OpArgs *a, const OpAttr *spec, int arg) {
  lua_Integer n = length_at(a->L, arg);
  if (n < 0 || n > MAX_RANK) refuse_length(a, spec, n, MAX_RANK);
  return (int)n;
}

/* Pushes element k, from 0, of the list at `arg`; returns its stack place. */
static int push_element(lua_State *L, int arg, int k) {
  if (lua_type(L, arg) == LUA_TTABLE) lua_geti(L, arg, k + 1);
  else lua_pushvalue(L, arg);
  return lua_gettop(L);
}

static bool preset_ints(OpArgs *a, const OpAttr *spec) {
  if (!spec->value) return false;
  int n = 0;
  for (const char *p = spec->value; *p; p += strspn(p, " "), n++) p += strcspn(p, " ");
  Attr *list = add_list(a, n);
  char *at = (char *)spec->value;
  for (int k = 1; k <= n; k++) list[k].i = strtoll(at, &at, 10);
  return true;
}

/* One number stands for all of a list whose length the record says. */
static void read_ints(OpArgs *a, const OpAttr *spec, int arg) {
  lua_State *L = a->L;
  bool is_table = lua_type(L, arg) == LUA_TTABLE;
  bool for_all = !is_table && spec->n_most && spec->n_least == spec->n_most;
  lua_Integer n = for_all ? spec->n_most : length_at(L, arg);
  char allowed[128];
  if (spec->n_most && (n < spec->n_least || n > spec->n_most))
    refuse_count(a, spec, n, attr_allowed(spec, allowed, sizeof allowed));
  if (n < 0 || n > ATTR_VALUES) refuse_length(a, spec, n, ATTR_VALUES);
  Attr *list = add_list(a, (int)n);
  for (int k = 0; k < n; k++) {
    list[1 + k].i = whole_at(a, spec, push_element(L, arg, k));
    lua_pop(L, 1);
  }
}

static bool preset_axes(OpArgs *a, const OpAttr *spec) {
  (void)spec;
  Attr *list = add_list(a, rank_of(a));
  for (int k = 0; k < list->i; k++) list[1 + k].i = k;
  return true;
}

/* In ascending order, so that {2, 1} is the same graph as {1, 2}. */
static void read_axes(OpArgs *a, const OpAttr *spec, int arg) {
  lua_State *L = a->L;
  int n = length_of_rank(a, spec, arg);
  if (n == 0) refuse_count(a, spec, 0, "an axis or more");
  unsigned seen = 0;
  for (int k = 0; k < n; k++) {
    unsigned axis = 1u << axis_at(a, spec, push_element(L, arg, k));
    if (seen & axis) refuse(a, spec, "each axis once", -1);
    seen |= axis;
    lua_pop(L, 1);
  }
  axes_to_attr(add_list(a, n), seen, rank_of(a));
}

static bool preset_perm(OpArgs *a, const OpAttr *spec) {
  (void)spec;
  Attr *list = add_list(a, rank_of(a));
  for (int64_t k = 1; k <= list->i; k++) list[k].i = list->i - k;
  return true;
}

static void read_perm(OpArgs *a, const OpAttr *spec, int arg) {
  lua_State *L = a->L;
  int n = length_of_rank(a, spec, arg);
  Attr *list = add_list(a, n);
  for (int k = 0; k < n; k++) {
    list[1 + k].i = axis_at(a, spec, push_element(L, arg, k));
    lua_pop(L, 1);
  }
  if (n != rank_of(a)) refuse(a, spec, attr_types[ATTR_PERM].allowed, arg);
}

static void read_shape(OpArgs *a, const OpAttr *spec, int arg) {
  lua_State *L = a->L;
  int n = length_of_rank(a, spec, arg);
  Attr *list = add_list(a, n);
  for (int k = 0; k < n; k++) {
    int at = push_element(L, arg, k);
    double v = lua_type(L, at) == LUA_TNUMBER ? lua_tonumber(L, at) : NAN;
    if (!(v == floor(v) && v >= -1 && v < 0x1p53))
      refuse(a, spec, "sizes that are whole numbers, -1 for the one to be inferred",
             at);
    list[1 + k].i = (int64_t)v;
    lua_pop(L, 1);
  }
}

/* -- lists with an element for each axis ------------------------------------------- */

/* Calls use(a, spec, words, k) for each element k of the list at `arg`, which is at the
 * stack's top; nil and false leave the words of its axis as they are. */
static void each_axis(OpArgs *a, const OpAttr *spec, Attr *list, int arg,
                      void (*use)(OpArgs *, const OpAttr *, Attr *, int)) {
  lua_State *L = a->L;
  lua_Integer n = length_at(L, arg);
  int rank = rank_of(a), width = attr_types[spec->kind].width;
  if (n > rank)
    luaL_error(L, "%s: got more %s than the tensor has axes (%d)", a->op->name,
               spec->name, rank);
  for (int k = 0; k < n; k++) {
    int type = lua_type(L, push_element(L, arg, k));
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) use(a, spec, list + 1 + k * width, k);
    lua_pop(L, 1);
  }
}

/* A position along an axis of size n, from 0; negative ones count from the end. */
static int64_t position(OpArgs *a, const OpAttr *spec, int arg, int64_t n) {
  double v = lua_type(a->L, arg) == LUA_TNUMBER ? lua_tonumber(a->L, arg) : NAN;
  if (v == floor(v) && v >= 1 && v <= (double)n) return (int64_t)v - 1;
  if (v == floor(v) && v <= -1 && v >= (double)-n) return n + (int64_t)v;
  char allowed[96];
  snprintf(allowed, sizeof allowed,
           "a position from 1 to %lld, or from the end -1 to -%lld", (long long)n,
           (long long)n);
  return refuse(a, spec, allowed, arg);
}

/* All of each axis. */
static Attr *add_ranges(OpArgs *a) {
  Attr *list = add_list(a, 3 * rank_of(a));
  for (int k = 0; k < rank_of(a); k++) {
    list[2 + 3 * k].i = a->in[0]->shape.dim[k];
    list[3 + 3 * k].i = 1;
  }
  return list;
}

static bool preset_ranges(OpArgs *a, const OpAttr *spec) {
  (void)spec;
  add_ranges(a);
  return true;
}

/* i: that one; {first, last, step}: both ends included. */
static void use_range(OpArgs *a, const OpAttr *spec, Attr *words, int k) {
  lua_State *L = a->L;
  int arg = lua_gettop(L);
  int64_t n = a->in[0]->shape.dim[k], first, last, step = 1;
  if (lua_type(L, arg) == LUA_TTABLE) {
    lua_geti(L, arg, 1);
    lua_geti(L, arg, 2);
    lua_geti(L, arg, 3);
    if (!lua_isnil(L, -1)) step = whole_at(a, spec, -1);
    if (step == 0) luaL_error(L, "%s: a step of 0", a->op->name);
    first = lua_isnil(L, -3) ? (step > 0 ? 0 : n - 1) : position(a, spec, arg + 1, n);
    last = lua_isnil(L, -2) ? (step > 0 ? n - 1 : 0) : position(a, spec, arg + 2, n);
    lua_pop(L, 3);
  } else {
    first = last = position(a, spec, arg, n);
  }
  int64_t count = (last - first) / step + 1;
  words[0].i = first;
  words[1].i = count > 0 ? count : 0;
  words[2].i = step;
}

static void read_ranges(OpArgs *a, const OpAttr *spec, int arg) {
  each_axis(a, spec, add_ranges(a), arg, use_range);
}

static bool preset_pads(OpArgs *a, const OpAttr *spec) {
  (void)spec;
  add_list(a, 2 * rank_of(a));
  return true;
}

static void use_pad(OpArgs *a, const OpAttr *spec, Attr *words, int k) {
  lua_State *L = a->L;
  int arg = lua_gettop(L);
  (void)k;
  if (lua_type(L, arg) == LUA_TTABLE) {
    lua_geti(L, arg, 1);
    lua_geti(L, arg, 2);
    words[0].i = whole_at(a, spec, arg + 1);
    words[1].i = whole_at(a, spec, arg + 2);
    lua_pop(L, 2);
  } else {
    words[0].i = words[1].i = whole_at(a, spec, arg);
  }
}

static void read_pads(OpArgs *a, const OpAttr *spec, int arg) {
  each_axis(a, spec, add_list(a, 2 * rank_of(a)), arg, use_pad);
}

/* How Lua gives an attribute of each kind: each adds its words; `preset` those for one
 * that is not given, or is false. Draws are never made from Lua by this way. */
static const struct {
  void (*read)(OpArgs *a, const OpAttr *spec, int arg);
  bool (*preset)(OpArgs *a, const OpAttr *spec);
} readers[N_ATTR_KINDS] = {[ATTR_INT] = {read_int, preset_int},
                           [ATTR_REAL] = {read_real, preset_real},
                           [ATTR_BOOL] = {read_bool, preset_bool},
                           [ATTR_AXIS] = {read_axis, preset_axis},
                           [ATTR_DTYPE] = {read_dtype, preset_none},
                           [ATTR_STREAM] = {NULL, preset_none},
                           [ATTR_INTS] = {read_ints, preset_ints},
                           [ATTR_AXES] = {read_axes, preset_axes},
                           [ATTR_PERM] = {read_perm, preset_perm},
                           [ATTR_SHAPE] = {read_shape, preset_none},
                           [ATTR_RANGES] = {read_ranges, preset_ranges},
                           [ATTR_PADS] = {read_pads, preset_pads}};

/* -- where each attribute is given ------------------------------------------------- */

/* Is the argument the first of a list that was written without braces? */
static bool takes_rest(lua_State *L, const OpAttr *spec, int arg, int n_attrs) {
  if (attr_per_axis(spec->kind)) return true;
  return attr_types[spec->kind].is_list && n_attrs == 1 &&
         lua_type(L, arg) != LUA_TTABLE;
}

/* Arguments first .. last as one list, so that t:reshape(2, 3) is t:reshape({2, 3}). */
static int gather_list(lua_State *L, int first, int last) {
  int n = last - first + 1;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    /* nil would end the list: false takes its place. */
    if (lua_isnil(L, first + i)) lua_pushboolean(L, 0);
    else lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  return lua_gettop(L);
}

/* Of ranges or pads the one argument {1, 3} is that of the first axis; one that
 * holds tables, {nil, {1, 3}}, has those of all axes: its elements take its place at
 * the top. */
static int open_list(lua_State *L, int *last) {
  bool tables = false;
  int arg = *last;
  if (lua_type(L, arg) != LUA_TTABLE) return arg;
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1))
    tables = tables || lua_type(L, -1) == LUA_TTABLE;
  if (!tables) return arg;
  int before = lua_gettop(L);
  *last = before + bind_push_elements(L, arg);
  return before + 1;
}

/* A table with names alone; a list for axes may have holes, and has no length then. */
static bool is_options(lua_State *L, const Op *op, int arg) {
  if (lua_type(L, arg) != LUA_TTABLE || lua_rawlen(L, arg) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, arg)) return true;
  bool list = op->attrs && attr_per_axis(op->attrs->kind) && lua_isinteger(L, -2);
  lua_pop(L, 2);
  return !list;
}

static int count_attrs(const Op *op) {
  int n = 0;
  while (op->attrs && op->attrs[n].name) n++;
  return n;
}

/* The number of the attribute that is called so. */
static int find_attr(const OpArgs *a, const char *name, int n) {
  for (int k = 0; k < n; k++)
    if (strcmp(a->op->attrs[k].name, name) == 0) return k;
  const char **names = lua_newuserdatauv(a->L, (size_t)(n + 1) * sizeof *names, 0);
  for (int k = 0; k < n; k++) names[k] = a->op->attrs[k].name;
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(a->L,
                    nearest ? "%s: unknown option \"%s\"; did you mean \"%s\"?"
                            : "%s: unknown option \"%s\"",
                    a->op->name, name, nearest);
}

/* From the table of options at `arg` to the stack places behind `base`. */
static void place_by_name(const OpArgs *a, int arg, int base, int n) {
  lua_State *L = a->L;
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "%s: options are given by name, as in { name = value }",
                 a->op->name);
    const char *name = lua_tostring(L, -2);
    int place = base + 1 + find_attr(a, name, n);
    if (!lua_isnil(L, place))
      luaL_error(L, "%s: \"%s\" is given twice, in order and by name", a->op->name,
                 name);
    lua_replace(L, place);
  }
}

/* From the arguments next .. top, in order; returns the first that is left over. */
static int place_in_order(const OpArgs *a, int next, int top, int base, int n) {
  lua_State *L = a->L;
  for (int k = 0; next <= top && k < n; k++, next++) {
    const OpAttr *spec = &a->op->attrs[k];
    if (takes_rest(L, spec, next, n)) {
      bool opens = attr_per_axis(spec->kind) && next == top;
      int last = top, first = opens ? open_list(L, &last) : next;
      gather_list(L, first, last);
      next = top;
    } else {
      lua_pushvalue(L, next);
    }
    lua_replace(L, base + 1 + k);
    lua_settop(L, base + n);
  }
  return next;
}

/* First finds where each attribute is given, then reads them in the order of the
 * record, for the words of one begin where those of the one before end. */
static void read_attrs(OpArgs *a, int next) {
  lua_State *L = a->L;
  int top = lua_gettop(L), n = count_attrs(a->op);
  if (n == 0 && next > top) return;
  a->memory = top + 1;
  while (top >= next && lua_isnil(L, top)) top--;
  int options = next <= top && is_options(L, a->op, top) ? top-- : 0;
  luaL_checkstack(L, n + LUA_MINSTACK, "too many arguments");
  lua_settop(L, a->memory + n);
  if (place_in_order(a, next, top, a->memory, n) <= top)
    luaL_error(L, "%s: too many arguments; help(tensor.%s) says what it takes",
               a->op->name, a->op->name);
  if (options) place_by_name(a, options, a->memory, n);
  for (int k = 0; k < n; k++) {
    const OpAttr *spec = &a->op->attrs[k];
    int place = a->memory + 1 + k;
    if (!lua_isnil(L, place)) readers[spec->kind].read(a, spec, place);
    else if (!readers[spec->kind].preset(a, spec))
      luaL_error(L, "%s: \"%s\" is missing: %s", a->op->name, spec->name,
                 spec->doc ? spec->doc : "");
  }
}

/* -- inputs ------------------------------------------------------------------------ */

static void add_input(OpArgs *a, int arg) {
  if (a->n_in == MAX_IN)
    luaL_error(a->L, "%s: more than %d tensors", a->op->name, MAX_IN);
  Node *node = bind_to_operand(a->L, arg);
  if (!node) {
    bind_raise_graph_fault(a->L);
    if (lua_isnone(a->L, arg))
      luaL_error(a->L, "%s: argument %d is missing: a tensor or a number", a->op->name,
                 a->n_in + 1);
    luaL_error(a->L, "%s: argument %d is a %s; allowed: a tensor or a number",
               a->op->name, a->n_in + 1, luaL_typename(a->L, arg));
  }
  a->literal[a->n_in] = lua_type(a->L, arg) == LUA_TNUMBER;
  a->number[a->n_in] = a->literal[a->n_in] ? lua_tonumber(a->L, arg) : 0;
  a->in[a->n_in++] = node;
}

/* The narrowest of the integer types from `least` on that holds a number, else real. */
static DType literal_dtype(double v, DType least) {
  if (least == DT_UINT8 && v == floor(v) && v >= 0 && v <= UINT8_MAX) return DT_UINT8;
  return v == floor(v) && v >= INT32_MIN && v <= INT32_MAX ? DT_INT32 : DT_REAL;
}

/* A whole number beside integer tensors is an integer: ids:eq(16777217), where(c, ids,
 * 0). */
static void fit_literals(OpArgs *a) {
  DType widest = DT_UINT8;
  int n_tensors = 0, first = a->op->n_conditions;
  if (!(a->op->flags & OP_ELEMENTWISE)) return;
  for (int i = first; i < a->n_in; i++) {
    if (a->literal[i]) continue;
    if (a->in[i]->dtype == DT_REAL) return;
    if (a->in[i]->dtype == DT_INT32) widest = DT_INT32;
    n_tensors++;
  }
  for (int i = first; n_tensors && i < a->n_in; i++) {
    DType dtype = a->literal[i] ? literal_dtype(a->number[i], widest) : DT_REAL;
    if (dtype == DT_REAL) continue;
    a->in[i] = graph_from_doubles(session_graph(a->L), dtype, &SHAPE_SCALAR,
                                  &a->number[i]);
    if (!a->in[i]) bind_raise_graph_fault(a->L);
  }
}

/* Returns the index of the first argument after the inputs. */
static int read_inputs(OpArgs *a) {
  lua_State *L = a->L;
  if (a->op->n_in == ANY_NUMBER) {
    if (lua_type(L, 1) == LUA_TTABLE) {
      lua_Integer n = luaL_len(L, 1);
      for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 1, i);
        add_input(a, lua_gettop(L));
        lua_pop(L, 1);
      }
      if (n == 0) luaL_error(L, "%s: got an empty list of tensors", a->op->name);
      return 2;
    }
    int arg = 1;
    while (bind_is_tensor(L, arg)) add_input(a, arg++);
    return arg;
  }
  int required = a->op->n_in - a->op->n_optional, arg = 1;
  for (; arg <= a->op->n_in; arg++) {
    if (arg > required && !bind_is_tensor(L, arg)) break;
    add_input(a, arg);
  }
  return arg;
}

/* upvalue 1: the op. */
static int call_op(lua_State *L) {
  Graph *graph = session_graph(L);
  OpArgs a = {.L = L, .op = lua_touserdata(L, lua_upvalueindex(1))};
  a.attr = a.few;
  a.room = FEW_WORDS;
  int scope = bind_enter_call(L);
  int next = read_inputs(&a);
  fit_literals(&a);
  read_attrs(&a, next);
  Node *node = op_make(graph, a.op, a.in, a.n_in, a.attr, a.n_attr);
  if (!node) {
    bind_raise_graph_fault(L);
    return luaL_error(L, "internal error: a fault is missing");
  }
  int n_results = node->n_out;
  if (n_results == 1) bind_push_node(L, node);
  else
    for (int o = 0; o < n_results; o++) bind_push_node(L, graph_pick(graph, node, o));
  graph_scope_end(graph, scope);
  return n_results;
}

/* -- operators --------------------------------------------------------------------- */

static const struct { const char *event; const Op *op; } operators[] = {
    {"__add", &op_record_add}, {"__sub", &op_record_sub}, {"__mul", &op_record_mul},
    {"__div", &op_record_div}, {"__pow", &op_record_pow}};

static int call_neg(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  bind_push_node(L, op_neg(graph, bind_check_node(L, 1)));
  graph_scope_end(graph, scope);
  return 1;
}

void bind_push_op(lua_State *L, const Op *op) {
  reflect_note(L, RECORD_OP, op);
  lua_pushlightuserdata(L, (void *)op);
  lua_pushcclosure(L, call_op, 1);
}

static bool is_public(const Op *op) {
  return !(op->flags & OP_INTERNAL) && op->n_in != 0;
}

void bind_add_op_functions(lua_State *L, int table) {
  table = lua_absindex(L, table);
  for (int i = 0; i < N_OPS; i++) {
    const Op *op = op_table[i];
    if (!is_public(op)) continue;
    bind_push_op(L, op);
    lua_setfield(L, table, op->name);
    for (const char *p = op->alias; p && *p;) {
      size_t n = strcspn(p, " ");
      lua_pushlstring(L, p, n);
      bind_push_op(L, op);
      lua_rawset(L, table);
      p += n + strspn(p + n, " ");
    }
  }
}

void bind_add_op_operators(lua_State *L, int metatable) {
  metatable = lua_absindex(L, metatable);
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    bind_push_op(L, operators[i].op);
    lua_setfield(L, metatable, operators[i].event);
  }
  lua_pushcfunction(L, call_neg);
  lua_setfield(L, metatable, "__unm");
}
