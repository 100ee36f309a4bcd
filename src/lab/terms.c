/* terms.c: what the words of a study's page mean; see terms.h. A page names the terms
 * that it uses in this order: those that it cannot be read without come first. */
#include "lab/terms.h"
#include <ctype.h>
#include <string.h>

#define METHODS "Maxwell, Delaney, Kelley: Designing Experiments and Analyzing Data"

const Term terms[] = {
    {"contrast", "contrasts",
     "Two levels of one factor, or two cells, set against each other. For each seed "
     "the result of the one is subtracted from that of the other, averaged over the "
     "settings of all other factors; the differences of the seeds are what is tested. "
     "A study with three activations has two contrasts: each of the other two against "
     "the baseline.",
     METHODS ", chapter 4", false},
    {"Holm", "p Holm, after Holm",
     "Who tests twenty contrasts at 5 % will find one difference that is none. Holm's "
     "correction multiplies the smallest p by the number of contrasts, the next by one "
     "less, and so on; then the chance of even one false finding in the whole study "
     "stays below 5 %.",
     "Holm (1979), A simple sequentially rejective multiple test procedure", false},
    {"interval", "intervals, 95 % interval, 95 % CI, confidence interval, cut",
     "A range made such that, over many studies like this one, 95 of 100 such ranges "
     "hold the true mean. It gets narrower with more seeds, and says how far the mean "
     "of these few may be off. (cut) marks one that would go beyond what the metric "
     "can be. Drawn as |--o--| it goes from | to |, and o is the mean.",
     "Cumming and Finch (2005), Inference by eye", false},
    {"undecided", "no clear difference",
     "Neither side is shown to be better. It does not mean that both are equal: with "
     "so few seeds a difference may be there and hide in the noise. Behind each is "
     "how many seeds would decide a difference as large as the one that is seen.",
     "Altman and Bland (1995), Absence of evidence is not evidence of absence", false},
    {"p", "p value",
     "If there were no difference at all, how often would chance alone make one as "
     "large as this? A p of .01 means: in one of a hundred such studies. It is not the "
     "chance that the finding is wrong, and a small p says nothing of how large the "
     "difference is: the interval does.",
     "Wasserstein and Lazar (2016), The ASA statement on p-values", false},
    {"seed", "seeds",
     "The number from which all randomness of a trial comes: first weights, order of "
     "the data, dropout. Trials of one seed share that in every cell, so their "
     "difference is that of the settings. Results of one seed are an anecdote; n seeds "
     "tell how much luck matters.",
     "Bouthillier et al. (2021), Accounting for variance in machine learning "
     "benchmarks", true},
    {"baseline", NULL,
     "The level of each factor that the others are compared with. It is the one that "
     "the script names, else the first. The cell with all of them is the baseline "
     "cell.",
     METHODS ", chapter 4", false},
    {"cell", "cells",
     "One combination of levels, as relu with he_normal. Each is run once for every "
     "seed; each such run is a trial.",
     METHODS ", chapter 7", false},
    {"diverged", "div. as worst, diverged as worst",
     "The loss of a trial became infinite or no number, so it has no result. Leaving "
     "such trials out flatters what diverges. So contrasts are made twice, without "
     "them and with the worst value of the study in their place, and where the two "
     "disagree nothing is decided.",
     "Goodfellow, Bengio, Courville: Deep Learning, 8.2.4", false},
    {"typical", "typical runs, in typical runs",
     "A verdict that holds for most runs, not for the mean: in some the training "
     "failed, or one seed makes most of the difference. What happens in few runs such "
     "a verdict does not see; how often the runs go wrong is compared by itself.",
     "Henderson et al. (2018), Deep reinforcement learning that matters", false},
    {"floor", "floored",
     "The bad end of a metric's range, as 10 % right of ten classes. Where all runs "
     "are there nothing was learned, and no difference can show.",
     METHODS ", chapter 3", true},
    {"ceiling", NULL,
     "The good end of a metric's range, as 100 % right. Where all runs are there the "
     "task is too easy to tell them apart.",
     METHODS ", chapter 3", false},
    {"rope", "equivalent, region of practical equivalence",
     "How small a difference does not matter, as the script says it: rope = 0.005. "
     "Where the whole interval of a difference lies within it the two are equivalent, "
     "which is the only way to show that a change does nothing.",
     "Kruschke (2018), Rejecting or accepting parameter values", false},
    {"look", "Looks",
     "Each time that a study with results gets more seeds is another look at it. Who "
     "looks often and stops when p is small finds differences that are none, so the "
     "level of .05 is shared by the looks.",
     "Simmons, Nelson, Simonsohn (2011), False-positive psychology", false},
    {"interaction", "interactions",
     "The effect of one factor depends on another: normalization helps sigmoid, and "
     "relu not at all. Then an average over the other factor may hold for no single "
     "level of it; look at the cells.",
     METHODS ", chapter 7", false},
    {"t-test", "paired t test, t test, Student's t",
     "Divides the mean of the seeds' differences by how uncertain that mean is, and "
     "asks how far from 0 that would go by chance. It assumes that the differences are "
     "about normal.",
     "Student (1908), The probable error of a mean", false},
    {"sign-flip", "p flip, sign-flip test",
     "If the two do not differ, each seed's difference could as well have the other "
     "sign. The share of all such patterns of signs that come as far from 0 as the one "
     "seen is p. It assumes no distribution, but takes 6 seeds to come below .05 at "
     "all.",
     "Fisher (1935), The Design of Experiments, section 21", false},
    {"Fisher's exact test", "fisher",
     "Compares two shares of few, as 3 of 10 runs that failed with 0 of 10: how often "
     "would chance deal out the failures so unevenly?",
     "Fisher (1935), The Design of Experiments, chapter 2", false},
    {"d_z", NULL,
     "The mean of the seeds' differences in units of their standard deviation. At 1 "
     "the difference is as large as what luck does to it; five seeds find 2 or more "
     "reliably.",
     "Lakens (2013), Calculating and reporting effect sizes", false},
    {"won", "95 % of won",
     "In how many seeds the first of the two was the better one; ties count half. "
     "Beside it the 95 % interval of that share.",
     "Wilson (1927), Probable inference, the law of succession", false},
    {"sd", "standard deviation, spread",
     "How far values lie from their mean, typically: about two of three seeds are "
     "within one sd. It does not shrink with more seeds, as the interval of the mean "
     "does.",
     "Altman and Bland (2005), Standard deviations and standard errors", false},
    {"eta^2", "shares of variance, omega^2, what each factor explains",
     "Which share of all differences between trials goes with a factor: of 80 % for "
     "activation and 5 % for seed, the activation matters and luck little. eta^2 "
     "counts what is seen, omega^2 takes off what chance alone would give. Other "
     "levels would give other shares.",
     "Olejnik and Algina (2003), Generalized eta and omega squared statistics", false},
    {"residual", NULL,
     "What is left when factors, their pairs and the seed are accounted for: how one "
     "seed fares in one cell alone.",
     METHODS ", chapter 11", false},
    {"variances", "unequal variances",
     "Some cells vary much more from seed to seed than others. Contrasts do not assume "
     "that they vary alike; shares of variance then come mostly from the noisiest "
     "cells.",
     "Brown and Forsythe (1974), Robust tests for the equality of variances", false},
    {"bootstrap", "bootstrap-t",
     "Makes an interval out of the results alone: draws from them again and again, "
     "with repetition, and looks how much the mean changes. It assumes no shape, and "
     "takes more seeds than Student's t.",
     "Efron and Tibshirani: An Introduction to the Bootstrap, chapter 12", false},
    {"power", "find, probability .8",
     "The chance that a study decides a difference that is there. `plan` says how "
     "large one must be to be found with probability .8 by so many seeds.",
     "Cohen (1992), A power primer", false},
    {NULL, NULL, NULL, NULL, false}};

/* -- finding ----------------------------------------------------------------------- */

/* The next letter or digit of the first n bytes, in lower case; 0: there is none. */
static int next_sign(const char *text, size_t n, size_t *at) {
  while (*at < n && !isalnum((unsigned char)text[*at])) ++*at;
  return *at < n ? tolower((unsigned char)text[(*at)++]) : 0;
}

static bool same_word(const char *word, const char *name, size_t n) {
  size_t i = 0, j = 0;
  for (int sign; (sign = next_sign(word, strlen(word), &i));)
    if (sign != next_sign(name, n, &j)) return false;
  return next_sign(name, n, &j) == 0;
}

/* Calls `is` with the name and each alias; is one of them so? */
typedef bool IsSo(const void *ctx, const char *name, size_t n);

static bool any_name(const Term *term, IsSo *is, const void *ctx) {
  if (is(ctx, term->name, strlen(term->name))) return true;
  for (const char *at = term->aliases; at && *at; at += strspn(at, ", ")) {
    size_t n = strcspn(at, ",");
    if (is(ctx, at, n)) return true;
    at += n;
  }
  return false;
}

static bool is_word(const void *ctx, const char *name, size_t n) {
  return same_word(ctx, name, n);
}

const Term *term_find(const char *word) {
  for (const Term *t = terms; *word && t->name; t++)
    if (any_name(t, is_word, word)) return t;
  return NULL;
}

/* -- documents --------------------------------------------------------------------- */

void term_doc(const Term *term, Doc *doc) {
  doc_say(doc, DOC_PARAGRAPH, DOC_STRONG "%s" DOC_END ": %s", term->name, term->doc);
  doc_say(doc, DOC_PARAGRAPH, "To read: %s.", term->read);
}

void terms_doc(Doc *doc) {
  Text *names = doc_begin(doc, DOC_PARAGRAPH);
  text_add(names, "Words of a study's page, each explained by " DOC_CODE
                  "runner help TERM" DOC_END ": ");
  for (const Term *t = terms; t->name; t++)
    text_addf(names, "%s%s", t->name, t[1].name ? ", " : ".");
}

/* Is the word in the text, between signs that are no letters? Case counts where
 * it has a capital: "as large as it looks" is no look. */
static bool holds(const char *text, const char *word) {
  char *(*find)(const char *,
                const char *) = isupper((unsigned char)*word) ? strstr : strcasestr;
  size_t n = strlen(word);
  for (const char *at = text; (at = find(at, word)); at++)
    if ((at == text || !isalnum((unsigned char)at[-1])) &&
        !isalnum((unsigned char)at[n]))
      return true;
  return false;
}

static bool is_used(const void *ctx, const char *name, size_t n) {
  char word[64];
  if (n >= sizeof word) return false;
  memcpy(word, name, n);
  word[n] = 0;
  for (const DocBlock *block = ((const Doc *)ctx)->first; block; block = block->next)
    if (block->kind != DOC_TABLE && !doc_is_empty(block) &&
        holds(block->text.data, word))
      return true;
  return false;
}

void terms_used(const Doc *doc, int most, Text *out) {
  int n = 0;
  for (const Term *t = terms; t->name && n < most; t++)
    if (any_name(t, is_used, doc)) text_addf(out, "%s%s", n++ ? ", " : "", t->name);
}
