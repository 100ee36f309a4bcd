/* study_pool.c: the coordinator: a study's trials on worker processes.
 *
 * One loop: give work to idle workers, wait for what they say, take note, show
 * progress. A worker is this program again (posix_spawn of /proc/self/exe with the
 * command "worker"): a process that OpenMP has run in must not fork. Its stdin and
 * stdout are /dev/null, its stderr comes here, and descriptor 3 is its end of the link
 * (study_link.h). While a trial runs stdout and stderr are its logs, and what it says
 * is read out of the latter (study_stderr.h).
 *
 * A worker is the leader of a process group, in which the programs are that its trials
 * start. So Ctrl-C at a terminal reaches the coordinator alone, which says when a trial
 * has to stop: by SIGTERM to the whole group, which ends with its worker. Ctrl-Z stops
 * the workers too. A worker sees by its link that the coordinator is gone
 * (worker.c). */
#include "lab/study_pool.h"
#include "base/file.h"
#include "base/out.h"
#include "base/par.h"
#include "base/path.h"
#include "base/sys.h"
#include "lab/crash.h"
#include "base/lock.h"
#include "lab/study_link.h"
#include "lab/study_progress.h"
#include "lab/study_stderr.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { WORKER_FD = 3, SPARE_FD = 16, POLL_MS = 200, OTHERS_MS = 500 };
enum { LAST_READS = 64, END_POLL_MS = 2, END_GRACE_S = 20, GONE_GRACE_S = 2 };

typedef struct Worker {
  pid_t pid; /* 0: there is none in this place */
  Link link;
  int stderr_fd;
  LogReader reader;
  int64_t trial; /* that it runs; -1: idle */
  bool asked_to_stop;
} Worker;

static const Worker no_worker = {.link.fd = -1, .stderr_fd = -1, .trial = -1};

typedef struct Pool {
  Study *study;
  const PoolOptions *options;
  Worker *workers;
  struct pollfd *polled; /* two per worker: link and stderr */
  StudyProgress progress;
  ShownLines shown; /* lines of trials that were passed on */
  bool stopping;    /* nothing new is begun */
  Fault ended;      /* what ends the study once running trials are finished */
  int n_heeded;     /* signals so far */
  double stopped_s; /* when the running trials were asked to stop; 0: they were not */
  double others_s;  /* when trials of others were looked at last */
  int64_t n_others;
  Fault *fault;
} Pool;

bool pool_share_cores(PoolOptions *options) {
  int cores = par_cores();
  if (options->jobs == 0)
    options->jobs = options->threads ? cores / options->threads : cores;
  if (options->jobs < 1) options->jobs = 1;
  if (options->threads == 0) options->threads = cores / options->jobs;
  if (options->threads < 1) options->threads = 1;
  return options->jobs * options->threads > cores;
}

/* -- starting a worker ------------------------------------------------------------- */

/* Descriptors of a worker are kept out of the way of 0 to 3, where it will find
 * them. */
static int out_of_the_way(int fd) {
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, SPARE_FD);
  close(fd);
  return moved;
}

/* fds: ours and the worker's end of the link, ours and the worker's end of its
 * stderr. */
static bool open_channels(int fds[4]) {
  for (int i = 0; i < 4; i += 2) {
    int pair[2];
    if (i ? pipe2(pair, O_CLOEXEC)
          : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
      return false;
    for (int k = 0; k < 2; k++) fds[i + k] = out_of_the_way(pair[k]);
  }
  fcntl(fds[2], F_SETFL, O_NONBLOCK);
  return fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0 && fds[3] >= 0;
}

static void close_channels(const int fds[4]) {
  for (int i = 0; i < 4; i++)
    if (fds[i] >= 0) close(fds[i]);
}

/* runner --threads T --runs DIR worker SCRIPT WORD... */
static pid_t spawn(const PoolOptions *o, const int fds[4]) {
  char threads[16];
  snprintf(threads, sizeof threads, "%d", o->threads);
  char **argv = calloc((size_t)o->n_words + 10, sizeof *argv);
  if (!argv) return -1;
  const char *fixed[] = {"runner", "--threads", threads, "--runs", o->runs, "worker",
                         "--",
                         o->script};
  int n = sizeof fixed / sizeof *fixed;
  for (int i = 0; i < n; i++) argv[i] = (char *)fixed[i];
  for (int i = 0; i < o->n_words; i++) argv[n++] = o->words[i];
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  pid_t pid = -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fds[3], 2);
  posix_spawn_file_actions_adddup2(&actions, fds[1], WORKER_FD);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  if (posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environ))
    pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  free(argv);
  return pid;
}

static Err start_worker(Pool *pool, Worker *w) {
  int fds[4] = {-1, -1, -1, -1};
  *w = no_worker;
  pid_t pid = open_channels(fds) ? spawn(pool->options, fds) : -1;
  if (pid < 0) {
    close_channels(fds);
    return fault_set(pool->fault, ERR_MEMORY, "a worker cannot be started: %s",
                     strerror(errno));
  }
  close(fds[1]);
  close(fds[3]);
  *w = no_worker;
  w->pid = pid;
  w->link.fd = fds[0];
  w->stderr_fd = fds[2];
  link_send(&w->link, pool->options->hello); /* one that is gone is seen when polled */
  return ERR_OK;
}

/* -- work -------------------------------------------------------------------------- */

static void give(Pool *pool, Worker *w, int64_t trial) {
  Study *s = pool->study;
  const StudyTrial *t = &s->trials[trial];
  const StudyCell *cell = &s->cells[t->cell];
  Json *job = json_mapf("trial %lld id %s seed %lld tuning %hhd fingerprint %s",
                        (long long)trial, t->info.id, (long long)t->info.seed,
                        pool->options->tuning, cell->fingerprint);
  json_put_shared(job, "config", cell->config);
  json_put_shared(job, "cell", cell->levels);
  w->trial = trial;
  log_reader_follow(&w->reader, path_of("%s/%s", s->store.trials, t->info.id).s);
  link_send(&w->link, job);
  json_free(job);
}

/* Idle workers get what is next; workers are started while there is more to do. */
static Err give_work(Pool *pool) {
  for (int i = 0; !pool->stopping && i < pool->options->jobs; i++) {
    Worker *w = &pool->workers[i];
    if (w->pid && (w->trial >= 0 || w->asked_to_stop)) continue;
    int64_t trial = study_next(pool->study);
    if (trial < 0) return ERR_OK;
    if (!w->pid && start_worker(pool, w)) {
      study_put_back(pool->study, trial, false);
      return pool->fault->code;
    }
    give(pool, w, trial);
  }
  return ERR_OK;
}

static int count_running(const Pool *pool) {
  int n = 0;
  for (int i = 0; i < pool->options->jobs; i++)
    n += pool->workers[i].pid && pool->workers[i].trial >= 0;
  return n;
}

/* A trial stops at its next step, and the programs that it started; one that does not
 * in time is ended. */
static void stop_all(Pool *pool) {
  bool late = pool->stopped_s > 0 && clock_s() - pool->stopped_s > END_GRACE_S;
  if (pool->stopped_s == 0) pool->stopped_s = clock_s();
  for (int i = 0; i < pool->options->jobs; i++) {
    Worker *w = &pool->workers[i];
    if (w->pid && (late || !w->asked_to_stop)) kill(-w->pid, late ? SIGKILL : SIGTERM);
    w->asked_to_stop = true;
  }
}

/* -- what workers say -------------------------------------------------------------- */

/* False when there is nothing to be read. */
static bool hear_stderr(Pool *pool, Worker *w) {
  char buffer[4096];
  ssize_t n = read(w->stderr_fd, buffer, sizeof buffer);
  if (n > 0) log_reader_add(&w->reader, &pool->shown, buffer, (size_t)n);
  return n > 0;
}

/* What was said last; a program that the script left behind may go on for ever. */
static void hear_last_words(Pool *pool, Worker *w) {
  for (int i = 0; i < LAST_READS && hear_stderr(pool, w); i++) continue;
  log_reader_end(&w->reader, &pool->shown);
}

/* The study is to end; what runs is finished first. */
static void end_study(Pool *pool, const Fault *why) {
  pool->stopping = true;
  if (!pool->ended.code) pool->ended = *why;
}

/* A result of other code ends the study, a storage that cannot be read ends the run at
 * once. */
static Err after_look(Pool *pool, const Fault *found) {
  if (found->code == ERR_USAGE) end_study(pool, found);
  else if (found->code) *pool->fault = *found;
  return pool->fault->code;
}

static Err look_again(Pool *pool, int64_t trial, bool ended) {
  Fault found = {0};
  (void)!study_look_again(pool->study, trial, ended, &found);
  if (after_look(pool, &found)) return pool->fault->code;
  if (pool->study->trials[trial].info.state == TRIAL_RUNNING) {
    pool->n_others++;
    pool->others_s = clock_s();
  }
  return ERR_OK;
}

static Err on_ended(Pool *pool, int64_t trial) {
  Study *s = pool->study;
  if (look_again(pool, trial, true)) return pool->fault->code;
  study_progress_trial(&pool->progress, s, trial);
  if (pool->options->fail_fast && s->trials[trial].info.state == TRIAL_FAILED &&
      !pool->stopping) {
    err_print("--fail-fast: running trials are finished, then the study ends\n");
    pool->stopping = true;
  }
  return ERR_OK;
}

/* A trial that was not run to its end; after too many such ends it counts as failed. */
static Err lost(Pool *pool, int64_t trial, const char *why) {
  Study *s = pool->study;
  StudyTrial *t = &s->trials[trial];
  Trial claim;
  bool claimed, first;
  study_put_back(s, trial, !pool->stopping);
  if (pool->stopping) return ERR_OK;
  if (++t->deaths < STUDY_DEATHS) {
    study_progress_again(&pool->progress, s, trial, why);
    return ERR_OK;
  }
  Err err = store_claim(&s->store, t->info.id, s->cells[t->cell].config, t->info.seed,
                        &claim, &claimed, pool->fault);
  if (err || !claimed) return err;
  TrialEnd end = {.state = TRIAL_FAILED, .message = why, .step = -1};
  json_put_text(claim.meta, "fingerprint", s->cells[t->cell].fingerprint);
  claim.logless = true;
  err = trial_open(&claim, pool->fault);
  if (!err) err = store_publish(&claim, &end, &first, pool->fault);
  store_release(&claim, why);
  return err ? err : on_ended(pool, trial);
}

static Err on_refused(Pool *pool, int64_t trial, Err code, const char *message) {
  Fault why = {0};
  study_put_back(pool->study, trial, false);
  fault_set(&why, code, "%s", message);
  end_study(pool, &why);
  return ERR_OK;
}

static Err on_reply(Pool *pool, Worker *w, const Json *reply) {
  const char *outcome = json_text(reply, "outcome"),
             *message = json_text(reply, "message");
  const Store *store = &pool->study->store;
  int64_t trial = w->trial;
  if (trial < 0) return ERR_OK;
  hear_last_words(pool, w);
  w->trial = -1;
  switch (job_outcome_parse(outcome)) {
  case JOB_ENDED: return on_ended(pool, trial);
  case JOB_TAKEN: return look_again(pool, trial, false);
  case JOB_STORAGE: /* unless its directory was removed while it ran */
    return file_is_directory(store->trials, pool->study->trials[trial].info.id)
               ? on_refused(pool, trial, ERR_STORAGE, message)
               : lost(pool, trial, message);
  case JOB_CODE: return on_refused(pool, trial, ERR_USAGE, message);
  default:
    return lost(pool, trial, *message ? message : "it was stopped again and again");
  }
}

static void describe_death(const Worker *w, int status, Text *out) {
  if (WIFSIGNALED(status))
    text_addf(out, "its process died of signal %d (%s)", WTERMSIG(status),
              strsignal(WTERMSIG(status)));
  else text_addf(out, "its process ended with status %d", WEXITSTATUS(status));
  if (w->reader.tail.n_bytes) text_addf(out, "; it said:\n%s", w->reader.tail.data);
}

/* Is it gone? It is not reaped yet. */
static bool has_ended(const Worker *w) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == w->pid;
}

/* Ends what is left of the group of a worker, before its number can be another's; its
 * status. */
static int reap(const Worker *w) {
  int status = 0;
  kill(-w->pid, SIGKILL);
  while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

/* Waits until it is gone, so long at most; its status. What it says is read meanwhile:
 * a full pipe would hold it up. */
static int await_end(Pool *pool, Worker *w, double grace_s) {
  double begin = clock_s();
  struct pollfd said = {w->stderr_fd, POLLIN, 0};
  while (!has_ended(w)) {
    poll(&said, 1, END_POLL_MS);
    if (said.revents & POLLIN) hear_stderr(pool, w);
    else if (said.revents)
      said = (struct pollfd){-1, 0, 0}; /* closed: it ends, or sleeps */
    if (clock_s() - begin > grace_s) kill(-w->pid, SIGKILL);
  }
  int status = reap(w);
  hear_last_words(pool, w);
  return status;
}

/* A worker is gone, or closed its link, on its way out: its place is free, its trial is
 * to be run again. */
static Err on_gone(Pool *pool, Worker *w) {
  int64_t trial = w->trial;
  Text why = {0};
  int status = await_end(pool, w, GONE_GRACE_S);
  describe_death(w, status, &why);
  link_close(&w->link);
  close(w->stderr_fd);
  log_reader_deinit(&w->reader);
  *w = no_worker;
  Err err = trial < 0 ? ERR_OK
                      : lost(pool, trial, why.failed ? "out of memory" : why.data);
  text_deinit(&why);
  return err;
}

static Err hear(Pool *pool, Worker *w) {
  bool open = link_receive(&w->link);
  Err err = ERR_OK;
  for (Json *reply; !err && (reply = link_next(&w->link)); json_free(reply))
    err = on_reply(pool, w, reply);
  if (!err && (!open || w->link.fd < 0)) err = on_gone(pool, w);
  return err;
}

/* -- the loop ---------------------------------------------------------------------- */

static Err wait_and_hear(Pool *pool, int timeout_ms) {
  int jobs = pool->options->jobs;
  for (int i = 0; i < jobs; i++) {
    const Worker *w = &pool->workers[i];
    pool->polled[2 * i] = (struct pollfd){w->pid ? w->link.fd : -1, POLLIN, 0};
    pool->polled[2 * i + 1] = (struct pollfd){w->pid ? w->stderr_fd : -1, POLLIN, 0};
  }
  int n = poll(pool->polled, (nfds_t)(2 * jobs), timeout_ms);
  Err err = ERR_OK;
  for (int i = 0; n >= 0 && !err && i < jobs; i++) {
    Worker *w = &pool->workers[i];
    if (!w->pid) continue;
    if (pool->polled[2 * i + 1].revents & POLLIN) hear_stderr(pool, w);
    if (w->trial >= 0) log_reader_read(&w->reader, &pool->shown);
    if (pool->polled[2 * i].revents) err = hear(pool, w);
  }
  return err;
}

static void signal_groups(const Pool *pool, int number) {
  for (int i = 0; i < pool->options->jobs; i++)
    if (pool->workers[i].pid) kill(-pool->workers[i].pid, number);
}

/* Ctrl-Z: all stop, and go on together. The time in between is no grace. */
static void stop_for_a_while(Pool *pool) {
  out_progress_end(true);
  signal_groups(pool, SIGSTOP);
  process_stop();
  signal_groups(pool, SIGCONT);
  if (pool->stopped_s > 0) pool->stopped_s = clock_s();
}

static void heed_signals(Pool *pool) {
  if (interrupt_stop_asked()) stop_for_a_while(pool);
  int n = interrupt_count();
  if (n > pool->n_heeded && count_running(pool) > 0)
    err_print(n == 1 ? "interrupted: running trials are finished; once more: they stop "
                       "too\n"
                     : "interrupted: running trials keep a checkpoint and stop\n");
  pool->n_heeded = n;
  if (n >= 1) pool->stopping = true;
  if (n >= 2) stop_all(pool);
}

/* Trials that other coordinators run are waited for: the page at the end counts them.
 */
static Err look_at_others(Pool *pool) {
  if (clock_s() - pool->others_s < 1e-3 * OTHERS_MS) return ERR_OK;
  pool->others_s = clock_s();
  Fault found = {0};
  (void)!study_look_at_others(pool->study, &pool->n_others, &found);
  return after_look(pool, &found);
}

static Err run_all(Pool *pool) {
  for (;;) {
    heed_signals(pool);
    Err err = give_work(pool);
    int running = count_running(pool);
    if (!err && running == 0 && !pool->stopping) err = look_at_others(pool);
    if (err) return err;
    study_progress_show(&pool->progress, pool->study, running, pool->stopping);
    bool more = !pool->stopping &&
                (pool->n_others || pool->study->next < pool->study->n_trials);
    if (running == 0 && !more) {
      int64_t n_gone = 0;
      if (!pool->stopping)
        err = study_find_gone(pool->study, pool->options->tuning, &n_gone, pool->fault);
      if (err || !n_gone) return err;
      continue;
    }
    if ((err = wait_and_hear(pool, POLL_MS))) return err;
  }
}

/* Workers end when their link does; one that does not is ended. */
static void end_workers(Pool *pool, bool now) {
  for (int i = 0; i < pool->options->jobs; i++) {
    if (!pool->workers[i].pid) continue;
    if (now) kill(-pool->workers[i].pid, SIGTERM);
    link_close(&pool->workers[i].link);
  }
  for (int i = 0; i < pool->options->jobs; i++) {
    Worker *w = &pool->workers[i];
    if (!w->pid) continue;
    await_end(pool, w, END_GRACE_S);
    close(w->stderr_fd);
    log_reader_deinit(&w->reader);
  }
}

/* How it ended after so many signals, where nothing of ours went wrong. */
static Err outcome(const Pool *pool, int n_signals) {
  const Study *study = pool->study;
  if (pool->ended.code) {
    *pool->fault = pool->ended;
    return pool->fault->code;
  }
  bool tuning = pool->options->tuning; /* nothing of what it is for has begun */
  if (n_signals && (study->n_left || tuning))
    interrupt_raise(); /* the script is to end, too */
  else if (!interrupt_pending()) {
    interrupt_heed(n_signals);
    return ERR_OK;
  }
  Text left = {0};
  study_left_text(study, tuning, &left);
  fault_set(pool->fault, ERR_INTERRUPT, "interrupted; %s", left.data ? left.data : "");
  text_deinit(&left);
  return pool->fault->code;
}

Err pool_run(Study *study, const PoolOptions *options, Fault *fault) {
  Pool pool = {.study = study, .options = options, .fault = fault};
  pool.workers = calloc((size_t)options->jobs, sizeof *pool.workers);
  pool.polled = calloc(2 * (size_t)options->jobs, sizeof *pool.polled);
  Err err = pool.workers && pool.polled
                ? ERR_OK
                : fault_memory(fault, (size_t)options->jobs * sizeof *pool.workers);
  if (!err) {
    for (int i = 0; i < options->jobs; i++) pool.workers[i] = no_worker;
    int64_t workers = study->n_left < options->jobs ? study->n_left : options->jobs;
    study_progress_begin(&pool.progress, study, (int)workers, options->threads);
    interrupt_counting(true);
    CrashMark mark;
    err = crash_begin(&study->store, &mark, fault);
    if (!err) err = run_all(&pool);
    end_workers(&pool, err != ERR_OK);
    if (!err) err = crash_end(&study->store, &mark, fault);
    lock_drop(mark.lock, study->store.directory, false);
    int n_signals = interrupt_count();
    interrupt_counting(false);
    study_progress_end(&pool.progress, study);
    if (!err) err = outcome(&pool, n_signals);
  }
  shown_lines_deinit(&pool.shown);
  free(pool.workers);
  free(pool.polled);
  return err;
}
