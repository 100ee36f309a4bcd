/* handle.c: tensors as userdata. A handle holds either a node (an immutable value) or a
 * variable (read anew at each use). One made inside a step, for a node of that step,
 * holds nothing: the step keeps the node, and both expire together. It needs no
 * finalizer, which is most of what a handle costs. */
#include "lua/tensor_private.h"
#include "lua/reflect.h"
#include "base/sha256.h"
#include "graph/ops.h"
#include <string.h>

#define TENSOR_META "runner.tensor"

/* Its address names the metatable in the registry. */
static const char tensor_key = 0;
/* And its address the metatable of handles that hold nothing. */
static const char step_tensor_key = 0;

typedef struct Handle {
  const void *key;    /* &tensor_key: see bind_to_userdata; NULL once collected */
  Node *node;         /* held, unless by the step; NULL: a variable */
  Variable *variable; /* retained */
  uint32_t step;      /* that keeps the node; 0: none */
} Handle;

/* Tensors and nodes are outside the collector's sight: it runs when the bytes of the
 * former or the number of handles have doubled. Each handle may hold a node of about a
 * kilobyte: as long as they weigh less than Lua's own heap, a collection does not
 * pay. */
enum { COLLECT_FLOOR_BYTES = 32 << 20, COLLECT_FLOOR_HANDLES = 1 << 14 };

static void account_memory(lua_State *L) {
  Session *s = session(L);
  size_t now = s->graph.memory.now_bytes;
  bool more_bytes = now >= COLLECT_FLOOR_BYTES && now >= 2 * s->collected.bytes;
  bool more_handles = s->collected.n_handles >= COLLECT_FLOOR_HANDLES &&
                      s->collected.n_handles >= 2 * s->collected.handles &&
                      s->collected.n_handles >= lua_gc(L, LUA_GCCOUNT);
  if (!more_bytes && !more_handles) return;
  lua_gc(L, LUA_GCCOLLECT);
  s->collected.bytes = s->graph.memory.now_bytes;
  s->collected.handles = s->collected.n_handles;
}

/* With the metatable of that key; holds nothing yet. `n_values`: of Lua, of its own. */
static Handle *new_handle(lua_State *L, const char *meta, int n_values) {
  Handle *h = lua_newuserdatauv(L, sizeof *h, n_values);
  *h = (Handle){.key = &tensor_key};
  lua_rawgetp(L, LUA_REGISTRYINDEX, meta);
  lua_setmetatable(L, -2);
  return h;
}

static Handle *new_holder(lua_State *L, int n_values) {
  account_memory(L);
  Handle *h = new_handle(L, &tensor_key, n_values);
  session(L)->collected.n_handles++;
  return h;
}

void bind_push_node(lua_State *L, Node *node) {
  if (!node) {
    bind_raise_graph_fault(L);
    luaL_error(L, "internal error: a tensor is missing");
    return;
  }
  if (graph_keep(session_graph(L), node)) {
    Handle *h = new_handle(L, &step_tensor_key, 0);
    h->node = node;
    h->step = node->step;
  } else {
    new_holder(L, 0)->node = node_hold(node);
  }
}

void bind_push_variable(lua_State *L, Variable *variable) {
  new_holder(L, 0)->variable = variable_retain(variable);
}

void bind_push_variable_as(lua_State *L, Variable *variable, const char *name) {
  new_holder(L, 1)->variable = variable_retain(variable);
  lua_pushstring(L, name);
  lua_setiuservalue(L, -2, 1);
}

static Handle *to_handle(lua_State *L, int arg) {
  return bind_to_userdata(L, arg, &tensor_key);
}

bool bind_is_tensor(lua_State *L, int arg) { return to_handle(L, arg) != NULL; }

static Node *handle_node(lua_State *L, const Handle *h) {
  Graph *graph = session_graph(L);
  if (h->variable) return variable_read(graph, h->variable);
  if (graph_step_over(graph, h->step)) return NULL;
  return graph_expired(graph, h->node) ? NULL : h->node;
}

Node *bind_check_node(lua_State *L, int arg) {
  Handle *h = to_handle(L, arg);
  if (!h) luaL_typeerror(L, arg, "tensor");
  Node *node = handle_node(L, h);
  if (!node) bind_raise_graph_fault(L);
  must(node);
  return node;
}

Node *bind_to_operand(lua_State *L, int arg) {
  Handle *h = to_handle(L, arg);
  if (h) return handle_node(L, h);
  if (lua_type(L, arg) == LUA_TNUMBER)
    return graph_scalar(session_graph(L), lua_tonumber(L, arg));
  return NULL;
}

Variable *bind_to_variable(lua_State *L, int arg) {
  Handle *h = to_handle(L, arg);
  return h ? h->variable : NULL;
}

#define NO_VALUE                                                                       \
  "a value was asked for inside a static step, whose function runs only once; "        \
  "return the tensor from the function, or leave out static = true"

/* Evaluates; NULL: a fault is in the graph. */
static Tensor *handle_value(lua_State *L, const Handle *h) {
  Graph *graph = session_graph(L);
  int scope = graph_scope_begin(graph);
  Node *read = handle_node(L, h), *node = read ? node_hold(read) : NULL;
  Tensor *value = node ? graph_value(graph, node) : NULL;
  if (node) node_drop(node);
  graph_scope_end(graph, scope);
  /* A variable's read may be gone with its last reference: its node keeps the value. */
  return value && h->variable ? graph_value(graph, h->variable->current) : value;
}

Tensor *bind_check_value(lua_State *L, int arg) {
  Handle *h = to_handle(L, arg);
  if (session_graph(L)->static_trace) luaL_error(L, NO_VALUE);
  if (!h) luaL_typeerror(L, arg, "tensor");
  Tensor *value = handle_value(L, h);
  if (!value) bind_raise_graph_fault(L);
  return value;
}

/* -- tensors as options ------------------------------------------------------------ */

static void *get_tensor(lua_State *L, int arg, Fault *fault) {
  Graph *graph = session_graph(L);
  const Handle *h = to_handle(L, arg);
  if (!h) return NULL;
  if (graph->static_trace) {
    fault_set(fault, ERR_VALUE, NO_VALUE);
    return NULL;
  }
  Tensor *value = handle_value(L, h);
  return graph_ok(graph, fault) ? NULL : tensor_retain(value);
}

static void push_tensor(lua_State *L, void *tensor) {
  Graph *graph = session_graph(L);
  int scope = graph_scope_begin(graph);
  bind_push_node(L, graph_const(graph, tensor));
  graph_scope_end(graph, scope);
}

int bind_check_shape(lua_State *L, int first, Shape *shape) {
  *shape = SHAPE_SCALAR;
  bool list = lua_type(L, first) == LUA_TTABLE && lua_rawlen(L, first) > 0;
  for (int i = 0;; i++) {
    int type = list ? lua_rawgeti(L, first, i + 1)
                    : (lua_pushvalue(L, first + i), lua_type(L, first + i));
    if (type != LUA_TNUMBER) {
      lua_pop(L, 1);
      return list ? first + 1 : first + i;
    }
    int is_integer;
    lua_Integer dim = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || dim < -1)
      luaL_error(L, "size %d is %s; allowed: a whole number of at least 0", i + 1,
                 lua_tostring(L, -1));
    if (i == MAX_RANK) luaL_error(L, "a tensor has at most %d axes", MAX_RANK);
    shape->dim[shape->rank++] = dim;
    lua_pop(L, 1);
  }
}

/* -- methods that look at the value ------------------------------------------------ */

static int tensor_gc(lua_State *L) {
  Handle *h = lua_touserdata(L, 1);
  node_drop(h->node);
  variable_release(h->variable);
  *h = (Handle){0};
  session(L)->collected.n_handles--;
  return 0;
}

static int tensor_item(lua_State *L) {
  Tensor *t = bind_check_value(L, 1);
  if (tensor_count(t) != 1) {
    char shape[SHAPE_TEXT];
    return luaL_error(L, "item: the tensor has shape %s; allowed: one element",
                      shape_text(shape, &t->a.shape));
  }
  double v = array_get(&t->a, 0);
  if (t->a.dtype == DT_REAL) bind_push_real(L, v);
  else lua_pushinteger(L, (lua_Integer)v);
  return 1;
}

/* Pushes axis `axis` of the array from flat element *at on as nested lists. */
static void push_nested(lua_State *L, const Array *a, int axis, int64_t *at) {
  if (axis == a->shape.rank) {
    double v = array_get(a, (*at)++);
    if (a->dtype == DT_REAL) bind_push_real(L, v);
    else lua_pushinteger(L, (lua_Integer)v);
    return;
  }
  luaL_checkstack(L, 4, "nested too deep");
  lua_createtable(L, (int)a->shape.dim[axis], 0);
  for (int64_t i = 1; i <= a->shape.dim[axis]; i++) {
    push_nested(L, a, axis + 1, at);
    lua_rawseti(L, -2, i);
  }
}

static int tensor_totable(lua_State *L) {
  Tensor *t = bind_check_value(L, 1);
  int64_t at = 0;
  push_nested(L, &t->a, 0, &at);
  return 1;
}

static int tensor_eval(lua_State *L) {
  bind_check_value(L, 1);
  account_memory(L);
  lua_settop(L, 1);
  return 1;
}

static int tensor_tostring(lua_State *L) {
  Tensor *t = bind_check_value(L, 1);
  Text text = {0};
  tensor_print(&text, t, bind_value_columns(L));
  if (text.n_bytes && text.data[text.n_bytes - 1] == '\n') text.n_bytes--;
  return bind_push_text(L, &text);
}

/* The node whose shape and type are those of the tensor at 1; of a variable no read. */
static const Node *described_node(lua_State *L) {
  const Handle *h = to_handle(L, 1);
  return h && h->variable && h->variable->has_value ? h->variable->current
                                                    : bind_check_node(L, 1);
}

static int tensor_len(lua_State *L) {
  const Node *node = described_node(L);
  if (node->shape.rank == 0) return luaL_error(L, "a scalar tensor has no length");
  lua_pushinteger(L, node->shape.dim[0]);
  return 1;
}

static int tensor_detach(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  bind_push_node(L, graph_detach(graph, bind_check_node(L, 1)));
  graph_scope_end(graph, scope);
  return 1;
}

static int tensor_assign(lua_State *L) {
  Graph *graph = session_graph(L);
  Variable *v = bind_to_variable(L, 1);
  if (!v) return luaL_error(L, "assign: only a tensor.variable can change");
  if (lua_isnumber(L, 2) && v->has_value && v->current->shape.rank > 0)
    return luaL_error(L, "assign: got a number, allowed: a tensor of the variable's "
                         "shape");
  int scope = bind_enter_call(L);
  Node *value = bind_to_operand(L, 2);
  if (!value) {
    bind_raise_graph_fault(L);
    luaL_typeerror(L, 2, "tensor or number");
  }
  if (variable_assign(graph, v, value)) bind_raise_graph_fault(L);
  graph_scope_end(graph, scope);
  lua_settop(L, 1);
  return 1;
}

/* -- indexing ---------------------------------------------------------------------- */

/* t[i]: the i-th along the first axis, which goes away; negative from the end. */
static int index_leading(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Node *node = bind_check_node(L, 1);
  Shape shape = node->shape;
  lua_Integer i = lua_tointeger(L, 2);
  if (shape.rank == 0) return luaL_error(L, "a scalar tensor cannot be indexed");
  lua_Integer n = shape.dim[0];
  if (i == n + 1) { /* here ipairs(t) ends */
    graph_scope_end(graph, scope);
    lua_pushnil(L);
    return 1;
  }
  if (i == 0 || i > n || i < -n)
    return luaL_error(L, "index %I is out of range: allowed 1 to %I%s", i, n,
                      i == 0 ? " (indices count from 1)" : "");
  int64_t start[MAX_RANK] = {i > 0 ? i - 1 : n + i}, count[MAX_RANK], step[MAX_RANK];
  for (int axis = 0; axis < shape.rank; axis++) {
    count[axis] = axis ? shape.dim[axis] : 1;
    step[axis] = 1;
  }
  Shape rest = {.rank = shape.rank - 1};
  memcpy(rest.dim, shape.dim + 1, sizeof(int64_t) * (size_t)rest.rank);
  bind_push_node(L,
                 op_reshape(graph, op_slice(graph, node, start, count, step), &rest));
  graph_scope_end(graph, scope);
  return 1;
}

int bind_push_elements(lua_State *L, int arg) {
  lua_Integer n = 0;
  arg = lua_absindex(L, arg);
  luaL_checkstack(L, MAX_RANK + 4, "too many arguments");
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1)) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1)
      luaL_error(L,
                 "got the name \"%s\" in a list of ranges; allowed: one for each axis, "
                 "in "
                 "order",
                 luaL_tolstring(L, -2, NULL));
    if (lua_tointeger(L, -2) > n) n = lua_tointeger(L, -2);
  }
  if (n > MAX_RANK)
    luaL_error(L, "got a list of %I ranges; allowed: at most %d", (LUAI_UACINT)n,
               MAX_RANK);
  for (lua_Integer i = 1; i <= n; i++) lua_rawgeti(L, arg, i);
  return (int)n;
}

/* t[{ 2, { 1, 3 } }]: t:slice(2, { 1, 3 }). upvalue 1: methods. */
static int index_by_list(lua_State *L) {
  lua_getfield(L, lua_upvalueindex(1), "slice");
  lua_pushvalue(L, 1);
  int n = bind_push_elements(L, 2);
  lua_call(L, n + 1, 1);
  return 1;
}

static int push_shape(lua_State *L) {
  Handle *h = to_handle(L, 1);
  if (h->variable && !h->variable->has_value) {
    lua_pushnil(L);
    return 1;
  }
  Shape shape = described_node(L)->shape;
  lua_createtable(L, shape.rank, 0);
  for (int i = 0; i < shape.rank; i++) {
    lua_pushinteger(L, shape.dim[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int push_dtype(lua_State *L) {
  lua_pushstring(L, dtype_name(described_node(L)->dtype));
  return 1;
}

/* A net gave it the name that it has there; else it is the variable's. */
static int push_name(lua_State *L) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TSTRING) return 1;
  Variable *v = bind_to_variable(L, 1);
  lua_pushstring(L, v ? v->name : NULL);
  return 1;
}

static const luaL_Reg fields[] = {
    {"shape", push_shape}, {"dtype", push_dtype}, {"name", push_name}, {NULL, NULL}};

static const Habit tensor_habits[] = {
    {"backward", "grad(y, { x })"},      {"grad", "grad(y, { x })"},
    {"numpy", "t:totable()"},            {"tolist", "t:totable()"},
    {"size", "t.shape"},                 {"view", "t:reshape(...)"},
    {"dim", "#t.shape"},                 {"T", "t:transpose()"},
    {"requires_grad", "tensor.variable(t)"},
    {"permute", "t:transpose(axes)"},    {"unsqueeze", "t:reshape(...)"},
    {"squeeze", "t:reshape(...)"},       {"ndim", "#t.shape"},
    {"float", "t:cast \"real\""},        {"long", "t:cast \"int32\""},
    {"astype", "t:cast(dtype)"},         {"copy", "t itself: tensors do not change"},
    {"clone", "t itself: tensors do not change"},
    {NULL, NULL}};

/* upvalue 1: methods. Raises: no such field, with what to write instead or the
 * nearest. */
static int no_field(lua_State *L, const char *name) {
  enum { NAMES = 512 };
  const char *names[NAMES], *write = bind_habit_of(tensor_habits, name);
  int n = 0;
  if (write)
    return luaL_error(L, "a tensor has no field or method \"%s\"; write %s", name,
                      write);
  for (const luaL_Reg *f = fields; f->name; f++) names[n++] = f->name;
  lua_pushnil(L);
  for (; lua_next(L, lua_upvalueindex(1)); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && n < NAMES) names[n++] = lua_tostring(L, -2);
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(L,
                    nearest
                        ? "a tensor has no field or method \"%s\"; did you mean \"%s\"?"
                        : "a tensor has no field or method \"%s\"",
                    name, nearest);
}

/* upvalue 1: methods. */
static int tensor_index(lua_State *L) {
  if (lua_isinteger(L, 2)) return index_leading(L);
  if (lua_type(L, 2) == LUA_TNUMBER) {
    int is_integer;
    lua_Integer i = lua_tointegerx(L, 2, &is_integer);
    if (!is_integer)
      return luaL_error(L, "index %s is no whole number", lua_tostring(L, 2));
    lua_pushinteger(L, i);
    lua_replace(L, 2);
    return index_leading(L);
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) == LUA_TTABLE) return index_by_list(L);
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L,
                      "a tensor is indexed by a whole number or a list, as in t[i] and "
                      "t[{ i, { first, last } }], got %s",
                      bind_argument_text(L, 2));
  const char *name = lua_tostring(L, 2);
  for (const luaL_Reg *f = fields; f->name; f++)
    if (strcmp(f->name, name) == 0) return f->func(L);
  return no_field(L, name);
}

static int tensor_newindex(lua_State *L) {
  return luaL_error(L, "tensors do not change; use tensor.variable and v:assign(t)");
}

static int tensor_compare(lua_State *L) {
  return luaL_error(L,
                    "tensors are not compared by < and <=: for an `if` write t:item() "
                    "< u:item(), of one element each; t:lt(u), t:le(u), t:gt(u), "
                    "t:ge(u) compare element by element and give a tensor, which `if` "
                    "takes for true");
}

static int tensor_concat_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static int tensor_listing(lua_State *L) {
  const Variable *v = bind_to_variable(L, 1);
  const char *kind = !v             ? "tensor"
                     : v->frozen    ? "frozen variable"
                     : v->trainable ? "variable"
                                    : "variable that is not trained";
  if (v && !v->has_value) {
    lua_pushfstring(L, "%s without a value", kind);
  } else {
    Sha256 sum;
    char hash[SHA256_TEXT];
    sha256_begin(&sum);
    tensor_hash(bind_check_value(L, 1), &sum);
    sha256_end(&sum, hash);
    lua_pushfstring(L, "%s %s", kind, hash);
  }
  bind_begin_listing(L, v ? (const void *)v : lua_touserdata(L, 1),
                     lua_tostring(L, -1));
  return 3;
}

static const luaL_Reg metamethods[] = {
    {"__tostring", tensor_tostring}, {"__len", tensor_len},
    {LISTING, tensor_listing},
    {"__newindex", tensor_newindex}, {"__lt", tensor_compare},
    {"__le", tensor_compare},        {"__concat", tensor_concat_text},
    {NULL, NULL}};

static const Function tensor_methods[] = {
    {"item", tensor_item, "t:item()", "The only element, as a number.", NULL},
    {"totable", tensor_totable, "t:totable()", "The elements, as nested lists.", NULL},
    {"eval", tensor_eval, "t:eval()", "Computes the value now. Returns the tensor.",
     NULL},
    {"detach", tensor_detach, "t:detach()", "The same value, without its history: no "
     "gradient flows through it.", NULL},
    {"assign", tensor_assign, "v:assign(t)",
     "Gives a variable another value, of the same shape. Returns the variable.", NULL},
    {0}};

void bind_push_tensor_metatable(lua_State *L) {
  static const RefBinding ref = {&tensor_ref_type, get_tensor, push_tensor};
  bind_register_ref(L, &ref);
  bind_new_metatable(L, TENSOR_META);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  for (const luaL_Reg *f = fields; f->name; f++) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, f->name);
  }
  lua_setfield(L, -2, "__fields");
  lua_newtable(L);
  reflect_set_functions(L, tensor_methods);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, tensor_index, 1);
  lua_setfield(L, -3, "__index");
}

void bind_set_tensor_metatable(lua_State *L, int metatable) {
  metatable = lua_absindex(L, metatable);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, metatable)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &step_tensor_key);
  lua_pushcfunction(L, tensor_gc);
  lua_setfield(L, metatable, "__gc");
  lua_pushvalue(L, metatable);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tensor_key);
}
