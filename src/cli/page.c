/* page.c: what commands print; see page.h. */
#include "cli/page.h"
#include "base/out.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void page_add_value(Text *text, const Json *value, int digits) {
  Fault ignored = {0};
  const char *given;
  double number;
  if (json_get_text(value, &given)) text_add(text, given);
  else if (digits > 0 && json_kind(value) == JSON_KIND_NUMBER &&
           json_get_number(value, &number))
    text_addf(text, "%.*g", digits, number);
  else (void)!json_write(value, 0, text, &ignored);
}

void page_add_cell(Table *table, const Json *value, int digits) {
  if (value) page_add_value(table_cell(table), value, digits);
  table_cell_end(table);
}

void page_add_first_line(Table *table, const char *message) {
  text_add_bytes(table_cell(table), message, strcspn(message, "\n"));
  table_cell_end(table);
}

static void tell_left_out(const Text *titles) {
  Text line = {0}, wrapped = {0};
  text_addf(&line,
            "left out for lack of room: %s (more with a wider terminal, or --json)",
            titles->data);
  if (!line.failed) text_add_wrapped(&wrapped, line.data, 0, 2, out_columns());
  if (!wrapped.failed) err_print("%s", wrapped.data);
  text_deinit(&line);
  text_deinit(&wrapped);
}

Err page_print(const char *format, Doc *doc, Fault *fault) {
  const DocWriter *writer = NULL;
  if (!format || !doc_writer_named(format, &writer, fault))
    return doc_print(doc, writer, fault);
  doc_deinit(doc);
  return fault->code;
}

Err page_print_records(const char *format, Doc *doc, Fault *fault) {
  Text left_out = {0};
  if (!format) doc_left_out(doc, out_table_columns(), &left_out);
  Err err = page_print(format, doc, fault);
  if (!err && left_out.n_bytes && !left_out.failed) tell_left_out(&left_out);
  text_deinit(&left_out);
  return err;
}

void page_print_wrapped(int used, int indent, const char *format, ...) {
  char *words = NULL;
  Text text = {0};
  va_list args;
  va_start(args, format);
  int n = vasprintf(&words, format, args);
  va_end(args);
  if (n < 0) return;
  text_add_wrapped(&text, words, used, indent, out_columns());
  if (!text.failed) out_say("%s", text.data);
  text_deinit(&text);
  free(words);
}

void page_print_entry(const char *name, const char *value, int column,
                      const char *doc) {
  Text left = {0};
  text_addf(&left, "%s%s%s", name, value ? " " : "", value ? value : "");
  if (!left.failed) out_print("  %-*s ", column - 3, left.data);
  if (!left.failed) page_print_wrapped(column, column, "%s", doc);
  text_deinit(&left);
}

Err page_print_text(Text *text, Fault *fault) {
  Err err = text->failed ? fault_memory(fault, text->n_bytes) : ERR_OK;
  if (!err && text->n_bytes) out_data(text->data, text->n_bytes);
  text_deinit(text);
  return err;
}
