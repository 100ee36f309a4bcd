/* Tables of text: widths, what gives way when there is no room, what is never
 * printed. */
#include "doc/table.h"
#include "test.h"

static void check_table(const Table *table, int width, const char *want) {
  Text out = {0};
  table_write(table, width, 2, &out);
  assert_false(out.failed);
  assert_string_equal(out.data ? out.data : "", want);
  text_deinit(&out);
}

static Table two_rows(void) {
  Table table = {0};
  table_column(&table, "init", TABLE_TEXT, 0);
  table_column(&table, "mean", TABLE_NUMBER, 0);
  table_column(&table, "sd", TABLE_NUMBER, 1);
  table_column(&table, "note", TABLE_TEXT, 0);
  table_add(&table, "glorot_uniform");
  table_addf(&table, "%.2f", 88.5);
  table_addf(&table, "%.1f", 0.5);
  table_add(&table, "");
  table_add(&table, "h\xC3\xA9");
  table_addf(&table, "%.2f", 9.25);
  table_addf(&table, "%.1f", 10.5);
  table_add(&table, "");
  return table;
}

TEST(columns_are_aligned_and_empty_ones_left_out) {
  Table table = two_rows();
  check_table(&table, 80,
              "  init             mean    sd\n"
              "  glorot_uniform  88.50   0.5\n"
              "  h\xC3\xA9               9.25  10.5\n");
  table_deinit(&table);
}

TEST(ranks_give_way_then_names_are_wrapped) {
  Table table = two_rows();
  check_table(&table, 28,
              "  init             mean\n"
              "  glorot_uniform  88.50\n"
              "  h\xC3\xA9               9.25\n");
  check_table(&table, 16,
              "  init      mean\n"
              "  glorot_  88.50\n"
              "  uniform\n"
              "  h\xC3\xA9        9.25\n");
  check_table(&table, 1,
              "  init     mean\n"
              "  glorot  88.50\n"
              "  _unifo\n"
              "  rm\n"
              "  h\xC3\xA9       9.25\n");
  assert_true(table_fits(&table, 15, 2));
  assert_false(table_fits(&table, 14, 2));
  table_deinit(&table);
}

TEST(names_are_wrapped_at_blanks_before_words_are_cut) {
  Table table = {0};
  table_column(&table, "contrast", TABLE_TEXT, 0);
  table_column(&table, "p", TABLE_NUMBER, 0);
  table_column(&table, "the verdict", TABLE_TEXT, 0);
  table_add(&table, "relu, dropout=0.5 - baseline");
  table_add(&table, ".012");
  table_add(&table, "worse");
  table_add(&table, "  diverged as worst");
  table_add(&table, "1");
  table_add(&table, "undecided, 7/8 seeds");
  check_table(&table, 40,
              "  contrast            p  the verdict\n"
              "  relu,            .012  worse\n"
              "  dropout=0.5 -\n"
              "  baseline\n"
              "    diverged as       1  undecided, 7/8\n"
              "  worst                  seeds\n");
  check_table(&table, 31,
              "  contrast        p  the\n"
              "                     verdict\n"
              "  relu,        .012  worse\n"
              "  dropout=0.5\n"
              "  - baseline\n"
              "    diverged      1  undecided,\n"
              "  as worst           7/8 seeds\n");
  table_deinit(&table);
}

#define EURO "\xE2\x82\xAC"

/* A column is never cut inside a letter of several bytes. */
TEST(letters_of_several_bytes_are_not_broken) {
  Table table = {0};
  table_column(&table, "a", TABLE_TEXT, 0);
  table_add(&table, EURO EURO EURO EURO EURO EURO "\xC3\xA9");
  check_table(&table, 8,
              "  a\n"
              "  " EURO EURO EURO EURO EURO EURO "\n"
              "  \xC3\xA9\n");
  table_deinit(&table);
}

/* Two columns each; a mark that joins the letter before takes none. */
TEST(wide_characters_keep_columns_aligned) {
  Table table = {0};
  table_column(&table, "a", TABLE_TEXT, 0);
  table_column(&table, "b", TABLE_NUMBER, 0);
  table_add(&table, "\u5c0f\u5927");
  table_add(&table, "1");
  table_add(&table, "e\u0301");
  table_add(&table, "2");
  check_table(&table, 80,
              "  a     b\n"
              "  \u5c0f\u5927  1\n"
              "  e\u0301     2\n");
  table_deinit(&table);
}

TEST(a_wide_column_does_not_cost_those_behind_it) {
  Table table = {0};
  table_column(&table, "a", TABLE_TEXT, 0);
  table_column(&table, "wide", TABLE_TEXT, 1);
  table_column(&table, "b", TABLE_TEXT, 2);
  table_add(&table, "x");
  table_add(&table, "a long remark that has no room");
  table_add(&table, "y");
  check_table(&table, 20, "  a  b\n  x  y\n");
  table_deinit(&table);
}

static void check_left_out(const Table *table, int width, const char *want) {
  Text out = {0};
  table_left_out(table, width, 2, &out);
  assert_string_equal(out.data ? out.data : "", want);
  text_deinit(&out);
}

TEST(what_names_a_row_goes_last) {
  Table table = {0};
  table_column(&table, "id", TABLE_TEXT, TABLE_FIRST);
  table_column(&table, "purpose", TABLE_TEXT, 1);
  table_column(&table, "init", TABLE_TEXT, TABLE_FIRST);
  table_column(&table, "norm", TABLE_TEXT, TABLE_FIRST);
  table_column(&table, "loss", TABLE_NUMBER, 0);
  table_column(&table, "score", TABLE_NUMBER, 1);
  table_column(&table, "none", TABLE_NUMBER, 1);
  table_column(&table, "why", TABLE_TEXT, TABLE_BELOW);
  table_add(&table, "e47753f5-s1");
  table_add(&table, "tuning");
  table_add(&table, "glorot_uniform");
  table_add(&table, "batch norm");
  table_add(&table, "0.125");
  table_add(&table, "0.5");
  table_add(&table, "");
  table_add(&table, "no luck ");
  check_table(&table, 76,
              "  id           purpose  init            norm         loss  score  why\n"
              "  e47753f5-s1  tuning   glorot_uniform  batch norm  0.125    0.5  no "
              "luck\n");
  check_left_out(&table, 76, "");
  check_table(&table, 60,
              "  id           purpose  init            norm     loss  score\n"
              "  e47753f5-s1  tuning   glorot_uniform  batch   0.125    0.5\n"
              "                                        norm\n"
              "      no luck\n");
  check_left_out(&table, 60, "");
  check_table(&table, 53,
              "  id           purpose  init            norm     loss\n"
              "  e47753f5-s1  tuning   glorot_uniform  batch   0.125\n"
              "                                        norm\n"
              "      no luck\n");
  check_left_out(&table, 53, "score");
  check_table(&table, 28,
              "  id        init      norm\n"
              "  e47753f5  glorot_u  batch\n"
              "  -s1       niform    norm\n"
              "      no luck\n");
  check_left_out(&table, 28, "purpose, loss, score");
  check_table(&table, 20,
              "  id        init\n"
              "  e47753f5  glorot_u\n"
              "  -s1       niform\n"
              "      no luck\n");
  check_left_out(&table, 20, "purpose, norm, loss, score");
  table_deinit(&table);
}

/* Right-aligned columns break at blanks before words are cut, and never within a
 * number. */
TEST(numbers_go_on_below_before_words_are_cut) {
  Table table = {0};
  table_column(&table, "contrast", TABLE_TEXT, 0);
  table_column(&table, "difference", TABLE_NUMBER, 0);
  table_column(&table, "95 % interval", TABLE_NUMBER, 0);
  table_add(&table, "undecided");
  table_add(&table, "-19.59");
  table_add(&table, "-20.01 to -19.16");
  for (int width = 9 + 2 + 6 + 2 + 6 - 3; width < 60; width++) { /* 3: of "undecided" */
    Text out = {0};
    table_write(&table, width, 0, &out);
    text_add_bytes(&out, "", 1);
    for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1)
      assert_true(strcspn(line, "\n") <= (size_t)width);
    assert_non_null(strstr(out.data, "-19.59"));
    assert_non_null(strstr(out.data, "-20.01"));
    assert_non_null(strstr(out.data, "-19.16"));
    assert_int_equal(strstr(out.data, "undecided") != NULL,
                     width >= 9 + 2 + 10 + 2 + 8);
    assert_int_equal(table_fits(&table, width, 0), width >= 6 + 2 + 10 + 2 + 16);
    text_deinit(&out);
  }
  table_deinit(&table);
}

/* Below the titles; one of a column that is left out is not shown. */
TEST(units_have_a_line_of_their_own) {
  Table table = {0};
  table_column(&table, "init", TABLE_TEXT, 0);
  table_column(&table, "gap", TABLE_NUMBER, 0);
  table_unit(&table, "points");
  table_column(&table, "sd", TABLE_NUMBER, 1);
  table_unit(&table, "%");
  table_column(&table, "n", TABLE_NUMBER, 0);
  table_unit(&table, "");
  for (int i = 0; i < 2; i++) {
    table_add(&table, "he");
    table_add(&table, "1.25");
    table_add(&table, "0.5");
    table_add(&table, "4");
  }
  check_table(&table, 80,
              "  init     gap   sd  n\n"
              "        points    %\n"
              "  he      1.25  0.5  4\n"
              "  he      1.25  0.5  4\n");
  check_table(&table, 17,
              "  init     gap  n\n"
              "        points\n"
              "  he      1.25  4\n"
              "  he      1.25  4\n");
  table_deinit(&table);
}

TEST(a_table_without_rows_is_nothing) {
  Table table = {0};
  table_column(&table, "init", TABLE_TEXT, 0);
  check_table(&table, 80, "");
  table_deinit(&table);
}
