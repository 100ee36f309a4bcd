/* sys.c: clock, interrupt flag, terminal, processor.
 *
 * Two things here outlive a call, because they belong to the process and not to a
 * session: the interrupt flag (with its holds), which a signal handler can reach in no
 * other way, and the SIMD level, which must not change once a kernel has run. */
#include "base/sys.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

static volatile sig_atomic_t interrupt_flag;
static volatile sig_atomic_t counting, n_signals;

/* The first signal asks for an orderly end. A second SIGINT while that one is pending
 * ends the process by the default action: unblocked on return from the handler, it is
 * delivered before the program goes on. Calls only what is safe in a handler. */
static void on_signal(int number) {
  if (counting) {
    n_signals += number == SIGINT ? 1 : 2;
    if (number != SIGINT || n_signals < 3) return;
    interrupt_flag = 1;
  }
  if (number == SIGINT && interrupt_flag) {
    signal(number, SIG_DFL);
    raise(number);
  }
  interrupt_flag = 1;
}

void interrupt_install(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
}

static int interrupt_holds;    /* of the thread that runs scripts */

bool interrupt_pending(void) { return interrupt_flag != 0 && interrupt_holds == 0; }
void interrupt_hold(void) { interrupt_holds++; }
void interrupt_release(void) { interrupt_holds--; }
void interrupt_raise(void) { interrupt_flag = 1; }
void interrupt_clear(void) { interrupt_flag = 0; }

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

static const char *const simd_names[SIMD_LEVELS] = {
    [SIMD_PLAIN] = "plain", [SIMD_AVX2] = "avx2", [SIMD_AVX512] = "avx512"};

const char *simd_name(SimdLevel level) { return simd_names[level]; }

static SimdLevel simd_best(void) {
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
