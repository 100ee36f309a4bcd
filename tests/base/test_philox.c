/* Philox: known answers, independence of streams, bounded integers and orders. */
#include "test.h"
#include "base/philox.h"
#include <stdbool.h>

/* From the kat_vectors of the authors' Random123 library, philox4x32 with 10 rounds. */
TEST(philox_gives_the_published_answers) {
  static const struct {
    Stream stream;
    uint64_t block;
    uint32_t want[4];
  } known[] = {
      {{0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{UINT64_MAX, UINT64_MAX},
       UINT64_MAX,
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x299f31d0a4093822, 0x0370734413198a2e},
       0x85a308d3243f6a88,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t got[4];
    philox_block(got, known[i].stream, known[i].block);
    assert_memory_equal(got, known[i].want, sizeof got);
  }
}

TEST(philox_words_are_those_of_the_blocks) {
  Stream stream = {philox_key(1, "init", "dense_1.weight"), 3};
  for (uint64_t i = 0; i < 40; i++) {
    uint32_t block[4];
    philox_block(block, stream, i / 4);
    assert_int_equal(philox_word(stream, i), block[i % 4]);
  }
}

TEST(philox_keys_differ_in_every_part) {
  const uint64_t keys[] = {
      philox_key(1, "init", "a"), philox_key(2, "init", "a"),
      philox_key(1, "order", "a"), philox_key(1, "init", "b"),
      philox_key(1, "inita", ""), philox_key(1, "", "inita"),
      philox_key(1, "ini", "ta"), philox_key(1, "init", NULL),
      philox_key(1, "a long purpose", "with a name beyond eight bytes"),
      philox_key(1, "a long purpose", "with a name beyond eight byteS")};
  int n = sizeof keys / sizeof *keys;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) assert_true(keys[i] != keys[j]);
  assert_true(philox_key(1, "init", NULL) == philox_key(1, "init", ""));
}

TEST(philox_unit_lies_in_zero_to_one) {
  assert_true(philox_unit(0) == 0);
  assert_true(philox_unit(UINT32_MAX) < 1);
  assert_true((float)philox_unit(UINT32_MAX) < 1);
  Stream stream = {philox_key(7, "user", NULL), 0};
  enum { N = 100000 };
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < N; i++) {
    double u = philox_unit(philox_word(stream, i));
    sum += u;
    squares += u * u;
  }
  CHECK_NEAR(sum / N, 0.5, 5 * sqrt(1.0 / 12 / N));
  CHECK_NEAR(squares / N, 1.0 / 3, 5 * sqrt(4.0 / 45 / N));
}

TEST(philox_below_meets_every_value_about_equally) {
  Stream stream = {philox_key(7, "user", NULL), 1};
  int count[7] = {0};
  for (uint64_t i = 0; i < 70000; i++) {
    uint64_t k = philox_below(stream, i, 7);
    assert_true(k < 7);
    count[k]++;
  }
  for (int k = 0; k < 7; k++) CHECK_NEAR(count[k], 10000, 5 * sqrt(10000.0));
  assert_true(philox_below(stream, 5, 1) == 0);
}

TEST(philox_shuffle_is_an_order_and_repeats) {
  enum { N = 1000 };
  int64_t a[N], b[N];
  bool seen[N] = {false};
  philox_shuffle(a, N, (Stream){5, 1});
  philox_shuffle(b, N, (Stream){5, 1});
  assert_memory_equal(a, b, sizeof a);
  int fixed = 0;
  for (int i = 0; i < N; i++) {
    assert_true(a[i] >= 0 && a[i] < N && !seen[a[i]]);
    seen[a[i]] = true;
    fixed += a[i] == i;
  }
  assert_true(fixed < 10);
  philox_shuffle(b, N, (Stream){5, 2});
  assert_memory_not_equal(a, b, sizeof a);
  philox_shuffle(b, 0, (Stream){5, 2});
}
