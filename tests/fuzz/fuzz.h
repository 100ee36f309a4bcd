/* fuzz.h: a target of the fuzzer that is also a test.
 *
 *   #include "fuzz/fuzz.h"
 *   FUZZ(json) { use(bytes, n_bytes); }
 *
 * In `make fuzz` (FUZZING) the function is libFuzzer's, and whatever crashes, leaks,
 * hangs or breaks a must() is a finding. In the tests it is run on every file of
 * tests/fuzz/corpus/<name>/, and, with FUZZ_CUTS, on every beginning of the short ones:
 * a truncated file is the commonest of all hostile inputs. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Allocations that are too large come back as NULL, as they do without a sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "allocator_may_return_null=1:max_allocation_size_mb=256:detect_odr_violation="
         "0";
}

#ifdef FUZZING
#include "tempdir.h"
#include "base/fault.h"
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);
#define FUZZ(name)                                                                     \
  static void fuzz_##name(const uint8_t *bytes, size_t n_bytes);                       \
  int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {                   \
    fuzz_##name(bytes, n_bytes);                                                       \
    return 0;                                                                          \
  }                                                                                    \
  static void fuzz_##name(const uint8_t *bytes, size_t n_bytes)
#define FUZZ_CUTS(name)
#else
#include "fuzz/replay.h"
#define FUZZ(name)                                                                     \
  static void fuzz_##name(const uint8_t *bytes, size_t n_bytes);                       \
  TEST(corpus_of_##name) { replay_corpus(#name, fuzz_##name); }                        \
  static void fuzz_##name(const uint8_t *bytes, size_t n_bytes)
#define FUZZ_CUTS(name)                                                                \
  TEST(cut_corpus_of_##name) { replay_cut(#name, fuzz_##name); }
#endif

#endif
