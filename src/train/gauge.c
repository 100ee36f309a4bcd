/* gauge.c: room for the numbers that are asked of a step; see gauge.h. */
#include "train/gauge.h"
#include <stdlib.h>
#include <string.h>

Err gauges_begin(Gauges *gauges, int n, Fault *fault) {
  if (!gauges) return ERR_OK;
  gauges->n_params = 0;
  int n_values = n * gauges->n_ask;
  if (n > gauges->param_room) {
    Variable **param = realloc(gauges->param, (size_t)n * sizeof(Variable *));
    if (!param) return fault_memory(fault, (size_t)n * sizeof(Variable *));
    gauges->param = param;
    gauges->param_room = n;
  }
  if (n_values > gauges->value_room) {
    real *value = realloc(gauges->value, (size_t)n_values * sizeof *value);
    if (!value) return fault_memory(fault, (size_t)n_values * sizeof *value);
    gauges->value = value;
    gauges->value_room = n_values;
  }
  return ERR_OK;
}

void gauges_take(Gauges *gauges, Variable *const *param, int n) {
  must(n <= gauges->param_room);
  if (n) memcpy(gauges->param, param, (size_t)n * sizeof(Variable *));
  gauges->n_params = n;
}

void gauges_deinit(Gauges *gauges) {
  free(gauges->param);
  free(gauges->value);
  *gauges = (Gauges){0};
}
