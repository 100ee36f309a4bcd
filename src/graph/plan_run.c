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

/* How an input goes on along the elements of a group. */
typedef enum Course {
  COURSE_WHOLE,              /* element by element */
  COURSE_ONE,                /* it is one element */
  COURSE_ROW,                /* a row that repeats: a bias of many rows */
  N_COURSES
} Course;

/* A member as this thread runs it. */
typedef struct Part {
  bool direct; /* a tile is one call of the kernel: */
  Course course[MAX_ARGS];
  int64_t stride[MAX_ARGS];
  const real *from[MAX_ARGS];
  OpCall call; /* else with its own arrays, for tiles of this thread */
  Array in[MAX_ARGS], out;
} Part;

/* Rows that repeat are written out one behind the other, to about WIDE elements, so
 * that a kernel is not called for each of them. */
enum { WIDE = 512, WIDE_ROWS = 8 };
typedef struct WideRows {
  _Alignas(64) real v[WIDE_ROWS][WIDE];
  int n;                   /* in use */
  int64_t row, n_elements; /* of each: before and after; where one is in use */
} WideRows;

static bool repeats(const Elements *e, int k) {
  return e->rank == 2 && e->stride[k][0] && !e->stride[k][1];
}

/* The elements of the rows that repeat in a member; 0: none do. */
static int64_t repeated_row(const Elements *e) {
  for (int k = 0; k < e->n_in; k++)
    if (repeats(e, k)) return e->dim[0];
  return 0;
}

/* Is input k a whole array, one element or a row that repeats? */
static bool is_simple(const Elements *e, int k) {
  int64_t whole = e->stride[k][0] ? e->dim[0] : 0;
  return e->rank == 1 || (e->rank == 2 && (repeats(e, k) || e->stride[k][1] == whole));
}

/* Does the member go on so simply that a tile, as long as the wide rows, is one call?
 */
static bool is_direct(const Elements *e, const WideRows *wide, int64_t row) {
  bool same = !wide->n || wide->row == row, room = wide->n + e->n_in <= WIDE_ROWS;
  bool direct = !e->exact && !e->integers &&
                (!row || (2 * row <= WIDE && same && room));
  for (int k = 0; direct && k < e->n_in; k++) direct = is_simple(e, k);
  return direct;
}

static real *write_out(WideRows *wide, const real *row, int64_t n) {
  must(n > 0);
  real *out = wide->v[wide->n++];
  wide->row = n;
  wide->n_elements = n * (WIDE / n);
  kernels()->repeat_row(out, row, n, WIDE / n);
  return out;
}

static void own_arrays(Part *part, const PlanMember *m) {
  part->call = *m->call;
  for (int k = 0; k < m->call->n_in; k++) part->in[k] = m->call->in[k];
  part->out = m->call->out[0];
  part->call.in = part->in;
  part->call.out = &part->out;
}

static void part_init(Part *part, const PlanMember *m, WideRows *wide) {
  const Elements *e = m->elements;
  int64_t row = repeated_row(e);
  part->direct = is_direct(e, wide, row);
  if (!part->direct) own_arrays(part, m);
  for (int k = 0; part->direct && k < e->n_in; k++) {
    const real *from = m->call->in[k].data;
    part->stride[k] = e->stride[k][0];
    part->course[k] = repeats(e, k)     ? COURSE_ROW
                      : e->stride[k][0] ? COURSE_WHOLE
                                        : COURSE_ONE;
    part->from[k] = repeats(e, k) ? write_out(wide, from, row) : from;
  }
}

/* Elements first .. end - 1 of a group; a wide row is at its element `at`. */
typedef struct Tile {
  real *tiles; /* of this thread */
  int64_t first, end, at;
} Tile;

static real *tile_of(const Tile *t, int tile) {
  return t->tiles + (size_t)tile * PLAN_TILE;
}

static void run_direct(const Part *part, const PlanMember *m, const Tile *t) {
  const int64_t skipped[N_COURSES] = {[COURSE_WHOLE] = t->first, [COURSE_ROW] = t->at};
  const real *in[MAX_ARGS];
  const PlanPlace *to = &m->out[0];
  real *out = to->kind == IN_TILE ? tile_of(t, to->index)
                                  : (real *)m->call->out[0].data + t->first;
  for (int k = 0; k < m->elements->n_in; k++)
    in[k] = m->in[k].kind == IN_TILE ? tile_of(t, m->in[k].index)
                                     : part->from[k] + skipped[part->course[k]];
  m->call->op->tile(m->call, out, in, part->stride, t->end - t->first);
}

/* So that element `first` of the array is the tile's first one. */
static void *tile_base(const Tile *t, int tile) {
  return (void *)((uintptr_t)tile_of(t, tile) - (uintptr_t)t->first * sizeof(real));
}

static void run_elements(Part *part, const PlanMember *m, const Tile *t) {
  for (int k = 0; k < part->call.n_in; k++)
    if (m->in[k].kind == IN_TILE) part->in[k].data = tile_base(t, m->in[k].index);
  if (m->out[0].kind == IN_TILE) part->out.data = tile_base(t, m->out[0].index);
  elements_run(m->elements, &part->call, t->first, t->end);
}

static void run_tile(const PlanItem *item, Part *parts, const Tile *t) {
  for (int i = 0; i < item->n_members; i++)
    if (parts[i].direct) run_direct(&parts[i], &item->members[i], t);
    else run_elements(&parts[i], &item->members[i], t);
}

static void run_tiles(const PlanItem *item, int64_t first, int64_t end) {
  _Alignas(64) real tiles[PLAN_TILES * PLAN_TILE];
  WideRows wide;
  Part parts[PLAN_MEMBERS];
  wide.n = 0;
  for (int i = 0; i < item->n_members; i++)
    part_init(&parts[i], &item->members[i], &wide);
  int64_t step = wide.n ? wide.n_elements : PLAN_TILE;
  while (first < end) {
    int64_t at = first % step, next = first - at + step;
    Tile t = {tiles, first, next < end ? next : end, at};
    run_tile(item, parts, &t);
    first = t.end;
  }
}

static void run_group(const PlanItem *item, int64_t block) {
  int64_t n = shape_count(&item->members[0].call->out[0].shape);
  int64_t first = block * PLAN_BLOCK;
  int64_t end = first + PLAN_BLOCK < n ? first + PLAN_BLOCK : n;
  if (item->expression) plan_run_expression(item->expression, first, end - first);
  else run_tiles(item, first, end);
}

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
  if (item->is_group) run_group(item, block);
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
    for (int i = 0; i < job->n_items; i++)
      dump_item(out, &plan->items[job->first_item + i]);
  }
  const PlanSize *size = &plan->size;
  text_addf(out,
            "%d nodes, %d items (%d groups), %d jobs; arena %zu bytes, naive buffers "
            "%zu\n",
            size->n_nodes, size->n_items, size->n_groups, size->n_jobs,
            size->arena_bytes, size->naive_bytes);
}
