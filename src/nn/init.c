/* init.c: the family of initializers, functions of the user as such, and the gains of
 * activations. */
#include "nn/init.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>

/* -- functions of the user --------------------------------------------------------- */

typedef struct FunctionInit {
  Init init;
  Callable *function; /* f(shape, fan_in, fan_out) -> tensor */
} FunctionInit;

static Node *function_make(Graph *graph, const Init *self, const InitCall *call) {
  Value in[3] = {{.kind = VALUE_INTS}, {.kind = VALUE_REAL, .as.real = call->fan_in},
                 {.kind = VALUE_REAL, .as.real = call->fan_out}};
  in[0].as.ints.n = call->shape->rank;
  for (int i = 0; i < call->shape->rank; i++) in[0].as.ints.v[i] = call->shape->dim[i];
  Callable *function = ((const FunctionInit *)self)->function;
  Node *node = callable_node(graph, function, in, 3, "initializer");
  return op_cast(graph, graph_untracked(graph, node), DT_REAL);
}

static const Option function_options[] = {
    {.name = "function", .kind = OPT_CALL, .offset = offsetof(FunctionInit, function),
     .position = 1, .doc = "f(shape, fan_in, fan_out) -> tensor of that shape"},
    {0}};

static const InitKind init_function = {
    .kind = {.name = "function", .family = &init_family, .size = sizeof(FunctionInit),
             .options = function_options, .doc = "A function of the user.",
             .equation = "w = f(shape, fan_in, fan_out)"},
    .make = function_make};

/* -- the family -------------------------------------------------------------------- */

#define INIT(name) extern const InitKind init_##name;
#include "nn/inits.def"
#undef INIT

static const Kind *const init_kinds[] = {
#define INIT(name) &init_##name.kind,
#include "nn/inits.def"
#undef INIT
    NULL};

const Family init_family = {
    .name = "initializer", .module = "init", .kinds = init_kinds,
    .from_function = &init_function.kind,
    .example = "print(nn.Dense(3, { init = %s, input_shape = { 4 } }))"};

Node *init_make(Graph *graph, const Init *init, const InitCall *call) {
  if (graph->fault.code) return NULL;
  const InitKind *kind = (const InitKind *)init->object.kind;
  Node *node = kind->make(graph, init, call);
  if (!node || shape_equal(&node->shape, call->shape)) return node;
  char want[SHAPE_TEXT], got[SHAPE_TEXT];
  fault_set(&graph->fault, ERR_SHAPE, "init.%s: got %s, allowed: %s", kind->kind.name,
            shape_text(got, &node->shape), shape_text(want, call->shape));
  return NULL;
}

InitRule init_rule(const Init *init, const InitCall *call) {
  const InitKind *kind = (const InitKind *)init->object.kind;
  InitRule rule = {.name = kind->kind.name, .fan = NAN, .gain = NAN, .std = NAN};
  if (kind->rule) kind->rule(init, call, &rule);
  return rule;
}

/* -- gain -------------------------------------------------------------------------- */

Err init_gain(const Activation *activation, double *out, Fault *fault) {
  const ActivationKind *kind = activation_kind(activation);
  if (kind->gain) {
    *out = kind->gain(activation);
    return ERR_OK;
  }
  Text known = {0};
  for (int i = 0; activation_family.kinds[i]; i++)
    if (((const ActivationKind *)activation_family.kinds[i])->gain)
      text_addf(&known, "%s%s", known.n_bytes ? ", " : "",
                activation_family.kinds[i]->name);
  Err err = fault_set(fault, ERR_VALUE, "init.gain: none known for \"%s\", allowed: %s",
                      kind->kind.name, known.data ? known.data : "");
  text_deinit(&known);
  return err;
}
