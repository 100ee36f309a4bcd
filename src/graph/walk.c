/* walk.c: the nodes below some roots, in the order in which they were made. */
#include "graph/graph_private.h"
#include "base/ints.h"
#include <stdlib.h>

static bool walk_push(Walk *walk, Node *node) {
  enum { FIRST = 1024 };
  if (ARRAY_ROOM(walk->v, walk->room, most(walk->n + 1, FIRST), NULL)) return false;
  walk->v[walk->n++] = node;
  return true;
}

static int by_serial(const void *a, const void *b) {
  uint64_t x = (*(Node *const *)a)->serial, y = (*(Node *const *)b)->serial;
  return (x > y) - (x < y);
}

/* Most nodes of a walk were made one after the other: each goes straight to its place
 * in a table of serials; the few older ones are sorted before them. False: not worth
 * it, or no memory; nothing has changed. */
static bool place_by_serial(Walk *walk) {
  enum { FEW = 32 };
  uint64_t last = 0;
  int64_t room = 4 * walk->n, n_old = 0, n = 0;
  if (walk->n < FEW) return false;
  for (int64_t i = 0; i < walk->n; i++)
    if (walk->v[i]->serial > last) last = walk->v[i]->serial;
  uint64_t first = last > (uint64_t)room ? last - (uint64_t)room : 0;
  Node **table = calloc((size_t)room + 1, sizeof *table);
  if (!table) return false;
  for (int64_t i = 0; i < walk->n; i++) {
    Node *node = walk->v[i];
    if (node->serial < first) walk->v[n_old++] = node;
    else table[node->serial - first] = node;
  }
  if (n_old) qsort(walk->v, (size_t)n_old, sizeof *walk->v, by_serial);
  n = n_old;
  for (int64_t i = 0; n < walk->n; i++)
    if (table[i]) walk->v[n++] = table[i];
  free(table);
  return true;
}

Err walk_collect(Graph *graph, Walk *walk, Node *const *roots, int n,
                 bool (*stop)(const Node *node)) {
  uint64_t mark = ++graph->walk;
  bool room = true;
  for (int i = 0; i < n; i++) {
    if (roots[i]->mark == mark) continue;
    roots[i]->mark = mark;
    room = room && walk_push(walk, roots[i]);
  }
  /* The list is its own queue: those behind `at` are found, not yet looked into. */
  for (int64_t at = 0; room && at < walk->n; at++) {
    Node *node = walk->v[at];
    if (!node->in || (stop && stop(node))) continue;
    for (int i = 0; room && i < node->n_in; i++) {
      if (node->in[i]->mark == mark) continue;
      node->in[i]->mark = mark;
      room = walk_push(walk, node->in[i]);
    }
  }
  if (!room) {
    size_t n_bytes = (size_t)walk->room * sizeof(Node *);
    walk_deinit(walk);
    return fault_memory(&graph->fault, n_bytes);
  }
  if (!place_by_serial(walk) && walk->n)
    qsort(walk->v, (size_t)walk->n, sizeof *walk->v, by_serial);
  for (int64_t i = 0; i < walk->n; i++) walk->v[i]->index = i;
  return ERR_OK;
}

void walk_deinit(Walk *walk) {
  free(walk->v);
  *walk = (Walk){0};
}
