/* compare_show.c: numbers with as many decimals as their spread gives sense to: two digits
 * of the typical standard deviation, or of the typical half width of an interval. */
#include "lab/compare_show.h"
#include "lab/table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DECIMALS_MAX = 9 };
static const double rounding = 1e-6;   /* relative; of sums of floats */
static const double half_up = 1e-9;    /* p of .0625 is .063: those of few seeds end so */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Decimals that show two digits of `spread`; `otherwise` if there is none. */
static int decimals_of(double spread, int otherwise) {
  if (!(spread > 0) || isinf(spread)) return otherwise;
  /* cppcheck-suppress [floatConversionOverflow,invalidFunctionArg] ; spread is above 0 */
  int decimals = 1 - (int)floor(log10(spread));
  return decimals < 0 ? 0 : decimals;
}

/* The median of what is above 0 among n numbers, which are sorted; NaN: nothing is. */
static double typical(double *numbers, int n) {
  qsort(numbers, (size_t)n, sizeof *numbers, by_value);
  int first = 0;
  while (first < n && !(numbers[first] > 0)) first++;
  return first == n ? NAN : numbers[(first + n) / 2];
}

/* A spread that is no more than rounding of the value tells nothing. */
static double real_spread(double spread, double value) {
  return spread > rounding * fabs(value) ? spread : 0;
}

static double half_width(const StatPaired *paired) {
  return real_spread((paired->interval.high - paired->interval.low) / 2, paired->mean);
}

Shown shown_of(const Compare *compare) {
  const CompareSpec *spec = &compare->spec;
  Shown shown = {1, 4, 4, "", ""};
  if (spec->low == 0 && spec->high == 1)
    shown = (Shown){100, 2, 2, NO_BREAK "%", NO_BREAK "points"};
  int n = compare->n_cells, m = compare->n_contrasts;
  double *numbers = malloc(((size_t)n + (size_t)m + 1) * sizeof *numbers);
  if (!numbers) return shown;        /* plain decimals will do */
  double largest = 0;
  for (int i = 0; i < n; i++) {
    const StatSample *sample = &compare->cells[i].sample;
    numbers[i] = sample->n < 2 ? 0 : real_spread(sample->sd, sample->mean) * shown.scale;
    if (sample->n > 0) largest = fmax(largest, fabs(sample->mean) * shown.scale);
  }
  shown.decimals = decimals_of(typical(numbers, n), decimals_of(largest / 10, 2));
  for (int i = 0; i < m; i++)
    numbers[i] = half_width(&compare->contrasts[i].complete.paired) * shown.scale;
  shown.difference_decimals = decimals_of(typical(numbers, m), shown.decimals);
  if (shown.difference_decimals > shown.decimals + 2)
    shown.difference_decimals = shown.decimals + 2;
  if (shown.difference_decimals < shown.decimals)
    shown.difference_decimals = shown.decimals;
  free(numbers);
  if (shown.difference_decimals > DECIMALS_MAX || largest >= 1e9)
    shown.decimals = shown.difference_decimals = -1;
  return shown;
}

/* A value that rounds to zero loses its sign. */
static const char *number(double value, int decimals, bool sign, char *buffer) {
  if (isnan(value)) return strcpy(buffer, "");
  if (decimals < 0) snprintf(buffer, 32, sign ? "%+.4g" : "%.4g", value);
  else snprintf(buffer, 32, sign ? "%+.*f" : "%.*f", decimals, value);
  if (strtod(buffer, NULL) == 0 && (*buffer == '-' || *buffer == '+'))
    memmove(buffer, buffer + 1, strlen(buffer));
  return buffer;
}

const char *shown_value(Shown shown, double value, char *buffer) {
  return number(value * shown.scale, shown.decimals, false, buffer);
}

const char *shown_difference(Shown shown, double value, char *buffer) {
  return number(value * shown.scale, shown.difference_decimals, true, buffer);
}

const char *shown_size(Shown shown, double value, char *buffer) {
  return number(value * shown.scale, shown.difference_decimals, false, buffer);
}

static const char *interval_text(StatInterval interval, double scale, int decimals,
                                 char *buffer) {
  char low[40], high[40];
  if (isnan(interval.low)) return strcpy(buffer, "");
  snprintf(buffer, SHOWN_BYTES, "%s to %s",
           number(interval.low * scale, decimals, false, low),
           number(interval.high * scale, decimals, false, high));
  return buffer;
}

const char *shown_interval(Shown shown, StatInterval interval, char *buffer) {
  return interval_text(interval, shown.scale, shown.decimals, buffer);
}

const char *shown_difference_interval(Shown shown, StatInterval interval, char *buffer) {
  return interval_text(interval, shown.scale, shown.difference_decimals, buffer);
}

/* Without the 0 before the point: a p is never above 1. */
static const char *without_zero(char *buffer) {
  if (strncmp(buffer, "0.", 2) == 0) memmove(buffer, buffer + 1, strlen(buffer));
  return buffer;
}

const char *shown_p(double p, char *buffer) {
  if (isnan(p)) return strcpy(buffer, "");
  if (p < 0.001) return strcpy(buffer, "<.001");
  if (p >= 0.9995) return strcpy(buffer, "1");
  snprintf(buffer, 32, "%.3f", p + half_up);
  return without_zero(buffer);
}

const char *shown_p_exact(double p, char *buffer) {
  snprintf(buffer, 32, "%.3g", p);
  return without_zero(buffer);
}
