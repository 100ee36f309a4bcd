/* study_verify.h: do trials that are run again come to the same? */
#ifndef LAB_STUDY_VERIFY_H
#define LAB_STUDY_VERIFY_H

#include "lab/study_pool.h"

/* Begin of the name, in runs, of the directory in which trials run again; the number of the
 * process follows. It is gone at the end, unless the process was killed. */
#define VERIFY_DIRECTORY ".verify-"

/* Runs `sample` of the study's done trials (0: all), drawn anew each time, in a directory of
 * its own, which is removed afterwards, and compares digests. Prints one line for each that
 * differs, and a count. *n_differ is how many; what stands in the study is not touched. */
Err study_verify(Study *study, const PoolOptions *options, int sample, int64_t *n_differ,
                 Fault *fault) WARN_UNUSED;

#endif
