/* text.h: growing strings, nearest names, number formats. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing string. All zero is an empty one; text_deinit frees it. `data` is always
 * terminated once something was added. On lack of memory `failed` is set, and what
 * follows is dropped: check once at the end. */
typedef struct Text {
  char *data;
  size_t n_bytes;
  int64_t room; /* bytes that fit into `data` */
  bool failed;
} Text;

void text_deinit(Text *text);
void text_add(Text *text, const char *string);
void text_add_bytes(Text *text, const void *data, size_t n_bytes);
void text_addf(Text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_add_args(Text *text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The one of `names` (n of them) that a person most likely meant by `name`, or NULL
 * when none is near: Damerau-Levenshtein distance at most 1 + length / 4, case ignored,
 * and something in common: of one letter no other letter is near. */
const char *text_nearest(const char *name, const char *const *names, int n);

/* Is `word` one of the blank-separated words of `list`? NULL list: no. */
bool text_has_word(const char *list, const char *word);

/* May a level or a measure be called so? UTF-8 without blanks and control characters,
 * and without the signs that filters are made of. TEXT_NAME: that in words. */
bool text_is_name(const char *text, size_t n_bytes);
#define TEXT_NAME "UTF-8 without blanks and without , = < > !"

/* The shortest decimal that reads back as the same double; integers without a point.
 * Writes to and returns `buffer` (at least 32 bytes). */
char *text_number(char *buffer, double value);

/* A number that was measured, for people: four decimals, or four digits in all where
 * those would be no more than 0, or are lost behind a long number. The same buffer. */
char *text_measure(char *buffer, double value);

/* Does the text end so? */
bool text_ends_with(const char *text, const char *end);

/* "1 trial", "3 trials". */
typedef struct TextCount {
  char s[64];
} TextCount;
TextCount text_counted(int64_t n, const char *what);

/* A copy that the caller frees; NULL on lack of memory. */
char *text_copy(const char *string);

/* Bytes of the UTF-8 character at `s`; 0 for a control character or what is no
 * UTF-8. */
size_t text_printable(const char *s, const char *end);

/* Adds `text` with "?" in place of control characters and of bytes that are not
 * UTF-8. */
void text_add_clean(Text *out, const char *text);
/* The same, but line ends and tabs stay. */
void text_add_clean_lines(Text *out, const char *text);
/* Adds the first line, as text_add_clean does. */
void text_add_first_line(Text *out, const char *text);

/* Columns that a text takes on a terminal: two for a character of East Asia, none for a
 * mark that joins the one before, else one. The same of n_bytes. */
int text_columns(const char *text);
int text_columns_of(const char *bytes, size_t n_bytes);

#define NO_BREAK "\u00a0"

/* Adds the words of `text`, in lines of up to `width` columns: the first goes on in
 * column `used`, the others begin after `indent` blanks. A newline ends it. NO_BREAK
 * becomes a blank at which no line ends. */
void text_add_wrapped(Text *out, const char *text, int used, int indent, int width);

#endif
