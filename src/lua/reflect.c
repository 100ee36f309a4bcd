/* reflect.c: the records of ops, kinds and functions as Lua tables. Nothing is said
 * here that a record says: this file only knows how the parts of a record are
 * called. */
#include "lua/reflect.h"
#include "graph/op.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Registry: a table record (light userdata) -> RecordSort. */
static const char records_key = 0;

static void push_records(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &records_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &records_key);
}

void reflect_note(lua_State *L, RecordSort sort, const void *record) {
  push_records(L);
  lua_pushinteger(L, sort);
  lua_rawsetp(L, -2, record);
  lua_pop(L, 1);
}

void reflect_push_function(lua_State *L, const Function *function) {
  reflect_note(L, RECORD_FUNCTION, function);
  lua_pushlightuserdata(L, (void *)function);
  lua_pushcclosure(L, function->call, 1);
}

void reflect_set_functions(lua_State *L, const Function *list) {
  for (const Function *f = list; f->name; f++) {
    reflect_push_function(L, f);
    lua_setfield(L, -2, f->name);
  }
}

/* 0 where the address is none of a record. */
static int sort_of(lua_State *L, const void *record) {
  push_records(L);
  lua_rawgetp(L, -1, record);
  int sort = (int)lua_tointeger(L, -1);
  lua_pop(L, 2);
  return sort;
}

/* -- parts of a record ------------------------------------------------------------- */

static void set_text(lua_State *L, const char *field, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

/* Blank-separated words as a list. */
static void set_words(lua_State *L, const char *field, const char *words) {
  lua_newtable(L);
  for (int i = 1; words && *words; i++) {
    size_t n = strcspn(words, " ");
    lua_pushlstring(L, words, n);
    lua_rawseti(L, -2, i);
    words += n + strspn(words + n, " ");
  }
  lua_setfield(L, -2, field);
}

/* The strings that the option takes: choices, or the names of its family. */
static void set_values(lua_State *L, const Option *opt) {
  lua_newtable(L);
  for (int i = 0; opt->choices && opt->choices[i]; i++) {
    lua_pushstring(L, opt->choices[i]);
    lua_rawseti(L, -2, i + 1);
  }
  for (int i = 0; opt->family && opt->family->kinds[i]; i++) {
    lua_pushstring(L, opt->family->kinds[i]->name);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_setfield(L, -2, "values");
}

static void push_option_record(lua_State *L, const Option *opt) {
  char allowed[1024];
  lua_createtable(L, 0, 8);
  set_text(L, "name", opt->name);
  set_words(L, "alias", opt->alias);
  set_text(L, "doc", opt->doc);
  set_text(L, "value", opt->value);
  set_text(L, "allowed", option_allowed(opt, allowed, sizeof allowed));
  set_values(L, opt);
  if (!opt->position) return;
  lua_pushinteger(L, opt->position);
  lua_setfield(L, -2, "position");
}

static void set_options_of(lua_State *L, const Kind *kind) {
  int n = kind ? option_count(kind) : 0;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    push_option_record(L, &kind->options[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "options");
}

/* Attributes as options: they come after the inputs, in order or by name. */
static void set_attrs(lua_State *L, const Op *op) {
  lua_newtable(L);
  for (const OpAttr *attr = op->attrs; attr && attr->name; attr++) {
    const char *preset = attr_types[attr->kind].preset;
    lua_Integer at = attr - op->attrs + 1;
    char allowed[128];
    lua_createtable(L, 0, 8);
    set_text(L, "name", attr->name);
    set_words(L, "alias", NULL);
    set_text(L, "doc", attr->doc);
    set_text(L, "value", preset ? preset : attr->value);
    set_text(L, "allowed", attr_allowed(attr, allowed, sizeof allowed));
    set_words(L, "values", NULL);
    lua_pushinteger(L, at);
    lua_setfield(L, -2, "position");
    lua_rawseti(L, -2, at);
  }
  lua_setfield(L, -2, "options");
}

/* "tensor.where(x, y, z)"; an op over a list takes "{x, y, ...}". */
static void set_op_usage(lua_State *L, const Op *op) {
  static const char *const usual[] = {"x", "y", "z"};
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  lua_pushfstring(L, "tensor.%s(", op->name);
  luaL_addvalue(&b);
  if (op->n_in == ANY_NUMBER) luaL_addstring(&b, "{x, y, ...}");
  for (int i = 0; i < op->n_in; i++) {
    if (i) luaL_addstring(&b, ", ");
    luaL_addstring(&b, op->inputs ? op->inputs[i] : i < 3 ? usual[i] : "...");
  }
  for (const OpAttr *attr = op->attrs; attr && attr->name; attr++) {
    luaL_addstring(&b, ", ");
    luaL_addstring(&b, attr->name);
    if (attr_per_axis(attr->kind)) luaL_addstring(&b, " ...");
  }
  luaL_addstring(&b, ")");
  luaL_pushresult(&b);
  lua_setfield(L, -2, "usage");
}

/* -- records ----------------------------------------------------------------------- */

/* Its own, or its family's with its call. */
static void set_example(lua_State *L, const Kind *kind, const char *label) {
  const char *shared = kind->family->example, *call = kind->call;
  if (kind->example || !shared) {
    set_text(L, "example", kind->example);
    return;
  }
  lua_pushfstring(L, shared, call ? call : lua_pushfstring(L, "%s()", label));
  lua_setfield(L, call ? -2 : -3, "example");
  if (!call) lua_pop(L, 1);
}

static void push_kind(lua_State *L, const Kind *kind) {
  char label[96];
  lua_createtable(L, 0, 10);
  set_text(L, "path", kind_label(kind, label, sizeof label));
  set_text(L, "name", kind->name);
  set_words(L, "alias", kind->alias);
  set_text(L, "family", kind->family->name);
  set_text(L, "doc", kind->doc);
  set_text(L, "equation", kind->equation);
  set_text(L, "source", kind->source);
  set_example(L, kind, label);
  set_options_of(L, kind);
}

static void push_op_record(lua_State *L, const Op *op) {
  lua_createtable(L, 0, 10);
  lua_pushfstring(L, "tensor.%s", op->name);
  lua_setfield(L, -2, "path");
  set_text(L, "name", op->name);
  set_words(L, "alias", op->alias);
  set_text(L, "family", "op");
  set_text(L, "doc", op->doc);
  set_text(L, "equation", op->equation);
  set_text(L, "source", op->source);
  set_op_usage(L, op);
  set_attrs(L, op);
}

/* The path is the usage up to its arguments: "net:build". */
static void push_function(lua_State *L, const Function *f) {
  lua_createtable(L, 0, 10);
  lua_pushlstring(L, f->usage, strcspn(f->usage, "( {"));
  lua_setfield(L, -2, "path");
  set_text(L, "name", f->name);
  set_words(L, "alias", NULL);
  set_text(L, "family", "function");
  set_text(L, "usage", f->usage);
  set_text(L, "doc", f->doc);
  set_text(L, "equation", f->options ? f->options->equation : NULL);
  if (f->options) set_example(L, f->options, f->usage);
  set_options_of(L, f->options);
}

static void push_record(lua_State *L, int sort, const void *record) {
  switch (sort) {
  case RECORD_OP: push_op_record(L, record); break;
  case RECORD_KIND: push_kind(L, record); break;
  case RECORD_FUNCTION: push_function(L, record); break;
  default: lua_pushnil(L);
  }
}

const Kind *reflect_kind_at(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TUSERDATA || !lua_getmetatable(L, arg)) return NULL;
  lua_getfield(L, -1, "__family");
  const Family *family = lua_touserdata(L, -1);
  lua_pop(L, 2);
  Object *object = family ? bind_to_object(L, arg, family) : NULL;
  return object ? object->kind : NULL;
}

const Kind *reflect_function_kind(lua_State *L, int arg) {
  if (!lua_iscfunction(L, arg) || !lua_getupvalue(L, arg, 1)) return NULL;
  const void *record = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
  lua_pop(L, 1);
  return record && sort_of(L, record) == RECORD_KIND ? record : NULL;
}

static int describe(lua_State *L) {
  const Kind *kind = reflect_kind_at(L, 1);
  if (kind) {
    push_kind(L, kind);
  } else if (lua_iscfunction(L, 1) && lua_getupvalue(L, 1, 1)) {
    const void *record = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
    push_record(L, record ? sort_of(L, record) : 0, record);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int records(lua_State *L) {
  push_records(L);
  lua_newtable(L);
  lua_pushnil(L);
  for (int i = 1; lua_next(L, -3); i++) {
    int sort = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    push_record(L, sort, lua_touserdata(L, -1));
    lua_rawseti(L, -3, i);
  }
  return 1;
}

/* -- members ----------------------------------------------------------------------- */

/* Adds `name` to the list at `list`. */
static void add_name(lua_State *L, int list, const char *name) {
  lua_pushstring(L, name);
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

/* Adds the string keys of the table at the top to the list. */
static void add_keys(lua_State *L, int list) {
  lua_pushnil(L);
  for (; lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) add_name(L, list, lua_tostring(L, -2));
}

/* Methods are in upvalue 1 of __index, or in that of the function that is
 * there. */
static void add_methods(lua_State *L, int list) {
  lua_getfield(L, -1, "__index");
  while (lua_iscfunction(L, -1) && lua_getupvalue(L, -1, 1)) lua_remove(L, -2);
  if (lua_istable(L, -1)) add_keys(L, list);
  lua_pop(L, 1);
}

static void add_object_fields(lua_State *L, int list, const Kind *kind) {
  for (const Option *opt = kind->options; opt && opt->name; opt++)
    add_name(L, list, opt->name);
  const char *const *names = bind_kind_fields(L, kind);
  for (int i = 0; names && names[i]; i++) add_name(L, list, names[i]);
}

/* members(userdata) -> fields, methods */
static int members(lua_State *L) {
  lua_settop(L, 1);
  lua_newtable(L);
  lua_newtable(L);
  if (lua_type(L, 1) != LUA_TUSERDATA || !lua_getmetatable(L, 1)) return 2;
  const Kind *kind = reflect_kind_at(L, 1);
  if (kind) add_object_fields(L, 2, kind);
  add_methods(L, 3);
  if (lua_getfield(L, -1, "__fields") == LUA_TTABLE) add_keys(L, 2);
  lua_settop(L, 3);
  return 2;
}

/* -- files ------------------------------------------------------------------------- */

static bool is_directory(const char *directory, const char *name) {
  char path[4096];
  struct stat status;
  int n = snprintf(path, sizeof path, "%s/%s", directory, name);
  return n > 0 && (size_t)n < sizeof path && stat(path, &status) == 0 &&
         S_ISDIR(status.st_mode);
}

static int list_directory(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  DIR *directory = opendir(path);
  if (!directory) return 0;
  Text names = {0};
  for (struct dirent *entry; (entry = readdir(directory));) {
    text_add(&names, entry->d_name);
    if (is_directory(path, entry->d_name)) text_add(&names, "/");
    text_add_bytes(&names, "", 1);
  }
  closedir(directory);
  if (names.failed) text_deinit(&names);
  lua_pushlstring(L, names.data ? names.data : "", names.n_bytes);
  text_deinit(&names);
  return 1;
}

void reflect_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"describe", describe},
                                       {"records", records},
                                       {"members", members},
                                       {"list_directory", list_directory},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
