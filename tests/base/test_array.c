/* Arrays that grow: what they hold stays, and what is too large is refused. */
#include "test.h"
#include "base/array.h"

typedef struct Triple {
  int64_t a, b, c;
} Triple;

TEST(items_stay_while_the_room_grows) {
  enum { N = 100000 };
  Triple *v = NULL;
  int64_t room = 0;
  int n_moves = 0;
  for (int64_t i = 0; i < N; i++) {
    int64_t before = room;
    assert_int_equal(ARRAY_ROOM(v, room, i + 1, NULL), ERR_OK);
    assert_true(room > i);
    n_moves += room != before;
    v[i] = (Triple){i, 2 * i, -i};
  }
  assert_true(n_moves <= 17);
  for (int64_t i = 0; i < N; i++)
    assert_true(v[i].a == i && v[i].b == 2 * i && v[i].c == -i);
  free(v);
}

TEST(room_that_is_there_changes_nothing) {
  char *v = NULL;
  int64_t room = 0;
  assert_int_equal(ARRAY_ROOM(v, room, 0, NULL), ERR_OK);
  assert_true(!v && room == 0);
  assert_int_equal(ARRAY_ROOM(v, room, 1000, NULL), ERR_OK);
  assert_int_equal(room, 1000);
  char *before = v;
  assert_int_equal(ARRAY_ROOM(v, room, 1000, NULL), ERR_OK);
  assert_true(v == before && room == 1000);
  assert_int_equal(ARRAY_ROOM(v, room, 1001, NULL), ERR_OK);
  assert_int_equal(room, 2000);
  free(v);
}

TEST(what_no_block_can_hold_is_refused_and_the_array_stays) {
  static const int64_t sizes[] = {INT64_MAX, INT64_MAX / 8, INT64_MAX / 24 + 1};
  Triple *v = NULL;
  int64_t room = 0;
  assert_int_equal(ARRAY_ROOM(v, room, 3, NULL), ERR_OK);
  v[2].c = 7;
  Triple *before = v;
  for (int i = 0; i < 3; i++) {
    Fault fault = {0};
    assert_int_equal(ARRAY_ROOM(v, room, sizes[i], &fault), ERR_MEMORY);
    assert_int_equal(fault.code, ERR_MEMORY);
    assert_non_null(strstr(fault.text, "out of memory"));
    assert_int_equal(ARRAY_ROOM(v, room, sizes[i], NULL), ERR_MEMORY);
    assert_true(v == before && room == 3 && v[2].c == 7);
  }
  free(v);
}
