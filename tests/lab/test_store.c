/* Trials on disk: identity, states, claims, attempts, publication exactly once,
 * digests. */
#include "base/file.h"
#include "lab/store.h"
#include "tempdir.h"
#include "test.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static const char *const columns[] = {"epoch", "loss", "time_s"};

static Json *config(double lr) {
  Json *map = json_map(), *factors = json_map(), *args = json_map();
  json_put_text(factors, "activation", "relu");
  json_put_number(args, "lr", lr);
  json_put(map, "factors", factors);
  json_put(map, "args", args);
  return map;
}

static Store open_store(const char *name) {
  Store store;
  Fault fault = {0};
  assert_int_equal(store_open(&store, temp_path("runs"), name, true, &fault), ERR_OK);
  return store;
}

static char *trial_file(const Store *store, const char *id, const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/trials/%s/%s", store->directory, id, name);
  return temp_read(path, NULL);
}

static bool has(const Store *store, const char *id, const char *name) {
  char *bytes = trial_file(store, id, name);
  free(bytes);
  return bytes != NULL;
}

static Trial claim(const Store *store, const char *id) {
  Fault fault = {0};
  Trial out;
  bool claimed;
  Json *c = config(0.1);
  Err err = store_claim(store, id, c, 1, &out, &claimed, &fault);
  if (err) fail_msg("%s", fault.text);
  assert_true(claimed);
  json_free(c);
  return out;
}

static bool claimable(const Store *store, const char *id) {
  Fault fault = {0};
  Trial out;
  bool claimed;
  Json *c = config(0.1);
  assert_int_equal(store_claim(store, id, c, 1, &out, &claimed, &fault), ERR_OK);
  json_free(c);
  if (claimed) store_release(&out, NULL);
  return claimed;
}

static void add_rows(Trial *c, int first, int last, double time_s) {
  Fault fault = {0};
  for (int i = first; i <= last; i++) {
    double row[] = {i, 1.0 / i, time_s};
    assert_int_equal(trial_row(c, 1, columns, row, 3, &fault), ERR_OK);
  }
}

static bool publish(Trial *c, TrialState state, double accuracy) {
  Fault fault = {0};
  bool first;
  Json *values = json_map();
  json_put_number(values, "accuracy", accuracy);
  TrialEnd end = {.state = state, .step = -1, .values = values, .weights = "abc",
                  .message = state == TRIAL_FAILED ? "no luck" : NULL};
  Err err = store_publish(c, &end, &first, &fault);
  if (err) fail_msg("%s", fault.text);
  json_free(values);
  return first;
}

static TrialInfo look(const Store *store, const char *id) {
  Fault fault = {0};
  TrialInfo info;
  Err err = store_look(store, id, &info, &fault);
  if (err) fail_msg("%s", fault.text);
  return info;
}

static void check_state(const Store *store, const char *id, TrialState state,
                        int attempts) {
  TrialInfo info = look(store, id);
  assert_string_equal(trial_state_name(info.state), trial_state_name(state));
  assert_int_equal(info.attempts, attempts);
  trial_info_deinit(&info);
}

TEST(the_hash_sees_values_and_not_their_order) {
  Fault fault = {0};
  char a[17], b[17];
  const char *const equal[] = {"{\"a\":{\"x\":1,\"y\":-0.0},\"b\":0.1}",
                               "{\"b\":1e-1,\"a\":{\"y\":0.0,\"x\":1}}"};
  const char *const others[] = {"{\"b\":0.1,\"a\":{\"y\":0.0,\"x\":1.0}}",
                                "{\"b\":0.1,\"a\":{\"y\":0,\"x\":1}}",
                                "{\"b\":0.1000000000000001,\"a\":{\"y\":0.0,\"x\":1}}"};
  Json *first = json_parse(equal[0], strlen(equal[0]), &fault);
  assert_int_equal(store_config_hash(first, a, &fault), ERR_OK);
  json_free(first);
  assert_string_equal(a, "6540320aabe61663"); /* changes only with the format */
  for (int i = 0; i < 4; i++) {
    const char *text = i < 1 ? equal[1] : others[i - 1];
    Json *json = json_parse(text, strlen(text), &fault);
    assert_int_equal(store_config_hash(json, b, &fault), ERR_OK);
    assert_int_equal(strcmp(a, b) == 0, i < 1);
    json_free(json);
  }
  char id[TRIAL_ID];
  store_trial_id(a, 12, id);
  assert_string_equal(id, "6540320aabe61663-s12");
}

TEST(a_trial_goes_through_its_states) {
  Store store = open_store("states");
  Fault fault = {0};
  check_state(&store, "x-s1", TRIAL_PENDING, 0);
  Trial c = claim(&store, "x-s1");
  json_put_text(c.meta, "fingerprint", "f00d");
  assert_false(claimable(&store, "x-s1"));
  check_state(&store, "x-s1", TRIAL_RUNNING, 0);
  assert_int_equal(trial_open(&c, &fault), ERR_OK);
  check_state(&store, "x-s1", TRIAL_RUNNING, 1);
  add_rows(&c, 1, 3, 0.5);
  assert_true(publish(&c, TRIAL_COMPLETE, 0.75));
  assert_false(claimable(&store, "x-s1"));
  assert_false(has(&store, "x-s1", "lock"));
  TrialInfo info = look(&store, "x-s1");
  double accuracy = NAN;
  assert_int_equal(info.state, TRIAL_COMPLETE);
  assert_int_equal(info.attempts, 1);
  assert_string_equal(info.fingerprint, "f00d");
  assert_int_equal(strlen(info.digest), 64);
  assert_true(json_find_number(info.values, "accuracy", &accuracy));
  assert_true(accuracy == 0.75);
  assert_true(info.seconds >= 0 && !info.message);
  trial_info_deinit(&info);
  char *text = trial_file(&store, "x-s1", "config.json");
  assert_string_equal(text,
                      "{\n  \"args\": {\n    \"lr\": 0.1\n  },\n  \"factors\": {\n"
                      "    \"activation\": \"relu\"\n  },\n  \"seed\": 1\n}\n");
  free(text);
  store_close(&store);
}

TEST(an_interrupted_trial_goes_on) {
  Store store = open_store("goes-on");
  Trial c = claim(&store, "whole-s1");
  add_rows(&c, 1, 4, 0.5);
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));

  c = claim(&store, "parts-s1");
  add_rows(&c, 1, 3, 0.25);
  store_release(&c, "asked to stop");
  check_state(&store, "parts-s1", TRIAL_INTERRUPTED, 1);
  char path[600];
  snprintf(path, sizeof path, "%s/trials/parts-s1/metrics.csv", store.directory);
  FILE *torn = fopen(path, "a");
  fputs("4,0.", torn);
  fclose(torn);
  c = claim(&store, "parts-s1");
  assert_int_equal(c.attempt, 2);
  add_rows(&c, 3, 4, 0.75);
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
  char *text = trial_file(&store, "parts-s1", "metrics.csv");
  assert_string_equal(text, "epoch,loss,time_s\n1,1,0.25\n2,0.5,0.25\n"
                            "3,0.3333333333333333,0.75\n4,0.25,0.75\n");
  free(text);
  assert_true(has(&store, "parts-s1", "stdout-1.log"));
  assert_true(has(&store, "parts-s1", "stderr-1.log"));
  TrialInfo whole = look(&store, "whole-s1"), parts = look(&store, "parts-s1");
  assert_int_equal(parts.attempts, 2);
  assert_string_equal(whole.digest, parts.digest);
  trial_info_deinit(&whole);
  trial_info_deinit(&parts);
  store_close(&store);
}

/* The metrics, and another table with a column of times. */
static void check_digest_sees(const char *root, const char *table) {
  Store store = open_store(root);
  static const char *const ids[] = {"a-s1", "b-s1", "c-s1", "d-s1"};
  TrialInfo info[4];
  for (int i = 0; i < 4; i++) {
    Trial c = claim(&store, ids[i]);
    add_rows(&c, i == 1 ? 2 : 1, 2, i);
    char path[1100];
    snprintf(path, sizeof path, "%s/%s.csv", c.directory, table);
    FILE *probes = fopen(path, "w");
    fprintf(probes, "layer,\"a,\"\"b\",cost_time_s\n1,\"x\n%d\",%d\n", i == 2, i);
    fclose(probes);
    assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
    info[i] = look(&store, ids[i]);
    for (int k = 0; k < i; k++)
      assert_int_equal(strcmp(info[k].digest, info[i].digest) == 0, k == 0 && i == 3);
  }
  for (int i = 0; i < 4; i++) trial_info_deinit(&info[i]);
  store_close(&store);
}

TEST(the_digest_sees_what_was_computed) {
  check_digest_sees("digests", "probes");
  check_digest_sees("tables", "table.val_confusion_matrix");
}

TEST(a_dead_process_leaves_a_stale_trial) {
  Store store = open_store("stale");
  Fault fault = {0};
  pid_t child = fork();
  if (child == 0) {
    Trial c = claim(&store, "x-s1");
    Err err = trial_open(&c, &fault);
    NewFile half;
    char path[1100];
    snprintf(path, sizeof path, "%s/checkpoint-1.safetensors", c.directory);
    if (!err) err = file_begin(&half, path, &fault);
    _exit(err ? 1 : 0);
  }
  int status;
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
  check_state(&store, "x-s1", TRIAL_STALE, 1);
  char directory[600];
  snprintf(directory, sizeof directory, "%s/trials/x-s1", store.directory);
  FileNames names;
  assert_int_equal(file_names(directory, &names, &fault), ERR_OK);
  assert_int_equal(names.n,
                   6); /* lock config meta stdout stderr and the half checkpoint */
  file_names_deinit(&names);
  Trial c = claim(&store, "x-s1");
  assert_int_equal(c.attempt, 2);
  assert_int_equal(file_names(directory, &names, &fault), ERR_OK);
  assert_int_equal(names.n, 5);
  file_names_deinit(&names);
  assert_true(publish(&c, TRIAL_DIVERGED, 0.1));
  check_state(&store, "x-s1", TRIAL_DIVERGED, 2);
  store_close(&store);
}

TEST(a_failed_trial_is_taken_back) {
  Store store = open_store("retry");
  Fault fault = {0};
  bool done;
  Trial c = claim(&store, "x-s1");
  assert_int_equal(store_reset(&store, "x-s1", &done, &fault), ERR_OK);
  assert_false(done);
  assert_int_equal(store_remove(&store, "x-s1", &done, &fault), ERR_OK);
  assert_false(done);
  add_rows(&c, 1, 2, 0);
  assert_true(publish(&c, TRIAL_FAILED, 0));
  TrialInfo info = look(&store, "x-s1");
  assert_int_equal(info.state, TRIAL_FAILED);
  assert_string_equal(info.message, "no luck");
  trial_info_deinit(&info);
  assert_false(claimable(&store, "x-s1"));
  assert_int_equal(store_reset(&store, "x-s1", &done, &fault), ERR_OK);
  assert_true(done);
  check_state(&store, "x-s1", TRIAL_PENDING, 1);
  assert_true(has(&store, "x-s1", "result-1.json"));
  assert_false(has(&store, "x-s1", "metrics.csv"));
  c = claim(&store, "x-s1");
  assert_int_equal(c.attempt, 2);
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
  check_state(&store, "x-s1", TRIAL_COMPLETE, 2);
  assert_int_equal(store_remove(&store, "x-s1", &done, &fault), ERR_OK);
  assert_true(done);
  check_state(&store, "x-s1", TRIAL_PENDING, 0);
  assert_int_equal(store_remove(&store, "x-s1", &done, &fault), ERR_OK);
  store_close(&store);
}

static void put_file(const Store *store, const char *id, const char *name,
                     const char *text) {
  char path[1024];
  snprintf(path, sizeof path, "%s/trials/%s/%s", store->directory, id, name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

/* Edited, or of another program: no loop, no crash; it is run again. */
TEST(a_result_that_is_none_is_run_again) {
  static const struct { const char *text; TrialState state; } cases[] = {
      {"{\"state\": \"pending\"}", TRIAL_STALE},
      {"{\"state\": \"running\"}", TRIAL_STALE},
      {"{\"state\": \"stale\"}", TRIAL_STALE}, {"{\"state\": 3}", TRIAL_STALE},
      {"[]", TRIAL_STALE}, {"{\"state\": \"interrupted\"}", TRIAL_INTERRUPTED},
      {"{\"state\": \"complete\", \"values\": [1]}", TRIAL_STALE},
      {"{\"state\": \"complete\", \"values\": null}", TRIAL_STALE}};
  Store store = open_store("odd-result");
  Trial c = claim(&store, "x-s1");
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
  for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
    put_file(&store, "x-s1", "result.json", cases[i].text);
    TrialInfo info = look(&store, "x-s1");
    if (info.state != cases[i].state) fail_msg("%s", cases[i].text);
    assert_true(info.state != TRIAL_STALE || info.message);
    trial_info_deinit(&info);
    c = claim(&store, "x-s1");
    assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
    check_state(&store, "x-s1", TRIAL_COMPLETE, i + 2);
  }
  store_close(&store);
}

/* What another coordinator has run again meanwhile is not taken back. */
TEST(only_what_other_code_made_is_taken_back) {
  Store store = open_store("foreign");
  Fault fault = {0};
  bool done;
  Trial c = claim(&store, "x-s1");
  json_put_text(c.meta, "fingerprint", "new");
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
  assert_int_equal(store_reset_foreign(&store, "x-s1", "new", &done, &fault), ERR_OK);
  check_state(&store, "x-s1", TRIAL_COMPLETE, 1);
  assert_int_equal(store_reset_foreign(&store, "x-s1", "newer", &done, &fault), ERR_OK);
  assert_true(done);
  check_state(&store, "x-s1", TRIAL_PENDING, 1);
  store_close(&store);
}

TEST(an_interrupted_trial_is_taken_back_too) {
  Store store = open_store("begin-anew");
  Fault fault = {0};
  bool done;
  Trial c = claim(&store, "x-s1");
  add_rows(&c, 1, 2, 0);
  store_release(&c, NULL);
  check_state(&store, "x-s1", TRIAL_INTERRUPTED, 1);
  assert_int_equal(store_reset(&store, "x-s1", &done, &fault), ERR_OK);
  assert_true(done);
  check_state(&store, "x-s1", TRIAL_PENDING, 1);
  assert_false(has(&store, "x-s1", "metrics.csv"));
  c = claim(&store, "x-s1");
  add_rows(&c, 1, 1, 0);
  store_release(&c, NULL);
  check_state(&store, "x-s1", TRIAL_INTERRUPTED, 2);
  store_close(&store);
}

/* As a process leaves it that was killed in the middle of taking back. */
TEST(nothing_of_what_was_taken_back_is_gone_on_with) {
  Store store = open_store("half-taken");
  Fault fault = {0};
  bool done;
  Trial c = claim(&store, "x-s1");
  add_rows(&c, 1, 2, 0);
  store_release(&c, NULL);
  assert_int_equal(store_reset(&store, "x-s1", &done, &fault), ERR_OK);
  put_file(&store, "x-s1", "checkpoint-fit1-1.safetensors", "old");
  put_file(&store, "x-s1", "metrics.csv", "old");
  c = claim(&store, "x-s1");
  assert_false(has(&store, "x-s1", "checkpoint-fit1-1.safetensors"));
  assert_false(has(&store, "x-s1", "metrics.csv"));
  add_rows(&c, 1, 1, 0);
  store_release(&c, NULL);
  c = claim(&store, "x-s1");
  assert_true(has(&store, "x-s1", "metrics.csv")); /* of an attempt that was not */
  store_release(&c, NULL);
  store_close(&store);
}

/* Killed between the last meta.json and the result: which code it was is still
 * known. */
TEST(an_end_without_a_result_is_stale) {
  Store store = open_store("no-result");
  Trial c = claim(&store, "x-s1");
  json_put_text(c.meta, "fingerprint", "f00d");
  add_rows(&c, 1, 2, 0);
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
  char path[1024];
  snprintf(path, sizeof path, "%s/trials/x-s1/result.json", store.directory);
  assert_int_equal(unlink(path), 0);
  TrialInfo info = look(&store, "x-s1");
  assert_string_equal(trial_state_name(info.state), "stale");
  assert_string_equal(info.fingerprint, "f00d");
  trial_info_deinit(&info);
  store_close(&store);
}

TEST(a_result_tells_by_itself_which_code_made_it) {
  Store store = open_store("maker");
  Trial c = claim(&store, "x-s1");
  json_put_text(c.meta, "fingerprint", "f00d");
  assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
  put_file(&store, "x-s1", "meta.json", "");
  TrialInfo info = look(&store, "x-s1");
  assert_int_equal(info.state, TRIAL_COMPLETE);
  assert_string_equal(info.fingerprint, "f00d");
  trial_info_deinit(&info);
  store_close(&store);
}

/* What a lost lock would bring about: the file is removed under its holder. */
TEST(the_second_result_never_replaces_the_first) {
  Store store = open_store("twice");
  static const char *const ids[] = {"same-s1", "other-s1"};
  for (int i = 0; i < 2; i++) {
    Trial a = claim(&store, ids[i]);
    char path[600];
    snprintf(path, sizeof path, "%s/trials/%s/lock", store.directory, ids[i]);
    unlink(path);
    Trial b = claim(&store, ids[i]);
    assert_true(publish(&a, TRIAL_COMPLETE, 0.5));
    TrialInfo before = look(&store, ids[i]);
    int old = dup(2);
    if (!freopen("/dev/null", "w", stderr)) abort();
    bool published = publish(&b, TRIAL_COMPLETE, i ? 0.25 : 0.5);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    assert_false(published);
    TrialInfo after = look(&store, ids[i]);
    assert_string_equal(before.digest, after.digest);
    char directory[600];
    FileNames names;
    Fault fault = {0};
    int differs = 0;
    snprintf(directory, sizeof directory, "%s/trials/%s", store.directory, ids[i]);
    assert_int_equal(file_names(directory, &names, &fault), ERR_OK);
    for (int k = 0; k < names.n; k++)
      differs += !strncmp(names.v[k], "result-differs-", 15);
    assert_int_equal(differs, i);
    file_names_deinit(&names);
    trial_info_deinit(&before);
    trial_info_deinit(&after);
  }
  store_close(&store);
}

TEST(another_config_in_the_directory_is_a_fault) {
  Store store = open_store("mixed");
  Fault fault = {0};
  Trial c = claim(&store, "x-s1");
  store_release(&c, NULL);
  Json *other = config(0.2);
  bool claimed;
  assert_int_equal(store_claim(&store, "x-s1", other, 1, &c, &claimed, &fault),
                   ERR_STORAGE);
  assert_false(claimed);
  assert_non_null(strstr(fault.text, "x-s1/config.json"));
  json_free(other);
  char path[600];
  snprintf(path, sizeof path, "%s/trials/x-s1/config.json", store.directory);
  assert_int_equal(truncate(path, 10), 0); /* as a crash of the machine may leave it */
  assert_true(claimable(&store, "x-s1"));
  store_close(&store);
}

TEST(names_and_experiments_that_are_not_there) {
  Store store = open_store("present");
  store_close(&store);
  Fault fault = {0};
  assert_int_equal(store_open(&store, temp_path("runs"), "presnt", false, &fault),
                   ERR_STORAGE);
  assert_non_null(strstr(fault.text, "did you mean \"present\""));
  static const char *const names[] = {"", ".", "..", "a/b", "a\nb", ".hidden"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    fault_clear(&fault);
    assert_int_equal(store_open(&store, temp_path("runs"), names[i], true, &fault),
                     ERR_VALUE);
  }
}

TEST(sources_and_plans_are_kept) {
  Store store = open_store("kept");
  Fault fault = {0};
  char hash[HASH_TEXT];
  assert_int_equal(store_keep(&store, "lib/a.lua", "return 1", 8, hash, &fault),
                   ERR_OK);
  assert_int_equal(store_keep(&store, "lib/a.lua", "return 1", 8, hash, &fault),
                   ERR_OK);
  char path[600];
  snprintf(path, sizeof path, "%s/code/%.16s-a.lua", store.directory, hash);
  char *text = temp_read(path, NULL);
  assert_string_equal(text, "return 1");
  free(text);
  Json *plan = json_map();
  json_put_text(plan, "name", "kept");
  assert_int_equal(store_plan(&store, plan, &fault), ERR_OK);
  assert_int_equal(store_plan(&store, plan, &fault), ERR_OK);
  snprintf(path, sizeof path, "%s/experiment.json", store.directory);
  text = temp_read(path, NULL);
  assert_string_equal(text, "{\n  \"name\": \"kept\"\n}\n");
  free(text);
  json_free(plan);
  store_close(&store);
}

/* -- failing writes: every step in turn -------------------------------------------- */

static int steps_left;

static int fail_after(FileStep step, const char *path) {
  (void)step, (void)path;
  return steps_left-- > 0 ? 0 : ENOSPC;
}

/* One attempt at a whole trial, synced or not. Faults are reported by its end. */
static Err attempt(const Store *store, bool brief, Fault *fault) {
  Trial c;
  bool claimed = false, first = false;
  Json *conf = config(0.1), *values = json_map();
  json_put_number(values, "accuracy", 0.5);
  Err err = store_claim(store, "x-s1", conf, 1, &c, &claimed, fault);
  if (claimed) c.brief = brief;
  if (claimed && !err) err = trial_open(&c, fault);
  for (int i = 1; claimed && !err && i <= 3; i++) {
    double row[] = {i, 1.0 / i, i};
    err = trial_row(&c, 1, columns, row, 3, fault);
  }
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .values = values};
  if (claimed && !err) err = store_publish(&c, &end, &first, fault);
  if (claimed) store_release(&c, fault->text);
  json_free(conf);
  json_free(values);
  return err;
}

static void check_no_room(bool brief) {
  Store reference = open_store(brief ? "brief-ok" : "room-ok"), store;
  Fault fault = {0};
  assert_int_equal(attempt(&reference, brief, &fault), ERR_OK);
  TrialInfo want = look(&reference, "x-s1");
  int failures = 0;
  for (bool ended = false; !ended; failures++) {
    char name[32];
    snprintf(name, sizeof name, "%s-%d", brief ? "brief" : "room", failures);
    store = open_store(name);
    steps_left = failures;
    file_set_hook(fail_after);
    fault_clear(&fault);
    Err err = attempt(&store, brief, &fault);
    file_set_hook(NULL);
    ended = err == ERR_OK && steps_left > 0;
    if (err) assert_int_equal(err, ERR_STORAGE);
    if (err) assert_non_null(strstr(fault.text, "No space left"));
    TrialInfo info = look(&store, "x-s1");
    bool open = info.state == TRIAL_PENDING || info.state == TRIAL_STALE ||
                info.state == TRIAL_INTERRUPTED;
    assert_true(err ? open : info.state == TRIAL_COMPLETE);
    trial_info_deinit(&info);
    fault_clear(&fault);
    assert_int_equal(attempt(&store, brief, &fault), ERR_OK); /* there is room again */
    info = look(&store, "x-s1");
    assert_int_equal(info.state, TRIAL_COMPLETE);
    assert_string_equal(info.digest, want.digest);
    trial_info_deinit(&info);
    store_close(&store);
  }
  assert_true(failures > 12);
  trial_info_deinit(&want);
  store_close(&reference);
}

TEST(no_room_at_any_step_loses_nothing) {
  check_no_room(false);
  check_no_room(true);
}

TEST(publishing_goes_through_once_there_is_room) {
  Store store = open_store("again");
  Fault fault = {0};
  Trial c = claim(&store, "x-s1");
  add_rows(&c, 1, 2, 0);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  bool first;
  for (int i = 2; i < 8; i++) {
    steps_left = i;
    file_set_hook(fail_after);
    fault_clear(&fault);
    Err err = store_publish(&c, &end, &first, &fault);
    file_set_hook(NULL);
    assert_int_equal(err, ERR_STORAGE);
    check_state(&store, "x-s1", TRIAL_RUNNING, 1);
  }
  fault_clear(&fault);
  assert_int_equal(store_publish(&c, &end, &first, &fault), ERR_OK);
  assert_true(first);
  check_state(&store, "x-s1", TRIAL_COMPLETE, 1);
  store_close(&store);
}

/* -- many processes ---------------------------------------------------------------- */

enum { CROWD = 8, CROWD_TRIALS = 12 };

/* Works through all trials as a coordinator of its own; prints each it published. */
static void work_through(const Store *store, int out) {
  Fault fault = {0};
  Json *conf = config(0.1);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  for (int i = 0; i < CROWD_TRIALS; i++) {
    char id[TRIAL_ID];
    Trial c;
    bool claimed, first;
    store_trial_id("x", i, id);
    if (store_claim(store, id, conf, i, &c, &claimed, &fault)) _exit(1);
    if (!claimed) continue;
    double row[] = {1, 2, 3};
    if (trial_row(&c, 1, columns, row, 3, &fault)) _exit(2);
    if (store_publish(&c, &end, &first, &fault)) _exit(3);
    if (!first) _exit(4);
    char mark = (char)('a' + i);
    if (write(out, &mark, 1) != 1) _exit(5);
  }
  json_free(conf);
  _exit(0);
}

TEST(a_crowd_publishes_each_trial_once) {
  Store store = open_store("crowd");
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  for (int i = 0; i < CROWD; i++)
    if (fork() == 0) work_through(&store, pipes[1]);
  close(pipes[1]);
  int count[CROWD_TRIALS] = {0};
  char mark;
  while (read(pipes[0], &mark, 1) == 1) count[mark - 'a']++;
  close(pipes[0]);
  for (int i = 0, status; i < CROWD; i++) {
    wait(&status);
    assert_int_equal(status, 0);
  }
  for (int i = 0; i < CROWD_TRIALS; i++) {
    char id[TRIAL_ID];
    store_trial_id("x", i, id);
    assert_int_equal(count[i], 1);
    check_state(&store, id, TRIAL_COMPLETE, 1);
  }
  store_close(&store);
}

/* -- removed meanwhile ------------------------------------------------------------- */

static void remove_for_ever(const Store *store) {
  Fault fault = {0};
  for (bool done = false;;)
    if (store_remove(store, "x-s1", &done, &fault)) _exit(1);
}

/* Claims, publishes and looks, all of which may find the trial there or gone. */
TEST(what_is_removed_meanwhile_is_no_fault) {
  Store store = open_store("removed");
  Fault fault = {0};
  Json *conf = config(0.1);
  int n_claimed = 0, status;
  pid_t child = fork();
  if (child == 0) remove_for_ever(&store);
  for (int i = 0; i < 500; i++) {
    Trial c;
    bool claimed;
    if (store_claim(&store, "x-s1", conf, 1, &c, &claimed, &fault))
      fail_msg("%s", fault.text);
    if (claimed) {
      c.brief = true;
      assert_true(publish(&c, TRIAL_COMPLETE, 0.5));
    }
    n_claimed += claimed;
    TrialInfo info = look(&store, "x-s1");
    trial_info_deinit(&info);
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  assert_true(WIFSIGNALED(status));
  assert_true(n_claimed > 0);
  json_free(conf);
  store_close(&store);
}

/* -- killed at any moment ---------------------------------------------------------- */

enum { KILLED_TRIALS = 6, KILLED_ROWS = 5, KILLED_PROCESSES = 3 };

/* Runs all trials that no process has claimed, each with some rows and a little work
 * between them. */
static void run_all(const Store *store) {
  Fault fault = {0};
  Json *conf = config(0.1);
  for (int i = 0; i < KILLED_TRIALS; i++) {
    char id[TRIAL_ID];
    Trial c;
    bool claimed, first;
    store_trial_id("x", i, id);
    if (store_claim(store, id, conf, i, &c, &claimed, &fault)) _exit(1);
    if (claimed) c.brief = i % 2;
    for (int r = 1; claimed && r <= KILLED_ROWS; r++) {
      double row[] = {r, 1.0 / (r + i), r};
      if (trial_row(&c, 1, columns, row, 3, &fault)) _exit(2);
      usleep(200);
    }
    TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .weights = "abc"};
    if (claimed && store_publish(&c, &end, &first, &fault)) _exit(3);
    if (claimed && !first) _exit(4);
  }
  json_free(conf);
  _exit(0);
}

/* Starts some, kills them within about the time that all takes, and waits. */
static void run_and_kill(const Store *store, unsigned *random) {
  pid_t children[KILLED_PROCESSES];
  for (int i = 0; i < KILLED_PROCESSES; i++)
    if ((children[i] = fork()) == 0) run_all(store);
  for (int i = 0; i < KILLED_PROCESSES; i++) {
    usleep((useconds_t)(rand_r(random) % 30000));
    kill(children[i], SIGKILL);
  }
  for (int i = 0, status; i < KILLED_PROCESSES; i++) {
    waitpid(children[i], &status, 0);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  }
}

static void run_in_peace(const Store *store) {
  int status;
  if (fork() == 0) run_all(store);
  wait(&status);
  assert_int_equal(status, 0);
}

TEST(killed_at_any_moment_nothing_is_lost) {
  int rounds = getenv("LONG") ? 200 : 4;
  unsigned random = 1;
  Store reference = open_store("killed-none");
  run_in_peace(&reference);
  for (int round = 0; round < rounds; round++) {
    char name[32], done[KILLED_TRIALS][HASH_TEXT] = {{0}};
    snprintf(name, sizeof name, "killed-%d", round);
    Store store = open_store(name);
    for (int again = 0; again < 3; again++) {
      run_and_kill(&store, &random);
      for (int i = 0; i < KILLED_TRIALS; i++) {
        char id[TRIAL_ID];
        store_trial_id("x", i, id);
        TrialInfo info = look(&store, id);
        assert_true(info.state != TRIAL_RUNNING && info.state != TRIAL_FAILED);
        if (*done[i])
          assert_string_equal(info.digest, done[i]); /* not lost, not redone */
        memcpy(done[i], info.digest, sizeof done[i]);
        trial_info_deinit(&info);
      }
    }
    run_in_peace(&store);
    for (int i = 0; i < KILLED_TRIALS; i++) {
      char id[TRIAL_ID];
      store_trial_id("x", i, id);
      TrialInfo got = look(&store, id), want = look(&reference, id);
      assert_int_equal(got.state, TRIAL_COMPLETE);
      assert_string_equal(got.digest, want.digest);
      trial_info_deinit(&got);
      trial_info_deinit(&want);
    }
    store_close(&store);
  }
  store_close(&reference);
}
