/* worker.c: a worker of a study: the script, once per trial, in a fresh Lua state.
 *
 *   job ──► code as it was? ──► claim ──► session, script ──► experiment{} runs the trial
 *       ◄── reply ◄── published, or given back
 *
 * What stays from trial to trial: the process, its threads, the data that was read. SIGTERM
 * ends the trial at the next step, and then the worker. */
#include "base/file.h"
#include "base/out.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "lua/lab.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { LINK_FD = 3, SOURCE_BYTES = 1 << 24 };

/* A file of the code, as it was when it was last read and found to be right. */
typedef struct CodeFile {
  const char *path, *hash;   /* borrowed from the hello */
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
  SourceCache sources;
} WorkerState;

/* -- what it is told ----------------------------------------------------------------- */

/* The next message; NULL when there are no more. */
static Json *receive(Link *link) {
  for (;;) {
    Json *message = link_next(link);
    if (message || !link_receive(link)) return message;
  }
}

static const char *text_of(const Json *map, const char *key) {
  const char *text = "";
  json_get_text(json_find(map, key), &text);
  return text;
}

static Err take_hello(WorkerState *w, Fault *fault) {
  w->hello = receive(&w->link);
  if (!w->hello) return fault_set(fault, ERR_INTERRUPT, "worker: no coordinator");
  const Json *files = json_find(json_find(w->hello, "meta"), "files");
  w->n_files = files ? (int)json_count(files) : 0;
  w->files = calloc((size_t)w->n_files + 1, sizeof *w->files);
  if (!w->files) return fault_memory(fault, 0);
  for (int i = 0; i < w->n_files; i++) {
    const Json *row = json_item(files, i);
    w->files[i] = (CodeFile){.path = text_of(row, "path"), .hash = text_of(row, "hash")};
  }
  return store_open(&w->store, w->options->runs, text_of(w->hello, "experiment"), false, fault);
}

/* Is the file what the coordinator read? One that has not been touched is not read again. */
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

/* -- hashes of data ------------------------------------------------------------------ */

static void note_part(CachedSource *cached, int part, Json *data) {
  const char *name = source_part(cached->source, part);
  Text key = {0};
  if (!cached->hash[part][0]) source_hash(cached->source, part, cached->hash[part]);
  text_addf(&key, "%s%s%s", cached->key, *name ? " " : "", name);
  if (!key.failed) json_put_text(data, key.data, cached->hash[part]);
  text_deinit(&key);
}

/* What earlier trials read stays in memory; what this one reads is noted anew. */
static void forget_reads(WorkerState *w) {
  for (int i = 0; i < CACHED_SOURCES && i < w->sources.n; i++)
    for (int part = 0; part < MAX_PARTS; part++) w->sources.v[i].source->read[part] = false;
}

/* The data that the trial read, by what it is, with hashes of the rows. */
static void note_data(WorkerState *w, Json *meta) {
  Json *data = json_map();
  for (int i = 0; i < CACHED_SOURCES && i < w->sources.n; i++)
    for (int part = 0; part < MAX_PARTS; part++)
      if (w->sources.v[i].source->read[part] && w->sources.v[i].source->loaded[part])
        note_part(&w->sources.v[i], part, data);
  json_put(meta, "data", data);
}

/* -- one trial ----------------------------------------------------------------------- */

static bool reply(WorkerState *w, const Json *job, JobOutcome outcome, const Fault *fault) {
  int64_t trial = -1;
  Json *message = json_map();
  json_get_int(json_find(job, "trial"), &trial);
  json_put_int(message, "trial", trial);
  json_put_text(message, "outcome", job_outcome_name(outcome));
  if (fault->code) json_put_text(message, "message", fault->text);
  bool sent = link_send(&w->link, message);
  json_free(message);
  return sent;
}

typedef struct WorkerTrial {
  WorkerState *worker;
  Session *session;
  const Json *job;
  StoreClaim *claim;
  Fault *fault;
  bool told;                 /* the coordinator knows how it ended */
} WorkerTrial;

static void run_script(lua_State *L, const char *script, Fault *fault) {
  lua_sethook(L, end_if_interrupted, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
  look_beside_script(L, script);
  if (luaL_loadfile(L, script)) fault_from_lua(L, fault);
  else call_protected(L, 0, 0, fault);
  if (session(L)->stopped) fault_clear(fault);
}

/* Inside the team of threads. The coordinator looks at the result while the session closes. */
static void run_session(void *ctx) {
  WorkerTrial *t = ctx;
  Session *s = t->session;
  Trial *record = &t->claim->trial;
  TrialEnd end;
  lua_State *L = session_open(s, t->fault);
  forget_reads(t->worker);
  trial_enter(s, record);
  describe_trial(s, json_find(t->worker->hello, "meta"), record->meta);
  json_put_text(record->meta, "fingerprint", text_of(t->job, "fingerprint"));
  if (L && trial_open(record, t->fault) == ERR_OK) run_script(L, s->script, t->fault);
  if (L && t->fault->code) lua_gc(L, LUA_GCCOLLECT);   /* what it held may be all memory */
  note_data(t->worker, record->meta);
  JobOutcome outcome = trial_leave(s, t->claim, t->fault, &end);
  t->told = reply(t->worker, t->job, outcome, t->fault);
  if (L) session_close(s, L);
}

static bool run_claimed(WorkerState *w, const Json *job, StoreClaim *claim, Fault *fault) {
  const WorkerOptions *o = w->options;
  Session s = {.runs = o->runs, .script = o->script, .n_args = o->n_words,
               .args = o->words, .job = job, .sources = &w->sources};
  WorkerTrial t = {w, &s, job, claim, fault, false};
  if (graph_open(&s.graph, o->threads, 1, fault)) {
    store_release(claim, fault->text);
    return reply(w, job, JOB_STOPPED, fault);
  }
  par_team(&s.graph.par, run_session, &t);
  graph_close(&s.graph);
  return t.told;
}

/* False when nobody hears us any more. */
static bool run_job(WorkerState *w, const Json *job) {
  StoreClaim claim;
  bool claimed;
  int64_t seed = 0;
  Fault fault = {0};
  const char *changed = changed_file(w);
  if (changed) {
    fault_set(&fault, ERR_USAGE, "%s was changed while the study ran; what is done is kept",
              changed);
    return reply(w, job, JOB_CODE, &fault);
  }
  json_get_int(json_find(job, "seed"), &seed);
  if (store_claim(&w->store, text_of(job, "id"), json_find(job, "config"), seed, &claim,
                  &claimed, &fault))
    return reply(w, job, fault.code == ERR_MEMORY ? JOB_STOPPED : JOB_STORAGE, &fault);
  if (!claimed) return reply(w, job, JOB_TAKEN, &fault);
  claim.trial.brief = true;
  return run_claimed(w, job, &claim, &fault);
}

/* -- the whole ----------------------------------------------------------------------- */

static void close_worker(WorkerState *w) {
  for (int i = 0; i < CACHED_SOURCES && i < w->sources.n; i++) {
    object_release(w->sources.v[i].source);
    free(w->sources.v[i].key);
  }
  store_close(&w->store);
  json_free(w->hello);
  free(w->files);
  link_close(&w->link);
}

Err worker_run(const WorkerOptions *options, Fault *fault) {
  WorkerState w = {.options = options, .link.fd = LINK_FD};
  prctl(PR_SET_PDEATHSIG, SIGTERM);   /* the coordinator's death ends the trial */
  fcntl(LINK_FD, F_SETFD, FD_CLOEXEC);   /* our death is seen, whatever we left running */
  out_capture();
  Err err = take_hello(&w, fault);
  for (Json *job; !err && !interrupt_pending() && (job = receive(&w.link));
       json_free(job))
    if (!run_job(&w, job)) err = ERR_INTERRUPT;
  close_worker(&w);
  return err;
}
