/* move.c: strided copies, cut into blocks by their shape alone.
 *
 * The two last axes of a folded move are its plane, I x J; the others are walked
 * outside.
 *
 *   outer ... | I | J        a block is up to `group` outer steps of a tile of the
 *                            plane, tile_i x tile_j; about BLOCK elements in all
 *
 * Where neighbours of x lie along another axis than those of out (a transpose), that
 * axis becomes I, and a tile is at least LINE wide in it, so that whole cache lines of
 * x are used. */
#include "base/fault.h"
#include "kernel/move.h"
#include "base/ints.h"
#include "kernel/kernel.h"

enum { BLOCK = 16384, LINE = 64, TILE_J = 1024 };

typedef struct Tiling {
  int64_t tile_i, tile_j, group;
  int64_t n_i, n_j, n_groups;
} Tiling;

static void axis_set(Move *m, int to, int64_t size, int64_t out_stride,
                     int64_t x_stride) {
  m->size[to] = size;
  m->out_stride[to] = out_stride;
  m->x_stride[to] = x_stride;
}

/* Drops axes of one element and merges axis a into the one before it (b) where both
 * arrays run on: stride[b] == stride[a] * size[a]. */
static void merge_axes(Move *m) {
  int n = 0;
  for (int a = 0; a < m->rank; a++) {
    int64_t size = m->size[a], out = m->out_stride[a], x = m->x_stride[a];
    if (size == 1) continue;
    int b = n - 1;
    if (n > 0 && m->out_stride[b] == out * size && m->x_stride[b] == x * size)
      axis_set(m, b, m->size[b] * size, out, x);
    else axis_set(m, n++, size, out, x);
  }
  m->rank = n;
}

static void insert_unit_axis(Move *m) {
  for (int a = m->rank; a > 0; a--)
    axis_set(m, a, m->size[a - 1], m->out_stride[a - 1], m->x_stride[a - 1]);
  axis_set(m, 0, 1, 0, 0);
  m->rank++;
}

/* Makes `axis` the last but one; the order of the others stays. */
static void move_axis_to_plane(Move *m, int axis) {
  int64_t size = m->size[axis], out = m->out_stride[axis], x = m->x_stride[axis];
  for (int a = axis; a < m->rank - 2; a++)
    axis_set(m, a, m->size[a + 1], m->out_stride[a + 1], m->x_stride[a + 1]);
  axis_set(m, m->rank - 2, size, out, x);
}

void move_fold(Move *m) {
  merge_axes(m);
  while (m->rank < 2) insert_unit_axis(m);
  int64_t x_step = m->x_stride[m->rank - 1];
  if (x_step == 1 || x_step == 0) return;
  for (int a = 0; a < m->rank - 1; a++) {
    if (m->x_stride[a] != 1) continue;
    move_axis_to_plane(m, a);
    return;
  }
}

static Tiling tiling_of(const Move *m) {
  int64_t I = m->size[m->rank - 2], J = m->size[m->rank - 1], outer = 1;
  for (int a = 0; a < m->rank - 2; a++) outer *= m->size[a];
  if (I == 0 || J == 0) return (Tiling){1, 1, 1, 0, 0, 0};
  int64_t x_step = m->x_stride[m->rank - 1];
  bool transposing = m->x_stride[m->rank - 2] == 1 && x_step != 1 && x_step != 0;
  Tiling t;
  t.tile_j = least(J, transposing ? TILE_J : BLOCK);
  t.tile_i = least(I, most(BLOCK / t.tile_j, transposing ? LINE : 1));
  t.group = most(BLOCK / (t.tile_i * t.tile_j), 1);
  t.n_i = divide_up(I, t.tile_i);
  t.n_j = divide_up(J, t.tile_j);
  t.n_groups = divide_up(outer, t.group);
  return t;
}

int64_t move_blocks(const Move *m) {
  Tiling t = tiling_of(m);
  return t.n_groups * t.n_i * t.n_j;
}

/* Offsets of outer step number `step` in both arrays. */
static void outer_offsets(const Move *m, int64_t step, int64_t *out_at, int64_t *x_at) {
  for (int a = m->rank - 3; a >= 0; a--) {
    int64_t i = step % m->size[a];
    step /= m->size[a];
    *out_at += i * m->out_stride[a];
    *x_at += i * m->x_stride[a];
  }
}

void move_block(const Move *m, void *out, const void *x, int64_t block) {
  const Kernels *k = kernels();
  Tiling t = tiling_of(m);
  must(t.n_i > 0 && t.n_j > 0);
  const int64_t *size = m->size + m->rank - 2;
  const int64_t *out_stride = m->out_stride + m->rank - 2;
  const int64_t *x_stride = m->x_stride + m->rank - 2;
  int64_t j = block % t.n_j * t.tile_j;
  int64_t i = block / t.n_j % t.n_i * t.tile_i;
  int64_t first = block / (t.n_j * t.n_i) * t.group, end = first + t.group;
  int64_t tile[2] = {least(t.tile_i, size[0] - i), least(t.tile_j, size[1] - j)};
  int64_t outer = 1;
  for (int a = 0; a < m->rank - 2; a++) outer *= m->size[a];

  for (int64_t step = first; step < least(end, outer); step++) {
    int64_t out_at = i * out_stride[0] + j * out_stride[1];
    int64_t x_at = i * x_stride[0] + j * x_stride[1];
    outer_offsets(m, step, &out_at, &x_at);
    k->move_plane((char *)out + out_at * (int64_t)m->elem_bytes,
                  (const char *)x + x_at * (int64_t)m->elem_bytes, m->elem_bytes, tile,
                  out_stride, x_stride);
  }
}
