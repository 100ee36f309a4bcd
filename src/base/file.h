/* file.h: whole files: read with a limit, written so that a reader sees all or nothing.
 *
 * A NewFile is written beside its destination under a temporary name; file_publish syncs
 * it and puts it in place, so a crash leaves the old file or the new one. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/fault.h"
#include "base/text.h"
#include <stdio.h>

typedef struct NewFile {
  FILE *file;                /* to be written by the caller; errors are seen at publish */
  /* private */
  char *path, *temp;
} NewFile;

typedef enum Publish {
  PUBLISH_REPLACE,           /* an old file of that name gives way (rename) */
  PUBLISH_ONCE               /* ERR_STORAGE when one is there (link) */
} Publish;

/* All faults are ERR_STORAGE and name the path. Ended by file_publish or file_abandon. */
Err file_begin(NewFile *out, const char *path, Fault *fault) WARN_UNUSED;
Err file_publish(NewFile *file, Publish how, Fault *fault) WARN_UNUSED;
void file_abandon(NewFile *file);            /* after publish: a no-op */

/* file_begin, the bytes, file_publish. */
Err file_put(const char *path, const void *bytes, size_t n_bytes, Publish how,
             Fault *fault) WARN_UNUSED;

/* Adds the file's bytes to `out`; more than `limit_bytes` is an error. ERR_DATA. */
Err file_read(const char *path, size_t limit_bytes, Text *out, Fault *fault) WARN_UNUSED;

/* Makes the directory and those above it; one that is there is fine. */
Err file_make_dirs(const char *path, Fault *fault) WARN_UNUSED;

#endif
