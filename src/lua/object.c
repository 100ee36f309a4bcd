/* object.c: families of records as Lua modules: constructors, options, fields.
 *
 * An object is a userdata that holds one reference. Its fields are its options: reading
 * one gives its value, setting one is checked as in the constructor. */
#include "lua/core.h"
#include "lua/reflect.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };

/* Key of the registry's table family name -> binding. */
static const char bindings_key = 0;

/* NULL: the family has none, as options of a function. */
static const FamilyBinding *find_binding(lua_State *L, const Family *family) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &bindings_key);
  lua_getfield(L, -1, family->name);
  const FamilyBinding *binding = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return binding && binding->family == family ? binding : NULL;
}

static const FamilyBinding *binding_of(lua_State *L, const Family *family) {
  const FamilyBinding *binding = find_binding(L, family);
  must(binding);
  return binding;
}

static void meta_name(char *buffer, size_t n_bytes, const Family *family) {
  snprintf(buffer, n_bytes, "runner.%s", family->name);
}

/* -- things of upper floors -------------------------------------------------------- */

void bind_register_ref(lua_State *L, const RefBinding *binding) {
  lua_pushlightuserdata(L, (void *)binding);
  lua_rawsetp(L, LUA_REGISTRYINDEX, binding->type);
}

static const RefBinding *find_ref(lua_State *L, const RefType *type) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, type);
  const RefBinding *binding = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return binding;
}

/* -- objects as userdata ----------------------------------------------------------- */

typedef struct Box {
  const void *key; /* the family: see bind_to_userdata; NULL once collected */
  Object *object;  /* retained */
} Box;

void bind_push_object(lua_State *L, Object *object) {
  if (!object) {
    lua_pushnil(L);
    return;
  }
  Box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (Box){object->kind->family, object_retain(object)};
  lua_rawgetp(L, LUA_REGISTRYINDEX, object->kind->family);
  lua_setmetatable(L, -2);
}

void *bind_to_object(lua_State *L, int arg, const Family *family) {
  Box *box = bind_to_userdata(L, arg, family);
  return box ? box->object : NULL;
}

void *bind_check_object(lua_State *L, int arg, const Family *family) {
  void *object = bind_to_object(L, arg, family);
  if (!object) luaL_typeerror(L, arg, family->name);
  return object;
}

static int object_gc(lua_State *L) {
  Box *box = lua_touserdata(L, 1);
  object_release(box->object);
  *box = (Box){0};
  return 0;
}

/* Each look at a field makes a new userdata of the object. */
static int object_equal(lua_State *L) {
  bool alike = lua_getmetatable(L, 1) && lua_getmetatable(L, 2) &&
               lua_rawequal(L, -1, -2);
  const Box *a = lua_touserdata(L, 1), *b = lua_touserdata(L, 2);
  lua_pushboolean(L, alike && a->object && a->object == b->object);
  return 1;
}

static Object *self_object(lua_State *L) {
  return ((Box *)lua_touserdata(L, 1))->object;
}

/* -- fields ------------------------------------------------------------------------ */

static void push_ref(lua_State *L, const Value *value) {
  const RefBinding *binding = find_ref(L, value->ref_type);
  must(binding);
  binding->push(L, value->as.ref);
}

/* A value of an option; one that is absent is nil. */
static void push_one(lua_State *L, const Value *value) {
  if (value->kind == VALUE_REF) push_ref(L, value);
  else if (value->kind == VALUE_REAL && isnan(value->as.real)) lua_pushnil(L);
  else bind_push_value(L, value);
}

static void push_option(lua_State *L, const Object *o, const Option *opt) {
  Value value, item;
  option_get(o, opt, &value);
  if (value.kind != VALUE_LIST) {
    push_one(L, &value);
    return;
  }
  lua_createtable(L, value.as.n_items, 0);
  for (int i = 0; i < value.as.n_items; i++) {
    option_item(o, opt, i, &item);
    push_one(L, &item);
    lua_rawseti(L, -2, i + 1);
  }
}

void bind_push_object_listing(lua_State *L, const Object *o, bool things) {
  char label[96];
  bind_begin_listing(L, o, kind_label(o->kind, label, sizeof label));
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) {
    if (opt->ref_type && !things) continue;
    push_option(L, o, opt);
    bind_add_part(L, opt->name);
  }
}

static int object_listing(lua_State *L) {
  bind_push_object_listing(L, self_object(L), true);
  return 3;
}

const char *const *bind_kind_fields(lua_State *L, const Kind *kind) {
  const FamilyBinding *binding = find_binding(L, kind->family);
  return binding && binding->fields ? binding->fields(kind) : NULL;
}

const char *bind_habit_of(const Habit *habits, const char *name) {
  for (; habits && habits->name; habits++)
    if (strcmp(habits->name, name) == 0) return habits->write;
  return NULL;
}

/* Raises: no such field, with what to write instead or the nearest of the names. */
static int no_field(lua_State *L, const Object *o, const FamilyBinding *binding,
                    const char *name) {
  enum { NAMES = 128 };
  const char *names[NAMES], *write = bind_habit_of(binding->habits, name);
  char label[96];
  int n = 0;
  kind_label(o->kind, label, sizeof label);
  if (write)
    return luaL_error(L, "%s has no field or method \"%s\"; write %s", label, name,
                      write);
  for (const Option *opt = o->kind->options; opt && opt->name && n < NAMES; opt++)
    names[n++] = opt->name;
  for (const Function *m = binding->methods; m && m->name && n < NAMES; m++)
    if (m->usage) names[n++] = m->name;
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(L,
                    nearest ? "%s has no field or method \"%s\"; did you mean \"%s\"?"
                            : "%s has no field or method \"%s\"",
                    label, name, nearest);
}

/* upvalues: 1 the table of methods, 2 the binding. */
static int object_index(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const FamilyBinding *binding = lua_touserdata(L, lua_upvalueindex(2));
  Object *o = self_object(L);
  bool named = lua_type(L, 2) == LUA_TSTRING;
  const Option *opt = named ? option_named(o->kind, lua_tostring(L, 2)) : NULL;
  if (opt) {
    push_option(L, o, opt);
    return 1;
  }
  if (binding->index && binding->index(L)) return 1;
  return no_field(L, o, binding, luaL_tolstring(L, 2, NULL));
}

static Err set_option(lua_State *L, int arg, Object *o, const Option *opt,
                      Fault *fault);

/* What its kind's check refuses has changed nothing. */
static int object_newindex(lua_State *L) {
  Object *o = self_object(L);
  Fault fault = {0}, other = {0};
  const Option *opt = option_find(o->kind, luaL_checkstring(L, 2), &fault);
  if (!opt) return bind_raise_fault(L, &fault);
  const Family *family = o->kind->family;
  if (family->may_set && family->may_set(o, opt, &fault))
    return bind_raise_fault(L, &fault);
  push_option(L, o, opt);
  if (set_option(L, 3, o, opt, &fault)) return bind_raise_fault(L, &fault);
  if (!object_ready(o, NULL, &fault)) return 0;
  if (lua_isnil(L, -1)) option_clear(o, opt);
  else (void)!set_option(L, -1, o, opt, &other);
  return bind_raise_fault(L, &fault);
}

/* nn.Dense { units = 64, bias = true, ... }. Data sources that read the same are the
 * same: a worker keeps them by this text (bind_data.c). */
static int object_tostring(lua_State *L) {
  Text text = {0};
  object_add_text(&text, self_object(L));
  return bind_push_text(L, &text);
}

/* "optimizer", "tensor", "table": by the family for what is of one. */
static const char *what_is(lua_State *L, int arg) {
  const Kind *kind = reflect_kind_at(L, arg);
  if (bind_is_tensor(L, arg)) return "tensor";
  if (bind_to_dataset(L, arg)) return "data set";
  return kind ? kind->family->name : luaL_typename(L, arg);
}

const char *bind_argument_text(lua_State *L, int arg) {
  const char *name = what_is(L, arg);
  if (lua_isnoneornil(L, arg)) return "nothing, or nil";
  return lua_pushfstring(L, "%s %s", strchr("aeiou", *name) ? "an" : "a", name);
}

void bind_refuse_value(lua_State *L, int arg, const char *more, Fault *fault) {
  int top = lua_gettop(L);
  fault_set(fault, ERR_SCRIPT, "%s%s", bind_argument_text(L, arg), more);
  lua_settop(L, top);
}

/* -- options from Lua values ------------------------------------------------------- */

static void given_at(lua_State *L, int arg, Given *out);

static void item_of(const Given *list, int i, Given *out) {
  lua_State *L = list->context;
  lua_rawgeti(L, list->at, i + 1);
  given_at(L, -1, out);
}

static void item_done(const Given *item) { lua_pop((lua_State *)item->context, 1); }

static Object *object_of(const Given *given, const Family *family, Fault *fault) {
  return bind_object_from_lua(given->context, given->at, family, fault);
}

static Callable *call_of(const Given *given, Fault *fault) {
  return bind_callable_from_lua(given->context, given->at, fault);
}

static void *ref_of(const Given *given, const RefType *type, Fault *fault) {
  lua_State *L = given->context;
  int top = lua_gettop(L);
  const RefBinding *binding = find_ref(L, type);
  must(binding);
  void *thing = binding->get(L, given->at, fault);
  lua_settop(L, top);
  if (!thing && !fault->code) bind_refuse_value(L, given->at, "", fault);
  return thing;
}

/* The value at `arg`, which must stay there. */
static void given_at(lua_State *L, int arg, Given *out) {
  static const GivenSource source = {item_of, item_done, object_of, call_of, ref_of};
  Value *v = &out->value;
  *out = (Given){.value.kind = VALUE_OTHER, .source = &source, .context = L,
                 .at = lua_absindex(L, arg)};
  switch (lua_type(L, arg)) {
  case LUA_TNIL: v->kind = VALUE_NIL; break;
  case LUA_TBOOLEAN:
    *v = (Value){.kind = VALUE_BOOL, .as.boolean = lua_toboolean(L, arg)};
    break;
  case LUA_TNUMBER:
    *v = (Value){.kind = VALUE_REAL, .as.real = lua_tonumber(L, arg)};
    break;
  case LUA_TSTRING:
    out->what = "a string with a zero byte in it";
    if (strlen(lua_tostring(L, arg)) != lua_rawlen(L, arg)) break;
    *v = (Value){.kind = VALUE_TEXT, .as.text = lua_tostring(L, arg)};
    out->what = NULL;
    break;
  case LUA_TTABLE:
    *v = (Value){.kind = VALUE_LIST, .as.n_items = (int)lua_rawlen(L, arg)};
    out->what = "a table";
    break;
  case LUA_TFUNCTION:
    v->kind = VALUE_HELD;
    out->what = "a function";
    break;
  default: out->what = what_is(L, arg);
  }
}

static bool is_list(lua_State *L, int arg) {
  return lua_type(L, arg) == LUA_TTABLE && lua_rawlen(L, arg) > 0;
}

static Err set_option(lua_State *L, int arg, Object *o, const Option *opt,
                      Fault *fault) {
  Given given;
  given_at(L, arg, &given);
  return option_set(o, opt, &given, fault);
}

/* The same of a table that is one of the option's family, not a list of such. */
static Err set_whole(lua_State *L, int arg, Object *o, const Option *opt,
                     Fault *fault) {
  Given given;
  given_at(L, arg, &given);
  given.value.kind = VALUE_OTHER;
  return option_set(o, opt, &given, fault);
}

static bool is_one_of(lua_State *L, int arg, const Family *family) {
  Fault fault = {0};
  Object *object = bind_object_from_lua(L, arg, family, &fault);
  object_release(object);
  return object != NULL;
}

/* A name in a list would be lost without a word, unless the table is itself one of the
 * list's family: { f, name = "x" }, or a callback in Lua. */
static bool has_names(lua_State *L, int arg) {
  bool found = false;
  if (lua_type(L, arg) != LUA_TTABLE) return false;
  arg = lua_absindex(L, arg);
  lua_pushnil(L);
  while (!found && lua_next(L, arg)) {
    found = lua_type(L, -2) != LUA_TNUMBER;
    lua_pop(L, found ? 2 : 1);
  }
  return found;
}

/* The option of that name; a fault that says what is written instead, or the
 * nearest. */
static const Option *find_option(lua_State *L, const Kind *kind, const char *name,
                                 Fault *fault) {
  const FamilyBinding *binding = find_binding(L, kind->family);
  const char *write = binding ? bind_habit_of(binding->option_habits, name) : NULL;
  char label[96];
  if (!write || option_named(kind, name)) return option_find(kind, name, fault);
  fault_set(fault, ERR_VALUE, "%s: unknown option \"%s\"; write %s",
            kind_label(kind, label, sizeof label), name, write);
  return NULL;
}

/* The option with the name on the stack at -2, set to the value at -1. Given twice,
 * once by an alias, is a fault: pairs() would decide which value counts. */
static Err set_by_name(lua_State *L, Object *object, bool *given, Fault *fault) {
  const char *name = lua_tostring(L, -2);
  const Option *opt = find_option(L, object->kind, name, fault);
  if (!opt) return fault->code;
  bool *seen = &given[opt - object->kind->options];
  char label[96];
  if (*seen)
    return fault_set(fault, ERR_VALUE, "%s: option \"%s\" is given twice%s%s%s",
                     kind_label(object->kind, label, sizeof label), opt->name,
                     strcmp(name, opt->name) ? " (\"" : "",
                     strcmp(name, opt->name) ? name : "",
                     strcmp(name, opt->name) ? "\" is another name of it)" : "");
  *seen = true;
  if (!option_type(opt)->gathers || !has_names(L, -1))
    return set_option(L, -1, object, opt, fault);
  return is_one_of(L, -1, opt->family)
             ? set_whole(L, -1, object, opt, fault)
             : option_refuse(object, opt, "a list with names in it", fault);
}

Err bind_set_options(lua_State *L, int arg, Object *object, bool list_allowed,
                     bool *given, Fault *fault) {
  bool own[MAX_OPTIONS] = {0};
  must(option_count(object->kind) <= MAX_OPTIONS);
  if (!given) given = own;
  arg = lua_absindex(L, arg);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    Err err = ERR_OK;
    if (lua_type(L, -2) == LUA_TSTRING) {
      err = set_by_name(L, object, given, fault);
    } else if (!list_allowed) {
      char label[96];
      err = fault_set(fault, ERR_VALUE,
                      "%s: options are given by name, as in { name = value }",
                      kind_label(object->kind, label, sizeof label));
    }
    lua_pop(L, 1);
    if (err) {
      lua_pop(L, 1);
      return err;
    }
  }
  return ERR_OK;
}

/* -- objects from Lua values ------------------------------------------------------- */

/* An object of the family's from_function kind, of the function at `arg`. */
static Object *object_from_function(lua_State *L, int arg, const Kind *kind,
                                    Fault *fault) {
  Object *o = object_new(kind, fault);
  if (o && !set_option(L, arg, o, option_at(kind, 1), fault) &&
      !object_ready(o, NULL, fault))
    return o;
  object_release(o);
  return NULL;
}

/* One of another family that is taken for one of this. Releases it. */
static Object *convert(lua_State *L, const FamilyBinding *binding, Object *other,
                       Fault *fault) {
  if (!other) return NULL;
  bind_push_object(L, other);
  object_release(other);
  Object *object = binding->from_table(L, lua_gettop(L), fault);
  lua_pop(L, 1);
  return object;
}

static bool takes_kind(const FamilyBinding *binding, const Kind *kind) {
  if (kind->family == binding->family) return true;
  return kind->family == binding->also && (!binding->takes || binding->takes(kind));
}

static Object *object_from_name(lua_State *L, const FamilyBinding *binding,
                                const char *name, Fault *fault) {
  const Family *family = binding->family, *also = binding->also;
  if (!also || family_find(family, name, NULL)) return family_make(family, name, fault);
  if (family_find(also, name, NULL))
    return convert(L, binding, family_make(also, name, fault), fault);
  const char *near[] = {family_nearest(family, name), family_nearest(also, name)};
  bool of_also = near[1] && takes_kind(binding, family_find(also, near[1], NULL)) &&
                 (!near[0] || text_nearest(name, near, 2) == near[1]);
  family_find(of_also ? also : family, name, fault);
  return NULL;
}

/* nn.relu means nn.relu(). */
static Object *object_from_constructor(lua_State *L, const FamilyBinding *binding,
                                       const Kind *kind, Fault *fault) {
  const bool none[MAX_OPTIONS] = {0};
  char label[96];
  if (!takes_kind(binding, kind)) {
    fault_set(fault, ERR_SCRIPT, "%s", kind_label(kind, label, sizeof label));
    return NULL;
  }
  Object *object = object_new(kind, fault);
  if (object && object_ready(object, none, fault)) {
    object_release(object);
    return NULL;
  }
  return kind->family == binding->family ? object : convert(L, binding, object, fault);
}

/* { f, per = "step" }, { "cosine", steps = 10 }: a function or name, and options. */
static Object *object_from_list(lua_State *L, int arg, const Family *family,
                                Fault *fault) {
  int type = lua_rawgeti(L, arg, 1);
  bool given[MAX_OPTIONS] = {0};
  Object *o = NULL;
  if (type == LUA_TFUNCTION && !reflect_function_kind(L, -1))
    o = object_from_function(L, lua_gettop(L), family->from_function, fault);
  else if (type == LUA_TSTRING) {
    const Kind *kind = family_find(family, lua_tostring(L, -1), fault);
    if (kind) o = object_new(kind, fault);
  } else fault_set(fault, ERR_SCRIPT, "a table");
  lua_pop(L, 1);
  Err err = o ? bind_set_options(L, arg, o, true, given, fault) : fault->code;
  if (!err) err = object_ready(o, type == LUA_TSTRING ? given : NULL, fault);
  if (!err) return o;
  object_release(o);
  return NULL;
}

static bool begins_with_function(lua_State *L, int arg) {
  bool is = lua_rawgeti(L, arg, 1) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return is;
}

Object *bind_object_from_lua(lua_State *L, int arg, const Family *family,
                             Fault *fault) {
  const FamilyBinding *binding = binding_of(L, family);
  Object *object = bind_to_object(L, arg, family);
  if (object) return object_retain(object);
  arg = lua_absindex(L, arg);
  int type = lua_type(L, arg);
  const Kind *kind = reflect_function_kind(L, arg);
  if (type == LUA_TSTRING)
    return object_from_name(L, binding, lua_tostring(L, arg), fault);
  if (kind) return object_from_constructor(L, binding, kind, fault);
  if (type == LUA_TFUNCTION && family->from_function)
    return object_from_function(L, arg, family->from_function, fault);
  bool listed = type == LUA_TTABLE && family->from_function && lua_rawlen(L, arg) == 1;
  bool is_table = type == LUA_TTABLE || type == LUA_TUSERDATA;
  if (binding->from_table && is_table && !(listed && begins_with_function(L, arg)))
    return binding->from_table(L, arg, fault);
  if (listed) return object_from_list(L, arg, family, fault);
  bind_refuse_value(L, arg, "", fault);
  return NULL;
}

/* nn.Sequential(a, b, { options }): the arguments from `first` on, but for the options,
 * as one list in place of the first; the others are taken away. */
static void gather_list(lua_State *L, int first, const Family *family) {
  int last = lua_gettop(L);
  if (lua_type(L, last) == LUA_TTABLE && !is_one_of(L, last, family)) last--;
  lua_createtable(L, last - first + 1, 0);
  for (int i = first; i <= last; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i - first + 1);
  }
  lua_replace(L, first);
  for (int i = last; i > first; i--) lua_remove(L, i);
}

/* The option that a text without a name was meant for, as the "relu" of nn.Dense(3,
 * "relu"). */
static const Option *meant_option(lua_State *L, int arg, const Kind *kind) {
  const char *text = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg) : NULL;
  for (const Option *opt = kind->options; text && opt && opt->name; opt++)
    if (opt->family && family_find(opt->family, text, NULL)) return opt;
  return NULL;
}

/* The fault of argument `position`, which is none. */
static Err refuse_argument(lua_State *L, int arg, int position, const Kind *kind,
                           Fault *fault) {
  const Option *meant = meant_option(L, arg, kind);
  const FamilyBinding *binding = find_binding(L, kind->family);
  const char *elsewhere = binding && !meant ? binding->elsewhere : NULL;
  char label[96];
  fault_set(fault, ERR_VALUE, "%s: argument %d is %s; allowed: a table of options%s%s",
            kind_label(kind, label, sizeof label), position, bind_argument_text(L, arg),
            elsewhere ? "; " : "", elsewhere ? elsewhere : "");
  if (meant)
    fault_suffix(fault, ", as in { %s = \"%s\" }", meant->name, lua_tostring(L, arg));
  return fault->code;
}

/* Positional arguments from `first` on, nil for one that is left out; the index after
 * the last one taken into *next. */
static Err take_positional(lua_State *L, int first, Object *o, bool *given, int *next,
                           Fault *fault) {
  for (int position = 1; first <= lua_gettop(L); position++, first++) {
    const Option *opt = option_at(o->kind, position);
    if (opt && lua_isnil(L, first)) continue;
    bool last_table = first == lua_gettop(L) && lua_type(L, first) == LUA_TTABLE;
    bool options = last_table && !is_list(L, first);
    if (options && opt && opt->family) options = !is_one_of(L, first, opt->family);
    if (!opt || options) break;
    bool gathers = option_type(opt)->gathers;
    if (gathers && !is_list(L, first)) gather_list(L, first, opt->family);
    if (set_option(L, first, o, opt, fault)) {
      /* Neither a number out of its range nor what is wrong in a layer that is
       * given. */
      bool meant = lua_type(L, first) == LUA_TNUMBER || opt->family;
      const FamilyBinding *binding = meant ? NULL : find_binding(L, o->kind->family);
      const Option *other = binding ? meant_option(L, first, o->kind) : NULL;
      if (other)
        fault_suffix(fault, "; { %s = \"%s\" } is an option", other->name,
                     lua_tostring(L, first));
      else if (binding && binding->elsewhere && opt->kind != OPT_PAIR &&
               lua_type(L, first) != LUA_TSTRING)
        fault_suffix(fault, "; %s", binding->elsewhere);
      return fault->code;
    }
    given[opt - o->kind->options] = true;
    /* nn.Sequential { layer, layer, name = "encoder" }: names beside the list. */
    if (gathers && lua_type(L, first) == LUA_TTABLE &&
        bind_set_options(L, first, o, true, given, fault))
      return fault->code;
  }
  *next = first;
  return ERR_OK;
}

static Err take_arguments(lua_State *L, int first, Object *o, Fault *fault) {
  bool given[MAX_OPTIONS] = {0};
  int next = first;
  must(option_count(o->kind) <= MAX_OPTIONS);
  if (take_positional(L, first, o, given, &next, fault)) return fault->code;
  if (next == lua_gettop(L) && lua_type(L, next) == LUA_TTABLE) {
    if (bind_set_options(L, next, o, false, given, fault)) return fault->code;
    next++;
  }
  if (next <= lua_gettop(L))
    return refuse_argument(L, next, next - first + 1, o->kind, fault);
  return object_ready(o, given, fault);
}

Object *bind_object_from_args(lua_State *L, int first, const Kind *kind) {
  Fault fault = {0};
  while (lua_gettop(L) >= first && lua_isnil(L, -1)) lua_pop(L, 1);
  Object *o = object_new(kind, &fault);
  if (o && take_arguments(L, first, o, &fault) == ERR_OK) return o;
  object_release(o);
  bind_raise_fault(L, &fault);
  return NULL;
}

/* -- modules ----------------------------------------------------------------------- */

/* upvalue 1: the kind. */
static int construct(lua_State *L) {
  Object *o = bind_object_from_args(L, 1, lua_touserdata(L, lua_upvalueindex(1)));
  bind_push_object(L, o);
  object_release(o);
  return 1;
}

static void add_constructors(lua_State *L, const Kind *kind,
                             lua_CFunction constructor) {
  reflect_note(L, RECORD_KIND, kind);
  lua_pushlightuserdata(L, (void *)kind);
  lua_pushcclosure(L, constructor, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, kind->name);
  for (const char *p = kind->alias; p && *p;) {
    size_t n = strcspn(p, " ");
    lua_pushlstring(L, p, n);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    p += n + strspn(p + n, " ");
  }
  lua_pop(L, 1);
}

/* Metatable of the family's objects: methods, then options as fields. */
static void make_metatable(lua_State *L, const FamilyBinding *binding) {
  static const luaL_Reg common[] = {{"__gc", object_gc},
                                    {"__eq", object_equal},
                                    {"__newindex", object_newindex},
                                    {"__tostring", object_tostring},
                                    {LISTING, object_listing},
                                    {NULL, NULL}};
  char meta[64];
  meta_name(meta, sizeof meta, binding->family);
  bind_new_metatable(L, meta);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, binding->family);
  luaL_setfuncs(L, common, 0);
  lua_pushlightuserdata(L, (void *)binding->family);
  lua_setfield(L, -2, "__family");
  lua_newtable(L);
  for (const Function *m = binding->methods; m && m->name; m++) {
    if (m->usage) reflect_push_function(L, m);
    else lua_pushcfunction(L, m->call);
    lua_setfield(L, m->usage ? -2 : -3, m->name);
  }
  lua_pushlightuserdata(L, (void *)binding);
  lua_pushcclosure(L, object_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void bind_register_family(lua_State *L, const FamilyBinding *binding) {
  bind_register_family_as(L, binding, construct);
}

void bind_register_family_as(lua_State *L, const FamilyBinding *binding,
                             lua_CFunction constructor) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &bindings_key) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &bindings_key);
  }
  lua_pushlightuserdata(L, (void *)binding);
  lua_setfield(L, -2, binding->family->name);
  lua_pop(L, 1);
  make_metatable(L, binding);
  for (int i = 0; binding->family->kinds[i]; i++)
    add_constructors(L, binding->family->kinds[i], constructor);
}
