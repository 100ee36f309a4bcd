/* sys.c: clock, interrupt flag, terminal, processor.
 *
 * Two things here outlive a call, because they belong to the process and not to a
 * session: the interrupt flag with all that goes with it, which a signal handler can
 * reach in no other way, and the SIMD level, which must not change once a kernel has
 * run. */
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

/* The signal that ends the process wherever it is, counted while one is pending. */
enum { LAST_SIGNAL = 3 };
/* The program `timeout` sends its SIGTERM twice at once; a key that is held down asks
 * many times a second. */
static const double TWICE_S = 0.05, HELD_KEY_S = 0.25;

static atomic_bool interrupt_flag, interrupt_final, at_prompt, in_worker, counting;
/* eventfd: readable while the flag is set, so that waiting and a signal cannot miss
 * each other; -1 before interrupt_install. */
static atomic_int interrupt_event = -1;
static atomic_int n_signals;
static atomic_bool stop_asked;
static void (*_Atomic tell)(void *ctx);
static void *_Atomic tell_ctx;

/* Is it the signal that came a moment ago? Of handlers alone, one at a time. */
static bool is_repeated(int number) {
  static double last_s;
  static int last_number;
  double now_s = clock_s();
  double least_s = number != SIGINT ? TWICE_S : at_prompt ? HELD_KEY_S : 0;
  bool repeated = n_signals > 0 && number == last_number && now_s - last_s < least_s;
  last_s = now_s;
  last_number = number;
  return repeated;
}

/* The first signal asks for an orderly end. The last ends the process by the default
 * action: unblocked on return from the handler, it is delivered before the program goes
 * on. Calls only what is safe in a handler. */
static void on_signal(int number) {
  int saved = errno;
  if (is_repeated(number)) return;
  n_signals += counting && number != SIGINT ? 2 : 1;
  if (n_signals >= LAST_SIGNAL && !in_worker && (number == SIGINT || !counting)) {
    signal(number, SIG_DFL);
    raise(number);
  }
  if (!counting) {
    if (number == SIGTERM) interrupt_final = true;
    interrupt_raise();
  }
  errno = saved;
}

static void set_handler(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
}

void interrupt_install(void) {
  if (interrupt_event < 0) interrupt_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  set_handler(SIGINT, on_signal);
  set_handler(SIGTERM, on_signal);
  set_handler(SIGUSR1, on_signal);
}

static void on_nothing(int number) { (void)number; }

/* A handler and not SIG_IGN where programs that it starts are to have the default. */
void interrupt_in_worker(void) {
  in_worker = true;
  set_handler(SIGPIPE, on_nothing);
  signal(SIGTTIN, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
}

static atomic_int
    interrupt_holds; /* set by the thread that runs scripts, read by all */

void interrupt_hold(void) { interrupt_holds++; }
void interrupt_release(void) { interrupt_holds--; }
void interrupt_at_prompt(void) { at_prompt = true; }
bool interrupt_pending(void) { return interrupt_flag && interrupt_holds == 0; }
bool interrupt_is_final(void) { return interrupt_final; }
int interrupt_count(void) { return n_signals; }

void interrupt_raise(void) {
  uint64_t one = 1;
  interrupt_flag = true;
  if (n_signals == 0) n_signals = 1;
  if (interrupt_event >= 0) (void)!write(interrupt_event, &one, sizeof one);
  void (*call)(void *) = tell;
  if (call) call(tell_ctx);
}

void interrupt_tell(void (*call)(void *ctx), void *ctx) {
  tell = NULL;
  tell_ctx = ctx;
  tell = call;
}

void interrupt_clear(void) {
  uint64_t count;
  if (interrupt_event >= 0) (void)!read(interrupt_event, &count, sizeof count);
  interrupt_flag = false;
  n_signals = 0;
}

bool interrupt_wait(int fd) {
  struct pollfd files[] = {{.fd = fd, .events = POLLIN},
                           {.fd = interrupt_event, .events = POLLIN}};
  return poll(files, 2, -1) > 0 && !interrupt_flag;
}

/* -- signals that are only counted ------------------------------------------------- */

static void on_stop(int number) {
  (void)number;
  stop_asked = true;
}

/* Where Ctrl-Z is ignored, as by what a shell without job control starts, it stays
 * so. */
static void count_stops(bool on) {
  struct sigaction old;
  if (sigaction(SIGTSTP, NULL, &old) || old.sa_handler == SIG_IGN) return;
  if (on) set_handler(SIGTSTP, on_stop);
  else signal(SIGTSTP, SIG_DFL);
}

void interrupt_counting(bool on) {
  if (on) n_signals = interrupt_flag ? 2 : 0; /* one that came before counts too */
  counting = on;
  count_stops(on);
  if (!on && interrupt_stop_asked()) raise(SIGTSTP);
}

void interrupt_heed(int n) { n_signals -= n; }

/* SIGSTOP would stop it in any case. */
void process_stop(void) {
  struct sigaction stop = {.sa_handler = SIG_DFL}, before;
  sigaction(SIGTSTP, &stop, &before);
  raise(SIGTSTP);
  sigaction(SIGTSTP, &before, NULL);
}

bool interrupt_stop_asked(void) { return atomic_exchange(&stop_asked, false); }

bool thread_start(pthread_t *thread, void *(*body)(void *ctx), void *ctx) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGTSTP);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  bool started = pthread_create(thread, NULL, body, ctx) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

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
  static _Atomic int chosen = -1; /* every thread would choose the same */
  int level = chosen;
  if (level < 0) chosen = level = (int)simd_choose();
  return (SimdLevel)level;
}
