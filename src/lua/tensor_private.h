/* tensor_private.h: what handle.c, bind_ops.c and bind_tensor.c share. */
#ifndef LUA_TENSOR_PRIVATE_H
#define LUA_TENSOR_PRIVATE_H

#include "lua/core.h"

/* Pushes the metatable of tensors and, above it, the table of their methods. */
void bind_push_tensor_metatable(lua_State *L);
/* What is in the metatable at that index is from now on that of new tensors. */
void bind_set_tensor_metatable(lua_State *L, int metatable);
/* The op as a function. */
void bind_push_op(lua_State *L, const Op *op);
/* Every public op by name and alias into the table at that index. */
void bind_add_op_functions(lua_State *L, int table);
/* Arithmetic operators into the metatable at that index. */
void bind_add_op_operators(lua_State *L, int metatable);

/* Pushes the elements of the list at `arg`, with nil for its holes: how many. Raises
 * for names, and for more than a tensor has axes. */
int bind_push_elements(lua_State *L, int arg);

#endif
