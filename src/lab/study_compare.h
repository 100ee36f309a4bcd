/* study_compare.h: from a study's trials to what they say (compare.h), and its
 * printing. */
#ifndef LAB_STUDY_COMPARE_H
#define LAB_STUDY_COMPARE_H

#include "lab/compare.h"
#include "lab/study.h"

/* What is asked besides the plan's own question. */
typedef struct StudyQuestion {
  const char *metric;      /* NULL: the measure that the plan reports */
  const CompareGoal *goal; /* NULL: the plan's; of another metric ERR_USAGE */
  double low, high;        /* range of another metric; equal: not known */
  bool bootstrap;
} StudyQuestion;

/* Compares the trials as they were last looked at. `question` may be NULL. Another
 * metric has no rope: the plan's is in units of what is reported. Returns new; the
 * study must outlive it. */
Err study_compare(const Study *study, const StudyQuestion *question, Compare **out,
                  Fault *fault) WARN_UNUSED;

/* The end of a run: what is decided and what is not, the cells, cautions; then trials
 * that failed, and results of other code that were kept. `whole`: with all tables and
 * tests. */
void study_result_doc(const Study *study, const Compare *compare, bool whole, Doc *doc);
/* The same, on stdout. */
Err study_print_result(const Study *study, bool whole, Fault *fault) WARN_UNUSED;

/* The plan, on stdout as `format` has it (NULL: text): cells with their states, those
 * left out and why, the time that what is left will take on `jobs` workers (0:
 * unknown), what the seeds can show. As JSON experiment.json's keys, and done, failed,
 * left (trials), cell_counts (the same of each cell), seconds (that the rest will take;
 * left out if unknown), reach (compare.h). */
Err study_print_plan(const Study *study, int jobs, bool json, const DocWriter *format,
                     Fault *fault) WARN_UNUSED;

#endif
