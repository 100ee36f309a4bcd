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
  for (int64_t i = 0; i < shape_count(&x->shape); i++) {
    double v = array_get(x, i);
    if (!(v >= 0 && v < 0x1p31) || v != (double)(int64_t)v)
      return refuse(set, "has values that are no numbers of tokens", fault);
  }
  return ERR_OK;
}

/* How many tokens there are: those of the vocabulary, else up to the largest number. */
static int64_t count_tokens(const Rows *rows) {
  int64_t n = rows->vocabulary ? rows->vocabulary->tokens.n : 1;
  for (int64_t i = 0; i < tensor_count(rows->x); i++) {
    int64_t number = (int64_t)array_get(&rows->x->a, i);
    if (number > n) n = number;
  }
  return n;
}

/* y: the numbers of x; weight: 1 at its tokens. */
static Err make_targets(const Dataset *set, int64_t n_tokens, Rows *out, Fault *fault) {
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
  out->n_classes = n_tokens + 1;
  return ERR_OK;
}

/* The vocabulary with "<mask>", the names of the classes. */
static Err name_tokens(const Dataset *set, Rows *out, Fault *fault) {
  const Vocabulary *v = set->rows->vocabulary;
  if (!v) return ERR_OK;
  vocabulary_release(out->vocabulary);
  out->vocabulary = vocabulary_with(v, TOKEN_MASK, fault);
  return out->vocabulary ? tokens_are_classes(out, fault) : ERR_MEMORY;
}

static Masker *new_masker(const Dataset *set, const Masker *like, int64_t n_tokens,
                          Fault *fault) {
  static const char *const fixed[] = {TOKEN_START, TOKEN_END};
  const Vocabulary *v = set->rows->vocabulary;
  Masker *m = malloc(sizeof *m);
  if (!m) {
    fault_memory(fault, sizeof *m);
    return NULL;
  }
  *m = *like;
  m->refs = 1;
  m->n_tokens = n_tokens;
  for (int i = 0; i < 2; i++)
    m->fixed[i] = v ? vocabulary_find(v, (Token){fixed[i], strlen(fixed[i])}) : 0;
  return m;
}

Dataset *dataset_mask_tokens(Dataset *set, const Masker *like, Fault *fault) {
  if (dataset_need_rows(set, "mask_tokens", fault) || check_tokens(set, fault))
    return NULL;
  int64_t n_tokens = count_tokens(set->rows);
  Rows rows;
  Err err = dataset_share_rows(set->rows, &rows, fault);
  if (!err) err = make_targets(set, n_tokens, &rows, fault);
  if (!err) err = name_tokens(set, &rows, fault);
  bool ok = false;
  int64_t *index = err ? NULL : dataset_copy_index(set, &ok, fault);
  Masker *masker = ok ? new_masker(set, like, n_tokens, fault) : NULL;
  if (!masker) {
    rows_deinit(&rows);
    free(index);
    return NULL;
  }
  Dataset *out = dataset_over_rows(set, &rows, index, set->n, fault);
  if (out) out->masker = masker;
  else masker_release(masker);
  return out;
}
