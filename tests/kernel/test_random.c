/* test_random.c: drawing kernels of every level against base/philox.c word by word, the
 * published known answers of Philox 4x32-10, and the moments of what is drawn. */
#include "test.h"
#include "base/sys.h"
#include "kernel/kernel.h"

extern const Kernels kernel_table_plain, kernel_table_avx2, kernel_table_avx512;

static const Kernels *const tables[SIMD_LEVELS] = {
    [SIMD_PLAIN] = &kernel_table_plain,
    [SIMD_AVX2] = &kernel_table_avx2,
    [SIMD_AVX512] = &kernel_table_avx512,
};

static const int64_t sizes[] = {1, 15, 16, 17, 64, 65, 1000, 20001};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 20001 };

/* First elements: near 0, and where the block number passes 2^32. */
static const uint64_t firsts[] = {0, 4, 16384, (4ULL << 32) - 32};
enum { N_FIRSTS = sizeof firsts / sizeof *firsts };

static const Stream stream = {0x123456789ABCDEF0, 0xFEDCBA9876543210};

TEST(words_are_those_of_the_known_answers) {
  static const struct { Stream stream; uint64_t block; uint32_t out[4]; } known[] = {
      {{0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0ULL, ~0ULL}, ~0ULL, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x299f31d0a4093822, 0x0370734413198a2e}, 0x85a308d3243f6a88,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int i = 0; i < 3; i++) {
      uint32_t got[4];
      tables[level]->random_words(got, known[i].stream, known[i].block, 1);
      assert_memory_equal(got, known[i].out, sizeof got);
    }
}

TEST(words_are_those_of_philox_block) {
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int f = 0; f < N_FIRSTS; f++)
      for (int64_t n = 1; n < 50; n += 7) {
        uint32_t got[4 * 50 + 1], want[4];
        got[4 * n] = 77;
        tables[level]->random_words(got, stream, firsts[f] / 4, n);
        for (int64_t b = 0; b < n; b++) {
          philox_block(want, stream, firsts[f] / 4 + (uint64_t)b);
          assert_memory_equal(got + 4 * b, want, sizeof want);
        }
        assert_true(got[4 * n] == 77);
      }
}

TEST(uniforms_and_masks_are_made_of_those_words) {
  static real u[MOST + 1], mask[MOST + 1];
  for (SimdLevel level = 0; level <= simd_level(); level++)
    for (int f = 0; f < N_FIRSTS; f++)
      for (int s = 0; s < N_SIZES; s++) {
        int64_t n = sizes[s];
        u[n] = mask[n] = 77;
        tables[level]->random_uniform(u, stream, firsts[f], n, -0.5, 3);
        tables[level]->random_mask(mask, stream, firsts[f], n, 0.3);
        for (int64_t i = 0; i < n; i++) {
          double unit = philox_unit(philox_word(stream, firsts[f] + (uint64_t)i));
          assert_true(u[i] == (real)(-0.5 + 3.5 * unit));
          assert_true(mask[i] == (unit < 0.3 ? 0 : (real)(1 / (1 - 0.3))));
        }
        assert_true(u[n] == 77 && mask[n] == 77);
      }
}

/* Standard errors of 20001 draws: mean 0.002, share of zeros 0.0035. */
TEST(draws_have_the_right_moments) {
  static real u[MOST], mask[MOST];
  double sum = 0, squares = 0, zeros = 0;
  kernels()->random_uniform(u, stream, 0, MOST, 0, 1);
  kernels()->random_mask(mask, stream, 0, MOST, 0.4);
  for (int64_t i = 0; i < MOST; i++) {
    assert_true(u[i] >= 0 && u[i] < 1);
    sum += u[i];
    squares += (u[i] - 0.5) * (u[i] - 0.5);
    zeros += mask[i] == 0;
  }
  CHECK_NEAR(sum / MOST, 0.5, 0.01);
  CHECK_NEAR(squares / MOST, 1.0 / 12, 0.004);
  CHECK_NEAR(zeros / MOST, 0.4, 0.016);
}

TEST(rate_zero_keeps_everything) {
  real mask[100];
  kernels()->random_mask(mask, stream, 0, 100, 0);
  for (int i = 0; i < 100; i++) assert_true(mask[i] == 1);
}
