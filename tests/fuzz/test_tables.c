/* The readers of comma-separated tables and of plain text take any bytes. The first
 * four say which reader, and with which options: targets, categories, separator,
 * header, what becomes of missing values. */
#include "options.h"
#include "fuzz/fuzz.h"
#include "data/sources.h"

enum { OPTIONS = 4 };

static void set(Source *source, const char *option, const char *value) {
  Fault fault = {0};
  const Option *opt = option_find(source->object.kind, option, &fault);
  char *end = NULL;
  double place = strtod(value, &end);
  bool number = opt && opt->kind == OPT_TEXTS && !*end;
  must(opt && !(number ? give_number(&source->object, opt, place, &fault)
                       : option_set_text(&source->object, opt, value, &fault)));
}

static Source *csv_source(const uint8_t *options) {
  static const char *const columns[] = {NULL, "1", "-1", "a", "x", "2"};
  static const char *const delimiters[] = {NULL, ";", "\t", " "};
  static const char *const missing[] = {"error", "drop", "mean"};
  static const char *const headers[] = {"auto", "true", "false"};
  Fault fault = {0};
  Source *source = (Source *)object_new(family_find(&dataset_family, "csv", &fault),
                                        &fault);
  must(source);
  const char *target = columns[options[0] / 2 % 6], *category = columns[options[1] % 6];
  const char *delimiter = delimiters[options[2] % 4];
  if (target) set(source, "target", target);
  if (category) set(source, "categorical", category);
  if (delimiter) set(source, "delimiter", delimiter);
  set(source, "header", headers[options[3] % 3]);
  set(source, "missing", missing[options[3] / 3 % 3]);
  return source;
}

/* Short windows: a fuzzer's texts are short. */
static Source *text_source(const uint8_t *options) {
  Fault fault = {0};
  Source *source = (Source *)object_new(family_find(&dataset_family, "text", &fault),
                                        &fault);
  must(source);
  const Option *length = option_find(source->object.kind, "length", &fault);
  must(!give_number(&source->object, length, 1 + options[1] % 8, &fault));
  set(source, "predict", options[2] % 2 ? "next" : "each");
  return source;
}

static void parse(Source *source, ParseRows *parse_rows, const uint8_t *bytes,
                  size_t n) {
  Fault fault = {0};
  MemoryCount count = {0};
  Rows rows = {.scale = 1};
  Input in;
  source->memory = &count;
  input_memory(&in, bytes, n);
  Err err = parse_rows(source, &in, &rows, &fault);
  must(err == fault.code && (err || rows.x));
  rows_deinit(&rows);
  input_close(&in);
  must(count.now_bytes == 0);
  object_release(source);
}

FUZZ(tables) {
  if (n_bytes < OPTIONS) return;
  bool text = bytes[0] % 2;
  parse(text ? text_source(bytes) : csv_source(bytes), text ? text_parse : csv_parse,
        bytes + OPTIONS, n_bytes - OPTIONS);
}

FUZZ_CUTS(tables)
