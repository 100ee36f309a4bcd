/* activation.c: the family of activations, and functions of the user as such. */
#include "nn/activation.h"
#include "graph/ops.h"
#include <stddef.h>

/* -- functions of the user --------------------------------------------------------- */

static Err call_for_one(Graph *graph, Callable *function, const Value *in, int n_in,
                        Value *out) {
  if (graph->fault.code) return graph->fault.code;
  return function->call(function, in, n_in, out, 1, &graph->fault);
}

static Node *refuse_result(Graph *graph, const char *what, const Value *got,
                           const char *allowed) {
  char type[32];
  fault_set(&graph->fault, ERR_VALUE, "%s%sthe function returned %s; allowed: %s", what,
            *what ? ": " : "", value_text(got, type, sizeof type), allowed);
  return NULL;
}

Node *callable_node(Graph *graph, Callable *function, const Value *in, int n_in,
                    const char *what) {
  Value out = {0};
  if (call_for_one(graph, function, in, n_in, &out)) return NULL;
  return callable_result(graph, &out, what);
}

Node *callable_result(Graph *graph, const Value *result, const char *what) {
  if (result->kind == VALUE_REAL) return graph_scalar(graph, result->as.real);
  if (result->kind == VALUE_NODE) return result->as.ref;
  return refuse_result(graph, what, result, "one tensor or number");
}

Node *callable_tensor(Graph *graph, Callable *function, const Value *in, int n_in,
                      const char *what) {
  Value out = {0};
  if (call_for_one(graph, function, in, n_in, &out)) return NULL;
  return out.kind == VALUE_NODE ? out.as.ref
                                : refuse_result(graph, what, &out, "one tensor");
}

typedef struct FunctionActivation {
  Activation activation;
  Callable *function; /* of the user: f(x) -> y of the same shape */
} FunctionActivation;

static Node *apply_function(Graph *graph, const Activation *self, Node *x) {
  if (!x) return NULL;
  Value in = {.kind = VALUE_NODE, .as.ref = x};
  Callable *function = ((const FunctionActivation *)self)->function;
  Node *y = callable_node(graph, function, &in, 1, "activation");
  if (!y || shape_equal(&y->shape, &x->shape)) return y;
  char want[SHAPE_TEXT], got[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE,
            "activation: the function must return the shape of its input, %s, got %s",
            shape_text(want, &x->shape), shape_text(got, &y->shape));
  return NULL;
}

static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL,
     .offset = offsetof(FunctionActivation, function),
     .position = 1, .doc = "f(x) -> tensor of the same shape"},
    {0}};

static const ActivationKind activation_function = {
    .kind = {.name = "function", .family = &activation_family,
             .size = sizeof(FunctionActivation), .options = function_options,
             .doc = "A function of the user.", .equation = "y = f(x)"},
    .apply = apply_function};

/* -- the family -------------------------------------------------------------------- */

#define ACTIVATION(name) extern const ActivationKind activation_##name;
#include "nn/activations.def"
#undef ACTIVATION

static const Kind *const activation_kinds[] = {
#define ACTIVATION(name) &activation_##name.kind,
#include "nn/activations.def"
#undef ACTIVATION
    NULL};

const Family activation_family = {
    .name = "activation", .module = "nn", .kinds = activation_kinds,
    .from_function = &activation_function.kind,
    .example = "print(nn.Activation(%s)(tensor {{ -2, -1, -0.5, 0.5, 1, 2 }}))"};

Node *activation_apply(Graph *graph, const Activation *activation, Node *x) {
  if (!x || graph->fault.code) return NULL;
  return activation_kind(activation)->apply(graph, activation, x);
}
