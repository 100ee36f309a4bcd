/* index_study.h: a study made by hand, and questions to the index about it, for the
 * tests of the index. */
#ifndef TESTS_INDEX_STUDY_H
#define TESTS_INDEX_STUDY_H

#include "lab/query.h"
#include "lab/store.h"
#include "tempdir.h"
#include "test.h"

/* The first three are planned. */
static const char *const activations[] = {"relu", "tanh", "10", "0", "inf", "0x1"};
enum { N_ACTIVATIONS = 3, N_LEVELS = 6, N_SEEDS = 2 };

static inline Json *args(void) {
  Json *map = json_map();
  json_put_number(map, "lr", 0.1);
  json_put_int(map, "depth", 3);
  return map;
}

static inline Json *cell(int i) {
  Json *map = json_map();
  json_put_text(map, "activation", activations[i]);
  return map;
}

static inline Json *config(int i) {
  Json *map = json_map();
  json_put(map, "factors", cell(i));
  json_put(map, "args", args());
  return map;
}

static inline void id_of(int i, int64_t seed, char out[TRIAL_ID]) {
  Fault fault = {0};
  char hash[17];
  Json *c = config(i);
  assert_int_equal(store_config_hash(c, hash, &fault), ERR_OK);
  store_trial_id(hash, seed, out);
  json_free(c);
}

static inline void name_plan(Json *map) {
  json_put_text(map, "name", "exp");
  json_put_text(map, "metric", "accuracy");
  json_put_text(map, "report", "accuracy");
  json_put_text(map, "goal", "max");
}

/* The first `n` activations with all seeds. */
static inline void plan(const Store *store, int n) {
  Fault fault = {0};
  Json *map = json_map(), *cells = json_list(), *seeds = json_list();
  for (int i = 0; i < n; i++) json_push(cells, cell(i));
  for (int s = 1; s <= N_SEEDS; s++) json_push_int(seeds, s);
  json_put(map, "args", args());
  json_put(map, "cells", cells);
  json_put(map, "factors", json_list());
  json_put(map, "seeds", seeds);
  name_plan(map);
  assert_int_equal(store_plan(store, map, &fault), ERR_OK);
  json_free(map);
}

static inline void run_trial(const Store *store, int i, int64_t seed, TrialState state,
                             double accuracy) {
  Fault fault = {0};
  char id[TRIAL_ID];
  Trial c;
  bool claimed, first;
  Json *conf = config(i), *values = json_map();
  id_of(i, seed, id);
  assert_int_equal(store_claim(store, id, conf, seed, &c, &claimed, &fault), ERR_OK);
  assert_true(claimed);
  json_put_number(values, "accuracy", accuracy);
  json_put_number(values, "lr", 0.01);
  TrialEnd end = {.state = state, .step = -1, .values = values};
  assert_int_equal(store_publish(&c, &end, &first, &fault), ERR_OK);
  json_free(conf);
  json_free(values);
}

static inline Store open_store(const char *runs, const char *name) {
  Store store;
  Fault fault = {0};
  assert_int_equal(store_open(&store, temp_path(runs), name, true, &fault), ERR_OK);
  return store;
}

/* relu: 0.5, 0.75; tanh: seed 1 failed, seed 2 to be run; "10": diverged, 0.25. */
static inline Store make_study(const char *runs) {
  Store store = open_store(runs, "exp");
  plan(&store, N_ACTIVATIONS);
  run_trial(&store, 0, 1, TRIAL_COMPLETE, 0.5);
  run_trial(&store, 0, 2, TRIAL_COMPLETE, 0.75);
  run_trial(&store, 1, 1, TRIAL_FAILED, NAN);
  run_trial(&store, 2, 1, TRIAL_DIVERGED, INFINITY);
  run_trial(&store, 2, 2, TRIAL_COMPLETE, 0.25);
  return store;
}

static inline Index *open_index(const char *runs) {
  Fault fault = {0};
  Index *index;
  Err err = index_open(&index, temp_path(runs), &fault);
  if (!err) err = index_refresh(index, NULL, &fault);
  if (err) fail_msg("%s", fault.text);
  return index;
}

/* Number of trials that fit blank-separated filters; -1 and the text on a fault. */
static inline int64_t count(Index *index, const char *words, Fault *fault) {
  static char copy[256];
  Query query = {.experiment = "exp"};
  Json *rows = NULL;
  int64_t n = -1;
  Err err = ERR_OK;
  snprintf(copy, sizeof copy, "%s", words);
  for (char *word = strtok(copy, " "); !err && word; word = strtok(NULL, " "))
    err = filter_add(&query.filter, word, fault);
  if (!err) err = query_ask(index, QUERY_TRIALS, &query, &rows, &n, fault);
  if (!err) assert_int_equal(json_count(rows), n);
  json_free(rows);
  filter_deinit(&query.filter);
  return err ? -1 : n;
}

static inline void check_count(Index *index, const char *words, int64_t want) {
  Fault fault = {0};
  int64_t n = count(index, words, &fault);
  if (n != want)
    fail_msg("%s: %lld, want %lld %s", words, (long long)n, (long long)want,
             fault.text);
}

/* The cells of the trials that fit the filter, "": of all. */
static inline Json *cells_of(Index *index, const char *word, bool all,
                             const char *metric, const char *sort) {
  Fault fault = {0};
  Query query = {.experiment = "exp", .all = all, .metric = metric, .sort = sort};
  Json *rows = NULL;
  int64_t n = 0;
  if (*word) assert_int_equal(filter_add(&query.filter, word, &fault), ERR_OK);
  if (query_ask(index, QUERY_CELLS, &query, &rows, &n, &fault))
    fail_msg("%s", fault.text);
  assert_int_equal(json_count(rows), n);
  filter_deinit(&query.filter);
  return rows;
}

static inline void check_cell(const Json *rows, int at, const char *level,
                              int64_t want_n, double want_mean, double want_sd) {
  const Json *row = json_item(rows, at);
  const char *text = "";
  int64_t n = -1;
  double mean = -1, sd = -1;
  json_find_text(json_find(row, "factors"), "activation", &text);
  json_find_int(row, "n", &n);
  json_find_number(row, "mean", &mean);
  json_find_number(row, "sd", &sd);
  assert_string_equal(text, level);
  assert_int_equal(n, want_n);
  CHECK_NEAR(mean, want_mean, 1e-12);
  CHECK_NEAR(sd, want_sd, 1e-12);
}

#endif
