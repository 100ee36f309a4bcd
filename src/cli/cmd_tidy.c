/* cmd_tidy.c: the commands that change what is recorded: rm, gc, retry. None of them
 * touches a trial that runs. */
#include "base/file.h"
#include "base/out.h"
#include "cli/asking.h"
#include "lab/crash.h"
#include "lab/lock.h"
#include "lab/look.h"
#include "lab/script.h"
#include "lab/store.h"
#include "lab/study_verify.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "1 trial", "3 trials" in one of two buffers. */
static const char *counted(int64_t n, const char *what) {
  static char buffers[2][64];
  static int turn;
  char *buffer = buffers[turn++ % 2];
  snprintf(buffer, sizeof buffers[0], "%lld %s%s", (long long)n, what, n == 1 ? "" : "s");
  return buffer;
}

/* ERR_USAGE, in lines of stdout's width. */
static Err refuse(Fault *fault, const char *text) {
  Text wrapped = {0};
  text_add_wrapped(&wrapped, text, (int)strlen("runner: "), 2, out_columns());
  if (wrapped.failed) return fault_memory(fault, 0);
  fault_set(fault, ERR_USAGE, "%.*s", (int)wrapped.n_bytes - 1, wrapped.data);
  text_deinit(&wrapped);
  return fault->code;
}

/* Prints { done, running, ... } or a sentence of them. */
static Err tell(const QueryCall *call, const char *done, int64_t n, const char *what,
                int64_t n_running, Fault *fault) {
  if (call->json) {
    Json *answer = json_map();
    json_put_int(answer, done, n);
    json_put_int(answer, "running", n_running);
    return print_json(answer, fault);
  }
  out_print("%s: %s\n", done, counted(n, what));
  if (n_running) out_print("left alone, since they run: %s\n", counted(n_running, what));
  return ERR_OK;
}

/* -- choosing ------------------------------------------------------------------------ */

static bool in_trials(const Json *row) { return strstr(json_text(row, "path"), "/trials/"); }

/* The rows of an experiment that fit the filters; only those with a directory. */
static Err choose(Asking *asking, Json **out, Fault *fault) {
  int64_t n_all = 0;
  Json *rows = NULL, *there = json_list();
  Err err = query_trials(asking->index, &asking->query, &rows, &n_all, fault);
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    int64_t attempts = 0;
    const Json *row = json_item(rows, i);
    json_get_int(json_find(row, "attempts"), &attempts);
    if (attempts > 0 || strcmp(json_text(row, "state"), "pending") != 0)
      json_push(there, json_share((Json *)row));
  }
  json_free(rows);
  *out = there;
  return err || n_all ? err : tell_misses(asking, fault);
}

typedef Err (*TrialAction)(const Store *store, const char *id, bool *done, Fault *fault);

static Err act_on(const QueryCall *call, const char *experiment, const Json *rows,
                  TrialAction action, int64_t *n_done, int64_t *n_running, Fault *fault) {
  Store store;
  *n_done = *n_running = 0;
  Err err = store_open(&store, call->runs, experiment, false, fault);
  if (err) return err;
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    bool done = false;
    if (!in_trials(json_item(rows, i))) continue;
    err = action(&store, json_text(json_item(rows, i), "id"), &done, fault);
    if (!err) *(done ? n_done : n_running) += 1;
  }
  store_close(&store);
  return err;
}

/* -- retry --------------------------------------------------------------------------- */

static bool filters_state(const Filter *filter) {
  for (int i = 0; i < filter->n; i++)
    if (strcmp(filter->v[i].key, "state") == 0) return true;
  return false;
}

static Err retry_trials(Asking *asking, const QueryCall *call, Fault *fault) {
  Filter *filter = &asking->query.filter;
  int64_t n_done = 0, n_running = 0;
  Json *rows = NULL;
  Err err = ERR_OK;
  if (!filters_state(filter) || call_option(call, "--failed"))
    err = filter_add(filter, "state=failed", fault);
  if (!err) err = choose(asking, &rows, fault);
  if (!err && call_option(call, "--dry-run")) n_done = json_count(rows);
  else if (!err) err = act_on(call, asking->query.experiment, rows, store_reset, &n_done,
                              &n_running, fault);
  json_free(rows);
  if (err) return err;
  err = tell(call, "to be run again", n_done, "trial", n_running, fault);
  if (!err && n_done && !call->json)
    err_print("the script, run as before, runs them: their earlier attempts are kept\n");
  return err;
}

static Err run_retry(const QueryCall *call, Fault *fault) {
  Asking asking;
  Err err = asking_begin(&asking, call, true, fault);
  if (!err) err = retry_trials(&asking, call, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption retry_options[] = {
    {"--failed", NULL, "the failed ones (so it is without a filter on the state)"},
    {"--dry-run", NULL, "only count them"},
    {NULL, NULL, NULL}};

const QueryCommand command_retry = {
    .name = "retry", .usage = "experiment [filters]", .json = true,
    .doc = "Marks failed trials, or those that fit the filters, to be run again.",
    .details = "Every attempt stays: results as result-<n>.json, times and messages in\n"
               "meta.json. retry NAME state=diverged does it for diverged ones.",
    .options = retry_options, .run = run_retry};

/* -- rm ------------------------------------------------------------------------------ */

/* Runs of plain scripts have directories of their own; one that runs is left alone. */
static Err remove_run(const char *directory, int64_t *n_done, int64_t *n_running,
                      Fault *fault) {
  bool held = lock_held(directory);
  *(held ? n_running : n_done) += 1;
  return held ? ERR_OK : file_remove(directory, fault);
}

static Err remove_runs(const QueryCall *call, const Json *rows, int64_t *n_done,
                       int64_t *n_running, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    if (in_trials(json_item(rows, i))) continue;
    Text path = {0};
    text_addf(&path, "%s/%s", call->runs, json_text(json_item(rows, i), "path"));
    err = path.failed ? fault_memory(fault, path.n_bytes)
                      : remove_run(path.data, n_done, n_running, fault);
    text_deinit(&path);
  }
  return err;
}

/* What is being removed besides the rows that were chosen: they are a look at what there
 * was, and a study may have claimed other trials since. */
typedef struct Whole {
  Store store;
  int64_t n_done, n_running;
  bool in_trials;            /* the entry stands in trials/ */
} Whole;

static Err remove_trial(Whole *whole, const char *id, Fault *fault) {
  bool done = false;
  Err err = store_remove(&whole->store, id, &done, fault);
  if (!err) *(done ? &whole->n_done : &whole->n_running) += 1;
  return err;
}

/* trials/ is dealt with before all others. */
static Err remove_entry(Whole *whole, const char *directory, const char *name, Fault *fault) {
  int64_t others = 0;
  if (!whole->in_trials && strcmp(name, "trials") == 0) return ERR_OK;
  if (whole->in_trials && name[0] != '.' && file_is_directory(directory, name))
    return remove_trial(whole, name, fault);
  Text path = {0};
  text_addf(&path, "%s/%s", directory, name);
  Err err = path.failed ? fault_memory(fault, path.n_bytes)
                        : remove_run(path.data, &others, &whole->n_running, fault);
  text_deinit(&path);
  return err;
}

/* The entries of a directory, and itself if that leaves none: one that was claimed just now
 * counts as running. */
static Err remove_entries(Whole *whole, const char *directory, Fault *fault) {
  FileNames names;
  bool gone = true;
  Err err = file_names(directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    err = remove_entry(whole, directory, names.v[i], fault);
  file_names_deinit(&names);
  if (!err && !whole->n_running) err = file_remove_empty(directory, &gone, fault);
  if (!gone) whole->n_running++;
  return err;
}

static Err remove_trials(Whole *whole, Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/trials", whole->store.directory);
  whole->in_trials = true;
  Err err = path.failed ? fault_memory(fault, path.n_bytes)
                        : remove_entries(whole, path.data, fault);
  whole->in_trials = false;
  text_deinit(&path);
  return err;
}

/* The experiment itself goes when nobody chose among trials, none runs, and no study is
 * about to run one. */
static Err remove_whole(Whole *whole, const QueryCall *call, const char *experiment,
                        Fault *fault) {
  long process = 0;
  Err err = store_open(&whole->store, call->runs, experiment, false, fault);
  if (!err) err = crash_runs(&whole->store, &process, fault);
  if (process)
    err_print("%s: process %ld runs the study: what belongs to it stays\n", experiment, process);
  else if (!err) {
    err = remove_trials(whole, fault);
    if (!err && !whole->n_running) err = remove_entries(whole, whole->store.directory, fault);
  }
  store_close(&whole->store);
  return err;
}

static Err remove_rows(Asking *asking, const QueryCall *call, const Json *rows, Fault *fault) {
  Whole whole = {0};
  const char *experiment = asking->query.experiment;
  bool dry = call_option(call, "--dry-run") != NULL;
  if (!dry && !call_option(call, "--yes") && json_count(rows) != 1) {
    char text[1024];
    if (json_count(rows) == 0 && asking->query.filter.n)
      return fault_set(fault, ERR_USAGE, "rm: no trial of %s fits the filters", experiment);
    snprintf(text, sizeof text, "rm would remove %s of %s; add --yes to do it, or --dry-run "
             "to only count", counted(json_count(rows), "trial"), experiment);
    return refuse(fault, text);
  }
  if (dry) return tell(call, "would be removed", json_count(rows), "trial", 0, fault);
  Err err = act_on(call, experiment, rows, store_remove, &whole.n_done, &whole.n_running,
                   fault);
  if (!err) err = remove_runs(call, rows, &whole.n_done, &whole.n_running, fault);
  if (!err && !whole.n_running && asking->query.filter.n == 0)
    err = remove_whole(&whole, call, experiment, fault);
  return err ? err : tell(call, "removed", whole.n_done, "trial", whole.n_running, fault);
}

static Err run_rm(const QueryCall *call, Fault *fault) {
  Asking asking;
  Json *rows = NULL;
  Err err = asking_begin(&asking, call, true, fault);
  asking.query.all = true;
  if (!err) err = choose(&asking, &rows, fault);
  if (!err) err = remove_rows(&asking, call, rows, fault);
  json_free(rows);
  asking_end(&asking);
  return err;
}

static const QueryOption rm_options[] = {
    {"--yes", NULL, "really, when it is not one trial"},
    {"--dry-run", NULL, "only count them"},
    {NULL, NULL, NULL}};

const QueryCommand command_rm = {
    .name = "rm", .usage = "experiment [filters]", .json = true,
    .doc = "Removes an experiment with all its trials, or the trials that fit the filters.",
    .details = "One trial: runner rm NAME id=ID. Trials that run are left alone.",
    .options = rm_options, .run = run_rm};

/* -- gc ------------------------------------------------------------------------------ */

typedef struct Garbage {
  bool dry, finished_too;
  int64_t n_trials, n_kept, n_others, n_running, n_checkpoints, n_leftovers, n_bytes;
  char other[256];           /* a script that made some of those n_others */
} Garbage;

/* Bytes of a file, or of all in a directory. */
static int64_t bytes_of(const char *path) {
  struct stat at;
  FileNames names;
  Fault ignored = {0};
  if (lstat(path, &at) != 0) return 0;
  if (!S_ISDIR(at.st_mode)) return at.st_size;
  int64_t sum = 0;
  if (file_names(path, &names, &ignored)) return 0;
  for (int i = 0; i < names.n; i++) {
    Text entry = {0};
    text_addf(&entry, "%s/%s", path, names.v[i]);
    if (!entry.failed) sum += bytes_of(entry.data);
    text_deinit(&entry);
  }
  file_names_deinit(&names);
  return sum;
}

static Err drop(Garbage *garbage, const char *path, int64_t *count, Fault *fault) {
  garbage->n_bytes += bytes_of(path);
  *count += 1;
  return garbage->dry ? ERR_OK : file_remove(path, fault);
}

/* Is there no process of the number with which `text` begins? One that is alive may be
 * another's of the same number: then what it wrote stays until the next time. */
static bool is_dead(const char *text) {
  long pid = strtol(text, NULL, 10);
  return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Temporary names end in "-<process>-<time>". */
static bool writer_is_dead(const char *name) {
  const char *mark = strrchr(name, '-');
  while (mark > name && mark[-1] >= '0' && mark[-1] <= '9') mark--;
  return mark && is_dead(mark);
}

static bool begins(const char *name, const char *start) {
  return strncmp(name, start, strlen(start)) == 0;
}

static bool is_leftover(const char *name) {
  if (begins(name, STORE_REMOVED)) return true;
  if (begins(name, VERIFY_DIRECTORY)) return is_dead(name + strlen(VERIFY_DIRECTORY));
  return file_is_temporary(name) && writer_is_dead(name);
}

/* What nobody needs in one directory: leftovers, and checkpoints of what is published. */
static Err clean_directory(Garbage *garbage, const char *directory, bool published,
                           Fault *fault) {
  FileNames names;
  Err err = file_names(directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++) {
    bool checkpoint = published && strncmp(names.v[i], "checkpoint-", 11) == 0;
    if (!checkpoint && !is_leftover(names.v[i])) continue;
    Text path = {0};
    text_addf(&path, "%s/%s", directory, names.v[i]);
    err = path.failed ? fault_memory(fault, path.n_bytes)
                      : drop(garbage, path.data,
                             checkpoint ? &garbage->n_checkpoints : &garbage->n_leftovers,
                             fault);
    text_deinit(&path);
  }
  file_names_deinit(&names);
  return err;
}

static bool is_published(const Json *row) {
  const char *state = json_text(row, "state");
  return strcmp(state, "complete") == 0 || strcmp(state, "diverged") == 0 ||
         strcmp(state, "cancelled") == 0;
}

/* Did another script make the trial, one that is still there? Its study may ask for it. */
static Err is_of_other(Garbage *garbage, const QueryCall *call, const Json *row,
                       const char *directory, bool *other, Fault *fault) {
  Json *plan = NULL;
  Fault ignored = {0};
  Err err = read_plan(call->runs, json_text(row, "experiment"), &plan, fault);
  Json *meta = err ? NULL : look_json(directory, "meta.json", &ignored);
  *other = meta && script_is_another_there(plan, meta);
  if (*other)
    snprintf(garbage->other, sizeof garbage->other, "%s", json_text(meta, "script"));
  json_free(plan);
  json_free(meta);
  return err;
}

static Err collect_trial(Garbage *garbage, const QueryCall *call, const Json *row,
                         Fault *fault) {
  Text path = {0};
  bool belongs = true, done = true, other = false;
  text_addf(&path, "%s/%s", call->runs, json_text(row, "path"));
  if (path.failed) return fault_memory(fault, path.n_bytes);
  json_get_bool(json_find(row, "belongs"), &belongs);
  Err err = belongs ? ERR_OK : is_of_other(garbage, call, row, path.data, &other, fault);
  if (err || other) {
    garbage->n_others += other;
  } else if (belongs) {
    err = clean_directory(garbage, path.data, is_published(row), fault);
  } else if (is_published(row) && !garbage->finished_too) {
    garbage->n_kept++;       /* a run with other words may ask for it again */
  } else if (!garbage->dry) {
    Store store;
    int64_t n_bytes = bytes_of(path.data);
    err = store_open(&store, call->runs, json_text(row, "experiment"), false, fault);
    if (!err) err = store_remove(&store, json_text(row, "id"), &done, fault);
    store_close(&store);
    if (!err) *(done ? &garbage->n_trials : &garbage->n_running) += 1;
    if (!err && done) garbage->n_bytes += n_bytes;
  } else {
    err = drop(garbage, path.data, &garbage->n_trials, fault);
  }
  text_deinit(&path);
  return err;
}

/* Beside the trials: in the experiment, in trials/ and code/. */
static Err collect_around(Garbage *garbage, const QueryCall *call, const char *experiment,
                          Fault *fault) {
  static const char *const below[] = {"", "/trials", "/code"};
  Err err = ERR_OK;
  for (int i = 0; !err && i < 3; i++) {
    Text path = {0};
    text_addf(&path, "%s/%s%s", call->runs, experiment, below[i]);
    err = path.failed ? fault_memory(fault, path.n_bytes)
                      : clean_directory(garbage, path.data, false, fault);
    text_deinit(&path);
  }
  return err;
}

/* What an experiment asks for must be known before anything of it is called garbage. */
static Err check_plans(const QueryCall *call, const Json *entries, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < json_count(entries); i++) {
    Json *plan = NULL;
    err = read_plan(call->runs, json_text(json_item(entries, i), "experiment"), &plan, fault);
    json_free(plan);
  }
  return err;
}

static Err collect_garbage(Garbage *garbage, Asking *asking, const QueryCall *call,
                           Fault *fault) {
  Json *rows = NULL, *entries = NULL;
  Err err = query_entries(asking->index, &asking->query, &entries, fault);
  if (!err) err = check_plans(call, entries, fault);
  if (!err) err = choose(asking, &rows, fault);
  for (int64_t i = 0; !err && i < json_count(rows); i++)
    err = collect_trial(garbage, call, json_item(rows, i), fault);
  for (int64_t i = 0; !err && i < json_count(entries); i++)
    err = collect_around(garbage, call, json_text(json_item(entries, i), "experiment"), fault);
  if (!err && !asking->query.experiment)
    err = clean_directory(garbage, call->runs, false, fault);
  json_free(rows);
  json_free(entries);
  return err;
}

static Err tell_garbage(const Garbage *garbage, const QueryCall *call, Fault *fault) {
  const struct { const char *key, *one, *many; int64_t n; } parts[] = {
      {"trials", "trial that no longer belongs to its experiment",
       "trials that no longer belong to their experiment", garbage->n_trials},
      {"checkpoints", "checkpoint of what is finished", "checkpoints of what is finished",
       garbage->n_checkpoints},
      {"leftovers", "leftover of a process that died", "leftovers of processes that died",
       garbage->n_leftovers}};
  Json *answer = json_map();
  json_put_bool(answer, "dry_run", garbage->dry);
  if (!call->json) out_print("%s\n", garbage->dry ? "would be removed:" : "removed:");
  for (int i = 0; i < 3; i++) {
    json_put_int(answer, parts[i].key, parts[i].n);
    if (!call->json)
      out_print("  %6lld  %s\n", (long long)parts[i].n,
                parts[i].n == 1 ? parts[i].one : parts[i].many);
  }
  json_put_int(answer, "kept", garbage->n_kept);
  json_put_int(answer, "kept_of_others", garbage->n_others);
  json_put_int(answer, "running", garbage->n_running);
  json_put_int(answer, "bytes", garbage->n_bytes);
  if (call->json) return print_json(answer, fault);
  json_free(answer);
  out_print("%.1f MB\n", (double)garbage->n_bytes / 1e6);
  if (garbage->n_kept)
    print_wrapped(0, 2, "kept: %s that the experiment does not ask for as it was run last; "
                  "gc --yes removes %s", counted(garbage->n_kept, "finished trial"),
                  garbage->n_kept == 1 ? "it" : "them");
  if (garbage->n_others)
    print_wrapped(0, 2, "kept: %s of another script, %s, which shares the name; runner rm takes "
                  "trials by their id", counted(garbage->n_others, "trial"), garbage->other);
  if (garbage->n_running)
    out_print("left alone, since they run: %s\n", counted(garbage->n_running, "trial"));
  return ERR_OK;
}

static Err run_gc(const QueryCall *call, Fault *fault) {
  Asking asking;
  Garbage garbage = {.dry = call_option(call, "--dry-run") != NULL,
                     .finished_too = call_option(call, "--yes") != NULL};
  Err err = asking_begin(&asking, call, false, fault);
  asking.query.all = true;
  if (!err && asking.query.filter.n)
    err = fault_set(fault, ERR_USAGE, "gc: allowed: an experiment; runner rm takes filters");
  if (!err) err = collect_garbage(&garbage, &asking, call, fault);
  if (!err) err = tell_garbage(&garbage, call, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption gc_options[] = {
    {"--yes", NULL, "finished trials too"},
    {"--dry-run", NULL, "only say what would be removed"},
    {NULL, NULL, NULL}};

const QueryCommand command_gc = {
    .name = "gc", .usage = "[experiment]", .json = true,
    .doc = "Removes what is no longer needed.",
    .details = "That is: trials that their experiment no longer asks for (other levels, seeds\n"
               "or arguments than in its last run), checkpoints of finished trials, what dead\n"
               "processes left half written. Trials that are finished stay, unless --yes: a run\n"
               "as before finds them. Those that another script made, which is still there, stay\n"
               "always. Without a name: in all experiments.",
    .options = gc_options, .run = run_gc};
