/* sys.h: clock, interrupt flag, memory, terminal, processor. */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Seconds of a clock that only goes forward. */
double clock_s(void);

/* UTC now, "2025-03-01T09:30:00Z" in `buffer` (at least 32 bytes). */
char *clock_utc(char *buffer);

/* Set by the handlers of SIGINT, SIGTERM and SIGUSR1; polled between blocks of an op and between
 * batches. A second SIGINT while one is pending ends the process, unless the prompt runs: it
 * keeps its session. */
void interrupt_install(void);
void interrupt_keep_session(void);
bool interrupt_pending(void);
bool interrupt_is_final(void);   /* SIGTERM has come: the program is to end */
void interrupt_raise(void);      /* as the handler does; tests use it */
void interrupt_clear(void);
/* Between hold and release (they nest) nothing seems pending: what has been begun there is
 * ended first. */
void interrupt_hold(void);
void interrupt_release(void);

/* While signals are only counted, the program looks at them itself: nothing is pending for
 * others, and only the third SIGINT ends it. A SIGTERM or SIGUSR1 counts as two SIGINTs. */
void interrupt_counting(bool on);
int interrupt_count(void);    /* since counting began */

/* Waits until there is something to read from `fd`, or its end: true; false when an interrupt
 * is pending first, or another signal with a handler came. */
bool interrupt_wait(int fd);

/* Bytes of memory that this process can still get without driving anybody out, by the
 * machine and its cgroup; INT64_MAX where nobody says. */
int64_t memory_free(void);

/* Columns of the terminal behind `file`, or 0 where it is none. */
int terminal_columns(FILE *file);

/* Instruction-set levels that the kernels are built for, best last. */
typedef enum SimdLevel { SIMD_PLAIN, SIMD_AVX2, SIMD_AVX512, SIMD_LEVELS } SimdLevel;

/* The best level of this processor, or the lower one that RUNNER_SIMD names
 * ("plain", "avx2", "avx512"). */
SimdLevel simd_level(void);
SimdLevel simd_best(void);
const char *simd_name(SimdLevel level);
extern const char *const simd_names[SIMD_LEVELS + 1];   /* NULL at the end */

#endif
