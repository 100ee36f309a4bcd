/* loss_numbers.c: losses of numbers, over all elements of outputs and targets. */
#include "nn/loss.h"
#include "graph/ops.h"

/* output - target, of equal shapes: [N, 1] against [N] would broadcast to [N, N]. */
static Node *difference(Graph *graph, Node *output, Node *target) {
  if (!shape_equal(&output->shape, &target->shape))
    return loss_refuse(graph, "output and target must have the same shape", output,
                       target);
  return op_sub(graph, output, target);
}

static Node *mse_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  (void)loss;
  return op_square(graph, difference(graph, output, target));
}

static Node *mae_values(Graph *graph, const Loss *loss, Node *output, Node *target) {
  (void)loss;
  return op_abs(graph, difference(graph, output, target));
}

const LossKind loss_mse = {
    .kind = {.name = "mse", .alias = "mean_squared_error MeanSquaredError MSELoss",
             .family = &loss_family, .size = sizeof(Loss),
             .doc = "Mean squared error over all elements.",
             .equation = "L = mean((y - t)^2)",
             .source = "Goodfellow et al., Deep Learning, 6.2.2.1"},
    .values = mse_values, .targets = TARGETS_NUMBERS};

const LossKind loss_mae = {
    .kind = {.name = "mae", .alias = "mean_absolute_error L1Loss",
             .family = &loss_family,
             .size = sizeof(Loss), .doc = "Mean absolute error over all elements.",
             .equation = "L = mean(|y - t|)"},
    .values = mae_values, .targets = TARGETS_NUMBERS};
