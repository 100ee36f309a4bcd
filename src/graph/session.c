/* session.c: a session from its begin to its end; labels; what it says once. */
#include "graph/cache.h"
#include "graph/graph_private.h"
#include "base/hash.h"
#include "base/out.h"
#include "kernel/gemm.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef RUNNER_CHECKED
enum { CHECKED_BUILD = true };
#else
enum { CHECKED_BUILD = false };
#endif

Err graph_open(Graph *graph, int threads, uint64_t seed, Fault *fault) {
  if (gemm_init(fault)) return fault->code;
  *graph = (Graph){.seed = seed, .checked = CHECKED_BUILD};
  par_init(&graph->par, threads);
  return ERR_OK;
}

void graph_close(Graph *graph) {
  if (graph->in_transaction) graph_rollback(graph);
  graph_scope_end(graph, 0);
  for (int64_t i = 0; i < graph->interned_room; i++) free(graph->interned[i]);
  free(graph->interned);
  cache_clear(graph);
  node_free_blocks(graph);
  free(graph->arena);
  free(graph->pool);
  free(graph->counters);
  free(graph->counters_at_begin);
  free(graph->undo);
  free(graph->kept);
  free(graph->void_steps);
  *graph = (Graph){0};
}

Err graph_ok(Graph *graph, Fault *fault) {
  Err code = graph->fault.code;
  if (code) fault_pass(fault, &graph->fault);
  fault_clear(&graph->fault);
  return code;
}

/* Where the string is in a table of `room` places, a power of 2, or where it goes. */
static char **interned_place(char **table, int64_t room, const char *string) {
  uint64_t at = hash_bytes(HASH_BEGIN, string, strlen(string));
  while (table[at % (uint64_t)room] && strcmp(table[at % (uint64_t)room], string) != 0)
    at++;
  return &table[at % (uint64_t)room];
}

/* At least half of the table stays empty. */
static bool make_room_for_one(Graph *graph) {
  int64_t old = graph->interned_room, room = old ? 2 * old : 64;
  if (2 * (graph->n_interned + 1) <= old) return true;
  char **table = calloc((size_t)room, sizeof *table);
  if (!table) return false;
  for (int64_t i = 0; i < old; i++)
    if (graph->interned[i])
      *interned_place(table, room, graph->interned[i]) = graph->interned[i];
  free(graph->interned);
  graph->interned = table;
  graph->interned_room = room;
  return true;
}

/* NULL where memory lacks: a label is missing, which is no reason to stop. */
const char *graph_intern(Graph *graph, const char *string) {
  if (!string || !make_room_for_one(graph)) return NULL;
  char **place = interned_place(graph->interned, graph->interned_room, string);
  if (!*place) {
    *place = text_copy(string);
    graph->n_interned += *place != NULL;
  }
  return *place;
}

void graph_warn(Graph *graph, GraphWarning which, const Node *node, const char *format,
                ...) {
  if (graph->warned & 1u << which) return;
  graph->warned |= 1u << which;
  char text[640], place[160] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char *file = node ? node->file : graph->file;
  if (file)
    snprintf(place, sizeof place, "%.128s:%d: ", file, node ? node->line : graph->line);
  err_print("warning: %s%s\n", place, text);
}
