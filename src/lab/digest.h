/* digest.h: the digest of a trial: equal for runs that computed the same.
 *
 * SHA-256 over config.json, metrics*.csv and probes.* (.csv without their time
 * columns), the result's state, step, layer and values, and the hash of the final
 * weights. Times, memory, machine, attempts and what was printed are not in it. */
#ifndef LAB_DIGEST_H
#define LAB_DIGEST_H

#include "base/json.h"
#include "base/sha256.h"

/* `result` is a map; its keys state, step, layer and values count. `weights` is the
 * hash of the final weights as text; NULL: none. */
Err digest_trial(const char *directory, const Json *result, const char *weights,
                 char out[SHA256_TEXT], Fault *fault) WARN_UNUSED;

#endif
