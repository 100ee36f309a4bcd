/* record_json.c: the plain options of objects as JSON; see record_json.h. */
#include "base/record_json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- to JSON ------------------------------------------------------------------------- */

static Json *ints_values(const IntList *ints) {
  Json *list = json_list();
  for (int i = 0; i < ints->n; i++) json_push_int(list, ints->v[i]);
  return list;
}

static Json *list_values(const ObjectList *objects, const Family *except) {
  Json *list = json_list();
  for (int i = 0; i < objects->n; i++) json_push(list, object_values(objects->v[i], except));
  return list;
}

/* "kind" is the object's own: an option of that name stands under another. */
static const char *key_of(const Option *opt) {
  return strcmp(opt->name, "kind") == 0 ? "option kind" : opt->name;
}

static void put_option(Json *map, const Object *o, const Option *opt, const Family *except) {
  const void *field = option_field(o, opt);
  const char *key = key_of(opt);
  switch (opt->kind) {
  case OPT_BOOL: json_put_bool(map, key, *(const bool *)field); break;
  case OPT_INT: json_put_int(map, key, *(const int64_t *)field); break;
  case OPT_REAL: json_put_number(map, key, *(const double *)field); break;
  case OPT_TEXT: json_put_text(map, key, *(char *const *)field); break;
  case OPT_CHOICE: json_put_text(map, key, opt->choices[*(const int *)field]); break;
  case OPT_INTS: json_put(map, key, ints_values(field)); break;
  case OPT_OBJECT: {
    const Object *inner = *(Object *const *)field;
    if (opt->family == except) break;
    if (inner) json_put(map, key, object_values(inner, except));
    else json_put_text(map, key, NULL);
    break;
  }
  case OPT_OBJECTS:
    if (opt->family != except) json_put(map, key, list_values(field, except));
    break;
  default: break;
  }
}

Json *object_values(const Object *object, const Family *except) {
  Json *map = json_map();
  json_put_text(map, "kind", object->kind->name);
  for (const Option *opt = object->kind->options; opt && opt->name; opt++)
    put_option(map, object, opt, except);
  return map;
}

/* -- and back ------------------------------------------------------------------------ */

static Err misfit(const Object *o, const Option *opt, Fault *fault) {
  char label[96];
  return fault_set(fault, ERR_DATA, "option \"%s\" of %s cannot be put back", opt->name,
                   kind_label(o->kind, label, sizeof label));
}

static Err set_bool(Object *o, const Option *opt, const Json *value, Fault *fault) {
  bool *field = option_field(o, opt), wanted;
  if (!json_get_bool(value, &wanted)) return misfit(o, opt, fault);
  return wanted == *field ? ERR_OK : option_set_bool(o, opt, wanted, fault);
}

static Err set_int(Object *o, const Option *opt, const Json *value, Fault *fault) {
  int64_t *field = option_field(o, opt), wanted;
  if (!json_get_int(value, &wanted)) return misfit(o, opt, fault);
  if (wanted == *field) return ERR_OK;
  *field = wanted;             /* exact, also beyond 2^53 */
  o->version++;
  return ERR_OK;
}

static Err set_real(Object *o, const Option *opt, const Json *value, Fault *fault) {
  double *field = option_field(o, opt), wanted;
  if (!json_get_number(value, &wanted)) return misfit(o, opt, fault);
  if (wanted == *field || (isnan(wanted) && isnan(*field))) return ERR_OK;
  *field = wanted;             /* NaN, too: an option that is not given */
  o->version++;
  return ERR_OK;
}

static Err set_text(Object *o, const Option *opt, const Json *value, Fault *fault) {
  char **field = option_field(o, opt);
  const char *wanted = NULL;
  if (json_kind(value) == JSON_KIND_NULL) {
    if (*field) o->version++;
    free(*field);
    *field = NULL;
    return ERR_OK;
  }
  if (!json_get_text(value, &wanted)) return misfit(o, opt, fault);
  if (*field && strcmp(*field, wanted) == 0) return ERR_OK;
  return option_set_text(o, opt, wanted, fault);
}

static Err set_choice(Object *o, const Option *opt, const Json *value, Fault *fault) {
  const char *wanted;
  if (!json_get_text(value, &wanted)) return misfit(o, opt, fault);
  const int *field = option_field(o, opt);
  if (strcmp(opt->choices[*field], wanted) == 0) return ERR_OK;
  return option_set_text(o, opt, wanted, fault);
}

static Err set_ints(Object *o, const Option *opt, const Json *value, Fault *fault) {
  IntList *field = option_field(o, opt), wanted = {0};
  enum { MOST = sizeof wanted.v / sizeof wanted.v[0] };
  if (json_kind(value) != JSON_KIND_LIST || json_count(value) > MOST)
    return misfit(o, opt, fault);
  for (; wanted.n < json_count(value); wanted.n++)
    if (!json_get_int(json_item(value, wanted.n), &wanted.v[wanted.n]))
      return misfit(o, opt, fault);
  if (wanted.n == field->n && !memcmp(wanted.v, field->v, (size_t)wanted.n * sizeof *wanted.v))
    return ERR_OK;
  return option_set_ints(o, opt, wanted.v, wanted.n, fault);
}

/* The object in place, or a new one where it is of another kind: returns new. */
static Object *object_for(Object *old, const Option *opt, const Json *value, Fault *fault) {
  const char *name;
  if (!json_get_text(json_find(value, "kind"), &name)) return NULL;
  if (old && strcmp(old->kind->name, name) == 0) return object_retain(old);
  const Kind *kind = family_find(opt->family, name, fault);
  return kind ? object_new(kind, fault) : NULL;
}

static Err set_object(Object *o, const Option *opt, const Json *value, const Family *except,
                      Fault *fault) {
  Object **field = option_field(o, opt);
  if (json_kind(value) == JSON_KIND_NULL) {
    if (*field) o->version++;
    object_release(*field);
    *field = NULL;
    return ERR_OK;
  }
  Object *inner = object_for(*field, opt, value, fault);
  if (!inner) return misfit(o, opt, fault);
  Err err = object_set_values(inner, value, except, fault);
  if (!err && inner != *field) err = option_set_object(o, opt, inner, fault);
  object_release(inner);
  return err;
}

static Err set_objects(Object *o, const Option *opt, const Json *value, const Family *except,
                       Fault *fault) {
  const ObjectList *list = option_field(o, opt);
  if (json_kind(value) != JSON_KIND_LIST || json_count(value) != list->n)
    return misfit(o, opt, fault);
  for (int i = 0; i < list->n; i++) {
    Err err = object_set_values(list->v[i], json_item(value, i), except, fault);
    if (err) return err;
  }
  return ERR_OK;
}

static Err set_option(Object *o, const Option *opt, const Json *value, const Family *except,
                      Fault *fault) {
  switch (opt->kind) {
  case OPT_BOOL: return set_bool(o, opt, value, fault);
  case OPT_INT: return set_int(o, opt, value, fault);
  case OPT_REAL: return set_real(o, opt, value, fault);
  case OPT_TEXT: return set_text(o, opt, value, fault);
  case OPT_CHOICE: return set_choice(o, opt, value, fault);
  case OPT_INTS: return set_ints(o, opt, value, fault);
  case OPT_OBJECT: return set_object(o, opt, value, except, fault);
  case OPT_OBJECTS: return set_objects(o, opt, value, except, fault);
  default: return ERR_OK;
  }
}

static bool is_plain(const Option *opt, const Family *except) {
  if (opt->kind == OPT_CALL || opt->kind == OPT_REF) return false;
  bool inner = opt->kind == OPT_OBJECT || opt->kind == OPT_OBJECTS;
  return !(inner && opt->family == except);
}

Err object_set_values(Object *object, const Json *values, const Family *except,
                      Fault *fault) {
  uint64_t version = object->version;
  const char *name = NULL;
  bool map = values && json_kind(values) == JSON_KIND_MAP;
  if (!map || !json_get_text(json_find(values, "kind"), &name) ||
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

/* -- difference ---------------------------------------------------------------------- */

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
  if (differ) text_addf(out, ": %s, then %s", x.data ? x.data : "?", y.data ? y.data : "?");
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
    if (item_difference(json_value(it), json_find(b, json_key(it)), json_key(it), path, out))
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
    if (item_difference(json_item(a, i), json_item(b, i), place, path, out)) return true;
  }
  return false;
}

static bool difference(const Json *a, const Json *b, Text *path, Text *out) {
  bool maps = a && b && json_kind(a) == JSON_KIND_MAP && json_kind(b) == JSON_KIND_MAP;
  bool lists = a && b && json_kind(a) == JSON_KIND_LIST && json_kind(b) == JSON_KIND_LIST &&
               json_count(a) == json_count(b);
  if (maps) return map_difference(a, b, path, out);
  if (lists) return list_difference(a, b, path, out);
  Text what = {0};
  bool differ = leaf_difference(a, b, &what);
  if (differ) text_addf(out, "%s%s", path->data ? path->data : "", what.data ? what.data : "");
  text_deinit(&what);
  return differ;
}

bool json_difference(const Json *a, const Json *b, Text *out) {
  Text path = {0};
  bool differ = difference(a, b, &path, out);
  text_deinit(&path);
  return differ;
}
