/* The file of the index: whatever becomes of it, the answers are the same. */
#include "base/file.h"
#include "lab/index_study.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* -- damage ------------------------------------------------------------------------ */

static void spoil(const char *runs, const char *bytes, long at) {
  char path[600];
  snprintf(path, sizeof path, "%s/index.sqlite", temp_path(runs));
  FILE *file = fopen(path, "r+");
  assert_non_null(file);
  fseek(file, at, SEEK_SET);
  for (int i = 0; i < 4000; i++) fputs(bytes, file);
  fclose(file);
}

TEST(the_index_is_only_a_cache) {
  Store store = make_study("cache");
  char path[600];
  snprintf(path, sizeof path, "%s/index.sqlite", temp_path("cache"));
  index_close(open_index("cache"));
  for (int round = 0; round < 5; round++) {
    if (round == 0) assert_int_equal(unlink(path), 0);
    if (round == 1) assert_int_equal(truncate(path, 0), 0);
    if (round == 2) assert_int_equal(truncate(path, 5000), 0);
    if (round == 3) spoil("cache", "junk", 0);
    if (round == 4) spoil("cache", "junk", 4096);
    Index *index = open_index("cache");
    check_count(index, "state=complete", 3);
    assert_false(index_in_memory(index));
    index_close(index);
    assert_true(file_exists(path));
  }
  store_close(&store);
}

/* Asks the file itself for a number, past the index. */
static int64_t ask_file(const char *runs, const char *sql) {
  char path[600];
  sqlite3 *db;
  sqlite3_stmt *s;
  snprintf(path, sizeof path, "%s/index.sqlite", temp_path(runs));
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
  int64_t number = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : -1;
  sqlite3_finalize(s);
  sqlite3_close(db);
  return number;
}

/* Spoils pages of the file, from 1, after all of its log was moved there. */
static void spoil_pages(const char *runs, int64_t page, int64_t n) {
  int64_t page_bytes = ask_file(runs, "PRAGMA page_size");
  assert_int_equal(ask_file(runs, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
  for (; n-- > 0; page++) spoil(runs, "j", (page - 1) * page_bytes);
}

/* A trigger in place of the power that fails after the trials, before the entry. */
TEST(a_removed_experiment_is_forgotten_whole_or_not_at_all) {
  Store store = make_study("removed");
  Index *index = open_index("removed");
  Fault fault = {0};
  ask_file("removed", "CREATE TRIGGER stop BEFORE DELETE ON entry BEGIN "
                      "SELECT RAISE(ABORT, 'stopped'); END");
  assert_int_equal(file_remove(store.directory, &fault), ERR_OK);
  assert_int_equal(index_refresh(index, NULL, &fault), ERR_STORAGE);
  assert_non_null(strstr(fault.text, "stopped"));
  assert_int_equal(ask_file("removed", "SELECT count(*) FROM trial"), 6);
  ask_file("removed", "DROP TRIGGER stop");
  fault_clear(&fault);
  assert_int_equal(index_refresh(index, NULL, &fault), ERR_OK);
  assert_int_equal(ask_file("removed", "SELECT count(*) FROM trial"), 0);
  index_close(index);
  store_close(&store);
}

/* Nothing but a new trial touches that page. */
TEST(damage_found_while_writing_is_repaired) {
  Store store = make_study("writing");
  index_close(open_index("writing"));
  spoil_pages("writing",
              ask_file("writing", "SELECT rootpage FROM sqlite_master WHERE "
                                  "name = 'trial_cell'"),
              1);
  run_trial(&store, 0, 3, TRIAL_COMPLETE, 0.5);
  Index *index = open_index("writing");
  check_count(index, "", 6);
  assert_false(index_in_memory(index));
  index_close(index);
  assert_int_equal(ask_file("writing", "SELECT count(*) FROM trial"), 7);
  store_close(&store);
}

enum { N_MANY = 400 };

static int grow_old(const char *path, const struct stat *at, int flag,
                    struct FTW *walk) {
  struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
  (void)at, (void)flag, (void)walk;
  return utimensat(AT_FDCWD, path, times, 0);
}

/* Of the cells; each with N_MANY values, in many pages. */
static void run_many_values(const Store *store) {
  Fault fault = {0};
  for (int i = 0; i < N_LEVELS; i++) {
    char id[TRIAL_ID], key[16];
    Trial c;
    bool claimed, first;
    Json *conf = config(i), *values = json_map();
    id_of(i, 1, id);
    for (int k = 0; k < N_MANY; k++) {
      snprintf(key, sizeof key, "value%d", k);
      json_put_int(values, key, k);
    }
    TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .values = values};
    assert_int_equal(store_claim(store, id, conf, 1, &c, &claimed, &fault), ERR_OK);
    assert_int_equal(store_publish(&c, &end, &first, &fault), ERR_OK);
    json_free(conf);
    json_free(values);
  }
}

/* Nothing has changed, so only the question comes to the pages. */
TEST(damage_found_while_asking_is_repaired) {
  Store store = open_store("asking", "exp");
  run_many_values(&store);
  nftw(store.directory, grow_old, 16, FTW_DEPTH | FTW_PHYS);
  index_close(open_index("asking"));
  int64_t n_pages = ask_file("asking", "PRAGMA page_count");
  for (int round = 0; round < 2; round++) {
    spoil_pages("asking", n_pages / 2, n_pages / 2);
    Index *index = open_index("asking");
    Fault fault = {0};
    Query query = {.experiment = "exp"};
    Json *rows;
    int64_t n = 0, n_values = 0;
    if (round == 0) {
      if (query_ask(index, QUERY_TRIALS, &query, &rows, &n, &fault))
        fail_msg("%s", fault.text);
      for (int i = 0; i < N_LEVELS; i++)
        n_values += json_count(json_find(json_item(rows, i), "values"));
      assert_int_equal(n_values, N_LEVELS * N_MANY);
    } else {
      rows = cells_of(index, "value7>=7", false, "value399", NULL);
      assert_int_equal(json_count(rows), N_LEVELS);
      check_cell(rows, 5, "0x1", 1, 399, -1);
    }
    json_free(rows);
    assert_false(index_in_memory(index));
    index_close(index);
  }
  store_close(&store);
}

/* -- no place to write ------------------------------------------------------------- */

TEST(an_index_that_cannot_be_written_is_kept_in_memory) {
  Store store = make_study("blocked");
  char path[600];
  snprintf(path, sizeof path, "%s/index.sqlite", temp_path("blocked"));
  assert_int_equal(mkdir(path, 0777), 0);
  snprintf(path, sizeof path, "%s/index.sqlite/x", temp_path("blocked"));
  fclose(fopen(path, "w"));
  assert_int_equal(chmod(temp_path("blocked"), 0777), 0);
  Index *index = open_index("blocked");
  check_count(index, "", 6);
  index_close(index);
  store_close(&store);
}

/* Root may write and read everything; from here on it is an owner like any other. */
static bool drop_capabilities(void) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}};
  return syscall(SYS_capset, &head, none) == 0;
}

/* Ends a child, with 0 if the index answers from memory. */
static void finish_child(Index *index, const char *words, int64_t want) {
  Fault fault = {0};
  if (index_refresh(index, NULL, &fault)) {
    fprintf(stderr, "%s\n", fault.text);
    _exit(2);
  }
  if (!index_in_memory(index)) _exit(3);
  _exit(count(index, words, &fault) == want ? 0 : 4);
}

static void check_child(void) {
  int status;
  wait(&status);
  assert_int_equal(status, 0);
}

TEST(an_index_of_another_user_is_kept_in_memory) {
  Store store = make_study("foreign");
  char path[600];
  snprintf(path, sizeof path, "%s/index.sqlite", temp_path("foreign"));
  index_close(open_index("foreign"));
  run_trial(&store, 1, 2, TRIAL_COMPLETE, 0.9);
  assert_int_equal(chmod(path, 0444), 0);
  for (int round = 0; round < 2; round++) {
    if (fork() == 0) {
      Fault fault = {0};
      Index *index;
      if (!drop_capabilities() || index_open(&index, temp_path("foreign"), &fault))
        _exit(1);
      finish_child(index, "state=complete", 4);
    }
    check_child();
    assert_int_equal(chmod(temp_path("foreign"), 0555), 0);
  }
  assert_int_equal(chmod(temp_path("foreign"), 0755), 0);
  store_close(&store);
}

/* As on a disk that is full once the index is open. */
TEST(an_index_that_can_no_longer_be_written_goes_on_in_memory) {
  Store store = make_study("limit");
  index_close(open_index("limit"));
  run_trial(&store, 1, 2, TRIAL_COMPLETE, 0.9);
  if (fork() == 0) {
    Fault fault = {0};
    Index *index;
    struct rlimit none = {0, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (index_open(&index, temp_path("limit"), &fault)) _exit(1);
    if (index_in_memory(index) || setrlimit(RLIMIT_FSIZE, &none) != 0) _exit(1);
    finish_child(index, "state=complete", 4);
  }
  check_child();
  store_close(&store);
}

TEST(a_directory_that_cannot_be_read_is_left_out) {
  Store store = make_study("lost");
  char path[600];
  snprintf(path, sizeof path, "%s/lost+found", temp_path("lost"));
  assert_int_equal(mkdir(path, 0), 0);
  if (fork() == 0) {
    Fault fault = {0};
    Index *index;
    if (!drop_capabilities() || index_open(&index, temp_path("lost"), &fault)) _exit(1);
    if (index_refresh(index, NULL, &fault)) _exit(2);
    if (count(index, "", &fault) != 6) _exit(3);
    if (index_refresh(index, "lost+found", &fault) != ERR_STORAGE) _exit(4);
    _exit(0);
  }
  check_child();
  store_close(&store);
}

TEST(nothing_is_made_where_no_runs_are) {
  Index *index = open_index("void");
  check_count(index, "", 0);
  index_close(index);
  assert_false(file_exists(temp_path("void")));
}
