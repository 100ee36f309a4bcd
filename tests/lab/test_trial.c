/* The record of a run: what is on disk, when, and what happens when it cannot. */
#include "base/out.h"
#include "lab/trial.h"
#include "tempdir.h"
#include "test.h"
#include <sys/stat.h>

static Json *config(void) {
  Json *map = json_map(), *args = json_map();
  json_put_int(map, "seed", 7);
  json_put_number(args, "lr", 0.1);
  json_put(map, "args", args);
  return map;
}

static char *content(const Trial *trial, const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", trial->directory, name);
  return temp_read(path, NULL);
}

static void check_content(const Trial *trial, const char *name, const char *want) {
  char *got = content(trial, name);
  assert_non_null(got);
  assert_string_equal(got, want);
  free(got);
}

/* result.json without its digest, which must be 64 hex digits, the last but for a
 * "}". */
static void check_result(const Trial *trial, const char *want) {
  char *got = content(trial, "result.json");
  assert_non_null(got);
  char *digest = strstr(got, ",\n  \"digest\": \"");
  assert_non_null(digest);
  assert_int_equal(strspn(digest + 15, "0123456789abcdef"), 64);
  assert_string_equal(digest + 15 + 64, "\"\n}\n");
  *digest = 0;
  assert_string_equal(got, want);
  free(got);
}

static void start(Trial *trial, const char *runs) {
  Fault fault = {0};
  Json *meta = json_map();
  json_put_int(meta, "threads", 2);
  Err err = trial_init(trial, temp_path(runs), "experiments/my net.lua", config(), meta,
                       &fault);
  assert_int_equal(err, ERR_OK);
}

static const char *const columns[] = {"epoch", "loss", "a,b"};

TEST(a_run_is_recorded) {
  Trial trial;
  Fault fault = {0};
  start(&trial, "runs");
  out_print("before %d\n", 1);
  assert_null(trial.directory);
  assert_int_equal(access(temp_path("runs"), F_OK), -1);

  double row[] = {1, 0.25, NAN};
  assert_int_equal(trial_row(&trial, 1, columns, row, 3, &fault), ERR_OK);
  assert_non_null(strstr(trial.directory, "runs/my_net/2"));
  check_content(&trial, "metrics.csv", "epoch,loss,\"a,b\"\n1,0.25,nan\n");
  row[0] = 2;
  assert_int_equal(trial_row(&trial, 1, columns, row, 3, &fault), ERR_OK);
  out_print("after\n");
  check_content(&trial, "stdout.log", "before 1\nafter\n");
  assert_null(content(&trial, "result.json"));
  check_content(&trial, "config.json",
                "{\n  \"seed\": 7,\n  \"args\": {\n    \"lr\": 0.1\n  }\n}\n");

  Json *values = json_map();
  json_put_number(values, "test_accuracy", 0.875);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .values = values};
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_OK);
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_OK);
  check_result(&trial, "{\n  \"state\": \"complete\",\n  \"values\": {\n"
                       "    \"test_accuracy\": 0.875\n  }");
  char *meta = content(&trial, "meta.json");
  const char *const words[] = {"\"threads\": 2", "processor", "started", "wall_s",
                               "peak_bytes", "simd"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    assert_non_null(strstr(meta, words[i]));
  free(meta);
  check_content(&trial, "metrics.csv", "epoch,loss,\"a,b\"\n1,0.25,nan\n2,0.25,nan\n");
  json_free(values);
  trial_deinit(&trial);
}

TEST(two_runs_of_one_second_do_not_share) {
  Trial a, b;
  Fault fault = {0};
  start(&a, "clash");
  start(&b, "clash");
  memcpy(b.start_utc, a.start_utc, sizeof a.start_utc);
  assert_int_equal(trial_open(&a, &fault), ERR_OK);
  TrialEnd end = {.state = TRIAL_INTERRUPTED, .step = -1};
  assert_int_equal(trial_finish(&a, &end, &fault), ERR_OK);
  assert_int_equal(trial_open(&b, &fault), ERR_OK);
  size_t n = strlen(a.directory);
  assert_memory_equal(a.directory, b.directory, n);
  assert_string_equal(b.directory + n, "-2");
  assert_int_equal(trial_finish(&b, &end, &fault), ERR_OK);
  trial_deinit(&a);
  trial_deinit(&b);
}

TEST(a_run_that_failed_says_why) {
  Trial trial;
  Fault fault = {0};
  start(&trial, "failed");
  assert_int_equal(trial_open(&trial, &fault), ERR_OK);
  TrialEnd end = {TRIAL_DIVERGED, "loss is nan", 12, "dense_2", NULL, NULL, NULL};
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_OK);
  check_result(&trial,
               "{\n  \"state\": \"diverged\",\n  \"message\": \"loss is nan\",\n"
               "  \"step\": 12,\n  \"layer\": \"dense_2\"");
  trial_deinit(&trial);
}

TEST(columns_are_those_of_the_first_row) {
  Trial trial;
  Fault fault = {0};
  start(&trial, "columns");
  double row[] = {1, 2, 3};
  assert_int_equal(trial_row(&trial, 1, columns, row, 3, &fault), ERR_OK);
  assert_int_equal(trial_row(&trial, 1, columns, row, 2, &fault), ERR_VALUE);
  assert_non_null(strstr(fault.text, "columns changed"));
  fault_clear(&fault);
  assert_int_equal(trial_row(&trial, 3, columns, row, 2, &fault), ERR_OK);
  check_content(&trial, "metrics-3.csv", "epoch,loss\n1,2\n");
  assert_null(content(&trial, "metrics-2.csv"));
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_OK);
  trial_deinit(&trial);
}

TEST(a_place_that_cannot_be_written_is_a_storage_fault) {
  Trial trial;
  Fault fault = {0};
  temp_file("plain", "x", 1);
  start(&trial, "plain/runs");
  assert_int_equal(trial_open(&trial, &fault), ERR_STORAGE);
  assert_non_null(strstr(fault.text, "plain"));
  assert_non_null(strstr(fault.text, "directory"));
  trial_deinit(&trial);
  fault_clear(&fault);
  start(&trial, "plain/runs");
  trial.go_on = true;
  assert_int_equal(trial_open(&trial, &fault), ERR_OK);
  assert_true(trial.failed);
  double row[] = {1, 2, 3};
  assert_int_equal(trial_row(&trial, 1, columns, row, 3, &fault), ERR_OK);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_OK);
  trial_deinit(&trial);
}

TEST(a_result_is_published_once) {
  Trial trial;
  Fault fault = {0};
  start(&trial, "once");
  assert_int_equal(trial_open(&trial, &fault), ERR_OK);
  char path[1024];
  snprintf(path, sizeof path, "%s/result.json", trial.directory);
  FILE *file = fopen(path, "w");
  fputs("first", file);
  fclose(file);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_STORAGE);
  assert_non_null(strstr(fault.text, "already there"));
  check_content(&trial, "result.json", "first");
  trial_deinit(&trial);
}

TEST(a_run_without_records_leaves_nothing) {
  Trial trial;
  Fault fault = {0};
  start(&trial, "nothing");
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
  assert_int_equal(trial_finish(&trial, &end, &fault), ERR_OK);
  assert_int_equal(access(temp_path("nothing"), F_OK), -1);
  trial_deinit(&trial);
}
