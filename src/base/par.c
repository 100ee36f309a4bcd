/* par.c: sharing blocks among OpenMP threads.
 *
 * A job becomes a parallel region only when it is worth one: its work reaches the
 * threshold, it has at least two blocks, and there are threads to take them. Thread t
 * of T takes the blocks [n t / T, n (t + 1) / T): every thread of the team gets at
 * least one, and consecutive jobs over the same arrays meet the same cache. Which
 * thread runs a block cannot be seen in results, because blocks are cut by shape
 * alone. */
#include "base/par.h"
#include "base/fault.h"
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum { MAX_THREADS = 1024 };

/* The positive integer that an environment variable begins with; 0 if there is none. */
static int64_t env_count(const char *name) {
  const char *text = getenv(name);
  long long value = text ? strtoll(text, NULL, 10) : 0;
  return value > 0 ? value : 0;
}

void par_init(Par *par, int threads) {
  int64_t wanted = threads > 0 ? threads : env_count("OMP_NUM_THREADS");
  if (wanted == 0) wanted = par_cores();
  int64_t threshold = env_count("RUNNER_PAR_THRESHOLD");
  *par = (Par){.threads = (int)(wanted < MAX_THREADS ? wanted : MAX_THREADS),
               .threshold = threshold ? threshold : PAR_THRESHOLD};
}

static void run_blocks(int64_t first, int64_t end, void (*block)(void *, int64_t),
                       void *ctx) {
  unsigned old = par_denormals_off();
  for (int64_t i = first; i < end; i++) block(ctx, i);
  par_denormals_restore(old);
}

void par_for(Par *par, int64_t n_blocks, int64_t work,
             void (*block)(void *ctx, int64_t i), void *ctx) {
  must(n_blocks >= 0);
  int64_t threads = n_blocks < par->threads ? n_blocks : par->threads;
  if (threads < 2 || work < par->threshold) {
    run_blocks(0, n_blocks, block, ctx);
    return;
  }
  int team = 1;
#pragma omp parallel num_threads((int)threads)
  {
    int64_t n = omp_get_num_threads();
    int64_t t = omp_get_thread_num();
    if (t == 0) team = (int)n;
    run_blocks(n_blocks * t / n, n_blocks * (t + 1) / n, block, ctx);
  }
  par->n_shared += team > 1;
}

/* -- cores ------------------------------------------------------------------------- */

/* Quota / period of one cgroup directory, rounded up; 0: unlimited or unknown. Version
 * 2 keeps "quota period" or "max period" in cpu.max, version 1 two files. */
static int directory_quota(const char *directory) {
  char path[600];
  long long quota = -1, period = 0;
  snprintf(path, sizeof path, "%s/cpu.max", directory);
  FILE *file = fopen(path, "r");
  if (file) {
    if (fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;
    fclose(file);
  } else {
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
    if (!(file = fopen(path, "r"))) return 0;
    if (fscanf(file, "%lld", &quota) != 1) quota = -1;
    fclose(file);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
    if (!(file = fopen(path, "r"))) return 0;
    if (fscanf(file, "%lld", &period) != 1) period = 0;
    fclose(file);
  }
  return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

/* The least quota of the group `path` below `root` and of its parents; 0: none. */
static int tree_quota(const char *root, const char *path) {
  char directory[512];
  int least = 0;
  int length = snprintf(directory, sizeof directory, "%s%s", root, path);
  if (length >= (int)sizeof directory) return 0;
  for (size_t n_root = strlen(root);;) {
    int quota = directory_quota(directory);
    if (quota && (!least || quota < least)) least = quota;
    char *slash = strrchr(directory, '/');
    if (!slash || slash < directory + n_root) return least;
    *slash = '\0';
  }
}

/* Lines of /proc/self/cgroup read "id:controllers:/path"; version 2 has none named. */
static int cgroup_quota(void) {
  FILE *file = fopen("/proc/self/cgroup", "r");
  if (!file) return 0;
  char line[512];
  int least = 0;
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) continue;
    *path++ = '\0';
    controllers++;
    int quota = 0;
    if (*controllers == '\0') quota = tree_quota("/sys/fs/cgroup", path);
    else if (strstr(controllers, "cpu") && !strstr(controllers, "cpuset"))
      quota = tree_quota("/sys/fs/cgroup/cpu", path);
    if (quota && (!least || quota < least)) least = quota;
  }
  fclose(file);
  return least;
}

int par_cores(void) {
  cpu_set_t set;
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  int quota = cgroup_quota();
  if (quota && quota < cores) cores = quota;
  return cores > 0 ? cores : 1;
}

/* -- denormals --------------------------------------------------------------------- */

#ifdef __SSE2__
enum { MXCSR_FTZ = 1 << 15, MXCSR_DAZ = 1 << 6 };

unsigned par_denormals_off(void) {
  unsigned old = _mm_getcsr();
  _mm_setcsr(old | MXCSR_FTZ | MXCSR_DAZ);
  return old;
}

void par_denormals_restore(unsigned old) { _mm_setcsr(old); }
#else
/* Other processors have no denormal penalty worth a control word. */
unsigned par_denormals_off(void) { return 0; }
void par_denormals_restore(unsigned old) { (void)old; }
#endif
