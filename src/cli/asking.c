/* asking.c: what the commands that ask the index share; see asking.h. */
#include "cli/asking.h"
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "lab/level.h"
#include "lab/plan_file.h"
#include "lab/run_name.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- reading ----------------------------------------------------------------------- */

static Err read_words(Asking *out, const QueryCall *call, bool needs_name,
                      Fault *fault) {
  for (int i = 0; i < call->n_words; i++) {
    const char *word = call->words[i];
    if (filter_is_term(word)) {
      if (filter_add(&out->query.filter, word, fault)) return fault->code;
    } else if (out->query.experiment) {
      return fault_set(fault, ERR_USAGE,
                       "%s: \"%s\": allowed: one experiment, and filters as in seed=1",
                       call->command->name, word);
    } else {
      out->query.experiment = word;
    }
  }
  if (needs_name && !out->query.experiment)
    return fault_set(fault, ERR_USAGE,
                     "%s: the name of an experiment is missing; runner ls lists them",
                     call->command->name);
  return ERR_OK;
}

Err asking_check_experiment(const char *runs, const char *name, Fault *fault) {
  bool plain = *name && !strchr(name, '/') && name[0] != '.';
  if (plain && file_is_directory(runs, name)) return ERR_OK;
  char *nearest;
  Err err = run_name_nearest(runs, name, &nearest, fault);
  if (err) return err;
  if (nearest)
    err = fault_set(fault, ERR_USAGE,
                    "%s has no experiment \"%s\"; did you mean \"%s\"?", runs, name,
                    nearest);
  else
    err = fault_set(fault, ERR_USAGE,
                    "%s has no experiment \"%s\"; runner ls lists them", runs, name);
  free(nearest);
  return err;
}

Err asking_begin(Asking *out, const QueryCall *call, bool needs_name, Fault *fault) {
  *out = (Asking){0};
  Err err = read_words(out, call, needs_name, fault);
  const char *experiment = out->query.experiment;
  if (!err && experiment) err = asking_check_experiment(call->runs, experiment, fault);
  if (!err) err = index_open(&out->index, call->runs, fault);
  if (!err) err = index_refresh(out->index, experiment, fault);
  return err;
}

void asking_end(Asking *asking) {
  filter_deinit(&asking->query.filter);
  index_close(asking->index);
  *asking = (Asking){0};
}

/* -- what no trial fits ------------------------------------------------------------ */

enum { LEVELS_SHOWN = 20 };

/* The level nearest to a word that is none; NULL: there is no such word, or none near.
 * Of numbers the digits tell nothing. */
static const char *nearest_level(const FilterTerm *term, const Json *levels) {
  const char *names[LEVELS_SHOWN], *nearest = NULL;
  int n = 0;
  for (int64_t i = 0; i < json_count(levels) && n < LEVELS_SHOWN; i++)
    if (json_get_text(json_item(levels, i), &names[n])) n++;
  for (int i = 0; !nearest && i < term->n_values; i++)
    if (level_is_word(term->values[i]))
      nearest = text_nearest(term->values[i], names, n);
  return nearest;
}

/* A share is recorded from 0 to 1; who thinks in percent writes 50%. */
static void add_range(Text *out, const FilterTerm *term, const Json *miss) {
  double low, high, wanted = strtod(term->values[0], NULL);
  if (!json_find_number(miss, "low", &low) || !json_find_number(miss, "high", &high))
    return;
  text_addf(out, "%s goes from %.4g to %.4g", term->key, low, high);
  if (low >= 0 && high <= 1 && wanted > 1 && wanted <= 100)
    text_addf(out, "; did you mean %s%%?", term->word);
  text_add(out, "\n");
}

static void add_miss(Text *out, const FilterTerm *term, const Json *miss) {
  const Json *levels = json_find(miss, "levels");
  const char *key = json_text(miss, "key");
  bool value = json_bool(miss, "value");
  text_addf(out, "%s has: ", term->key);
  for (int64_t i = 0; i < json_count(levels) && i < LEVELS_SHOWN; i++) {
    text_add(out, i ? ", " : "");
    page_add_value(out, json_item(levels, i), 0);
  }
  if (json_count(levels) > LEVELS_SHOWN) text_add(out, ", ...");
  const char *nearest = value ? NULL : nearest_level(term, levels);
  if (value)
    text_addf(out, "; did you mean values.%s%s?", key, term->word + strlen(term->key));
  else if (nearest) text_addf(out, "; did you mean %s?", nearest);
  text_add(out, "\n");
}

Err asking_tell_misses(const Asking *asking, Fault *fault) {
  Json *misses = NULL;
  Text out = {0};
  Err err = query_misses(asking->index, &asking->query, &misses, fault);
  for (int64_t i = 0; !err && i < json_count(misses); i++) {
    const Json *miss = json_item(misses, i);
    const FilterTerm *term = &asking->query.filter.v[json_int(miss, "term")];
    (json_find(miss, "levels") ? add_miss : add_range)(&out, term, miss);
  }
  if (!err && out.n_bytes) err_print("%s", out.data);
  text_deinit(&out);
  json_free(misses);
  return err;
}

Err asking_read_plan(const char *runs, const char *experiment, Json **out,
                     Fault *fault) {
  *out = plan_file_read(path_of("%s/%s", runs, experiment).s, fault);
  return fault->code;
}

static bool equal_values(const Json *a, const Json *b) {
  Text left = {0}, right = {0};
  if (a) page_add_value(&left, a, 0);
  if (b) page_add_value(&right, b, 0);
  bool equal = !a == !b && (!a || strcmp(left.data ? left.data : "",
                                         right.data ? right.data : "") == 0);
  text_deinit(&left);
  text_deinit(&right);
  return equal;
}

bool asking_rows_differ(const Json *rows, const char *kind, const char *key) {
  if (json_count(rows) == 0) return false;
  const Json *first = json_find(json_find(json_item(rows, 0), kind), key);
  for (int64_t r = 1; r < json_count(rows); r++)
    if (!equal_values(first, json_find(json_find(json_item(rows, r), kind), key)))
      return true;
  return false;
}

const char *asking_reported_metric(const Json *plan, const Json *names) {
  const char *report = json_text(plan, "report");
  for (int64_t i = 0; i < json_count(names); i++) {
    const Json *name = json_item(names, i);
    if (strcmp(json_text(name, "kind"), "values") == 0 &&
        strcmp(json_text(name, "key"), report) == 0)
      return report;
  }
  return NULL;
}
