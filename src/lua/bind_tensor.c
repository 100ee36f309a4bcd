/* bind_tensor.c: the globals `tensor` and `grad`: making tensors, files, gradients. */
#include "lua/tensor_private.h"
#include "lua/reflect.h"
#include "base/out.h"
#include "graph/ops.h"
#include "tensor/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- from tables ------------------------------------------------------------------- */

/* The shape of nested lists at the stack's top, found along their first elements. */
static void table_shape(lua_State *L, Shape *shape) {
  int top = lua_gettop(L);
  *shape = SHAPE_SCALAR;
  lua_pushvalue(L, -1);
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (shape->rank == MAX_RANK)
      luaL_error(L, "tensor: nested deeper than %d", MAX_RANK);
    shape->dim[shape->rank++] = (int64_t)lua_rawlen(L, -1);
    luaL_checkstack(L, 2, "nested too deep");
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, top);
}

/* A finite number that type real makes infinite is an error that names its place. */
static void no_overflow(lua_State *L, double value, const char *what, int place) {
  if (real_holds(value)) return;
  luaL_error(L, "tensor: %s %d is %f, which type %s does not hold", what, place, value,
             REAL_NAME);
}

/* Raises when element `place` (from 1) is no number of the type. */
static void check_fits(lua_State *L, DType dtype, double v, const char *function,
                       int64_t place) {
  if (dtype == DT_REAL) return;
  int lo = dtype_least(dtype), hi = dtype_most(dtype);
  if (v == floor(v) && v >= lo && v <= hi) return;
  luaL_error(L,
             "%s: element %I is %f, which is no %s; allowed: whole numbers from %d to "
             "%d",
             function, (lua_Integer)place, v, dtype_name(dtype), lo, hi);
}

/* Has the table at the stack's top more than its list? What is beside the numbers would
 * be lost. */
static void only_list(lua_State *L) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= n)
      continue;
    luaL_error(L,
               "tensor: got the name \"%s\" among the numbers; allowed: a list of "
               "numbers; options are apart, as in tensor({ ... }, { dtype = \"int32\" "
               "})",
               luaL_tolstring(L, -1, NULL));
  }
}

/* Stores the lists at the stack's top from flat element *at on; ragged ones are an
 * error. */
static void fill_nested(lua_State *L, Array *a, int axis, int64_t *at) {
  if (axis == a->shape.rank) {
    int type = lua_type(L, -1);
    if (type != LUA_TNUMBER)
      luaL_error(L,
                 "tensor: element %d is a %s; allowed: numbers in lists of equal "
                 "length",
                 (int)*at + 1, lua_typename(L, type));
    double v = lua_tonumber(L, -1);
    if (a->dtype == DT_REAL) no_overflow(L, v, "element", (int)*at + 1);
    else check_fits(L, a->dtype, v, "tensor", *at + 1);
    array_set(a, (*at)++, v);
    return;
  }
  int64_t n = lua_type(L, -1) == LUA_TTABLE ? (int64_t)lua_rawlen(L, -1) : -1;
  if (n != a->shape.dim[axis])
    luaL_error(L, "tensor: the lists of axis %d differ in length (%d and %d)", axis + 1,
               (int)a->shape.dim[axis], (int)n);
  only_list(L);
  for (int64_t i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    fill_nested(L, a, axis + 1, at);
    lua_pop(L, 1);
  }
}

/* The field at -2 is no dtype, or its value at -1 is none. */
static void refuse_option(lua_State *L, const char *function) {
  luaL_tolstring(L, -2, NULL);
  luaL_tolstring(L, -2, NULL);
  luaL_error(L,
             "%s: got the option %s = %s, allowed: dtype = \"real\", \"int32\" or "
             "\"uint8\"",
             function, lua_tostring(L, -2), lua_tostring(L, -1));
}

/* The dtype of a last table of options at `arg`, real where there is none. */
static DType option_dtype(lua_State *L, int arg, const char *function) {
  DType dtype = DT_REAL;
  if (lua_isnoneornil(L, arg)) return dtype;
  if (lua_type(L, arg) != LUA_TTABLE)
    luaL_error(L,
               "%s: argument %d is a %s; allowed: a table of options at the end, as { "
               "dtype = \"int32\" }",
               function, arg, luaL_typename(L, arg));
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    bool known = lua_type(L, -2) == LUA_TSTRING &&
                 strcmp(lua_tostring(L, -2), "dtype") == 0;
    if (!known || lua_type(L, -1) != LUA_TSTRING ||
        !dtype_parse(&dtype, lua_tostring(L, -1)))
      refuse_option(L, function);
    lua_pop(L, 1);
  }
  return dtype;
}

/* Pushes the tensor of the nested lists, or the number, at `arg`. */
static Node *push_from_list(lua_State *L, int arg, DType dtype) {
  Graph *graph = session_graph(L);
  Shape shape;
  lua_pushvalue(L, arg);
  table_shape(L, &shape);
  Fault fault = {0};
  Tensor *t = tensor_new(&graph->memory, dtype, &shape, &fault);
  if (!t) bind_raise_fault(L, &fault);
  /* The handle owns the tensor while the elements are read, which may raise. */
  Node *node = graph_const(graph, t);
  tensor_release(t);
  bind_push_node(L, node);
  lua_insert(L, -2);
  int64_t at = 0;
  fill_nested(L, &t->a, 0, &at);
  lua_pop(L, 1);
  return node;
}

Node *bind_list_node(lua_State *L, int arg) { return push_from_list(L, arg, DT_REAL); }

static int push_as(lua_State *L, Node *node, DType dtype, int scope) {
  Graph *graph = session_graph(L);
  bind_push_node(L, op_cast(graph, node, dtype));
  graph_scope_end(graph, scope);
  return 1;
}

/* tensor{...}, tensor({...}, {dtype = }), tensor(3): __call of the module. */
static int make_from_table(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  lua_remove(L, 1); /* the module */
  DType dtype = option_dtype(L, 2, "tensor");
  if (bind_is_tensor(L, 1)) {
    bool asked = lua_type(L, 2) == LUA_TTABLE &&
                 lua_getfield(L, 2, "dtype") != LUA_TNIL;
    if (asked) return push_as(L, bind_check_node(L, 1), dtype, scope);
    lua_settop(L, 1);
    return 1;
  }
  if (lua_type(L, 1) != LUA_TTABLE && lua_type(L, 1) != LUA_TNUMBER)
    luaL_typeerror(L, 1, "list of numbers");
  push_from_list(L, 1, dtype);
  graph_scope_end(graph, scope);
  return 1;
}

/* -- by shape ---------------------------------------------------------------------- */

static void no_negative(lua_State *L, const Shape *shape) {
  for (int i = 0; i < shape->rank; i++)
    if (shape->dim[i] < 0) luaL_error(L, "size %d is -1; allowed: at least 0", i + 1);
}

/* The shape from argument `first` on; *dtype from the options behind it. */
static Shape shape_and_dtype(lua_State *L, int first, DType *dtype,
                             const char *function) {
  Shape shape;
  int next = bind_check_shape(L, first, &shape);
  no_negative(L, &shape);
  *dtype = option_dtype(L, next, function);
  return shape;
}

static int make_filled(lua_State *L, double value, int first, const char *function) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  DType dtype;
  Shape shape = shape_and_dtype(L, first, &dtype, function);
  check_fits(L, dtype, value, function, 1);
  Node *one = graph_from_doubles(graph, dtype, &SHAPE_SCALAR, &value);
  bind_push_node(L, op_broadcast_to(graph, one, &shape));
  graph_scope_end(graph, scope);
  return 1;
}

static int make_zeros(lua_State *L) { return make_filled(L, 0, 1, "zeros"); }
static int make_ones(lua_State *L) { return make_filled(L, 1, 1, "ones"); }
static int make_full(lua_State *L) {
  double value = luaL_checknumber(L, 1);
  no_overflow(L, value, "argument", 1);
  return make_filled(L, value, 2, "full");
}

static int make_rand(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  DType dtype;
  Shape shape = shape_and_dtype(L, 1, &dtype, "rand");
  Stream s = graph_draw(graph, "user", NULL);
  return push_as(L, op_random_uniform(graph, &shape, 0, 1, s), dtype, scope);
}

static int make_randn(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  DType dtype;
  Shape shape = shape_and_dtype(L, 1, &dtype, "randn");
  Stream s = graph_draw(graph, "user", NULL);
  return push_as(L, op_random_normal(graph, &shape, 0, 1, s), dtype, scope);
}

static int make_randint(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  lua_Integer lo = luaL_checkinteger(L, 1), hi = luaL_checkinteger(L, 2);
  luaL_argcheck(L, lo <= hi, 2, "the last value is below the first");
  luaL_argcheck(L, lo >= INT32_MIN && hi <= INT32_MAX, 1, "values must fit into int32");
  Shape shape;
  int next = bind_check_shape(L, 3, &shape);
  no_negative(L, &shape);
  DType dtype = lua_isnoneornil(L, next) ? DT_INT32 : option_dtype(L, next, "randint");
  Stream s = graph_draw(graph, "user", NULL);
  return push_as(L, op_random_int(graph, &shape, lo, hi, s), dtype, scope);
}

/* Integers first, first + step, ...: not by way of reals, which would round them. */
static int push_counted(lua_State *L, double first, double step, int64_t n, DType dtype,
                        int scope) {
  Graph *graph = session_graph(L);
  Fault fault = {0};
  Tensor *t = tensor_new(&graph->memory, dtype, &SHAPE_OF(n), &fault);
  if (!t) return bind_raise_fault(L, &fault);
  Node *node = graph_const(graph, t);
  tensor_release(t);
  bind_push_node(L, node);
  for (int64_t i = 0; i < n; i++) {
    double v = first + (double)i * step;
    check_fits(L, dtype, v, "arange", i + 1);
    array_set(&t->a, i, v);
  }
  graph_scope_end(graph, scope);
  return 1;
}

/* arange(first, last, step): both ends included; arange(n) is arange(1, n). */
static int make_arange(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  bool one = lua_type(L, 2) != LUA_TNUMBER;
  double first = one ? 1 : luaL_checknumber(L, 1);
  double last = luaL_checknumber(L, one ? 1 : 2);
  bool has_step = !one && lua_type(L, 3) != LUA_TTABLE;
  double step = has_step ? luaL_optnumber(L, 3, 1) : 1;
  luaL_argcheck(L, step != 0 && isfinite(step), 3, "the step must be finite and not 0");
  luaL_argcheck(L, isfinite(first) && isfinite(last), 1, "the ends must be finite");
  no_overflow(L, first, "argument", 1);
  no_overflow(L, last, "argument", one ? 1 : 2);
  /* A last value that rounding puts just beyond the end still counts. */
  double n = floor((last - first) / step * (1 + 1e-12) + 1e-9) + 1;
  luaL_argcheck(L, n < 0x1p40, 2, "too many values");
  DType dtype = option_dtype(L, one ? 2 : has_step ? 4 : 3, "arange");
  if (dtype != DT_REAL)
    return push_counted(L, first, step, n > 0 ? (int64_t)n : 0, dtype, scope);
  bind_push_node(L, op_arange(graph, first, step, n > 0 ? (int64_t)n : 0));
  graph_scope_end(graph, scope);
  return 1;
}

static int make_linspace(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  double a = luaL_checknumber(L, 1), b = luaL_checknumber(L, 2);
  lua_Integer n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 1 && n < ((lua_Integer)1 << 40), 3, "allowed: at least 1");
  luaL_argcheck(L, isfinite(a) && isfinite(b), 1, "the ends must be finite");
  no_overflow(L, a, "argument", 1);
  no_overflow(L, b, "argument", 2);
  double step = n > 1 ? (b - a) / (double)(n - 1) : 0;
  bind_push_node(L, op_arange(graph, a, step, n));
  graph_scope_end(graph, scope);
  return 1;
}

static int make_eye(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0, 1, "allowed: at least 0");
  return push_as(L, op_eye(graph, n), option_dtype(L, 2, "eye"), scope);
}

/* -- variables, seed --------------------------------------------------------------- */

static int make_variable(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  const char *name = luaL_optstring(L, 2, NULL);
  Node *value = lua_type(L, 1) == LUA_TTABLE ? bind_list_node(L, 1)
                                             : bind_to_operand(L, 1);
  if (!value) {
    bind_raise_graph_fault(L);
    luaL_typeerror(L, 1, "tensor, number or list of numbers");
  }
  Fault fault = {0};
  Variable *v = variable_new(name, &fault);
  if (!v) return bind_raise_fault(L, &fault);
  v->loose = true;
  v->file = graph->file;
  v->line = graph->line;
  bind_push_variable(L, v);
  variable_release(v);
  if (variable_assign(graph, v, value)) bind_raise_graph_fault(L);
  graph_scope_end(graph, scope);
  return 1;
}

static int set_seed(lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1);
  luaL_argcheck(L, seed >= 0, 1, "allowed: a whole number of at least 0");
  seed_all(L, seed);
  graph_restart_counts(session_graph(L));
  return 0;
}

/* -- files ------------------------------------------------------------------------- */

/* tensor.load(path): a tensor, or a table of them by name. */
static int load_file(lua_State *L) {
  Graph *graph = session_graph(L);
  const char *path = luaL_checkstring(L, 1);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  TensorFile file;
  const TensorFormat *format = tensor_format(path, &fault);
  if (!format || tensor_file_load(&file, path, &graph->memory, &fault)) {
    fault_prefix(&fault, "tensor.load");
    return bind_raise_fault(L, &fault);
  }
  for (int i = 0; i < file.n_left_out; i++)
    err_print("tensor.load: %s: \"%s\" is left out: %s\n", path, file.left_out[i].name,
              file.left_out[i].text);
  if (format->named) lua_createtable(L, 0, file.n_tensors);
  for (int i = 0; i < file.n_tensors; i++) {
    Node *node = graph_const(graph, file.tensors[i].tensor);
    if (!node) break;
    bind_push_node(L, node);
    if (format->named) lua_setfield(L, -2, file.tensors[i].name);
  }
  tensor_file_deinit(&file);
  bind_raise_graph_fault(L);
  graph_scope_end(graph, scope);
  return 1;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const NamedTensor *)a)->name, ((const NamedTensor *)b)->name);
}

/* The table's entries as named tensors, in the order of their names, in a userdata that
 * the collector frees. Values stay reachable through the table. */
static NamedTensor *collect_tensors(lua_State *L, int arg, int *n) {
  *n = 0;
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    if (lua_type(L, -2) != LUA_TSTRING || !bind_is_tensor(L, -1) ||
        strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2)) {
      const char *type = luaL_typename(L, -1), *name = luaL_tolstring(L, -2, NULL);
      luaL_error(L, "tensor.save: got %s = a %s; allowed: names with tensors", name,
                 type);
    }
    bind_check_value(L, -1);
    (*n)++;
    lua_pop(L, 1);
  }
  NamedTensor *list = lua_newuserdatauv(L, sizeof *list * (size_t)(*n + 1), 0);
  int i = 0;
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    list[i++] = (NamedTensor){(char *)lua_tostring(L, -2), bind_check_value(L, -1)};
    lua_pop(L, 1);
  }
  if (i) qsort(list, (size_t)i, sizeof *list, by_name);
  return list;
}

/* The option of tensor.save in the table at `arg`, if there is one. */
static bool wants_compression(lua_State *L, int arg) {
  bool compress = false;
  if (lua_isnoneornil(L, arg)) return false;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    bool known = lua_type(L, -2) == LUA_TSTRING &&
                 strcmp(lua_tostring(L, -2), "compress") == 0;
    if (!known || lua_type(L, -1) != LUA_TBOOLEAN)
      luaL_error(L, "tensor.save: the only option is compress = true or false");
    compress = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return compress;
}

/* tensor.save(path, t) or tensor.save(path, {name = t, ...}), then options; in a format
 * of names one tensor is called "tensor". */
static int save_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  bind_enter_call(L);
  bool compress = wants_compression(L, 3);
  lua_settop(L, 2);
  Fault fault = {0};
  const TensorFormat *format = tensor_format(path, &fault);
  if (bind_is_tensor(L, 2)) {
    lua_newtable(L);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "tensor");
    lua_replace(L, 2);
  } else if (format && !format->named) {
    return luaL_error(L,
                      "tensor.save: got a %s; allowed: a tensor, which is what a %s "
                      "file "
                      "holds",
                      luaL_typename(L, 2), format->suffix);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  int n;
  NamedTensor *list = collect_tensors(L, 2, &n);
  if (!format || tensor_file_save(path, list, n, compress, &fault)) {
    fault_prefix(&fault, "tensor.save");
    return bind_raise_fault(L, &fault);
  }
  return 0;
}

/* -- gradients --------------------------------------------------------------------- */

/* Room for n nodes, which the collector frees. */
static Node **new_nodes(lua_State *L, lua_Integer n) {
  enum { MANY = 1 << 24 };
  if (n < 0 || n > MANY)
    luaL_error(L, "grad: a list of %I tensors; allowed: at most %d", n, MANY);
  return lua_newuserdatauv(L, ((size_t)n + 1) * sizeof(Node *), 0);
}

/* Pushes the list of gradients of node y (times gy) by the tensors listed in `wrt`. */
static void push_grads(lua_State *L, Node *y, Node *gy, Node *const *wrt, int n) {
  Graph *graph = session_graph(L);
  Node **out = new_nodes(L, n);
  if (graph_grad(graph, y, gy, wrt, n, out)) bind_raise_graph_fault(L);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    bind_push_node(L, out[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* grad(y, {x, w}, gy) */
static int grad_of_tensor(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Node *y = bind_check_node(L, 1);
  if (bind_is_tensor(L, 2)) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  Node *gy = lua_isnoneornil(L, 3) ? NULL : bind_check_node(L, 3);
  lua_Integer n = luaL_len(L, 2);
  Node **wrt = new_nodes(L, n);
  for (int i = 0; i < n; i++) {
    lua_geti(L, 2, i + 1);
    if (!bind_is_tensor(L, -1))
      return luaL_error(L, "grad: element %d of the list is a %s; allowed: a tensor",
                        i + 1, luaL_typename(L, -1));
    wrt[i] = graph_borrow(graph, bind_check_node(L, -1));
    if (!wrt[i]) bind_raise_graph_fault(L);
    lua_pop(L, 1);
  }
  push_grads(L, y, gy, wrt, (int)n);
  graph_scope_end(graph, scope);
  return 1;
}

/* The arguments 1 ... n are pushed, tensors as fresh leaves, which are listed in
 * `wrt`. */
static int push_leaves(lua_State *L, int n, Node **wrt) {
  int n_wrt = 0;
  for (int i = 1; i <= n; i++) {
    if (!bind_is_tensor(L, i)) {
      lua_pushvalue(L, i);
      continue;
    }
    wrt[n_wrt] = graph_track(session_graph(L), bind_check_node(L, i));
    bind_push_node(L, wrt[n_wrt++]);
  }
  return n_wrt;
}

/* upvalue 1: f. Calls it on fresh leaves of the tensor arguments; returns their
 * gradients. */
static int call_grad_function(lua_State *L) {
  Graph *graph = session_graph(L);
  Session *s = session(L);
  int scope = bind_enter_call(L), n = lua_gettop(L);
  Node **wrt = new_nodes(L, n);
  luaL_checkstack(L, n + 8, "grad: too many arguments");
  lua_pushvalue(L, lua_upvalueindex(1));
  int n_wrt = push_leaves(L, n, wrt);
  LuaEntry entry = bind_entry_begin(s);
  graph->whole_history++;
  int status = bind_call_guarded(L, n, 1);
  graph->whole_history--;
  bind_entry_end(s, &entry);
  if (status != LUA_OK) return lua_error(L);
  Node *y = bind_to_operand(L, -1);
  if (!y) {
    bind_raise_graph_fault(L);
    return luaL_error(L, "grad: the function returned a %s; allowed: a tensor",
                      luaL_typename(L, -1));
  }
  push_grads(L, y, NULL, wrt, n_wrt);
  graph_scope_end(graph, scope);
  int list = lua_gettop(L);
  luaL_checkstack(L, n_wrt, "grad: too many gradients");
  for (int i = 1; i <= n_wrt; i++) lua_rawgeti(L, list, i);
  return n_wrt;
}

static int grad_any(lua_State *L) {
  if (lua_type(L, 1) != LUA_TFUNCTION) return grad_of_tensor(L);
  lua_settop(L, 1);
  lua_pushcclosure(L, call_grad_function, 1);
  return 1;
}

/* -- module ------------------------------------------------------------------------ */

static const Function functions[] = {
    {"zeros", make_zeros, "tensor.zeros(2, 3, { dtype = \"real\" })",
     "A tensor of zeros. Sizes are given as numbers or as one list.", NULL},
    {"ones", make_ones, "tensor.ones(2, 3, { dtype = \"real\" })", "A tensor of ones.",
     NULL},
    {"full", make_full, "tensor.full(value, 2, 3, { dtype = \"real\" })",
     "A tensor with the value in all elements.", NULL},
    {"rand", make_rand, "tensor.rand(2, 3)",
     "Random numbers, uniform in [0, 1).", NULL},
    {"randn", make_randn, "tensor.randn(2, 3)",
     "Random numbers from the normal distribution N(0, 1).",
     NULL},
    {"randint", make_randint, "tensor.randint(lo, hi, 2, 3)",
     "Random whole numbers, each of lo, ..., hi equally likely; int32 unless a dtype "
     "is given.",
     NULL},
    {"arange", make_arange, "tensor.arange(first, last, step)",
     "Numbers in equal steps: first, first + step, ..., last, both ends included. "
     "arange(n) is 1, ..., n.",
     NULL},
    {"linspace", make_linspace, "tensor.linspace(a, b, n)",
     "n values at equal distances from a to b, both ends included.", NULL},
    {"eye", make_eye, "tensor.eye(n)", "The identity matrix, n x n.", NULL},
    {"variable", make_variable, "tensor.variable(t, name)",
     "Makes a tensor that can change: by v:assign(t) or in a training step. A step "
     "trains those that it is given, as train.step(f, { v }, \"adam\"), and those of "
     "layers: a table with `forward` that holds it is one. One that a loss merely "
     "reads is not trained: a warning says so, once.",
     NULL},
    {"seed", set_seed, "tensor.seed(n)",
     "Restarts all random streams and the counts of nets, fits and draws from this "
     "seed. What is drawn from here on does not depend on what was made before; a net "
     "from before counts as new when it next draws.",
     NULL},
    {"load", load_file, "tensor.load(path)",
     "Reads a file of tensors: of .npy one tensor, of .npz and .safetensors a table by "
     "name.",
     NULL},
    {"save", save_file, "tensor.save(path, t)",
     "Writes a tensor, or a table of tensors by name. The ending of the path decides "
     "the format: .npy, .npz or .safetensors.",
     NULL},
    {0}};

static const Function from_table = {
    "tensor", make_from_table, "tensor({{1, 2}, {3, 4}}, { dtype = \"real\" })",
    "Makes a tensor of nested lists of numbers.", NULL};

static const Function grad_function = {
    "grad", grad_any, "grad(y, {x, w}, gy)",
    "The list of the gradients of y (times gy, which a scalar y does not need) by real "
    "tensors that it depends on. grad(f) is a function that returns the gradients of f "
    "by its tensor arguments. Where nothing flows in, nothing flows on: an element "
    "whose gradient is exactly 0 (the branch that where, maximum or a slice does not "
    "take) gets 0 also where the slope is infinite, as that of 0 * sqrt(x) at 0; "
    "PyTorch has NaN there.",
    NULL};

int open_grad(lua_State *L) {
  reflect_push_function(L, &grad_function);
  return 1;
}

int open_tensor(lua_State *L) {
  bind_push_tensor_metatable(L);
  bind_add_op_functions(L, -1);
  bind_add_op_operators(L, -2);
  bind_set_tensor_metatable(L, -2);
  lua_pop(L, 2);
  lua_newtable(L);
  reflect_set_functions(L, functions);
  bind_add_op_functions(L, -1);
  lua_createtable(L, 0, 1);
  reflect_push_function(L, &from_table);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  return 1;
}
