/* par.h: the only door to OpenMP (pragmas stand in par.c alone, and in kernel/ for
 * simd).
 *
 * Work is cut into blocks by its shape alone, never by the number of threads; threads
 * only take blocks. So results do not depend on how many threads there are.
 * In every thread denormals count as zero while blocks run (FTZ and DAZ); the caller's
 * floating-point state is put back afterwards. */
#ifndef BASE_PAR_H
#define BASE_PAR_H

#include <stdbool.h>
#include <stdint.h>

/* How work is shared. One per session. */
typedef struct Par {
  int threads;       /* at least 1 */
  int64_t threshold; /* work (about: floating-point operations) below which one thread
                        does it all; 1 forces every job with two blocks to be shared */
  int64_t n_shared;  /* count: jobs in which more than one thread took blocks */
  /* private */
  struct ParTeam *team; /* threads that wait for jobs, while par_team runs */
} Par;

enum { PAR_THRESHOLD = 100000 };

/* threads 0: OMP_NUM_THREADS, else the cores this process may use. The environment
 * variable RUNNER_PAR_THRESHOLD replaces the threshold (tests force 1). */
void par_init(Par *par, int threads);

/* Runs body(ctx) in this thread. The team's other threads come with the first job of
 * par_for that is shared, wait for jobs while body runs, and sleep when none comes for
 * long. Inside another par_team it only runs the body. */
void par_team(Par *par, void (*body)(void *ctx), void *ctx);

/* Runs block(ctx, i) for i = 0 .. n_blocks - 1, each once, in any order and thread.
 * `work` is that of all blocks together. A block must not fail and must not call Lua.
 * Outside of par_team a team is made for this job alone. */
void par_for(Par *par, int64_t n_blocks, int64_t work,
             void (*block)(void *ctx, int64_t i), void *ctx);

/* The seat of the thread that runs a block: 0 .. threads - 1; of two that run blocks of
 * a job at the same time each has its own. */
int par_seat(void);

/* Cores that this process may run on: affinity and cgroup quota, at least 1. */
int par_cores(void);

/* Floating-point control word with FTZ and DAZ set; returns the old one. */
unsigned par_denormals_off(void);
void par_denormals_restore(unsigned old);

#endif
