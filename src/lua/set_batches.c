/* set_batches.c: batches of a data set, as an iterator and as tensors. */
#include "lua/set_private.h"

#define BATCHES_META "runner.batches"

typedef struct BatchBox {
  Batches batches;
  Batch last; /* its tensors are reused when Lua has let go of them */
} BatchBox;

static int batches_gc(lua_State *L) {
  BatchBox *box = lua_touserdata(L, 1);
  batches_close(&box->batches);
  batch_deinit(&box->last);
  *box = (BatchBox){0};
  return 0;
}

static void push_tensor(lua_State *L, Tensor *t) {
  if (t) bind_push_node(L, graph_const(session_graph(L), t));
  else lua_pushnil(L);
}

/* x, of which there may be several, then y, weight and mask up to the last that the set
 * has; returns how many. */
static int push_batch(lua_State *L, const Batch *batch) {
  Tensor *const part[] = {batch->y, batch->weight, batch->mask};
  int n = 3;
  while (n > 0 && !part[n - 1]) n--;
  luaL_checkstack(L, MAX_INPUTS + n, "too many inputs");
  for (int i = 0; i < batch->n_x; i++) push_tensor(L, batch->x[i]);
  for (int i = 0; i < n; i++) push_tensor(L, part[i]);
  return batch->n_x + n;
}

/* upvalue 1: the BatchBox. */
static int batches_step(lua_State *L) {
  BatchBox *box = lua_touserdata(L, lua_upvalueindex(1));
  int scope = bind_enter_call(L);
  Fault fault = {0};
  bool more = false;
  if (box->batches.set && batches_next(&box->batches, &box->last, &more, &fault))
    return bind_raise_fault(L, &fault);
  if (!more) {
    graph_scope_end(session_graph(L), scope);
    lua_pushnil(L);
    return 1;
  }
  int n = push_batch(L, &box->last);
  graph_scope_end(session_graph(L), scope);
  return n;
}

/* Where the order comes from: "epoch" draws anew at each call, "once" never. */
static Stream order_stream(lua_State *L, const BatchesCall *call, const Dataset *set) {
  const char *name = call->name ? call->name : dataset_name(set);
  Stream stream = {philox_key(set_seed(L, call->seed), "order", name), 0};
  if (call->shuffle == SHUFFLE_EPOCH)
    stream.draw = graph_draw(session_graph(L), "order", name).draw;
  return stream;
}

/* Where random transforms draw from: anew at each call, as the order of the rows. */
static Stream augment_stream(lua_State *L, const BatchesCall *call,
                             const Dataset *set) {
  const char *name = call->name ? call->name : dataset_name(set);
  uint64_t draw = graph_draw(session_graph(L), "augment", name).draw;
  return (Stream){philox_key(set_seed(L, call->seed), "augment", name), draw};
}

/* for x, y, weight, mask in set:batches(32, {...}): function, nil, nil, and the box to
 * be closed. */
static int set_batches(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const BatchesCall *call = set_arguments(L, &batches_method);
  BatchOptions options = {.batch_size = call->batch_size,
                          .shuffle = (ShuffleMode)call->shuffle,
                          .drop_last = call->drop_last,
                          .order = order_stream(L, call, set),
                          .training = call->training};
  if (call->training && dataset_augments(set))
    options.augment = augment_stream(L, call, set);
  BatchBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (BatchBox){0};
  luaL_setmetatable(L, BATCHES_META);
  Fault fault = {0};
  if (batches_open(&box->batches, set, &options, &fault))
    return bind_raise_fault(L, &fault);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, batches_step, 1);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 4;
}

/* set:tensors() -> x, y, weight, mask: all rows at once, transformed, in the set's
 * order. */
static int set_tensors(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  BatchBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (BatchBox){0};
  luaL_setmetatable(L, BATCHES_META);
  if (batch_of_all(&box->last, set, "tensors", &fault))
    return bind_raise_fault(L, &fault);
  int n = push_batch(L, &box->last);
  graph_scope_end(session_graph(L), scope);
  return n;
}

static int batches_listing(lua_State *L) {
  const BatchBox *box = luaL_checkudata(L, 1, BATCHES_META);
  const BatchOptions *options = &box->batches.options;
  if (!box->batches.set) {
    bind_begin_listing(L, box, "batches that have ended");
    return 3;
  }
  const struct { const char *name; lua_Integer value; } numbers[] = {
      {"batch_size", options->batch_size}, {"shuffle", options->shuffle},
      {"drop_last", options->drop_last},   {"order", (lua_Integer)options->order.key},
      {"draw", (lua_Integer)options->order.draw}, {"at", box->batches.at}};
  bind_begin_listing(L, box, "batches");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    lua_pushinteger(L, numbers[i].value);
    bind_add_part(L, numbers[i].name);
  }
  *set_new_box(L) = dataset_retain(box->batches.set);
  bind_add_part(L, "set");
  return 3;
}

/* -- the lists --------------------------------------------------------------------- */

const Function set_batches_methods[] = {
    {"batches", set_batches, "set:batches(batch_size, { options })",
     "An iterator over one epoch: for x, y in set:batches(32) do ... end. Where rows "
     "have weights or a mask: for x, y, weight, mask (weight is nil without weights); "
     "where x are two: for a, b, y.",
     &batches_method},
    {"tensors", set_tensors, "set:tensors()",
     "All rows at once. Returns x (of several, one after the other), y, and the "
     "weights and the mask of rows that have some.",
     NULL},
    {0}};

void set_open_batches(lua_State *L) {
  static const luaL_Reg batches[] = {
      {"__gc", batches_gc}, {"__close", batches_gc}, {LISTING, batches_listing},
      {NULL, NULL}};
  set_add_metatable(L, BATCHES_META, batches);
}
