/* plain.h: text files as data sets read them. */
#ifndef DATA_PLAIN_H
#define DATA_PLAIN_H

#include "base/input.h"

/* Adds the rest of `in` without a byte order mark. ERR_DATA with the line where it is
 * not UTF-8, or has a zero byte. */
Err plain_read(Input *in, Text *out, Fault *fault) WARN_UNUSED;

#endif
