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
#include "base/hash.h"
#include "graph/ops.h"
#include "nn/regular.h"
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

const Family optim_family = {
    .name = "optimizer", .module = "optim", .kinds = optim_kinds,
    .example = EXAMPLE_OF_FIT("optimizer = %s")};

static const OptimKind *kind_of(const Optimizer *opt) {
  return (const OptimKind *)opt->object.kind;
}

/* -- what every optimizer may do --------------------------------------------------- */

static bool looks_back(const Optimizer *opt) { return opt->lookahead > 0; }

/* Is the coming step one that updates? */
static bool updates_now(const Optimizer *opt) {
  return !optimizer_accumulates(opt) || opt->last ||
         opt->n_gathered + 1 >= opt->accumulate;
}

/* After those of the kind. */
enum { GATHERED_SLOT, SLOW_SLOT };
static const OptimSlot common_slots[] = {
    [GATHERED_SLOT] = {"gathered", optimizer_accumulates},
    [SLOW_SLOT] = {"slow", looks_back},
    {0}};

static int count_own_slots(const Optimizer *opt) {
  const OptimSlot *slots = kind_of(opt)->slots;
  int n = 0;
  while (slots && slots[n].name) n++;
  return n;
}

const OptimSlot *optimizer_slot_at(const Optimizer *opt, int s) {
  int n_own = count_own_slots(opt);
  const OptimSlot *slot = s < n_own ? &kind_of(opt)->slots[s]
                                    : &common_slots[s - n_own];
  return slot->name ? slot : NULL;
}

static int count_slots(const Optimizer *opt) {
  int n = count_own_slots(opt);
  while (optimizer_slot_at(opt, n)) n++;
  return n;
}

Optimizer *optimizer_of_sample(const Kind *kind, const char *sample, Fault *fault) {
  Object *o = object_new(kind, fault);
  char name[64], word[64];
  int length;
  for (; o && sscanf(sample, " %63[^= ]=%63s%n", name, word, &length) == 2;
       sample += length) {
    const Option *option = option_find(kind, name, fault);
    bool truth = option && option->kind == OPT_BOOL;
    char *end;
    double value = strtod(word, &end);
    Given given = {.value = {.kind = VALUE_REAL, .as.real = value}};
    if (*end) given.value = (Value){.kind = VALUE_TEXT, .as.text = word};
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

static double is_update(const Optimizer *opt, double t) {
  (void)t;
  return updates_now(opt);
}

/* What the gradients that wait count: their mean, and whether there are any. */
static double gathered(const Optimizer *opt, double t) {
  (void)t;
  return opt->gathered;
}

static double any_gathered(const Optimizer *opt, double t) {
  (void)t;
  return opt->n_gathered > 0;
}

static double is_first(const Optimizer *opt, double t) {
  (void)opt;
  return t == 1;
}

static double looks_back_now(const Optimizer *opt, double t) {
  return fmod(t, (double)opt->lookahead) == 0;
}

/* Those of every kind; after them come its own. The first two are those of the
 * parameter's group, if it has one. */
enum {
  LR, WEIGHT_DECAY, UPDATE, GATHERED, ANY_GATHERED, FIRST, LOOK_BACK, COMMON_NUMBERS
};
static const OptimNumber common_numbers[COMMON_NUMBERS] = {
    [UPDATE] = {.value = is_update, .wanted = optimizer_accumulates},
    [GATHERED] = {.value = gathered, .wanted = optimizer_accumulates},
    [ANY_GATHERED] = {.value = any_gathered, .wanted = optimizer_accumulates},
    [FIRST] = {.value = is_first, .wanted = looks_back, .counted = true},
    [LOOK_BACK] = {.value = looks_back_now, .wanted = looks_back, .counted = true}};

/* Number k, NULL after the last. */
static const OptimNumber *number_at(const Optimizer *opt, int k) {
  const OptimNumber *own = kind_of(opt)->numbers;
  if (k < COMMON_NUMBERS) return &common_numbers[k];
  own = own ? own + k - COMMON_NUMBERS : NULL;
  return own && (own->value || own->offset) ? own : NULL;
}

static bool has_number(const Optimizer *opt, const OptimNumber *number) {
  return !number->wanted || number->wanted(opt);
}

/* Has each class of parameters its own? */
static bool is_of_class(const Optimizer *opt, int k) {
  return number_at(opt, k)->counted || (k <= WEIGHT_DECAY && opt->groups.n > 0);
}

/* Of parameters of that group at their t-th update. */
static double number_value(const Optimizer *opt, int k, const OptimGroup *group,
                           double t) {
  const OptimNumber *number = number_at(opt, k);
  if (k == LR) return group ? group->rate : opt->rate;
  if (k == WEIGHT_DECAY) return optim_group_decay(opt, group);
  if (number->value) return number->value(opt, t);
  const void *field = (const char *)opt + number->offset;
  return *(const double *)field;
}

/* Does no step's structure depend on the option itself: is it a number of steps, or
 * what one is made of? */
static bool is_number(const Optimizer *opt, const Option *option) {
  static const size_t common[] = {
      offsetof(Optimizer, lr),     offsetof(Optimizer, weight_decay),
      offsetof(Optimizer, decay),  offsetof(Optimizer, schedule),
      offsetof(Optimizer, groups), offsetof(Optimizer, accumulate),
      offsetof(Optimizer, lookahead)};
  size_t offset = option->offset;
  for (size_t i = 0; i < sizeof common / sizeof *common; i++)
    if (offset == common[i]) return true;
  const OptimNumber *number;
  for (int k = COMMON_NUMBERS; (number = number_at(opt, k)); k++)
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

static void slots_deinit(const Optimizer *opt, OptimSlots *slots) {
  variable_release(slots->param);
  for (int i = count_slots(opt); i-- > 0;) variable_release(slots->slot[i]);
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
  size_t n_bytes = ((size_t)count_slots(opt) + 1) * sizeof *slots->slot;
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
  Variable *v = slots ? slot_variable(slots, s, optimizer_slot_at(opt, s)->name, fault)
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

void optimizer_forget_gathered(Optimizer *opt) {
  opt->n_gathered = 0;
  opt->gathered = 0;
}

void optimizer_count(Optimizer *opt, Variable *const *params, int n, double weight) {
  int hint = 0;
  if (!updates_now(opt)) {
    opt->n_gathered++;
    opt->gathered += weight;
    return;
  }
  optimizer_forget_gathered(opt);
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

/* The class of a count and a group, made where there is none yet. */
static int class_of(OptimNumbers *numbers, const OptimGroup *group, double t) {
  int n = numbers->n_classes;
  for (int c = 0; c < n; c++)
    if (numbers->count[c] == t && numbers->group[c] == group) return c;
  numbers->count[n] = t;
  numbers->group[n] = group;
  return numbers->n_classes++;
}

/* How many numbers there are, and room for those of up to n classes. */
static Err numbers_new(OptimNumbers *out, const Optimizer *opt, int n, Fault *fault) {
  const OptimNumber *number;
  *out = (OptimNumbers){.n_params = n};
  for (int k = 0; (number = number_at(opt, k)); k++) {
    if (!has_number(opt, number)) continue;
    ++*(is_of_class(opt, k) ? &out->n_each : &out->n_shared);
    out->counted |= number->counted;
  }
  size_t most = (size_t)out->n_shared + (size_t)n * (size_t)out->n_each;
  size_t n_bytes = most * (sizeof(double) + sizeof(real)) +
                   (size_t)n * (sizeof(double) + sizeof *out->group + sizeof(int));
  out->value = calloc(1, n_bytes);
  if (!out->value) return fault_memory(fault, n_bytes);
  out->count = out->value + most;
  /* cppcheck-suppress [invalidPointerCast] ; one block, its parts side by side */
  out->group = (const OptimGroup **)(out->count + n);
  /* cppcheck-suppress [invalidPointerCast] */
  out->input = (real *)(out->group + n);
  /* cppcheck-suppress [invalidPointerCast] */
  out->class = (int *)(out->input + most);
  return ERR_OK;
}

/* Of the parameters that are bounded: which, and by what. */
static uint64_t limits_of(Variable *const *params, int n) {
  uint64_t hash = 0;
  for (int i = 0; i < n; i++) {
    const Object *limit = params[i]->limit;
    if (!limit) continue;
    hash = hash_word(hash_word(hash, (uint64_t)i + 1),
                     (uint64_t)(uintptr_t)limit->kind);
    hash = hash_word(hash, (uint64_t)params[i]->units_axis);
    for (const Option *o = limit->kind->options; o && o->name; o++) {
      uint64_t word[8];
      int n_words = option_words(limit, o, NULL);
      must(n_words <= 8);
      (void)option_words(limit, o, word);
      for (int k = 0; k < n_words; k++) hash = hash_word(hash, word[k]);
    }
  }
  return hash;
}

Err optim_numbers_init(OptimNumbers *out, const Optimizer *opt, Variable *const *params,
                       int n, Fault *fault) {
  if (numbers_new(out, opt, n, fault)) return fault->code;
  out->limits = limits_of(params, n);
  int hint = 0;
  for (int i = 0; out->n_each && i < n; i++) {
    const OptimSlots *slots = out->counted ? find_slots(opt, params[i], &hint) : NULL;
    out->class[i] = class_of(out, optimizer_group(opt, params[i]),
                             slots ? (double)slots->t : 0);
  }
  out->n = out->n_shared + out->n_classes * out->n_each;
  return ERR_OK;
}

void optim_numbers_deinit(OptimNumbers *numbers) {
  free(numbers->value);
  *numbers = (OptimNumbers){0};
}

/* The counts after this step; false: they differ in a class. */
static bool count_classes(const Optimizer *opt, Variable *const *params,
                          OptimNumbers *numbers) {
  int hint = 0, n_seen = 0;
  for (int i = 0; numbers->counted && i < numbers->n_params; i++) {
    const OptimSlots *slots = find_slots(opt, params[i], &hint);
    double t = slots ? (double)slots->t + 1 : 1,
           *count = &numbers->count[numbers->class[i]];
    if (numbers->class[i] == n_seen) {
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

/* The rate of the coming update from a base rate, at time t of the schedule. */
static Err find_rate(const Optimizer *opt, int64_t t, double lr, double *out,
                     Fault *fault) {
  *out = lr;
  Err err = opt->schedule ? schedule_rate(opt->schedule, t, lr, out, fault) : ERR_OK;
  if (opt->decay != 0) *out /= 1 + opt->decay * (double)opt->t;
  return err;
}

/* Into opt->rate, and into those of the groups. */
static Err set_rates(Optimizer *opt, Fault *fault) {
  bool by_epoch = opt->schedule && opt->schedule->per == PER_EPOCH;
  if (by_epoch && opt->epoch == 0)
    return fault_set(fault, ERR_VALUE,
                     "optim.%s: the schedule counts epochs, which only train.fit "
                     "knows; allowed here: per = \"step\"",
                     opt->object.kind->name);
  int64_t t = by_epoch ? opt->epoch - 1 : opt->t;
  Err err = find_rate(opt, t, opt->lr, &opt->rate, fault);
  for (int i = 0; !err && i < opt->groups.n; i++) {
    OptimGroup *group = (OptimGroup *)opt->groups.v[i];
    err = find_rate(opt, t, isnan(group->lr) ? opt->lr : group->lr, &group->rate,
                    fault);
  }
  return err;
}

/* As `numbers` lists them. */
static void set_numbers(const Optimizer *opt, OptimNumbers *numbers) {
  const OptimNumber *number;
  int shared = 0, each = 0;
  for (int k = 0; (number = number_at(opt, k)); k++) {
    if (!has_number(opt, number)) continue;
    if (!is_of_class(opt, k)) {
      numbers->value[shared++] = number_value(opt, k, NULL, 0);
      continue;
    }
    double *of_class = numbers->value + numbers->n_shared + each++;
    for (int c = 0; c < numbers->n_classes; c++, of_class += numbers->n_each)
      *of_class = number_value(opt, k, numbers->group[c], numbers->count[c]);
  }
  for (int i = 0; i < numbers->n; i++) numbers->input[i] = (real)numbers->value[i];
}

int64_t optimizer_update_number(const Optimizer *opt) {
  return opt->t + !updates_now(opt);
}

Err optimizer_begin(Optimizer *opt, Variable *const *params, OptimNumbers *numbers,
                    bool *grouped, Fault *fault) {
  *grouped = count_classes(opt, params, numbers);
  if (!*grouped) return ERR_OK;
  if (set_rates(opt, fault)) return fault->code;
  opt->t += updates_now(opt);
  set_numbers(opt, numbers);
  return ERR_OK;
}

static bool wants(const Optimizer *opt, const OptimSlot *slot) {
  return !slot->wanted || slot->wanted(opt);
}

int optimizer_slots_each(const Optimizer *opt) {
  const OptimSlot *slot;
  int n = 0;
  for (int s = 0; (slot = optimizer_slot_at(opt, s)); s++) n += wants(opt, slot);
  return n;
}

Err optimizer_slots(Graph *graph, Optimizer *opt, Variable *const *params, int n,
                    Variable **out) {
  const OptimSlot *slot;
  bool any = optimizer_slots_each(opt) > 0;
  int hint = 0;
  for (int i = 0; any && i < n; i++) {
    OptimSlots *slots = slots_of(opt, params[i], &hint, &graph->fault);
    if (!slots) return graph->fault.code;
    for (int s = 0; (slot = optimizer_slot_at(opt, s)); s++)
      if (wants(opt, slot)) *out++ = slot_ready(graph, slots, s, slot->name);
    if (graph->fault.code) return graph->fault.code;
  }
  return ERR_OK;
}

/* The numbers of a parameter of class c, NULL where not wanted. */
static void numbers_of(const Optimizer *opt, const OptimNumbers *numbers,
                       Node *const *number, int c, Node **out) {
  const OptimNumber *one;
  int shared = 0, each = numbers->n_shared + c * numbers->n_each;
  for (int k = 0; (one = number_at(opt, k)); k++) {
    bool has = has_number(opt, one);
    out[k] = !has ? NULL : number[is_of_class(opt, k) ? each++ : shared++];
  }
}

Node *optim_over_root(Graph *graph, Node *x, Node *y, double eps, bool inside) {
  if (!inside) return op_over_root(graph, x, y, eps);
  return op_div(graph, x, op_sqrt(graph, op_add(graph, y, graph_scalar(graph, eps))));
}

Node *optim_scaled(const OptimUpdate *u) {
  return u->scaled ? op_mul(u->graph, u->scale, u->g) : u->g;
}

Node *optim_gradient(const OptimUpdate *u) {
  Node *g = optim_scaled(u);
  return u->decayed ? op_add_product(u->graph, g, u->weight_decay, u->w) : g;
}

/* -- around the rule --------------------------------------------------------------- */

/* Everything about one parameter: what the rule sees, and what is around it. */
typedef struct Around {
  OptimUpdate u;
  Node **number;       /* those of every kind, then those of this one */
  Node *w, **old;      /* before the update; the slots, NULL where not wanted */
  const Object *limit; /* of the parameter, along units_axis; NULL: none */
  int units_axis;
  Node *gathered; /* gradients that wait, with this one; NULL: none do */
} Around;

/* Gradients that wait for the update, with this step's, into *sum; returns their
 * mean. */
static Node *gather(Graph *graph, Node *const *number, Node *weight, Node *before,
                    Node *gradient, Node **sum) {
  if (weight) gradient = op_mul(graph, gradient, weight);
  else weight = graph_scalar(graph, 1);
  *sum = op_add_product(graph, gradient, number[ANY_GATHERED], before);
  Node *count = op_add(graph, number[GATHERED], weight);
  return op_mul(graph, *sum, op_reciprocal(graph, count));
}

/* The slow copy moves towards the weights, which go back to it, when it is time. */
static void look_back(const Optimizer *opt, Around *a, Node **slow) {
  Graph *graph = a->u.graph;
  Node *now = a->number[LOOK_BACK];
  Node *from = op_where(graph, a->number[FIRST], a->w, *slow);
  Node *moved = op_mix(graph, from, a->u.w, 1 - opt->lookahead_share);
  *slow = op_where(graph, now, moved, from);
  a->u.w = op_where(graph, now, moved, a->u.w);
}

/* New values where the step updates, else the old ones. */
static void wait(const Optimizer *opt, Around *a) {
  Graph *graph = a->u.graph;
  Node *now = a->number[UPDATE];
  a->u.w = op_where(graph, now, a->u.w, a->w);
  for (int s = 0; optimizer_slot_at(opt, s); s++)
    if (a->old[s]) a->u.slot[s] = op_where(graph, now, a->u.slot[s], a->old[s]);
}

static void run_rule(const Optimizer *opt, Around *a) {
  const OptimKind *kind = kind_of(opt);
  int n_own = count_own_slots(opt);
  bool alone = !optimizer_accumulates(opt) && !looks_back(opt);
  (kind->fused && alone ? kind->fused : kind->rule)(opt, &a->u);
  if (looks_back(opt)) look_back(opt, a, &a->u.slot[n_own + SLOW_SLOT]);
  if (a->limit)
    a->u.w = constraint_apply(a->u.graph, (const Constraint *)a->limit, a->u.w,
                              a->units_axis);
  if (!optimizer_accumulates(opt)) return;
  wait(opt, a);
  a->u.slot[n_own + GATHERED_SLOT] = a->gathered;
}

/* Before its rule: reads the slots of a parameter. */
static void read_slots(const Optimizer *opt, Around *a, Variable *const *slots) {
  const OptimSlot *one;
  int n = 0;
  for (int s = 0; (one = optimizer_slot_at(opt, s)); s++)
    a->old[s] = a->u.slot[s] = wants(opt, one) ? variable_read(a->u.graph, slots[n++])
                                               : NULL;
}

/* One parameter: gives the new values of its slots that are wanted. */
static Node **emit_one(const Optimizer *opt, Around *a, Node **slot) {
  Graph *graph = a->u.graph;
  graph->rule = a->u.rule;
  run_rule(opt, a);
  a->u.w = op_renew(graph, a->u.w, a->w);
  for (int s = 0; optimizer_slot_at(opt, s); s++)
    if (a->old[s]) *slot++ = op_renew(graph, a->u.slot[s], a->old[s]);
  return slot;
}

/* Lists of nodes, in one block. */
typedef struct Emission {
  Node **gradient, **gathered, **scale; /* of each parameter */
  int n_numbers, n_slots;
  Node **number;      /* of one parameter, or of each where the kind looks at all */
  Node **slot, **old; /* the same */
} Emission;

static Err emission_init(Emission *out, const Optimizer *opt, int n, Fault *fault) {
  int n_slots = count_slots(opt), n_numbers = 0;
  while (number_at(opt, n_numbers)) n_numbers++;
  size_t n_of = kind_of(opt)->joint ? (size_t)n : 1;
  size_t room = 3 * (size_t)n + n_of * (size_t)(2 * n_slots + n_numbers) + 1;
  Node **nodes = calloc(room, sizeof *nodes);
  if (!nodes) return fault_memory(fault, room * sizeof *nodes);
  *out = (Emission){.gradient = nodes, .gathered = nodes + n, .scale = nodes + 2 * n,
                    .n_numbers = n_numbers, .n_slots = n_slots,
                    .number = nodes + 3 * n};
  out->slot = out->number + n_of * (size_t)n_numbers;
  out->old = out->slot + n_of * (size_t)n_slots;
  return ERR_OK;
}

/* Each gradient becomes the mean of those that wait and itself. */
static void gather_all(Graph *graph, const Optimizer *opt, const Emission *e,
                       Node *const *number, const OptimNumbers *numbers, Node *weight,
                       Variable *const *slots) {
  int each = optimizer_slots_each(opt), at = 0;
  Node **own = e->number;
  for (int s = 0; s < count_own_slots(opt); s++)
    at += wants(opt, optimizer_slot_at(opt, s));
  for (int i = 0; i < numbers->n_params; i++) {
    numbers_of(opt, numbers, number, numbers->class[i], own);
    Node *before = variable_read(graph, slots[i * each + at]);
    e->gradient[i] = gather(graph, own, weight, before, e->gradient[i],
                            &e->gathered[i]);
  }
}

/* Parameter i before its rule. */
static void begin_one(Graph *graph, const Optimizer *opt, const OptimNumbers *numbers,
                      Node *const *number, Variable *const *params,
                      Variable *const *slots, const Emission *e, int i, Around *out) {
  int c = numbers->class[i], at = kind_of(opt)->joint ? i : 0;
  const OptimGroup *group = numbers->n_classes ? numbers->group[c] : NULL;
  Node **own = e->number + (size_t)at * (size_t)e->n_numbers;
  graph->rule = ++graph->n_rules;
  numbers_of(opt, numbers, number, c, own);
  Node *old = variable_read(graph, params[i]);
  *out = (Around){.u = {.graph = graph, .rule = graph->rule, .w = old,
                        .g = e->gradient[i],
                        .scale = e->scale[i], .scaled = clips_norm(opt),
                        .decayed = optim_group_decay(opt, group) != 0, .lr = own[LR],
                        .weight_decay = own[WEIGHT_DECAY],
                        .number = own + COMMON_NUMBERS,
                        .slot = e->slot + (size_t)at * (size_t)e->n_slots},
                  .number = own, .w = old,
                  .old = e->old + (size_t)at * (size_t)e->n_slots,
                  .limit = params[i]->limit, .units_axis = params[i]->units_axis,
                  .gathered = e->gathered[i]};
  read_slots(opt, out, slots + i * optimizer_slots_each(opt));
}

/* All parameters before their rules, looked at together. */
static void join(const Optimizer *opt, Around *all, int n) {
  Graph *graph = n ? all[0].u.graph : NULL;
  OptimUpdate **u = malloc(((size_t)n + 1) * sizeof *u);
  if (!u && graph) fault_memory(&graph->fault, (size_t)n * sizeof *u);
  for (int i = 0; u && i < n; i++) u[i] = &all[i].u;
  if (u && n && !graph->fault.code) kind_of(opt)->joint(opt, u, n);
  free(u);
}

Err optimizer_emit(Graph *graph, Optimizer *opt, const OptimNumbers *numbers,
                   Node *const *number, Node *weight, Variable *const *params,
                   Variable *const *slots, Node *const *grads, Node **w, Node **slot) {
  int n = numbers->n_params;
  bool joint = kind_of(opt)->joint;
  Emission e = {0};
  Around one, *all = joint ? calloc((size_t)n + 1, sizeof *all) : NULL;
  if (joint && !all) return fault_memory(&graph->fault, (size_t)n * sizeof *all);
  if (emission_init(&e, opt, n, &graph->fault)) {
    free(all);
    return graph->fault.code;
  }
  for (int i = 0; i < n; i++) e.gradient[i] = grads[i];
  if (optimizer_accumulates(opt))
    gather_all(graph, opt, &e, number, numbers, weight, slots);
  clip(graph, opt, e.gradient, n, e.scale);
  for (int i = 0; joint && i < n; i++)
    begin_one(graph, opt, numbers, number, params, slots, &e, i, &all[i]);
  if (joint) join(opt, all, n);
  for (int i = 0; i < n && !graph->fault.code; i++) {
    Around *a = joint ? &all[i] : &one;
    if (!joint) begin_one(graph, opt, numbers, number, params, slots, &e, i, a);
    slot = emit_one(opt, a, slot);
    w[i] = a->u.w;
  }
  graph->rule = 0;
  free(e.gradient);
  free(all);
  return graph->fault.code;
}

/* -- the key of a plan ------------------------------------------------------------- */

static void put(uint64_t *out, int *n, uint64_t word) {
  if (out) out[*n] = word;
  ++*n;
}

int optimizer_words(const Optimizer *opt, const OptimNumbers *numbers, uint64_t *out) {
  const Kind *kind = opt->object.kind;
  const OptimSlot *slot;
  int n = 0;
  put(out, &n, (uint64_t)(uintptr_t)kind);
  put(out, &n, opt->weight_decay != 0);
  for (int s = 0; (slot = optimizer_slot_at(opt, s)); s++)
    put(out, &n, wants(opt, slot));
  for (const Option *option = kind->options; option->name; option++)
    if (!is_number(opt, option))
      n += option_words(&opt->object, option, out ? out + n : NULL);
  put(out, &n, numbers->limits);
  put(out, &n, (uint64_t)numbers->n_classes);
  for (int c = 0; opt->groups.n && c < numbers->n_classes; c++)
    put(out, &n, optim_group_decay(opt, numbers->group[c]) != 0);
  for (int i = 0; numbers->n_classes > 1 && i < numbers->n_params; i++)
    put(out, &n, (uint64_t)numbers->class[i]);
  return n;
}
