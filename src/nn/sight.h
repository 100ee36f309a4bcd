/* sight.h: which keys the queries of attention may see in one call of a net, beside
 * what masks of steps and `causal` leave out. It lives as long as the call. */
#ifndef NN_SIGHT_H
#define NN_SIGHT_H

#include "graph/graph.h"

/* Each mask is [N, Q, S], or broadcasts to it: above 1/2 where a query may see a key.
 * NULL: it may see all. Borrowed. */
typedef struct Sight {
  Node *own;     /* of all attention but ... */
  Node *memory;  /* ... a decoder's to its memory */
  bool own_used; /* some layer has asked for it */
  bool memory_used;
} Sight;

#endif
