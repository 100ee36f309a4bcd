/* ops_target.c: what comes from data beside the inputs, refused where it cannot be
 * used: targets of cross-entropies, shares from 0 to 1, weights of examples, masks, and
 * masks of steps of which statistics are taken.
 *
 *   y = t                      real targets; integers too, unless they are labels
 *   y = t - 1                  integers that are labels: 1 (no) and 2 (yes)
 *
 * One meaning for every shape: whether an integer is a label follows from the loss
 * alone. Weights are finite, none below 0, and not all 0 where their sum divides. Masks
 * hold 0 and 1: layers ask whether an element is 0, add elements up, or multiply by
 * them. A variance is that of two values at least. */
#include "graph/ops.h"
#include "graph/ops_walk.h"
#include "base/ints.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- what may stand in targets ----------------------------------------------------- */

static bool is_label_array(const Array *t, bool labels) {
  return labels && t->dtype != DT_REAL;
}

/* What to do about a target of that value. */
static const char *advice(double v, bool labels, bool integers) {
  if (integers && labels && v == 0)
    return ": integer targets of this loss are labels, 1 (no) and 2 (yes); for numbers "
           "0 and 1 use :cast \"real\", for a file's labels label_base = 0";
  if (integers && labels)
    return ": integer targets of this loss are labels, 1 (no) and 2 (yes); for more "
           "classes use sparse_categorical_crossentropy with one output per class";
  if (integers)
    return ": allowed 0 to 1; class labels belong to sparse_categorical_crossentropy";
  if (labels && v == 2)
    return ": allowed 0 to 1; labels 1 and 2 are integers: :cast \"int32\"";
  return ": allowed 0 to 1";
}

Err op_targets_check(const Array *t, bool labels, int64_t first_row, Fault *fault) {
  bool label = is_label_array(t, labels);
  int64_t at = label ? array_first_outside(t, 1, 2)
                     : array_first_outside(t, -KNOWN_SLACK, 1 + KNOWN_SLACK);
  if (at < 0) return ERR_OK;
  char got[32], element[48] = "";
  int64_t per_row = t->shape.rank ? shape_stride(&t->shape, 0) : 1;
  double v = array_get(t, at);
  if (per_row > 1)
    snprintf(element, sizeof element, ", element %lld", (long long)(at % per_row) + 1);
  return fault_set(fault, ERR_DATA, "target %s in row %lld%s%s", text_number(got, v),
                   (long long)(first_row + at / per_row) + 1, element,
                   advice(v, labels, t->dtype != DT_REAL));
}

/* -- the op ------------------------------------------------------------------------ */

static Err targets_op_check(const OpCall *call, Fault *fault) {
  return op_targets_check(&call->in[0], call->attr[0].i, 0, fault);
}

static void targets_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  const Array *t = &call->in[0];
  int64_t first = block * BLOCK, n = least(BLOCK, shape_count(&t->shape) - first);
  real *y = (real *)call->out[0].data + first;
  const real *reals = elements_as_reals(t, first, n, y);
  if (reals != y) memcpy(y, reals, (size_t)n * sizeof *y);
  if (!is_label_array(t, call->attr[0].i)) return;
  for (int64_t i = 0; i < n; i++) y[i] -= 1;
}

static void targets_reference(const OpCall *call, const double *const *in,
                              double *const *out) {
  double base = is_label_array(&call->in[0], call->attr[0].i) ? 1 : 0;
  for (int64_t i = 0; i < shape_count(&call->out[0].shape); i++)
    out[0][i] = in[0][i] - base;
}

static void targets_vjp(Graph *g, Node *y, Node *const *gy, const bool *want,
                        Node **gx) {
  (void)g;
  if (want[0] && y->in[0]->dtype == DT_REAL) gx[0] = gy[0];
}

static Known targets_known(const Node *y) {
  Known k = y->in[0]->known;
  k.lo = 0;
  k.hi = 1;
  if (y->in[0]->dtype != DT_REAL) k.total = NAN;
  return k;
}

static const Sample targets_samples[] = {
    {1, {{.shape = {0, {0}}, .lo = 0.1, .hi = 0.9}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {7, 5}}, .lo = 0.1, .hi = 0.9}}, ATTRS({.i = 0})},
    {1, {{.shape = {1, {1030}}, .dtype = DT_UINT8, .lo = 1, .hi = 2}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {130, 1}}, .dtype = DT_INT32, .lo = 1, .hi = 2}},
     ATTRS({.i = 1})},
    {1, {{.shape = {2, {131, 129}}, .dtype = DT_INT32, .lo = 0, .hi = 1}},
     ATTRS({.i = 0})},
    {1, {{.shape = {2, {131, 129}}, .lo = 0.1, .hi = 0.9}}, ATTRS({.i = 0})},
    SAMPLES_END};

const Op op_record_targets = {
    .name = "targets",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"t"},
    .attrs = OP_ATTRS({.name = "labels", .kind = ATTR_BOOL,
                       .doc = "are integers labels 1 and 2, which become 0 and 1?"}),
    .doc = "targets of a cross-entropy as reals from 0 to 1; others are refused",
    .equation = "y = t, of integer labels t - 1",
    .infer = infer_broadcast,
    .check = targets_op_check,
    .split = elements_split,
    .run = targets_run,
    .vjp = targets_vjp,
    .reference = targets_reference,
    .samples = targets_samples,
    .known = targets_known,
};

Node *op_targets(Graph *g, Node *t, bool labels) {
  return graph_apply(g, &op_record_targets, &t, 1, &(Attr){.i = labels}, 1);
}

/* -- weights ----------------------------------------------------------------------- */

static Err weights_check(const Array *w, bool none, Fault *fault) {
  int64_t at = array_first_outside(w, 0, REAL_MAX), n = shape_count(&w->shape);
  if (at >= 0) {
    char got[32];
    int64_t per_row = most(shape_stride(&w->shape, 0), 1);
    return fault_set(fault, ERR_DATA,
                     "weight %s in row %lld: allowed finite numbers, 0 or more",
                     text_number(got, array_get(w, at)), (long long)(at / per_row) + 1);
  }
  for (int64_t i = 0; i < n; i++)
    if (none || array_get(w, i) > 0) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "the weights of %lld %s sum to 0 (what a mask leaves out has 0): "
                   "their weighted mean is not defined; larger batches, or other "
                   "weights, give one",
                   (long long)n, n == 1 ? "example" : "examples");
}

static Err weights_op_check(const OpCall *call, Fault *fault) {
  return weights_check(&call->in[0], call->attr[0].i, fault);
}

static void weights_run(const OpCall *call, int phase, int64_t block) {
  (void)phase;
  const Array *w = &call->in[0];
  int64_t first = block * BLOCK, n = least(BLOCK, shape_count(&w->shape) - first);
  real *y = (real *)call->out[0].data + first;
  const real *reals = elements_as_reals(w, first, n, y);
  if (reals != y) memcpy(y, reals, (size_t)n * sizeof *y);
}

static void weights_reference(const OpCall *call, const double *const *in,
                              double *const *out) {
  for (int64_t i = 0; i < shape_count(&call->out[0].shape); i++) out[0][i] = in[0][i];
}

static Known weights_known(const Node *y) {
  Known k = y->in[0]->known;
  k.lo = fmax(k.lo, 0);
  return k;
}

static const Sample weights_samples[] = {
    {1, {{.shape = {1, {1}}, .lo = 0.1, .hi = 0.9}}, ATTRS({.i = 0})},
    {1, {{.shape = {2, {131, 129}}, .lo = 0, .hi = 3}}, ATTRS({.i = 1})},
    {1, {{.shape = {1, {1030}}, .dtype = DT_UINT8, .lo = 0, .hi = 1}}, ATTRS({.i = 0})},
    {1, {{.shape = {2, {130, 2}}, .dtype = DT_INT32, .lo = 0, .hi = 5}},
     ATTRS({.i = 1})},
    SAMPLES_END};

const Op op_record_weights = {
    .name = "weights",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"w"},
    .attrs = OP_ATTRS({.name = "none", .kind = ATTR_BOOL, .doc = "may they all be 0?"}),
    .doc = "weights of examples as reals; numbers below 0, infinite ones and NaN are "
           "refused, and, where not allowed, weights that are all 0",
    .equation = "y = w",
    .infer = infer_broadcast,
    .check = weights_op_check,
    .split = elements_split,
    .run = weights_run,
    .vjp = targets_vjp,
    .reference = weights_reference,
    .samples = weights_samples,
    .known = weights_known,
};

Node *op_weights(Graph *g, Node *w, bool none) {
  return graph_apply(g, &op_record_weights, &w, 1, &(Attr){.i = none}, 1);
}

/* -- masks ------------------------------------------------------------------------- */

static Err mask_check(const OpCall *call, Fault *fault) {
  const Array *mask = &call->in[0];
  for (int64_t i = 0; i < shape_count(&mask->shape); i++) {
    double v = array_get(mask, i);
    if (v == 0 || v == 1) continue;
    char got[32];
    int64_t per_row = most(shape_stride(&mask->shape, 0), 1);
    return fault_set(fault, ERR_DATA,
                     "%s in row %lld: allowed 1 for what counts, or may be seen, else "
                     "0",
                     text_number(got, v), (long long)(i / per_row) + 1);
  }
  return ERR_OK;
}

static const Sample mask_samples[] = {
    {1, {{.shape = {1, {1}}, .dtype = DT_INT32, .lo = 0, .hi = 1}}, 0, NULL},
    {1, {{.shape = {2, {130, 9}}, .dtype = DT_UINT8, .lo = 0, .hi = 1}}, 0, NULL},
    {1, {{.shape = {1, {1030}}, .dtype = DT_INT32, .lo = 0, .hi = 1}}, 0, NULL},
    SAMPLES_END};

const Op op_record_mask = {
    .name = "mask",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"mask"},
    .doc = "a mask as reals, refused where it holds anything but 0 and 1",
    .equation = "y = mask",
    .infer = infer_broadcast,
    .check = mask_check,
    .split = elements_split,
    .run = weights_run,
    .vjp = vjp_none,
    .reference = weights_reference,
    .samples = mask_samples,
    .known = targets_known,
};

Node *op_mask(Graph *g, Node *mask) {
  return graph_apply(g, &op_record_mask, &mask, 1, NULL, 0);
}

static Err counted_check(const OpCall *call, Fault *fault) {
  const Array *mask = &call->in[0];
  int64_t n = 0, all = shape_count(&mask->shape), each = call->attr[0].i;
  for (int64_t i = 0; i < all && n * each < 2; i++) n += array_get(mask, i) != 0;
  if (n * each >= 2) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "%s of %lld steps by the mask, but a channel has a variance from 2 "
                   "values on: the batch is refused; more steps that count give it "
                   "one",
                   n ? "1" : "none", (long long)all);
}

static const Sample counted_samples[] = {
    {1, {{.shape = {2, {2, 1}}, .lo = 0.1, .hi = 1}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {130, 9}}, .lo = 0, .hi = 1}}, ATTRS({.i = 1})},
    {1, {{.shape = {2, {1, 1}}, .lo = 0.1, .hi = 1}}, ATTRS({.i = 2})},
    SAMPLES_END};

const Op op_record_counted = {
    .name = "counted",
    .n_in = 1,
    .n_out = 1,
    .flags = OP_INTERNAL,
    .inputs = (const char *const[]){"mask"},
    .attrs = OP_ATTRS({.name = "each", .kind = ATTR_INT, .lo = 1, .hi = 0x1p53,
                       .doc = "values of a channel in a step"}),
    .doc = "a mask of steps, refused where it counts fewer than two values of a "
           "channel",
    .equation = "y = mask",
    .infer = infer_broadcast,
    .check = counted_check,
    .split = elements_split,
    .run = weights_run,
    .vjp = targets_vjp,
    .reference = weights_reference,
    .samples = counted_samples,
    .known = weights_known,
};

Node *op_counted(Graph *g, Node *mask, int64_t each) {
  return graph_apply(g, &op_record_counted, &mask, 1, &(Attr){.i = each}, 1);
}
