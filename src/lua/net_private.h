/* net_private.h: what the bindings of nets and of their training share. */
#ifndef LUA_NET_PRIVATE_H
#define LUA_NET_PRIVATE_H

#include "lua/core.h"

/* net(x, ...), net:predict(x, ...), net:predict_classes(x, ...); in net_call.c. */
int net_call(lua_State *L);
int net_predict(lua_State *L);
int net_predict_classes(lua_State *L);

/* net:evaluate(set, options) -> table of measures; in bind_evaluate.c. */
int net_evaluate(lua_State *L);
extern const Kind evaluation_kind; /* of its options */
extern const FamilyBinding evaluation_binding;

/* net:cut, net:replace, net:clone; in net_reuse.c. */
int net_cut(lua_State *L);
int net_replace(lua_State *L);
int net_clone(lua_State *L);
extern const Kind clone_method;

/* train.find_lr(net, set, options) -> the curve; in bind_find_lr.c. */
int bind_find_lr(lua_State *L);
extern const FamilyBinding find_lr_binding;

/* A value that is no layer as one: an activation, as nn.relu() gives it, or a table
 * with `forward` (bind_layer.c). NULL and a fault otherwise; raises nothing. */
Object *bind_layer_from_value(lua_State *L, int arg, Fault *fault);

#endif
