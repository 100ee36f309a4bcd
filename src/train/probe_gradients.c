/* probe_gradients.c: the norm of the gradient of each variable, from which it is seen
 * where gradients vanish or explode. */
#include "graph/ops.h"
#include "train/probe.h"

static Node *gradient_norm(Graph *graph, Node *gradient) {
  return op_quick_norm(graph, gradient);
}

static const ProbeQuantity quantities[] = {{"norm", gradient_norm}, {0}};

const ProbeKind probe_gradients = {
    .kind = {.name = "gradients", .family = &probe_family, .size = sizeof(Probe),
             .doc = "Euclidean norm of the gradient of each variable that is trained, "
                    "at every step, before any clipping. Norms that fall from layer to "
                    "layer towards the input mean that gradients vanish, norms that "
                    "grow that they explode.",
             .equation = "norm = sqrt(sum_i (dL/dw_i)^2)",
             .source = "Glorot & Bengio, AISTATS 2010, section 4.2"},
    .quantities = quantities};
