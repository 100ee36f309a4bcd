/* study_verify.h: do trials that are run again come to the same? */
#ifndef LAB_STUDY_VERIFY_H
#define LAB_STUDY_VERIFY_H

#include "lab/study_pool.h"

/* Begin of the name, in runs, of the directory in which trials run again; the number of
 * the process follows. It is gone at the end, unless the process was killed. */
#define VERIFY_DIRECTORY ".verify-"

/* Are the files of all done trials those of which their digests were made, can every
 * result and meta.json be read that is there, and does experiment.json ask for what the
 * study does? Then runs `sample` of those trials (0: all), drawn anew each time, in a
 * directory of its own, which is removed afterwards, and compares digests. Prints one
 * line for each with which something is wrong, and counts; or all that as JSON: {
 * records, altered, unreadable, missing, run_again, differ, trials: [{ problem, cell,
 * seed, id, other_code, message }], plan: [sentences] }. Unreadable records count as
 * records; missing are the trials without a result. *n_wrong: all of these but the
 * missing; the study itself is not changed. */
Err study_verify(const Study *study, const PoolOptions *options, int sample, bool json,
                 int64_t *n_wrong, Fault *fault) WARN_UNUSED;

#endif
