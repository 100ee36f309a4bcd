/* memory.c: how much memory this process can still get: the machine's and its
 * cgroup's. */
#include "base/ints.h"
#include "base/sys.h"
#include <stdio.h>
#include <string.h>

/* The number behind `word` in lines of "word number", or alone where word is NULL; -1
 * where there is none. */
static int64_t file_number(const char *path, const char *word) {
  FILE *file = fopen(path, "re");
  if (!file) return -1;
  char line[256];
  long long number = -1;
  while (number < 0 && fgets(line, sizeof line, file)) {
    size_t n = word ? strlen(word) : 0;
    if (word && (strncmp(line, word, n) != 0 || !strchr(": ", line[n]))) continue;
    if (sscanf(line + n + (word != NULL), "%lld", &number) != 1 && !word) break;
  }
  fclose(file);
  return number;
}

typedef struct GroupFiles {
  const char *limit, *used, *details, *reclaimable;
} GroupFiles;

/* The files of a memory cgroup, version 2 and 1, as a container sees its own. */
static const GroupFiles group_files[] = {
    {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
     "/sys/fs/cgroup/memory.stat", "inactive_file"},
    {"/sys/fs/cgroup/memory/memory.limit_in_bytes",
     "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat",
     "total_inactive_file"}};

int64_t memory_free(void) {
  int64_t free_kib = file_number("/proc/meminfo", "MemAvailable");
  int64_t free_bytes = free_kib < 0 ? INT64_MAX : free_kib * 1024;
  for (size_t i = 0; i < sizeof group_files / sizeof *group_files; i++) {
    const GroupFiles *group = &group_files[i];
    int64_t limit = file_number(group->limit, NULL),
            used = file_number(group->used, NULL);
    if (limit < 0 || used < 0) continue;
    int64_t cached = file_number(group->details, group->reclaimable);
    free_bytes = least(free_bytes, most(0, limit - used + most(0, cached)));
  }
  return free_bytes;
}
