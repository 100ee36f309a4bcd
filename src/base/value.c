/* value.c: values of the user's language in words; functions of the user are
 * counted. */
#include "base/value.h"
#include <stdio.h>

const char *value_text(const Value *value, char *buffer, size_t n_bytes) {
  static const char *const texts[] = {
      [VALUE_NIL] = "nothing",       [VALUE_BOOL] = "a boolean",
      [VALUE_INT] = "a number",
      [VALUE_REAL] = "a number",     [VALUE_TEXT] = "a string",
       [VALUE_INTS] = "a list",
      [VALUE_NODE] = "a tensor",     [VALUE_OBJECT] = "an object",
      [VALUE_HELD] = "a value",      [VALUE_FIELDS] = "a table",
      [VALUE_LIST] = "a list"};
  if (value->kind == VALUE_REF)
    snprintf(buffer, n_bytes, "a %s", value->ref_type->name);
  else if (value->kind < VALUE_OTHER) return texts[value->kind];
  else if (value->kind == VALUE_OTHER)
    snprintf(buffer, n_bytes, "a %s", value->as.text);
  else snprintf(buffer, n_bytes, "%lld values", (long long)value->as.integer);
  return buffer;
}

Callable *callable_retain(Callable *callable) {
  if (callable) callable->refs++;
  return callable;
}

void callable_release(Callable *callable) {
  if (callable && --callable->refs == 0) callable->free(callable);
}
