/* set_map.c: functions of the user on each row of a data set: set:map, set:filter.
 *
 * A row is what a batch has of it where nothing is trained, without its first axis;
 * what is left without axes, as a label, is a number of Lua, so that == means what it
 * says. */
#include "lua/set_private.h"
#include <string.h>

/* All rows of the set at 1 and what is made of them. */
typedef struct Mapping {
  Batch all, made;
} Mapping;

static int mapping_gc(lua_State *L) {
  Mapping *m = lua_touserdata(L, 1);
  batch_deinit(&m->all);
  batch_deinit(&m->made);
  return 0;
}

/* Pushes the rows' owner. */
static Mapping *push_rows(lua_State *L, Dataset *set, const char *what) {
  Mapping *m = bind_push_box(L, sizeof *m, "runner.mapping", mapping_gc);
  Fault fault = {0};
  if (batch_of_all(&m->all, set, what, &fault)) bind_raise_fault(L, &fault);
  return m;
}

/* Row i of the tensor; nil of none. */
static void push_row(lua_State *L, Tensor *of, int64_t i) {
  if (!of) {
    lua_pushnil(L);
    return;
  }
  Shape row = {.rank = of->a.shape.rank - 1};
  memcpy(row.dim, of->a.shape.dim + 1, (size_t)row.rank * sizeof *row.dim);
  if (row.rank == 0 && of->a.dtype != DT_REAL) {
    lua_pushinteger(L, (lua_Integer)array_get(&of->a, i));
    return;
  }
  if (row.rank == 0) {
    bind_push_real(L, array_get(&of->a, i));
    return;
  }
  Fault fault = {0};
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Tensor *view = tensor_view(of, i * shape_count(&row), &row, &fault);
  if (!view) bind_raise_fault(L, &fault);
  Node *node = graph_const(graph, view);
  tensor_release(view);
  bind_push_node(L, node);
  graph_scope_end(graph, scope);
}

/* f(x, y) for row i, with `n_results`; f is the argument 2. */
static void call_for_row(lua_State *L, const Mapping *m, int64_t i, int n_results) {
  lua_pushvalue(L, 2);
  for (int k = 0; k < m->all.n_x; k++) push_row(L, m->all.x[k], i);
  push_row(L, m->all.y, i);
  lua_call(L, m->all.n_x + 1, n_results);
}

/* -- filter ------------------------------------------------------------------------ */

static int set_filter(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  const Mapping *m = push_rows(L, set, "filter");
  int64_t n = batch_rows(&m->all), kept = 0;
  int64_t *rows = lua_newuserdatauv(L, (size_t)n * sizeof *rows, 0);
  for (int64_t i = 0; i < n; i++) {
    call_for_row(L, m, i, 1);
    if (!lua_isboolean(L, -1))
      return luaL_error(L,
                        "set.filter: for row %I the function gave %s; allowed: true "
                        "or false",
                        (LUAI_UACINT)i + 1, bind_argument_text(L, -1));
    if (lua_toboolean(L, -1)) rows[kept++] = i;
    lua_pop(L, 1);
  }
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_subset(set, rows, kept, &fault), &fault);
}

/* -- map --------------------------------------------------------------------------- */

static void refuse_result(lua_State *L, int64_t i, const char *what) {
  luaL_error(L,
             "set.map: for row %I the function gave %s as %s; allowed: a tensor or a "
             "number%s",
             (LUAI_UACINT)i + 1, bind_argument_text(L, -1), what,
             *what == 'y' ? ", or nil in every row: targets stay" : "");
}

/* What the value at the top is as a row: its shape and type. */
static Array row_at(lua_State *L, int64_t i, const char *what, double *number) {
  if (bind_is_tensor(L, -1)) return bind_check_value(L, -1)->a;
  if (lua_type(L, -1) != LUA_TNUMBER) refuse_result(L, i, what);
  *number = lua_tonumber(L, -1);
  lua_Integer whole = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
  if (whole < INT32_MIN || whole > INT32_MAX)
    luaL_error(L,
               "set.map: for row %I the function gave %I as %s; allowed: whole numbers "
               "of 32 bits, and reals",
               (LUAI_UACINT)i + 1, (LUAI_UACINT)whole, what);
  return (Array){.dtype = lua_isinteger(L, -1) ? DT_INT32 : DT_REAL};
}

/* The value at the top, popped, becomes row i of `*out`, which the first row makes. */
static void keep_row(lua_State *L, const Mapping *m, int64_t i, const char *what,
                     Tensor **out) {
  double number = 0;
  Array row = row_at(L, i, what, &number);
  Shape shape = {.rank = row.shape.rank + 1, .dim = {batch_rows(&m->all)}};
  if (shape.rank > MAX_RANK)
    luaL_error(L, "set.map: a row of %d axes; allowed: at most %d", row.shape.rank,
               MAX_RANK - 1);
  memcpy(shape.dim + 1, row.shape.dim, (size_t)row.shape.rank * sizeof *shape.dim);
  Fault fault = {0};
  if (i == 0) *out = tensor_new(&session_graph(L)->memory, row.dtype, &shape, &fault);
  if (!*out) bind_raise_fault(L, &fault);
  if (!shape_equal(&shape, &(*out)->a.shape) || row.dtype != (*out)->a.dtype) {
    char got[SHAPE_TEXT], first[SHAPE_TEXT];
    Shape of = (*out)->a.shape;
    memmove(of.dim, of.dim + 1, (size_t)--of.rank * sizeof *of.dim);
    luaL_error(L,
               "set.map: for row %I the function gave %s %s of %s, for the first row "
               "%s of %s",
               (LUAI_UACINT)i + 1, what, shape_text(got, &row.shape),
               dtype_name(row.dtype), shape_text(first, &of),
               dtype_name((*out)->a.dtype));
  }
  int64_t n = shape_count(&row.shape);
  if (!row.data) array_set(&(*out)->a, i, number);
  for (int64_t j = 0; row.data && j < n; j++)
    array_set(&(*out)->a, i * n + j, array_get(&row, j));
  lua_pop(L, 1);
}

static int set_map(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  Fault fault = {0};
  if (dataset_settled(set, &fault)) return bind_raise_fault(L, &fault);
  if (dataset_inputs(set) > 1)
    return luaL_error(L, "set.map: %s has %d inputs, allowed: one", dataset_name(set),
                      dataset_inputs(set));
  Mapping *m = push_rows(L, set, "map");
  for (int64_t i = 0; i < batch_rows(&m->all); i++) {
    call_for_row(L, m, i, 2);
    bool same_y = lua_isnil(L, -1) && !m->made.y;
    if (same_y) lua_pop(L, 1);
    else if (i > 0 && !m->made.y) refuse_result(L, i, "y");
    else keep_row(L, m, i, "y", &m->made.y);
    keep_row(L, m, i, "x", &m->made.x[0]);
  }
  Dataset **box = set_new_box(L);
  *box = dataset_remake(set, &m->all, m->made.x[0], m->made.y, &fault);
  fault_prefix(&fault, "set.map");
  return *box ? 1 : bind_raise_fault(L, &fault);
}

const Function set_map_methods[] = {
    {"map", set_map, "set:map(f)",
     "A set of the rows that f(x, y) returns: x, or x and y. f is called once for each "
     "row, now. x and y are those of one row; single numbers, as labels, are Lua "
     "numbers, and whole numbers that f returns as y are labels. Names of features are "
     "dropped, and those of classes where f returns y. For what is to be drawn anew in "
     "each epoch use a transform.",
     NULL},
    {"filter", set_filter, "set:filter(f)",
     "A set of the rows for which f(x, y) is true. x and y are those of one row; "
     "single numbers, as labels, are Lua numbers.",
     NULL},
    {0}};
