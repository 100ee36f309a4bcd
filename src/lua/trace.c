/* trace.c: the expression of a value as a list, for the Lua part of the library. */
#include "lua/trace.h"
#include "graph/op.h"
#include <string.h>

enum { MOST_NODES = 1000 };

/* Nodes below one, inputs before what is made of them. */
typedef struct PartList {
  Node *v[MOST_NODES];
  int n;
} PartList;

static int place_in(const PartList *trace, const Node *node) {
  for (int i = 0; i < trace->n; i++)
    if (trace->v[i] == node) return i + 1;
  return 0;
}

/* What it was computed of; of a variable its value is the beginning. */
static int n_inputs(const Node *node) {
  return node->in && !node->var ? node->n_in : 0;
}

/* All nodes below those that are there, sorted by when they were made. */
static void collect(lua_State *L, PartList *trace) {
  for (int i = 0; i < trace->n; i++)
    for (int k = 0; k < n_inputs(trace->v[i]); k++) {
      Node *in = trace->v[i]->in[k];
      if (place_in(trace, in)) continue;
      if (trace->n == MOST_NODES)
        luaL_error(L, "the expression has more than %d parts; allowed: small ones",
                   MOST_NODES);
      trace->v[trace->n++] = in;
    }
  for (int i = 1; i < trace->n; i++) {
    Node *node = trace->v[i];
    int at = i;
    for (; at > 0 && trace->v[at - 1]->serial > node->serial; at--)
      trace->v[at] = trace->v[at - 1];
    trace->v[at] = node;
  }
}

/* The name that the caller gives it: the arguments from 2 on are tensors and names. */
static bool push_given_name(lua_State *L, const Node *node, int n_args) {
  for (int arg = 2; arg < n_args; arg += 2)
    if (bind_is_tensor(L, arg) && bind_check_node(L, arg) == node) {
      lua_pushvalue(L, arg + 1);
      return true;
    }
  return false;
}

/* { tensor =, op =, layer =, name =, tracked =, elementwise =, inputs = { numbers } }
 */
static void push_part(lua_State *L, const PartList *trace, int i, int n_args) {
  Node *node = trace->v[i];
  lua_createtable(L, 0, 8);
  bind_push_node(L, node);
  lua_setfield(L, -2, "tensor");
  lua_pushstring(L, node->op->name);
  lua_setfield(L, -2, "op");
  lua_pushstring(L, node->layer);
  lua_setfield(L, -2, "layer");
  if (push_given_name(L, node, n_args)) lua_setfield(L, -2, "name");
  else if (node->var) {
    lua_pushstring(L, node->var->name);
    lua_setfield(L, -2, "name");
  }
  lua_pushboolean(L, node->tracked);
  lua_setfield(L, -2, "tracked");
  lua_pushboolean(L, (node->op->flags & OP_ELEMENTWISE) != 0);
  lua_setfield(L, -2, "elementwise");
  lua_createtable(L, node->n_in, 0);
  for (int k = 0; k < n_inputs(node); k++) {
    lua_pushinteger(L, place_in(trace, node->in[k]));
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, "inputs");
}

int lua_trace(lua_State *L) {
  int scope = bind_enter_call(L), n_args = lua_gettop(L);
  PartList *trace = lua_newuserdatauv(L, sizeof *trace, 0);
  trace->n = 1;
  trace->v[0] = bind_check_node(L, 1);
  collect(L, trace);
  lua_createtable(L, trace->n, 0);
  for (int i = 0; i < trace->n; i++) {
    push_part(L, trace, i, n_args);
    lua_rawseti(L, -2, i + 1);
  }
  graph_scope_end(session_graph(L), scope);
  return 1;
}
