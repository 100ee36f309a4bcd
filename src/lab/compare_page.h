/* compare_page.h: what the parts of a comparison's page share. */
#ifndef LAB_COMPARE_PAGE_H
#define LAB_COMPARE_PAGE_H

#include "lab/compare_private.h"

/* -- numbers (compare_show.c) ------------------------------------------------------ */

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

/* -- sentences --------------------------------------------------------------------- */

typedef struct Page {
  const Compare *compare;
  Shown shown;
  Doc *doc;
} Page;

static inline const char *page_plural(int n) { return n == 1 ? "" : "s"; }

/* A new paragraph; one with these words. */
static inline Text *page_begin(const Page *page) {
  return doc_begin(page->doc, DOC_PARAGRAPH);
}
void page_say(const Page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "p = .012", "p < .001"; the blanks do not break */
ShownText page_p(double p);

/* Each adds its part of the page (compare.h). */
void page_verdicts(const Page *page);
void page_reach(const Page *page);
void page_words(const Page *page);

/* Those of the short page: what is decided, and what limits that; what is open;
 * cautions. */
void page_decided(const Page *page);
void page_open(const Page *page);
void page_cautions(const Page *page);

#endif
