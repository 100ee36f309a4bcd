/* Names of directories in runs/, and which script a record came from. */
#include "base/file.h"
#include "lab/names.h"
#include "lab/script.h"
#include "tempdir.h"
#include "test.h"
#include <sys/stat.h>

static void check_name(const char *script, const char *want) {
  char *name = name_of_script(script);
  assert_string_equal(name, want);
  assert_false(name_is_taken(name));
  free(name);
}

TEST(a_script_is_called_by_its_file) {
  check_name("dir/name.lua", "name");
  check_name("name", "name");
  check_name("a.b.lua", "a.b");
  check_name("my exp.lua", "my_exp");
  check_name("indexed.lua", "indexed");
  check_name("trial.lua", "trial");
}

TEST(what_runs_has_otherwise_is_given_to_no_script) {
  check_name("index.sqlite", "_index.sqlite");
  check_name("index.sqlite.lua", "_index.sqlite");
  check_name("x/index.sqlite-wal.lua", "_index.sqlite-wal");
  check_name("index.sqlite-journal", "_index.sqlite-journal");
  check_name("trials.lua", "_trials");
  check_name(".hidden.lua", "_hidden");
  check_name(".lua", "_lua");
  check_name("..", "_.");
}

/* An experiment called so before is still read. */
TEST(trials_is_a_name_that_is_read_and_not_given) {
  assert_true(name_is_taken("trials"));
  assert_false(name_is_hidden("trials"));
  assert_true(name_is_hidden("index.sqlite-shm"));
  assert_true(name_is_hidden("."));
  assert_false(name_is_hidden("sqlite"));
}

TEST(tables_have_names_of_their_own) {
  static const char *const yes[] = {"table.a.csv", "table-2.val_a.csv",
                                    "table..csv.csv"};
  static const char *const no[] = {"table.csv",   "tables.a.csv", "table-2a.csv",
                                   "table.a.json", "a.table.csv", "probes.table.csv"};
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
    if (!name_is_table(yes[i]) || !name_is_product(yes[i])) fail_msg("%s", yes[i]);
    assert_false(name_is_metrics(yes[i]) || name_is_probes(yes[i]));
  }
  for (size_t i = 0; i < sizeof no / sizeof *no; i++)
    if (name_is_table(no[i])) fail_msg("%s", no[i]);
}

/* -- scripts ----------------------------------------------------------------------- */

static Json *told(const char *script, const char *path) {
  Json *map = json_map();
  json_put_text(map, "script", script);
  if (path) json_put_text(map, "script_path", path);
  return map;
}

static void check_other(const char *now, const char *now_path, const char *before,
                        const char *before_path, bool other, bool there) {
  Json *a = told(now, now_path), *b = told(before, before_path);
  assert_int_equal(script_is_other(a, b), other);
  assert_int_equal(script_is_another_there(a, b), there);
  json_free(a);
  json_free(b);
}

TEST(scripts_of_one_name_are_told_apart_by_where_they_stand) {
  Fault fault = {0};
  assert_int_equal(file_make_dirs(temp_path("p"), &fault), ERR_OK);
  assert_int_equal(file_make_dirs(temp_path("q"), &fault), ERR_OK);
  const char *p = temp_file("p/train.lua", "x", 1),
             *q = temp_file("q/train.lua", "x", 1);
  const char *gone = temp_path("gone/train.lua"),
             *more = temp_file("p/more.lua", "x", 1);
  const char *link = temp_path("link.lua");
  assert_int_equal(symlink(p, link), 0);
  check_other("train.lua", p, "train.lua", q, true, true);
  check_other("train.lua", p, "p/train.lua", p, false, false);
  check_other("link.lua", link, "link.lua", p, false, false);
  check_other("train.lua", p, "train.lua", gone, false, false); /* was moved */
  check_other("train.lua", p, "more.lua", more, true, true);
  check_other("train.lua", p, "old.lua", temp_path("p/old.lua"), true, false);
  check_other("train.lua", p, q, NULL, true, true); /* an older record */
  check_other("train.lua", p, "nowhere/train.lua", NULL, false, false);
  Json *none = json_map(), *some = told("train.lua", p);
  assert_false(script_is_other(some, none));
  assert_false(script_is_other(none, none));
  assert_true(script_is_other(none, some)); /* by -e */
  assert_true(script_is_another_there(none, some));
  assert_false(script_is_other(some, NULL));
  json_free(none);
  json_free(some);
}

TEST(a_script_of_the_tree_stands_below_here_and_not_among_records) {
  Fault fault = {0};
  char here[512];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(file_make_dirs(temp_path("tree/sub"), &fault), ERR_OK);
  assert_int_equal(file_make_dirs(temp_path("tree/runs/s/code"), &fault), ERR_OK);
  temp_file("tree/own.lua", "x", 1);
  temp_file("tree/sub/own.lua", "x", 1);
  temp_file("tree/runs/s/code/own.lua", "x", 1);
  temp_file("away.lua", "x", 1);
  assert_int_equal(chdir(temp_path("tree")), 0);
  assert_int_equal(symlink("../away.lua", "link.lua"), 0);
  bool own = script_is_of_tree("own.lua", "runs");
  bool below = script_is_of_tree("sub/../sub/own.lua", "runs");
  bool beside = script_is_of_tree("own.lua", "."); /* records stand here, too */
  bool unmade = script_is_of_tree("own.lua", "none");
  bool record = script_is_of_tree("runs/s/code/own.lua", "runs");
  bool dotted = script_is_of_tree("./sub/../runs/../runs/s/code/own.lua", "runs");
  bool above = script_is_of_tree("../away.lua", "runs");
  bool absolute = script_is_of_tree(temp_path("away.lua"), "runs");
  bool linked = script_is_of_tree("link.lua", "runs");
  bool gone = script_is_of_tree("gone.lua", "runs");
  assert_int_equal(chdir(here), 0);
  assert_true(own && below && beside && unmade);
  assert_false(record || dotted || above || absolute || linked || gone);
}
