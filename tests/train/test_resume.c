/* Runs that are stopped, signalled or killed and run again: they end with the bytes of
 * one that was never interrupted. Each attempt is a process of its own; the test itself
 * never starts a thread, so it may fork. */
#include "test.h"
#include "resume_scripts.h"
#include "tempdir.h"
#include "base/file.h"
#include "base/sys.h"
#include "lua/checkpoints.h"
#include "lua/run_record.h"
#include "lua/interrupt.h"
#include "base/version.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* -- one attempt ------------------------------------------------------------------- */

typedef enum How {
  THROUGH,                     /* never interrupted */
  ASKED,                       /* asked to stop at question number `at` */
  SIGNAL,                      /* a signal arrives then: in the middle of what
                                  follows */
  CRASH                        /* the process is gone */
} How;

typedef struct Attempt {
  const char *code, *directory; /* directory NULL: not resumable */
  int threads;
  double interval_s;
  How how;
  int at;
  bool records; /* the run leaves one */
} Attempt;

static struct {
  How how;
  int left;
  Text out;
} child;

/* From question number `at` on the answer is yes, as it is once a signal is pending. */
static bool counted(void) {
  if (child.how == THROUGH || --child.left > 0) return false;
  if (child.how == SIGNAL && child.left == 0) interrupt_raise();
  if (child.how == CRASH) _exit(9);
  return child.how == ASKED;
}

static bool asked_to_stop(void *ctx) {
  (void)ctx;
  return counted();
}

static int lua_result(lua_State *L) {
  text_add(&child.out, luaL_checkstring(L, 1));
  return 0;
}

/* Once, in the attempt that is to be signalled. It comes when the next fit begins: the
 * guard over the script is not reported. */
static int lua_signal(lua_State *L) {
  (void)L;
  interrupt_tell(NULL, NULL);
  if (child.how == SIGNAL) interrupt_raise();
  return 0;
}

static int lua_step_done(lua_State *L) {
  (void)L;
  if (counted()) interrupt_raise();
  return 0;
}

static void add_global(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* Where the test finds them, whatever the record's directory is called. */
static void copy_metrics(const Session *s) {
  char path[1024];
  size_t n;
  snprintf(path, sizeof path, "%s/metrics.csv", s->record->run.directory);
  char *bytes = temp_read(path, &n);
  if (!bytes) abort();
  temp_file("metrics.csv", bytes, n);
  free(bytes);
}

typedef struct Body {
  const Attempt *attempt;
  Session *session;
  Err err;
  Fault fault;
} Body;

static void run_body(void *ctx) {
  Body *body = ctx;
  const Attempt *a = body->attempt;
  Session *s = body->session;
  lua_State *L = session_open(s, &body->fault);
  if (!L) abort();
  lua_pushcfunction(L, lua_result);
  add_global(L, "result");
  lua_pushcfunction(L, lua_step_done);
  add_global(L, "step_done");
  lua_pushcfunction(L, lua_signal);
  add_global(L, "signal");
  bind_push_run(L);
  add_global(L, "run");
  bind_watch_interrupts(L, NULL);
  FitCheckpointer *cp = session_checkpointer(L);
  if (cp) cp->asked_to_stop = asked_to_stop;
  Text code = {0};
  text_addf(&code, "%s%s", prelude, a->code);
  if (luaL_loadbuffer(L, code.data, code.n_bytes, "=script"))
    body->err = bind_fault_from_lua(L, &body->fault);
  else body->err = bind_call_protected(L, 0, 0, &body->fault);
  Fault fault = {0};
  if (body->err == ERR_INTERRUPT && session_keep_checkpoints(s, &fault))
    fprintf(stderr, "%s\n", fault.text);
  if (a->records) copy_metrics(s);
  text_deinit(&code);
  session_close(s, L);
}

/* In the child: ends it with the run's exit status. */
static void be_child(const Attempt *a) {
  Fault fault = {0};
  Session s = {.resume = {.directory = a->directory, .period_s = a->interval_s},
               .launch = {.script = a->records ? "job.lua" : NULL,
                          .runs = temp_path("runs")}};
  int fd = open(temp_path("err.txt"), O_WRONLY | O_CREAT | O_APPEND, 0666);
  dup2(fd, 2);
  setenv("NET", temp_path("net.safetensors"), 1);
  alarm(120);
  child.how = a->how;
  child.left = a->at;
  if (graph_open(&s.graph, a->threads, 1, &fault)) _exit(1);
  s.graph.par.threshold = 1;
  Body body = {.attempt = a, .session = &s};
  par_team(&s.graph.par, run_body, &body);
  graph_close(&s.graph);
  if (body.err && body.err != ERR_INTERRUPT) fprintf(stderr, "%s\n", body.fault.text);
  if (!body.err && file_put(temp_path("result.txt"), child.out.data, child.out.n_bytes,
                            PUBLISH_REPLACE, &fault))
    _exit(1);
  _exit(body.err ? err_exit_status(body.err) : 0);
}

static pid_t start(const Attempt *a) {
  temp_path("x"); /* makes the directory, here and not in a child */
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) be_child(a);
  return pid;
}

static int wait_for(pid_t pid) {
  int status;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *said(void) {
  char *text = temp_read(temp_path("err.txt"), NULL);
  return text ? text : calloc(1, 1);
}

static char *take_result(void) {
  char *text = temp_read(temp_path("result.txt"), NULL);
  if (!text) fail_msg("no result; stderr: %s", said());
  remove(temp_path("result.txt"));
  return text;
}

static int attempt(const Attempt *a) {
  remove(temp_path("err.txt"));
  return wait_for(start(a));
}

static char *uninterrupted(const char *code, int threads) {
  int status = attempt(&(Attempt){.code = code, .threads = threads});
  if (status) fail_msg("status %d: %s", status, said());
  return take_result();
}

static const char *fresh_directory(void) {
  static char directory[512];
  snprintf(directory, sizeof directory, "%s", temp_path("trial"));
  nftw(directory, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return directory;
}

static void check_equal(const char *got, const char *want, const Attempt *a) {
  if (strcmp(got, want) == 0) return;
  size_t i = 0;
  while (got[i] == want[i]) i++;
  while (i && got[i - 1] != '\n') i--;
  fail_msg("how %d at %d: got %.200s, want %.200s", a->how, a->at, got + i, want + i);
}

/* Attempt after attempt, each interrupted `by` questions later than the one before
 * it. */
static int until_done(Attempt *a, int by, const char *want) {
  enum { MANY = 200 };
  int n = 0, status;
  a->directory = fresh_directory();
  while ((status = attempt(a)) != 0) {
    if (status != (a->how == CRASH ? 9 : 3)) fail_msg("status %d: %s", status, said());
    if (++n == MANY)
      fail_msg("how %d at %d: no end after %d attempts", a->how, a->at, n);
    a->at += by;
  }
  char *got = take_result();
  check_equal(got, want, a);
  free(got);
  return n;
}

/* -- the scripts ------------------------------------------------------------------- */

/* Interrupted again and again, `at` questions (steps, ends of epochs) after each start.
 * In a loop of one's own only ends of epochs are kept: it gets six more, and one more
 * each time. */
static void check_script(const char *code, bool loop) {
  static const struct { How how; int at; bool always; } plans[] = {
      {ASKED, 5, true},   {ASKED, 13, true},  {SIGNAL, 4, true},  {SIGNAL, 7, true},
      {CRASH, 4, true},   {ASKED, 1, false},  {ASKED, 2, false},  {ASKED, 3, false},
      {ASKED, 4, false},  {ASKED, 6, false},  {ASKED, 8, false},  {SIGNAL, 1, false},
      {SIGNAL, 2, false}, {SIGNAL, 3, false}, {SIGNAL, 5, false}, {CRASH, 3, false},
      {CRASH, 7, false},  {CRASH, 10, false}};
  char *want = uninterrupted(code, 1), *two = uninterrupted(code, 2);
  check_equal(two, want, &(Attempt){.threads = 2});
  for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
    if (!plans[i].always && !getenv("LONG")) continue;
    bool crash = plans[i].how == CRASH;
    Attempt a = {.code = code, .threads = i % 3 == 1 ? 2 : 1,
                 .interval_s = crash ? 0 : 1e9,
                 .how = plans[i].how, .at = plans[i].at + (loop && !crash ? 6 : 0)};
    assert_true(until_done(&a, crash ? 2 : loop, want) > 0);
  }
  free(want);
  free(two);
}

TEST(one_step_at_a_time) {
  char *want = uninterrupted(adam, 1);
  Attempt a = {.code = adam, .threads = 2, .interval_s = 1e9, .how = ASKED, .at = 1};
  assert_true(until_done(&a, 0, want) > 20);
  free(want);
}

TEST(metrics_in_the_middle_of_an_epoch) {
  char *want = uninterrupted(measured, 1);
  Attempt a = {
      .code = measured, .threads = 2, .interval_s = 1e9, .how = ASKED, .at = 2};
  assert_true(until_done(&a, 0, want) > 3);
  free(want);
}

TEST(seeds_set_by_a_callback) {
  char *want = uninterrupted(seeded, 1);
  for (int at = 1; at < 4; at++) {
    Attempt a = {
        .code = seeded, .threads = 1, .interval_s = 1e9, .how = ASKED, .at = at};
    assert_true(until_done(&a, 0, want) > 3);
  }
  free(want);
}

TEST(adam_batch_norm_dropout_early_stopping) { check_script(adam, false); }
TEST(averages_and_plateaus) { check_script(averaged, false); }
TEST(statistics_of_an_average) { check_script(recomputed, true); }
TEST(steps_of_several_evaluations) { check_script(searching, false); }
TEST(momentum_clipping_schedule_by_step) { check_script(momentum, false); }
TEST(weights_of_rows_and_classes) { check_script(weighted, false); }
TEST(callbacks_that_remember) { check_script(callbacks, false); }
TEST(windows_of_probes) { check_script(probed, false); }
TEST(fits_in_sequence_share_an_optimizer) { check_script(sequence, false); }
TEST(functions_of_the_script) { check_script(functions, false); }
TEST(a_loop_of_ones_own) { check_script(own_loop, true); }
TEST(layers_of_two_nets) { check_script(shared_layers, true); }

/* -- damage ------------------------------------------------------------------------ */

static char *bytes_of(const char *path, size_t *n) {
  char *bytes = temp_read(path, n);
  if (!bytes) fail_msg("%s is not there", path);
  return bytes;
}

static void damage(const char *path, bool cut) {
  size_t n;
  char *bytes = bytes_of(path, &n);
  if (cut) n /= 2;
  else bytes[n - 3] ^= 16;
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  fclose(file);
  free(bytes);
}

static const char *trial_file(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "trial/%s", name);
  return temp_path(path);
}

static bool is_there(const char *name) { return access(trial_file(name), F_OK) == 0; }

/* Crashed in the fifth epoch: epochs 3 and 4 are on disk. */
static Attempt crashed(const char *code) {
  Attempt a = {.code = code, .directory = fresh_directory(), .threads = 1, .how = CRASH,
               .at = 18};
  assert_int_equal(attempt(&a), 9);
  assert_true(is_there("checkpoint-fit1-2.safetensors"));
  assert_true(is_there("checkpoint-fit1-3.safetensors"));
  assert_false(is_there("checkpoint-fit1-1.safetensors"));
  a.how = THROUGH;
  return a;
}

static void check_said(const char *part, bool wanted) {
  char *text = said();
  if ((strstr(text, part) != NULL) != wanted)
    fail_msg("stderr says %s \"%s\": %s", wanted ? "not" : "after all", part, text);
  free(text);
}

static void check_resumed(const Attempt *a, const char *want) {
  int status = attempt(a);
  if (status) fail_msg("status %d: %s", status, said());
  char *got = take_result();
  check_equal(got, want, a);
  free(got);
}

TEST(a_damaged_checkpoint_gives_way_to_the_one_before) {
  char *want = uninterrupted(adam, 1);
  for (int cut = 0; cut < 2; cut++) {
    Attempt a = crashed(adam);
    damage(trial_file("checkpoint-fit1-3.safetensors"), cut);
    check_resumed(&a, want);
    check_said("checkpoint-fit1-3.safetensors: ", true);
    check_said("the one before is used", true);
    a = crashed(adam);
    damage(trial_file("checkpoint-fit1-3.safetensors"), cut);
    damage(trial_file("checkpoint-fit1-2.safetensors"), !cut);
    check_resumed(&a, want);
    check_said("it starts over", true);
  }
  Attempt a = crashed(adam);
  check_resumed(&a, want);
  check_said("checkpoint", false);
  assert_true(is_there("checkpoint-fit1.safetensors"));
  damage(trial_file("checkpoint-fit1.safetensors"), false);
  check_resumed(&a, want);
  check_said("the one before is used", true);
  free(want);
}

/* Writes `to` over the bytes `from`, of the same length, in the file. */
static void overwrite(const char *path, const char *from, const char *to) {
  size_t n, at = 0, length = strlen(from);
  char *bytes = bytes_of(path, &n);
  while (at + length < n && memcmp(bytes + at, from, length) != 0) at++;
  assert_true(at + length < n);
  memcpy(bytes + at, to, length);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  fclose(file);
  free(bytes);
}

TEST(a_resume_point_of_other_numerics_starts_over) {
  char *want = uninterrupted(adam, 1), from[32];
  snprintf(from, sizeof from, "\"numerics\":\"%d\"", NUMERICS);
  Attempt a = crashed(adam);
  for (int i = 2; i <= 3; i++) {
    char name[64], to[sizeof from];
    snprintf(name, sizeof name, "checkpoint-fit1-%d.safetensors", i);
    snprintf(to, sizeof to, "%s", from);
    to[strlen(to) - 2]--;
    overwrite(trial_file(name), from, to);
  }
  check_resumed(&a, want);
  check_said("computes other bytes", true);
  check_said("it starts over", true);
  free(want);
}

TEST(another_fit_starts_over) {
  char changed[2048];
  snprintf(changed, sizeof changed, "%s", adam);
  char *epochs = strstr(changed, "epochs = 7");
  assert_non_null(epochs);
  epochs[9] = '6';
  char *want = uninterrupted(changed, 1);
  Attempt a = crashed(adam);
  a.code = changed;
  check_resumed(&a, want);
  check_said("another fit's (options.epochs: 7, then 6)", true);
  free(want);
}

TEST(a_directory_that_cannot_be_written_ends_no_fit) {
  char *want = uninterrupted(adam, 1);
  Attempt a = {.code = adam, .threads = 1, .how = THROUGH};
  char path[512];
  snprintf(path, sizeof path, "%s/below", temp_file("plain", "x", 1));
  a.directory = path;
  check_resumed(&a, want);
  check_said("no checkpoint of fit 1 was kept", true);
  free(want);
}

TEST(what_was_left_by_a_killed_write_is_removed) {
  Attempt a = crashed(adam);
  close(creat(trial_file("checkpoint-fit1-9.safetensors.tmp-77"), 0666));
  assert_int_equal(attempt(&a), 0);
  free(take_result());
  assert_false(is_there("checkpoint-fit1-9.safetensors.tmp-77"));
  checkpoints_remove(a.directory);
  assert_false(is_there("checkpoint-fit1.safetensors"));
  assert_false(is_there("checkpoint-fit1-3.safetensors"));
}

/* -- the run in scripts ------------------------------------------------------------ */

static void script_says(const char *code, const char *part) {
  Attempt a = {.code = code, .threads = 1, .directory = fresh_directory()};
  char *text = (assert_int_equal(attempt(&a), 1), said());
  if (!strstr(text, part)) fail_msg("stderr does not say \"%s\": %s", part, text);
  free(text);
}

TEST(wrong_use_of_the_run_is_told) {
  script_says("run:checkpoint(3)", "table expected");
  script_says("run.checkpoint { epoch = 1 }", "is called on the run");
  script_says("run:checkpoint { f = print }", "f: a function cannot be kept");
  script_says("run:checkpoint { list = { nn.Dense(2) } }", "cannot be kept");
  script_says("local t = {}; t.t = t; run:checkpoint { t = t }",
              "does one hold itself?");
  script_says("run:checkpoint { [1] = nn.Dense(2) }", "is under 1");
  script_says("run:checkpoint({}, 'fit3')", "name \"fit3\"; allowed");
  script_says("run:checkpoint { net = nn.Dense(2) }; run:restore {}",
              "holds the net \"net\", got nil");
  script_says("run:checkpoint { a = 1 }; run:restore { b = nn.Dense(2) }",
              "\"b\" is not among");
  script_says("local net, opt = nn.Sequential { nn.Dense(3) }, optim.Adam()\n"
              "train.fit(net, set, { loss = SCE, optimizer = opt, verbose = false })\n"
              "run:checkpoint { opt = opt }",
              "has trained 2 variables, of which 0");
  script_says("local a = nn.Sequential { nn.Dense(3) }; a:build { 2 }\n"
              "run:checkpoint { net = a }\n"
              "local b = nn.Sequential { nn.Dense(4) }; b:build { 2 }\n"
              "run:restore { net = b }",
              "net: dense_1.weight: is real 2x4, in the checkpoint");
  script_says("train.fit(nn.Dense(3), set, { loss = SCE, run = 1 })", "option \"run\"");
  script_says("train.fit(nn.Dense(3), set, { loss = SCE, callbacks = { {} } })",
              "without a function `epoch_end`");
  script_says("train.callback(print, { state = print })", "\"restore\" is missing");
  script_says("train.fit(nn.Dense(3), set, { loss = SCE, verbose = false, callbacks = "
              "{\n"
              "  train.callback(print, { state = function() return print end,\n"
              "  restore = print }) } })",
              "a function cannot be kept");
}

TEST(restore_gives_nothing_before_a_checkpoint_and_plain_values_after) {
  Attempt a = {.threads = 1, .directory = fresh_directory(), .code =
      "assert(run:restore() == nil)\n"
      "assert(run:checkpoint { n = 1, list = { true, 2.5, 'x', { k = tensor { 1, 2 } } "
      "} })\n"
      "local s = run:restore()\n"
      "assert(s.n == 1 and math.type(s.n) == 'integer' and s.list[1] == true)\n"
      "assert(s.list[2] == 2.5 and s.list[3] == 'x' and s.list[4].k:sum():item() == "
      "3)\n"
      "assert(run:restore(nil, 'other') == nil)\n"};
  int status = attempt(&a);
  if (status) fail_msg("%s", said());
  free(take_result());
  a.directory = NULL;
  a.code = "assert(run:checkpoint { n = 1 } == false and run:restore() == nil)";
  assert_int_equal(attempt(&a), 0);
  free(take_result());
}

/* The net is not built yet, nothing is drawn: the checkpoint says just that. */
TEST(stopped_before_the_first_step) {
  Text code = {0};
  text_addf(&code, "signal()\n%s", adam);
  char *want = uninterrupted(code.data, 1);
  Attempt a = {.code = code.data, .threads = 1, .directory = fresh_directory(),
               .how = SIGNAL, .at = -1};
  assert_int_equal(attempt(&a), 3);
  assert_true(is_there("checkpoint-fit1-1.safetensors"));
  a.how = THROUGH;
  check_resumed(&a, want);
  text_deinit(&code);
  free(want);
}

/* -- the record -------------------------------------------------------------------- */

/* Without the last column, the time. */
static char *rows_of_record(void) {
  char *text = bytes_of(temp_path("metrics.csv"), NULL), *out = text;
  for (char *line = text; *line;) {
    char *end = strchr(line, '\n'), *comma = end;
    while (*comma != ',') comma--;
    memmove(out, line, (size_t)(comma - line));
    out += comma - line;
    *out++ = '\n';
    line = end + 1;
  }
  *out = 0;
  return text;
}

TEST(the_record_of_a_resumed_run_has_every_row_once) {
  Attempt a = {
      .code = adam, .threads = 1, .records = true, .directory = fresh_directory()};
  assert_int_equal(attempt(&a), 0);
  char *want = rows_of_record();
  a.directory = fresh_directory();
  a.how = ASKED;
  for (a.at = 9; attempt(&a) == 3; a.at = 9) remove(temp_path("metrics.csv"));
  char *got = rows_of_record();
  check_equal(got, want, &a);
  assert_int_equal(attempt(&a), 0); /* the fit is finished, its rows are there again */
  free(got);
  got = rows_of_record();
  check_equal(got, want, &a);
  free(got);
  free(want);
  free(take_result());
}

/* -- killed at any moment ---------------------------------------------------------- */

static const char much[] =
    "local opt = optim.Adam { lr = 0.01 }\n"
    "local net = nn.Sequential { nn.Dense(32), nn.BatchNorm(), nn.activation('relu'),\n"
    "  nn.Dropout(0.3), nn.Dense(3) }\n"
    "local seen = { n = 0, epoch_end = function(self) self.n = self.n + math.random() "
    "end,\n"
    "  state = function(self) return self.n end, restore = function(self, n) self.n = "
    "n end }\n"
    "for round = 1, 3 do\n"
    "  local h = train.fit(net, set, { loss = SCE, optimizer = opt, epochs = 40,\n"
    "    batch_size = 8, validation = 0.2, verbose = false,\n"
    "    callbacks = { train.early_stopping { patience = 30 }, seen } })\n"
    "  show_history(h); show('seen', seen.n)\n"
    "end\n"
    "show_net(net); show_draws()\n";

TEST(killed_at_any_moment) {
  if (!getenv("LONG")) return;
  enum { RUNS = 25, MOST_KILLS = 200 };
  char *want = uninterrupted(much, 2);
  int n_kills = 0;
  for (uint64_t run = 0; run < RUNS; run++) {
    Attempt a = {
        .code = much, .directory = fresh_directory(), .threads = 1 + (int)run % 2};
    for (int n = 0, status = 1; status; n++) {
      if (n == MOST_KILLS) fail_msg("no end after %d kills", n);
      remove(temp_path("err.txt"));
      pid_t pid = start(&a);
      uint64_t wait_us = 1000 + philox_below((Stream){7, run}, (uint64_t)n, 150000);
      usleep((useconds_t)wait_us);
      kill(pid, SIGKILL);
      status = wait_for(pid);
      if (status && status != 128 + SIGKILL) fail_msg("status %d: %s", status, said());
      n_kills += status != 0;
    }
    char *got = take_result();
    check_equal(got, want, &a);
    free(got);
  }
  printf("%d kills\n", n_kills);
  free(want);
}
