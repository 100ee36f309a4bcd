/* columns.c: which facts and fields of trials a table shows; see columns.h. */
#include "cli/columns.h"
#include "base/array.h"
#include "cli/page.h"
#include "lab/query.h"
#include <stdlib.h>
#include <string.h>

void columns_deinit(Columns *columns) {
  for (int i = 0; i < columns->n; i++) {
    free(columns->v[i].key);
    free(columns->v[i].title);
  }
  free(columns->v);
  *columns = (Columns){0};
}

Column *columns_find(const Columns *columns, const char *kind, const char *key) {
  for (int i = 0; i < columns->n; i++) {
    Column *column = &columns->v[i];
    bool same = kind && column->kind ? strcmp(kind, column->kind) == 0
                                     : kind == column->kind;
    if (same && strcmp(column->key, key) == 0) return column;
  }
  return NULL;
}

Err columns_add(Columns *columns, const char *kind, const char *key, Fault *fault) {
  bool shared = kind && query_is_fact(key);
  if (columns_find(columns, kind, key)) return ERR_OK;
  for (int i = 0; kind && i < columns->n; i++)
    shared |= strcmp(columns->v[i].key, key) == 0;
  if (ARRAY_ROOM(columns->v, columns->room, columns->n + 1, fault)) return fault->code;
  Text title = {0};
  text_addf(&title, "%s%s%s", shared ? kind : "", shared ? "." : "", key);
  Column *column = &columns->v[columns->n++];
  *column = (Column){.kind = kind, .key = text_copy(key), .title = title.data};
  return column->key && !title.failed ? ERR_OK : fault_memory(fault, strlen(key));
}

const Json *column_value(const Column *column, const Json *row) {
  return json_find(column->kind ? json_find(row, column->kind) : row, column->key);
}

static bool is_equal(const Json *a, const Json *b) {
  Text left = {0}, right = {0};
  if (a) page_add_value(&left, a, 0);
  if (b) page_add_value(&right, b, 0);
  bool equal = !a == !b &&
               strcmp(left.data ? left.data : "", right.data ? right.data : "") == 0;
  text_deinit(&left);
  text_deinit(&right);
  return equal;
}

static bool varies(const Json *rows, const Column *column) {
  for (int64_t r = 1; r < json_count(rows); r++)
    if (!is_equal(column_value(column, json_item(rows, 0)),
                  column_value(column, json_item(rows, r))))
      return true;
  return false;
}

Err columns_add_settings(Columns *columns, const Json *rows, const Json *names,
                         Fault *fault) {
  Err err = ERR_OK;
  for (int64_t i = 0; !err && i < json_count(names); i++) {
    const Json *name = json_item(names, i);
    Column column = {.kind = json_text(name, "kind"),
                     .key = (char *)json_text(name, "key")};
    if (strcmp(column.kind, "factors") == 0 ||
        (strcmp(column.kind, "args") == 0 && varies(rows, &column)))
      err = columns_add(columns, column.kind, column.key, fault);
  }
  return err;
}
