/* index.c: the file of the index: opening, building anew; see index.h. */
#include "lab/index_private.h"
#include "base/file.h"
#include "base/path.h"
#include "lab/store.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 10000, INDEX_VERSION = 4 };

/* The version, the largest seed of trials that are reported. */
static const char schema[] =
    "PRAGMA user_version = %d;"
    "CREATE TABLE entry(name TEXT PRIMARY KEY, stamp INTEGER NOT NULL);"
    "CREATE TABLE trial(number INTEGER PRIMARY KEY, experiment TEXT NOT NULL,"
    " id TEXT NOT NULL, seed INTEGER NOT NULL, state TEXT NOT NULL,"
    " attempts INTEGER NOT NULL, seconds REAL, started TEXT, digest TEXT,"
    " fingerprint TEXT, message TEXT, damaged INTEGER NOT NULL,"
    " belongs INTEGER NOT NULL, stamp INTEGER NOT NULL,"
    " cell TEXT AS (iif(substr(id, 17, 2) = '-s', substr(id, 1, 16), '')),"
    " purpose TEXT AS (iif(cell = '', '', iif(seed > %lld, 'tuning', 'report'))),"
    " UNIQUE(experiment, id));"
    "CREATE INDEX trial_id ON trial(id);"
    "CREATE INDEX trial_stamp ON trial(experiment, id, stamp);"
    "CREATE INDEX trial_cell ON trial(experiment, cell);"
    "CREATE TABLE field(trial INTEGER NOT NULL REFERENCES trial ON DELETE CASCADE,"
    " kind TEXT NOT NULL, key TEXT NOT NULL, type INTEGER NOT NULL, number REAL,"
    " text TEXT NOT NULL, PRIMARY KEY(trial, kind, key)) WITHOUT ROWID;"
    "CREATE TABLE name(experiment TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,"
    " place INTEGER NOT NULL, PRIMARY KEY(experiment, kind, key)) WITHOUT ROWID; "
    "COMMIT";

const char *const index_kinds[INDEX_KINDS] = {"factors", "args", "values", "rows",
                                              "data"};

/* The last error of the database as a fault. */
static Err index_fault(Index *index, Fault *fault) {
  index->failure = sqlite3_errcode(index->db) & 0xFF;
  return fault_set(fault, ERR_STORAGE, "%s/index.sqlite: %s", index->runs,
                   sqlite3_errmsg(index->db));
}

sqlite3_stmt *index_prepare(Index *index, const char *sql, Fault *fault) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(index->db, sql, -1, &statement, NULL) != SQLITE_OK)
    index_fault(index, fault);
  return statement;
}

bool index_next(Index *index, sqlite3_stmt *s, Fault *fault) {
  if (!s || fault->code) return false;
  int status = sqlite3_step(s);
  if (status != SQLITE_ROW && status != SQLITE_DONE) index_fault(index, fault);
  return status == SQLITE_ROW;
}

const char *index_text(sqlite3_stmt *s, int column) {
  const unsigned char *text = sqlite3_column_text(s, column);
  return text ? (const char *)text : "";
}

Err index_run(Index *index, Fault *fault, const char *format, ...) {
  if (fault->code) return fault->code;
  va_list args;
  va_start(args, format);
  char *sql = sqlite3_vmprintf(format, args);
  va_end(args);
  if (!sql) fault_memory(fault, strlen(format));
  else if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) != SQLITE_OK)
    index_fault(index, fault);
  sqlite3_free(sql);
  return fault->code;
}

static int version_of(Index *index) {
  Fault ignored = {0};
  sqlite3_stmt *s = index_prepare(index, "PRAGMA user_version", &ignored);
  int version = index_next(index, s, &ignored) ? sqlite3_column_int(s, 0) : -1;
  sqlite3_finalize(s);
  return version;
}

/* Two queries may build it at the same time: the second finds the version set. */
static Err make_tables(Index *index, Fault *fault) {
  if (version_of(index) == INDEX_VERSION) return ERR_OK;
  Err err = index_run(index, fault, "BEGIN IMMEDIATE");
  if (err) return err;
  if (version_of(index) == INDEX_VERSION) return index_run(index, fault, "COMMIT");
  return index_run(index, fault, schema, INDEX_VERSION, (long long)SEED_MAX);
}

/* Are all tables there, in this version, and is the first page of each sound? */
static bool is_usable(Index *index) {
  Fault ignored = {0};
  return version_of(index) == INDEX_VERSION &&
         index_run(index, &ignored,
                   "SELECT count(*) FROM (SELECT 1 FROM trial LIMIT 1); "
                   "SELECT count(*) FROM (SELECT 1 FROM field LIMIT 1); "
                   "SELECT count(*) FROM (SELECT 1 FROM name LIMIT 1); "
                   "SELECT count(*) FROM entry") == ERR_OK;
}

/* The log is folded into the file when it has grown, not at each end of a query: then a
 * query syncs nothing, and does not wait for the disk beside workers that do. */
static bool open_database(Index *index, const char *path) {
  if (sqlite3_open(path, &index->db) != SQLITE_OK) return false;
  sqlite3_busy_timeout(index->db, BUSY_MS);
  sqlite3_exec(index->db,
               "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
               "PRAGMA cache_size = -32768; PRAGMA foreign_keys = ON",
               NULL, NULL, NULL);
  sqlite3_db_config(index->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  return true;
}

static void close_database(Index *index) {
  sqlite3_close(index->db);
  index->db = NULL;
}

/* Of the database, its log and its shared memory; a directory of that name is no file
 * of ours. */
static void remove_database(const Index *index) {
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    unlink(path_of("%s/index.sqlite%s", index->runs, ends[i]).s);
}

/* Version 0 is a new file, or one that another query is about to fill. */
static bool open_file(Index *index) {
  Fault ignored = {0};
  if (open_database(index, path_of("%s/index.sqlite", index->runs).s)) {
    if (version_of(index) == 0 && !make_tables(index, &ignored)) return true;
    if (is_usable(index)) return true;
  }
  close_database(index);
  return false;
}

static Err open_memory(Index *index, Fault *fault) {
  index->in_memory = true;
  if (!open_database(index, ":memory:")) return index_fault(index, fault);
  return make_tables(index, fault);
}

/* The file as it is; else a new one; else one in memory. */
static Err open_any(Index *index, Fault *fault) {
  bool there = file_exists(index->runs), open = there && open_file(index);
  if (there && !open) {
    remove_database(index);
    open = open_file(index);
  }
  Err err = open ? ERR_OK : open_memory(index, fault);
  if (!err) index->failure = SQLITE_OK; /* of files that were tried */
  return err;
}

static bool is_damaged(const Index *index) {
  return index->failure == SQLITE_CORRUPT || index->failure == SQLITE_NOTADB;
}

/* It is another user's, the disk is full, a limit is reached. */
static bool is_unwritable(const Index *index) {
  static const int codes[] = {SQLITE_READONLY, SQLITE_FULL, SQLITE_IOERR,
                              SQLITE_CANTOPEN, SQLITE_PERM};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (index->failure == codes[i]) return true;
  return false;
}

Err index_reopen(Index *index, Fault *fault) {
  bool damaged = is_damaged(index), again = index->rebuilt;
  if (index->in_memory || !(damaged || is_unwritable(index))) return fault->code;
  fault_clear(fault);
  index->failure = SQLITE_OK;
  close_database(index);
  if (!damaged || again) return open_memory(index, fault);
  index->rebuilt = true;
  remove_database(index);
  return open_any(index, fault);
}

Err index_open(Index **out, const char *runs, Fault *fault) {
  Index *index = calloc(1, sizeof *index);
  if (index) index->runs = text_copy(runs);
  Err err = index && index->runs ? open_any(index, fault)
                                 : fault_memory(fault, sizeof *index);
  if (err) index_close(index);
  *out = err ? NULL : index;
  return err;
}

void index_close(Index *index) {
  if (!index) return;
  close_database(index);
  free(index->runs);
  free(index);
}

bool index_in_memory(const Index *index) { return index->in_memory; }

const char *index_library(void) { return sqlite3_libversion(); }
