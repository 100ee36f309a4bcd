/* plan_tiles.c: a group, tile by tile.
 *
 * A group is cut into blocks, which threads take, and these into tiles. A tile goes
 * through all members before the next one begins: what one member leaves to another is
 * a tile of this thread, in the first cache. Tiles are cut when the group is planned.
 *
 * Rows that repeat, as a bias of many rows does, are written out one behind the other,
 * to the length of a tile, so that a kernel is not called for each of them. Then tiles
 * are whole rows, so many that they end with a whole vector, where that can be: what is
 * left behind the last one costs a kernel as much as several vectors. A row that is
 * nearly as long as a tile is one, and is read where it lies.
 *
 * A member whose inputs all go on so simply is direct: a tile is one call of its
 * kernel. Others walk over the tile (ops_walk.h). */
#include "graph/plan_compile.h"

enum { VECTOR = 64 / (int)sizeof(real) }; /* the widest, in elements */

/* -- cutting ----------------------------------------------------------------------- */

/* Is input k a row that repeats? */
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

/* How many rows of n elements make a tile; 0: none. */
static int64_t rows_of_tile(int64_t n) {
  int64_t most = PLAN_WIDE / n;
  if (most < 2) return n <= PLAN_TILE;
  for (int64_t rows = most; rows > 1; rows--)
    if (rows * n % VECTOR == 0) return rows;
  return most;
}

static void cut_along_rows(PlanTiles *t, int64_t row) {
  t->row = row;
  t->times = rows_of_tile(row);
  t->tile = row * t->times;
}

/* Blocks are alike, so that threads end together. A thread that has no other to share
 * with takes longer ones: each costs the writing of rows anew. */
static void cut_blocks(PlanTiles *t, int threads) {
  int64_t block = threads > 1 ? PLAN_BLOCK : 4 * PLAN_BLOCK;
  int64_t n_blocks = (t->n + block - 1) / block;
  int64_t n_tiles = (t->n + t->tile - 1) / t->tile;
  t->block = (n_tiles + n_blocks - 1) / n_blocks * t->tile;
}

static bool is_direct(const PlanTiles *t, const Elements *e) {
  int64_t row = repeated_row(e);
  bool direct = !e->exact && !e->integers &&
                (!row || (row == t->row && t->n_rows + e->n_in <= PLAN_ROWS));
  for (int k = 0; direct && k < e->n_in; k++) direct = is_simple(e, k);
  return direct;
}

static void cut_member(PlanTiles *t, PlanPart *part, const PlanMember *m) {
  const Elements *e = m->elements;
  part->direct = is_direct(t, e);
  for (int k = 0; part->direct && k < e->n_in; k++) {
    PlanOperand *in = &part->in[k];
    part->stride[k] = e->stride[k][0];
    in->course = repeats(e, k)     ? COURSE_ROW
                 : e->stride[k][0] ? COURSE_WHOLE
                                   : COURSE_ONE;
    if (in->course != COURSE_ROW) continue;
    in->index = t->n_rows;
    t->rows[t->n_rows++] = &m->call->in[k];
  }
}

Err plan_cut_tiles(Compiler *c, PlanItem *item) {
  PlanTiles *t = item->tiles = plan_alloc(c, sizeof *t);
  if (!t) return c->graph->fault.code;
  t->parts = plan_alloc(c, (size_t)item->n_members * sizeof *t->parts);
  if (!t->parts) return c->graph->fault.code;
  *t = (PlanTiles){.parts = t->parts, .tile = PLAN_TILE,
                   .n = shape_count(&item->members[0].call->out[0].shape)};
  for (int m = 0; m < item->n_members && !t->row; m++) {
    int64_t row = repeated_row(item->members[m].elements);
    if (row && rows_of_tile(row)) cut_along_rows(t, row);
  }
  cut_blocks(t, c->graph->par.threads);
  for (int m = 0; m < item->n_members; m++)
    cut_member(t, &t->parts[m], &item->members[m]);
  return ERR_OK;
}

static void place_operand(PlanOperand *operand, PlanPlace place) {
  if (place.kind == IN_TILE) *operand = (PlanOperand){COURSE_TILE, place.index};
}

void plan_place_tiles(const PlanItem *item) {
  for (int i = 0; i < item->n_members; i++) {
    const PlanMember *m = &item->members[i];
    PlanPart *part = &item->tiles->parts[i];
    for (int k = 0; k < m->call->n_in; k++) place_operand(&part->in[k], m->in[k]);
    place_operand(&part->out, m->out[0]);
  }
}

/* -- running ----------------------------------------------------------------------- */

/* Elements first .. first + n - 1 of a group, in memory of this thread. */
typedef struct Tile {
  real (*tiles)[PLAN_TILE];
  const real *const *rows; /* that repeat, to the length of a tile */
  int64_t first, n;
} Tile;

static const real *input_of(const PlanOperand *operand, const Array *a, const Tile *t) {
  switch (operand->course) {
  case COURSE_TILE: return t->tiles[operand->index];
  case COURSE_ROW: return t->rows[operand->index];
  case COURSE_WHOLE: return (const real *)a->data + t->first;
  default: return a->data;
  }
}

static void run_direct(const PlanPart *part, const OpCall *call, const Tile *t) {
  const real *in[MAX_ARGS];
  real *out = part->out.course == COURSE_TILE ? t->tiles[part->out.index]
                                              : (real *)call->out[0].data + t->first;
  for (int k = 0; k < call->n_in; k++) in[k] = input_of(&part->in[k], &call->in[k], t);
  call->op->tile(call, out, in, part->stride, t->n);
}

/* The call of a member that is not direct, with arrays of its own: tiles are of this
 * thread. */
typedef struct OwnCall {
  OpCall call;
  Array in[MAX_ARGS], out;
} OwnCall;

static void own_init(OwnCall *own, const OpCall *call) {
  own->call = *call;
  for (int k = 0; k < call->n_in; k++) own->in[k] = call->in[k];
  own->out = call->out[0];
  own->call.in = own->in;
  own->call.out = &own->out;
}

/* So that element `first` of the array is the tile's first one. */
static void place_array(Array *a, const PlanOperand *operand, const Tile *t) {
  if (operand->course != COURSE_TILE) return;
  uintptr_t tile = (uintptr_t)t->tiles[operand->index];
  a->data = (void *)(tile - (uintptr_t)t->first * sizeof(real));
}

static void run_elements(const PlanPart *part, const Elements *e, OwnCall *own,
                         const Tile *t) {
  for (int k = 0; k < e->n_in; k++) place_array(&own->in[k], &part->in[k], t);
  place_array(&own->out, &part->out, t);
  elements_run(e, &own->call, t->first, t->first + t->n);
}

static void run_tile(const PlanItem *item, OwnCall *own, const Tile *t) {
  const PlanPart *part = item->tiles->parts;
  const PlanMember *m = item->members;
  for (int i = 0; i < item->n_members; i++, part++, m++)
    if (part->direct) run_direct(part, m->call, t);
    else run_elements(part, m->elements, &own[i], t);
}

static void run_tiles(const PlanItem *item, int64_t first, int64_t end) {
  _Alignas(64) real tiles[PLAN_TILES][PLAN_TILE], wide[PLAN_ROWS][PLAN_WIDE];
  const real *rows[PLAN_ROWS];
  OwnCall own[PLAN_MEMBERS];
  const PlanTiles *p = item->tiles;
  for (int r = 0; r < p->n_rows; r++) {
    rows[r] = p->times > 1 ? wide[r] : p->rows[r]->data;
    if (p->times > 1)
      kernels()->repeat_row(wide[r], p->rows[r]->data, p->row, p->times);
  }
  for (int i = 0; i < item->n_members; i++)
    if (!p->parts[i].direct) own_init(&own[i], item->members[i].call);
  for (; first < end; first += p->tile) {
    int64_t left = end - first;
    run_tile(item, own, &(Tile){tiles, rows, first, left < p->tile ? left : p->tile});
  }
}

void plan_run_rows(const PlanItem *item, int64_t n_rows, int64_t first, int64_t n) {
  int64_t row = item->tiles->n / n_rows;
  run_tiles(item, first * row, (first + n) * row);
}

void plan_run_group(const PlanItem *item, int64_t block) {
  const PlanTiles *t = item->tiles;
  int64_t first = block * t->block, left = t->n - first;
  int64_t n = left < t->block ? left : t->block;
  if (item->expression) plan_run_expression(item->expression, first, n);
  else run_tiles(item, first, first + n);
}
