/* metrics.h: the tables of metrics of a trial: metrics.csv of its first fit,
 * metrics-2.csv of its second, and so on. RFC 4180; the first row fixes the columns. */
#ifndef LAB_METRICS_H
#define LAB_METRICS_H

#include "base/file.h"

enum { METRICS_FITS = 1000 }; /* most fits of one trial that are recorded */

typedef struct MetricsFile {
  int fit; /* its number, from 1 */
  GrowingFile file;
  bool open;   /* this fit has a row of this attempt */
  bool failed; /* a row was lost: never to be called complete */
  Text header; /* the first line */
} MetricsFile;

typedef struct Metrics {
  MetricsFile *v; /* in the order of their first rows */
  int n;
  int64_t room;
} Metrics;

void metrics_deinit(Metrics *metrics);

/* Adds a row to the table of fit `fit` (from 1) in `directory`. Other columns than
 * those of the first row are ERR_VALUE. The first row goes on with a table that an
 * earlier attempt left: what it holds from the same or a later first column on is
 * cut off, and so are a torn last line and a table with other columns. */
Err metrics_row(Metrics *metrics, const char *directory, int fit,
                const char *const *columns, const double *values, int n,
                Fault *fault) WARN_UNUSED;

/* A fault if a row was lost. */
Err metrics_check(const Metrics *metrics, Fault *fault) WARN_UNUSED;
/* The same; and what was written so far survives a crash of the machine. */
Err metrics_sync(Metrics *metrics, Fault *fault) WARN_UNUSED;

#endif
