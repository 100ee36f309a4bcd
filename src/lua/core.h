/* core.h: what the bindings share: faults as Lua errors, tensors and objects as
 * userdata, options from tables, user functions as Callables; and, by session.h, the
 * session.
 *
 * Rules of this floor
 *   - Only functions here and in bind_*.c raise Lua errors, and only when no C resource
 *     is held that no one would release: check arguments first, work second, push
 *     last.
 *   - Nodes made between scope_begin and scope_end are borrowed (graph.h); what Lua
 *     gets is a handle that holds its node until collected. */
#ifndef LUA_CORE_H
#define LUA_CORE_H

#include "lua/session.h"
#include <lualib.h>

/* -- faults ------------------------------------------------------------------------ */

/* What the headers of Lua do not say. */
#define NEVER_RETURNS __attribute__((noreturn))
int lua_error(lua_State *L) NEVER_RETURNS;
int luaL_error(lua_State *L, const char *format, ...) NEVER_RETURNS;
int luaL_typeerror(lua_State *L, int arg, const char *name) NEVER_RETURNS;
int luaL_argerror(lua_State *L, int arg, const char *text) NEVER_RETURNS;

/* Raises the fault as a Lua error with the script's position before it. */
int bind_raise_fault(lua_State *L, const Fault *fault) NEVER_RETURNS;
/* Raises the string at the stack's top as the text of such a fault. */
int bind_raise_text(lua_State *L, Err code) NEVER_RETURNS;
/* Is the value at `at` the text of an interruption, the one that was raised last? */
bool bind_is_interruption(lua_State *L, int at);
/* Raises the graph's fault, if it has one. */
void bind_raise_graph_fault(lua_State *L);
/* How every binding that makes nodes begins, before it looks at its arguments: releases
 * what an error left in the pool, marks the line, opens a scope. The scope is ended by
 * graph_scope_end when the results have been pushed. */
int bind_enter_call(lua_State *L);

/* What a call from C into Lua puts back when it returns: the pool level that
 * bind_enter_call falls back to, and the script line of the nodes that C goes on
 * making. */
typedef struct LuaEntry {
  int scope_base, base_calls, n_calls;
  const char *file;
  int line;
} LuaEntry;
LuaEntry bind_entry_begin(Session *s);
void bind_entry_end(Session *s, const LuaEntry *entry);

/* The Lua error on the stack's top (of a failed pcall) as a fault; pops it. */
Err bind_fault_from_lua(lua_State *L, Fault *fault);
/* Message handler for lua_pcall: the error's text, with a traceback where code is at
 * fault, and none twice. */
#define TRACEBACK_HEAD "\nstack traceback:"
int bind_with_traceback(lua_State *L);
/* lua_pcall with that message handler; what it makes of the error is the fault's
 * text. */
Err bind_call_handled(lua_State *L, int n_args, int n_results, lua_CFunction on_error,
                      Fault *fault);
/* The same bind_with_traceback. */
Err bind_call_protected(lua_State *L, int n_args, int n_results, Fault *fault);
/* lua_pcall for a C function that puts something back and then raises what was raised
 * with lua_error: the frames in which that was are in its text. */
int bind_call_guarded(lua_State *L, int n_args, int n_results);

/* The userdata at `arg` if its first word is `key` (an address of ours, which no one
 * else's userdata begins with; cheaper than a look at the metatable); else NULL. */
void *bind_to_userdata(lua_State *L, int arg, const void *key);
/* Pushes zeroed memory of C's that the collector ends by `gc`. */
void *bind_push_box(lua_State *L, size_t n_bytes, const char *meta, lua_CFunction gc);
/* luaL_newmetatable for userdata of ours. getmetatable gives scripts its name and not
 * the table, whose functions trust their first argument. */
void bind_new_metatable(lua_State *L, const char *name);

/* -- tensors ----------------------------------------------------------------------- */

/* Pushes a handle of the node (held until the handle is collected) or variable. A NULL
 * node raises the graph's fault. */
void bind_push_node(lua_State *L, Node *node);
void bind_push_variable(lua_State *L, Variable *variable);
/* The same, called `name` there: variables have other names in other nets. */
void bind_push_variable_as(lua_State *L, Variable *variable, const char *name);

bool bind_is_tensor(lua_State *L, int arg);
/* The tensor of the nested lists of numbers at `arg`, whose handle it pushes; raises
 * for anything else. */
Node *bind_list_node(lua_State *L, int arg);
/* The node of a tensor (a variable is read now); raises for anything else. */
Node *bind_check_node(lua_State *L, int arg);
/* As bind_check_node, or a number as a 0-axis constant; NULL for anything else.
 * Borrowed. */
Node *bind_to_operand(lua_State *L, int arg);
/* The variable of a handle made by bind_push_variable, or NULL. */
Variable *bind_to_variable(lua_State *L, int arg);
/* Evaluates: the value of the tensor at `arg`, borrowed while the handle lives. */
Tensor *bind_check_value(lua_State *L, int arg);

/* Pushes a shallow copy of the table at `arg`, an empty table where it is nil or none;
 * returns its index. */
int bind_push_table_copy(lua_State *L, int arg);

/* What the argument is, in words, for messages: "a tensor", "an optimizer", "nothing".
 * Valid while it is on the stack. */
const char *bind_argument_text(lua_State *L, int arg);

/* The fault of a value that is not allowed: what it is, in words, and `more`. */
void bind_refuse_value(lua_State *L, int arg, const char *more, Fault *fault);

/* Sizes from arguments `first` ... (2, 3) or from one list {2, 3}; stops at the first
 * argument that is neither. Returns the index after the last one taken. */
int bind_check_shape(lua_State *L, int first, Shape *shape);

/* -- objects of families ----------------------------------------------------------- */

/* How a family appears in Lua. */
typedef struct FamilyBinding {
  const Family *family;
  const struct Function *methods; /* methods and metamethods (reflect.h); or NULL */
  /* A table or another userdata where one of the family is expected (a layer in Lua, an
   * activation as a layer); NULL: not allowed. */
  Object *(*from_table)(lua_State *L, int arg, Fault *fault);
  /* A family whose objects are taken for one of this (from_table converts); or NULL. */
  const Family *also;
  bool (*takes)(const Kind *kind); /* kinds of `also` that are; NULL: all */
  /* Pushes object[key], where the key (at 2) is a number, or a name that is neither a
   * method nor an option; false: there is none. NULL: there never is. */
  bool (*index)(lua_State *L);
  /* The names that objects of the kind have so beside their options, NULL-terminated,
   * or NULL. NULL: none ever. */
  const char *const *(*fields)(const Kind *kind);
  const struct Habit *habits;        /* ends with a NULL name; or NULL */
  const struct Habit *option_habits; /* the same of options; or NULL */
  /* Said of an argument without a name that does not fit: where it belongs; or NULL. */
  const char *elsewhere;
} FamilyBinding;

/* FamilyBinding.fields of the kind; NULL: none. */
const char *const *bind_kind_fields(lua_State *L, const Kind *kind);

/* A name that users know from elsewhere, and what is written here. */
typedef struct Habit {
  const char *name;
  const char *write;
} Habit;
/* What to write instead of the name; NULL: it is no habit. */
const char *bind_habit_of(const Habit *habits, const char *name);

/* Puts a constructor for every kind into the table at the stack's top (the family's
 * module). `binding` must outlive the state. Aliases of kinds become constructors
 * too. */
void bind_register_family(lua_State *L, const FamilyBinding *binding);
/* The same with a constructor of the caller's; its upvalue 1 is the Kind. */
void bind_register_family_as(lua_State *L, const FamilyBinding *binding,
                             lua_CFunction constructor);

void bind_push_object(lua_State *L, Object *object); /* retains it; NULL pushes nil */
/* The object of that family at `arg`, borrowed; NULL if it is none. */
void *bind_to_object(lua_State *L, int arg, const Family *family);
void *bind_check_object(lua_State *L, int arg, const Family *family);
/* Also accepts names, functions and tables as the family allows. Returns *new*; NULL
 * and a fault otherwise. */
Object *bind_object_from_lua(lua_State *L, int arg, const Family *family, Fault *fault);

/* How things of a type that options refer to appear in Lua. */
typedef struct RefBinding {
  const RefType *type;
  /* That at `arg`: new (retained); NULL where it is none, and with a fault where it is
   * one that cannot be had. Raises nothing. */
  void *(*get)(lua_State *L, int arg, Fault *fault);
  void (*push)(lua_State *L, void *thing);
} RefBinding;
/* `binding` must outlive the state. */
void bind_register_ref(lua_State *L, const RefBinding *binding);

/* Makes an object of `kind` from call arguments: positional ones from `first` on, then
 * a table of options. Returns new; raises on wrong options. */
Object *bind_object_from_args(lua_State *L, int first, const Kind *kind);
/* Sets the options in the table at `arg` (which must be one) on the object; integer
 * keys are left to the caller when `list_allowed`. `given` (option_count of them) may
 * be NULL. */
Err bind_set_options(lua_State *L, int arg, Object *object, bool list_allowed,
                     bool *given, Fault *fault);

/* -- what is in a thing ------------------------------------------------------------ */

/* For the code of a trial (lib/experiment_code.lua) everything that decides what a
 * userdata of ours does is listed. Its metatable's function LISTING gives for it
 *   key    equal for two handles of one thing
 *   text   what it is, in words; of numbers that it holds their hash
 *   parts  a list: name, value, name, value ...; each is listed in turn
 * Neither of the latter two has addresses or times in it. */
#define LISTING "__listing"

/* Pushes the three, without parts. */
void bind_begin_listing(lua_State *L, const void *key, const char *text);
/* Takes the value at the top, which becomes a part; nil is none. The second names it
 * "net.2", from 1. */
void bind_add_part(lua_State *L, const char *name);
void bind_add_numbered_part(lua_State *L, const char *name, int64_t number);
/* Pushes the three of an object, its options as parts. things: also those that are
 * things of upper floors; else the caller lists what they decide. */
void bind_push_object_listing(lua_State *L, const Object *object, bool things);

/* -- data sets --------------------------------------------------------------------- */

/* The data set at `arg`, borrowed while its handle lives; NULL if it is none. */
Dataset *bind_to_dataset(lua_State *L, int arg);
Dataset *bind_check_dataset(lua_State *L, int arg);

/* A user's function at `arg` as a Callable; returns new. NULL and a fault on no
 * memory. */
Callable *bind_callable_from_lua(lua_State *L, int arg, Fault *fault);

/* Pushes the function of such a Callable. */
void bind_push_callable(lua_State *L, const Callable *callable);

/* Pushes a number of ours: a NaN without its sign, which C's printf, and so Lua, would
 * show as
 * "-nan". */
void bind_push_real(lua_State *L, double value);
/* Is it a number that is NaN? What prints for us shows it as "nan". */
bool bind_is_nan(lua_State *L, int arg);

/* Pushes the text, which it frees; raises on lack of memory. Gives 1. */
int bind_push_text(lua_State *L, Text *text);

/* Pushes a Value as its Lua equivalent. */
void bind_push_value(lua_State *L, const Value *value);

/* Columns for values that are shown: of the terminal at the prompt; what a script
 * prints is the same wherever it goes. */
int bind_value_columns(lua_State *L);

/* -- libraries: each pushes its module table, or registers into what is there ------ */

/* One line per module: global name and opener; listed in modules.def. */
#define MODULE(name) int open_##name(lua_State *L);
#include "lua/modules.def"
#undef MODULE

#endif
