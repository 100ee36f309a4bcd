/* compare_show.c: numbers with as many decimals as their spread gives sense to: two
 * digits of the smallest standard deviation, or of the smallest half width of an
 * interval, unless it is far below the typical one. */
#include "lab/compare_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DECIMALS_MAX = 9,
  DECIMALS_MORE = 3,         /* for the smallest spread, than the typical one needs */
  DIGITS_MAX = 12            /* of a value, those before the point included */
};
static const double plain_max = 1e15; /* larger ones, beside others that are small, have
                                         a power of ten */
static const double half_up = 1e-9; /* p of .0625 is .063: those of few seeds end so */

/* Decimals that show two digits of `spread`; `otherwise` if there is none. */
static int decimals_of(double spread, int otherwise) {
  if (!(spread > 0) || isinf(spread)) return otherwise;
  /* cppcheck-suppress [floatConversionOverflow,invalidFunctionArg] ; spread is above
   * 0 */
  int decimals = 1 - (int)floor(log10(spread));
  return decimals < 0 ? 0 : decimals;
}

/* Decimals for n spreads, which are sorted: those of the typical one (the median of
 * what is above 0), or as many more as the smallest needs, within reason. */
static int decimals_for(double *spreads, int n, int otherwise) {
  stat_sort(spreads, n);
  int first = 0;
  while (first < n && !(spreads[first] > 0)) first++;
  if (first == n) return otherwise;
  int typical = decimals_of(spreads[(first + n) / 2], otherwise);
  int smallest = decimals_of(spreads[first], otherwise);
  return smallest < typical + DECIMALS_MORE ? smallest : typical + DECIMALS_MORE;
}

/* Digits before the point, up to DIGITS_MAX. */
static int whole_digits(double value) {
  int n = 1;
  for (; value >= 10 && n < DIGITS_MAX; value /= 10) n++;
  return n;
}

/* What a contrast's numbers must show: the half width, or where there is none the
 * difference itself. */
static double contrast_spread(const StatPaired *paired) {
  double half = (paired->interval.high - paired->interval.low) / 2;
  return half == 0 ? fabs(paired->mean) : half;
}

Page page_of(const Compare *compare, Doc *doc) {
  Page page = {compare, doc, 1, 4, 4, "", ""};
  if (compare->spec.low == 0 && compare->spec.high == 1)
    page = (Page){compare, doc, 100, 2, 2, NO_BREAK "%", NO_BREAK "points"};
  int n = compare->n_cells, m = compare->n_contrasts;
  double *numbers = malloc(((size_t)n + (size_t)m + 1) * sizeof *numbers);
  if (!numbers) return page; /* plain decimals will do */
  double largest = 0;
  for (int i = 0; i < n; i++) {
    const StatSample *sample = &compare->cells[i].sample;
    numbers[i] = sample->n < 2 ? 0 : sample->sd * page.scale;
    if (sample->n > 0) largest = fmax(largest, fabs(sample->mean) * page.scale);
  }
  int decimals = decimals_for(numbers, n, decimals_of(largest / 10, 2));
  for (int i = 0; i < m; i++)
    numbers[i] = contrast_spread(&compare->contrasts[i].complete.paired) * page.scale;
  int of_differences = decimals_for(numbers, m, decimals);
  free(numbers);
  bool beyond = largest >= 1e9 || (decimals > DECIMALS_MAX && largest < 1e-6);
  int limit = DIGITS_MAX - whole_digits(largest);
  if (limit > DECIMALS_MAX) limit = DECIMALS_MAX;
  page.decimals = beyond ? -1 : decimals < limit ? decimals : limit;
  page.difference_decimals = page.decimals;
  if (of_differences > page.decimals) page.difference_decimals = of_differences;
  if (beyond || of_differences > DECIMALS_MAX) page.difference_decimals = -1;
  return page;
}

Page page_by(const Page *page, double spread) {
  Page by = *page;
  int decimals = decimals_of(spread * page->scale, page->difference_decimals);
  if (page->difference_decimals >= 0)
    by.difference_decimals = decimals > DECIMALS_MAX ? -1 : decimals;
  return by;
}

Page page_alone(const Page *page, const StatPaired *paired) {
  return page_by(page, contrast_spread(paired));
}

/* A value that rounds to zero loses its sign. */
static ShownText number(double value, int decimals, bool sign) {
  ShownText out = {""};
  bool plain = decimals >= 0 && fabs(value) < plain_max;
  if (isnan(value)) return out;
  if (!plain) snprintf(out.s, 32, sign ? "%+.4g" : "%.4g", value);
  else snprintf(out.s, 32, sign ? "%+.*f" : "%.*f", decimals, value);
  if (strtod(out.s, NULL) == 0 && strchr("+-", *out.s))
    memmove(out.s, out.s + 1, strlen(out.s));
  return out;
}

ShownText shown_value(const Page *page, double value) {
  return number(value * page->scale, page->decimals, false);
}

ShownText shown_difference(const Page *page, double value) {
  return number(value * page->scale, page->difference_decimals, true);
}

ShownText shown_size(const Page *page, double value) {
  return number(value * page->scale, page->difference_decimals, false);
}

static ShownText joined(double low, ShownText from, ShownText to, const char *note) {
  ShownText out = {""};
  if (!isnan(low))
    snprintf(out.s, sizeof out.s, "%.34s to %.34s%s", from.s, to.s, note);
  return out;
}

StatInterval shown_cut(const Page *page, StatInterval interval) {
  double low = page->compare->spec.low, high = page->compare->spec.high;
  if (isnan(interval.low) || !(low < high)) return interval;
  return (StatInterval){fmax(interval.low, low), fmin(interval.high, high)};
}

ShownText shown_interval(const Page *page, StatInterval interval) {
  StatInterval within = shown_cut(page, interval);
  bool cut = interval.low < within.low || interval.high > within.high;
  return joined(within.low, shown_value(page, within.low),
                shown_value(page, within.high), cut ? " (cut)" : "");
}

ShownText shown_difference_interval(const Page *page, StatInterval interval) {
  return joined(interval.low, shown_size(page, interval.low),
                shown_size(page, interval.high), "");
}

/* Without the 0 before the point: a p is never above 1. */
static ShownText p_text(const char *format, double p) {
  ShownText out = {""};
  snprintf(out.s, 32, format, p);
  if (strncmp(out.s, "0.", 2) == 0) memmove(out.s, out.s + 1, strlen(out.s));
  return out;
}

ShownText shown_p(double p) {
  if (isnan(p)) return (ShownText){""};
  if (p < 0.001) return (ShownText){"<.001"};
  if (p >= 0.9995) return (ShownText){"1"};
  return p_text("%.3f", p + half_up);
}

ShownText shown_p_exact(double p) { return p_text("%.3g", p); }
