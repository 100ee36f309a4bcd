/* cmd_ls.c: the command ls: experiments, their trials, their cells. */
#include "base/out.h"
#include "cli/asking.h"
#include "cli/columns.h"
#include "lab/trial.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LIMIT = 50, SHOWN_VALUES = 4, SHOWN_DIGITS = 5 };

/* The table that is the whole page. */
static Table *alone(Doc *doc) {
  Table *table = doc_table(doc);
  table->outdented = true;
  return table;
}

/* -- experiments ------------------------------------------------------------------- */

/* What is asked for most goes last where there is no room. */
static int state_rank(TrialState state) {
  return state == TRIAL_COMPLETE  ? 0
         : state == TRIAL_FAILED  ? 1
         : state == TRIAL_RUNNING ? 2
                                  : 3;
}

static void add_entries(const Json *rows, Table *table) {
  static const char *const left[] = {"experiment", "kind"};
  table_column(table, left[0], TABLE_TEXT, TABLE_FIRST);
  table_column(table, left[1], TABLE_TEXT, 4);
  table_column(table, "trials", TABLE_NUMBER, TABLE_FIRST);
  for (int i = 0; i < TRIAL_STATES; i++)
    table_column(table, trial_state_name((TrialState)i), TABLE_NUMBER,
                 state_rank((TrialState)i));
  table_column(table, "others", TABLE_NUMBER, 6);
  table_column(table, "last", TABLE_TEXT, 5);
  for (int64_t r = 0; r < json_count(rows); r++) {
    const Json *row = json_item(rows, r);
    for (int i = 0; i < 2; i++) table_add(table, json_text(row, left[i]));
    page_add_cell(table, json_find(row, "trials"), 0);
    for (int i = 0; i < TRIAL_STATES; i++)
      page_add_cell(table, json_find(row, trial_state_name((TrialState)i)), 0);
    page_add_cell(table, json_find(row, "others"), 0);
    table_add(table, json_text(row, "last"));
  }
}

static Err list_entries(Asking *asking, const QueryCall *call, Fault *fault) {
  Json *rows = NULL;
  Doc doc = {0};
  Err err = query_ask(asking->index, QUERY_ENTRIES, &asking->query, &rows, NULL, fault);
  if (!err && call->json) return out_json(rows, fault);
  if (!err && json_count(rows) == 0)
    err_print("no runs in %s yet; a script's are recorded there: runner script.lua\n",
              call->runs);
  else if (!err) add_entries(rows, alone(&doc));
  json_free(rows);
  return err ? err
             : page_print_records(query_call_option(call, "--format"), &doc, fault);
}

/* -- columns ----------------------------------------------------------------------- */

static bool is_value(const Column *column) {
  return strcmp(column->kind, "values") == 0;
}

static void add_heading(Table *table, const Column *column, int rank) {
  table_column(table, column->title, is_value(column) ? TABLE_NUMBER : TABLE_TEXT,
               rank);
}

/* What an experiment reports and chooses on; else what was measured on test and
 * validation data, then the rest. */
static Err add_values(Columns *columns, const Json *plan, const Json *names,
                      Fault *fault) {
  static const char *const starts[] = {"test_", "val_", ""};
  static const char *const keys[] = {"report", "metric"};
  int before = columns->n;
  Err err = ERR_OK;
  for (int i = 0; !err && i < 2; i++)
    if (*json_text(plan, keys[i]))
      err = columns_add(columns, "values", json_text(plan, keys[i]), fault);
  for (int s = 0; s < 3 && (columns->n == before || !plan); s++)
    for (int64_t i = 0; !err && i < json_count(names); i++) {
      const char *key = json_text(json_item(names, i), "key");
      bool shown = strcmp(json_text(json_item(names, i), "kind"), "values") == 0 &&
                   strcmp(key, "epoch") != 0 && strcmp(key, "lr") != 0;
      if (shown && columns->n < before + SHOWN_VALUES &&
          strncmp(key, starts[s], strlen(starts[s])) == 0)
        err = columns_add(columns, "values", key, fault);
    }
  return err;
}

/* -- trials ------------------------------------------------------------------------ */

/* The purpose of what is not reported; nothing beside all others. */
static void add_tuning(Table *table, const Json *row) {
  const char *purpose = json_text(row, "purpose");
  table_add(table, strcmp(purpose, "report") == 0 ? "" : purpose);
}

/* Do all ids end in the seed, "-s3"? */
static bool ids_have_seeds(const Json *rows) {
  for (int64_t r = 0; r < json_count(rows); r++) {
    int64_t seed = -1;
    const char *mark = strrchr(json_text(json_item(rows, r), "id"), '-');
    json_find_int(json_item(rows, r), "seed", &seed);
    if (!mark || mark[1] != 's' || strtoll(mark + 2, NULL, 10) != seed) return false;
  }
  return true;
}

/* Columns by which rows differ stay. Where there is no room, the seconds go first, then
 * values but the first, the purpose, a seed that ends the id, and the first value. */
enum { RANK_VALUE, RANK_SEED, RANK_PURPOSE, RANK_VALUES, RANK_SECONDS };

static void add_trial_columns(Table *table, const Json *rows, const Columns *columns,
                              bool every) {
  bool first = true;
  if (every) table_column(table, "experiment", TABLE_TEXT, TABLE_FIRST);
  table_column(table, "id", TABLE_TEXT, TABLE_FIRST);
  table_column(table, "seed", TABLE_NUMBER,
               ids_have_seeds(rows) ? RANK_SEED : TABLE_FIRST);
  table_column(table, "purpose", TABLE_TEXT, RANK_PURPOSE);
  table_column(table, "state", TABLE_TEXT, TABLE_FIRST);
  for (int i = 0; i < columns->n; i++) {
    bool value = is_value(&columns->v[i]);
    add_heading(table, &columns->v[i],
                !value  ? TABLE_FIRST
                : first ? RANK_VALUE
                        : RANK_VALUES);
    first = first && !value;
  }
  table_column(table, "seconds", TABLE_NUMBER, RANK_SECONDS);
  table_column(table, "message", TABLE_TEXT, TABLE_BELOW);
}

static void add_trials(const Json *rows, const Columns *columns, bool every,
                       Table *table) {
  add_trial_columns(table, rows, columns, every);
  for (int64_t r = 0; r < json_count(rows); r++) {
    const Json *row = json_item(rows, r);
    if (every) table_add(table, json_text(row, "experiment"));
    table_add(table, json_text(row, "id"));
    page_add_cell(table, json_find(row, "seed"), 0);
    add_tuning(table, row);
    table_add(table, json_text(row, "state"));
    for (int i = 0; i < columns->n; i++)
      page_add_cell(table, column_value(&columns->v[i], row), SHOWN_DIGITS);
    page_add_cell(table, json_find(row, "seconds"), 3);
    page_add_first_line(table, json_text(row, "message"));
  }
}

static void add_cells(const Json *rows, const Columns *columns, const char *metric,
                      Table *table) {
  char title[96];
  table_column(table, "cell", TABLE_TEXT, 1);
  table_column(table, "purpose", TABLE_TEXT, 0);
  for (int i = 0; i < columns->n; i++) add_heading(table, &columns->v[i], 0);
  table_column(table, "n", TABLE_NUMBER, 0);
  snprintf(title, sizeof title, "mean %s", metric ? metric : "");
  table_column(table, title, TABLE_NUMBER, 0);
  table_column(table, "sd", TABLE_NUMBER, 0);
  for (int i = 0; i < TRIAL_STATES; i++)
    table_column(table, trial_state_name((TrialState)i), TABLE_NUMBER, 0);
  for (int64_t r = 0; r < json_count(rows); r++) {
    const Json *row = json_item(rows, r);
    table_add(table, json_text(row, "cell"));
    add_tuning(table, row);
    for (int i = 0; i < columns->n; i++)
      page_add_cell(table, column_value(&columns->v[i], row), SHOWN_DIGITS);
    page_add_cell(table, json_find(row, "n"), 0);
    page_add_cell(table, json_find(row, "mean"), SHOWN_DIGITS);
    page_add_cell(table, json_find(row, "sd"), 2);
    for (int i = 0; i < TRIAL_STATES; i++)
      page_add_cell(table, json_find(row, trial_state_name((TrialState)i)), 0);
  }
}

/* -- the command ------------------------------------------------------------------- */

/* What was not shown, and why; to stderr. */
static Err print_rest(const Asking *asking, const Json *rows, int64_t n_all,
                      const char *what, Fault *fault) {
  bool filtered = asking->query.filter.n > 0;
  if (n_all == 0)
    err_print("no %s%s\n", what, filtered ? " that fit the filters" : " yet");
  if (n_all > json_count(rows))
    err_print("%lld of %lld %s shown; --limit 0 shows all\n",
              (long long)json_count(rows), (long long)n_all, what);
  return n_all == 0 ? asking_tell_misses(asking, fault) : ERR_OK;
}

static Err print_rows(const Asking *asking, const QueryCall *call, const Json *rows,
                      const Json *names, const Json *plan, Fault *fault) {
  bool cells = query_call_option(call, "--cells") != NULL;
  Columns columns = {0};
  Doc doc = {0};
  if (json_count(rows) == 0) return ERR_OK;
  Err err = columns_add_settings(&columns, rows, names, fault);
  if (!err && !cells) err = add_values(&columns, plan, names, fault);
  if (cells) add_cells(rows, &columns, asking->query.metric, alone(&doc));
  else add_trials(rows, &columns, !asking->query.experiment, alone(&doc));
  columns_deinit(&columns);
  return err ? err
             : page_print_records(query_call_option(call, "--format"), &doc, fault);
}

static Err list_rows(Asking *asking, const QueryCall *call, Fault *fault) {
  bool cells = query_call_option(call, "--cells") != NULL;
  const char *experiment = asking->query.experiment;
  Json *rows = NULL, *names = NULL, *plan = NULL;
  int64_t n_all = 0;
  Err err = experiment ? asking_read_plan(call->runs, experiment, &plan, fault)
                       : ERR_OK;
  if (!err)
    err = query_ask(asking->index, QUERY_NAMES, &asking->query, &names, NULL, fault);
  asking->query.metric = query_call_option(call, "--metric");
  if (!err && !asking->query.metric)
    asking->query.metric = asking_reported_metric(plan, names);
  if (!err)
    err = query_ask(asking->index, cells ? QUERY_CELLS : QUERY_TRIALS, &asking->query,
                    &rows, &n_all, fault);
  if (!err && call->json) {
    err = out_json(rows, fault);
    rows = NULL;
  } else if (!err) {
    err = print_rows(asking, call, rows, names, plan, fault);
    if (!err) err = print_rest(asking, rows, n_all, cells ? "cells" : "trials", fault);
  }
  json_free(rows);
  json_free(names);
  json_free(plan);
  return err;
}

static Err list(Asking *asking, const QueryCall *call, Fault *fault) {
  long limit;
  if (query_call_int(call, "--limit", 0, call->json ? 0 : DEFAULT_LIMIT, &limit, fault))
    return fault->code;
  asking->query.limit = limit;
  asking->query.all = query_call_option(call, "--all") != NULL;
  asking->query.sort = query_call_option(call, "--sort");
  if (query_call_option(call, "--metric") && !query_call_option(call, "--cells"))
    return fault_set(fault, ERR_USAGE, "ls: --metric goes with --cells");
  if (asking->query.experiment || asking->query.filter.n > 0)
    return list_rows(asking, call, fault);
  return list_entries(asking, call, fault);
}

static Err run_ls(const QueryCall *call, Fault *fault) {
  Asking asking;
  Err err = asking_begin(&asking, call, false, fault);
  if (!err) err = list(&asking, call, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption ls_options[] = {
    {"--cells", NULL, "one row per cell, over its seeds"},
    {"--metric", "NAME", "with --cells: what is averaged (default: what the study "
                         "reports)"},
    {"--sort", "KEY", "smallest first; -KEY: largest first (cells: mean or -mean)"},
    {"--limit", "N", "at most N rows (default 50, with --json all; 0: all)"},
    {"--all", NULL, "those too that no longer belong to their experiment"},
    QUERY_FORMAT,
    {NULL, NULL, NULL}};

static void print_states(void) {
  out_print("\nStates of a trial:\n");
  for (int i = 0; i < TRIAL_STATES; i++)
    out_print("  %-12s %s\n", trial_state_name((TrialState)i),
              trial_state_doc((TrialState)i));
}

const QueryCommand command_ls = {
    .name = "ls", .usage = "[experiment] [filters]", .json = true,
    .doc = "Lists the experiments, or the trials of one, or of all that fit the "
           "filters.",
    .details = "Filters are ANDed: activation=relu,tanh 'accuracy>0.88' state=failed "
               "seed=3\n"
               "with = != > >= < <= (quote > and < from the shell). Shares are "
               "recorded from 0\n"
               "to 1; 88% is 0.88. Keys: facts of a trial\n"
               "(id cell seed purpose state attempts seconds started digest "
               "fingerprint\n"
               "message), its factors, arguments and values; args.lr where a name is "
               "in two of\n"
               "these.",
    .print_more = print_states, .options = ls_options, .run = run_ls};
