/* record_text.c: objects as text, for people. What reads the same is made the same,
 * except functions and tensors, whose contents are not printed. */
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

/* listed: the value is an item of a list. */
static void add_value(Text *out, const Value *value, bool listed) {
  char number[32];
  switch (value->kind) {
  case VALUE_NIL: text_add(out, "none"); break;
  case VALUE_BOOL: text_add(out, value->as.boolean ? "true" : "false"); break;
  case VALUE_INT: text_add(out, text_number(number, (double)value->as.integer)); break;
  case VALUE_REAL:
    text_add(out, isnan(value->as.real) ? "none" : text_number(number, value->as.real));
    break;
  case VALUE_TEXT: (listed ? add_quoted : text_add)(out, value->as.text); break;
  case VALUE_OBJECT: text_add(out, ((const Object *)value->as.ref)->kind->name); break;
  default: text_add(out, "..."); break;
  }
}

void option_add_text(Text *out, const Object *o, const Option *opt) {
  Value value, item;
  option_get(o, opt, &value);
  if (option_type(opt)->textless) text_add(out, "...");
  else if (value.kind != VALUE_LIST) add_value(out, &value, false);
  if (option_type(opt)->textless || value.kind != VALUE_LIST) return;
  for (int i = 0; i < value.as.n_items; i++) {
    option_item(o, opt, i, &item);
    text_add(out, i ? ", " : "{ ");
    add_value(out, &item, true);
  }
  text_add(out, value.as.n_items ? " }" : "{}");
}

void object_add_text(Text *out, const Object *o) {
  char label[96];
  bool first = true;
  text_add(out, kind_label(o->kind, label, sizeof label));
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) {
    if (option_left_out(o, opt)) continue;
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
  Object *plain = object_new(o->kind, &ignored); /* NULL: all is written */
  text_add(out, kind_label(o->kind, label, sizeof label));
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) {
    bool required = opt->position && !opt->value;
    bool written = required ||
                   (!option_left_out(o, opt) && !(plain && same_text(o, plain, opt)));
    if (!written || (aside && opt->family == aside)) continue;
    text_add(out, first ? "(" : ", ");
    if (!required) text_addf(out, "%s = ", opt->name);
    option_add_text(out, o, opt);
    first = false;
  }
  if (!first || !aside) text_add(out, first ? "()" : ")");
  object_release(plain);
}
