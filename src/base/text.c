/* text.c: growing strings, nearest names, shortest numbers. */
#include "base/text.h"
#include "base/array.h"
#include "base/utf8.h"
#include "base/fault.h"
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_deinit(Text *text) {
  free(text->data);
  *text = (Text){0};
}

/* Room for n_bytes more and the terminator. */
static bool text_reserve(Text *text, size_t n_bytes) {
  if (text->failed) return false;
  text->failed = n_bytes > PTRDIFF_MAX - text->n_bytes - 1 ||
                 ARRAY_ROOM(text->data, text->room,
                            (int64_t)(text->n_bytes + n_bytes) + 1, NULL);
  return !text->failed;
}

void text_add_bytes(Text *text, const void *data, size_t n_bytes) {
  if (!text_reserve(text, n_bytes)) return;
  if (n_bytes) memcpy(text->data + text->n_bytes, data, n_bytes);
  text->n_bytes += n_bytes;
  text->data[text->n_bytes] = 0;
}

void text_add(Text *text, const char *string) {
  text_add_bytes(text, string, strlen(string));
}

void text_add_args(Text *text, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (n < 0 || !text_reserve(text, (size_t)n)) return;
  vsnprintf(text->data + text->n_bytes, (size_t)n + 1, format, args);
  text->n_bytes += (size_t)n;
}

void text_addf(Text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  text_add_args(text, format, args);
  va_end(args);
}

enum { NEAREST_MAX = 63 };

static int same(int c) { return c; }

/* Damerau-Levenshtein distance (adjacent transpositions count once) of characters after
 * `fold`: tolower to ignore case, or same. */
static int edit_distance(const char *a, const char *b, int (*fold)(int c)) {
  must(a && b);
  int n = (int)strlen(a), m = (int)strlen(b);
  if (n > NEAREST_MAX || m > NEAREST_MAX) return NEAREST_MAX;
  int row[3][NEAREST_MAX + 1];
  int *before = row[0], *last = row[1], *now = row[2];
  for (int j = 0; j <= m; j++) last[j] = j;
  for (int i = 1; i <= n; i++) {
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      int ca = fold((unsigned char)a[i - 1]), cb = fold((unsigned char)b[j - 1]);
      int best = last[j - 1] + (ca != cb);
      if (last[j] + 1 < best) best = last[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      if (i > 1 && j > 1 && ca == fold((unsigned char)b[j - 2]) &&
          fold((unsigned char)a[i - 2]) == cb && before[j - 2] + 1 < best)
        best = before[j - 2] + 1;
      now[j] = best;
    }
    int *spare = before;
    before = last, last = now, now = spare;
  }
  return last[m];
}

/* Of two names as near but for case: the one that is nearer with it, else the first in
 * order, so that the order of the names decides nothing. */
static bool is_nearer(const char *name, const char *a, const char *b) {
  int of_a = edit_distance(name, a, same), of_b = edit_distance(name, b, same);
  return of_a != of_b ? of_a < of_b : strcmp(a, b) < 0;
}

static int longer(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  return (int)(n > m ? n : m);
}

const char *text_nearest(const char *name, const char *const *names, int n) {
  const char *nearest = NULL;
  int best = 2 + (int)strlen(name) / 4;
  for (int i = 0; i < n; i++) {
    int distance = edit_distance(name, names[i], tolower);
    if (distance > best || (distance == best && !nearest)) continue;
    if (distance >= longer(name, names[i])) continue;
    if (distance == best && !is_nearer(name, names[i], nearest)) continue;
    best = distance, nearest = names[i];
  }
  return nearest;
}

bool text_has_word(const char *list, const char *word) {
  if (!list) return false;
  size_t n = strlen(word);
  for (const char *p = list; *p;) {
    size_t length = strcspn(p, " ");
    if (length == n && memcmp(p, word, n) == 0) return true;
    p += length;
    p += strspn(p, " ");
  }
  return false;
}

/* Writes the value with so many digits: is it the same number when it is read? */
static bool comes_back(char *buffer, int digits, double value) {
  must(digits >= 1 && digits <= 17);
  snprintf(buffer, 32, "%.*g", digits, value);
  return strtod(buffer, NULL) == value;
}

char *text_number(char *buffer, double value) {
  if (isnan(value)) return strcpy(buffer, "nan");
  if (isinf(value)) return strcpy(buffer, value > 0 ? "inf" : "-inf");
  /* What fewer digits give is a number of 15 digits, too: where these do not do, most
   * of what was computed, fewer do not. */
  int digits = comes_back(buffer, 15, value) ? 1 : 16;
  while (digits < 17 && !comes_back(buffer, digits, value)) digits++;
  if (digits == 17) snprintf(buffer, 32, "%.17g", value);
  /* 1e+05 and the like: plain digits read better where they are as short. */
  if (value == floor(value) && fabs(value) < 1e9) snprintf(buffer, 32, "%.0f", value);
  return buffer;
}

char *text_measure(char *buffer, double value) {
  double size = fabs(value);
  bool plain = value == 0 || (size >= 5e-5 && size < 1e5);
  if (isnan(value)) return strcpy(buffer, "nan");
  snprintf(buffer, 32, plain ? "%.4f" : "%.4g", value);
  return buffer;
}

bool text_ends_with(const char *text, const char *end) {
  size_t n = strlen(text), n_end = strlen(end);
  return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

TextCount text_counted(int64_t n, const char *what) {
  TextCount count;
  snprintf(count.s, sizeof count.s, "%lld %s%s", (long long)n, what, n == 1 ? "" : "s");
  return count;
}

char *text_copy(const char *string) {
  size_t n = strlen(string) + 1;
  char *copy = malloc(n);
  return copy ? memcpy(copy, string, n) : NULL;
}

size_t text_printable(const char *s, const char *end) {
  uint32_t code;
  size_t n = utf8_next(s, end, &code);
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ? 0 : n;
}

bool text_is_name(const char *text, size_t n_bytes) {
  const char *end = text + n_bytes;
  bool fine = n_bytes > 0;
  for (size_t n; fine && text < end; text += n) {
    n = text_printable(text, end);
    fine = n > 0 && !(n == 1 && strchr(" ,=<>!", *text));
  }
  return fine;
}

static void add_clean(Text *out, const char *text, size_t n_bytes, const char *kept) {
  const char *end = text + n_bytes;
  while (text < end) {
    size_t n = strchr(kept, *text) ? 1 : text_printable(text, end);
    text_add_bytes(out, n ? text : "?", n ? n : 1);
    text += n ? n : 1;
  }
}

void text_add_clean(Text *out, const char *text) {
  add_clean(out, text, strlen(text), "");
}

void text_add_clean_lines(Text *out, const char *text) {
  add_clean(out, text, strlen(text), "\n\t");
}

void text_add_first_line(Text *out, const char *text) {
  add_clean(out, text, strcspn(text, "\n"), "");
}

/* -- words on lines ---------------------------------------------------------------- */

typedef struct CodeRange {
  uint32_t first, last;
} CodeRange;

static bool is_in(uint32_t code, const CodeRange *ranges, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (code >= ranges[i].first && code <= ranges[i].last) return true;
  return false;
}

/* Of one character: marks that join the one before take none, those of East Asia and
 * pictures two. */
static int code_columns(uint32_t code) {
  static const CodeRange none[] = {{0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF},
                                   {0xFE00, 0xFE0F}};
  static const CodeRange two[] = {{0x1100, 0x115F}, {0x2E80, 0xA4CF}, {0xAC00, 0xD7A3},
                                  {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60},
                                  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
                                  {0x1F900, 0x1F9FF},
                                  {0x20000, 0x3FFFD}};
  if (code < 0x300) return 1;
  if (is_in(code, none, sizeof none / sizeof *none)) return 0;
  return is_in(code, two, sizeof two / sizeof *two) ? 2 : 1;
}

int text_columns_of(const char *bytes, size_t n_bytes) {
  int n = 0;
  const char *end = bytes + n_bytes;
  for (uint32_t code; bytes < end;) {
    size_t length = utf8_next(bytes, end, &code);
    n += length ? code_columns(code) : 1;
    bytes += length ? length : 1;
  }
  return n;
}

int text_columns(const char *text) { return text_columns_of(text, strlen(text)); }

/* Adds n_bytes of a word, blanks for its no-break spaces. */
static void add_word(Text *out, const char *word, size_t n_bytes) {
  for (size_t i = 0; i < n_bytes;) {
    bool no_break = (unsigned char)word[i] == 0xC2 &&
                    (unsigned char)word[i + 1] == 0xA0;
    text_add_bytes(out, no_break ? " " : word + i, 1);
    i += no_break ? 2 : 1;
  }
}

void text_add_wrapped(Text *out, const char *text, int used, int indent, int width) {
  bool begun = false;
  for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
    size_t n_bytes = strcspn(text, " ");
    int columns = text_columns_of(text, n_bytes);
    if (begun && used + 1 + columns > width) {
      text_addf(out, "\n%*s", indent, "");
      used = indent;
    } else if (begun) {
      text_add(out, " ");
      used++;
    }
    add_word(out, text, n_bytes);
    used += columns;
    text += n_bytes;
    begun = true;
  }
  text_add(out, "\n");
}
