/* sys.h: clock, interrupts, memory, terminal, processor. */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Seconds of a clock that only goes forward. */
double clock_s(void);

/* UTC now, "2025-03-01T09:30:00Z" in `buffer` (at least 32 bytes). */
char *clock_utc(char *buffer);

/* Set by the handlers of SIGINT, SIGTERM and SIGUSR1; polled between blocks of an op,
 * between batches and between instructions of a script. The third signal while one is
 * pending ends the process wherever it is, by the signal's default action. A SIGTERM
 * that comes twice at once is one. */
void interrupt_install(void);
/* At the prompt a key that is held down is one signal: what comes within a quarter
 * second. */
void interrupt_at_prompt(void);
/* In a worker no number of signals ends the process: its coordinator does, or its own
 * watch over that. The terminal belongs to others: neither it nor a program of a trial
 * stops when it reads there (which fails) or writes. */
void interrupt_in_worker(void);
bool interrupt_pending(void);
bool interrupt_is_final(void); /* SIGTERM has come: the program is to end */
int interrupt_count(void);  /* signals since the last clear, or since counting began */
void interrupt_raise(void); /* as the handler does; tests use it */
void interrupt_clear(void);
/* The handler calls it at each signal: only what is safe there. Signals come to the
 * thread that runs scripts alone (thread_start). NULL: no function is called. */
void interrupt_tell(void (*call)(void *ctx), void *ctx);
/* Between hold and release (they nest) nothing seems pending: what has been begun there
 * is ended first. */
void interrupt_hold(void);
void interrupt_release(void);

/* While signals are only counted, the program looks at them itself: nothing is pending
 * for others, and only the third SIGINT ends it. A SIGTERM or SIGUSR1 counts as two
 * SIGINTs. Ctrl-Z (SIGTSTP) is kept until asked for; who asks then stops the
 * process. */
void interrupt_counting(bool on);
void interrupt_heed(
    int n); /* so many of those that were counted have had their effect */
bool interrupt_stop_asked(void);
/* Stops the process as Ctrl-Z does, until a shell lets it go on; does nothing where no
 * shell could, as in the first program of a terminal. */
void process_stop(void);

/* A thread to which none of these signals come. */
bool thread_start(pthread_t *thread, void *(*body)(void *ctx), void *ctx);

/* Waits until there is something to read from `fd`, or its end: true; false when an
 * interrupt is pending first, or another signal with a handler came. */
bool interrupt_wait(int fd);

/* Bytes of memory that this process can still get without taking it from another one,
 * as the machine and its cgroup say; INT64_MAX where neither does. */
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
extern const char *const simd_names[SIMD_LEVELS + 1]; /* NULL at the end */

#endif
