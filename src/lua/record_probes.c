/* record_probes.c: what probes measured, as a table of a record, in long form: a line
 * for each window of each series. Of many series over many steps neighbouring windows
 * are joined, by twos, fours ..., until the table is small enough. */
#include "base/csv.h"
#include "lua/run_record.h"

enum { PROBES_BYTES = 1 << 20 };

static void add_window(Text *csv, const ProbeSeries *s, const ProbeWindow *window) {
  const char *const names[PROBE_NAMES] = {s->probe, s->layer, s->quantity};
  double number[PROBE_NUMBERS];
  char text[40];
  probe_window_numbers(window, number);
  for (int i = 0; i < PROBE_NAMES; i++) {
    csv_add_field(csv, names[i]);
    text_add(csv, ",");
  }
  for (int i = 0; i < PROBE_NUMBERS; i++)
    text_addf(csv, "%s%s", text_number(text, number[i]),
              i + 1 < PROBE_NUMBERS ? "," : "\n");
}

/* `factor` neighbouring windows are one line. */
static void add_series(Text *csv, const ProbeSeries *s, int factor) {
  for (int i = 0; i < s->n;) {
    ProbeWindow window = s->v[i];
    int line = probe_window_number(window.end) / factor;
    for (i++; i < s->n && probe_window_number(s->v[i].end) / factor == line; i++)
      probe_window_join(&window, &s->v[i]);
    add_window(csv, s, &window);
  }
}

static void add_table(Text *csv, const ProbeLog *log, int factor) {
  for (int i = 0; probe_columns[i]; i++)
    text_addf(csv, "%s%s", probe_columns[i], probe_columns[i + 1] ? "," : "\n");
  for (int i = 0; i < log->n; i++) add_series(csv, &log->v[i], factor);
}

Err run_record_probes(Trial *trial, const char *name, const ProbeLog *log,
                      Fault *fault) {
  Text csv = {0};
  add_table(&csv, log, 1);
  for (int factor = 2; csv.n_bytes > PROBES_BYTES && factor <= PROBE_WINDOWS;
       factor *= 2) {
    text_deinit(&csv);
    add_table(&csv, log, factor);
  }
  Err err = trial_table(trial, name, &csv, fault);
  text_deinit(&csv);
  return err;
}
