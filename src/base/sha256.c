/* sha256.c: SHA-256; see sha256.h. */
#include "base/sha256.h"
#include <sys/types.h>
#include <sha2.h>

_Static_assert(sizeof(SHA2_CTX) <= sizeof(Sha256), "room for the context of libmd");

static SHA2_CTX *context(Sha256 *hash) { return (SHA2_CTX *)(void *)hash->state; }

void sha256_begin(Sha256 *hash) { SHA256Init(context(hash)); }

void sha256_add(Sha256 *hash, const void *bytes, size_t n_bytes) {
  SHA256Update(context(hash), bytes, n_bytes);
}

void sha256_end(Sha256 *hash, char out[SHA256_TEXT]) {
  static const char digits[] = "0123456789abcdef";
  uint8_t bytes[SHA256_DIGEST_LENGTH];
  SHA256Final(bytes, context(hash));
  for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 15];
  }
  out[SHA256_TEXT - 1] = 0;
}

void sha256(const void *bytes, size_t n_bytes, char out[SHA256_TEXT]) {
  Sha256 hash;
  sha256_begin(&hash);
  sha256_add(&hash, bytes, n_bytes);
  sha256_end(&hash, out);
}
