/* csv.c: comma-separated text; see csv.h. */
#include "base/csv.h"
#include <string.h>

void csv_add_field(Text *line, const char *field) {
  if (!strpbrk(field, ",\"\r\n")) {
    text_add(line, field);
    return;
  }
  text_add(line, "\"");
  for (; *field; field++) {
    if (*field == '"') text_add(line, "\"");
    text_add_bytes(line, field, 1);
  }
  text_add(line, "\"");
}
