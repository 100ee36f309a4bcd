/* stat_grid.c: branch and bound for the largest complete sub-grid.
 *
 * A state is the set of levels still kept. While it holds a hole (a combination that is
 * not present), one of the hole's levels has to go: one branch per dimension. Holes are
 * sought from the first kept combination on, so a state is a pure function of the
 * choices. A branch that cannot beat the best found is cut. */
#include "lab/stat.h"
#include <stdlib.h>
#include <string.h>

enum {
  DIMS_MAX = STAT_FACTORS_MAX + 1,
  BUDGET = 2000000,          /* combinations looked at by the exhaustive search */
  DEPTH_MAX = 1000           /* levels that it drops at most, one above the other */
};

typedef struct Search {
  const bool *present;
  const int *sizes;
  int n_dims;
  int first[DIMS_MAX]; /* where the levels of each dimension begin in `kept` */
  int64_t stride[DIMS_MAX];
  int n_levels; /* of all dimensions */
  bool *kept;   /* the state */
  int64_t n_kept[DIMS_MAX];
  bool *best;
  int64_t best_count;
  int64_t *holes; /* per level: holes among the kept combinations */
  bool *start;    /* the state without levels that are all holes */
  int64_t least;  /* levels of the last dimension that have to stay */
  int64_t budget;
} Search;

static int64_t count_kept(const Search *s) {
  int64_t count = 1;
  for (int d = 0; d < s->n_dims; d++) count *= s->n_kept[d];
  return count;
}

static void set_kept(Search *s, int dim, int level, bool kept) {
  s->kept[s->first[dim] + level] = kept;
  s->n_kept[dim] += kept ? 1 : -1;
}

static int next_kept(const Search *s, int dim, int level) {
  while (level < s->sizes[dim] && !s->kept[s->first[dim] + level]) level++;
  return level;
}

/* Walks the kept combinations, of which there are some:
 *   for (walk_begin(s, at); walk_next(s, at);) */
static void walk_begin(const Search *s, int *at) {
  for (int d = 0; d < s->n_dims; d++) at[d] = next_kept(s, d, 0);
  at[s->n_dims - 1] = -1;
}

static bool walk_next(const Search *s, int *at) {
  for (int d = s->n_dims - 1; d >= 0; d--) {
    at[d] = next_kept(s, d, at[d] + 1);
    if (at[d] < s->sizes[d]) return true;
    at[d] = next_kept(s, d, 0);
  }
  return false;
}

static bool is_present(const Search *s, const int *at) {
  int64_t i = 0;
  for (int d = 0; d < s->n_dims; d++) i += at[d] * s->stride[d];
  return s->present[i];
}

/* May a level of this dimension go? */
static bool may_drop(const Search *s, int dim) {
  return dim < s->n_dims - 1 || s->n_kept[dim] > s->least;
}

static void take_best(Search *s) {
  int64_t count = count_kept(s);
  if (count <= s->best_count) return;
  s->best_count = count;
  memcpy(s->best, s->kept, (size_t)s->n_levels * sizeof *s->kept);
}

/* Counts the holes of each level; false when there is none. */
static bool count_holes(Search *s) {
  int at[DIMS_MAX];
  bool any = false;
  memset(s->holes, 0, (size_t)s->n_levels * sizeof *s->holes);
  for (walk_begin(s, at); walk_next(s, at);) {
    if (is_present(s, at)) continue;
    any = true;
    for (int d = 0; d < s->n_dims; d++) s->holes[s->first[d] + at[d]]++;
  }
  return any;
}

/* Drops levels that are all holes: no complete part has them. */
static void drop_empty(Search *s) {
  for (bool dropped = true; dropped && count_kept(s) > 0 && count_holes(s);) {
    dropped = false;
    int64_t count = count_kept(s), n_kept[DIMS_MAX];
    memcpy(n_kept, s->n_kept, sizeof n_kept);
    for (int d = 0; d < s->n_dims; d++) {
      for (int l = next_kept(s, d, 0); l < s->sizes[d]; l = next_kept(s, d, l + 1)) {
        if (s->holes[s->first[d] + l] < count / n_kept[d]) continue;
        set_kept(s, d, l, false);
        dropped = true;
      }
    }
  }
}

/* Drops the level with the largest share of holes until no hole is left, if it can. Of
 * equal shares the one of the dimension with most levels goes, then the later one. */
static void greedy(Search *s) {
  while (count_kept(s) > 0 && count_holes(s)) {
    int dim = -1, level = -1;
    double worst = 0;
    int64_t widest = 0;
    for (int d = 0; d < s->n_dims; d++) {
      if (!may_drop(s, d)) continue;
      int64_t in_level = count_kept(s) / s->n_kept[d];
      double size = (double)in_level;
      for (int l = next_kept(s, d, 0); l < s->sizes[d]; l = next_kept(s, d, l + 1)) {
        double share = (double)s->holes[s->first[d] + l] / size;
        bool narrower = share == worst && s->n_kept[d] < widest;
        if (share == 0 || share < worst || narrower) continue;
        worst = share, widest = s->n_kept[d], dim = d, level = l;
      }
    }
    if (dim < 0) return;
    set_kept(s, dim, level, false);
  }
  take_best(s);
}

/* The order in which a hole's dimensions are tried: most levels first (which loses
 * least), of equals the later. */
static void branch_order(const Search *s, int *order) {
  for (int i = 0; i < s->n_dims; i++) {
    int d = s->n_dims - 1 - i, k = i;
    for (; k > 0 && s->n_kept[order[k - 1]] < s->n_kept[d]; k--)
      order[k] = order[k - 1];
    order[k] = d;
  }
}

/* One frame per level dropped. */
static void search(Search *s, int depth) {
  if (count_kept(s) <= s->best_count || s->budget <= 0 || depth > DEPTH_MAX) return;
  int at[DIMS_MAX], order[DIMS_MAX] = {0};
  bool more;
  walk_begin(s, at);
  do s->budget--;
  while ((more = walk_next(s, at)) && is_present(s, at));
  if (!more) {
    take_best(s);
    return;
  }
  branch_order(s, order);
  for (int i = 0; i < s->n_dims; i++) {
    if (!may_drop(s, order[i])) continue;
    set_kept(s, order[i], at[order[i]], false);
    search(s, depth + 1);
    set_kept(s, order[i], at[order[i]], true);
  }
}

/* Sets the state; NULL: every level. */
static void keep(Search *s, const bool *state) {
  for (int d = 0; d < s->n_dims; d++) {
    s->n_kept[d] = 0;
    for (int l = 0; l < s->sizes[d]; l++) {
      s->kept[s->first[d] + l] = !state || state[s->first[d] + l];
      s->n_kept[d] += s->kept[s->first[d] + l];
    }
  }
}

/* The largest part with at least `least` levels of the last dimension, into `out`. */
static int64_t find_largest(Search *s, int64_t least, bool *out) {
  s->least = least;
  s->best = out;
  s->best_count = 0;
  s->budget = BUDGET;
  memset(out, 0, (size_t)s->n_levels * sizeof *out);
  keep(s, s->start);
  if (s->n_kept[s->n_dims - 1] < least) return 0;
  greedy(s);
  keep(s, s->start);
  search(s, 0);
  return s->best_count;
}

Err stat_grid_largest(const bool *present, const int *sizes, int n_dims, int wanted,
                      bool *out, int64_t *count, Fault *fault) {
  must(n_dims >= 1 && n_dims <= DIMS_MAX);
  Search s = {.present = present, .sizes = sizes, .n_dims = n_dims};
  int64_t n = 1;
  for (int d = n_dims - 1; d >= 0; d--) s.stride[d] = n, n *= sizes[d];
  for (int d = 0; d < n_dims; d++) s.first[d] = s.n_levels, s.n_levels += sizes[d];
  size_t bytes = (size_t)s.n_levels * (sizeof *s.holes + 3 * sizeof *s.kept) + 1;
  s.holes = malloc(bytes);
  if (!s.holes) return fault_memory(fault, bytes);
  s.kept = (bool *)(s.holes + s.n_levels);
  s.start = s.kept + s.n_levels;
  bool *preferred = s.start + s.n_levels;
  keep(&s, NULL);
  drop_empty(&s);
  memcpy(s.start, s.kept, (size_t)s.n_levels * sizeof *s.kept);
  *count = find_largest(&s, 0, out);
  int64_t last = 0, alike = wanted > 0 ? find_largest(&s, wanted, preferred) : 0;
  for (int l = 0; l < sizes[n_dims - 1]; l++) last += out[s.first[n_dims - 1] + l];
  if (last < wanted && 2 * alike >= *count && alike > 0) {
    memcpy(out, preferred, (size_t)s.n_levels * sizeof *out);
    *count = alike;
  }
  free(s.holes);
  return ERR_OK;
}
