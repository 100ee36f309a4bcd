/* bind_data.c: the global `data`: sources, and data sets as values; what their methods
 * do is in the set_*.c.
 *
 * A source with one part is a data set at once (data.spirals{...}); one with several is
 * an object whose parts are fields (data.fashion_mnist().train). */
#include "lua/set_private.h"
#include "lua/sources.h"
#include <stdio.h>
#include <string.h>

/* -- fields ------------------------------------------------------------------------ */

static Dataset *loaded(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  Fault fault = {0};
  if (dataset_load(set, &fault)) bind_raise_fault(L, &fault);
  return set;
}

static int push_classes(lua_State *L, const Dataset *set) {
  if (dataset_has_labels(set)) lua_pushinteger(L, dataset_classes(set));
  else lua_pushnil(L);
  return 1;
}

static int push_class_names(lua_State *L, const Dataset *set) {
  if (!dataset_class_name(set, 1)) {
    lua_pushnil(L);
    return 1;
  }
  lua_newtable(L);
  for (int64_t label = 1; label <= dataset_classes(set); label++) {
    lua_pushstring(L, dataset_class_name(set, label));
    lua_rawseti(L, -2, label);
  }
  return 1;
}

static int push_feature_names(lua_State *L, const Dataset *set) {
  const char *name = dataset_feature_name(set, 1);
  if (!name) {
    lua_pushnil(L);
    return 1;
  }
  lua_newtable(L);
  for (int64_t i = 1; name; name = dataset_feature_name(set, ++i)) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static int push_vocabulary(lua_State *L, const Dataset *set) {
  set_push_vocabulary(L, dataset_vocabulary(set));
  return 1;
}

static void push_sizes(lua_State *L, const Shape *shape) {
  lua_createtable(L, shape->rank, 0);
  for (int i = 0; i < shape->rank; i++) {
    lua_pushinteger(L, shape->dim[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* Sizes; of several inputs a list of these. */
static int push_features(lua_State *L, const Dataset *set) {
  int n = dataset_inputs(set);
  if (n > 1) lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    Shape shape = dataset_input(set, i);
    push_sizes(L, &shape);
    if (n > 1) lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

typedef struct SetField {
  const char *name;
  int (*push)(lua_State *L, const Dataset *set);
} SetField;

static const SetField set_fields[] = {{"classes", push_classes},
                                      {"class_names", push_class_names},
                                      {"features", push_features},
                                      {"feature_names", push_feature_names},
                                      {"vocabulary", push_vocabulary},
                                      {NULL, NULL}};

/* The lists of methods. */
static const Function *const set_methods[] = {set_rows_methods, set_map_methods,
                                              set_transforms_methods,
                                              set_batches_methods, NULL};

/* upvalue 1: the methods. */
static int set_index(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (strcmp(name, "name") == 0) {
    lua_pushstring(L, dataset_name(bind_check_dataset(L, 1)));
    return 1;
  }
  for (const SetField *f = set_fields; f->name; f++)
    if (strcmp(f->name, name) == 0) return f->push(L, loaded(L));
  const char *names[64] = {"name"};
  int n = 1;
  for (int i = 0; set_methods[i]; i++)
    for (const Function *m = set_methods[i]; m->name; m++) names[n++] = m->name;
  for (const SetField *f = set_fields; f->name; f++) names[n++] = f->name;
  return set_no_field(L, "a data set", name, names, n);
}

static int set_gc(lua_State *L) {
  Dataset **box = lua_touserdata(L, 1);
  dataset_release(*box);
  *box = NULL;
  return 0;
}

static int set_newindex(lua_State *L) {
  return luaL_error(L, "data sets do not change; their methods return new ones");
}

/* Reads nothing: a set that was not needed yet shows its name alone. */
static int set_tostring(lua_State *L) {
  const Dataset *set = bind_check_dataset(L, 1);
  if (!dataset_loaded(set)) {
    lua_pushfstring(L, "data.%s (not read yet)", dataset_name(set));
    return 1;
  }
  lua_pushfstring(L, "data.%s: %I rows of ", dataset_name(set),
                  (LUAI_UACINT)dataset_n(set));
  for (int i = 0; i < dataset_inputs(set); i++) {
    char shape[SHAPE_TEXT];
    Shape features = dataset_input(set, i);
    lua_pushfstring(L, "%s%s", i ? " and " : "", shape_text(shape, &features));
    lua_concat(L, 2);
  }
  if (!dataset_has_labels(set)) return 1;
  lua_pushfstring(L, ", %I classes", (LUAI_UACINT)dataset_classes(set));
  lua_concat(L, 2);
  return 1;
}

/* -- what is in them (LISTING); no file is read ------------------------------------ */

static int set_listing(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  lua_pushfstring(L, "data set %s", dataset_name(set));
  bind_begin_listing(L, set, lua_tostring(L, -1));
  bind_push_object(L, &dataset_source(set)->object);
  bind_add_part(L, "source");
  lua_pushinteger(L, (lua_Integer)dataset_view_hash(set));
  bind_add_part(L, "view");
  return 3;
}

/* What the hash of rows leaves out, where there is such. */
static void add_key_part(lua_State *L, const Source *source) {
  Text key = {0};
  source_add_key(source, &key);
  if (!key.n_bytes && !key.failed) return;
  bind_push_text(L, &key);
  bind_add_part(L, "key");
}

/* Options, the seed that rows are drawn of, and the hash of rows that are in memory. */
static int source_listing(lua_State *L) {
  Source *source = bind_check_object(L, 1, &dataset_family);
  char hash[SHA256_TEXT];
  bind_push_object_listing(L, &source->object, !source_given(source));
  if (source_draws(source)) {
    lua_pushinteger(L, (lua_Integer)source->run_seed);
    bind_add_part(L, "run_seed");
  }
  if (source_given(source)) {
    source_hash(source, 0, hash);
    lua_pushstring(L, hash);
    bind_add_part(L, "rows");
    add_key_part(L, source);
  }
  return 3;
}

/* -- sources ----------------------------------------------------------------------- */

static int no_source_field(lua_State *L, const Source *source, const char *name) {
  const char *names[32];
  int n = 0;
  for (int i = 0; i < source_parts(source); i++) names[n++] = source_part(source, i);
  for (const SetField *f = set_fields; f->name; f++) names[n++] = f->name;
  for (const Option *o = source->object.kind->options; o && o->name; o++)
    names[n++] = o->name;
  return set_no_field(L, source->object.kind->name, name, names, n);
}

/* A field of a source with several parts. upvalue 1: the index function of families. */
static int source_index(lua_State *L) {
  Source *source = bind_check_object(L, 1, &dataset_family);
  const char *name = luaL_checkstring(L, 2);
  Fault fault = {0};
  for (int i = 0; i < source_parts(source); i++)
    if (strcmp(name, source_part(source, i)) == 0) {
      Dataset **box = set_new_box(L);
      return set_store(L, box, dataset_open(source, i, &fault), &fault);
    }
  for (const SetField *f = set_fields; f->name; f++)
    if (strcmp(f->name, name) == 0) { /* a fact of the first part holds for all */
      Dataset **box = set_new_box(L);
      set_store(L, box, dataset_open(source, 0, &fault), &fault);
      if (dataset_load(*box, &fault)) return bind_raise_fault(L, &fault);
      return f->push(L, *box);
    }
  for (const Option *o = source->object.kind->options; o && o->name; o++)
    if (strcmp(o->name, name) == 0) {
      lua_pushvalue(L, lua_upvalueindex(1));
      lua_insert(L, 1);
      lua_call(L, 2, 1);
      return 1;
    }
  return no_source_field(L, source, name);
}

static int source_newindex(lua_State *L) {
  return luaL_error(L, "options of a data source are given when it is made");
}

/* Leaves on the stack the source, or its data set where it has one part. */
static int push_source(lua_State *L, Source *source) {
  bind_push_object(L, &source->object);
  object_release(source);
  if (source_parts(source) > 1) return 1;
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_open(source, 0, &fault), &fault);
}

/* upvalue 1: the kind. */
static int make_source(lua_State *L) {
  Session *s = session(L);
  SourceCache *cache = s->sources;
  Source *source = (Source *)bind_object_from_args(L, 1,
                                                   lua_touserdata(L,
                                                                  lua_upvalueindex(1)));
  source->memory = cache ? cache->memory : &s->graph.memory;
  source->run_seed = s->graph.seed;
  if (!s->launch.job)
    source_enlist(&s->made, source); /* a worker's may outlive the session */
  if (!cache) return push_source(L, source);
  bind_push_object(L, &source->object);
  object_release(source);
  return push_source(L, object_retain(sources_keep(L, cache, source)));
}

/* data.set(x, y, {weight =, classes =, label_base =}), also data.set(x), data.set(x,
 * {...}). The rows are looked at here, so that what is wrong with them is said at this
 * line. upvalue 1: the kind. */
static int make_set(lua_State *L) {
  const Kind *kind = lua_touserdata(L, lua_upvalueindex(1));
  Fault fault = {0};
  Source *source = (Source *)bind_object_from_args(L, 1, kind);
  bind_push_object(L, &source->object);
  object_release(source);
  source->memory = &session_graph(L)->memory;
  if (!source_rows(source, 0, &fault)) return bind_raise_fault(L, &fault);
  return push_source(L, object_retain(source));
}

/* -- the module -------------------------------------------------------------------- */

static void add_set_metatable(lua_State *L) {
  static const luaL_Reg functions[] = {{"__gc", set_gc},
                                       {"__len", set_count},
                                       {"__newindex", set_newindex},
                                       {"__tostring", set_tostring},
                                       {LISTING, set_listing},
                                       {NULL, NULL}};
  set_add_metatable(L, SET_META, functions);
  luaL_getmetatable(L, SET_META);
  lua_newtable(L);
  for (const SetField *f = set_fields; f->name; f++) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, f->name);
  }
  lua_setfield(L, -2, "__fields");
  lua_newtable(L);
  for (int i = 0; set_methods[i]; i++) reflect_set_functions(L, set_methods[i]);
  lua_pushcclosure(L, set_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/* Parts are fields beside the options that every object has. */
static void extend_source_metatable(lua_State *L) {
  char name[64];
  lua_pushfstring(L, "runner.%s", dataset_family.name);
  snprintf(name, sizeof name, "%s", lua_tostring(L, -1));
  lua_pop(L, 1);
  luaL_getmetatable(L, name);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, source_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

static const char *const *source_fields(const Kind *kind) {
  return ((const SourceKind *)kind)->parts;
}

/* Constructors of data sources in place of those that families have. */
static void add_sources(lua_State *L) {
  for (int i = 0; dataset_family.kinds[i]; i++) {
    const Kind *kind = dataset_family.kinds[i];
    bool of_tensors = ((const SourceKind *)kind)->given;
    lua_pushlightuserdata(L, (void *)kind);
    lua_pushcclosure(L, of_tensors ? make_set : make_source, 1);
    lua_setfield(L, -2, kind->name);
  }
}

int open_data(lua_State *L) {
  static const Function source[] = {{"__newindex", source_newindex, NULL, NULL, NULL},
                                    {LISTING, source_listing, NULL, NULL, NULL}, {0}};
  static const FamilyBinding binding = {
      .family = &dataset_family, .methods = source, .fields = source_fields};
  static const FamilyBinding methods = {.family = &dataset_methods};
  static const FamilyBinding transforms = {.family = &transform_family};
  bind_register_ref(L, &set_ref_binding);
  set_open_transforms(L);
  set_open_batches(L);
  add_set_metatable(L);
  lua_newtable(L);
  bind_register_family(L, &methods); /* its records serve the methods, not the module */
  lua_pop(L, 1);
  lua_newtable(L);
  bind_register_family(L, &binding);
  bind_register_family(L, &transforms);
  extend_source_metatable(L);
  add_sources(L);
  set_open_vocabulary(L);
  return 1;
}
