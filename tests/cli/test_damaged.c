/* Records that are damaged in every way: each command that reads them ends with a
 * status, none with a crash, and none waits.
 *
 * A small study is made by hand. Then each record, and each value in it, is replaced by
 * each of a list of others, and all commands that read are run, in this process. */
#include "base/file.h"
#include "base/json.h"
#include "cli/query_command.h"
#include "tempdir.h"
#include "test.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CELL "0123456789abcdef"
#define TRIAL "runs/study/trials/" CELL "-s1/"

static const char *const records[][2] = {
    {TRIAL "config.json",
     "{\"args\": {\"lr\": 0.5}, \"factors\": {\"act\": \"relu\"}, \"seed\": 1}"},
    {TRIAL "meta.json",
     "{\"fingerprint\": \"f00d\", \"threads\": 1, \"sources\": {\"lr\": \"script\"},"
     " \"data\": {\"moons\": \"abc\"}, \"started\": \"2026-01-01T00:00:00Z\", "
     "\"attempts\": [{\"attempt\": 1, \"state\": \"complete\", \"wall_s\": 2.5, "
     "\"message\": \"m\"}]}"},
    {TRIAL "result.json",
     "{\"state\": \"complete\", \"message\": \"m\", \"step\": 3, \"layer\": \"l\", "
     "\"weights\": \"w\", \"digest\": \"d\", \"fingerprint\": \"f00d\", \"values\": "
     "{\"score\": 0.5}}"},
    {"runs/study/experiment.json",
     "{\"name\": \"study\", \"script\": \"s.lua\", \"words\": [\"a=1\"], \"args\": "
     "{\"lr\": 0.5}, \"factors\": [{\"name\": \"act\", \"levels\": [\"relu\", "
     "\"tanh\"]}], \"baseline\": {\"act\": \"relu\"}, \"metric\": \"score\", "
     "\"metric_goal\": \"max\", \"report\": \"score\", \"goal\": \"max\", \"range\": "
     "[0, 1], \"seeds\": [1, 2], \"rope\": 0.1, \"contrasts\": [[{\"act\": \"tanh\"}, "
     "{\"act\": \"relu\"}]], \"cells\": [{\"act\": \"relu\"}, {\"act\": \"tanh\"}], "
     "\"fingerprints\": [\"f00d\", \"f00d\"], \"skipped\": [{\"cell\": {\"act\": "
     "\"elu\"}, \"why\": \"w\"}], \"others\": [\"" CELL "-s1\"], \"kept_code\":"
     " {\"f00d\": {\"beef\": \"now\"}}, \"tuned\": {\"names\": [\"lr\"], \"trials\": "
     "3}}"},
    {TRIAL "metrics.csv", "epoch,loss,\"a,b\"\n1,0.5,1\n2,0.25,nan\n"},
    {TRIAL "probes.csv", "layer,norm\na,1\n"},
    {TRIAL "table.confusion_matrix.csv", "class,1,2\n1,5,0\n2,inf,4\n"}};
enum { N_RECORDS = sizeof records / sizeof *records, N_JSON = 4 };

static void put(const char *name, const void *bytes, size_t n) {
  Fault fault = {0};
  const char *path = temp_path(name);
  assert_int_equal(file_remove(path, &fault), ERR_OK);
  assert_int_equal(file_put(path, bytes, n, PUBLISH_DRAFT, &fault), ERR_OK);
}

static void make_study(void) {
  Fault fault = {0};
  assert_int_equal(file_make_dirs(temp_path("runs/study/trials/" CELL "-s1"), &fault),
                   ERR_OK);
  /* so the index is made in memory, anew for each command */
  assert_int_equal(file_make_dirs(temp_path("runs/index.sqlite"), &fault), ERR_OK);
  for (int i = 0; i < N_RECORDS; i++)
    put(records[i][0], records[i][1], strlen(records[i][1]));
}

/* -- all that reads ---------------------------------------------------------------- */

static void run(const char *const *words, int n) {
  Fault fault = {0};
  char runs[512], copies[6][64], *own[6];
  snprintf(runs, sizeof runs, "%s", temp_path("runs"));
  for (int i = 1; i < n; i++) {
    snprintf(copies[i], sizeof copies[i], "%s", words[i]);
    own[i - 1] = copies[i];
  }
  QueryCall call = {.command = query_command_find(words[0]), .runs = runs};
  assert_int_equal(query_command_parse(&call, own, n - 1, &fault), ERR_OK);
  (void)!query_command_run(&call, &fault); /* whatever it says, it comes back */
}

enum { N_CALLS = 16 };

/* Every `step`th of the calls, from number `first` on; LONG=1: all. */
static void run_readers(int first, int step) {
  static const char *const calls[N_CALLS][5] = {
      {"ls"}, {"ls", "study"}, {"ls", "study", "--cells"}, {"ls", "study", "--json"},
      {"show", CELL "-s1"}, {"show", CELL "-s1", "--json"}, {"show", "study"},
      {"show", "study", "--json"}, {"compare", "study"}, {"compare", "study", "--json"},
      {"export", "study"}, {"export", "study", "--json", "--metrics"},
      {"export", "study", "--metrics"}, {"retry", "study", "--dry-run"},
      {"gc", "--dry-run"},
      {"rm", "study", "--dry-run"}};
  bool all = getenv("LONG") != NULL;
  for (int i = all ? 0 : first % step; i < N_CALLS; i += all ? 1 : step) {
    int n = 0;
    while (n < 5 && calls[i][n]) n++;
    run(calls[i], n);
  }
}

/* What the commands say is not of interest here: both streams go nowhere meanwhile. */
static void in_silence(void (*work)(void)) {
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), old[2];
  fflush(NULL);
  for (int i = 0; i < 2; i++) {
    old[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 10);
    dup2(nowhere, i + 1);
  }
  work();
  fflush(NULL);
  for (int i = 0; i < 2; i++) {
    dup2(old[i], i + 1);
    close(old[i]);
  }
  close(nowhere);
}

/* -- each value -------------------------------------------------------------------- */

static const char *const others[] = {
    "null", "true", "-1", "1e300", "\"x\"", "\"\"", "[]", "{}", "[[]]",
    "{\"a\": {\"b\": [1]}}"};
enum { N_OTHERS = sizeof others / sizeof *others };

/* A copy in which the value with number *at, in the order of a walk, is another one. */
static Json *replaced(const Json *json, int *at, const Json *other) {
  if ((*at)-- == 0) return json_share((Json *)other);
  JsonKind kind = json_kind(json);
  Json *out = kind == JSON_KIND_MAP    ? json_map()
              : kind == JSON_KIND_LIST ? json_list()
                                       : NULL;
  if (!out) return json_share((Json *)json);
  for (void *it = kind == JSON_KIND_MAP ? json_first(json) : NULL; it;
       it = json_next(json, it))
    json_put(out, json_key(it), replaced(json_value(it), at, other));
  for (int64_t i = 0; kind == JSON_KIND_LIST && i < json_count(json); i++)
    json_push(out, replaced(json_item(json, i), at, other));
  return out;
}

static void damage_values(const char *name, const char *text) {
  Fault fault = {0};
  Json *whole = json_parse(text, strlen(text), &fault);
  assert_non_null(whole);
  for (bool more = true, first = true; more; first = false) {
    static int number;
    if (first) number = 0;
    for (int k = 0; k < N_OTHERS; k++) {
      int at = number;
      Json *other = json_parse(others[k], strlen(others[k]), &fault);
      Json *damaged = replaced(whole, &at, other);
      Text written = {0};
      more = at < 0;
      assert_int_equal(json_write(damaged, 2, &written, &fault), ERR_OK);
      if (more) put(name, written.data, written.n_bytes);
      if (more) run_readers(number * 3 + k, 8);
      text_deinit(&written);
      json_free(damaged);
      json_free(other);
    }
    number++;
  }
  json_free(whole);
}

static void damage_all_values(void) {
  make_study();
  for (int i = 0; i < N_JSON; i++) {
    damage_values(records[i][0], records[i][1]);
    put(records[i][0], records[i][1], strlen(records[i][1]));
  }
}

TEST(every_value_may_be_another) { in_silence(damage_all_values); }

/* -- the whole file ---------------------------------------------------------------- */

static void put_deep(const char *path) {
  Text deep = {0};
  for (int i = 0; i < 100000; i++) text_add(&deep, "[");
  put(path, deep.data, deep.n_bytes);
  text_deinit(&deep);
}

/* Larger than any record is read. */
static void put_large(const char *path) {
  put(path, "{", 1);
  if (truncate(temp_path(path), (off_t)1 << 31)) abort();
}

static void put_pipe(const char *path) {
  if (mkfifo(temp_path(path), 0600)) abort();
}

static void put_directory(const char *path) {
  if (mkdir(temp_path(path), 0700)) abort();
}

static void put_loop(const char *path) {
  if (symlink(file_name(path), temp_path(path))) abort();
}

static void put_device(const char *path) {
  if (symlink("/dev/zero", temp_path(path))) abort();
}

static void put_garbage(const char *path) { put(path, "\0\xff{\"\x1b,\n\"", 8); }
static void put_nothing(const char *path) { put(path, "", 0); }

static void damage_all_files(void) {
  static void (*const damages[])(const char *) = {
      put_nothing, put_garbage, put_deep, put_large, put_pipe, put_directory, put_loop,
      put_device};
  make_study();
  for (int i = 0; i < N_RECORDS; i++)
    for (size_t k = 0; k < sizeof damages / sizeof *damages; k++) {
      Fault fault = {0};
      const char *path = records[i][0];
      if (damages[k] == put_large && i >= N_JSON) continue; /* tables may be large */
      assert_int_equal(file_remove(temp_path(path), &fault), ERR_OK);
      damages[k](path);
      run_readers(i, damages[k] == put_large ? 8 : 1);
      put(path, records[i][1], strlen(records[i][1]));
    }
}

TEST(every_file_may_be_no_record) { in_silence(damage_all_files); }
