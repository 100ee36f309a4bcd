/* Words of a study's page: each is explained, under every name that the page has for
 * it. */
#include "lab/terms.h"
#include "lab/compare_study.h"

static void check_term(const char *word, const char *name) {
  const Term *term = term_find(word);
  if (!term || strcmp(term->name, name) != 0)
    fail_msg("\"%s\" is %s, not %s", word, term ? term->name : "none", name);
}

TEST(words_are_found_whatever_their_case_and_signs) {
  check_term("contrast", "contrast");
  check_term("holm", "Holm");
  check_term("p Holm", "Holm");
  check_term("t test", "t-test");
  check_term("TTEST", "t-test");
  check_term("omega2", "eta^2");
  check_term("d_z", "d_z");
  check_term("95 % interval", "interval");
  assert_null(term_find("contras"));
  assert_null(term_find(""));
  assert_null(term_find("---"));
}

TEST(each_term_says_what_it_is_and_where_to_read) {
  for (const Term *t = terms; t->name; t++) {
    assert_ptr_equal(term_find(t->name), t);
    assert_true(strlen(t->doc) > 80 && strchr(".?", t->doc[strlen(t->doc) - 1]));
    assert_true(strlen(t->read) > 10);
  }
}

/* The titles of the tables, and the words of sentences that no lexicon has so. */
TEST(every_word_of_the_page_is_explained) {
  static const char *const words[] = {
      "seed", "contrast", "baseline", "floor", "ceiling", "diverged", "undecided",
      "equivalent",
      "no clear difference", "typical runs", "Looks", "Holm", "Fisher's exact test",
      "sign-flip test", "paired t test", "bootstrap-t", "Student's t", "Interactions",
      "shares of variance", "residual", "cell", "cut", "unequal variances",
      "probability .8"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!term_find(words[i])) fail_msg("\"%s\" is not explained", words[i]);
  Study *study = study_new();
  fill(study, 6);
  find(study, 1, 0, 2)->state = COMPARE_DIVERGED;
  Compare *c = compare(study);
  static const char *const plain[] = {"factor", "level", "difference", "verdict", "n",
                                      "mean",
                                      "median", "min", "max", "activation", "norm", "",
                                      "none",
                                      "batch"};
  Doc doc = {0};
  compare_doc(c, COMPARE_ALL | COMPARE_SHORT, &doc);
  for (const DocBlock *block = doc.first; block; block = block->next) {
    const char *title = block->table.cells.data;
    for (int i = 0; i < block->table.n_columns; i++, title = table_next(title)) {
      bool known = term_find(title) != NULL;
      for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
        known = known || strcmp(title, plain[k]) == 0;
      if (!known) fail_msg("\"%s\" is not explained", title);
    }
  }
  doc_deinit(&doc);
  finish(study, c);
}

TEST(a_page_names_the_terms_that_it_uses) {
  Doc doc = {0};
  Text used = {0};
  doc_say(&doc, DOC_PARAGRAPH, "1 contrast, p after Holm; 5 seeds; platform");
  terms_used(&doc, 9, &used);
  assert_string_equal(used.data, "contrast, Holm, p, seed");
  used.n_bytes = 0;
  terms_used(&doc, 2, &used);
  assert_string_equal(used.data, "contrast, Holm");
  text_deinit(&used);
  doc_deinit(&doc);
}
