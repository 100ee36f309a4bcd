/* test_session.c: labels and streams of a session, of many names. */
#include "graph/graph.h"
#include "test.h"

enum { N_NAMES = 3000 };

static void name_of(char name[32], int i) { snprintf(name, 32, "dense_%d", i); }

TEST(a_label_is_one_copy_however_many_there_are) {
  Graph g;
  char name[32];
  static const char *label[N_NAMES];
  assert_int_equal(graph_open(&g, 1, 1, &(Fault){0}), ERR_OK);
  for (int i = 0; i < N_NAMES; i++) {
    name_of(name, i);
    label[i] = graph_intern(&g, name);
    assert_string_equal(label[i], name);
    assert_ptr_not_equal(label[i], name);
  }
  for (int i = 0; i < N_NAMES; i++) {
    name_of(name, i);
    assert_ptr_equal(graph_intern(&g, name), label[i]);
  }
  assert_null(graph_intern(&g, NULL));
  graph_close(&g);
}

/* In turn, backwards, one several times: the position is that of the stream's own
 * draws; a seed begins all anew. */
TEST(a_stream_goes_on_whatever_is_drawn_in_between) {
  enum { STREAMS = 7, DRAWS = 50 };
  static uint64_t drawn[STREAMS];
  Graph g;
  char name[32];
  assert_int_equal(graph_open(&g, 1, 1, &(Fault){0}), ERR_OK);
  for (int seed = 0; seed < 2; seed++) {
    memset(drawn, 0, sizeof drawn);
    for (int i = 0; i < DRAWS; i++) {
      int k = i < DRAWS / 2 ? i % STREAMS : (DRAWS - i) / 2 % STREAMS;
      name_of(name, k);
      Stream s = graph_draw(&g, "dropout", name);
      assert_int_equal(s.draw, drawn[k]++);
      assert_int_equal(graph_draw_again(&g, s.key).draw, drawn[k]++);
    }
    graph_seed(&g, 5);
  }
  graph_close(&g);
}
