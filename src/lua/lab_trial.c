/* lab_trial.c: a trial of a study in a session: how it begins, how it ends, what its
 * final weights are.
 *
 * What must hold: a trial's results are the same in a fresh Lua state as in one in
 * which other trials ran before. So at its begin streams, numbers of nets and fits,
 * results and the hash of weights are put to where the script's own beginning left
 * them. */
#include "lua/lab.h"
#include "lua/checkpoints.h"
#include "lua/interrupt.h"
#include "lua/sources.h"
#include "base/out.h"
#include "base/sys.h"
#include "graph/op.h"
#include <stdlib.h>

void trial_enter(Session *s, Trial *record) {
  s->record->of_study = record;
  s->resume.directory = record ? record->directory : NULL;
  s->resume.period_s = CHECKPOINT_S;
  s->screen.quiet = s->in_trial = true;
  s->record->begun = false;
  run_record_clear_results(s->record);
  s->graph.count = s->record->script_count;
  sha256_begin(&s->record->weights);
}

/* -- the hash of the final weights ------------------------------------------------- */

static Err add_variable(Session *s, Variable *v, const char *name, Fault *fault) {
  if (!v->has_value) return ERR_OK;
  int scope = graph_scope_begin(&s->graph);
  Node *read = variable_read(&s->graph, v);
  Err err = read ? graph_eval(&s->graph, &read, 1) : ERR_OK;
  if (!read || err) err = graph_ok(&s->graph, fault);
  if (!err) {
    const Tensor *t = node_value(read);
    char head[512];
    int n = snprintf(head, sizeof head, "%s:%s:%lld\n", name ? name : "",
                     dtype_name(t->a.dtype), (long long)tensor_count(t));
    sha256_add(&s->record->weights, head,
               n < (int)sizeof head ? (size_t)n : sizeof head - 1);
    sha256_add(&s->record->weights, t->a.data,
               (size_t)tensor_count(t) * dtype_bytes(t->a.dtype));
  }
  graph_scope_end(&s->graph, scope);
  return err;
}

Err session_add_variables(Session *s, const StateList *list, Fault *fault) {
  Err err = ERR_OK;
  for (int i = 0; !err && i < list->n; i++)
    err = add_variable(s, list->v[i], state_name(list, i), fault);
  return err;
}

Err session_add_net(Session *s, Layer *net, Fault *fault) {
  StateList list;
  if (layer_state(net, &list, fault)) return fault->code;
  interrupt_hold(); /* a signal that comes now finds a trial that is done */
  Err err = session_add_variables(s, &list, fault);
  interrupt_release();
  state_deinit(&list);
  return err;
}

/* -- the end ----------------------------------------------------------------------- */

/* What is held in memory of checkpoints is for the next attempt. */
static JobOutcome give_back(Session *s, Trial *claim, const Fault *fault,
                            JobOutcome outcome) {
  Fault storage = {0};
  if (claim && session_keep_checkpoints(s, &storage))
    err_print("warning: the trial will start over: %s\n", storage.text);
  if (claim) store_release(claim, fault->text);
  return outcome;
}

/* Published: its checkpoints are of no more use. */
static Err publish(Trial *claim, const TrialEnd *end, Fault *fault) {
  bool first;
  char *directory = text_copy(claim->directory);
  Err err = store_publish(claim, end, &first, fault);
  if (!err && directory) checkpoints_remove(directory);
  free(directory);
  return err;
}

/* Once asked to stop, a trial is interrupted, whatever its function made of that: what
 * it returned may be of a fit that was cut off. */
static void check_interrupted(Fault *fault) {
  if (!interrupt_pending() || fault->code == ERR_INTERRUPT ||
      fault->code == ERR_STORAGE)
    return;
  fault_clear(fault);
  fault_set(fault, ERR_INTERRUPT, "interrupted");
}

static JobOutcome trial_leave(Session *s, Trial *claim, Fault *fault, TrialEnd *end) {
  static const char no_experiment[] = "the script ended without its experiment";
  s->record->of_study = NULL;
  s->screen.quiet = s->in_trial = false;
  check_interrupted(fault);
  bind_end_interrupted_trial(s);
  if (!fault->code && !s->record->begun)
    fault_set(fault, ERR_SCRIPT, "%s", no_experiment);
  sha256_end(&s->record->weights, s->record->weights_text);
  *end = trial_end_of(fault, s->record->results);
  end->rows = s->record->rows;
  end->weights = s->record->weights_text;
  JobOutcome outcome = JOB_ENDED;
  Fault storage = {0};
  if (fault->code == ERR_INTERRUPT) outcome = give_back(s, claim, fault, JOB_STOPPED);
  else if (fault->code == ERR_STORAGE && claim)
    outcome = give_back(s, claim, fault, JOB_STORAGE);
  else if (claim && publish(claim, end, &storage)) {
    *fault = storage; /* for lack of memory it is the trial that is to blame */
    outcome = give_back(s, claim, fault,
                        storage.code == ERR_MEMORY ? JOB_STOPPED : JOB_STORAGE);
  }
  session_forget_checkpoints(s);
  s->resume.directory = NULL;
  return outcome;
}

/* -- the whole --------------------------------------------------------------------- */

static Err open_record(const Session *s, const TrialRun *run, Fault *fault) {
  Trial *record = run->claim;
  run_record_describe(s, record->meta);
  json_put_all(record->meta, run->meta);
  json_put_text(record->meta, "fingerprint", run->fingerprint);
  return fault->code ? fault->code : trial_open(record, fault);
}

JobOutcome trial_run(Session *s, lua_State *L, const TrialRun *run, TrialEnd *end,
                     Fault *fault) {
  Trial *claim = run->claim;
  if (s->sources) sources_begin(s->sources);
  trial_enter(s, claim);
  if (claim) (void)!open_record(s, run, fault);
  if (!fault->code) run->body(L, run->ctx, fault);
  if (L && fault->code) lua_gc(L, LUA_GCCOLLECT); /* what it held may be all memory */
  if (claim && s->sources) sources_note(s->sources, claim->meta);
  return trial_leave(s, claim, fault, end);
}
