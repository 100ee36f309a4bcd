/* bind_train.c: the global `train`: steps, fits, callbacks, metrics. */
#include "lua/checkpoints.h"
#include "base/array.h"
#include "lua/history.h"
#include "lua/net_private.h"
#include "lua/reflect.h"
#include "lua/run_record.h"
#include "lua/sources.h"
#include "train/find_lr.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_META "runner.step"

/* -- options of a step ------------------------------------------------------------- */

typedef struct StepOptions {
  Object object;
  bool is_static;
  ObjectList probes;
} StepOptions;

static const Option step_options[] = {
    {.name = "static", .kind = OPT_BOOL, .offset = offsetof(StepOptions, is_static),
     .value = "false",
     .doc = "run f once for each shape of its arguments, then replay what it did: for "
            "steps that always do the same"},
    {.name = "probes", .kind = OPT_OBJECTS, .offset = offsetof(StepOptions, probes),
     .value = "none", .family = &probe_family,
     .doc = "measure what is trained at every step, as those of train.fit do; "
            "train.step then returns a second function, which returns what was "
            "measured so far, as h.probes of a fit. The record of a script gets it at "
            "the end, as probes.step.csv (of the second such step probes.step-2.csv)"},
    {0}};

static const Family step_family;
static const Kind step_kind = {.name = "step", .family = &step_family,
                               .size = sizeof(StepOptions), .options = step_options,
                               .doc = "A function that trains."};
static const Kind *const step_kinds[] = {&step_kind, NULL};
static const Family step_family = {.name = "step_options",
                                   .module = "train",
                                   .kinds = step_kinds};
static const FamilyBinding step_binding = {.family = &step_family};

/* -- what a step trains ------------------------------------------------------------ */

typedef struct StepBox {
  Replay *replay; /* of a static step; else NULL */
  int n_results;
  int64_t place_room;
  int *place;           /* of result i of the last traced call: its number among the
                           outputs, or -1. Where a call was captured, of that one */
  StepOutputs outputs;  /* of the last traced call */
  Optimizer *optimizer; /* retained, as all below */
  Layer **nets;
  Variable **variables;
  int n_nets, n_variables, n_room;
  StepWatch watch;
  StepOptions *options;
  int64_t n_steps; /* done */
  Probes probes;   /* of them; what they measured: */
  ProbeLog log;
} StepBox;

static int step_gc(lua_State *L) {
  StepBox *box = lua_touserdata(L, 1);
  object_release(box->optimizer);
  for (int i = 0; i < box->n_nets; i++) object_release(box->nets[i]);
  for (int i = 0; i < box->n_variables; i++) variable_release(box->variables[i]);
  free(box->nets);
  free(box->variables);
  free(box->place);
  step_outputs_deinit(&box->outputs);
  replay_free(box->replay);
  probes_close(&box->probes);
  probe_log_deinit(&box->log);
  object_release(box->options);
  *box = (StepBox){0};
  return 0;
}

/* The net or variable at `arg` joins the box, which has room; false if it is
 * neither. */
static bool add_target(lua_State *L, int arg, StepBox *box) {
  Variable *variable = bind_to_variable(L, arg);
  if (variable) {
    box->variables[box->n_variables++] = variable_claim(variable);
    return true;
  }
  Fault fault = {0};
  Object *net = bind_object_from_lua(L, arg, &layer_family, &fault);
  if (!net) return false;
  box->nets[box->n_nets++] = (Layer *)net;
  return true;
}

static bool is_layer(lua_State *L, int arg) {
  if (bind_to_object(L, arg, &layer_family)) return true;
  if (lua_type(L, arg) != LUA_TTABLE) return false;
  bool found = lua_getfield(L, arg, "forward") == LUA_TFUNCTION;
  lua_pop(L, 1);
  return found;
}

static void take_targets(lua_State *L, int arg, StepBox *box) {
  bool list = lua_type(L, arg) == LUA_TTABLE && !is_layer(L, arg);
  size_t n = list ? lua_rawlen(L, arg) : 1;
  box->nets = calloc(n + 1, sizeof *box->nets);
  box->variables = calloc(n + 1, sizeof *box->variables);
  if (!box->nets || !box->variables) luaL_error(L, "out of memory");
  for (size_t i = 1; i <= n; i++) {
    if (list) lua_rawgeti(L, arg, (lua_Integer)i);
    else lua_pushvalue(L, arg);
    int type = lua_type(L, -1);
    bool wanted = (type == LUA_TUSERDATA || type == LUA_TTABLE) &&
                  add_target(L, lua_gettop(L), box);
    if (!wanted)
      luaL_error(L,
                 "train.step: argument 2: got %s; allowed: a net, a list of nets, or a "
                 "list of variables",
                 bind_argument_text(L, lua_gettop(L)));
    lua_pop(L, 1);
  }
  if (n == 0)
    luaL_error(L, "train.step: argument 2 is an empty list: nothing to train");
}

/* -- one step ---------------------------------------------------------------------- */

/* The function's results lie on the Lua stack from `first` on. */
typedef struct StepCall {
  lua_State *L;
  StepBox *box;
  int n_args;
  int first, n_results;
} StepCall;

/* Takes the results that are tensors into the step's scope. */
static Err take_results(StepCall *call, StepOutputs *out, Fault *fault) {
  lua_State *L = call->L;
  Graph *graph = session_graph(L);
  call->n_results = lua_gettop(L) - call->first + 1;
  if (!lua_checkstack(L, 8)) return fault_memory(fault, 0);
  StepBox *box = call->box;
  Err err = ARRAY_ROOM(box->place, box->place_room, call->n_results, fault);
  if (err) return err;
  if (call->n_results < 1 || !bind_is_tensor(L, call->first))
    return fault_set(fault, ERR_VALUE,
                     "step: the function returned %s first; allowed: the loss, a "
                     "tensor with one element",
                     call->n_results < 1 ? "nothing" : luaL_typename(L, call->first));
  for (int i = 0; i < call->n_results; i++) {
    box->place[i] = -1;
    if (!bind_is_tensor(L, call->first + i)) continue;
    Node *node = graph_borrow(graph, bind_to_operand(L, call->first + i));
    if (!node) return graph_ok(graph, fault);
    box->place[i] = out->n;
    err = step_output(out, node, fault);
    if (err) return err;
  }
  return ERR_OK;
}

/* upvalues of the step: 1 the box, 2 the function. */
static Err call_function(void *ctx, Graph *graph, StepOutputs *out, Fault *fault) {
  (void)graph;
  StepCall *call = ctx;
  lua_State *L = call->L;
  Session *s = session(L);
  if (!lua_checkstack(L, call->n_args + 8)) return fault_memory(fault, 0);
  LuaEntry entry = bind_entry_begin(s);
  lua_pushvalue(L, lua_upvalueindex(2));
  for (int i = 1; i <= call->n_args; i++) lua_pushvalue(L, i);
  call->first = lua_gettop(L) - call->n_args;
  Err err = bind_call_protected(L, call->n_args, LUA_MULTRET, fault);
  if (!err) err = take_results(call, out, fault);
  bind_entry_end(s, &entry);
  return err;
}

/* Replaces the tensors among the results by their values: numbers for scalars. */
static void push_results(const StepCall *call) {
  lua_State *L = call->L;
  const StepBox *box = call->box;
  for (int i = 0; i < call->n_results; i++) {
    if (box->place[i] < 0) continue;
    Node *node = box->outputs.v[box->place[i]];
    const Tensor *value = node_value(node);
    if (node->shape.rank > 0) bind_push_node(L, node);
    else if (node->dtype == DT_REAL) bind_push_real(L, array_get(&value->a, 0));
    else lua_pushinteger(L, (lua_Integer)array_get(&value->a, 0));
    lua_replace(L, call->first + i);
  }
}

/* Arguments are values: what depends on no variable is computed before the step, so
 * that what it was made of (rows 1 to 32 today, 33 to 64 tomorrow) is no part of the
 * step's graph. What depends on one stays an expression: gradients flow through it. */
static bool is_expression(lua_State *L, int arg) {
  return bind_to_variable(L, arg) || bind_check_node(L, arg)->tracked;
}

static void compute_arguments(lua_State *L, int n_args) {
  if (session_graph(L)->in_transaction)
    return; /* a step in a step: train_step refuses */
  for (int i = 1; i <= n_args; i++) {
    if (!bind_is_tensor(L, i)) continue;
    int scope = bind_enter_call(L);
    if (!is_expression(L, i)) bind_check_value(L, i);
    graph_scope_end(session_graph(L), scope);
  }
}

/* One more step is done, of which probes get what they asked. */
static Err note_step(StepBox *box, Fault *fault) {
  box->n_steps++;
  if (!probes_gauges(&box->probes)) return ERR_OK;
  return probes_take(&box->probes, box->nets, box->n_nets, box->n_steps, fault);
}

/* Runs the function; its results lie on the stack from call->first on. */
static Err trace_step(StepCall *call, const StepCapture *capture, Fault *fault) {
  lua_State *L = call->L;
  StepBox *box = call->box;
  Graph *graph = session_graph(L);
  StepTarget target = {.nets = box->nets, .n_nets = box->n_nets,
                       .variables = box->variables,
                       .n_variables = box->n_variables, .watch = &box->watch,
                       .gauges = probes_gauges(&box->probes)};
  int scope = bind_enter_call(L);
  graph->static_trace = capture != NULL;
  Err err = train_step(graph, &target, box->optimizer, call_function, call, capture,
                       &box->outputs, fault);
  graph->static_trace = false;
  if (!err) err = note_step(box, fault);
  if (!err) push_results(call);
  graph_scope_end(graph, scope);
  return err;
}

/* -- static steps: upvalue 3 is a table of the arguments and results that are no
 * tensors -- */

/* Are the arguments that are no tensors the same as in the captured call? */
static bool same_constants(lua_State *L, int n_args) {
  bool same = true;
  lua_getfield(L, lua_upvalueindex(3), "args");
  for (int i = 1; same && lua_istable(L, -1) && i <= n_args; i++) {
    if (bind_is_tensor(L, i)) continue;
    lua_rawgeti(L, -1, i);
    same = lua_rawequal(L, -1, i);
    lua_pop(L, 1);
  }
  same = same && lua_istable(L, -1);
  lua_pop(L, 1);
  return same;
}

/* Stack values first .. first + n - 1 that are no tensors, as a list in the table. */
static void keep_constants(lua_State *L, const char *field, int first, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    if (bind_is_tensor(L, first + i)) continue;
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, lua_upvalueindex(3), field);
}

static int push_replayed(lua_State *L, const StepBox *box) {
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  luaL_checkstack(L, box->n_results + 4, "too many results");
  lua_getfield(L, lua_upvalueindex(3), "results");
  int constants = lua_gettop(L);
  for (int i = 0; i < box->n_results; i++) {
    if (box->place[i] < 0) {
      lua_rawgeti(L, constants, i + 1);
      continue;
    }
    Tensor *t = replay_out(box->replay, box->place[i]);
    if (t->a.shape.rank > 0) bind_push_node(L, graph_const(graph, t));
    else if (t->a.dtype == DT_REAL) bind_push_real(L, array_get(&t->a, 0));
    else lua_pushinteger(L, (lua_Integer)array_get(&t->a, 0));
  }
  graph_scope_end(graph, scope);
  return box->n_results;
}

static uint64_t box_signature(const StepBox *box) {
  uint64_t signature = object_signature(&box->optimizer->object);
  for (int i = 0; i < box->n_nets; i++)
    signature = signature * 31 + object_signature(&box->nets[i]->object);
  return signature;
}

static int static_step(lua_State *L, StepCall *call) {
  StepBox *box = call->box;
  Tensor *tensors[BOUND_ARGS];
  PlanArgs args = {tensors, 0};
  Fault fault = {0};
  bool done = false, expressions = false;
  for (int i = 1; i <= call->n_args; i++) {
    if (!bind_is_tensor(L, i)) continue;
    expressions = expressions || is_expression(L, i);
    if (args.n == BOUND_ARGS)
      return luaL_error(L, "a static step takes at most %d tensors", BOUND_ARGS);
    tensors[args.n++] = bind_check_value(L, i);
  }
  /* Other variables, or other constants, may lie below the next call's. */
  if (expressions) {
    replay_clear(box->replay);
    return trace_step(call, NULL, &fault) ? bind_raise_fault(L, &fault)
                                          : call->n_results;
  }
  uint64_t signature = box_signature(box);
  if (replay_ready(box->replay, signature, &args) && same_constants(L, call->n_args) &&
      replay_run(box->replay, &args, probes_gauges(&box->probes), &done, &fault))
    return bind_raise_fault(L, &fault);
  if (done && note_step(box, &fault)) return bind_raise_fault(L, &fault);
  if (done) return push_replayed(L, box);
  StepCapture capture = {box->replay, args, signature};
  if (trace_step(call, &capture, &fault)) return bind_raise_fault(L, &fault);
  box->n_results = call->n_results;
  keep_constants(L, "args", 1, call->n_args);
  keep_constants(L, "results", call->first, call->n_results);
  return call->n_results;
}

static bool has_experiment(lua_State *L) {
  push_hook(L, "has_experiment");
  lua_call(L, 0, 1);
  bool has = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return has;
}

/* A plan trains nothing, and a script without an experiment is not trained to be
 * verified. */
static void refuse_in_plan(lua_State *L) {
  StudyMode mode = session(L)->study.mode;
  if (mode == STUDY_RUN || (mode == STUDY_VERIFY && has_experiment(L))) return;
  lua_pushstring(L, mode == STUDY_VERIFY ? "verify: the script has no experiment"
                                         : "plan: the script trains before its "
                                           "experiment{}, or has none");
  bind_raise_text(L, ERR_USAGE);
}

static int step_call(lua_State *L) {
  StepBox *box = lua_touserdata(L, lua_upvalueindex(1));
  StepCall call = {.L = L, .box = box, .n_args = lua_gettop(L)};
  Fault fault = {0};
  refuse_in_plan(L);
  check_arguments(L);
  compute_arguments(L, call.n_args);
  if (box->replay) return static_step(L, &call);
  return trace_step(&call, NULL, &fault) ? bind_raise_fault(L, &fault) : call.n_results;
}

static int step_listing(lua_State *L) {
  const StepBox *box = luaL_checkudata(L, 1, STEP_META);
  bind_begin_listing(L, box, box->replay ? "static step" : "step");
  bind_push_object(L, &box->optimizer->object);
  bind_add_part(L, "optimizer");
  for (int i = 0; i < box->n_nets; i++) {
    bind_push_object(L, &box->nets[i]->object);
    bind_add_numbered_part(L, "net", i + 1);
  }
  for (int i = 0; i < box->n_variables; i++) {
    bind_push_variable(L, box->variables[i]);
    bind_add_numbered_part(L, "variable", i + 1);
  }
  return 3;
}

/* Registry: lists of the boxes of steps that leave something at the end of the run [0]
 * or of the trial [1]: what they trained is part of a trial's weights, what their
 * probes measured of the record. */
static const char kept_keys[2] = {0};

static const void *kept_key(const Session *s) { return &kept_keys[s->in_trial]; }

static void keep_step(lua_State *L, int box) {
  const StepBox *step = lua_touserdata(L, box);
  const void *key = kept_key(session(L));
  if (!session(L)->in_trial && !step->options->probes.n) return;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    lua_replace(L, -2);
  }
  lua_pushvalue(L, box);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

static Err add_weights(Session *s, const StepBox *box, Fault *fault) {
  StateList variables = {.n = box->n_variables, .v = box->variables};
  Err err = session_add_variables(s, &variables, fault);
  for (int k = 0; !err && k < box->n_nets; k++)
    err = session_add_net(s, box->nets[k], fault);
  return err;
}

/* Of step number `number` among those with probes. */
static Err record_log(Session *s, const StepBox *box, int number, Fault *fault) {
  char name[32] = "probes.step";
  Trial *trial;
  if (!box->log.n || run_record_trial(s, &trial, fault) || !trial) return fault->code;
  if (number > 1) snprintf(name, sizeof name, "probes.step-%d", number);
  return run_record_probes(trial, name, &box->log, fault);
}

Err session_end_steps(lua_State *L, Fault *fault) {
  Session *s = session(L);
  Err err = ERR_OK;
  int n_probed = 0, top = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, kept_key(s)) == LUA_TTABLE)
    for (lua_Integer i = 1; !err && lua_rawgeti(L, -1, i) == LUA_TUSERDATA; i++) {
      const StepBox *box = lua_touserdata(L, -1);
      if (s->in_trial) err = add_weights(s, box, fault);
      n_probed += box->options->probes.n > 0;
      if (!err) err = record_log(s, box, n_probed, fault);
      lua_pop(L, 1);
    }
  lua_settop(L, top);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, kept_key(s));
  return err;
}

/* `probes = "none"` is an empty list. */
static void name_no_probes(lua_State *L, int options) {
  if (lua_getfield(L, options, "probes") == LUA_TSTRING &&
      strcmp(lua_tostring(L, -1), "none") == 0) {
    lua_newtable(L);
    lua_setfield(L, options, "probes");
  }
  lua_pop(L, 1);
}

/* Of the table at `arg`, or nothing; owned by a userdata pushed for them. */
static StepOptions *push_step_options(lua_State *L, int arg) {
  Fault fault = {0};
  if (!lua_isnoneornil(L, arg)) luaL_checktype(L, arg, LUA_TTABLE);
  int table = bind_push_table_copy(L, arg);
  Object *options = object_new(&step_kind, &fault);
  if (!options) bind_raise_fault(L, &fault);
  bind_push_object(L, options);
  object_release(options);
  name_no_probes(L, table);
  if (bind_set_options(L, table, options, false, NULL, &fault) ||
      object_ready(options, NULL, &fault))
    bind_raise_fault(L, &fault);
  return (StepOptions *)options;
}

/* upvalue 1: the box. */
static int step_probes(lua_State *L) {
  const StepBox *box = lua_touserdata(L, lua_upvalueindex(1));
  bind_push_probes(L, &box->log);
  return 1;
}

/* train.step(f, what, optimizer, { static =, probes = }) -> function; with probes, a
 * second one that gives what they measured. */
static int make_step(lua_State *L) {
  Fault fault = {0};
  if (lua_type(L, 1) != LUA_TFUNCTION)
    return luaL_error(L,
                      "train.step: argument 1 is %s; allowed: a function that gives "
                      "the loss, as in train.step(f, net, optimizer)",
                      bind_argument_text(L, 1));
  luaL_checkany(L, 3);
  StepOptions *options = push_step_options(L, 4);
  StepBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (StepBox){.options = object_retain(options)};
  luaL_setmetatable(L, STEP_META);
  int at = lua_gettop(L);
  box->optimizer = (Optimizer *)bind_object_from_lua(L, 3, &optim_family, &fault);
  if (!box->optimizer) {
    if (fault.code != ERR_SCRIPT) return bind_raise_fault(L, &fault);
    return luaL_error(L,
                      "train.step: argument 3: got %s; allowed: an optimizer or its "
                      "name",
                      bind_argument_text(L, 3));
  }
  take_targets(L, 2, box);
  if (options->is_static && !session_graph(L)->naive) {
    box->replay = replay_new(&fault);
    if (!box->replay) return bind_raise_fault(L, &fault);
  }
  if (probes_open(&box->probes, &options->probes, &box->log, "train.step", &fault))
    return bind_raise_fault(L, &fault);
  keep_step(L, at);
  lua_pushvalue(L, at);
  lua_pushvalue(L, 1);
  lua_newtable(L);
  lua_pushcclosure(L, step_call, 3);
  if (!options->probes.n) return 1;
  lua_pushvalue(L, at);
  lua_pushcclosure(L, step_probes, 1);
  return 2;
}

/* -- fit --------------------------------------------------------------------------- */

/* `validation = set` means validation_data, unless that is given, too. */
static void name_validation(lua_State *L, int options) {
  bool set = lua_getfield(L, options, "validation") == LUA_TUSERDATA &&
             bind_to_dataset(L, -1);
  if (set) {
    if (lua_getfield(L, options, "validation_data") == LUA_TNIL) {
      lua_pushvalue(L, -2);
      lua_setfield(L, options, "validation_data");
    }
    lua_pushnil(L);
    lua_setfield(L, options, "validation");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* The weights of classes go into the record, where the set knows their names. */
static void take_class_weight(lua_State *L, int options, Dataset *set, Fit *fit) {
  if (lua_getfield(L, options, "class_weight") != LUA_TNIL)
    bind_read_class_weight(L, lua_gettop(L), set, &fit->class_weight);
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_setfield(L, options, "class_weight");
}

/* `run = run`: the run that a trial gets, whose checkpoints the fit takes part in
 * anyway; said here, it reads as what it is. */
static void take_run(lua_State *L, int options) {
  lua_getfield(L, options, "run");
  if (!lua_isnil(L, -1) && !bind_is_run(L, lua_gettop(L)))
    luaL_error(L,
               "train.fit: option \"run\": got a %s, allowed: the run that a trial "
               "gets",
               luaL_typename(L, -1));
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_setfield(L, options, "run");
}

/* `record = true` and `record = false`, said as the names that they stand for. */
static void name_record(lua_State *L, int options) {
  if (lua_getfield(L, options, "record") == LUA_TBOOLEAN) {
    const char *script = session(L)->launch.script;
    lua_pushstring(L, !lua_toboolean(L, -1) ? "" : script ? script : "prompt");
    lua_setfield(L, options, "record");
  }
  lua_pop(L, 1);
}

/* Pushes the record of the options at `arg`, for that set. */
static Fit *push_fit(lua_State *L, int arg, Dataset *set) {
  Fault fault = {0};
  if (!lua_isnoneornil(L, arg) && lua_type(L, arg) != LUA_TTABLE)
    luaL_error(L,
               "train.fit: argument %d is %s; allowed: a table of options, as in { "
               "loss = \"mse\", epochs = 10 }",
               arg, bind_argument_text(L, arg));
  int options = bind_push_table_copy(L, arg);
  Object *fit = object_new(&fit_kind, &fault);
  if (!fit) bind_raise_fault(L, &fault);
  bind_push_object(L, fit);
  object_release(fit);
  name_validation(L, options);
  take_class_weight(L, options, set, (Fit *)fit);
  take_run(L, options);
  name_record(L, options);
  name_no_probes(L, options);
  if (bind_set_options(L, options, fit, false, NULL, &fault) ||
      object_ready(fit, NULL, &fault))
    bind_raise_fault(L, &fault);
  return (Fit *)fit;
}

static Layer *push_net(lua_State *L, int arg) {
  Fault fault = {0};
  luaL_checkany(L, arg);
  if (bind_to_dataset(L, arg))
    luaL_error(L,
               "train.fit: argument %d is a data set: the net comes first, "
               "train.fit(net, set, { ... })",
               arg);
  Object *net = bind_object_from_lua(L, arg, &layer_family, &fault);
  if (!net) {
    luaL_error(L, "train.fit: argument %d: got %s; allowed: a net", arg,
               fault.code == ERR_SCRIPT ? fault.text : bind_argument_text(L, arg));
    return NULL;
  }
  bind_push_object(L, net);
  object_release(net);
  return (Layer *)net;
}

/* train.fit(net, set, options) -> history
 *
 * In a run that can be resumed the fit goes on from its last checkpoint, to the same
 * bytes as if it had run through; one that was finished gives its results, with the
 * net, optimizer, callbacks and streams as they ended. Memory of a callback in Lua is
 * kept if it gives state and restore (train.callback); what other functions of the
 * script remember is not. */
static int fit(lua_State *L) {
  refuse_in_plan(L);
  check_arguments(L);
  lua_settop(L, 3); /* what is pushed below must not stand for a missing argument */
  Layer *net = push_net(L, 1);
  Dataset *set = bind_check_dataset(L, 2);
  Fit *options = push_fit(L, 3, set);
  History *history = bind_new_history(L);
  Fault fault = {0};
  Listener listeners[SESSION_LISTENERS];
  FitHost host = {listeners, SESSION_LISTENERS, session_checkpointer(L)};
  session_listeners(session(L), listeners);
  int scope = bind_enter_call(L);
  Err err = fit_run(session_graph(L), options, net, set, &host, history, &fault);
  graph_scope_end(session_graph(L), scope);
  if (err && !history->n_columns) return bind_raise_fault(L, &fault); /* refused */
  bind_push_history(L, history);
  return err ? bind_raise_fault(L, &fault) : 1;
}

/* -- a Lua table with `epoch_end` is a callback ------------------------------------ */

/* upvalues: the table, the method's name. Calls it with the table before the
 * arguments. */
static int call_method(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_gettable(L, 1);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* The table's method as the option; nothing where it has none. */
static Err set_method(lua_State *L, int table, Object *callback, const char *method,
                      Fault *fault) {
  bool there = lua_getfield(L, table, method) == LUA_TFUNCTION;
  lua_pop(L, 1);
  if (!there) return ERR_OK;
  const Option *opt = option_find(callback->kind, method, fault);
  if (!opt) return fault->code;
  lua_pushvalue(L, table);
  lua_pushstring(L, method);
  lua_pushcclosure(L, call_method, 2);
  Callable *call = bind_callable_from_lua(L, lua_gettop(L), fault);
  lua_pop(L, 1);
  Err err = call ? option_set_call(callback, opt, call, fault) : ERR_MEMORY;
  callable_release(call);
  return err;
}

static Object *callback_from_table(lua_State *L, int arg, Fault *fault) {
  arg = lua_absindex(L, arg);
  bool wanted = lua_type(L, arg) == LUA_TTABLE;
  if (wanted) {
    wanted = lua_getfield(L, arg, "epoch_end") == LUA_TFUNCTION;
    lua_pop(L, 1);
  }
  if (!wanted) {
    bool table = lua_type(L, arg) == LUA_TTABLE;
    bind_refuse_value(L, arg, table ? " without a function `epoch_end`" : "", fault);
    return NULL;
  }
  static const char *const methods[] = {"epoch_end", "state", "restore"};
  Object *callback = object_new(callback_family.from_function, fault);
  if (!callback) return NULL;
  bind_push_object(L, callback); /* owns it: looking up a method may raise */
  object_release(callback);
  Err err = ERR_OK;
  for (size_t i = 0; !err && i < sizeof methods / sizeof *methods; i++)
    err = set_method(L, arg, callback, methods[i], fault);
  if (!err) err = object_ready(callback, NULL, fault);
  if (!err) object_retain(callback);
  lua_pop(L, 1);
  return err ? NULL : callback;
}

/* -- a Lua table with `add` and `finish` is a metric ------------------------------- */

static Object *metric_from_table(lua_State *L, int arg, Fault *fault) {
  Object *metric = object_new(metric_family.from_function, fault);
  if (!metric) return NULL;
  bind_push_object(L, metric); /* owns it: looking up a field may raise */
  object_release(metric);
  Err err = ERR_SCRIPT;
  if (lua_type(L, arg) == LUA_TTABLE)
    err = bind_set_options(L, arg, metric, false, NULL, fault);
  else bind_refuse_value(L, arg, "", fault);
  if (!err) err = object_ready(metric, NULL, fault);
  if (!err) object_retain(metric);
  lua_pop(L, 1);
  return err ? NULL : metric;
}

/* -- the module -------------------------------------------------------------------- */

static const FamilyBinding metric_binding = {.family = &metric_family,
                                             .from_table = metric_from_table};
static const FamilyBinding callback_binding = {.family = &callback_family,
                                               .from_table = callback_from_table};

/* What others give to fit or to a trainer, and where it belongs here. */
static const Habit fit_options_elsewhere[] = {
    {"lr", "optimizer = optim.Adam { lr = ... }: the rate is the optimizer's"},
    {"learning_rate", "optimizer = optim.Adam { lr = ... }: the rate is the "
                      "optimizer's"},
    {"momentum", "optimizer = optim.SGD { momentum = ... }"},
    {"weight_decay", "optimizer = optim.AdamW { weight_decay = ... }"},
    {"clipnorm", "optimizer = optim.Adam { clipnorm = ... }"},
    {"schedule", "optimizer = optim.Adam { schedule = ... }"},
    {"sample_weight", "data.set(x, y, { weight = w }): weights belong to the rows of "
                      "a set"},
    {"patience", "callbacks = { train.early_stopping { patience = ... } }"},
    {"seed", "tensor.seed(n), or seed=n on the command line"},
    {"device", "nothing: everything runs on the CPU"},
    {"workers", "nothing: --threads N on the command line sets the threads"},
    {NULL, NULL}};
static const FamilyBinding fit_binding = {.family = &fit_family,
                                          .option_habits = fit_options_elsewhere};

static const Function train_functions[] = {
    {"step", make_step, "train.step(f, what, optimizer, { options })",
     "Makes a function that trains: each call runs f, whose first result is the loss, "
     "and updates a net, several, or a list of variables. It returns what f returned, "
     "computed. Tensors among its arguments are computed before, so that step(X[i]) "
     "costs what step(X[i]:eval()) does, and no gradient flows into what made them; "
     "only those that depend on a variable stay expressions. With probes there is a "
     "second result: local step, probes = train.step(...), where probes() returns what "
     "was measured.",
     &step_kind},
    {"fit", fit, "train.fit(net, set, { options })",
     "Trains a net on a data set. Returns the history: a list of values by epoch for "
     "each measure.",
     &fit_kind},
    {"find_lr", bind_find_lr, "train.find_lr(net, set, { options })",
     "Runs a learning-rate range test: steps at growing rates. Returns a table with "
     "the lists lr, loss and smoothed (loss), the rate at which the loss falls most "
     "steeply as suggestion, and that of its lowest value as lowest. Net, optimizer "
     "and random streams stay as they were.",
     &find_lr_kind},
    {"history", bind_last_history, "train.history()", "The history of the last fit, "
     "also of one that failed.", NULL},
    {0}};

static const FamilyBinding probe_binding = {.family = &probe_family};

int open_probe(lua_State *L) {
  lua_newtable(L);
  bind_register_family(L, &probe_binding);
  return 1;
}

int open_train(lua_State *L) {
  static const luaL_Reg step[] = {
      {"__gc", step_gc}, {LISTING, step_listing}, {NULL, NULL}};
  bind_new_metatable(L, STEP_META);
  luaL_setfuncs(L, step, 0);
  lua_pop(L, 1);
  bind_open_history(L);
  lua_newtable(L);
  bind_register_family(L, &evaluation_binding);
  lua_pushnil(L);
  lua_setfield(L, -2, evaluation_kind.name); /* a method of nets, no constructor */
  bind_register_family(L, &metric_binding);
  bind_register_family(L, &callback_binding);
  bind_register_ref(L, &class_weight_binding);
  bind_register_family(L, &fit_binding);
  bind_register_family(L, &step_binding);
  bind_register_family(L, &find_lr_binding);
  reflect_set_functions(L, train_functions);
  return 1;
}
