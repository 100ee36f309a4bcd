/* session.h: one Lua state with the library in it, and all that belongs to it: the
 * graph, the arguments, the record of the run, the trial of a study. Reached from Lua
 * by session(L). */
#ifndef LUA_SESSION_H
#define LUA_SESSION_H

#include "base/json.h"
#include "base/record.h"
#include "graph/graph.h"
#include "lab/store.h"
#include "train/train.h"
#include <lauxlib.h>
#include <lua.h>

/* A binding under way: its place on the C stack, the pool level at its begin. Lua
 * allows about 200 C calls inside each other (LUAI_MAXCCALLS). */
enum { MAX_CALLS = 256 };
typedef struct Call {
  uintptr_t frame;
  int scope;
} Call;

/* How experiment{} runs. */
typedef enum StudyMode { STUDY_RUN, STUDY_PLAN, STUDY_VERIFY } StudyMode;
typedef struct StudyOptions {
  StudyMode mode;
  int jobs, threads; /* worker processes, threads of each; 0: by the cores */
  int code;          /* a CodeChoice (study.h) */
  bool fail_fast;
  int sample;                     /* trials to verify; 0: all */
  bool json;                      /* the plan as JSON */
  const struct DocWriter *format; /* of the plan; NULL: text */
  bool whole;                     /* the page at the end with all tables and tests */
} StudyOptions;

/* Data sources of the trials of a study (sources.h): each is read once. */
enum { CACHED_SOURCES = 16 };
typedef struct CachedSource {
  char *key; /* what it is, with all options, and the seed if that matters */
  Source *source;
  bool read_before[MAX_PARTS];       /* by the script, before any trial ... */
  bool read_ever[MAX_PARTS];         /* ... or by any trial before this one */
  char hash[MAX_PARTS][SHA256_TEXT]; /* of the rows; "": not made yet */
} CachedSource;
typedef struct SourceCache {
  MemoryCount *memory; /* counts the tensors of new ones; borrowed */
  int n;               /* places taken so far, round and round */
  CachedSource v[CACHED_SOURCES];
} SourceCache;

/* Lua functions seen by mark_line lately, with the interned names of their files. */
enum { KNOWN_FILES = 64 };
typedef struct KnownFile {
  const void *function;
  const char *file;
} KnownFile;

/* How far an interruption has come (interrupt.h). */
typedef enum Raised { RAISED_NOT, RAISED_ONCE, RAISED_FOR_GOOD } Raised;
typedef struct Interruption {
  Raised raised;
  int64_t left;              /* instructions that may be run after it */
  bool hooked;               /* the script has set a hook of its own */
  lua_State *main, *running; /* threads; NULL: nothing is watched */
  lua_Hook on_return;        /* or NULL */
} Interruption;

/* All state of one Lua state; reached from it by session(L). */
typedef struct Session {
  /* public: set before session_open */
  Graph graph;
  const char *script; /* path; NULL: -e, stdin or the prompt, which record nothing */
  const char *code;   /* text of -e; or NULL */
  const char *runs;   /* directory of the records */
  int n_args;         /* `key=value` words of the command line ... */
  char *const *args;  /* ... borrowed from main */
  bool want_help;     /* --help was given after the script */
  StudyOptions study;
  const Json *job; /* of a worker: the trial that experiment{} is to run; or NULL */
  SourceCache *sources; /* of trials, in a worker or while they run here; else NULL */
  const char
      *checkpoint_directory; /* of a run that can be resumed (checkpoints.h) ... */
  double checkpoint_s; /* ... and least time between its checkpoints; NULL: none */
  /* read-only */
  bool stopped;         /* the script's help was printed: nothing went wrong */
  Err raised;           /* code of the last fault that was raised as a Lua error ... */
  FaultPlace raised_at; /* ... and its place */
  Trial trial;          /* the record of the run, once something was recorded */
  bool has_trial;
  Trial fit_trial;      /* the record of a fit that keeps one of its own, ... */
  int64_t recorded_fit; /* ... which is this one; 0: none does */
  Json *config;         /* seed and arguments, for the record ... */
  Json *origins;        /* ... and where each value came from, by name */
  Json *results;        /* final metrics of the fits */
  Json *rows;           /* of those that are shares, how many rows they are of */
  bool in_trial;        /* a trial of a study runs ... */
  bool trial_begun;     /* ... its function was called */
  Trial *study_record;  /* its record, borrowed; NULL: none is kept */
  bool quiet;           /* fits show no progress */
  int64_t cut_epoch, cut_epochs; /* where the last fit that an interruption ended stood,
                                    of how many; the prompt tells; 0: none */
  bool at_prompt; /* what runs was typed, and the session goes on after it */
  Sha256 weights; /* of the nets that the trial's fits ended with */
  char weights_text[SHA256_TEXT];
  RunCounts script_count; /* of nets and fits before the first trial */
  int64_t n_failed;       /* trials of the study that failed */
  /* private */
  SourceList made; /* the data sources that live in it, but in a worker */
  struct Checkpoints *checkpoints;
  void *random; /* state of math.random, which Lua owns */
  size_t random_bytes;
  bool arguments_checked;
  double last_drawn_s;       /* of the progress bar */
  size_t collected_bytes;    /* tensor bytes at the last full collection */
  int64_t n_handles;         /* tensors that Lua holds */
  int64_t collected_handles; /* the same at the last full collection */
  int scope_base;            /* pool level at the innermost entry into Lua ... */
  int base_calls;            /* ... and number of calls then */
  Call calls[MAX_CALLS];     /* of bindings, under way: see enter_call */
  int n_calls;
  KnownFile known_files[KNOWN_FILES]; /* by the function's address */
  Interruption interruption;
  const void *kept_chunk; /* function whose locals the prompt keeps; NULL: none */
} Session;

static inline Session *session(lua_State *L) {
  return *(Session **)lua_getextraspace(L);
}
static inline Graph *session_graph(lua_State *L) { return &session(L)->graph; }

/* Before the name of a chunk of the library's Lua part (scripts/embed-lua.c): no
 * script. */
#define LIBRARY_CHUNK "[runner] "

/* Makes a Lua state with all libraries and globals of a script (strict, read-only
 * names). The session is the caller's, graph open. NULL and a fault on lack of
 * memory. */
lua_State *session_open(Session *s, Fault *fault);
void session_close(Session *s, lua_State *L);

/* Seeds the run: all streams, and math.random, which belongs to the same seed. */
void seed_all(lua_State *L, lua_Integer seed);

/* Every key=value of the command line declared? Raises ERR_USAGE for one that is not;
 * asked at the first of: a fit or step, the end of the script. With --help and no
 * args{} before, prints the script's help and stops. */
void check_arguments(lua_State *L);

/* `require` looks beside the script at `path` first. A directory with ";" or "?" in its
 * name, which mean something in package.path, is left out. Raises nothing but for
 * memory. */
void look_beside_script(lua_State *L, const char *path);

/* Pushes a function of the Lua part of the library that C calls: the second table that
 * a file of lua/lib returns. */
void push_hook(lua_State *L, const char *name);

/* Pushes the globals of what is typed at the prompt: locals of earlier statements stand
 * in the table itself; reading goes on in _G, strictly; a new name becomes a global. */
void push_prompt_globals(lua_State *L);

/* The record of this run, made ready at first use; NULL where nothing is to be
 * recorded. Raises nothing: a fault is returned. */
Err session_trial(Session *s, Trial **out, Fault *fault);

/* Closes a record as `end` says, and says where it is; the fault that it has is
 * told. */
Err close_record(Trial *trial, const Json *values, const Fault *end);

/* Listeners of every fit, whose `self` is the session: one shows its progress, one
 * records it. */
enum { SESSION_LISTENERS = 2 };
void session_listeners(Session *s, Listener out[SESSION_LISTENERS]);
extern const Events fit_record;

/* Adds values of a net, or of variables, to the hash of the trial's final weights. */
Err session_add_net(Session *s, Layer *net, Fault *fault);
Err session_add_variables(Session *s, const StateList *list, Fault *fault);
/* The same for all that steps of this trial trained (train.step). Raises. */
void add_stepped_weights(lua_State *L);

/* The Lua part of the library, compiled (generated from lua/lib/). Ends with a NULL
 * name. */
struct LuaLib {
  const char *name;
  const unsigned char *code;
  size_t n_bytes;
};
extern const struct LuaLib lua_lib[];

#endif
