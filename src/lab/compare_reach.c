/* compare_reach.c: what the seeds can show: the smallest difference that they find,
 * before anything has run in standard deviations of the differences, then in the
 * metric's unit.
 *
 * After Holm the first of m contrasts is tested at level / m: so it is counted, as if
 * one difference were there. */
#include "lab/compare_page.h"
#include "lab/stat_power.h"
#include <math.h>
#include <stdio.h>

/* The median over the contrasts that have one. */
Err compare_find_sd(Compare *compare) {
  double *sds = compare_alloc(compare, compare->n_contrasts, sizeof *sds);
  if (!sds) return ERR_MEMORY;
  int n = 0;
  for (int i = 0; i < compare->n_contrasts; i++) {
    double sd = compare_main(&compare->contrasts[i])->paired.sd_used;
    if (sd > 0) sds[n++] = sd;
  }
  stat_sort(sds, n);
  compare->sd = n ? sds[n / 2] : NAN;
  return ERR_OK;
}

static void add_find(const Compare *compare, int n_seeds, CompareReach *reach) {
  double level = compare_level_at(compare, n_seeds);
  double sds = stat_smallest(n_seeds, level / compare->n_contrasts);
  reach->finds[reach->n++] = (CompareFind){n_seeds, level, sds, sds * compare->sd};
}

CompareReach compare_reach(const Compare *compare) {
  static const int asked[] = {4, 5, 6, 8, 10};
  CompareReach reach = {0};
  int planned = compare->n_seeds;
  bool added = planned < STAT_TEST_MIN;
  if (compare->n_contrasts == 0) return reach;
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
    if (!added && planned < asked[i]) add_find(compare, planned, &reach);
    added = added || planned <= asked[i];
    add_find(compare, asked[i], &reach);
  }
  if (!added) add_find(compare, planned, &reach);
  return reach;
}

/* -- in words ---------------------------------------------------------------------- */

/* Where there is no room, the planned number stays. */
static void add_finds(const Page *page, const CompareReach *reach) {
  const Compare *compare = page->compare;
  Table *table = doc_table(page->doc);
  char title[16];
  table_column(table, "seeds", TABLE_TEXT, 0);
  for (int i = 0; i < reach->n; i++) {
    bool planned = reach->finds[i].n_seeds == compare->n_seeds;
    snprintf(title, sizeof title, "%d", reach->finds[i].n_seeds);
    table_column(table, title, TABLE_NUMBER, planned ? 0 : 1 + i);
  }
  table_add(table, "in sd");
  for (int i = 0; i < reach->n; i++) table_addf(table, "%.2f", reach->finds[i].sds);
  if (isnan(compare->sd)) return;
  table_add(table, *page->shown.difference_unit ? "in points" : "in its unit");
  for (int i = 0; i < reach->n; i++)
    table_add(table, shown_size(page->shown, reach->finds[i].difference).text);
}

/* "5 seeds find a difference of 2.76 sd or more, which is 1.93 points so far" */
static void add_planned(const Page *page, const CompareReach *reach, Text *text) {
  const CompareFind *find = reach->finds;
  int n_seeds = page->compare->n_seeds;
  if (n_seeds < STAT_TEST_MIN) {
    text_addf(text,
              "%d seed%s too few for a verdict, which takes at least %d; of more, each "
              "number finds a difference of at least this size",
              n_seeds, n_seeds == 1 ? " is" : "s are", STAT_TEST_MIN);
    return;
  }
  while (find->n_seeds != n_seeds) find++;
  text_addf(text, "%d seeds find a difference of %.2f sd or more", n_seeds, find->sds);
  if (!isnan(find->difference))
    text_addf(text, ", which is %s%s so far,",
              shown_size(page->shown, find->difference).text,
              page->shown.difference_unit);
}

void page_reach(const Page *page) {
  const Compare *compare = page->compare;
  const CompareReach reach = compare_reach(compare);
  const Page own = {compare, shown_by(page->shown, compare->sd), page->doc};
  Text *text = page_begin(page);
  int n = compare->n_contrasts, looks = compare->spec.looks;
  if (reach.n == 0) {
    text_addf(text, "Nothing is compared: %s.",
              compare_is_drawn(compare) ? "points that are drawn have no baseline"
                                        : "no two cells differ in one factor alone");
    return;
  }
  add_planned(&own, &reach, text);
  text_add(text, " with probability .8");
  if (n > 1) text_addf(text, ", corrected for %d contrasts", n);
  if (looks > 1)
    text_addf(text, "%s %d looks", n > 1 ? " and" : ", corrected for", looks);
  if (reach.finds[reach.n - 1].level < compare->level)
    text_addf(text, ". More than %d seeds are told with the look that they would add",
              compare->n_seeds);
  text_add(text,
           ". The sd is how much the difference of two varies from seed to seed.");
  add_finds(&own, &reach);
}
