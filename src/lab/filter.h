/* filter.h: the words that choose trials, alike in every query:
 *
 *   activation=relu accuracy>0.88 state=failed seed=1,2,3 activation!=tanh
 *
 * Words are ANDed; operators are = != > >= < <=; after = and != several values,
 * separated by commas, mean any of them. A key is a fact of the trial (seed, state,
 * seconds ...), a factor, an argument or a value of the result; what has the same name
 * in two of them is written as factors.x, args.x, values.x. 50% is the number 0.5. A
 * trial without that field never matches. */
#ifndef LAB_FILTER_H
#define LAB_FILTER_H

#include "base/fault.h"
#include <stdint.h>

typedef enum FilterOp {
  FILTER_EQ, FILTER_NE, FILTER_GT, FILTER_GE, FILTER_LT, FILTER_LE
} FilterOp;

enum { FILTER_TERMS = 32, FILTER_VALUES = 64 };

typedef struct FilterTerm {
  const char *word; /* as typed; borrowed */
  char *key;
  FilterOp op;
  char *values[FILTER_VALUES];
  int n_values;
} FilterTerm;

typedef struct Filter {
  FilterTerm *v;
  int n;
  int64_t room;
} Filter;

/* Does the word have an operator? Else it names something. */
bool filter_is_term(const char *word);

/* Adds a term; `word` is kept. ERR_USAGE for what is no term, and for "==". */
Err filter_add(Filter *filter, const char *word, Fault *fault) WARN_UNUSED;
void filter_deinit(Filter *filter);

/* "=", "!=" ... : an operator of SQL, too. */
const char *filter_op_name(FilterOp op);

#endif
