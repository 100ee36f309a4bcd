/* reflect.h: the records of the library as Lua tables, for help, apropos and
 * completion.
 *
 * Every function that the library gives to Lua carries its record in upvalue 1: an op
 * its Op, a constructor its Kind, any other its Function. reflect_note says which it
 * is. */
#ifndef LUA_REFLECT_H
#define LUA_REFLECT_H

#include "lua/core.h"

/* From here on the record at that address is known to help; a record noted twice counts
 * once. */
typedef enum RecordSort { RECORD_OP = 1, RECORD_KIND, RECORD_FUNCTION } RecordSort;
void reflect_note(lua_State *L, RecordSort sort, const void *record);

/* A function of the library: beside its code what help says of it. */
typedef struct Function {
  const char *name;    /* NULL ends a list */
  lua_CFunction call;  /* its own upvalues begin with 2 */
  const char *usage;   /* "net:build(shape)"; NULL: a metamethod */
  const char *doc;     /* what it does and gives, in a sentence */
  const Kind *options; /* record of its options; NULL: it has none */
} Function;

/* Pushes the function with its record; sets all of a list in the table at the top. */
void reflect_push_function(lua_State *L, const Function *function);
void reflect_set_functions(lua_State *L, const Function *list);

/* The kind of which the function at `arg` makes objects: one of the library's
 * constructors; NULL: it is none. */
const Kind *reflect_function_kind(lua_State *L, int arg);

/* The kind of the object at `arg`, whatever its family; NULL if it is none. */
const Kind *reflect_kind_at(lua_State *L, int arg);

/* What the Lua part of the library sees of it; into the table at the stack's top:
 *   describe(value)   the record of a function, or of the kind of an object, as a
 *                     table: path, name, alias (a list), family, usage, doc, equation,
 *                     source, and options: a list of { name, alias, doc, allowed,
 *                     value, values, position }; nil for anything else
 *   records()         a list of the above for every record
 *   members(value)    the names of a value's fields and of its methods: two lists
 *   list_directory(p) the names in it as one string, a "\0" behind each, directories
 *   with a
 *                     "/" before it; nothing where it cannot be read */
void reflect_open(lua_State *L);

#endif
