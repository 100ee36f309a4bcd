/* lock.c: the lock of a directory, or of a file; see lock.h.
 *
 * Open-file-description locks: unlike those of flock they can be asked for without
 * being taken, unlike those of a process they do not end when another descriptor is
 * closed. A process that removes the file holds the lock, so one that locked a file
 * that is no longer the one in the directory begins again. */
#include "base/lock.h"
#include "base/file.h"
#include "base/path.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Path lock_path(const char *directory) { return path_of("%s/lock", directory); }

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
    } else if (errno != EINTR) {
      bool taken = errno == EAGAIN || errno == EACCES;
      if (!taken)
        fault_set(fault, ERR_STORAGE, "%s: cannot be locked: %s", path,
                  strerror(errno));
      close(fd);
      return taken ? ERR_OK : fault->code;
    }
    close(fd);
  }
}

Err lock_take(const char *directory, int *out, Fault *fault) {
  return lock_take_file(lock_path(directory).s, out, fault);
}

void lock_drop(int lock, const char *directory, bool remove) {
  if (lock == LOCK_NONE) return;
  if (remove) unlink(lock_path(directory).s);
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

bool lock_held(const char *directory) { return lock_file_held(lock_path(directory).s); }
