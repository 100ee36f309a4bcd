/* fault.h: how every floor reports errors.
 *
 * Three kinds, never mixed:
 *   a bug of the caller          must(cond): always on, prints, aborts
 *   a fault of user or world     an Err is returned; the text is in the caller's Fault
 *   out of memory                the same as the second, code ERR_MEMORY
 *
 * The first fault wins: fault_set on a Fault that already holds one keeps the old text,
 * so the cause is reported and not its echo. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Each code: name, exit status of a program that ends with it. */
#define ERR_LIST(X)                                                                    \
  X(OK, 0)        /* no error */                                                       \
  X(MEMORY, 1)    /* out of memory */                                                  \
  X(VALUE, 1)     /* a wrong argument, option or type */                               \
  X(SHAPE, 1)     /* shapes that do not fit */                                         \
  X(DATA, 1)      /* a value in the data, or a data file, that cannot be used */       \
  X(NONFINITE, 1) /* a value to keep is NaN or infinite */                             \
  X(SCRIPT, 1)    /* an error raised by the user's own Lua code */                     \
  X(USAGE, 2)     /* the command line */                                               \
  X(INTERRUPT, 3) /* asked to stop; what was computed is kept */                       \
  X(STORAGE, 4)   /* files of ours that cannot be written or read */

typedef enum Err {
#define X(name, exit_status) ERR_##name,
  ERR_LIST(X)
#undef X
} Err;

/* Status with which the program ends on `err`. */
int err_exit_status(Err err);

#define FAULT_TEXT 2048

/* Where training came to a value that is not finite, as far as it is known. */
typedef struct FaultPlace {
  long long step; /* from 1; 0: unknown */
  char layer[64]; /* the first with such a value; "": unknown, or none */
} FaultPlace;

typedef struct Fault {
  Err code;              /* ERR_OK: no fault */
  char text[FAULT_TEXT]; /* one or more lines, no newline at the end */
  FaultPlace place;      /* of ERR_NONFINITE */
  bool located;          /* the text says where in the script it came about */
} Fault;

/* Records a fault (unless one is there) and returns its code. */
Err fault_set(Fault *fault, Err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The fault that is in `from` (unless one is in `fault`), with all that is known of
 * it. */
Err fault_pass(Fault *fault, const Fault *from);

/* Puts "prefix: " before the text of the fault that is there. */
void fault_prefix(Fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts the text behind a message that is there. */
void fault_suffix(Fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void fault_clear(Fault *fault);

/* A condition that only a bug can break. */
#define must(cond) \
  ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__, __func__))
_Noreturn void must_failed(const char *cond, const char *file, int line,
                           const char *function);

/* Records ERR_MEMORY, with what was wanted. Never ERR_OK: here for analyzers to see. */
static inline Err fault_memory(Fault *fault, size_t bytes) {
  Err err = fault_set(fault, ERR_MEMORY, "out of memory (%zu bytes wanted)", bytes);
  must(err != ERR_OK);
  return err;
}

#define WARN_UNUSED __attribute__((warn_unused_result))

#endif
