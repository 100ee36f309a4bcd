/* set_rows.c: methods of a data set that choose rows of it. */
#include "data/masker.h"
#include "lua/set_private.h"
#include <stdlib.h>
#include <string.h>

int set_count(lua_State *L) {
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
  const SplitCall *call = set_arguments(L, &split_method);
  Stream stream = {philox_key(set_seed(L, call->seed), "split", dataset_name(set)),
                   0};
  SplitOptions options = {.fraction = call->part < 1 ? call->part : 0,
                          .n_first = call->part < 1 ? 0 : (int64_t)call->part,
                          .shuffle = call->shuffle,
                          .stratify = call->stratify,
                          .stream = stream};
  Dataset **first = set_new_box(L), **second = set_new_box(L);
  Fault fault = {0};
  if (dataset_split(set, &options, first, second, &fault))
    return bind_raise_fault(L, &fault);
  return 2;
}

static int set_shuffle(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const ShuffleCall *call = set_arguments(L, &shuffle_method);
  Stream stream = graph_draw(session_graph(L), "order", "shuffle");
  if (call->seed > 0)
    stream = (Stream){philox_key((uint64_t)call->seed, "order", "shuffle"), 0};
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_shuffle(set, stream, &fault), &fault);
}

static int set_take(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const TakeCall *call = set_arguments(L, &take_method);
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_take(set, call->n, &fault), &fault);
}

static int set_buckets(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const BucketsCall *call = set_arguments(L, &buckets_method);
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_buckets(set, call->n, &fault), &fault);
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
  Dataset **box = set_new_box(L);
  return set_store(L, box, dataset_subset(set, rows, n, &fault), &fault);
}

/* -- by classes -------------------------------------------------------------------- */

static int set_only(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const OnlyCall *call = set_arguments(L, &only_method);
  int n = call->classes.n;
  int64_t *labels = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *labels, 0);
  Fault fault = {0};
  if (dataset_load(set, &fault)) return bind_raise_fault(L, &fault);
  for (int i = 0; i < n; i++) {
    const char *text = call->classes.v[i];
    char *end = NULL;
    if (call->classes.number[i]) labels[i] = strtoll(text, &end, 10);
    else if (!(labels[i] = dataset_class_of(set, text, &fault)))
      return luaL_error(L, "set.only: %s", fault.text);
    if (end && *end)
      return luaL_error(L, "set.only: got class %s; allowed: whole numbers and names",
                        text);
  }
  Dataset **box = set_new_box(L);
  return set_store(L, box, dataset_only(set, labels, n, call->renumber, &fault),
                   &fault);
}

/* Of the methods that draw which rows: the same call gives the same ones. */
static Stream rows_stream(lua_State *L, int64_t seed, const char *method) {
  return (Stream){philox_key(set_seed(L, seed), "split", method), 0};
}

static int set_one_hot(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_one_hot(set, &fault), &fault);
}

static int set_labels(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const LabelsCall *call = set_arguments(L, &labels_method);
  Dataset **first = set_new_box(L), **second = set_new_box(L);
  Fault fault = {0};
  if (dataset_labels(set, call->n, rows_stream(L, call->seed, "labels"), first, second,
                     &fault))
    return bind_raise_fault(L, &fault);
  return 2;
}

static int set_balance(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const BalanceCall *call = set_arguments(L, &balance_method);
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box,
                   dataset_balance(set, call->by == BALANCE_REPEAT,
                                   rows_stream(L, call->seed, "balance"), &fault),
                   &fault);
}

static int set_mask_tokens(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const MaskTokensCall *call = set_arguments(L, &mask_tokens_method);
  uint64_t key = philox_key(set_seed(L, call->seed), "augment", "mask_tokens");
  Masker masker = {.share = call->share, .hidden = call->hidden, .other = call->other,
                   .key = key};
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_mask_tokens(set, &masker, &fault), &fault);
}

/* -- folds ------------------------------------------------------------------------- */

/* A handle in field `name` of the table at the top. */
static Dataset **add_box(lua_State *L, const char *name) {
  Dataset **box = set_new_box(L);
  lua_setfield(L, -2, name);
  return box;
}

/* -> { { train =, validation = }, ... } */
static int set_k_fold(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  const FoldCall *call = set_arguments(L, &k_fold_method);
  size_t k = (size_t)call->k;
  Dataset **made = lua_newuserdatauv(L, 2 * k * sizeof *made, 0), ***boxes;
  boxes = (Dataset ***)lua_newuserdatauv(L, 2 * k * sizeof *boxes, 0);
  lua_createtable(L, (int)k, 0);
  for (size_t i = 0; i < k; i++) {
    lua_createtable(L, 0, 2);
    boxes[i] = add_box(L, "train");
    boxes[k + i] = add_box(L, "validation");
    made[i] = made[k + i] = NULL;
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  FoldOptions options = {.k = call->k, .shuffle = call->shuffle,
                         .stratify = call->stratify,
                         .stream = rows_stream(L, call->seed, "k_fold")};
  Fault fault = {0};
  Err err = dataset_k_fold(set, &options, made, made + k, &fault);
  for (size_t i = 0; i < 2 * k; i++) *boxes[i] = made[i];
  return err ? bind_raise_fault(L, &fault) : 1;
}

/* -- in memory --------------------------------------------------------------------- */

/* set:concat(other, ...) */
static int set_concat(lua_State *L) {
  int n = lua_gettop(L);
  Dataset **sets = lua_newuserdatauv(L, (size_t)n * sizeof *sets, 0);
  for (int i = 0; i < n; i++) sets[i] = bind_check_dataset(L, i + 1);
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_gather(sets, n, &fault), &fault);
}

static int set_cache(lua_State *L) {
  Dataset *set = bind_check_dataset(L, 1);
  Dataset **box = set_new_box(L);
  Fault fault = {0};
  return set_store(L, box, dataset_gather(&set, 1, &fault), &fault);
}

/* -- the list ---------------------------------------------------------------------- */

const Function set_rows_methods[] = {
    {"split", set_split, "set:split(part, { options })",
     "Divides the rows among two sets.",
     &split_method},
    {"shuffle", set_shuffle, "set:shuffle({ options })",
     "A set of the same rows in another order.",
     &shuffle_method},
    {"take", set_take, "set:take(n)", "A set of the first n rows.", &take_method},
    {"buckets", set_buckets, "set:buckets(n)",
     "A set of sequences whose batches have rows of like lengths, without the steps "
     "that none of them needs.",
     &buckets_method},
    {"subset", set_subset, "set:subset({3, 1, 7})",
     "A set of these rows, a list or a tensor of numbers, counted from 1; negative "
     "ones from the end.",
     NULL},
    {"only", set_only, "set:only({classes}, { options })",
     "A set of the rows of some classes.",
     &only_method},
    {"labels", set_labels, "set:labels(n, { options })",
     "Divides the set in two: n rows with their labels, and all other rows without "
     "labels.",
     &labels_method},
    {"one_hot", set_one_hot, "set:one_hot()",
     "A set whose labels are distributions over the classes, [n, classes], for "
     "categorical_crossentropy, as data.mixup and data.cutmix make them.",
     NULL},
    {"balance", set_balance, "set:balance({ options })",
     "A set with equally many rows of each class.",
     &balance_method},
    {"mask_tokens", set_mask_tokens, "set:mask_tokens(share, { options })",
     "Masked language modelling, as BERT learns: a set of texts whose targets are "
     "their own tokens. Some tokens are chosen, anew in each epoch, and most of these "
     "hidden; only the steps of the chosen ones count in the loss.",
     &mask_tokens_method},
    {"k_fold", set_k_fold, "set:k_fold(k, { options })", "A list of k pairs { train =, "
     "validation = }: cross-validation.", &k_fold_method},
    {"concat", set_concat, "set:concat(other, ...)",
     "A set of the rows of several sets, one after the other, copied into memory as "
     "their batches have them. Features, targets and the names of features and classes "
     "must fit; where only some sets have weights or a mask, rows of the others count "
     "as 1. Sets whose transforms draw at random are an error: transform the result.",
     NULL},
    {"cache", set_cache, "set:cache()",
     "A set whose rows are copied into memory as its batches have them. Transforms are "
     "done once, and files are closed. A transform that draws at random is an error, "
     "as it would draw no more: cache before it.",
     NULL},
    {"count", set_count, "set:count()", "The number of rows, as #set.", NULL},
    {0}};
