/* file.c: whole files; see file.h.
 *
 * The temporary name is "<path>.tmp-<pid>-<time>", opened with O_EXCL: processes never
 * share one, those of two containers with equal numbers neither.
 *
 * Every step that changes the disk asks `step_fails` first, so that tests can let any
 * one of them fail. The hook is the one thing here that outlives a call. */
#include "base/file.h"
#include "base/array.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* one after another, as the kernel follows them */

static FileHook hook;

void file_set_hook(FileHook asked) { hook = asked; }

static bool step_fails(FileStep step, const char *path) {
  int error = hook ? hook(step, path) : 0;
  if (error) errno = error;
  return error != 0;
}

static Err storage_fault(Fault *fault, const char *what, const char *path) {
  return fault_set(fault, ERR_STORAGE, "%s: %s: %s", path, what, file_error());
}

const char *file_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* -- new files --------------------------------------------------------------------- */

static const char temp_mark[] = ".tmp-";

static char *temp_name(const char *path) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  Text temp = {0};
  text_addf(&temp, "%s%s%ld-%llx", path, temp_mark, (long)getpid(),
            (unsigned long long)now.tv_sec * 1000000000ull +
                (unsigned long long)now.tv_nsec);
  if (!temp.failed) return temp.data;
  text_deinit(&temp);
  return NULL;
}

/* Is there something that no file can take the place of: a device, a pipe? */
static bool is_device(const char *path) {
  struct stat at;
  return stat(path, &at) == 0 && !S_ISREG(at.st_mode) && !S_ISDIR(at.st_mode);
}

/* False where the path is no link. Else *out is where it leads, whether or not
 * something is there: new, or NULL on lack of memory. */
static bool behind_link(const char *path, char **out) {
  char target[PATH_MAX];
  Text whole = {0};
  const char *slash = strrchr(path, '/');
  ssize_t n = readlink(path, target, sizeof target);
  if (n <= 0 || n == sizeof target) return false;
  if (target[0] != '/' && slash)
    text_add_bytes(&whole, path, (size_t)(slash + 1 - path));
  text_add_bytes(&whole, target, (size_t)n);
  *out = whole.failed ? NULL : whole.data;
  if (whole.failed) text_deinit(&whole);
  return true;
}

/* Where a new file goes: behind a link, not in its place. New; NULL and a fault on lack
 * of memory, and for links that lead round in a circle. */
static char *destination(const char *path, Fault *fault) {
  char *at = text_copy(path), *next = NULL;
  int n = 0;
  for (; at && n <= LINKS_MAX && behind_link(at, &next); n++) {
    free(at);
    at = next;
  }
  if (at && n <= LINKS_MAX) return at;
  if (!at) fault_memory(fault, strlen(path));
  errno = ELOOP;
  if (at) storage_fault(fault, "cannot be created", path);
  free(at);
  return NULL;
}

/* A link whose text does not say where it leads: /dev/stdout, to a file without a
 * name. */
static bool is_elsewhere(const char *path, const char *destination_path) {
  struct stat a, b;
  if (stat(path, &a) != 0) return false;
  return stat(destination_path, &b) != 0 || a.st_dev != b.st_dev ||
         a.st_ino != b.st_ino;
}

/* -1 and errno. */
static int create_fd(const char *path, const char *temp) {
  if (step_fails(FILE_STEP_CREATE, path)) return -1;
  return open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

/* NULL and errno. */
static FILE *create(const char *path, const char *temp) {
  int fd = create_fd(path, temp);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
  if (!file && fd >= 0) {
    close(fd);
    unlink(temp);
  }
  return file;
}

Err file_begin(NewFile *out, const char *path, Fault *fault) {
  *out = (NewFile){.path = destination(path, fault)};
  if (!out->path) return fault->code;
  out->temp = temp_name(out->path);
  Err err = out->temp ? ERR_OK : fault_memory(fault, strlen(path));
  if (!err && is_device(path))
    err = fault_set(fault, ERR_STORAGE, "%s: is a device or a pipe; allowed: a file",
                    path);
  if (!err && !(out->file = create(path, out->temp)))
    err = storage_fault(fault, "cannot be created", path);
  if (!err) return ERR_OK;
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

static bool is_once(Publish how) {
  return how == PUBLISH_ONCE || how == PUBLISH_ONCE_DRAFT;
}

static bool is_synced(Publish how) {
  return how != PUBLISH_DRAFT && how != PUBLISH_ONCE_DRAFT;
}

/* One step where the file system has it, so that a killed process leaves no second
 * name. -1 and errno; -2 where the file system has neither that nor links. */
static int move_once(const char *temp, const char *path) {
  if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (link(temp, path) != 0) return errno == EPERM || errno == EOPNOTSUPP ? -2 : -1;
  unlink(temp);
  return 0;
}

static Err put_in_place(const char *temp, const char *path, Publish how, Fault *fault) {
  if (step_fails(FILE_STEP_PLACE, path))
    return storage_fault(fault, "cannot be put in place", path);
  int moved = is_once(how) ? move_once(temp, path) : rename(temp, path);
  if (moved == 0) return ERR_OK;
  if (moved == -2)
    return fault_set(fault, ERR_STORAGE,
                     "%s: cannot be put in place: the file system can neither link nor "
                     "rename without replacing, which makes a result final; --runs DIR "
                     "records on another one",
                     path);
  if (is_once(how) && errno == EEXIST)
    return fault_set(fault, ERR_STORAGE, "%s: is already there", path);
  return storage_fault(fault, "cannot be put in place", path);
}

static bool flush(const NewFile *file, bool sync) {
  if (ferror(file->file) || step_fails(FILE_STEP_WRITE, file->path)) return false;
  if (fflush(file->file) != 0) return false;
  if (!sync) return true;
  return !step_fails(FILE_STEP_SYNC, file->path) && fsync(fileno(file->file)) == 0;
}

Err file_publish(NewFile *file, Publish how, Fault *fault) {
  bool sync = is_synced(how);
  errno = 0; /* a write that failed before now has left only ferror */
  Err err = ERR_OK;
  if (!flush(file, sync)) {
    if (!errno) errno = EIO;
    err = storage_fault(fault, "cannot be written", file->path);
  }
  if (fclose(file->file) != 0 && !err)
    err = storage_fault(fault, "cannot be written", file->path);
  file->file = NULL;
  must(file->path && file->temp);
  if (!err) err = put_in_place(file->temp, file->path, how, fault);
  if (!err && sync) sync_directory(file->path);
  if (!err) { /* there is no file of that name any more */
    free(file->temp);
    file->temp = NULL;
  }
  file_abandon(file);
  return err;
}

/* Bytes written before the first failure, which is in errno. */
static size_t write_all(int fd, const char *bytes, size_t n_bytes, const char *path) {
  size_t done = 0, wanted = n_bytes;
  bool fails = step_fails(FILE_STEP_WRITE, path);
  int error = errno;
  if (fails) wanted /= 2;
  while (done < wanted) {
    ssize_t n = write(fd, bytes + done, wanted - done);
    if (n < 0 && errno != EINTR) return done;
    if (n > 0) done += (size_t)n;
  }
  if (fails) errno = error;
  return done;
}

static Err fill_and_close(int fd, const char *path, const void *bytes, size_t n_bytes,
                          bool sync, Fault *fault) {
  Err err = ERR_OK;
  if (write_all(fd, bytes, n_bytes, path) != n_bytes ||
      (sync && (step_fails(FILE_STEP_SYNC, path) || fsync(fd) != 0)))
    err = storage_fault(fault, "cannot be written", path);
  if (close(fd) != 0 && !err) err = storage_fault(fault, "cannot be written", path);
  return err;
}

/* The bytes at once, without a stream's buffer: small files are made by the
 * thousand. */
static Err put_temp(const char *path, const char *temp, const void *bytes,
                    size_t n_bytes, bool sync, Fault *fault) {
  int fd = create_fd(path, temp);
  if (fd < 0) return storage_fault(fault, "cannot be created", path);
  return fill_and_close(fd, path, bytes, n_bytes, sync, fault);
}

static Err put_into(const char *device, const void *bytes, size_t n_bytes,
                    Fault *fault) {
  int fd = open(device, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return storage_fault(fault, "cannot be opened", device);
  return fill_and_close(fd, device, bytes, n_bytes, false, fault);
}

Err file_put_out(const char *path, const void *bytes, size_t n_bytes, Fault *fault) {
  if (is_device(path)) return put_into(path, bytes, n_bytes, fault);
  char *to = destination(path, fault);
  Err err = !to ? fault->code
            : is_elsewhere(path, to)
                ? put_into(path, bytes, n_bytes, fault)
                : file_put(to, bytes, n_bytes, PUBLISH_REPLACE, fault);
  free(to);
  return err;
}

Err file_put(const char *path, const void *bytes, size_t n_bytes, Publish how,
             Fault *fault) {
  char *temp = temp_name(path);
  if (!temp) return fault_memory(fault, strlen(path));
  Err err = put_temp(path, temp, bytes, n_bytes, is_synced(how), fault);
  if (!err) err = put_in_place(temp, path, how, fault);
  if (err) unlink(temp);
  else if (is_synced(how)) sync_directory(path);
  free(temp);
  return err;
}

Err file_sync(const char *path, Fault *fault) {
  if (step_fails(FILE_STEP_SYNC, path))
    return storage_fault(fault, "cannot be written", path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return storage_fault(fault, "cannot be opened", path);
  Err err = ERR_OK;
  if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: not on this file system */
    err = storage_fault(fault, "cannot be written", path);
  close(fd);
  return err;
}

Err file_sync_system(const char *path, Fault *fault) {
  if (step_fails(FILE_STEP_SYNC, path))
    return storage_fault(fault, "cannot be written", path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return storage_fault(fault, "cannot be opened", path);
  Err err = syncfs(fd) == 0 ? ERR_OK : storage_fault(fault, "cannot be written", path);
  close(fd);
  return err;
}

/* -- reading ----------------------------------------------------------------------- */

/* Opening a pipe would wait, opening a device may do something: it is looked at first.
 * What takes its place in between is not waited for either. */
int file_open(const char *path) {
  struct stat at;
  if (stat(path, &at) != 0) return -1;
  int fd = S_ISREG(at.st_mode)
               ? open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
               : -1;
  if (fd >= 0 && (fstat(fd, &at) != 0 || !S_ISREG(at.st_mode))) {
    close(fd);
    fd = -1;
  }
  if (fd < 0 && !S_ISREG(at.st_mode)) errno = FILE_IS_NONE;
  return fd;
}

int file_open_own(const char *path, int flags) {
  struct stat at;
  if (lstat(path, &at) == 0 && !S_ISREG(at.st_mode)) {
    errno = FILE_IS_NONE;
    return -1;
  }
  return open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
}

const char *file_error(void) {
  return errno == FILE_IS_NONE ? "is not a file" : strerror(errno);
}

static Err read_failed(const char *path, Fault *fault) {
  return fault_set(fault, ERR_DATA, "%s: cannot be read: %s", path, file_error());
}

/* Closes the file. */
static Err read_open(int fd, const char *path, size_t limit_bytes, Text *out,
                     Fault *fault) {
  char buffer[1 << 14];
  size_t total = 0;
  Err err = ERR_OK;
  for (ssize_t n; !err && (n = read(fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      err = read_failed(path, fault);
      break;
    }
    total += (size_t)n;
    text_add_bytes(out, buffer, (size_t)n);
    if (total > limit_bytes)
      err = fault_set(fault, ERR_DATA, "%s: larger than %zu bytes", path, limit_bytes);
    else if (out->failed) err = fault_memory(fault, total);
  }
  close(fd);
  return err;
}

Err file_read(const char *path, size_t limit_bytes, Text *out, Fault *fault) {
  int fd = file_open(path);
  return fd < 0 ? read_failed(path, fault)
                : read_open(fd, path, limit_bytes, out, fault);
}

Err file_read_any(const char *path, size_t limit_bytes, Text *out, bool *there,
                  Fault *fault) {
  int fd = file_open(path);
  *there = fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
  if (fd >= 0) return read_open(fd, path, limit_bytes, out, fault);
  return *there ? read_failed(path, fault) : ERR_OK;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

static int64_t ns_of(struct timespec time) {
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t file_stamp(const char *path) {
  static const int64_t grain_ns = 2000000000;
  struct stat at;
  struct timespec now;
  if (stat(path, &at) != 0) return FILE_STAMP_NONE;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t stamp = ns_of(at.st_mtim);
  return stamp > 0 && ns_of(now) - stamp > grain_ns ? stamp : FILE_STAMP_FRESH;
}

Err file_check_unlinked(const char *path, Fault *fault) {
  char target[PATH_MAX];
  ssize_t n = readlink(path, target, sizeof target - 1);
  if (n < 0) return ERR_OK; /* no link, or not there */
  return fault_set(fault, ERR_STORAGE,
                   "%s: is a link to %.*s: what is behind links is read, never changed",
                   path, (int)n, target);
}

bool file_is_directory(const char *parent, const char *name) {
  struct stat at;
  Text path = {0};
  text_addf(&path, "%s/%s", parent, name);
  bool yes = !path.failed && stat(path.data, &at) == 0 && S_ISDIR(at.st_mode);
  text_deinit(&path);
  return yes;
}

/* -- growing files ----------------------------------------------------------------- */

Err file_grow(GrowingFile *out, const char *path, long long keep_bytes, Fault *fault) {
  *out = (GrowingFile){.path = text_copy(path), .fd = -1, .n_bytes = keep_bytes};
  if (!out->path) return fault_memory(fault, strlen(path));
  if (!step_fails(FILE_STEP_CREATE, path))
    out->fd = file_open_own(path, O_WRONLY | O_CREAT);
  if (out->fd >= 0 && ftruncate(out->fd, keep_bytes) == 0 &&
      lseek(out->fd, keep_bytes, SEEK_SET) == keep_bytes)
    return ERR_OK;
  Err err = storage_fault(fault, "cannot be created", path);
  file_grow_end(out);
  return err;
}

Err file_append(GrowingFile *file, const void *bytes, size_t n_bytes, Fault *fault) {
  if (write_all(file->fd, bytes, n_bytes, file->path) == n_bytes) {
    file->n_bytes += (long long)n_bytes;
    return ERR_OK;
  }
  Err err = storage_fault(fault, "cannot be written", file->path);
  if (ftruncate(file->fd, file->n_bytes) == 0) lseek(file->fd, file->n_bytes, SEEK_SET);
  return err;
}

Err file_append_sync(GrowingFile *file, Fault *fault) {
  if (!step_fails(FILE_STEP_SYNC, file->path) && fsync(file->fd) == 0) return ERR_OK;
  return storage_fault(fault, "cannot be written", file->path);
}

void file_grow_end(GrowingFile *file) {
  if (file->path && file->fd >= 0) close(file->fd);
  free(file->path);
  *file = (GrowingFile){.fd = -1};
}

/* -- directories ------------------------------------------------------------------- */

/* Another process may remove it between the two questions; a link that leads nowhere is
 * there and stays. */
static bool make_directory(const char *path) {
  if (step_fails(FILE_STEP_DIRECTORY, path)) return false;
  while (mkdir(path, 0777) != 0) {
    int error = errno;
    struct stat at;
    if (stat(path, &at) == 0) {
      errno = ENOTDIR;
      return S_ISDIR(at.st_mode);
    }
    bool removed = error == EEXIST && lstat(path, &at) != 0;
    errno = error;
    if (!removed) return false;
  }
  return true;
}

Err file_make_dirs(const char *path, Fault *fault) {
  char *copy = text_copy(path);
  if (!copy) return fault_memory(fault, strlen(path));
  Err err = ERR_OK;
  for (char *s = copy; !err; s++) {
    if (*s != '/' && *s != 0) continue;
    char end = *s;
    *s = 0;
    if (s > copy && !make_directory(copy))
      err = storage_fault(fault, "cannot be made", copy);
    *s = end;
    if (!end) break;
  }
  free(copy);
  return err;
}

/* Those above it are there, as a rule. */
Err file_make_new(const char *path, bool *made, Fault *fault) {
  *made = !step_fails(FILE_STEP_DIRECTORY, path) && mkdir(path, 0777) == 0;
  return *made ? ERR_OK : file_make_dirs(path, fault);
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static Err add_name(FileNames *names, int64_t *room, const char *name, Fault *fault) {
  Err err = ARRAY_ROOM(names->v, *room, names->n + 1, fault);
  char *copy = err ? NULL : text_copy(name);
  if (!copy) return fault_memory(fault, strlen(name));
  names->v[names->n++] = copy;
  return ERR_OK;
}

static Err read_names(DIR *dir, FileNames *out, Fault *fault) {
  *out = (FileNames){0};
  Err err = ERR_OK;
  int64_t room = 0;
  for (struct dirent *entry; !err && (entry = readdir(dir));) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    err = add_name(out, &room, name, fault);
  }
  if (err) file_names_deinit(out);
  else if (out->n) qsort(out->v, (size_t)out->n, sizeof *out->v, by_bytes);
  return err;
}

Err file_names(const char *directory, FileNames *out, Fault *fault) {
  *out = (FileNames){0};
  DIR *dir = opendir(directory);
  if (!dir && (errno == ENOENT || errno == ENOTDIR)) return ERR_OK;
  if (!dir) return storage_fault(fault, "cannot be read", directory);
  Err err = read_names(dir, out, fault);
  closedir(dir);
  return err;
}

void file_names_deinit(FileNames *names) {
  for (int i = 0; i < names->n; i++) free(names->v[i]);
  free(names->v);
  *names = (FileNames){0};
}

/* Is what follows the last mark "<digits>-<hex digits>", to the end? */
bool file_is_temporary(const char *name) {
  const char *mark = NULL;
  for (const char *s = name; (s = strstr(s, temp_mark)); s++) mark = s;
  if (!mark) return false;
  const char *pid = mark + sizeof temp_mark - 1;
  size_t n_pid = strspn(pid, "0123456789");
  if (n_pid == 0 || pid[n_pid] != '-') return false;
  const char *time = pid + n_pid + 1;
  size_t n_time = strspn(time, "0123456789abcdef");
  return n_time > 0 && time[n_time] == 0;
}

Err file_clean(const char *directory, Fault *fault) {
  FileNames names;
  Err err = file_names(directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++) {
    if (!file_is_temporary(names.v[i])) continue;
    Text path = {0};
    text_addf(&path, "%s/%s", directory, names.v[i]);
    err = path.failed ? fault_memory(fault, path.n_bytes)
                      : file_remove(path.data, fault);
    text_deinit(&path);
  }
  file_names_deinit(&names);
  return err;
}

Err file_move(const char *from, const char *to, Fault *fault) {
  if (!step_fails(FILE_STEP_MOVE, from) && rename(from, to) == 0) return ERR_OK;
  return storage_fault(fault, "cannot be renamed", from);
}

/* -- removing ---------------------------------------------------------------------- */

static Err remove_failed(const char *path, Fault *fault) {
  return storage_fault(fault, "cannot be removed", path);
}

static Err remove_at(int parent, const char *name, const char *path, Fault *fault);

static Err remove_entry(int directory, const char *name, const char *path,
                        Fault *fault) {
  Text entry = {0};
  text_addf(&entry, "%s/%s", path, name);
  Err err = entry.failed ? fault_memory(fault, entry.n_bytes)
                         : remove_at(directory, name, entry.data, fault);
  text_deinit(&entry);
  return err;
}

/* Closes the directory. */
static Err remove_entries(int directory, const char *path, Fault *fault) {
  FileNames names;
  DIR *dir = fdopendir(directory);
  if (!dir) {
    close(directory);
    return remove_failed(path, fault);
  }
  Err err = read_names(dir, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    err = remove_entry(directory, names.v[i], path, fault);
  file_names_deinit(&names);
  closedir(dir);
  return err;
}

/* What is in a directory. It is opened from the one that holds it, never by its path:
 * that a link takes its place meanwhile changes nothing. */
static Err empty_at(int parent, const char *name, dev_t device, const char *path,
                    Fault *fault) {
  struct stat at;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? ERR_OK : remove_failed(path, fault);
  if (fstat(fd, &at) == 0 && at.st_dev == device)
    return remove_entries(fd, path, fault);
  close(fd);
  return fault_set(fault, ERR_STORAGE,
                   "%s: is another file system: nothing is removed there", path);
}

/* Nothing there is fine. */
static Err remove_at(int parent, const char *name, const char *path, Fault *fault) {
  struct stat at, above;
  if (fstatat(parent, name, &at, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT || errno == ENOTDIR ? ERR_OK : remove_failed(path, fault);
  bool directory = S_ISDIR(at.st_mode);
  if (directory && fstat(parent, &above) != 0) return remove_failed(path, fault);
  if (directory && empty_at(parent, name, above.st_dev, path, fault))
    return fault->code;
  if (step_fails(FILE_STEP_REMOVE, path)) return remove_failed(path, fault);
  if (unlinkat(parent, name, directory ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
    return ERR_OK;
  return remove_failed(path, fault);
}

Err file_remove(const char *path, Fault *fault) {
  const char *name = file_name(path);
  errno = ENAMETOOLONG;
  if (strlen(path) >= PATH_MAX)
    return remove_failed(path, fault); /* perhaps cut (path.h) */
  char *above = name > path ? text_copy(path) : text_copy(".");
  if (!above) return fault_memory(fault, strlen(path));
  if (name > path + 1) above[name - path - 1] = 0;
  else if (name > path) above[1] = 0; /* right below the root */
  int parent = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
  free(above);
  if (parent < 0)
    return errno == ENOENT || errno == ENOTDIR ? ERR_OK : remove_failed(path, fault);
  Err err = remove_at(parent, name, path, fault);
  close(parent);
  return err;
}

Err file_remove_empty(const char *path, bool *gone, Fault *fault) {
  bool failed = step_fails(FILE_STEP_REMOVE, path) || rmdir(path) != 0;
  *gone = !failed || errno == ENOENT;
  if (*gone || errno == ENOTEMPTY || errno == EEXIST) return ERR_OK;
  return storage_fault(fault, "cannot be removed", path);
}
