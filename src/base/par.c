/* par.c: sharing blocks among the threads of a team.
 *
 * One OpenMP region lives as long as the program's body (par_team); its threads wait
 * for jobs, because opening a region per job would cost microseconds and, worse, every
 * region ends with all threads arriving: when another program has a core, that takes
 * milliseconds. Here a job ends when its blocks are done. Blocks are taken one by one
 * from a ticket, by whoever comes; the caller takes them too, so a thread that does not
 * get its core in time is not missed.
 *
 *   caller ── first shared job ─► helper ── region ─► its threads, the helper with them
 *
 * The region is opened by a helper thread, not by the caller, and with the first job
 * that is shared: a caller would wait for all threads to be there, for milliseconds,
 * also in a program that shares nothing. Here the first job is under way while they
 * come.
 *
 * The caller of a job begins with the first block, the others with the last: so each
 * finds in its cache what it wrote in the job before, for most jobs of a step cut their
 * arrays at the same places.
 *
 *   ticket   number of the job | end of the blocks that are left | the first of them
 *
 * Invariant: `block`, `ctx` and `first` of a job change only after all its blocks are
 * done, so a thread that has taken a block may read them. Which thread runs a block
 * cannot be seen in results, because blocks are cut by shape alone. */
#include "base/par.h"
#include "base/fault.h"
#include "base/sys.h"
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum { MAX_THREADS = 1024, COUNT_BITS = 20, MAX_BLOCKS = (1 << COUNT_BITS) - 1 };
/* Looks at the ticket before a waiting thread goes to sleep: some tens of microseconds,
 * the usual time between two jobs of a step. */
enum { SPINS = 2000 };

struct ParTeam {
  _Alignas(64) _Atomic uint64_t ticket;
  _Alignas(64) _Atomic int64_t n_done;
  _Atomic bool shared; /* another thread than the caller took a block */
  _Alignas(
      64) _Atomic uint32_t n_jobs; /* futex: grows with every job, and at the end */
  _Atomic int n_asleep;
  _Atomic bool over;
  void (*block)(void *ctx, int64_t i);
  void *ctx;
  int64_t first;    /* added to the numbers of the ticket */
  int n_helpers;    /* threads besides the caller; 0: there can be none */
  bool started;     /* they are there, or on their way */
  pthread_t helper; /* the one that opens the region */
};

static uint64_t ticket_next(uint64_t ticket) { return ticket & MAX_BLOCKS; }
static uint64_t ticket_end(uint64_t ticket) {
  return ticket >> COUNT_BITS & MAX_BLOCKS;
}
static bool ticket_left(uint64_t ticket) {
  return ticket_next(ticket) < ticket_end(ticket);
}

/* -- waiting ----------------------------------------------------------------------- */

static void pause_once(void) {
#ifdef __SSE2__
  _mm_pause();
#endif
}

/* One look in a loop that waits for another thread, which may need this core. */
static void wait_a_little(int *spins) {
  if (++*spins < SPINS) pause_once();
  else sched_yield();
}

static void sleep_until_job(struct ParTeam *team) {
  uint32_t seen = atomic_load(&team->n_jobs);
  if (ticket_left(atomic_load(&team->ticket)) || atomic_load(&team->over)) return;
  atomic_fetch_add(&team->n_asleep, 1);
  syscall(SYS_futex, &team->n_jobs, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
  atomic_fetch_sub(&team->n_asleep, 1);
}

static void wake_all(struct ParTeam *team) {
  atomic_fetch_add(&team->n_jobs, 1);
  if (atomic_load(&team->n_asleep) > 0)
    syscall(SYS_futex, &team->n_jobs, FUTEX_WAKE_PRIVATE, MAX_THREADS, NULL, NULL, 0);
}

/* -- blocks ------------------------------------------------------------------------ */

/* Takes one block and runs it; false when none is left. */
static bool run_one(struct ParTeam *team, bool caller) {
  uint64_t ticket = atomic_load(&team->ticket), taken;
  do {
    if (!ticket_left(ticket)) return false;
    taken = caller ? ticket + 1 : ticket - ((uint64_t)1 << COUNT_BITS);
  } while (!atomic_compare_exchange_weak(&team->ticket, &ticket, taken));
  if (!caller) atomic_store_explicit(&team->shared, true, memory_order_relaxed);
  team->block(team->ctx, team->first + (int64_t)(caller ? ticket_next(ticket)
                                                        : ticket_end(taken)));
  atomic_fetch_add(&team->n_done, 1);
  return true;
}

/* The caller of a job has the first seat. */
static _Thread_local int seat;
int par_seat(void) { return seat; }

/* A thread of the team: runs blocks until the team is over. */
static void serve(struct ParTeam *team) {
  seat = omp_get_thread_num() + 1;
  unsigned control = par_denormals_off();
  for (int spins = 0; !atomic_load(&team->over);) {
    if (run_one(team, false)) spins = 0;
    else if (++spins < SPINS) pause_once();
    else sleep_until_job(team);
  }
  par_denormals_restore(control);
}

static void run_alone(int64_t n_blocks, void (*block)(void *, int64_t), void *ctx) {
  unsigned control = par_denormals_off();
  for (int64_t i = 0; i < n_blocks; i++) block(ctx, i);
  par_denormals_restore(control);
}

/* Sharing is forced in tests: the last block is kept for the caller, who lets another
 * thread take one first. */
static void run_forced(struct ParTeam *team, int64_t last) {
  int spins = 0;
  while (ticket_end(atomic_load(&team->ticket)) == (uint64_t)last)
    wait_a_little(&spins);
  team->block(team->ctx, team->first + last);
}

/* Blocks first .. first + n_blocks - 1, no more than a ticket can count. */
static void run_shared(Par *par, int64_t first, int64_t n_blocks,
                       void (*block)(void *, int64_t), void *ctx) {
  struct ParTeam *team = par->team;
  uint64_t job = (atomic_load(&team->ticket) >> 2 * COUNT_BITS) + 1;
  bool forced = par->threshold == 1 && n_blocks > 1;
  if (forced) n_blocks--;
  team->block = block;
  team->ctx = ctx;
  team->first = first;
  atomic_store(&team->n_done, 0);
  atomic_store(&team->shared, false);
  atomic_store(&team->ticket, (job << COUNT_BITS | (uint64_t)n_blocks) << COUNT_BITS);
  wake_all(team);
  unsigned control = par_denormals_off();
  if (forced) run_forced(team, n_blocks);
  while (run_one(team, true)) continue;
  for (int spins = 0; atomic_load(&team->n_done) < n_blocks;) wait_a_little(&spins);
  par_denormals_restore(control);
  par->n_shared += atomic_load(&team->shared);
}

/* -- teams ------------------------------------------------------------------------- */

static void *open_region(void *arg) {
  struct ParTeam *team = arg;
#pragma omp parallel num_threads(team->n_helpers)
  serve(team);
  return NULL;
}

/* Are there threads to share with? The first call lets them come. */
static bool has_helpers(struct ParTeam *team) {
  if (team->started || team->n_helpers == 0) return team->started;
  team->started = thread_start(&team->helper, open_region, team);
  if (!team->started) team->n_helpers = 0;
  return team->started;
}

void par_team(Par *par, void (*body)(void *ctx), void *ctx) {
  if (par->team || par->threads < 2) {
    body(ctx);
    return;
  }
  struct ParTeam team = {.n_helpers = par->threads - 1};
  par->team = &team;
  body(ctx);
  par->team = NULL;
  if (!team.started) return;
  atomic_store(&team.over, true);
  wake_all(&team);
  pthread_join(team.helper, NULL);
}

typedef struct Job {
  Par *par;
  int64_t n_blocks, work;
  void (*block)(void *ctx, int64_t i);
  void *ctx;
} Job;

static void run_job(void *ctx) {
  const Job *job = ctx;
  par_for(job->par, job->n_blocks, job->work, job->block, job->ctx);
}

void par_for(Par *par, int64_t n_blocks, int64_t work,
             void (*block)(void *ctx, int64_t i), void *ctx) {
  must(n_blocks >= 0);
  if (par->threads < 2 || n_blocks < 2 || work < par->threshold) {
    run_alone(n_blocks, block, ctx);
  } else if (!par->team) {
    par_team(par, run_job, &(Job){par, n_blocks, work, block, ctx});
  } else if (!has_helpers(par->team)) {
    run_alone(n_blocks, block, ctx);
  } else {
    for (int64_t first = 0; first < n_blocks; first += MAX_BLOCKS) {
      int64_t left = n_blocks - first;
      run_shared(par, first, left < MAX_BLOCKS ? left : MAX_BLOCKS, block, ctx);
    }
  }
}

/* -- set-up ------------------------------------------------------------------------ */

/* The positive integer that an environment variable begins with; 0 if there is none. */
static int64_t env_count(const char *name) {
  const char *text = getenv(name);
  long long value = text ? strtoll(text, NULL, 10) : 0;
  return value > 0 ? value : 0;
}

void par_init(Par *par, int threads) {
  int64_t wanted = threads > 0 ? threads : env_count("OMP_NUM_THREADS");
  if (wanted == 0) wanted = par_cores();
  int64_t threshold = env_count("RUNNER_PAR_THRESHOLD");
  *par = (Par){.threads = (int)(wanted < MAX_THREADS ? wanted : MAX_THREADS),
               .threshold = threshold ? threshold : PAR_THRESHOLD};
}

/* -- denormals --------------------------------------------------------------------- */

#ifdef __SSE2__
enum { MXCSR_FTZ = 1 << 15, MXCSR_DAZ = 1 << 6 };

unsigned par_denormals_off(void) {
  unsigned old = _mm_getcsr();
  _mm_setcsr(old | MXCSR_FTZ | MXCSR_DAZ);
  return old;
}

void par_denormals_restore(unsigned old) { _mm_setcsr(old); }
#else
/* Other processors have no denormal penalty worth a control word. */
unsigned par_denormals_off(void) { return 0; }
void par_denormals_restore(unsigned old) { (void)old; }
#endif
