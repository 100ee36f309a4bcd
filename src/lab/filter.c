/* filter.c: reading the words that choose trials; see filter.h. */
#include "lab/filter.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

static const char *const op_names[] = {
    [FILTER_EQ] = "=", [FILTER_NE] = "!=", [FILTER_GT] = ">",
    [FILTER_GE] = ">=", [FILTER_LT] = "<", [FILTER_LE] = "<="};

const char *filter_op_name(FilterOp op) { return op_names[op]; }

/* The operator that begins at `at`, the longest one. */
static bool read_op(const char *at, FilterOp *op, size_t *n_bytes) {
  *n_bytes = 0;
  for (int i = 0; i < (int)(sizeof op_names / sizeof *op_names); i++) {
    size_t n = strlen(op_names[i]);
    if (n <= *n_bytes || strncmp(at, op_names[i], n) != 0) continue;
    *op = (FilterOp)i;
    *n_bytes = n;
  }
  return *n_bytes > 0;
}

static size_t key_length(const char *word) { return strcspn(word, "=<>!"); }

bool filter_is_term(const char *word) { return word[key_length(word)] != 0; }

static Err add_value(FilterTerm *term, const char *from, size_t n_bytes, Fault *fault) {
  if (term->n_values == FILTER_VALUES)
    return fault_set(fault, ERR_USAGE, "%s: more than %d values", term->word,
                     FILTER_VALUES);
  char *copy = strndup(from, n_bytes);
  if (!copy) return fault_memory(fault, n_bytes);
  term->values[term->n_values++] = copy;
  return ERR_OK;
}

static Err read_values(FilterTerm *term, const char *text, Fault *fault) {
  bool several = term->op == FILTER_EQ || term->op == FILTER_NE;
  if (!*text)
    return fault_set(fault, ERR_USAGE, "%s: a value is missing after %s", term->word,
                     op_names[term->op]);
  for (;;) {
    size_t n = several ? strcspn(text, ",") : strlen(text);
    if (add_value(term, text, n, fault)) return fault->code;
    if (!text[n]) return ERR_OK;
    text += n + 1;
  }
}

Err filter_add(Filter *filter, const char *word, Fault *fault) {
  size_t n_key = key_length(word), n_op;
  FilterOp op = FILTER_EQ;
  if (n_key == 0 || !read_op(word + n_key, &op, &n_op))
    return fault_set(fault, ERR_USAGE,
                     "%s: allowed: key=value, with = != > >= < or <=", word);
  if (word[n_key + n_op] ==
      '=') /* else "==" would look for a value that begins with it */
    return fault_set(fault, ERR_USAGE,
                     "%s: equality is written =; allowed: key=value, with = != > >= < "
                     "or <=",
                     word);
  if (filter->n == FILTER_TERMS)
    return fault_set(fault, ERR_USAGE, "more than %d filters", FILTER_TERMS);
  if (ARRAY_ROOM(filter->v, filter->room, filter->n + 1, fault)) return fault->code;
  FilterTerm *term = &filter->v[filter->n++];
  *term = (FilterTerm){.word = word, .op = op, .key = strndup(word, n_key)};
  if (!term->key) return fault_memory(fault, n_key);
  return read_values(term, word + n_key + n_op, fault);
}

void filter_deinit(Filter *filter) {
  for (int i = 0; i < filter->n; i++) {
    free(filter->v[i].key);
    for (int k = 0; k < filter->v[i].n_values; k++) free(filter->v[i].values[k]);
  }
  free(filter->v);
  *filter = (Filter){0};
}
