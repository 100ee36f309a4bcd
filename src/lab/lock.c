/* lock.c: the lock of a trial's directory; see lock.h.
 *
 * Open-file-description locks: unlike those of flock they can be asked for without
 * being taken, unlike those of a process they do not end when another descriptor is
 * closed. Whoever removes the file holds the lock, so one who locked a file that is no
 * longer the one in the directory begins again. */
#include "lab/lock.h"
#include "base/file.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *lock_path(const char *directory) {
  Text path = {0};
  text_addf(&path, "%s/lock", directory);
  if (!path.failed) return path.data;
  text_deinit(&path);
  return NULL;
}

static int set_lock(int fd, int command, struct flock *lock) {
  *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(fd, command, lock);
}

/* Is the file behind `fd` the one of that path? */
static bool still_there(int fd, const char *path) {
  struct stat ours, theirs;
  return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
         ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

Err lock_take_file(const char *path, int *out, Fault *fault) {
  *out = LOCK_NONE;
  for (;;) {
    int fd = file_open_own(path, O_RDWR | O_CREAT);
    if (fd < 0 && errno == ENOENT) return ERR_OK;
    if (fd < 0)
      return fault_set(fault, ERR_STORAGE, "%s: cannot be created: %s", path,
                       file_error());
    struct flock lock;
    if (set_lock(fd, F_OFD_SETLK, &lock) == 0) {
      if (still_there(fd, path)) {
        *out = fd;
        return ERR_OK;
      }
    } else if (errno == EAGAIN || errno == EACCES) {
      close(fd);
      return ERR_OK;
    } else if (errno != EINTR) {
      Err err = fault_set(fault, ERR_STORAGE, "%s: cannot be locked: %s", path,
                          strerror(errno));
      close(fd);
      return err;
    }
    close(fd);
  }
}

Err lock_take(const char *directory, int *out, Fault *fault) {
  *out = LOCK_NONE;
  char *path = lock_path(directory);
  Err err = path ? lock_take_file(path, out, fault)
                 : fault_memory(fault, strlen(directory));
  free(path);
  return err;
}

void lock_drop(int lock, const char *directory, bool remove) {
  if (lock == LOCK_NONE) return;
  char *path = remove ? lock_path(directory) : NULL;
  if (path) unlink(path);
  free(path);
  close(lock);
}

bool lock_file_held(const char *path) {
  int fd = file_open_own(path, O_RDONLY);
  if (fd < 0) return false;
  struct flock lock;
  bool held = set_lock(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  close(fd);
  return held;
}

bool lock_held(const char *directory) {
  char *path = lock_path(directory);
  bool held = path && lock_file_held(path);
  free(path);
  return held;
}
