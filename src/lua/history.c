/* history.c: histories of fits as tables of the script. */
#include "lua/history.h"
#include "lua/core.h"
#include "lua/lab.h"
#include "lua/session.h"
#include <string.h>

#define HISTORY_META "runner.history"

/* Registry: the table of the last fit; the set of all such tables that live. */
static const char history_key = 0, histories_key = 0;

static int history_gc(lua_State *L) {
  history_deinit(lua_touserdata(L, 1));
  return 0;
}

History *bind_new_history(lua_State *L) {
  History *history = lua_newuserdatauv(L, sizeof *history, 0);
  *history = (History){0};
  luaL_setmetatable(L, HISTORY_META);
  return history;
}

static void push_histories(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &histories_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &histories_key);
}

/* Makes the table at the top one of them. */
static void note_history(lua_State *L) {
  push_histories(L);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

int is_history(lua_State *L) {
  push_histories(L);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  return 1;
}

/* A list for each number of a window. */
static void push_series(lua_State *L, const ProbeSeries *s) {
  const char *const *names = probe_columns + PROBE_NAMES;
  lua_createtable(L, 0, PROBE_NAMES + PROBE_NUMBERS);
  for (int k = 0; k < PROBE_NUMBERS; k++) {
    lua_createtable(L, s->n, 0);
    for (int i = 0; i < s->n; i++) {
      double number[PROBE_NUMBERS];
      probe_window_numbers(&s->v[i], number);
      if (k < PROBE_WHOLE) lua_pushinteger(L, (lua_Integer)number[k]);
      else bind_push_real(L, number[k]);
      lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, names[k]);
  }
  lua_pushstring(L, s->layer);
  lua_setfield(L, -2, "layer");
  lua_pushstring(L, s->quantity);
  lua_setfield(L, -2, "quantity");
}

/* probes.gradients: the series as a list, and each as
 * probes.gradients["dense_1.weight"].norm */
void bind_push_probes(lua_State *L, const ProbeLog *log) {
  lua_newtable(L);
  for (int i = 0; i < log->n; i++) {
    const ProbeSeries *s = &log->v[i];
    luaL_getsubtable(L, -1, s->probe);
    push_series(L, s);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
    luaL_getsubtable(L, -2, s->layer);
    lua_insert(L, -2);
    lua_setfield(L, -2, s->quantity);
    lua_pop(L, 2);
  }
}

/* Matrices and curves as tensors. */
static void push_tables(lua_State *L, const History *history) {
  Graph *graph = session_graph(L);
  int scope = graph_scope_begin(graph);
  for (int i = 0; i < history->n_tables; i++) {
    bind_push_node(L, graph_const(graph, history->table[i].value));
    lua_setfield(L, -2, history->table[i].name);
  }
  graph_scope_end(graph, scope);
}

/* Columns as lists, test measures and what else is known as fields. */
static void push_fields(lua_State *L, const History *history) {
  lua_createtable(L, 0, history->n_columns + history->n_test + history->n_tables + 2);
  for (int c = 0; c < history->n_columns; c++) {
    lua_createtable(L, (int)history->n_rows, 0);
    bool whole = strcmp(history->column[c].name, "epoch") == 0;
    for (int64_t row = 0; row < history->n_rows; row++) {
      double v = history->column[c].v[row];
      if (whole) lua_pushinteger(L, (lua_Integer)v);
      else bind_push_real(L, v);
      lua_rawseti(L, -2, row + 1);
    }
    lua_setfield(L, -2, history->column[c].name);
  }
  for (int i = 0; i < history->n_test; i++) {
    bind_push_real(L, history->test[i].value);
    lua_setfield(L, -2, history->test[i].name);
  }
  push_tables(L, history);
  if (history->best_epoch) {
    lua_pushinteger(L, history->best_epoch);
    lua_setfield(L, -2, "best_epoch");
  }
  lua_pushboolean(L, history->stopped);
  lua_setfield(L, -2, "stopped");
  if (history->probes.n) {
    bind_push_probes(L, &history->probes);
    lua_setfield(L, -2, "probes");
  }
}

void bind_push_history(lua_State *L, const History *history) {
  push_fields(L, history);
  note_history(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &history_key);
}

int bind_last_history(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &history_key);
  return 1;
}

void bind_open_history(lua_State *L) {
  static const luaL_Reg functions[] = {{"__gc", history_gc}, {NULL, NULL}};
  bind_new_metatable(L, HISTORY_META);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
