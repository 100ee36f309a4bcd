/* plan_file.c: reading experiment.json; see plan_file.h. */
#include "lab/plan_file.h"
#include "lab/look.h"

static bool is_of(const Json *json, JsonKind kind) { return json && json_kind(json) == kind; }

/* A table of Lua without entries is written as a map. */
static bool is_list(const Json *json) {
  return is_of(json, JSON_KIND_LIST) || (is_of(json, JSON_KIND_MAP) && json_count(json) == 0);
}

static bool is_map(const Json *json) { return is_of(json, JSON_KIND_MAP); }
static bool is_integer(const Json *json) { return is_of(json, JSON_KIND_INT); }
static bool is_text(const Json *json) { return is_of(json, JSON_KIND_TEXT); }

static bool is_factor(const Json *json) {
  return is_text(json_find(json, "name")) && is_list(json_find(json, "levels"));
}

static bool is_pair(const Json *json) {
  return is_of(json, JSON_KIND_LIST) && json_count(json) == 2 && is_map(json_item(json, 0)) &&
         is_map(json_item(json, 1));
}

typedef struct Field {
  const char *key;
  bool needed;
  bool (*fits)(const Json *item);
  const char *items;         /* what a list of them is one of */
} Field;

static const Field fields[] = {
    {"cells", true, is_map, "maps factor -> level"},
    {"seeds", true, is_integer, "integers"},
    {"factors", true, is_factor, "maps with a name and a list of levels"},
    {"contrasts", false, is_pair, "pairs of cells"},
    {"skipped", false, is_map, "maps"},
    {"others", false, is_text, "ids of trials"},
    {"fingerprints", false, is_text, "hashes of code"},
    {"words", false, is_text, "words of the command line"}};
static const Field tuned_fields[] = {{"names", false, is_text, "names of parameters"}};

static bool fits(const Json *map, const Field *field) {
  const Json *list = json_find(map, field->key);
  if (!list) return !field->needed;
  if (!is_list(list)) return false;
  for (int64_t i = 0; i < json_count(list); i++)
    if (!field->fits(json_item(list, i))) return false;
  return true;
}

static Err check(const Json *map, const Field *checked, size_t n, const char *directory,
                 Fault *fault) {
  for (size_t i = 0; i < n; i++)
    if (!fits(map, &checked[i]))
      return fault_set(fault, ERR_STORAGE, "%s/experiment.json: \"%s\" %s, allowed: a list of "
                       "%s", directory, checked[i].key,
                       json_find(map, checked[i].key) ? "is something else" : "is missing",
                       checked[i].items);
  return ERR_OK;
}

Json *plan_file_read(const char *directory, Fault *fault) {
  Json *plan = look_json(directory, "experiment.json", fault);
  if (!plan) return NULL;
  Err err = check(plan, fields, sizeof fields / sizeof *fields, directory, fault);
  if (!err) err = check(json_find(plan, "tuned"), tuned_fields, 1, directory, fault);
  if (!err && json_find(plan, "script") && !is_text(json_find(plan, "script")))
    err = fault_set(fault, ERR_STORAGE, "%s/experiment.json: \"script\" is something else, "
                    "allowed: a path", directory);
  if (!err) return plan;
  json_free(plan);
  return NULL;
}
