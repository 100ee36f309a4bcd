/* compare_page.h: what the parts of a comparison's page share. */
#ifndef LAB_COMPARE_PAGE_H
#define LAB_COMPARE_PAGE_H

#include "lab/compare_show.h"

typedef struct Page {
  const Compare *compare;
  Shown shown;
  Doc *doc;
} Page;

static inline const char *page_plural(int n) { return n == 1 ? "" : "s"; }

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
