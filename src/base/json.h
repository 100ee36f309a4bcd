/* json.h: JSON values, the door to jansson.
 *
 * Objects keep the order in which their keys were put. Parsing is strict: one value, no
 * trailing bytes, no duplicate keys, valid UTF-8, bounded nesting. Numbers are written
 * as the shortest decimal that reads back as the same double. JSON has no NaN: numbers
 * that are not finite are written as the strings "nan", "inf", "-inf", and json_number
 * reads those back.
 *
 * Ownership: json_map, json_list and json_parse return new; json_put and json_push take
 * their value, also when they fail; everything found inside is borrowed from its
 * container. Lack of memory while building is remembered by json_write (a NULL
 * container is a no-op to put into and an error to write), so a build is checked once,
 * at its end. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"

typedef struct Json Json;

enum { JSON_DEPTH = 64 }; /* deepest nesting that is accepted */

typedef enum JsonKind {
  JSON_KIND_NULL, JSON_KIND_BOOL, JSON_KIND_INT, JSON_KIND_NUMBER, JSON_KIND_TEXT,
  JSON_KIND_LIST, JSON_KIND_MAP
} JsonKind;

Json *json_map(void);       /* {} */
Json *json_list(void);      /* [] */
void json_free(Json *json); /* NULL is a no-op */

/* Setting a key that is there replaces its value and keeps its place. */
void json_put(Json *map, const char *key, Json *value);
void json_put_text(Json *map, const char *key, const char *value); /* NULL: null */
void json_put_int(Json *map, const char *key, int64_t value);
void json_put_number(Json *map, const char *key, double value);
void json_put_bool(Json *map, const char *key, bool value);

/* Another reference to the value, which stays the caller's; nothing of NULL. */
void json_put_shared(Json *map, const char *key, const Json *value);

/* Puts several: keys, each with a conversion of printf behind it, as
 *   json_putf(map, "n %d mean %g interval [%g,%g] all %hhd", n, mean, low, high, all);
 * %d and %lld: integers, %g: a number (NaN: null), [%g,%g]: a list of two (NaN: null),
 * %hhd: true or false, %s: a text (NULL: null), %p: a Json, which is taken. The second
 * makes a new map of them. */
void json_putf(Json *map, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
Json *json_mapf(const char *format, ...) __attribute__((format(printf, 1, 2)));

void json_push(Json *list, Json *value);
void json_push_text(Json *list, const char *value);
void json_push_int(Json *list, int64_t value);
void json_push_number(Json *list, double value);

/* Another reference to the same value, to put it into a second container. */
Json *json_share(Json *json);

/* New: the same value with the keys of every map sorted by bytes, and -0 as 0: equal
 * values give equal texts. NULL on lack of memory. */
Json *json_canonical(const Json *json);

/* Puts what is in `from` (NULL: nothing), in its order. */
void json_put_all(Json *map, const Json *from);

/* Adds the value as text: `indent` blanks per level, 0 for one line without blanks. */
Err json_write(const Json *json, int indent, Text *out, Fault *fault) WARN_UNUSED;
/* The same as a file holds it: indented by 2, with a line end. */
Err json_write_lines(const Json *json, Text *out, Fault *fault) WARN_UNUSED;

/* The file of that path becomes the value so. */
Err json_put_file(const Json *json, const char *path, Publish how,
                  Fault *fault) WARN_UNUSED;
/* Adds the value in canonical form, in one line. */
Err json_write_canonical(const Json *json, Text *out, Fault *fault) WARN_UNUSED;

/* Returns new, or NULL and an ERR_DATA fault with line and column. */
Json *json_parse(const char *bytes, size_t n_bytes, Fault *fault);

JsonKind json_kind(const Json *json);
int64_t json_count(const Json *json);              /* 0 of NULL, and of a plain value */
Json *json_find(const Json *map, const char *key); /* NULL: not there */
Json *json_item(const Json *list, int64_t i);

/* Walks a map in order: for (it = json_first(map); it; it = json_next(map, it)). NULL
 * and what is no map are empty. */
void *json_first(const Json *map);
void *json_next(const Json *map, void *it);
const char *json_key(void *it);
Json *json_value(void *it);

/* False when the value is of another kind (NULL json: false). */
bool json_get_bool(const Json *json, bool *out);
bool json_get_int(const Json *json, int64_t *out); /* integers only */
bool json_get_number(const Json *json, double *out);
bool json_get_text(const Json *json, const char **out); /* borrowed */
/* The same of a map's field: false, and *out as it was, where it is not there or of
 * another kind. */
bool json_find_bool(const Json *map, const char *key, bool *out);
bool json_find_int(const Json *map, const char *key, int64_t *out);
bool json_find_number(const Json *map, const char *key, double *out);
bool json_find_text(const Json *map, const char *key, const char **out);
/* The text of a map's field, borrowed; where it has none "", or what is given. */
const char *json_text(const Json *map, const char *key);
const char *json_text_or(const Json *map, const char *key, const char *otherwise);
/* The integer, the truth of a map's field; where it has none 0, or false. */
int64_t json_int(const Json *map, const char *key);
bool json_bool(const Json *map, const char *key);

#endif
