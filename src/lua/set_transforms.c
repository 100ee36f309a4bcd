/* set_transforms.c: methods of a data set that do something to each row on its way into
 * a batch, and normalizations as values. */
#include "graph/ops.h"
#include "lua/set_private.h"
#include <stdlib.h>

#define TRANSFORM_META "runner.normalization"

/* set:normalize{per = } -> set, transform; set:normalize(transform) -> set,
 * transform. */
static int set_normalize(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  Fault fault = {0};
  Transform **given = luaL_testudata(L, 2, TRANSFORM_META);
  Dataset **box;
  if (given) {
    box = set_new_box(L);
    lua_pushvalue(L, 2);
  } else {
    const NormalizeCall *call = set_arguments(L, &normalize_method);
    box = set_new_box(L);
    given = lua_newuserdatauv(L, sizeof *given, 0);
    *given = NULL;
    luaL_setmetatable(L, TRANSFORM_META);
    *given = transform_normalize(set, (Per)call->per, &fault);
    if (!*given) return bind_raise_fault(L, &fault);
  }
  set_store(L, box, dataset_apply(set, *given, &fault), &fault);
  return 2;
}

/* set:transform(transform), set:transform{transform, ...} -> set */
static int set_transform(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const ObjectList *list =
      &((const TransformCall *)set_arguments(L, &transform_method))->transforms;
  Fault fault = {0};
  Dataset **box = set_new_box(L);
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
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_complete(set, like, &fault), &fault);
}

/* -- normalizations ---------------------------------------------------------------- */

static int transform_gc(lua_State *L) {
  Transform **box = lua_touserdata(L, 1);
  object_release(*box);
  *box = NULL;
  return 0;
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

/* A transform prints what it does; its numbers are for the set it was made of. */
static int transform_tostring(lua_State *L) {
  Transform **box = luaL_checkudata(L, 1, TRANSFORM_META);
  lua_pushfstring(L, "transform (x - shift) * scale, %I of each",
                  (LUAI_UACINT)transform_n(*box));
  return 1;
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

/* -- the lists --------------------------------------------------------------------- */

const Function set_transforms_methods[] = {
    {"normalize", set_normalize, "set:normalize({ options })",
     "The set scaled to mean 0 and standard deviation 1, and the transform that does "
     "it, for other sets.",
     &normalize_method},
    {"transform", set_transform, "set:transform({ transforms })",
     "A set whose rows go through transforms, such as data.random_crop and "
     "data.random_flip.",
     &transform_method},
    {"impute", set_impute, "set:impute(other)",
     "A set whose missing values (data.csv, missing = \"mean\") are filled in with the "
     "means of the features over the rows of another set, the one to train on; without "
     "it, over its own. train.fit does so for what it validates and tests on, split "
     "for its second part.",
     NULL},
    {0}};

void set_open_transforms(lua_State *L) {
  static const luaL_Reg transform[] = {
      {"__gc", transform_gc}, {"__tostring", transform_tostring},
      {LISTING, transform_listing}, {"__call", transform_call}, {NULL, NULL}};
  set_add_metatable(L, TRANSFORM_META, transform);
}
