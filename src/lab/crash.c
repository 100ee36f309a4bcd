/* crash.c: marks of runs that are not synced yet, and repair after a crash; see crash.h. */
#include "lab/crash.h"
#include "base/file.h"
#include "base/out.h"
#include "lab/digest.h"
#include "lab/look.h"
#include <errno.h>
#include <signal.h>
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

/* -- marks --------------------------------------------------------------------------- */

typedef enum MarkOwner { MARK_NONE, MARK_ALIVE, MARK_KILLED, MARK_CRASHED } MarkOwner;

/* Whose mark the name is; MARK_NONE: it is no mark, or one that is being written (file.h). */
static MarkOwner owner_of(const char *name, const char *boot) {
  size_t n = sizeof mark_start - 1;
  if (strncmp(name, mark_start, n) != 0 || strstr(name, ".tmp-")) return MARK_NONE;
  char *rest;
  long pid = strtol(name + n, &rest, 10);
  if (*rest != '-' || strcmp(rest + 1, boot) != 0) return MARK_CRASHED;
  bool gone = pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
  return gone ? MARK_KILLED : MARK_ALIVE;
}

static Err remove_in(const char *directory, const char *name, Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/%s", directory, name);
  Err err = path.failed ? fault_memory(fault, path.n_bytes) : file_remove(path.data, fault);
  text_deinit(&path);
  return err;
}

/* Counts the marks of such owners, and removes them with `remove`. */
static Err find_marks(const Store *store, MarkOwner owner, bool remove, int *n,
                      Fault *fault) {
  FileNames names;
  char boot[64];
  boot_id(boot);
  *n = 0;
  Err err = file_names(store->directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++) {
    if (owner_of(names.v[i], boot) != owner) continue;
    ++*n;
    if (remove) err = remove_in(store->directory, names.v[i], fault);
  }
  file_names_deinit(&names);
  return err;
}

static void own_mark(char out[128]) {
  char boot[64];
  boot_id(boot);
  snprintf(out, 128, "%s%ld-%s", mark_start, (long)getpid(), boot);
}

Err crash_begin(const Store *store, Fault *fault) {
  char name[128];
  Text path = {0};
  own_mark(name);
  text_addf(&path, "%s/%s", store->directory, name);
  Err err = path.failed ? fault_memory(fault, path.n_bytes)
                        : file_put(path.data, "", 0, PUBLISH_REPLACE, fault);
  text_deinit(&path);
  return err;
}

Err crash_end(const Store *store, Fault *fault) {
  char name[128];
  int n;
  own_mark(name);
  Err err = file_sync_system(store->directory, fault);
  if (!err) err = remove_in(store->directory, name, fault);
  return err ? err : find_marks(store, MARK_KILLED, true, &n, fault);
}

Err crash_runs(const Store *store, long *process, Fault *fault) {
  FileNames names;
  char boot[64];
  boot_id(boot);
  *process = 0;
  Err err = file_names(store->directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (owner_of(names.v[i], boot) == MARK_ALIVE)
      *process = strtol(names.v[i] + sizeof mark_start - 1, NULL, 10);
  file_names_deinit(&names);
  return err;
}

/* -- repair -------------------------------------------------------------------------- */

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
    if (names.v[i][0] != '.') err = repair_trial(store, names.v[i], n, fault);
  file_names_deinit(&names);
  text_deinit(&path);
  return err;
}

Err crash_repair(const Store *store, Fault *fault) {
  int64_t n = 0;
  int n_marks;
  Err err = find_marks(store, MARK_CRASHED, false, &n_marks, fault);
  if (err || !n_marks) return err;
  err_print("%s: the machine went down while it ran: checking what is there\n", store->name);
  err = repair_all(store, &n, fault);
  if (!err && n)
    err_print("%s: %lld of the trials were not whole and are run again\n", store->name,
              (long long)n);
  return err ? err : find_marks(store, MARK_CRASHED, true, &n_marks, fault);
}
