/* session.h: one Lua state with the library in it, and what belongs to it, by concern.
 * Reached from Lua by session(L). What is recorded, and with it the store of trials, is
 * known to lua/run_record.h alone. */
#ifndef LUA_SESSION_H
#define LUA_SESSION_H

#include "base/json.h"
#include "base/record.h"
#include "graph/graph.h"
#include "train/train.h"
#include <lauxlib.h>
#include <lua.h>

/* What the command line says; borrowed. */
typedef struct Launch {
  const char *script; /* path; NULL: -e, stdin or the prompt, which record nothing */
  const char *code;   /* text of -e; or NULL */
  const char *runs;   /* directory of the records */
  int n_args;         /* `key=value` words */
  char *const *args;
  bool want_help;  /* --help was given after the script */
  const Json *job; /* of a worker: the trial that experiment{} is to run; or NULL */
} Launch;

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

/* Checkpoints of a run that can be resumed (checkpoints.h). */
typedef struct Resumption {
  const char *directory; /* NULL: none are written */
  double period_s;       /* least time between two */
  struct Checkpoints *held;
  void *random; /* state of math.random, which Lua owns */
  size_t random_bytes;
} Resumption;

/* What a person sees of fits (monitor.c). */
typedef struct Screen {
  bool quiet;                    /* no progress is shown */
  double drawn_s;                /* when the progress bar was last drawn */
  int64_t cut_epoch, cut_epochs; /* where the last fit that an interruption ended had
                                    come, of how many; 0: none */
} Screen;

typedef struct PromptState {
  bool is_open;           /* what runs was typed, and the session goes on after it */
  const void *kept_chunk; /* function whose locals the prompt keeps; NULL: none */
} PromptState;

/* Of the last fault that was raised as a Lua error. */
typedef struct RaisedFault {
  Err code;
  FaultPlace place;
} RaisedFault;

/* When to collect (handle.c). */
typedef struct Collected {
  size_t bytes;      /* of tensors, at the last full collection */
  int64_t n_handles; /* tensors that Lua holds */
  int64_t handles;   /* the same at the last full collection */
} Collected;

/* A binding under way: its place on the C stack, the pool level at its begin. Lua
 * allows about 200 C calls inside each other (LUAI_MAXCCALLS). */
enum { MAX_CALLS = 256 };
typedef struct Call {
  uintptr_t frame;
  int scope;
} Call;

/* Lua functions seen by mark_line lately, with the interned names of their files. */
enum { KNOWN_FILES = 64 };
typedef struct KnownFile {
  const void *function;
  const char *file;
} KnownFile;

typedef struct Calls {
  Call v[MAX_CALLS]; /* see bind_enter_call */
  int n;
  int scope_base; /* pool level at the innermost entry into Lua ... */
  int base;       /* ... and number of calls then */
  KnownFile known_files[KNOWN_FILES]; /* by the function's address */
} Calls;

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
  Launch launch;
  StudyOptions study;
  Resumption resume;           /* directory and period */
  struct SourceCache *sources; /* of trials, in a worker or while they run here
                                  (sources.h); else NULL */
  /* read-only */
  bool stopped;  /* the script's help was printed: nothing went wrong */
  bool in_trial; /* a trial of a study runs */
  struct RunRecord
      *record; /* what is recorded of the run and its trials (run_record.h) */
  Screen screen;
  PromptState prompt;
  RaisedFault raised;
  /* private */
  SourceList made; /* the data sources that live in it, but in a worker */
  bool arguments_checked;
  Collected collected;
  Calls calls;
  Interruption interruption;
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

/* Pushes the globals of what is typed at the prompt: locals of earlier statements are
 * in the table itself; reading goes on in _G, strictly; a new name becomes a global. */
void push_prompt_globals(lua_State *L);

/* Listeners of every fit, whose `self` is the session: one shows its progress, one
 * records it. */
enum { SESSION_LISTENERS = 2 };
void session_listeners(Session *s, Listener out[SESSION_LISTENERS]);

/* Adds values of a net, or of variables, to the hash of the trial's final weights. */
Err session_add_net(Session *s, Layer *net, Fault *fault);
Err session_add_variables(Session *s, const StateList *list, Fault *fault);
/* The run ends, or a trial: what its steps trained (train.step) is part of a trial's
 * weights, what their probes measured goes into the record. */
Err session_end_steps(lua_State *L, Fault *fault);

/* The Lua part of the library, compiled (generated from lua/lib/). Ends with a NULL
 * name. A name with '_', as experiment_space, is that of a part: it runs when its field
 * of the internal table, internal.space, is first read, not when the session opens. */
struct LuaLib {
  const char *name;
  const unsigned char *code;
  size_t n_bytes;
};
extern const struct LuaLib lua_lib[];

#endif
