/* plan_expression.c: a rule of an optimizer as one expression (kernel.h).
 *
 * A group that is a rule, and whose members are all steps on whole arrays and numbers,
 * runs as one kernel instead of member by member: arrays become streams, values between
 * members registers. What is at one place is one register, so that a step reads what an
 * earlier one has made there. The steps are the operations of the members, in their
 * order, so the bytes are the same. Other groups hold functions that are no steps, and
 * rows that repeat: they run by tiles (plan_run.c). */
#include "graph/plan_compile.h"

enum { MOST = EXPRESSION_REGISTERS };

/* Registers of one section, while they are listed. */
typedef struct Section {
  PlanPlace place[MOST];
  void **where[MOST]; /* the pointer to it, in a call */
  int n;
} Section;

typedef struct Registers {
  Section streams, numbers;
  int n_tiles;
} Registers;

/* A register before all are counted: its section, its place there. */
typedef struct Register {
  enum { STREAM, NUMBER, TILE } section;
  int index;
} Register;

static bool same_place(PlanPlace a, PlanPlace b) {
  return a.kind == b.kind && a.index == b.index && a.offset == b.offset;
}

/* Its number in the section; MOST: there is no room. */
static int listed(Section *s, PlanPlace place, void **where) {
  for (int i = 0; i < s->n; i++)
    if (same_place(s->place[i], place)) return i;
  if (s->n == MOST) return MOST;
  s->place[s->n] = place;
  s->where[s->n] = where;
  return s->n++;
}

static Register tile_register(Registers *r, PlanPlace place) {
  if (place.index >= r->n_tiles) r->n_tiles = place.index + 1;
  return (Register){TILE, place.index};
}

static Register input_register(Registers *r, const PlanMember *m, int k) {
  PlanPlace place = m->in[k];
  void **where = &((Array *)m->call->in)[k].data;
  if (place.kind == IN_TILE) return tile_register(r, place);
  bool number = m->elements->stride[k][0] == 0 && m->elements->dim[0] > 1;
  if (number) return (Register){NUMBER, listed(&r->numbers, place, where)};
  return (Register){STREAM, listed(&r->streams, place, where)};
}

static Register output_register(Registers *r, const PlanMember *m) {
  PlanPlace place = m->out[0];
  if (place.kind == IN_TILE) return tile_register(r, place);
  return (Register){STREAM, listed(&r->streams, place, &m->call->out[0].data)};
}

static bool is_step(const PlanMember *m) {
  const Elements *e = m->elements;
  return m->call->op->step && e->rank == 1 && !e->integers && !e->exact;
}

/* First the streams, then the numbers, then the tiles. */
static int register_number(const Registers *r, Register of) {
  int first = of.section == STREAM ? 0 : r->streams.n;
  return (of.section == TILE ? first + r->numbers.n : first) + of.index;
}

/* Called twice: registers have their numbers when all of them are listed. */
static ExpressionStep step_of(Registers *r, const PlanMember *m) {
  ExpressionStep step = op_step(m->call);
  for (int k = 0; k < m->call->n_in; k++)
    step.in[k] = register_number(r, input_register(r, m, k));
  step.out = register_number(r, output_register(r, m));
  return step;
}

static void ***copy_places(Compiler *c, const Section *s) {
  void ***where = plan_alloc(c, ((size_t)s->n + 1) * sizeof *where);
  for (int i = 0; where && i < s->n; i++) where[i] = s->where[i];
  return where;
}

static Err make_expression(Compiler *c, PlanItem *item, Registers *r) {
  PlanExpression *e = plan_alloc(c, sizeof *e);
  ExpressionStep *steps = plan_alloc(c, (size_t)item->n_members * sizeof *steps);
  void ***stream = copy_places(c, &r->streams), ***number = copy_places(c, &r->numbers);
  if (!e || !steps || !stream || !number) return c->graph->fault.code;
  for (int m = 0; m < item->n_members; m++) steps[m] = step_of(r, &item->members[m]);
  int n_registers = register_number(r, (Register){TILE, r->n_tiles});
  *e = (PlanExpression){.steps = {.steps = steps, .n_steps = item->n_members,
                                  .n_streams = r->streams.n, .n_numbers = r->numbers.n,
                                  .n_registers = n_registers},
                        .stream = stream, .number = number};
  e->steps.loop = expression_loop(&e->steps);
  item->expression = e;
  return ERR_OK;
}

Err plan_find_expression(Compiler *c, int item) {
  PlanItem *it = &c->plan->items[item];
  int g = c->spots[c->item_nodes[c->item_first[item]]].group;
  if (g == NOBODY || !c->groups[g].rule) return ERR_OK;
  Registers r = {0};
  for (int m = 0; m < it->n_members; m++) {
    if (!is_step(&it->members[m])) return ERR_OK;
    (void)step_of(&r, &it->members[m]);
  }
  bool room = r.streams.n + r.numbers.n + r.n_tiles < MOST;
  return room ? make_expression(c, it, &r) : ERR_OK;
}

void plan_run_expression(const PlanExpression *e, int64_t first, int64_t n) {
  real *stream[MOST], number[MOST];
  for (int k = 0; k < e->steps.n_streams; k++)
    stream[k] = (real *)*e->stream[k] + first;
  for (int k = 0; k < e->steps.n_numbers; k++) number[k] = *(const real *)*e->number[k];
  kernels()->expression(&e->steps, stream, number, n);
}
