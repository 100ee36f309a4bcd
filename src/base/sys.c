/* sys.c: clock, interrupt flag, terminal, processor.
 *
 * Two things here outlive a call, because they belong to the process and not to a
 * session: the interrupt flag with its event and holds, which a signal handler can reach in
 * no other way, and the SIMD level, which must not change once a kernel has run. */
#include "base/sys.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double clock_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

char *clock_utc(char *buffer) {
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(buffer, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return buffer;
}

/* -- interrupt --------------------------------------------------------------------- */

static atomic_bool interrupt_flag, interrupt_final, keep_session;
/* eventfd: readable while the flag is set, so that waiting and a signal cannot miss each
 * other; -1 before interrupt_install. */
static atomic_int interrupt_event = -1;
static volatile sig_atomic_t counting, n_signals;

/* The first signal asks for an orderly end. A second SIGINT while that one is pending
 * ends the process by the default action: unblocked on return from the handler, it is
 * delivered before the program goes on. Calls only what is safe in a handler. */
static void on_signal(int number) {
  int saved = errno;
  if (counting) {
    n_signals += number == SIGINT ? 1 : 2;
    if (number != SIGINT || n_signals < 3) return;
    interrupt_flag = true;
  }
  if (number == SIGINT && interrupt_flag && !keep_session) {
    signal(number, SIG_DFL);
    raise(number);
  }
  if (number == SIGTERM) interrupt_final = true;
  interrupt_raise();
  errno = saved;
}

void interrupt_install(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  if (interrupt_event < 0) interrupt_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
}

static atomic_int interrupt_holds;   /* set by the thread that runs scripts, read by all */

void interrupt_hold(void) { interrupt_holds++; }
void interrupt_release(void) { interrupt_holds--; }
void interrupt_keep_session(void) { keep_session = true; }
bool interrupt_pending(void) { return interrupt_flag && interrupt_holds == 0; }
bool interrupt_is_final(void) { return interrupt_final; }

void interrupt_raise(void) {
  uint64_t one = 1;
  interrupt_flag = true;
  if (interrupt_event >= 0) (void)!write(interrupt_event, &one, sizeof one);
}

void interrupt_clear(void) {
  uint64_t count;
  if (interrupt_event >= 0) (void)!read(interrupt_event, &count, sizeof count);
  interrupt_flag = false;
}

bool interrupt_wait(int fd) {
  struct pollfd files[] = {{.fd = fd, .events = POLLIN},
                           {.fd = interrupt_event, .events = POLLIN}};
  return poll(files, 2, -1) > 0 && !interrupt_flag;
}

void interrupt_counting(bool on) {
  if (on) n_signals = interrupt_flag ? 2 : 0;   /* one that came before counts too */
  counting = on;
}

int interrupt_count(void) { return n_signals; }

/* -- terminal ---------------------------------------------------------------------- */

int terminal_columns(FILE *file) {
  int fd = fileno(file);
  if (fd < 0 || !isatty(fd)) return 0;
  struct winsize size = {0};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

/* -- processor --------------------------------------------------------------------- */

const char *const simd_names[SIMD_LEVELS + 1] = {
    [SIMD_PLAIN] = "plain", [SIMD_AVX2] = "avx2", [SIMD_AVX512] = "avx512"};

const char *simd_name(SimdLevel level) { return simd_names[level]; }

SimdLevel simd_best(void) {
#ifdef __x86_64__
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = __builtin_cpu_supports("avx512f") &&
                __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq");
  if (avx2) return avx512 ? SIMD_AVX512 : SIMD_AVX2;
#endif
  return SIMD_PLAIN;
}

static SimdLevel simd_choose(void) {
  SimdLevel best = simd_best();
  const char *wanted = getenv("RUNNER_SIMD");
  for (int level = 0; wanted && level < (int)best; level++) {
    if (strcmp(wanted, simd_names[level]) == 0) return (SimdLevel)level;
  }
  return best;
}

SimdLevel simd_level(void) {
  static _Atomic int chosen = -1;   /* every thread would choose the same */
  int level = chosen;
  if (level < 0) chosen = level = (int)simd_choose();
  return (SimdLevel)level;
}
