/* SHA-256 against the examples of FIPS 180-4, in one piece and in many. */
#include "test.h"
#include "base/sha256.h"

TEST(hashes_are_those_of_the_standard) {
  static const struct { const char *text, *hash; } examples[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    char out[SHA256_TEXT];
    sha256(examples[i].text, strlen(examples[i].text), out);
    assert_string_equal(out, examples[i].hash);
  }
}

TEST(pieces_count_as_the_whole) {
  char million[1000], out[SHA256_TEXT];
  memset(million, 'a', sizeof million);
  Sha256 hash;
  sha256_begin(&hash);
  for (int i = 0; i < 1000; i++) {
    size_t cut = (size_t)i % sizeof million;
    sha256_add(&hash, million, cut);
    sha256_add(&hash, million + cut, sizeof million - cut);
  }
  sha256_end(&hash, out);
  assert_string_equal(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc71"
                           "12cd0");
}
