/* ops.h: C constructors of the ops that C code makes: each checks shapes, makes a node,
 * computes nothing.
 * Nodes are borrowed until the scope ends; NULL in gives NULL out (see graph.h).
 * The equations stand in the records (ops_<family>.c). Axes count from 0 here. */
#ifndef GRAPH_OPS_H
#define GRAPH_OPS_H

#include "graph/op.h"

/* Elementwise, one input or two, without attributes: op_neg(g, x) ..., op_add(g, x, y)
 * ... Of two inputs NumPy broadcasting; of integers real, but for maximum and minimum
 * (see ops_elementwise.c). Comparisons give reals 0 and 1. op_chain_mul and
 * op_chain_div are g d and g / d of a gradient g and what it is multiplied with or
 * divided by: the chain rule, but where nothing flows (g is 0) nothing flows on,
 * whatever d is. Every rule of elementwise ops and reductions multiplies by these, so
 * that a branch not taken gives 0. */
#define KERNEL(type, name, args)
#define UNARY(name)                                                                    \
  static inline Node *op_##name(Graph *g, Node *x) {                                   \
    return graph_apply(g, &op_record_##name, (Node *[]){x}, 1, NULL, 0);               \
  }
#define BINARY(name)                                                                   \
  static inline Node *op_##name(Graph *g, Node *x, Node *y) {                          \
    return graph_apply(g, &op_record_##name, (Node *[]){x, y}, 2, NULL, 0);            \
  }
#include "kernel/elementwise.def"
#undef KERNEL

Node *op_leaky_relu(Graph *g, Node *x, double negative_slope);
Node *op_elu(Graph *g, Node *x, double alpha);
Node *op_clip(Graph *g, Node *x, double lo, double hi);
Node *op_where(Graph *g, Node *condition, Node *x, Node *y);
Node *op_cast(Graph *g, Node *x, DType dtype); /* x itself when it has that dtype */
/* x scaled by a constant. */
Node *op_scale(Graph *g, Node *x, double factor);

/* Reductions. `axes`: bit set; ALL_AXES: all. */
#define ALL_AXES (~0u)
Node *op_sum(Graph *g, Node *x, unsigned axes, bool keepdims);
Node *op_mean(Graph *g, Node *x, unsigned axes, bool keepdims);
Node *op_var(Graph *g, Node *x, unsigned axes, bool keepdims);  /* biased: /n */
Node *op_norm(Graph *g, Node *x, unsigned axes, bool keepdims); /* no gradient */
Node *op_quick_norm(Graph *g,
                    Node *x); /* of all elements, to six digits; no gradient */
Node *op_max(Graph *g, Node *x, unsigned axes, bool keepdims);
/* x summed over the axes along which `shape` was broadcast to x's shape. */
Node *op_sum_to(Graph *g, Node *x, const Shape *shape);

/* Shapes. */
Node *op_reshape(Graph *g, Node *x, const Shape *shape); /* a dim may be -1 */
/* v [C] with axes behind it, so that it broadcasts along axis 1 of x. */
Node *op_channels(Graph *g, Node *v, const Shape *x);
Node *op_broadcast_to(Graph *g, Node *x, const Shape *shape);
Node *op_transpose(Graph *g, Node *x, const int *perm); /* NULL: reversed */
Node *op_slice(Graph *g, Node *x, const int64_t *start, const int64_t *count,
               const int64_t *step); /* per axis; step may be negative */
Node *op_concat(Graph *g, Node *const *x, int n, int axis);
Node *op_pad(Graph *g, Node *x, const int64_t *before, const int64_t *after);
Node *op_full(Graph *g, double value, const Shape *shape); /* real */

/* Indices count from 1, in Lua and here: they are data. */
Node *op_gather(Graph *g, Node *x,
                Node *index); /* rows of axis 0: [n,...],[k] -> [k,...] */
Node *op_embed(Graph *g, Node *x, Node *index); /* the same; index 0 gives zeros */
Node *op_one_hot(Graph *g, Node *index, int64_t classes);

/* Creation and draws; the stream position is fixed here, by the caller's graph_draw. */
Node *op_arange(Graph *g, double first, double step, int64_t n);
Node *op_eye(Graph *g, int64_t n);
Node *op_random_uniform(Graph *g, const Shape *shape, double lo, double hi, Stream s);
Node *op_random_normal(Graph *g, const Shape *shape, double mean, double std, Stream s);
Node *op_random_int(Graph *g, const Shape *shape, int64_t lo, int64_t hi, Stream s);
/* 0 with probability `rate`, else 1 / (1 - rate). */
Node *op_dropout_mask(Graph *g, const Shape *shape, double rate, Stream s);

/* [.., M, K] x [K, N] or [B.., K, N]; a transposed operand is folded into the
 * product. */
Node *op_matmul(Graph *g, Node *x, Node *y);

Node *op_softmax(Graph *g, Node *x, int axis);
Node *op_log_softmax(Graph *g, Node *x, int axis);
/* logits [N, C], labels [N] from 1 -> loss per row [N]; pick 1 of it: probabilities. */
Node *op_softmax_cross_entropy(Graph *g, Node *logits, Node *labels);

/* ERR_DATA unless all are whole numbers from 1 to C (0: any number); the first is
 * number `first`, from 0. */
Err op_labels_check(const Array *labels, int64_t C, int64_t first,
                    Fault *fault) WARN_UNUSED;
/* Targets of a cross-entropy, real, from 0 to 1; labels: integers are labels 1 and 2,
 * which become 0 and 1. Others are refused when computed, as op_targets_check does. */
Node *op_targets(Graph *g, Node *t, bool labels);
/* ERR_DATA that names the first element that such targets may not hold; rows are
 * counted from `first_row`, from 0. */
Err op_targets_check(const Array *t, bool labels, int64_t first_row,
                     Fault *fault) WARN_UNUSED;
/* Weights of examples, real; such as are below 0 or not finite are refused when
 * computed, and weights that are all 0 unless `none` allows it. */
Node *op_weights(Graph *g, Node *w, bool none);
/* A mask, real; one that holds anything but 0 and 1 is refused when computed. */
Node *op_mask(Graph *g, Node *mask);
/* A mask of steps, refused when computed where it counts fewer than two values of a
 * channel, which has `each` in a step. */
Node *op_counted(Graph *g, Node *mask, int64_t each);

/* Training-mode normalization. x [N, C, ...], weight and bias [C] (NULL: 1 and 0).
 * Picks: 0 y; 1 batch mean [C]; 2 batch variance (biased) [C]. */
Node *op_batch_norm(Graph *g, Node *x, Node *weight, Node *bias, double eps);
/* Over the last axis. weight and bias [D] (NULL: 1 and 0). */
Node *op_layer_norm(Graph *g, Node *x, Node *weight, Node *bias, double eps);

/* (x - mean) scale + bias; the last three of one shape, which broadcasts to that of x.
 */
Node *op_normalize(Graph *g, Node *x, Node *mean, Node *scale, Node *bias);

/* Convolution: x [N, C, H, W], w [filters, C / groups, kh, kw]. Along rows and columns:
 * steps, zeros before and after the image, steps within the kernel. */
typedef struct ConvSteps {
  int64_t stride[2], before[2], after[2], dilation[2], groups;
} ConvSteps;
Node *op_conv2d(Graph *g, Node *x, Node *w, const ConvSteps *steps);
/* Its transpose by x: images of that many rows and columns, of which conv2d with these
 * steps and w makes images of the size of y. */
Node *op_conv2d_data(Graph *g, Node *y, Node *w, const ConvSteps *steps,
                     const int64_t size[2]);

/* Of windows of images x [N, C, H, W]; the rows and columns `n` of the plane follow
 * from x. */
Node *op_max_pool(Graph *g, Node *x, const PoolPlane *v);
Node *op_mean_pool(Graph *g, Node *x, const PoolPlane *v);
/* Images of other rows and columns; aligned: by the corners, of linear. */
Node *op_resample(Graph *g, Node *x, const int64_t size[2], bool linear, bool aligned);

/* A recurrent cell over a sequence (recurrent.h): in is x [N, T, F], the flat weight,
 * the state [N, S H], the mask [N, T] and, if n_in is 5, drop [N, H]. Picks: 0 h of all
 * steps [N, T, H]; 1 the last state. */
typedef struct RecurrentForm {
  int form;           /* of the cell: which, its file says */
  bool reverse, keep; /* from the last step; for a gradient that will be asked for */
} RecurrentForm;
enum { LSTM_PLAIN, LSTM_PEEPHOLES };
enum { GRU_RESET_AFTER, GRU_RESET_BEFORE }; /* the product with h */
enum { RNN_TANH, RNN_RELU };
Node *op_recurrent(Graph *g, const Op *cell, Node *const *in, int n_in,
                   const RecurrentForm *form);
/* The same step by step in plain ops, with the products normalized, each matrix's by
 * itself, times a gain [G H], and what h sees of the rest of the state, times weight
 * [H] plus bias [H], NULL where there is no rest. Fills out with h of all steps and the
 * last state. */
typedef struct RecurrentNorms {
  Node *gain_x, *gain_h, *weight, *bias;
  double eps;
} RecurrentNorms;
void op_recurrent_normed(Graph *g, const Op *cell, Node *const *in, int n_in,
                         const RecurrentForm *form, const RecurrentNorms *norms,
                         Node **out);

/* q [N, Q, H D], k [N, S, H D], v [N, S, H E], `heads` of them; mask [N, S] or [N, Q,
 * S] and keep [N, H, Q, S] or NULL. A key that the mask leaves out must be finite.
 * Picks: 0 y [N, Q, H E]; 1 weights [N, H, Q, S]. */
Node *op_attention(Graph *g, Node *q, Node *k, Node *v, Node *mask, Node *keep,
                   int64_t heads, bool causal);
/* x [N, T, H D] turned by its steps, or by positions, int32 [N, T] from 1 (or NULL). */
Node *op_rotary(Graph *g, Node *x, Node *positions, int64_t heads, double base);

/* (1 - weight) x + weight factor z, for running statistics. */
Node *op_moving_average(Graph *g, Node *x, Node *z, double weight, double factor);

/* min(1, limit / norm), for clipping; not differentiable. */
Node *op_clip_factor(Graph *g, Node *norm, double limit);

/* What rules of optimizers are made of, beside the elementwise ops. */
Node *op_mix(Graph *g, Node *x, Node *y, double keep); /* keep x + (1 - keep) y */
Node *op_mix_square(Graph *g, Node *x, Node *y, double keep); /* of x and y^2 */
Node *op_over_root(Graph *g, Node *x, Node *y, double eps);   /* x / (sqrt(y) + eps) */
Node *op_spread(Graph *g, Node *x, Node *y);                  /* max(x - y^2, 0) */
Node *op_add_product(Graph *g, Node *x, Node *a, Node *y); /* x + a y; a has no axes */
Node *op_sub_product(Graph *g, Node *x, Node *a, Node *y); /* x - a y */
/* The new value of a variable of which `old` is the value before. */
enum { RENEW_NEW, RENEW_OLD };
Node *op_renew(Graph *g, Node *value, Node *old);

/* Optimizer updates: whole tensors in, new values out; not differentiable. Rates and
 * factors are 0-axis nodes, so that they are inputs and no structure. `scale`
 * multiplies the gradient first (clipping). Picks: 0 new w; 1 .. new slots. */
Node *op_sgd_update(Graph *g, Node *w, Node *gw, Node *velocity /* NULL: none */,
                    Node *lr, Node *momentum, Node *weight_decay, Node *scale,
                    bool nesterov);
/* correction1 = 1 / (1 - beta1^t), correction2 = 1 / (1 - beta2^t); decoupled: AdamW's
 * decay. Picks: 0 w, 1 m, 2 v. */
Node *op_adam_update(Graph *g, Node *w, Node *gw, Node *m, Node *v, Node *lr,
                     Node *correction1, Node *correction2, Node *weight_decay,
                     Node *scale, double beta1, double beta2, double eps,
                     bool decoupled);

#endif
