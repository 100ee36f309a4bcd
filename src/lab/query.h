/* query.h: questions to the index. Answers are JSON, new, the caller's. */
#ifndef LAB_QUERY_H
#define LAB_QUERY_H

#include "base/json.h"
#include "lab/filter.h"
#include "lab/index.h"

typedef struct Query {
  const char *experiment; /* NULL: all */
  const char *start;      /* of the id; NULL: any */
  Filter filter;
  bool all;           /* those that no longer belong to their experiment, too */
  bool whole;         /* QUERY_TRIALS: also rows and data of the record, as maps */
  const char *sort;   /* key, with "-" before it: largest first; NULL: as planned */
  long limit;         /* 0: none */
  const char *metric; /* QUERY_CELLS: the value that is averaged; NULL: none */
} Query;

/* What is asked for: a list of maps, in which what is not there is left out. */
typedef enum QueryAnswer {
  /* { experiment, kind: "study" or "runs", trials, <state>: count of each state that
   * occurs, others: count of those that no longer belong, last: the time of the last
   * start }, by name. */
  QUERY_ENTRIES,
  /* { experiment, id, path, seed, state, attempts, seconds, started, digest,
   * fingerprint, message, purpose, belongs, factors, args, values }. Trials of a study
   * have the purpose "report", or "tuning" if they only choose parameters. An unknown
   * key in filter or sort is ERR_USAGE with the nearest. */
  QUERY_TRIALS,
  /* { experiment, cell, purpose, factors, args, trials, <state>: count, n, mean, sd }:
   * over the seeds of each cell that fit the filter, those of tuning apart; mean and sd
   * (n - 1) of the metric over the n of them that are complete and have it. A metric
   * that no trial has among its values is ERR_USAGE with the nearest. */
  QUERY_CELLS,
  /* { kind, key } of all fields of an experiment's trials, kinds in the order factors,
   * args, values; factors as declared, the others by name. Filters do not count. */
  QUERY_NAMES,
  /* Sentences, not maps, on those terms of the filter that no trial fits, whatever the
   * others say: of a factor or an argument the levels that there are, and what was
   * perhaps meant; of a value the least and the greatest. */
  QUERY_MISSES
} QueryAnswer;

/* *n_all (NULL: not wanted) is how many trials or cells there are without the limit. */
Err query_ask(Index *index, QueryAnswer what, const Query *query, Json **out,
              int64_t *n_all, Fault *fault) WARN_UNUSED;

/* Does the key mean a fact of the trial, in filters, whatever else has that
 * name? */
bool query_is_fact(const char *key);

#endif
