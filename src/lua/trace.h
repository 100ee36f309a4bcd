/* trace.h: the expression of a value as a list, for the Lua part of the library. */
#ifndef LUA_TRACE_H
#define LUA_TRACE_H

#include "lua/core.h"

/* trace(y, x, "x", ...): all that y is computed of, inputs before what is made of them:
 * tables with tensor, op, layer, name (of a variable, and of tensors as given),
 * tracked, elementwise and inputs, numbers of the list. An expression of more than 1000
 * parts is an error. */
int lua_trace(lua_State *L);

#endif
