/* session.c: a session from its begin to its end; labels; what it says once. */
#include "graph/cache.h"
#include "graph/graph_private.h"
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
  for (int i = 0; i < graph->n_interned; i++) free(graph->interned[i]);
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

const char *graph_intern(Graph *graph, const char *string) {
  if (!string) return NULL;
  for (int i = graph->n_interned - 1; i >= 0; i--)
    if (strcmp(graph->interned[i], string) == 0) return graph->interned[i];
  char *copy = text_copy(string);
  if (!copy ||
      ARRAY_ROOM(graph->interned, graph->interned_room, graph->n_interned + 1, NULL)) {
    free(copy);
    return NULL; /* a label is missing: no reason to stop */
  }
  return graph->interned[graph->n_interned++] = copy;
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
