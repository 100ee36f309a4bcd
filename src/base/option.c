/* option.c: the table of the types of options, and what all types share; see
 * option.h. */
#include "base/record.h"
#include <math.h>
#include <stdio.h>

#define OPTION_TYPE(NAME, record) extern const OptionType option_##record;
#include "base/option_types.def"
#undef OPTION_TYPE

const OptionType *const option_types[] = {
    [OPT_NONE] = NULL,
#define OPTION_TYPE(NAME, record) [OPT_##NAME] = &option_##record,
#include "base/option_types.def"
#undef OPTION_TYPE
};

/* -- messages ---------------------------------------------------------------------- */

char *option_allowed(const Option *opt, char *buffer, size_t n_bytes) {
  option_type(opt)->allowed(opt, buffer, n_bytes);
  return buffer;
}

Err option_refuse(const Object *o, const Option *opt, const char *got, Fault *fault) {
  char label[96], allowed[512];
  return fault_set(fault, ERR_VALUE, "%s: option \"%s\": got %s, allowed: %s%s%s",
                   kind_label(o->kind, label, sizeof label), opt->name, got,
                   option_allowed(opt, allowed, sizeof allowed), opt->hint ? "; " : "",
                   opt->hint ? opt->hint : "");
}

/* In words, into `buffer` where they are not known before. */
static const char *given_text(const Given *given, char *buffer, size_t n_bytes) {
  const Value *v = &given->value;
  if (given->what) return given->what;
  switch (v->kind) {
  case VALUE_NIL: return "nil";
  case VALUE_BOOL: return v->as.boolean ? "true" : "false";
  case VALUE_INT: snprintf(buffer, n_bytes, "%lld", (long long)v->as.integer); break;
  case VALUE_REAL: text_number(buffer, v->as.real); break;
  case VALUE_TEXT: snprintf(buffer, n_bytes, "\"%.64s\"", v->as.text); break;
  case VALUE_OBJECT: kind_label(((Object *)v->as.ref)->kind, buffer, n_bytes); break;
  default: return value_text(v, buffer, n_bytes);
  }
  return buffer;
}

Err option_refuse_given(const Object *o, const Option *opt, const Given *given,
                        Fault *fault) {
  char got[128];
  return option_refuse(o, opt, given_text(given, got, sizeof got), fault);
}

/* -- values that are given --------------------------------------------------------- */

void given_item(const Given *list, int i, Given *out) {
  if (list->source) list->source->item(list, i, out);
  else *out = (Given){.value = list->items[i]};
  out->trusted = list->trusted;
}

void given_done(const Given *item) {
  if (item->source) item->source->done(item);
}

bool given_integer(const Given *given, int64_t *out) {
  const Value *v = &given->value;
  if (v->kind == VALUE_INT) {
    *out = v->as.integer;
    return true;
  }
  double real = v->kind == VALUE_REAL ? v->as.real : NAN;
  if (!(real == floor(real) && fabs(real) <= 0x1p53)) return false;
  *out = (int64_t)real;
  return true;
}

/* Passes on what a source says of the value; but for an error of the script, which says
 * where it came about, it names the option. */
static void refuse_inner(const Object *o, const Option *opt, const Fault *inner,
                         Fault *fault) {
  char label[96];
  if (inner->code == ERR_SCRIPT && !inner->located) {
    (void)!option_refuse(o, opt, inner->text, fault);
    return;
  }
  fault_pass(fault, inner);
  if (inner->located) return;
  fault_prefix(fault, "%s: option \"%s\"", kind_label(o->kind, label, sizeof label),
               opt->name);
}

static Object *plain_object(const Option *opt, const Given *given, Fault *inner) {
  const Value *v = &given->value;
  if (v->kind == VALUE_TEXT) return family_make(opt->family, v->as.text, inner);
  if (v->kind == VALUE_OBJECT) {
    Object *object = v->as.ref;
    must(object);
    if (object->kind->family == opt->family) return object_retain(object);
  }
  char got[128];
  fault_set(inner, ERR_SCRIPT, "%s", given_text(given, got, sizeof got));
  return NULL;
}

Object *given_object(const Object *o, const Option *opt, const Given *given,
                     Fault *fault) {
  Fault inner = {0};
  Object *object = given->source ? given->source->object(given, opt->family, &inner)
                                 : plain_object(opt, given, &inner);
  if (!object) refuse_inner(o, opt, &inner, fault);
  return object;
}

Callable *given_call(const Object *o, const Option *opt, const Given *given,
                     Fault *fault) {
  if (given->value.kind != VALUE_HELD) {
    (void)!option_refuse_given(o, opt, given, fault);
    return NULL;
  }
  return given->source ? given->source->call(given, fault)
                       : callable_retain(given->value.as.ref);
}

static void *plain_ref(const Option *opt, const Given *given, Fault *inner) {
  const Value *v = &given->value;
  char got[128];
  if (v->kind == VALUE_REF && v->ref_type == opt->ref_type)
    return opt->ref_type->retain(v->as.ref);
  fault_set(inner, ERR_SCRIPT, "%s", given_text(given, got, sizeof got));
  return NULL;
}

void *given_ref(const Object *o, const Option *opt, const Given *given, Fault *fault) {
  Fault inner = {0};
  void *thing = given->source ? given->source->ref(given, opt->ref_type, &inner)
                              : plain_ref(opt, given, &inner);
  if (!thing) refuse_inner(o, opt, &inner, fault);
  return thing;
}

/* -- reading ----------------------------------------------------------------------- */

void option_get(const Object *o, const Option *opt, Value *out) {
  *out = (Value){.kind = VALUE_NIL};
  option_type(opt)->get(option_field(o, opt), opt, out);
}

void option_item(const Object *o, const Option *opt, int i, Value *out) {
  *out = (Value){.kind = VALUE_NIL};
  option_type(opt)->item(option_field(o, opt), i, out);
}

static bool is_absent(const Value *v) {
  return v->kind == VALUE_NIL || (v->kind == VALUE_REAL && isnan(v->as.real)) ||
         (v->kind == VALUE_LIST && v->as.n_items == 0);
}

bool option_left_out(const Object *o, const Option *opt) {
  Value value;
  const OptionType *type = option_type(opt);
  if (type->textless || !(type->quiet || opt->quiet)) return type->textless;
  option_get(o, opt, &value);
  return is_absent(&value);
}
