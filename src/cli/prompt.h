/* prompt.h: statements typed one after the other: read, run, shown. */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include "lua/core.h"

/* The function at the stack's top is a chunk whose top-level locals are to live on: its
 * next call leaves them where the prompt finds them. */
void prompt_keep_locals(lua_State *L);

/* As bind_call_protected, with any number of results; the locals are also kept when it
 * fails. */
Err prompt_call(lua_State *L, int n_args, Fault *fault);

/* Reads from the terminal until its end, `exit` or SIGTERM; ERR_INTERRUPT for the
 * last. */
Err prompt_run(lua_State *L, Fault *fault);

#endif
