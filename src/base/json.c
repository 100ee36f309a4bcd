/* json.c: a small ordered tree of values; jansson parses, this file writes.
 *
 * A map is a list with a key per item. A short one is searched from the front; one that
 * grows has an index: places of the items by the hash of their keys, each in the first
 * free place from there on. `failed` marks a container that lost something to lack of
 * memory; json_write looks for it in the whole tree. */
#include "base/json.h"
#include "base/hash.h"
#include "base/array.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct Json {
  JsonKind kind;
  int refs;
  bool failed;
  union {
    bool boolean;
    int64_t integer;
    double number;
    char *text;
    struct Items {
      struct Item *v;
      int64_t n, room;
      int64_t *index;  /* n_index of them: number of an item from 1, 0: free; or NULL */
      int64_t n_index; /* a power of two, more than 2 n */
    } items;
  } as;
};

typedef struct Item {
  char *key; /* NULL in a list */
  Json *value;
} Item;

static bool is_container(const Json *json) {
  return json->kind == JSON_KIND_MAP || json->kind == JSON_KIND_LIST;
}

static Json *value_new(JsonKind kind) {
  Json *json = calloc(1, sizeof *json);
  if (!json) return NULL;
  json->kind = kind;
  json->refs = 1;
  return json;
}

Json *json_map(void) { return value_new(JSON_KIND_MAP); }
Json *json_list(void) { return value_new(JSON_KIND_LIST); }

Json *json_share(Json *json) {
  if (json) json->refs++;
  return json;
}

/* Recursion is bounded: parsed values nest at most JSON_DEPTH deep, built ones as deep
 * as the code that builds them. */
void json_free(Json *json) {
  if (!json || --json->refs > 0) return;
  if (json->kind == JSON_KIND_TEXT) free(json->as.text);
  if (is_container(json)) {
    for (int64_t i = 0; i < json->as.items.n; i++) {
      free(json->as.items.v[i].key);
      json_free(json->as.items.v[i].value);
    }
    free(json->as.items.v);
    free(json->as.items.index);
  }
  free(json);
}

static Json *new_text(const char *bytes, size_t n_bytes) {
  Json *json = value_new(JSON_KIND_TEXT);
  if (!json) return NULL;
  json->as.text = malloc(n_bytes + 1);
  if (!json->as.text) {
    free(json);
    return NULL;
  }
  memcpy(json->as.text, bytes, n_bytes);
  json->as.text[n_bytes] = 0;
  return json;
}

static Json *new_int(int64_t value) {
  Json *json = value_new(JSON_KIND_INT);
  if (json) json->as.integer = value;
  return json;
}

static Json *new_number(double value) {
  if (!isfinite(value)) {
    const char *text = isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return new_text(text, strlen(text));
  }
  Json *json = value_new(JSON_KIND_NUMBER);
  if (json) json->as.number = value;
  return json;
}

static Json *new_bool(bool value) {
  Json *json = value_new(JSON_KIND_BOOL);
  if (json) json->as.boolean = value;
  return json;
}

/* -- building ---------------------------------------------------------------------- */

enum { INDEXED = 16 }; /* items from which on a map has an index */

/* The key's place in the index, or the free place where it belongs. */
static int64_t *place_of(const struct Items *items, const char *key) {
  uint64_t mask = (uint64_t)items->n_index - 1,
           i = hash_bytes(HASH_BEGIN, key, strlen(key)) & mask;
  while (items->index[i] && strcmp(items->v[items->index[i] - 1].key, key) != 0)
    i = (i + 1) & mask;
  return &items->index[i];
}

static Item *find_item(const Json *map, const char *key) {
  const struct Items *items = &map->as.items;
  if (items->index) {
    int64_t number = *place_of(items, key);
    return number ? &items->v[number - 1] : NULL;
  }
  for (int64_t i = 0; i < items->n; i++)
    if (strcmp(items->v[i].key, key) == 0) return &items->v[i];
  return NULL;
}

/* Without memory for it the map is searched from the front. */
static void make_index(struct Items *items) {
  free(items->index);
  items->n_index = 4 * INDEXED;
  while (items->n_index <= 4 * items->n) items->n_index *= 2;
  items->index = calloc((size_t)items->n_index, sizeof *items->index);
  for (int64_t i = 0; items->index && i < items->n; i++)
    *place_of(items, items->v[i].key) = i + 1;
}

/* The last item is new. */
static void index_last(struct Items *items) {
  if (items->n < INDEXED) return;
  if (!items->index || items->n_index <= 2 * items->n) make_index(items);
  else *place_of(items, items->v[items->n - 1].key) = items->n;
}

/* Takes key and value; false on lack of memory, when both are freed. */
static bool append(Json *container, char *key, Json *value) {
  struct Items *items = &container->as.items;
  if (ARRAY_ROOM(items->v, items->room, items->n + 1, NULL)) {
    free(key);
    json_free(value);
    return false;
  }
  items->v[items->n++] = (Item){key, value};
  if (key) index_last(items);
  return true;
}

void json_put(Json *map, const char *key, Json *value) {
  if (!map || !value) {
    json_free(value);
    if (map) map->failed = true;
    return;
  }
  must(map->kind == JSON_KIND_MAP);
  Item *item = find_item(map, key);
  if (item) {
    json_free(item->value);
    item->value = value;
    return;
  }
  char *copy = text_copy(key);
  if (!copy) json_free(value);
  if (!copy || !append(map, copy, value)) map->failed = true;
}

void json_put_all(Json *map, const Json *from) {
  for (void *it = json_first(from); it; it = json_next(from, it))
    json_put(map, json_key(it), json_share(json_value(it)));
}

void json_push(Json *list, Json *value) {
  if (!list || !value) {
    json_free(value);
    if (list) list->failed = true;
    return;
  }
  must(list->kind == JSON_KIND_LIST);
  if (!append(list, NULL, value)) list->failed = true;
}

void json_put_text(Json *map, const char *key, const char *value) {
  json_put(map, key,
           value ? new_text(value, strlen(value)) : value_new(JSON_KIND_NULL));
}
void json_put_int(Json *map, const char *key, int64_t value) {
  json_put(map, key, new_int(value));
}
void json_put_number(Json *map, const char *key, double value) {
  json_put(map, key, new_number(value));
}
void json_put_bool(Json *map, const char *key, bool value) {
  json_put(map, key, new_bool(value));
}

void json_put_shared(Json *map, const char *key, const Json *value) {
  if (value) json_put(map, key, json_share((Json *)value));
}

static Json *new_pair(double low, double high) {
  if (isnan(low)) return value_new(JSON_KIND_NULL);
  Json *list = json_list();
  json_push_number(list, low);
  json_push_number(list, high);
  return list;
}

/* The value of a conversion of json_putf. */
static Json *next_value(const char *conversion, va_list *args) {
  double number;
  const char *text;
  switch (conversion[1]) {
  case 'd': return new_int(va_arg(*args, int));
  case 'l': return new_int(va_arg(*args, long long));
  case 'h': return new_bool(va_arg(*args, int) != 0);
  case 'p': return va_arg(*args, void *);
  case 'g':
    number = va_arg(*args, double);
    return isnan(number) ? value_new(JSON_KIND_NULL) : new_number(number);
  case '%':
    number = va_arg(*args, double);
    return new_pair(number, va_arg(*args, double));
  case 's':
    text = va_arg(*args, const char *);
    return text ? new_text(text, strlen(text)) : value_new(JSON_KIND_NULL);
  default: must_failed("a conversion of json_putf", __FILE__, __LINE__, conversion);
  }
}

static void put_values(Json *map, const char *format, va_list *args) {
  while (*format) {
    char key[64];
    size_t n = strcspn(format, " ");
    must(n < sizeof key);
    memcpy(key, format, n);
    key[n] = 0;
    format += n + 1;
    json_put(map, key, next_value(format, args));
    format += strcspn(format, " ");
    format += *format == ' ';
  }
}

void json_putf(Json *map, const char *format, ...) {
  va_list args;
  va_start(args, format);
  put_values(map, format, &args);
  va_end(args);
}

Json *json_mapf(const char *format, ...) {
  Json *map = json_map();
  va_list args;
  va_start(args, format);
  put_values(map, format, &args);
  va_end(args);
  return map;
}

void json_push_text(Json *list, const char *value) {
  json_push(list, value ? new_text(value, strlen(value)) : value_new(JSON_KIND_NULL));
}
void json_push_int(Json *list, int64_t value) { json_push(list, new_int(value)); }
void json_push_number(Json *list, double value) { json_push(list, new_number(value)); }

/* -- canonical form ---------------------------------------------------------------- */

static int by_key(const void *a, const void *b) {
  return strcmp(((const Item *)a)->key, ((const Item *)b)->key);
}

static void sort_items(struct Items *items) {
  qsort(items->v, (size_t)items->n, sizeof(Item), by_key);
  if (items->index) make_index(items);
}

static Json *canonical_container(const Json *json) {
  Json *out = value_new(json->kind);
  for (int64_t i = 0; out && i < json->as.items.n; i++) {
    const Item *item = &json->as.items.v[i];
    char *key = item->key ? text_copy(item->key) : NULL;
    Json *value = item->key && !key ? NULL : json_canonical(item->value);
    if (value && append(out, key, value)) continue;
    if (!value) free(key);
    json_free(out);
    return NULL;
  }
  if (out && json->kind == JSON_KIND_MAP && out->as.items.n) sort_items(&out->as.items);
  return out;
}

Json *json_canonical(const Json *json) {
  if (!json || json->failed) return NULL;
  if (is_container(json)) return canonical_container(json);
  if (json->kind == JSON_KIND_NUMBER && json->as.number == 0) return new_number(0);
  return json_share((Json *)json);
}

/* -- writing ----------------------------------------------------------------------- */

/* Bytes from 0x80 on pass as they are; what is not UTF-8 among them becomes U+FFFD, so
 * that the file can always be read back. */
static int utf8_length(const unsigned char *s) {
  int n = s[0] < 0x80                   ? 1
          : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
          : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
          : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                        : 0;
  for (int i = 1; i < n; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  if (n == 3 && ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] >= 0xA0)))
    return 0;
  if (n == 4 && ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] >= 0x90)))
    return 0;
  return n;
}

static void write_text(const char *text, Text *out) {
  text_add(out, "\"");
  for (const unsigned char *s = (const unsigned char *)text; *s;) {
    int n = utf8_length(s);
    if (n == 0) {
      text_add(out, "\xEF\xBF\xBD");
      n = 1;
    } else if (*s == '"' || *s == '\\') {
      text_addf(out, "\\%c", *s);
    } else if (*s == '\n') {
      text_add(out, "\\n");
    } else if (*s < 0x20 || *s == 0x7F) {
      text_addf(out, "\\u%04x", (unsigned)*s);
    } else {
      text_add_bytes(out, s, (size_t)n);
    }
    s += n;
  }
  text_add(out, "\"");
}

static void new_line(int indent, int level, Text *out) {
  if (indent > 0) text_addf(out, "\n%*s", indent * level, "");
}

/* -0 keeps its sign and a whole number its kind: 3 as a double is written 3.0. */
static void write_number(double value, Text *out) {
  char buffer[40];
  text_number(buffer, value);
  text_add(out, buffer);
  if (!strpbrk(buffer, ".eE")) text_add(out, ".0");
}

static void write_value(const Json *json, int indent, int level, Text *out) {
  switch (json->kind) {
  case JSON_KIND_NULL: text_add(out, "null"); return;
  case JSON_KIND_BOOL: text_add(out, json->as.boolean ? "true" : "false"); return;
  case JSON_KIND_INT: text_addf(out, "%lld", (long long)json->as.integer); return;
  case JSON_KIND_NUMBER: write_number(json->as.number, out); return;
  case JSON_KIND_TEXT: write_text(json->as.text, out); return;
  case JSON_KIND_LIST:
  case JSON_KIND_MAP: break;
  }
  bool map = json->kind == JSON_KIND_MAP;
  text_add(out, map ? "{" : "[");
  for (int64_t i = 0; i < json->as.items.n; i++) {
    const Item *item = &json->as.items.v[i];
    if (i > 0) text_add(out, ",");
    if (map || is_container(item->value)) new_line(indent, level + 1, out);
    else if (i > 0 && indent > 0) text_add(out, " ");
    if (map) {
      write_text(item->key, out);
      text_add(out, indent > 0 ? ": " : ":");
    }
    write_value(item->value, indent, level + 1, out);
  }
  if (map && json->as.items.n > 0) new_line(indent, level, out);
  text_add(out, map ? "}" : "]");
}

static bool any_failed(const Json *json) {
  if (json->failed) return true;
  if (!is_container(json)) return false;
  for (int64_t i = 0; i < json->as.items.n; i++)
    if (any_failed(json->as.items.v[i].value)) return true;
  return false;
}

Err json_write(const Json *json, int indent, Text *out, Fault *fault) {
  if (!json || any_failed(json)) return fault_memory(fault, sizeof *json);
  write_value(json, indent, 0, out);
  return out->failed ? fault_memory(fault, out->n_bytes) : ERR_OK;
}

Err json_write_lines(const Json *json, Text *out, Fault *fault) {
  Err err = json_write(json, 2, out, fault);
  text_add(out, "\n");
  return !err && out->failed ? fault_memory(fault, out->n_bytes) : err;
}

Err json_put_file(const Json *json, const char *path, Publish how, Fault *fault) {
  Text text = {0};
  Err err = json_write_lines(json, &text, fault);
  if (!err) err = file_put(path, text.data, text.n_bytes, how, fault);
  text_deinit(&text);
  return err;
}

Err json_write_canonical(const Json *json, Text *out, Fault *fault) {
  Json *canonical = json_canonical(json);
  Err err = json_write(canonical, 0, out, fault);
  json_free(canonical);
  return err;
}

/* -- parsing ----------------------------------------------------------------------- */

static Json *from_jansson(const json_t *value);

static Json *map_from_jansson(const json_t *value) {
  Json *map = json_map();
  json_t *object = (json_t *)value; /* iteration changes nothing */
  for (void *it = json_object_iter(object); map && it;
       it = json_object_iter_next(object, it)) {
    char *key = text_copy(json_object_iter_key(it));
    Json *item = key ? from_jansson(json_object_iter_value(it)) : NULL;
    if (item && append(map, key, item)) continue;
    if (!item) free(key);
    json_free(map);
    map = NULL;
  }
  return map;
}

static Json *list_from_jansson(const json_t *value) {
  Json *list = json_list();
  for (size_t i = 0; list && i < json_array_size(value); i++) {
    Json *item = from_jansson(json_array_get(value, i));
    if (item && append(list, NULL, item)) continue;
    json_free(list);
    list = NULL;
  }
  return list;
}

/* Returns new; NULL on lack of memory. */
static Json *from_jansson(const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_OBJECT: return map_from_jansson(value);
  case JSON_ARRAY: return list_from_jansson(value);
  case JSON_STRING:
    return new_text(json_string_value(value), json_string_length(value));
  case JSON_INTEGER: return new_int(json_integer_value(value));
  case JSON_REAL: return new_number(json_real_value(value));
  case JSON_TRUE: return new_bool(true);
  case JSON_FALSE: return new_bool(false);
  case JSON_NULL: break;
  }
  return value_new(JSON_KIND_NULL);
}

/* Deepest nesting of brackets outside of strings, whether or not the text is valid. */
static int64_t nesting(const char *bytes, size_t n_bytes) {
  int64_t depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < n_bytes; i++) {
    char c = bytes[i];
    if (quoted && c == '\\') i++;
    else if (c == '"') quoted = !quoted;
    else if (!quoted && (c == '{' || c == '[')) depth++;
    else if (!quoted && (c == '}' || c == ']')) depth--;
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}

Json *json_parse(const char *bytes, size_t n_bytes, Fault *fault) {
  if (nesting(bytes, n_bytes) > JSON_DEPTH) {
    fault_set(fault, ERR_DATA, "JSON nested deeper than %d", JSON_DEPTH);
    return NULL;
  }
  json_error_t error;
  json_t *root = json_loadb(bytes, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                            &error);
  if (!root) {
    fault_set(fault, ERR_DATA, "not valid JSON: line %d, column %d: %s", error.line,
              error.column, error.text);
    return NULL;
  }
  Json *json = from_jansson(root);
  json_decref(root);
  if (!json) fault_memory(fault, n_bytes);
  return json;
}

/* -- reading ----------------------------------------------------------------------- */

JsonKind json_kind(const Json *json) { return json->kind; }

int64_t json_count(const Json *json) {
  return json && is_container(json) ? json->as.items.n : 0;
}

Json *json_find(const Json *map, const char *key) {
  if (!map || map->kind != JSON_KIND_MAP) return NULL;
  Item *item = find_item(map, key);
  return item ? item->value : NULL;
}

Json *json_item(const Json *list, int64_t i) {
  must(is_container(list) && i >= 0 && i < list->as.items.n);
  return list->as.items.v[i].value;
}

void *json_first(const Json *map) {
  bool any = map && map->kind == JSON_KIND_MAP && map->as.items.n > 0;
  return any ? map->as.items.v : NULL;
}

void *json_next(const Json *map, void *it) {
  Item *next = (Item *)it + 1;
  return next < map->as.items.v + map->as.items.n ? next : NULL;
}

const char *json_key(void *it) { return ((Item *)it)->key; }
Json *json_value(void *it) { return ((Item *)it)->value; }

bool json_get_bool(const Json *json, bool *out) {
  if (!json || json->kind != JSON_KIND_BOOL) return false;
  *out = json->as.boolean;
  return true;
}

bool json_get_int(const Json *json, int64_t *out) {
  if (!json || json->kind != JSON_KIND_INT) return false;
  *out = json->as.integer;
  return true;
}

bool json_get_number(const Json *json, double *out) {
  if (!json) return false;
  if (json->kind == JSON_KIND_NUMBER) *out = json->as.number;
  else if (json->kind == JSON_KIND_INT) *out = (double)json->as.integer;
  else if (json->kind != JSON_KIND_TEXT) return false;
  else if (strcmp(json->as.text, "nan") == 0) *out = NAN;
  else if (strcmp(json->as.text, "inf") == 0) *out = INFINITY;
  else if (strcmp(json->as.text, "-inf") == 0) *out = -INFINITY;
  else return false;
  return true;
}

bool json_get_text(const Json *json, const char **out) {
  if (!json || json->kind != JSON_KIND_TEXT) return false;
  *out = json->as.text;
  return true;
}

bool json_find_bool(const Json *map, const char *key, bool *out) {
  return json_get_bool(json_find(map, key), out);
}

bool json_find_int(const Json *map, const char *key, int64_t *out) {
  return json_get_int(json_find(map, key), out);
}

bool json_find_number(const Json *map, const char *key, double *out) {
  return json_get_number(json_find(map, key), out);
}

bool json_find_text(const Json *map, const char *key, const char **out) {
  return json_get_text(json_find(map, key), out);
}

const char *json_text_or(const Json *map, const char *key, const char *otherwise) {
  const char *text = otherwise;
  json_find_text(map, key, &text);
  return text;
}

const char *json_text(const Json *map, const char *key) {
  return json_text_or(map, key, "");
}

int64_t json_int(const Json *map, const char *key) {
  int64_t value = 0;
  json_get_int(json_find(map, key), &value);
  return value;
}

bool json_bool(const Json *map, const char *key) {
  bool value = false;
  json_get_bool(json_find(map, key), &value);
  return value;
}
