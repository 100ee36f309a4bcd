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

static void set_bool(Source *source, const char *option, bool value) {
  Fault fault = {0};
  const Option *opt = option_find(source->object.kind, option, &fault);
  must(opt && !give_bool(&source->object, opt, value, &fault));
}

static Source *new_source(const char *kind) {
  Fault fault = {0};
  Source *source = (Source *)object_new(family_find(&dataset_family, kind, &fault),
                                        &fault);
  must(source);
  return source;
}

static Source *csv_source(const uint8_t *options) {
  static const char *const columns[] = {NULL, "1", "-1", "a", "x", "2"};
  static const char *const delimiters[] = {NULL, ";", "\t", " "};
  static const char *const missing[] = {"error", "drop", "mean"};
  static const char *const headers[] = {"auto", "true", "false"};
  Source *source = new_source("csv");
  const char *target = columns[options[0] / 2 % 6], *category = columns[options[1] % 6];
  const char *delimiter = delimiters[options[2] % 4];
  if (target) set(source, "target", target);
  if (category) set(source, "categorical", category);
  if (delimiter) set(source, "delimiter", delimiter);
  set(source, "header", headers[options[3] % 3]);
  set(source, "missing", missing[options[3] / 3 % 3]);
  bool plain = options[3] / 3 % 3 < 2 && !category && options[2] % 4 < 3;
  if (plain && options[1] / 6 % 3 == 1) set(source, "sequence", "2");
  if (plain && options[1] / 6 % 3 == 2) set(source, "inside", " ");
  return source;
}

/* The same of lines, of which a "," may be behind the class. */
static Source *lines_source(const uint8_t *options) {
  Source *source = new_source("lines");
  set(source, "path", "lines.txt");
  if (options[1] % 2) set(source, "delimiter", ",");
  set(source, "predict", options[1] / 2 % 2 ? "each" : "class");
  set(source, "by", options[2] % 2 ? "words" : "characters");
  set_bool(source, "lower", options[2] / 2 % 2);
  set_bool(source, "unknown", options[3] % 2);
  set(source, "padding", options[3] / 2 % 2 ? "left" : "right");
  return source;
}

/* Short windows: a fuzzer's texts are short. */
static Source *text_source(const uint8_t *options) {
  Fault fault = {0};
  Source *source = new_source("text");
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
  const uint8_t *content = bytes + OPTIONS;
  size_t n = n_bytes - OPTIONS;
  if (bytes[0] % 2 == 0) parse(csv_source(bytes), csv_parse, content, n);
  else if (bytes[0] / 2 % 2) parse(lines_source(bytes), lines_parse, content, n);
  else parse(text_source(bytes), text_parse, content, n);
}

FUZZ_CUTS(tables)
