/* terms.h: the words of a study's page, explained for a first reader: one record each.
 */
#ifndef LAB_TERMS_H
#define LAB_TERMS_H

#include "doc/doc.h"

typedef struct Term {
  const char *name;
  const char *aliases; /* as the page writes it too, commas between; NULL: none */
  const char *doc;     /* one paragraph */
  const char *read;    /* where to read more */
  bool in_library;     /* the library has something of that name, too */
} Term;

extern const Term terms[]; /* ends with a name of NULL */

/* The term that is meant; case, blanks and signs do not count: "t test" is "t-test".
 * NULL: it is none. */
const Term *term_find(const char *word);

/* Adds the paragraph, and where to read. */
void term_doc(const Term *term, Doc *doc);
/* All of them, by name. */
void terms_doc(Doc *doc);
/* Adds the names of the terms that the document uses, "contrast, Holm", up to
 * `most`. */
void terms_used(const Doc *doc, int most, Text *out);

#endif
