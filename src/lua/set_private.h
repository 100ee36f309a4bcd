/* set_private.h: what the bindings of data sets share. */
#ifndef LUA_SET_PRIVATE_H
#define LUA_SET_PRIVATE_H

#include "data/methods.h"
#include "lua/core.h"
#include "lua/reflect.h"

#define SET_META "runner.set"

/* Pushes the handle of a data set that is to be put into it: before that is made, so
 * that no error can leak it. */
Dataset **set_new_box(lua_State *L);
/* Stores what a call made, and gives 1; raises the fault when it made nothing. */
int set_store(lua_State *L, Dataset **box, Dataset *made, const Fault *fault);
/* The record of a method's arguments, owned by a userdata pushed for it. */
void *set_arguments(lua_State *L, const Kind *kind);
/* The seed that a method was given; 0: the run's. */
uint64_t set_seed(lua_State *L, int64_t seed);
extern const RefBinding set_ref_binding; /* of options that hold a data set */

/* A metatable of a thing of data sets, with these functions. */
void set_add_metatable(lua_State *L, const char *name, const luaL_Reg *functions);

/* The methods by the files that they are in. */
extern const Function set_rows_methods[], set_map_methods[], set_transforms_methods[],
    set_batches_methods[];

int set_count(lua_State *L); /* #set */
/* The handle of a vocabulary; nil of NULL. */
void set_push_vocabulary(lua_State *L, Vocabulary *v);
/* That of vocabulary_text; nil of NULL. Gives 1. */
int set_push_vocabulary_text(lua_State *L, const char *text);
/* Raises: no such field, with the nearest of the n names. */
int set_no_field(lua_State *L, const char *what, const char *name,
                 const char *const *names, int n);
/* Their metatables. */
void set_open_transforms(lua_State *L);
void set_open_batches(lua_State *L);
/* Also data.vocabulary, into the module at the stack's top. */
void set_open_vocabulary(lua_State *L);

#endif
