/* sha256.h: SHA-256 (FIPS 180-4), the door to libmd. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_TEXT = 65 }; /* bytes of a hash in hex, with the 0 */

typedef struct Sha256 {
  uint64_t state[32]; /* private */
} Sha256;

void sha256_begin(Sha256 *hash);
void sha256_add(Sha256 *hash, const void *bytes, size_t n_bytes);
/* 64 hex digits in lower case and a 0. */
void sha256_end(Sha256 *hash, char out[SHA256_TEXT]);

/* Begin, add, end. */
void sha256(const void *bytes, size_t n_bytes, char out[SHA256_TEXT]);

#endif
