/* lab_run.c: internal.study: a plan from Lua becomes a study that runs, here or in
 * workers, and comes back as a table of trials.
 *
 * All C parts of it are in one userdata, so that an error raised on the way leaks
 * nothing. */
#include "lua/lab.h"
#include "lua/sources.h"
#include "base/file.h"
#include "base/out.h"
#include "base/par.h"
#include "base/path.h"
#include "base/sys.h"
#include "lab/crash.h"
#include "lab/script.h"
#include "lab/study_compare.h"
#include "lab/study_pool.h"
#include "lab/study_progress.h"
#include "lab/study_stderr.h"
#include "lab/study_verify.h"
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define STUDY_META "runner.study"

enum { OTHERS_MS = 500 }; /* between two looks at trials that others run */

typedef struct StudyBox {
  Study study;
  Json *seeds, *listings, *files, *hashes, *hello;
  bool tuning;
} StudyBox;

/* Stack of lab_study: 1 the plan, 2 the parts, 3 the box. */
enum { PLAN = 1, PARTS, BOX };

static int box_gc(lua_State *L) {
  StudyBox *box = lua_touserdata(L, 1);
  study_close(&box->study);
  Json *all[] = {box->seeds, box->listings, box->files, box->hashes, box->hello};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) json_free(all[i]);
  *box = (StudyBox){0};
  return 0;
}

/* Raises the fault without a place: it is not the script's line that is wrong. */
static int raise_plain(lua_State *L, const Fault *fault) {
  lua_pushstring(L, fault->text);
  return bind_raise_text(L, fault->code);
}

/* The field of the parts as JSON, new; raises what cannot be written down. */
static Json *part(lua_State *L, const char *name) {
  Fault fault = {0};
  lua_getfield(L, PARTS, name);
  Json *json = json_from_lua(L, -1, &fault);
  lua_pop(L, 1);
  if (!json) raise_plain(L, &fault);
  return json;
}

static bool flag_part(lua_State *L, const char *name, bool otherwise) {
  bool value = lua_getfield(L, PARTS, name) == LUA_TNIL ? otherwise
                                                        : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* -- opening ----------------------------------------------------------------------- */

static bool was_run(const Session *s, const Json *plan) {
  return file_exists(
      path_of("%s/%s/experiment.json", s->launch.runs, json_text(plan, "name")).s);
}

static void open_box(lua_State *L, StudyBox *box) {
  Session *s = session(L);
  Fault fault = {0};
  box->listings = part(L, "listings");
  box->files = part(L, "files");
  box->seeds = part(L, "seeds");
  box->hashes = json_list();
  box->tuning = flag_part(L, "tuning", false);
  bool record = flag_part(L, "record", s->launch.script != NULL) &&
                !session_graph(L)->dump;
  bool planning = s->study.mode != STUDY_RUN;
  /* The box owns it as soon as the study is opened, also if that fails. */
  Json *plan = json_from_lua(L, PLAN, &fault);
  if (!plan) raise_plain(L, &fault);
  if (planning && record) record = was_run(s, plan);
  if (study_open(&box->study, plan, box->seeds, record ? s->launch.runs : NULL,
                 !planning, &fault) ||
      (record && !planning && crash_repair(&box->study.store, &fault)) ||
      study_look(&box->study, &fault))
    raise_plain(L, &fault);
}

/* -- code -------------------------------------------------------------------------- */

static char *difference(void *ctx, const char *old, const char *now) {
  lua_State *L = ctx;
  char *lines = NULL;
  lua_getfield(L, PARTS, "difference");
  lua_pushstring(L, old);
  lua_pushstring(L, now);
  lua_pushinteger(L, 5);
  if (lua_pcall(L, 3, 1, 0) == LUA_OK && lua_isstring(L, -1))
    lines = text_copy(lua_tostring(L, -1));
  lua_pop(L, 1);
  return lines;
}

/* What every worker gets first, and every trial's meta. */
static Json *make_hello(lua_State *L, const StudyBox *box) {
  Json *meta = json_mapf("files %p sources %p", json_share(box->hashes),
                         part(L, "sources"));
  return json_mapf("experiment %s meta %p", box->study.name, meta);
}

/* Two scripts that give their experiments one name take each other's place. */
static void warn_of_other_script(const Study *study) {
  const char *earlier = json_text(study->earlier, "script");
  if (script_is_other(study->plan, study->earlier))
    err_print("warning: the experiment %s was run from %s before; what this script "
              "does not ask "
              "for no longer belongs to it: name = \"...\" keeps the two apart\n",
              study->name, earlier);
}

/* After parameters were tuned the plan on disk knows no cells, so the new one is
 * written before the question about changed code too. */
static Err prepare_store(lua_State *L, StudyBox *box, Fault *fault) {
  Study *study = &box->study;
  Fault writing = {0};
  if (!box->tuning) warn_of_other_script(study);
  Err err = study_check_code(study, (CodeChoice)session(L)->study.code, box->listings,
                             difference, L, fault);
  if (!err) err = study_check_report(study, fault);
  if (err && json_find(study->plan, "tuned"))
    (void)!study_write_plan(study, false, &writing);
  if (!err)
    err = study_write_code(study, box->listings, box->files, box->hashes, fault);
  return err ? err : study_write_plan(study, box->tuning, fault);
}

static Err prepare(lua_State *L, StudyBox *box, Fault *fault) {
  Err err = box->study.stored ? prepare_store(L, box, fault) : ERR_OK;
  if (err) return err;
  box->hello = make_hello(L, box);
  return ERR_OK;
}

/* -- running ----------------------------------------------------------------------- */

static PoolOptions pool_options(const Session *s, const StudyBox *box) {
  PoolOptions options = {.jobs = s->study.jobs, .threads = s->study.threads,
                         .fail_fast = s->study.fail_fast, .runs = s->launch.runs,
                         .script = s->launch.script, .words = s->launch.args,
                         .n_words = s->launch.n_args,
                         .hello = box->hello, .tuning = box->tuning};
  bool many = pool_share_cores(&options);
  if (many && s->study.jobs && s->study.mode == STUDY_RUN)
    err_print("warning: --jobs %d: more threads than the %d cores; trials take longer "
              "each\n",
              options.jobs, par_cores());
  return options;
}

/* A trial in this Lua state. */
typedef struct HereTrial {
  const Study *study;
  const StudyTrial *trial;
  bool tuning;
} HereTrial;

/* Runs the Lua function of the parts on the job; errors become the fault. */
static void call_trial(lua_State *L, void *ctx, Fault *fault) {
  const HereTrial *here = ctx;
  const StudyTrial *t = here->trial;
  lua_getfield(L, PARTS, "run_trial");
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, t->info.seed);
  lua_setfield(L, -2, "seed");
  push_json(L, here->study->cells[t->cell].levels);
  lua_setfield(L, -2, "cell");
  lua_pushboolean(L, here->tuning);
  lua_setfield(L, -2, "tuning");
  LuaEntry entry = bind_entry_begin(session(L));
  bind_call_protected(L, 1, 0, fault);
  bind_entry_end(session(L), &entry);
}

/* What it printed is in its logs; here the user waits for it: all of it, however
 * much. */
static void show_logs(const char *directory, LogReader *reader, ShownLines *shown) {
  char buffer[1 << 14];
  int log = file_open_own(path_of("%s/" TRIAL_STDOUT, directory).s, O_RDONLY);
  for (ssize_t n; log >= 0 && (n = read(log, buffer, sizeof buffer)) > 0;)
    out_write(buffer, (size_t)n);
  if (log >= 0) close(log);
  log_reader_end(reader, shown);
}

/* The trial runs: here, under this claim, or in no record (NULL). */
static Err run_claimed(lua_State *L, StudyBox *box, int64_t i, Trial *claim,
                       Fault *fault) {
  Study *study = &box->study;
  HereTrial here = {study, &study->trials[i], box->tuning};
  TrialRun run = {.claim = claim, .meta = json_find(box->hello, "meta"),
                  .fingerprint = study->cells[here.trial->cell].fingerprint,
                  .body = call_trial,
                  .ctx = &here};
  double begin_s = clock_s();
  Fault own = {0};
  TrialEnd end;
  JobOutcome outcome = trial_run(session(L), L, &run, &end, &own);
  if (outcome != JOB_ENDED) {
    study_put_back(study, i, false);
    *fault = own;
    return own.code;
  }
  if (study->stored) return study_look_at(study, i, fault);
  return study_outcome(study, i, &end, clock_s() - begin_s, fault);
}

/* One trial in this Lua state. */
static Err run_here(lua_State *L, StudyBox *box, int64_t i, ShownLines *shown,
                    Fault *fault) {
  Study *study = &box->study;
  const StudyTrial *t = &study->trials[i];
  Trial claim;
  LogReader reader = {0};
  bool claimed = false;
  if (!study->stored) return run_claimed(L, box, i, NULL, fault);
  if (store_claim(&study->store, t->info.id, study->cells[t->cell].config, t->info.seed,
                  &claim, &claimed, fault))
    return fault->code;
  if (!claimed) return study_look_again(study, i, false, fault);
  Path directory = path_of("%s", claim.directory);
  log_reader_follow(&reader, directory.s);
  Err err = run_claimed(L, box, i, &claim, fault);
  show_logs(directory.s, &reader, shown);
  log_reader_deinit(&reader);
  return err;
}

static Err run_next_here(lua_State *L, StudyBox *box, int64_t i, ShownLines *shown,
                         Fault *fault) {
  const StudyTrial *t = &box->study.trials[i];
  Err err = run_here(L, box, i, shown, fault);
  if (err || !session(L)->study.fail_fast || t->info.state != TRIAL_FAILED) return err;
  return fault_set(fault, ERR_SCRIPT,
                   "a trial failed, and --fail-fast ends the study: %s",
                   t->info.message ? t->info.message : "");
}

static Err run_pending_here(lua_State *L, StudyBox *box, StudyProgress *progress,
                            ShownLines *shown, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i; !err && (i = study_next(&box->study)) >= 0;) {
    err = run_next_here(L, box, i, shown, fault);
    if (!err || study_is_published(&box->study.trials[i]))
      study_progress_trial(progress, &box->study, i);
    study_progress_show(progress, &box->study, 0, false);
  }
  return err;
}

/* Trials that other processes run are waited for, as coordinators of workers do: the
 * page at the end counts them. *more: some that these left, or that were removed, are
 * to be run. */
static Err await_others(StudyBox *box, StudyProgress *progress, bool *more,
                        Fault *fault) {
  Study *study = &box->study;
  int64_t n_others = 0, n_gone = 0;
  for (;;) {
    if (study_look_at_others(study, &n_others, fault)) return fault->code;
    *more = study->next < study->n_trials;
    if (*more) return ERR_OK;
    if (!n_others) break;
    if (interrupt_pending()) return fault_set(fault, ERR_INTERRUPT, "interrupted");
    study_progress_show(progress, study, 0, false);
    poll(NULL, 0, OTHERS_MS);
  }
  Err err = study_find_gone(study, box->tuning, &n_gone, fault);
  *more = n_gone > 0;
  return err;
}

/* As coordinators of workers say it; the fault says where in the script that was. */
static void tell_left(const StudyBox *box) {
  Text left = {0};
  study_left_text(&box->study, box->tuning, &left);
  if (!left.failed) err_print("%s: %s\n", box->study.name, left.data);
  text_deinit(&left);
}

static Err run_all_here(lua_State *L, StudyBox *box, Fault *fault) {
  Session *s = session(L);
  SourceCache sources = {.memory = &s->graph.memory};
  StudyProgress progress;
  ShownLines shown = {0};
  Err err = ERR_OK;
  s->record->script_count = session_graph(L)->count;
  uint64_t seed = session_graph(L)->seed;
  sources_adopt(L, &sources);
  s->sources = &sources;
  study_progress_begin(&progress, &box->study, 0, 0);
  for (bool more = true; !err && more;) {
    more = false;
    err = run_pending_here(L, box, &progress, &shown, fault);
    if (!err && box->study.stored) err = await_others(box, &progress, &more, fault);
  }
  study_progress_end(&progress, &box->study);
  s->sources = NULL;
  sources_deinit(&sources);
  shown_lines_deinit(&shown);
  seed_all(L, (lua_Integer)seed);
  session_graph(L)->count =
      s->record->script_count; /* the next study's trials begin there, too */
  if (err == ERR_INTERRUPT) tell_left(box);
  return err;
}

/* -- what comes back --------------------------------------------------------------- */

static void push_trial(lua_State *L, const Study *study, const StudyTrial *t) {
  lua_createtable(L, 0, 9);
  lua_pushstring(L, t->info.id);
  lua_setfield(L, -2, "id");
  lua_pushinteger(L, t->info.seed);
  lua_setfield(L, -2, "seed");
  lua_pushinteger(L, t->cell + 1);
  lua_setfield(L, -2, "cell_number");
  push_json(L, study->cells[t->cell].levels);
  lua_setfield(L, -2, "cell");
  lua_pushstring(L, trial_state_name(t->info.state));
  lua_setfield(L, -2, "state");
  bind_push_real(L, t->info.seconds);
  lua_setfield(L, -2, "seconds");
  push_numbers(L, t->info.values);
  lua_setfield(L, -2, "values");
  lua_pushstring(L, t->info.message);
  lua_setfield(L, -2, "message");
  if (study_is_foreign(t)) lua_pushstring(L, t->kept ? "kept" : "asked");
  else lua_pushnil(L);
  lua_setfield(L, -2, "other_code");
}

/* { name, metric, report, trials = { { cell, seed, state, values, ... }, ... } };
 * other_code of one that other code made is "kept" or "asked". */
static int push_study(lua_State *L, const Study *study) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, study->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, study->metric);
  lua_setfield(L, -2, "metric");
  lua_pushstring(L, study->report);
  lua_setfield(L, -2, "report");
  lua_createtable(L, (int)study->n_trials, 0);
  for (int64_t i = 0; i < study->n_trials; i++) {
    push_trial(L, study, &study->trials[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "trials");
  return 1;
}

/* A plan, or a verification, is all that was asked: the script ends. */
static int end_script(lua_State *L) {
  session(L)->stopped = true;
  lua_pushliteral(L, "stopped");
  return lua_error(L);
}

/* `plan` and `verify` do without a run, and end the script; trials of tuning are taken
 * as they are. */
static int show_or_verify(lua_State *L, StudyBox *box) {
  Session *s = session(L);
  Fault fault = {0};
  int64_t n_wrong = 0;
  if (box->tuning) return push_study(L, &box->study);
  if (s->study.mode == STUDY_PLAN) {
    PoolOptions options = pool_options(s, box);
    Err err = study_print_plan(&box->study, options.jobs, s->study.json,
                               s->study.format, &fault);
    return err ? raise_plain(L, &fault) : end_script(L);
  }
  if (!box->study.stored || !s->launch.script)
    return luaL_error(L, "verify: the experiment has no trials on disk");
  if (study_write_code(&box->study, box->listings, box->files, box->hashes, &fault))
    return raise_plain(L, &fault);
  box->hello = make_hello(L, box);
  PoolOptions options = pool_options(s, box);
  if (study_verify(&box->study, &options, s->study.sample, s->study.json, &n_wrong,
                   &fault))
    return raise_plain(L, &fault);
  s->record->n_failed = n_wrong;
  return end_script(L);
}

/* `plan-dump`: the first trial, up to its first step. */
static int run_first(lua_State *L, StudyBox *box) {
  Fault fault = {0};
  Session *s = session(L);
  HereTrial first = {&box->study, &box->study.trials[0], box->tuning};
  trial_enter(s, NULL);
  call_trial(L, &first, &fault);
  s->in_trial = false;
  return fault.code && !s->stopped ? raise_plain(L, &fault) : end_script(L);
}

static Err report(const StudyBox *box, bool whole, Fault *fault) {
  return box->tuning ? ERR_OK : study_print_result(&box->study, whole, fault);
}

int lab_study(lua_State *L) {
  Session *s = session(L);
  Fault fault = {0};
  lua_settop(L, 2);
  StudyBox *box = bind_push_box(L, sizeof *box, STUDY_META, box_gc);
  open_box(L, box);
  if (session_graph(L)->dump) return run_first(L, box);
  if (s->study.mode != STUDY_RUN) return show_or_verify(L, box);
  if (prepare(L, box, &fault)) return raise_plain(L, &fault);
  bool workers = s->launch.script && box->study.stored;
  PoolOptions options = pool_options(s, box);
  if (box->tuning && box->study.n_left)
    err_print("%s: tuning first\n", box->study.name);
  Err err = workers ? pool_run(&box->study, &options, &fault)
                    : run_all_here(L, box, &fault);
  s->record->n_failed += box->study.n_failed;
  Fault printing = {0};
  if (report(box, s->study.whole, &printing) && !err) return raise_plain(L, &printing);
  return err ? raise_plain(L, &fault) : push_study(L, &box->study);
}
