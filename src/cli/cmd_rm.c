/* cmd_rm.c: the command rm: an experiment with all that lies in it, or trials.
 *
 * One walk through the directory counts and lists, with --dry-run, or removes: both say
 * the same. Nothing is removed but an experiment, which is what has a plan, a trial or
 * a run of a script, and nothing behind a link: of what is in it and has no name of
 * ours, the user is warned before it goes. */
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "cli/tidy.h"
#include "lab/crash.h"
#include "base/lock.h"
#include "lab/names.h"
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- what lies there --------------------------------------------------------------- */

typedef enum Kind {
  KIND_OTHER,
  KIND_OWN,
  KIND_PLAN,
  KIND_TRIAL,
  KIND_RUN,
  KIND_LIST
} Kind;

typedef struct Entry {
  const char *below; /* "": of the experiment itself; else "trials" or "code" */
  const char *name, *path;
  mode_t mode;
} Entry;

static Kind kind_in_experiment(const Entry *e) {
  bool directory = S_ISDIR(e->mode), file = S_ISREG(e->mode);
  if (directory && (strcmp(e->name, "trials") == 0 || strcmp(e->name, "code") == 0))
    return KIND_LIST;
  if (directory) return name_is_run(e->name) ? KIND_RUN : KIND_OTHER;
  if (file && strcmp(e->name, "experiment.json") == 0) return KIND_PLAN;
  return file && (crash_is_mark(e->name) || file_is_temporary(e->name)) ? KIND_OWN
                                                                        : KIND_OTHER;
}

static Kind kind_of(const Entry *e) {
  if (!*e->below) return kind_in_experiment(e);
  if (strcmp(e->below, "code") == 0)
    return S_ISREG(e->mode) && name_is_source(e->name) ? KIND_OWN : KIND_OTHER;
  if (!S_ISDIR(e->mode)) return KIND_OTHER;
  if (strncmp(e->name, NAME_REMOVED, strlen(NAME_REMOVED)) == 0) return KIND_OWN;
  return name_is_trial(e->name) ? KIND_TRIAL : KIND_OTHER;
}

/* The experiment that goes as a whole. */
typedef struct Whole {
  Store store;
  bool dry;
  bool rest; /* the second walk: what is neither trial nor run */
  Tally tally;
  bool experiment; /* something of ours lies there */
  Json *others;    /* what has no name of ours, as it is printed */
} Whole;

/* "mine/", "trials/x -> where it leads". */
static void note_other(Whole *whole, const Entry *e) {
  char target[PATH_MAX];
  Text line = {0};
  text_addf(&line, "%s%s%s%s", e->below, *e->below ? "/" : "", e->name,
            S_ISDIR(e->mode) ? "/" : "");
  ssize_t n = S_ISLNK(e->mode) ? readlink(e->path, target, sizeof target - 1) : -1;
  if (n >= 0) text_addf(&line, " -> %.*s", (int)n, target);
  if (!line.failed) json_push_text(whole->others, line.data);
  text_deinit(&line);
}

/* -- the walk ---------------------------------------------------------------------- */

/* Runs of plain scripts have directories of their own; one that runs is left alone. */
static Err remove_run(const char *directory, bool dry, bool *done, Fault *fault) {
  Err err = file_check_unlinked(directory, fault);
  *done = !err && !lock_held(directory);
  return *done && !dry ? file_remove(directory, fault) : err;
}

/* Trials and runs go first, and what else lies there only if that leaves none. */
static Err take_trial(Whole *whole, const Entry *e, Kind kind, Fault *fault) {
  bool done = false;
  Fault own = {0};
  Err err = kind == KIND_RUN ? remove_run(e->path, whole->dry, &done, &own)
            : whole->dry     ? store_try(&whole->store, e->name, &done, &own)
                             : store_remove(&whole->store, e->name, &done, &own);
  return tally_note(&whole->tally, err, done, &own, fault);
}

static Err walk(Whole *whole, const char *below, Fault *fault);

static Err take_entry(Whole *whole, const Entry *e, Fault *fault) {
  Kind kind = kind_of(e);
  if (kind == KIND_LIST) return walk(whole, e->name, fault);
  whole->experiment |= kind == KIND_PLAN || kind == KIND_TRIAL || kind == KIND_RUN;
  if (kind == KIND_TRIAL || kind == KIND_RUN)
    return whole->rest ? ERR_OK : take_trial(whole, e, kind, fault);
  if (whole->dry && kind == KIND_OTHER && !whole->rest) note_other(whole, e);
  return whole->rest && !whole->dry ? file_remove(e->path, fault) : ERR_OK;
}

/* A directory that is not empty then got a trial just now: that counts as running. */
static Err remove_emptied(Whole *whole, const char *directory, Fault *fault) {
  bool gone = true;
  Err err = whole->rest && !whole->dry ? file_remove_empty(directory, &gone, fault)
                                       : ERR_OK;
  whole->tally.n_running += !gone;
  return err;
}

/* The entries of the experiment, or of what is below it. */
static Err walk(Whole *whole, const char *below, Fault *fault) {
  FileNames names;
  Path directory = path_of("%s%s%s", whole->store.directory, *below ? "/" : "", below);
  Err err = file_names(directory.s, &names, fault);
  for (int i = 0; !err && i < names.n; i++) {
    struct stat at;
    Path path = path_of("%s/%s", directory.s, names.v[i]);
    if (lstat(path.s, &at) != 0) continue;
    err = take_entry(whole, &(Entry){below, names.v[i], path.s, at.st_mode}, fault);
  }
  if (!err) err = remove_emptied(whole, directory.s, fault);
  file_names_deinit(&names);
  return err;
}

/* -- a whole experiment ------------------------------------------------------------ */

/* Counts and lists, and removes nothing. */
static Err survey(Whole *whole, Fault *fault) {
  whole->dry = true;
  Err err = walk(whole, "", fault);
  bool empty = !json_count(whole->others);
  if (err || whole->experiment ||
      (empty && file_is_directory(whole->store.directory, "trials")))
    return err;
  return fault_set(fault, ERR_USAGE,
                   "rm: %s is no experiment: there is no plan in it, no trial and no "
                   "run of a script; nothing is removed",
                   whole->store.directory);
}

static void print_others(const Whole *whole) {
  if (json_count(whole->others))
    out_say("what else lies in %s goes too:\n", whole->store.directory);
  for (int64_t i = 0; i < json_count(whole->others); i++) {
    const char *name;
    if (json_get_text(json_item(whole->others, i), &name)) out_say("  %s\n", name);
  }
}

/* Trials and runs; then the rest, unless one runs, is about to be run, or could not be
 * removed. */
static Err remove_all(Whole *whole, bool stays, Fault *fault) {
  whole->dry = false;
  whole->tally = (Tally){0};
  Err err = walk(whole, "", fault);
  if (err || stays || whole->tally.n_running || whole->tally.n_refused) return err;
  whole->rest = true;
  return walk(whole, "", fault);
}

/* ERR_USAGE, in lines of stdout's width. */
static Err refuse(const Whole *whole, Fault *fault) {
  Text text = {0}, wrapped = {0};
  text_addf(&text,
            "rm would remove %s of %s%s; add --yes to do it, or --dry-run to only "
            "count",
            text_counted(whole->tally.n_done, "trial").s, whole->store.name,
            json_count(whole->others) ? ", and what else lies there" : "");
  if (!text.failed)
    text_add_wrapped(&wrapped, text.data, (int)strlen("runner: "), 2, out_columns());
  if (text.failed || wrapped.failed) fault_memory(fault, 0);
  else fault_set(fault, ERR_USAGE, "%.*s", (int)wrapped.n_bytes - 1, wrapped.data);
  text_deinit(&text);
  text_deinit(&wrapped);
  return fault->code;
}

static Err rm_surveyed(Whole *whole, const QueryCall *call, Fault *fault) {
  long process = 0;
  bool dry = query_call_option(call, "--dry-run") != NULL;
  bool sure = query_call_option(call, "--yes") ||
              (whole->tally.n_done == 1 && !json_count(whole->others));
  if (!dry && !sure) return refuse(whole, fault);
  Err err = crash_runs(&whole->store, &process, fault);
  bool stays = process || whole->tally.n_running || whole->tally.n_refused;
  if (err) return err;
  if (process)
    err_print("%s: process %ld runs the study: what belongs to it stays\n",
              whole->store.name, process);
  if (stays) {
    json_free(whole->others);
    whole->others = json_list();
  }
  if (!call->json) print_others(whole);
  if (!dry) err = remove_all(whole, stays, fault);
  Fault telling = {0}; /* what was removed is printed, whatever stopped it */
  if (tidy_tell(call, dry ? "would be removed" : "removed", &whole->tally,
                whole->others, &telling))
    return fault_set(fault, telling.code, "%s", telling.text);
  return err ? err : tally_end(&whole->tally, fault);
}

static Err rm_whole(const QueryCall *call, const char *experiment, Fault *fault) {
  Whole whole = {.others = json_list()};
  Err err = store_open(&whole.store, call->runs, experiment, false, fault);
  if (!err) err = survey(&whole, fault);
  if (!err) err = rm_surveyed(&whole, call, fault);
  store_close(&whole.store);
  json_free(whole.others);
  return err;
}

/* -- some trials ------------------------------------------------------------------- */

static Err remove_runs(const QueryCall *call, const char *experiment, const Json *rows,
                       bool dry, Tally *tally, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    const char *id = json_text(json_item(rows, i), "id");
    bool done = false;
    Fault own = {0};
    if (!name_is_run(id)) continue;
    Path path = path_of("%s/%s/%s", call->runs, experiment, id);
    Err removed = remove_run(path.s, dry, &done, &own);
    err = tally_note(tally, removed, done, &own, fault);
  }
  return err;
}

static Err rm_rows(const QueryCall *call, const char *experiment, const Json *rows,
                   Fault *fault) {
  bool dry = query_call_option(call, "--dry-run") != NULL;
  bool sure = dry || query_call_option(call, "--yes") || json_count(rows) == 1;
  Tally tally = {0};
  if (!sure && json_count(rows) == 0)
    return fault_set(fault, ERR_USAGE, "rm: no trial of %s fits the filters",
                     experiment);
  if (!sure)
    return fault_set(fault, ERR_USAGE,
                     "rm would remove %s of %s; add --yes to do it, or --dry-run to "
                     "only count",
                     text_counted(json_count(rows), "trial").s, experiment);
  Err err = tidy_trials(call, experiment, rows, dry ? store_try : store_remove, &tally,
                        fault);
  if (!err) err = remove_runs(call, experiment, rows, dry, &tally, fault);
  if (!err)
    err = tidy_tell(call, dry ? "would be removed" : "removed", &tally, NULL, fault);
  return err ? err : tally_end(&tally, fault);
}

static Err rm_some(Asking *asking, const QueryCall *call, Fault *fault) {
  Json *rows = NULL;
  const char *experiment = asking->query.experiment;
  asking->query.all = true;
  Err err = tidy_choose(asking, &rows, fault);
  if (!err) err = rm_rows(call, experiment, rows, fault);
  json_free(rows);
  return err;
}

static Err run_rm(const QueryCall *call, Fault *fault) {
  Asking asking;
  Err err = asking_begin(&asking, call, true, fault);
  if (!err)
    err = file_check_unlinked(path_of("%s/%s", call->runs, asking.query.experiment).s,
                              fault);
  if (!err)
    err = asking.query.filter.n ? rm_some(&asking, call, fault)
                                : rm_whole(call, asking.query.experiment, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption rm_options[] = {
    {"--yes", NULL, "really, when it is not one trial"},
    {"--dry-run", NULL, "only count them, and name what else would go"},
    {NULL, NULL, NULL}};

const QueryCommand command_rm = {
    .name = "rm", .usage = "experiment [filters]", .json = true,
    .doc = "Removes an experiment with all its trials, or the trials that fit the "
           "filters.",
    .details = "One trial: runner rm NAME id=ID. Trials that run are left alone, what "
               "is behind\n"
               "a link too. What else lies in the experiment is named, and goes with "
               "it.",
    .options = rm_options, .run = run_rm};
