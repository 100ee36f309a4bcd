/* buckets.h: batches of sequences of like lengths, cut to what their rows need; private
 * to data/.
 *
 * Rows are put into buckets by their numbers of steps. A batch has rows of one bucket,
 * or of several that are next to each other, and as many steps as the longest rows of
 * the last of them need: so the batches of a fit have few different shapes, each with
 * its plan.
 */
#ifndef DATA_BUCKETS_H
#define DATA_BUCKETS_H

#include "base/philox.h"
#include "tensor/tensor.h"

typedef struct Buckets {
  int64_t n;
  int64_t *steps; /* of each bucket, from few to many */
  int64_t *of;    /* the bucket of each row of the set */
  int64_t t;      /* steps of a row before it is cut */
  bool left;      /* rows are filled up on the left */
  int64_t *room;  /* for orders: twice as many as there are rows */
} Buckets;

/* Of a mask [rows, t], whose rows are those of `rows`, n of them; NULL: all in order.
 * At most `most` buckets, of about equally many rows. NULL and a fault. */
Buckets *buckets_new(const Array *mask, const int64_t *rows, int64_t n, int64_t most,
                     Fault *fault);
void buckets_free(Buckets *buckets); /* NULL is a no-op */

/* The rows in `order`, n of them, bucket after bucket, each as they were; then the full
 * batches of `size` rows in an order drawn of the stream; NULL: as they are. */
void buckets_order(Buckets *buckets, int64_t *order, int64_t n, int64_t size,
                   const Stream *stream);
/* Steps of a batch of these rows. */
int64_t buckets_steps(const Buckets *buckets, const int64_t *rows, int64_t n);

/* What `from` has [n, t, ...], cut to `steps` in `to` [n, steps, ...]. */
void buckets_cut(const Buckets *buckets, const Array *from, const Array *to);

#endif
