/* utf8.h: characters of UTF-8 text. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at `at`, which lies before `end`, and its code point; 0 where
 * there is none: cut off, overlong, a surrogate, or beyond U+10FFFF (RFC 3629). */
size_t utf8_next(const char *at, const char *end, uint32_t *code);

/* Writes the character's bytes (at most 4), without a terminator; their number. */
size_t utf8_put(char *out, uint32_t code);

#endif
