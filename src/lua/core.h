/* core.h: what the bindings share: the session, faults as Lua errors, tensors and objects
 * as userdata, options from tables, user functions as Callables.
 *
 * Rules of this floor
 *   - Only functions here and in bind_*.c raise Lua errors, and only when no C resource is
 *     held that nobody would release: check arguments first, work second, push last.
 *   - Nodes made between scope_begin and scope_end are borrowed (graph.h); what Lua gets is
 *     a handle that holds its node until collected. */
#ifndef LUA_CORE_H
#define LUA_CORE_H

#include "base/record.h"
#include "base/json.h"
#include "graph/graph.h"
#include "lab/store.h"
#include "train/train.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* -- session ------------------------------------------------------------------------- */

/* A binding under way: its place on the C stack, the pool level at its begin. Lua allows
 * about 200 C calls inside each other (LUAI_MAXCCALLS). */
enum { MAX_CALLS = 256 };
typedef struct Call {
  uintptr_t frame;
  int scope;
} Call;

/* How experiment{} runs. */
typedef enum StudyMode { STUDY_RUN, STUDY_PLAN, STUDY_VERIFY } StudyMode;
typedef struct StudyOptions {
  StudyMode mode;
  int jobs, threads;         /* worker processes, threads of each; 0: by the cores */
  int code;                  /* a CodeChoice (study.h) */
  bool fail_fast;
  int sample;                /* trials to verify; 0: all */
  bool json;                 /* the plan as JSON */
} StudyOptions;

/* Data sources that outlive a session: a worker reads each once. */
enum { CACHED_SOURCES = 16 };
typedef struct SourceCache {
  MemoryCount memory;        /* of their tensors */
  int n;                     /* made so far; the last CACHED_SOURCES of them are kept */
  struct {
    char *key;               /* what it is, with all options, and the seed */
    Source *source;
    char hash[SHA256_TEXT];  /* of the rows; "": not made yet */
  } v[CACHED_SOURCES];
} SourceCache;

/* Lua functions seen by mark_line lately, with the interned names of their files. */
enum { KNOWN_FILES = 64 };
typedef struct KnownFile {
  const void *function;
  const char *file;
} KnownFile;

/* All state of one Lua state; reached from it by session(L). */
typedef struct Session {
  /* public: set before session_open */
  Graph graph;
  const char *script;        /* path; NULL: -e, stdin or the prompt, which record nothing */
  const char *runs;          /* directory of the records */
  int n_args;                /* `key=value` words of the command line ... */
  char *const *args;         /* ... borrowed from main */
  bool want_help;            /* --help was given after the script */
  StudyOptions study;
  const Json *job;           /* of a worker: the trial that experiment{} is to run; or NULL */
  SourceCache *sources;      /* NULL: sources live as long as the session */
  const char *checkpoint_directory;   /* of a run that can be resumed (checkpoints.h) ... */
  double checkpoint_s;       /* ... and least time between its checkpoints; NULL: none */
  /* read-only */
  bool stopped;              /* the script's help was printed: nothing went wrong */
  Err raised;                /* code of the last fault that was raised as a Lua error ... */
  FaultPlace raised_at;      /* ... and its place */
  Trial trial;               /* the record of the run, once something was recorded */
  bool has_trial;
  Trial fit_trial;           /* the record of a fit that keeps one of its own, ... */
  int64_t recorded_fit;      /* ... which is this one; 0: none does */
  Json *config;              /* seed and arguments, for the record ... */
  Json *origins;             /* ... and where each value came from, by name */
  Json *results;             /* final metrics of the fits */
  bool in_trial;             /* a trial of a study runs ... */
  bool trial_begun;          /* ... its function was called */
  Trial *study_record;       /* its record, borrowed; NULL: none is kept */
  bool quiet;                /* fits show no progress */
  Sha256 weights;            /* of the nets that the trial's fits ended with */
  char weights_text[SHA256_TEXT];
  int script_nets, script_fits;   /* numbers of nets and fits before the first trial */
  int64_t n_failed;          /* trials of the study that failed */
  /* private */
  struct Checkpoints *checkpoints;
  void *random;              /* state of math.random, which Lua owns */
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
  KnownFile known_files[KNOWN_FILES];   /* by the function's address */
  const void *kept_chunk;    /* function whose locals the prompt keeps; NULL: none */
} Session;

static inline Session *session(lua_State *L) { return *(Session **)lua_getextraspace(L); }
static inline Graph *session_graph(lua_State *L) { return &session(L)->graph; }

/* Before the name of a chunk of the library's Lua part (scripts/embed-lua.c): no script. */
#define LIBRARY_CHUNK "[runner] "

/* Makes a Lua state with all libraries and globals of a script (strict, read-only names).
 * The session is the caller's, graph open. NULL and a fault on lack of memory. */
lua_State *session_open(Session *s, Fault *fault);
void session_close(Session *s, lua_State *L);

/* Seeds the run: all streams, and math.random, which belongs to the same seed. */
void seed_all(lua_State *L, lua_Integer seed);

/* Every key=value of the command line declared? Raises ERR_USAGE for one that is not; asked
 * at the first of: a fit or step, the end of the script. With --help and no args{} before,
 * prints the script's help and stops. */
void check_arguments(lua_State *L);

/* Pushes a function of the Lua part of the library that C calls: the second table that a
 * file of lua/lib returns. */
void push_hook(lua_State *L, const char *name);

/* Pushes the globals of what is typed at the prompt: locals of earlier statements stand in the
 * table itself; reading goes on in _G, strictly; a new name becomes a global. */
void push_prompt_globals(lua_State *L);

/* The record of this run, made ready at first use; NULL where nothing is to be recorded.
 * Raises nothing: a fault is returned. */
Err session_trial(Session *s, Trial **out, Fault *fault);

/* Closes a record as `end` says, and says where it is; the fault that it has is told. */
Err close_record(Trial *trial, const Json *values, const Fault *end);

/* Draws progress and records epochs. */
FitSink session_sink(Session *s);

/* Adds values of a net, or of variables, to the hash of the trial's final weights. */
Err session_add_net(Session *s, Layer *net, Fault *fault);
Err session_add_variables(Session *s, Variable *const *v, int n, Fault *fault);
/* The same for all that steps of this trial trained (train.step). Raises. */
void add_stepped_weights(lua_State *L);

/* The Lua part of the library, compiled (generated from lua/lib/). Ends with a NULL name. */
struct LuaLib {
  const char *name;
  const unsigned char *code;
  size_t n_bytes;
};
extern const struct LuaLib lua_lib[];

/* -- faults -------------------------------------------------------------------------- */

/* What the headers of Lua do not say. */
#define NEVER_RETURNS __attribute__((noreturn))
int lua_error(lua_State *L) NEVER_RETURNS;
int luaL_error(lua_State *L, const char *format, ...) NEVER_RETURNS;
int luaL_typeerror(lua_State *L, int arg, const char *name) NEVER_RETURNS;
int luaL_argerror(lua_State *L, int arg, const char *text) NEVER_RETURNS;

/* Raises the fault as a Lua error with the script's position before it. */
int raise_fault(lua_State *L, const Fault *fault) NEVER_RETURNS;
/* Raises the string at the stack's top as the text of such a fault. */
int raise_text(lua_State *L, Err code) NEVER_RETURNS;
/* Raises the graph's fault, if it has one. */
void raise_graph_fault(lua_State *L);
/* Marks the script line of the running Lua function on nodes made from now on. */
void mark_line(lua_State *L);
/* How every binding that makes nodes begins, before it looks at its arguments: releases
 * what an error left in the pool, marks the line, opens a scope. The scope is ended by
 * graph_scope_end when the results have been pushed. */
int enter_call(lua_State *L);

/* What a call from C into Lua puts back when it returns: the pool level that enter_call
 * falls back to, and the script line of the nodes that C goes on making. */
typedef struct LuaEntry {
  int scope_base, base_calls, n_calls;
  const char *file;
  int line;
} LuaEntry;
LuaEntry lua_entry_begin(Session *s);
void lua_entry_end(Session *s, const LuaEntry *entry);

/* The Lua error on the stack's top (of a failed pcall) as a fault; pops it. */
Err fault_from_lua(lua_State *L, Fault *fault);
/* Hook, called every so many instructions: a script that computes in Lua, or catches the fault
 * of an interrupted step and goes on, ends too. Far enough apart to save a net in between. */
enum { HOOK_INSTRUCTIONS = 10000 };
void end_if_interrupted(lua_State *L, lua_Debug *where);

/* Message handler for lua_pcall: the error's text, with a traceback where code is at fault. */
int with_traceback(lua_State *L);
/* lua_pcall with that message handler; what it makes of the error is the fault's text. */
Err call_handled(lua_State *L, int n_args, int n_results, lua_CFunction on_error,
                 Fault *fault);
/* The same with_traceback. */
Err call_protected(lua_State *L, int n_args, int n_results, Fault *fault);

/* The userdata at `arg` if its first word is `key` (an address of ours, which nobody else's
 * userdata begins with; cheaper than a look at the metatable); else NULL. */
void *to_userdata(lua_State *L, int arg, const void *key);
/* luaL_newmetatable for userdata of ours. getmetatable gives scripts its name and not the
 * table, whose functions trust their first argument. */
void new_metatable(lua_State *L, const char *name);

/* -- tensors ------------------------------------------------------------------------- */

/* Pushes a handle of the node (held until the handle is collected) or variable. A NULL
 * node raises the graph's fault. */
void push_node(lua_State *L, Node *node);
void push_variable(lua_State *L, Variable *variable);

bool is_tensor(lua_State *L, int arg);
/* The node of a tensor (a variable is read now); raises for anything else. */
Node *check_node(lua_State *L, int arg);
/* As check_node, or a number as a 0-axis constant; NULL for anything else. Borrowed. */
Node *to_operand(lua_State *L, int arg);
/* The variable of a handle made by push_variable, or NULL. */
Variable *to_variable(lua_State *L, int arg);
/* Evaluates: the value of the tensor at `arg`, borrowed while the handle lives. */
Tensor *check_value(lua_State *L, int arg);

/* Sizes from arguments `first` ... (2, 3) or from one list {2, 3}; stops at the first
 * argument that is neither. Returns the index after the last one taken. */
int check_shape(lua_State *L, int first, Shape *shape);

/* -- objects of families ------------------------------------------------------------- */

/* How a family appears in Lua. */
typedef struct FamilyBinding {
  const Family *family;
  const struct Function *methods;          /* methods and metamethods (reflect.h); or NULL */
  /* A table or another userdata where one of the family is expected (a layer in Lua, an
   * activation as a layer); NULL: not allowed. */
  Object *(*from_table)(lua_State *L, int arg, Fault *fault);
} FamilyBinding;

/* Puts a constructor for every kind into the table at the stack's top (the family's
 * module). `binding` must outlive the state. Aliases of kinds become constructors too. */
void register_family(lua_State *L, const FamilyBinding *binding);
/* The same with a constructor of the caller's; its upvalue 1 is the Kind. */
void register_family_as(lua_State *L, const FamilyBinding *binding,
                        lua_CFunction constructor);

void push_object(lua_State *L, Object *object);      /* retains it; NULL pushes nil */
/* The object of that family at `arg`, borrowed; NULL if it is none. */
void *to_object(lua_State *L, int arg, const Family *family);
void *check_object(lua_State *L, int arg, const Family *family);
/* Also accepts names, functions and tables as the family allows. Returns *new*; NULL and
 * a fault otherwise. */
Object *object_from_lua(lua_State *L, int arg, const Family *family, Fault *fault);

/* Makes an object of `kind` from call arguments: positional ones from `first` on, then a
 * table of options. Returns new; raises on wrong options. */
Object *object_from_args(lua_State *L, int first, const Kind *kind);
/* Sets the options in the table at `arg` (which must be one) on the object; integer keys
 * are left to the caller when `list_allowed`. `given` (option_count of them) may be NULL. */
Err set_options(lua_State *L, int arg, Object *object, bool list_allowed, bool *given,
                Fault *fault);

/* -- data sets ----------------------------------------------------------------------- */

/* The data set at `arg`, borrowed while its handle lives; NULL if it is none. */
Dataset *to_dataset(lua_State *L, int arg);
Dataset *check_dataset(lua_State *L, int arg);

/* A user's function at `arg` as a Callable; returns new. NULL and a fault on no memory. */
Callable *callable_from_lua(lua_State *L, int arg, Fault *fault);

/* Pushes the function of such a Callable. */
void push_callable(lua_State *L, const Callable *callable);

/* Pushes a Value as its Lua equivalent. */
void push_value(lua_State *L, const Value *value);

/* -- libraries: each pushes its module table, or registers into what is there --------- */

/* One line per module: global name and opener; listed in modules.def. */
#define MODULE(name) int open_##name(lua_State *L);
#include "lua/modules.def"
#undef MODULE

#endif
