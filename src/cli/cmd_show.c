/* cmd_show.c: the command show: all that is known of one trial, or of an experiment. */
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "cli/asking.h"
#include "base/csv.h"
#include "lab/look.h"
#include "lab/names.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* -- finding it -------------------------------------------------------------------- */

/* "experiment/id", or a path that ends in one, perhaps with "trials/" between. */
static void split_path(char *word, const char **experiment, const char **id) {
  size_t n = strlen(word);
  while (n > 1 && word[n - 1] == '/') word[--n] = 0;
  char *slash = strrchr(word, '/');
  *experiment = NULL;
  *id = slash ? slash + 1 : word;
  if (!slash) return;
  *slash = 0;
  char *before = strrchr(word, '/');
  if (before && strcmp(before + 1, "trials") == 0) {
    *before = 0;
    before = strrchr(word, '/');
  }
  *experiment = before ? before + 1 : word;
}

static Err unknown_name(const QueryCall *call, const char *word, Fault *fault) {
  char *nearest;
  Err err = name_nearest(call->runs, word, &nearest, fault);
  if (err) return err;
  fault_set(fault, ERR_USAGE,
            "%s: no trial's id begins with it, and %s has no experiment of that name; "
            "%s%s%s",
            word, call->runs,
            nearest ? "did you mean \""
                    : "runner ls "
                      "lists them",
            nearest ? nearest : "", nearest ? "\"?" : "");
  free(nearest);
  return fault->code;
}

enum { NAMED = 10 }; /* of trials that begin alike */

/* The fault of more rows than one; `what` says how they were asked for. */
static Err several(const Json *rows, const char *what, Fault *fault) {
  int64_t n = json_count(rows);
  Text list = {0};
  for (int64_t i = 0; i < n && i < NAMED; i++)
    text_addf(&list, "\n  %s/%s", json_text(json_item(rows, i), "experiment"),
              json_text(json_item(rows, i), "id"));
  if (n > NAMED) text_addf(&list, "\n  and %lld more", (long long)(n - NAMED));
  fault_set(fault, ERR_USAGE, "%s:%s", what, list.data ? list.data : "");
  text_deinit(&list);
  return fault->code;
}

static Err not_one(const QueryCall *call, const char *word, const Json *rows,
                   Fault *fault) {
  if (json_count(rows) == 0) return unknown_name(call, word, fault);
  Text what = {0};
  text_addf(&what, "%s: several trials begin so", *word ? word : "\"\"");
  Err err = what.failed ? fault_memory(fault, what.n_bytes)
                        : several(rows, what.data, fault);
  text_deinit(&what);
  return err;
}

/* Adds { experiment, id, path } for runs/<experiment>/<between><id>, if it is there. */
static void add_if_there(Json *rows, const QueryCall *call, const char *experiment,
                         const char *between, const char *id) {
  Path path = path_of("%s/%s%s", experiment, between, id);
  if (!file_exists(path_of("%s/%s/.", call->runs, path.s).s)) return;
  json_push(rows, json_mapf("experiment %s id %s path %s", experiment, id, path.s));
}

/* The directories of that whole id, found without the index. */
static Err find_whole(const QueryCall *call, const char *experiment, const char *id,
                      Json **out, Fault *fault) {
  FileNames names;
  Json *rows = *out = json_list();
  Err err = file_names(call->runs, &names, fault);
  for (int i = 0; !err && i < names.n; i++) {
    if (experiment && strcmp(experiment, names.v[i]) != 0) continue;
    if (name_is_trial(id)) add_if_there(rows, call, names.v[i], "trials/", id);
    if (name_is_run(id)) add_if_there(rows, call, names.v[i], "", id);
  }
  file_names_deinit(&names);
  return err;
}

/* Those whose id begins so, planned ones included. */
static Err find_starting(const QueryCall *call, const char *experiment, const char *id,
                         Json **out, Fault *fault) {
  Index *index = NULL;
  int64_t n;
  Query query = {.experiment = experiment, .start = id, .all = true};
  Err err = index_open(&index, call->runs, fault);
  if (!err) err = index_refresh(index, experiment, fault);
  if (!err) err = query_ask(index, QUERY_TRIALS, &query, out, &n, fault);
  index_close(index);
  return err;
}

/* The one trial that is meant; its row, new. */
static Err find_trial(const QueryCall *call, const char *word, Json **out,
                      Fault *fault) {
  const char *experiment, *id;
  Json *rows = NULL;
  char *copy = text_copy(word);
  if (!copy) return fault_memory(fault, strlen(word));
  split_path(copy, &experiment, &id);
  Err err = find_whole(call, experiment, id, &rows, fault);
  if (!err && json_count(rows) == 0) {
    json_free(rows);
    rows = NULL;
    err = find_starting(call, experiment, id, &rows, fault);
  }
  if (!err && json_count(rows) == 1) *out = json_share(json_item(rows, 0));
  else if (!err) err = not_one(call, word, rows, fault);
  json_free(rows);
  free(copy);
  return err;
}

/* -- metrics ----------------------------------------------------------------------- */

/* First, last, least and greatest of a column. */
static Json *summarize_column(const CsvTable *csv, int column) {
  Json *summary = json_map();
  double lo = NAN, hi = NAN;
  for (int64_t r = 0; r < csv->n_rows; r++) {
    double v = strtod(csv_cell(csv, r, column), NULL);
    if (!(v >= lo)) lo = v;
    if (!(v <= hi)) hi = v;
  }
  json_put_text(summary, "column", csv_column(csv, column));
  json_put_number(summary, "first", strtod(csv_cell(csv, 0, column), NULL));
  json_put_number(summary, "last",
                  strtod(csv_cell(csv, csv->n_rows - 1, column), NULL));
  json_put_number(summary, "min", lo);
  json_put_number(summary, "max", hi);
  return summary;
}

/* { file, rows, columns: [{ column, first, last, min, max }] } */
static Json *summarize_metrics(const char *file, const CsvTable *csv) {
  Json *columns = json_list();
  for (int c = 0; csv->n_rows > 0 && c < csv->n_columns; c++)
    json_push(columns, summarize_column(csv, c));
  return json_mapf("file %s rows %lld columns %p", file, (long long)csv->n_rows,
                   columns);
}

/* What is said of each table of that kind in the directory, as a list. */
static Json *list_tables(const char *directory, bool (*is_kind)(const char *name),
                         Json *(*say)(const char *file, const CsvTable *csv)) {
  Json *all = json_list();
  FileNames names;
  Fault ignored = {0};
  if (file_names(directory, &names, &ignored)) return all;
  for (int i = 0; i < names.n; i++) {
    CsvTable csv = {0};
    Path path = path_of("%s/%s", directory, names.v[i]);
    if (is_kind(names.v[i]) && !csv_read(&csv, path.s, &ignored))
      json_push(all, say(names.v[i], &csv));
    csv_deinit(&csv);
  }
  file_names_deinit(&names);
  return all;
}

static void add_metrics(const Json *metrics, Doc *doc) {
  static const char *const keys[] = {"first", "last", "min", "max"};
  for (int64_t i = 0; i < json_count(metrics); i++) {
    const Json *file = json_item(metrics, i), *columns = json_find(file, "columns");
    Text *title = doc_begin(doc, DOC_HEADING);
    text_addf(title, "%s (", json_text(file, "file"));
    page_add_value(title, json_find(file, "rows"), 0);
    text_add(title, " rows)");
    Table *table = doc_table(doc);
    table_column(table, "", TABLE_TEXT, 0);
    for (int k = 0; k < 4; k++) table_column(table, keys[k], TABLE_NUMBER, 0);
    for (int64_t c = 0; c < json_count(columns); c++) {
      table_add(table, json_text(json_item(columns, c), "column"));
      for (int k = 0; k < 4; k++)
        page_add_cell(table, json_find(json_item(columns, c), keys[k]), 5);
    }
  }
}

/* -- matrices and curves ----------------------------------------------------------- */

enum { SHOWN_COLUMNS = 12, SHOWN_ROWS = 24 }; /* of more only the size is said */

static Json *cells_of(const CsvTable *csv, int64_t row) {
  Json *cells = json_list();
  for (int c = 0; c < csv->n_columns; c++)
    json_push_number(cells, strtod(csv_cell(csv, row, c), NULL));
  return cells;
}

static Json *describe_table(const char *file, const CsvTable *csv) {
  Json *columns = json_list(), *cells = json_list();
  for (int c = 0; c < csv->n_columns; c++) json_push_text(columns, csv_column(csv, c));
  for (int64_t r = 0; r < csv->n_rows; r++) json_push(cells, cells_of(csv, r));
  return json_mapf("file %s rows %lld columns %p cells %p", file,
                   (long long)csv->n_rows, columns, cells);
}

static void add_table(const Json *file, Doc *doc) {
  const Json *columns = json_find(file, "columns"), *cells = json_find(file, "cells");
  int64_t n = json_count(cells);
  doc_say(doc, DOC_HEADING, "%s (%lld rows, %lld columns)", json_text(file, "file"),
          (long long)n, (long long)json_count(columns));
  if (n > SHOWN_ROWS || json_count(columns) > SHOWN_COLUMNS) return;
  Table *table = doc_table(doc);
  for (int64_t c = 0; c < json_count(columns); c++) {
    const char *name = "";
    (void)json_get_text(json_item(columns, c), &name);
    table_column(table, name, TABLE_NUMBER, 0);
  }
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c < json_count(columns); c++)
      page_add_cell(table, json_item(json_item(cells, r), c), 5);
}

static void add_tables(const Json *tables, Doc *doc) {
  for (int64_t i = 0; i < json_count(tables); i++) add_table(json_item(tables, i), doc);
}

/* -- a trial ----------------------------------------------------------------------- */

/* Rows of name, value and note of a map, maps inside it flattened. `notes`: texts by
 * the innermost name, or NULL. */
static void add_rows(const char *prefix, const Json *map, const Json *notes,
                     Table *table) {
  for (void *it = json_first(map); it; it = json_next(map, it)) {
    Text name = {0};
    bool inner = json_kind(json_value(it)) == JSON_KIND_MAP;
    text_addf(&name, "%s%s%s", prefix, json_key(it), inner ? "." : "");
    if (inner && name.data) {
      add_rows(name.data, json_value(it), notes, table);
    } else {
      const char *note = json_text(notes, json_key(it));
      table_add(table, name.data ? name.data : "");
      page_add_cell(table, json_value(it), 0);
      table_addf(table, *note ? "(%s)" : "%s", note);
    }
    text_deinit(&name);
  }
}

static void add_map(const char *title, const Json *map, const Json *notes, Doc *doc) {
  if (!json_first(map)) return;
  doc_say(doc, DOC_HEADING, "%s", title);
  Table *table = doc_table(doc);
  for (int i = 0; i < 3; i++) table_column(table, "", TABLE_TEXT, 0);
  add_rows("", map, notes, table);
}

static void add_attempts(const Json *attempts, Doc *doc) {
  static const char *const keys[] = {"attempt", "started", "ended", "wall_s", "state",
                                     "host",
                                     "pid", "message"};
  enum { N = sizeof keys / sizeof *keys };
  if (!json_count(attempts)) return;
  doc_say(doc, DOC_HEADING, "attempts");
  Table *table = doc_table(doc);
  for (int k = 0; k < N; k++)
    table_column(table, k ? keys[k] : "", k == 3 ? TABLE_NUMBER : TABLE_TEXT,
                 k > 4 ? 2 : 0);
  for (int64_t i = 0; i < json_count(attempts); i++) {
    const Json *attempt = json_item(attempts, i);
    for (int k = 0; k < N - 1; k++)
      page_add_cell(table, json_find(attempt, keys[k]), 4);
    page_add_first_line(table, json_text(attempt, keys[N - 1]));
  }
}

/* The map without some of its keys, new. */
static Json *without(const Json *map, const char *keys) {
  Json *rest = json_map();
  for (void *it = json_first(map); it; it = json_next(map, it))
    if (!text_has_word(keys, json_key(it)))
      json_put(rest, json_key(it), json_share(json_value(it)));
  return rest;
}

/* A trial that trained nothing has the hash of no weights. */
static bool has_weights(const Json *result) {
  char none[SHA256_TEXT];
  sha256("", 0, none);
  return strcmp(json_text(result, "weights"), none) != 0;
}

/* A message and its trace, line by line as they are. */
static void add_message(const char *message, Doc *doc) {
  Text *line = *message ? doc_begin(doc, DOC_PARAGRAPH) : NULL;
  if (line) text_add(line, "message:" NO_BREAK);
  for (; *message; message++) {
    if (*message == '\n') line = doc_begin(doc, DOC_PARAGRAPH);
    else
      text_add_bytes(line, *message == ' ' ? NO_BREAK : message,
                     *message == ' ' ? 2 : 1);
  }
}

static void trial_doc(const Json *trial, Doc *doc) {
  const Json *config = json_find(trial, "config"), *meta = json_find(trial, "meta");
  const Json *result = json_find(trial, "result"), *logs = json_find(trial, "logs");
  Json *facts = without(result, has_weights(result) ? "values state message"
                                                    : "values state message weights");
  Json *provenance = without(meta, "attempts sources");
  doc_say(doc, DOC_PARAGRAPH, "%s of %s", json_text(trial, "id"),
          json_text(trial, "experiment"));
  doc_say(doc, DOC_PARAGRAPH, "%s", json_text(trial, "path"));
  doc_say(doc, DOC_PARAGRAPH, "state: %s", json_text(trial, "state"));
  add_message(json_text(trial, "message"), doc);
  for (void *it = json_first(logs); it; it = json_next(logs, it))
    doc_say(doc, DOC_PARAGRAPH, "%s: %s", json_key(it), json_text(logs, json_key(it)));
  add_map("configuration", config, json_find(meta, "sources"), doc);
  add_map("result", json_find(result, "values"), NULL, doc);
  add_metrics(json_find(trial, "metrics"), doc);
  add_tables(json_find(trial, "tables"), doc);
  add_map("identity", facts, NULL, doc);
  add_attempts(json_find(meta, "attempts"), doc);
  add_map("provenance", provenance, NULL, doc);
  json_free(facts);
  json_free(provenance);
}

/* Of a trial that is planned only: what it will run with. */
static Json *planned_config(const Json *row) {
  static const char *const keys[] = {"seed", "factors", "args"};
  Json *config = json_map();
  for (int i = 0; i < 3; i++) json_put_shared(config, keys[i], json_find(row, keys[i]));
  return config;
}

/* { stdout, stderr }: paths of what it said, where it said anything. */
static Json *find_logs(const char *directory) {
  static const struct { const char *key, *name; } logs[] = {{"stdout", TRIAL_STDOUT},
                                                            {"stderr", TRIAL_STDERR}};
  Json *found = json_map();
  for (int i = 0; i < 2; i++) {
    struct stat at;
    Path path = path_of("%s/%s", directory, logs[i].name);
    if (stat(path.s, &at) == 0 && at.st_size > 0)
      json_put_text(found, logs[i].key, path.s);
  }
  return found;
}

/* Everything, new: where it is and what the files hold. */
static Err read_trial(const QueryCall *call, const Json *row, Json **out,
                      Fault *fault) {
  Look look = {0};
  TrialInfo info;
  Fault ignored = {0};
  Path path = path_of("%s/%s", call->runs, json_text(row, "path"));
  Err err = look_open(&look, path.s, fault);
  if (!err) {
    Json *trial = *out = json_map();
    Json *config = look_json(path.s, "config.json", &ignored);
    look_info(&look, &info);
    json_putf(trial, "experiment %s id %s path %s state %s",
              json_text(row, "experiment"), json_text(row, "id"), path.s,
              trial_state_name(info.state));
    if (info.message) json_put_text(trial, "message", info.message);
    json_put(trial, "logs", find_logs(path.s));
    json_put(trial, "config", config ? config : planned_config(row));
    json_put_shared(trial, "result", look.result);
    json_put(trial, "metrics", list_tables(path.s, name_is_metrics, summarize_metrics));
    json_put(trial, "tables", list_tables(path.s, name_is_table, describe_table));
    json_put_shared(trial, "meta", look.meta);
    trial_info_deinit(&info);
  }
  look_close(&look);
  return err;
}

/* Takes the row. */
static Err show_row(const QueryCall *call, Json *row, Fault *fault) {
  Json *trial = NULL;
  Err err = read_trial(call, row, &trial, fault);
  json_free(row);
  if (err) return err;
  if (call->json) return out_json(trial, fault);
  Doc doc = {0};
  trial_doc(trial, &doc);
  json_free(trial);
  return page_print_records(query_call_option(call, "--format"), &doc, fault);
}

static Err show_trial(const QueryCall *call, const char *word, Fault *fault) {
  Json *row = NULL;
  Err err = find_trial(call, word, &row, fault);
  return err ? err : show_row(call, row, fault);
}

/* The one trial that fits the filters. */
static Err show_fitting(const QueryCall *call, Asking *asking, Fault *fault) {
  Json *rows = NULL;
  int64_t n = 0;
  Err err = query_ask(asking->index, QUERY_TRIALS, &asking->query, &rows, &n, fault);
  if (!err && n == 0) {
    err = asking_tell_misses(asking, fault);
    if (!err) err = fault_set(fault, ERR_USAGE, "show: no trial fits the filters");
  } else if (!err && n > 1) {
    err = several(rows, "the filters: several trials fit them", fault);
  }
  if (!err) err = show_row(call, json_share(json_item(rows, 0)), fault);
  json_free(rows);
  return err;
}

/* -- an experiment ----------------------------------------------------------------- */

static void add_list(Text *text, const Json *list) {
  for (int64_t i = 0; i < json_count(list); i++) {
    if (i > 0) text_add(text, ", ");
    page_add_value(text, json_item(list, i), 0);
  }
}

static void add_factors(const Json *plan, Doc *doc) {
  const Json *factors = json_find(plan, "factors"),
             *baseline = json_find(plan, "baseline");
  if (!json_count(factors)) return;
  doc_say(doc, DOC_HEADING, "factors");
  Table *table = doc_table(doc);
  table_column(table, "", TABLE_TEXT, 0);
  table_column(table, "levels", TABLE_TEXT, 0);
  table_column(table, "baseline", TABLE_TEXT, 0);
  for (int64_t i = 0; i < json_count(factors); i++) {
    const char *name = json_text(json_item(factors, i), "name");
    table_add(table, name);
    add_list(table_cell(table), json_find(json_item(factors, i), "levels"));
    table_cell_end(table);
    page_add_cell(table, json_find(baseline, name), 0);
  }
}

static void add_count(const Json *map, const char *key, const char *what, Doc *doc) {
  const Json *list = json_find(map, key);
  if (json_count(list))
    doc_say(doc, DOC_PARAGRAPH, "%s: %lld", what, (long long)json_count(list));
}

/* The goal is that of what is reported, which may be the metric itself. */
static void add_measures(const Json *plan, Doc *doc) {
  const char *metric = json_text(plan, "metric"), *report = json_text(plan, "report");
  const char *goal = json_text(plan, "goal");
  bool same = !*report || strcmp(metric, report) == 0;
  if (*metric && !same) doc_say(doc, DOC_PARAGRAPH, "metric: %s", metric);
  if (same) report = metric;
  if (*report)
    doc_say(doc, DOC_PARAGRAPH, "%s: %s%s%s%s", same ? "metric" : "report", report,
            *goal ? " (" : "", goal, *goal ? ")" : "");
}

static void experiment_doc(const Json *experiment, Doc *doc) {
  const Json *plan = json_find(experiment, "plan"),
             *entries = json_find(experiment, "entries");
  doc_say(doc, DOC_PARAGRAPH, "%s", json_text(experiment, "name"));
  doc_say(doc, DOC_PARAGRAPH, "%s", json_text(experiment, "path"));
  if (*json_text(plan, "script"))
    doc_say(doc, DOC_PARAGRAPH, "script: %s", json_text(plan, "script"));
  add_measures(plan, doc);
  add_count(plan, "cells", "cells", doc);
  add_count(plan, "seeds", "seeds", doc);
  add_count(plan, "skipped", "skipped cells", doc);
  add_factors(plan, doc);
  add_map("arguments", json_find(plan, "args"), NULL, doc);
  for (int64_t i = 0; i < json_count(entries); i++) {
    Json *counts = without(json_item(entries, i), "experiment kind");
    bool study = strcmp(json_text(json_item(entries, i), "kind"), "study") == 0;
    add_map(study ? "trials" : "runs of the script", counts, NULL, doc);
    json_free(counts);
  }
}

static Err show_experiment(const QueryCall *call, Asking *asking, Fault *fault) {
  Json *experiment = json_map(), *entries = NULL, *plan = NULL;
  const char *name = asking->query.experiment;
  json_put_text(experiment, "name", name);
  json_put_text(experiment, "path", path_of("%s/%s", call->runs, name).s);
  Err err = asking_read_plan(call->runs, name, &plan, fault);
  if (plan) json_put(experiment, "plan", plan);
  if (!err)
    err = query_ask(asking->index, QUERY_ENTRIES, &asking->query, &entries, NULL,
                    fault);
  if (!err) json_put(experiment, "entries", entries);
  if (!err && call->json) return out_json(experiment, fault);
  Doc doc = {0};
  if (!err) experiment_doc(experiment, &doc);
  json_free(experiment);
  return err ? err
             : page_print_records(query_call_option(call, "--format"), &doc, fault);
}

/* -- the command ------------------------------------------------------------------- */

static bool names_experiment(const QueryCall *call, const char *word) {
  return *word && word[0] != '.' && !strchr(word, '/') &&
         file_exists(path_of("%s/%s/.", call->runs, word).s);
}

static Err run_show(const QueryCall *call, Fault *fault) {
  bool filters = false;
  for (int i = 0; i < call->n_words; i++) filters |= filter_is_term(call->words[i]);
  if (!filters && call->n_words != 1)
    return fault_set(fault, ERR_USAGE,
                     "show: allowed: one trial or experiment, or filters that fit one "
                     "trial");
  if (!filters && !names_experiment(call, call->words[0]))
    return show_trial(call, call->words[0], fault);
  Asking asking = {0};
  Err err = asking_begin(&asking, call, false, fault);
  if (!err)
    err = filters ? show_fitting(call, &asking, fault)
                  : show_experiment(call, &asking, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption show_options[] = {QUERY_FORMAT, {NULL, NULL, NULL}};

const QueryCommand command_show = {
    .name = "show", .usage = "trial|experiment [filters]", .json = true,
    .doc = "Shows one trial with all that is recorded, or an experiment.",
    .details = "A trial is named by its id or the begin of it, by experiment/id, by "
               "the path of\n"
               "its directory, or by filters that fit it alone, as in activation=relu "
               "seed=1.",
    .options = show_options, .run = run_show};
