/* Attributes as words of a node: lists there and back, what fits a record, and how they
 * are printed. */
#include "graph/attr.h"
#include "test.h"

TEST(shapes_come_back_whatever_their_rank) {
  for (int rank = 0; rank <= MAX_RANK; rank++) {
    Shape in = {.rank = rank};
    for (int a = 0; a < rank; a++) in.dim[a] = a == 1 ? 0 : INT64_MAX - a;
    Attr words[SHAPE_ROOM];
    assert_int_equal(shape_to_attr(words, &in), 1 + rank);
    Shape out = shape_from_attr(words);
    assert_true(shape_equal(&in, &out));
    assert_int_equal(attr_length(ATTR_SHAPE, words), 1 + rank);
    assert_ptr_equal(attr_behind(words), words + 1 + rank);
  }
}

TEST(axes_come_back) {
  Attr words[AXES_ROOM];
  for (unsigned axes = 0; axes < 1u << MAX_RANK; axes++) {
    int n = axes_to_attr(words, axes, MAX_RANK);
    assert_int_equal(n, 1 + __builtin_popcount(axes));
    for (int k = 2; k < n; k++) assert_true(words[k - 1].i < words[k].i);
    assert_int_equal(attr_axes(words), axes);
  }
}

/* All bits are all axes, of which there may be none. */
TEST(all_axes_are_those_that_there_are) {
  Attr words[AXES_ROOM];
  for (int rank = 0; rank <= MAX_RANK; rank++) {
    assert_int_equal(axes_to_attr(words, ~0u, rank), 1 + rank);
    assert_int_equal(attr_axes(words), (1u << rank) - 1);
  }
}

static const OpAttr record[] = {{.name = "n", .kind = ATTR_INT},
                                {.name = "pads", .kind = ATTR_PADS},
                                {.name = "exact", .kind = ATTR_BOOL},
                                {0}};

TEST(words_fit_a_record_exactly_or_not) {
  Attr words[] = {{.i = 7}, {.i = 4}, {.i = 0}, {.i = 1},
                  {.i = 2}, {.i = 3}, {.i = 1}, {.i = 0}};
  assert_true(attr_fit(record, words, 7));
  for (int n = 0; n <= 8; n++)
    if (n != 7) assert_false(attr_fit(record, words, n));
  static const int64_t counts[] = {-1, 3, 5, 6, INT32_MAX, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    words[1].i = counts[i];
    assert_false(attr_fit(record, words, 7));
  }
  assert_true(attr_fit(record + 3, words, 0));
  assert_false(attr_fit(record + 3, words, 1));
}

TEST(they_are_printed_as_lua_has_them) {
  static const OpAttr shown[] = {{.name = "axis", .kind = ATTR_AXIS},
                                 {.name = "key", .kind = ATTR_STREAM},
                                 {.name = "rate", .kind = ATTR_REAL},
                                 {.name = "ranges", .kind = ATTR_RANGES},
                                 {.name = "axes", .kind = ATTR_AXES},
                                 {0}};
  /* axis 2, a stream, a rate, three from 4 down and none from 1, no axes */
  Attr words[] = {{.i = 1}, {.i = 9}, {.i = 9},  {.f = 0.5}, {.i = 6}, {.i = 3},
                  {.i = 3}, {.i = -1}, {.i = 0}, {.i = 0},   {.i = 1}, {.i = 0}};
  assert_true(attr_fit(shown, words, 12));
  Text text = {0};
  attr_print_all(&text, shown, words, true);
  assert_string_equal(text.data,
                      "axis = 2, rate = 0.5, ranges = {{4, 2, -1}, {1, 0}}, axes = {}");
  text_deinit(&text);
}

TEST(what_is_allowed_is_said) {
  char buffer[128];
  OpAttr whole = {.name = "n", .kind = ATTR_INT, .lo = 1, .hi = 5};
  OpAttr any = {.name = "x", .kind = ATTR_REAL};
  OpAttr two = {.name = "size", .kind = ATTR_INTS, .n_least = 2, .n_most = 2, .hi = 9};
  OpAttr few = {.name = "size", .kind = ATTR_INTS, .n_least = 2, .n_most = 4};
  assert_string_equal(attr_allowed(&whole, buffer, sizeof buffer),
                      "a whole number from 1 to 5");
  assert_string_equal(attr_allowed(&any, buffer, sizeof buffer), "a number");
  assert_string_equal(attr_allowed(&two, buffer, sizeof buffer),
                      "2 whole numbers or one for all from 0 to 9");
  assert_string_equal(attr_allowed(&few, buffer, sizeof buffer),
                      "a list of 2 to 4 whole numbers");
  assert_string_equal(attr_allowed(&few, buffer, 7), "a list"); /* cut */
}
