/* version.h: the version of the program, and of the bytes that it computes; said here alone. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define RUNNER_VERSION "0.1.0"

/* Which bytes a training gives. Raised by every change that alters any of them on the same
 * kernels: a result of another number stands for other code (--code), a resume point of
 * another number is not gone on from.
 *   1   what did not say its number
 *   2   see the commits that name it */
#define NUMERICS 2

#endif
