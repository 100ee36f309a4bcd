/* asking.c: what the commands that ask the index share; see asking.h. */
#include "cli/asking.h"
#include "base/file.h"
#include "base/out.h"
#include "base/path.h"
#include "lab/plan_file.h"
#include "lab/names.h"
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
  Err err = name_nearest(runs, name, &nearest, fault);
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

/* -- what there is ----------------------------------------------------------------- */

Err asking_tell_misses(const Asking *asking, Fault *fault) {
  Json *misses = NULL;
  const char *line;
  Err err = query_ask(asking->index, QUERY_MISSES, &asking->query, &misses, NULL,
                      fault);
  for (int64_t i = 0; i < json_count(misses); i++)
    if (json_get_text(json_item(misses, i), &line)) err_print("%s\n", line);
  json_free(misses);
  return err;
}

Err asking_read_plan(const char *runs, const char *experiment, Json **out,
                     Fault *fault) {
  *out = plan_file_read(path_of("%s/%s", runs, experiment).s, fault);
  return fault->code;
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
