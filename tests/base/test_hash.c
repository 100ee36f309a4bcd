/* Hashes: FNV-1a by its published examples; words by their order. */
#include "test.h"
#include "base/hash.h"

TEST(bytes_have_the_published_hashes) {
  assert_true(hash_bytes(HASH_BEGIN, "", 0) == UINT64_C(0xCBF29CE484222325));
  assert_true(hash_bytes(HASH_BEGIN, "a", 1) == UINT64_C(0xAF63DC4C8601EC8C));
  assert_true(hash_bytes(HASH_BEGIN, "foobar", 6) == UINT64_C(0x85944171F73967E8));
  uint64_t begun = hash_bytes(HASH_BEGIN, "foo", 3);
  assert_true(hash_bytes(begun, "bar", 3) == UINT64_C(0x85944171F73967E8));
}

TEST(words_count_with_their_order_and_every_bit) {
  uint64_t ab = hash_word(hash_word(7, 1), 2);
  assert_true(ab != hash_word(hash_word(7, 2), 1));
  assert_true(ab == hash_word(hash_word(7, 1), 2));
  for (int i = 0; i < 64; i++) {
    uint64_t other = hash_word(7, UINT64_C(1) << i);
    assert_true(other != hash_word(7, 0));
    for (int k = 0; k < i; k++) assert_true(other != hash_word(7, UINT64_C(1) << k));
  }
}
