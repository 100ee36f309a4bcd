/* loss_function.c: a loss of the user: f(output, target) gives one value per row, [N]
 * (per step of a sequence, [N, T]), which are averaged as those of all losses are, or
 * one number. */
#include "nn/loss.h"
#include "nn/activation.h"
#include "graph/ops.h"
#include <stddef.h>

typedef struct FunctionLoss {
  Loss loss;
  Callable *function;
} FunctionLoss;

static Node *function_values(Graph *graph, const Loss *loss, Node *output,
                             Node *target) {
  Value in[2] = {{.kind = VALUE_NODE, .as.ref = output},
                 {.kind = VALUE_NODE, .as.ref = target}};
  Node *y = callable_tensor(graph, ((const FunctionLoss *)loss)->function, in, 2, "");
  if (y && output->tracked && !y->tracked) {
    fault_set(&graph->fault, ERR_VALUE,
              "what the function returns does not depend on the output, so nothing is "
              "learned");
    return NULL;
  }
  if (!y || y->shape.rank == 0 || shape_begins(&output->shape, &y->shape)) return y;
  if (shape_count(&y->shape) == 1) return op_reshape(graph, y, &SHAPE_SCALAR);
  char got[SHAPE_TEXT], out[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "the function must return one number, or one value per row of the output "
            "%s; got %s",
            shape_text(out, &output->shape), shape_text(got, &y->shape));
  return NULL;
}

static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, .offset = offsetof(FunctionLoss, function),
     .position = 1,
     .doc = "f(output, target) -> one value per row, [N], or per step of a row, [N, "
            "T], which are weighted and averaged; or one number, with which weights "
            "are an error"},
    {0}};

const LossKind loss_function = {
    .kind = {.name = "function", .family = &loss_family, .size = sizeof(FunctionLoss),
             .options = function_options, .doc = "A function of the user.",
             .equation = "L = mean_n f(y, t)_n; L = f(y, t)"},
    .values = function_values, .targets = TARGETS_OWN};
