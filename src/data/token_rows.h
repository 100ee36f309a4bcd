/* token_rows.h: texts by number as rows: what is filled up, what is cut off, and in how
 * many bytes. */
#ifndef DATA_TOKEN_ROWS_H
#define DATA_TOKEN_ROWS_H

#include "data/data.h"

/* Numbers of tokens, n of them, into row i of x, and 1 for each into the mask: t steps,
 * cut off or filled up with 0 on these sides. Gives the first step that is filled, and
 * the first number that is there. */
typedef struct TokenRow {
  int64_t n, step, from;
} TokenRow;
TokenRow tokens_put(const int32_t *numbers, int64_t n, Array *x, Tensor *mask,
                    int64_t i, int64_t t, int padding, int truncate);

/* The options of these sides; `what`: "lines". */
#define SIDE_OPTIONS(type, what)                                                       \
  {.name = "padding", .kind = OPT_CHOICE, .offset = offsetof(type, padding),           \
   .value = "right", .choices = side_names,                                            \
   .doc = "on which side shorter " what " are filled up with 0"},                      \
  {.name = "truncate", .kind = OPT_CHOICE, .offset = offsetof(type, truncate),         \
   .value = "right", .choices = side_names, .alias = "truncating",                     \
   .doc = "on which side longer " what " are cut off"}

/* As few bytes as hold the numbers of n tokens, and 0. */
DType tokens_dtype(int64_t n);
/* The tokens of the vocabulary as the classes of `out`. */
Err tokens_are_classes(Rows *out, Fault *fault) WARN_UNUSED;

#endif
