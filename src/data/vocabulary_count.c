/* vocabulary_count.c: vocabularies made of the tokens that occur; see vocabulary.h. */
#include "base/array.h"
#include "base/ints.h"
#include "data/vocabulary.h"
#include <stdlib.h>
#include <string.h>

/* What a vocabulary is made by is refused where one is given that is not so. */
Err vocabulary_plan_check(const VocabularyPlan *plan, const char *label, Fault *fault) {
  const Vocabulary *given = plan->given;
  if (!given) return ERR_OK;
  if (plan->sort != TOKEN_CHARACTERS && plan->sort != given->sort)
    return fault_set(fault, ERR_VALUE,
                     "%s: option \"by\": got %s, but the vocabulary is one of %s",
                     label, token_sorts[plan->sort], token_sorts[given->sort]);
  const char *option = plan->lower && !given->lower ? "lower"
                       : plan->least > 1            ? "min_count"
                       : plan->most > 0             ? "max_tokens"
                                                    : NULL;
  if (!option) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "%s: option \"%s\" says how a vocabulary is made, but one is given, "
                   "which was made otherwise: leave out one of them",
                   label, option);
}

void vocabulary_plan_add_key(const VocabularyPlan *plan, Text *out) {
  if (plan->given)
    text_addf(out, " with vocabulary %016llx",
              (unsigned long long)vocabulary_hash(plan->given));
}

/* -- counting ---------------------------------------------------------------------- */

static Err count_tokens(TokenCount *c, const char *at, size_t n_bytes, Fault *fault) {
  Tokens text = {at, at + n_bytes, c->plan->sort, 1};
  Token token;
  while (tokens_next(&text, &token)) {
    int64_t number, before = c->tokens->tokens.n;
    Err err = vocabulary_add(c->tokens, token, &number, fault);
    if (!err) err = ARRAY_ROOM(c->count, c->room, number, fault);
    if (err) return err;
    must(c->count);
    if (number > before) c->count[before] = 0;
    c->count[number - 1]++;
  }
  return ERR_OK;
}

Err token_count_add(TokenCount *c, const char *at, size_t n_bytes, Fault *fault) {
  if (c->plan->given) return ERR_OK;
  if (!c->tokens) c->tokens = vocabulary_new(c->plan->sort, c->plan->lower, fault);
  if (!c->tokens) return fault->code;
  Text small = {0};
  if (c->plan->lower) tokens_lower(&small, at, n_bytes);
  Err err = small.failed ? fault_memory(fault, n_bytes) : ERR_OK;
  if (!err && small.data) at = small.data, n_bytes = small.n_bytes;
  if (!err) err = count_tokens(c, at, n_bytes, fault);
  text_deinit(&small);
  return err;
}

void token_count_deinit(TokenCount *c) {
  vocabulary_release(c->tokens);
  free(c->count);
  *c = (TokenCount){.plan = c->plan};
}

/* -- numbering --------------------------------------------------------------------- */

typedef struct Counted {
  const char *token;
  int64_t count;
} Counted;

static int by_bytes(const void *a, const void *b) {
  return strcmp(((const Counted *)a)->token, ((const Counted *)b)->token);
}

static int by_count(const void *a, const void *b) {
  const Counted *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return by_bytes(a, b);
}

/* Those that are kept, in their order: `n` of them. */
static Counted *sorted(const TokenCount *c, int64_t n_first, int64_t *n, Fault *fault) {
  const Names *tokens = &c->tokens->tokens;
  Counted *v = malloc((size_t)most(tokens->n, 1) * sizeof *v);
  if (!v) {
    fault_memory(fault, (size_t)tokens->n * sizeof *v);
    return NULL;
  }
  *n = 0;
  must(c->count || tokens->n == 0);
  for (int64_t i = 0; i < tokens->n; i++)
    if (c->count[i] >= c->plan->least) v[(*n)++] = (Counted){tokens->v[i], c->count[i]};
  qsort(v, (size_t)*n, sizeof *v, by_count);
  if (c->plan->most) *n = least(*n, most(c->plan->most - n_first, 0));
  if (c->plan->sort == TOKEN_CHARACTERS) qsort(v, (size_t)*n, sizeof *v, by_bytes);
  return v;
}

static Err add_name(Vocabulary *v, const char *name, Fault *fault) {
  return vocabulary_add(v, (Token){name, strlen(name)}, NULL, fault);
}

Vocabulary *token_count_end(TokenCount *c, const char *const *first, Fault *fault) {
  const VocabularyPlan *plan = c->plan;
  if (plan->given) return vocabulary_retain(plan->given);
  must(c->tokens);
  Vocabulary *out = vocabulary_new(plan->sort, plan->lower, fault);
  Err err = out ? ERR_OK : ERR_MEMORY;
  if (!err && plan->unknown) err = add_name(out, TOKEN_UNKNOWN, fault);
  for (int i = 0; first[i] && !err; i++) err = add_name(out, first[i], fault);
  int64_t n = 0;
  Counted *kept = err ? NULL : sorted(c, out->tokens.n, &n, fault);
  if (!kept) err = ERR_MEMORY;
  for (int64_t i = 0; i < n && !err; i++) err = add_name(out, kept[i].token, fault);
  free(kept);
  if (!err) return out;
  vocabulary_release(out);
  return NULL;
}

Vocabulary *vocabulary_of_characters(const char *at, size_t n_bytes, Fault *fault) {
  static const char *const none[] = {NULL};
  VocabularyPlan plan = {.sort = TOKEN_CHARACTERS, .least = 1};
  TokenCount count = {.plan = &plan};
  Vocabulary *v = NULL;
  if (!token_count_add(&count, at, n_bytes, fault))
    v = token_count_end(&count, none, fault);
  token_count_deinit(&count);
  return v;
}
