/* level.h: levels of factors, as people read them. */
#ifndef LAB_LEVEL_H
#define LAB_LEVEL_H

#include "base/text.h"

/* Does a level's name say by itself what it is of? Numbers, truth values and the like
 * do not. */
bool level_is_word(const char *level);
/* The same in a study of which n_factors factors have a level of that name: one of
 * several does not either. */
bool level_tells(const char *level, int n_factors);
/* Adds the level: "relu", but "lr=0.1", "norm=none", and "encoder=small" where it is
 * one of several. */
void level_add(const char *factor, const char *level, int n_factors, Text *out);

#endif
