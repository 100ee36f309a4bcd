/* What is synced when, and what becomes of trials that a crash of the machine
 * damaged. */
#include "base/file.h"
#include "lab/crash.h"
#include "base/lock.h"
#include "tempdir.h"
#include "test.h"
#include <unistd.h>

#define ID "0123456789abcdef-s"

static Store open_store(const char *name) {
  Store store;
  Fault fault = {0};
  assert_int_equal(store_open(&store, temp_path("runs"), name, true, &fault), ERR_OK);
  return store;
}

static Trial claim(const Store *store, const char *id) {
  static const char text[] = "{\"factors\":{\"a\":\"1\"},\"args\":{}}";
  Fault fault = {0};
  Trial out;
  bool claimed;
  Json *config = json_parse(text, strlen(text), &fault);
  Err err = store_claim(store, id, config, 1, &out, &claimed, &fault);
  if (err) fail_msg("%s", fault.text);
  assert_true(claimed);
  json_free(config);
  return out;
}

/* With metrics, as if it had run for so long. */
static void run(const Store *store, const char *id, double seconds) {
  static const char *const columns[] = {"epoch"};
  Fault fault = {0};
  bool first;
  double row[] = {1};
  Trial c = claim(store, id);
  c.brief = true;
  c.start_s -= seconds;
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .weights = "abc"};
  assert_int_equal(trial_row(&c, 1, columns, row, 1, &fault), ERR_OK);
  assert_int_equal(store_publish(&c, &end, &first, &fault), ERR_OK);
  assert_true(first);
}

static void check_state(const Store *store, const char *id, TrialState state) {
  TrialInfo info;
  Fault fault = {0};
  assert_int_equal(store_look(store, id, &info, &fault), ERR_OK);
  assert_string_equal(trial_state_name(info.state), trial_state_name(state));
  trial_info_deinit(&info);
}

/* runs/<experiment>/<name>, or a file of a trial. */
static char *path_in(const Store *store, const char *id, const char *name) {
  static char path[700];
  if (id) snprintf(path, sizeof path, "%s/trials/%s/%s", store->directory, id, name);
  else snprintf(path, sizeof path, "%s/%s", store->directory, name);
  return path;
}

static int count_marks(const Store *store) {
  FileNames names;
  Fault fault = {0};
  int n = 0;
  assert_int_equal(file_names(store->directory, &names, &fault), ERR_OK);
  for (int i = 0; i < names.n; i++) n += strncmp(names.v[i], ".unsynced-", 10) == 0;
  file_names_deinit(&names);
  return n;
}

static int n_synced;

static int count_syncs(FileStep step, const char *path) {
  (void)path;
  n_synced += step == FILE_STEP_SYNC;
  return 0;
}

TEST(only_long_trials_are_synced_one_by_one) {
  Store store = open_store("synced");
  file_set_hook(count_syncs);
  run(&store, ID "1", 0);
  assert_int_equal(n_synced, 0);
  run(&store, ID "2", 2 * CRASH_SYNC_S);
  file_set_hook(NULL);
  assert_true(n_synced >= 4);
  check_state(&store, ID "1", TRIAL_COMPLETE);
  check_state(&store, ID "2", TRIAL_COMPLETE);
  store_close(&store);
}

TEST(a_run_leaves_its_mark_until_all_is_synced) {
  CrashMark mark;
  Store store = open_store("marked");
  Fault fault = {0};
  assert_int_equal(crash_begin(&store, &mark, &fault), ERR_OK);
  assert_int_equal(count_marks(&store), 1);
  assert_int_equal(crash_repair(&store, &fault),
                   ERR_OK); /* our own: nothing happened */
  assert_int_equal(count_marks(&store), 1);
  n_synced = 0;
  file_set_hook(count_syncs);
  assert_int_equal(crash_end(&store, &mark, &fault), ERR_OK);
  file_set_hook(NULL);
  assert_int_equal(n_synced, 1);
  assert_int_equal(count_marks(&store), 0);
  lock_drop(mark.lock, store.directory, false);
  store_close(&store);
}

/* A process lives as long as it holds the lock of its mark, whose number may be
 * another's. */
TEST(a_mark_is_alive_while_its_lock_is_held) {
  Store store = open_store("owned");
  Fault fault = {0};
  long process = 0;
  CrashMark mark, next, third;
  assert_int_equal(crash_begin(&store, &mark, &fault), ERR_OK);
  assert_int_equal(crash_runs(&store, &process, &fault), ERR_OK);
  assert_int_equal(process, getpid());
  lock_drop(mark.lock, store.directory, false); /* as a process that dies does */
  assert_int_equal(crash_runs(&store, &process, &fault), ERR_OK);
  assert_int_equal(process, 0);
  assert_int_equal(crash_repair(&store, &fault), ERR_OK); /* no crash of the machine */
  assert_int_equal(count_marks(&store), 1);
  assert_int_equal(crash_begin(&store, &next, &fault), ERR_OK);
  /* a process of another container, with the same number */
  assert_int_equal(crash_begin(&store, &third, &fault), ERR_OK);
  assert_string_not_equal(third.name, next.name);
  assert_int_equal(count_marks(&store), 2);
  assert_int_equal(crash_repair(&store, &fault), ERR_OK);
  assert_int_equal(crash_end(&store, &next, &fault), ERR_OK);
  assert_int_equal(crash_runs(&store, &process, &fault), ERR_OK);
  assert_int_equal(process, getpid());
  lock_drop(third.lock, store.directory, false);
  assert_int_equal(crash_end(&store, &third, &fault), ERR_OK);
  assert_int_equal(count_marks(&store), 0);
  lock_drop(next.lock, store.directory, false);
  store_close(&store);
}

/* A result.json that is no result: empty, cut, of zeros, of another thing. */
/* Another coordinator writes its mark just now: nothing crashed, and it is not ours to
 * remove. */
TEST(a_mark_that_is_being_written_is_left_alone) {
  Store store = open_store("writing");
  Fault fault = {0};
  char path[1024];
  snprintf(path, sizeof path, "%s/.unsynced-1-b00t.tmp-1-2", store.directory);
  assert_int_equal(file_put(path, "", 0, PUBLISH_REPLACE, &fault), ERR_OK);
  assert_int_equal(crash_repair(&store, &fault), ERR_OK);
  assert_true(file_exists(path));
  store_close(&store);
}

TEST(a_damaged_result_is_none) {
  static const struct { const char *bytes; size_t n; } damaged[] = {
      {"", 0}, {"{\n  \"state\": \"comp", 18}, {"\0\0\0\0", 4}, {"{\"a\": 1}", 8}};
  Store store = open_store("damaged");
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    char id[32];
    Fault fault = {0};
    snprintf(id, sizeof id, ID "%zu", i);
    run(&store, id, 0);
    assert_int_equal(file_put(path_in(&store, id, "result.json"), damaged[i].bytes,
                              damaged[i].n, PUBLISH_REPLACE, &fault),
                     ERR_OK);
    check_state(&store, id, TRIAL_STALE);
    run(&store, id, 0);
    check_state(&store, id, TRIAL_COMPLETE);
    assert_true(file_exists(path_in(&store, id, "result-1.json")));
  }
  store_close(&store);
}

TEST(after_a_crash_trials_that_are_not_whole_are_taken_back) {
  Store store = open_store("crashed");
  Fault fault = {0};
  const char *mark = ".unsynced-1-00000000-0000-0000-0000-000000000000";
  for (int i = 1; i <= 3; i++) {
    char id[32];
    snprintf(id, sizeof id, ID "%d", i);
    run(&store, id, 0);
  }
  assert_int_equal(truncate(path_in(&store, ID "2", "metrics.csv"), 0), 0);
  assert_int_equal(truncate(path_in(&store, ID "3", "result.json"), 0), 0);
  assert_int_equal(crash_repair(&store, &fault), ERR_OK);
  check_state(&store, ID "2", TRIAL_COMPLETE); /* no mark: not looked at */
  assert_int_equal(file_put(path_in(&store, NULL, mark), "", 0, PUBLISH_REPLACE,
                            &fault),
                   ERR_OK);
  assert_int_equal(crash_repair(&store, &fault), ERR_OK);
  check_state(&store, ID "1", TRIAL_COMPLETE);
  check_state(&store, ID "2", TRIAL_PENDING);
  check_state(&store, ID "3", TRIAL_PENDING);
  assert_int_equal(count_marks(&store), 0);
  store_close(&store);
}

/* Whose code made them is not known: they must not be gone on with. */
TEST(checkpoints_of_an_attempt_that_nothing_tells_of_are_removed) {
  Store store = open_store("unknown");
  Fault fault = {0};
  Trial c = claim(&store, ID "1");
  assert_int_equal(trial_open(&c, &fault), ERR_OK);
  store_release(&c, NULL);
  assert_int_equal(file_put(path_in(&store, ID "1", "checkpoint-fit1-1.safetensors"),
                            "x", 1, PUBLISH_REPLACE, &fault),
                   ERR_OK);
  c = claim(&store, ID "1");
  assert_true(file_exists(path_in(&store, ID "1", "checkpoint-fit1-1.safetensors")));
  store_release(&c, NULL);
  assert_int_equal(truncate(path_in(&store, ID "1", "meta.json"), 0), 0);
  c = claim(&store, ID "1");
  assert_false(file_exists(path_in(&store, ID "1", "checkpoint-fit1-1.safetensors")));
  store_release(&c, NULL);
  store_close(&store);
}
