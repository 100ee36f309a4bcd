/* digest.c: the digest of a trial; see digest.h.
 *
 * What is hashed is a list of parts, each with its name and length before it, so that
 * no two lists give the same bytes. */
#include "lab/digest.h"
#include "base/path.h"
#include "lab/names.h"
#include <stdio.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 30 };

/* A column of times: "time_s", or a name that ends in "_time_s". */
static bool is_of_times(const char *column) {
  return strcmp(column, "time_s") == 0 || text_ends_with(column, "_time_s");
}

static void add_part(Sha256 *hash, const char *name, const char *bytes,
                     size_t n_bytes) {
  char head[128];
  int n = snprintf(head, sizeof head, "%s %zu\n", name, n_bytes);
  sha256_add(hash, head, (size_t)n);
  sha256_add(hash, bytes, n_bytes);
}

/* -- tables ------------------------------------------------------------------------ */

/* The end of the field that begins at `at`: its comma or line end, or the text's
 * end. */
static size_t field_end(const Text *csv, size_t at) {
  bool quoted = false;
  for (; at < csv->n_bytes; at++) {
    char c = csv->data[at];
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == ',' || c == '\n')) break;
  }
  return at;
}

static bool skips_field(const char *bytes, size_t n_bytes) {
  char name[128];
  if (n_bytes >= sizeof name) return false;
  memcpy(name, bytes, n_bytes);
  name[n_bytes] = 0;
  return is_of_times(name);
}

/* Adds the table without its time columns. `skipped` gets a byte per column. */
static void drop_times(const Text *csv, Text *skipped, Text *out) {
  size_t column = 0;
  bool header = true;
  for (size_t at = 0; at < csv->n_bytes;) {
    size_t end = field_end(csv, at);
    if (header) {
      char skip = skips_field(csv->data + at, end - at);
      text_add_bytes(skipped, &skip, 1);
    }
    bool keep = skipped->failed || column >= skipped->n_bytes || !skipped->data[column];
    if (keep) text_add_bytes(out, csv->data + at, end - at);
    if (keep) text_add(out, ",");
    column++;
    if (end < csv->n_bytes && csv->data[end] == '\n') {
      text_add(out, "\n");
      column = 0;
      header = false;
    }
    at = end + 1;
  }
}

static Err add_file(Sha256 *hash, const char *directory, const char *name,
                    Fault *fault) {
  Text bytes = {0}, skipped = {0}, kept = {0};
  Err err = file_read(path_of("%s/%s", directory, name).s, FILE_LIMIT, &bytes, fault);
  if (err == ERR_DATA) err = fault->code = ERR_STORAGE; /* a file of ours */
  bool table = text_ends_with(name, ".csv");
  if (table) drop_times(&bytes, &skipped, &kept);
  const Text *part = table ? &kept : &bytes;
  if (!err && (part->failed || skipped.failed))
    err = fault_memory(fault, bytes.n_bytes);
  if (!err) add_part(hash, name, part->data ? part->data : "", part->n_bytes);
  text_deinit(&bytes);
  text_deinit(&skipped);
  text_deinit(&kept);
  return err;
}

/* -- the whole --------------------------------------------------------------------- */

static bool counts(const char *name) {
  if (file_is_temporary(name)) return false;
  if (strcmp(name, "config.json") == 0) return true;
  if (name_is_probes(name) || name_is_table(name)) return true;
  return strncmp(name, "metrics", 7) == 0 && text_ends_with(name, ".csv");
}

static Err add_files(Sha256 *hash, const char *directory, Fault *fault) {
  FileNames names;
  Err err = file_names(directory, &names, fault);
  for (int i = 0; !err && i < names.n; i++)
    if (counts(names.v[i])) err = add_file(hash, directory, names.v[i], fault);
  file_names_deinit(&names);
  return err;
}

static Err add_value(Sha256 *hash, const Json *result, const char *key, Fault *fault) {
  const Json *value = json_find(result, key);
  Text text = {0};
  Err err = value ? json_write_canonical(value, &text, fault) : ERR_OK;
  if (!err && value) add_part(hash, key, text.data, text.n_bytes);
  text_deinit(&text);
  return err;
}

Err digest_trial(const char *directory, const Json *result, const char *weights,
                 char out[SHA256_TEXT], Fault *fault) {
  static const char *const keys[] = {"state", "step", "layer", "values"};
  Sha256 hash;
  sha256_begin(&hash);
  Err err = add_files(&hash, directory, fault);
  for (size_t i = 0; !err && i < sizeof keys / sizeof *keys; i++)
    err = add_value(&hash, result, keys[i], fault);
  if (weights) add_part(&hash, "weights", weights, strlen(weights));
  sha256_end(&hash, out);
  return err;
}
