/* trial.c: the record of a run; see trial.h.
 *
 * Order on disk: directory, lock, config.json, meta.json, the logs when it is opened;
 * rows of metrics as they come; at the end meta.json again, the logs' end, result.json.
 * Where there is a result.json all the rest is complete: at the end everything is
 * synced before it (or with it, where crash.h says so). Until then nothing is, since
 * without a result the trial is run again. */
#include "lab/trial.h"
#include "base/file.h"
#include "base/out.h"
#include "base/par.h"
#include "base/path.h"
#include "base/sys.h"
#include "lab/crash.h"
#include "lab/digest.h"
#include "base/lock.h"
#include "lab/names.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RESULT_LIMIT = 1 << 24 };

static const struct StateRecord {
  const char *name, *doc;
  bool published; /* a result of a study's trial has it */
} states[TRIAL_STATES] =
    {[TRIAL_PENDING] = {"pending", "not begun, or taken back to begin anew", false},
     [TRIAL_RUNNING] = {"running", "a process is at it", false},
     [TRIAL_COMPLETE] = {"complete", "it came to its end, with a result", true},
    [TRIAL_DIVERGED] = {"diverged", "it ended at a number that is not finite; that is "
                                    "its result",
                        true},
    [TRIAL_FAILED] = {"failed", "an error ended it; runner retry lets it run again",
                      true},
    [TRIAL_INTERRUPTED] = {"interrupted", "it was stopped; the experiment, run again, "
                                          "goes on with it", false},
    [TRIAL_STALE] = {"stale", "its process died or its record cannot be read; run "
                              "again likewise",
                     false},
     [TRIAL_CANCELLED] = {"cancelled", "it was given up before its end", true}};

const char *trial_state_name(TrialState state) { return states[state].name; }
const char *trial_state_doc(TrialState state) { return states[state].doc; }
bool trial_state_is_published(TrialState state) { return states[state].published; }

bool trial_state_parse(const char *name, TrialState *out) {
  int i = 0;
  while (i < TRIAL_STATES && strcmp(name, states[i].name) != 0) i++;
  if (i < TRIAL_STATES) *out = (TrialState)i;
  return i < TRIAL_STATES;
}

/* -- what is known ----------------------------------------------------------------- */

void trial_info_deinit(TrialInfo *info) {
  Json *const maps[] = {info->factors, info->args, info->values, info->rows,
                        info->data};
  for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) json_free(maps[i]);
  free(info->message);
  *info = (TrialInfo){0};
}

void trial_info_of_row(const Json *row, TrialInfo *out) {
  const char *message = json_text_or(row, "message", NULL);
  *out = (TrialInfo){.seed = json_int(row, "seed"),
                     .damaged = json_bool(row, "damaged"),
                     .belongs = json_bool(row, "belongs"),
                     .attempts = (int)json_int(row, "attempts"),
                     .message = message ? text_copy(message) : NULL,
                     .values = json_share(json_find(row, "values")),
                     .rows = json_share(json_find(row, "rows")),
                     .data = json_share(json_find(row, "data"))};
  json_find_number(row, "seconds", &out->seconds);
  trial_state_parse(json_text(row, "state"), &out->state);
  snprintf(out->id, sizeof out->id, "%s", json_text(row, "id"));
  snprintf(out->started, sizeof out->started, "%s", json_text(row, "started"));
  snprintf(out->fingerprint, sizeof out->fingerprint, "%s",
           json_text(row, "fingerprint"));
  snprintf(out->digest, sizeof out->digest, "%s", json_text(row, "digest"));
}

/* -- life -------------------------------------------------------------------------- */

static void start_clock(Trial *trial) {
  trial->start_s = clock_s();
  clock_utc(trial->start_utc);
}

Err trial_init(Trial *out, const char *runs, const char *script, Json *config,
               Json *meta, Fault *fault) {
  *out = (Trial){.config = config,
                 .meta = meta ? meta : json_map(),
                 .runs = text_copy(runs),
                 .name = name_of_script(script),
                 .attempt = 1,
                 .lock = LOCK_NONE};
  start_clock(out);
  if (out->config && out->meta && out->runs && out->name) return ERR_OK;
  trial_deinit(out);
  return fault_memory(fault, sizeof *out);
}

Err trial_init_at(Trial *out, const char *directory, int lock, Json *config,
                  Json *attempts, Fault *fault) {
  *out = (Trial){.config = config,
                 .meta = json_map(),
                 .directory = text_copy(directory),
                 .attempt = 1 + (attempts ? (int)json_count(attempts) : 0),
                 .of_study = true,
                 .lock = lock};
  json_put(out->meta, "attempts", attempts ? attempts : json_list());
  start_clock(out);
  if (out->config && out->meta && out->directory) return ERR_OK;
  trial_deinit(out);
  return fault_memory(fault, sizeof *out);
}

void trial_deinit(Trial *trial) {
  metrics_deinit(&trial->metrics);
  lock_drop(trial->lock, trial->directory, false);
  json_free(trial->config);
  json_free(trial->meta);
  free(trial->runs);
  free(trial->name);
  free(trial->directory);
  *trial = (Trial){.lock = LOCK_NONE};
}

/* What a storage fault comes to: itself, or under go_on a warning and the end of
 * recording. Faults of the caller stay faults. */
static Err tolerate(Trial *trial, Err err, Fault *fault) {
  if (!err || !trial->go_on || err != ERR_STORAGE) return err;
  trial->failed = true;
  err_print("warning: the run is not recorded from here on: %s\n",
            fault ? fault->text : "");
  if (fault) fault_clear(fault);
  return ERR_OK;
}

/* -- files ------------------------------------------------------------------------- */

static Path file_of(const Trial *trial, const char *name) {
  return path_of("%s/%s", trial->directory, name);
}

static Err put_json(const Trial *trial, const char *name, const Json *json, Publish how,
                    Fault *fault) {
  return json_put_file(json, file_of(trial, name).s, how, fault);
}

static bool has_file(const Trial *trial, const char *name) {
  return file_exists(file_of(trial, name).s);
}

/* -- meta.json --------------------------------------------------------------------- */

/* What does not change while the process runs, read once: it is a dozen files. */
typedef struct Machine {
  char processor[256]; /* brand string, as the system gives it */
  int cores;           /* 0: not read yet */
} Machine;

static void read_processor(char *out, size_t n_bytes) {
  snprintf(out, n_bytes, "unknown");
  FILE *file = fopen("/proc/cpuinfo", "re");
  char line[512];
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    line[strcspn(line, "\n")] = 0;
    snprintf(out, n_bytes, "%s", colon + 1 + strspn(colon + 1, " \t"));
    break;
  }
  if (file) fclose(file);
}

static const Machine *this_machine(void) {
  static Machine machine; /* of the main thread, as all of this */
  if (machine.cores) return &machine;
  read_processor(machine.processor, sizeof machine.processor);
  machine.cores = par_cores();
  return &machine;
}

/* The caller's facts come first. */
static void note_begin(Trial *trial) {
  char host[256] = "";
  const Machine *machine = this_machine();
  Json *meta = trial->meta;
  Json *attempt = json_mapf("attempt %d started %s", trial->attempt, trial->start_utc);
  json_putf(meta, "processor %s cores %d simd %s", machine->processor, machine->cores,
            simd_name(simd_level()));
  if (gethostname(host, sizeof host - 1) == 0) {
    json_put_text(meta, "host", host);
    json_put_text(attempt, "host", host);
  }
  json_putf(meta, "pid %d started %s", getpid(), trial->start_utc);
  json_put_int(attempt, "pid", getpid());
  if (!json_find(meta, "attempts")) json_put(meta, "attempts", json_list());
  json_push(json_find(meta, "attempts"), attempt);
  trial->attempt_note = attempt;
}

static void note_end(Trial *trial, TrialState state, const char *message) {
  char now[32];
  struct rusage usage;
  double seconds = clock_s() - trial->start_s;
  json_putf(trial->meta, "ended %s wall_s %g", clock_utc(now), seconds);
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    json_put_int(trial->meta, "peak_bytes", (int64_t)usage.ru_maxrss * 1024);
  json_putf(trial->attempt_note, "ended %s wall_s %g state %s", now, seconds,
            trial_state_name(state));
  if (message) json_put_text(trial->attempt_note, "message", message);
}

/* -- opening ----------------------------------------------------------------------- */

/* mkdir decides who has a name, so two processes never share one. */
static Err make_directory(Trial *trial, Fault *fault) {
  char stamp[32], again[16] = "";
  size_t n = 0;
  for (const char *s = trial->start_utc; *s; s++) /* 2025-03-01T.. -> 20250301T.. */
    if (*s != '-' && *s != ':') stamp[n++] = *s;
  stamp[n] = 0;
  Path above = path_of("%s/%s", trial->runs, trial->name), path = above;
  Err err = file_check_unlinked(above.s, fault); /* as in a store (store.h) */
  if (!err) err = file_make_dirs(above.s, fault);
  for (int i = 2; !err; i++) {
    path = path_of("%s/%s%s", above.s, stamp, again);
    if (mkdir(path.s, 0777) == 0) break;
    if (errno != EEXIST || i > 10000)
      err = fault_set(fault, ERR_STORAGE, "%s: cannot be made: %s", path.s,
                      strerror(errno));
    snprintf(again, sizeof again, "-%d", i);
  }
  if (!err && !(trial->directory = text_copy(path.s))) err = fault_memory(fault, 0);
  return err ? err : lock_take(path.s, &trial->lock, fault);
}

/* What an earlier attempt said stays beside, as "stdout-1.log". */
static Err keep_earlier_log(const Trial *trial, const char *name, Fault *fault) {
  if (trial->attempt == 1 || !has_file(trial, name)) return ERR_OK;
  Path to = path_of("%s/%.*s-%d.log", trial->directory, (int)strcspn(name, "."), name,
                    trial->attempt - 1);
  return file_move(file_of(trial, name).s, to.s, fault);
}

/* Whatever reaches descriptors 1 and 2 while a trial of a study runs is the trial's; of
 * a script only what it prints is. */
static Err open_logs(Trial *trial, Fault *fault) {
  if (trial->logless) return ERR_OK;
  Err err = keep_earlier_log(trial, TRIAL_STDOUT, fault);
  if (!err) err = keep_earlier_log(trial, TRIAL_STDERR, fault);
  if (err) return err;
  Path out = file_of(trial, TRIAL_STDOUT);
  return trial->of_study ? out_divert(out.s, file_of(trial, TRIAL_STDERR).s, fault)
                         : out_tee_begin(out.s, &trial->log, fault);
}

/* Nothing where none was opened. */
static Err close_logs(Trial *trial, Fault *fault) {
  if (trial->of_study && !trial->logless) return out_divert_end(fault);
  return out_tee_end(&trial->log, fault);
}

static Err open_record(Trial *trial, Fault *fault) {
  Err err = trial->directory ? ERR_OK : make_directory(trial, fault);
  if (!err && !has_file(trial, "config.json"))
    err = put_json(trial, "config.json", trial->config, PUBLISH_DRAFT, fault);
  if (!err && !trial->attempt_note) note_begin(trial);
  if (!err) err = put_json(trial, "meta.json", trial->meta, PUBLISH_DRAFT, fault);
  if (!err) err = open_logs(trial, fault);
  trial->opened = !err;
  return err;
}

Err trial_open(Trial *trial, Fault *fault) {
  if (trial->opened || trial->failed) return ERR_OK;
  return tolerate(trial, open_record(trial, fault), fault);
}

/* -- metrics ----------------------------------------------------------------------- */

Err trial_row(Trial *trial, int fit, const char *const *columns, const double *values,
              int n, Fault *fault) {
  must(fit >= 1 && n >= 1 && !trial->finished);
  Err err = trial_open(trial, fault);
  if (err || trial->failed) return err;
  err = metrics_row(&trial->metrics, trial->directory, fit, columns, values, n, fault);
  return tolerate(trial, err, fault);
}

/* Files of a short trial are synced by others. */
static bool syncs(const Trial *trial) {
  return !trial->brief || clock_s() - trial->start_s >= CRASH_SYNC_S;
}

static Err put_table(const Trial *trial, const char *name, const Text *csv,
                     Fault *fault) {
  Path path = path_of("%s/%s.csv", trial->directory, name);
  return file_put(path.s, csv->data, csv->n_bytes,
                  syncs(trial) ? PUBLISH_REPLACE : PUBLISH_DRAFT, fault);
}

Err trial_table(Trial *trial, const char *name, const Text *csv, Fault *fault) {
  must(!trial->finished);
  if (csv->failed) return fault_memory(fault, csv->n_bytes);
  Err err = trial_open(trial, fault);
  if (err || trial->failed) return err;
  return tolerate(trial, put_table(trial, name, csv, fault), fault);
}

/* -- the end ----------------------------------------------------------------------- */

/* How a run that ended with this error ended. */
static TrialState state_of(Err err) {
  switch (err) {
  case ERR_OK: return TRIAL_COMPLETE;
  case ERR_NONFINITE: return TRIAL_DIVERGED;
  case ERR_INTERRUPT: return TRIAL_INTERRUPTED;
  default: return TRIAL_FAILED;
  }
}

TrialEnd trial_end_of(const Fault *fault, const Json *values) {
  const FaultPlace *place = &fault->place;
  return (TrialEnd){.state = state_of(fault->code), .values = values,
                    .message = fault->code ? fault->text : NULL,
                    .step = place->step > 0 ? place->step : -1,
                    .layer = *place->layer ? place->layer : NULL};
}

static Err result_json(const Trial *trial, const TrialEnd *end, Json **out,
                       Fault *fault) {
  char digest[SHA256_TEXT];
  Json *result = json_map();
  json_put_text(result, "state", trial_state_name(end->state));
  if (end->message) json_put_text(result, "message", end->message);
  if (end->step >= 0) json_put_int(result, "step", end->step);
  if (end->layer) json_put_text(result, "layer", end->layer);
  json_put_shared(result, "values", end->values);
  if (end->weights) json_put_text(result, "weights", end->weights);
  Err err = digest_trial(trial->directory, result, end->weights, digest, fault);
  json_put_text(result, "digest", digest);
  json_put_shared(result, "fingerprint", json_find(trial->meta, "fingerprint"));
  *out = result;
  return err;
}

/* What was written so far, and the directory's own entry. */
static Err sync_all(Trial *trial, Fault *fault) {
  Err err = metrics_sync(&trial->metrics, fault);
  if (!err) err = file_sync(file_of(trial, "config.json").s, fault);
  if (!err && !trial->logless) err = file_sync(file_of(trial, TRIAL_STDOUT).s, fault);
  if (!err && !trial->logless && trial->of_study)
    err = file_sync(file_of(trial, TRIAL_STDERR).s, fault);
  return err ? err : file_sync(file_of(trial, "..").s, fault);
}

/* Everything but the result; with `sync` on disk to stay, the entries of its files too.
 */
static Err settle(Trial *trial, const TrialEnd *end, bool sync, Fault *fault) {
  Err err = close_logs(trial, fault);
  if (!err) err = sync ? sync_all(trial, fault) : metrics_check(&trial->metrics, fault);
  note_end(trial, end->state, end->message);
  json_put_shared(trial->meta, "rows", end->rows);
  if (err) return err;
  return put_json(trial, "meta.json", trial->meta,
                  sync ? PUBLISH_REPLACE : PUBLISH_DRAFT, fault);
}

/* Is it that of the result which is there? */
static bool has_digest(const Trial *trial, const char *digest) {
  Fault ignored = {0};
  Text text = {0};
  Json *there = NULL;
  if (file_read(file_of(trial, "result.json").s, RESULT_LIMIT, &text, &ignored) ==
      ERR_OK)
    there = json_parse(text.data ? text.data : "", text.n_bytes, &ignored);
  bool same = *digest && strcmp(json_text(there, "digest"), digest) == 0;
  json_free(there);
  text_deinit(&text);
  return same;
}

/* Two runs of one trial that differ: what must never be is kept for a person to see. */
static Err keep_other_result(const Trial *trial, const Json *result, Fault *fault) {
  char name[64];
  snprintf(name, sizeof name, "result-differs-%.16s.json", json_text(result, "digest"));
  err_print("warning: %s: two runs of this trial gave different results; the first "
            "is kept, the other is in %s\n",
            trial->directory, name);
  return put_json(trial, name, result, PUBLISH_REPLACE, fault);
}

Err trial_publish(Trial *trial, const TrialEnd *end, bool *first, Fault *fault) {
  *first = false;
  if (trial->finished) return ERR_OK;
  Json *result = NULL;
  bool sync = syncs(trial);
  Err err = trial_open(trial, fault);
  if (!err) err = settle(trial, end, sync, fault);
  if (!err) err = result_json(trial, end, &result, fault);
  if (!err)
    err = put_json(trial, "result.json", result,
                   sync ? PUBLISH_ONCE : PUBLISH_ONCE_DRAFT, fault);
  if (!err) *first = true;
  else if (err == ERR_STORAGE && result && has_file(trial, "result.json")) {
    fault_clear(fault);
    err = has_digest(trial, json_text(result, "digest"))
              ? ERR_OK
              : keep_other_result(trial, result, fault);
  }
  json_free(result);
  if (err) return err;
  trial->finished = true;
  lock_drop(trial->lock, trial->directory, true);
  trial->lock = LOCK_NONE;
  return ERR_OK;
}

Err trial_finish(Trial *trial, const TrialEnd *end, Fault *fault) {
  if (trial->finished || !trial->directory) return ERR_OK;
  if (trial->failed) { /* what is there stays, without a result */
    trial->finished = true;
    (void)!close_logs(trial, NULL);
    return ERR_OK;
  }
  bool first;
  Err err = trial_publish(trial, end, &first, fault);
  if (!err && !first)
    err = fault_set(fault, ERR_STORAGE, "%s/result.json: is already there",
                    trial->directory);
  trial->finished = true;
  return tolerate(trial, err, fault);
}

void trial_release(Trial *trial, const char *why) {
  if (trial->finished) return;
  Fault fault = {0};
  trial->finished = true;
  Err err = close_logs(trial, &fault);
  if (trial->opened) {
    fault_clear(&fault);
    note_end(trial, TRIAL_INTERRUPTED, why);
    err = put_json(trial, "meta.json", trial->meta, PUBLISH_REPLACE, &fault);
  }
  (void)err; /* it then reads stale, which is treated alike */
  lock_drop(trial->lock, trial->directory, false);
  trial->lock = LOCK_NONE;
}
