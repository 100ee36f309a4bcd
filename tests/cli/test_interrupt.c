/* Ctrl-C and Ctrl-Z in a terminal: the prompt, and studies whose trials start
 * programs. */
#include "terminal.h"
#include <termios.h>

/* Waits until the file is there. */
static void await_file(const char *name) {
  double begin_s = clock_s();
  while (access(temp_path(name), F_OK)) {
    if (clock_s() - begin_s > PATIENCE) fail_msg("%s is not made", name);
    usleep(10000);
  }
}

static void make_file(const char *name) { temp_file(name, "", 0); }

/* -- the prompt -------------------------------------------------------------------- */

typedef Terminal Opener(int columns, const char *const *words);

static Terminal open_prompt_as(Opener *open) {
  Terminal t = open(80, NULL);
  terminal_expect(&t, "\n> ");
  terminal_line(&t, "kept = 5", NULL);
  return t;
}

static Terminal open_prompt(void) { return open_prompt_as(terminal_open); }

/* Presses Ctrl-C until the prompt is there, which is at the second time at the
 * latest. */
static void check_ends(const char *statement) {
  Terminal t = open_prompt();
  terminal_type(&t, statement);
  terminal_type(&t, "\r");
  terminal_expect(&t, "\nruns\n");
  terminal_type(&t, "\3");
  terminal_expect(&t, "^C");
  usleep(400000); /* longer than a key that is held down is one signal */
  terminal_type(&t, "\3");
  terminal_expect(&t, "interrupted\n");
  terminal_expect(&t, "> ");
  terminal_line(&t, "kept", "5");
  terminal_type(&t, "\4");
  terminal_end(&t, 0);
}

TEST(the_second_ctrl_c_always_wins_and_keeps_the_variables) {
  check_ends("print 'runs' while true do pcall(function() while true do end end) end");
  check_ends("print 'runs' while true do pcall(os.execute, 'sleep 100') end");
  check_ends("print 'runs' xpcall(function() while true do end end, "
             "function() while true do end end)");
  check_ends(
      "net, set = nn.Sequential { nn.Dense(2) }, data.moons { n = 64 } print 'runs' "
      "while true do pcall(train.fit, net, set, { loss = 'cross_entropy', epochs = "
      "1e9, verbose = false }) end");
  check_ends(
      "experiment { factors = { a = { 1, 2 } }, seeds = 1, metric = 'x', goal = 'max', "
      "trial = function() print 'runs' while true do pcall(function() while true do "
      "end end) end end }");
}

TEST(a_key_that_is_held_down_ends_no_session) {
  Terminal t = open_prompt();
  terminal_type(&t, "print 'runs' while true do end\r");
  terminal_expect(&t, "\nruns\n");
  terminal_type(&t, "\3\3\3\3\3\3\3\3");
  terminal_expect(&t, "interrupted\n");
  terminal_line(&t, "kept", "5");
  terminal_type(&t, "\4");
  terminal_end(&t, 0);
}

/* Copies what /proc says of the process from its state on. */
static void read_stat(pid_t pid, char *fields, size_t room) {
  char path[64], *text;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  text = temp_read(path, NULL);
  const char *name_end = text ? strrchr(text, ')') : NULL;
  snprintf(fields, room, "%s", name_end ? name_end + 2 : "");
  free(text);
}

/* Ticks of the processor that it has used. */
static unsigned long ticks_of(pid_t pid) {
  char fields[1024];
  unsigned long ticks = 0;
  read_stat(pid, fields, sizeof fields);
  sscanf(fields, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu", &ticks);
  return ticks;
}

/* Until what was printed before is long past. */
static void wait_for_work(pid_t pid) {
  unsigned long before = ticks_of(pid);
  for (double begin_s = clock_s(); ticks_of(pid) < before + 5; usleep(10000))
    assert_true(clock_s() - begin_s < PATIENCE);
}

/* The thread sanitizer hands signals on at the calls that it knows, of which there is
 * none. */
TEST(what_runs_in_c_ends_at_the_third_ctrl_c) {
  int status = 0;
  const char *instrumented = getenv("INSTRUMENTED");
  if (instrumented && strcmp(instrumented, "tsan") == 0) return;
  Terminal t = open_prompt();
  terminal_type(&t, "print 'runs' _ = ('a'):rep(100000):find '.-.-.-.-.-.-b'\r");
  terminal_expect(&t, "\nruns\n");
  wait_for_work(t.pid);
  for (double begin_s = clock_s(); clock_s() - begin_s < PATIENCE;) {
    terminal_type(&t, "\3");
    terminal_wait(&t, POLLIN);
    if (waitpid(t.pid, &status, WNOHANG) == t.pid) break;
    usleep(400000);
  }
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  close(t.fd);
  text_deinit(&t.seen);
}

static char state_of(pid_t pid) {
  char fields[1024];
  read_stat(pid, fields, sizeof fields);
  return fields[0];
}

static void await_state(pid_t pid, bool stopped) {
  for (double begin_s = clock_s(); (state_of(pid) == 'T') != stopped;) {
    if (clock_s() - begin_s > PATIENCE) fail_msg("state %c", state_of(pid));
    usleep(10000);
  }
}

#ifdef HAVE_LIBEDIT

TEST(ctrl_z_gives_the_terminal_back_and_keeps_the_line) {
  struct termios mode;
  Terminal t = open_prompt_as(terminal_open_job);
  terminal_type(&t, "kept + ");
  terminal_expect(&t, "kept + ");
  terminal_type(&t, "\32");
  await_state(t.job, true);
  assert_int_equal(tcgetattr(t.fd, &mode), 0);
  assert_true((mode.c_lflag & ICANON) && (mode.c_lflag & ECHO));
  kill(t.job, SIGCONT);
  terminal_expect(&t, "> kept + ");
  assert_int_equal(tcgetattr(t.fd, &mode), 0);
  assert_false(mode.c_lflag & ICANON);
  terminal_line(&t, "2", "7");
  terminal_type(&t, "\4");
  terminal_end(&t, 0);
}

/* Where no shell is that could let it go on, it does not stop. */
TEST(ctrl_z_in_the_first_program_of_a_terminal_stops_no_prompt) {
  Terminal t = open_prompt();
  terminal_type(&t, "kept + ");
  terminal_expect(&t, "kept + ");
  terminal_type(&t, "\32");
  terminal_expect(&t, "> kept + ");
  terminal_line(&t, "2", "7");
  terminal_type(&t, "\4");
  terminal_end(&t, 0);
}

#endif

/* -- studies ----------------------------------------------------------------------- */

static Terminal open_study_as(Opener *open, const char *trial) {
  Text code = {0};
  text_addf(&code,
            "experiment { factors = { a = { 1 } }, seeds = 1, metric = 'score', goal = "
            "'max', trial = function(c) %s end }\n",
            trial);
  temp_file("t.lua", code.data, code.n_bytes);
  text_deinit(&code);
  remove(temp_path("begun"));
  remove(temp_path("go"));
  return open(80, (const char *[]){"--jobs", "1", "--runs", "none", "t.lua", NULL});
}

static Terminal open_study(const char *trial) {
  return open_study_as(terminal_open, trial);
}

static void close_study(Terminal *t, const char *said, int status) {
  if (said) terminal_expect(t, said);
  terminal_end(t, status);
  Text command = {0};
  text_addf(&command, "rm -rf '%s'", temp_path("none"));
  assert_int_equal(system(command.data), 0);
  text_deinit(&command);
}

TEST(the_first_ctrl_c_does_not_reach_programs_of_a_trial) {
  Terminal t = open_study(
      "local p, n = io.popen 'touch begun; while [ ! -e go ]; do sleep 0.05; done; "
      "echo 1; echo 2; echo 3', 0 for _ in p:lines() do n = n + 1 end p:close() "
      "assert(n == 3) return { score = n }");
  await_file("begun");
  terminal_type(&t, "\3");
  terminal_expect(&t, "running trials are finished");
  make_file("go");
  close_study(&t, "0 left", 0);
}

TEST(the_second_ctrl_c_ends_the_programs_of_a_trial) {
  Terminal t = open_study("os.execute 'touch begun; sleep 1000' return { score = 1 }");
  await_file("begun");
  terminal_type(&t, "\3");
  terminal_expect(&t, "running trials are finished");
  terminal_type(&t, "\3");
  close_study(&t, "1 of 1 trials", 3);
}

/* A trial has no terminal to read from, and does not stop for trying; it may write
 * there, also where others in the background may not. */
TEST(a_trial_that_reads_the_terminal_is_told_so) {
  Terminal t = open_study("os.execute 'stty tostop </dev/tty' "
                          "local read = os.execute 'read x </dev/tty' os.execute 'echo "
                          "from the trial >/dev/tty' assert(not read and not "
                          "io.read()) return { score = 1 }");
  terminal_expect(&t, "from the trial");
  close_study(&t, "0 left", 0);
}

/* Of the trial that has begun, by what it wrote. */
static pid_t worker_of_trial(void) {
  await_file("begun");
  char *text = temp_read(temp_path("worker"), NULL);
  pid_t worker = (pid_t)atoi(text ? text : "0");
  free(text);
  assert_true(worker > 0);
  return worker;
}

#define TELLS_WORKER                                                                   \
  "local f = io.open('worker', 'w') f:write((io.open '/proc/self/stat':read 'n')) "    \
  "f:close() "

TEST(ctrl_z_stops_the_workers_too_and_nothing_is_lost) {
  Terminal t = open_study_as(terminal_open_job,
                             TELLS_WORKER "os.execute 'touch begun; while [ ! -e go ]; "
                                          "do sleep 0.05; done' return { score = 1 }");
  pid_t worker = worker_of_trial();
  terminal_type(&t, "\32");
  await_state(t.job, true);
  await_state(worker, true);
  make_file("go");
  kill(t.job, SIGCONT);
  await_state(worker, false);
  close_study(&t, "0 left", 0);
}

TEST(ctrl_z_in_the_first_program_of_a_terminal_stops_no_study) {
  Terminal t = open_study(TELLS_WORKER
                          "os.execute 'touch begun; while [ ! -e go ]; do sleep 0.05; "
                          "done' return { score = 1 }");
  pid_t worker = worker_of_trial();
  terminal_type(&t, "\32");
  terminal_expect(&t, "^Z");
  make_file("go");
  close_study(&t, "0 left", 0);
  assert_int_not_equal(kill(worker, 0), 0);
}

TEST(a_study_that_ends_while_it_is_stopped_takes_its_workers_along) {
  Terminal t = open_study_as(terminal_open_job,
                             TELLS_WORKER "os.execute 'touch begun; sleep 1000' return "
                                          "{ score = 1 }");
  pid_t worker = worker_of_trial();
  terminal_type(&t, "\32");
  await_state(worker, true);
  kill(t.job, SIGKILL);
  assert_int_equal(waitpid(t.pid, NULL, 0), t.pid);
  for (double begin_s = clock_s(); kill(worker, 0) == 0 && state_of(worker) != 'Z';) {
    if (clock_s() - begin_s > PATIENCE)
      fail_msg("the worker is left: %c", state_of(worker));
    usleep(10000);
  }
  close(t.fd);
  text_deinit(&t.seen);
}
