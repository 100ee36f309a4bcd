/* Documents: one value, and what each writer makes of it. */
#include "doc/doc.h"
#include "base/json.h"
#include "test.h"

static char *written(const Doc *doc, const char *writer, int width) {
  Text out = {0};
  doc_write(doc, doc_writer_find(writer), width, &out);
  assert_false(out.failed);
  return out.data ? out.data : calloc(1, 1);
}

static void check_written(const Doc *doc, const char *writer, const char *want) {
  char *text = written(doc, writer, 60);
  assert_string_equal(text, want);
  free(text);
}

/* A sentence, a list, a table with an interval, and what is empty between. */
static Doc small(void) {
  Doc doc = {0};
  doc_break(&doc);
  doc_say(&doc, DOC_PARAGRAPH,
          "1 of 2 <done>: " DOC_CODE "ls a_b" DOC_END " says 50 %%, " DOC_STRONG
          "more");
  doc_begin(&doc, DOC_ITEM);
  doc_say(&doc, DOC_ITEM, "relu & tanh");
  doc_say(&doc, DOC_ITEM, "p" NO_BREAK "<" NO_BREAK ".001");
  doc_table(&doc);
  doc_break(&doc);
  doc_break(&doc);
  Table *table = doc_table(&doc);
  table_column(table, "act|init", TABLE_TEXT, 0);
  table_column(table, "mean", TABLE_NUMBER, 0);
  table_column(table, "", TABLE_DRAWN, 0);
  table_add(table, "a,\"b\"");
  table_add(table, "1.5");
  table_add_drawn(table, 1, 1.5, 2);
  table_add(table, "c{d}");
  table_add(table, "-");
  table_add_drawn(table, NAN, NAN, NAN);
  doc_say(&doc, DOC_NOTE, "means of two");
  return doc;
}

TEST(each_writer_writes_the_same_document) {
  Doc doc = small();
  check_written(&doc, "text",
                "1 of 2 <done>: `ls a_b` says 50 %, more\n"
                "  relu & tanh\n"
                "  p < .001\n"
                "\n"
                "  act|init  mean  1                                      2\n"
                "  a,\"b\"      1.5  |-------------------o------------------|\n"
                "  c{d}         -\n"
                "  means of two\n");
  check_written(&doc, "csv", "act|init,mean\n\"a,\"\"b\"\"\",1.5\nc{d},-\n");
  check_written(&doc, "latex",
                "1 of 2 \\textless{}done\\textgreater{}: \\texttt{ls a\\_b} says 50 "
                "\\%, "
                "\\textbf{more}\n\n"
                "\\begin{itemize}\n\\item relu \\& tanh\n\\item p~\\textless{}~.001\n"
                "\\end{itemize}\n\n"
                "\\begin{tabular}{lrl}\n\\hline\nact|init & mean &  \\\\\n\\hline\n"
                "a,\"b\" & 1.5 & \\texttt{|-----------o----------|} \\\\\n"
                "c\\{d\\} & - & \\texttt{} \\\\\n\\hline\n\\end{tabular}\n\n"
                "means of two\n");
  check_written(&doc, "md",
                "1 of 2 \\<done>: `ls a_b` says 50 %, **more**\n\n"
                "- relu & tanh\n- p\u00a0\\<\u00a0.001\n\n"
                "| act\\|init | mean |  |\n|---|---:|---|\n"
                "| a,\"b\" | 1.5 | \\|-----------o----------\\| |\n| c{d} | - |  |\n\n"
                "means of two\n");
  check_written(&doc, "html",
                "<p>1 of 2 &lt;done&gt;: <code>ls a_b</code> says 50 %, "
                "<strong>more</strong></p>\n"
                "\n<ul>\n<li>relu &amp; "
                "tanh</li>\n<li>p\u00a0&lt;\u00a0.001</li>\n</ul>\n\n"
                "<table>\n<tr><th>act|init</th><th "
                "style=\"text-align:right\">mean</th><th></th>"
                "</tr>\n<tr><td>a,&quot;b&quot;</td><td "
                "style=\"text-align:right\">1.5</td><td>"
                "<svg width=\"240\" height=\"14\" role=\"img\"><line x1=\"4.0\" "
                "x2=\"236.0\" y1=\"7\" y2=\"7\" stroke=\"currentColor\"/><circle "
                "cx=\"120.0\" cy=\"7\" r=\"3\" "
                "fill=\"currentColor\"/></svg></td></tr>\n<tr><td>c{d}</td>"
                "<td style=\"text-align:right\">-</td><td></td></tr>\n</table>\n\n"
                "<p>means of two</p>\n");
  doc_deinit(&doc);
}

TEST(the_header_shows_units) {
  Doc doc = {0};
  Table *table = doc_table(&doc);
  table_column(table, "a", TABLE_TEXT, 0);
  table_column(table, "mean", TABLE_NUMBER, 0);
  table_unit(table, "%");
  table_add(table, "x");
  table_add(table, "5");
  check_written(&doc, "text", "  a  mean\n        %\n  x     5\n");
  check_written(&doc, "csv", "a,mean (%)\nx,5\n");
  check_written(&doc, "md", "| a | mean (%) |\n|---|---:|\n| x | 5 |\n");
  check_written(&doc, "html",
                "<table>\n<tr><th>a</th><th style=\"text-align:right\">mean (%)</th>"
                "</tr>\n<tr><td>x</td><td "
                "style=\"text-align:right\">5</td></tr>\n</table>\n");
  check_written(&doc, "latex",
                "\\begin{tabular}{lr}\n\\hline\na & mean (\\%) \\\\\n\\hline\n"
                "x & 5 \\\\\n\\hline\n\\end{tabular}\n");
  char *text = written(&doc, "json", 60);
  assert_non_null(strstr(text, "\"units\": [null, \"%\"]"));
  free(text);
  doc_deinit(&doc);
}

/* Ends of a scale tell apart a tenth of its length, whatever the size. */
TEST(scales_have_the_decimals_that_they_need) {
  static const struct { double low, high; const char *want; } cases[] = {
      {10, 81.07, "10 81"}, {0.0377, 0.4803, "0.04 0.48"},
      {77.22, 77.56, "77.22 77.56"},
      {1463965, 2749458, "1463965 2749458"}, {1e9, 3e9, "1e+09 3e+09"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Doc doc = {0};
    char low[32], high[32], title[64];
    Table *table = doc_table(&doc);
    table_column(table, "", TABLE_DRAWN, 0);
    table_add_drawn(table, cases[i].low, cases[i].low, cases[i].low);
    table_add_drawn(table, cases[i].high, cases[i].high, cases[i].high);
    char *text = written(&doc, "text", 20);
    assert_int_equal(sscanf(text, "%31s %31s", low, high), 2);
    snprintf(title, sizeof title, "%s %s", low, high);
    assert_string_equal(title, cases[i].want);
    free(text);
    doc_deinit(&doc);
  }
}

TEST(json_holds_numbers_and_words_without_marks) {
  Doc doc = small();
  char *text = written(&doc, "json", 60);
  Fault fault = {0};
  Json *json = json_parse(text, strlen(text), &fault);
  assert_non_null(json);
  assert_int_equal(json_count(json), 5);
  assert_string_equal(json_text(json_item(json, 0), "paragraph"),
                      "1 of 2 <done>: ls a_b says 50 %, more");
  const Json *rows = json_find(json_item(json, 3), "rows"), *first = json_item(rows, 0);
  double number = 0;
  assert_true(json_get_number(json_item(first, 1), &number) && number == 1.5);
  assert_int_equal(json_count(json_item(first, 2)), 3);
  assert_int_equal(json_count(json_item(json_item(rows, 1), 2)), 0);
  assert_int_equal(json_kind(json_item(json_item(rows, 1), 1)), JSON_KIND_TEXT);
  json_free(json);
  free(text);
  doc_deinit(&doc);
}

TEST(an_empty_document_is_nothing) {
  static const char *const writers[] = {"text", "md", "html", "latex", "csv"};
  Doc doc = {0};
  doc_break(&doc);
  doc_begin(&doc, DOC_PARAGRAPH);
  for (int i = 0; i < 5; i++) check_written(&doc, writers[i], "");
  check_written(&doc, "json", "[]\n");
  assert_null(doc_writer_find("txt"));
  for (const DocWriter *const *w = doc_writers; *w; w++)
    assert_non_null(strstr(DOC_FORMATS, (*w)->name));
  doc_deinit(&doc);
}

TEST(a_text_of_marks_alone_is_an_empty_line) {
  Doc doc = {0};
  doc_say(&doc, DOC_PARAGRAPH, "%s", DOC_STRONG DOC_END);
  check_written(&doc, "text", "\n");
  check_written(&doc, "md", "****\n");
  check_written(&doc, "json", "[\n  {\n    \"paragraph\": \"\"\n  }]\n");
  doc_deinit(&doc);
}

/* Whatever a name holds, no terminal and no page does anything by it. */
TEST(control_characters_of_a_text_do_no_harm) {
  Doc doc = {0};
  doc_say(&doc, DOC_PARAGRAPH, "a\003b\001c\001d\033[2Je</p>");
  Table *table = doc_table(&doc);
  table_column(table, "\033]0;x\007", TABLE_TEXT, 0);
  table_add(table, "<script>");
  check_written(&doc, "text", "ab`c`d?[2Je</p>\n  ?]0;x?\n  <script>\n");
  check_written(&doc, "html",
                "<p>ab<code>c</code><code>d?[2Je&lt;/p&gt;</code></p>\n\n<table>\n"
                "<tr><th>?]0;x?</th></tr>\n<tr><td>&lt;script&gt;</td></tr>\n</"
                "table>\n");
  check_written(&doc, "md",
                "ab`c``d?\\[2Je\\</p>`\n\n| ?]0;x? |\n|---|\n| \\<script> |\n");
  check_written(&doc, "latex",
                "ab\\texttt{c}\\texttt{d?{[}2Je\\textless{}/p\\textgreater{}}\n\n"
                "\\begin{tabular}{l}\n\\hline\n?]0;x? \\\\\n\\hline\n"
                "\\textless{}script\\textgreater{} \\\\\n\\hline\n"
                "\\end{tabular}\n");
  doc_deinit(&doc);
}

/* Neither a header nor a cell ends a row or begins a span or a tag in Markdown.
 */
TEST(a_cell_of_markdown_is_one_cell_of_plain_words) {
  Doc doc = {0};
  Table *table = doc_table(&doc);
  table_column(table, "a|b_*c*", TABLE_TEXT, 0);
  table_unit(table, "%|");
  table_add(table, "x|y\\|<b>[1]`z`\n");
  check_written(&doc, "md",
                "| a\\|b_\\*c\\* (%\\|) |\n|---|\n"
                "| x\\|y\\\\\\|\\<b>[1]\\`z\\`  |\n");
  doc_deinit(&doc);
}

/* "[3,3]" that begins a row would be read as the length of the line end before it. */
TEST(a_row_of_latex_may_begin_with_a_bracket) {
  Doc doc = {0};
  Table *table = doc_table(&doc);
  table_column(table, "kernel", TABLE_TEXT, 0);
  table_add(table, "[3,3]");
  check_written(&doc, "latex",
                "\\begin{tabular}{l}\n\\hline\nkernel \\\\\n\\hline\n"
                "{[}3,3] \\\\\n\\hline\n\\end{tabular}\n");
  doc_deinit(&doc);
}

/* -- drawn intervals --------------------------------------------------------------- */

static void check_drawn(TableScale scale, double low, double value, double high,
                        const char *want) {
  Table table = {0};
  Text out = {0};
  table_add_drawn(&table, low, value, high);
  table_draw(scale, table.cells.data, 11, &out);
  assert_string_equal(out.data ? out.data : "", want);
  text_deinit(&out);
  table_deinit(&table);
}

TEST(intervals_are_drawn_on_their_scale) {
  const TableScale scale = {0, 100};
  check_drawn(scale, 20, 50, 80, "  |--o--|  ");
  check_drawn(scale, 0, 0, 100, "o---------|");
  check_drawn(scale, -50, 50, 150, "<----o---->");
  check_drawn(scale, NAN, 30, NAN, "   o       ");
  check_drawn(scale, NAN, NAN, NAN, "");
  check_drawn((TableScale){5, 5}, 5, 5, 5, "     o     ");
  check_drawn(scale, 1, INFINITY, 2, "");
}

/* One interval that is far wider than the values lie apart makes no dot of the
 * others. */
TEST(the_scale_is_that_of_the_values) {
  Table table = {0};
  table_column(&table, "", TABLE_DRAWN, 0);
  table_add_drawn(&table, -1000, 1, 1000);
  table_add_drawn(&table, 2.5, 3, 3.5);
  TableScale scale = table_scale(&table, 0);
  CHECK_NEAR(scale.low, -1, 0);
  CHECK_NEAR(scale.high, 5, 0);
  table_deinit(&table);
}

/* They get the room that is left, and go where there is none. */
TEST(intervals_take_what_room_there_is) {
  Doc doc = small();
  for (int width = 16; width < 100; width++) {
    char *text = written(&doc, "text", width);
    bool drawn = strstr(text, "--o--") != NULL;
    assert_int_equal(drawn, width - 2 >= 14 + 2 + 16);
    for (const char *line = strstr(text, "  act|init"); line && *line;
         line += strcspn(line, "\n") + 1)
      assert_true(strcspn(line, "\n") <= (size_t)width);
    free(text);
  }
  doc_deinit(&doc);
}
