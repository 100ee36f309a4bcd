/* layer_recurrent.c: what the recurrent layers share, and nn.Bidirectional. Sequences
 * are [N, T, features]; the cells' equations are in graph/ops_<cell>.c.
 *
 * A layer goes through its op, which takes the whole sequence, except with layer_norm:
 * then the steps are nodes of plain ops. The state that it begins with is given with x,
 * or kept from the last call, or 0; one of no rows is none: the next call may have any
 * number of them. What inputs and products are dropped by is drawn once for all steps
 * (Gal & Ghahramani, NIPS 2016). */
#include "nn/recurrent.h"
#include "base/record_copy.h"
#include <stdio.h>
#include <stdlib.h>

enum { MAX_STATES = 2 };

/* -- variables --------------------------------------------------------------------- */

/* Elements of the cell's own part of the weight, in H. */
static int own_part(const RecurrentLayer *self, const RecurrentCell *cell) {
  return cell->own ? cell->own(self) : 0;
}

/* Is that part a variable? Else it is 0. */
static bool has_own(const RecurrentLayer *self, const RecurrentCell *cell) {
  return own_part(self, cell) && (self->bias || !cell->own_is_bias);
}

Err recurrent_check(Object *object, const RecurrentCell *cell, Fault *fault) {
  RecurrentLayer *self = (RecurrentLayer *)object;
  Layer *layer = &self->layer;
  bool normed = self->layer_norm, kept = self->stateful, two = cell->states > 1;
  const bool has[RECURRENT_VARS] = {
      [WEIGHT_IH] = true, [WEIGHT_HH] = true, [BIAS] = self->bias,
      [OWN] = has_own(self, cell),
      [NORM_IH] = normed, [NORM_HH] = normed, [NORM_WEIGHT] = normed && two,
      [NORM_BIAS] = normed && two, [HIDDEN] = kept, [CELL] = kept && two};
  Err err = ERR_OK;
  for (int i = 0; i < RECURRENT_VARS && !err; i++)
    if (has[i]) err = layer_declare(layer, i, i != HIDDEN && i != CELL, fault);
  for (int i = HIDDEN; i <= CELL && !err; i++)
    if (has[i]) layer->var[i]->any_rows = true;
  return err;
}

/* Drawn as any bias, then as the cell has it. */
static Err give_bias(Graph *graph, RecurrentLayer *self, const RecurrentCell *cell,
                     Fault *fault) {
  Layer *layer = &self->layer;
  Variable *bias = layer->var[BIAS];
  const Shape shape = SHAPE_OF(cell->gates * self->units);
  if (bias->has_value && shape_equal(&bias->current->shape, &shape)) return ERR_OK;
  Err err = layer_give(graph, layer, BIAS, self->bias_init, &shape, (double)self->units,
                       (double)shape.dim[0], fault);
  if (err || !cell->bias) return err;
  Node *given = cell->bias(graph, self, variable_read(graph, bias));
  if (!given || variable_assign(graph, bias, given) ||
      layer_note_value(graph, layer, BIAS, bias->current, NULL))
    return graph_ok(graph, fault);
  return ERR_OK;
}

static Err give_ones(Graph *graph, Layer *layer, int i, double value, int64_t n,
                     Fault *fault) {
  if (!layer_var(layer, i)) return ERR_OK;
  return layer_give_constant(graph, layer, i, value, &SHAPE_OF(n), fault);
}

/* None is kept yet. */
static Err give_state(Graph *graph, Layer *layer, int64_t H, Fault *fault) {
  Err err = ERR_OK;
  for (int i = HIDDEN; i <= CELL && !err; i++) {
    const Variable *kept = layer_var(layer, i);
    if (kept && !kept->has_value)
      err = layer_give_constant(graph, layer, i, 0, &SHAPE_OF(0, H), fault);
  }
  return err;
}

static const char no_steps[] = " (return_sequences = true keeps the steps of a "
                               "recurrent layer before it; numbers of tokens go "
                               "through nn.Embedding)";

Err recurrent_build(Graph *graph, Layer *layer, const RecurrentCell *cell,
                    const Ports *in, Fault *fault) {
  RecurrentLayer *self = (RecurrentLayer *)layer;
  const Shape *x = &in->v[0].x->shape;
  char got[SHAPE_TEXT];
  if (x->rank != 3)
    return fault_set(fault, ERR_SHAPE, "%s: expects [N, T, features], got %s%s",
                     layer->name, shape_text(got, x), x->rank == 2 ? no_steps : "");
  int64_t F = x->dim[2], H = self->units, width = cell->gates * H;
  Err err = layer_give(graph, layer, WEIGHT_IH, self->init, &SHAPE_OF(F, width),
                       (double)F, (double)width, fault);
  if (!err)
    err = layer_give(graph, layer, WEIGHT_HH, self->recurrent_init, &SHAPE_OF(H, width),
                     (double)H, (double)width, fault);
  if (!err && self->bias) err = give_bias(graph, self, cell, fault);
  if (!err && has_own(self, cell))
    err = layer_give(graph, layer, OWN, self->bias_init,
                     &SHAPE_OF(own_part(self, cell) * H), (double)H, (double)H, fault);
  if (!err) err = give_ones(graph, layer, NORM_IH, 1, width, fault);
  if (!err) err = give_ones(graph, layer, NORM_HH, 1, width, fault);
  if (!err) err = give_ones(graph, layer, NORM_WEIGHT, 1, H, fault);
  if (!err) err = give_ones(graph, layer, NORM_BIAS, 0, H, fault);
  return err ? err : give_state(graph, layer, H, fault);
}

/* -- inputs of the op -------------------------------------------------------------- */

static Node *flat(Graph *graph, Node *x) {
  return x ? op_reshape(graph, x, &SHAPE_OF(-1)) : NULL;
}

static Node *columns(Graph *graph, Node *x, int64_t first, int64_t n) {
  int64_t start[MAX_RANK] = {0, first}, step[MAX_RANK] = {1, 1};
  int64_t count[MAX_RANK] = {x ? x->shape.dim[0] : 0, n};
  return x ? op_slice(graph, x, start, count, step) : NULL;
}

/* All variables that the op takes, one behind the other. */
static Node *weight_of(Graph *graph, const RecurrentLayer *self,
                       const RecurrentCell *cell, int form) {
  const Layer *layer = &self->layer;
  int64_t H = self->units, width = cell->gates * H, split = cell->split * H;
  Node *hh = layer_read(graph, layer, WEIGHT_HH), *part[5];
  int n = 0;
  part[n++] = flat(graph, layer_read(graph, layer, WEIGHT_IH));
  if (split && form == cell->split_form) {
    part[n++] = flat(graph, columns(graph, hh, 0, split));
    hh = columns(graph, hh, split, width - split);
  }
  part[n++] = flat(graph, hh);
  part[n++] = self->bias ? layer_read(graph, layer, BIAS)
                         : op_full(graph, 0, &SHAPE_OF(width));
  int64_t own = own_part(self, cell) * H;
  if (own)
    part[n++] = has_own(self, cell) ? layer_read(graph, layer, OWN)
                                    : op_full(graph, 0, &SHAPE_OF(own));
  return op_concat(graph, part, n, 0);
}

/* Number i of what is kept; NULL: nothing. */
static Variable *kept_state(const Layer *layer, int i) {
  const RecurrentLayer *self = (const RecurrentLayer *)layer;
  Variable *kept = self->stateful ? layer_var(layer, HIDDEN + i) : NULL;
  return kept && kept->current->shape.dim[0] > 0 ? kept : NULL;
}

/* The state that came with x, or the kept one, or 0: its parts. */
static bool first_state(Graph *graph, Layer *layer, const RecurrentCell *cell,
                        const Ports *in, Node **state) {
  const RecurrentLayer *self = (const RecurrentLayer *)layer;
  const Shape part = SHAPE_OF(in->v[0].x->shape.dim[0], self->units);
  char expects[96];
  snprintf(expects, sizeof expects, "%s of %lldx%lld beside x",
           cell->states > 1 ? "h and c" : "h", (long long)part.dim[0],
           (long long)part.dim[1]);
  for (int i = 0; i < cell->states; i++) {
    Variable *kept = kept_state(layer, i);
    state[i] = in->n > 1 ? op_cast(graph, in->v[1 + i].x, DT_REAL)
               : kept    ? variable_read(graph, kept)
                         : op_full(graph, 0, &part);
    if (!state[i]) return false;
    if (shape_equal(&state[i]->shape, &part)) continue;
    if (in->n > 1) layer_refuse(graph, layer, expects, &state[i]->shape);
    else
      fault_set(&graph->fault, ERR_SHAPE,
                "%s: keeps the state of %lld rows, got %lld; a stateful layer takes "
                "batches of one size (drop_last) until net:reset_states()",
                layer->name, (long long)state[i]->shape.dim[0], (long long)part.dim[0]);
    return false;
  }
  return true;
}

/* -- results ----------------------------------------------------------------------- */

/* The steps in the other order; NULL stays NULL. */
static Node *turned(Graph *graph, Node *x) {
  int64_t start[MAX_RANK] = {0}, count[MAX_RANK], step[MAX_RANK];
  if (!x) return NULL;
  for (int a = 0; a < x->shape.rank; a++) count[a] = x->shape.dim[a], step[a] = 1;
  start[1] = x->shape.dim[1] - 1;
  step[1] = -1;
  return op_slice(graph, x, start, count, step);
}

/* `out`: h of all steps, and the last state. */
static Ports results(Graph *graph, Layer *layer, const RecurrentCell *cell,
                     Node *const *out, Node *mask) {
  const RecurrentLayer *self = (const RecurrentLayer *)layer;
  Node *state[MAX_STATES] = {NULL};
  bool turn = self->go_backwards && !self->aligned;
  for (int i = 0; i < cell->states; i++) {
    state[i] = cell->states == 1 ? out[1]
                                 : columns(graph, out[1], i * self->units, self->units);
    if (!state[i]) return (Ports){0};
    if (self->stateful && variable_assign(graph, layer->var[HIDDEN + i], state[i]))
      return (Ports){0};
  }
  Node *all = turn && self->return_sequences ? turned(graph, out[0]) : out[0];
  Ports ports = self->return_sequences
                    ? layer_ports_of(all, turn ? turned(graph, mask) : mask)
                    : layer_ports_of(state[0], NULL);
  for (int i = 0; self->return_state && i < cell->states; i++)
    ports.v[ports.n++] = (Port){state[i], NULL};
  if (graph->fault.code) ports.n = 0;
  return ports;
}

static void run(Graph *graph, Layer *layer, const RecurrentCell *cell, Node *const *in,
                int n_in, Node **out) {
  const RecurrentLayer *self = (const RecurrentLayer *)layer;
  RecurrentForm form = {.form = cell->form ? cell->form(self) : 0,
                        .reverse = self->go_backwards, .keep = graph->training};
  if (self->layer_norm) {
    RecurrentNorms norms = {.gain_x = layer_read(graph, layer, NORM_IH),
                            .gain_h = layer_read(graph, layer, NORM_HH),
                            .weight = layer_read(graph, layer, NORM_WEIGHT),
                            .bias = layer_read(graph, layer, NORM_BIAS), .eps = 1e-5};
    op_recurrent_normed(graph, cell->op, in, n_in, &form, &norms, out);
    return;
  }
  Node *all = op_recurrent(graph, cell->op, in, n_in, &form);
  for (int o = 0; o < 2; o++) out[o] = all ? graph_pick(graph, all, o) : NULL;
}

static bool takes(Graph *graph, Layer *layer, const RecurrentCell *cell,
                  const Ports *in) {
  const Shape *x = &in->v[0].x->shape;
  int64_t F = layer->var[WEIGHT_IH]->current->shape.dim[0];
  if (in->n > 1 && !layer_takes(graph, layer, in, 1 + cell->states, 1 + cell->states))
    return false;
  if (!layer_takes(graph, layer, in, 1, 1 + cell->states)) return false;
  if (x->rank == 3 && x->dim[2] == F) return true;
  char expects[64];
  snprintf(expects, sizeof expects, "[N, T, %lld]", (long long)F);
  layer_refuse(graph, layer, expects, x);
  return false;
}

Ports recurrent_ports(Graph *graph, Layer *layer, const RecurrentCell *cell,
                      const Ports *in) {
  const RecurrentLayer *self = (const RecurrentLayer *)layer;
  Node *state[MAX_STATES] = {NULL}, *out[2] = {NULL, NULL}, *mask = in->v[0].mask;
  if (!takes(graph, layer, cell, in) || !first_state(graph, layer, cell, in, state))
    return (Ports){0};
  /* What is planned for a beginning is not for the calls that go on from it. */
  if (self->stateful && !kept_state(layer, 0)) layer->object.version++;
  int64_t N = in->v[0].x->shape.dim[0], T = in->v[0].x->shape.dim[1];
  Node *x = op_cast(graph, in->v[0].x, DT_REAL);
  Node *dropped = layer_drop(graph, layer, "dropout", self->dropout,
                             &SHAPE_OF(N, 1, in->v[0].x->shape.dim[2]));
  Node *drop = layer_drop(graph, layer, "recurrent_dropout", self->recurrent_dropout,
                          &SHAPE_OF(N, self->units));
  int form = cell->form ? cell->form(self) : 0;
  Node *inputs[] = {dropped ? op_mul(graph, x, dropped) : x,
                    weight_of(graph, self, cell, form),
                    cell->states == 1 ? state[0]
                                      : op_concat(graph, state, cell->states, 1),
                    mask ? mask : op_full(graph, 1, &SHAPE_OF(N, T)), drop};
  if (graph->fault.code) return (Ports){0};
  run(graph, layer, cell, inputs, drop ? 5 : 4, out);
  return out[0] && out[1] ? results(graph, layer, cell, out, mask) : (Ports){0};
}

Err recurrent_reset(Graph *graph, Layer *layer) {
  for (int i = HIDDEN; i <= CELL; i++) {
    Variable *kept = layer_var(layer, i);
    if (!kept || !kept->has_value) continue;
    const Shape none = SHAPE_OF(0, kept->current->shape.dim[1]);
    if (variable_assign(graph, kept, op_full(graph, 0, &none)))
      return graph->fault.code;
  }
  return ERR_OK;
}

/* -- Bidirectional ----------------------------------------------------------------- */

enum { MERGE_CONCAT, MERGE_SUM, MERGE_MUL, MERGE_AVE, MERGE_NONE };
static const char *const merge_names[] = {"concat", "sum", "mul", "ave", "none", NULL};

typedef struct Bidirectional {
  Layer layer;
  Layer *forward, *backward;
  int merge;
} Bidirectional;

static int bidirectional_children(Layer *layer, Layer *const **out) {
  *out = &((Bidirectional *)layer)->forward;
  return 2;
}

static RecurrentLayer *recurrent_in(Layer *layer) {
  return layer && layer_kind(layer)->recurrent ? (RecurrentLayer *)layer : NULL;
}

/* What the two directions must have in common. */
static Err check_pair(const RecurrentLayer *f, const RecurrentLayer *b, int merge,
                      Fault *fault) {
  if (f == b || f->go_backwards == b->go_backwards)
    return fault_set(fault, ERR_VALUE,
                     "nn.Bidirectional: \"backward\" must be another layer, whose "
                     "go_backwards is %s",
                     f->go_backwards ? "false" : "true");
  bool joined = merge == MERGE_SUM || merge == MERGE_MUL || merge == MERGE_AVE;
  if (joined && f->units != b->units)
    return fault_set(fault, ERR_VALUE,
                     "nn.Bidirectional: merge_mode \"%s\" joins results of %lld and "
                     "%lld units; allowed: as many in both, or \"concat\" or \"none\"",
                     merge_names[merge], (long long)f->units, (long long)b->units);
  if (f->return_sequences == b->return_sequences && f->return_state == b->return_state)
    return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "nn.Bidirectional: return_sequences and return_state must be those "
                   "of the other direction");
}

/* The other direction, made like this one; it has a name of its own. */
static Err copy_direction(Bidirectional *self, const RecurrentLayer *forward,
                          Fault *fault) {
  ObjectCopies copies = {0};
  self->backward = (Layer *)object_copy(&self->forward->object, &copies, fault);
  object_copies_deinit(&copies);
  if (!self->backward) return fault->code;
  free(self->backward->given_name);
  self->backward->given_name = NULL;
  ((RecurrentLayer *)self->backward)->go_backwards = !forward->go_backwards;
  return ERR_OK;
}

static Err bidirectional_check(Object *object, Fault *fault) {
  Bidirectional *self = (Bidirectional *)object;
  RecurrentLayer *forward = recurrent_in(self->forward);
  const Layer *other = forward ? self->backward : self->forward;
  if (!forward || (other && !recurrent_in(self->backward)))
    return fault_set(fault, ERR_VALUE,
                     "nn.Bidirectional: option \"%s\": got nn.%s, allowed: nn.LSTM or "
                     "another recurrent layer",
                     forward ? "backward" : "layer",
                     other ? other->object.kind->name : "nothing");
  if (!self->backward) {
    if (copy_direction(self, forward, fault)) return fault->code;
  }
  RecurrentLayer *backward = recurrent_in(self->backward);
  must(backward); /* given, or a copy */
  Err err = check_pair(forward, backward, self->merge, fault);
  if (err) return err;
  layer_adopt(&self->layer, self->forward);
  layer_adopt(&self->layer, self->backward);
  return ERR_OK;
}

static Node *merged(Graph *graph, int how, Node *x, Node *y) {
  switch (how) {
  case MERGE_SUM: return op_add(graph, x, y);
  case MERGE_MUL: return op_mul(graph, x, y);
  case MERGE_AVE: return op_scale(graph, op_add(graph, x, y), 0.5);
  default: return op_concat(graph, (Node *[]){x, y}, 2, x->shape.rank - 1);
  }
}

/* By itself the layer gives results in its own order. */
static Ports forward_aligned(Graph *graph, RecurrentLayer *direction, const Ports *in) {
  direction->aligned = true;
  Ports out = layer_forward(graph, &direction->layer, in);
  direction->aligned = false;
  return out;
}

/* States that are given are those of `layer`, then those of `backward`; so are those
 * that come back. Fields of both may have been set since they were checked. */
static Ports bidirectional_ports(Graph *graph, Layer *layer, const Ports *in) {
  Bidirectional *self = (Bidirectional *)layer;
  Ports mine[2] = {{0}}, out = {0};
  RecurrentLayer *pair[] = {(RecurrentLayer *)self->forward,
                            (RecurrentLayer *)self->backward};
  int n_states = in->n - 1, half = n_states / 2;
  if (check_pair(pair[0], pair[1], self->merge, &graph->fault)) return out;
  if (n_states % 2) {
    layer_takes(graph, layer, in, n_states + 2, n_states + 2);
    return out;
  }
  for (int i = 0; i < 2; i++) {
    Ports part = {.n = 1 + half, .v = {in->v[0]}};
    for (int k = 0; k < half; k++) part.v[1 + k] = in->v[1 + i * half + k];
    mine[i] = forward_aligned(graph, pair[i], &part);
    if (!mine[i].n) return out;
  }
  if (self->merge == MERGE_NONE)
    out = (Ports){.n = 2, .v = {mine[0].v[0], mine[1].v[0]}};
  else
    out = layer_ports_of(merged(graph, self->merge, mine[0].v[0].x, mine[1].v[0].x),
                         mine[0].v[0].mask);
  for (int i = 0; i < 2 && out.n; i++)
    for (int k = 1; k < mine[i].n; k++) out.v[out.n++] = mine[i].v[k];
  return out;
}

static const Option bidirectional_options[] = {
    {.name = "layer", .kind = OPT_OBJECT, .offset = offsetof(Bidirectional, forward),
     .family = &layer_family, .position = 1, .doc = "a recurrent layer"},
    {.name = "backward", .kind = OPT_OBJECT,
     .offset = offsetof(Bidirectional, backward), .family = &layer_family,
     .value = "none", .alias = "backward_layer",
     .doc = "the layer of the other direction; left out: one like the first"},
    {.name = "merge_mode", .kind = OPT_CHOICE, .offset = offsetof(Bidirectional, merge),
     .choices = merge_names, .value = "concat",
     .doc = "how the results of both are joined; \"none\": they are two"},
    LAYER_OPTIONS,
    {0}};

const LayerKind layer_bidirectional = {
    .kind = {.name = "Bidirectional", .family = &layer_family,
             .size = sizeof(Bidirectional), .options = bidirectional_options,
             .example = "print(nn.Bidirectional(nn.GRU(3))(tensor.randn(4, 5, 6)))",
             .doc = "A recurrent layer in both directions, with weights for each: "
                    "results of all steps are those of the same step, joined; without "
                    "return_sequences the last states, of which that of the other "
                    "direction has seen the first step last. With return_state the "
                    "state of the first follows, then that of the other.",
             .equation = "y = join(f(x), reverse(b(reverse(x))))",
             .source = "Schuster & Paliwal, IEEE Trans. Signal Processing 45, 1997",
             .check = bidirectional_check, .deinit = layer_deinit},
    .prefix = "bidirectional", .gives_steps = true, .knows_masks = true,
    .samples = (const LayerSample[]){
        {{{"layer", "SimpleRNN 2"}}, {{3, {3, 4, 2}}}, {2, {3, 4}}},
        {{{"layer", "GRU 2"}, {"merge_mode", "mul"}}, {{3, {2, 3, 1}}}, {2, {2, 2}}},
        {{{"layer", "LSTM 1"}, {"merge_mode", "ave"}}, {{3, {2, 2, 3}}}, {2, {2, 1}}},
        LAYER_SAMPLES_END},
    .ports = bidirectional_ports, .children = bidirectional_children};
