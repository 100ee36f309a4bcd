/* optim.c: the optimizers, and how one step is emitted.
 *
 *   g  <- scale * gradient            scale <= 1 by clipnorm or global_clipnorm
 *   w', slots' = update(w, g, slots, rates)
 *
 * Order: clipvalue acts on the gradient's elements first, then norms clip, then weight
 * decay is added (coupled) or taken from the weight (AdamW).
 *
 * clipvalue makes a finite number of an infinite element, as in PyTorch and Keras; a
 * NaN stays, and the norm of what is not finite is none: such a step is refused
 * (train/step.c). */
#include "nn/optim.h"
#include "base/array.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* -- the family -------------------------------------------------------------------- */

#define OPTIMIZER(name) extern const OptimKind optim_##name;
#include "nn/optimizers.def"
#undef OPTIMIZER

static const Kind *const optim_kinds[] = {
#define OPTIMIZER(name) &optim_##name.kind,
#include "nn/optimizers.def"
#undef OPTIMIZER
    NULL};

const Family optim_family = {"optimizer", "optim", optim_kinds, NULL};

static const OptimKind *kind_of(const Optimizer *opt) {
  return (const OptimKind *)opt->object.kind;
}

const OptimSlot *optimizer_slot_list(const Optimizer *opt) {
  static const OptimSlot none[] = {{0}};
  const OptimSlot *slots = kind_of(opt)->slots;
  return slots ? slots : none;
}

Optimizer *optimizer_of_sample(const Kind *kind, const char *sample, Fault *fault) {
  Object *o = object_new(kind, fault);
  char name[64];
  double value;
  int length;
  for (; o && sscanf(sample, " %63[^= ]=%lf%n", name, &value, &length) == 2;
       sample += length) {
    const Option *option = option_find(kind, name, fault);
    bool truth = option && option->kind == OPT_BOOL;
    Given given = {.value = {.kind = VALUE_REAL, .as.real = value}};
    if (truth) given.value = (Value){.kind = VALUE_BOOL, .as.boolean = value != 0};
    if (option) (void)!option_set(o, option, &given, fault);
  }
  if (o && (fault->code || object_ready(o, NULL, fault))) {
    object_release(o);
    return NULL;
  }
  return (Optimizer *)o;
}

/* -- numbers ----------------------------------------------------------------------- */

double optim_correction(double beta, double t) { return 1 / (1 - pow(beta, t)); }

static double rate_of(const Optimizer *opt, double t) {
  (void)t;
  return opt->rate;
}

/* Those of every kind; after them come its own. */
enum { LR, WEIGHT_DECAY, COMMON_NUMBERS };
static const OptimNumber common_numbers[] = {
    [LR] = {.value = rate_of},
    [WEIGHT_DECAY] = {.offset = offsetof(Optimizer, weight_decay)}};

/* Number k, NULL after the last. */
static const OptimNumber *number_at(const Optimizer *opt, int k) {
  const OptimNumber *own = kind_of(opt)->numbers;
  if (k < COMMON_NUMBERS) return &common_numbers[k];
  own = own ? own + k - COMMON_NUMBERS : NULL;
  return own && (own->value || own->offset) ? own : NULL;
}

static double number_value(const Optimizer *opt, const OptimNumber *number, double t) {
  if (number->value) return number->value(opt, t);
  const void *field = (const char *)opt + number->offset;
  return *(const double *)field;
}

/* Is the option a number of steps, or what the rate is made of? */
static bool is_number(const Optimizer *opt, const Option *option) {
  size_t offset = option->offset;
  if (offset == offsetof(Optimizer, lr) || offset == offsetof(Optimizer, schedule))
    return true;
  const OptimNumber *number;
  for (int k = 0; (number = number_at(opt, k)); k++)
    if (!number->value && number->offset == offset) return true;
  return false;
}

/* -- slots ------------------------------------------------------------------------- */

/* The slots of a parameter, NULL: none. `*hint`: where they probably are; moved to the
 * place after them, where those of the next parameter are when several are asked for in
 * order. */
static OptimSlots *find_slots(const Optimizer *opt, const Variable *param, int *hint) {
  int at = *hint < opt->n_slots && opt->slots[*hint].param == param ? *hint : 0;
  while (at < opt->n_slots && opt->slots[at].param != param) at++;
  if (at == opt->n_slots) return NULL;
  *hint = at + 1;
  return &opt->slots[at];
}

static int count_list(const OptimSlot *list) {
  int n = 0;
  while (list[n].name) n++;
  return n;
}

static void slots_deinit(const Optimizer *opt, OptimSlots *slots) {
  variable_release(slots->param);
  for (int i = count_list(optimizer_slot_list(opt)); i-- > 0;)
    variable_release(slots->slot[i]);
  free(slots->slot);
}

void optimizer_deinit(Object *object) {
  Optimizer *opt = (Optimizer *)object;
  for (int i = 0; i < opt->n_slots; i++) slots_deinit(opt, &opt->slots[i]);
  free(opt->slots);
}

/* The same, made where there are none. NULL: no memory. */
static OptimSlots *slots_of(Optimizer *opt, Variable *param, int *hint, Fault *fault) {
  OptimSlots *slots = find_slots(opt, param, hint);
  if (slots) return slots;
  size_t n_bytes = ((size_t)count_list(optimizer_slot_list(opt)) + 1) *
                   sizeof *slots->slot;
  Err err = ARRAY_ROOM(opt->slots, opt->slot_room, opt->n_slots + 1, fault);
  Variable **slot = err ? NULL : calloc(1, n_bytes);
  if (!slot) {
    fault_memory(fault, n_bytes);
    return NULL;
  }
  must(opt->slots);
  slots = &opt->slots[opt->n_slots++];
  *slots = (OptimSlots){.param = variable_retain(param), .slot = slot};
  *hint = opt->n_slots;
  return slots;
}

/* Slot i as a variable, perhaps without a value. */
static Variable *slot_variable(OptimSlots *slots, int i, const char *what,
                               Fault *fault) {
  Variable *v = slots->slot[i];
  if (v) return v;
  char name[200];
  const char *of = slots->param->name ? slots->param->name : "variable";
  snprintf(name, sizeof name, "%.150s.%s", of, what);
  v = slots->slot[i] = variable_new(name, fault);
  if (v) v->trainable = false;
  return v;
}

/* The same with a value: zeros at first. */
static Variable *slot_ready(Graph *graph, OptimSlots *slots, int i, const char *what) {
  Variable *v = slot_variable(slots, i, what, &graph->fault);
  if (v && !v->has_value) {
    Node *zero = op_full(graph, 0, &slots->param->current->shape);
    if (variable_assign(graph, v, zero)) return NULL;
  }
  return v;
}

Variable *optimizer_slot(const Optimizer *opt, const Variable *param, int s) {
  const OptimSlots *slots = find_slots(opt, param, &(int){0});
  return slots ? slots->slot[s] : NULL;
}

Err optimizer_set_slot(Graph *graph, Optimizer *opt, Variable *param, int s,
                       Node *value, Fault *fault) {
  OptimSlots *slots = slots_of(opt, param, &(int){0}, fault);
  Variable *v = slots ? slot_variable(slots, s, optimizer_slot_list(opt)[s].name, fault)
                      : NULL;
  if (!v) return ERR_MEMORY;
  return variable_assign(graph, v, value) ? graph_ok(graph, fault) : ERR_OK;
}

/* -- counts ------------------------------------------------------------------------ */

int64_t optimizer_updates(const Optimizer *opt, const Variable *param) {
  const OptimSlots *slots = find_slots(opt, param, &(int){0});
  return slots ? slots->t : 0;
}

void optimizer_set_updates(Optimizer *opt, const Variable *param, int64_t t) {
  OptimSlots *slots = find_slots(opt, param, &(int){0});
  must(slots);
  slots->t = t;
}

void optimizer_count(Optimizer *opt, Variable *const *params, int n) {
  int hint = 0;
  for (int i = 0; i < n; i++) {
    OptimSlots *slots = find_slots(opt, params[i], &hint);
    if (slots) slots->t++; /* an optimizer without slots counts nothing */
  }
}

OptimMark optimizer_mark(const Optimizer *opt) {
  return (OptimMark){opt->t, opt->rate, opt->n_slots};
}

void optimizer_rollback(Optimizer *opt, const OptimMark *mark) {
  opt->t = mark->t;
  opt->rate = mark->rate;
  while (opt->n_slots > mark->n_slots) slots_deinit(opt, &opt->slots[--opt->n_slots]);
}

/* The group of a count, made where there is none yet. */
static int group_of(OptimNumbers *numbers, double t) {
  for (int g = 0; g < numbers->n_groups; g++)
    if (numbers->count[g] == t) return g;
  numbers->count[numbers->n_groups] = t;
  return numbers->n_groups++;
}

/* How many numbers there are, and room for those of up to n groups. */
static Err numbers_new(OptimNumbers *out, const Optimizer *opt, int n, Fault *fault) {
  const OptimNumber *number;
  *out = (OptimNumbers){.n_params = n};
  for (int k = 0; (number = number_at(opt, k)); k++)
    ++*(number->counted ? &out->n_counted : &out->n_shared);
  size_t most = (size_t)out->n_shared + (size_t)n * (size_t)out->n_counted;
  size_t n_bytes = most * (sizeof(double) + sizeof(real)) +
                   (size_t)n * (sizeof(double) + sizeof(int));
  out->value = calloc(1, n_bytes);
  if (!out->value) return fault_memory(fault, n_bytes);
  out->count = out->value + most;
  /* cppcheck-suppress [invalidPointerCast] ; one block, its parts side by side */
  out->input = (real *)(out->count + n);
  /* cppcheck-suppress [invalidPointerCast] */
  out->group = (int *)(out->input + most);
  return ERR_OK;
}

Err optim_numbers_init(OptimNumbers *out, const Optimizer *opt, Variable *const *params,
                       int n, Fault *fault) {
  if (numbers_new(out, opt, n, fault)) return fault->code;
  int hint = 0;
  for (int i = 0; out->n_counted && i < n; i++) {
    const OptimSlots *slots = find_slots(opt, params[i], &hint);
    out->group[i] = group_of(out, slots ? (double)slots->t : 0);
  }
  out->n = out->n_shared + out->n_groups * out->n_counted;
  return ERR_OK;
}

void optim_numbers_deinit(OptimNumbers *numbers) {
  free(numbers->value);
  *numbers = (OptimNumbers){0};
}

/* The counts after this step; false: they differ in a group. */
static bool count_groups(const Optimizer *opt, Variable *const *params,
                         OptimNumbers *numbers) {
  int hint = 0, n_seen = 0;
  for (int i = 0; numbers->n_groups && i < numbers->n_params; i++) {
    const OptimSlots *slots = find_slots(opt, params[i], &hint);
    double t = slots ? (double)slots->t + 1 : 1,
           *count = &numbers->count[numbers->group[i]];
    if (numbers->group[i] == n_seen) {
      n_seen++;
      *count = t;
    }
    if (*count != t) return false;
  }
  return true;
}

/* -- clipping ---------------------------------------------------------------------- */

static bool given(double option) { return !isnan(option); }

static bool clips_norm(const Optimizer *opt) {
  return given(opt->clipnorm) || given(opt->global_clipnorm);
}

/* The norm of n norms: of all gradients together, of which each has one. */
static Node *norm_of_norms(Graph *graph, Node *const *norm, int n) {
  Node *part[MAX_IN], *first;
  int n_parts = 0, at = 0;
  while (at < n && n_parts < MAX_IN) {
    /* What is left, shared among the places that are left. */
    int count = (n - at + MAX_IN - n_parts - 1) / (MAX_IN - n_parts);
    first = count == 1 ? norm[at] : norm_of_norms(graph, norm + at, count);
    part[n_parts++] = op_reshape(graph, first, &SHAPE_OF(1));
    at += count;
  }
  return op_norm(graph, op_concat(graph, part, n_parts, 0), ALL_AXES, false);
}

/* Replaces gradients by clipped ones where that is elementwise; gives for each
 * parameter the factor on its gradient. */
static void clip(Graph *graph, const Optimizer *opt, Node **grads, int n,
                 Node **scale) {
  Node *one = graph_scalar(graph, 1), *all = NULL;
  Node **norm = calloc((size_t)n + 1, sizeof *norm);
  bool any = clips_norm(opt);
  if (!norm) fault_memory(&graph->fault, (size_t)n * sizeof *norm);
  for (int i = 0; norm && i < n; i++) {
    if (given(opt->clipvalue))
      grads[i] = op_clip(graph, grads[i], -opt->clipvalue, opt->clipvalue);
    scale[i] = one;
    if (!any) continue;
    norm[i] = op_norm(graph, grads[i], ALL_AXES, false);
    if (!given(opt->clipnorm)) continue;
    scale[i] = op_clip_factor(graph, norm[i], opt->clipnorm);
    norm[i] = op_mul(graph, scale[i], norm[i]);
  }
  if (norm && n && given(opt->global_clipnorm))
    all = op_clip_factor(graph, norm_of_norms(graph, norm, n), opt->global_clipnorm);
  for (int i = 0; all && i < n; i++)
    scale[i] = given(opt->clipnorm) ? op_mul(graph, scale[i], all) : all;
  free(norm);
}

/* -- one step ---------------------------------------------------------------------- */

/* The rate of the coming step, into opt->rate. */
static Err set_rate(Optimizer *opt, Fault *fault) {
  const Schedule *schedule = opt->schedule;
  opt->rate = opt->lr;
  if (!schedule) return ERR_OK;
  if (schedule->per == PER_EPOCH && opt->epoch == 0)
    return fault_set(fault, ERR_VALUE,
                     "optim.%s: the schedule counts epochs, which only train.fit "
                     "knows; allowed here: per = \"step\"",
                     opt->object.kind->name);
  int64_t t = schedule->per == PER_EPOCH ? opt->epoch - 1 : opt->t;
  return schedule_rate(opt->schedule, t, opt->lr, &opt->rate, fault);
}

/* As `numbers` lists them. */
static void set_numbers(const Optimizer *opt, OptimNumbers *numbers) {
  const OptimNumber *number;
  int shared = 0, counted = 0;
  for (int k = 0; (number = number_at(opt, k)); k++) {
    if (!number->counted) {
      numbers->value[shared++] = number_value(opt, number, 0);
      continue;
    }
    double *of_group = numbers->value + numbers->n_shared + counted++;
    for (int g = 0; g < numbers->n_groups; g++, of_group += numbers->n_counted)
      *of_group = number_value(opt, number, numbers->count[g]);
  }
  for (int i = 0; i < numbers->n; i++) numbers->input[i] = (real)numbers->value[i];
}

Err optimizer_begin(Optimizer *opt, Variable *const *params, OptimNumbers *numbers,
                    bool *grouped, Fault *fault) {
  *grouped = count_groups(opt, params, numbers);
  if (!*grouped) return ERR_OK;
  if (set_rate(opt, fault)) return fault->code;
  opt->t++;
  set_numbers(opt, numbers);
  return ERR_OK;
}

static bool wants(const Optimizer *opt, const OptimSlot *slot) {
  return !slot->wanted || slot->wanted(opt);
}

int optimizer_slots_each(const Optimizer *opt) {
  int n = 0;
  for (const OptimSlot *slot = optimizer_slot_list(opt); slot->name; slot++)
    n += wants(opt, slot);
  return n;
}

Err optimizer_slots(Graph *graph, Optimizer *opt, Variable *const *params, int n,
                    Variable **out) {
  const OptimSlot *list = optimizer_slot_list(opt);
  bool any = optimizer_slots_each(opt) > 0;
  int hint = 0;
  for (int i = 0; any && i < n; i++) {
    OptimSlots *slots = slots_of(opt, params[i], &hint, &graph->fault);
    if (!slots) return graph->fault.code;
    for (int s = 0; list[s].name; s++)
      if (wants(opt, &list[s])) *out++ = slot_ready(graph, slots, s, list[s].name);
    if (graph->fault.code) return graph->fault.code;
  }
  return ERR_OK;
}

/* The kind's numbers for a parameter of group g. */
static void numbers_of(const Optimizer *opt, const OptimNumbers *numbers,
                       Node *const *number, int g, Node **out) {
  const OptimNumber *own;
  int shared = COMMON_NUMBERS, counted = numbers->n_shared + g * numbers->n_counted;
  for (int k = COMMON_NUMBERS; (own = number_at(opt, k)); k++)
    *out++ = number[own->counted ? counted++ : shared++];
}

Node *optim_scaled(const OptimUpdate *u) {
  return u->scaled ? op_mul(u->graph, u->scale, u->g) : u->g;
}

Node *optim_gradient(const OptimUpdate *u) {
  Node *g = optim_scaled(u);
  return u->decayed ? op_add_product(u->graph, g, u->weight_decay, u->w) : g;
}

/* One parameter: reads its slots, and gives the new values of those that are wanted. */
static Node **emit_one(const Optimizer *opt, OptimUpdate *u, Variable *const *slots,
                       Node **slot) {
  const OptimKind *kind = kind_of(opt);
  const OptimSlot *list = optimizer_slot_list(opt);
  int n = 0;
  for (int s = 0; list[s].name; s++)
    u->slot[s] = wants(opt, &list[s]) ? variable_read(u->graph, slots[n++]) : NULL;
  Node *w = u->w;
  (kind->fused ? kind->fused : kind->rule)(opt, u);
  u->w = op_renew(u->graph, u->w, w);
  n = 0;
  for (int s = 0; list[s].name; s++) {
    if (!wants(opt, &list[s])) continue;
    *slot++ = op_renew(u->graph, u->slot[s], variable_read(u->graph, slots[n++]));
  }
  return slot;
}

Err optimizer_emit(Graph *graph, Optimizer *opt, const OptimNumbers *numbers,
                   Node *const *number, Variable *const *params, Variable *const *slots,
                   Node *const *grads, Node **w, Node **slot) {
  int n = numbers->n_params, n_list = count_list(optimizer_slot_list(opt));
  int n_own = numbers->n_shared + numbers->n_counted, each = optimizer_slots_each(opt);
  size_t room = (size_t)(2 * n + n_list + n_own + 1);
  Node **nodes = calloc(room, sizeof *nodes);
  if (!nodes) return fault_memory(&graph->fault, room * sizeof *nodes);
  Node **scale = nodes + n;
  for (int i = 0; i < n; i++) nodes[i] = grads[i];
  clip(graph, opt, nodes, n, scale);
  for (int i = 0; i < n && !graph->fault.code; i++) {
    Node **own = scale + n + n_list;
    graph->rule = ++graph->n_rules;
    numbers_of(opt, numbers, number, numbers->group[i], own);
    OptimUpdate u = {.graph = graph, .w = variable_read(graph, params[i]),
                     .g = nodes[i],
                     .scale = scale[i], .scaled = clips_norm(opt),
                     .decayed = opt->weight_decay != 0, .lr = number[LR], .number = own,
                     .weight_decay = number[WEIGHT_DECAY], .slot = scale + n};
    slot = emit_one(opt, &u, slots + i * each, slot);
    w[i] = u.w;
  }
  graph->rule = 0;
  free(nodes);
  return graph->fault.code;
}

/* -- the key of a plan ------------------------------------------------------------- */

static void put(uint64_t *out, int *n, uint64_t word) {
  if (out) out[*n] = word;
  ++*n;
}

int optimizer_words(const Optimizer *opt, const OptimNumbers *numbers, uint64_t *out) {
  const Kind *kind = opt->object.kind;
  int n = 0;
  put(out, &n, (uint64_t)(uintptr_t)kind);
  put(out, &n, opt->weight_decay != 0);
  for (const OptimSlot *slot = optimizer_slot_list(opt); slot->name; slot++)
    put(out, &n, wants(opt, slot));
  for (const Option *option = kind->options; option->name; option++)
    if (!is_number(opt, option))
      n += option_words(&opt->object, option, out ? out + n : NULL);
  put(out, &n, (uint64_t)numbers->n_groups);
  for (int i = 0; numbers->n_groups > 1 && i < numbers->n_params; i++)
    put(out, &n, (uint64_t)numbers->group[i]);
  return n;
}
