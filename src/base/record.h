/* record.h: one record per layer, initializer, loss, optimizer, callback, data set ...
 *
 * A Kind is a constant record: its names, its options with types, ranges and defaults,
 * its documentation. An Object is an instance: a struct that begins with an Object
 * header and whose further fields are filled from options by offset. The Lua
 * constructors, argument checks, `help`, the manual and the completion all come from
 * these records, so nothing about an option is written twice.
 *
 *   typedef struct Dense { Layer layer; int64_t units; bool bias; Init *init; } Dense;
 *   static const Option dense_options[] = {
 *     {.name = "units", .kind = OPT_INT, .offset = offsetof(Dense, units),
 *      .position = 1, .lo = 1, .hi = 1e9, .doc = "number of outputs"},
 *     {.name = "bias", .kind = OPT_BOOL, .offset = offsetof(Dense, bias),
 *      .value = "true", .alias = "use_bias", .doc = "add a bias"},
 *     {.name = "init", .kind = OPT_OBJECT, .offset = offsetof(Dense, init),
 *      .family = &init_family, .value = "glorot_uniform",
 *      .alias = "kernel_initializer", .doc = "initializer of the weight"},
 *     {0}}; */
#ifndef BASE_RECORD_H
#define BASE_RECORD_H

#include "base/option.h"
#include "base/text.h"

typedef struct Kind Kind;

struct Kind {
  const char *name;  /* as written by users: "Dense", "he_normal" */
  const char *alias; /* other names, blank-separated: "kaiming_normal" */
  const Family *family;
  size_t size;           /* of the instance's struct; 0: just an Object */
  const Option *options; /* NULL: none */
  const char *doc;       /* one line, then details if need be */
  const char *equation;  /* plain text; NULL: none */
  const char *source;    /* paper and section; NULL: none */
  const char *call;      /* in its family's example; NULL: "nn.Dense()" */
  const char *example;   /* a script of a few lines; NULL: its family's */
  /* After the options are filled: relations between them, derived fields. May be
   * NULL. */
  Err (*check)(Object *object, Fault *fault);
  /* Before the options are released: what the kind itself owns. May be NULL. */
  void (*deinit)(Object *object);
};

/* All kinds of one sort. `name` is for messages ("initializer"), `module` the Lua table
 * in which its constructors stand ("init"). */
struct Family {
  const char *name;
  const char *module;
  const Kind *const *kinds;  /* NULL-terminated */
  const Kind *from_function; /* made of a user's function, which is its option at
                                position 1; or NULL */
  const char *example; /* of each kind, %s is its call; NULL: none. Tests run it */
  /* ERR_VALUE where a script cannot set the field any more. NULL: it always can. */
  Err (*may_set)(const Object *object, const Option *field, Fault *fault);
};

/* The example of families whose objects are options of a fit. */
#define EXAMPLE_OF_FIT(option)                                                         \
  "train.fit(nn.Sequential { nn.Dense(8, { activation = \"tanh\" }), nn.Dense(2) },\n" \
  "  data.spirals { n = 90, classes = 2 }, { epochs = 2, loss = \"cross_entropy\",\n"  \
  "  " option " })"

struct Object {
  const Kind *kind;
  int refs;
  uint64_t version; /* grows whenever a field is set */
};

/* Returns new: an object with all defaults filled; the caller then sets options and
 * calls object_ready. NULL and a fault on lack of memory. */
Object *object_new(const Kind *kind, Fault *fault);

/* Required options there? Then the kind's own check. */
Err object_ready(Object *object, const bool *given, Fault *fault) WARN_UNUSED;

void *object_retain(void *object); /* NULL is a no-op */
void object_release(void *object); /* NULL is a no-op */

/* The kind of that name or alias, NULL if none; with a fault: a message with the
 * nearest. */
const Kind *family_find(const Family *family, const char *name, Fault *fault);

/* New object by name with defaults: family_find + object_new + object_ready. */
Object *family_make(const Family *family, const char *name, Fault *fault);

/* Changes when a field of the object, or of an object among its options, is set, or
 * when one is put in or out. */
uint64_t object_signature(const Object *object);
/* Is a function of the user among its options, at any depth? */
bool object_has_call(const Object *object);

/* The option's value as words, for exact keys: other values give other words. Functions
 * and references count by identity. Returns how many; `out` NULL: only that. */
int option_words(const Object *object, const Option *opt, uint64_t *out);

/* The nearest of the family's names, NULL: none is near. */
const char *family_nearest(const Family *family, const char *name);

int option_count(const Kind *kind);
/* The option of that name or alias, or NULL. */
const Option *option_named(const Kind *kind, const char *name);
/* The option of that name or alias; NULL and a fault that names the nearest. */
const Option *option_find(const Kind *kind, const char *name, Fault *fault);
/* The option at argument `position` (from 1), or NULL. */
const Option *option_at(const Kind *kind, int position);

/* Setting checks type and range; the fault reads like
 * `nn.Dense: option "units": got -3, allowed: an integer from 1 to 1e+09`. The others
 * are option_set for a value of C. */
Err option_set(Object *o, const Option *opt, const Given *value,
               Fault *fault) WARN_UNUSED;
Err option_set_text(Object *o, const Option *opt, const char *value,
                    Fault *f) WARN_UNUSED;
Err option_set_object(Object *o, const Option *opt, Object *value,
                      Fault *f) WARN_UNUSED;
Err option_set_objects(Object *o, const Option *opt, Object *const *v, int n,
                       Fault *f) WARN_UNUSED;
Err option_set_call(Object *o, const Option *opt, Callable *value,
                    Fault *f) WARN_UNUSED;

/* Absent again, for the kinds that have such a value; others keep theirs. */
void option_clear(Object *o, const Option *opt);

/* What is allowed, in words, into `buffer`: "an integer from 1 to 10". */
char *option_allowed(const Option *opt, char *buffer, size_t n_bytes);

/* The option's value as a script says it, "0.1" or "{ 2, 3 }"; of an object its kind's
 * name, of a function "...". */
void option_add_text(Text *out, const Object *o, const Option *opt);
/* What `nn.Dense { units = 64, bias = true }` reads like: all options whose
 * values can be written as text. */
void object_add_text(Text *out, const Object *o);
/* The same as a call, without those that have their defaults: `nn.Dense(64, bias =
 * false)`. `aside`: options of that family are left out, and empty brackets; or
 * NULL. */
void object_add_call(Text *out, const Object *o, const Family *aside);

/* "nn.Dense": module and name, for messages. Writes to and returns `buffer`. */
char *kind_label(const Kind *kind, char *buffer, size_t n_bytes);

#endif
