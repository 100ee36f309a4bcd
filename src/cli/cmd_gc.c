/* cmd_gc.c: the command gc: what is no longer needed.
 *
 * Each experiment is dealt with by itself: one whose plan cannot be read, or that the
 * system keeps us from, is left as it is, and the others are gone on with. Only what
 * has a name of ours is removed, and nothing behind a link. */
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "cli/tidy.h"
#include "lab/look.h"
#include "lab/names.h"
#include "lab/script.h"
#include "lab/study_verify.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct Garbage {
  const QueryCall *call;
  bool dry, finished_too;
  const Json *plan; /* of the experiment that is gone through */
  int64_t n_trials, n_kept, n_others, n_running, n_checkpoints, n_leftovers, n_bytes;
  char other[256];              /* a script that made some of those n_others */
  int64_t n_entries, n_refused; /* experiments gone through, and left as they are */
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
  for (int i = 0; i < names.n; i++)
    sum += bytes_of(path_of("%s/%s", path, names.v[i]).s);
  file_names_deinit(&names);
  return sum;
}

static Err drop(Garbage *garbage, const char *path, int64_t *count, Fault *fault) {
  garbage->n_bytes += bytes_of(path);
  *count += 1;
  return garbage->dry ? ERR_OK : file_remove(path, fault);
}

/* -- leftovers of processes -------------------------------------------------------- */

static double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* When the process began, in seconds of the clock of files; 0: unknown. */
static double began_s(long pid) {
  char path[64], line[1024] = "";
  double ticks = 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *file = fopen(path, "re");
  size_t n = file ? fread(line, 1, sizeof line - 1, file) : 0;
  if (file) fclose(file);
  line[n] = 0;
  char *field = strrchr(line, ')'); /* its name may hold anything */
  for (int i = 0; field && i < 20; i++) field = strchr(field + 1, ' ');
  if (field) ticks = strtod(field, NULL);
  if (!(ticks > 0)) return 0;
  return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) +
         ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Is the process gone that wrote this? One of its number that began after it was
 * written is another. */
static bool writer_is_gone(long pid, const char *path) {
  enum { CLOCKS_DIFFER_S = 2 };
  struct stat at;
  if (pid <= 0 || lstat(path, &at) != 0) return false;
  if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return true;
  return began_s(pid) > (double)at.st_mtim.tv_sec + CLOCKS_DIFFER_S;
}

/* Temporary names end in "-<process>-<time>". */
static long writer_of(const char *name) {
  const char *mark = strrchr(name, '-');
  while (mark && mark > name && mark[-1] >= '0' && mark[-1] <= '9') mark--;
  return mark ? strtol(mark, NULL, 10) : 0;
}

/* "<start><process>"; 0: it is none. */
static long process_after(const char *name, const char *start) {
  char *end;
  size_t n = strlen(start);
  if (strncmp(name, start, n) != 0) return 0;
  long pid = strtol(name + n, &end, 10);
  return *end ? 0 : pid;
}

/* Which names of ours a directory may hold. */
typedef enum Place {
  PLACE_RUNS,
  PLACE_EXPERIMENT,
  PLACE_TRIALS,
  PLACE_TRIAL,
  PLACE_PUBLISHED
} Place;

static bool is_leftover(Place place, const char *name, const char *path) {
  long pid = 0;
  if (place == PLACE_TRIALS && strncmp(name, NAME_REMOVED, strlen(NAME_REMOVED)) == 0)
    return true;
  if (place == PLACE_RUNS) pid = process_after(name, VERIFY_DIRECTORY);
  if (place == PLACE_RUNS && !pid) pid = process_after(name, DOCTOR_DIRECTORY);
  if (!pid && file_is_temporary(name)) pid = writer_of(name);
  return writer_is_gone(pid, path);
}

/* -- one directory ----------------------------------------------------------------- */

static Err clean_entry(Garbage *garbage, const char *directory, const char *name,
                       Place place, Fault *fault) {
  Path path = path_of("%s/%s", directory, name);
  bool checkpoint = place == PLACE_PUBLISHED && name_is_checkpoint(name);
  if (!checkpoint && !is_leftover(place, name, path.s)) return ERR_OK;
  return drop(garbage, path.s,
              checkpoint ? &garbage->n_checkpoints : &garbage->n_leftovers, fault);
}

/* What is not needed in one directory: leftovers, and checkpoints of what is published.
 * Nothing where the directory is a link. */
static Err clean_directory(Garbage *garbage, const char *directory, Place place,
                           Fault *fault) {
  FileNames names;
  Fault linked = {0};
  if (file_check_unlinked(directory, &linked)) return ERR_OK;
  Err err = file_names(directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    err = clean_entry(garbage, directory, names.v[i], place, fault);
  file_names_deinit(&names);
  return err;
}

/* -- one experiment ---------------------------------------------------------------- */

static bool is_published(const Json *row) {
  const char *state = json_text(row, "state");
  return strcmp(state, "complete") == 0 || strcmp(state, "diverged") == 0 ||
         strcmp(state, "cancelled") == 0;
}

/* Did another script make the trial, one that is still there? Its study may ask for
 * it. */
static bool is_of_other(Garbage *garbage, const char *path) {
  Fault ignored = {0};
  Json *meta = look_json(path, "meta.json", &ignored);
  bool other = meta && script_is_another_there(garbage->plan, meta);
  if (other)
    snprintf(garbage->other, sizeof garbage->other, "%s", json_text(meta, "script"));
  json_free(meta);
  return other;
}

/* One that no longer belongs to its experiment. */
static Err drop_trial(Garbage *garbage, const Store *store, const Json *row,
                      const char *path, Fault *fault) {
  bool done = false;
  int64_t n_bytes = bytes_of(path);
  const char *id = json_text(row, "id");
  if (is_of_other(garbage, path)) {
    garbage->n_others++;
    return ERR_OK;
  }
  if (is_published(row) && !garbage->finished_too) {
    garbage->n_kept++; /* a run with other words may ask for it again */
    return ERR_OK;
  }
  Err err = garbage->dry ? store_try(store, id, &done, fault)
                         : store_remove(store, id, &done, fault);
  if (!err) *(done ? &garbage->n_trials : &garbage->n_running) += 1;
  if (!err && done) garbage->n_bytes += n_bytes;
  return err;
}

static Err collect_trial(Garbage *garbage, const Store *store, const Json *row,
                         Fault *fault) {
  const char *id = json_text(row, "id");
  bool trial = name_is_trial(id);
  if (!trial && !name_is_run(id)) return ERR_OK;
  Path path = path_of(trial ? "%s/trials/%s" : "%s/%s", store->directory, id);
  if (!json_bool(row, "belongs")) return drop_trial(garbage, store, row, path.s, fault);
  return clean_directory(garbage, path.s,
                         is_published(row) ? PLACE_PUBLISHED : PLACE_TRIAL, fault);
}

/* Beside the trials: in the experiment, in trials/ and code/. */
static Err collect_around(Garbage *garbage, const Store *store, Fault *fault) {
  static const struct { const char *below; Place place; } parts[] = {
      {"", PLACE_EXPERIMENT}, {"/trials", PLACE_TRIALS}, {"/code", PLACE_EXPERIMENT}};
  Err err = ERR_OK;
  for (int i = 0; !err && i < 3; i++)
    err = clean_directory(garbage, path_of("%s%s", store->directory, parts[i].below).s,
                          parts[i].place, fault);
  return err;
}

/* What the experiment asks for must be known before anything of it is called
 * garbage. */
static Err collect_entry(Garbage *garbage, Asking *asking, const Store *store,
                         Fault *fault) {
  Json *plan = NULL, *rows = NULL;
  const char *all = asking->query.experiment;
  asking->query.experiment = store->name;
  Err err = asking_read_plan(garbage->call->runs, store->name, &plan, fault);
  garbage->plan = plan;
  if (!err) err = tidy_choose(asking, &rows, fault);
  for (int64_t i = 0; !err && i < json_count(rows); i++)
    err = collect_trial(garbage, store, json_item(rows, i), fault);
  if (!err) err = collect_around(garbage, store, fault);
  asking->query.experiment = all;
  json_free(plan);
  json_free(rows);
  return err;
}

/* -- all of them ------------------------------------------------------------------- */

/* One that cannot be dealt with is left to the others' good, unless it is the one that
 * was asked for: what is a link, or has a name that no experiment can have, is not
 * ours, and changes no status. */
static Err collect_or_leave(Garbage *garbage, Asking *asking, const char *name,
                            Fault *fault) {
  Fault own = {0};
  Store store;
  Err err = store_open(&store, garbage->call->runs, name, false, &own);
  if (!err) err = file_check_unlinked(store.directory, &own);
  bool ours = !err;
  if (ours) err = collect_entry(garbage, asking, &store, &own);
  store_close(&store);
  garbage->n_entries += !err;
  if (!err) return ERR_OK;
  if (asking->query.experiment || (ours && err != ERR_STORAGE))
    return fault_set(fault, err, "%s", own.text);
  err_print("warning: %s; left as it is\n", own.text);
  garbage->n_refused += ours;
  return ERR_OK;
}

static Err collect_garbage(Garbage *garbage, Asking *asking, Fault *fault) {
  Json *entries = NULL;
  Err err = query_ask(asking->index, QUERY_ENTRIES, &asking->query, &entries, NULL,
                      fault);
  for (int64_t i = 0; !err && i < json_count(entries); i++)
    err = collect_or_leave(garbage, asking,
                           json_text(json_item(entries, i), "experiment"), fault);
  if (!err && !asking->query.experiment)
    err = clean_directory(garbage, garbage->call->runs, PLACE_RUNS, fault);
  json_free(entries);
  return err;
}

static Err tell_garbage(const Garbage *garbage, const QueryCall *call, Fault *fault) {
  const struct { const char *key, *one, *many; int64_t n; } parts[] = {
      {"trials", "trial that no longer belongs to its experiment",
       "trials that no longer belong to their experiment", garbage->n_trials},
      {"checkpoints", "checkpoint of what is finished", "checkpoints of what is "
                                                        "finished",
       garbage->n_checkpoints},
      {"leftovers", "leftover of a process that died", "leftovers of processes that "
                                                       "died",
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
  json_putf(answer, "kept %lld kept_of_others %lld running %lld bytes %lld",
            (long long)garbage->n_kept, (long long)garbage->n_others,
            (long long)garbage->n_running, (long long)garbage->n_bytes);
  if (call->json) return out_json(answer, fault);
  json_free(answer);
  out_print("%.1f MB\n", (double)garbage->n_bytes / 1e6);
  if (garbage->n_kept)
    page_print_wrapped(0, 2,
                       "kept: %s that the experiment does not ask for as it was run "
                       "last; "
                       "gc --yes removes %s",
                       text_counted(garbage->n_kept, "finished trial").s,
                       garbage->n_kept == 1 ? "it" : "them");
  if (garbage->n_others)
    page_print_wrapped(0, 2,
                       "kept: %s of another script, %s, which shares the name; runner "
                       "rm "
                       "takes trials by their id",
                       text_counted(garbage->n_others, "trial").s, garbage->other);
  if (garbage->n_running)
    out_print("left alone, since they run: %s\n",
              text_counted(garbage->n_running, "trial").s);
  return ERR_OK;
}

static Err run_gc(const QueryCall *call, Fault *fault) {
  Asking asking;
  Garbage garbage = {.call = call, .dry = query_call_option(call, "--dry-run") != NULL,
                     .finished_too = query_call_option(call, "--yes") != NULL};
  Err err = asking_begin(&asking, call, false, fault);
  asking.query.all = true;
  if (!err && asking.query.filter.n)
    err = fault_set(fault, ERR_USAGE,
                    "gc: allowed: an experiment; runner rm takes filters");
  if (!err) err = collect_garbage(&garbage, &asking, fault);
  bool anything = garbage.n_entries || !garbage.n_refused;
  if (!err && anything) err = tell_garbage(&garbage, call, fault);
  if (!err && garbage.n_refused)
    err = fault_set(fault, ERR_STORAGE,
                    "gc: left as they are, for the reasons above: %s",
                    text_counted(garbage.n_refused, "experiment").s);
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
    .details = "That is: trials that their experiment no longer asks for (other "
               "levels, seeds\n"
               "or arguments than in its last run), checkpoints of finished trials, "
               "what dead\n"
               "processes left half written. Trials that are finished stay, unless "
               "--yes: a run\n"
               "as before finds them. Those that another script made, which is still "
               "there, stay\n"
               "always. Without a name: in all experiments.",
    .options = gc_options, .run = run_gc};
