/* utf8.c: see utf8.h. */
#include "base/utf8.h"

size_t utf8_next(const char *at, const char *end, uint32_t *code) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned char first = (unsigned char)*at;
  *code = first;
  if (first < 0x80) return 1;
  size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || (size_t)(end - at) < n) return 0;
  *code = first & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    unsigned char byte = (unsigned char)at[i];
    if ((byte & 0xC0) != 0x80) return 0;
    *code = *code << 6 | (byte & 0x3F);
  }
  if (*code < least[n] || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000))
    return 0;
  return n;
}

size_t utf8_put(char *out, uint32_t code) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = n; --i > 0; code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
  out[0] = (char)((0xF00u >> n & 0xFF) | code);
  return n;
}
