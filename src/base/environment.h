/* environment.h: what the program takes from outside before it begins: environment
 * variables of its own, and the three standard descriptors. */
#ifndef BASE_ENVIRONMENT_H
#define BASE_ENVIRONMENT_H

#include "base/fault.h"

/* One of the program's variables. */
typedef struct EnvVariable {
  const char *name;
  const char *const
      *values;      /* those that it may have, NULL at the end; or NULL: see `what` */
  const char *what; /* what it may be, in words */
  const char *doc;
  bool (*fits)(const char *value); /* NULL: all of those do */
} EnvVariable;

/* All of them; the last has no name. */
extern const EnvVariable env_variables[];

/* ERR_USAGE that names the variable, what it is and what is allowed. An empty one is
 * none. Names that are no variable of ours are left alone: others use RUNNER_...,
 * too. */
Err env_check(Fault *fault) WARN_UNUSED;

/* Does it have that value? */
bool env_is(const char *name, const char *value);

/* A standard descriptor that is closed would become that of the first file that is
 * opened, and what is printed would go into it. Filled in such a way that using it
 * still fails. */
void env_fill_descriptors(void);

#endif
