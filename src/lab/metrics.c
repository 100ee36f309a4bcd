/* metrics.c: the tables of metrics of a trial; see metrics.h. */
#include "lab/metrics.h"
#include "base/array.h"
#include "base/csv.h"
#include "base/path.h"
#include <stdlib.h>
#include <string.h>

enum { TABLE_LIMIT = 1 << 30 };

void metrics_deinit(Metrics *metrics) {
  for (int i = 0; i < metrics->n; i++) {
    if (metrics->v[i].open) file_grow_end(&metrics->v[i].file);
    text_deinit(&metrics->v[i].header);
  }
  free(metrics->v);
  *metrics = (Metrics){0};
}

/* Fits follow each other: the one that is looked for is among the last. */
static MetricsFile *table_of(Metrics *metrics, int fit, Fault *fault) {
  for (int i = metrics->n - 1; i >= 0; i--)
    if (metrics->v[i].fit == fit) return &metrics->v[i];
  if (metrics->n == METRICS_FITS) {
    fault_set(fault, ERR_VALUE,
              "fit number %d of a run has a record, allowed: %d of them; record = "
              "false records none",
              METRICS_FITS + 1, METRICS_FITS);
    return NULL;
  }
  if (ARRAY_ROOM(metrics->v, metrics->room, metrics->n + 1, fault)) return NULL;
  metrics->v[metrics->n] = (MetricsFile){.fit = fit};
  return &metrics->v[metrics->n++];
}

/* -- going on with an earlier table ------------------------------------------------ */

/* Bytes of `csv` that stay before a row whose first column is `first`: whole lines with
 * smaller ones, after the same header. A header is one line here: a name with a line
 * end in it begins the table anew. */
static long long kept_bytes(const Text *csv, const Text *header, double first) {
  size_t at = header->n_bytes;
  if (csv->n_bytes < at || memcmp(csv->data, header->data, at) != 0) return 0;
  while (at < csv->n_bytes) {
    const char *end = memchr(csv->data + at, '\n', csv->n_bytes - at);
    if (!end || !(strtod(csv->data + at, NULL) < first)) break;
    at = (size_t)(end + 1 - csv->data);
  }
  return (long long)at;
}

static Err earlier_bytes(const char *path, const Text *header, double first,
                         long long *out, Fault *fault) {
  *out = 0;
  if (!file_exists(path)) return ERR_OK;
  Text csv = {0};
  Err err = file_read(path, TABLE_LIMIT, &csv, fault);
  if (err == ERR_DATA) err = fault->code = ERR_STORAGE; /* a file of ours */
  if (!err && csv.n_bytes) *out = kept_bytes(&csv, header, first);
  text_deinit(&csv);
  return err;
}

/* -- rows -------------------------------------------------------------------------- */

/* Takes the header. */
static Err open_table(MetricsFile *m, const char *directory, int fit, Text *header,
                      double first, Fault *fault) {
  Path path = path_of(fit > 1 ? "%s/metrics-%d.csv" : "%s/metrics.csv", directory, fit);
  long long keep = 0;
  Err err = earlier_bytes(path.s, header, first, &keep, fault);
  if (!err) err = file_grow(&m->file, path.s, keep, fault);
  if (err) return err;
  m->open = true;
  m->header = *header;
  *header = (Text){0};
  return keep ? ERR_OK
              : file_append(&m->file, m->header.data, m->header.n_bytes, fault);
}

static Err add_line(MetricsFile *m, const char *directory, int fit, Text *header,
                    const Text *line, double first, Fault *fault) {
  if (header->failed || line->failed) return fault_memory(fault, header->n_bytes);
  if (m->open && strcmp(header->data, m->header.data) != 0)
    return fault_set(fault, ERR_VALUE,
                     "%s: columns changed:\n  first row: %s"
                     "  this row:  %.*s",
                     m->file.path, m->header.data, (int)header->n_bytes - 1,
                     header->data);
  Err err = m->open ? ERR_OK : open_table(m, directory, fit, header, first, fault);
  if (!err) err = file_append(&m->file, line->data, line->n_bytes, fault);
  if (err) m->failed = true;
  return err;
}

Err metrics_row(Metrics *metrics, const char *directory, int fit,
                const char *const *columns, const double *values, int n, Fault *fault) {
  MetricsFile *m = table_of(metrics, fit, fault);
  if (!m) return fault->code;
  Text header = {0}, line = {0};
  for (int i = 0; i < n; i++) {
    char number[40];
    if (i > 0) text_add(&header, ",");
    if (i > 0) text_add(&line, ",");
    csv_add_field(&header, columns[i]);
    text_add(&line, text_number(number, values[i]));
  }
  text_add(&header, "\n");
  text_add(&line, "\n");
  Err err = add_line(m, directory, fit, &header, &line, values[0], fault);
  text_deinit(&header);
  text_deinit(&line);
  return err;
}

Err metrics_check(const Metrics *metrics, Fault *fault) {
  for (int i = 0; i < metrics->n; i++)
    if (metrics->v[i].failed)
      return fault_set(fault, ERR_STORAGE,
                       "metrics of fit %d: a row could not be written",
                       metrics->v[i].fit);
  return ERR_OK;
}

Err metrics_sync(Metrics *metrics, Fault *fault) {
  Err err = metrics_check(metrics, fault);
  for (int i = 0; !err && i < metrics->n; i++) {
    MetricsFile *m = &metrics->v[i];
    if (m->open && file_append_sync(&m->file, fault))
      m->failed = true, err = fault->code;
  }
  return err;
}
