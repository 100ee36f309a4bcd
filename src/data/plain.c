/* plain.c: see plain.h. */
#include "data/plain.h"
#include "base/utf8.h"
#include <string.h>

static Err check_text(const char *at, const char *end, Fault *fault) {
  int64_t line = 1;
  uint32_t code;
  for (size_t n; at < end; at += n) {
    n = utf8_next(at, end, &code);
    if (n == 0 || code == 0)
      return fault_set(fault, ERR_DATA, "line %lld: %s", (long long)line,
                       n ? "has a zero byte, which no text has"
                         : "is not UTF-8 (iconv -f LATIN1 -t UTF-8 converts western "
                           "text)");
    line += code == '\n';
  }
  return ERR_OK;
}

Err plain_read(Input *in, Text *out, Fault *fault) {
  static const char mark[] = "\xEF\xBB\xBF";
  text_add(out, "");
  Err err = input_rest(in, INT64_MAX, out, fault);
  if (err) return err;
  if (out->n_bytes >= 2 &&
      (memcmp(out->data, "\xFF\xFE", 2) == 0 || memcmp(out->data, "\xFE\xFF", 2) == 0))
    return fault_set(fault, ERR_DATA,
                     "is UTF-16; allowed: UTF-8 (iconv -f UTF-16 -t UTF-8 converts "
                     "it)");
  if (out->n_bytes >= 3 && memcmp(out->data, mark, 3) == 0) {
    out->n_bytes -= 3;
    memmove(out->data, out->data + 3, out->n_bytes + 1);
  }
  return check_text(out->data, out->data + out->n_bytes, fault);
}
