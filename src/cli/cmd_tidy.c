/* cmd_tidy.c: what the commands that change what is recorded share, see tidy.h; and the
 * first of them, retry. */
#include "cli/tidy.h"
#include "base/out.h"
#include "lab/names.h"
#include <string.h>

/* -- telling ----------------------------------------------------------------------- */

enum { REFUSALS_TOLD = 5 };

Err tally_note(Tally *tally, Err err, bool done, Fault *own, Fault *fault) {
  if (!err) *(done ? &tally->n_done : &tally->n_running) += 1;
  if (err && err != ERR_STORAGE) return fault_set(fault, err, "%s", own->text);
  if (err && tally->n_refused++ < REFUSALS_TOLD) err_print("warning: %s\n", own->text);
  return ERR_OK;
}

Err tally_end(const Tally *tally, Fault *fault) {
  if (!tally->n_refused) return ERR_OK;
  return fault_set(fault, ERR_STORAGE,
                   "left as they are: %s; the first of them are named above",
                   text_counted(tally->n_refused, "trial").s);
}

Err tidy_tell(const QueryCall *call, const char *done, const Tally *tally,
              const Json *others, Fault *fault) {
  if (call->json) {
    Json *answer = json_map();
    json_put_int(answer, done, tally->n_done);
    json_put_int(answer, "running", tally->n_running);
    json_put_shared(answer, "others", others);
    return out_json(answer, fault);
  }
  out_print("%s: %s\n", done, text_counted(tally->n_done, "trial").s);
  if (tally->n_running)
    out_print("left alone, since they run: %s\n",
              text_counted(tally->n_running, "trial").s);
  return ERR_OK;
}

/* -- choosing ---------------------------------------------------------------------- */

Err tidy_choose(Asking *asking, Json **out, Fault *fault) {
  int64_t n_all = 0;
  Json *rows = NULL, *there = json_list();
  Err err = query_ask(asking->index, QUERY_TRIALS, &asking->query, &rows, &n_all,
                      fault);
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    const Json *row = json_item(rows, i);
    if (json_int(row, "attempts") > 0 ||
        strcmp(json_text(row, "state"), "pending") != 0)
      json_push(there, json_share((Json *)row));
  }
  json_free(rows);
  *out = there;
  return err || n_all ? err : asking_tell_misses(asking, fault);
}

Err tidy_trials(const QueryCall *call, const char *experiment, const Json *rows,
                TrialAction action, Tally *tally, Fault *fault) {
  Store store;
  Err err = store_open(&store, call->runs, experiment, false, fault);
  if (err) return err;
  for (int64_t i = 0; !err && i < json_count(rows); i++) {
    bool done = false;
    Fault own = {0};
    const char *id = json_text(json_item(rows, i), "id");
    if (!name_is_trial(id)) continue;
    Err acted = action(&store, id, &done, &own);
    err = tally_note(tally, acted, done, &own, fault);
  }
  store_close(&store);
  return err;
}

/* -- retry ------------------------------------------------------------------------- */

static bool filters_state(const Filter *filter) {
  for (int i = 0; i < filter->n; i++)
    if (strcmp(filter->v[i].key, "state") == 0) return true;
  return false;
}

/* Runs of a plain script, which nothing runs again but its next call. */
static Err refuse_plain(const char *name, const Json *rows, Fault *fault) {
  int64_t n = json_count(rows);
  for (int64_t i = 0; i < n; i++)
    if (name_is_trial(json_text(json_item(rows, i), "id"))) return ERR_OK;
  if (n == 0) return ERR_OK;
  return fault_set(fault, ERR_USAGE,
                   "retry: %s has runs of a plain script alone, which runs whenever it "
                   "is called; allowed: an experiment",
                   name);
}

static Err retry_trials(Asking *asking, const QueryCall *call, Fault *fault) {
  Filter *filter = &asking->query.filter;
  TrialAction action = query_call_option(call, "--dry-run") ? store_try : store_reset;
  Tally tally = {0};
  Json *rows = NULL;
  Err err = ERR_OK;
  if (!filters_state(filter) || query_call_option(call, "--failed"))
    err = filter_add(filter, "state=failed", fault);
  if (!err) err = tidy_choose(asking, &rows, fault);
  if (!err) err = refuse_plain(asking->query.experiment, rows, fault);
  if (!err)
    err = tidy_trials(call, asking->query.experiment, rows, action, &tally, fault);
  json_free(rows);
  if (!err) err = tidy_tell(call, "to be run again", &tally, NULL, fault);
  if (!err && tally.n_done && !call->json)
    err_print("the script, run as before, runs them: their earlier attempts are "
              "kept\n");
  return err ? err : tally_end(&tally, fault);
}

static Err run_retry(const QueryCall *call, Fault *fault) {
  Asking asking;
  Err err = asking_begin(&asking, call, true, fault);
  if (!err) err = retry_trials(&asking, call, fault);
  asking_end(&asking);
  return err;
}

static const QueryOption retry_options[] = {
    {"--failed", NULL, "the failed ones (so it is without a filter on the state)"},
    {"--dry-run", NULL, "only count them"},
    {NULL, NULL, NULL}};

const QueryCommand command_retry = {
    .name = "retry", .usage = "experiment [filters]", .json = true,
    .doc = "Marks failed trials, or those that fit the filters, to be run again.",
    .details = "Every attempt stays: results as result-<n>.json, times and messages "
               "in\n"
               "meta.json. retry NAME state=diverged does it for diverged ones.",
    .options = retry_options, .run = run_retry};
