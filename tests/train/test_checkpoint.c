/* Checkpoints as files: what is read is what was written, or a fault. */
#include "test.h"
#include "tempdir.h"
#include "train/checkpoint.h"

static Checkpoint sample(Fault *fault) {
  Checkpoint c;
  const double sums[] = {1.0 / 3, NAN, -0.0, INFINITY};
  assert_int_equal(checkpoint_init(&c, fault), ERR_OK);
  json_put_int(c.state, "epoch", 3);
  Tensor *t = tensor_new(NULL, DT_REAL, &SHAPE_OF(2, 3), fault);
  for (int i = 0; i < 6; i++) tensor_reals(t)[i] = (real)1 / (real)(i + 1);
  assert_int_equal(checkpoint_add(&c, "net", "dense_1.weight", t, fault), ERR_OK);
  tensor_release(t);
  assert_int_equal(checkpoint_add_bytes(&c, "fit", "sums", sums, sizeof sums, fault),
                   ERR_OK);
  assert_int_equal(checkpoint_add_bytes(&c, "fit", "none", "", 0, fault), ERR_OK);
  return c;
}

static void check_same(const Checkpoint *got, const Checkpoint *want) {
  Text a = {0}, b = {0};
  Fault fault = {0};
  assert_int_equal(json_write(got->state, 0, &a, &fault), ERR_OK);
  assert_int_equal(json_write(want->state, 0, &b, &fault), ERR_OK);
  assert_string_equal(a.data, b.data);
  text_deinit(&a);
  text_deinit(&b);
  assert_int_equal(got->n_tensors, want->n_tensors);
  for (int i = 0; i < want->n_tensors; i++) {
    const Array *x = &got->tensors[i].tensor->a, *y = &want->tensors[i].tensor->a;
    assert_string_equal(got->tensors[i].name, want->tensors[i].name);
    assert_true(x->dtype == y->dtype && shape_equal(&x->shape, &y->shape));
    size_t n = (size_t)shape_count(&x->shape) * dtype_bytes(x->dtype);
    if (n) assert_memory_equal(x->data, y->data, n);
  }
}

TEST(what_is_read_is_what_was_written) {
  Fault fault = {0};
  Checkpoint c = sample(&fault), got;
  const char *path = temp_path("a.safetensors");
  assert_int_equal(checkpoint_save(&c, path, &fault), ERR_OK);
  if (checkpoint_load(&got, path, NULL, &fault)) fail_msg("%s", fault.text);
  check_same(&got, &c);
  assert_null(checkpoint_find(&got, "net", "dense_1"));
  assert_null(checkpoint_find(&got, "ne", "t.dense_1.weight"));
  double v[4];
  assert_int_equal(checkpoint_get_bytes(&got, "fit", "sums", v, 8, &fault), ERR_DATA);
  fault_clear(&fault);
  assert_int_equal(checkpoint_get_bytes(&got, "fit", "sums", v, 32, &fault), ERR_OK);
  assert_true(v[0] == 1.0 / 3 && isnan(v[1]) && signbit(v[2]));
  checkpoint_deinit(&got);
  checkpoint_deinit(&c);
}

/* Every bit of the file counts, but for blanks between header and data. */
TEST(every_flipped_bit_and_every_cut_is_seen) {
  Fault fault = {0};
  Checkpoint c = sample(&fault), got;
  size_t n;
  assert_int_equal(checkpoint_save(&c, temp_path("b.safetensors"), &fault), ERR_OK);
  char *bytes = temp_read(temp_path("b.safetensors"), &n);
  for (size_t i = 0; i < n; i++) {
    bytes[i] ^= (char)(1 << i % 8);
    temp_file("c.safetensors", bytes, n);
    bytes[i] ^= (char)(1 << i % 8);
    fault_clear(&fault);
    if (checkpoint_load(&got, temp_path("c.safetensors"), NULL, &fault)) continue;
    check_same(&got, &c);
    checkpoint_deinit(&got);
  }
  for (size_t i = 0; i < n; i++) {
    temp_file("c.safetensors", bytes, i);
    fault_clear(&fault);
    assert_int_equal(checkpoint_load(&got, temp_path("c.safetensors"), NULL, &fault),
                     ERR_DATA);
    assert_true(got.state == NULL && got.n_tensors == 0);
  }
  free(bytes);
  checkpoint_deinit(&c);
}

TEST(other_files_are_no_checkpoints) {
  Fault fault = {0};
  Checkpoint got;
  NamedText old[] = {
      {"format", "runner checkpoint"}, {"version", "0"}, {"state", "{}"}};
  const char *path = temp_path("d.safetensors");
  assert_int_equal(safetensors_save(path, NULL, 0, NULL, 0, &fault), ERR_OK);
  assert_int_equal(checkpoint_load(&got, path, NULL, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "is no checkpoint"));
  fault_clear(&fault);
  assert_int_equal(safetensors_save(path, NULL, 0, old, 3, &fault), ERR_OK);
  assert_int_equal(checkpoint_load(&got, path, NULL, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "is of version 0; allowed: 2"));
  fault_clear(&fault);
  old[1].text = "1"; /* one count of updates for all parameters */
  assert_int_equal(safetensors_save(path, NULL, 0, old, 3, &fault), ERR_OK);
  assert_int_equal(checkpoint_load(&got, path, NULL, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "is of version 1; allowed: 2"));
}
