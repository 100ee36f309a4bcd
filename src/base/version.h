/* version.h: the version of the program, said here alone. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define RUNNER_VERSION "0.1.0"

#endif
