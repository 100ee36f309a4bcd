/* index_update.c: brings the index up to date; see index.h.
 *
 * First all directories are looked at without touching the tables: one stat each. Only
 * what changed is then read and written, in one transaction per entry. A second query
 * with the same changes writes the same rows. */
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
#include <unistd.h>

/* Stamps beside times: read it again; there is no directory or file; no row. */
enum {
  STAMP_AGAIN = FILE_STAMP_FRESH, STAMP_NONE = FILE_STAMP_NONE, STAMP_UNKNOWN = -2
};

/* Statements that are run with other values again and again. */
typedef enum Statement {
  GET_STAMP, GET_TRIALS, PUT_TRIAL, PUT_PLANNED, DROP_FIELDS, PUT_FIELD, PUT_NAME,
  STATEMENTS
} Statement;

static const char *const statements[STATEMENTS] = {
    [GET_STAMP] = "SELECT stamp FROM entry WHERE name = ?",
    [GET_TRIALS] = "SELECT id, stamp FROM trial WHERE experiment = ? ORDER BY id",
    /* whether it belongs stays, if it was there */
    [PUT_TRIAL] =
        "INSERT INTO trial(experiment, id, seed, state, attempts, seconds, started, "
        "digest, fingerprint, message, damaged, stamp, belongs) VALUES "
        "(?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(experiment, id) DO UPDATE SET (seed, "
        "state, attempts, seconds, started, digest, fingerprint, message, damaged, "
        "stamp) = (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) RETURNING number",
    [PUT_PLANNED] =
        "INSERT INTO trial(experiment, id, seed, state, attempts, damaged, belongs, "
        "stamp) VALUES (?, ?, ?, 'pending', 0, 0, 1, -1) ON CONFLICT(experiment, id) "
        "DO UPDATE SET belongs = 1 RETURNING iif(stamp < 0, number, NULL)",
    [DROP_FIELDS] = "DELETE FROM field WHERE trial = ? AND kind = ?",
    [PUT_FIELD] = "INSERT OR REPLACE INTO field(trial, kind, key, type, number, text) "
                  "VALUES (?,?,?,?,?,?)",
    [PUT_NAME] = "INSERT OR IGNORE INTO name(experiment, kind, key, place) VALUES "
                 "(?,?,?,?)"};

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
  bool tuning;                        /* the new plan does not know its cells yet */
  sqlite3_stmt *prepared[STATEMENTS]; /* NULL: not used yet */
} Update;

/* -- looking at the directories ---------------------------------------------------- */

static int by_id(const void *id, const void *seen) {
  return strcmp(id, ((const Seen *)seen)->id);
}

static Err add_seen(Update *u, const char *id, Seen seen, Fault *fault) {
  if (ARRAY_ROOM(u->seen, u->room, u->n_seen + 1, fault)) return fault->code;
  snprintf(seen.id, sizeof seen.id, "%s", id);
  u->seen[u->n_seen++] = seen;
  return ERR_OK;
}

static Err look_at(Update *u, const char *path, const char *name, Fault *fault) {
  int64_t now = file_stamp(path_of("%s/%s", path, name).s);
  Seen *row = u->n_rows ? bsearch(name, u->seen, (size_t)u->n_rows, sizeof *row, by_id)
                        : NULL;
  if (row) row->now = now;
  if (row || now == STAMP_NONE) return ERR_OK;
  return add_seen(u, name, (Seen){.read = STAMP_UNKNOWN, .now = now}, fault);
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

/* The statement with these values, to be stepped through: of `types` "t" is a text
 * (NULL: none), "i" an int64_t, "d" a double (NaN: none). NULL after a fault. */
static sqlite3_stmt *with(Update *u, Statement which, Fault *fault, const char *types,
                          ...) {
  sqlite3_stmt **s = &u->prepared[which];
  if (!*s && !fault->code) *s = index_prepare(u->index, statements[which], fault);
  va_list values;
  va_start(values, types);
  for (int i = 0; *s && types[i]; i++) {
    if (types[i] == 'i') sqlite3_bind_int64(*s, i + 1, va_arg(values, int64_t));
    else if (types[i] == 'd') sqlite3_bind_double(*s, i + 1, va_arg(values, double));
    else
      sqlite3_bind_text(*s, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
  }
  va_end(values);
  return *s;
}

/* Runs a statement; the integer that it gives, 0: none. It is over then: one that is
 * not keeps the transaction open. */
static int64_t run(Update *u, sqlite3_stmt *s, Fault *fault) {
  int64_t given = index_next(u->index, s, fault) ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_reset(s);
  return given;
}

static Err read_tables(Update *u, Fault *fault) {
  sqlite3_stmt *s = with(u, GET_STAMP, fault, "t", u->name);
  u->plan_read = index_next(u->index, s, fault) ? sqlite3_column_int64(s, 0)
                                                : STAMP_UNKNOWN;
  sqlite3_reset(s);
  s = with(u, GET_TRIALS, fault, "t", u->name);
  while (index_next(u->index, s, fault)) {
    Seen row = {.read = sqlite3_column_int64(s, 1), .now = STAMP_NONE};
    (void)!add_seen(u, index_text(s, 0), row, fault);
  }
  sqlite3_reset(s);
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

static void put_name(Update *u, const char *kind, const char *key, int64_t place,
                     Fault *fault) {
  run(u, with(u, PUT_NAME, fault, "ttti", u->name, kind, key, place), fault);
}

static void put_field(Update *u, int64_t trial, const char *kind, const char *key,
                      const Json *value, Fault *fault) {
  Text text = {0};
  double number;
  describe(value, &text, &number);
  run(u,
      with(u, PUT_FIELD, fault, "ittidt", trial, kind, key, (int64_t)json_kind(value),
           number, text.data ? text.data : ""),
      fault);
  text_deinit(&text);
}

/* Replaces the fields of the first n kinds. What config.json said stays where it cannot
 * be read any more. */
static void put_fields(Update *u, int64_t trial, const TrialInfo *info, int n,
                       Fault *fault) {
  const Json *const maps[INDEX_KINDS] = {info->factors, info->args, info->values,
                                         info->rows, info->data};
  for (int k = 0; k < n; k++) {
    const Json *map = maps[k] && json_kind(maps[k]) == JSON_KIND_MAP ? maps[k] : NULL;
    int64_t place = 1000; /* behind factors, in the order of the plan */
    if (!map && k < INDEX_CONFIG) continue;
    run(u, with(u, DROP_FIELDS, fault, "it", trial, index_kinds[k]), fault);
    for (void *it = json_first(map); it; it = json_next(map, it)) {
      put_field(u, trial, index_kinds[k], json_key(it), json_value(it), fault);
      if (k < INDEX_NAMED) put_name(u, index_kinds[k], json_key(it), place++, fault);
    }
  }
}

static const char *some(const char *text) { return *text ? text : NULL; }

static Err put_trial(Update *u, const TrialInfo *info, int64_t stamp, Fault *fault) {
  sqlite3_stmt *s = with(u, PUT_TRIAL, fault, "ttitidttttiii", u->name, info->id,
                         info->seed, trial_state_name(info->state),
                         (int64_t)info->attempts,
                         info->seconds > 0 ? info->seconds : NAN, some(info->started),
                         some(info->digest), some(info->fingerprint), info->message,
                         (int64_t)info->damaged, stamp, (int64_t)info->belongs);
  int64_t trial = run(u, s, fault);
  put_fields(u, trial, info, stamp == STAMP_NONE ? INDEX_CONFIG : INDEX_KINDS, fault);
  return fault->code;
}

/* Of two looks the time is the one before: a change in between is seen the next time.
 * Only a published trial's directory does not change any more. */
static Err put_seen(Update *u, const Seen *seen, Fault *fault) {
  bool of_script = name_is_run(seen->id);
  Path path = path_of(of_script ? "%s/%s" : "%s/trials/%s", u->directory.s, seen->id);
  Fault refused = {0}, ignored = {0};
  Look look;
  TrialInfo info;
  Json *config = look_json(path.s, "config.json", &ignored);
  if (look_open(&look, path.s, &refused) == ERR_MEMORY) fault_pass(fault, &refused);
  look_info(&look, &info);
  snprintf(info.id, sizeof info.id, "%s", seen->id);
  info.seed = of_script ? 1 : store_trial_seed(seen->id);
  json_find_int(config, "seed", &info.seed);
  info.factors = json_share(json_find(config, "factors"));
  info.args = json_share(json_find(config, "args"));
  info.belongs = of_script || u->plan_now < 0 || u->tuning;
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
  TrialInfo info = {.factors = (Json *)planned->factors, .args = args};
  sqlite3_stmt *s = with(u, PUT_PLANNED, fault, "tti", u->name, planned->id,
                         planned->seed);
  int64_t trial = run(u, s, fault); /* none where it was begun */
  if (trial) put_fields(u, trial, &info, INDEX_CONFIG, fault);
  return fault->code;
}

/* Names of factors in the order in which the script declared them. */
static Err put_factor_names(Update *u, const Json *factors, Fault *fault) {
  if (index_run(u->index, fault, "DELETE FROM name WHERE experiment = %Q", u->name))
    return fault->code;
  for (int64_t i = 0; i < json_count(factors); i++)
    put_name(u, "factors", json_text(json_item(factors, i), "name"), i, fault);
  return fault->code;
}

/* Whatever is planned gets a row, unless it has one; what is no longer planned is said
 * not to belong, and forgotten if it never was begun. A plan that cannot be read plans
 * nothing. Without a plan, and while parameters are tuned, when it is unknown which of
 * the earlier trials will be asked for, all that were begun belong. */
static Err put_plan(Update *u, Fault *fault) {
  Planned planned;
  Fault unreadable = {0};
  if (plan_file_open(&planned, u->directory.s, &unreadable)) {
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
  plan_file_close(&planned);
  return index_run(u->index, fault,
                   "DELETE FROM trial WHERE experiment = %Q AND stamp = -1 AND NOT "
                   "belongs;"
                   /* names of fields that the trials read before have */
                   "INSERT OR IGNORE INTO name SELECT DISTINCT t.experiment, f.kind, "
                   "f.key, 1999 FROM trial t JOIN field f ON f.trial = t.number WHERE "
                   "t.experiment = %Q AND f.kind IN ('factors', 'args', 'values')",
                   u->name, u->name);
}

/* -- all of an entry --------------------------------------------------------------- */

/* A row whose directory is gone: planned again, or forgotten. */
static Err drop_gone(Update *u, const char *id, Fault *fault) {
  return index_run(u->index, fault,
                   "DELETE FROM trial WHERE experiment = %Q AND id = %Q AND (NOT "
                   "belongs OR cell = '');"
                   "DELETE FROM field WHERE kind IN ('values', 'rows', 'data') AND "
                   "trial IN (SELECT number FROM trial WHERE experiment = %Q AND id = "
                   "%Q);"
                   "UPDATE trial SET state = 'pending', attempts = 0, seconds = NULL, "
                   "started = NULL, digest = NULL, fingerprint = NULL, message = NULL, "
                   "damaged = 0, stamp = -1 WHERE experiment = %Q AND id = %Q",
                   u->name, id, u->name, id, u->name, id);
}

static Err write_changes(Update *u, Fault *fault) {
  double start = clock_s();
  Err err = u->plan_changed ? put_plan(u, fault) : ERR_OK;
  for (int64_t i = 0; !err && i < u->n_seen; i++) {
    if (i % 64 == 0 && clock_s() - start > 0.5)
      out_progress("indexing %s: %lld of %lld", u->name, (long long)i,
                   (long long)u->n_seen);
    if (is_gone(&u->seen[i])) err = drop_gone(u, u->seen[i].id, fault);
    else if (!is_read(&u->seen[i])) err = put_seen(u, &u->seen[i], fault);
  }
  out_progress_end(false);
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
  u.plan_now = file_stamp(path_of("%s/experiment.json", u.directory.s).s);
  if (!err) err = update_entry(&u, fault);
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(u.prepared[i]);
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
  for (int64_t i = 0; i < json_count(gone); i++) {
    (void)!json_get_text(json_item(gone, i), &name);
    (void)!index_run(index, fault,
                     "BEGIN IMMEDIATE; DELETE FROM trial WHERE experiment = %Q; "
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
