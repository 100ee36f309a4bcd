/* history.h: histories of fits as tables of the script. */
#ifndef LUA_HISTORY_H
#define LUA_HISTORY_H

#include "train/history.h"
#include <lua.h>

/* Once in a session. */
void bind_open_history(lua_State *L);
/* Pushes an empty one, which the collector frees. */
History *bind_new_history(lua_State *L);
/* Pushes what probes measured, as a table. */
void bind_push_probes(lua_State *L, const ProbeLog *log);
/* Pushes its table, which is from now on that of the last fit. */
void bind_push_history(lua_State *L, const History *history);
/* train.history() -> the table of the last fit, also of one that failed, but not of one
 * that was refused; nil before any. */
int bind_last_history(lua_State *L);

#endif
