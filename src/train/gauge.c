/* gauge.c: room for the numbers that are asked of a step; see gauge.h. */
#include "train/gauge.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

Err gauges_begin(Gauges *gauges, int n, Fault *fault) {
  if (!gauges) return ERR_OK;
  gauges->n_params = 0;
  Err err = ARRAY_ROOM(gauges->param, gauges->param_room, n, fault);
  int64_t n_values = (int64_t)n * gauges->n_ask;
  return err ? err : ARRAY_ROOM(gauges->value, gauges->value_room, n_values, fault);
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
