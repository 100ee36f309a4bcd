/* checkpoints.h: the checkpoints of a session, in the directory that it was given.
 *
 *   checkpoint-fit2-7.safetensors     the 7th of the second fit, which was not finished
 *   checkpoint-fit2.safetensors       its results, once it was
 *   checkpoint-loop-3.safetensors     the third of run:checkpoint; "loop" or a
 *                                     name given
 *
 * Of each series the last two are kept, so that one is whole when the other was
 * damaged. What follows within the session's checkpoint_s of the last file is held in
 * memory, and written with the next one: results of short fits, and what run:checkpoint
 * was given.
 *
 * A run that is to be resumable sets Session.checkpoint_directory and checkpoint_s
 * before session_open, to a directory of its own that no other process uses meanwhile;
 * hands the script what bind_push_run pushes; calls session_keep_checkpoints after it
 * was interrupted, and checkpoints_remove once its result is published. To resume is to
 * run the script again with the same directory: everything before the place reached is
 * taken from there. */
#ifndef LUA_CHECKPOINTS_H
#define LUA_CHECKPOINTS_H

#include "lua/core.h"

enum { CHECKPOINT_S = 60 }; /* the usual Session.checkpoint_s */

/* That of the session's fits; NULL: it has no directory, or (a warning) no memory. */
FitCheckpointer *session_checkpointer(lua_State *L);

/* Writes what is held. ERR_STORAGE; then the rest is still held. */
Err session_keep_checkpoints(Session *s, Fault *fault) WARN_UNUSED;
/* Forgets what is held; another directory may be set afterwards. session_close calls
 * it. */
void session_forget_checkpoints(Session *s);

/* Removes all checkpoints of a directory, their temporary files too. */
void checkpoints_remove(const char *directory);

/* -- series by name, for run:checkpoint and run:restore ---------------------------- */

/* Takes the checkpoint, in the place of one of that series that is held; *written: it
 * is on disk, with all that was held. */
Err checkpoints_put(lua_State *L, const char *series, Checkpoint *c, bool *written,
                    Fault *fault) WARN_UNUSED;
/* The newest that is whole; warns about those that are not. */
Err checkpoints_get(lua_State *L, const char *series, Checkpoint *out, bool *found,
                    Fault *fault) WARN_UNUSED;

/* State of math.random, which belongs to every checkpoint. */
Err checkpoint_add_random(lua_State *L, Checkpoint *c, Fault *fault) WARN_UNUSED;
Err checkpoint_get_random(lua_State *L, const Checkpoint *c, Fault *fault) WARN_UNUSED;

/* -- plain values of Lua (plain.c) ------------------------------------------------- */

/* The value at `arg` as the part: nil, booleans, numbers, strings, tensors, and tables
 * of those, to any bits. Raises for anything else; `bytes` is working memory of the
 * caller, who frees it also after an error. */
void plain_save(lua_State *L, int arg, Checkpoint *c, const char *part, Text *bytes);
/* Pushes the value; raises where the part is not there. */
void plain_push(lua_State *L, const Checkpoint *c, const char *part);

/* -- the run, as scripts see it (bind_run.c) --------------------------------------- */

/* A new table with the methods checkpoint and restore; its owner may add fields. */
void bind_push_run(lua_State *L);
bool bind_is_run(lua_State *L, int arg);

#endif
