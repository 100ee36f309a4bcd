/* plan_arena.c: first fit in an arena whose places are taken for a time each.
 *
 * A stretch takes a span of bytes from one job to another: a rectangle. The next one
 * goes to the lowest offset at which it meets none of those before it. To ask each of
 * them takes the square of their number, and the values that wait for the way back of a
 * long net all live at once. So the jobs are the leaves of a binary tree, whose nodes
 * hold spans that are taken
 *
 *   throughout   in all jobs of the node (and not in all of its parent's)
 *   sometimes    in some job of the node; of a leaf both are the same
 *
 * Spans that touch are joined: what was made one after the other mostly lies one beside
 * the other, and many stretches are one span. What a stretch must not meet are the
 * spans `sometimes` of the few nodes of which its life consists, and those `throughout`
 * of the nodes above them. */
#include "graph/plan_arena.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

typedef struct Span {
  size_t from, end;
} Span;

/* Disjoint spans in order, none touches the next. */
typedef struct Spans {
  Span *v;
  int n;
  int64_t room;
} Spans;

/* Node 1 is the root, 2k and 2k + 1 are below k, leaf j is node n_leaves + j. */
typedef struct Times {
  int n_leaves;      /* a power of 2 */
  Spans *sometimes;  /* per node */
  Spans *throughout; /* per node that is no leaf */
  int64_t n_looks;
} Times;

/* Spans of some nodes, while a place is looked for: two for each level at most. */
enum { LEVELS = 32, MAX_LISTS = 4 * LEVELS };
typedef struct Lists {
  const Spans *v[MAX_LISTS];
  int n;
} Lists;

/* -- spans ------------------------------------------------------------------------- */

/* The first that ends at `at` or behind it. */
static int first_reaching(const Spans *s, size_t at) {
  int lo = 0, hi = s->n;
  while (lo < hi) {
    int middle = lo + (hi - lo) / 2;
    if (s->v[middle].end < at) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}

/* False: no memory. */
static bool spans_add(Spans *s, Span span) {
  int first = first_reaching(s, span.from), end = first;
  while (end < s->n && s->v[end].from <= span.end) end++;
  if (first == end) {
    if (ARRAY_ROOM(s->v, s->room, s->n + 1, NULL)) return false;
    memmove(s->v + first + 1, s->v + first, (size_t)(s->n - first) * sizeof *s->v);
    s->v[first] = span;
    s->n++;
    return true;
  }
  if (s->v[first].from < span.from) span.from = s->v[first].from;
  if (s->v[end - 1].end > span.end) span.end = s->v[end - 1].end;
  s->v[first] = span;
  if (end == first + 1) return true;
  memmove(s->v + first + 1, s->v + end, (size_t)(s->n - end) * sizeof *s->v);
  s->n -= end - first - 1;
  return true;
}

/* -- the tree ---------------------------------------------------------------------- */

static bool times_init(Times *t, int n_jobs) {
  *t = (Times){.n_leaves = 1};
  while (t->n_leaves < n_jobs) t->n_leaves *= 2;
  t->sometimes = calloc(2 * (size_t)t->n_leaves, sizeof *t->sometimes);
  t->throughout = calloc((size_t)t->n_leaves, sizeof *t->throughout);
  return t->sometimes && t->throughout;
}

static void times_deinit(Times *t) {
  for (int k = 0; t->sometimes && k < 2 * t->n_leaves; k++) free(t->sometimes[k].v);
  for (int k = 0; t->throughout && k < t->n_leaves; k++) free(t->throughout[k].v);
  free(t->sometimes);
  free(t->throughout);
}

static bool take_node(Times *t, int node, Span span) {
  return spans_add(&t->sometimes[node], span) &&
         (node >= t->n_leaves || spans_add(&t->throughout[node], span));
}

/* The span is taken from job `born` to job `dies`; false: no memory. */
static bool times_take(Times *t, int born, int dies, Span span) {
  bool ok = true;
  int left = t->n_leaves + born, right = t->n_leaves + dies;
  for (int lo = left, hi = right + 1; ok && lo < hi; lo /= 2, hi /= 2) {
    if (lo % 2) ok = take_node(t, lo++, span);
    if (ok && hi % 2) ok = take_node(t, --hi, span);
  }
  while (ok && left > 1) {
    left /= 2;
    right /= 2;
    ok = spans_add(&t->sometimes[left], span) &&
         (left == right || spans_add(&t->sometimes[right], span));
  }
  return ok;
}

static void lists_add(Lists *lists, const Spans *spans) {
  if (spans->n) lists->v[lists->n++] = spans;
}

/* What is taken at some time from job `born` to job `dies`. */
static void list_taken(const Times *t, int born, int dies, Lists *out) {
  int left = t->n_leaves + born, right = t->n_leaves + dies;
  out->n = 0;
  for (int lo = left, hi = right + 1; lo < hi; lo /= 2, hi /= 2) {
    if (lo % 2) lists_add(out, &t->sometimes[lo++]);
    if (hi % 2) lists_add(out, &t->sometimes[--hi]);
  }
  while (left > 1) {
    left /= 2;
    right /= 2;
    lists_add(out, &t->throughout[left]);
    if (left != right) lists_add(out, &t->throughout[right]);
  }
}

/* The lowest offset, `at` or above, where n bytes meet no span of the list. */
static size_t pass_spans(Times *t, const Spans *s, size_t at, size_t n) {
  int i = first_reaching(s, at + 1);
  t->n_looks++;
  for (; i < s->n && s->v[i].from < at + n; i++, t->n_looks++) at = s->v[i].end;
  return at;
}

static size_t lowest_free(Times *t, int born, int dies, size_t n) {
  Lists lists;
  list_taken(t, born, dies, &lists);
  size_t at = 0;
  int n_agree = 0; /* lists in a row that left it where it is */
  for (int i = 0; n_agree < lists.n; i = i + 1 < lists.n ? i + 1 : 0) {
    size_t next = pass_spans(t, lists.v[i], at, n);
    n_agree = next == at ? n_agree + 1 : 1;
    at = next;
  }
  return at;
}

/* -- all stretches ----------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
  const Stretch *x = a, *y = b;
  if (x->n_bytes != y->n_bytes) return x->n_bytes < y->n_bytes ? 1 : -1;
  if (x->born != y->born) return x->born - y->born;
  if (x->value != y->value) return x->value < y->value ? -1 : 1;
  return x->item - y->item;
}

Err stretches_place(Stretch *s, int n, int n_jobs, StretchesSize *out, Fault *fault) {
  Times t;
  bool ok = times_init(&t, n_jobs);
  *out = (StretchesSize){0};
  qsort(s, (size_t)n, sizeof *s, by_size);
  for (int i = 0; ok && i < n; i++) {
    size_t n_bytes = plan_rounded(s[i].n_bytes);
    s[i].offset = lowest_free(&t, s[i].born, s[i].dies, n_bytes);
    size_t end = s[i].offset + n_bytes;
    if (n_bytes) ok = times_take(&t, s[i].born, s[i].dies, (Span){s[i].offset, end});
    if (end > out->n_bytes) out->n_bytes = end;
  }
  out->n_looks = t.n_looks;
  times_deinit(&t);
  return ok ? ERR_OK : fault_memory(fault, (size_t)n * sizeof(Span));
}
