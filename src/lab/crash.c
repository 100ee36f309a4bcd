/* crash.c: marks of runs that are not synced yet, and repair after a crash; see
 * crash.h. */
#include "lab/crash.h"
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "lab/digest.h"
#include "base/lock.h"
#include "lab/look.h"
#include "lab/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char mark_start[] = ".unsynced-";

/* Of this machine since it was started. */
static void boot_id(char out[64]) {
  snprintf(out, 64, "unknown");
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file && fscanf(file, "%63[0-9a-f-]", out) != 1) snprintf(out, 64, "unknown");
  if (file) fclose(file);
}

/* -- marks ------------------------------------------------------------------------- */

typedef enum MarkOwner { MARK_NONE, MARK_ALIVE, MARK_KILLED, MARK_CRASHED } MarkOwner;

static Path path_in(const Store *store, const char *name) {
  return path_of("%s/%s", store->directory, name);
}

/* One of an earlier version that is being written is none yet (file.h). */
bool crash_is_mark(const char *name) {
  return strncmp(name, mark_start, sizeof mark_start - 1) == 0 &&
         !file_is_temporary(name);
}

static MarkOwner owner_of(const char *path, const char *boot) {
  const char *name = file_name(path);
  size_t n = sizeof mark_start - 1;
  if (!crash_is_mark(name)) return MARK_NONE;
  if (lock_file_held(path)) return MARK_ALIVE;
  const char *rest = name + n + strspn(name + n, "0123456789.");
  return *rest == '-' && strcmp(rest + 1, boot) == 0 ? MARK_KILLED : MARK_CRASHED;
}

/* Unless its process is alive after all, and took the lock just now. */
static Err remove_mark(const char *path, Fault *fault) {
  int lock;
  Err err = lock_take_file(path, &lock, fault);
  if (err || lock == LOCK_NONE) return err;
  err = file_remove(path, fault);
  close(lock);
  return err;
}

/* Counts the marks of such owners, and removes them with `remove`; *process is the
 * number in the name of the last. */
static Err find_marks(const Store *store, MarkOwner owner, bool remove, int *n,
                      long *process, Fault *fault) {
  FileNames names;
  char boot[64];
  boot_id(boot);
  *n = 0;
  Err err = file_names(store->directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++) {
    Path path = path_in(store, names.v[i]);
    if (owner_of(path.s, boot) != owner) continue;
    ++*n;
    *process = strtol(names.v[i] + sizeof mark_start - 1, NULL, 10);
    if (remove) err = remove_mark(path.s, fault);
  }
  file_names_deinit(&names);
  return err;
}

/* *lock is LOCK_NONE where a process of another container has that number and lives. */
static Err try_mark(const Store *store, CrashMark *mark, Fault *fault) {
  Path path = path_in(store, mark->name);
  Err err = lock_take_file(path.s, &mark->lock, fault);
  return err || mark->lock == LOCK_NONE ? err : file_sync(path.s, fault);
}

/* On disk before the first trial is. */
Err crash_begin(const Store *store, CrashMark *out, Fault *fault) {
  enum { ALIKE = 1000 };
  char boot[64];
  Err err = ERR_OK;
  boot_id(boot);
  *out = (CrashMark){.lock = LOCK_NONE};
  for (int i = 1; !err && out->lock == LOCK_NONE && i <= ALIKE; i++) {
    char again[16] = "";
    if (i > 1) snprintf(again, sizeof again, ".%d", i);
    snprintf(out->name, sizeof out->name, "%s%ld%s-%s", mark_start, (long)getpid(),
             again, boot);
    err = try_mark(store, out, fault);
  }
  if (!err && out->lock == LOCK_NONE)
    err = fault_set(fault, ERR_STORAGE, "%s/%s: cannot be locked", store->directory,
                    out->name);
  return err ? err : file_sync(store->directory, fault);
}

Err crash_end(const Store *store, const CrashMark *mark, Fault *fault) {
  int n;
  long process;
  Err err = file_sync_system(store->directory, fault);
  if (!err) err = file_remove(path_in(store, mark->name).s, fault);
  return err ? err : find_marks(store, MARK_KILLED, true, &n, &process, fault);
}

Err crash_runs(const Store *store, long *process, Fault *fault) {
  int n;
  *process = 0;
  return find_marks(store, MARK_ALIVE, false, &n, process, fault);
}

/* -- repair ------------------------------------------------------------------------ */

Err crash_check(const Store *store, const char *id, bool *whole, Fault *fault) {
  Look look;
  char digest[SHA256_TEXT] = "";
  Path path = path_of("%s/%s", store->trials, id);
  Err err = look_open(&look, path.s, fault);
  *whole = !look.damage;
  if (!err && look.result) {
    err = digest_trial(path.s, look.result, json_text_or(look.result, "weights", NULL),
                       digest, fault);
    *whole = strcmp(digest, json_text(look.result, "digest")) == 0;
  }
  look_close(&look);
  return err;
}

static Err repair_trial(const Store *store, const char *id, int64_t *n, Fault *fault) {
  bool whole, done = false;
  Err err = crash_check(store, id, &whole, fault);
  if (!err && !whole) err = store_reset(store, id, &done, fault);
  *n += done;
  return err;
}

static Err repair_all(const Store *store, int64_t *n, Fault *fault) {
  FileNames names;
  Err err = file_names(store->trials, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (name_is_trial(names.v[i])) err = repair_trial(store, names.v[i], n, fault);
  file_names_deinit(&names);
  return err;
}

Err crash_repair(const Store *store, Fault *fault) {
  int64_t n = 0;
  int n_marks;
  long process;
  Err err = find_marks(store, MARK_CRASHED, false, &n_marks, &process, fault);
  if (err || !n_marks) return err;
  err_print("%s: the machine went down while it ran: checking what is there\n",
            store->name);
  err = repair_all(store, &n, fault);
  if (!err && n)
    err_print("%s: %lld of the trials were not whole and are run again\n", store->name,
              (long long)n);
  return err ? err : find_marks(store, MARK_CRASHED, true, &n_marks, &process, fault);
}
