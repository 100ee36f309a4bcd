/* nonfinite.c: the search for the first value of a step that is not finite. */
#include "train/nonfinite.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Its name, else its number in the list of those that the step trains or assigns. */
static const char *name_of(const Variable *v, int i, char buffer[32]) {
  snprintf(buffer, 32, "variable %d", i + 1);
  return v->name ? v->name : buffer;
}

/* "dense_1" of "dense_1.weight". */
static void note_layer_of(FaultPlace *place, const Variable *v) {
  const char *dot = v->name ? strrchr(v->name, '.') : NULL;
  int n = dot ? (int)(dot - v->name) : 0;
  snprintf(place->layer, sizeof place->layer, "%.*s", n, dot ? v->name : "");
}

/* The fault, with what lies below `node` (NULL: nothing) as its cause. */
static Err refuse(const NonfiniteStep *step, const Text *what, Node *node,
                  const Variable *of, Fault *fault) {
  Text why = {0};
  const char *layer = NULL;
  if (node) graph_explain_nonfinite(step->graph, node, &why, &layer);
  fault_clear(&step->graph->fault); /* of the search itself */
  fault_set(fault, ERR_NONFINITE, "step %lld: %s%s%s", (long long)step->number,
            what->n_bytes ? what->data : "a new value is not finite",
            why.n_bytes ? ": " : "", why.n_bytes ? why.data : "");
  FaultPlace *place = &fault->place;
  place->step = step->number;
  if (layer || !of)
    snprintf(place->layer, sizeof place->layer, "%s", layer ? layer : "");
  else note_layer_of(place, of);
  text_deinit(&why);
  return fault->code;
}

/* Index of the first node whose value is not finite, which is added to `bad`; -1: none,
 * or they could not be computed. */
static int first_bad(Graph *graph, Node *const *nodes, int n, Text *bad) {
  if (n == 0 || graph_eval(graph, nodes, n)) return -1;
  for (int i = 0; i < n; i++)
    if (array_explain_nonfinite(&node_value(nodes[i])->a, bad)) return i;
  return -1;
}

static bool refuse_loss(const NonfiniteStep *step, Text *what, Fault *fault) {
  Node *loss = step->loss;
  if (graph_eval(step->graph, &loss, 1)) return false;
  double value = array_get(&node_value(loss)->a, 0);
  if (isfinite(value)) return false;
  text_addf(what, "the loss is not finite (%s)",
            isnan(value) ? "nan"
            : value > 0  ? "inf"
                         : "-inf");
  return refuse(step, what, loss, NULL, fault) != ERR_OK;
}

static bool refuse_assigned(const NonfiniteStep *step, Text *what, Text *bad,
                            Fault *fault) {
  int i = first_bad(step->graph, step->assigned_to, step->n_assigned, bad);
  if (i < 0) return false;
  char name[32];
  text_addf(what, "what the function assigned to %s is not finite (%s)",
            name_of(step->assigned[i], i, name), bad->data);
  return refuse(step, what, step->assigned_to[i], step->assigned[i], fault) != ERR_OK;
}

static bool refuse_gradient(const NonfiniteStep *step, Text *what, Text *bad,
                            Fault *fault) {
  int i = first_bad(step->graph, step->gradient, step->n_params, bad);
  if (i < 0) return false;
  char name[32];
  text_addf(what, "the gradient of %s is not finite (%s)",
            name_of(step->vars[i], i, name), bad->data);
  return refuse(step, what, step->gradient[i], step->vars[i], fault) != ERR_OK;
}

/* Slots follow the parameters, as many of each. */
static bool refuse_update(const NonfiniteStep *step, Text *what, Text *bad,
                          Fault *fault) {
  int i = first_bad(step->graph, step->update, step->n_vars, bad), n = step->n_params;
  if (i < 0) return false;
  const Variable *v = step->vars[i];
  int each = n ? (step->n_vars - n) / n : 0,
      param = i < n || !each ? i : (i - n) / each;
  const Tensor *before = node_value(variable_at_begin(step->graph, v));
  char name[32];
  Text old = {0};
  text_addf(what, "the new value of %s is not finite (%s), though its gradient is",
            name_of(v, param, name), bad->data);
  bool was = before && array_explain_nonfinite(&before->a, &old);
  if (was) text_addf(what, ": before the step it already was %s", old.data);
  else text_add(what, ": the update leaves the range of " REAL_NAME);
  text_deinit(&old);
  return refuse(step, what, was ? NULL : step->update[i], step->vars[param], fault) !=
         ERR_OK;
}

Err nonfinite_fault(const NonfiniteStep *step, Fault *fault) {
  Text what = {0}, bad = {0};
  bool found = refuse_loss(step, &what, fault) ||
               refuse_assigned(step, &what, &bad, fault) ||
               refuse_gradient(step, &what, &bad, fault) ||
               refuse_update(step, &what, &bad, fault);
  if (!found) refuse(step, &what, NULL, NULL, fault);
  text_deinit(&what);
  text_deinit(&bad);
  return fault->code;
}
