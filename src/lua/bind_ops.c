/* bind_ops.c: every public op of the op table as a Lua function and method. Arguments
 * are the op's inputs, then its attributes in order, or by name in a last table:
 *
 *   t:sum()   t:sum(1)   t:sum({1, 2}, true)   t:sum{axes = 1, keepdims = true}
 *
 * Lua counts axes, indices and positions from 1; a node's attributes from 0. */
#include "lua/tensor_private.h"
#include "lua/reflect.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One call being read. */
typedef struct OpArgs {
  lua_State *L;
  const Op *op;
  Node *in[MAX_IN];
  bool literal[MAX_IN];  /* a number of Lua, not a tensor */
  double number[MAX_IN]; /* ... which one */
  int n_in;
  Attr attr[MAX_ATTR_SLOTS];
  int n_attr;
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

static double number_at(const OpArgs *a, const OpAttr *spec, int arg, bool integer) {
  lua_State *L = a->L;
  double v = lua_tonumber(L, arg);
  bool ranged = spec->lo != 0 || spec->hi != 0;
  bool ok = lua_type(L, arg) == LUA_TNUMBER && isfinite(v) &&
            (!integer || v == floor(v)) &&
            (!ranged || (v >= spec->lo && v <= spec->hi));
  if (ok) return v;
  char allowed[96];
  snprintf(allowed, sizeof allowed, ranged ? "%s from %g to %g" : "%s",
           integer ? "a whole number" : "a finite number", spec->lo, spec->hi);
  return refuse(a, spec, allowed, arg);
}

/* ---- axes
 * -------------------------------------------------------------------------- */

/* An axis in Lua (1 ..., -1 is the last) of a tensor with `rank` axes, from 0. */
static int axis_at(const OpArgs *a, const OpAttr *spec, int arg) {
  int rank = a->n_in ? a->in[0]->shape.rank : 0;
  double v = lua_type(a->L, arg) == LUA_TNUMBER ? lua_tonumber(a->L, arg) : 0;
  if (v == floor(v) && v >= 1 && v <= rank) return (int)v - 1;
  if (v == floor(v) && v <= -1 && v >= -rank) return rank + (int)v;
  char allowed[96];
  if (rank == 0) return refuse(a, spec, "none: a scalar tensor has no axes", arg);
  snprintf(allowed, sizeof allowed, "an axis from 1 to %d, or -1 for the last%s", rank,
           v == 0 && lua_type(a->L, arg) == LUA_TNUMBER ? " (axes count from 1)" : "");
  return refuse(a, spec, allowed, arg);
}

/* Calls use(a, spec, slot, k) with element k of the list at `arg` on the stack's top; a
 * single value is a list of one. Returns how many. */
static int each(OpArgs *a, const OpAttr *spec, Attr *slot, int arg,
                void (*use)(OpArgs *, const OpAttr *, Attr *, int)) {
  lua_State *L = a->L;
  if (lua_type(L, arg) != LUA_TTABLE) {
    lua_pushvalue(L, arg);
    use(a, spec, slot, 0);
    lua_pop(L, 1);
    return 1;
  }
  int n = (int)luaL_len(L, arg);
  if (n > MAX_RANK)
    luaL_error(L, "%s: \"%s\": got %d values, allowed: at most %d", a->op->name,
               spec->name, n, MAX_RANK);
  for (int k = 0; k < n; k++) {
    lua_geti(L, arg, k + 1);
    use(a, spec, slot, k);
    lua_pop(L, 1);
  }
  return n;
}

static void use_axes(OpArgs *a, const OpAttr *spec, Attr *slot, int k) {
  if (k == 0) slot->i = 0;
  slot->i |= (int64_t)1 << axis_at(a, spec, lua_gettop(a->L));
}

static void use_perm(OpArgs *a, const OpAttr *spec, Attr *slot, int k) {
  slot[k].i = axis_at(a, spec, lua_gettop(a->L));
}

static void use_shape(OpArgs *a, const OpAttr *spec, Attr *slot, int k) {
  lua_State *L = a->L;
  double v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
  if (!(v == floor(v) && v >= -1 && v < 0x1p53))
    refuse(a, spec, "sizes that are whole numbers, -1 for the one to be inferred",
           lua_gettop(L));
  slot[0].i = k + 1;
  slot[1 + k].i = (int64_t)v;
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

/* nil: all; i: that one; {first, last, step}: both ends included. */
static void use_range(OpArgs *a, const OpAttr *spec, Attr *slot, int k) {
  lua_State *L = a->L;
  int arg = lua_gettop(L);
  int64_t n = a->in[0]->shape.dim[k], first, last, step = 1;
  if (k >= a->in[0]->shape.rank)
    luaL_error(L, "%s: got more ranges than the tensor has axes (%d)", a->op->name,
               a->in[0]->shape.rank);
  if (lua_type(L, arg) == LUA_TNIL || (lua_type(L, arg) == LUA_TBOOLEAN)) return;
  if (lua_type(L, arg) == LUA_TTABLE) {
    lua_geti(L, arg, 1);
    lua_geti(L, arg, 2);
    lua_geti(L, arg, 3);
    if (!lua_isnil(L, -1)) step = (int64_t)number_at(a, spec, -1, true);
    if (step == 0) luaL_error(L, "%s: a step of 0", a->op->name);
    first = lua_isnil(L, -3) ? (step > 0 ? 0 : n - 1) : position(a, spec, arg + 1, n);
    last = lua_isnil(L, -2) ? (step > 0 ? n - 1 : 0) : position(a, spec, arg + 2, n);
    lua_pop(L, 3);
  } else {
    first = last = position(a, spec, arg, n);
  }
  int64_t count = (last - first) / step + 1;
  slot[3 * k].i = first;
  slot[3 * k + 1].i = count > 0 ? count : 0;
  slot[3 * k + 2].i = step;
}

static void use_pad(OpArgs *a, const OpAttr *spec, Attr *slot, int k) {
  lua_State *L = a->L;
  int arg = lua_gettop(L);
  if (lua_type(L, arg) == LUA_TNIL || lua_type(L, arg) == LUA_TBOOLEAN) return;
  if (lua_type(L, arg) == LUA_TTABLE) {
    lua_geti(L, arg, 1);
    lua_geti(L, arg, 2);
    slot[2 * k].i = (int64_t)number_at(a, spec, arg + 1, true);
    slot[2 * k + 1].i = (int64_t)number_at(a, spec, arg + 2, true);
    lua_pop(L, 2);
  } else {
    slot[2 * k].i = slot[2 * k + 1].i = (int64_t)number_at(a, spec, arg, true);
  }
}

/* -- one attribute ----------------------------------------------------------------- */

static void set_attr(OpArgs *a, const OpAttr *spec, Attr *slot, int arg) {
  lua_State *L = a->L;
  arg = lua_absindex(L, arg);
  switch (spec->kind) {
  case ATTR_INT: slot->i = (int64_t)number_at(a, spec, arg, true); break;
  case ATTR_REAL: slot->f = number_at(a, spec, arg, false); break;
  case ATTR_BOOL:
    if (lua_type(L, arg) != LUA_TBOOLEAN) refuse(a, spec, "true or false", arg);
    slot->i = lua_toboolean(L, arg);
    break;
  case ATTR_AXIS: slot->i = axis_at(a, spec, arg); break;
  case ATTR_AXES: each(a, spec, slot, arg, use_axes); break;
  case ATTR_PERM:
    if (each(a, spec, slot, arg, use_perm) != a->in[0]->shape.rank)
      refuse(a, spec, "every axis once", arg);
    break;
  case ATTR_SHAPE:
    slot[0].i = 0;
    each(a, spec, slot, arg, use_shape);
    break;
  case ATTR_RANGES: each(a, spec, slot, arg, use_range); break;
  case ATTR_PADS: each(a, spec, slot, arg, use_pad); break;
  case ATTR_DTYPE: {
    DType dtype = DT_REAL;
    if (lua_type(L, arg) != LUA_TSTRING || !dtype_parse(&dtype, lua_tostring(L, arg)))
      refuse(a, spec, "\"real\", \"int32\" or \"uint8\"", arg);
    slot->i = dtype;
    break;
  }
  case ATTR_STREAM:
  case ATTR_NONE: break;
  }
}

/* The default, where the attribute has one; false: it must be given. */
static bool set_default(OpArgs *a, const OpAttr *spec, Attr *slot) {
  const Shape *shape = a->n_in ? &a->in[0]->shape : &SHAPE_SCALAR;
  switch (spec->kind) {
  case ATTR_AXES: slot->i = ((int64_t)1 << shape->rank) - 1; return true;
  case ATTR_PERM:
    for (int k = 0; k < shape->rank; k++) slot[k].i = shape->rank - 1 - k;
    return true;
  case ATTR_RANGES:
    for (int k = 0; k < shape->rank; k++) {
      slot[3 * k].i = 0;
      slot[3 * k + 1].i = shape->dim[k];
      slot[3 * k + 2].i = 1;
    }
    return true;
  case ATTR_PADS: return true;
  default: break;
  }
  if (!spec->value) return false;
  if (spec->kind == ATTR_REAL) slot->f = strtod(spec->value, NULL);
  else if (spec->kind == ATTR_BOOL) slot->i = strcmp(spec->value, "true") == 0;
  else if (spec->kind == ATTR_AXIS && spec->value[0] == '-')
    slot->i = shape->rank + strtol(spec->value, NULL, 10);
  else if (spec->kind == ATTR_AXIS) slot->i = strtol(spec->value, NULL, 10) - 1;
  else slot->i = strtol(spec->value, NULL, 10);
  return true;
}

/* Does each element of its list stand for an axis, and may be a table itself? */
static bool is_per_axis(const OpAttr *spec) {
  return spec->kind == ATTR_RANGES || spec->kind == ATTR_PADS;
}

/* Is the argument the first of a list that was written without braces? */
static bool takes_rest(lua_State *L, const OpAttr *spec, int arg, int n_attrs) {
  if (is_per_axis(spec)) return true;
  bool list = spec->kind == ATTR_AXES || spec->kind == ATTR_PERM ||
              spec->kind == ATTR_SHAPE;
  return list && n_attrs == 1 && lua_type(L, arg) != LUA_TTABLE;
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
  *last = arg + bind_push_elements(L, arg);
  return arg + 1;
}

/* A table with names alone; a list for axes may have holes, and has no length then. */
static bool is_options(lua_State *L, const Op *op, int arg) {
  if (lua_type(L, arg) != LUA_TTABLE || lua_rawlen(L, arg) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, arg)) return true;
  bool list = is_per_axis(&op->attrs[0]) && lua_isinteger(L, -2);
  lua_pop(L, 2);
  return !list;
}

static void set_by_name(OpArgs *a, int arg, Attr *const *slots, bool *given) {
  lua_State *L = a->L;
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "%s: options are given by name, as in { name = value }",
                 a->op->name);
    const char *names[MAX_ATTRS], *name = lua_tostring(L, -2);
    int n = 0, found = -1;
    for (; n < MAX_ATTRS && a->op->attrs[n].name; n++) {
      names[n] = a->op->attrs[n].name;
      if (strcmp(names[n], name) == 0) found = n;
    }
    if (found < 0) {
      const char *nearest = text_nearest(name, names, n);
      luaL_error(L,
                 nearest ? "%s: unknown option \"%s\"; did you mean \"%s\"?"
                         : "%s: unknown option \"%s\"",
                 a->op->name, name, nearest);
    }
    set_attr(a, &a->op->attrs[found], slots[found], -1);
    given[found] = true;
    lua_pop(L, 1);
  }
}

static void read_attrs(OpArgs *a, int next) {
  lua_State *L = a->L;
  Attr *slots[MAX_ATTRS];
  bool given[MAX_ATTRS] = {0};
  int n = 0;
  for (; n < MAX_ATTRS && a->op->attrs[n].name; n++) {
    slots[n] = &a->attr[a->n_attr];
    a->n_attr += attr_slots(a->op->attrs[n].kind);
    must(a->n_attr <= MAX_ATTR_SLOTS);
    given[n] = set_default(a, &a->op->attrs[n], slots[n]);
  }
  int top = lua_gettop(L);
  while (top >= next && lua_isnil(L, top)) top--;
  int options = next <= top && is_options(L, a->op, top) ? top : 0;
  if (options) top--;
  for (int k = 0; next <= top && k < n; k++, next++) {
    const OpAttr *spec = &a->op->attrs[k];
    if (takes_rest(L, spec, next, n)) {
      int last = top,
          first = is_per_axis(spec) && next == top ? open_list(L, &last) : next;
      set_attr(a, spec, slots[k], gather_list(L, first, last));
      given[k] = true;
      next = top;
    } else if (!lua_isnil(L, next)) {
      set_attr(a, spec, slots[k], next);
      given[k] = true;
    }
  }
  if (next <= top) luaL_error(L, "%s: too many arguments", a->op->name);
  if (options) set_by_name(a, options, slots, given);
  for (int k = 0; k < n; k++)
    if (!given[k])
      luaL_error(L, "%s: \"%s\" is missing: %s", a->op->name, a->op->attrs[k].name,
                 a->op->attrs[k].doc ? a->op->attrs[k].doc : "");
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

static void push_op(lua_State *L, const Op *op) {
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
    push_op(L, op);
    lua_setfield(L, table, op->name);
    for (const char *p = op->alias; p && *p;) {
      size_t n = strcspn(p, " ");
      lua_pushlstring(L, p, n);
      push_op(L, op);
      lua_rawset(L, table);
      p += n + strspn(p + n, " ");
    }
  }
}

void bind_add_op_operators(lua_State *L, int metatable) {
  metatable = lua_absindex(L, metatable);
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    push_op(L, operators[i].op);
    lua_setfield(L, metatable, operators[i].event);
  }
  lua_pushcfunction(L, call_neg);
  lua_setfield(L, metatable, "__unm");
}
