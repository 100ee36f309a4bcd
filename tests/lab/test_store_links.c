/* What a store holds besides its own: links, names that lead elsewhere, files of
 * others. */
#include "base/file.h"
#include "base/lock.h"
#include "lab/store.h"
#include "tempdir.h"
#include "test.h"
#include <sys/stat.h>
#include <unistd.h>

static Store open_store(const char *name) {
  Store store;
  Fault fault = {0};
  assert_int_equal(store_open(&store, temp_path("runs"), name, true, &fault), ERR_OK);
  return store;
}

static Json *config(void) {
  Json *map = json_map();
  json_put(map, "factors", json_map());
  json_put(map, "args", json_map());
  return map;
}

static Trial claim(const Store *store, const char *id) {
  Fault fault = {0};
  Trial out;
  bool claimed;
  Json *c = config();
  Err err = store_claim(store, id, c, 1, &out, &claimed, &fault);
  if (err) fail_msg("%s", fault.text);
  assert_true(claimed);
  assert_int_equal(trial_open(&out, &fault), ERR_OK);
  json_free(c);
  return out;
}

static void add_row(Trial *c) {
  static const char *const columns[] = {"epoch", "loss"};
  Fault fault = {0};
  assert_int_equal(trial_row(c, 1, columns, (double[]){1, 0.5}, 2, &fault), ERR_OK);
}

static const char *path_in(const Store *store, const char *id, const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/trials/%s/%s", store->directory, id, name);
  return path;
}

static bool has(const Store *store, const char *id, const char *name) {
  return file_exists(path_in(store, id, name));
}

static void put_file(const Store *store, const char *id, const char *name,
                     const char *text) {
  Fault fault = {0};
  const char *path = path_in(store, id, name);
  assert_int_equal(file_put(path, text, strlen(text), PUBLISH_REPLACE, &fault), ERR_OK);
}

static void check_state(const Store *store, const char *id, TrialState state) {
  Fault fault = {0};
  TrialInfo info;
  assert_int_equal(store_look(store, id, &info, &fault), ERR_OK);
  assert_string_equal(trial_state_name(info.state), trial_state_name(state));
  trial_info_deinit(&info);
}

/* A trial's directory, or what it is in, that is a link: read, never changed. */
TEST(nothing_is_changed_behind_a_link) {
  static const char *const linked[] = {"", "/trials", "/trials/x-s1"};
  for (int i = 0; i < 3; i++) {
    Fault fault = {0};
    char name[32], from[600], to[600];
    bool done, claimed;
    Trial c;
    Json *conf = config();
    snprintf(name, sizeof name, "linked%d", i);
    Store store = open_store(name);
    c = claim(&store, "x-s1");
    add_row(&c);
    store_release(&c, NULL);
    snprintf(from, sizeof from, "%s%s", store.directory, linked[i]);
    snprintf(to, sizeof to, "%s-behind%d", temp_path("runs"), i);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(symlink(to, from), 0);
    check_state(&store, "x-s1", TRIAL_INTERRUPTED);
    assert_int_equal(store_try(&store, "x-s1", &done, &fault), ERR_STORAGE);
    assert_non_null(strstr(fault.text, "is a link to "));
    Fault others[4] = {{0}};
    assert_int_equal(store_reset(&store, "x-s1", &done, &others[0]), ERR_STORAGE);
    assert_int_equal(store_remove(&store, "x-s1", &done, &others[1]), ERR_STORAGE);
    assert_int_equal(store_claim(&store, "x-s1", conf, 1, &c, &claimed, &others[2]),
                     ERR_STORAGE);
    assert_false(claimed);
    Store again;
    Err err = store_open(&again, temp_path("runs"), name, true, &others[3]);
    assert_int_equal(err, i < 2 ? ERR_STORAGE : ERR_OK);
    store_close(&again);
    check_state(&store, "x-s1", TRIAL_INTERRUPTED);
    assert_true(has(&store, "x-s1", "metrics.csv"));
    json_free(conf);
    store_close(&store);
  }
}

TEST(names_that_lead_elsewhere_are_none) {
  static const char *const names[] = {"../x-s1", "", ".", "..", "a/../../x"};
  Store store = open_store("elsewhere");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    Fault fault = {0};
    bool done;
    assert_int_equal(store_remove(&store, names[i], &done, &fault), ERR_STORAGE);
    assert_non_null(strstr(fault.text, "is no name of a trial"));
  }
  store_close(&store);
}

/* Exact names: what only begins like a record belongs to another program. */
TEST(what_is_not_ours_stays_when_a_trial_is_taken_back) {
  static const char *const mine[] = {"metrics-of-mine.txt", "metrics-1x.csv",
                                     "metricsx",
                                     "checkpoint-mine.txt", "probesfile"};
  Store store = open_store("mine");
  Fault fault = {0};
  bool done;
  Trial c = claim(&store, "x-s1");
  add_row(&c);
  bool first;
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  assert_int_equal(store_publish(&c, &end, &first, &fault), ERR_OK);
  for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
    put_file(&store, "x-s1", mine[i], "mine");
  put_file(&store, "x-s1", "checkpoint-fit1.safetensors", "x");
  put_file(&store, "x-s1", "metrics-2.csv", "x");
  assert_int_equal(store_reset(&store, "x-s1", &done, &fault), ERR_OK);
  for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
    assert_true(has(&store, "x-s1", mine[i]));
  assert_false(has(&store, "x-s1", "metrics.csv"));
  assert_false(has(&store, "x-s1", "metrics-2.csv"));
  assert_false(has(&store, "x-s1", "checkpoint-fit1.safetensors"));
  store_close(&store);
}

/* An attempt goes on with the checkpoints of the one before: not with one elsewhere. */
TEST(a_checkpoint_that_is_a_link_is_not_written) {
  Store store = open_store("checkpoint");
  Fault fault = {0};
  char path[1024];
  bool claimed;
  Json *conf = config();
  Trial c = claim(&store, "x-s1");
  store_release(&c, NULL);
  const char *target = temp_file("elsewhere", "abc", 3);
  snprintf(path, sizeof path, "%s",
           path_in(&store, "x-s1", "checkpoint-fit1-1.safetensors"));
  assert_int_equal(symlink(target, path), 0);
  assert_int_equal(store_claim(&store, "x-s1", conf, 1, &c, &claimed, &fault),
                   ERR_STORAGE);
  assert_non_null(strstr(fault.text, "checkpoint-fit1-1.safetensors: is a link to "));
  assert_int_equal(unlink(path), 0);
  c = claim(&store, "x-s1"); /* the lock was ended */
  store_release(&c, NULL);
  json_free(conf);
  store_close(&store);
}

/* A lock that is no file is neither waited for nor held, and a link none is made
 * behind. */
TEST(a_lock_is_a_file) {
  Fault fault = {0}, again = {0};
  int lock;
  char path[512], target[512];
  snprintf(path, sizeof path, "%s", temp_path("lock-pipe"));
  snprintf(target, sizeof target, "%s", temp_path("lock-behind"));
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(lock_take_file(path, &lock, &fault), ERR_STORAGE);
  assert_non_null(strstr(fault.text, "is not a file"));
  assert_false(lock_file_held(path));
  assert_int_equal(unlink(path), 0);
  assert_int_equal(symlink(target, path), 0);
  assert_int_equal(lock_take_file(path, &lock, &again), ERR_STORAGE);
  assert_false(file_exists(target));
}
