/* token_rows.c: see token_rows.h. */
#include "data/token_rows.h"
#include "base/ints.h"

TokenRow tokens_put(const int32_t *numbers, int64_t n, Array *x, Tensor *mask,
                    int64_t i, int64_t t, int padding, int truncate) {
  int64_t kept = least(n, t);
  TokenRow row = {kept, padding == SIDE_LEFT ? t - kept : 0,
                  truncate == SIDE_LEFT ? n - kept : 0};
  for (int64_t k = 0; k < t; k++) {
    bool there = k >= row.step && k < row.step + kept;
    array_set(x, i * t + k, there ? numbers[row.from + k - row.step] : 0);
    tensor_reals(mask)[i * t + k] = there;
  }
  return row;
}

DType tokens_dtype(int64_t n) {
  return n <= dtype_most(DT_UINT8) ? DT_UINT8 : DT_INT32;
}

Err tokens_are_classes(Rows *out, Fault *fault) {
  out->n_classes = out->vocabulary->tokens.n;
  return names_copy(&out->class_names, &out->vocabulary->tokens, fault);
}
