/* cmd_export.c: the command export: all trials of an experiment as one tidy table.
 *
 * A column per fact, factor, argument and value; a name that two of these have is plain
 * for the first and "args.x", "values.x" for the others, as in filters. Numbers are
 * written with all digits, but for means on a page. Tables for a page (md, latex ...)
 * leave out attempts, times and hashes. */
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "cli/asking.h"
#include "cli/columns.h"
#include "base/csv.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- columns ----------------------------------------------------------------------- */

static const char *const facts_before[] = {"experiment", "id", "seed", "purpose",
                                           "state"};
static const char *const facts_after[] = {"attempts", "seconds", "started", "digest",
                                          "fingerprint", "message"};
enum { N_BEFORE = 5, N_AFTER = 6 };

static bool any_message(const Json *rows) {
  for (int64_t r = 0; r < json_count(rows); r++)
    if (*json_text(json_item(rows, r), "message")) return true;
  return false;
}

static bool any_tuning(const Json *rows) {
  for (int64_t r = 0; r < json_count(rows); r++)
    if (strcmp(json_text(json_item(rows, r), "purpose"), "tuning") == 0) return true;
  return false;
}

/* Those of the trials; with metrics the values at the end give way to those of the
 * epochs. */
static Err trial_columns(Columns *columns, const DocWriter *format, const Json *rows,
                         const Json *names, bool metrics, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < N_BEFORE; i++)
    if (!format->page || strcmp(facts_before[i], "purpose") != 0 || any_tuning(rows))
      err = columns_add(columns, NULL, facts_before[i], fault);
  for (int64_t i = 0; !err && i < json_count(names); i++) {
    const char *kind = json_text(json_item(names, i), "kind");
    if (!metrics || strcmp(kind, "values") != 0)
      err = columns_add(columns, kind, json_text(json_item(names, i), "key"), fault);
  }
  for (int i = 0; !err && !metrics && !format->page && i < N_AFTER; i++)
    err = columns_add(columns, NULL, facts_after[i], fault);
  if (!err && !metrics && format->page && any_message(rows))
    err = columns_add(columns, NULL, "message", fault);
  return err;
}

/* -- rows -------------------------------------------------------------------------- */

/* On a page a message goes without its trace. */
static void add_trial(const DocWriter *format, const Columns *columns, const Json *row,
                      Table *table) {
  for (int i = 0; i < columns->n; i++) {
    const Column *column = &columns->v[i];
    if (format->page && !column->kind && strcmp(column->key, "message") == 0)
      page_add_first_line(table, json_text(row, column->key));
    else page_add_cell(table, column_value(column, row), 0);
  }
}

/* -- one row per epoch ------------------------------------------------------------- */

/* Calls `visit` with each table of metrics of each trial. */
typedef Err (*VisitMetrics)(void *ctx, const Json *row, int fit, const CsvTable *csv,
                            Fault *fault);

/* Number of the fit whose table is called so; 0: it is none. */
static int table_number(const char *name) {
  static const char numbered[] = "metrics-";
  char *end;
  if (strcmp(name, "metrics.csv") == 0) return 1;
  if (strncmp(name, numbered, strlen(numbered)) != 0) return 0;
  long n = strtol(name + strlen(numbered), &end, 10);
  return strcmp(end, ".csv") == 0 && n > 1 && n < INT_MAX ? (int)n : 0;
}

/* The name of the next table: fits that recorded nothing have none. NULL: there is no
 * more. */
static const char *next_table(const FileNames *names, int *fit) {
  const char *next = NULL;
  int before = *fit;
  for (int i = 0; i < names->n; i++) {
    int number = table_number(names->v[i]);
    if (number <= before || (next && number >= *fit)) continue;
    next = names->v[i];
    *fit = number;
  }
  return next;
}

static Err each_of_trial(const char *directory, const Json *row, VisitMetrics visit,
                         void *ctx, Fault *fault) {
  FileNames names = {0};
  int fit = 0;
  Err err = file_names(directory, &names, fault);
  for (const char *name; !err && (name = next_table(&names, &fit));) {
    CsvTable csv = {0};
    Path path = path_of("%s/%s", directory, name);
    bool there = file_exists(path.s); /* and not removed since */
    if (there) err = csv_read(&csv, path.s, fault);
    if (there && !err) err = visit(ctx, row, fit, &csv, fault);
    csv_deinit(&csv);
  }
  file_names_deinit(&names);
  return err;
}

static Err each_table(const QueryCall *call, const Json *rows, VisitMetrics visit,
                      void *ctx, Fault *fault) {
  Err err = ERR_OK;
  for (int64_t r = 0; !err && r < json_count(rows); r++) {
    const Json *row = json_item(rows, r);
    Path directory = path_of("%s/%s", call->runs, json_text(row, "path"));
    err = each_of_trial(directory.s, row, visit, ctx, fault);
  }
  return err;
}

static bool is_integer(const char *cell) {
  char *end;
  errno = 0;
  (void)strtoll(cell, &end, 10);
  return end != cell && !*end && !errno;
}

static Err collect_columns(void *ctx, const Json *row, int fit, const CsvTable *csv,
                           Fault *fault) {
  (void)row, (void)fit;
  for (int c = 0; c < csv->n_columns; c++) {
    const char *key = csv_column(csv, c);
    if (columns_add(ctx, "metrics", key, fault)) return fault->code;
    Column *column = columns_find(ctx, "metrics", key);
    for (int64_t r = 0; !column->real && r < csv->n_rows; r++)
      column->real = !is_integer(csv_cell(csv, r, c));
  }
  return ERR_OK;
}

typedef struct EpochSink {
  Table *table; /* NULL: the rows go to `list` */
  Json *list;
  const Columns *columns;
} EpochSink;

static int column_in(const CsvTable *csv, const char *name) {
  for (int c = 0; c < csv->n_columns; c++)
    if (strcmp(csv_column(csv, c), name) == 0) return c;
  return -1;
}

static void add_epoch(const EpochSink *sink, const Json *row, int fit,
                      const CsvTable *csv, int64_t r) {
  for (int i = 0; i < sink->columns->n; i++) {
    const Column *column = &sink->columns->v[i];
    if (!column->kind || strcmp(column->kind, "metrics") != 0) {
      page_add_cell(sink->table, column_value(column, row), 0);
    } else if (strcmp(column->key, "fit") == 0) {
      table_addf(sink->table, "%d", fit);
    } else {
      int c = column_in(csv, column->key);
      table_add(sink->table, c < 0 ? "" : csv_cell(csv, r, c));
    }
  }
}

static Json *epoch_json(const EpochSink *sink, const Json *row, int fit,
                        const CsvTable *csv, int64_t r) {
  Json *epoch = json_map(), *metrics = json_map();
  static const char *const shared[] = {"experiment", "id", "seed", "purpose", "state",
                                       "factors", "args"};
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
    json_put_shared(epoch, shared[i], json_find(row, shared[i]));
  json_put_int(epoch, "fit", fit);
  for (int c = 0; c < csv->n_columns; c++) {
    const char *key = csv_column(csv, c), *cell = csv_cell(csv, r, c);
    const Column *column = columns_find(sink->columns, "metrics", key);
    /* A trial that runs may have written more since the columns were looked at. */
    if (column && !column->real && is_integer(cell))
      json_put_int(metrics, key, strtoll(cell, NULL, 10));
    else json_put_number(metrics, key, strtod(cell, NULL));
  }
  json_put(epoch, "metrics", metrics);
  return epoch;
}

static Err add_epochs(void *ctx, const Json *row, int fit, const CsvTable *csv,
                      Fault *fault) {
  EpochSink *sink = ctx;
  (void)fault;
  for (int64_t r = 0; r < csv->n_rows; r++) {
    if (sink->table) add_epoch(sink, row, fit, csv, r);
    else json_push(sink->list, epoch_json(sink, row, fit, csv, r));
  }
  return ERR_OK;
}

/* -- one row per cell -------------------------------------------------------------- */

/* Decimals with which `size` has that many digits. */
static int decimals(double size, int digits) {
  return size > 0 && isfinite(size) ? digits - 1 - (int)floor(log10(size)) : 0;
}

/* With a power of ten where so many decimals, or digits before the point, say
 * nothing. */
static void add_number(Text *out, double value, int n, int digits) {
  enum { DECIMALS_MAX = 12 };
  bool plain = n <= DECIMALS_MAX && fabs(value) < 1e15;
  if (plain) text_addf(out, "%.*f", n > 0 ? n : 0, value);
  else text_addf(out, "%.*g", digits, value);
}

/* "0.912 ± 0.014": the mean has the digits that the spread over the seeds leaves to it;
 * without a spread four decimals, or as many as show four digits. */
static void add_spread_cell(const Json *row, Table *table) {
  double mean = 0, sd = 0;
  Text *text = table_cell(table);
  bool spread = json_find_number(row, "sd", &sd);
  bool known = json_find_number(row, "mean", &mean);
  int n = sd > 0 ? decimals(sd, 2) : decimals(fabs(mean), 4);
  if (!(sd > 0) && n < 4) n = 4;
  if (known) add_number(text, mean, n, 4);
  if (spread) text_add(text, " ± ");
  if (spread) add_number(text, sd, n, 2);
  table_cell_end(table);
}

/* Factors, and arguments where they differ; then what is counted. */
static Err cell_columns(Columns *columns, const Json *rows, const Json *names,
                        bool page, Fault *fault) {
  Err err = page ? ERR_OK : columns_add(columns, NULL, "cell", fault);
  if (!err) err = columns_add_settings(columns, rows, names, fault);
  if (!err && !page) err = columns_add(columns, NULL, "trials", fault);
  return err ? err : columns_add(columns, NULL, "n", fault);
}

static void add_titles(const Columns *columns, Table *table) {
  for (int i = 0; i < columns->n; i++)
    table_column(table, columns->v[i].title, TABLE_TEXT, 0);
}

static Err export_cells(const DocWriter *format, const char *metric, const Json *rows,
                        const Json *names, Table *table, Fault *fault) {
  static const char *const moments[] = {"mean", "sd"};
  Columns columns = {0};
  Err err = cell_columns(&columns, rows, names, format->page, fault);
  if (!err) add_titles(&columns, table);
  if (!err && format->page) table_column(table, metric, TABLE_TEXT, 0);
  for (int i = 0; !err && !format->page && i < 2; i++) {
    Text title = {0};
    text_addf(&title, "%s %s", moments[i], metric);
    table_column(table, title.data ? title.data : "", TABLE_TEXT, 0);
    text_deinit(&title);
  }
  for (int64_t r = 0; !err && r < json_count(rows); r++) {
    const Json *row = json_item(rows, r);
    for (int i = 0; i < columns.n; i++)
      page_add_cell(table, column_value(&columns.v[i], row), 0);
    if (format->page) add_spread_cell(row, table);
    for (int i = 0; !format->page && i < 2; i++)
      page_add_cell(table, json_find(row, moments[i]), 0);
  }
  columns_deinit(&columns);
  return err;
}

/* Trials that only choose parameters are no results, unless they are asked for. */
static Json *without_tuning(const Asking *asking, const Json *rows) {
  bool asked = false;
  Json *kept = json_list();
  for (int i = 0; i < asking->query.filter.n; i++)
    asked |= strcmp(asking->query.filter.v[i].key, "purpose") == 0;
  for (int64_t r = 0; r < json_count(rows); r++)
    if (asked || strcmp(json_text(json_item(rows, r), "purpose"), "tuning") != 0)
      json_push(kept, json_share(json_item(rows, r)));
  return kept;
}

/* What is exported: a table, or the rows as JSON. */
typedef struct Exported {
  Doc doc;
  Json *rows; /* NULL: it is the document */
} Exported;

static Err ask_for_cells(Asking *asking, const QueryCall *call, const DocWriter *format,
                         Exported *out, Fault *fault) {
  const char *experiment = asking->query.experiment;
  Json *all = NULL, *rows = NULL, *names = NULL, *plan = NULL;
  int64_t n = 0;
  Err err = asking_read_plan(call->runs, experiment, &plan, fault);
  if (!err)
    err = query_ask(asking->index, QUERY_NAMES, &asking->query, &names, NULL, fault);
  asking->query.metric = query_call_option(call, "--metric");
  if (!err && !asking->query.metric)
    asking->query.metric = asking_reported_metric(plan, names);
  if (!err)
    err = query_ask(asking->index, QUERY_CELLS, &asking->query, &all, &n, fault);
  if (!err && n == 0) err = asking_tell_misses(asking, fault);
  if (!err) rows = without_tuning(asking, all);
  if (!err && format->raw) out->rows = json_share(rows);
  else if (!err)
    err = export_cells(format,
                       asking->query.metric ? asking->query.metric
                                            : json_text(plan, "report"),
                       rows, names, doc_table(&out->doc), fault);
  json_free(all);
  json_free(rows);
  json_free(names);
  json_free(plan);
  return err;
}

/* -- the command ------------------------------------------------------------------- */

static Err export_json(const QueryCall *call, Json *rows, bool metrics, Exported *out,
                       Fault *fault) {
  Columns columns = {0};
  EpochSink sink = {.list = metrics ? json_list() : json_share(rows),
                    .columns = &columns};
  Err err = metrics ? each_table(call, rows, collect_columns, &columns, fault) : ERR_OK;
  if (!err && metrics) err = each_table(call, rows, add_epochs, &sink, fault);
  columns_deinit(&columns);
  out->rows = sink.list;
  return err;
}

static Err export_table(const QueryCall *call, const DocWriter *format,
                        const Json *rows, const Json *names, bool metrics, Table *table,
                        Fault *fault) {
  Columns columns = {0};
  EpochSink sink = {.table = table, .columns = &columns};
  Err err = trial_columns(&columns, format, rows, names, metrics, fault);
  if (!err && metrics) err = columns_add(&columns, "metrics", "fit", fault);
  if (!err && metrics) err = each_table(call, rows, collect_columns, &columns, fault);
  if (!err) add_titles(&columns, table);
  if (!err && metrics) err = each_table(call, rows, add_epochs, &sink, fault);
  for (int64_t r = 0; !err && !metrics && r < json_count(rows); r++)
    add_trial(format, &columns, json_item(rows, r), table);
  columns_deinit(&columns);
  return err;
}

static Err ask_for_trials(Asking *asking, const QueryCall *call,
                          const DocWriter *format, Exported *out, Fault *fault) {
  bool metrics = query_call_option(call, "--metrics") != NULL;
  Json *rows = NULL, *names = NULL;
  int64_t n_all = 0;
  Err err = query_ask(asking->index, QUERY_TRIALS, &asking->query, &rows, &n_all,
                      fault);
  if (!err && n_all == 0) err = asking_tell_misses(asking, fault);
  if (!err)
    err = query_ask(asking->index, QUERY_NAMES, &asking->query, &names, NULL, fault);
  if (!err && format->raw) err = export_json(call, rows, metrics, out, fault);
  else if (!err)
    err = export_table(call, format, rows, names, metrics, doc_table(&out->doc), fault);
  json_free(rows);
  json_free(names);
  return err;
}

static Err put_out(const QueryCall *call, const DocWriter *format,
                   const Exported *exported, Fault *fault) {
  const char *path = query_call_option(call, "--out");
  Text text = {0};
  Err err = ERR_OK;
  if (exported->rows) err = json_write_lines(exported->rows, &text, fault);
  else doc_write(&exported->doc, format, OUT_NO_LIMIT, &text);
  if (!err && !path) return page_print_text(&text, fault);
  if (!err)
    err = text.failed
              ? fault_memory(fault, text.n_bytes)
              : file_put_out(path, text.data ? text.data : "", text.n_bytes, fault);
  text_deinit(&text);
  return err;
}

static Err export_rows(Asking *asking, const QueryCall *call, Fault *fault) {
  const DocWriter *format = NULL;
  const char *name = query_call_option(call, "--format");
  bool cells = query_call_option(call, "--cells") != NULL;
  Exported out = {0};
  asking->query.all = query_call_option(call, "--all") != NULL;
  Err err = doc_writer_named(name ? name : call->json ? "json" : "csv", &format, fault);
  if (!err && cells && query_call_option(call, "--metrics"))
    err = fault_set(fault, ERR_USAGE, "export: allowed: --cells or --metrics");
  if (!err && !cells && query_call_option(call, "--metric"))
    err = fault_set(fault, ERR_USAGE, "export: --metric goes with --cells");
  if (!err)
    err = (cells ? ask_for_cells : ask_for_trials)(asking, call, format, &out, fault);
  if (!err) err = put_out(call, format, &out, fault);
  json_free(out.rows);
  doc_deinit(&out.doc);
  return err;
}

static Err run_export(const QueryCall *call, Fault *fault) {
  Asking asking;
  Err err = asking_begin(&asking, call, true, fault);
  if (!err) err = export_rows(&asking, call, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption export_options[] = {
    {"--format", "NAME", DOC_FORMATS "; default: csv"},
    {"--out", "FILE", "into a file instead of to stdout"},
    {"--metrics", NULL, "one row per epoch instead of one per trial"},
    {"--cells", NULL, "one row per cell, over its seeds, without trials of tuning; on "
     "a page with as many digits as the spread leaves"},
    {"--metric", "NAME", "with --cells: what is averaged (default: what the study "
                         "reports)"},
    {"--all", NULL, "those trials too that no longer belong to the experiment"},
    {NULL, NULL, NULL}};

const QueryCommand command_export = {
    .name = "export", .usage = "experiment [filters]", .json = true,
    .doc = "Writes all trials of an experiment as a tidy table, with all digits.",
    .options = export_options, .run = run_export};
