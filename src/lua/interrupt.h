/* interrupt.h: an interruption is no ordinary Lua error.
 *
 * In a plain script the first signal is raised once, and may be caught, to save: the
 * script has SAVING_INSTRUCTIONS more. After these, at the next signal, and at once in
 * a trial it is raised for good: it passes by all that catches errors (pcall, xpcall,
 * coroutines, hooks of the script's own). What then runs in between, `<close>`
 * handlers, has as many instructions again; after them each instruction raises. What
 * runs in C, and finalizers, in which Lua calls no hook, end with the process, at the
 * third signal (base/sys.h).
 *
 * A program that died of SIGINT asks for an interruption, as its user did. */
#ifndef LUA_INTERRUPT_H
#define LUA_INTERRUPT_H

#include "lua/session.h"

/* Between two looks; an interruption raised by C code counts as so many, too. */
enum { HOOK_INSTRUCTIONS = 10000, SAVING_INSTRUCTIONS = 1000000 };

/* Puts what this needs in place of Lua's own pcall, xpcall, load, coroutine.close,
 * resume and wrap, debug.sethook and gethook, io.popen, os.execute. Once, before
 * scripts see them. */
void bind_replace_catchers(lua_State *L);

/* From here on the code of this state, of which L is the main thread, is watched until
 * bind_unwatch_interrupts; signals come to the thread that calls it. `on_return`, or
 * NULL, is called at the return of each Lua function. */
void bind_watch_interrupts(lua_State *L, lua_Hook on_return);
void bind_unwatch_interrupts(lua_State *L);

/* C code has raised an interruption. */
void bind_count_interruption(lua_State *L);
/* The trial in this session is over: what was raised for good in it counts as raised
 * once. */
void bind_end_interrupted_trial(Session *s);
/* What was asked for is done; the session goes on (the prompt). */
void bind_forget_interruption(Session *s);

#endif
