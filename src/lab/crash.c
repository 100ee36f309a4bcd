/* crash.c: marks of runs that are not synced yet, and repair after a crash; see
 * crash.h. */
#include "lab/crash.h"
#include "base/file.h"
#include "base/out.h"
#include "lab/digest.h"
#include "lab/lock.h"
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

static char *path_in(const Store *store, const char *name, Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/%s", store->directory, name);
  if (!path.failed) return path.data;
  text_deinit(&path);
  fault_memory(fault, strlen(name));
  return NULL;
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
    char *path = path_in(store, names.v[i], fault);
    if (!path) err = fault->code;
    else if (owner_of(path, boot) == owner) {
      ++*n;
      *process = strtol(names.v[i] + sizeof mark_start - 1, NULL, 10);
      if (remove) err = remove_mark(path, fault);
    }
    free(path);
  }
  file_names_deinit(&names);
  return err;
}

/* *lock is LOCK_NONE where a process of another container has that number and lives. */
static Err try_mark(const Store *store, CrashMark *mark, Fault *fault) {
  char *path = path_in(store, mark->name, fault);
  Err err = path ? lock_take_file(path, &mark->lock, fault) : fault->code;
  if (!err && mark->lock != LOCK_NONE) err = file_sync(path, fault);
  free(path);
  return err;
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
  char *path = path_in(store, mark->name, fault);
  Err err = path ? file_sync_system(store->directory, fault) : fault->code;
  if (!err) err = file_remove(path, fault);
  free(path);
  return err ? err : find_marks(store, MARK_KILLED, true, &n, &process, fault);
}

Err crash_runs(const Store *store, long *process, Fault *fault) {
  int n;
  *process = 0;
  return find_marks(store, MARK_ALIVE, false, &n, process, fault);
}

/* -- repair ------------------------------------------------------------------------ */

static Err check_directory(const char *directory, bool *whole, Fault *fault) {
  Look look;
  char digest[SHA256_TEXT] = "";
  const char *weights = NULL, *told = "";
  Err err = look_open(&look, directory, fault);
  *whole = !look.damage;
  if (!err && look.result) {
    json_get_text(json_find(look.result, "weights"), &weights);
    json_get_text(json_find(look.result, "digest"), &told);
    err = digest_trial(directory, look.result, weights, digest, fault);
    *whole = strcmp(digest, told) == 0;
  }
  look_close(&look);
  return err;
}

Err crash_check(const Store *store, const char *id, bool *whole, Fault *fault) {
  Text path = {0};
  *whole = true;
  text_addf(&path, "%s/trials/%s", store->directory, id);
  Err err = path.failed ? fault_memory(fault, path.n_bytes)
                        : check_directory(path.data, whole, fault);
  text_deinit(&path);
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
  Text path = {0};
  FileNames names = {0};
  text_addf(&path, "%s/trials", store->directory);
  Err err = path.failed ? fault_memory(fault, path.n_bytes)
                        : file_names(path.data, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (name_is_trial(names.v[i])) err = repair_trial(store, names.v[i], n, fault);
  file_names_deinit(&names);
  text_deinit(&path);
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
