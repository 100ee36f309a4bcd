/* run_record.h: what a session records: of the run of a plain script, of a fit that
 * keeps a record of its own, of the trial of a study that runs in it. */
#ifndef LUA_RUN_RECORD_H
#define LUA_RUN_RECORD_H

#include "lab/trial.h"
#include "lua/session.h"
#include "train/history.h"

typedef struct RunRecord {
  /* read-only, but for the functions of this header and of lab.h */
  Trial run;          /* once something was recorded ... */
  bool is_open;       /* ... which is so now */
  Trial fit;          /* the record of a fit that keeps one of its own ... */
  int64_t fit_number; /* ... which is this one; 0: none does */
  Json *config;       /* seed and arguments ... */
  Json *origins;      /* ... and where each value came from, by name */
  Json *results;      /* final metrics of the fits */
  Json *rows;         /* of those that are shares, how many rows they are of */
  Trial *of_study; /* of the trial of a study that runs, borrowed; NULL: none is kept */
  bool begun;      /* the function of that trial was called */
  Sha256 weights;  /* of the nets that its fits ended with */
  char weights_text[SHA256_TEXT];
  RunCounts script_count; /* of nets and fits before the first trial */
  int64_t n_failed;       /* trials of studies that failed */
} RunRecord;

/* New; NULL on lack of memory. `seed`: of the run. */
RunRecord *run_record_new(uint64_t seed);
void run_record_free(RunRecord *record); /* NULL is a no-op */

/* Results of fits start anew. */
void run_record_clear_results(RunRecord *record);

/* The record of this run, made ready at first use; NULL where nothing is to be
 * recorded. Raises nothing: a fault is returned. */
Err run_record_trial(Session *s, Trial **out, Fault *fault) WARN_UNUSED;

/* Closes a record as `end` says, and says where it is; its own fault is printed, and
 * its code returned. */
Err run_record_end(Trial *trial, const Json *values, const Fault *end);

/* What probes measured as "<name>.csv", of at most 1 MB (of more than some 8,000 series
 * one line of each). */
Err run_record_probes(Trial *trial, const char *name, const ProbeLog *log,
                      Fault *fault) WARN_UNUSED;

/* A matrix or curve of fit number `fit` as "table.<name>.csv", of later fits
 * "table-2.<name>.csv" and so on. */
Err run_record_table(Trial *trial, int64_t fit, const HistoryTable *table,
                     Fault *fault) WARN_UNUSED;

/* What records of this session say about it: machine, versions, script. */
void run_record_describe(const Session *s, Json *meta);

/* The listener that records fits; its `self` is the session. */
extern const Events fit_record;

#endif
