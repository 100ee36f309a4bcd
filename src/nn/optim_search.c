/* optim_search.c: steps whose optimizer evaluates the loss again before they end: what
 * the kinds share. The evaluations are train/seek.c's. */
#include "nn/optim.h"
#include <stdlib.h>

static const OptimKind *kind_of(const Optimizer *opt) {
  return (const OptimKind *)opt->object.kind;
}

void optim_put(Node **place, Node *node) {
  Node *old = *place;
  *place = node ? node_retain(node) : NULL;
  node_release(old);
}

bool optimizer_searches(const Optimizer *opt) {
  return kind_of(opt)->searches && kind_of(opt)->searches(opt);
}

Err optimizer_search(const Optimizer *opt, Variable *const *params, OptimSearch *search,
                     Fault *fault) {
  double *decay = malloc(((size_t)search->n + 1) * sizeof *decay);
  if (!decay) return fault_memory(fault, (size_t)search->n * sizeof *decay);
  Err err = ERR_OK;
  for (int i = 0; !err && i < search->n; i++) {
    decay[i] = optim_group_decay(opt, optimizer_group(opt, params[i]));
    if (params[i]->limit)
      err = fault_set(fault, ERR_VALUE,
                      "optim.%s: a step that evaluates the loss again cannot keep the "
                      "constraint of %s: leave out %s or line_search and max_iter",
                      opt->object.kind->name, params[i]->name ? params[i]->name : "it",
                      params[i]->limit->kind->name);
  }
  search->rate = opt->rate;
  search->weight_decay = decay;
  search->graph->no_origins = true;
  if (!err) err = kind_of(opt)->search(opt, search, fault);
  search->graph->no_origins = false;
  free(decay);
  return err;
}
