/* Packed bytes: what is packed comes back, whatever its size; what is cut, changed or
 * longer than it should be is a fault. */
#include "base/pack.h"
#include "tempdir.h"
#include "test.h"

enum { MOST = 70000 };

/* Bytes that pack badly and, from the middle on, bytes that pack well. */
static unsigned char *sample(void) {
  static unsigned char bytes[MOST];
  uint32_t word = 1;
  for (int i = 0; i < MOST; i++) {
    word = word * 1664525u + 1013904223u;
    bytes[i] = i < MOST / 2 ? (unsigned char)(word >> 24) : 7;
  }
  return bytes;
}

/* The bytes packed by deflate, in a file of their own; how many into *n_packed. */
static char *packed(const void *bytes, size_t n, size_t *n_packed) {
  Fault fault = {0};
  const char *path = temp_path("packed");
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  Packer *packer = pack_open(file, &fault);
  assert_non_null(packer);
  pack_write(packer, bytes, n / 2);
  pack_write(packer, (const char *)bytes + n / 2, n - n / 2);
  int64_t n_written = pack_close(packer);
  assert_int_equal(fclose(file), 0);
  char *back = temp_read(path, n_packed);
  assert_int_equal(n_written, *n_packed);
  return back;
}

/* Adds the bytes as a member of a gzip file; its end. */
static size_t add_member(unsigned char *out, size_t at, const void *bytes, size_t n) {
  static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
  size_t n_packed;
  char *middle = packed(bytes, n, &n_packed);
  memcpy(out + at, head, sizeof head);
  memcpy(out + at + sizeof head, middle, n_packed);
  free(middle);
  at += sizeof head + n_packed;
  uint32_t tail[2] = {crc_add(0, bytes, n), (uint32_t)n};
  memcpy(out + at, tail, sizeof tail);
  return at + sizeof tail;
}

/* Unpacks n bytes and asks for the end; `out` has room for MOST. */
static Err unpack(const void *bytes, size_t n_packed, PackForm form, void *out,
                  size_t n, Fault *fault) {
  Input in, unpacked;
  input_memory(&in, bytes, n_packed);
  Err err = unpack_open(&unpacked, &in, (int64_t)n_packed, form, fault);
  if (!err) err = input_read(&unpacked, out, (int64_t)n, fault);
  if (!err) err = input_end(&unpacked, fault);
  input_close(&unpacked);
  input_close(&in);
  return err;
}

static unsigned char back[MOST], whole[2 * MOST];

TEST(what_is_packed_comes_back) {
  static const size_t sizes[] = {0, 1, 2, 32767, 32768, 32769, MOST};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    Fault fault = {0};
    size_t n_packed;
    char *bytes = packed(sample(), sizes[i], &n_packed);
    memset(back, 0, sizeof back);
    assert_int_equal(unpack(bytes, n_packed, PACK_DEFLATE, back, sizes[i], &fault), 0);
    assert_memory_equal(back, sample(), sizes[i]);
    assert_true((int64_t)sizes[i] <= unpack_bound((int64_t)n_packed));
    free(bytes);
  }
}

TEST(members_of_a_gzip_file_follow_one_another) {
  Fault fault = {0};
  size_t n = add_member(whole, 0, sample(), 1000);
  n = add_member(whole, n, sample(), 0);
  n = add_member(whole, n, sample() + 1000, 40000);
  assert_int_equal(unpack(whole, n, PACK_GZIP, back, 41000, &fault), ERR_OK);
  assert_memory_equal(back, sample(), 41000);
}

TEST(a_cut_file_is_a_fault_at_every_length) {
  size_t n = add_member(whole, 0, sample(), 300);
  for (size_t cut = 0; cut < n; cut++) {
    Fault fault = {0};
    assert_int_equal(unpack(whole, cut, PACK_GZIP, back, 300, &fault), ERR_DATA);
  }
}

/* The bits behind the last code of deflate have no meaning, nor have some of the head.
 */
TEST(a_changed_bit_is_a_fault_or_changes_nothing) {
  size_t n = add_member(whole, 0, sample(), 300), n_refused = 0;
  for (size_t i = 80; i < 8 * n; i++) {
    Fault fault = {0};
    unsigned char bit = (unsigned char)(1 << i % 8);
    whole[i / 8] ^= bit;
    if (unpack(whole, n, PACK_GZIP, back, 300, &fault) == ERR_DATA) n_refused++;
    else assert_memory_equal(back, sample(), 300);
    whole[i / 8] ^= bit;
  }
  assert_true(n_refused > 8 * n - 80 - 8);
}

TEST(more_or_fewer_bytes_than_wanted_are_a_fault) {
  Fault fault = {0};
  size_t n = add_member(whole, 0, sample(), 300);
  assert_int_equal(unpack(whole, n, PACK_GZIP, back, 299, &fault), ERR_DATA);
  fault_clear(&fault);
  assert_int_equal(unpack(whole, n, PACK_GZIP, back, 301, &fault), ERR_DATA);
  fault_clear(&fault);
  memset(whole + n, 0, 3); /* neither a member nor the end */
  assert_int_equal(unpack(whole, n + 3, PACK_GZIP, back, 300, &fault), ERR_DATA);
}

TEST(checksums) {
  assert_int_equal(crc_add(0, "123456789", 9), 0xcbf43926u);
  assert_int_equal(crc_add(crc_add(0, "1234", 4), "56789", 5), 0xcbf43926u);
  assert_int_equal(crc_add(0, "", 0), 0);
}

TEST(bounds_do_not_overflow) {
  assert_int_equal(unpack_bound(0), 0);
  assert_int_equal(unpack_bound(1), 1032);
  assert_true(unpack_bound(INT64_MAX / 1032) > INT64_MAX - 1032);
  assert_int_equal(unpack_bound(INT64_MAX / 1032 + 1), INT64_MAX);
  assert_int_equal(unpack_bound(INT64_MAX), INT64_MAX);
}
