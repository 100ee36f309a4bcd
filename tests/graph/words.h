/* words.h: an op for tests whose value is the words of its attributes: lists of any
 * length, and more attributes than ops of the library have. */
#ifndef TESTS_GRAPH_WORDS_H
#define TESTS_GRAPH_WORDS_H

#include "graph/op.h"

static inline Err words_infer(OpInfer *io) {
  io->out_shape[0] = SHAPE_OF(io->n_attr);
  return ERR_OK;
}

static inline void words_run(const OpCall *call, int phase, int64_t block) {
  const Attr *at = call->attr;
  real *y = call->out[0].data;
  (void)phase, (void)block;
  for (const OpAttr *a = call->op->attrs; a->name; a++) {
    bool is_real = a->kind == ATTR_REAL;
    int n = attr_length(a->kind, at);
    for (int k = 0; k < n; k++) *y++ = (real)(is_real ? at[k].f : (double)at[k].i);
    at += n;
  }
}

#define WORDS_DIGIT(name_)                                                             \
  {.name = name_, .kind = ATTR_INT, .value = "0", .lo = 0, .hi = 9}

static const Op op_words = {
    .name = "words", .n_in = 1, .n_out = 1, .infer = words_infer, .run = words_run,
    .vjp = vjp_none,
    .attrs = OP_ATTRS({.name = "one", .kind = ATTR_INTS, .value = "",
                       .doc = "any number of them"},
                      {.name = "other", .kind = ATTR_INTS, .value = "3 -4"},
                      {.name = "pair", .kind = ATTR_INTS, .value = "1 1", .lo = 1,
                       .hi = 9, .n_least = 2, .n_most = 2},
                      {.name = "few", .kind = ATTR_INTS, .value = "5", .n_least = 1,
                       .n_most = 3},
                      {.name = "rate", .kind = ATTR_REAL, .value = "0.5"},
                      WORDS_DIGIT("a"), WORDS_DIGIT("b"), WORDS_DIGIT("c"),
                      WORDS_DIGIT("d"), WORDS_DIGIT("e"), WORDS_DIGIT("f"),
                      WORDS_DIGIT("g"), WORDS_DIGIT("h"), WORDS_DIGIT("i"),
                      WORDS_DIGIT("j"), WORDS_DIGIT("k"), WORDS_DIGIT("l"))};

enum { WORDS_DIGITS = 12, WORDS_MOST = 1 << 14 };

/* An application: the two lists, {7, 8}, {5}, 0.25, and digits 0, 1, 2, ...; returns
 * how many words. */
static inline int words_attr(Attr *attr, const int64_t *one, int n_one,
                             const int64_t *other, int n_other) {
  int n = ints_to_attr(attr, one, n_one);
  n += ints_to_attr(attr + n, other, n_other);
  n += ints_to_attr(attr + n, (int64_t[]){7, 8}, 2);
  n += ints_to_attr(attr + n, (int64_t[]){5}, 1);
  attr[n++].f = 0.25;
  for (int k = 0; k < WORDS_DIGITS; k++) attr[n++].i = k % 10;
  return n;
}

static inline Node *words_node(Graph *g, const int64_t *one, int n_one,
                               const int64_t *other, int n_other) {
  static Attr attr[WORDS_MOST];
  Node *x = graph_scalar(g, 0);
  must(n_one + n_other < WORDS_MOST - 32);
  int n = words_attr(attr, one, n_one, other, n_other);
  return graph_apply(g, &op_words, &x, 1, attr, n);
}

#endif
