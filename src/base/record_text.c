/* record_text.c: objects as text, for people. What reads the same is made the same, but for
 * functions and tensors, which no text tells. */
#include "base/record.h"
#include <math.h>
#include <string.h>

/* In quotes, so that a list of texts and numbers reads in one way only. */
static void add_quoted(Text *out, const char *text) {
  text_add(out, "\"");
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') text_add(out, "\\");
    text_add_bytes(out, text, 1);
  }
  text_add(out, "\"");
}

static void add_ints(Text *out, const IntList *list) {
  char number[32];
  for (int i = 0; i < list->n; i++) {
    text_add(out, i ? ", " : "{ ");
    text_add(out, text_number(number, (double)list->v[i]));
  }
  text_add(out, " }");
}

static void add_texts(Text *out, const TextList *list) {
  for (int i = 0; i < list->n; i++) {
    text_add(out, i ? ", " : "{ ");
    if (list->number[i]) text_add(out, list->v[i]);
    else add_quoted(out, list->v[i]);
  }
  text_add(out, " }");
}

static void add_objects(Text *out, const ObjectList *list) {
  for (int i = 0; i < list->n; i++) {
    text_add(out, i ? ", " : "{ ");
    text_add(out, list->v[i]->kind->name);
  }
  text_add(out, list->n ? " }" : "{}");
}

void option_add_text(Text *out, const Object *o, const Option *opt) {
  const void *field = option_field(o, opt);
  char number[32];
  switch (opt->kind) {
  case OPT_BOOL: text_add(out, *(const bool *)field ? "true" : "false"); break;
  case OPT_INT: text_add(out, text_number(number, (double)*(const int64_t *)field)); break;
  case OPT_REAL:
    text_add(out, isnan(*(const double *)field) ? "none"
                                                : text_number(number, *(const double *)field));
    break;
  case OPT_TEXT:
    text_add(out, *(char *const *)field ? *(char *const *)field : "none");
    break;
  case OPT_CHOICE: text_add(out, opt->choices[*(const int *)field]); break;
  case OPT_INTS: add_ints(out, field); break;
  case OPT_TEXTS: add_texts(out, field); break;
  case OPT_OBJECT: {
    const Object *object = *(Object *const *)field;
    text_add(out, object ? object->kind->name : "none");
    break;
  }
  case OPT_OBJECTS: add_objects(out, field); break;
  default: text_add(out, "..."); break;
  }
}

/* Has it no value that text tells? Functions, tensors; texts and lists that are not given. */
static bool is_untold(const Object *o, const Option *opt) {
  const void *field = option_field(o, opt);
  switch (opt->kind) {
  case OPT_CALL:
  case OPT_REF: return true;
  case OPT_TEXT: return !*(char *const *)field;
  case OPT_INTS: return ((const IntList *)field)->n == 0;
  case OPT_TEXTS: return ((const TextList *)field)->n == 0;
  default: return false;
  }
}

void object_add_text(Text *out, const Object *o) {
  char label[96];
  bool first = true;
  text_add(out, kind_label(o->kind, label, sizeof label));
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) {
    if (is_untold(o, opt)) continue;
    text_addf(out, "%s%s = ", first ? " { " : ", ", opt->name);
    option_add_text(out, o, opt);
    first = false;
  }
  if (!first) text_add(out, " }");
}

/* Do both, of one kind, read alike in it? */
static bool same_text(const Object *a, const Object *b, const Option *opt) {
  Text one = {0}, other = {0};
  option_add_text(&one, a, opt);
  option_add_text(&other, b, opt);
  bool same = one.data && other.data && strcmp(one.data, other.data) == 0;
  text_deinit(&one);
  text_deinit(&other);
  return same;
}

void object_add_call(Text *out, const Object *o, const Family *aside) {
  char label[96];
  bool first = true;
  Fault ignored = {0};
  Object *plain = object_new(o->kind, &ignored);   /* without it all is told */
  text_add(out, kind_label(o->kind, label, sizeof label));
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) {
    bool required = opt->position && !opt->value;
    bool told = required || (!is_untold(o, opt) && !(plain && same_text(o, plain, opt)));
    if (!told || (aside && opt->family == aside)) continue;
    text_add(out, first ? "(" : ", ");
    if (!required) text_addf(out, "%s = ", opt->name);
    option_add_text(out, o, opt);
    first = false;
  }
  if (!first || !aside) text_add(out, first ? "()" : ")");
  object_release(plain);
}
