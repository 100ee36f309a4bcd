/* csv.h: comma-separated text (RFC 4180), as we write it. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/text.h"

/* Adds the field, in quotes where it needs them. */
void csv_add_field(Text *line, const char *field);

#endif
