/* store.c: the trials of an experiment on disk; see store.h.
 *
 * A process that changes a trial's directory holds its lock: workers while they run it,
 * and store_reset and store_remove for a moment. */
#include "lab/store.h"
#include "base/file.h"
#include "base/path.h"
#include "lab/look.h"
#include "base/lock.h"
#include "lab/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* -- the experiment ---------------------------------------------------------------- */

/* A link leads out of the store: whatever is behind it is not ours to change. */
static Err check_own(const Store *store, Fault *fault) {
  Err err = file_check_unlinked(store->directory, fault);
  return err ? err : file_check_unlinked(store->trials, fault);
}

static Err check_name(const char *name, Fault *fault) {
  bool control = false;
  for (const char *s = name; *s; s++) control |= (unsigned char)*s < ' ' || *s == 0x7F;
  bool hidden = name_is_hidden(name);
  if (*name && !control && !hidden && !strchr(name, '/') && strlen(name) < 200)
    return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "experiment name \"%s\": allowed: the name of a directory, without "
                   "'/', not beginning with '.' or \"index.sqlite\"",
                   name);
}

/* Names the nearest of the experiments that are there. */
static Err unknown_experiment(const char *runs, const char *name, Fault *fault) {
  char *nearest;
  Err err = name_nearest(runs, name, &nearest, fault);
  if (err) return err;
  err = fault_set(fault, ERR_STORAGE,
                  nearest ? "%s/%s: no such experiment; did you mean \"%s\"?"
                          : "%s/%s: no such experiment",
                  runs, name, nearest);
  free(nearest);
  return err;
}

Err store_open(Store *out, const char *runs, const char *experiment, bool create,
               Fault *fault) {
  *out = (Store){0};
  if (check_name(experiment, fault)) return fault->code;
  out->name = text_copy(experiment);
  out->directory = text_copy(path_of("%s/%s", runs, experiment).s);
  out->trials = text_copy(path_of("%s/%s/trials", runs, experiment).s);
  Err err = out->name && out->directory && out->trials
                ? ERR_OK
                : fault_memory(fault, strlen(experiment));
  if (!err && create) err = check_own(out, fault);
  if (!err && create) err = file_make_dirs(out->trials, fault);
  if (!err && !file_exists(out->directory))
    err = unknown_experiment(runs, experiment, fault);
  if (err) store_close(out);
  return err;
}

void store_close(Store *store) {
  free(store->name);
  free(store->directory);
  free(store->trials);
  *store = (Store){0};
}

Err store_config_hash(const Json *config, char out[17], Fault *fault) {
  char hash[HASH_TEXT];
  Text text = {0};
  Err err = json_write_canonical(config, &text, fault);
  if (!err) sha256(text.data, text.n_bytes, hash);
  if (!err) snprintf(out, 17, "%.16s", hash);
  text_deinit(&text);
  return err;
}

void store_trial_id(const char *hash, int64_t seed, char out[TRIAL_ID]) {
  snprintf(out, TRIAL_ID, "%s-s%lld", hash, (long long)seed);
}

int64_t store_trial_seed(const char *id) {
  const char *seed = strstr(id, "-s");
  return seed ? strtoll(seed + 2, NULL, 10) : 0;
}

/* Is that what the file holds? */
static bool holds(const char *path, const Json *json) {
  Fault fault = {0};
  Text text = {0}, found = {0};
  bool same = json_write_lines(json, &text, &fault) == ERR_OK &&
              file_read(path, text.n_bytes, &found, &fault) == ERR_OK &&
              found.n_bytes == text.n_bytes &&
              memcmp(found.data, text.data, text.n_bytes) == 0;
  text_deinit(&text);
  text_deinit(&found);
  return same;
}

Err store_plan(const Store *store, const Json *experiment, Fault *fault) {
  Path path = path_of("%s/experiment.json", store->directory);
  if (holds(path.s, experiment)) return ERR_OK;
  Err err = check_own(store, fault);
  return err ? err : json_put_file(experiment, path.s, PUBLISH_REPLACE, fault);
}

Err store_keep(const Store *store, const char *name, const void *bytes, size_t n_bytes,
               char hash[HASH_TEXT], Fault *fault) {
  sha256(bytes, n_bytes, hash);
  Path code = path_of("%s/code", store->directory);
  Path path = path_of("%s/%.16s-%s", code.s, hash, file_name(name));
  if (file_exists(path.s)) return ERR_OK;
  Err err = check_own(store, fault);
  if (!err) err = file_check_unlinked(code.s, fault);
  if (!err) err = file_make_dirs(code.s, fault);
  return err ? err : file_put(path.s, bytes, n_bytes, PUBLISH_REPLACE, fault);
}

/* -- looking ----------------------------------------------------------------------- */

Err store_look(const Store *store, const char *id, TrialInfo *out, Fault *fault) {
  Look look;
  *out = (TrialInfo){0};
  Err err = look_open(&look, path_of("%s/%s", store->trials, id).s, fault);
  if (!err) look_info(&look, out);
  look_close(&look);
  return err;
}

/* -- claims ------------------------------------------------------------------------ */

/* The directory of a trial that is to be changed. A fault for a name that leads
 * elsewhere, and where something on the way is a link. */
static Err own_trial(const Store *store, const char *id, Path *out, Fault *fault) {
  *out = path_of("%s/%s", store->trials, id);
  if (!*id || *id == '.' || strchr(id, '/'))
    return fault_set(fault, ERR_STORAGE, "%s: \"%s\" is no name of a trial",
                     store->trials, id);
  Err err = check_own(store, fault);
  return err ? err : file_check_unlinked(out->s, fault);
}

/* Does it to what an earlier attempt made. */
static Err each_product(const char *directory,
                        Err (*work)(const char *path, Fault *fault), Fault *fault) {
  FileNames names;
  Err err = file_names(directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (name_is_product(names.v[i]))
      err = work(path_of("%s/%s", directory, names.v[i]).s, fault);
  file_names_deinit(&names);
  return err;
}

static Err number_result(const char *directory, int attempt, Fault *fault) {
  Path from = path_of("%s/result.json", directory);
  Path to = path_of("%s/result-%d.json", directory, attempt > 0 ? attempt : 1);
  return file_exists(from.s) ? file_move(from.s, to.s, fault) : ERR_OK;
}

/* Takes the lock of a directory that has no result. *lock is LOCK_NONE if that cannot
 * be. */
static Err lock_open_trial(const char *directory, int *lock, Fault *fault) {
  bool published = false;
  *lock = LOCK_NONE;
  Err err = look_published(directory, &published, fault);
  if (!err && !published) err = lock_take(directory, lock, fault);
  if (err || *lock == LOCK_NONE) return err;
  err = look_published(directory, &published, fault);
  if (!err && !published) return ERR_OK;
  lock_drop(*lock, directory, published); /* published in between, or a fault */
  *lock = LOCK_NONE;
  return err;
}

/* config.json is as it is already, or is written. One that a crash of the machine
 * left empty or cut is written again. */
static Err settle_config(const char *directory, const Json *config, Fault *fault) {
  Path path = path_of("%s/config.json", directory);
  if (holds(path.s, config)) return ERR_OK;
  Fault ignored = {0};
  Json *other = look_json(directory, "config.json", &ignored);
  bool readable = other != NULL;
  json_free(other);
  if (!readable) return json_put_file(config, path.s, PUBLISH_DRAFT, fault);
  return fault_set(fault, ERR_STORAGE,
                   "%s: is of another config than this trial; runner rm removes the "
                   "trial",
                   path.s);
}

/* New: { config's keys, seed }, keys sorted. */
static Json *config_with_seed(const Json *config, int64_t seed) {
  Json *all = json_map();
  json_put_all(all, config);
  json_put_int(all, "seed", seed);
  Json *canonical = json_canonical(all);
  json_free(all);
  return canonical;
}

/* The list of attempts in meta.json, to be gone on with; NULL when there is none. */
static Json *earlier_attempts(const char *directory) {
  char *damage;
  Json *meta = look_meta(directory, &damage);
  Json *attempts = json_share(json_find(meta, "attempts"));
  json_free(meta);
  free(damage);
  return attempts;
}

/* May another attempt go on with what the last one left? Without a note of it,
 * it is unknown which code made its checkpoints; and one that was taken back may have
 * been killed before they were removed. */
static bool may_go_on(const Json *attempts) {
  int64_t n = attempts ? json_count(attempts) : 0;
  return n > 0 && !json_find(json_item(attempts, n - 1), LOOK_TAKEN_BACK);
}

/* What an earlier attempt left: half written files go, a damaged result is set aside,
 * and all that it made goes where no attempt may go on with it. What is gone on with is
 * no link: what leads out of the store would be written there. */
static Err clean_trial(const char *directory, const Json *attempts, Fault *fault) {
  Err err = file_clean(directory, fault);
  if (!err)
    err = number_result(directory, attempts ? (int)json_count(attempts) : 0, fault);
  if (err) return err;
  return each_product(directory,
                      may_go_on(attempts) ? file_check_unlinked : file_remove, fault);
}

/* Takes the lock. `fresh`: the directory was made just now; whether no attempt was
 * begun is known for sure while the lock is held. */
static Err begin_trial(const char *directory, int lock, bool fresh, const Json *config,
                       int64_t seed, Trial *out, Fault *fault) {
  Json *whole = config_with_seed(config, seed);
  fresh = fresh &&
          !file_exists(path_of("%s/meta.json", directory).s); /* one was quick */
  Json *attempts = fresh ? NULL : earlier_attempts(directory);
  Err err = whole ? ERR_OK : fault_memory(fault, 0);
  if (!err && !fresh) err = clean_trial(directory, attempts, fault);
  if (!err) err = settle_config(directory, whole, fault);
  if (!err) return trial_init_at(out, directory, lock, whole, attempts, fault);
  json_free(attempts);
  json_free(whole);
  lock_drop(lock, directory, false);
  return err;
}

Err store_claim(const Store *store, const char *id, const Json *config, int64_t seed,
                Trial *out, bool *claimed, Fault *fault) {
  *out = (Trial){.lock = LOCK_NONE};
  *claimed = false;
  Path directory;
  int lock = LOCK_NONE;
  bool fresh = false;
  Err err = own_trial(store, id, &directory, fault);
  if (!err) err = file_make_new(directory.s, &fresh, fault);
  if (!err) err = lock_open_trial(directory.s, &lock, fault);
  if (err || lock == LOCK_NONE) return err;
  err = begin_trial(directory.s, lock, fresh, config, seed, out, fault);
  *claimed = !err;
  return err;
}

Err store_publish(Trial *claim, const TrialEnd *end, bool *first, Fault *fault) {
  must(trial_state_is_published(end->state));
  Err err = trial_publish(claim, end, first, fault);
  if (!err) trial_deinit(claim);
  return err;
}

void store_release(Trial *claim, const char *why) {
  if (!claim->directory) return;
  trial_release(claim, why);
  trial_deinit(claim);
}

/* -- taking back ------------------------------------------------------------------- */

/* meta.json says that the last attempt was taken back: whatever it left, it is not gone
 * on with. */
static Err note_taken_back(const char *directory, const Json *meta, Fault *fault) {
  Json *attempt = look_last_attempt(meta);
  if (!attempt) return ERR_OK;
  json_put_bool(attempt, LOOK_TAKEN_BACK, true);
  return json_put_file(meta, path_of("%s/meta.json", directory).s, PUBLISH_REPLACE,
                       fault);
}

/* A trial's directory while its lock is held. */
typedef struct Held {
  const Store *store;
  const char *id, *directory;
  const char
      *fingerprint; /* of the code whose trials stay as they are; NULL: of none */
} Held;

/* The result goes before the rest: killed after that, the trial is one to be run. */
static Err reset_held(const Held *held, Fault *fault) {
  const char *directory = held->directory;
  TrialInfo info = {0};
  Look look;
  Err err = look_open(&look, directory, fault);
  if (!err) look_info(&look, &info);
  bool stays = held->fingerprint && strcmp(info.fingerprint, held->fingerprint) == 0;
  if (!err && !stays) err = note_taken_back(directory, look.meta, fault);
  look_close(&look);
  int attempts = info.attempts;
  trial_info_deinit(&info);
  if (err || stays) return err;
  err = number_result(directory, attempts, fault);
  if (!err) err = each_product(directory, file_remove, fault);
  return err ? err : file_sync(directory, fault);
}

/* Out of sight in one step, then bit by bit; what a crash leaves of that, gc
 * removes. */
static Err remove_held(const Held *held, Fault *fault) {
  Path hidden = path_of("%s/" NAME_REMOVED "%s", held->store->trials, held->id);
  Err err = file_remove(hidden.s, fault);
  if (!err) err = file_move(held->directory, hidden.s, fault);
  return err ? err : file_remove(hidden.s, fault);
}

/* Does the work on the trial's directory, if it is there, while no other process may:
 * *done is false, and nothing happened, where another process has it. */
static Err locked(Held held, bool stays, Err (*work)(const Held *, Fault *), bool *done,
                  Fault *fault) {
  Path directory;
  int lock = LOCK_NONE;
  *done = true;
  Err err = own_trial(held.store, held.id, &directory, fault);
  if (err || !file_exists(directory.s)) return err;
  held.directory = directory.s;
  err = lock_take(directory.s, &lock, fault);
  if (!err && lock == LOCK_NONE) *done = !file_exists(directory.s);
  else if (!err) err = work(&held, fault);
  lock_drop(lock, directory.s, stays);
  return err;
}

Err store_reset(const Store *store, const char *id, bool *done, Fault *fault) {
  return locked((Held){.store = store, .id = id}, true, reset_held, done, fault);
}

Err store_reset_foreign(const Store *store, const char *id, const char *fingerprint,
                        bool *done, Fault *fault) {
  return locked((Held){.store = store, .id = id, .fingerprint = fingerprint}, true,
                reset_held, done, fault);
}

Err store_try(const Store *store, const char *id, bool *done, Fault *fault) {
  Path directory;
  Err err = own_trial(store, id, &directory, fault);
  *done = !err && !lock_held(directory.s);
  return err;
}

Err store_remove(const Store *store, const char *id, bool *done, Fault *fault) {
  return locked((Held){.store = store, .id = id}, false, remove_held, done, fault);
}
