/* vocabulary.h: tokens and their numbers.
 *
 * Tokens are numbered from 1; 0 is padding, which is no token. One that is not in it is
 * the number of "<unk>" where it has that, else none. Immutable and shared once made.
 */
#ifndef DATA_VOCABULARY_H
#define DATA_VOCABULARY_H

#include "base/record.h"
#include "data/tokens.h"

/* Texts that are owned, one block each. All zero: none. */
typedef struct Names {
  char **v;
  int64_t n, room;
} Names;

void names_deinit(Names *names);
Err names_add(Names *names, const char *name, size_t n_bytes, Fault *fault) WARN_UNUSED;
Err names_copy(Names *out, const Names *names, Fault *fault) WARN_UNUSED;

typedef struct Vocabulary {
  /* read-only */
  int sort;   /* a TokenSort: how texts are cut */
  bool lower; /* texts are taken in small letters */
  Names tokens;
  int64_t unknown; /* the number of "<unk>"; 0: it has none */
  /* private */
  int refs;
  int64_t *slot, n_slots; /* numbers by hash, 0: free; a power of two */
} Vocabulary;

/* Tokens that stand for none of a text. */
#define TOKEN_UNKNOWN "<unk>"
#define TOKEN_START "<start>"
#define TOKEN_END "<end>"
#define TOKEN_MASK "<mask>"

Vocabulary *vocabulary_new(int sort, bool lower, Fault *fault);
Vocabulary *vocabulary_retain(Vocabulary *v); /* NULL is a no-op */
void vocabulary_release(Vocabulary *v);       /* NULL is a no-op */
extern const RefType vocabulary_ref_type;     /* of options that hold one */

/* Adds a token, before it is shared; of one that is there nothing changes. `*number`
 * (NULL: not wanted) is the token's. */
Err vocabulary_add(Vocabulary *v, Token token, int64_t *number,
                   Fault *fault) WARN_UNUSED;
/* The same tokens and one more: new. */
Vocabulary *vocabulary_with(const Vocabulary *v, const char *token, Fault *fault);

/* The token's own number; 0: it has none. */
int64_t vocabulary_find(const Vocabulary *v, Token token);
/* The same, or that of "<unk>"; 0: neither. */
static inline int64_t vocabulary_number(const Vocabulary *v, Token token) {
  int64_t number = vocabulary_find(v, token);
  return number ? number : v->unknown;
}
/* Tells vocabularies apart, in whatever process. */
uint64_t vocabulary_hash(const Vocabulary *v);

/* The numbers of a text's tokens, *n of them: the caller's (free). ERR_DATA "line n:
 * character ..." where one has none; lines count from `line`. NULL and a fault. */
int32_t *vocabulary_encode(const Vocabulary *v, const char *at, size_t n_bytes,
                           int64_t line, int64_t *n, Fault *fault);
/* Adds the text of tokens: words with a blank between them. Padding, and what stands
 * for the start and the end, has none. ERR_VALUE where a number is not in it. */
Err vocabulary_decode(const Vocabulary *v, const int64_t *number, int64_t n, Text *out,
                      Fault *fault) WARN_UNUSED;

/* As JSON, and made of it: new, NULL and a fault. */
Err vocabulary_text(const Vocabulary *v, Text *out, Fault *fault) WARN_UNUSED;
Vocabulary *vocabulary_from_text(const char *text, size_t n_bytes, Fault *fault);

/* On which side rows are filled up, or cut off. */
typedef enum Side { SIDE_RIGHT, SIDE_LEFT } Side;
extern const char *const side_names[]; /* "right" "left" NULL */

/* -- of texts ---------------------------------------------------------------------- */

/* Options of sources of texts: how a vocabulary is made. */
typedef struct VocabularyPlan {
  int sort;            /* a TokenSort */
  bool lower, unknown; /* unknown: with "<unk>" as its first token */
  int64_t least, most; /* tokens that occur less often, and the rarest ones beyond so
                          many, are left out; most 0: there is no limit */
  Vocabulary *given;   /* in place of all that; or NULL */
} VocabularyPlan;

#define VOCABULARY_OPTIONS(type, field, unknown_)                                      \
  {.name = "by", .kind = OPT_CHOICE, .offset = offsetof(type, field.sort),             \
   .value = "characters", .choices = token_sorts,                                      \
   .doc = "what is numbered: characters, or words (runs of letters and digits; "       \
          "every other sign is a word, too)"},                                         \
  {.name = "lower", .kind = OPT_BOOL, .offset = offsetof(type, field.lower),           \
   .value = "false", .alias = "lowercase",                                             \
   .doc = "take texts in small letters"},                                              \
  {.name = "vocabulary", .kind = OPT_REF, .offset = offsetof(type, field.given),       \
   .ref_type = &vocabulary_ref_type, .value = "none",                                  \
   .doc = "numbers of the tokens, in place of those that occur: set.vocabulary of "    \
          "another set, or data.vocabulary. Also a text of characters, as "            \
          "table.concat(set.class_names)"},                                            \
  {.name = "min_count", .kind = OPT_INT, .offset = offsetof(type, field.least),        \
   .value = "1", .lo = 1, .hi = 1e9, .alias = "min_frequency min_freq",                \
   .doc = "tokens that occur less often are left out of the vocabulary"},              \
  {.name = "max_tokens", .kind = OPT_INT, .offset = offsetof(type, field.most),        \
   .value = "0", .lo = 0, .hi = 1e9, .alias = "num_words vocabulary_size",             \
   .doc = "number of tokens that the vocabulary has at most, <unk> and its like "      \
          "included: those that occur most often; 0: all"},                            \
  {.name = "unknown", .kind = OPT_BOOL, .offset = offsetof(type, field.unknown),       \
   .value = unknown_,                                                                  \
   .doc = "number 1 is <unk>, which stands for tokens that are not in the "            \
          "vocabulary; without it they are an error. A given vocabulary has it or "    \
          "not"}

/* ERR_VALUE where the options contradict each other. `label`: "data.text". */
Err vocabulary_plan_check(const VocabularyPlan *plan, const char *label,
                          Fault *fault) WARN_UNUSED;
/* What the options of a source leave out of its text: the vocabulary that was given. */
void vocabulary_plan_add_key(const VocabularyPlan *plan, Text *out);

/* Tokens as they are counted, over any number of texts. All zero but for the plan: none
 * so far. */
typedef struct TokenCount {
  const VocabularyPlan *plan; /* borrowed */
  Vocabulary *tokens;         /* in the order in which they came */
  int64_t *count, room;
} TokenCount;

/* Nothing is counted where the vocabulary is given. */
Err token_count_add(TokenCount *count, const char *at, size_t n_bytes,
                    Fault *fault) WARN_UNUSED;
/* The vocabulary of what was counted, or the one given: new. `first`: tokens before all
 * others, after "<unk>"; NULL-terminated. Characters are in the order of their code
 * points, words by how often they occur. */
Vocabulary *token_count_end(TokenCount *count, const char *const *first, Fault *fault);
void token_count_deinit(TokenCount *count);

/* The vocabulary of the characters of a text, as above: new. */
Vocabulary *vocabulary_of_characters(const char *at, size_t n_bytes, Fault *fault);

#endif
