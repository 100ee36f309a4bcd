/* index_update.c: brings the index up to date; see index.h.
 *
 * First all directories are looked at without touching the tables: one stat each. Only
 * what changed is then read and written, in one transaction per entry. Whoever comes
 * second with the same changes writes the same rows. */
#include "base/file.h"
#include "base/out.h"
#include "base/sys.h"
#include "lab/index_private.h"
#include "lab/look.h"
#include "lab/names.h"
#include "lab/planned.h"
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

typedef struct Known { /* a row of the table */
  char id[TRIAL_ID];
  int64_t stamp;
  bool on_disk;
} Known;

typedef struct Found { /* a directory that has to be read */
  char id[TRIAL_ID];
  bool run; /* of a plain script: not in trials/ */
  int64_t stamp;
} Found;

typedef struct Update {
  Index *index;
  const char *name; /* of the entry */
  char *directory;  /* runs/<name> */
  Known *known;     /* sorted by id */
  int64_t n_known, n_gone;
  Found *found;
  int64_t n_found, capacity;
  int64_t plan_stamp; /* of experiment.json now; 0: none */
  bool plan_changed;
  bool tuning; /* the new plan does not know its cells yet */
  sqlite3_stmt *put_trial, *drop_fields, *put_field, *put_name;
} Update;

/* -- looking at the directories ---------------------------------------------------- */

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Time of the entry in ns; 0 if it cannot be trusted, -1 if there is none. */
static int64_t stamp_of(int directory, const char *name) {
  struct stat at;
  if (fstatat(directory, name, &at, 0) != 0) return -1;
  int64_t stamp = (int64_t)at.st_mtim.tv_sec * 1000000000 + at.st_mtim.tv_nsec;
  return stamp > 0 && now_ns() - stamp > grain_ns ? stamp : 0;
}

static int by_id(const void *id, const void *known) {
  return strcmp(id, ((const Known *)known)->id);
}

static Err add_found(Update *u, const char *id, bool run, int64_t stamp, Fault *fault) {
  if (u->n_found == u->capacity) {
    int64_t capacity = u->capacity ? 2 * u->capacity : 64;
    Found *found = realloc(u->found, (size_t)capacity * sizeof *found);
    if (!found) return fault_memory(fault, (size_t)capacity * sizeof *found);
    u->found = found;
    u->capacity = capacity;
  }
  Found *f = &u->found[u->n_found++];
  *f = (Found){.run = run, .stamp = stamp};
  snprintf(f->id, sizeof f->id, "%s", id);
  return ERR_OK;
}

static Err look_at(Update *u, int directory, const char *name, bool run, Fault *fault) {
  bool ours = run ? name_is_run(name) : name_is_trial(name);
  if (!ours || strlen(name) >= TRIAL_ID) return ERR_OK;
  int64_t stamp = stamp_of(directory, name);
  if (stamp < 0) return ERR_OK;
  Known *known = u->n_known
                     ? bsearch(name, u->known, (size_t)u->n_known, sizeof *known, by_id)
                     : NULL;
  if (known) known->on_disk = true;
  if (known && known->stamp > 0 && known->stamp == stamp) return ERR_OK;
  return add_found(u, name, run, stamp, fault);
}

static Err look_into(Update *u, const char *path, bool runs, Fault *fault) {
  FileNames names;
  Err err = file_names(path, &names, fault);
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; !err && directory >= 0 && i < names.n; i++)
    err = look_at(u, directory, names.v[i], runs, fault);
  if (directory >= 0) close(directory);
  file_names_deinit(&names);
  return err;
}

static Err look_all(Update *u, Fault *fault) {
  Text trials = {0};
  text_addf(&trials, "%s/trials", u->directory);
  Err err = trials.failed ? fault_memory(fault, 0)
                          : look_into(u, trials.data, false, fault);
  text_deinit(&trials);
  if (!err) err = look_into(u, u->directory, true, fault);
  int directory = open(u->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int64_t stamp = directory < 0 ? -1 : stamp_of(directory, "experiment.json");
  if (directory >= 0) close(directory);
  u->plan_changed = stamp < 0 ? u->plan_stamp != -1
                              : stamp == 0 || stamp != u->plan_stamp;
  u->plan_stamp = stamp;
  for (int64_t i = 0; i < u->n_known; i++)
    u->n_gone += u->known[i].stamp >= 0 && !u->known[i].on_disk;
  return err;
}

/* -- what the tables hold ---------------------------------------------------------- */

static void bind_text(sqlite3_stmt *s, int at, const char *text) {
  sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static Err read_entry(Update *u, Fault *fault) {
  sqlite3_stmt *s = index_prepare(u->index, "SELECT stamp FROM entry WHERE name = ?",
                                  fault);
  if (!s) return fault->code;
  bind_text(s, 1, u->name);
  u->plan_stamp = index_next(u->index, s, fault) ? sqlite3_column_int64(s, 0) : -2;
  sqlite3_finalize(s);
  return fault->code;
}

static Err read_known(Update *u, Fault *fault) {
  sqlite3_stmt *s = index_prepare(u->index,
                                  "SELECT id, stamp FROM trial WHERE experiment = ? "
                                  "ORDER BY id",
                                  fault);
  if (!s) return fault->code;
  bind_text(s, 1, u->name);
  int64_t capacity = 0;
  while (index_next(u->index, s, fault)) {
    if (u->n_known == capacity) {
      capacity = capacity ? 2 * capacity : 256;
      Known *known = realloc(u->known, (size_t)capacity * sizeof *known);
      if (!known) {
        fault_memory(fault, (size_t)capacity * sizeof *known);
        break;
      }
      u->known = known;
    }
    Known *k = &u->known[u->n_known++];
    snprintf(k->id, sizeof k->id, "%s", index_text(s, 0));
    k->stamp = sqlite3_column_int64(s, 1);
    k->on_disk = false;
  }
  sqlite3_finalize(s);
  return fault->code;
}

/* -- writing a row ----------------------------------------------------------------- */

static Err step_done(Update *u, sqlite3_stmt *s, Fault *fault) {
  index_next(u->index, s, fault);
  sqlite3_reset(s);
  return fault->code;
}

/* Text and number of a value. What reads as a number counts as one: levels are
 * names. */
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

static Err put_name(Update *u, const char *kind, const char *key, int place,
                    Fault *fault) {
  bind_text(u->put_name, 1, u->name);
  bind_text(u->put_name, 2, kind);
  bind_text(u->put_name, 3, key);
  sqlite3_bind_int(u->put_name, 4, place);
  return step_done(u, u->put_name, fault);
}

static Err put_field(Update *u, int64_t trial, const char *kind, const char *key,
                     const Json *value, Fault *fault) {
  Text text = {0};
  double number;
  describe(value, &text, &number);
  sqlite3_stmt *s = u->put_field;
  sqlite3_bind_int64(s, 1, trial);
  bind_text(s, 2, kind);
  bind_text(s, 3, key);
  sqlite3_bind_int(s, 4, (int)json_kind(value));
  if (isnan(number)) sqlite3_bind_null(s, 5);
  else sqlite3_bind_double(s, 5, number);
  bind_text(s, 6, text.data ? text.data : "");
  text_deinit(&text);
  return step_done(u, s, fault);
}

/* Replaces the fields of that kind by those of the map. */
static Err put_fields(Update *u, int64_t trial, const char *kind, const Json *map,
                      Fault *fault) {
  if (!map || json_kind(map) != JSON_KIND_MAP) return ERR_OK;
  sqlite3_bind_int64(u->drop_fields, 1, trial);
  bind_text(u->drop_fields, 2, kind);
  Err err = step_done(u, u->drop_fields, fault);
  int place = 0;
  for (void *it = json_first(map); !err && it; it = json_next(map, it)) {
    err = put_field(u, trial, kind, json_key(it), json_value(it), fault);
    if (!err) err = put_name(u, kind, json_key(it), 1000 + place++, fault);
  }
  return err;
}

typedef struct Row {
  const char *id, *path;
  int64_t seed, stamp;
  const char *started;
  TrialInfo info;
  bool belongs;
} Row;

static void bind_or_null(sqlite3_stmt *s, int at, const char *text) {
  if (text && *text) bind_text(s, at, text);
  else sqlite3_bind_null(s, at);
}

/* Number of the row in *out. Whether it belongs stays, if it was there. */
static Err put_row(Update *u, const Row *row, int64_t *out, Fault *fault) {
  sqlite3_stmt *s = u->put_trial;
  const char *dash = strstr(row->id, "-s");
  bool run = name_is_run(row->id);
  int n_cell = dash && !run ? (int)(dash - row->id) : 0;
  bind_text(s, 1, u->name);
  bind_text(s, 2, row->id);
  bind_text(s, 3, row->path);
  sqlite3_bind_text(s, 4, row->id, n_cell, SQLITE_TRANSIENT);
  sqlite3_bind_int64(s, 5, row->seed);
  bind_text(s, 6, trial_state_name(row->info.state));
  sqlite3_bind_int(s, 7, row->info.attempts);
  if (row->info.seconds > 0) sqlite3_bind_double(s, 8, row->info.seconds);
  else sqlite3_bind_null(s, 8);
  bind_or_null(s, 9, row->started);
  bind_or_null(s, 10, row->info.digest);
  bind_or_null(s, 11, row->info.fingerprint);
  bind_or_null(s, 12, row->info.message);
  sqlite3_bind_int(s, 13, row->belongs);
  sqlite3_bind_int64(s, 14, row->stamp);
  bind_text(s, 15, run ? "" : row->seed > SEED_MAX ? "tuning" : "report");
  if (index_next(u->index, s, fault)) *out = sqlite3_column_int64(s, 0);
  sqlite3_reset(s);
  return fault->code;
}

/* -- one trial --------------------------------------------------------------------- */

/* Only a published trial's directory stands still. */
static bool stands_still(const Look *look) { return look->result != NULL; }

static Err put_read(Update *u, const Found *found, const char *path, const Look *look,
                    const Json *config, const char *refused, Fault *fault) {
  const char *dash = strstr(found->id, "-s");
  Row row = {.id = found->id, .path = path + strlen(u->index->runs) + 1,
             .seed = dash && !found->run ? strtoll(dash + 2, NULL, 10) : 1,
             .stamp = stands_still(look) ? found->stamp : 0,
             .belongs = found->run || u->plan_stamp < 0 || u->tuning};
  int64_t trial = 0;
  look_info(look, &row.info);
  if (refused) { /* the system does not let us read it */
    row.info.state = TRIAL_STALE;
    free(row.info.message);
    row.info.message = text_copy(refused);
  }
  json_get_int(json_find(config, "seed"), &row.seed);
  json_get_text(json_find(look->meta, "started"), &row.started);
  Err err = put_row(u, &row, &trial, fault);
  if (!err) err = put_fields(u, trial, "factors", json_find(config, "factors"), fault);
  if (!err) err = put_fields(u, trial, "args", json_find(config, "args"), fault);
  Json *none = json_map();
  if (!err)
    err = put_fields(u, trial, "values", row.info.values ? row.info.values : none,
                     fault);
  json_free(none);
  trial_info_deinit(&row.info);
  return err;
}

/* Of two looks the time is the one before: a change in between is seen the next
 * time. */
static Err put_found(Update *u, const Found *found, Fault *fault) {
  Text path = {0};
  text_addf(&path, found->run ? "%s/%s" : "%s/trials/%s", u->directory, found->id);
  if (path.failed) return fault_memory(fault, path.n_bytes);
  Fault unreadable = {0}, ignored = {0};
  Look look;
  Json *config = look_json(path.data, "config.json", &ignored);
  Err err = look_open(&look, path.data, &unreadable) == ERR_MEMORY
                ? fault_memory(fault, path.n_bytes)
                : ERR_OK;
  const char *refused = unreadable.code ? unreadable.text : NULL;
  if (!err) err = put_read(u, found, path.data, &look, config, refused, fault);
  look_close(&look);
  json_free(config);
  text_deinit(&path);
  return err;
}

/* -- the plan ---------------------------------------------------------------------- */

static Err put_planned(Update *u, const PlannedTrial *planned, const Json *args,
                       Fault *fault) {
  Text path = {0};
  int64_t trial = 0;
  text_addf(&path, "%s/trials/%s", u->name, planned->id);
  if (path.failed) return fault_memory(fault, path.n_bytes);
  Row row = {.id = planned->id, .path = path.data, .seed = planned->seed, .stamp = -1,
             .belongs = true};
  Err err = put_row(u, &row, &trial, fault);
  if (!err) err = put_fields(u, trial, "factors", planned->factors, fault);
  if (!err) err = put_fields(u, trial, "args", args, fault);
  text_deinit(&path);
  return err;
}

static Err run_for_entry(Update *u, const char *sql, const char *id, Fault *fault) {
  sqlite3_stmt *s = index_prepare(u->index, sql, fault);
  if (!s) return fault->code;
  bind_text(s, 1, u->name);
  if (id) bind_text(s, 2, id);
  Err err = step_done(u, s, fault);
  sqlite3_finalize(s);
  return err;
}

/* Names of factors in the order in which the script declared them. */
static Err put_factor_names(Update *u, const Json *experiment, Fault *fault) {
  const Json *factors = json_find(experiment, "factors");
  Err err = run_for_entry(u, "DELETE FROM name WHERE experiment = ?", NULL, fault);
  if (!factors || json_kind(factors) != JSON_KIND_LIST) return err;
  for (int64_t i = 0; !err && i < json_count(factors); i++) {
    const char *name;
    if (json_get_text(json_find(json_item(factors, i), "name"), &name))
      err = put_name(u, "factors", name, (int)i, fault);
  }
  return err;
}

/* Names of fields that the trials read before have. */
static const char names_again[] = "INSERT OR IGNORE INTO name SELECT DISTINCT "
                                  "t.experiment, f.kind, f.key, 1999 FROM trial t JOIN "
                                  "field f ON f.trial = t.number WHERE t.experiment = "
                                  "?";

/* Whatever is planned gets a row, unless it has one; what is no longer planned is said
 * not to belong, and forgotten if it never was begun. A plan that cannot be read plans
 * nothing. While parameters are tuned, nobody knows which of the earlier trials will be
 * asked for: all that were begun belong. */
static Err put_plan(Update *u, Fault *fault) {
  Planned planned;
  Fault unreadable = {0};
  if (planned_open(&planned, u->directory, &unreadable)) {
    err_print("warning: %s\n", unreadable.text);
    planned = (Planned){0};
  }
  u->tuning = planned.tuning;
  Err err = run_for_entry(u,
                          u->tuning
                              ? "UPDATE trial SET belongs = stamp <> -1 "
                                "WHERE experiment = ?"
                              : "UPDATE trial SET belongs = 0 WHERE experiment = ? "
                                "AND path LIKE '%/trials/%'",
                          NULL, fault);
  if (!err) err = put_factor_names(u, planned.experiment, fault);
  const Json *args = json_find(planned.experiment, "args");
  sqlite3_stmt *keep = index_prepare(u->index,
                                     "UPDATE trial SET belongs = 1 WHERE experiment = "
                                     "? AND id = ? RETURNING number",
                                     fault);
  if (!keep) err = fault->code;
  for (int64_t i = 0; !err && i < planned.n; i++) {
    bind_text(keep, 1, u->name);
    bind_text(keep, 2, planned.v[i].id);
    bool there = index_next(u->index, keep, fault);
    sqlite3_reset(keep);
    err = fault->code;
    if (!err && !there) err = put_planned(u, &planned.v[i], args, fault);
  }
  sqlite3_finalize(keep);
  if (!err)
    err = run_for_entry(u,
                        "DELETE FROM field WHERE trial IN (SELECT number FROM trial "
                        "WHERE experiment = ? AND stamp = -1 AND NOT belongs)",
                        NULL, fault);
  if (!err)
    err = run_for_entry(u,
                        "DELETE FROM trial WHERE experiment = ? AND stamp = -1 AND NOT "
                        "belongs",
                        NULL, fault);
  if (!err && !planned.experiment)
    err = run_for_entry(u, "UPDATE trial SET belongs = 1 WHERE experiment = ?", NULL,
                        fault);
  if (!err) err = run_for_entry(u, names_again, NULL, fault);
  planned_close(&planned);
  return err;
}

/* -- all of an entry --------------------------------------------------------------- */

/* A row whose directory is gone: planned again, or forgotten. */
static Err drop_gone(Update *u, const char *id, Fault *fault) {
  static const char *const steps[] = {
      "DELETE FROM field WHERE kind = 'values' AND trial IN (SELECT number FROM trial "
      "WHERE experiment = ? AND id = ?)",
      "UPDATE trial SET state = 'pending', attempts = 0, seconds = NULL, started = "
      "NULL, digest = NULL, fingerprint = NULL, message = NULL, stamp = -1 WHERE "
      "experiment = ? AND id = ?",
      "DELETE FROM field WHERE trial IN (SELECT number FROM trial WHERE experiment = ? "
      "AND id = ? AND (NOT belongs OR path NOT LIKE '%/trials/%'))",
      "DELETE FROM trial WHERE experiment = ? AND id = ? AND (NOT belongs OR path NOT "
      "LIKE '%/trials/%')"};
  Err err = ERR_OK;
  for (size_t i = 0; !err && i < sizeof steps / sizeof *steps; i++)
    err = run_for_entry(u, steps[i], id, fault);
  return err;
}

static Err prepare_puts(Update *u, Fault *fault) {
  u->put_trial = index_prepare(u->index,
                               "INSERT INTO trial(experiment, id, path, cell, seed, "
                               "state, attempts, seconds, started, digest, "
                               "fingerprint, message, belongs, stamp, purpose) VALUES "
                               "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON "
                               "CONFLICT(experiment, id) DO UPDATE SET path = "
                               "excluded.path, seed = excluded.seed, state = "
                               "excluded.state, attempts = excluded.attempts, seconds "
                               "= excluded.seconds, started = excluded.started, digest "
                               "= excluded.digest, fingerprint = excluded.fingerprint, "
                               "message = excluded.message, stamp = excluded.stamp "
                               "RETURNING number",
                               fault);
  u->drop_fields = index_prepare(u->index,
                                 "DELETE FROM field WHERE trial = ? AND kind = ?",
                                 fault);
  u->put_field = index_prepare(u->index,
                               "INSERT OR REPLACE INTO field(trial, kind, key, type, "
                               "number, text) VALUES (?,?,?,?,?,?)",
                               fault);
  u->put_name = index_prepare(u->index,
                              "INSERT OR IGNORE INTO name(experiment, kind, key, "
                              "place) VALUES (?,?,?,?)",
                              fault);
  return fault->code;
}

static Err write_changes(Update *u, Fault *fault) {
  double start = clock_s();
  Err err = prepare_puts(u, fault);
  if (!err && u->plan_changed) err = put_plan(u, fault);
  for (int64_t i = 0; !err && i < u->n_known; i++)
    if (u->known[i].stamp >= 0 && !u->known[i].on_disk)
      err = drop_gone(u, u->known[i].id, fault);
  for (int64_t i = 0; !err && i < u->n_found; i++) {
    if (i % 64 == 0 && clock_s() - start > 0.5)
      out_progress("indexing %s: %lld of %lld", u->name, (long long)i,
                   (long long)u->n_found);
    err = put_found(u, &u->found[i], fault);
  }
  out_progress_end(false);
  sqlite3_stmt *s = err ? NULL
                        : index_prepare(u->index,
                                        "INSERT OR REPLACE INTO entry(name, stamp) "
                                        "VALUES (?, ?)",
                                        fault);
  if (s) {
    bind_text(s, 1, u->name);
    sqlite3_bind_int64(s, 2, u->plan_stamp);
    err = step_done(u, s, fault);
  }
  sqlite3_finalize(s);
  return err ? err : fault->code;
}

/* Ends what BEGIN IMMEDIATE began: with all of it, or after a fault with none. */
static Err end_transaction(Index *index, Err err, Fault *fault) {
  if (!err) err = index_run(index, "COMMIT", fault);
  if (err) sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
  return err;
}

static Err write_entry(Update *u, Fault *fault) {
  Err err = index_run(u->index, "BEGIN IMMEDIATE", fault);
  if (err) return err;
  err = write_changes(u, fault);
  sqlite3_finalize(u->put_trial);
  sqlite3_finalize(u->drop_fields);
  sqlite3_finalize(u->put_field);
  sqlite3_finalize(u->put_name);
  return end_transaction(u->index, err, fault);
}

static Err refresh_entry(Index *index, const char *name, Fault *fault) {
  Text directory = {0};
  text_addf(&directory, "%s/%s", index->runs, name);
  Update u = {.index = index, .name = name, .directory = directory.data};
  Err err = directory.failed ? fault_memory(fault, directory.n_bytes) : ERR_OK;
  if (!err) err = read_entry(&u, fault);
  bool known = u.plan_stamp != -2;
  if (!err) err = read_known(&u, fault);
  if (!err) err = look_all(&u, fault);
  bool anything = u.n_known || u.n_found || u.plan_stamp >= 0;
  if (!err && anything && (!known || u.plan_changed || u.n_found || u.n_gone))
    err = write_entry(&u, fault);
  free(u.known);
  free(u.found);
  text_deinit(&directory);
  return err;
}

/* -- all entries ------------------------------------------------------------------- */

/* Entries in the tables without a directory. */
static Err find_removed(Index *index, FileNames *gone, Fault *fault) {
  sqlite3_stmt *s = index_prepare(index, "SELECT name FROM entry", fault);
  while (index_next(index, s, fault)) {
    const char *name = index_text(s, 0);
    bool below = name[0] != '.' && !strchr(name, '/'); /* the index may be anybody's */
    if (below && file_is_directory(index->runs, name)) continue;
    char **v = realloc(gone->v, (size_t)(gone->n + 1) * sizeof *v);
    if (v) gone->v = v;
    char *copy = v ? text_copy(name) : NULL;
    if (copy) gone->v[gone->n++] = copy;
    else fault_memory(fault, strlen(name));
  }
  sqlite3_finalize(s);
  return fault->code;
}

static Err forget(Index *index, const char *name, Fault *fault) {
  static const char *const steps[] = {
      "DELETE FROM field WHERE trial IN (SELECT number FROM trial WHERE experiment = "
      "?)",
      "DELETE FROM trial WHERE experiment = ?", "DELETE FROM name WHERE experiment = ?",
      "DELETE FROM entry WHERE name = ?"};
  Update u = {.index = index, .name = name};
  Err err = ERR_OK;
  for (size_t k = 0; !err && k < sizeof steps / sizeof *steps; k++)
    err = run_for_entry(&u, steps[k], NULL, fault);
  return err;
}

static Err forget_removed(Index *index, Fault *fault) {
  FileNames gone = {0};
  Err err = find_removed(index, &gone, fault);
  if (!err && gone.n) {
    err = index_run(index, "BEGIN IMMEDIATE", fault);
    for (int i = 0; !err && i < gone.n; i++) err = forget(index, gone.v[i], fault);
    err = end_transaction(index, err, fault);
  }
  file_names_deinit(&gone);
  return err;
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
  Err err = forget_removed(index, fault);
  if (err) return err;
  if (experiment)
    return file_is_directory(index->runs, experiment)
               ? refresh_entry(index, experiment, fault)
               : ERR_OK;
  FileNames names;
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
