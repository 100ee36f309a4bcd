/* bind_find_lr.c: train.find_lr(net, set, { options }). */
#include "lua/net_private.h"
#include "lua/session.h"
#include "train/find_lr.h"
#include <stddef.h>

const FamilyBinding find_lr_binding = {.family = &find_lr_family};

#define CURVE_META "runner.lr_curve"

static int curve_gc(lua_State *L) {
  lr_curve_deinit(lua_touserdata(L, 1));
  return 0;
}

static void push_list(lua_State *L, const LrCurve *curve, size_t offset) {
  lua_createtable(L, curve->n, 0);
  for (int i = 0; i < curve->n; i++) {
    const void *field = (const char *)&curve->v[i] + offset;
    bind_push_real(L, *(const double *)field);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_curve(lua_State *L, const LrCurve *curve) {
  lua_createtable(L, 0, 5);
  push_list(L, curve, offsetof(LrPoint, rate));
  lua_setfield(L, -2, "lr");
  push_list(L, curve, offsetof(LrPoint, loss));
  lua_setfield(L, -2, "loss");
  push_list(L, curve, offsetof(LrPoint, smoothed));
  lua_setfield(L, -2, "smoothed");
  bind_push_real(L, curve->suggestion);
  lua_setfield(L, -2, "suggestion");
  bind_push_real(L, curve->lowest);
  lua_setfield(L, -2, "lowest");
}

int bind_find_lr(lua_State *L) {
  Fault fault = {0};
  Layer *net = bind_check_object(L, 1, &layer_family);
  Dataset *set = bind_check_dataset(L, 2);
  FindLr *asked = (FindLr *)bind_object_from_args(L, 3, &find_lr_kind);
  bind_push_object(L, &asked->object);
  object_release(asked);
  LrCurve *curve = lua_newuserdatauv(L, sizeof *curve, 0);
  *curve = (LrCurve){0};
  if (luaL_newmetatable(L, CURVE_META)) {
    lua_pushcfunction(L, curve_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  int scope = bind_enter_call(L);
  Err err = find_lr(session_graph(L), asked, net, set, curve, &fault);
  graph_scope_end(session_graph(L), scope);
  if (err) return bind_raise_fault(L, &fault);
  push_curve(L, curve);
  return 1;
}
