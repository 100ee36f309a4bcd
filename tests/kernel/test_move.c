/* test_move.c: strided copies against plain loops, sums of rows, rows repeated. */
#include "test.h"
#include "base/philox.h"
#include "kernel/kernel.h"
#include "kernel/move.h"

enum { ROOM = 400000 };

static int64_t below(uint64_t *draw, int64_t n) {
  return (int64_t)philox_below((Stream){philox_key(1, "test", "move"), (*draw)++}, 0,
                               (uint64_t)n);
}

static void fill(unsigned char *v, int64_t n, uint64_t draw) {
  Stream stream = {philox_key(1, "test", "fill"), draw};
  uint32_t word[4];
  for (int64_t i = 0; i < n; i += 16) {
    philox_block(word, stream, (uint64_t)(i / 16));
    memcpy(v + i, word, n - i < 16 ? (size_t)(n - i) : 16);
  }
}

/* Element by element, in row-major order. */
static void plain_move(const Move *m, unsigned char *out, const unsigned char *x) {
  int64_t n = 1, bytes = (int64_t)m->elem_bytes;
  for (int a = 0; a < m->rank; a++) n *= m->size[a];
  for (int64_t i = 0; i < n; i++) {
    int64_t rest = i, to = 0, from = 0;
    for (int a = m->rank - 1; a >= 0; a--) {
      to += rest % m->size[a] * m->out_stride[a];
      from += rest % m->size[a] * m->x_stride[a];
      rest /= m->size[a];
    }
    memcpy(out + to * bytes, x + from * bytes, (size_t)bytes);
  }
}

/* Where the lowest element of a side lies when (0, 0, ..) is at 0; negative or 0. */
static int64_t lowest(const Move *m, const int64_t *stride) {
  int64_t low = 0;
  for (int a = 0; a < m->rank; a++)
    if (stride[a] < 0 && m->size[a] > 0) low += (m->size[a] - 1) * stride[a];
  return low;
}

static void check_move(const Move *m) {
  static unsigned char x[8 * ROOM], got[8 * ROOM], want[8 * ROOM];
  int64_t bytes = (int64_t)m->elem_bytes;
  int64_t out_at = -lowest(m, m->out_stride) * bytes;
  int64_t x_at = -lowest(m, m->x_stride) * bytes;
  fill(x, 8 * ROOM, 1);
  memset(got, 0xA5, sizeof got);
  memset(want, 0xA5, sizeof want);
  plain_move(m, want + out_at, x + x_at);
  Move folded = *m;
  move_fold(&folded);
  for (int64_t b = move_blocks(&folded) - 1; b >= 0; b--)
    move_block(&folded, got + out_at, x + x_at, b);
  assert_memory_equal(got, want, sizeof got);
}

/* An array of the given dims with its axes in order `perm`; steps multiply strides. */
static void set_strides(int64_t *stride, const int64_t *size, int rank, const int *perm,
                        const int64_t *step) {
  int64_t next = 1;
  for (int a = rank - 1; a >= 0; a--) {
    int axis = perm ? perm[a] : a;
    int64_t by = step ? step[axis] : 1;
    stride[axis] = next * by;
    next *= size[axis] * (by < 0 ? -by : by);
  }
}

static const size_t elem_bytes[] = {1, 4, 8};

TEST(a_move_equals_plain_loops_for_random_axes_orders_and_steps) {
  uint64_t draw = 0;
  for (int trial = 0; trial < 120; trial++) {
    Move m = {.rank = (int)below(&draw, 6), .elem_bytes = elem_bytes[trial % 3]};
    int perm[MOVE_RANK];
    int64_t step[MOVE_RANK];
    for (int a = 0; a < m.rank; a++) {
      m.size[a] = 1 + below(&draw, m.rank > 3 ? 6 : 20);
      step[a] = trial % 2 ? 1 : below(&draw, 4) - 2;
      if (step[a] == 0) step[a] = 1;
      perm[a] = a;
    }
    for (int a = m.rank - 1; a > 0; a--) {
      int b = (int)below(&draw, a + 1), t = perm[a];
      perm[a] = perm[b];
      perm[b] = t;
    }
    bool into = trial % 4 >= 2;
    set_strides(into ? m.out_stride : m.x_stride, m.size, m.rank, perm, step);
    set_strides(into ? m.x_stride : m.out_stride, m.size, m.rank, NULL, NULL);
    if (!into && m.rank > 0 && trial % 5 == 0) m.x_stride[below(&draw, m.rank)] = 0;
    check_move(&m);
  }
}

TEST(large_transposes_equal_plain_loops) {
  static const int64_t sizes[][2] = {{611, 523}, {8, 40000}, {40000, 8}, {1, 30000},
                                     {3, 100001}, {256, 1024}, {17, 16385}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int e = 0; e < 3; e++) {
      int64_t I = sizes[i][0], J = sizes[i][1];
      check_move(&(Move){2, elem_bytes[e], {I, J}, {J, 1}, {1, I}});
    }
}

TEST(large_copies_and_broadcasts_equal_plain_loops) {
  for (int e = 0; e < 3; e++) {
    check_move(&(Move){1, elem_bytes[e], {300001}, {1}, {1}});
    check_move(&(Move){1, elem_bytes[e], {300001}, {1}, {0}});
    check_move(&(Move){2, elem_bytes[e], {500, 601}, {601, 1}, {1, 0}});
    check_move(&(Move){2, elem_bytes[e], {500, 601}, {601, 1}, {0, 1}});
    check_move(&(Move){3, elem_bytes[e], {30000, 2, 3}, {6, 3, 1}, {6, 1, 2}});
  }
}

TEST(a_move_without_elements_has_no_blocks) {
  Move m = {2, 4, {3, 0}, {0, 1}, {0, 1}};
  move_fold(&m);
  assert_int_equal(move_blocks(&m), 0);
}

TEST(a_sum_of_rows_equals_plain_loops) {
  enum { ROWS = 50, COLUMNS = 777 };
  static real x[ROWS * COLUMNS], out[COLUMNS];
  Stream stream = {philox_key(1, "test", "sum_of_rows"), 0};
  int64_t row[2 * ROWS];
  uint64_t draw = 1;
  for (int64_t i = 0; i < ROWS * COLUMNS; i++)
    x[i] = (real)(philox_unit(philox_word(stream, (uint64_t)i)) - 0.5);
  for (int64_t n = 0; n <= 2 * ROWS; n += n < 3 ? 1 : 31) {
    for (int64_t i = 0; i < n; i++) row[i] = below(&draw, ROWS);
    kernels()->sum_of_rows(out, x, row, n, COLUMNS, COLUMNS);
    for (int64_t j = 0; j < COLUMNS; j++) {
      double want = 0;
      for (int64_t i = 0; i < n; i++) want += (double)x[row[i] * COLUMNS + j];
      CHECK_NEAR((double)out[j], (double)(real)want, 0);
    }
  }
}

TEST(a_row_repeats_up_to_the_end_of_the_last_and_no_further) {
  enum { MOST = 70, TIMES = 9, BEHIND = 64 };
  static real row[MOST], out[MOST * TIMES + BEHIND];
  const real junk = -1;
  for (int64_t j = 0; j < MOST; j++) row[j] = (real)(j + 1);
  for (int64_t n = 1; n <= MOST; n++)
    for (int64_t times = 0; times <= TIMES; times++) {
      for (int64_t i = 0; i < n * times + BEHIND; i++) out[i] = junk;
      kernels()->repeat_row(out, row, n, times);
      for (int64_t i = 0; i < n * times + BEHIND; i++)
        CHECK_NEAR((double)out[i], (double)(i < n * times ? row[i % n] : junk), 0);
    }
}
