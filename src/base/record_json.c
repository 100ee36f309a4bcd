/* record_json.c: the plain options of objects as JSON; see record_json.h. */
#include "base/record_json.h"
#include <stdio.h>
#include <string.h>

/* -- to JSON ----------------------------------------------------------------------- */

static void put_value(Json *map, const char *key, const Value *value,
                      const Family *except) {
  switch (value->kind) {
  case VALUE_BOOL: json_put_bool(map, key, value->as.boolean); break;
  case VALUE_INT: json_put_int(map, key, value->as.integer); break;
  case VALUE_REAL: json_put_number(map, key, value->as.real); break;
  case VALUE_TEXT: json_put_text(map, key, value->as.text); break;
  case VALUE_OBJECT: json_put(map, key, object_values(value->as.ref, except)); break;
  default: json_put_text(map, key, NULL); break;
  }
}

static void push_value(Json *list, const Value *value, const Family *except) {
  switch (value->kind) {
  case VALUE_INT: json_push_int(list, value->as.integer); break;
  case VALUE_REAL: json_push_number(list, value->as.real); break;
  case VALUE_TEXT: json_push_text(list, value->as.text); break;
  default: json_push(list, object_values(value->as.ref, except)); break;
  }
}

static Json *list_values(const Object *o, const Option *opt, int n,
                         const Family *except) {
  Json *list = json_list();
  for (int i = 0; i < n; i++) {
    Value item;
    option_item(o, opt, i, &item);
    push_value(list, &item, except);
  }
  return list;
}

/* "kind" is the object's own: an option of that name is put under another key. */
static const char *key_of(const Option *opt) {
  return strcmp(opt->name, "kind") == 0 ? "option kind" : opt->name;
}

static bool is_plain(const Option *opt, const Family *except) {
  return !option_type(opt)->textless && !(except && opt->family == except);
}

Json *object_values(const Object *object, const Family *except) {
  Json *map = json_map();
  json_put_text(map, "kind", object->kind->name);
  for (const Option *opt = object->kind->options; opt && opt->name; opt++) {
    Value value;
    if (!is_plain(opt, except)) continue;
    option_get(object, opt, &value);
    if (value.kind == VALUE_LIST)
      json_put(map, key_of(opt), list_values(object, opt, value.as.n_items, except));
    else put_value(map, key_of(opt), &value, except);
  }
  return map;
}

/* -- and back ---------------------------------------------------------------------- */

static Err misfit(const Object *o, const Option *opt, Fault *fault) {
  char label[96];
  return fault_set(fault, ERR_DATA, "option \"%s\" of %s cannot be put back", opt->name,
                   kind_label(o->kind, label, sizeof label));
}

/* The object in place, or a new one where it is of another kind: returns new. */
static Object *object_for(Object *old, const Option *opt, const Json *json,
                          Fault *fault) {
  const char *name;
  if (!json_find_text(json, "kind", &name)) return NULL;
  if (old && strcmp(old->kind->name, name) == 0) return object_retain(old);
  const Kind *kind = family_find(opt->family, name, fault);
  return kind ? object_new(kind, fault) : NULL;
}

static Err set_object(Object *o, const Option *opt, const Json *json,
                      const Family *except, Fault *fault) {
  Object *old = option_type(opt)->nested(option_field(o, opt), 0);
  Object *inner = object_for(old, opt, json, fault);
  if (!inner) return misfit(o, opt, fault);
  Err err = object_set_values(inner, json, except, fault);
  if (!err && inner != old) err = option_set_object(o, opt, inner, fault);
  object_release(inner);
  return err;
}

/* The objects of a list are those that are there. */
static Err set_objects(Object *o, const Option *opt, const Json *json,
                       const Family *except, Fault *fault) {
  Value now;
  option_get(o, opt, &now);
  if (now.kind != VALUE_LIST || json_count(json) != now.as.n_items)
    return misfit(o, opt, fault);
  Err err = ERR_OK;
  for (int i = 0; !err && i < now.as.n_items; i++) {
    Object *inner = option_type(opt)->nested(option_field(o, opt), i);
    err = object_set_values(inner, json_item(json, i), except, fault);
  }
  return err;
}

static void json_given(const Json *json, Given *out);

static void item_given(const Given *list, int i, Given *out) {
  json_given(json_item(list->context, i), out);
}

static void item_done(const Given *item) { (void)item; }

/* Objects are maps, which set_object takes. */
static Object *no_object(const Given *given, const Family *family, Fault *fault) {
  (void)given;
  fault_set(fault, ERR_DATA, "no %s", family->name);
  return NULL;
}

/* What JSON says, as a value that is given. */
static void json_given(const Json *json, Given *out) {
  static const GivenSource source = {
      .item = item_given, .done = item_done, .object = no_object};
  Value *v = &out->value;
  *out = (Given){.value = {.kind = VALUE_OTHER, .as.text = "map"}, .source = &source,
                 .context = (void *)json, .trusted = true};
  switch (json_kind(json)) {
  case JSON_KIND_NULL: v->kind = VALUE_NIL; break;
  case JSON_KIND_BOOL:
    v->kind = VALUE_BOOL;
    json_get_bool(json, &v->as.boolean);
    break;
  case JSON_KIND_INT:
    v->kind = VALUE_INT;
    json_get_int(json, &v->as.integer);
    break;
  case JSON_KIND_NUMBER:
    v->kind = VALUE_REAL;
    json_get_number(json, &v->as.real);
    break;
  case JSON_KIND_TEXT:
    v->kind = VALUE_TEXT;
    json_get_text(json, &v->as.text);
    break;
  case JSON_KIND_LIST:
    *v = (Value){.kind = VALUE_LIST, .as.n_items = (int)json_count(json)};
    break;
  case JSON_KIND_MAP: break;
  }
}

static bool same_value(const Object *o, const Option *opt, const Value *now,
                       const Json *json) {
  Json *map = json_map();
  Text where = {0};
  if (now->kind == VALUE_LIST)
    json_put(map, "", list_values(o, opt, now->as.n_items, NULL));
  else put_value(map, "", now, NULL);
  bool same = map && !json_difference(json_find(map, ""), json, &where);
  text_deinit(&where);
  json_free(map);
  return same;
}

/* A value that is no object. NaN and inf are texts in JSON, which has no such numbers.
 */
static Err set_plain(Object *o, const Option *opt, const Json *json, Fault *fault) {
  Given given;
  Value now;
  Fault refused = {0};
  double real;
  option_get(o, opt, &now);
  if (same_value(o, opt, &now, json)) return ERR_OK;
  json_given(json, &given);
  if (now.kind == VALUE_REAL && json_get_number(json, &real))
    given.value = (Value){.kind = VALUE_REAL, .as.real = real};
  if (given.value.kind == VALUE_NIL && option_type(opt)->clear) {
    option_clear(o, opt);
    return ERR_OK;
  }
  Err err = option_set(o, opt, &given, &refused);
  if (err == ERR_MEMORY) return fault_pass(fault, &refused);
  return err ? misfit(o, opt, fault) : ERR_OK;
}

static Err set_option(Object *o, const Option *opt, const Json *json,
                      const Family *except, Fault *fault) {
  JsonKind kind = json_kind(json);
  bool nests = option_type(opt)->nested;
  if (nests && kind == JSON_KIND_LIST) return set_objects(o, opt, json, except, fault);
  if (nests && kind == JSON_KIND_MAP) return set_object(o, opt, json, except, fault);
  return set_plain(o, opt, json, fault);
}

Err object_set_values(Object *object, const Json *values, const Family *except,
                      Fault *fault) {
  uint64_t version = object->version;
  const char *name = NULL;
  bool map = values && json_kind(values) == JSON_KIND_MAP;
  if (!map || !json_find_text(values, "kind", &name) ||
      strcmp(name, object->kind->name) != 0)
    return fault_set(fault, ERR_DATA, "%s \"%s\" in the place of \"%s\"",
                     object->kind->family->name, name ? name : "?", object->kind->name);
  for (const Option *opt = object->kind->options; opt && opt->name; opt++) {
    const Json *value = json_find(values, key_of(opt));
    if (!is_plain(opt, except)) continue;
    Err err = value ? set_option(object, opt, value, except, fault)
                    : misfit(object, opt, fault);
    if (err) return err;
  }
  return version == object->version ? ERR_OK : object_ready(object, NULL, fault);
}

/* -- difference -------------------------------------------------------------------- */

static void add_value(const Json *json, Text *out) {
  Fault fault = {0};
  if (!json) text_add(out, "nothing");
  else if (json_write(json, 0, out, &fault)) text_add(out, "?");
}

static bool leaf_difference(const Json *a, const Json *b, Text *out) {
  Text x = {0}, y = {0};
  add_value(a, &x);
  add_value(b, &y);
  bool differ = x.failed || y.failed || strcmp(x.data, y.data) != 0;
  if (differ)
    text_addf(out, ": %s, then %s", x.data ? x.data : "?", y.data ? y.data : "?");
  text_deinit(&x);
  text_deinit(&y);
  return differ;
}

static bool difference(const Json *a, const Json *b, Text *path, Text *out);

/* The item under `name` of both; the path is as it was unless they differ. */
static bool item_difference(const Json *a, const Json *b, const char *name, Text *path,
                            Text *out) {
  size_t n_bytes = path->n_bytes;
  text_addf(path, "%s%s", n_bytes ? "." : "", name);
  if (difference(a, b, path, out)) return true;
  if (!path->failed) path->data[path->n_bytes = n_bytes] = 0;
  return false;
}

static bool map_difference(const Json *a, const Json *b, Text *path, Text *out) {
  for (void *it = json_first(a); it; it = json_next(a, it))
    if (item_difference(json_value(it), json_find(b, json_key(it)), json_key(it), path,
                        out))
      return true;
  for (void *it = json_first(b); it; it = json_next(b, it))
    if (!json_find(a, json_key(it)) &&
        item_difference(NULL, json_value(it), json_key(it), path, out))
      return true;
  return false;
}

static bool list_difference(const Json *a, const Json *b, Text *path, Text *out) {
  for (int64_t i = 0; i < json_count(a); i++) {
    char place[32];
    snprintf(place, sizeof place, "%lld", (long long)i + 1);
    if (item_difference(json_item(a, i), json_item(b, i), place, path, out))
      return true;
  }
  return false;
}

static bool difference(const Json *a, const Json *b, Text *path, Text *out) {
  bool maps = a && b && json_kind(a) == JSON_KIND_MAP && json_kind(b) == JSON_KIND_MAP;
  bool lists = a && b && json_kind(a) == JSON_KIND_LIST &&
               json_kind(b) == JSON_KIND_LIST && json_count(a) == json_count(b);
  if (maps) return map_difference(a, b, path, out);
  if (lists) return list_difference(a, b, path, out);
  Text what = {0};
  bool differ = leaf_difference(a, b, &what);
  if (differ)
    text_addf(out, "%s%s", path->data ? path->data : "", what.data ? what.data : "");
  text_deinit(&what);
  return differ;
}

bool json_difference(const Json *a, const Json *b, Text *out) {
  Text path = {0};
  bool differ = difference(a, b, &path, out);
  text_deinit(&path);
  return differ;
}
