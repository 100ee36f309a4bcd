/* worker.c: a worker of a study: the script, once per trial, in a fresh Lua state.
 *
 *   job ─► code as it was? ─► claim ─► session, script ─► experiment{} runs the trial
 *       ◄─ reply ◄─ published, or given back
 *
 * What stays from trial to trial: the process, its threads, the data that was read.
 * SIGTERM ends the trial at the next step, and then the worker. So does the end of the
 * coordinator, which a thread sees by the link; and a worker that does not hear of it,
 * in a call of C or in a finalizer, is ended: nothing of its process group outlives the
 * study. */
#include "base/file.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "lua/interrupt.h"
#include "lua/lab.h"
#include "lua/sources.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINK_FD = 3, SOURCE_BYTES = 1 << 24 };
/* Once the coordinator is gone: until a script must have ended; until its trial must
 * have been given back. */
enum { SCRIPT_GRACE_MS = 1500, LEAVE_GRACE_MS = 20000 };

/* Over the link, by a thread of its own. */
typedef struct Watch {
  pthread_t thread;
  int ended; /* eventfd: the worker ends by itself */
  pid_t coordinator;
  atomic_bool leaving; /* no code of a script runs any more */
} Watch;

/* A file of the code, as it was when it was last read and found to be right. */
typedef struct CodeFile {
  const char *path, *hash; /* borrowed from the hello */
  struct timespec changed;
  long long n_bytes;
  bool known;
} CodeFile;

typedef struct WorkerState {
  const WorkerOptions *options;
  Link link;
  Json *hello;
  Store store;
  CodeFile *files;
  int n_files;
  MemoryCount memory; /* of the tensors of `sources` */
  SourceCache sources;
  Watch watch;
} WorkerState;

/* -- the watch --------------------------------------------------------------------- */

/* Who is not started by a coordinator is in the group of others. */
static void signal_group(int number) {
  kill(getpgrp() == getpid() ? 0 : getpid(), number);
}

/* Waits for the end of the worker itself. */
static bool ends_within(const Watch *watch, int ms) {
  struct pollfd ended = {watch->ended, POLLIN, 0};
  return poll(&ended, 1, ms) > 0;
}

static void *watch_link(void *ctx) {
  Watch *watch = ctx;
  struct pollfd files[] = {{LINK_FD, POLLRDHUP, 0}, {watch->ended, POLLIN, 0}};
  while (poll(files, 2, -1) < 0 && errno == EINTR) continue;
  if (files[1].revents) return NULL;
  signal_group(SIGTERM);
  if (ends_within(watch, SCRIPT_GRACE_MS)) return NULL;
  if (watch->leaving && ends_within(watch, LEAVE_GRACE_MS)) return NULL;
  signal_group(SIGKILL);
  return NULL;
}

static Err begin_watch(Watch *watch, Fault *fault) {
  watch->coordinator = getppid();
  watch->ended = eventfd(0, EFD_CLOEXEC);
  if (watch->ended >= 0 && thread_start(&watch->thread, watch_link, watch))
    return ERR_OK;
  if (watch->ended >= 0) close(watch->ended);
  watch->ended = -1;
  return fault_set(fault, ERR_MEMORY, "worker: no thread can be started: %s",
                   strerror(errno));
}

static void end_watch(Watch *watch) {
  uint64_t one = 1;
  if (watch->ended < 0) return;
  (void)!write(watch->ended, &one, sizeof one);
  pthread_join(watch->thread, NULL);
  close(watch->ended);
}

/* -- requests ---------------------------------------------------------------------- */

/* The next message; NULL when there are no more. */
static Json *receive(Link *link) {
  for (;;) {
    Json *message = link_next(link);
    if (message || !link_receive(link)) return message;
  }
}

static Err take_hello(WorkerState *w, Fault *fault) {
  w->hello = receive(&w->link);
  if (!w->hello) return fault_set(fault, ERR_INTERRUPT, "worker: no coordinator");
  const Json *files = json_find(json_find(w->hello, "meta"), "files");
  w->n_files = (int)json_count(files);
  w->files = calloc((size_t)w->n_files + 1, sizeof *w->files);
  if (!w->files) return fault_memory(fault, 0);
  for (int i = 0; i < w->n_files; i++) {
    const Json *row = json_item(files, i);
    w->files[i] = (CodeFile){.path = json_text(row, "path"),
                             .hash = json_text(row, "hash")};
  }
  return store_open(&w->store, w->options->runs, json_text(w->hello, "experiment"),
                    false, fault);
}

/* Is the file what the coordinator read? One that has not been touched is not read
 * again. */
static bool is_unchanged(CodeFile *f) {
  struct stat at;
  if (stat(f->path, &at)) return false;
  if (f->known && at.st_size == f->n_bytes && at.st_mtim.tv_sec == f->changed.tv_sec &&
      at.st_mtim.tv_nsec == f->changed.tv_nsec)
    return true;
  Text text = {0};
  Fault fault = {0};
  char hash[SHA256_TEXT] = "";
  bool same = file_read(f->path, SOURCE_BYTES, &text, &fault) == ERR_OK;
  if (same) sha256(text.data ? text.data : "", text.n_bytes, hash);
  same = same && strcmp(hash, f->hash) == 0;
  text_deinit(&text);
  f->known = same;
  f->n_bytes = at.st_size;
  f->changed = at.st_mtim;
  return same;
}

static const char *changed_file(WorkerState *w) {
  for (int i = 0; i < w->n_files; i++)
    if (!is_unchanged(&w->files[i])) return w->files[i].path;
  return NULL;
}

/* -- one trial --------------------------------------------------------------------- */

static bool reply(WorkerState *w, const Json *job, JobOutcome outcome,
                  const Fault *fault) {
  Json *message = json_mapf("trial %lld outcome %s", (long long)json_int(job, "trial"),
                            job_outcome_name(outcome));
  if (fault->code) json_put_text(message, "message", fault->text);
  bool sent = link_send(&w->link, message);
  json_free(message);
  return sent;
}

typedef struct WorkerTrial {
  WorkerState *worker;
  Session *session;
  const Json *job;
  Trial *claim;
  Fault *fault;
  bool replied; /* the coordinator has been sent how it ended */
} WorkerTrial;

static void run_script(lua_State *L, void *ctx, Fault *fault) {
  WorkerTrial *t = ctx;
  t->worker->watch.leaving = false;
  bind_watch_interrupts(L, NULL);
  look_beside_script(L, t->session->launch.script);
  if (luaL_loadfile(L, t->session->launch.script)) bind_fault_from_lua(L, fault);
  else bind_call_protected(L, 0, 0, fault);
  if (t->session->stopped) fault_clear(fault);
  t->worker->watch.leaving = true;
}

/* Inside the team of threads. The coordinator looks at the result while the session
 * closes. */
static void run_session(void *ctx) {
  WorkerTrial *t = ctx;
  TrialEnd end;
  TrialRun run = {.claim = t->claim, .meta = json_find(t->worker->hello, "meta"),
                  .fingerprint = json_text(t->job, "fingerprint"), .body = run_script,
                  .ctx = t};
  lua_State *L = session_open(t->session, t->fault);
  JobOutcome outcome = trial_run(t->session, L, &run, &end, t->fault);
  t->replied = reply(t->worker, t->job, outcome, t->fault);
  if (L) session_close(t->session, L);
}

static bool run_claimed(WorkerState *w, const Json *job, Trial *claim, Fault *fault) {
  const WorkerOptions *o = w->options;
  Session s = {.launch = {.runs = o->runs, .script = o->script, .n_args = o->n_words,
                          .args = o->words, .job = job},
               .sources = &w->sources};
  WorkerTrial t = {w, &s, job, claim, fault, false};
  if (graph_open(&s.graph, o->threads, 1, fault)) {
    store_release(claim, fault->text);
    return reply(w, job, JOB_STOPPED, fault);
  }
  par_team(&s.graph.par, run_session, &t);
  graph_close(&s.graph);
  return t.replied;
}

/* False when the coordinator is gone. */
static bool run_job(WorkerState *w, const Json *job) {
  Trial claim;
  bool claimed;
  Fault fault = {0};
  const char *changed = changed_file(w);
  if (changed) {
    fault_set(&fault, ERR_USAGE,
              "%s was changed while the study ran; what is done is kept", changed);
    return reply(w, job, JOB_CODE, &fault);
  }
  if (store_claim(&w->store, json_text(job, "id"), json_find(job, "config"),
                  json_int(job, "seed"), &claim, &claimed, &fault))
    return reply(w, job, fault.code == ERR_MEMORY ? JOB_STOPPED : JOB_STORAGE, &fault);
  if (!claimed) return reply(w, job, JOB_TAKEN, &fault);
  claim.brief = true;
  return run_claimed(w, job, &claim, &fault);
}

/* -- the whole --------------------------------------------------------------------- */

/* What interrupted the trial alone, a program of its own that died of SIGINT, is over
 * with it. */
static bool goes_on(void) {
  if (!interrupt_is_final()) interrupt_clear();
  return !interrupt_is_final();
}

static void close_worker(WorkerState *w) {
  sources_deinit(&w->sources);
  store_close(&w->store);
  json_free(w->hello);
  free(w->files);
  link_close(&w->link);
}

Err worker_run(const WorkerOptions *options, Fault *fault) {
  WorkerState w = {.options = options, .link.fd = LINK_FD, .watch.ended = -1};
  w.sources.memory = &w.memory;
  fcntl(LINK_FD, F_SETFD, FD_CLOEXEC); /* our death is seen, whatever we left running */
  interrupt_in_worker();
  Err err = begin_watch(&w.watch, fault);
  if (!err) err = take_hello(&w, fault);
  for (Json *job; !err && goes_on() && (job = receive(&w.link)); json_free(job))
    if (!run_job(&w, job)) err = ERR_INTERRUPT;
  end_watch(&w.watch);
  close_worker(&w);
  if (w.watch.coordinator != getppid())
    signal_group(SIGKILL); /* nothing else ends the rest */
  return err;
}
