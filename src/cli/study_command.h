/* study_command.h: the command that an experiment was run with last. */
#ifndef CLI_STUDY_COMMAND_H
#define CLI_STUDY_COMMAND_H

#include "base/fault.h"

/* How an experiment was run last, out of its experiment.json. */
typedef struct StudyRecall {
  char *script;
  int n_words;
  char **words;
} StudyRecall;

/* ERR_USAGE where there is no such experiment in `runs` (the nearest is named). */
Err study_command_recall(StudyRecall *out, const char *runs, const char *name,
                         Fault *fault) WARN_UNUSED;
/* ERR_USAGE, with the command that runs it, where the script is there and not one of
 * the user's own tree: records may come from anybody, and name any script. */
Err study_command_check_script(const StudyRecall *recall, const char *runs,
                               const char *name, Fault *fault) WARN_UNUSED;
void study_command_recall_deinit(StudyRecall *recall);

#endif
