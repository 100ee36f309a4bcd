/* value.h: values of the user's language, functions of the user and things of upper
 * floors, as the floors below know them. */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include "base/fault.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct Callable Callable;

typedef struct IntList {
  int n;
  int64_t v[8];
} IntList;

/* A type of things that options refer to but no family has: tensors, data sets. The
 * record belongs to the floor of the thing. */
typedef struct RefType {
  const char *name; /* "tensor"; compared by address */
  void *(*retain)(void *thing);
  void (*release)(void *thing);
} RefType;

typedef enum ValueKind {
  VALUE_NIL, VALUE_BOOL, VALUE_INT, VALUE_REAL, VALUE_TEXT,
  VALUE_INTS,    /* list of integers (a shape) */
  VALUE_NODE,    /* a tensor: Node *, known to the floors above */
  VALUE_OBJECT,  /* Object * */
  VALUE_HELD,    /* any value of the user's language, held by a Callable *. As an
                    argument: borrowed. As a result only where the caller asks, by
                    setting this kind before: then new, or VALUE_NIL */
  VALUE_FIELDS,  /* a table of named values */
  VALUE_LIST,    /* `n_items` values, which are asked for one by one where it came
                    from */
  VALUE_REF,     /* void *: a thing of an upper floor, of type `ref_type` */
  VALUE_OTHER,   /* a result that is none of these: `text` is its type */
  VALUE_MANY     /* in place of the last result: more were given, `integer` in all */
} ValueKind;

typedef struct Value Value;
struct Value {
  ValueKind kind;
  const char *name;        /* in VALUE_FIELDS: the key */
  const RefType *ref_type; /* of a VALUE_REF */
  union {
    bool boolean;
    int64_t integer;
    double real;
    const char *text; /* borrowed, valid until the call returns */
    void *ref;        /* VALUE_NODE, VALUE_OBJECT, VALUE_REF: borrowed */
    int n_items;      /* VALUE_LIST */
    IntList ints;
    struct {
      const Value *v;
      int n;
    } fields;
  } as;
};

/* What it is, as the result of a function: "nothing", "a number", "a table", "2
 * values". */
const char *value_text(const Value *value, char *buffer, size_t n_bytes);

/* A function of the user, called from below without knowing Lua. Results that it does
 * not give are VALUE_NIL, a nil that it gives behind the first is VALUE_OTHER; if it
 * gives more than n_out, the last of them is VALUE_MANY, so that none is lost without a
 * word. Nodes it returns belong to the session's current scope. An error of the
 * function comes back as ERR_SCRIPT with its text and traceback. */
struct Callable {
  int refs;
  Err (*call)(Callable *self, const Value *in, int n_in, Value *out, int n_out,
              Fault *fault);
  void (*free)(Callable *self);
};

Callable *callable_retain(Callable *callable);
void callable_release(Callable *callable);

#endif
