/* measure.h: what the name of a measure tells. It is looked through for words that are
 * known, of letters and digits, in any case: val_accuracy, layer2_loss. This is the one
 * place that knows them. */
#ifndef LAB_MEASURE_H
#define LAB_MEASURE_H

#include <stdbool.h>

typedef enum MeasureGoal { MEASURE_UNKNOWN, MEASURE_MAX, MEASURE_MIN } MeasureGoal;

/* Which way is better; unknown where no word tells, or where words disagree. */
MeasureGoal measure_goal(const char *name);

/* Is it a share, from 0 to 1, if its values do not say otherwise? */
bool measure_is_share(const char *name);

#endif
