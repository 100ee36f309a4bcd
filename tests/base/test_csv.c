/* The grammar of comma-separated text: fields, quotes, line ends, numbers, and back. */
#include "base/csv.h"
#include "tempdir.h"
#include "test.h"

static Fault fault;

static CsvCursor at(const char *text, char delimiter) {
  fault = (Fault){0};
  return (CsvCursor){text, text + strlen(text), delimiter, 1};
}

/* The fields of a row as "a|b|c". */
static const char *row(CsvCursor *cursor) {
  static char out[256];
  size_t n = 0;
  for (CsvField f = {0}; !f.last;) {
    char field[64];
    assert_int_equal(csv_next(cursor, &f, &fault), ERR_OK);
    n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", n ? "|" : "",
                          csv_copy(&f, field, sizeof field));
  }
  return out;
}

TEST(rows_end_at_each_kind_of_line_end_and_blank_lines_are_none) {
  CsvCursor c = at("a,b\n\n1,2\r\n \t \n3,4\r5,6", ',');
  static const char *const want[] = {"a|b", "1|2", "3|4", "5|6"};
  static const int lines[] = {1, 3, 5, 6};
  for (int i = 0; i < 4; i++) {
    assert_true(csv_more(&c));
    assert_int_equal(c.line, lines[i]);
    assert_string_equal(row(&c), want[i]);
  }
  assert_false(csv_more(&c));
}

TEST(blanks_around_a_field_count_only_in_quotes) {
  CsvCursor c = at(" a b ,\" c \" ,\t,\n", ',');
  assert_string_equal(row(&c), "a b| c ||");
  c = at("a\t b\t\n", '\t');
  assert_string_equal(row(&c), "a|b|");
  c = at("1,5;2", ';');
  assert_string_equal(row(&c), "1,5|2");
}

TEST(quotes_hold_separators_line_ends_and_quotes) {
  CsvCursor c = at("\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\"\"\nend\n", ',');
  assert_string_equal(row(&c), "a,b|say \"no\"|two\nlines|");
  assert_int_equal(c.line, 3);
  assert_string_equal(row(&c), "end");
}

TEST(a_quote_that_is_not_closed_or_not_the_end_is_refused_with_its_line) {
  CsvField f;
  CsvCursor c = at("\n\"open\n", ',');
  assert_true(csv_more(&c));
  assert_int_equal(csv_next(&c, &f, &fault), ERR_DATA);
  assert_string_equal(fault.text, "line 2: a quote is opened and never closed");
  c = at("\"a\"b\n", ',');
  assert_int_equal(csv_next(&c, &f, &fault), ERR_DATA);
  assert_string_equal(fault.text, "line 1: text behind a closing quote");
}

static CsvField field(const char *text) {
  CsvCursor c = at(text, ',');
  CsvField f;
  assert_int_equal(csv_next(&c, &f, &fault), ERR_OK);
  return f;
}

TEST(numbers_are_decimal_and_whole_fields) {
  static const struct { const char *text; double value; } numbers[] = {
      {"5", 5}, {"-0.25", -0.25}, {"1e-3", 1e-3}, {"+7.", 7}, {".5E2", 50}};
  static const char *const none[] = {"",   "nan", "inf",   "0x1p3", "1 2",
                                     "1e", "-",   "1.2.3", "5a"};
  double value;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    CsvField f = field(numbers[i].text);
    assert_true(csv_number(&f, &value) && value == numbers[i].value);
  }
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    CsvField f = field(none[i]);
    if (csv_number(&f, &value)) fail_msg("\"%s\" is a number", none[i]);
  }
}

TEST(fields_compare_by_the_text_that_they_mean) {
  CsvField quoted = field("\"a\"\"b\""), plain = field("a\"b"), longer = field("a\"bc");
  assert_int_equal(csv_compare(&quoted, &plain), 0);
  assert_true(csv_compare(&plain, &longer) < 0 && csv_compare(&longer, &quoted) > 0);
  char cut[3];
  assert_string_equal(csv_copy(&quoted, cut, sizeof cut), "a\"");
}

TEST(what_is_written_is_read_back) {
  static const char *const texts[] = {"plain",      "a,b",      "say \"no\"",
                                      "two\nlines", "cr\rhere", ""};
  enum { N = sizeof texts / sizeof *texts };
  Text line = {0};
  for (int i = 0; i < N; i++) {
    if (i) text_add(&line, ",");
    csv_add_field(&line, texts[i]);
  }
  CsvCursor c = at(line.data, ',');
  for (int i = 0; i < N; i++) {
    char got[32];
    CsvField f;
    assert_int_equal(csv_next(&c, &f, &fault), ERR_OK);
    assert_string_equal(csv_copy(&f, got, sizeof got), texts[i]);
    assert_true(f.last == (i == N - 1));
  }
  text_deinit(&line);
}

/* What a process wrote last before it died is no row. */
TEST(a_table_ends_before_a_torn_row) {
  static const char text[] = "step,\"a,b\"\n1,\"x\"\"y\"\n2,z\n3";
  CsvTable csv;
  fault = (Fault){0};
  const char *path = temp_file("table.csv", text, sizeof text - 1);
  assert_int_equal(csv_read(&csv, path, &fault), ERR_OK);
  assert_int_equal(csv.n_columns, 2);
  assert_int_equal(csv.n_rows, 2);
  assert_string_equal(csv_column(&csv, 1), "a,b");
  assert_string_equal(csv_cell(&csv, 0, 1), "x\"y");
  assert_string_equal(csv_cell(&csv, 1, 0), "2");
  csv_deinit(&csv);
  assert_int_equal(csv_read(&csv, temp_path("none.csv"), &fault), ERR_STORAGE);
}
