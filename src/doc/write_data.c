/* write_data.c: documents for programs: the tables as CSV, the whole as JSON.
 *
 *   [ { "heading" | "paragraph" | "item" | "note": text }
 *   | { "columns": [title ...], "units": [...], "rows": [[cell ...] ...] } ... ]
 * Units are there where a column has one. A drawn interval is [low, value, high], a
 * number where it is one, else a text. */
#include "base/csv.h"
#include "base/json.h"
#include "doc/doc.h"
#include <math.h>
#include <stdlib.h>

/* Intervals that are drawn have their numbers beside them. */
static void csv_table(const Table *table, Text *out) {
  const char *comma = "";
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    const TableColumn *column = &table->columns[at.column];
    if (column->kind != TABLE_DRAWN) {
      Text cell = {0};
      text_add(&cell, at.cell);
      if (at.row == 0 && column->unit) text_addf(&cell, " (%s)", column->unit);
      text_add(out, comma);
      csv_add_field(out, cell.data ? cell.data : "");
      text_deinit(&cell);
      comma = ",";
    }
    if (at.last) text_add(out, "\n"), comma = "";
  }
}

/* An empty line is between two tables. */
static void write_csv(const DocWriter *self, const Doc *doc, int width, Text *out) {
  size_t begin = out->n_bytes;
  (void)self, (void)width;
  for (const DocBlock *block = doc->first; block; block = block->next) {
    if (block->kind != DOC_TABLE || doc_is_empty(block)) continue;
    if (out->n_bytes > begin) text_add(out, "\n");
    csv_table(&block->table, out);
  }
}

const DocWriter doc_writer_csv = {.name = "csv", .write = write_csv};

static void push_cell(Json *row, TableKind kind, const char *cell) {
  char *end;
  double low, value, high, number = strtod(cell, &end);
  if (kind == TABLE_DRAWN) {
    Json *interval = json_list();
    if (table_get_drawn(cell, &low, &value, &high))
      json_push_number(interval, low), json_push_number(interval, value),
          json_push_number(interval, high);
    json_push(row, interval);
  } else if (kind == TABLE_NUMBER && *cell && !*end) {
    json_push_number(row, number);
  } else {
    json_push_text(row, cell);
  }
}

static Json *table_json(const Table *table) {
  Json *map = json_map(), *rows = json_list(), *row = NULL, *units = json_list();
  bool any_unit = false;
  for (TableAt at = table_begin(table); at.cell; table_step(table, &at)) {
    const TableColumn *column = &table->columns[at.column];
    if (at.column == 0) row = json_list();
    push_cell(row, at.row ? column->kind : TABLE_TEXT, at.cell);
    if (at.row == 0)
      json_push_text(units, column->unit), any_unit |= column->unit != NULL;
    if (at.last && at.row == 0) json_put(map, "columns", row);
    else if (at.last) json_push(rows, row);
  }
  if (any_unit) json_put(map, "units", units);
  else json_free(units);
  json_put(map, "rows", rows);
  return map;
}

/* The words, without the marks of spans. */
static Json *text_json(const DocBlock *block) {
  static const char *const keys[] = {[DOC_HEADING] = "heading",
                                     [DOC_PARAGRAPH] = "paragraph",
                                     [DOC_ITEM] = "item", [DOC_NOTE] = "note"};
  Json *map = json_map();
  Text words = {0};
  for (const char *at = block->text.data; *at; at++)
    if (*at != *DOC_CODE && *at != *DOC_STRONG && *at != *DOC_END)
      text_add_bytes(&words, at, 1);
  json_put_text(map, keys[block->kind], words.data ? words.data : "");
  text_deinit(&words);
  return map;
}

static void write_json(const DocWriter *self, const Doc *doc, int width, Text *out) {
  Json *list = json_list();
  Fault fault = {0};
  (void)self, (void)width;
  for (const DocBlock *block = doc->first; block; block = block->next)
    if (!doc_is_empty(block))
      json_push(list, block->kind == DOC_TABLE ? table_json(&block->table)
                                               : text_json(block));
  out->failed |= json_write(list, 2, out, &fault) != ERR_OK;
  text_add(out, "\n");
  json_free(list);
}

const DocWriter doc_writer_json = {"json", write_json, .raw = true};
