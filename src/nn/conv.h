/* conv.h: what layers of convolution share. */
#ifndef NN_CONV_H
#define NN_CONV_H

#include "graph/ops.h"
#include "nn/linear.h"
#include "nn/window.h"

/* Of a kernel that moves over images. `groups`: into which the channels are divided. */
typedef struct Conv {
  Linear linear;
  int64_t filters, groups;
  IntPair kernel, stride, dilation; /* of rows and columns */
  Sides padding;
} Conv;

/* As linear_check; the filters must fall into as many groups. */
Err conv_check(Linear *self, int64_t filters, int64_t groups, Fault *fault) WARN_UNUSED;
/* ERR_SHAPE: not [N, C, H, W], or the channels in as many groups as the layer has? */
Err conv_check_images(const Conv *self, const Shape *x, Fault *fault) WARN_UNUSED;
/* The kernel along rows (axis 0) or columns (1) of n pixels, which the steps get. */
Window conv_along(const Conv *self, int axis, int64_t n, ConvSteps *steps);
/* Of images: with the bias, variable `bias` of the layer, a Conv, if it has it, per
 * channel; then the activation. */
Node *conv_finish(Graph *graph, Layer *layer, Node *y, int bias);
/* Images of C channels; else a fault. */
bool conv_takes(Graph *graph, Layer *layer, const Shape *x, int64_t C);

#define CONV_FILTERS(type)                                                             \
  {.name = "filters", .kind = OPT_INT, .offset = offsetof(type, filters),              \
   .position = 1, .lo = 1, .hi = 1e9, .alias = "out_channels", .sizes = true,          \
   .doc = "number of channels of the result"}
#define CONV_KERNEL(place)                                                             \
  {.name = "kernel_size", .kind = OPT_PAIR, .offset = offsetof(Conv, kernel),          \
   .position = place, .lo = 1, .hi = 1e9, .sizes = true,                               \
   .doc = "rows and columns of the kernel"}
#define CONV_STRIDE(text)                                                              \
  {.name = "stride", .kind = OPT_PAIR, .offset = offsetof(Conv, stride), .value = "1", \
   .lo = 1, .hi = 1e9, .alias = "strides", .doc = text}
#define CONV_STRIDE_TEXT "step from one position of the kernel to the next, in pixels"
#define CONV_DILATION                                                                  \
  {.name = "dilation", .kind = OPT_PAIR, .offset = offsetof(Conv, dilation),           \
   .value = "1", .lo = 1, .hi = 1e9, .alias = "dilation_rate",                         \
   .doc = "step from one element of the kernel to the next, in pixels"}
#define CONV_GROUPS(type)                                                              \
  {.name = "groups", .kind = OPT_INT, .offset = offsetof(type, groups), .value = "1",  \
   .lo = 1, .hi = 1e9, .sizes = true,                                                  \
   .doc = "number of groups into which the channels are divided; a group sees only "   \
          "its own channels"}
#define CONV_SOURCE                                                                    \
  "Goodfellow, Bengio & Courville, Deep Learning, 2016, chapter 9; Dumoulin & Visin, " \
  "arXiv:1603.07285"

#endif
