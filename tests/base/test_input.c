/* Inputs: bytes of memory, of files, of parts, and unpacked ones; all say where they
 * end. */
#include "test.h"
#include "tempdir.h"
#include "base/input.h"
#include "base/pack.h"
#include "base/sys.h"

static Fault fault;

static void says(Err err, Err want, const char *part) {
  assert_int_equal(err, want);
  if (!strstr(fault.text, part)) fail_msg("\"%s\" is not in \"%s\"", part, fault.text);
  fault = (Fault){0};
}

static void reads_in_order(Input *in) {
  char out[8] = {0};
  assert_int_equal(in->n_bytes, 6);
  assert_int_equal(input_read(in, out, 4, &fault), ERR_OK);
  assert_memory_equal(out, "abcd", 4);
  assert_int_equal(input_left(in), 2);
  says(input_end(in, &fault), ERR_DATA, "bytes after the data");
  says(input_read(in, out, 3, &fault), ERR_DATA, "truncated");
  assert_int_equal(input_seek(in, 5, &fault), ERR_OK);
  assert_int_equal(input_read(in, out, 1, &fault), ERR_OK);
  assert_int_equal(out[0], 'f');
  assert_int_equal(input_end(in, &fault), ERR_OK);
  assert_int_equal(input_read(in, out, 0, &fault), ERR_OK);
  input_close(in);
  input_close(in);
}

TEST(memory_and_files_are_read_in_order_to_their_end) {
  Input in;
  input_memory(&in, "abcdef", 6);
  reads_in_order(&in);
  const char *path = temp_file("plain", "abcdef", 6);
  assert_int_equal(input_open(&in, path, &fault), ERR_OK);
  reads_in_order(&in);
  assert_int_equal(input_open_packed(&in, path, &fault), ERR_OK);
  reads_in_order(&in);
  says(input_open(&in, temp_path("none"), &fault), ERR_DATA, "");
  assert_int_not_equal(input_open(&in, temp_path("."), &fault), ERR_OK);
  fault = (Fault){0};
}

TEST(a_part_ends_where_it_was_cut_and_is_checked) {
  Input all, part;
  char out[3];
  input_memory(&all, "abcdef", 6);
  assert_int_equal(input_seek(&all, 2, &fault), ERR_OK);
  input_part(&part, &all, 3, crc_add(0, "cde", 3));
  assert_int_equal(input_read(&part, out, 3, &fault), ERR_OK);
  assert_memory_equal(out, "cde", 3);
  assert_int_equal(input_end(&part, &fault), ERR_OK);
  input_part(&part, &all, 3, crc_add(0, "cdf", 3));
  assert_int_equal(input_read(&part, out, 3, &fault), ERR_OK);
  says(input_end(&part, &fault), ERR_DATA, "the checksum is wrong");
}

TEST(what_cannot_be_there_is_refused_before_memory_is_asked_for) {
  Input in;
  input_memory(&in, "abcdef", 6);
  assert_int_equal(input_holds(&in, 6, &fault), ERR_OK);
  says(input_holds(&in, 7, &fault), ERR_DATA, "truncated");
  assert_true(memory_free() > 0);
  assert_int_equal(memory_holds(1 << 20, &fault), ERR_OK);
  if (memory_free() < INT64_MAX / 2)
    says(memory_holds(INT64_MAX / 2, &fault), ERR_MEMORY, "GB are free");
}

/* `text` as a gzip member whose one block is stored. */
static size_t gzip(const char *text, unsigned char *out) {
  static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1};
  unsigned n = (unsigned)strlen(text);
  uint32_t crc = crc_add(0, text, n), words[] = {crc, n};
  unsigned char *at = out;
  memcpy(at, head, sizeof head);
  at += sizeof head;
  for (int i = 0; i < 2; i++) *at++ = (unsigned char)(n >> 8 * i);
  for (int i = 0; i < 2; i++) *at++ = (unsigned char)(~n >> 8 * i);
  memcpy(at, text, n);
  at += n;
  for (int w = 0; w < 2; w++)
    for (int i = 0; i < 4; i++) *at++ = (unsigned char)(words[w] >> 8 * i);
  return (size_t)(at - out);
}

static Err rest(const char *path, int64_t limit_bytes, Text *out) {
  Input in;
  Err err = input_open_packed(&in, path, &fault);
  if (!err) err = input_rest(&in, limit_bytes, out, &fault);
  input_close(&in);
  return err;
}

TEST(gzip_is_unpacked_by_its_content_one_member_or_several) {
  unsigned char bytes[256];
  Text text = {0};
  size_t n = gzip("first, ", bytes);
  n += gzip("second", bytes + n);
  assert_int_equal(rest(temp_file("packed", bytes, n), 100, &text), ERR_OK);
  assert_string_equal(text.data, "first, second");
  text_deinit(&text);
  says(rest(temp_file("packed", bytes, n), 12, &text), ERR_DATA,
       "larger than 12 bytes");
  text_deinit(&text);
  for (size_t cut = 2; cut < n; cut++) {
    bool whole = cut == gzip("first, ", bytes + 128);
    Err err = rest(temp_file("packed", bytes, cut), 100, &text);
    if ((err == ERR_OK) != whole) fail_msg("%zu of %zu bytes: %d", cut, n, err);
    fault = (Fault){0};
    text_deinit(&text);
  }
  bytes[14] ^= 1;
  assert_int_equal(rest(temp_file("packed", bytes, n), 100, &text), ERR_DATA);
  fault = (Fault){0};
  text_deinit(&text);
}

TEST(nothing_unpacks_to_more_than_its_bound) {
  assert_true(unpack_bound(0) >= 0);
  assert_true(unpack_bound(1000) >= 1000 * 1000);
  assert_true(unpack_bound(INT64_MAX / 2) > 0);
}
