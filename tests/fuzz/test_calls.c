/* The Lua interface: programs of random calls, made of the fuzzer's bytes by calls.lua.
 * Each runs in a session of its own, which must give back all memory at its end; a
 * program that trains for long is interrupted as by Ctrl-C, and must then end soon. */
#include "fuzz/fuzz.h"
#include "base/out.h"
#include "base/sys.h"
#include "kernel/gemm.h"
#include "graph/op.h"
#include "data/methods.h"
#include "lua/core.h"
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Whose records' words the programs use; their functions are found by walking. */
static const Family *const families[] = {
    &activation_family, &init_family, &layer_family, &loss_family, &metric_family,
    &optim_family, &optim_group_family, &regularizer_family, &constraint_family,
    &schedule_family, &callback_family, &probe_family, &fit_family,
    &dataset_family,
    &dataset_methods};

typedef struct Bytes {
  const uint8_t *bytes;
  size_t n_bytes, at;
} Bytes;

static Bytes *input_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

static int input_byte(lua_State *L) {
  Bytes *in = input_of(L);
  lua_pushinteger(L, in->at < in->n_bytes ? in->bytes[in->at++] : 0);
  return 1;
}

static int bytes_left(lua_State *L) {
  const Bytes *in = input_of(L);
  lua_pushboolean(L, in->at < in->n_bytes && !interrupt_pending());
  return 1;
}

/* -- words ------------------------------------------------------------------------- */

static void add_word(lua_State *L, const char *word, size_t n) {
  lua_pushlstring(L, word, n);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void add_words(lua_State *L, const char *words) {
  for (const char *at = words; at && *at;) {
    size_t n = strcspn(at, " ");
    add_word(L, at, n);
    at += n + (at[n] != 0);
  }
}

static void add_kind(lua_State *L, const Kind *kind) {
  add_word(L, kind->name, strlen(kind->name));
  for (const Option *opt = kind->options; opt && opt->name; opt++) {
    add_word(L, opt->name, strlen(opt->name));
    add_words(L, opt->alias);
    for (const char *const *c = opt->choices; c && *c; c++) add_words(L, *c);
  }
}

static void push_words(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    for (const Kind *const *k = families[i]->kinds; *k; k++) add_kind(L, *k);
  for (int i = 0; i < N_OPS; i++)
    for (const OpAttr *a = op_table[i]->attrs; a && a->name; a++) add_words(L, a->name);
}

static void push_options(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    for (const Kind *const *k = families[i]->kinds; *k; k++) {
      lua_newtable(L);
      for (const Option *opt = (*k)->options; opt && opt->name; opt++)
        add_words(L, opt->name);
      lua_setfield(L, -2, (*k)->name);
    }
  for (int i = 0; i < N_OPS; i++) {
    lua_newtable(L);
    for (const OpAttr *a = op_table[i]->attrs; a && a->name; a++) add_words(L, a->name);
    lua_setfield(L, -2, op_table[i]->name);
  }
}

static void push_input(lua_State *L, Bytes *in) {
  lua_createtable(L, 0, 5);
  lua_pushlightuserdata(L, in);
  lua_pushcclosure(L, input_byte, 1);
  lua_setfield(L, -2, "byte");
  lua_pushlightuserdata(L, in);
  lua_pushcclosure(L, bytes_left, 1);
  lua_setfield(L, -2, "left");
  push_words(L);
  lua_setfield(L, -2, "words");
  push_options(L);
  lua_setfield(L, -2, "options");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "runner");
  lua_setfield(L, -3, "library");
  lua_pop(L, 1);
}

/* -- time, memory, files ----------------------------------------------------------- */

static void on_time(int number) {
  (void)number;
  interrupt_raise();
}

/* Sends an interrupt after so many milliseconds; 0: no more. */
static void interrupt_after(long ms) {
  static timer_t timer;
  static bool made;
  if (!made) {
    struct sigaction action = {.sa_handler = on_time, .sa_flags = SA_RESTART};
    sigaction(SIGRTMIN, &action, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    must(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    made = true;
  }
  struct itimerspec when = {
      .it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
  timer_settime(timer, 0, &when, NULL);
}

static void end_of_call(lua_State *L, lua_Debug *where) {
  (void)where;
  if (interrupt_pending()) luaL_error(L, "interrupted");
}

/* Without a sanitizer, a large allocation fails by the limit of the address space. */
static void limit_memory(void) {
#if !defined(FUZZING) && !defined(WATCHED_HEAP)
  struct rlimit limit;
  must(getrlimit(RLIMIT_AS, &limit) == 0);
  limit.rlim_cur = (rlim_t)1 << 30;
  must(setrlimit(RLIMIT_AS, &limit) == 0);
#endif
}

/* Files that a program leaves would be found by the next one. */
static void remove_files(const char *directory) {
  DIR *dir = opendir(directory);
  must(dir);
  for (struct dirent *e; (e = readdir(dir));)
    if (e->d_name[0] != '.') nftw(e->d_name, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  closedir(dir);
}

/* -- a program --------------------------------------------------------------------- */

static Text calls; /* calls.lua, read before the directory changes */

static void read_calls(void) {
  FILE *file = fopen("tests/fuzz/calls.lua", "rb");
  must(file);
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;)
    text_add_bytes(&calls, buffer, n);
  fclose(file);
}

/* What the programs need once for the process. */
static void set_up(void) {
  static bool done;
  Fault fault = {0};
  if (done) return;
  done = true;
  read_calls();
  limit_memory();
  must(gemm_init(&fault) == ERR_OK);
}

static void run_program(lua_State *L, Bytes *in) {
  enum { INSTRUCTIONS = 1000 };
  Fault fault = {0};
  lua_sethook(L, end_of_call, LUA_MASKCOUNT, INSTRUCTIONS);
  must(luaL_loadbuffer(L, calls.data, calls.n_bytes, "=calls") == LUA_OK);
  push_input(L, in);
  Err err = bind_call_protected(L, 1, 0, &fault);
  if (err && !interrupt_pending()) err_print("%s\n", fault.text);
  must(!err || interrupt_pending() || strstr(fault.text, "not enough memory"));
}

FUZZ(calls) {
  enum { LIMIT_MS = 300 };
  char here[PATH_MAX];
  set_up();
  must(getcwd(here, sizeof here) && chdir(temp_path(".")) == 0);
  Bytes in = {bytes, n_bytes, 0};
  Session s = {.launch.runs = "runs"};
  Fault fault = {0};
  must(graph_open(&s.graph, 1, 1, &fault) == ERR_OK);
  lua_State *L = session_open(&s, &fault);
  must(L);
  interrupt_after(LIMIT_MS);
  run_program(L, &in);
  interrupt_after(0);
  interrupt_clear();
  session_close(&s, L);
  graph_close(&s.graph);
  must(s.graph.memory.now_bytes == 0);
  remove_files(".");
  must(chdir(here) == 0);
}
