/* conv_private.h: what files of convolutions share.
 *
 * A result (y, or the gradient of x) is a sum over taps: (plane, r, s), a plane of its
 * sources and an element of the kernel. Forward, sources are the planes of x; of the
 * gradient of x those of y's, and where the kernel goes by strides only some (r, s)
 * meet a pixel: those of equal remainder of row and column form a grid, with taps of
 * their own. Forward there is one grid.
 *
 *   pixel (i, j) of a grid   at first + (i, j) times step of the result
 *   its tap                  at (i, j) times walk + offset of the sources
 *
 * Window. Where taps reach beyond the sources, these are copied, a slab at a time, with
 * zeros around them, so that every tap of every pixel lies in the window; else they are
 * read where they lie. A pixel and a tap are one number each, and their sum is where
 * the source lies.
 *
 * Runs. Rows of the kernel that see nothing but zeros are left out: taps are ordered by
 * r, then plane, then s, so those of neighbouring r are one stretch of the list.
 *
 * Slab. Some images, or some rows of the grids of one, for one group; a part is a range
 * of slabs that one thread takes, with a window of its own. */
#ifndef KERNEL_CONV_PRIVATE_H
#define KERNEL_CONV_PRIVATE_H

#include "base/ints.h"
#include "kernel/conv.h"
#include "kernel/kernel.h"

/* What the vectors of sums are, and so which loops go by first. */
typedef enum ConvWay {
  CONV_ACROSS,  /* results: of a pixel side by side, then turned to images */
  CONV_ALONG,   /* pixels, of several results at a time */
  CONV_PRODUCT, /* the same, of a kernel of one element: a product of matrices */
  CONV_IMAGE    /* pixels, of several rows of one result: where results are few */
} ConvWay;

typedef struct ConvPlan {
  Conv v;
  bool to_x;                    /* the result is the gradient of x */
  int64_t M, planes;            /* results and sources of a group */
  int64_t lanes;                /* of all panels of a group */
  int64_t size[2], out_size[2]; /* rows, columns of a source and a result */
  int64_t walk[2], step[2];     /* from pixel to pixel, of sources and result */
  int64_t grids[2], n_grids;    /* along rows and columns; in all */
  int64_t first[2];            /* of sources: where the window of pixel (0, 0) begins */
  int64_t room[2];             /* rows, columns of a window */
  int64_t plane, pitch, image; /* elements: from plane to plane, row to row ... */
  bool padded;                 /* do taps reach beyond the sources? */
  ConvWay way;
  bool plain; /* sums are taken one by one: windows would be too large */
  int64_t slab_images, slab_rows;    /* of grids */
  int64_t n_bands, n_slabs, n_parts; /* of rows; of all groups; of slabs */
  int64_t taps, pixels;              /* room for the lists of all grids */
} ConvPlan;

typedef struct ConvGrid {
  int64_t phase[2]; /* row and column of its first pixel in the result */
  int64_t size[2];
  int64_t n_taps, row_taps; /* of all planes; those of one row of the kernel */
  int64_t at_tap, at_pixel, at_packed; /* where its own begin in the shared memory */
} ConvGrid;

typedef struct ConvSlab {
  int64_t group, image, n_images, row, n_rows;
} ConvSlab;

/* Rows of a grid in a slab whose pixels see the same rows of the kernel: of those that
 * meet pixels of the grid, numbers lo to hi. */
typedef struct ConvRun {
  int64_t row, n_rows, lo, hi;
} ConvRun;
enum { CONV_RUNS = 32, CONV_GRIDS = 64 }; /* at most */

ConvPlan conv_plan(const Conv *v, bool to_x);
ConvGrid conv_grid(const ConvPlan *p, int64_t number);
ConvSlab conv_slab(const ConvPlan *p, int64_t number);
/* The offset in the sources of element `in_kernel`, along an axis; false: it meets no
 * pixel of this phase. */
bool conv_offset(const ConvPlan *p, int axis, int64_t phase, int64_t in_kernel,
                 int64_t *offset);
/* How many elements of the kernel, along an axis, meet pixels of a phase. */
int64_t conv_offsets(const ConvPlan *p, int axis, int64_t phase);
/* Rows `row` to `end` of a grid as runs; how many. */
int conv_runs(const ConvPlan *p, const ConvGrid *g, int64_t row, int64_t end,
              ConvRun *run);
/* The list of taps of a grid. */
void conv_list_taps(const ConvPlan *p, const ConvGrid *g, int32_t *tap);
/* Of rows of a slab, image by image: where its pixels are. Returns the end of the list.
 */
int32_t *conv_list_pixels(const ConvPlan *p, const ConvGrid *g, int64_t n_images,
                          int64_t row, int64_t n_rows, int32_t *pixel);
/* Elements of a window; 0: there is none. */
int64_t conv_window_reals(const ConvPlan *p);
/* To be done once with the memory of a window, if there is one; then it is filled for
 * any slab. */
void conv_clear_window(const ConvPlan *p, real *window);
/* What taps and pixels of a slab are counted from: the filled window, or the sources.
 */
const real *conv_fill_window(const ConvPlan *p, const ConvSlab *s, const real *sources,
                             real *window);
/* Rounded up, so that what follows begins at 64 bytes. */
static inline int64_t conv_aligned(int64_t n) { return (n + 15) / 16 * 16; }

enum {
  CONV_DEPTH = 256, /* terms of a sum that are taken one after the other, at most */
  CONV_SLACK = 16   /* rows beyond the last that kernels may write */
};
/* Where piece i of K terms begins; there are conv_pieces(K), one at least. */
static inline int64_t conv_pieces(int64_t K) {
  return most(1, divide_up(K, CONV_DEPTH));
}
static inline int64_t conv_piece(int64_t K, int64_t i) {
  return K * i / conv_pieces(K);
}

/* The results of all rows of a slab, term by term: conv_plain.c. */
void conv_plain_slab(const ConvPlan *p, const ConvSlab *s, real *out,
                     const real *sources, const real *w);

/* Convolutions of 3 x 3 and 5 x 5 elements with fewer products, where that is faster,
 * with blocks as those of conv.h: conv_winograd.c. */
bool conv_is_winograd(const Conv *v, ConvResult result);
int64_t conv_winograd_blocks(const Conv *v, ConvResult result, int phase);
ConvBytes conv_winograd_bytes(const Conv *v, ConvResult result);
void conv_winograd_run(const Conv *v, ConvResult result, int phase, int64_t block,
                       real *out, const real *const in[2], ConvMemory memory);

/* The gradient of the weights: conv_weight.c. */
int64_t conv_weight_blocks(const Conv *v, int phase);
ConvBytes conv_weight_bytes(const Conv *v);
/* Of one filter of all groups, term by term; in: y's gradient, x. */
void conv_weight_plainly(const Conv *v, int64_t filter, real *w,
                         const real *const in[2]);
void conv_weight_run(const Conv *v, int phase, int64_t block, real *w,
                     const real *const in[2], ConvMemory memory);

#endif
