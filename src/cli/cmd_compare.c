/* cmd_compare.c: the command compare: what a study says, from its records, as at the
 * end of a run. */
#include "base/out.h"
#include "cli/asking.h"
#include "lab/study_compare.h"
#include "nn/metric.h"
#include <string.h>

/* Every complete trial has it, so one is enough. "values.loss", as in filters, is
 * "loss". */
static Err find_metric(const Study *study, const char **metric, Fault *fault) {
  enum { NAMES = 256 };
  static const char kind[] = "values.";
  const char *names[NAMES];
  int n = 0;
  if (strncmp(*metric, kind, sizeof kind - 1) == 0) *metric += sizeof kind - 1;
  for (int64_t i = 0; i < study->n_trials; i++) {
    const Json *values = study->trials[i].info.values;
    if (study->trials[i].info.state != TRIAL_COMPLETE || !values) continue;
    if (json_find(values, *metric)) return ERR_OK;
    for (void *it = n ? NULL : json_first(values); it && n < NAMES;
         it = json_next(values, it))
      names[n++] = json_key(it);
  }
  if (!n)
    return fault_set(fault, ERR_USAGE, "%s has no complete trial yet", study->name);
  const char *nearest = text_nearest(*metric, names, n);
  if (nearest)
    return fault_set(fault, ERR_USAGE,
                     "no complete trial has a value \"%s\"; did you mean "
                     "\"%s\"?",
                     *metric, nearest);
  Text list = {0};
  for (int i = 0; i < n; i++) text_addf(&list, "%s%s", i ? ", " : "", names[i]);
  fault_set(fault, ERR_USAGE, "no complete trial has a value \"%s\"; there are: %s",
            *metric, list.data ? list.data : "");
  text_deinit(&list);
  return fault->code;
}

/* What a name says of which way is better, unless the plan says it of its metric, and
 * of the range of values. */
static void name_measure(const Study *study, StudyQuestion *question) {
  static const CompareGoal max = COMPARE_MAX, min = COMPARE_MIN;
  NamedMeasure named = measure_named(question->metric);
  question->low = named.low;
  question->high = named.high;
  bool planned = strcmp(question->metric, study->metric) == 0 &&
                 json_find(study->plan, "metric_goal");
  if (question->goal || planned || named.goal == GOAL_NONE) return;
  question->goal = named.goal == GOAL_MAX ? &max : &min;
}

/* A plan of a version that did not write the range. */
static void add_range(Json *plan) {
  const char *report = NULL;
  if (json_find(plan, "range") || !json_find_text(plan, "report", &report)) return;
  NamedMeasure named = measure_named(report);
  if (!(named.low < named.high)) return;
  Json *range = json_list();
  json_push_number(range, named.low);
  json_push_number(range, named.high);
  json_put(plan, "range", range);
}

/* NULL in *out where it was not given. */
static Err read_goal(const QueryCall *call, const CompareGoal **out, Fault *fault) {
  static const CompareGoal max = COMPARE_MAX, min = COMPARE_MIN;
  const char *text = query_call_option(call, "--goal");
  *out = NULL;
  if (!text) return ERR_OK;
  if (strcmp(text, "max") == 0) *out = &max;
  else if (strcmp(text, "min") == 0) *out = &min;
  else
    return fault_set(fault, ERR_USAGE, "compare: --goal %s: allowed: max, min", text);
  return ERR_OK;
}

static Err compare(const QueryCall *call, const Study *study, Fault *fault) {
  StudyQuestion question = {.metric = query_call_option(call, "--metric"),
                            .bootstrap = query_call_option(call, "--bootstrap")};
  Compare *compared = NULL;
  Doc doc = {0};
  Err err = read_goal(call, &question.goal, fault);
  if (!err && question.metric) err = find_metric(study, &question.metric, fault);
  if (!err && question.metric && strcmp(question.metric, study->report) != 0)
    name_measure(study, &question);
  if (!err) err = study_compare(study, &question, &compared, fault);
  if (!err && call->json) {
    Json *answer = compare_json(compared);
    json_put(answer, "notes", study_notes(study));
    err = out_json(answer, fault);
  } else if (!err) {
    study_result_doc(study, compared, query_call_option(call, "--long") != NULL, &doc);
    err = page_print(query_call_option(call, "--format"), &doc, fault);
  }
  doc_deinit(&doc);
  compare_free(compared);
  return err;
}

/* Takes the plan. */
static Err compare_plan(const QueryCall *call, Index *index, Json *plan, Fault *fault) {
  Study study;
  Err err = study_open(&study, plan, json_find(plan, "seeds"), call->runs, false,
                       fault);
  if (err) return err;
  err = study_look_up(&study, index, fault);
  if (!err) err = compare(call, &study, fault);
  study_close(&study);
  return err;
}

static Err run_compare(const QueryCall *call, Fault *fault) {
  if (call->n_words != 1)
    return fault_set(fault, ERR_USAGE,
                     "compare: allowed: the name of one experiment; runner ls lists "
                     "them");
  const char *name = call->words[0];
  Index *index = NULL;
  Json *plan = NULL;
  Err err = asking_check_experiment(call->runs, name, fault);
  if (!err) err = asking_read_plan(call->runs, name, &plan, fault);
  if (!err && !plan)
    err = fault_set(fault, ERR_USAGE,
                    "%s/%s is of a plain script; only the trials of an experiment{} "
                    "are compared",
                    call->runs, name);
  if (err) return err;
  json_put_text(plan, "name", name); /* of a copy: the directory's */
  add_range(plan);
  err = index_open(&index, call->runs, fault);
  if (!err) err = index_refresh(index, name, fault);
  if (err) json_free(plan);
  else err = compare_plan(call, index, plan, fault);
  index_close(index);
  return err;
}

static const QueryOption compare_options[] = {
    {"--metric", "NAME", "another value than the one that the study reports"},
    {"--goal", "GOAL", "max or min: which way is better; follows from names of "
                       "metrics and losses"},
    {"--long", NULL, "with the tests, what each factor explains, and what both assume"},
    QUERY_FORMAT,
    {"--bootstrap", NULL, "intervals by bootstrap-t where there are seeds enough"},
    {NULL, NULL, NULL}};

const QueryCommand command_compare = {
    .name = "compare", .usage = "experiment", .json = true,
    .doc = "Says what a study shows so far: a verdict, cells, factors, contrasts.",
    .details =
        "What is decided comes first, then the cells, what is open and what limits "
        "it; --long\n"
        "gives all numbers behind it. A contrast is decided by the paired t test over\n"
        "its seeds, four at least, with Holm's correction for the number of "
        "contrasts;\n"
        "it is equivalent where the interval lies within the script's rope. p flip,\n"
        "beside it, is the sign-flip test, which assumes no distribution. Where the "
        "two\n"
        "differ in their share of runs that failed, diverged or learned nothing, or "
        "one\n"
        "seed makes most of the difference, the verdict is one on typical runs. Seeds\n"
        "that are added when there are results make another look, and the level of "
        ".05\n"
        "is shared by the looks.",
    .options = compare_options, .run = run_compare};
