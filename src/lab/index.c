/* index.c: the file of the index: opening, building anew; see index.h. */
#include "lab/index_private.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 10000 };

/* The last error of the database as a fault. */
static Err index_fault(Index *index, Fault *fault) {
  index->failure = sqlite3_errcode(index->db) & 0xFF;
  return fault_set(fault, ERR_STORAGE, "%s/index.sqlite: %s", index->runs,
                   sqlite3_errmsg(index->db));
}

sqlite3_stmt *index_prepare(Index *index, const char *sql, Fault *fault) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(index->db, sql, -1, &statement, NULL) == SQLITE_OK)
    return statement;
  index_fault(index, fault);
  return NULL;
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

Err index_run(Index *index, const char *sql, Fault *fault) {
  if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK) return ERR_OK;
  return index_fault(index, fault);
}

static int version_of(const Index *index) {
  int version = -1;
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(index->db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
      sqlite3_step(s) == SQLITE_ROW)
    version = sqlite3_column_int(s, 0);
  sqlite3_finalize(s);
  return version;
}

/* Two queries may build it at the same time: the second finds the version set. */
static Err make_tables(Index *index, Fault *fault) {
  char version[64];
  if (version_of(index) == INDEX_VERSION) return ERR_OK;
  snprintf(version, sizeof version, "PRAGMA user_version = %d; COMMIT", INDEX_VERSION);
  Err err = index_run(index, "BEGIN IMMEDIATE", fault);
  if (err) return err;
  if (version_of(index) == INDEX_VERSION) return index_run(index, "COMMIT", fault);
  err = index_run(index, INDEX_SCHEMA, fault);
  if (!err) err = index_run(index, version, fault);
  return err;
}

/* Are all tables there, in this version, and is the first page of each sound? */
static bool usable(Index *index) {
  Fault ignored = {0};
  return version_of(index) == INDEX_VERSION &&
         index_run(index,
                   "SELECT count(*) FROM (SELECT 1 FROM trial LIMIT 1); SELECT "
                   "count(*) FROM (SELECT 1 FROM field LIMIT 1); SELECT count(*) FROM "
                   "(SELECT 1 FROM name LIMIT 1); SELECT count(*) FROM entry",
                   &ignored) == ERR_OK;
}

/* The log is folded into the file when it has grown, not at each end of a query: then a
 * query syncs nothing, and does not wait for the disk beside workers that do. */
static bool open_database(Index *index, const char *path) {
  if (sqlite3_open(path, &index->db) != SQLITE_OK) return false;
  sqlite3_busy_timeout(index->db, BUSY_MS);
  sqlite3_exec(index->db,
               "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA "
               "cache_size = -32768",
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
static void remove_database(const char *path) {
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    Text file = {0};
    text_addf(&file, "%s%s", path, ends[i]);
    if (!file.failed) unlink(file.data);
    text_deinit(&file);
  }
}

/* Version 0 is a new file, or one that another query is about to fill. */
static bool open_file(Index *index, const char *path) {
  Fault ignored = {0};
  if (open_database(index, path)) {
    if (version_of(index) == 0 && !make_tables(index, &ignored)) return true;
    if (usable(index)) return true;
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
static Err open_any(Index *index, const char *path, Fault *fault) {
  if (file_exists(index->runs)) {
    if (open_file(index, path)) return ERR_OK;
    remove_database(path);
    if (open_file(index, path)) return ERR_OK;
  }
  return open_memory(index, fault);
}

static Err open_index(Index *index, Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/index.sqlite", index->runs);
  Err err = path.failed ? fault_memory(fault, path.n_bytes)
                        : open_any(index, path.data, fault);
  text_deinit(&path);
  if (!err) index->failure = SQLITE_OK; /* of files that were tried */
  return err;
}

static bool is_damaged(const Index *index) {
  return index->failure == SQLITE_CORRUPT || index->failure == SQLITE_NOTADB;
}

static Err rebuild(Index *index, Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/index.sqlite", index->runs);
  close_database(index);
  if (!path.failed) remove_database(path.data);
  text_deinit(&path);
  return open_index(index, fault);
}

/* It is another user's, the disk is full, a limit is reached. */
static bool is_unwritable(const Index *index) {
  static const int codes[] = {SQLITE_READONLY, SQLITE_FULL, SQLITE_IOERR,
                              SQLITE_CANTOPEN,
                              SQLITE_PERM};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (index->failure == codes[i]) return true;
  return false;
}

Err index_reopen(Index *index, Fault *fault) {
  bool damaged = is_damaged(index);
  if (index->in_memory || !(damaged || is_unwritable(index))) return fault->code;
  fault_clear(fault);
  index->failure = SQLITE_OK;
  if (damaged && !index->rebuilt) {
    index->rebuilt = true;
    return rebuild(index, fault);
  }
  close_database(index);
  return open_memory(index, fault);
}

Err index_open(Index **out, const char *runs, Fault *fault) {
  Index *index = calloc(1, sizeof *index);
  if (index) index->runs = text_copy(runs);
  Err err = index && index->runs ? open_index(index, fault)
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
