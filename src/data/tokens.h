/* tokens.h: texts cut into what a vocabulary numbers: characters, or words.
 *
 * A word is a run of letters, digits and marks of any script, with an apostrophe or a
 * hyphen inside it; every other character that is seen is a word by itself, and white
 * space only separates. Texts are UTF-8, looked at before. */
#ifndef DATA_TOKENS_H
#define DATA_TOKENS_H

#include "base/text.h"

typedef enum TokenSort { TOKEN_CHARACTERS, TOKEN_WORDS } TokenSort;
extern const char *const token_sorts[]; /* "characters" "words" NULL */

/* What is left of a text. */
typedef struct Tokens {
  const char *at, *end; /* borrowed */
  int sort;             /* a TokenSort */
  int64_t line;         /* of the last token, from the number that it began with */
} Tokens;

typedef struct Token {
  const char *at; /* borrowed from the text */
  size_t n_bytes;
} Token;

/* False at the end. */
bool tokens_next(Tokens *text, Token *out);

/* Adds the text in small letters: those of Latin, Greek and Cyrillic. */
void tokens_lower(Text *out, const char *at, size_t n_bytes);

#endif
