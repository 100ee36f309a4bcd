/* net_private.h: what bind_nn.c and bind_train.c share. */
#ifndef LUA_NET_PRIVATE_H
#define LUA_NET_PRIVATE_H

#include "lua/core.h"

/* net:evaluate(set, options) -> table of measures; in bind_train.c. */
int net_evaluate(lua_State *L);
extern const Kind evaluation_kind;       /* of its options */

#endif
