/* environment.c: see environment.h. */
#include "base/environment.h"
#include "base/sys.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- variables --------------------------------------------------------------------- */

static const char *const executors[] = {"planned", "naive", NULL};
static const char *const switches[] = {"0", "1", NULL};

/* The processor must have it. */
static bool is_level(const char *value) {
  for (int level = 0; level <= (int)simd_best(); level++)
    if (strcmp(simd_names[level], value) == 0) return true;
  return false;
}

static bool is_count(const char *value) {
  char *end;
  errno = 0;
  long long n = strtoll(value, &end, 10);
  return end != value && !*end && !errno && n > 0;
}

const EnvVariable env_variables[] = {
    {.name = "RUNNER_DATA", .what = "a directory",
     .doc = "where the files of Fashion-MNIST and CIFAR-10 are"},
    {.name = "RUNNER_SIMD", .values = simd_names, .fits = is_level,
     .doc = "a lower SIMD level than the processor's best"},
    {.name = "RUNNER_EXECUTOR", .values = executors,
     .doc = "naive: op by op, without plans, to the same bytes"},
    {.name = "RUNNER_CHECKED", .values = switches,
     .doc = "1: every plan is verified after each of its passes"},
    {.name = "RUNNER_PAR_THRESHOLD", .what = "a whole number above 0", .fits = is_count,
     .doc = "work from which on threads share it"},
    {0}};

static bool fits(const EnvVariable *v, const char *value) {
  bool listed = !v->values;
  for (int i = 0; !listed && v->values[i]; i++)
    listed = strcmp(v->values[i], value) == 0;
  return listed && (!v->fits || v->fits(value));
}

static Err refuse(const EnvVariable *v, const char *value, Fault *fault) {
  enum { MOST = 8 };
  const char *names[MOST];
  int n = 0;
  Text allowed = {0};
  for (int i = 0; v->values && v->values[i] && n < MOST; i++)
    if (fits(v, v->values[i])) names[n++] = v->values[i];
  for (int i = 0; i < n; i++) text_addf(&allowed, "%s%s", i ? ", " : "", names[i]);
  if (!v->values) text_add(&allowed, v->what);
  const char *nearest = text_nearest(value, names, n);
  fault_set(fault, ERR_USAGE,
            nearest ? "%s=%s: allowed: %s; did you mean %s?" : "%s=%s: allowed: %s",
            v->name, value, allowed.data ? allowed.data : "?", nearest);
  text_deinit(&allowed);
  return fault->code;
}

Err env_check(Fault *fault) {
  for (const EnvVariable *v = env_variables; v->name; v++) {
    const char *value = getenv(v->name);
    if (value && *value && !fits(v, value)) return refuse(v, value, fault);
  }
  return ERR_OK;
}

bool env_is(const char *name, const char *value) {
  const char *got = getenv(name);
  return got && strcmp(got, value) == 0;
}

/* -- descriptors ------------------------------------------------------------------- */

/* Open the other way round: reading 0, or writing 1 and 2, says "bad file descriptor",
 * as if they were closed. An open takes the lowest that is free. */
void env_fill_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0)
      (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}
