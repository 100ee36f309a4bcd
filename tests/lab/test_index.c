/* The index of runs: what it says is what the directories say; filters; queries beside
 * writers. */
#include "base/file.h"
#include "base/text.h"
#include "lab/index_study.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

TEST(filters_choose) {
  Store store = make_study("filters");
  Index *index = open_index("filters");
  static const struct { const char *words; int n; } cases[] = {
      {"", 6},                           {"activation=relu", 2},
      {"activation=relu,tanh", 4},       {"activation!=relu", 4},
      {"activation!=relu,tanh", 2},      {"activation=10", 2},
      {"activation=10.0", 2},            {"activation>9", 2},
      {"accuracy>0.5", 2},               {"accuracy>=0.5", 3},
      {"accuracy<0.5", 1},               {"accuracy<=.25", 1},
      {"accuracy=0.75", 1},              {"accuracy=nan", 1},
      {"seed=2", 3},                     {"seed>1", 3},
      {"state=failed", 1},               {"state=pending", 1},
      {"state!=complete", 3},            {"state=complete activation=10", 1},
      {"lr=0.1", 6},                     {"values.lr=0.01", 5},
      {"args.lr=0.1 factors.activation=tanh", 2},
      {"attempts=0", 1},                 {"started>2020", 5},
      {"depth=3 depth<4", 6},            {"activation=", -1},
      {"actvation=relu", -1},            {"state=complet", -1},
      {"state>complete", -1},            {"seed=x", -1},
      {"accuracy>high", -1},             {"=x", -1},
      {"activation==relu", -1},          {"accuracy>==0.5", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_count(index, cases[i].words, cases[i].n);
  Fault fault = {0};
  count(index, "actvation=relu", &fault);
  assert_int_equal(fault.code, ERR_USAGE);
  assert_non_null(strstr(fault.text, "did you mean \"activation\""));
  fault_clear(&fault);
  count(index, "state=complet", &fault);
  assert_non_null(strstr(fault.text, "did you mean \"complete\""));
  fault_clear(&fault);
  count(index, "activation==relu", &fault);
  assert_int_equal(fault.code, ERR_USAGE);
  assert_non_null(strstr(fault.text, "equality is written ="));
  index_close(index);
  store_close(&store);
}

TEST(numbers_are_read_alike_in_filters_and_fields) {
  Store store = open_store("numbers", "exp");
  for (int i = 3; i < N_LEVELS; i++) run_trial(&store, i, 1, TRIAL_COMPLETE, i);
  Index *index = open_index("numbers");
  check_count(index, "activation=inf", 1);
  check_count(index, "activation=0", 1);
  check_count(index, "activation=0x0", 1);
  check_count(index, "activation=1", 1);
  check_count(index, "activation>=0x1", 2);
  check_count(index, "accuracy<inf", 3);
  check_count(index, "accuracy>-inf", 3);
  index_close(index);
  store_close(&store);
}

/* As many as filters can have are asked for, each by number and by name. */
TEST(filters_may_be_full) {
  Store store = make_study("full");
  Index *index = open_index("full");
  Fault fault = {0};
  Query query = {.experiment = "exp", .sort = "accuracy"};
  Text word = {0};
  Json *rows = NULL;
  int64_t n = 0;
  text_add(&word, "activation=10");
  for (int i = 1; i < FILTER_VALUES; i++) text_addf(&word, ",%d", 1000 + i);
  for (int i = 0; i < FILTER_TERMS; i++)
    assert_int_equal(filter_add(&query.filter, word.data, &fault), ERR_OK);
  if (query_ask(index, QUERY_TRIALS, &query, &rows, &n, &fault))
    fail_msg("%s", fault.text);
  assert_int_equal(n, 2);
  assert_int_equal(filter_add(&query.filter, word.data, &fault), ERR_USAGE);
  json_free(rows);
  filter_deinit(&query.filter);
  text_deinit(&word);
  index_close(index);
  store_close(&store);
}

TEST(values_are_no_sql) {
  Store store = make_study("quotes");
  Index *index = open_index("quotes");
  check_count(index, "activation=relu'OR'1'='1", 0);
  check_count(index, "activation=\";DROP", 0);
  check_count(index, "", 6);
  index_close(index);
  store_close(&store);
}

TEST(rows_hold_what_the_files_say) {
  Store store = make_study("rows");
  Index *index = open_index("rows");
  Fault fault = {0};
  Query query = {.experiment = "exp", .sort = "-accuracy", .limit = 2};
  Json *rows;
  int64_t n, depth = 0;
  double lr = 0, accuracy = 0;
  const char *text;
  assert_int_equal(query_ask(index, QUERY_TRIALS, &query, &rows, &n, &fault), ERR_OK);
  assert_int_equal(n, 6);
  assert_int_equal(json_count(rows), 2);
  const Json *row = json_item(rows, 1); /* after the infinite one */
  assert_true(json_find_number(json_find(row, "values"), "accuracy", &accuracy));
  assert_true(json_find_number(json_find(row, "args"), "lr", &lr));
  assert_true(json_find_int(json_find(row, "args"), "depth", &depth));
  assert_true(json_find_text(json_find(row, "factors"), "activation", &text));
  assert_true(accuracy == 0.75 && lr == 0.1 && depth == 3);
  assert_string_equal(text, "relu");
  json_free(rows);

  query = (Query){.experiment = "exp", .metric = "accuracy", .sort = "-mean"};
  assert_int_equal(query_ask(index, QUERY_CELLS, &query, &rows, &n, &fault), ERR_OK);
  assert_int_equal(json_count(rows), 3);
  double mean = 0, sd = 0;
  int64_t complete = 0;
  assert_true(json_find_number(json_item(rows, 0), "mean", &mean));
  assert_true(json_find_number(json_item(rows, 0), "sd", &sd));
  assert_true(json_find_int(json_item(rows, 0), "complete", &complete));
  CHECK_NEAR(mean, 0.625, 1e-15);
  CHECK_NEAR(sd, 0.125 * sqrt(2), 1e-15);
  assert_int_equal(complete, 2);
  assert_null(json_find(json_item(rows, 2), "mean"));
  json_free(rows);
  index_close(index);
  store_close(&store);
}

/* Far from 0 the sum of squares less the square of the sum would hold no digit. -1:
 * absent. */
TEST(numbers_of_a_cell_are_of_the_trials_asked_for) {
  Store store = open_store("cells", "exp");
  plan(&store, 2);
  double far = 1e9;
  for (int s = 1; s <= 3; s++) run_trial(&store, 0, s, TRIAL_COMPLETE, far + s);
  run_trial(&store, 1, 1, TRIAL_COMPLETE, far + 5);
  run_trial(&store, 1, 2, TRIAL_COMPLETE, far - 5);
  run_trial(&store, 2, 1, TRIAL_COMPLETE, 7);
  run_trial(&store, 2, 2, TRIAL_COMPLETE, INFINITY);
  plan(&store, 2);
  Index *index = open_index("cells");
  Json *rows = cells_of(index, "", false, "accuracy", "mean");
  check_cell(rows, 0, "tanh", 2, far, 5 * sqrt(2));
  check_cell(rows, 1, "relu", 2, far + 1.5, sqrt(0.5));
  json_free(rows);
  rows = cells_of(index, "seed=1", false, "accuracy", "mean");
  check_cell(rows, 0, "relu", 1, far + 1, -1);
  check_cell(rows, 1, "tanh", 1, far + 5, -1);
  json_free(rows);
  rows = cells_of(index, "seed<3", true, "accuracy", "mean");
  assert_int_equal(json_count(rows), 3);
  check_cell(rows, 0, "tanh", 2, far, 5 * sqrt(2));
  json_free(rows);
  rows = cells_of(index, "seed=1", true, "accuracy", "mean");
  check_cell(rows, 0, "10", 1, 7, -1);
  json_free(rows);
  rows = cells_of(index, "activation=relu", true, "accuracy", NULL);
  check_cell(rows, 0, "relu", 3, far + 2, 1);
  json_free(rows);
  index_close(index);
  store_close(&store);
}

/* lr is an argument, 0.1, and a value, 0.01. */
TEST(a_metric_is_a_value) {
  Store store = make_study("metric");
  Index *index = open_index("metric");
  Json *rows = cells_of(index, "activation=relu", false, "lr", NULL), *none = NULL;
  check_cell(rows, 0, "relu", 2, 0.01, 0);
  json_free(rows);
  static const struct { const char *metric, *says; } cases[] = {
      {"seed", "there are: accuracy lr"}, {"depth", "there are: accuracy lr"},
      {"activation", "there are: accuracy lr"},
      {"acuracy", "did you mean \"accuracy\""}};
  for (int i = 0; i < 4; i++) {
    Query query = {.experiment = "exp", .metric = cases[i].metric};
    Fault fault = {0};
    int64_t n;
    assert_int_equal(query_ask(index, QUERY_CELLS, &query, &none, &n, &fault),
                     ERR_USAGE);
    if (!strstr(fault.text, cases[i].says)) fail_msg("%s", fault.text);
    json_free(none);
  }
  index_close(index);
  store_close(&store);
}

/* A plan with the activation 0 for the seeds that are reported, and two trials of
 * tuning. */
static void plan_tuning(const Store *store, bool cells_known) {
  Fault fault = {0};
  Json *map = json_map(), *cells = json_list(), *seeds = json_list(),
       *others = json_list();
  if (cells_known) json_push(cells, cell(0));
  for (int s = 1; s <= N_SEEDS; s++) json_push_int(seeds, s);
  for (int i = 0; i < 2; i++) {
    char id[TRIAL_ID];
    id_of(i, SEED_MAX + 1 + i, id);
    json_push_text(others, id);
  }
  json_put(map, "args", args());
  json_put(map, "cells", cells);
  json_put(map, "factors", json_list());
  json_put(map, "seeds", seeds);
  name_plan(map);
  json_put(map, "others", others);
  assert_int_equal(store_plan(store, map, &fault), ERR_OK);
  json_free(map);
}

TEST(seeds_of_tuning_stay_out_of_what_is_reported) {
  Fault fault = {0};
  Store store = open_store("tuning", "exp");
  run_trial(&store, 0, 1, TRIAL_COMPLETE, 0.5);
  run_trial(&store, 0, 2, TRIAL_COMPLETE, 0.75);
  run_trial(&store, 0, SEED_MAX + 1, TRIAL_COMPLETE, 99);
  run_trial(&store, 1, SEED_MAX + 2, TRIAL_COMPLETE, 98);
  run_trial(&store, 2, SEED_MAX + 3, TRIAL_COMPLETE, 97); /* no longer asked for */
  plan_tuning(&store, true);
  Index *index = open_index("tuning");
  Query query = {.experiment = "exp", .metric = "accuracy", .sort = "-mean"};
  Json *rows = NULL;
  int64_t n = 0;
  assert_int_equal(query_ask(index, QUERY_CELLS, &query, &rows, &n, &fault), ERR_OK);
  assert_int_equal(json_count(rows), 3);
  double mean = 0;
  const char *purpose = "";
  for (int i = 0; i < 3; i++) {
    const Json *row = json_item(rows, i);
    assert_true(json_find_text(row, "purpose", &purpose));
    assert_true(json_find_number(row, "mean", &mean));
    assert_string_equal(purpose, i == 2 ? "report" : "tuning");
    CHECK_NEAR(mean, i == 0 ? 99 : i == 1 ? 98 : 0.625, 1e-15);
  }
  json_free(rows);
  query.limit = 1;
  assert_int_equal(query_ask(index, QUERY_CELLS, &query, &rows, &n, &fault), ERR_OK);
  assert_int_equal(n, 3);
  json_free(rows);
  check_count(index, "purpose=tuning", 2);
  check_count(index, "purpose=report state=complete", 2);
  rows = cells_of(index, "purpose=tuning", true, "accuracy", "mean");
  assert_int_equal(json_count(rows), 3);
  json_free(rows);
  index_close(index);
  store_close(&store);
}

TEST(while_parameters_are_tuned_earlier_trials_still_belong) {
  Store store = open_store("retuned", "exp");
  run_trial(&store, 0, 1, TRIAL_COMPLETE, 0.5);
  plan_tuning(&store, true);
  index_close(open_index("retuned"));
  plan_tuning(&store, false);
  for (int round = 0; round < 2; round++) { /* second round: from an index built anew */
    Index *index = open_index("retuned");
    check_count(index, "state=complete", 1);
    index_close(index);
    char path[600];
    snprintf(path, sizeof path, "%s/index.sqlite", temp_path("retuned"));
    assert_int_equal(unlink(path), 0);
  }
  store_close(&store);
}

/* -- following changes ------------------------------------------------------------- */

TEST(the_index_follows) {
  Store store = make_study("follow");
  Fault fault = {0};
  char id[TRIAL_ID];
  bool done;
  Index *index = open_index("follow");
  check_count(index, "state=pending", 1);
  run_trial(&store, 1, 2, TRIAL_COMPLETE, 0.9);
  assert_int_equal(index_refresh(index, "exp", &fault), ERR_OK);
  check_count(index, "state=pending", 0);
  check_count(index, "accuracy=0.9", 1);
  id_of(1, 1, id);
  assert_int_equal(store_reset(&store, id, &done, &fault), ERR_OK);
  assert_int_equal(index_refresh(index, "exp", &fault), ERR_OK);
  check_count(index, "state=pending", 1);
  check_count(index, "attempts=1 state=pending", 1);
  assert_int_equal(store_remove(&store, id, &done, &fault), ERR_OK);
  assert_int_equal(index_refresh(index, "exp", &fault), ERR_OK);
  check_count(index, "attempts=0 state=pending activation=tanh", 1);

  plan(&store, 1); /* the others no longer belong; what never ran is forgotten */
  assert_int_equal(index_refresh(index, "exp", &fault), ERR_OK);
  check_count(index, "", 2);
  Query query = {.experiment = "exp", .all = true};
  Json *rows;
  int64_t n;
  assert_int_equal(query_ask(index, QUERY_TRIALS, &query, &rows, &n, &fault), ERR_OK);
  assert_int_equal(n, 5);
  json_free(rows);
  plan(&store, N_ACTIVATIONS);
  assert_int_equal(index_refresh(index, "exp", &fault), ERR_OK);
  check_count(index, "", 6);
  assert_int_equal(file_remove(store.directory, &fault), ERR_OK);
  assert_int_equal(index_refresh(index, NULL, &fault), ERR_OK);
  check_count(index, "", 0);
  index_close(index);
  store_close(&store);
}

/* What was read long after it was written is not read again until its time changes. */
TEST(old_trials_are_not_read_again) {
  Store store = make_study("old");
  char id[TRIAL_ID], path[700];
  id_of(0, 1, id);
  snprintf(path, sizeof path, "%s/trials/%s", store.directory, id);
  struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
  Index *index = open_index("old");
  check_count(index, "accuracy=0.5", 1);
  char file[800];
  snprintf(file, sizeof file, "%s/result.json", path);
  FILE *result = fopen(file, "w"); /* in place: the directory's time stays */
  fputs("{\"state\": \"complete\", \"values\": {\"accuracy\": 0.125}}", result);
  fclose(result);
  Fault fault = {0};
  assert_int_equal(index_refresh(index, NULL, &fault), ERR_OK);
  check_count(index, "accuracy=0.5", 1);
  times[1].tv_sec++;
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
  assert_int_equal(index_refresh(index, NULL, &fault), ERR_OK);
  check_count(index, "accuracy=0.125", 1);
  index_close(index);
  store_close(&store);
}

TEST(unreadable_files_hide_nothing_else) {
  Store store = make_study("broken");
  char id[TRIAL_ID], path[700];
  id_of(0, 1, id);
  snprintf(path, sizeof path, "%s/trials/%s/result.json", store.directory, id);
  assert_int_equal(truncate(path, 9), 0);
  id_of(0, 2, id);
  snprintf(path, sizeof path, "%s/trials/%s/config.json", store.directory, id);
  assert_int_equal(truncate(path, 9), 0);
  Index *index = open_index("broken");
  check_count(index, "", 6);
  check_count(index, "state=stale", 1);
  check_count(index, "accuracy=0.75 activation=relu", 1); /* as planned */
  index_close(index);
  TrialInfo info;
  Fault fault = {0};
  id_of(0, 1, id);
  assert_int_equal(store_look(&store, id, &info, &fault), ERR_OK);
  assert_int_equal(info.state, TRIAL_STALE);
  assert_non_null(strstr(info.message, "result.json"));
  trial_info_deinit(&info);
  store_close(&store);
}

/* -- beside writers ---------------------------------------------------------------- */

enum { WRITERS = 8, READERS = 2, EACH = 5 };

static void write_many(const Store *store, int writer) {
  Fault fault = {0};
  for (int i = 0; i < EACH; i++) {
    char id[TRIAL_ID];
    Trial c;
    bool claimed, first;
    int64_t seed = writer * EACH + i;
    Json *conf = config(0);
    id_of(0, seed, id);
    TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1};
    if (store_claim(store, id, conf, seed, &c, &claimed, &fault) || !claimed) _exit(1);
    if (store_publish(&c, &end, &first, &fault) || !first) _exit(2);
    json_free(conf);
  }
  _exit(0);
}

static void read_many(const char *runs) {
  Fault fault = {0};
  for (int i = 0; i < 15; i++) {
    Index *index;
    if (index_open(&index, runs, &fault) || index_refresh(index, NULL, &fault)) {
      fprintf(stderr, "%s\n", fault.text);
      _exit(3);
    }
    if (index_in_memory(index)) _exit(4);
    index_close(index);
  }
  _exit(0);
}

TEST(listing_disturbs_nobody) {
  Store store = open_store("busy", "exp");
  const char *runs = temp_path("busy");
  for (int w = 0; w < WRITERS; w++)
    if (fork() == 0) write_many(&store, w);
  for (int r = 0; r < READERS; r++)
    if (fork() == 0) read_many(runs);
  for (int i = 0, status; i < WRITERS + READERS; i++) {
    wait(&status);
    assert_int_equal(status, 0);
  }
  Index *index = open_index("busy");
  check_count(index, "state=complete", WRITERS * EACH);
  check_count(index, "attempts=1", WRITERS * EACH);
  index_close(index);
  store_close(&store);
}
