/* index_update.c: brings the index up to date; see index.h.
 *
 * First all directories are looked at without touching the tables: one stat each. Only
 * what changed is then read and written, in one transaction per entry. Whoever comes
 * second with the same changes writes the same rows. */
#include "base/array.h"
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "base/sys.h"
#include "lab/index_private.h"
#include "lab/look.h"
#include "lab/names.h"
#include "lab/plan_file.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A directory changed so recently may change again without a new time. */
static const int64_t grain_ns = 2000000000;

/* Stamps beside times: read it again; there is no directory or file; no row. */
enum { STAMP_AGAIN = 0, STAMP_NONE = -1, STAMP_UNKNOWN = -2 };

typedef struct Seen { /* a trial or run, in the table or on disk */
  char id[TRIAL_ID];
  int64_t read, now; /* its directory's stamps: as it was read, and of now */
} Seen;

typedef struct Update {
  Index *index;
  const char *name; /* of the entry */
  Path directory;   /* runs/<name> */
  Seen *seen;       /* those of the table by id, then others */
  int64_t n_seen, room, n_rows;
  int64_t plan_read, plan_now; /* stamps of experiment.json, as those of trials */
  bool plan_changed;
  bool tuning; /* the new plan does not know its cells yet */
  sqlite3_stmt *put_trial, *put_planned, *drop_fields, *put_field, *put_name;
} Update;

/* -- looking at the directories ---------------------------------------------------- */

static int64_t ns_of(struct timespec time) {
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t stamp_of(const char *path) {
  struct stat at;
  struct timespec now;
  if (stat(path, &at) != 0) return STAMP_NONE;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t stamp = ns_of(at.st_mtim);
  return stamp > 0 && ns_of(now) - stamp > grain_ns ? stamp : STAMP_AGAIN;
}

static int by_id(const void *id, const void *seen) {
  return strcmp(id, ((const Seen *)seen)->id);
}

static Err add_seen(Update *u, const char *id, int64_t read, int64_t now,
                    Fault *fault) {
  if (ARRAY_ROOM(u->seen, u->room, u->n_seen + 1, fault)) return fault->code;
  Seen *seen = &u->seen[u->n_seen++];
  *seen = (Seen){.read = read, .now = now};
  snprintf(seen->id, sizeof seen->id, "%s", id);
  return ERR_OK;
}

static Err look_at(Update *u, const char *path, const char *name, Fault *fault) {
  int64_t now = stamp_of(path_of("%s/%s", path, name).s);
  Seen *row = u->n_rows ? bsearch(name, u->seen, (size_t)u->n_rows, sizeof *row, by_id)
                        : NULL;
  if (row) row->now = now;
  return row || now == STAMP_NONE ? ERR_OK
                                  : add_seen(u, name, STAMP_UNKNOWN, now, fault);
}

static Err look_into(Update *u, const char *path, bool (*is_ours)(const char *),
                     Fault *fault) {
  FileNames names;
  Err err = file_names(path, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (is_ours(names.v[i]) && strlen(names.v[i]) < TRIAL_ID)
      err = look_at(u, path, names.v[i], fault);
  file_names_deinit(&names);
  return err;
}

static bool is_gone(const Seen *seen) {
  return seen->read >= 0 && seen->now == STAMP_NONE;
}

static bool is_read(const Seen *seen) {
  return seen->now == STAMP_NONE || (seen->read > 0 && seen->read == seen->now);
}

/* -- what the tables hold ---------------------------------------------------------- */

static void bind_text(sqlite3_stmt *s, int at, const char *text) {
  if (text) sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
  else sqlite3_bind_null(s, at);
}

/* Prepared, with the entry's name as its first parameter. */
static sqlite3_stmt *ask_of_entry(Update *u, const char *sql, Fault *fault) {
  sqlite3_stmt *s = index_prepare(u->index, sql, fault);
  bind_text(s, 1, u->name);
  return s;
}

static Err read_tables(Update *u, Fault *fault) {
  sqlite3_stmt *s = ask_of_entry(u, "SELECT stamp FROM entry WHERE name = ?", fault);
  u->plan_read = index_next(u->index, s, fault) ? sqlite3_column_int64(s, 0)
                                                : STAMP_UNKNOWN;
  sqlite3_finalize(s);
  s = ask_of_entry(u, "SELECT id, stamp FROM trial WHERE experiment = ? ORDER BY id",
                   fault);
  while (index_next(u->index, s, fault))
    (void)!add_seen(u, index_text(s, 0), sqlite3_column_int64(s, 1), STAMP_NONE, fault);
  sqlite3_finalize(s);
  u->n_rows = u->n_seen;
  return fault->code;
}

/* -- writing a row ----------------------------------------------------------------- */

/* Text and number of a value. What reads as a number counts as one: levels are names.
 */
static void describe(const Json *value, Text *text, double *number) {
  const char *given;
  Fault ignored = {0};
  *number = NAN;
  if (json_get_text(value, &given)) {
    char *end;
    text_add(text, given);
    double parsed = strtod(given, &end);
    if (*given && !*end) *number = parsed;
    return;
  }
  json_get_number(value, number);
  (void)!json_write(value, 0, text, &ignored);
}

/* Runs a statement that gives nothing, to be bound anew. */
static void step(Update *u, sqlite3_stmt *s, Fault *fault) {
  index_next(u->index, s, fault);
  sqlite3_reset(s);
}

static void put_name(Update *u, const char *kind, const char *key, int place,
                     Fault *fault) {
  bind_text(u->put_name, 1, u->name);
  bind_text(u->put_name, 2, kind);
  bind_text(u->put_name, 3, key);
  sqlite3_bind_int(u->put_name, 4, place);
  step(u, u->put_name, fault);
}

static void put_field(Update *u, int64_t trial, const char *kind, const char *key,
                      const Json *value, Fault *fault) {
  Text text = {0};
  double number;
  sqlite3_stmt *s = u->put_field;
  describe(value, &text, &number);
  sqlite3_bind_int64(s, 1, trial);
  bind_text(s, 2, kind);
  bind_text(s, 3, key);
  sqlite3_bind_int(s, 4, (int)json_kind(value));
  sqlite3_bind_double(s, 5, number); /* NaN is bound as NULL */
  bind_text(s, 6, text.data ? text.data : "");
  text_deinit(&text);
  step(u, s, fault);
}

/* Replaces the fields of the first n kinds. What config.json said stays where it cannot
 * be read any more. */
static void put_fields(Update *u, int64_t trial, const TrialInfo *info, int n,
                       Fault *fault) {
  const Json *const maps[INDEX_KINDS] = {info->factors, info->args, info->values,
                                         info->rows, info->data};
  for (int k = 0; k < n; k++) {
    const Json *map = maps[k] && json_kind(maps[k]) == JSON_KIND_MAP ? maps[k] : NULL;
    int place = 1000; /* behind factors, in the order of the plan */
    if (!map && k < INDEX_CONFIG) continue;
    sqlite3_bind_int64(u->drop_fields, 1, trial);
    bind_text(u->drop_fields, 2, index_kinds[k]);
    step(u, u->drop_fields, fault);
    for (void *it = json_first(map); it; it = json_next(map, it)) {
      put_field(u, trial, index_kinds[k], json_key(it), json_value(it), fault);
      if (k < INDEX_NAMED) put_name(u, index_kinds[k], json_key(it), place++, fault);
    }
  }
}

/* Whether it belongs stays, if it was there. */
static Err put_trial(Update *u, const TrialInfo *info, int64_t stamp, Fault *fault) {
  sqlite3_stmt *s = u->put_trial;
  bind_text(s, 1, u->name);
  bind_text(s, 2, info->id);
  sqlite3_bind_int64(s, 3, info->seed);
  bind_text(s, 4, trial_state_name(info->state));
  sqlite3_bind_int(s, 5, info->attempts);
  sqlite3_bind_double(s, 6, info->seconds > 0 ? info->seconds : NAN);
  bind_text(s, 7, *info->started ? info->started : NULL);
  bind_text(s, 8, *info->digest ? info->digest : NULL);
  bind_text(s, 9, *info->fingerprint ? info->fingerprint : NULL);
  bind_text(s, 10, info->message);
  sqlite3_bind_int(s, 11, info->damaged);
  sqlite3_bind_int(s, 12, info->belongs);
  sqlite3_bind_int64(s, 13, stamp);
  int64_t trial = index_next(u->index, s, fault) ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_reset(s);
  put_fields(u, trial, info, stamp == STAMP_NONE ? INDEX_CONFIG : INDEX_KINDS, fault);
  return fault->code;
}

/* Of two looks the time is the one before: a change in between is seen the next time.
 * Only a published trial's directory stands still. */
static Err put_seen(Update *u, const Seen *seen, Fault *fault) {
  bool run = name_is_run(seen->id);
  Path path = path_of(run ? "%s/%s" : "%s/trials/%s", u->directory.s, seen->id);
  Fault refused = {0}, ignored = {0};
  Look look;
  TrialInfo info;
  Json *config = look_json(path.s, "config.json", &ignored);
  if (look_open(&look, path.s, &refused) == ERR_MEMORY) fault_pass(fault, &refused);
  look_info(&look, &info);
  snprintf(info.id, sizeof info.id, "%s", seen->id);
  info.seed = run ? 1 : store_trial_seed(seen->id);
  json_find_int(config, "seed", &info.seed);
  info.factors = json_share(json_find(config, "factors"));
  info.args = json_share(json_find(config, "args"));
  info.belongs = run || u->plan_now < 0 || u->tuning;
  if (refused.code) { /* the system does not let us read it */
    info.state = TRIAL_STALE;
    free(info.message);
    info.message = text_copy(refused.text);
  }
  if (!fault->code) put_trial(u, &info, look.result ? seen->now : STAMP_AGAIN, fault);
  trial_info_deinit(&info);
  look_close(&look);
  json_free(config);
  return fault->code;
}

/* -- the plan ---------------------------------------------------------------------- */

/* Begun or not, it belongs. */
static Err put_planned(Update *u, const PlannedTrial *planned, Json *args,
                       Fault *fault) {
  sqlite3_stmt *s = u->put_planned;
  TrialInfo info = {.factors = (Json *)planned->factors, .args = args};
  bind_text(s, 1, u->name);
  bind_text(s, 2, planned->id);
  sqlite3_bind_int64(s, 3, planned->seed);
  bool there = index_next(u->index, s, fault);
  int64_t trial = there && sqlite3_column_int64(s, 1) < 0 ? sqlite3_column_int64(s, 0)
                                                          : 0;
  sqlite3_reset(s);
  if (trial) put_fields(u, trial, &info, INDEX_CONFIG, fault);
  return fault->code;
}

/* Names of factors in the order in which the script declared them. */
static Err put_factor_names(Update *u, const Json *factors, Fault *fault) {
  if (index_run(u->index, fault, "DELETE FROM name WHERE experiment = %Q", u->name))
    return fault->code;
  for (int64_t i = 0; i < json_count(factors); i++)
    put_name(u, "factors", json_text(json_item(factors, i), "name"), (int)i, fault);
  return fault->code;
}

/* Whatever is planned gets a row, unless it has one; what is no longer planned is said
 * not to belong, and forgotten if it never was begun. A plan that cannot be read plans
 * nothing. Without a plan, and while parameters are tuned, when nobody knows which of
 * the earlier trials will be asked for, all that were begun belong. */
static Err put_plan(Update *u, Fault *fault) {
  Planned planned;
  Fault unreadable = {0};
  if (planned_open(&planned, u->directory.s, &unreadable)) {
    err_print("warning: %s\n", unreadable.text);
    planned = (Planned){0};
  }
  u->tuning = planned.tuning;
  bool all = u->tuning || !planned.experiment;
  Err err = index_run(u->index, fault,
                      "UPDATE trial SET belongs = %s WHERE experiment = %Q",
                      all ? "stamp <> -1" : "cell = ''", u->name);
  if (!err) err = put_factor_names(u, json_find(planned.experiment, "factors"), fault);
  for (int64_t i = 0; !err && i < planned.n; i++)
    err = put_planned(u, &planned.v[i], json_find(planned.experiment, "args"), fault);
  planned_close(&planned);
  return index_run(u->index, fault,
                   "DELETE FROM trial WHERE experiment = %Q AND stamp = -1 AND NOT "
                   "belongs;"
                   /* names of fields that the trials read before have */
                   "INSERT OR IGNORE INTO name SELECT DISTINCT t.experiment, f.kind, "
                   "f.key, 1999 "
                   "FROM trial t JOIN field f ON f.trial = t.number WHERE t.experiment "
                   "= %Q AND "
                   "f.kind IN ('factors', 'args', 'values')",
                   u->name, u->name);
}

/* -- all of an entry --------------------------------------------------------------- */

/* A row whose directory is gone: planned again, or forgotten. */
static Err drop_gone(Update *u, const char *id, Fault *fault) {
  return index_run(u->index, fault,
                   "DELETE FROM trial WHERE experiment = %Q AND id = %Q AND (NOT "
                   "belongs OR "
                   "cell = '');"
                   "DELETE FROM field WHERE kind IN ('values', 'rows', 'data') AND "
                   "trial IN "
                   "(SELECT number FROM trial WHERE experiment = %Q AND id = %Q);"
                   "UPDATE trial SET state = 'pending', attempts = 0, seconds = NULL, "
                   "started = NULL, digest = NULL, fingerprint = NULL, message = NULL, "
                   "damaged = 0, stamp = -1 WHERE experiment = %Q AND id = %Q",
                   u->name, id, u->name, id, u->name, id);
}

static Err prepare_puts(Update *u, Fault *fault) {
  Index *index = u->index;
  u->put_trial = index_prepare(index,
                               "INSERT INTO trial(experiment, id, seed, state, "
                               "attempts, seconds, started, digest, "
                               "fingerprint, message, damaged, belongs, stamp) VALUES "
                               "(?,?,?,?,?,?,?,?,?,?,?,?,?) "
                               "ON CONFLICT(experiment, id) DO UPDATE SET (seed, "
                               "state, attempts, seconds, started, "
                               "digest, fingerprint, message, damaged, stamp) = (?3, "
                               "?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                               "?13) RETURNING number",
                               fault);
  u->put_planned = index_prepare(index,
                                 "INSERT INTO trial(experiment, id, seed, state, "
                                 "attempts, damaged, belongs, stamp) "
                                 "VALUES (?, ?, ?, 'pending', 0, 0, 1, -1) ON "
                                 "CONFLICT(experiment, id) DO UPDATE SET "
                                 "belongs = 1 RETURNING number, stamp",
                                 fault);
  u->drop_fields = index_prepare(index,
                                 "DELETE FROM field WHERE trial = ? AND kind = ?",
                                 fault);
  u->put_field = index_prepare(index,
                               "INSERT OR REPLACE INTO field(trial, kind, key, type, "
                               "number, text) VALUES (?,?,?,?,?,?)",
                               fault);
  u->put_name = index_prepare(index,
                              "INSERT OR IGNORE INTO name(experiment, kind, key, "
                              "place) "
                              "VALUES (?,?,?,?)",
                              fault);
  return fault->code;
}

static void finish_puts(Update *u) {
  sqlite3_stmt *all[] = {u->put_trial, u->put_planned, u->drop_fields, u->put_field,
                         u->put_name};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) sqlite3_finalize(all[i]);
}

static Err write_changes(Update *u, Fault *fault) {
  double start = clock_s();
  Err err = prepare_puts(u, fault);
  if (!err && u->plan_changed) err = put_plan(u, fault);
  for (int64_t i = 0; !err && i < u->n_seen; i++) {
    if (i % 64 == 0 && clock_s() - start > 0.5)
      out_progress("indexing %s: %lld of %lld", u->name, (long long)i,
                   (long long)u->n_seen);
    if (is_gone(&u->seen[i])) err = drop_gone(u, u->seen[i].id, fault);
    else if (!is_read(&u->seen[i])) err = put_seen(u, &u->seen[i], fault);
  }
  out_progress_end(false);
  finish_puts(u);
  return index_run(u->index, fault,
                   "INSERT OR REPLACE INTO entry(name, stamp) VALUES (%Q, %lld)",
                   u->name, (long long)u->plan_now);
}

/* Ends what BEGIN IMMEDIATE began: with all of it, or after a fault with none. */
static Err end_transaction(Index *index, Fault *fault) {
  Err err = index_run(index, fault, "COMMIT");
  if (err) sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
  return err;
}

static Err write_entry(Update *u, Fault *fault) {
  if (index_run(u->index, fault, "BEGIN IMMEDIATE")) return fault->code;
  (void)!write_changes(u, fault);
  return end_transaction(u->index, fault);
}

/* Of what the tables hold or the disk, if there is anything. */
static Err update_entry(Update *u, Fault *fault) {
  bool changed = u->plan_changed = u->plan_now == STAMP_AGAIN ||
                                   u->plan_now != u->plan_read;
  for (int64_t i = 0; i < u->n_seen; i++)
    changed |= is_gone(&u->seen[i]) || !is_read(&u->seen[i]);
  return changed && (u->n_seen || u->plan_now >= 0) ? write_entry(u, fault) : ERR_OK;
}

static Err refresh_entry(Index *index, const char *name, Fault *fault) {
  Update u = {.index = index, .name = name,
              .directory = path_of("%s/%s", index->runs, name)};
  Err err = read_tables(&u, fault);
  if (!err)
    err = look_into(&u, path_of("%s/trials", u.directory.s).s, name_is_trial, fault);
  if (!err) err = look_into(&u, u.directory.s, name_is_run, fault);
  u.plan_now = stamp_of(path_of("%s/experiment.json", u.directory.s).s);
  if (!err) err = update_entry(&u, fault);
  free(u.seen);
  return err;
}

/* -- all entries ------------------------------------------------------------------- */

/* What the tables hold of entries without a directory goes. */
static Err forget_removed(Index *index, Fault *fault) {
  Json *gone = json_list();
  const char *name;
  sqlite3_stmt *s = index_prepare(index, "SELECT name FROM entry", fault);
  while (index_next(index, s, fault)) {
    name = index_text(s, 0);
    bool below = name[0] != '.' && !strchr(name, '/'); /* the index may be anybody's */
    if (!below || !file_is_directory(index->runs, name)) json_push_text(gone, name);
  }
  sqlite3_finalize(s);
  if (json_count(gone) && !index_run(index, fault, "BEGIN IMMEDIATE")) {
    for (int64_t i = 0;
         i < json_count(gone) && json_get_text(json_item(gone, i), &name); i++)
      (void)!index_run(index, fault,
                       "DELETE FROM trial WHERE experiment = %Q; "
                       "DELETE FROM name WHERE experiment = %Q; "
                       "DELETE FROM entry WHERE name = %Q",
                       name, name, name);
    (void)!end_transaction(index, fault);
  }
  json_free(gone);
  return fault->code;
}

/* A directory that cannot be read, lost+found or another user's, hides no other. */
static Err refresh_or_skip(Index *index, const char *name, Fault *fault) {
  Err err = refresh_entry(index, name, fault);
  if (err != ERR_STORAGE || index->failure) return err;
  err_print("warning: %s; left out\n", fault->text);
  fault_clear(fault);
  return ERR_OK;
}

static Err refresh(Index *index, const char *experiment, Fault *fault) {
  FileNames names;
  Err err = forget_removed(index, fault);
  if (!err && experiment && file_is_directory(index->runs, experiment))
    return refresh_entry(index, experiment, fault);
  if (err || experiment) return err;
  err = file_names(index->runs, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (names.v[i][0] != '.' && file_is_directory(index->runs, names.v[i]))
      err = refresh_or_skip(index, names.v[i], fault);
  file_names_deinit(&names);
  return err;
}

Err index_refresh(Index *index, const char *experiment, Fault *fault) {
  index->failure = SQLITE_OK;
  return refresh(index, experiment, fault) ? index_renew(index, experiment, fault)
                                           : ERR_OK;
}

/* It comes back to index_refresh, as the new file may be no better; index_reopen gives
 * up. */
Err index_renew(Index *index, const char *experiment, Fault *fault) {
  Err err = index_reopen(index, fault);
  return err ? err : index_refresh(index, experiment, fault);
}
