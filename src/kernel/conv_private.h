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
 * Window. Sources are copied, a slab at a time, with the zeros around them, so that
 * every tap of every pixel lies in it: a pixel and a tap are one number each, and their
 * sum is where the source lies. Where the walk along a row is longer than 1, columns of
 * equal remainder lie together:
 *
 *   row of the window:  [remainder 0: columns 0, walk, 2 walk, ...][remainder 1: ...]
 *
 * Slab. Some images, or some rows of the grids of one, for one group; a part is a range
 * of slabs that one thread takes, with a window of its own. */
#ifndef KERNEL_CONV_PRIVATE_H
#define KERNEL_CONV_PRIVATE_H

#include "kernel/conv.h"
#include "kernel/kernel.h"

typedef struct ConvPlan {
  Conv v;
  bool to_x;                         /* the result is the gradient of x */
  int64_t M, planes;                 /* results and sources of a group */
  int64_t size[2], out_size[2];      /* rows, columns of a source and a result */
  int64_t walk[2], step[2];          /* from pixel to pixel, of sources and result */
  int64_t n_grids;                   /* step[0] step[1], but no empty ones */
  int64_t grids[2];                  /* along rows, columns */
  int64_t first[2];                  /* of sources: where the window of pixel (0, 0)
                                        begins */
  int64_t room[2];                   /* rows, columns of a window */
  int64_t lane, pitch, plane, image; /* elements: of a remainder, row, plane, image */
  bool padded;                       /* does a window reach beyond the image? */
  bool plain;                        /* sums are taken one by one: windows would be too
                                        large */
  int64_t slab_images, slab_rows;    /* of grids */
  int64_t n_bands, n_slabs, n_parts; /* of rows; of all groups; of slabs */
  int64_t taps, pixels;              /* room for the lists of all grids */
  int64_t lanes;                     /* of all panels of a group */
} ConvPlan;

typedef struct ConvGrid {
  int64_t phase[2]; /* row and column of its first pixel in the result */
  int64_t size[2];
  int64_t n_taps;                      /* of all planes */
  int64_t at_tap, at_pixel, at_packed; /* where its own begin in the shared memory */
} ConvGrid;

typedef struct ConvSlab {
  int64_t group, image, n_images, row, n_rows;
} ConvSlab;

ConvPlan conv_plan(const Conv *v, bool to_x);
ConvGrid conv_grid(const ConvPlan *p, int64_t number);
ConvSlab conv_slab(const ConvPlan *p, int64_t number);
/* The offset in the sources of element `in_kernel`, along an axis; false: it meets no
 * pixel of this phase. */
bool conv_offset(const ConvPlan *p, int axis, int64_t phase, int64_t in_kernel,
                 int64_t *offset);
/* How many elements of the kernel, along an axis, meet pixels of a phase. */
int64_t conv_offsets(const ConvPlan *p, int axis, int64_t phase);
/* The lists of taps and pixels of a grid, pixels of whole slabs. */
void conv_list_taps(const ConvPlan *p, const ConvGrid *g, int32_t *tap);
void conv_list_pixels(const ConvPlan *p, const ConvGrid *g, int32_t *pixel);
/* Copies what a slab needs of the sources. */
void conv_fill_window(const ConvPlan *p, const ConvSlab *s, const real *sources,
                      real *window);
/* Elements of a window. */
int64_t conv_window_reals(const ConvPlan *p);
/* Rounded up, so that what follows begins at 64 bytes. */
static inline int64_t conv_aligned(int64_t n) { return (n + 15) / 16 * 16; }

enum {
  CONV_DEPTH = 256, /* terms of a sum that are taken one after the other, at most */
  CONV_SLACK = 16   /* rows beyond the last that kernels may write */
};
/* Where piece i of K terms begins; there are conv_pieces(K). */
static inline int64_t conv_pieces(int64_t K) {
  return (K + CONV_DEPTH - 1) / CONV_DEPTH;
}
static inline int64_t conv_piece(int64_t K, int64_t i) {
  return K * i / conv_pieces(K);
}

/* The gradient of the weights: conv_weight.c. */
int64_t conv_weight_blocks(const Conv *v, int phase);
size_t conv_weight_bytes(const Conv *v);
void conv_weight_run(const Conv *v, int phase, int64_t block, real *w,
                     const real *const in[2], void *scratch);

#endif
