/* store.h: the trials of an experiment on disk: states, claims, publication.
 *
 * The directory is the database:
 *   runs/<experiment>/experiment.json              the plan (store_plan)
 *   runs/<experiment>/code/<hash>-<name>           sources that trials ran (store_keep)
 *   runs/<experiment>/.unsynced-*                  while a run is on (crash.h)
 *   runs/<experiment>/trials/<hash>-s<seed>/       one trial; its id is that last part
 *     lock               held (by the kernel, until the process ends) while a trial
 *                        runs; gone once it is published
 *     config.json        the config and the seed, keys sorted; never changes
 *     meta.json          what the caller says of machine and code, and all attempts
 *     metrics.csv, probes.*, stdout.log, stderr.log, checkpoint-*.safetensors
 *     result.json        last, put in place exactly once
 *     result-<n>.json, stdout-<n>.log, stderr-<n>.log
 *                        of attempt n, when another followed
 *
 * The state is read off the directory and stored nowhere else:
 *   result.json there        its state: complete, diverged, failed, cancelled
 *   else lock held           running
 *   else result.json damaged stale: a crash of the machine left it empty or cut
 *   else by the last attempt in meta.json:
 *     without an end         stale: its process died
 *     "interrupted"          interrupted
 *     any other end          stale: it was killed before its result was in place
 *     taken back (store_reset), or no attempt at all
 *                            pending
 * So any number of coordinators and workers may use one directory, and killing any of
 * them at any moment loses nothing that was published. Readers take no lock.
 *
 * Nothing is changed behind a link, be it the experiment, trials/, code/ or a trial:
 * what is there is read, and to write or remove it is a fault. What is read must be a
 * file: pipes, sockets and devices are not opened.
 *
 * Faults are ERR_STORAGE (a file cannot be written or read; it is named) or ERR_MEMORY.
 * After one, the trial is not published, nothing that was there is damaged, and the
 * same calls go through once there is room. */
#ifndef LAB_STORE_H
#define LAB_STORE_H

#include "lab/trial.h"

/* Seeds above it belong to trials that only choose parameters; those of trials that are
 * reported, times and 32 random bits among them, are not above it. */
#define SEED_MAX INT64_C(1000000000000)

/* That one experiment may have: cells times seeds, or trials of tuning. */
enum { TRIALS_MAX = 1000000 };

/* One experiment. Used by one thread; nothing is kept open between calls. */
typedef struct Store {
  /* read-only */
  char *name;      /* of the experiment */
  char *directory; /* runs/<name> */
  /* private */
  char *trials; /* runs/<name>/trials */
} Store;

/* `create`: makes the directories; else one that is not there is an ERR_STORAGE fault
 * that names the nearest experiment. ERR_VALUE for a name that cannot be a
 * directory's. */
Err store_open(Store *out, const char *runs, const char *experiment, bool create,
               Fault *fault) WARN_UNUSED;
void store_close(Store *store);

/* Hash of a config, a map { factors: {name: level name}, args: {...} }: the first 16
 * hex digits of the SHA-256 of its canonical text: one line, keys sorted at every
 * depth, the shortest decimals that read back as the same doubles, -0 as 0. 3 and 3.0
 * differ. */
Err store_config_hash(const Json *config, char out[17], Fault *fault) WARN_UNUSED;
/* "<hash>-s<seed>" */
void store_trial_id(const char *hash, int64_t seed, char out[TRIAL_ID]);
/* The seed in an id; 0: there is none. */
int64_t store_trial_seed(const char *id);

/* Puts experiment.json in place, if it differs from what is there. `experiment` is
 *   { name, script, script_path (script.h), args: {name: value},
 *     factors: [{name, levels: [name]}], baseline: {factor: level}, metric,
 *     metric_goal, report, goal, range: [low, high] of what is reported, if it is
 *     known, seeds: [n], rope, contrasts,
 *     cells: [{factor: level}], fingerprints: [of the code of each cell],
 *     skipped: [{cell, why}], others: [id], kept_code (study.c),
 *     looks (study_looks.c) }
 * Trials that belong to the experiment are those of cells x seeds, with the config
 * { factors: cell, args: args }, and those listed in `others` (of tuning, say). */
Err store_plan(const Store *store, const Json *experiment, Fault *fault) WARN_UNUSED;

/* Keeps a source text in code/, once for equal bytes. `hash` becomes its SHA-256. */
Err store_keep(const Store *store, const char *name, const void *bytes, size_t n_bytes,
               char hash[HASH_TEXT], Fault *fault) WARN_UNUSED;

/* -- looking ----------------------------------------------------------------------- */

/* State and result of a trial. PENDING and all empty when its directory is not there.
 */
Err store_look(const Store *store, const char *id, TrialInfo *out,
               Fault *fault) WARN_UNUSED;

/* -- running a trial --------------------------------------------------------------- */

/* A claim is the record of the trial that runs under it, a Trial: claim->directory is
 * where checkpoints and probes go, claim->attempt the number of this attempt. Into
 * claim->meta the caller puts what it knows before trial_open: fingerprint, sources
 * (argument -> where its value came from), script, modules, threads, kernel set ...
 *
 * Claims the trial: makes its directory with config.json, removes what a dead process
 * left half written, sets aside the logs and a damaged result of an earlier attempt;
 * where there is no note of that attempt, or it was taken back, its metrics and
 * checkpoints are removed. *claimed is false, without a fault, if a live process holds
 * it, it is published or just being removed. A claim is ended by store_publish or
 * store_release. A directory whose config is another one is a fault.
 *
 * Metrics of an earlier attempt stay: the first row of a fit in this attempt cuts its
 * file before the row with the same or a later first column, so a fit that resumes at
 * epoch k passes rows from k on (or all again), and one that starts over passes rows
 * from 1 on. */
Err store_claim(const Store *store, const char *id, const Json *config, int64_t seed,
                Trial *out, bool *claimed, Fault *fault) WARN_UNUSED;

/* Writes what is left, makes the digest, puts result.json in place and ends the claim.
 * end->state is COMPLETE, DIVERGED, FAILED or CANCELLED. *first is false if another
 * process was earlier; if that digest differs, a warning is printed and the result is
 * kept beside it as result-differs-<digest>.json. On a fault the claim is still held:
 * publish again when there is room, or release. */
Err store_publish(Trial *claim, const TrialEnd *end, bool *first,
                  Fault *fault) WARN_UNUSED;

/* Ends the claim without a result; the state then reads interrupted. `why` (may be
 * NULL) goes into the attempt. After store_publish a no-op. Never fails: if even this
 * cannot be written the state reads stale. */
void store_release(Trial *claim, const char *why);

/* Takes a trial back: its result becomes result-<n>.json; metrics, probes and
 * checkpoints are removed; it reads pending, its attempts stay. *done is false if it is
 * running. */
Err store_reset(const Store *store, const char *id, bool *done,
                Fault *fault) WARN_UNUSED;
/* The same, unless its last attempt was made by the code of this fingerprint. */
Err store_reset_foreign(const Store *store, const char *id, const char *fingerprint,
                        bool *done, Fault *fault) WARN_UNUSED;

/* What keeps the two from being done, without doing anything: a fault, or *done is
 * false. */
Err store_try(const Store *store, const char *id, bool *done, Fault *fault) WARN_UNUSED;

/* Removes the trial's directory. *done is false if it is running. */
Err store_remove(const Store *store, const char *id, bool *done,
                 Fault *fault) WARN_UNUSED;

#endif
