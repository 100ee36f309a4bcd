/* trial.c: the record of a run; see trial.h.
 *
 * Order on disk: directory, config.json, meta.json, stdout.log when it is opened; rows of
 * metrics as they come; at the end meta.json again, the log's end, result.json. Whoever
 * finds result.json finds all the rest complete. */
#include "lab/trial.h"
#include "base/file.h"
#include "base/out.h"
#include "base/par.h"
#include "base/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct MetricsFile {
  FILE *file;                /* NULL: this fit has no row yet */
  char *path;
  Text header;               /* the first line */
} MetricsFile;

static const char *const state_names[] = {
    [TRIAL_COMPLETE] = "complete", [TRIAL_DIVERGED] = "diverged",
    [TRIAL_FAILED] = "failed", [TRIAL_INTERRUPTED] = "interrupted"};

const char *trial_state_name(TrialState state) { return state_names[state]; }

/* -- life ---------------------------------------------------------------------------- */

/* "dir/name.lua" -> "name". What a file name cannot hold or would hide becomes '_'. */
static char *script_name(const char *script) {
  const char *slash = strrchr(script, '/');
  char *name = text_copy(slash ? slash + 1 : script);
  if (!name) return NULL;
  char *end = strrchr(name, '.');
  if (end && end != name && strcmp(end, ".lua") == 0) *end = 0;
  for (char *s = name; *s; s++)
    if ((unsigned char)*s <= ' ' || *s == 0x7F || (s == name && *s == '.')) *s = '_';
  return name;
}

Err trial_init(Trial *out, const char *runs, const char *script, Json *config, Json *meta,
               Fault *fault) {
  *out = (Trial){.config = config,
                 .meta = meta ? meta : json_map(),
                 .runs = text_copy(runs),
                 .name = script_name(script),
                 .start_s = clock_s()};
  clock_utc(out->start_utc);
  if (out->config && out->meta && out->runs && out->name) return ERR_OK;
  trial_deinit(out);
  return fault_memory(fault, sizeof *out);
}

static void metrics_deinit(MetricsFile *m) {
  if (m->file) fclose(m->file);
  free(m->path);
  text_deinit(&m->header);
}

void trial_deinit(Trial *trial) {
  for (int i = 0; i < trial->n_metrics; i++) metrics_deinit(&trial->metrics[i]);
  free(trial->metrics);
  json_free(trial->config);
  json_free(trial->meta);
  free(trial->runs);
  free(trial->name);
  free(trial->directory);
  *trial = (Trial){0};
}

/* What a storage fault comes to: itself, or under go_on a warning and the end of
 * recording. Faults of the caller stay faults. */
static Err tolerate(Trial *trial, Err err, Fault *fault) {
  if (!err || !trial->go_on || err != ERR_STORAGE) return err;
  trial->failed = true;
  err_print("warning: the run is not recorded from here on: %s\n",
            fault ? fault->text : "");
  if (fault) fault_clear(fault);
  return ERR_OK;
}

/* -- files --------------------------------------------------------------------------- */

/* New text "directory/name", or NULL. */
static char *path_of(const Trial *trial, const char *name, Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/%s", trial->directory, name);
  if (!path.failed) return path.data;
  text_deinit(&path);
  fault_memory(fault, strlen(name));
  return NULL;
}

static Err put_json(const Trial *trial, const char *name, const Json *json, Publish how,
                    Fault *fault) {
  Text text = {0};
  char *path = path_of(trial, name, fault);
  Err err = path ? json_write(json, 2, &text, fault) : ERR_MEMORY;
  text_add(&text, "\n");
  if (!err && text.failed) err = fault_memory(fault, text.n_bytes);
  if (!err) err = file_put(path, text.data, text.n_bytes, how, fault);
  free(path);
  text_deinit(&text);
  return err;
}

/* Brand string of the processor, as the system tells it. */
static void processor_name(char *out, size_t n_bytes) {
  snprintf(out, n_bytes, "unknown");
  FILE *file = fopen("/proc/cpuinfo", "re");
  char line[512];
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    line[strcspn(line, "\n")] = 0;
    snprintf(out, n_bytes, "%s", colon + 1 + strspn(colon + 1, " \t"));
    break;
  }
  if (file) fclose(file);
}

/* The caller's facts stand first; the end and its costs are there once it is known. */
static Err put_meta(Trial *trial, bool ended, Fault *fault) {
  char text[256] = "";
  Json *meta = trial->meta;
  processor_name(text, sizeof text);
  json_put_text(meta, "processor", text);
  json_put_int(meta, "cores", par_cores());
  json_put_text(meta, "simd", simd_name(simd_level()));
  if (gethostname(text, sizeof text - 1) == 0) json_put_text(meta, "host", text);
  json_put_int(meta, "pid", getpid());
  json_put_text(meta, "started", trial->start_utc);
  if (ended) {
    struct rusage usage;
    json_put_text(meta, "ended", clock_utc(text));
    json_put_number(meta, "wall_s", clock_s() - trial->start_s);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
      json_put_int(meta, "peak_bytes", (int64_t)usage.ru_maxrss * 1024);
  }
  return put_json(trial, "meta.json", meta, PUBLISH_REPLACE, fault);
}

/* -- the directory ------------------------------------------------------------------- */

/* mkdir decides who has a name, so two processes never share one. */
static Err make_directory(Trial *trial, Fault *fault) {
  char stamp[32];
  size_t n = 0;
  for (const char *s = trial->start_utc; *s; s++)   /* 2025-03-01T.. -> 20250301T.. */
    if (*s != '-' && *s != ':') stamp[n++] = *s;
  stamp[n] = 0;
  Text path = {0};
  text_addf(&path, "%s/%s", trial->runs, trial->name);
  if (path.failed) return fault_memory(fault, strlen(trial->runs));
  Err err = file_make_dirs(path.data, fault);
  text_addf(&path, "/%s", stamp);
  size_t base = path.n_bytes;
  for (int i = 2; !err && !path.failed; i++) {
    if (mkdir(path.data, 0777) == 0) {
      trial->directory = path.data;
      return ERR_OK;
    }
    if (errno != EEXIST || i > 10000)
      err = fault_set(fault, ERR_STORAGE, "%s: cannot be made: %s", path.data,
                      strerror(errno));
    path.n_bytes = base;
    text_addf(&path, "-%d", i);
  }
  if (!err) err = fault_memory(fault, path.n_bytes);
  text_deinit(&path);
  return err;
}

static Err open_record(Trial *trial, Fault *fault) {
  Err err = make_directory(trial, fault);
  if (!err) err = put_json(trial, "config.json", trial->config, PUBLISH_ONCE, fault);
  if (!err) err = put_meta(trial, false, fault);
  char *log = err ? NULL : path_of(trial, "stdout.log", fault);
  if (!err) err = log ? out_tee_begin(log, fault) : ERR_MEMORY;
  free(log);
  return err;
}

Err trial_open(Trial *trial, Fault *fault) {
  if (trial->directory || trial->failed) return ERR_OK;
  return tolerate(trial, open_record(trial, fault), fault);
}

/* -- metrics ------------------------------------------------------------------------- */

static MetricsFile *metrics_of(Trial *trial, int fit, Fault *fault) {
  if (fit > trial->n_metrics) {
    MetricsFile *m = realloc(trial->metrics, (size_t)fit * sizeof *m);
    if (!m) {
      fault_memory(fault, (size_t)fit * sizeof *m);
      return NULL;
    }
    memset(m + trial->n_metrics, 0, (size_t)(fit - trial->n_metrics) * sizeof *m);
    trial->metrics = m;
    trial->n_metrics = fit;
  }
  return &trial->metrics[fit - 1];
}

/* RFC 4180: quoted where commas, quotes or line ends stand. */
static void add_field(Text *line, const char *field) {
  if (!strpbrk(field, ",\"\r\n")) {
    text_add(line, field);
    return;
  }
  text_add(line, "\"");
  for (; *field; field++) {
    if (*field == '"') text_add(line, "\"");
    text_add_bytes(line, field, 1);
  }
  text_add(line, "\"");
}

/* One write of one line: a row is there whole, or its loss is reported. */
static Err write_line(MetricsFile *m, const Text *line, Fault *fault) {
  if (line->failed) return fault_memory(fault, line->n_bytes);
  size_t n = fwrite(line->data, 1, line->n_bytes, m->file);
  if (n == line->n_bytes && fflush(m->file) == 0) return ERR_OK;
  return fault_set(fault, ERR_STORAGE, "%s: cannot be written: %s", m->path,
                   strerror(errno));
}

static Err open_metrics(Trial *trial, MetricsFile *m, int fit, Text *header,
                        Fault *fault) {
  char name[32] = "metrics.csv";
  if (fit > 1) snprintf(name, sizeof name, "metrics-%d.csv", fit);
  char *path = path_of(trial, name, fault);
  if (!path) return ERR_MEMORY;
  m->file = fopen(path, "wxe");
  if (!m->file) {
    Err err = fault_set(fault, ERR_STORAGE, "%s: cannot be created: %s", path,
                        strerror(errno));
    free(path);
    return err;
  }
  m->path = path;
  m->header = *header;
  *header = (Text){0};
  return write_line(m, &m->header, fault);
}

static Err add_row(Trial *trial, int fit, const char *const *columns, const double *values,
                   int n, Fault *fault) {
  MetricsFile *m = metrics_of(trial, fit, fault);
  if (!m) return ERR_MEMORY;
  Text header = {0}, line = {0};
  for (int i = 0; i < n; i++) {
    char number[40];
    if (i > 0) text_add(&header, ",");
    if (i > 0) text_add(&line, ",");
    add_field(&header, columns[i]);
    text_add(&line, text_number(number, values[i]));
  }
  text_add(&header, "\n");
  text_add(&line, "\n");
  Err err = header.failed ? fault_memory(fault, header.n_bytes) : ERR_OK;
  if (!err && m->file && strcmp(header.data, m->header.data) != 0)
    err = fault_set(fault, ERR_VALUE, "%s: columns changed:\n  first row: %s"
                    "  this row:  %.*s", m->path, m->header.data,
                    (int)header.n_bytes - 1, header.data);
  if (!err && !m->file) err = open_metrics(trial, m, fit, &header, fault);
  if (!err) err = write_line(m, &line, fault);
  text_deinit(&header);
  text_deinit(&line);
  return err;
}

Err trial_row(Trial *trial, int fit, const char *const *columns, const double *values,
              int n, Fault *fault) {
  must(fit >= 1 && n >= 1 && !trial->finished);
  if (fit > TRIAL_FITS)
    return fault_set(fault, ERR_VALUE, "fit number %d of a run, allowed: up to %d", fit,
                     TRIAL_FITS);
  Err err = trial_open(trial, fault);
  if (err || trial->failed) return err;
  return tolerate(trial, add_row(trial, fit, columns, values, n, fault), fault);
}

/* -- the end ------------------------------------------------------------------------- */

static Json *result_json(const TrialEnd *end) {
  Json *result = json_map();
  json_put_text(result, "state", trial_state_name(end->state));
  if (end->message) json_put_text(result, "message", end->message);
  if (end->step >= 0) json_put_int(result, "step", end->step);
  if (end->layer) json_put_text(result, "layer", end->layer);
  if (end->values) json_put(result, "values", json_share((Json *)end->values));
  return result;
}

static Err close_metrics(Trial *trial, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; i < trial->n_metrics; i++) {
    MetricsFile *m = &trial->metrics[i];
    if (!m->file) continue;
    bool synced = fsync(fileno(m->file)) == 0;
    bool closed = fclose(m->file) == 0;
    m->file = NULL;
    if (!(synced && closed) && !err)
      err = fault_set(fault, ERR_STORAGE, "%s: cannot be written: %s", m->path,
                      strerror(errno));
  }
  return err;
}

Err trial_finish(Trial *trial, const TrialEnd *end, Fault *fault) {
  if (trial->finished || !trial->directory) return ERR_OK;
  trial->finished = true;
  Err log_err = out_tee_end(trial->failed ? NULL : fault);
  if (trial->failed) return ERR_OK;   /* what stands there stays, without a result */
  Err err = close_metrics(trial, fault);
  if (!err) err = log_err;
  if (!err) err = put_meta(trial, true, fault);
  Json *result = result_json(end);
  if (!err) err = put_json(trial, "result.json", result, PUBLISH_ONCE, fault);
  json_free(result);
  return tolerate(trial, err, fault);
}
