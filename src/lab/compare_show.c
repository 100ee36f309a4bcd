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

/* What a contrast's numbers must tell: the half width, or where there is none the
 * difference itself. */
static double contrast_spread(const StatPaired *paired) {
  double half = (paired->interval.high - paired->interval.low) / 2;
  return half == 0 ? fabs(paired->mean) : half;
}

Shown shown_of(const Compare *compare) {
  const CompareSpec *spec = &compare->spec;
  Shown shown = {1, 4, 4, "", "", spec->low, spec->high};
  if (spec->low == 0 && spec->high == 1)
    shown = (Shown){100, 2, 2, NO_BREAK "%", NO_BREAK "points", 0, 1};
  int n = compare->n_cells, m = compare->n_contrasts;
  double *numbers = malloc(((size_t)n + (size_t)m + 1) * sizeof *numbers);
  if (!numbers) return shown; /* plain decimals will do */
  double largest = 0;
  for (int i = 0; i < n; i++) {
    const StatSample *sample = &compare->cells[i].sample;
    numbers[i] = sample->n < 2 ? 0 : sample->sd * shown.scale;
    if (sample->n > 0) largest = fmax(largest, fabs(sample->mean) * shown.scale);
  }
  int decimals = decimals_for(numbers, n, decimals_of(largest / 10, 2));
  for (int i = 0; i < m; i++)
    numbers[i] = contrast_spread(&compare->contrasts[i].complete.paired) * shown.scale;
  int of_differences = decimals_for(numbers, m, decimals);
  free(numbers);
  bool beyond = largest >= 1e9 || (decimals > DECIMALS_MAX && largest < 1e-6);
  int limit = DIGITS_MAX - whole_digits(largest);
  if (limit > DECIMALS_MAX) limit = DECIMALS_MAX;
  shown.decimals = beyond ? -1 : decimals < limit ? decimals : limit;
  shown.difference_decimals = shown.decimals;
  if (of_differences > shown.decimals) shown.difference_decimals = of_differences;
  if (beyond || of_differences > DECIMALS_MAX) shown.difference_decimals = -1;
  return shown;
}

Shown shown_by(Shown shown, double spread) {
  int decimals = decimals_of(spread * shown.scale, shown.difference_decimals);
  if (shown.difference_decimals >= 0)
    shown.difference_decimals = decimals > DECIMALS_MAX ? -1 : decimals;
  return shown;
}

Shown shown_alone(Shown shown, const StatPaired *paired) {
  return shown_by(shown, contrast_spread(paired));
}

/* A value that rounds to zero loses its sign. */
static ShownText number(double value, int decimals, bool sign) {
  ShownText out = {""};
  bool plain = decimals >= 0 && fabs(value) < plain_max;
  if (isnan(value)) return out;
  if (!plain) snprintf(out.text, 32, sign ? "%+.4g" : "%.4g", value);
  else snprintf(out.text, 32, sign ? "%+.*f" : "%.*f", decimals, value);
  if (strtod(out.text, NULL) == 0 && strchr("+-", *out.text))
    memmove(out.text, out.text + 1, strlen(out.text));
  return out;
}

ShownText shown_value(Shown shown, double value) {
  return number(value * shown.scale, shown.decimals, false);
}

ShownText shown_difference(Shown shown, double value) {
  return number(value * shown.scale, shown.difference_decimals, true);
}

ShownText shown_size(Shown shown, double value) {
  return number(value * shown.scale, shown.difference_decimals, false);
}

static ShownText interval_text(StatInterval interval, double scale, int decimals,
                               const char *note) {
  ShownText out = {""};
  if (!isnan(interval.low))
    snprintf(out.text, sizeof out.text, "%.34s to %.34s%s",
             number(interval.low * scale, decimals, false).text,
             number(interval.high * scale, decimals, false).text, note);
  return out;
}

StatInterval shown_cut(Shown shown, StatInterval interval) {
  if (isnan(interval.low) || !(shown.low < shown.high)) return interval;
  return (StatInterval){fmax(interval.low, shown.low), fmin(interval.high, shown.high)};
}

ShownText shown_interval(Shown shown, StatInterval interval) {
  StatInterval within = shown_cut(shown, interval);
  bool cut = interval.low < within.low || interval.high > within.high;
  return interval_text(within, shown.scale, shown.decimals, cut ? " (cut)" : "");
}

ShownText shown_difference_interval(Shown shown, StatInterval interval) {
  return interval_text(interval, shown.scale, shown.difference_decimals, "");
}

/* Without the 0 before the point: a p is never above 1. */
static ShownText p_text(const char *format, double p) {
  ShownText out = {""};
  snprintf(out.text, 32, format, p);
  if (strncmp(out.text, "0.", 2) == 0)
    memmove(out.text, out.text + 1, strlen(out.text));
  return out;
}

ShownText shown_p(double p) {
  if (isnan(p)) return (ShownText){""};
  if (p < 0.001) return (ShownText){"<.001"};
  if (p >= 0.9995) return (ShownText){"1"};
  return p_text("%.3f", p + half_up);
}

ShownText shown_p_exact(double p) { return p_text("%.3g", p); }
