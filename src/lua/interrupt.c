/* interrupt.c: the guard over the code of scripts; see interrupt.h.
 *
 *   signal ─► flag, and the guard at the next instruction of the thread that runs
 *   guard  ─► raises, once or for good ─► pcall ... stop it, or let it pass
 *
 * The guard is the one hook of every thread: coroutines have it from their creator. A
 * hook that a script sets is called by it. */
#include "lua/interrupt.h"
#include "base/sys.h"
#include "lua/core.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Registry: thread -> ScriptHook, of those on which a script has set one. */
static const char hooks_key = 0;

/* A hook of a script's: what debug.sethook has made of it. */
typedef struct ScriptHook {
  lua_Hook call;
  int mask, count;
  int passed; /* instructions since its last count event */
} ScriptHook;

static void guard(lua_State *L, lua_Debug *at);

/* -- the state of an interruption -------------------------------------------------- */

/* After n more instructions: is it to be raised? */
static bool is_due(Session *s, int n) {
  Interruption *i = &s->interruption;
  if (!interrupt_pending()) return false;
  i->left -= n;
  bool spent = i->raised != RAISED_NOT && i->left <= 0;
  Raised wanted = s->in_trial || interrupt_count() > 1 || spent ? RAISED_FOR_GOOD
                                                                : RAISED_ONCE;
  if (wanted <= i->raised) return i->raised == RAISED_FOR_GOOD && spent;
  i->raised = wanted;
  i->left = SAVING_INSTRUCTIONS;
  return true;
}

static bool is_spent(const Session *s) {
  return s->interruption.raised == RAISED_FOR_GOOD && s->interruption.left <= 0;
}

/* Goes an error on, past who would catch it, and entered the code when so much was
 * raised? Who came later is a handler that cleans up: it catches its own errors. */
static bool passes(const Session *s, Raised before) {
  return interrupt_pending() && s->interruption.raised == RAISED_FOR_GOOD &&
         (before != RAISED_FOR_GOOD || is_spent(s));
}

void bind_count_interruption(lua_State *L) {
  (void)is_due(session(L), HOOK_INSTRUCTIONS);
}

void bind_end_interrupted_trial(Session *s) {
  if (s->interruption.raised == RAISED_NOT) return;
  s->interruption.raised = RAISED_ONCE;
  s->interruption.left = SAVING_INSTRUCTIONS;
}

void bind_forget_interruption(Session *s) {
  interrupt_clear();
  s->interruption.raised = RAISED_NOT;
}

/* -- the guard --------------------------------------------------------------------- */

/* That of the thread `of`; NULL where the script has set none. */
static ScriptHook *script_hook(lua_State *L, lua_State *of) {
  if (!session(L)->interruption.hooked) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushthread(of);
  if (of != L) lua_xmove(of, L, 1);
  lua_rawget(L, -2);
  ScriptHook *hook = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return hook;
}

/* Sets the guard on a thread, for its next look. */
static void set_guard(lua_State *of, const ScriptHook *hook) {
  const Session *s = session(of);
  int mask = LUA_MASKCOUNT | (s->interruption.on_return ? LUA_MASKRET : 0);
  int count = is_spent(s) ? 1 : HOOK_INSTRUCTIONS;
  if (hook) mask |= hook->mask;
  if (hook && (hook->mask & LUA_MASKCOUNT) && hook->count - hook->passed < count)
    count = hook->count - hook->passed;
  lua_sethook(of, guard, mask, count);
}

/* Takes the message as it is. */
static int hand_back(lua_State *L) {
  (void)L;
  return 1;
}

static int call_caught(lua_State *L);
static int call_handled_by(lua_State *L);

/* Lua calls the message handler of an error that a hook raises with hooks off, where
 * nothing could end it. So an innermost xpcall calls it later. */
static void spare_handler(lua_State *L) {
  lua_Debug at;
  for (int level = 0; lua_getstack(L, level, &at); level++) {
    lua_getinfo(L, "f", &at);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (function == call_caught) return;
    if (function != call_handled_by) continue;
    lua_pushcfunction(L, hand_back);
    lua_setlocal(L, &at, 2);
    return;
  }
}

/* Where the script is: its line that runs, or that called the library. */
static void push_place(lua_State *L) {
  static const char library[] = LIBRARY_CHUNK;
  lua_Debug at;
  for (int level = 0; lua_getstack(L, level, &at); level++) {
    lua_getinfo(L, "Sl", &at);
    if (at.currentline <= 0 || strncmp(at.short_src, library, sizeof library - 1) == 0)
      continue;
    lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

static void raise_interruption(lua_State *L) {
  spare_handler(L);
  push_place(L);
  lua_pushliteral(L, "interrupted");
  lua_concat(L, 2);
  bind_raise_text(L, ERR_INTERRUPT);
}

static void call_script_hook(lua_State *L, lua_Debug *at, ScriptHook *hook, int n) {
  int event = at->event == LUA_HOOKTAILCALL ? LUA_HOOKCALL : at->event;
  if (!hook || !(hook->mask & 1 << event)) return;
  if (event == LUA_HOOKCOUNT) {
    hook->passed += n;
    if (hook->passed < hook->count) return;
    hook->passed = 0;
  }
  hook->call(L, at);
}

/* Count events that fall into a hook of the script's are lost, and may be so for ever:
 * lines are looked at, too. */
static void guard(lua_State *L, lua_Debug *at) {
  Session *s = session(L);
  ScriptHook *hook = script_hook(L, L);
  bool counts = at->event == LUA_HOOKCOUNT;
  int n = counts ? lua_gethookcount(L) : 1;
  if (counts || at->event == LUA_HOOKLINE) {
    bool due = is_due(s, n);
    if (due || (counts && n != HOOK_INSTRUCTIONS)) set_guard(L, hook);
    if (due) raise_interruption(L);
  }
  if (at->event == LUA_HOOKRET && s->interruption.on_return)
    s->interruption.on_return(L, at);
  call_script_hook(L, at, hook, n);
  if (hook && counts) set_guard(L, script_hook(L, L));
}

/* In the handler of a signal. lua_sethook is made for that. */
static void look_at_once(void *ctx) {
  const Interruption *i = &((Session *)ctx)->interruption;
  lua_State *threads[] = {i->main, i->running};
  for (int k = 0; k < 2; k++)
    if (threads[k])
      lua_sethook(threads[k], guard, lua_gethookmask(threads[k]) | LUA_MASKCOUNT, 1);
}

void bind_watch_interrupts(lua_State *L, lua_Hook on_return) {
  Session *s = session(L);
  s->interruption.on_return = on_return;
  s->interruption.main = s->interruption.running = L;
  set_guard(L, script_hook(L, L));
  interrupt_tell(look_at_once, s);
}

void bind_unwatch_interrupts(lua_State *L) {
  interrupt_tell(NULL, NULL);
  lua_sethook(L, NULL, 0, 0);
}

/* Calls upvalue 1, the function of Lua's library that this one replaces. */
static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* -- what catches errors ----------------------------------------------------------- */

/* false and the message at the top, unless the error passes. */
static int give_error(lua_State *L, lua_KContext before) {
  if (passes(session(L), (Raised)before)) return lua_error(L);
  lua_pushboolean(L, false);
  lua_insert(L, -2);
  return 2;
}

static int end_call(lua_State *L, int status, lua_KContext before) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L);
  return give_error(L, before);
}

/* pcall(f, ...). Stack: true, f, ... */
static int call_caught(lua_State *L) {
  lua_KContext before = session(L)->interruption.raised;
  luaL_checkany(L, 1);
  lua_pushboolean(L, true);
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, before, end_call);
  return end_call(L, status, before);
}

static int end_handled(lua_State *L, int status, lua_KContext before) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
  bool spared = !lua_rawequal(L, 1, 2);
  if (spared && !passes(session(L), (Raised)before)) {
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_pcall(L, 1, 1, 0);
  }
  return give_error(L, before);
}

/* xpcall(f, handler, ...). Stack: the handler, that of the call (spare_handler), true,
 * f, ... */
static int call_handled_by(lua_State *L) {
  int n = lua_gettop(L);
  lua_KContext before = session(L)->interruption.raised;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, true);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  lua_pushvalue(L, 2);
  lua_replace(L, 1);
  int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, before, end_handled);
  return end_handled(L, status, before);
}

/* Resumes with the n values at the top; pushes what comes back, or the error. */
static int run_thread(lua_State *L, lua_State *thread, int n, int *n_results) {
  Interruption *i = &session(L)->interruption;
  lua_State *outer = i->running;
  if (!lua_checkstack(thread, n)) {
    lua_pushliteral(L, "too many arguments to resume");
    return LUA_ERRRUN;
  }
  lua_xmove(L, thread, n);
  i->running = thread;
  int status = lua_resume(thread, L, n, n_results);
  i->running = outer;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (!failed && !lua_checkstack(L, *n_results + 1)) {
    lua_pop(thread, *n_results);
    lua_pushliteral(L, "too many results to resume");
    return LUA_ERRRUN;
  }
  lua_xmove(thread, L, failed ? 1 : *n_results);
  return status;
}

/* coroutine.resume(thread, ...) */
static int resume(lua_State *L) {
  int n;
  Raised before = session(L)->interruption.raised;
  lua_State *thread = lua_tothread(L, 1);
  luaL_argexpected(L, thread, 1, "coroutine");
  int status = run_thread(L, thread, lua_gettop(L) - 1, &n);
  if (status != LUA_OK && status != LUA_YIELD) return give_error(L, before);
  lua_pushboolean(L, true);
  lua_insert(L, -(n + 1));
  return n + 1;
}

/* The function that coroutine.wrap gives. An error has the caller's position before it;
 * an interruption stays as it is. */
static int resume_wrapped(lua_State *L) {
  int n;
  lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
  int status = run_thread(L, thread, lua_gettop(L), &n);
  if (status == LUA_OK || status == LUA_YIELD) return n;
  int of_thread = lua_status(thread);
  if (of_thread != LUA_OK && of_thread != LUA_YIELD) {
    lua_pop(L, 1);
    status = lua_resetthread(thread); /* which calls its <close> handlers */
    lua_xmove(thread, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING &&
      !bind_is_interruption(L, -1)) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* coroutine.wrap(f) */
static int wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  lua_pushcclosure(L, resume_wrapped, 1);
  return 1;
}

/* A function that gives an error as its second result. */
static int call_telling(lua_State *L) {
  Raised before = session(L)->interruption.raised;
  int n = call_original(L);
  if (n == 2 && !lua_toboolean(L, 1) && passes(session(L), before)) return lua_error(L);
  return n;
}

/* coroutine.close(thread), which calls <close> handlers */
static int close_thread(lua_State *L) {
  luaL_argexpected(L, lua_isthread(L, 1), 1, "coroutine");
  return call_telling(L);
}

/* load(chunk, ...), where a function gives the chunk */
static int load_chunk(lua_State *L) {
  if (!lua_isstring(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  return call_telling(L);
}

/* -- hooks of the script ----------------------------------------------------------- */

static lua_State *thread_argument(lua_State *L, int *first) {
  bool given = lua_isthread(L, 1);
  lua_State *of = given ? lua_tothread(L, 1) : L;
  *first = given ? 2 : 1;
  if (!lua_checkstack(of, 1)) luaL_error(L, "stack overflow");
  return of;
}

/* Keeps what the library has set on the thread. */
static void keep_hook(lua_State *L, lua_State *of) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_pushthread(of);
  if (of != L) lua_xmove(of, L, 1);
  if (lua_gethook(of)) {
    ScriptHook *hook = lua_newuserdatauv(L, sizeof *hook, 0);
    *hook = (ScriptHook){lua_gethook(of), lua_gethookmask(of), lua_gethookcount(of), 0};
    set_guard(of, hook);
  } else {
    lua_pushnil(L);
    set_guard(of, NULL);
  }
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* debug.sethook([thread,] [hook, mask [, count]]) */
static int set_hook(lua_State *L) {
  int first;
  lua_State *of = thread_argument(L, &first);
  if (!lua_isnoneornil(L, first)) {
    luaL_checktype(L, first, LUA_TFUNCTION);
    luaL_checkstring(L, first + 1);
    luaL_optinteger(L, first + 2, 0);
  }
  session(L)->interruption.hooked = true;
  int n = call_original(L);
  keep_hook(L, of);
  return n;
}

/* debug.gethook([thread]): the script's, as if there were no other. */
static int get_hook(lua_State *L) {
  int first;
  lua_State *of = thread_argument(L, &first);
  const ScriptHook *hook = script_hook(L, of);
  if (hook) lua_sethook(of, hook->call, hook->mask, hook->count);
  else lua_sethook(of, NULL, 0, 0);
  int n = call_original(L);
  set_guard(of, hook);
  return n;
}

/* -- programs ---------------------------------------------------------------------- */

/* What os.execute gives of the status. */
static int give_status(lua_State *L, int status) {
  if (status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT)
    interrupt_raise();
  if (status != -1) errno = 0;
  return luaL_execresult(L, status);
}

/* os.execute([command]). Unlike system, it lets SIGINT come to this process as well. */
static int run_command(lua_State *L) {
  const char *command = luaL_optstring(L, 1, NULL);
  char *argv[] = {"sh", "-c", (char *)command, NULL};
  int status;
  pid_t pid;
  if (!command) {
    lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
    return 1;
  }
  errno = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
  if (errno) return luaL_fileresult(L, false, NULL);
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return luaL_fileresult(L, false, NULL);
  return give_status(L, status);
}

static int close_program(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return give_status(L, pclose(stream->f));
}

/* io.popen(command [, mode]) */
static int open_program(lua_State *L) {
  luaL_checkstring(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  luaL_argcheck(L, strcmp(mode, "r") == 0 || strcmp(mode, "w") == 0, 2, "invalid mode");
  int n = call_original(L);
  luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);
  if (stream) stream->closef = close_program;
  return n;
}

/* -- opening ----------------------------------------------------------------------- */

/* module.name = function, with what was there as its upvalue. */
static void replace(lua_State *L, const char *module, const char *name,
                    lua_CFunction function) {
  lua_getglobal(L, module);
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void bind_replace_catchers(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hooks_key);
  lua_register(L, "pcall", call_caught);
  lua_register(L, "xpcall", call_handled_by);
  replace(L, "_G", "load", load_chunk);
  replace(L, "coroutine", "close", close_thread);
  replace(L, "coroutine", "resume", resume);
  replace(L, "coroutine", "wrap", wrap);
  replace(L, "debug", "sethook", set_hook);
  replace(L, "debug", "gethook", get_hook);
  replace(L, "io", "popen", open_program);
  replace(L, "os", "execute", run_command);
}
