/* The cores that this process may use: never more than its affinity allows. */
#include "base/par.h"
#include "test.h"
#include <sched.h>

TEST(affinity_bounds_the_cores) {
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  int cores = par_cores();
  assert_true(cores >= 1 && cores <= CPU_COUNT(&all));
  int first = 0;
  while (!CPU_ISSET(first, &all)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(par_cores(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
  assert_int_equal(par_cores(), cores);
}
