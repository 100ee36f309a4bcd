/* bind_run.c: the run that a trial is given: run:checkpoint and run:restore, for loops
 * of one's own.
 *
 *   local state = run:restore { net = net, optimizer = adam } or { epoch = 0 }
 *   for epoch = state.epoch + 1, 20 do
 *     for x, y in set:batches(32) do step(x, y) end
 *     run:checkpoint { net = net, optimizer = adam, epoch = epoch }
 *   end
 *
 * A checkpoint holds what the table names (nets with everything that belongs to them,
 * optimizers with their slots, variables, plain values) and the position of every
 * stream of random numbers, math.random too. Continued from there, the loop draws and
 * computes as if it had never stopped. */
#include "lua/checkpoints.h"
#include "base/out.h"
#include "base/sys.h"
#include <ctype.h>
#include <string.h>

#define RUN_META "runner.run"
#define BOX_META "runner.checkpoint"

static const char values_part[] = "values", default_series[] = "loop";

/* -- working memory that the collector frees --------------------------------------- */

typedef struct Box {
  Checkpoint c;
  Text bytes;
} Box;

static int box_gc(lua_State *L) {
  Box *box = lua_touserdata(L, 1);
  checkpoint_deinit(&box->c);
  text_deinit(&box->bytes);
  return 0;
}

/* -- what the table can hold ------------------------------------------------------- */

/* Things that are put back in place, each with what a checkpoint calls it. */
typedef enum ItemKind { ITEM_NET, ITEM_OPTIMIZER, ITEM_VARIABLE, ITEM_PLAIN } ItemKind;
static const char *const item_names[] = {"net", "optimizer", "variable", NULL};

static ItemKind item_kind(lua_State *L, int arg) {
  if (bind_to_object(L, arg, &layer_family)) return ITEM_NET;
  if (bind_to_object(L, arg, &optim_family)) return ITEM_OPTIMIZER;
  return bind_to_variable(L, arg) ? ITEM_VARIABLE : ITEM_PLAIN;
}

enum { PART_NAME = 128 };

/* The part of a thing; its key is at `key`. */
static const char *item_part(lua_State *L, int key, const char *function,
                             char buffer[PART_NAME]) {
  if (lua_type(L, key) != LUA_TSTRING || lua_rawlen(L, key) > PART_NAME / 2)
    luaL_error(L,
               "run:%s: a net, optimizer or variable is under %s; allowed: a name "
               "of at most %d characters",
               function, luaL_tolstring(L, key, NULL), PART_NAME / 2);
  snprintf(buffer, PART_NAME, "item.%s", lua_tostring(L, key));
  return buffer;
}

/* The name under which the checkpoints of this loop are kept: argument 3. */
static const char *check_series(lua_State *L, const char *function) {
  const char *name = luaL_optstring(L, 3, default_series);
  bool fine = *name != 0 && strlen(name) <= 40;
  for (const char *s = name; fine && *s; s++)
    fine = isalnum((unsigned char)*s) || *s == '_';
  const char *digits = strncmp(name, "fit", 3) == 0 ? name + 3 : "x";
  if (fine && digits[strspn(digits, "0123456789")] != 0) return name;
  luaL_error(L,
             "run:%s: name \"%s\"; allowed: up to 40 letters, digits and _, but not "
             "\"fit\" and a number",
             function, name);
  return NULL;
}

static void check_run(lua_State *L, const char *function) {
  if (!bind_is_run(L, 1))
    luaL_error(L, "run:%s is called on the run, as in run:%s { ... }", function,
               function);
  if (session_graph(L)->in_transaction)
    luaL_error(L, "run:%s was called inside a step; allowed: between steps", function);
}

/* -- checkpoint -------------------------------------------------------------------- */

/* Calls `each` for every thing of the kind in the table at 2; key and value lie on
 * top. */
typedef void (*EachItem)(lua_State *L, Box *box, const char *part, void *ctx);

static void each_item(lua_State *L, Box *box, ItemKind kind, const char *function,
                      EachItem each, void *ctx) {
  char part[PART_NAME];
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    if (item_kind(L, lua_gettop(L)) == kind)
      each(L, box, item_part(L, lua_gettop(L) - 1, function, part), ctx);
    lua_pop(L, 1);
  }
}

/* One variable as a list. */
static StateList list_of(Variable **v) { return (StateList){.n = 1, .v = v}; }

static void add_net(lua_State *L, Box *box, const char *part, void *ctx) {
  (void)ctx;
  Fault fault = {0};
  Layer *net = bind_to_object(L, -1, &layer_family);
  if (checkpoint_add_net(&box->c, part, session_graph(L), net, &fault))
    bind_raise_fault(L, &fault);
}

static void add_variable(lua_State *L, Box *box, const char *part, void *ctx) {
  (void)ctx;
  Fault fault = {0};
  Variable *v = bind_to_variable(L, -1);
  StateList list = list_of(&v);
  if (checkpoint_add_values(&box->c, part, session_graph(L), &list, &fault))
    bind_raise_fault(L, &fault);
}

/* The slots that an optimizer has for one of the things in the table: `part` is the
 * latter's, whose variables it may train. */
typedef struct Slots {
  Optimizer *optimizer;
  const char *part; /* of the optimizer */
  bool load;
  int n;
} Slots;

static Err move_slots(lua_State *L, Box *box, const Slots *slots, const char *part,
                      const StateList *list, int *n, Fault *fault) {
  Graph *graph = session_graph(L);
  char prefix[PART_NAME + 8];
  snprintf(prefix, sizeof prefix, "%s.", part);
  return slots->load ? checkpoint_get_slots(&box->c, slots->part, prefix, graph,
                                            slots->optimizer, list, fault)
                     : checkpoint_add_slots(&box->c, slots->part, prefix, graph,
                                            slots->optimizer, list, n, fault);
}

static void net_slots(lua_State *L, Box *box, const char *part, void *ctx) {
  Slots *slots = ctx;
  Fault fault = {0};
  StateList params;
  Err err = layer_parameters(bind_to_object(L, -1, &layer_family), &params, &fault);
  if (!err) err = move_slots(L, box, slots, part, &params, &slots->n, &fault);
  state_deinit(&params);
  if (err) bind_raise_fault(L, &fault);
}

static void variable_slots(lua_State *L, Box *box, const char *part, void *ctx) {
  Slots *slots = ctx;
  Fault fault = {0};
  Variable *v = bind_to_variable(L, -1);
  StateList list = list_of(&v);
  if (move_slots(L, box, slots, part, &list, &slots->n, &fault))
    bind_raise_fault(L, &fault);
}

static void all_slots(lua_State *L, Box *box, Slots *slots) {
  const char *function = slots->load ? "restore" : "checkpoint";
  each_item(L, box, ITEM_NET, function, net_slots, slots);
  each_item(L, box, ITEM_VARIABLE, function, variable_slots, slots);
}

static void add_optimizer(lua_State *L, Box *box, const char *part, void *ctx) {
  (void)ctx;
  Fault fault = {0};
  Slots slots = {.optimizer = bind_to_object(L, -1, &optim_family), .part = part};
  if (checkpoint_add_optimizer(&box->c, part, slots.optimizer, &fault))
    bind_raise_fault(L, &fault);
  all_slots(L, box, &slots);
  if (slots.n < slots.optimizer->n_slots)
    luaL_error(L,
               "run:checkpoint: \"%s\" has trained %d variables, of which %d are in "
               "the table; its net belongs there, too",
               lua_tostring(L, -2), slots.optimizer->n_slots, slots.n);
}

/* Names of the things, and all that is plain as one table. */
static void add_plain(lua_State *L, Box *box) {
  Json *items = json_map();
  json_put(box->c.state, "items", items);
  lua_newtable(L);
  int plain = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    ItemKind kind = item_kind(L, lua_gettop(L));
    if (kind == ITEM_PLAIN) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, plain);
    } else {
      json_put_text(items, lua_tostring(L, -2), item_names[kind]);
      lua_pop(L, 1);
    }
  }
  plain_save(L, plain, &box->c, values_part, &box->bytes);
  lua_pop(L, 1);
}

static void fill_box(lua_State *L, Box *box) {
  Fault fault = {0};
  if (checkpoint_init(&box->c, &fault)) bind_raise_fault(L, &fault);
  each_item(L, box, ITEM_NET, "checkpoint", add_net, NULL);
  each_item(L, box, ITEM_VARIABLE, "checkpoint", add_variable, NULL);
  each_item(L, box, ITEM_OPTIMIZER, "checkpoint", add_optimizer, NULL);
  add_plain(L, box);
  if (checkpoint_add_random(L, &box->c, &fault) ||
      checkpoint_add_streams(&box->c, session_graph(L), &fault))
    bind_raise_fault(L, &fault);
}

/* (run, values, name) -> written: the work of checkpoint, called in protected mode, so
 * that an interrupt that is held is let go again. */
static int keep(lua_State *L) {
  const char *series = check_series(L, "checkpoint");
  Fault fault = {0};
  bool written = false;
  int scope = bind_enter_call(L);
  Box *box = bind_push_box(L, sizeof *box, BOX_META, box_gc);
  fill_box(L, box);
  graph_scope_end(session_graph(L), scope);
  if (session(L)->resume.directory &&
      checkpoints_put(L, series, &box->c, &written, &fault)) {
    if (fault.code != ERR_STORAGE) return bind_raise_fault(L, &fault);
    err_print("run:checkpoint: nothing was written: %s\n", fault.text);
  }
  lua_pushboolean(L, written);
  return 1;
}

/* run:checkpoint(values, name) -> true when it is on disk by now
 *
 * `values` is a table by name: nets, optimizers, variables (each under a string), and
 * plain values: numbers, strings, booleans, tensors, tables of those. The optimizer's
 * nets and variables must be there, too. `name` (default "loop") keeps several loops of
 * one run apart. Cheap enough to be called after every epoch: what is given is written
 * at most once per minute, and otherwise held, to be written when the run is asked to
 * stop; the call then raises "interrupted". Files that cannot be written are a
 * warning. */
static int run_checkpoint(lua_State *L) {
  check_run(L, "checkpoint");
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  lua_pushcfunction(L, keep);
  lua_insert(L, 1);
  bool stop = interrupt_pending();
  interrupt_hold();
  int status = bind_call_guarded(L, 3, 1);
  interrupt_release();
  if (status != LUA_OK) return lua_error(L);
  if (!stop) return 1;
  lua_pushliteral(L, "interrupted");
  return bind_raise_text(L, ERR_INTERRUPT);
}

/* -- restore ----------------------------------------------------------------------- */

static void get_net(lua_State *L, Box *box, const char *part, void *ctx) {
  (void)ctx;
  Fault fault = {0};
  Layer *net = bind_to_object(L, -1, &layer_family);
  if (checkpoint_get_net(&box->c, part, session_graph(L), net, &fault)) {
    fault_prefix(&fault, "run:restore: %s", lua_tostring(L, -2));
    bind_raise_fault(L, &fault);
  }
}

static void get_variable(lua_State *L, Box *box, const char *part, void *ctx) {
  (void)ctx;
  Fault fault = {0};
  Variable *v = bind_to_variable(L, -1);
  StateList list = list_of(&v);
  if (checkpoint_get_values(&box->c, part, session_graph(L), &list, &fault)) {
    fault_prefix(&fault, "run:restore: %s", lua_tostring(L, -2));
    bind_raise_fault(L, &fault);
  }
}

static void get_optimizer(lua_State *L, Box *box, const char *part, void *ctx) {
  (void)ctx;
  Fault fault = {0};
  Slots slots = {
      .optimizer = bind_to_object(L, -1, &optim_family), .part = part, .load = true};
  if (checkpoint_get_optimizer(&box->c, part, slots.optimizer, &fault)) {
    fault_prefix(&fault, "run:restore: %s", lua_tostring(L, -2));
    bind_raise_fault(L, &fault);
  }
  all_slots(L, box, &slots);
}

/* The table must name the things that the checkpoint holds, and no others. */
static void check_items(lua_State *L, const Box *box) {
  const Json *items = json_find(box->c.state, "items");
  for (void *it = json_first(items); it; it = json_next(items, it)) {
    const char *name = json_key(it), *kind = "";
    json_get_text(json_value(it), &kind);
    lua_getfield(L, 2, name);
    ItemKind given = item_kind(L, lua_gettop(L));
    if (given == ITEM_PLAIN || strcmp(item_names[given], kind) != 0)
      luaL_error(L,
                 "run:restore: the checkpoint holds the %s \"%s\", got %s; allowed: "
                 "run:restore { %s = the %s }",
                 kind, name,
                 given == ITEM_PLAIN ? luaL_typename(L, -1) : item_names[given], name,
                 kind);
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    const char *name = luaL_tolstring(L, -2, NULL);
    if (!json_find(items, name))
      luaL_error(L,
                 "run:restore: \"%s\" is not among the nets, optimizers and variables "
                 "of the checkpoint",
                 name);
    lua_pop(L, 2);
  }
}

static void empty_box(lua_State *L, Box *box) {
  Fault fault = {0};
  check_items(L, box);
  each_item(L, box, ITEM_NET, "restore", get_net, NULL);
  each_item(L, box, ITEM_VARIABLE, "restore", get_variable, NULL);
  each_item(L, box, ITEM_OPTIMIZER, "restore", get_optimizer, NULL);
  plain_push(L, &box->c, values_part);
  if (checkpoint_get_random(L, &box->c, &fault) ||
      checkpoint_get_streams(&box->c, session_graph(L), &fault))
    bind_raise_fault(L, &fault);
}

/* run:restore(things, name) -> the plain values of the last run:checkpoint; nil: there
 * is none
 *
 * `things` are the nets, optimizers and variables that were given to run:checkpoint,
 * under the same names: they get the state that they had. Nets need not be built.
 * Streams of random numbers go on from where they were, so nothing should be drawn
 * between this call and what the loop does. A damaged file is a warning, and the one
 * before is used. */
static int run_restore(lua_State *L) {
  check_run(L, "restore");
  lua_settop(L, 3);
  const char *series = check_series(L, "restore");
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!session(L)->resume.directory) return 0;
  int scope = bind_enter_call(L);
  Fault fault = {0};
  bool found = false;
  Box *box = bind_push_box(L, sizeof *box, BOX_META, box_gc);
  if (checkpoints_get(L, series, &box->c, &found, &fault))
    return bind_raise_fault(L, &fault);
  if (found) empty_box(L, box);
  else lua_pushnil(L);
  graph_scope_end(session_graph(L), scope);
  return 1;
}

/* -- the run ----------------------------------------------------------------------- */

static const luaL_Reg run_methods[] = {
    {"checkpoint", run_checkpoint}, {"restore", run_restore}, {NULL, NULL}};

void bind_push_run(lua_State *L) {
  lua_newtable(L);
  if (luaL_newmetatable(L, RUN_META)) {
    luaL_newlib(L, run_methods);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
}

bool bind_is_run(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TTABLE || !lua_getmetatable(L, arg)) return false;
  luaL_getmetatable(L, RUN_META);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}
