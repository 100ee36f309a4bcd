/* The memory that can still be had: blocks beyond it are refused before they are asked
 * for. */
#include "base/input.h"
#include "base/sys.h"
#include "test.h"

TEST(blocks_beyond_what_is_free_are_refused) {
  int64_t free_bytes = memory_free();
  assert_true(free_bytes > 0);
  Fault fault = {0};
  assert_int_equal(memory_holds(0, &fault), ERR_OK);
  assert_int_equal(memory_holds(1 << 16, &fault), ERR_OK);
  assert_int_equal(memory_holds(INT64_MAX, &fault),
                   free_bytes == INT64_MAX ? ERR_OK : ERR_MEMORY);
}
