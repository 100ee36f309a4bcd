/* A study's trials: their order, what becomes of each, changed code; lines of the link
 * between coordinator and worker; the sharing of cores. Nothing runs here. */
#include "base/file.h"
#include "base/path.h"
#include "lab/study_compare.h"
#include "lab/study_link.h"
#include "lab/study_pool.h"
#include "lab/study_progress.h"
#include "tempdir.h"
#include "test.h"
#include <sys/socket.h>
#include <unistd.h>

enum { CELLS = 3, SEEDS = 2 };
static const char *const level[CELLS] = {"relu", "tanh", "swish"};

static Json *plan(void) {
  Json *p = json_map(), *cells = json_list(), *seeds = json_list(),
       *factors = json_list();
  Json *factor = json_map(), *levels = json_list();
  for (int i = 0; i < CELLS; i++) {
    Json *cell = json_map();
    json_put_text(cell, "activation", level[i]);
    json_push(cells, cell);
    json_push_text(levels, level[i]);
  }
  for (int k = 1; k <= SEEDS; k++) json_push_int(seeds, 10 * k);
  json_put_text(factor, "name", "activation");
  json_put(factor, "levels", levels);
  json_push(factors, factor);
  json_put_text(p, "name", "unit");
  json_put_text(p, "metric", "loss");
  json_put_text(p, "report", "loss");
  json_put_text(p, "goal", "min");
  json_put(p, "factors", factors);
  json_put(p, "seeds", seeds);
  json_put(p, "cells", cells);
  return p;
}

static Study open_study(const char *runs, const char *fingerprint) {
  Study s;
  Fault fault = {0};
  Json *p = plan(), *prints = json_list();
  for (int i = 0; i < CELLS; i++) json_push_text(prints, fingerprint);
  Json *seeds = json_share(json_find(p, "seeds"));
  json_put(p, "fingerprints", prints);
  if (study_open(&s, p, seeds, runs, runs != NULL, &fault)) fail_msg("%s", fault.text);
  if (study_look(&s, &fault)) fail_msg("%s", fault.text);
  json_free(seeds);
  return s;
}

static void finish(Study *s, int64_t trial, TrialState state, double loss) {
  Fault fault = {0};
  Json *values = json_map();
  json_put_number(values, "loss", loss);
  TrialEnd end = {.state = state, .step = -1, .values = values};
  assert_int_equal(study_outcome(s, trial, &end, 1, &fault), ERR_OK);
  json_free(values);
}

/* `small` alone does not tell what is small. */
TEST(a_level_that_two_factors_have_is_told_with_its_factor) {
  static const char json[] = "{\"factors\":[{\"name\":\"encoder\",\"levels\":["
                             "\"small\",\"large\"]},"
                             "{\"name\":\"decoder\",\"levels\":[\"small\",\"wide\"]}],"
                             "\"cells\":[{\"encoder\":\"small\",\"decoder\":\"wide\"},"
                             "{\"encoder\":\"large\",\"decoder\":\"small\"}]}";
  Study s;
  Fault fault = {0};
  Text out = {0};
  Json *p = json_parse(json, sizeof json - 1, &fault);
  assert_non_null(p);
  assert_int_equal(study_open(&s, p, NULL, NULL, false, &fault), ERR_OK);
  study_cell_text(&s, 0, &out);
  text_add(&out, "; ");
  study_cell_text(&s, 1, &out);
  assert_string_equal(out.data, "encoder=small, wide; large, decoder=small");
  text_deinit(&out);
  study_close(&s);
}

TEST(seed_by_seed_and_counted) {
  Study s = open_study(NULL, "a");
  double mean = 0;
  int n = 0;
  assert_int_equal(s.n_trials, CELLS * SEEDS);
  assert_int_equal(study_best(&s, &mean, &n), -1);
  for (int64_t i = 0; i < s.n_trials; i++) {
    assert_int_equal(study_next(&s), i);
    assert_int_equal(s.trials[i].info.seed, 10 * (1 + i / CELLS));
    assert_int_equal(s.trials[i].cell, i % CELLS);
    finish(&s, i, i == 4 ? TRIAL_FAILED : TRIAL_COMPLETE, 3.0 - (double)(i % CELLS));
  }
  assert_int_equal(study_next(&s), -1);
  assert_int_equal(s.n_done, 5);
  assert_int_equal(s.n_failed, 1);
  assert_int_equal(s.n_left, 0);
  assert_int_equal(study_best(&s, &mean, &n), 2);
  assert_true(mean == 1.0 && n == 2);
  study_close(&s);
}

TEST(put_back_is_next_again) {
  Study s = open_study(NULL, "a");
  for (int i = 0; i < 4; i++) assert_int_equal(study_next(&s), i);
  study_put_back(&s, 1, true);
  assert_int_equal(study_next(&s), 1);
  study_put_back(&s, 2, false); /* left for another time */
  assert_int_equal(study_next(&s), 4);
  assert_int_equal(study_next(&s), 5);
  assert_int_equal(study_next(&s), -1);
  assert_int_equal(s.n_left, CELLS * SEEDS);
  study_close(&s);
}

/* The first trial is run by a claim, as a worker does. */
static void run_first(Study *s, const char *fingerprint, bool publish) {
  Fault fault = {0};
  Trial claim;
  bool claimed, first;
  int64_t i = study_next(s);
  const StudyTrial *t = &s->trials[i];
  Json *values = json_map();
  json_put_number(values, "loss", 0.5);
  assert_int_equal(store_claim(&s->store, t->info.id, s->cells[t->cell].config,
                               t->info.seed, &claim, &claimed, &fault),
                   ERR_OK);
  assert_true(claimed);
  json_put_text(claim.meta, "fingerprint", fingerprint);
  assert_int_equal(trial_open(&claim, &fault), ERR_OK);
  TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .values = values};
  if (publish) assert_int_equal(store_publish(&claim, &end, &first, &fault), ERR_OK);
  else store_release(&claim, "stopped");
  assert_int_equal(study_look_at(s, i, &fault), ERR_OK);
  json_free(values);
}

/* With rows of its shares and hashes of its data, as sessions put them into meta.json.
 */
static void run_next(Study *s, TrialState state, const char *data_hash) {
  Fault fault = {0};
  Trial claim;
  bool claimed, first;
  const StudyTrial *t = &s->trials[study_next(s)];
  Json *values = json_map(), *rows = json_map(), *data = json_map();
  json_put_number(values, "loss", 0.25 * (double)t->info.seed);
  json_put_number(values, "bad", NAN);
  json_put_int(rows, "loss", 40);
  json_put_text(data, "moons", data_hash);
  assert_int_equal(store_claim(&s->store, t->info.id, s->cells[t->cell].config,
                               t->info.seed, &claim, &claimed, &fault),
                   ERR_OK);
  assert_true(claimed);
  json_put_text(claim.meta, "fingerprint", "b");
  json_put(claim.meta, "data", data);
  TrialEnd end = {.state = state, .step = -1, .values = values, .rows = rows,
                  .message = state == TRIAL_COMPLETE ? NULL : "no luck\nat all"};
  assert_int_equal(trial_open(&claim, &fault), ERR_OK);
  assert_int_equal(store_publish(&claim, &end, &first, &fault), ERR_OK);
  json_free(values);
  json_free(rows);
}

/* The index knows no order of keys. */
static void check_json(const Json *left_json, const Json *right_json) {
  Text left = {0}, right = {0};
  Fault fault = {0};
  Json *a = json_canonical(left_json), *b = json_canonical(right_json);
  if (a) assert_int_equal(json_write(a, 0, &left, &fault), ERR_OK);
  if (b) assert_int_equal(json_write(b, 0, &right, &fault), ERR_OK);
  assert_string_equal(left.data ? left.data : "", right.data ? right.data : "");
  text_deinit(&left);
  text_deinit(&right);
  json_free(a);
  json_free(b);
}

static void check_same(const StudyTrial *a, const StudyTrial *b) {
  const TrialInfo *x = &a->info, *y = &b->info;
  assert_string_equal(x->id, y->id);
  assert_string_equal(trial_state_name(x->state), trial_state_name(y->state));
  assert_string_equal(x->digest, y->digest);
  assert_string_equal(x->fingerprint, y->fingerprint);
  assert_string_equal(x->message ? x->message : "", y->message ? y->message : "");
  assert_true(x->seed == y->seed && x->seconds == y->seconds);
  assert_true(x->damaged == y->damaged && x->attempts == y->attempts);
  assert_true(a->foreign == b->foreign && a->other_data == b->other_data);
  /* before its end a trial has no values; an index has an empty map of them */
  if (x->values || json_count(y->values)) check_json(x->values, y->values);
  if (x->rows || json_count(y->rows)) check_json(x->rows, y->rows);
}

/* Complete, failed, damaged, diverged on other data, not begun. */
TEST(a_study_reads_the_same_off_its_directories_and_the_index) {
  Fault fault = {0};
  Index *index = NULL;
  Study by_index = open_study(NULL, "a"), s = open_study(temp_path("indexed"), "a");
  study_close(&by_index);
  run_next(&s, TRIAL_COMPLETE, "1");
  run_next(&s, TRIAL_FAILED, "1");
  run_next(&s, TRIAL_COMPLETE, "1");
  run_next(&s, TRIAL_DIVERGED, "2");
  Path cut = path_of("%s/%s/result.json", s.store.trials, s.trials[2].info.id);
  assert_int_equal(truncate(cut.s, 9), 0);
  study_close(&s);
  s = open_study(temp_path("indexed"), "a");
  by_index = open_study(temp_path("indexed"), "a");
  assert_int_equal(study_write_plan(&s, false, &fault), ERR_OK);
  assert_int_equal(index_open(&index, temp_path("indexed"), &fault), ERR_OK);
  assert_int_equal(index_refresh(index, "unit", &fault), ERR_OK);
  if (study_look_up(&by_index, index, &fault)) fail_msg("%s", fault.text);
  assert_true(s.trials[2].info.damaged && s.trials[3].other_data);
  assert_true(s.trials[0].foreign);
  for (int64_t i = 0; i < s.n_trials; i++)
    check_same(&s.trials[i], &by_index.trials[i]);
  assert_true(s.n_done == by_index.n_done && s.n_failed == by_index.n_failed &&
              s.n_left == by_index.n_left && s.n_done == 2 && s.n_failed == 1);
  index_close(index);
  study_close(&s);
  study_close(&by_index);
}

static char *no_difference(void *ctx, const char *old, const char *now) {
  (void)ctx, (void)old, (void)now;
  return NULL;
}

static Err check_code(Study *s, CodeChoice choice, Fault *fault) {
  Json *listings = json_map();
  Err err = study_check_code(s, choice, listings, no_difference, NULL, fault);
  json_free(listings);
  return err;
}

TEST(other_code_is_asked_about) {
  Fault fault = {0};
  Study s = open_study(temp_path("code"), "old");
  run_first(&s, "old", true);
  assert_int_equal(s.n_done, 1);
  study_close(&s);
  s = open_study(temp_path("code"), "old");
  assert_int_equal(check_code(&s, CODE_ASK, &fault), ERR_OK);
  study_close(&s);
  s = open_study(temp_path("code"), "new");
  assert_int_equal(check_code(&s, CODE_ASK, &fault), ERR_USAGE);
  assert_non_null(strstr(fault.text, "--code=rerun"));
  fault_clear(&fault);
  assert_int_equal(check_code(&s, CODE_KEEP, &fault), ERR_OK);
  assert_true(s.trials[0].foreign && s.n_done == 1);
  assert_int_equal(check_code(&s, CODE_RERUN, &fault), ERR_OK);
  assert_int_equal(s.n_done, 0);
  assert_int_equal(study_next(&s), 0);
  study_close(&s);
}

/* As of a run with these seeds. */
static void keep_or_ask(const char *runs, const char *fingerprint, CodeChoice choice,
                        int seed, bool asks) {
  Fault fault = {0};
  Json *p = plan(), *seeds = json_list(), *prints = json_list();
  for (int i = 0; i < CELLS; i++) json_push_text(prints, fingerprint);
  json_push_int(seeds, seed);
  json_put(p, "fingerprints", prints);
  Study s;
  assert_int_equal(study_open(&s, p, seeds, runs, true, &fault), ERR_OK);
  assert_int_equal(study_look(&s, &fault), ERR_OK);
  assert_int_equal(check_code(&s, choice, &fault), asks ? ERR_USAGE : ERR_OK);
  if (!asks) assert_int_equal(study_write_plan(&s, false, &fault), ERR_OK);
  study_close(&s);
  json_free(seeds);
}

/* What is kept is named in the plan, beside which code and since when, by every next
 * run. */
TEST(what_is_kept_is_not_asked_about_again) {
  const char *runs = temp_path("keep");
  Fault fault = {0};
  Text first = {0}, again = {0};
  char file[512];
  snprintf(file, sizeof file, "%s/unit/experiment.json", runs);
  Study s = open_study(runs, "old");
  run_first(&s, "old", true);
  study_close(&s);
  keep_or_ask(runs, "new", CODE_ASK, 10, true);
  keep_or_ask(runs, "new", CODE_KEEP, 10, false);
  assert_int_equal(file_read(file, 1 << 20, &first, &fault), ERR_OK);
  assert_non_null(strstr(first.data, "kept_code"));
  keep_or_ask(runs, "new", CODE_ASK, 10, false);
  assert_int_equal(file_read(file, 1 << 20, &again, &fault), ERR_OK);
  assert_string_equal(again.data, first.data);
  keep_or_ask(runs, "new", CODE_ASK, 20, false); /* one that does not meet them */
  keep_or_ask(runs, "other", CODE_ASK, 20, false);
  keep_or_ask(runs, "new", CODE_ASK, 10, false);
  keep_or_ask(runs, "other", CODE_ASK, 10, true); /* that was not said of this code */
  s = open_study(runs, "new");
  assert_true(s.trials[0].kept && !study_is_asked_about(&s.trials[0]));
  run_first(&s, "other", true);
  study_close(&s);
  keep_or_ask(runs, "new", CODE_ASK, 10, true); /* nor of that one's results */
  keep_or_ask(runs, "new", CODE_RERUN, 10, false);
  assert_int_equal((s = open_study(runs, "new")).n_done, 0);
  run_first(&s, "old", true);
  study_close(&s);
  keep_or_ask(runs, "new", CODE_ASK, 10, true); /* rerun is the last word */
  text_deinit(&first);
  text_deinit(&again);
}

/* Whoever undoes the change after the question finds everything as it was. */
TEST(nothing_is_reset_before_the_question_is_answered) {
  Fault fault = {0};
  Study s = open_study(temp_path("asked"), "old");
  run_first(&s, "old", true);
  run_first(&s, "old", false);
  assert_int_equal(s.trials[1].info.state, TRIAL_INTERRUPTED);
  study_close(&s);
  s = open_study(temp_path("asked"), "new");
  assert_int_equal(check_code(&s, CODE_ASK, &fault), ERR_USAGE);
  assert_int_equal(s.trials[1].info.state, TRIAL_INTERRUPTED);
  fault_clear(&fault);
  assert_int_equal(check_code(&s, CODE_KEEP, &fault), ERR_OK);
  assert_int_equal(s.trials[0].info.state, TRIAL_COMPLETE);
  assert_int_equal(s.trials[1].info.state, TRIAL_PENDING);
  study_close(&s);
}

TEST(results_of_other_code_that_come_meanwhile_are_not_mixed_in) {
  Fault fault = {0};
  for (int keep = 0; keep < 2; keep++) {
    const char *runs = temp_path(keep ? "kept-together" : "not-mixed");
    Study s = open_study(runs, "old"), other = open_study(runs, "new");
    assert_int_equal(check_code(&s, keep ? CODE_KEEP : CODE_ASK, &fault), ERR_OK);
    run_first(&other, "new", true);
    assert_int_equal(study_look_at(&s, 0, &fault), keep ? ERR_OK : ERR_USAGE);
    if (!keep) assert_non_null(strstr(fault.text, "with other code"));
    fault_clear(&fault);
    study_close(&s);
    study_close(&other);
  }
}

TEST(what_failed_with_other_code_is_run_again_and_not_asked_about) {
  Fault fault = {0};
  Study s = open_study(temp_path("failed"), "old");
  Trial claim;
  bool claimed, first;
  const StudyTrial *t = &s.trials[0];
  assert_int_equal(store_claim(&s.store, t->info.id, s.cells[0].config, t->info.seed,
                               &claim, &claimed, &fault),
                   ERR_OK);
  json_put_text(claim.meta, "fingerprint", "old");
  assert_int_equal(trial_open(&claim, &fault), ERR_OK);
  TrialEnd end = {.state = TRIAL_FAILED, .step = -1, .message = "a bug"};
  assert_int_equal(store_publish(&claim, &end, &first, &fault), ERR_OK);
  study_close(&s);
  s = open_study(temp_path("failed"), "new");
  assert_int_equal(s.n_failed, 1);
  Json *notes = study_notes(&s);
  const char *note = "";
  assert_int_equal(json_count(notes), 1);
  assert_true(json_get_text(json_item(notes, 0), &note));
  assert_non_null(strstr(note, "that failed were made by other code; a run runs them "
                               "again"));
  json_free(notes);
  assert_int_equal(check_code(&s, CODE_ASK, &fault), ERR_OK);
  assert_int_equal(s.n_failed, 0);
  assert_int_equal(study_next(&s), 0);
  study_close(&s);
}

TEST(what_other_code_left_is_not_gone_on_with) {
  Fault fault = {0};
  Study s = open_study(temp_path("left"), "old");
  run_first(&s, "old", false);
  assert_int_equal(s.trials[0].info.state, TRIAL_INTERRUPTED);
  char checkpoint[512];
  snprintf(checkpoint, sizeof checkpoint,
           "%s/unit/trials/%s/checkpoint-fit1-1.safetensors", temp_path("left"),
           s.trials[0].info.id);
  FILE *file = fopen(checkpoint, "wb");
  assert_non_null(file);
  fclose(file);
  study_close(&s);
  s = open_study(temp_path("left"), "old");
  assert_int_equal(check_code(&s, CODE_ASK, &fault), ERR_OK);
  assert_int_equal(access(checkpoint, F_OK), 0);
  study_close(&s);
  s = open_study(temp_path("left"), "new");
  assert_int_equal(check_code(&s, CODE_ASK, &fault), ERR_OK);
  assert_int_equal(access(checkpoint, F_OK), -1);
  assert_int_equal(study_next(&s), 0);
  study_close(&s);
}

TEST(a_study_can_be_compared_before_it_ran) {
  Fault fault = {0};
  Study s = open_study(NULL, "a");
  Compare *compare;
  if (study_compare(&s, NULL, &compare, &fault)) fail_msg("%s", fault.text);
  assert_int_equal(compare->n_cells, CELLS);
  assert_int_equal(compare->n_contrasts, CELLS - 1);
  assert_int_equal(compare_reach(compare).n, 5); /* those planned are too few */
  compare_free(compare);
  study_close(&s);
}

/* A study of losses whose trials also give these; `rope` is of the loss. */
static Study study_of_many_measures(void) {
  static const char *const names[] = {"loss", "val_accuracy", "diff1", "cost"};
  Fault fault = {0};
  Study s = open_study(NULL, "a");
  json_put_number(s.plan, "rope", 0.1);
  for (int64_t i = 0; i < s.n_trials; i++) {
    Json *values = json_map();
    for (int k = 0; k < 4; k++)
      json_put_number(values, names[k], 0.1 * (1.0 + (double)i));
    TrialEnd end = {.state = TRIAL_COMPLETE, .step = -1, .values = values};
    assert_int_equal(study_outcome(&s, i, &end, 1, &fault), ERR_OK);
    json_free(values);
  }
  return s;
}

static Compare *compare_by(const Study *s, const char *metric, CompareGoal *goal) {
  Fault fault = {0};
  Compare *compare;
  StudyQuestion question = {.metric = metric, .goal = goal};
  if (study_compare(s, &question, &compare, &fault)) fail_msg("%s", fault.text);
  return compare;
}

TEST(another_measure_has_a_goal_of_its_own_and_no_rope) {
  Fault fault = {0};
  Study s = study_of_many_measures();
  Compare *compare = compare_by(&s, NULL, NULL);
  assert_int_equal(compare->spec.goal, COMPARE_MIN);
  assert_true(compare->spec.rope == 0.1);
  assert_int_equal(compare->order[0], 0);
  compare_free(compare);
  compare = compare_by(&s, "val_accuracy", &(CompareGoal){COMPARE_MAX});
  assert_int_equal(compare->spec.goal, COMPARE_MAX);
  assert_true(compare->spec.rope == 0);
  assert_int_equal(compare->order[0], CELLS - 1);
  compare_free(compare);
  assert_int_equal(study_compare(&s, &(StudyQuestion){.metric = "cost"}, &compare,
                                 &fault),
                   ERR_USAGE);
  assert_non_null(strstr(fault.text, "cost"));
  assert_null(compare);
  compare = compare_by(&s, "cost", &(CompareGoal){COMPARE_MAX});
  assert_int_equal(compare->spec.goal, COMPARE_MAX);
  compare_free(compare);
  study_close(&s);
}

/* The range of what is reported is in the plan, another measure's in the question;
 * values beyond it say that it is none. */
TEST(a_range_is_told_from_above) {
  Fault fault = {0};
  Study s = study_of_many_measures();
  Compare *compare = compare_by(&s, "loss", NULL);
  assert_true(compare->spec.high == 0);
  compare_free(compare);
  Json *range = json_list();
  json_push_number(range, 0);
  json_push_number(range, 10);
  json_put(s.plan, "range", range);
  compare = compare_by(&s, "loss", NULL);
  assert_true(compare->spec.low == 0 && compare->spec.high == 10);
  compare_free(compare);
  StudyQuestion question = {.metric = "val_accuracy",
                            .goal = &(CompareGoal){COMPARE_MAX}};
  question.high = 10;
  assert_int_equal(study_compare(&s, &question, &compare, &fault), ERR_OK);
  assert_true(compare->spec.high == 10);
  compare_free(compare);
  question.high = 0.3;
  assert_int_equal(study_compare(&s, &question, &compare, &fault), ERR_OK);
  assert_true(compare->spec.high == 0);
  compare_free(compare);
  study_close(&s);
}

/* What tune chooses on has a goal in the plan, too. */
TEST(the_metric_of_the_plan_has_its_goal) {
  Study s = study_of_many_measures();
  json_put_text(s.plan, "metric_goal", "max");
  s.metric = "val_accuracy";
  Compare *compare = compare_by(&s, "val_accuracy", NULL);
  assert_int_equal(compare->spec.goal, COMPARE_MAX);
  compare_free(compare);
  study_close(&s);
}

TEST(lines_of_the_link) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  Link a = {.fd = fds[0]}, b = {.fd = fds[1]};
  int64_t got;
  for (int i = 0; i < 3; i++) {
    Json *message = json_map();
    json_put_int(message, "number", i);
    assert_true(link_send(&a, message));
    json_free(message);
  }
  for (int i = 0; i < 3; i++) {
    Json *message;
    while (!(message = link_next(&b))) assert_true(link_receive(&b));
    assert_true(json_find_int(message, "number", &got) && got == i);
    json_free(message);
  }
  assert_null(link_next(&b));
  assert_int_equal(write(a.fd, "no json\n", 8), 8);
  assert_true(link_receive(&b));
  assert_null(link_next(&b));
  assert_int_equal(b.fd, -1); /* closed: it is not to be trusted */
  Json *message = json_map();
  assert_false(link_send(&a, message));
  json_free(message);
  link_close(&a);
  for (int i = 0; i < JOB_OUTCOMES; i++)
    assert_int_equal(job_outcome_parse(job_outcome_name((JobOutcome)i)), i);
  assert_int_equal(job_outcome_parse("x"), JOB_OUTCOMES);
}

TEST(cores_are_shared) {
  PoolOptions one = {.jobs = 1}, many = {.jobs = 1000}, none = {0};
  assert_false(pool_share_cores(&one));
  assert_true(one.threads >= 1);
  assert_true(pool_share_cores(&many));
  assert_int_equal(many.jobs, 1000); /* as asked, with one thread each */
  assert_int_equal(many.threads, 1);
  assert_false(pool_share_cores(&none));
  assert_true(none.jobs >= 1 && none.threads == 1);
}

TEST(durations) {
  char text[32];
  assert_string_equal(study_duration_text(3.24, text), "3.2 s");
  assert_string_equal(study_duration_text(59.4, text), "59 s");
  assert_string_equal(study_duration_text(725, text), "12 min 5 s");
  assert_string_equal(study_duration_text(7260, text), "2 h 1 min");
}
