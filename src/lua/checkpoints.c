/* checkpoints.c: series of checkpoints in a directory, and the FitCheckpointer over
 * them; see checkpoints.h.
 *
 * A file appears whole or not at all (base/file), and the one before it goes only
 * afterwards: so a process killed at any moment leaves the last checkpoint or the one
 * before. The numbers in a series follow from the names that are there. */
#include "lua/checkpoints.h"
#include "base/array.h"
#include "base/file.h"
#include "base/out.h"
#include "base/sys.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char file_prefix[] = "checkpoint-", file_suffix[] = ".safetensors";

/* What is not on disk yet. */
typedef struct Held {
  char *series;
  bool finished; /* of a fit: its results */
  Checkpoint c;
} Held;

typedef struct Checkpoints {
  Session *session;
  lua_State *L; /* the main thread */
  FitCheckpointer fits;
  Held *held;
  int n_held;
  int64_t held_room;
} Checkpoints;

/* -- names of files ---------------------------------------------------------------- */

/* Of number n in the series; 0: the results. */
static Err file_path(const char *directory, const char *series, int64_t n, Text *out,
                     Fault *fault) {
  text_addf(out, "%s/%s%s", directory, file_prefix, series);
  if (n) text_addf(out, "-%lld", (long long)n);
  text_add(out, file_suffix);
  return out->failed ? fault_memory(fault, out->n_bytes) : ERR_OK;
}

/* The number in "checkpoint-<series>-<n>.safetensors"; 0: another name. */
static int64_t number_of(const char *name, const char *series) {
  size_t n_prefix = strlen(file_prefix), n_series = strlen(series);
  char *end;
  if (strncmp(name, file_prefix, n_prefix) != 0) return 0;
  name += n_prefix;
  if (strncmp(name, series, n_series) != 0 || name[n_series] != '-') return 0;
  name += n_series + 1;
  if (*name < '1' || *name > '9') return 0;
  long long n = strtoll(name, &end, 10);
  return strcmp(end, file_suffix) == 0 ? n : 0;
}

/* The largest numbers of the series, descending; returns how many. */
enum { NEWEST = 8 };
static int list_series(const char *directory, const char *series, int64_t out[NEWEST]) {
  DIR *dir = opendir(directory);
  int n = 0;
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    int64_t number = number_of(entry->d_name, series);
    if (!number || (n == NEWEST && number < out[n - 1])) continue;
    if (n < NEWEST) n++;
    int i = n - 1;
    for (; i > 0 && out[i - 1] < number; i--) out[i] = out[i - 1];
    out[i] = number;
  }
  if (dir) closedir(dir);
  return n;
}

/* Removes what begins as a checkpoint and has `part` in its name. */
static void remove_files(const char *directory, const char *part) {
  DIR *dir = opendir(directory);
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    if (strncmp(entry->d_name, file_prefix, strlen(file_prefix)) != 0) continue;
    if (strstr(entry->d_name, part)) unlinkat(dirfd(dir), entry->d_name, 0);
  }
  if (dir) closedir(dir);
}

void checkpoints_remove(const char *directory) { remove_files(directory, file_suffix); }

/* -- writing ----------------------------------------------------------------------- */

/* Only the `keep` newest of the series stay. */
static void prune(const char *directory, const char *series, int keep) {
  int64_t number[NEWEST];
  int n = list_series(directory, series, number);
  for (int i = keep; i < n; i++) {
    Text path = {0};
    Fault fault = {0};
    if (!file_path(directory, series, number[i], &path, &fault)) unlink(path.data);
    text_deinit(&path);
  }
}

/* Results are written beside the last checkpoint of the fits that they are of. */
static Err write_file(const Checkpoints *all, const Held *held, Fault *fault) {
  const char *directory = all->session->resume.directory;
  int64_t number[NEWEST], n = 0;
  Text path = {0};
  if (!held->finished)
    n = 1 + (list_series(directory, held->series, number) ? number[0] : 0);
  Err err = file_make_dirs(directory, fault);
  if (!err) err = file_path(directory, held->series, n, &path, fault);
  if (!err) err = checkpoint_save(&held->c, path.data, fault);
  if (!err) prune(directory, held->series, held->finished ? 1 : 2);
  text_deinit(&path);
  return err;
}

static void drop_first(Checkpoints *all) {
  free(all->held[0].series);
  checkpoint_deinit(&all->held[0].c);
  all->n_held--;
  memmove(all->held, all->held + 1, (size_t)all->n_held * sizeof *all->held);
}

static Err write_held(Checkpoints *all, Fault *fault) {
  while (all->n_held) {
    Err err = write_file(all, &all->held[0], fault);
    if (err) return err;
    drop_first(all);
  }
  all->fits.last_s = clock_s();
  return ERR_OK;
}

/* Takes the checkpoint; one of the same series that is held gives way. */
static Err hold(Checkpoints *all, const char *series, bool finished, Checkpoint *c,
                Fault *fault) {
  for (int i = 0; i < all->n_held; i++) {
    if (strcmp(all->held[i].series, series) != 0) continue;
    checkpoint_deinit(&all->held[i].c);
    all->held[i].c = *c;
    all->held[i].finished = finished;
    *c = (Checkpoint){0};
    return ERR_OK;
  }
  Err err = ARRAY_ROOM(all->held, all->held_room, all->n_held + 1, fault);
  char *copy = err ? NULL : text_copy(series);
  if (!copy) return fault_memory(fault, strlen(series));
  all->held[all->n_held++] = (Held){copy, finished, *c};
  *c = (Checkpoint){0};
  return ERR_OK;
}

static bool is_heavy(const Checkpoints *all) {
  enum { MOST_BYTES = 64 << 20 };
  size_t n_bytes = 0;
  for (int i = 0; i < all->n_held; i++)
    for (int k = 0; k < all->held[i].c.n_tensors; k++)
      n_bytes += all->held[i].c.tensors[k].tensor->storage->n_bytes;
  return n_bytes > MOST_BYTES;
}

static bool asked_to_stop(void *ctx) {
  (void)ctx;
  return interrupt_pending();
}

static bool is_due(const Checkpoints *all) {
  return clock_s() - all->fits.last_s >= all->fits.interval_s || is_heavy(all);
}

/* -- reading ----------------------------------------------------------------------- */

/* Tries one file; *found stays false when it is not there, *damaged counts one that
 * is. */
static Err try_file(const Checkpoints *all, const char *series, int64_t n,
                    Checkpoint *out, bool *found, int *damaged, Fault *fault) {
  Text path = {0};
  Fault why = {0};
  Err err = file_path(all->session->resume.directory, series, n, &path, fault);
  if (!err && access(path.data, F_OK) == 0) {
    err = checkpoint_load(out, path.data, &all->session->graph.memory, &why);
    *found = !err;
    if (err == ERR_MEMORY) fault_set(fault, err, "%s", why.text);
    if (err && err != ERR_MEMORY) {
      err_print("checkpoint: %s\n", why.text);
      ++*damaged;
      err = ERR_OK;
    }
  }
  text_deinit(&path);
  return err;
}

static Err read_series(const Checkpoints *all, const char *series, Checkpoint *out,
                       bool *found, Fault *fault) {
  int64_t number[NEWEST];
  int damaged = 0, n = list_series(all->session->resume.directory, series, number);
  *found = false;
  Err err = try_file(all, series, 0, out, found, &damaged, fault);
  for (int i = 0; !err && !*found && i < n; i++)
    err = try_file(all, series, number[i], out, found, &damaged, fault);
  if (err || !damaged) return err;
  err_print("checkpoint: %s: %s\n", series,
            *found ? "the one before is used" : "there is no other; it starts over");
  return ERR_OK;
}

/* -- the checkpointer of fits ------------------------------------------------------ */

enum { SERIES_NAME = 32 };

static Err write_fit(void *ctx, int64_t fit, bool finished, Checkpoint *c,
                     Fault *fault) {
  Checkpoints *all = ctx;
  char series[SERIES_NAME];
  snprintf(series, sizeof series, "fit%lld", (long long)fit);
  Err err = hold(all, series, finished, c, fault);
  checkpoint_deinit(c);
  if (err || (finished && !is_due(all))) return err;
  return write_held(all, fault);
}

static Err read_fit(void *ctx, int64_t fit, Checkpoint *out, bool *found,
                    Fault *fault) {
  char series[SERIES_NAME];
  snprintf(series, sizeof series, "fit%lld", (long long)fit);
  return read_series(ctx, series, out, found, fault);
}

Err checkpoint_add_random(lua_State *L, Checkpoint *c, Fault *fault) {
  const Session *s = session(L);
  return checkpoint_add_bytes(c, "lua", "random", s->resume.random,
                              s->resume.random_bytes, fault);
}

Err checkpoint_get_random(lua_State *L, const Checkpoint *c, Fault *fault) {
  const Session *s = session(L);
  return checkpoint_get_bytes(c, "lua", "random", s->resume.random,
                              s->resume.random_bytes, fault);
}

static Err add_own(void *ctx, Checkpoint *c, Fault *fault) {
  return checkpoint_add_random(((Checkpoints *)ctx)->L, c, fault);
}

static Err get_own(void *ctx, const Checkpoint *c, Fault *fault) {
  return checkpoint_get_random(((Checkpoints *)ctx)->L, c, fault);
}

/* A function of the user and the part of a checkpoint that is its result or
 * argument. */
typedef struct PartCall {
  Callable *function; /* NULL, or a value held: the part is that value */
  Callable **held;    /* of get_held, else NULL */
  Checkpoint *out;    /* of add, else NULL */
  const Checkpoint *in;
  const char *part;
  Text bytes;
} PartCall;

static int run_held(lua_State *L) {
  PartCall *call = lua_touserdata(L, 1);
  Fault fault = {0};
  lua_settop(L, 0);
  if (call->out) {
    bind_push_callable(L, call->function);
    plain_save(L, 1, call->out, call->part, &call->bytes);
    return 0;
  }
  plain_push(L, call->in, call->part);
  *call->held = bind_callable_from_lua(L, 1, &fault);
  return *call->held ? 0 : bind_raise_fault(L, &fault);
}

static int run_part_call(lua_State *L) {
  PartCall *call = lua_touserdata(L, 1);
  lua_settop(L, 0);
  bind_push_callable(L, call->function);
  if (call->in) plain_push(L, call->in, call->part);
  lua_call(L, call->in ? 1 : 0, 1);
  if (call->out) plain_save(L, 1, call->out, call->part, &call->bytes);
  return 0;
}

static Err part_call(Checkpoints *all, lua_CFunction run, PartCall *call,
                     Fault *fault) {
  lua_State *L = all->L;
  if (!lua_checkstack(L, 8)) return fault_memory(fault, 0);
  LuaEntry entry = bind_entry_begin(all->session);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, call);
  Err err = bind_call_protected(L, 1, 0, fault);
  bind_entry_end(all->session, &entry);
  text_deinit(&call->bytes);
  return err;
}

static Err add_call(void *ctx, Callable *state, Checkpoint *c, const char *part,
                    Fault *fault) {
  PartCall call = {.function = state, .out = c, .part = part};
  return part_call(ctx, run_part_call, &call, fault);
}

static Err get_call(void *ctx, Callable *restore, const Checkpoint *c, const char *part,
                    Fault *fault) {
  PartCall call = {.function = restore, .in = c, .part = part};
  return part_call(ctx, run_part_call, &call, fault);
}

static Err add_held(void *ctx, Callable *held, Checkpoint *c, const char *part,
                    Fault *fault) {
  PartCall call = {.function = held, .out = c, .part = part};
  return part_call(ctx, run_held, &call, fault);
}

static Err get_held(void *ctx, Callable **held, const Checkpoint *c, const char *part,
                    Fault *fault) {
  PartCall call = {.held = held, .in = c, .part = part};
  return part_call(ctx, run_held, &call, fault);
}

/* -- of a session ------------------------------------------------------------------ */

static Checkpoints *open_checkpoints(lua_State *L) {
  Session *s = session(L);
  if (!s->resume.directory || s->resume.held) return s->resume.held;
  Checkpoints *all = s->resume.held = calloc(1, sizeof *all);
  if (!all) return NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  *all = (Checkpoints){
      .session = s,
      .L = lua_tothread(L, -1),
      .fits = {.ctx = all, .interval_s = s->resume.period_s, .last_s = clock_s(),
               .write = write_fit, .read = read_fit, .asked_to_stop = asked_to_stop,
               .add_own = add_own, .get_own = get_own, .add_call = add_call,
               .get_call = get_call, .add_held = add_held, .get_held = get_held}};
  lua_pop(L, 1);
  remove_files(s->resume.directory, ".safetensors.tmp-");
  return all;
}

FitCheckpointer *session_checkpointer(lua_State *L) {
  Checkpoints *all = open_checkpoints(L);
  if (all) return &all->fits;
  if (session(L)->resume.directory) err_print("checkpoint: out of memory\n");
  return NULL;
}

Err session_keep_checkpoints(Session *s, Fault *fault) {
  return s->resume.held ? write_held(s->resume.held, fault) : ERR_OK;
}

void session_forget_checkpoints(Session *s) {
  if (!s->resume.held) return;
  while (s->resume.held->n_held) drop_first(s->resume.held);
  free(s->resume.held->held);
  free(s->resume.held);
  s->resume.held = NULL;
}

Err checkpoints_put(lua_State *L, const char *series, Checkpoint *c, bool *written,
                    Fault *fault) {
  Checkpoints *all = open_checkpoints(L);
  *written = false;
  Err err = all ? hold(all, series, false, c, fault) : fault_memory(fault, sizeof *all);
  checkpoint_deinit(c);
  if (err || !(is_due(all) || asked_to_stop(NULL))) return err;
  err = write_held(all, fault);
  *written = !err;
  return err;
}

Err checkpoints_get(lua_State *L, const char *series, Checkpoint *out, bool *found,
                    Fault *fault) {
  Checkpoints *all = open_checkpoints(L);
  return all ? read_series(all, series, out, found, fault)
             : fault_memory(fault, sizeof *all);
}
