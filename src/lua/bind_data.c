/* bind_data.c: the global `data`: sources, data sets and their methods, batches.
 *
 * A source with one part is a data set at once (data.spirals{...}); one with several is
 * an object whose parts are fields (data.fashion_mnist().train). A box is pushed before
 * the thing it will own is made, so that no error can leak it. */
#include "lua/sources.h"
#include "data/methods.h"
#include "graph/ops.h"
#include "lua/reflect.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_META "runner.set"
#define TRANSFORM_META "runner.normalization"
#define BATCHES_META "runner.batches"

/* -- boxes ------------------------------------------------------------------------- */

static Dataset **new_set_box(lua_State *L) {
  Dataset **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, SET_META);
  return box;
}

Dataset *bind_to_dataset(lua_State *L, int arg) {
  Dataset **box = luaL_testudata(L, arg, SET_META);
  return box ? *box : NULL;
}

/* -- data sets as options ---------------------------------------------------------- */

static void *get_dataset(lua_State *L, int arg, Fault *fault) {
  Source *source = bind_to_object(L, arg, &dataset_family);
  if (source)
    fault_set(fault, ERR_VALUE, "%s has several parts; take one of them, as in .train",
              source->object.kind->name);
  Dataset *set = bind_to_dataset(L, arg);
  return set ? dataset_retain(set) : NULL;
}

static void push_dataset(lua_State *L, void *set) {
  *new_set_box(L) = dataset_retain(set);
}

Dataset *bind_check_dataset(lua_State *L, int arg) {
  Dataset *set = bind_to_dataset(L, arg);
  if (set) return set;
  Source *source = bind_to_object(L, arg, &dataset_family);
  if (source)
    luaL_error(L, "%s has several parts; take one of them, as in .train",
               source->object.kind->name);
  if (bind_is_tensor(L, arg))
    luaL_argerror(L, arg,
                  "got a tensor; allowed: a data set, as data.set(x, y) makes one");
  luaL_typeerror(L, arg, "data set");
  return NULL;
}

static int set_gc(lua_State *L) {
  Dataset **box = lua_touserdata(L, 1);
  dataset_release(*box);
  *box = NULL;
  return 0;
}

static int transform_gc(lua_State *L) {
  Transform **box = lua_touserdata(L, 1);
  object_release(*box);
  *box = NULL;
  return 0;
}

/* Stores what a call made; raises the fault when it made nothing. */
static int store_set(lua_State *L, Dataset **box, Dataset *made, const Fault *fault) {
  *box = made;
  return made ? 1 : bind_raise_fault(L, fault);
}

/* The record of a method's arguments, owned by a userdata pushed for it. */
static void *method_arguments(lua_State *L, const Kind *kind) {
  Object *call = bind_object_from_args(L, 2, kind);
  bind_push_object(L, call);
  object_release(call);
  return call;
}

static uint64_t seed_or_run(lua_State *L, int64_t seed) {
  return seed > 0 ? (uint64_t)seed : session_graph(L)->seed;
}

/* -- rows -------------------------------------------------------------------------- */

static int set_count(lua_State *L) {
  int64_t n;
  Fault fault = {0};
  if (dataset_count(bind_check_dataset(L, 1), &n, &fault))
    return bind_raise_fault(L, &fault);
  lua_pushinteger(L, n);
  return 1;
}

/* As a fraction 1.0 is all rows, as a number of rows it is one: 1 is not meant by
 * it. */
static void refuse_whole_part(lua_State *L) {
  if (lua_gettop(L) < 2) return;
  if (lua_type(L, 2) == LUA_TTABLE) lua_getfield(L, 2, "part");
  else lua_pushvalue(L, 2);
  bool whole = lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1) &&
               lua_tonumber(L, -1) == 1;
  lua_pop(L, 1);
  if (whole)
    luaL_error(L,
               "set.split: option \"part\": got 1.0, allowed: a fraction below 1, or a "
               "whole number of rows; 1 is one row");
}

static int set_split(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  refuse_whole_part(L);
  const SplitCall *call = method_arguments(L, &split_method);
  Stream stream = {philox_key(seed_or_run(L, call->seed), "split", dataset_name(set)),
                   0};
  SplitOptions options = {.fraction = call->part < 1 ? call->part : 0,
                          .n_first = call->part < 1 ? 0 : (int64_t)call->part,
                          .shuffle = call->shuffle,
                          .stratify = call->stratify,
                          .stream = stream};
  Dataset **first = new_set_box(L), **second = new_set_box(L);
  Fault fault = {0};
  if (dataset_split(set, &options, first, second, &fault))
    return bind_raise_fault(L, &fault);
  return 2;
}

static int set_shuffle(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const ShuffleCall *call = method_arguments(L, &shuffle_method);
  Stream stream = graph_draw(session_graph(L), "order", "shuffle");
  if (call->seed > 0)
    stream = (Stream){philox_key((uint64_t)call->seed, "order", "shuffle"), 0};
  Dataset **box = new_set_box(L);
  Fault fault = {0};
  return store_set(L, box, dataset_shuffle(set, stream, &fault), &fault);
}

static int set_take(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const TakeCall *call = method_arguments(L, &take_method);
  Dataset **box = new_set_box(L);
  Fault fault = {0};
  return store_set(L, box, dataset_take(set, call->n, &fault), &fault);
}

/* The list of the numbers in a tensor of one axis, in its place. */
static void push_rows(lua_State *L, int arg) {
  const Array *a = &bind_check_value(L, arg)->a;
  if (a->shape.rank != 1) {
    char shape[SHAPE_TEXT];
    luaL_error(L, "subset: got a tensor of shape %s; allowed: one axis, of row numbers",
               shape_text(shape, &a->shape));
  }
  lua_createtable(L, (int)a->shape.dim[0], 0);
  for (int64_t i = 0; i < a->shape.dim[0]; i++) {
    lua_pushnumber(L, array_get(a, i));
    lua_rawseti(L, -2, i + 1);
  }
  lua_replace(L, arg);
}

/* set:subset{3, 1, 7}, set:subset(tensor): rows by number, from 1; negative from the
 * end. */
static int set_subset(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  if (bind_is_tensor(L, 2)) push_rows(L, 2);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t n_rows, n = (int64_t)lua_rawlen(L, 2);
  Fault fault = {0};
  if (dataset_count(set, &n_rows, &fault)) return bind_raise_fault(L, &fault);
  int64_t *rows = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *rows, 0);
  for (int64_t i = 0; i < n; i++) {
    int is_integer;
    lua_rawgeti(L, 2, i + 1);
    lua_Integer row = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || row == 0 || row > n_rows || row < -n_rows)
      return luaL_error(L, "subset: element %I is %s; allowed: rows 1 to %I", i + 1,
                        luaL_tolstring(L, -1, NULL), n_rows);
    rows[i] = row > 0 ? row - 1 : n_rows + row;
    lua_pop(L, 1);
  }
  Dataset **box = new_set_box(L);
  return store_set(L, box, dataset_subset(set, rows, n, &fault), &fault);
}

/* set:normalize{per = } -> set, transform; set:normalize(transform) -> set,
 * transform. */
static int set_normalize(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  Fault fault = {0};
  Transform **given = luaL_testudata(L, 2, TRANSFORM_META);
  Dataset **box;
  if (given) {
    box = new_set_box(L);
    lua_pushvalue(L, 2);
  } else {
    const NormalizeCall *call = method_arguments(L, &normalize_method);
    box = new_set_box(L);
    given = lua_newuserdatauv(L, sizeof *given, 0);
    *given = NULL;
    luaL_setmetatable(L, TRANSFORM_META);
    *given = transform_normalize(set, (Per)call->per, &fault);
    if (!*given) return bind_raise_fault(L, &fault);
  }
  store_set(L, box, dataset_apply(set, *given, &fault), &fault);
  return 2;
}

/* set:transform(transform), set:transform{transform, ...} -> set */
static int set_transform(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const ObjectList *list =
      &((const TransformCall *)method_arguments(L, &transform_method))->transforms;
  Fault fault = {0};
  Dataset **box = new_set_box(L);
  *box = dataset_retain(set);
  for (int i = 0; i < list->n; i++) {
    Dataset *next = dataset_apply(*box, (Transform *)list->v[i], &fault);
    if (!next) return bind_raise_fault(L, &fault);
    dataset_release(*box);
    *box = next;
  }
  return 1;
}

/* set:impute(other): missing values become the means of the other set's rows; its own
 * ones without it. */
static int set_impute(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  Dataset *like = lua_isnoneornil(L, 2) ? set : bind_check_dataset(L, 2);
  Dataset **box = new_set_box(L);
  Fault fault = {0};
  return store_set(L, box, dataset_complete(set, like, &fault), &fault);
}

/* transform(x): what dataset_apply makes of the rows x, whose later axes are the
 * features. */
static int transform_call(lua_State *L) {
  const Transform *t = *(Transform **)luaL_checkudata(L, 1, TRANSFORM_META);
  Graph *graph = session_graph(L);
  int scope = bind_enter_call(L);
  if (bind_to_dataset(L, 2))
    return luaL_error(L, "a transform takes a tensor; write set:normalize(transform)");
  Node *x = op_cast(graph, bind_check_node(L, 2), DT_REAL);
  Shape shape;
  Fault fault = {0};
  double *pairs = transform_pairs(t, &x->shape, &shape, &fault);
  if (!pairs) return bind_raise_fault(L, &fault);
  Node *shift = graph_from_doubles(graph, DT_REAL, &shape, pairs);
  Node *scale = graph_from_doubles(graph, DT_REAL, &shape, pairs + transform_n(t));
  free(pairs);
  bind_push_node(L, op_mul(graph, op_sub(graph, x, shift), scale));
  graph_scope_end(graph, scope);
  return 1;
}

/* -- batches ----------------------------------------------------------------------- */

typedef struct BatchBox {
  Batches batches;
  Batch last; /* its tensors are reused when Lua has let go of them */
} BatchBox;

static int batches_gc(lua_State *L) {
  BatchBox *box = lua_touserdata(L, 1);
  batches_close(&box->batches);
  batch_deinit(&box->last);
  *box = (BatchBox){0};
  return 0;
}

static void push_tensor(lua_State *L, Tensor *t) {
  if (t) bind_push_node(L, graph_const(session_graph(L), t));
  else lua_pushnil(L);
}

/* x, of which there may be several, then y, weight and mask up to the last that the set
 * has; returns how many. */
static int push_batch(lua_State *L, const Batch *batch) {
  Tensor *const part[] = {batch->y, batch->weight, batch->mask};
  int n = 3;
  while (n > 0 && !part[n - 1]) n--;
  luaL_checkstack(L, MAX_INPUTS + n, "too many inputs");
  for (int i = 0; i < batch->n_x; i++) push_tensor(L, batch->x[i]);
  for (int i = 0; i < n; i++) push_tensor(L, part[i]);
  return batch->n_x + n;
}

/* upvalue 1: the BatchBox. */
static int batches_step(lua_State *L) {
  BatchBox *box = lua_touserdata(L, lua_upvalueindex(1));
  int scope = bind_enter_call(L);
  Fault fault = {0};
  bool more = false;
  if (box->batches.set && batches_next(&box->batches, &box->last, &more, &fault))
    return bind_raise_fault(L, &fault);
  if (!more) {
    graph_scope_end(session_graph(L), scope);
    lua_pushnil(L);
    return 1;
  }
  int n = push_batch(L, &box->last);
  graph_scope_end(session_graph(L), scope);
  return n;
}

/* Where the order comes from: "epoch" draws anew at each call, "once" never. */
static Stream order_stream(lua_State *L, const BatchesCall *call, const Dataset *set) {
  const char *name = call->name ? call->name : dataset_name(set);
  Stream stream = {philox_key(seed_or_run(L, call->seed), "order", name), 0};
  if (call->shuffle == SHUFFLE_EPOCH)
    stream.draw = graph_draw(session_graph(L), "order", name).draw;
  return stream;
}

/* Where random transforms draw from: anew at each call, as the order of the rows. */
static Stream augment_stream(lua_State *L, const BatchesCall *call,
                             const Dataset *set) {
  const char *name = call->name ? call->name : dataset_name(set);
  uint64_t draw = graph_draw(session_graph(L), "augment", name).draw;
  return (Stream){philox_key(seed_or_run(L, call->seed), "augment", name), draw};
}

/* for x, y, weight, mask in set:batches(32, {...}): function, nil, nil, and the box to
 * be closed. */
static int set_batches(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const BatchesCall *call = method_arguments(L, &batches_method);
  BatchOptions options = {.batch_size = call->batch_size,
                          .shuffle = (ShuffleMode)call->shuffle,
                          .drop_last = call->drop_last,
                          .order = order_stream(L, call, set),
                          .training = call->training};
  if (call->training && dataset_augments(set))
    options.augment = augment_stream(L, call, set);
  BatchBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (BatchBox){0};
  luaL_setmetatable(L, BATCHES_META);
  Fault fault = {0};
  if (batches_open(&box->batches, set, &options, &fault))
    return bind_raise_fault(L, &fault);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, batches_step, 1);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 4;
}

/* set:tensors() -> x, y, weight, mask: all rows at once, transformed, in the set's
 * order. */
static int set_tensors(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  int scope = bind_enter_call(L);
  Fault fault = {0};
  if (dataset_need_rows(set, "tensors", &fault)) return bind_raise_fault(L, &fault);
  BatchOptions options = {.batch_size = dataset_n(set), .shuffle = SHUFFLE_NONE};
  BatchBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (BatchBox){0};
  luaL_setmetatable(L, BATCHES_META);
  bool more;
  if (batches_open(&box->batches, set, &options, &fault) ||
      batches_next(&box->batches, &box->last, &more, &fault))
    return bind_raise_fault(L, &fault);
  int n = push_batch(L, &box->last);
  graph_scope_end(session_graph(L), scope);
  return n;
}

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
                                      {NULL, NULL}};

static const Function set_methods[] = {
    {"split", set_split, "set:split(part, { options })", "Two sets that share the "
                                                         "rows.",
     &split_method},
    {"shuffle", set_shuffle, "set:shuffle({ options })", "The rows in another order.",
     &shuffle_method},
    {"take", set_take, "set:take(n)", "The first rows.", &take_method},
    {"subset", set_subset, "set:subset({3, 1, 7})", "These rows, counted from 1; "
     "negative ones from the end; a list or a tensor.", NULL},
    {"normalize", set_normalize, "set:normalize({ options })", "The set with mean 0 "
     "and deviation 1, and the transform that did it.", &normalize_method},
    {"transform", set_transform, "set:transform({ transforms })", "The set whose rows "
     "go through transforms, such as data.random_crop and data.random_flip.",
     &transform_method},
    {"impute", set_impute, "set:impute(other)", "The set with its missing values "
     "(data.csv, missing = \"mean\") filled in by the features' means over the rows of "
     "another set, the one to train on; without it, over its own. train.fit does it "
     "with what it validates and tests on, split with its second part.", NULL},
    {"batches", set_batches, "set:batches(batch_size, { options })", "An iterator: "
     "for x, y in set:batches(32) do ... end; for x, y, weight, mask where rows have "
     "weights or a mask (weight is nil without weights); for a, b, y where x are two.",
     &batches_method},
    {"tensors", set_tensors, "set:tensors()", "All rows at once: x (of several, one "
     "after the other), y, and the weights and the mask of rows that have some.", NULL},
    {"count", set_count, "set:count()", "The number of rows, as #set.", NULL},
    {0}};

/* Raises: no such field, with the nearest of the names. */
static int no_field(lua_State *L, const char *what, const char *name,
                    const char *const *names, int n) {
  const char *nearest = text_nearest(name, names, n);
  return luaL_error(L,
                    nearest ? "%s has no field or method \"%s\"; did you mean \"%s\"?"
                            : "%s has no field or method \"%s\"",
                    what, name, nearest);
}

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
  const char *names[32] = {"name"};
  int n = 1;
  for (const Function *m = set_methods; m->name; m++) names[n++] = m->name;
  for (const SetField *f = set_fields; f->name; f++) names[n++] = f->name;
  return no_field(L, "a data set", name, names, n);
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

/* A transform prints what it does; its numbers are for the set it was made of. */
static int transform_tostring(lua_State *L) {
  Transform **box = luaL_checkudata(L, 1, TRANSFORM_META);
  lua_pushfstring(L, "transform (x - shift) * scale, %I of each",
                  (LUAI_UACINT)transform_n(*box));
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
  }
  return 3;
}

static int transform_listing(lua_State *L) {
  const Transform *t = *(Transform **)luaL_checkudata(L, 1, TRANSFORM_META);
  bind_begin_listing(L, t, "transform (x - shift) * scale");
  for (int64_t i = 0; i < transform_n(t); i++) {
    lua_pushnumber(L, transform_shift(t, i));
    bind_add_numbered_part(L, "shift", i + 1);
    lua_pushnumber(L, transform_scaling(t, i));
    bind_add_numbered_part(L, "scale", i + 1);
  }
  for (int64_t i = 0; i < transform_n_means(t); i++) {
    lua_pushnumber(L, transform_mean(t, i));
    bind_add_numbered_part(L, "mean", i + 1);
  }
  return 3;
}

static int batches_listing(lua_State *L) {
  const BatchBox *box = luaL_checkudata(L, 1, BATCHES_META);
  const BatchOptions *options = &box->batches.options;
  if (!box->batches.set) {
    bind_begin_listing(L, box, "batches that have ended");
    return 3;
  }
  const struct { const char *name; lua_Integer value; } numbers[] = {
      {"batch_size", options->batch_size}, {"shuffle", options->shuffle},
      {"drop_last", options->drop_last},   {"order", (lua_Integer)options->order.key},
      {"draw", (lua_Integer)options->order.draw}, {"at", box->batches.at}};
  bind_begin_listing(L, box, "batches");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    lua_pushinteger(L, numbers[i].value);
    bind_add_part(L, numbers[i].name);
  }
  *new_set_box(L) = dataset_retain(box->batches.set);
  bind_add_part(L, "set");
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
  return no_field(L, source->object.kind->name, name, names, n);
}

/* A field of a source with several parts. upvalue 1: the index function of families. */
static int source_index(lua_State *L) {
  Source *source = bind_check_object(L, 1, &dataset_family);
  const char *name = luaL_checkstring(L, 2);
  Fault fault = {0};
  for (int i = 0; i < source_parts(source); i++)
    if (strcmp(name, source_part(source, i)) == 0) {
      Dataset **box = new_set_box(L);
      return store_set(L, box, dataset_open(source, i, &fault), &fault);
    }
  for (const SetField *f = set_fields; f->name; f++)
    if (strcmp(f->name, name) == 0) { /* a fact of the first part holds for all */
      Dataset **box = new_set_box(L);
      store_set(L, box, dataset_open(source, 0, &fault), &fault);
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
  Dataset **box = new_set_box(L);
  Fault fault = {0};
  return store_set(L, box, dataset_open(source, 0, &fault), &fault);
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

static void add_metatable(lua_State *L, const char *name, const luaL_Reg *functions) {
  bind_new_metatable(L, name);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}

static void add_set_metatable(lua_State *L) {
  static const luaL_Reg functions[] = {{"__gc", set_gc},
                                       {"__len", set_count},
                                       {"__newindex", set_newindex},
                                       {"__tostring", set_tostring},
                                       {LISTING, set_listing},
                                       {NULL, NULL}};
  add_metatable(L, SET_META, functions);
  luaL_getmetatable(L, SET_META);
  lua_newtable(L);
  for (const SetField *f = set_fields; f->name; f++) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, f->name);
  }
  lua_setfield(L, -2, "__fields");
  lua_newtable(L);
  reflect_set_functions(L, set_methods);
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
  static const luaL_Reg transform[] = {
      {"__gc", transform_gc}, {"__tostring", transform_tostring},
      {LISTING, transform_listing}, {"__call", transform_call}, {NULL, NULL}};
  static const luaL_Reg batches[] = {
      {"__gc", batches_gc}, {"__close", batches_gc}, {LISTING, batches_listing},
      {NULL, NULL}};
  static const Function source[] = {{"__newindex", source_newindex, NULL, NULL, NULL},
                                    {LISTING, source_listing, NULL, NULL, NULL}, {0}};
  static const FamilyBinding binding = {
      .family = &dataset_family, .methods = source, .fields = source_fields};
  static const FamilyBinding methods = {.family = &dataset_methods};
  static const FamilyBinding transforms = {.family = &transform_family};
  static const RefBinding ref = {&dataset_ref_type, get_dataset, push_dataset};
  bind_register_ref(L, &ref);
  add_metatable(L, TRANSFORM_META, transform);
  add_metatable(L, BATCHES_META, batches);
  add_set_metatable(L);
  lua_newtable(L);
  bind_register_family(L, &methods); /* its records serve the methods, not the module */
  lua_pop(L, 1);
  lua_newtable(L);
  bind_register_family(L, &binding);
  bind_register_family(L, &transforms);
  extend_source_metatable(L);
  add_sources(L);
  return 1;
}
