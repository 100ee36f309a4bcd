/* bind_lab.c: what the Lua part of the library needs of the lab: the run that a trial
 * gets, texts and hashes of code, descriptions of things. */
#include "lua/lab.h"
#include "lua/checkpoints.h"
#include "base/out.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "base/version.h"
#include "kernel/gemm.h"
#include "lab/names.h"
#include "lab/script.h"
#include "lab/level.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- the run ----------------------------------------------------------------------- */

/* begin_trial(seed, cell) -> run: from here on the draws are the trial's. */
static int begin_trial(lua_State *L) {
  Session *s = session(L);
  lua_Integer seed = luaL_checkinteger(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  seed_all(L, seed);
  json_put_int(s->record->config, "seed", seed);
  s->record->begun = true;
  bind_push_run(L);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "seed");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "cell");
  lua_pushstring(L, s->record->of_study ? s->record->of_study->directory : NULL);
  lua_setfield(L, -2, "directory");
  return 1;
}

/* end_trial(values) -> all values: those of the fits, and these. */
static int end_trial(lua_State *L) {
  Session *s = session(L);
  Fault fault = {0};
  Json *values = json_from_lua(L, 1, &fault);
  if (!values) return bind_raise_fault(L, &fault);
  json_put_all(s->record->results, values);
  json_free(values);
  if (session_end_steps(L, &fault)) return bind_raise_fault(L, &fault);
  push_numbers(L, s->record->results);
  return 1;
}

/* diverged(text): the trial ends with a result that is not finite. */
static int diverged(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  return bind_raise_text(L, ERR_NONFINITE);
}

/* in_trial(): does the function of a trial run? */
static int in_trial(lua_State *L) {
  const Session *s = session(L);
  lua_pushboolean(L, s->in_trial && s->record->begun);
  return 1;
}

/* -- numbers, texts, hashes -------------------------------------------------------- */

static int number_text(lua_State *L) {
  char buffer[40];
  if (lua_isinteger(L, 1)) lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, 1));
  else lua_pushstring(L, text_number(buffer, luaL_checknumber(L, 1)));
  return 1;
}

static int hash(lua_State *L) {
  size_t n;
  char text[SHA256_TEXT];
  const char *bytes = luaL_checklstring(L, 1, &n);
  sha256(bytes, n, text);
  lua_pushstring(L, text);
  return 1;
}

/* uniform(seed, name, i): draw number i of the stream (seed, "random", name), in [0,
 * 1). */
static int uniform(lua_State *L) {
  Stream stream = {philox_key((uint64_t)luaL_checkinteger(L, 1), "random",
                              luaL_checkstring(L, 2)),
                   (uint64_t)luaL_checkinteger(L, 3)};
  bind_push_real(L, (double)philox_below(stream, 0, UINT64_C(1) << 53) * 0x1p-53);
  return 1;
}

/* What else the bits of a result depend on, as lines: the numerics and kernels of this
 * program; nets and fits are numbered on from those that the script had before its
 * trials, and streams are named by these numbers. */
static int surroundings(lua_State *L) {
  const Graph *graph = session_graph(L);
  lua_pushfstring(L,
                  "numerics\t%d\nkernels\tBLIS %s, SIMD %s, real %s\n"
                  "before\t%I nets, %I fits\n",
                  NUMERICS, gemm_kernel_set(), simd_name(simd_level()), REAL_NAME,
                  (LUAI_UACINT)graph->count.nets, (LUAI_UACINT)graph->count.fits);
  if (graph->count.fit_streams == graph->count.fits) return 1;
  lua_pushfstring(L, "since the seed\t%I fits\n",
                  (LUAI_UACINT)graph->count.fit_streams);
  lua_concat(L, 2);
  return 1;
}

/* thread_functions(thread) -> list: the functions of a coroutine that has not begun or
 * waits, innermost first; of another none. */
static int thread_functions(lua_State *L) {
  lua_State *thread = lua_tothread(L, 1);
  lua_Debug frame;
  lua_newtable(L);
  if (!thread || thread == L || !lua_checkstack(thread, 2)) return 1;
  if (lua_status(thread) == LUA_OK && !lua_getstack(thread, 0, &frame) &&
      lua_gettop(thread) > 0) {
    lua_pushvalue(thread, 1);
    lua_xmove(thread, L, 1);
    lua_rawseti(L, -2, 1);
  }
  for (int level = 0;
       lua_status(thread) == LUA_YIELD && lua_getstack(thread, level, &frame);
       level++) {
    lua_getinfo(thread, "f", &frame);
    lua_xmove(thread, L, 1);
    lua_rawseti(L, -2, level + 1);
  }
  return 1;
}

/* run_name_taken(name): as name_is_taken. */
static int run_name_taken(lua_State *L) {
  lua_pushboolean(L, name_is_taken(luaL_checkstring(L, 1)));
  return 1;
}

/* is_name(text): as text_is_name. */
static int is_name(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L, text_is_name(text, n));
  return 1;
}

/* level_text(factor, level): as level_add, of one factor. */
static int level_text(lua_State *L) {
  const char *factor = luaL_checkstring(L, 1), *level = luaL_checkstring(L, 2);
  if (level_is_word(level)) lua_pushstring(L, level);
  else lua_pushfstring(L, "%s=%s", factor, level);
  return 1;
}

/* named_goal(measure, option) -> "max", "min"; where nothing follows from the name nil,
 * and why the option is missing. */
static int named_goal(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *option = luaL_checkstring(L, 2);
  Goal goal = measure_named(name).goal;
  lua_pushstring(L, goal == GOAL_MAX ? "max" : goal == GOAL_MIN ? "min" : NULL);
  if (goal != GOAL_NONE) return 1;
  Text why = {0};
  metric_add_goal_missing(&why, name, option);
  lua_pushlstring(L, why.data ? why.data : "", why.n_bytes);
  text_deinit(&why);
  return 2;
}

/* named_range(measure) -> { low, high }; nil where it is not known, or has no ends. */
static int named_range(lua_State *L) {
  NamedMeasure named = measure_named(luaL_checkstring(L, 1));
  if (!(named.low < named.high)) return 0;
  lua_createtable(L, 2, 0);
  mark_list(L, lua_gettop(L));
  lua_pushnumber(L, named.low);
  lua_rawseti(L, -2, 1);
  lua_pushnumber(L, named.high);
  lua_rawseti(L, -2, 2);
  return 1;
}

static int list(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  mark_list(L, 1);
  return 1;
}

static int warn(lua_State *L) {
  if (!session(L)->launch.job) err_print("warning: %s\n", luaL_checkstring(L, 1));
  return 0;
}

/* -- what the session knows -------------------------------------------------------- */

static int base_seed(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)session_graph(L)->seed);
  return 1;
}

static int resolved_arguments(lua_State *L) {
  push_json(L, json_find(session(L)->record->config, "args"));
  return 1;
}

static int check_all_arguments(lua_State *L) {
  check_arguments(L);
  return 0;
}

/* "dir/name.lua" -> "name"; nil without a script. */
static int script_name(lua_State *L) {
  const char *script = session(L)->launch.script;
  if (!script) return 0;
  const char *name = file_name(script);
  const char *dot = strrchr(name, '.');
  lua_pushlstring(L, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
  return 1;
}

/* The script's directory; nil without one. */
static int path_of_script(lua_State *L) {
  const char *script = session(L)->launch.script;
  char *path = script ? script_path(script) : NULL;
  lua_pushstring(L, path);
  free(path);
  return 1;
}

void add_lab_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"begin_trial", begin_trial},
      {"end_trial", end_trial},
      {"diverged", diverged},
      {"in_trial", in_trial},
      {"number_text", number_text},
      {"hash", hash},
      {"uniform", uniform},
      {"surroundings", surroundings},
      {"thread_functions", thread_functions},
      {"is_history", is_history},
      {"is_name", is_name},
      {"run_name_taken", run_name_taken},
      {"level_text", level_text},
      {"named_goal", named_goal},
      {"named_range", named_range},
      {"list", list},
      {"warn", warn},
      {"base_seed", base_seed},
      {"resolved_arguments", resolved_arguments},
      {"check_arguments", check_all_arguments},
      {"script_name", script_name},
      {"script_path", path_of_script},
      {"study", lab_study},
      {NULL, NULL}};
  Session *s = session(L);
  luaL_setfuncs(L, functions, 0);
  if (s->launch.job) {
    push_json(L, s->launch.job);
    lua_setfield(L, -2, "job");
  }
  lua_pushinteger(L, SEED_MAX);
  lua_setfield(L, -2, "seed_max");
  lua_pushinteger(L, TRIALS_MAX);
  lua_setfield(L, -2, "trials_max");
  lua_pushliteral(L, TEXT_NAME);
  lua_setfield(L, -2, "name_allowed");
  lua_pushboolean(L, s->study.mode == STUDY_PLAN);
  lua_setfield(L, -2, "planning");
  lua_pushboolean(L, s->study.mode == STUDY_RUN);
  lua_setfield(L, -2, "running");
}
