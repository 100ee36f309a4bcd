/* loss_pairs.c: losses of embeddings that couple the rows of a batch: rows of one class
 * shall be near each other, those of others far. Targets are labels, which say no more
 * than which rows are alike.
 *
 * Values are of pairs, of anchors or of triplets, each counted as the product of its
 * rows' weights. Rows of weight 0 are in none of them, whatever they hold. */
#include "nn/loss.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

/* -- pairs ------------------------------------------------------------------------- */

/* Of the rows of a batch, all [N, N]: distances, of which that of equal rows lets no
 * gradient through, and 1 where the rows are two that count and are alike, or
 * different. */
typedef struct Pairs {
  int64_t n;
  Node *distance, *alike, *different;
} Pairs;

static Node *distances(Graph *graph, Node *x) {
  int64_t n = x->shape.dim[0], d = x->shape.dim[1];
  Node *off = op_sub(graph, op_reshape(graph, x, &SHAPE_OF(n, 1, d)),
                     op_reshape(graph, x, &SHAPE_OF(1, n, d)));
  Node *squares = op_sum(graph, op_square(graph, off), 1u << 2, false);
  return op_sqrt(graph, op_maximum(graph, squares, graph_scalar(graph, 1e-16)));
}

/* f(v, v'), [N, N] */
static Node *outer(Graph *graph, Node *(*f)(Graph *, Node *, Node *), Node *v) {
  int64_t n = shape_count(&v->shape);
  return f(graph, op_reshape(graph, v, &SHAPE_OF(n, 1)),
           op_reshape(graph, v, &SHAPE_OF(1, n)));
}

static bool take_pairs(Graph *graph, Node *output, Node *target, Node *weight,
                       Pairs *out) {
  int64_t n = output->shape.rank == 2 ? output->shape.dim[0] : -1;
  if (shape_count(&target->shape) != n) {
    loss_refuse(graph, "output must be rows [N, D] and target one label per row, [N]",
                output, target);
    return false;
  }
  Node *one = graph_scalar(graph, 1), *zero = graph_scalar(graph, 0);
  Node *two = op_sub(graph, one, op_eye(graph, n));
  Node *same = outer(graph, op_eq, target);
  if (weight)
    two = op_mul(graph, two, outer(graph, op_mul, op_ne(graph, weight, zero)));
  *out = (Pairs){.n = n, .distance = distances(graph, output),
                 .alike = op_mul(graph, same, two),
                 .different = op_mul(graph, op_sub(graph, one, same), two)};
  return out->distance && out->different && !graph->fault.code;
}

static Node *times(Graph *graph, Node *x, Node *weight) {
  return weight ? op_mul(graph, x, weight) : x;
}

static Node *flat(Graph *graph, Node *x) {
  return x ? op_reshape(graph, x, &SHAPE_OF(shape_count(&x->shape))) : NULL;
}

/* -- contrastive ------------------------------------------------------------------- */

typedef struct PairLoss {
  Loss loss;
  double margin;
  int mining; /* Mining, of triplet */
} PairLoss;

/* Each pair once: [N N], of which those above the diagonal count. */
static Node *contrastive(Graph *graph, const Loss *loss, Node *output, Node *target,
                         Node *weight, Node **counts) {
  Pairs p;
  if (!take_pairs(graph, output, target, weight, &p)) return NULL;
  Node *place = op_arange(graph, 1, 1, p.n);
  Node *margin = graph_scalar(graph, ((const PairLoss *)loss)->margin);
  Node *near = op_square(graph, p.distance);
  Node *far = op_square(graph, op_relu(graph, op_sub(graph, margin, p.distance)));
  Node *count = op_mul(graph, op_add(graph, p.alike, p.different),
                       outer(graph, op_lt, place));
  *counts = flat(graph,
                 times(graph, count, weight ? outer(graph, op_mul, weight) : NULL));
  return flat(graph, op_scale(graph, op_where(graph, p.alike, near, far), 0.5));
}

/* -- triplet ----------------------------------------------------------------------- */

typedef enum Mining { MINE_HARD, MINE_ALL } Mining;
static const char *const mining_names[] = {"hard", "all", NULL};

/* Of each anchor, [N]: its farthest fellow against its nearest stranger. Anchors that
 * have no fellow or no stranger do not count. */
static Node *hard_triplets(Graph *graph, const Pairs *p, Node *margin, Node *weight,
                           Node **counts) {
  const unsigned others = 1u << 1;
  Node *none = graph_scalar(graph, 0), *far = graph_scalar(graph, -1e30);
  Node *fellow = op_max(graph, op_where(graph, p->alike, p->distance, none), others,
                        false);
  Node *stranger = op_max(graph,
                          op_where(graph, p->different, op_neg(graph, p->distance),
                                   far),
                          others, false);
  Node *count = op_mul(graph, op_max(graph, p->alike, others, false),
                       op_max(graph, p->different, others, false));
  *counts = times(graph, count, weight);
  return op_relu(graph, op_add(graph, op_add(graph, fellow, stranger), margin));
}

/* Of all triplets of an anchor, a fellow and a stranger: [N N N]. */
static Node *all_triplets(Graph *graph, const Pairs *p, Node *margin, Node *weight,
                          Node **counts) {
  int64_t n = p->n;
  const Shape second = SHAPE_OF(n, n, 1), third = SHAPE_OF(n, 1, n);
  Node *lead = op_sub(graph, op_reshape(graph, p->distance, &second),
                      op_reshape(graph, p->distance, &third));
  Node *count = op_mul(graph, op_reshape(graph, p->alike, &second),
                       op_reshape(graph, p->different, &third));
  if (weight) {
    Node *pair = op_reshape(graph, outer(graph, op_mul, weight), &second);
    count = op_mul(graph, count,
                   op_mul(graph, pair, op_reshape(graph, weight, &SHAPE_OF(1, 1, n))));
  }
  *counts = flat(graph, count);
  return flat(graph, op_relu(graph, op_add(graph, lead, margin)));
}

static Node *triplet(Graph *graph, const Loss *loss, Node *output, Node *target,
                     Node *weight, Node **counts) {
  const PairLoss *self = (const PairLoss *)loss;
  Pairs p;
  if (!take_pairs(graph, output, target, weight, &p)) return NULL;
  Node *margin = graph_scalar(graph, self->margin);
  return self->mining == MINE_ALL ? all_triplets(graph, &p, margin, weight, counts)
                                  : hard_triplets(graph, &p, margin, weight, counts);
}

/* -- records ----------------------------------------------------------------------- */

#define MARGIN                                                                         \
  {.name = "margin", .kind = OPT_REAL, .offset = offsetof(PairLoss, margin),           \
   .value = "1", .position = 1, .lo = 0, .hi = 1e9, .open = true,                      \
   .doc = "distance beyond which a pair adds nothing to the loss"}
static const Option contrastive_options[] = {MARGIN, {0}};
static const Option triplet_options[] = {
    MARGIN,
    {.name = "mining", .kind = OPT_CHOICE, .offset = offsetof(PairLoss, mining),
     .value = "hard", .choices = mining_names,
     .doc = "hard: of each row the farthest one of its label and the nearest one of "
            "another (Hermans et al., arXiv:1703.07737, eq. 5); all: every triplet, "
            "N^3 distances"},
    {0}};

#define BATCHES                                                                        \
  " A batch that has none is refused in training, which asks for larger batches or "  \
  "drop_last = true, and left out where a set is measured."
#define LABELS_OF_ROWS                                                                 \
  "Outputs are embeddings [N, D], targets labels [N] from 1 that say which rows of a " \
  "batch are alike. "

const LossKind loss_contrastive = {
    .kind = {.name = "contrastive", .alias = "ContrastiveLoss", .family = &loss_family,
             .size = sizeof(PairLoss), .options = contrastive_options,
             .example = "local labels = tensor { 1, 2, 1, 2 }\n"
                        "print(loss.contrastive(tensor.randn(4, 3), labels))",
             .doc = "Draws embeddings of rows of one label together, and pushes others "
                    "apart up to the margin. " LABELS_OF_ROWS "There is one value for "
                    "each pair, whose weight is the product of its rows' "
                    "weights." BATCHES,
             .equation = "L = mean_(i < j)(t_i = t_j: d^2 / 2, else max(0, margin - "
                         "d)^2 / 2), d = |y_i - y_j|",
             .source = "Hadsell, Chopra & LeCun, CVPR 2006, eq. 4"},
    .coupled = contrastive, .targets = TARGETS_ALIKE};

const LossKind loss_triplet = {
    .kind = {.name = "triplet", .alias = "TripletMarginLoss", .family = &loss_family,
             .size = sizeof(PairLoss), .options = triplet_options,
             .example = "local labels = tensor { 1, 2, 1, 2 }\n"
                        "print(loss.triplet(tensor.randn(4, 3), labels))",
             .doc = "Asks that embeddings of rows of one label are nearer to each "
                    "other than to any other, by the margin. " LABELS_OF_ROWS
                    "There is one value for each row that has another of its label "
                    "and one of another label, or for each triplet." BATCHES,
             .equation = "L = mean(max(0, |y_a - y_p| - |y_a - y_n| + margin)), t_p = "
                         "t_a, t_n != t_a",
             .source = "Schroff, Kalenichenko & Philbin, CVPR 2015, eq. 3 (there with "
                       "squared distances)"},
    .coupled = triplet, .targets = TARGETS_ALIKE};
