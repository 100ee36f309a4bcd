/* test_tensor.c: where the data of tensors lie. */
#include "tensor/tensor.h"
#include "test.h"

enum { ARRAYS = 8 };

/* Arrays that one pass goes through must not share the sets of a cache. */
TEST(large_arrays_of_one_size_begin_at_different_places_of_a_page) {
  static const int64_t sizes[] = {70000, 270000, 1 << 20};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    Tensor *t[ARRAYS];
    Fault fault = {0};
    bool differ = false;
    for (int i = 0; i < ARRAYS; i++) {
      t[i] = tensor_new(NULL, DT_REAL, &SHAPE_OF(sizes[s]), &fault);
      assert_non_null(t[i]);
      assert_int_equal((uintptr_t)t[i]->a.data % 64, 0);
      tensor_reals(t[i])[sizes[s] - 1] = 1; /* the last one is inside */
      differ = differ ||
               (uintptr_t)t[i]->a.data % 4096 != (uintptr_t)t[0]->a.data % 4096;
    }
    assert_true(differ);
    for (int i = 0; i < ARRAYS; i++) tensor_release(t[i]);
  }
}
