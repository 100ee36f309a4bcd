/* file.h: files: read whole with a limit, written so that a reader sees all or nothing,
 * grown by whole pieces; directories.
 *
 * A NewFile is written beside its destination under a temporary name; file_publish
 * syncs it and puts it in place, so a crash leaves the old file or the new one. What a
 * killed process leaves of one ends in ".tmp-<pid>-<time>"; file_clean removes such. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/fault.h"
#include "base/text.h"
#include <stdio.h>

typedef struct NewFile {
  FILE *file; /* to be written by the caller; errors are seen at publish */
  /* private */
  char *path, *temp;
} NewFile;

typedef enum Publish {
  PUBLISH_REPLACE,           /* an old file of that name gives way (rename) */
  PUBLISH_ONCE,              /* ERR_STORAGE when one is there */
  PUBLISH_DRAFT,             /* as REPLACE, not synced: atomic for readers, but a crash
                                of the machine may empty it, until file_sync */
  PUBLISH_ONCE_DRAFT         /* as ONCE, not synced */
} Publish;

/* All faults are ERR_STORAGE and name the path; what is there and is a device or a pipe
 * is one. A link stays: the file goes where it leads. Ended by file_publish or
 * file_abandon. */
Err file_begin(NewFile *out, const char *path, Fault *fault) WARN_UNUSED;
Err file_publish(NewFile *file, Publish how, Fault *fault) WARN_UNUSED;
void file_abandon(NewFile *file); /* after publish: a no-op */

/* The part of the path behind its last '/'. */
const char *file_name(const char *path);

/* A NewFile of these bytes (of none, NULL will do), published. */
Err file_put(const char *path, const void *bytes, size_t n_bytes, Publish how,
             Fault *fault) WARN_UNUSED;

/* The same where a user wants it: a link stays, and into a device or a pipe it is
 * written. */
Err file_put_out(const char *path, const void *bytes, size_t n_bytes,
                 Fault *fault) WARN_UNUSED;

/* Syncs a file's bytes, or a directory's entries, that are there already. */
Err file_sync(const char *path, Fault *fault) WARN_UNUSED;
/* Syncs all that was written so far to the file system which holds the path. */
Err file_sync_system(const char *path, Fault *fault) WARN_UNUSED;

/* Opens a file for reading: a descriptor, or -1 and errno, whose text file_error
 * gives. What is no file (a pipe, a socket, a device, a directory) is not opened,
 * nor waited for: errno is FILE_IS_NONE. */
enum { FILE_IS_NONE = 1 << 20 };
int file_open(const char *path);
/* The same with open's flags, for a file of a record: behind a link nothing is
 * opened. */
int file_open_own(const char *path, int flags);
const char *file_error(void);

/* Adds the file's bytes to `out`; more than `limit_bytes` is an error. ERR_DATA. */
Err file_read(const char *path, size_t limit_bytes, Text *out,
              Fault *fault) WARN_UNUSED;
/* The same; a file that is not there is no fault: *there is false. One that others
 * remove meanwhile is read or not there. */
Err file_read_any(const char *path, size_t limit_bytes, Text *out, bool *there,
                  Fault *fault) WARN_UNUSED;

bool file_exists(const char *path);
/* When the file or directory last changed, in ns; FILE_STAMP_NONE: there is none;
 * FILE_STAMP_FRESH: so recently that it may change again without a new time. */
enum { FILE_STAMP_FRESH = 0, FILE_STAMP_NONE = -1 };
int64_t file_stamp(const char *path);
/* ERR_STORAGE where the path itself is a link. */
Err file_check_unlinked(const char *path, Fault *fault) WARN_UNUSED;
/* Is there a directory of that name in `parent`? */
bool file_is_directory(const char *parent, const char *name);

/* -- a file that grows ------------------------------------------------------------- */

/* Each piece is there whole or not at all: what a failed write left is cut off
 * again. */
typedef struct GrowingFile {
  char *path;
  int fd;
  long long n_bytes;
} GrowingFile;

/* Opens for appending behind the first `keep_bytes` bytes (0: from empty); the rest of
 * the file is cut off. ERR_STORAGE, as all of these. */
Err file_grow(GrowingFile *out, const char *path, long long keep_bytes,
              Fault *fault) WARN_UNUSED;
Err file_append(GrowingFile *file, const void *bytes, size_t n_bytes,
                Fault *fault) WARN_UNUSED;
Err file_append_sync(GrowingFile *file, Fault *fault) WARN_UNUSED;
void file_grow_end(GrowingFile *file); /* a zeroed one: a no-op */

/* -- directories ------------------------------------------------------------------- */

/* Makes the directory and those above it; one that is there is fine. */
Err file_make_dirs(const char *path, Fault *fault) WARN_UNUSED;
/* The same; *made: this call made the directory, no other process did. */
Err file_make_new(const char *path, bool *made, Fault *fault) WARN_UNUSED;

/* The names in a directory, sorted by bytes, without "." and "..". None where there is
 * no such directory. */
typedef struct FileNames {
  char **v;
  int n;
} FileNames;
Err file_names(const char *directory, FileNames *out, Fault *fault) WARN_UNUSED;
void file_names_deinit(FileNames *names);

/* Is it the temporary name of a NewFile? */
bool file_is_temporary(const char *name);
/* Removes the temporary files in a directory in which no other process writes now. */
Err file_clean(const char *directory, Fault *fault) WARN_UNUSED;
/* Renames within a file system; ERR_STORAGE. */
Err file_move(const char *from, const char *to, Fault *fault) WARN_UNUSED;
/* Removes a file or a directory with all in it. Links are not followed, nor mounts of
 * another file system: a directory that holds one is a fault
 * and stays as it is. That there is nothing is fine. */
Err file_remove(const char *path, Fault *fault) WARN_UNUSED;
/* Removes a directory if nothing is in it; *gone is false where something is. */
Err file_remove_empty(const char *path, bool *gone, Fault *fault) WARN_UNUSED;

/* -- for tests --------------------------------------------------------------------- */

typedef enum FileStep {
  FILE_STEP_CREATE, FILE_STEP_WRITE, FILE_STEP_SYNC, FILE_STEP_PLACE,
  FILE_STEP_DIRECTORY,
  FILE_STEP_MOVE, FILE_STEP_REMOVE
} FileStep;

/* Called before each step of writing: an errno makes the step fail with it (a write
 * after half of its bytes), 0 lets it go on. NULL: no function is called. */
typedef int (*FileHook)(FileStep step, const char *path);
void file_set_hook(FileHook hook);

#endif
