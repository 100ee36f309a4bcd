/* plan_arena.h: offsets in the arena, by size and lifetime. */
#ifndef GRAPH_PLAN_ARENA_H
#define GRAPH_PLAN_ARENA_H

#include "base/fault.h"
#include <stddef.h>
#include <stdint.h>

/* One stretch of arena: a value with its heirs, or an item's scratch memory. */
typedef struct Stretch {
  int64_t value; /* -1: scratch of `item` */
  int item;
  int born, dies; /* jobs during which it is taken, both included */
  size_t n_bytes;
  size_t offset; /* found by stretches_place */
} Stretch;

typedef struct StretchesSize {
  size_t n_bytes;  /* of an arena that holds them all */
  int64_t n_looks; /* taken spans that were looked at on the way: a measure of work */
} StretchesSize;

/* Size of a piece of arena for n bytes. */
static inline size_t plan_rounded(size_t n) { return (n + 63) / 64 * 64; }

/* The largest first, each at the lowest offset that is free for all of its life. Jobs
 * are numbered below n_jobs. Sorts the list. */
Err stretches_place(Stretch *s, int n, int n_jobs, StretchesSize *out,
                    Fault *fault) WARN_UNUSED;

#endif
