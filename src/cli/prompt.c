/* prompt.c: the interactive prompt.
 *
 *   line ─► the statement so far: whole? ─► run, its locals kept ─► values shown
 *             └ its end is missing: another line
 *
 * Each statement is compiled once and run once. It is an expression if it compiles
 * behind "return"; its end is missing if Lua's own message ends with "<eof>". The line
 * end is part of what is compiled: a string that is still open there cannot go on.
 *
 * Globals of a statement are those of push_prompt_globals. A top-level `local` lives on
 * as a field of that table, put there when its chunk returns or fails: a closure made
 * in the same statement goes on with the variable itself, later statements with the
 * field.
 *
 * Ctrl-C ends what runs (lua/interrupt.h, and the engine's own polls), then the flag is
 * cleared: the session goes on. */
#include "cli/prompt.h"
#include "base/out.h"
#include "base/sys.h"
#include "base/version.h"
#include "cli/edit.h"
#include "cli/history.h"
#include "lua/interrupt.h"
#include <stdlib.h>
#include <string.h>

/* -- locals that live on ----------------------------------------------------------- */

/* Pops the value at the top into the table of prompt globals below it, as a local. */
static void set_local(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_insert(L, -2);
  lua_rawset(L, -3);
}

/* Copies the active locals of that frame into the prompt's globals. */
static void keep_locals(lua_State *L, lua_Debug *frame) {
  if (!lua_checkstack(L, 8)) return;
  push_prompt_globals(L);
  const char *name;
  for (int i = 1; (name = lua_getlocal(L, frame, i)); i++) {
    if (name[0] == '(') lua_pop(L, 1); /* a temporary of the interpreter */
    else set_local(L, name);
  }
  lua_pop(L, 1);
}

/* Is the frame that of the chunk whose locals are kept? */
static bool is_kept(lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "f", frame);
  bool same = lua_topointer(L, -1) == session(L)->prompt.kept_chunk;
  lua_pop(L, 1);
  return same;
}

/* Calls of chunks are seen to their end. */
static void on_return(lua_State *L, lua_Debug *frame) {
  if (is_kept(L, frame)) keep_locals(L, frame);
}

void prompt_keep_locals(lua_State *L) {
  session(L)->prompt.kept_chunk = lua_topointer(L, -1);
  bind_watch_interrupts(L, on_return);
}

/* Message handler: the frames are still there. */
static int on_error(lua_State *L) {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); level++)
    if (is_kept(L, &frame)) {
      keep_locals(L, &frame);
      break;
    }
  return bind_with_traceback(L);
}

Err prompt_call(lua_State *L, int n_args, Fault *fault) {
  return bind_call_handled(L, n_args, LUA_MULTRET, on_error, fault);
}

/* -- errors ------------------------------------------------------------------------ */

/* Is the line of a traceback of use at the prompt? */
static bool tells_something(const char *line, size_t n) {
  static const char *const frames[] = {"in main chunk", "(...tail calls...)"};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    size_t length = strlen(frames[i]);
    if (n >= length && memcmp(line + n - length, frames[i], length) == 0) return false;
  }
  return true;
}

/* Keeps of the traceback the functions between the statement and the fault, but for a C
 * function that raised it: the message names that. */
static void shorten_traceback(char *text) {
  char *trace = strstr(text, TRACEBACK_HEAD);
  if (!trace) return;
  char *to = trace + strlen(TRACEBACK_HEAD);
  static const char raiser[] = "\n\t[C]: in ";
  bool empty = true;
  for (char *line = to; *line;) {
    size_t n = 1 + strcspn(line + 1, "\n");
    bool first = line == trace + strlen(TRACEBACK_HEAD);
    bool kept = tells_something(line, n) &&
                !(first && strncmp(line, raiser, strlen(raiser)) == 0);
    if (kept) memmove(to, line, n), to += n;
    empty = empty && !kept;
    line += n;
  }
  *(empty ? trace : to) = 0;
}

static void print_fault(Fault *fault) {
  out_progress_end(true);
  shorten_traceback(fault->text);
  err_print_red(fault->code == ERR_INTERRUPT ? "interrupted" : fault->text);
  fault_clear(fault);
}

/* -- one statement ----------------------------------------------------------------- */

typedef enum Compiled { COMPILED, UNFINISHED, WRONG } Compiled;

/* Is the message at the stack's top that the end came too early? */
static bool misses_end(lua_State *L) {
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  return n >= 5 && strcmp(text + n - 5, "<eof>") == 0;
}

/* Leaves the chunk, or the message. */
static Compiled compile(lua_State *L, const char *prefix, const Text *code) {
  Text whole = {0};
  text_add(&whole, prefix);
  text_add_bytes(&whole, code->data ? code->data : "", code->n_bytes);
  text_add(&whole, "\n");
  int status = LUA_ERRMEM;
  if (whole.failed) lua_pushliteral(L, "out of memory");
  else status = luaL_loadbufferx(L, whole.data, whole.n_bytes, "=prompt", "t");
  text_deinit(&whole);
  if (status == LUA_OK) return COMPILED;
  return status == LUA_ERRSYNTAX && misses_end(L) ? UNFINISHED : WRONG;
}

/* As an expression, else as a statement. */
static Compiled compile_either(lua_State *L, const Text *code) {
  Compiled expression = compile(L, "return ", code);
  if (expression == COMPILED) return COMPILED;
  Compiled statement = compile(L, "", code);
  lua_remove(L, -2);
  return statement == WRONG && expression == UNFINISHED ? UNFINISHED : statement;
}

static bool ends_quietly(const Text *code) {
  size_t n = code->n_bytes;
  while (n > 0 && strchr(" \t\n", code->data[n - 1])) n--;
  return n > 0 && code->data[n - 1] == ';';
}

/* Prints the values; the arguments are they. */
static int show_values(lua_State *L) {
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    size_t n_bytes;
    push_hook(L, "show");
    lua_pushvalue(L, i);
    lua_call(L, 1, 1);
    const char *text = lua_tolstring(L, -1, &n_bytes);
    out_write(text, n_bytes);
    out_write("\n", 1);
    lua_settop(L, n);
  }
  return 0;
}

/* The first value, if it is not nil, is `_` from now on. */
static void keep_last(lua_State *L, int first) {
  if (lua_isnil(L, first)) return;
  push_prompt_globals(L);
  lua_pushvalue(L, first);
  set_local(L, "_");
  lua_pop(L, 1);
}

/* `exit` and `quit` without a call: this very value. */
static bool is_exit(lua_State *L, int value) {
  push_hook(L, "exit");
  bool same = lua_rawequal(L, value, -1);
  lua_pop(L, 1);
  return same;
}

/* Runs the chunk at the stack's top and shows what it gives. */
static Err run_chunk(lua_State *L, bool quiet, Fault *fault) {
  int top = lua_gettop(L) - 1;
  push_prompt_globals(L);
  lua_setupvalue(L, -2, 1);
  prompt_keep_locals(L);
  Err err = prompt_call(L, 0, fault);
  int n = lua_gettop(L) - top;
  session(L)->prompt.kept_chunk = NULL;
  if (!err && n > 0) {
    keep_last(L, top + 1);
    if (n == 1 && is_exit(L, top + 1)) session(L)->stopped = true;
    else if (!quiet && lua_checkstack(L, 8)) {
      lua_pushcfunction(L, show_values);
      lua_insert(L, top + 1);
      err = bind_call_protected(L, n, 0, fault);
    }
  }
  lua_settop(L, top);
  return err;
}

/* -- completion -------------------------------------------------------------------- */

typedef struct Prompt {
  lua_State *L;
  Editor *editor;
  Text code; /* the statement so far */
} Prompt;

/* (text, EditWords) */
static int ask_for_words(lua_State *L) {
  EditWords *out = lua_touserdata(L, 2);
  push_hook(L, "complete");
  lua_pushvalue(L, 1);
  push_prompt_globals(L);
  lua_call(L, 2, 2);
  out->n_typed = (size_t)lua_tointeger(L, -2);
  out->n = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= out->n; i++) {
    lua_rawgeti(L, -1, i);
    text_add_bytes(&out->words, lua_tostring(L, -1), lua_rawlen(L, -1) + 1);
    lua_pop(L, 1);
  }
  return 0;
}

static void complete(void *ctx, const char *before, EditWords *out) {
  Prompt *p = ctx;
  lua_State *L = p->L;
  Fault ignored = {0};
  Text text = {0};
  text_add_bytes(&text, p->code.data ? p->code.data : "", p->code.n_bytes);
  text_add(&text, before);
  lua_pushcfunction(L, ask_for_words);
  lua_pushstring(L, text.failed ? "" : text.data);
  lua_pushlightuserdata(L, out);
  text_deinit(&text);
  if (bind_call_protected(L, 2, 0, &ignored)) out->n = 0;
}

/* -- the loop ---------------------------------------------------------------------- */

/* The interrupt has done its work, unless it is to end the program. */
static bool go_on(const Prompt *p) {
  bind_forget_interruption(session(p->L));
  return !interrupt_is_final();
}

/* What was to be assigned, as in h = train.fit(...), is not. */
static void print_kept(const Session *s) {
  if (s->screen.cut_epochs)
    err_print("stopped in epoch %lld of %lld: the weights are kept, train.history() "
              "has the "
              "curve\n",
              (long long)s->screen.cut_epoch, (long long)s->screen.cut_epochs);
}

static void run_statement(Prompt *p, Fault *fault) {
  Session *s = session(p->L);
  bool quiet = ends_quietly(&p->code);
  edit_remember(p->editor, p->code.data);
  text_deinit(&p->code);
  s->screen.cut_epochs = 0;
  bool failed = run_chunk(p->L, quiet, fault) != ERR_OK && !s->stopped;
  if (failed && fault->code == ERR_INTERRUPT) print_kept(s);
  if (failed) print_fault(fault);
  fault_clear(fault);
}

/* Takes the line; runs the statement if it is whole. */
static void take_line(Prompt *p, const Text *line, Fault *fault) {
  if (p->code.n_bytes) text_add(&p->code, "\n");
  text_add_bytes(&p->code, line->data ? line->data : "", line->n_bytes);
  switch (compile_either(p->L, &p->code)) {
  case COMPILED: run_statement(p, fault); return;
  case UNFINISHED: break;
  case WRONG:
    fault_set(fault, ERR_SCRIPT, "%s", lua_tostring(p->L, -1));
    edit_remember(p->editor, p->code.data);
    text_deinit(&p->code);
    print_fault(fault);
  }
  lua_pop(p->L, 1);
}

/* Ctrl-D inside a statement gives it up; else it ends. */
static bool end_of_input(Prompt *p) {
  bool unfinished = p->code.n_bytes > 0;
  text_deinit(&p->code);
  out_print("\n");
  return !unfinished;
}

static bool one_line(Prompt *p, Fault *fault) {
  Text line = {0};
  bool more = true;
  switch (edit_line(p->editor, p->code.n_bytes ? ">> " : "> ", &line)) {
  case EDIT_LINE: take_line(p, &line, fault); break;
  case EDIT_END: more = !end_of_input(p); break;
  case EDIT_INTERRUPT: text_deinit(&p->code); out_print("^C\n");
  }
  text_deinit(&line);
  return go_on(p) && more && !session(p->L)->stopped;
}

/* `exit` and `quit`, at the prompt alone. */
static int add_exit(lua_State *L) {
  push_prompt_globals(L);
  push_hook(L, "exit");
  set_local(L, "exit");
  push_hook(L, "exit");
  set_local(L, "quit");
  return 0;
}

static void greet(Session *s) {
  out_print("runner %s, %s, %s, %d thread%s\nhelp explains, Tab completes, Ctrl-D "
            "ends\n",
            RUNNER_VERSION, LUA_RELEASE, simd_name(simd_level()), s->graph.par.threads,
            s->graph.par.threads == 1 ? "" : "s");
}

Err prompt_run(lua_State *L, Fault *fault) {
  Session *s = session(L);
  Prompt p = {.L = L};
  char *history = history_path();
  p.editor = edit_open(history, complete, &p);
  free(history);
  if (!p.editor) return fault_memory(fault, sizeof p);
  interrupt_at_prompt();
  s->prompt.is_open = true;
  lua_pushcfunction(L, add_exit);
  Err err = bind_call_protected(L, 0, 0, fault);
  if (!err) greet(s);
  bool more = !err && go_on(&p);
  while (more) more = one_line(&p, fault);
  edit_close(p.editor);
  text_deinit(&p.code);
  s->stopped = false;
  return err ? err : interrupt_is_final() ? ERR_INTERRUPT : ERR_OK;
}
