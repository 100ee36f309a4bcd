/* A disk that is full at any byte: each file of a record is cut off at 0, 40, 80 ...
 * bytes. What fails says so (ERR_STORAGE), and no result is published that is not
 * whole. */
#include "base/out.h"
#include "lab/trial.h"
#include "tempdir.h"
#include "test.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const char *const columns[] = {"epoch", "loss"};

static Err record(Trial *trial, Fault *fault) {
  Err err = trial_open(trial, fault);
  for (int i = 0; i < 20 && !err; i++)
    err = trial_row(trial, 1, columns, (double[]){i, 1.0 / (i + 1)}, 2, fault);
  out_print("%0200d\n", 7);
  Json *values = json_map();
  for (int i = 0; i < 20; i++) json_put_number(values, columns[i % 2], i);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .values = values};
  if (!err) err = trial_finish(trial, &end, fault);
  json_free(values);
  return err;
}

/* In a process of its own, whose files end at so many bytes: 0 all was written, 1 a
 * fault of storage, 2 anything else. */
static int record_within(rlim_t n_bytes, const char *runs) {
  Trial trial;
  Fault fault = {0};
  struct rlimit limit = {n_bytes, n_bytes};
  signal(SIGXFSZ, SIG_IGN);
  if (!freopen("/dev/null", "w", stdout))
    return 2; /* this test's report may be a file */
  if (trial_init(&trial, runs, "x", json_map(), NULL, &fault)) return 2;
  if (setrlimit(RLIMIT_FSIZE, &limit)) return 2;
  Err err = record(&trial, &fault);
  char path[1024] = "";
  if (trial.directory) snprintf(path, sizeof path, "%s/result.json", trial.directory);
  char *result = temp_read(path, NULL);
  bool whole = result && strstr(result, "complete") && strchr(result, '}');
  if (err == ERR_OK) return whole ? 0 : 2;
  return err == ERR_STORAGE && fault.text[0] && !result ? 1 : 2;
}

static int status_within(rlim_t n_bytes) {
  const char *runs = temp_path("full");
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(record_within(n_bytes, runs));
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(a_disk_that_is_full_at_any_byte_is_a_fault_of_storage) {
  int n_failed = 0;
  rlim_t n_bytes = 0;
  for (int status = 1; status; n_bytes += 40) {
    status = status_within(n_bytes);
    if (status > 1) fail_msg("a limit of %d bytes: status %d", (int)n_bytes, status);
    n_failed += status;
  }
  assert_true(n_failed >= 5);
}
