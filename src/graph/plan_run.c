/* plan_run.c: running a plan: a loop over its jobs, no allocation, no decisions. */
#include "graph/plan_private.h"
#include "base/sys.h"
#include "kernel/kernel.h"
#include <stdlib.h>
#include <string.h>

/* -- what it is given -------------------------------------------------------------- */

int plan_leaves(const Plan *plan, Node *const **out) {
  *out = plan->leaves;
  return plan->n_leaves;
}

int plan_draws(const Plan *plan, Node *const **out) {
  *out = plan->draws;
  return plan->n_draws;
}

void plan_release_nodes(Plan *plan) { plan->leaves = plan->draws = NULL; }

PlanSize plan_size(const Plan *plan) { return plan->size; }

/* -- one block --------------------------------------------------------------------- */

typedef struct RunningJob {
  const Plan *plan;
  const PlanJob *job;
  int phase;
  bool may_stop; /* blocks that an interrupt finds are left out */
} RunningJob;

/* The share that has the block: the last one that does not begin behind it. */
static const PlanShare *share_of_block(const PlanPhase *phase, int64_t block) {
  const PlanShare *first = phase->shares;
  for (int n = phase->n_shares; n > 1;) {
    const PlanShare *middle = first + n / 2;
    bool behind = middle->first > block;
    n = behind ? n / 2 : n - n / 2;
    if (!behind) first = middle;
  }
  return first;
}

static void run_job_block(void *ctx, int64_t block) {
  const RunningJob *running = ctx;
  if (running->may_stop && interrupt_pending()) return;
  const PlanShare *share = share_of_block(&running->job->phases[running->phase], block);
  block -= share->first;
  if (share->watch >= 0) {
    plan_measure(running->plan, share->watch, block);
    return;
  }
  const PlanItem *item = &running->plan->items[share->item];
  const OpCall *call = item->members[0].call;
  if (item->chain && running->phase == 0)
    plan_run_chain(running->plan, item->chain, block, running->may_stop);
  else if (item->is_group) plan_run_group(item, block);
  else if (item->rows) plan_run_renewal(item, running->phase, block);
  else call->op->run(call, running->phase, block);
}

/* -- a run ------------------------------------------------------------------------- */

static Err need_arena(Graph *graph, size_t n_bytes) {
  if (n_bytes <= graph->arena_bytes) return ERR_OK;
  size_t room = (n_bytes + 4095) / 4096 * 4096;
  unsigned char *larger = aligned_alloc(64, room);
  if (!larger) return fault_memory(&graph->fault, room);
  free(graph->arena);
  graph->arena = larger;
  graph->arena_bytes = room;
  return ERR_OK;
}

static void *address(const Graph *graph, const PlanRun *run, PlanPlace place) {
  char *base = place.kind == IN_ARENA   ? (char *)graph->arena
               : place.kind == IN_INPUT ? run->in[place.index]
                                        : run->root[place.index];
  return base + place.offset;
}

/* Those into the arena stay, unless it has moved. */
static void fill_pointers(const Graph *graph, Plan *plan, const PlanRun *run) {
  int first = plan->arena == graph->arena ? plan->n_arena_fixes : 0;
  plan->arena = graph->arena;
  for (int i = first; i < plan->n_fixes; i++)
    *plan->fixes[i].where = address(graph, run, plan->fixes[i].place);
  for (int i = 0; i < plan->n_draws; i++) {
    plan->draw_attr[i][0].i = (int64_t)run->draw[i].key;
    plan->draw_attr[i][1].i = (int64_t)run->draw[i].draw;
  }
}

/* Data that an op refuses: the text says where the op was made. */
static Err check_item(Graph *graph, const PlanItem *item) {
  const PlanMember *m = &item->members[0];
  if (!m->call->op->check(m->call, &graph->fault)) return ERR_OK;
  char label[256];
  Node like = {.op = m->call->op, .layer = m->layer, .file = m->file, .line = m->line};
  fault_prefix(&graph->fault, "%s", node_label(label, sizeof label, &like));
  graph->fault.located = like.file != NULL;
  return graph->fault.code;
}

/* The items of the job that may refuse; *next goes along the list of all such. */
static Err check_items(Graph *graph, const Plan *plan, const PlanJob *job, int *next) {
  int end = job->first_item + job->n_items;
  for (; *next < plan->n_checked && plan->checked[*next] < end; ++*next)
    if (check_item(graph, &plan->items[plan->checked[*next]])) return graph->fault.code;
  return ERR_OK;
}

static void run_job(Graph *graph, const Plan *plan, const PlanJob *job, bool may_stop) {
  for (int phase = 0; phase < job->n_phases; phase++) {
    RunningJob running = {plan, job, phase, may_stop};
    par_for(&graph->par, job->phases[phase].n_blocks, job->work / job->n_phases,
            run_job_block, &running);
  }
}

/* Has the run failed, or is it to stop? */
static bool interrupted(Graph *graph) {
  if (!graph->fault.code && interrupt_pending())
    fault_set(&graph->fault, ERR_INTERRUPT, "interrupted");
  return graph->fault.code != ERR_OK;
}

static void run_copies(const Plan *plan, int first, int end) {
  for (const PlanCopy *copy = plan->copies + first; copy < plan->copies + end; copy++)
    if (copy->n_bytes && copy->target != copy->source)
      memcpy(copy->target, copy->source, copy->n_bytes);
}

Err plan_compute(Graph *graph, Plan *plan, const PlanRun *run) {
  if (graph->fault.code) return graph->fault.code;
  if (need_arena(graph, plan->size.arena_bytes)) return graph->fault.code;
  fill_pointers(graph, plan, run);
  unsigned control = par_denormals_off();
  int next_checked = 0;
  for (int j = 0; j < plan->n_compute_jobs && !interrupted(graph); j++)
    if (!check_items(graph, plan, &plan->jobs[j], &next_checked))
      run_job(graph, plan, &plan->jobs[j], true);
  if (!interrupted(graph)) run_copies(plan, 0, plan->n_compute_copies);
  par_denormals_restore(control);
  return graph->fault.code;
}

void plan_redirect(Graph *graph, Plan *plan, const PlanRun *run) {
  fill_pointers(graph, plan, run);
}

void plan_commit(Graph *graph, Plan *plan) {
  unsigned control = par_denormals_off();
  for (int j = plan->n_compute_jobs; j < plan->n_jobs; j++)
    run_job(graph, plan, &plan->jobs[j], false);
  run_copies(plan, plan->n_compute_copies, plan->n_copies);
  par_denormals_restore(control);
}

/* -- a plan for one evaluation: tests compare it with graph_eval ------------------- */

static Stream stream_of(const Node *draw) {
  const Attr *attr = draw->attr + draw->n_attr - 2;
  return (Stream){(uint64_t)attr[0].i, (uint64_t)attr[1].i};
}

/* Roots that have no value yet get tensors. */
static Err make_roots(Graph *graph, Node *const *nodes, int n, Tensor **made,
                      void **root) {
  for (int i = 0; i < n; i++) {
    made[i] = tensor_new(&graph->memory, nodes[i]->dtype, &nodes[i]->shape,
                         &graph->fault);
    if (!made[i]) return graph->fault.code;
    root[i] = made[i]->a.data;
  }
  return ERR_OK;
}

static Err run_once(Graph *graph, Plan *plan, Node *const *nodes, int n,
                    Tensor **made) {
  void **in = malloc(((size_t)plan->n_leaves + 1) * sizeof *in);
  void **root = malloc(((size_t)n + 1) * sizeof *root);
  Stream *draw = malloc(((size_t)plan->n_draws + 1) * sizeof *draw);
  bool room = in && root && draw;
  if (!room) fault_memory(&graph->fault, (size_t)n * sizeof *root);
  if (room && !graph->fault.code && !make_roots(graph, nodes, n, made, root)) {
    for (int i = 0; i < plan->n_leaves; i++) in[i] = plan_leaf_data(plan->leaves[i]);
    for (int i = 0; i < plan->n_draws; i++) draw[i] = stream_of(plan->draws[i]);
    /* cppcheck-suppress uninitdata ; each has a value that the plan reads */
    if (!plan_compute(graph, plan, &(PlanRun){in, root, draw}))
      plan_commit(graph, plan);
  }
  free(in);
  free(root);
  free(draw);
  return graph->fault.code;
}

Err plan_eval(Graph *graph, Node *const *nodes, int n) {
  Plan *plan = plan_new(graph, nodes, n);
  Tensor **made = calloc((size_t)n + 1, sizeof *made);
  if (plan && !made) fault_memory(&graph->fault, (size_t)n * sizeof *made);
  if (plan && made && !run_once(graph, plan, nodes, n, made))
    for (int i = 0; i < n; i++)
      if (!nodes[i]->value[0] && nodes[i]->n_out == 1) {
        nodes[i]->value[0] = made[i];
        made[i] = NULL;
      }
  for (int i = 0; made && i < n; i++) tensor_release(made[i]);
  free(made);
  plan_free(plan);
  return graph->fault.code;
}

/* -- for people -------------------------------------------------------------------- */

static void dump_place(Text *out, PlanPlace place) {
  static const char *const kinds[] = {"arena", "input", "root", "tile"};
  text_addf(out, place.kind == IN_ARENA ? " %s+%zu" : " %s %zu", kinds[place.kind],
            place.kind == IN_ARENA ? place.offset : (size_t)place.index);
}

static void dump_item(Text *out, const PlanItem *item) {
  for (int m = 0; m < item->n_members; m++) {
    const PlanMember *member = &item->members[m];
    const OpCall *call = member->call;
    char shape[SHAPE_TEXT];
    text_addf(out, "  %s %s %s ->", item->is_group ? (m ? "|" : "+") : " ",
              call->op->name, shape_text(shape, &call->out[0].shape));
    for (int o = 0; o < call->n_out; o++) dump_place(out, member->out[o]);
    text_add(out, "  from");
    for (int k = 0; k < call->n_in; k++) dump_place(out, member->in[k]);
    if (member->layer) text_addf(out, "  in %s", member->layer);
    text_add(out, "\n");
  }
}

void plan_dump(const Plan *plan, Text *out) {
  if (plan->passes.n_bytes) text_addf(out, "%s\n", plan->passes.data);
  for (int j = 0; j < plan->n_jobs; j++) {
    const PlanJob *job = &plan->jobs[j];
    text_addf(out, "job %d%s: %lld blocks\n", j + 1,
              j >= plan->n_compute_jobs ? " (commit)" : "",
              (long long)job->phases[0].n_blocks);
    for (const PlanItem *item = plan->items + job->first_item;
         item < plan->items + job->first_item + job->n_items; item++) {
      if (item->chain && item == plan->items + item->chain->first_item)
        text_addf(out, "  chain of %lld rows, %lld at a time:\n",
                  (long long)item->chain->n_rows, (long long)item->chain->block);
      dump_item(out, item);
    }
  }
  const PlanSize *size = &plan->size;
  text_addf(out,
            "%d nodes, %d items (%d groups), %d jobs; arena %zu bytes, naive buffers "
            "%zu\n",
            size->n_nodes, size->n_items, size->n_groups, size->n_jobs,
            size->arena_bytes, size->naive_bytes);
}
