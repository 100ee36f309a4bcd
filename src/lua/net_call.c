/* net_call.c: net(x, ...) and net:predict(x, ...): inputs of a net, and options behind
 * them.
 */
#include "lua/net_private.h"
#include "graph/ops.h"
#include "nn/sight.h"
#include <string.h>

/* -- calling ----------------------------------------------------------------------- */

/* What net(x, ..., { options }) and net:predict(x, ..., { options }) take: the names
 * that are allowed, NULL-terminated. */
typedef struct CallOptions {
  const char *function;
  const char *const *allowed;
  bool training, dropout;
  int64_t batch_size;
  Node *mask[MAX_PORTS]; /* of each input; or NULL */
  int n_masks;
  bool sighted; /* what attention may see is given, in `sight` */
  Sight sight;
} CallOptions;

static const char *const call_options[] = {"training", "dropout", "mask",
                                           "attention_mask", "memory_mask", NULL};
static const char *const predict_options[] = {
    "batch_size", "dropout", "mask", "attention_mask", "memory_mask", NULL};

static bool is_allowed(const CallOptions *options, const char *name) {
  const char *const *a = options->allowed;
  while (*a && strcmp(*a, name) != 0) a++;
  return *a != NULL;
}

static int64_t check_batch_size(lua_State *L, int arg, const char *function) {
  int whole;
  lua_Integer n = lua_tointegerx(L, arg, &whole);
  if (!whole || lua_type(L, arg) != LUA_TNUMBER || n < 1)
    luaL_error(L, "%s: batch size: got %s, allowed: at least 1", function,
               luaL_tolstring(L, arg, NULL));
  return n;
}

/* The value at the top: true or false. */
static bool check_switch(lua_State *L, const char *name, const char *function) {
  if (lua_type(L, -1) != LUA_TBOOLEAN)
    luaL_error(L, "%s: option \"%s\": got a %s, allowed: true or false", function, name,
               luaL_typename(L, -1));
  return lua_toboolean(L, -1);
}

/* The tensor at the top, or NULL for false, as the option `name`. */
static Node *check_mask_tensor(lua_State *L, const CallOptions *options,
                               const char *name, const char *allowed) {
  if (lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) return NULL;
  if (!bind_is_tensor(L, -1))
    luaL_error(L, "%s: option \"%s\": got a %s, allowed: %s", options->function, name,
               luaL_typename(L, -1), allowed);
  return bind_check_node(L, lua_gettop(L));
}

/* mask = m, or { m, false, ... }, one for each input. */
static void take_masks(lua_State *L, CallOptions *out) {
  static const char allowed[] = "a tensor [N, T], 1 where a step counts, else 0; of "
                                "several inputs a list, false where one has none";
  int list = lua_gettop(L);
  out->n_masks = 1;
  if (lua_type(L, list) != LUA_TTABLE || bind_is_tensor(L, list)) {
    out->mask[0] = check_mask_tensor(L, out, "mask", allowed);
    return;
  }
  lua_Unsigned n = lua_rawlen(L, list);
  if (n > MAX_PORTS)
    luaL_error(L, "%s: option \"mask\": got a list of %d, allowed: one for each input",
               out->function, (int)n);
  out->n_masks = (int)n;
  for (int i = 0; i < out->n_masks; i++) {
    lua_rawgeti(L, list, i + 1);
    out->mask[i] = check_mask_tensor(L, out, "mask", allowed);
    lua_settop(L, list); /* the list holds it */
  }
}

/* Are there other values than 0 and 1, as far as they are computed? */
static void check_pairs(lua_State *L, const CallOptions *options, const char *name,
                        const Node *mask) {
  const Tensor *t = node_value(mask);
  int64_t n = t ? shape_count(&t->a.shape) : 0;
  for (int64_t i = 0; i < n; i++) {
    double v = array_get(&t->a, i);
    if (v == 0 || v == 1) continue;
    luaL_error(L,
               "%s: option \"%s\": got %f, allowed: 1 where a query may see a key, "
               "else 0 (of a mask m that is added, 0 or -inf: m:eq(0))",
               options->function, name, v);
  }
}

static Node *take_pairs(lua_State *L, CallOptions *out, const char *name) {
  Node *mask = check_mask_tensor(L, out, name,
                                 "a tensor [N, Q, S] or [Q, S], 1 where a query may "
                                 "see a key, else 0; false for none");
  out->sighted = true;
  if (!mask) return NULL;
  check_pairs(L, out, name, mask);
  return op_mask(session_graph(L), mask);
}

static const Habit call_habits[] = {
    {"attn_mask", "attention_mask, 1 where a query may see a key (PyTorch's of "
                  "booleans are true where it may not)"},
    {"key_padding_mask", "mask, 1 where a step counts (PyTorch's is true where it does "
                         "not); of a second input mask = { false, m }"},
    {NULL, NULL}};

static int refuse_call_option(lua_State *L, const CallOptions *out, const char *name) {
  char allowed[128];
  const char *habit = bind_habit_of(call_habits, name);
  if (habit)
    return luaL_error(L, "%s: unknown option \"%s\"; here it is %s", out->function,
                      name, habit);
  option_words_allowed(out->allowed, allowed, sizeof allowed);
  return luaL_error(L, "%s: unknown option \"%s\"; allowed: %s", out->function,
                    luaL_tolstring(L, -2, NULL), allowed);
}

static void take_call_option(lua_State *L, CallOptions *out) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  if (!is_allowed(out, name)) refuse_call_option(L, out, name);
  if (strcmp(name, "training") == 0) {
    out->training = check_switch(L, name, out->function);
  } else if (strcmp(name, "dropout") == 0) {
    out->dropout = check_switch(L, name, out->function);
  } else if (strcmp(name, "mask") == 0) {
    take_masks(L, out);
  } else if (strcmp(name, "attention_mask") == 0) {
    out->sight.own = take_pairs(L, out, name);
  } else if (strcmp(name, "memory_mask") == 0) {
    out->sight.memory = take_pairs(L, out, name);
  } else {
    out->batch_size = check_batch_size(L, lua_gettop(L), out->function);
  }
}

static void take_call_options(lua_State *L, int arg, CallOptions *out) {
  lua_pushnil(L);
  for (; lua_next(L, arg); lua_pop(L, 1)) take_call_option(L, out);
}

/* An input of a net: a tensor, or a list of numbers, which is one. */
static Node *check_input(lua_State *L, int arg, const char *function) {
  if (bind_to_dataset(L, arg))
    luaL_error(L, "%s: got a data set; allowed: a tensor, as x of x, y = set:tensors()",
               function);
  if (bind_is_tensor(L, arg)) return bind_check_node(L, arg);
  if (lua_type(L, arg) != LUA_TTABLE)
    luaL_error(L, "%s: got %s; allowed: a tensor, or a list of numbers", function,
               lua_isnil(L, arg) ? "nil, or nothing" : luaL_typename(L, arg));
  return bind_list_node(L, arg);
}

/* Are options, not a list of numbers, at `arg`? */
static bool is_options(lua_State *L, int arg) {
  return lua_type(L, arg) == LUA_TTABLE && lua_rawlen(L, arg) == 0;
}

/* The inputs at 2 to `last`. */
static void check_inputs(lua_State *L, int last, const CallOptions *options,
                         Ports *in) {
  const char *function = options->function;
  const char *example = options->batch_size ? "{ batch_size = 64 }"
                                            : "{ training = true }";
  int n = last < 2 ? 1 : last - 1;
  if (n > MAX_PORTS)
    luaL_error(L, "%s: got %d tensors; allowed: up to %d, then %s or nothing", function,
               n, MAX_PORTS, example);
  for (int i = 0; i < n; i++) {
    int arg = 2 + i, type = lua_type(L, arg);
    if (i > 0 && !bind_is_tensor(L, arg) && (type != LUA_TTABLE || is_options(L, arg)))
      luaL_error(L, "%s: argument %d is %s; allowed: tensors, then %s or nothing",
                 function, i + 1, bind_argument_text(L, arg), example);
    in->v[i].x = check_input(L, arg, function);
  }
  in->n = n;
}

static void check_mask(lua_State *L, const CallOptions *options, const Node *mask,
                       const Node *x) {
  const Shape *steps = &mask->shape, *of = &x->shape;
  char got[SHAPE_TEXT], input[SHAPE_TEXT];
  if (steps->rank == 2 && of->rank >= 2 && steps->dim[0] == of->dim[0] &&
      steps->dim[1] == of->dim[1])
    return;
  luaL_error(L,
             "%s: option \"mask\": got %s for an input of %s; allowed: [N, T] of an "
             "input [N, T, ...]",
             options->function, shape_text(got, steps), shape_text(input, of));
}

static void give_masks(lua_State *L, const CallOptions *options, Ports *in) {
  if (options->n_masks > in->n)
    luaL_error(L, "%s: option \"mask\": got %d masks, but the net gets %d tensor%s",
               options->function, options->n_masks, in->n, in->n == 1 ? "" : "s");
  for (int i = 0; i < options->n_masks; i++) {
    if (!options->mask[i]) continue;
    check_mask(L, options, options->mask[i], in->v[i].x);
    in->v[i].mask = op_mask(session_graph(L), options->mask[i]);
  }
}

/* The inputs from argument 2 on, and the options behind them: a table, or of predict
 * the size of a batch alone. */
static void check_call(lua_State *L, CallOptions *options, Ports *in) {
  int last = lua_gettop(L);
  while (last > 2 && lua_isnil(L, last)) last--;
  int options_at = last > 2 && is_options(L, last) ? last-- : 0;
  if (options->batch_size && last > 2 && lua_type(L, last) == LUA_TNUMBER)
    options->batch_size = check_batch_size(L, last--, options->function);
  check_inputs(L, last, options, in);
  if (options_at) take_call_options(L, options_at, options);
  give_masks(L, options, in);
}

/* A mask that no layer has asked for is a mistake. */
static void check_sight(lua_State *L, const Layer *net, const CallOptions *options) {
  static const char text[] = "%s: option \"%s\": no layer of %s takes it; allowed: of "
                             "nets with %s";
  const Sight *sight = &options->sight;
  if (sight->own && !sight->own_used)
    luaL_error(L, text, options->function, "attention_mask", net->name,
               "attention, as nn.MultiHeadAttention");
  if (sight->memory && !sight->memory_used)
    luaL_error(L, text, options->function, "memory_mask", net->name,
               "nn.TransformerDecoder");
}

/* net(x, ...), net(x, ..., { training = true, dropout = true, mask = m }) -> y, ...
 * What is not said is as in the call around this one. */
int net_call(lua_State *L) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Layer *net = bind_check_object(L, 1, &layer_family);
  CallOptions options = {"net", call_options, .training = graph->training,
                         .dropout = graph->dropout};
  Ports in = {0};
  check_call(L, &options, &in);
  bool training = graph->training, dropout = graph->dropout;
  Sight *sight = graph->sight;
  graph->training = options.training;
  graph->dropout = options.dropout;
  if (options.sighted) graph->sight = &options.sight;
  Ports out = layer_call_ports(graph, net, &in);
  graph->training = training;
  graph->dropout = dropout;
  graph->sight = sight;
  if (out.n) check_sight(L, net, &options);
  luaL_checkstack(L, MAX_PORTS, "too many results");
  if (out.n == 0) bind_push_node(L, NULL);
  for (int i = 0; i < out.n; i++) bind_push_node(L, out.v[i].x);
  graph_scope_end(graph, scope);
  return out.n;
}

/* -- predicting -------------------------------------------------------------------- */

enum { PREDICT_BATCH = 256 };

static int predict(lua_State *L, Node *(*f)(Graph *, Layer *, const Ports *, int64_t)) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  Layer *net = bind_check_object(L, 1, &layer_family);
  CallOptions options = {"predict", predict_options, .batch_size = PREDICT_BATCH};
  Ports in = {0};
  check_call(L, &options, &in);
  Sight *sight = graph->sight;
  graph->dropout = options.dropout;
  graph->sight = options.sighted ? &options.sight : NULL;
  Node *y = f(graph, net, &in, options.batch_size);
  graph->dropout = false;
  graph->sight = sight;
  if (y) check_sight(L, net, &options);
  bind_push_node(L, y);
  graph_scope_end(graph, scope);
  return 1;
}

int net_predict(lua_State *L) { return predict(L, layer_predict); }
int net_predict_classes(lua_State *L) { return predict(L, layer_predict_classes); }
