/* experiment.json that is cut, incomplete or edited by hand. */
#include "lab/plan_file.h"
#include "tempdir.h"
#include "test.h"
#include <sys/stat.h>

static const char *directory_with(const char *text) {
  static char directory[256];
  char path[300];
  snprintf(directory, sizeof directory, "%s", temp_path("plan"));
  mkdir(directory, 0777);
  snprintf(path, sizeof path, "%s/experiment.json", directory);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  return directory;
}

static void check_refused(const char *text, const char *want) {
  Fault fault = {0}, again = {0};
  Planned planned;
  const char *directory = directory_with(text);
  assert_null(plan_file_read(directory, &fault));
  assert_int_equal(fault.code, ERR_STORAGE);
  if (!strstr(fault.text, "/plan/experiment.json") || !strstr(fault.text, want))
    fail_msg("no \"%s\" in: %s", want, fault.text);
  assert_int_equal(plan_file_open(&planned, directory, &again), ERR_STORAGE);
}

TEST(a_plan_without_its_lists_is_refused) {
  check_refused("{}", "\"cells\" is missing");
  check_refused("[]", "is JSON, but no map");
  check_refused("{\"cells\": []}", "\"seeds\" is missing");
  check_refused("{\"cells\": 3}",
                "\"cells\" is something else, allowed: a list of maps");
  check_refused("{\"cells\": [3]}", "\"cells\"");
  check_refused("{\"cells\": {\"a\": \"b\"}}", "\"cells\"");
  check_refused("{\"cells\": [], \"seeds\": [\"x\"]}", "\"seeds\"");
  check_refused("{\"cells\": [], \"seeds\": [1.5]}", "\"seeds\"");
  check_refused("{\"cells\": [], \"seeds\": []}", "\"factors\" is missing");
  check_refused("{\"cells\": [], \"seeds\": [], \"factors\": [{\"name\": \"a\"}]}",
                "\"factors\"");
  check_refused("{\"cells\": [], \"seeds\": [], \"factors\": [{\"levels\": []}]}",
                "\"factors\"");
  check_refused("{\"cells\": [{", "");
  check_refused("", "");
}

#define NAMED "\"name\": \"n\", \"metric\": \"m\", \"report\": \"m\", \"goal\": \"max\""

/* Whoever reads it makes room for all the trials. */
TEST(a_plan_of_too_many_trials_is_refused) {
  Text text = {0};
  text_add(&text, "{\"cells\": [{}");
  for (int i = 1; i < 1001; i++) text_add(&text, ", {}");
  text_add(&text, "], \"seeds\": [1");
  for (int i = 1; i < 1000; i++) text_add(&text, ", 1");
  text_add(&text, "], \"factors\": {}, " NAMED "}");
  check_refused(text.data, "asks for 1001000 trials, allowed: up to 1000000");
  text_deinit(&text);
}

TEST(what_may_lack_must_be_a_list_where_it_is) {
#define WHOLE "{\"cells\": [], \"seeds\": [], \"factors\": {}, "
  check_refused(WHOLE "\"contrasts\": [[{}]]}", "\"contrasts\"");
  check_refused(WHOLE "\"contrasts\": [[{}, 3]]}", "\"contrasts\"");
  check_refused(WHOLE "\"skipped\": \"all\"}", "\"skipped\"");
  check_refused(WHOLE "\"others\": [3]}", "\"others\"");
  check_refused(WHOLE "\"words\": [1]}", "\"words\"");
  check_refused(WHOLE NAMED ", \"script\": []}", "\"script\" is something else");
  check_refused(WHOLE NAMED ", \"tuned\": {\"names\": 3}}", "\"names\"");
  check_refused(WHOLE NAMED ", \"tuned\": []}",
                "\"tuned\" is something else, allowed: a map");
  check_refused(WHOLE NAMED ", \"args\": []}", "\"args\" is something else");
  check_refused(WHOLE NAMED ", \"baseline\": 1}", "\"baseline\" is something else");
  check_refused(WHOLE NAMED ", \"kept_code\": []}", "\"kept_code\" is something else");
  check_refused(WHOLE NAMED ", \"kept_code\": {\"f00d\": []}}", "\"kept_code\"");
  check_refused(WHOLE NAMED ", \"others\": [\"../0123456789abcdef-s1\"]}",
                "\"others\"");
}

TEST(what_is_compared_must_be_said) {
  check_refused(WHOLE "\"name\": \"n\"}", "\"metric\" is missing, allowed: text");
  check_refused(WHOLE "\"name\": \"n\", \"metric\": \"m\", \"report\": 3}",
                "\"report\" is something else, allowed: text");
  check_refused(WHOLE "\"name\": \"n\", \"metric\": \"m\", \"report\": \"m\"}",
                "\"goal\" is missing");
  check_refused(WHOLE "\"name\": \"n\", \"metric\": \"m\", \"report\": \"m\", "
                      "\"goal\": \"sideways\"}",
                "\"goal\" is something else, allowed: max or min");
}

TEST(a_whole_plan_is_read_and_one_that_is_not_there_is_no_fault) {
  Fault fault = {0};
  assert_null(plan_file_read(temp_path("nowhere"), &fault));
  assert_int_equal(fault.code, ERR_OK);
  Json *plan = plan_file_read(directory_with("{\"cells\": [{\"a\": \"x\"}], \"seeds\": "
                                             "[1, 2], \"factors\": [{\"name\": \"a\", "
                                             "\"levels\": [\"x\"]}], \"contrasts\": "
                                             "{}, " NAMED "}"),
                              &fault);
  assert_non_null(plan);
  assert_int_equal(json_count(json_find(plan, "seeds")), 2);
  json_free(plan);
}
