/* compare_show.h: how numbers of a comparison are written, for tables and sentences. */
#ifndef LAB_COMPARE_SHOW_H
#define LAB_COMPARE_SHOW_H

#include "lab/compare_private.h"

/* A metric from 0 to 1 is shown times 100, in % and its differences in points. */
typedef struct Shown {
  double scale;
  int decimals; /* of values; -1: four digits in all, for sizes beyond */
  int difference_decimals;
  const char *unit;            /* after a value, no-break space included: "%", or "" */
  const char *difference_unit; /* the same: "points", or "" */
  double low, high; /* the metric's range; low < high, else it is not known */
} Shown;

Shown shown_of(const Compare *compare);
/* The same for differences of this spread (above 0) alone, or for one in a sentence:
 * with as many decimals as they need. */
Shown shown_by(Shown shown, double spread);
Shown shown_alone(Shown shown, const StatPaired *paired);

/* Each is "" for NaN. */
typedef struct ShownText {
  char text[80];
} ShownText;
ShownText shown_value(Shown shown, double value);
/* The interval, ended with the range of the metric. */
StatInterval shown_cut(Shown shown, StatInterval interval);
/* Of a value: "12.50 to 100.00 (cut)" where it would go beyond the metric's range. */
ShownText shown_interval(Shown shown, StatInterval interval);
ShownText shown_difference(Shown shown, double value); /* with sign */
ShownText shown_size(Shown shown, double value);       /* without */
ShownText shown_difference_interval(Shown shown, StatInterval interval);
ShownText shown_p(double p);       /* ".012", "<.001", "1" */
ShownText shown_p_exact(double p); /* three digits: ".00195" */

#endif
