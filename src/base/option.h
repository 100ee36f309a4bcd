/* option.h: options of records, and the types of their values, which are records too.
 *
 * An Option says of one field of an object's struct: its name, its type, range and
 * default. An OptionType says of all options of one type what is allowed, how a value
 * is taken over, and how it is read. Nothing else looks at the type of an option: what
 * scripts see, texts, JSON, signatures and checkpoints are made of what `get` gives and
 * of the traits. Adding a type is a record in an option_<kin>.c and a row of
 * option_types.def. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/value.h"

typedef struct Object Object;
typedef struct Family Family;

typedef enum OptionKind {
  OPT_NONE,
#define OPTION_TYPE(NAME, record) OPT_##NAME,
#include "base/option_types.def"
#undef OPTION_TYPE
} OptionKind;

/* -- fields ------------------------------------------------------------------------ */

typedef struct RealList {
  int n;
  double *v;
} RealList;
/* number[i]: v[i] is the text of a number that was given, not a text that looks like
 * one. */
typedef struct TextList {
  int n;
  char **v;
  bool *number;
} TextList;
typedef struct ObjectList {
  int n;
  Object **v;
} ObjectList;
typedef struct RefList {
  int n;
  void **v;
  const RefType *type;
} RefList;
/* word: index into the option's choices, or WORD_NONE: the other member counts. */
enum { WORD_NONE = -1 };
typedef struct IntPair {
  int word;
  int64_t v[2];
} IntPair;
/* Two numbers: both sides of the rows, of the columns; or four: the sides of the rows,
 * then those of the columns, each before and after. */
typedef struct Sides {
  int word, n;
  int64_t v[4];
} Sides;
typedef struct IntOrWord {
  int word;
  int64_t number;
} IntOrWord;
typedef struct WordOrObject {
  int word;
  Object *object;
} WordOrObject;

typedef struct Option {
  const char *name; /* NULL ends a list of options */
  OptionKind kind;
  size_t offset;      /* of the field in the object's struct */
  const char *value;  /* default as text; NULL: required if positional, else zero */
  const char *alias;  /* other names, blank-separated */
  int position;       /* 1, 2, ... : may be given as that argument */
  double lo, hi;      /* allowed range of numbers; both 0: any finite */
  bool open, open_hi; /* the lower, the upper end itself is not allowed */
  bool quiet;         /* texts leave it out where it is absent */
  bool sizes;         /* what an object is built of has its size by it (may_set) */
  const char *const *choices; /* the words that are allowed, NULL-terminated; or NULL */
  const char *yes, *no;    /* OPT_CHOICE, OPT_INT: what true and false stand for (of an
                              integer it need not be in the range); or NULL */
  const Family *family;    /* of the objects */
  const RefType *ref_type; /* OPT_REF, OPT_REFS */
  const char *hint;        /* said after a range error, e.g. on Keras's convention */
  const char *doc;         /* one line: meaning, unit */
} Option;

/* -- values that are given --------------------------------------------------------- */

typedef struct Given Given;

/* How a binding to a language describes a value of that language. The first two are of
 * lists: an item is valid until it is let go, the last one first. The others return
 * new, or NULL and a fault, whose text where its code is ERR_SCRIPT is what was got, in
 * words. */
typedef struct GivenSource {
  void (*item)(const Given *list, int i, Given *out);
  void (*done)(const Given *item);
  Object *(*object)(const Given *given, const Family *family, Fault *fault);
  Callable *(*call)(const Given *given, Fault *fault);
  void *(*ref)(const Given *given, const RefType *type, Fault *fault);
} GivenSource;

struct Given {
  Value value;      /* nil, a boolean, number, text, list, object, what is held, a
                       thing; else VALUE_OTHER */
  const char *what; /* in words, for refusals; NULL: as the value says */
  const GivenSource *source; /* NULL: `value` is all, a list's items stand in `items` */
  const Value *items;
  void *context; /* of the source */
  int at;
  bool trusted; /* was got from such an option: its range is not checked again */
};

/* -- types ------------------------------------------------------------------------- */

typedef struct OptionType {
  /* What is allowed, in words. */
  void (*allowed)(const Option *opt, char *buffer, size_t n_bytes);
  /* Takes the value over into the object's field, or refuses and leaves it as it
   * was. */
  Err (*set)(Object *o, const Option *opt, const Given *given, Fault *fault);
  /* The value; VALUE_NIL, a NaN and a list without items are absent ones. */
  void (*get)(const void *field, const Option *opt, Value *out);
  void (*item)(const void *field, int i, Value *out); /* i from 0, of a VALUE_LIST */
  /* Absent again, what it owned is released. NULL: it has no such value and owns
   * nothing. */
  void (*clear)(void *field, const Option *opt);
  bool quiet;    /* texts leave an absent value out */
  bool textless; /* has no text: texts and JSON leave it out */
  bool gathers;  /* several arguments are taken as a list of them */
  /* The object i, from 0, that the value holds, borrowed; NULL: no more. NULL for types
   * that hold none. */
  Object *(*nested)(const void *field, int i);
} OptionType;

extern const OptionType *const option_types[];
static inline const OptionType *option_type(const Option *opt) {
  return option_types[opt->kind];
}

/* "module.Kind: option "units": got `got`, allowed: ..." */
Err option_refuse(const Object *o, const Option *opt, const char *got, Fault *fault);
Err option_refuse_given(const Object *o, const Option *opt, const Given *given,
                        Fault *fault);

/* The value; item i of it, from 0. */
void option_get(const Object *o, const Option *opt, Value *out);
void option_item(const Object *o, const Option *opt, int i, Value *out);
/* Do texts leave the option out: a function or tensor, or a text or list that is not
 * given? */
bool option_left_out(const Object *o, const Option *opt);

/* -- for the types ----------------------------------------------------------------- */

static inline void *option_field(const Object *o, const Option *opt) {
  return (char *)o + opt->offset;
}

/* The index of the word among the choices, or a refusal that names the nearest. */
Err option_word(const Object *o, const Option *opt, const char *word, int *out,
                Fault *fault) WARN_UNUSED;
/* "one of "a", "b"" */
void option_words_allowed(const char *const *words, char *buffer, size_t n_bytes);
/* Is it an integer, of either kind of number? */
bool given_integer(const Given *given, int64_t *out);

void given_item(const Given *list, int i, Given *out);
void given_done(const Given *item);
/* An object of the option's family, a function, a thing of its type: new, or NULL and a
 * refusal. */
Object *given_object(const Object *o, const Option *opt, const Given *given,
                     Fault *fault);
Callable *given_call(const Object *o, const Option *opt, const Given *given,
                     Fault *fault);
void *given_ref(const Object *o, const Option *opt, const Given *given, Fault *fault);

#endif
