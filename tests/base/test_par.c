/* Sharing of blocks: each runs once, more than one thread takes part when forced to,
 * denormals count as zero inside and the caller's state comes back; interrupts. */
#include "test.h"
#include "base/par.h"
#include "base/sys.h"
#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 50 };
typedef struct Seen {
  int times[BLOCKS];
  pthread_t thread[BLOCKS];
  double product[BLOCKS];
} Seen;

static void note(void *ctx, int64_t i) {
  Seen *seen = ctx;
  volatile double tiny = DBL_MIN;
  seen->times[i]++;
  seen->thread[i] = pthread_self();
  seen->product[i] = tiny * 0.5;
}

static Seen run(Par *par, int64_t n_blocks, int64_t work) {
  Seen seen = {0};
  par_for(par, n_blocks, work, note, &seen);
  for (int64_t i = 0; i < BLOCKS; i++) assert_int_equal(seen.times[i], i < n_blocks);
  return seen;
}

/* Interrupts come first, before there are threads: under the thread sanitizer a child
 * of a process with threads gets its signals late. */

TEST(interrupt_is_pending_until_cleared) {
  interrupt_install();
  assert_false(interrupt_pending());
  raise(SIGTERM);
  assert_true(interrupt_pending());
  interrupt_clear();
  raise(SIGINT);
  assert_true(interrupt_pending());
  interrupt_clear();
  assert_false(interrupt_pending());
}

TEST(third_interrupt_ends_the_process) {
  pid_t child = fork();
  if (child == 0) {
    interrupt_install();
    raise(SIGINT);
    raise(SIGINT);
    if (!interrupt_pending() || interrupt_count() != 2) _exit(1);
    raise(SIGINT);
    _exit(2);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGINT);
}

TEST(par_for_runs_each_block_once) {
  for (int threads = 1; threads <= 7; threads++) {
    Par par = {.threads = threads, .threshold = 1};
    for (int64_t n = 0; n <= BLOCKS; n++) run(&par, n, n);
  }
}

TEST(par_for_shares_when_forced) {
  for (int threads = 2; threads <= 7; threads++) {
    Par par = {.threads = threads, .threshold = 1};
    for (int n = 2; n <= BLOCKS; n++) {
      Seen seen = run(&par, n, n);
      bool other = false;
      for (int i = 1; i < n; i++)
        other |= !pthread_equal(seen.thread[0], seen.thread[i]);
      assert_true(other);
      assert_int_equal(par.n_shared, n - 1);
    }
  }
}

static void count(void *ctx, int64_t i) { ((unsigned char *)ctx)[i]++; }

enum { SEATS = 4 };
typedef struct Seats {
  atomic_int taken[SEATS], n_wrong, most;
} Seats;

static void take_seat(void *ctx, int64_t i) {
  Seats *seats = ctx;
  int seat = par_seat();
  (void)i;
  if (seat < 0 || seat >= SEATS || atomic_exchange(&seats->taken[seat], 1)) {
    atomic_fetch_add(&seats->n_wrong, 1);
    return;
  }
  if (seat > atomic_load(&seats->most)) atomic_store(&seats->most, seat);
  sched_yield();
  atomic_store(&seats->taken[seat], 0);
}

TEST(threads_that_run_blocks_sit_apart) {
  Par par = {.threads = SEATS, .threshold = 1};
  Seats seats = {0};
  par_for(&par, 5000, 1, take_seat, &seats);
  assert_int_equal(atomic_load(&seats.n_wrong), 0);
  assert_true(atomic_load(&seats.most) > 0);
  Par alone = {.threads = 1};
  Seats first = {0};
  par_for(&alone, 50, 1, take_seat, &first);
  assert_int_equal(atomic_load(&first.n_wrong) + atomic_load(&first.most), 0);
}

TEST(par_for_runs_more_blocks_than_a_ticket_counts) {
  enum { MANY = (1 << 21) + 3 };
  unsigned char *times = calloc(MANY, 1);
  assert_non_null(times);
  Par par = {.threads = 2, .threshold = 2};
  par_for(&par, MANY, MANY, count, times);
  for (int i = 0; i < MANY; i++) assert_int_equal(times[i], 1);
  free(times);
}

TEST(par_for_stays_in_one_thread_below_the_threshold) {
  Par par = {.threads = 4, .threshold = 1000};
  Seen seen = run(&par, BLOCKS, 999);
  for (int i = 0; i < BLOCKS; i++)
    assert_true(pthread_equal(seen.thread[i], pthread_self()));
  run(&par, 1, 100000);
  assert_int_equal(par.n_shared, 0);
  run(&par, 2, 1000); /* may be shared: whoever comes takes a block */
  assert_true(par.n_shared <= 1);
}

#ifdef __SSE2__
TEST(denormals_are_zero_in_blocks_only) {
  volatile double tiny = DBL_MIN;
  for (int threads = 1; threads <= 3; threads += 2) {
    Par par = {.threads = threads, .threshold = 1};
    Seen seen = run(&par, BLOCKS, BLOCKS);
    for (int i = 0; i < BLOCKS; i++) assert_true(seen.product[i] == 0);
    assert_true(tiny * 0.5 > 0);
  }
}
#endif

TEST(par_init_asks_argument_environment_and_machine) {
  Par par;
  unsetenv("RUNNER_PAR_THRESHOLD");
  setenv("OMP_NUM_THREADS", "5,2", 1);
  par_init(&par, 3);
  assert_int_equal(par.threads, 3);
  assert_int_equal(par.threshold, PAR_THRESHOLD);
  par_init(&par, 0);
  assert_int_equal(par.threads, 5);
  unsetenv("OMP_NUM_THREADS");
  setenv("RUNNER_PAR_THRESHOLD", "1", 1);
  par_init(&par, 0);
  assert_int_equal(par.threads, par_cores());
  assert_int_equal(par.threshold, 1);
  assert_true(par_cores() >= 1);
}
