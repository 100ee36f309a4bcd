/* fault.c: recording faults. The text is formatted once, where the fault happened; who
 * passes it on may put words before it, never change it. */
#include "base/fault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_exit_status(Err err) {
  static const int status[] = {
#define X(name, exit_status) exit_status,
      ERR_LIST(X)
#undef X
  };
  return status[err];
}

Err fault_set(Fault *fault, Err code, const char *format, ...) {
  must(code != ERR_OK);
  if (!fault || fault->code) return code;
  va_list args;
  va_start(args, format);
  vsnprintf(fault->text, sizeof fault->text, format, args);
  va_end(args);
  fault->code = code;
  return code;
}

Err fault_pass(Fault *fault, const Fault *from) {
  must(from->code != ERR_OK);
  if (fault && !fault->code) *fault = *from;
  return from->code;
}

void fault_prefix(Fault *fault, const char *format, ...) {
  if (!fault || !fault->code) return;
  char rest[FAULT_TEXT];
  memcpy(rest, fault->text, sizeof rest);
  va_list args;
  va_start(args, format);
  vsnprintf(fault->text, sizeof fault->text, format, args);
  va_end(args);
  size_t used = strlen(fault->text);
  snprintf(fault->text + used, sizeof fault->text - used, ": %s", rest);
}

void fault_suffix(Fault *fault, const char *format, ...) {
  if (!fault || !fault->code) return;
  size_t used = strlen(fault->text);
  va_list args;
  va_start(args, format);
  vsnprintf(fault->text + used, sizeof fault->text - used, format, args);
  va_end(args);
}

void fault_clear(Fault *fault) {
  fault->code = ERR_OK;
  fault->text[0] = 0;
  fault->place = (FaultPlace){0};
  fault->located = false;
}

void must_failed(const char *cond, const char *file, int line, const char *function) {
  fprintf(stderr, "runner: internal error: %s does not hold (%s:%d, %s)\n", cond, file,
          line, function);
  abort();
}
