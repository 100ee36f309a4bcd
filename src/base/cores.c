/* cores.c: how many cores this process may use: affinity and cgroup quota. */
#include "base/par.h"
#include "base/text.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>

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

/* The quota of a group by the names of its controllers, separated by commas. */
static int group_quota(char *controllers, const char *path) {
  const char *below = strcmp(path, "/") == 0 ? "" : path;
  if (*controllers == '\0') return tree_quota("/sys/fs/cgroup", below);
  for (char *at = controllers; (at = strchr(at, ','));) *at = ' ';
  return text_has_word(controllers, "cpu") ? tree_quota("/sys/fs/cgroup/cpu", below)
                                           : 0;
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
    int quota = group_quota(controllers + 1, path);
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
