/* mask_tokens.c: sets of texts whose targets are the tokens themselves, hidden anew in
 * each epoch: set:mask_tokens. See masker.h. */
#include "data/dataset.h"
#include "data/sources.h"
#include "data/token_rows.h"
#include <stdlib.h>
#include <string.h>

static Err refuse(const Dataset *set, const char *why, Fault *fault) {
  return fault_set(fault, ERR_VALUE,
                   "mask_tokens: %s %s; allowed: a set of tokens by number, [n, t], as "
                   "data.text and data.lines give it",
                   set->name, why);
}

static Err check_tokens(const Dataset *set, Fault *fault) {
  const Rows *rows = set->rows;
  const Array *x = &rows->x->a;
  const Affine *a = &set->affine;
  bool as_is = a->n == 1 && a->shift[0] == 0 && a->scale[0] == 1;
  if (set->masker) return refuse(set, "has hidden tokens", fault);
  if (set->chain || set->mixer || !as_is) return refuse(set, "is transformed", fault);
  if (rows->n_more) return refuse(set, "has several inputs", fault);
  if (rows->weight) return refuse(set, "has weights, which would be lost", fault);
  if (x->shape.rank != 2) return refuse(set, "has rows of another shape", fault);
  double largest = rows->vocabulary ? (double)rows->vocabulary->tokens.n
                                    : INT32_MAX - 1;
  for (int64_t i = 0; i < shape_count(&x->shape); i++) {
    double v = array_get(x, i);
    if (!(v >= 0 && v <= largest) || v != (double)(int64_t)v)
      return refuse(set, "has values that are no numbers of tokens", fault);
  }
  return ERR_OK;
}

static int64_t number_of(const Vocabulary *v, const char *token) {
  return v ? vocabulary_find(v, (Token){token, strlen(token)}) : 0;
}

/* Up to the largest number. */
static int64_t count_tokens(const Rows *rows) {
  double n = 1;
  for (int64_t i = 0; i < tensor_count(rows->x); i++)
    n = fmax(n, array_get(&rows->x->a, i));
  return (int64_t)n;
}

/* The tokens: those of the vocabulary, else all numbers there are. "<mask>" is one more
 * behind them, unless the vocabulary, as that of another such set, has it. */
static void set_numbers(Masker *m, const Rows *rows) {
  const Vocabulary *v = rows->vocabulary;
  m->n_tokens = v ? v->tokens.n : count_tokens(rows);
  m->mask = number_of(v, TOKEN_MASK);
  if (m->mask == m->n_tokens) m->n_tokens--;
  if (!m->mask) m->mask = m->n_tokens + 1;
  m->fixed[0] = number_of(v, TOKEN_START);
  m->fixed[1] = number_of(v, TOKEN_END);
}

/* y: the numbers of x; weight: 1 at its tokens. */
static Err make_targets(const Dataset *set, Rows *out, Fault *fault) {
  const Tensor *x = set->rows->x, *mask = set->rows->mask;
  MemoryCount *memory = set->source->memory;
  out->y = tensor_new(memory, DT_INT32, &x->a.shape, fault);
  if (out->y) out->weight = tensor_new(memory, DT_REAL, &x->a.shape, fault);
  if (!out->weight) return fault->code;
  for (int64_t i = 0; i < tensor_count(x); i++) {
    double number = array_get(&x->a, i);
    bool counts = number > 0 && (!mask || array_get(&mask->a, i) != 0);
    array_set(&out->y->a, i, counts ? number : 0);
    tensor_reals(out->weight)[i] = counts;
  }
  return ERR_OK;
}

/* The vocabulary with "<mask>", the names of the classes. */
static Err name_tokens(const Dataset *set, const Masker *m, Rows *out, Fault *fault) {
  const Vocabulary *v = set->rows->vocabulary;
  if (!v) out->n_classes = m->mask;
  if (!v) return ERR_OK;
  vocabulary_release(out->vocabulary);
  out->vocabulary = vocabulary_with(v, TOKEN_MASK, fault);
  return out->vocabulary ? tokens_are_classes(out, fault) : ERR_MEMORY;
}

static Masker *new_masker(const Dataset *set, const Masker *like, Fault *fault) {
  Masker *m = malloc(sizeof *m);
  if (!m) {
    fault_memory(fault, sizeof *m);
    return NULL;
  }
  *m = *like;
  m->refs = 1;
  set_numbers(m, set->rows);
  return m;
}

Dataset *dataset_mask_tokens(Dataset *set, const Masker *like, Fault *fault) {
  if (dataset_need_rows(set, "mask_tokens", fault) || check_tokens(set, fault))
    return NULL;
  Masker *masker = new_masker(set, like, fault);
  if (!masker) return NULL;
  Rows rows;
  Err err = dataset_share_rows(set->rows, &rows, fault);
  if (!err) err = make_targets(set, &rows, fault);
  if (!err) err = name_tokens(set, masker, &rows, fault);
  bool ok = false;
  int64_t *index = err ? NULL : dataset_copy_index(set, &ok, fault);
  Dataset *out = ok ? dataset_over_rows(set, &rows, index, set->n, fault) : NULL;
  if (!ok) rows_deinit(&rows);
  if (out) out->masker = masker;
  else masker_release(masker);
  return out;
}
