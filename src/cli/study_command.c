/* study_command.c: `resume`: the command that an experiment was run with last. */
#include "cli/study_command.h"
#include "base/file.h"
#include "cli/asking.h"
#include "lab/script.h"
#include <stdlib.h>
#include <string.h>

void study_command_recall_deinit(StudyRecall *recall) {
  for (int i = 0; recall->words && i < recall->n_words; i++) free(recall->words[i]);
  free(recall->words);
  free(recall->script);
  *recall = (StudyRecall){0};
}

static Err find_plan(const char *runs, const char *name, Json **out, Fault *fault) {
  Fault unknown = {0};
  if (asking_check_experiment(runs, name, &unknown))
    return fault_set(fault, ERR_USAGE, "resume: %s", unknown.text);
  if (asking_read_plan(runs, name, out, fault) || *out) return fault->code;
  return fault_set(fault, ERR_USAGE,
                   "resume: %s/%s is of a plain script; only an experiment{} goes on",
                   runs, name);
}

static Err take(StudyRecall *out, const Json *plan, const char *name, Fault *fault) {
  const Json *words = json_find(plan, "words");
  const char *text = json_text(plan, "name");
  if (strcmp(text, name) != 0)
    return fault_set(fault, ERR_USAGE,
                     "resume: %s is a copy of %s, and its script would go on with "
                     "that: resume %s, or run the script with another name",
                     name, text, text);
  if (!json_find_text(plan, "script", &text))
    return fault_set(fault, ERR_USAGE, "resume: %s was not run from a script", name);
  int n = (int)json_count(words);
  out->script = text_copy(text);
  out->words = calloc((size_t)n + 1, sizeof *out->words);
  bool whole = out->script && out->words;
  for (; whole && out->n_words < n; out->n_words++) {
    (void)!json_get_text(json_item(words, out->n_words),
                         &text); /* it is: plan_file.h */
    out->words[out->n_words] = text_copy(text);
    whole = out->words[out->n_words] != NULL;
  }
  return whole ? ERR_OK : fault_memory(fault, 0);
}

Err study_command_recall(StudyRecall *out, const char *runs, const char *name,
                         Fault *fault) {
  Json *plan = NULL;
  *out = (StudyRecall){0};
  Err err = find_plan(runs, name, &plan, fault);
  if (!err) err = take(out, plan, name, fault);
  json_free(plan);
  if (err) study_command_recall_deinit(out);
  return err;
}

/* Adds it behind a blank, as a shell reads it back: it may come from anybody, too. */
static void add_word(Text *command, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=,:-";
  bool quote = !*word || word[strspn(word, plain)] != 0;
  text_add(command, quote ? " '" : " ");
  for (; *word; word++) {
    if (*word == '\'') text_add(command, "'\\''");
    else text_add_bytes(command, word, 1);
  }
  if (quote) text_add(command, "'");
}

Err study_command_check_script(const StudyRecall *recall, const char *runs,
                               const char *name, Fault *fault) {
  Text command = {0};
  if (!file_exists(recall->script) || script_is_of_tree(recall->script, runs))
    return ERR_OK;
  if (strcmp(runs, "runs") != 0) text_add(&command, " --runs");
  if (strcmp(runs, "runs") != 0) add_word(&command, runs);
  add_word(&command, recall->script);
  for (int i = 0; i < recall->n_words; i++) add_word(&command, recall->words[i]);
  fault_set(fault, ERR_USAGE,
            "resume: the records of %s name the script %s, which is not in the "
            "tree of this directory, or is among records: records may come from "
            "anybody, a script does what it likes. If it is to run: runner%s",
            name, recall->script, command.data ? command.data : "");
  text_deinit(&command);
  return fault->code;
}
