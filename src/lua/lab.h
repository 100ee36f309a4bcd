/* lab.h: experiments in a session: what the bindings of the lab, the worker and the
 * command line share. */
#ifndef LUA_LAB_H
#define LUA_LAB_H

#include "lab/study_link.h"
#include "lab/store.h"
#include "lua/core.h"
#include "lua/run_record.h"

/* Adds the functions of the lab to the table at the stack's top, which the Lua part of
 * the library gets. */
void add_lab_functions(lua_State *L);

/* internal.study(plan, parts): runs a study, or shows its plan, as the session's
 * options say; the table of its trials. */
int lab_study(lua_State *L);

/* internal.is_history(value): is it a table that train.fit gave? nil: no. */
int is_history(lua_State *L);

/* A trial of a study, in this session: what it is, and what runs it. */
typedef struct TrialRun {
  Trial *claim;            /* NULL: nothing is recorded */
  const Json *meta;        /* of all trials of the study: files, sources; borrowed */
  const char *fingerprint; /* of its code */
  void (*body)(lua_State *L, void *ctx,
               Fault *fault); /* ends in the trial's function */
  void *ctx;
} TrialRun;

/* Runs it and publishes the claim, or gives it back: all of it, wherever trials run.
 * `fault`: what came before (then L may be NULL, and the body is not called), and why
 * it ended so. `end` becomes the message, valid while session and fault are. */
JobOutcome trial_run(Session *s, lua_State *L, const TrialRun *run, TrialEnd *end,
                     Fault *fault);

/* A trial begins in this session, in the record (NULL: none is kept). Its results, the
 * hash of its weights and the numbers of nets and fits start as they were before any
 * trial. */
void trial_enter(Session *s, Trial *record);

/* The worker's side of a study: takes jobs from descriptor 3 until there are no
 * more. */
typedef struct WorkerOptions {
  const char *runs, *script;
  int threads;
  int n_words;
  char *const *words;
} WorkerOptions;
Err worker_run(const WorkerOptions *options, Fault *fault) WARN_UNUSED;

/* -- values between Lua and JSON --------------------------------------------------- */

/* New: the value at `arg`; a table with elements 1 .. n, or marked by internal.list, is
 * a list, any other a map with its keys sorted. NULL and a fault for what JSON cannot
 * hold. */
Json *json_from_lua(lua_State *L, int arg, Fault *fault);
void push_json(lua_State *L, const Json *json);
/* Pushes a table of those fields of the map (NULL: none) that are numbers. */
void push_numbers(lua_State *L, const Json *map);
/* Marks the table at `arg` as a list, also when it is empty. */
void mark_list(lua_State *L, int arg);

#endif
