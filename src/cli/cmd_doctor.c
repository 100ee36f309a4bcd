/* cmd_doctor.c: the command doctor: is all well with the place, the libraries, the
 * machine? Each check is one record in `checks`. */
#include "base/file.h"
#include "base/out.h"
#include "base/par.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/version.h"
#include "cli/tidy.h"
#include "data/data.h"
#include "kernel/gemm.h"
#include "kernel/kernel.h"
#include "base/lock.h"
#include "lab/look.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <lua.h>
#include <unistd.h>

typedef enum Health { HEALTH_OK, HEALTH_WARN, HEALTH_BAD } Health;
static const char *const health_names[] = {"ok", "warning", "bad"};

/* What a check found. */
typedef struct Finding {
  Health health;
  Text detail; /* what is */
  Text advice; /* what to do; empty if nothing */
  Err err;     /* of a bad one: how the program ends */
} Finding;

static void find_bad(Finding *f, Health health, Err err, const char *advice) {
  f->health = health;
  f->err = err;
  text_add(&f->advice, advice);
}

/* A warning beside others: each advice is a line. */
static void warn_too(Finding *f, const char *advice) {
  if (f->advice.n_bytes) text_add(&f->advice, "\n");
  find_bad(f, HEALTH_WARN, ERR_OK, advice);
}

/* -- the place of the runs --------------------------------------------------------- */

/* runs, or the nearest directory above in which it would be made. */
static Path place(const QueryCall *call) {
  Path path = path_of("%s", call->runs);
  while (!file_exists(path.s)) {
    char *slash = strrchr(path.s, '/');
    if (!slash) return path_of(".");
    slash[slash == path.s] = 0;
  }
  return path;
}

static void check_runs(const QueryCall *call, Finding *f) {
  if (file_exists(call->runs)) text_add(&f->detail, call->runs);
  else
    text_addf(&f->detail, "%s (not there yet: the first record makes it)", call->runs);
  if (access(place(call).s, R_OK | W_OK | X_OK) == 0) return;
  text_addf(&f->detail, ": %s", strerror(errno));
  find_bad(f, HEALTH_BAD, ERR_STORAGE,
           "Nothing can be recorded there; --runs DIR records elsewhere.");
}

/* A file is written and synced, a lock taken and seen, and all removed again. */
static void check_files(const QueryCall *call, Finding *f) {
  Fault fault = {0};
  int lock = LOCK_NONE;
  Path directory = path_of("%s/" DOCTOR_DIRECTORY "%ld", place(call).s, (long)getpid());
  Err err = file_make_dirs(directory.s, &fault);
  if (!err)
    err = file_put(path_of("%s/file", directory.s).s, "x", 1, PUBLISH_ONCE, &fault);
  if (!err) err = lock_take(directory.s, &lock, &fault);
  bool seen = !err && lock != LOCK_NONE && lock_held(directory.s);
  if (!err) lock_drop(lock, directory.s, true);
  text_add(&f->detail, err    ? fault.text
                       : seen ? "can be written, linked, synced and locked"
                              : "locks are not kept");
  if (err)
    find_bad(f, HEALTH_BAD, ERR_STORAGE, "Check permissions, room and file system.");
  else if (!seen)
    find_bad(f, HEALTH_BAD, ERR_STORAGE,
             "Studies need locks: use a local file system.");
  (void)!file_remove(directory.s, &fault);
}

static void check_room(const QueryCall *call, Finding *f) {
  struct statvfs at;
  if (statvfs(place(call).s, &at) != 0) {
    text_add(&f->detail, strerror(errno));
    find_bad(f, HEALTH_WARN, ERR_OK, "");
    return;
  }
  double free_mb = (double)at.f_bavail * (double)at.f_frsize / 1e6;
  double files = at.f_files ? (double)at.f_favail : INFINITY;
  if (isinf(files)) text_addf(&f->detail, "%.0f MB free", free_mb);
  else text_addf(&f->detail, "%.0f MB and %.0f files free", free_mb, files);
  if (free_mb < 50 || files < 1000)
    find_bad(f, HEALTH_BAD, ERR_STORAGE, "Make room; runner gc and runner rm help.");
  else if (free_mb < 1000 || files < 50000)
    find_bad(f, HEALTH_WARN, ERR_OK, "A long study may fill it; runner gc makes room.");
}

/* Of entries of that kind: "study", or "runs" of plain scripts; NULL: of all. */
static int64_t count_of(const Json *rows, const char *kind, const char *key) {
  int64_t sum = 0;
  for (int64_t i = 0; i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    if (!kind || strcmp(json_text(row, "kind"), kind) == 0) sum += json_int(row, key);
  }
  return sum;
}

/* How many of the trials that are to be run again have a result that is none. */
static Err count_damaged(const QueryCall *call, Index *index, int64_t *n,
                         Fault *fault) {
  Query query = {0};
  Json *rows = NULL;
  int64_t n_all = 0;
  Err err = filter_add(&query.filter, "state=stale", fault);
  if (!err) err = query_ask(index, QUERY_TRIALS, &query, &rows, &n_all, fault);
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    Look look = {0};
    Fault refused = {0};
    Path path = path_of("%s/%s", call->runs, json_text(json_item(rows, i), "path"));
    *n += look_open(&look, path.s, &refused) || look.damage;
    look_close(&look);
  }
  json_free(rows);
  filter_deinit(&query.filter);
  return err;
}

static void add_records(Finding *f, const Json *entries, int64_t n_damaged,
                        bool read_only) {
  long long failed = count_of(entries, NULL, "failed"), damaged = n_damaged;
  long long died = count_of(entries, NULL, "stale") - damaged;
  bool plain = count_of(entries, "runs", "failed") +
                   count_of(entries, "runs", "stale") >
               0;
  text_addf(&f->detail,
            "experiments: %lld; trials: %lld, of them running %lld, failed %lld, of "
            "processes that died %lld",
            (long long)json_count(entries),
            (long long)count_of(entries, NULL, "trials"),
            (long long)count_of(entries, NULL, "running"), failed, died);
  if (damaged) text_addf(&f->detail, ", with a damaged record %lld", damaged);
  if (read_only) text_add(&f->detail, "; the index cannot be written");
  if (died > 0 && count_of(entries, "study", "stale"))
    warn_too(f, "The script, run again, goes on with those of processes that died.");
  if (damaged)
    warn_too(f,
             "runner ls state=stale says what is damaged; the script, run again, makes "
             "those trials anew.");
  if (failed) warn_too(f, "runner ls state=failed lists them.");
  if (count_of(entries, "study", "failed"))
    warn_too(f, "runner retry EXPERIMENT, then the script: those of an experiment run "
                "again.");
  if (plain)
    warn_too(f,
             "A plain script begins a new run whenever it is called; runner rm NAME "
             "state=failed,stale removes the records of those that did not end well.");
}

/* The index, and by it all records. */
static void check_store(const QueryCall *call, Finding *f) {
  Fault fault = {0};
  Index *index = NULL;
  Json *entries = NULL;
  Query query = {0};
  int64_t n_damaged = 0;
  Err err = index_open(&index, call->runs, &fault);
  if (!err) err = index_refresh(index, NULL, &fault);
  if (!err) err = query_ask(index, QUERY_ENTRIES, &query, &entries, NULL, &fault);
  if (!err && count_of(entries, NULL, "stale"))
    err = count_damaged(call, index, &n_damaged, &fault);
  if (err) {
    text_add(&f->detail, fault.text);
    find_bad(f, HEALTH_BAD, err,
             "Remove index.sqlite: it is built anew from the records.");
  } else {
    add_records(f, entries, n_damaged,
                index_in_memory(index) && file_exists(call->runs));
  }
  json_free(entries);
  index_close(index);
}

/* -- the machine ------------------------------------------------------------------- */

static void check_libraries(const QueryCall *call, Finding *f) {
  Fault fault = {0};
  (void)call;
  if (gemm_init(&fault)) {
    text_add(&f->detail, fault.text);
    find_bad(f, HEALTH_BAD, fault.code,
             "Unset BLIS_ARCH_TYPE, or set it to a set it names.");
    return;
  }
  text_addf(&f->detail, "runner %s (%s), numerics %d, %s, BLIS %s, SQLite %s",
            RUNNER_VERSION, REAL_NAME, NUMERICS, LUA_RELEASE, gemm_version(),
            index_library());
}

static void check_kernels(const QueryCall *call, Finding *f) {
  Fault fault = {0};
  (void)call;
  if (gemm_init(&fault)) {
    text_add(&f->detail, "unknown");
    find_bad(f, HEALTH_WARN, ERR_OK, "");
    return;
  }
  text_addf(&f->detail, "SIMD %s, BLIS kernels %s", simd_name(simd_level()),
            gemm_kernel_set());
  const char *lowered = getenv("RUNNER_SIMD");
  if (lowered && *lowered)
    find_bad(f, HEALTH_WARN, ERR_OK,
             "RUNNER_SIMD is set: steps may be slower than they need.");
  else if (simd_level() == SIMD_PLAIN)
    find_bad(f, HEALTH_WARN, ERR_OK, "This processor has no AVX2: steps are slow.");
}

static void check_threads(const QueryCall *call, Finding *f) {
  Par par;
  int cores = par_cores();
  par_init(&par, call->threads);
  text_addf(&f->detail, "%d for %d cores", par.threads, cores);
  if (par.threads > cores)
    find_bad(f, HEALTH_WARN, ERR_OK,
             "More threads than cores slow each other down: lower --threads or "
             "OMP_NUM_THREADS.");
}

static void check_data(const QueryCall *call, Finding *f) {
  Fault fault = {0};
  (void)call;
  if (fashion_mnist_check(&fault) == ERR_OK) {
    text_add(&f->detail, "Fashion-MNIST is there");
    return;
  }
  text_add_bytes(&f->detail, fault.text, strcspn(fault.text, "\n"));
  const char *rest = strchr(fault.text, '\n');
  find_bad(f, HEALTH_WARN, ERR_OK, rest ? rest + 1 : "");
}

/* Names of runs and freshness of the index rest on it. */
static void check_clock(const QueryCall *call, Finding *f) {
  char utc[32];
  struct stat at;
  time_t now = time(NULL);
  text_add(&f->detail, clock_utc(utc));
  bool early = now < 1704067200; /* 2024-01-01 */
  bool ahead = stat(place(call).s, &at) == 0 && at.st_mtime > now + 60;
  if (early) find_bad(f, HEALTH_WARN, ERR_OK, "That is long ago: set the clock.");
  else if (ahead)
    find_bad(f, HEALTH_WARN, ERR_OK,
             "Files there are from the future: set the clock of this machine or of the "
             "file server.");
}

/* -- all of them ------------------------------------------------------------------- */

static const struct Check {
  const char *name;
  void (*check)(const QueryCall *call, Finding *finding);
} checks[] = {{"runs", check_runs},           {"files", check_files},
              {"room", check_room},           {"records", check_store},
              {"libraries", check_libraries}, {"kernels", check_kernels},
              {"threads", check_threads},     {"data", check_data},
              {"clock", check_clock}};

static void print_finding(const char *name, const Finding *f) {
  enum { COLUMN = 20 };
  out_print("%-8s %-10s ", health_names[f->health], name);
  page_print_wrapped(COLUMN, COLUMN, "%s", f->detail.data ? f->detail.data : "");
  for (const char *line = f->advice.data; line && *line;) {
    size_t n = strcspn(line, "\n");
    out_print("%*s", COLUMN, "");
    page_print_wrapped(COLUMN, COLUMN, "%.*s", (int)n, line);
    line += n + (line[n] == '\n');
  }
}

static Json *finding_json(const char *name, const Finding *f) {
  Json *json = json_mapf("check %s state %s detail %s", name, health_names[f->health],
                         f->detail.data ? f->detail.data : "");
  if (f->advice.n_bytes) json_put_text(json, "advice", f->advice.data);
  return json;
}

static Err run_doctor(const QueryCall *call, Fault *fault) {
  if (call->n_words)
    return fault_set(fault, ERR_USAGE, "doctor: \"%s\": allowed: options only",
                     call->words[0]);
  Err worst = ERR_OK;
  int n_bad = 0;
  Json *list = json_list();
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
    Finding f = {0};
    checks[i].check(call, &f);
    if (call->json) json_push(list, finding_json(checks[i].name, &f));
    else print_finding(checks[i].name, &f);
    n_bad += f.health == HEALTH_BAD;
    if (f.health == HEALTH_BAD && !worst) worst = f.err;
    text_deinit(&f.detail);
    text_deinit(&f.advice);
  }
  if (call->json && out_json(list, fault)) return fault->code;
  if (!call->json) json_free(list);
  if (n_bad) return fault_set(fault, worst, "doctor: %d of the checks are bad", n_bad);
  return ERR_OK;
}

const QueryCommand command_doctor = {
    .name = "doctor", .usage = "", .json = true,
    .doc = "Checks the place of the runs, libraries, kernels, threads, data, room, "
           "clock.",
    .details = "Exit status 0 if nothing is bad, warnings or not.",
    .run = run_doctor};
