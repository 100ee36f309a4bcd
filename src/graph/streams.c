/* streams.c: the named random streams of a session, and how far each is. */
#include "graph/graph_private.h"
#include <string.h>

Stream graph_draw(Graph *graph, const char *purpose, const char *name) {
  return graph_draw_again(graph, philox_key(graph->seed, purpose, name));
}

Stream graph_draw_once(const Graph *graph, const char *purpose, const char *name) {
  return (Stream){philox_key(graph->seed, purpose, name), 0};
}

Stream graph_draw_again(Graph *graph, uint64_t key) {
  int at = graph->next_counter; /* steps draw in turn */
  for (int i = 0; i < graph->n_counters; i++, at++) {
    if (at >= graph->n_counters) at = 0;
    if (graph->counters[at].key != key) continue;
    graph->next_counter = at + 1;
    return (Stream){key, graph->counters[at].count++};
  }
  if (!ARRAY_ROOM(graph->counters, graph->counter_room, graph->n_counters + 1,
                  &graph->fault))
    graph->counters[graph->n_counters++] = (Counter){key, 1};
  return (Stream){key, 0};
}

void graph_seed(Graph *graph, uint64_t seed) {
  graph->seed = seed;
  graph->n_counters = 0;
}

void graph_restart_counts(Graph *graph) {
  graph->count.nets = graph->count.fit_streams = 0;
  graph->count.seeding = ++graph->n_seedings;
}

Err graph_set_streams(Graph *graph, uint64_t seed, const Counter *counters, int n,
                      Fault *fault) {
  Err err = ARRAY_ROOM(graph->counters, graph->counter_room, n, fault);
  if (err) return err;
  if (n) memcpy(graph->counters, counters, (size_t)n * sizeof *counters);
  graph->n_counters = n;
  graph->seed = seed;
  return ERR_OK;
}
