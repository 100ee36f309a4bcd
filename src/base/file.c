/* file.c: whole files; see file.h.
 *
 * The temporary name is "<path>.tmp-<pid>", opened with O_EXCL after a left-over of the
 * same name is removed: processes never share one. */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Err storage_fault(Fault *fault, const char *what, const char *path) {
  return fault_set(fault, ERR_STORAGE, "%s: %s: %s", path, what, strerror(errno));
}

Err file_begin(NewFile *out, const char *path, Fault *fault) {
  *out = (NewFile){0};
  Text temp = {0};
  text_addf(&temp, "%s.tmp-%ld", path, (long)getpid());
  out->path = text_copy(path);
  if (temp.failed || !out->path) {
    text_deinit(&temp);
    free(out->path);
    out->path = NULL;
    return fault_memory(fault, strlen(path));
  }
  out->temp = temp.data;
  unlink(out->temp);
  int fd = open(out->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  out->file = fd < 0 ? NULL : fdopen(fd, "wb");
  if (out->file) return ERR_OK;
  Err err = storage_fault(fault, "cannot be created", path);
  if (fd >= 0) {
    close(fd);
    unlink(out->temp);
  }
  free(out->path);
  free(out->temp);
  *out = (NewFile){0};
  return err;
}

void file_abandon(NewFile *file) {
  if (file->file) fclose(file->file);
  if (file->temp) unlink(file->temp);
  free(file->temp);
  free(file->path);
  *file = (NewFile){0};
}

/* Makes the entry itself survive a crash. Some file systems cannot sync a directory:
 * that is no reason to refuse the file. */
static void sync_directory(const char *path) {
  char *copy = text_copy(path);
  int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    (void)!fsync(fd);
    close(fd);
  }
  free(copy);
}

static Err put_in_place(const NewFile *file, Publish how, Fault *fault) {
  if (how == PUBLISH_REPLACE) {
    if (rename(file->temp, file->path) == 0) return ERR_OK;
    return storage_fault(fault, "cannot be put in place", file->path);
  }
  if (link(file->temp, file->path) == 0) return ERR_OK;
  if (errno == EEXIST)
    return fault_set(fault, ERR_STORAGE, "%s: is already there", file->path);
  return storage_fault(fault, "cannot be put in place", file->path);
}

Err file_publish(NewFile *file, Publish how, Fault *fault) {
  bool written = !ferror(file->file) && fflush(file->file) == 0 &&
                 fsync(fileno(file->file)) == 0;
  Err err = written ? ERR_OK : storage_fault(fault, "cannot be written", file->path);
  if (fclose(file->file) != 0 && !err)
    err = storage_fault(fault, "cannot be written", file->path);
  file->file = NULL;
  if (!err) err = put_in_place(file, how, fault);
  if (!err) sync_directory(file->path);
  file_abandon(file);
  return err;
}

Err file_put(const char *path, const void *bytes, size_t n_bytes, Publish how,
             Fault *fault) {
  NewFile file;
  Err err = file_begin(&file, path, fault);
  if (err) return err;
  fwrite(bytes, 1, n_bytes, file.file);   /* its error is seen at publish */
  return file_publish(&file, how, fault);
}

Err file_read(const char *path, size_t limit_bytes, Text *out, Fault *fault) {
  FILE *file = fopen(path, "rbe");
  if (!file)
    return fault_set(fault, ERR_DATA, "%s: cannot be read: %s", path, strerror(errno));
  char buffer[1 << 14];
  size_t total = 0;
  Err err = ERR_OK;
  for (size_t n; !err && (n = fread(buffer, 1, sizeof buffer, file)) > 0;) {
    total += n;
    text_add_bytes(out, buffer, n);
    if (total > limit_bytes)
      err = fault_set(fault, ERR_DATA, "%s: larger than %zu bytes", path, limit_bytes);
    else if (out->failed) err = fault_memory(fault, total);
  }
  if (!err && ferror(file))
    err = fault_set(fault, ERR_DATA, "%s: cannot be read: %s", path, strerror(errno));
  fclose(file);
  return err;
}

static bool make_directory(const char *path) {
  if (mkdir(path, 0777) == 0) return true;
  int error = errno;
  struct stat at;
  if (stat(path, &at) != 0) {
    errno = error;
    return false;
  }
  errno = ENOTDIR;
  return S_ISDIR(at.st_mode);
}

Err file_make_dirs(const char *path, Fault *fault) {
  char *copy = text_copy(path);
  if (!copy) return fault_memory(fault, strlen(path));
  Err err = ERR_OK;
  for (char *s = copy; !err; s++) {
    if (*s != '/' && *s != 0) continue;
    char end = *s;
    *s = 0;
    if (s > copy && !make_directory(copy)) err = storage_fault(fault, "cannot be made", copy);
    *s = end;
    if (!end) break;
  }
  free(copy);
  return err;
}
