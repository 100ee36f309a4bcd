/* optim.c: the records of the optimizers, and how one step is emitted.
 *
 *   g  <- scale * gradient            scale <= 1 by clipnorm or global_clipnorm
 *   w', slots' = update(w, g, slots, rates)
 *
 * Order: clipvalue acts on the gradient's elements first, then norms clip, then weight
 * decay is added (coupled) or taken from the weight (AdamW).
 *
 * clipvalue makes a finite number of an infinite element, as in PyTorch and Keras; a NaN
 * stays, and the norm of what is not finite is none: such a step is refused (train/step.c). */
#include "nn/optim.h"
#include "graph/ops.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- kinds ------------------------------------------------------------------------- */

static Node *update_sgd(Graph *graph, const Optimizer *opt, Node *const *number, Node *w,
                        Node *gw, Node *const *slot, Node *scale) {
  return op_sgd_update(graph, w, gw, slot[0], number[NUMBER_LR], number[NUMBER_MOMENTUM],
                       number[NUMBER_DECAY], scale, opt->nesterov);
}

static Node *update_adam(Graph *graph, const Optimizer *opt, Node *const *number, Node *w,
                         Node *gw, Node *const *slot, Node *scale, bool decoupled) {
  return op_adam_update(graph, w, gw, slot[0], slot[1], number[NUMBER_LR],
                        number[NUMBER_CORRECTION1], number[NUMBER_CORRECTION2],
                        number[NUMBER_DECAY], scale, opt->beta1, opt->beta2, opt->eps,
                        decoupled);
}

static Node *update_adam_coupled(Graph *graph, const Optimizer *opt, Node *const *number,
                                 Node *w, Node *gw, Node *const *slot, Node *scale) {
  return update_adam(graph, opt, number, w, gw, slot, scale, false);
}

static Node *update_adamw(Graph *graph, const Optimizer *opt, Node *const *number,
                          Node *w, Node *gw, Node *const *slot, Node *scale) {
  return update_adam(graph, opt, number, w, gw, slot, scale, true);
}

static bool has_momentum(const Optimizer *opt) { return opt->momentum != 0; }

static Err check_sgd(Object *object, Fault *fault) {
  const Optimizer *opt = (const Optimizer *)object;
  if (opt->nesterov && opt->momentum == 0)
    return fault_set(fault, ERR_VALUE,
                     "optim.SGD: nesterov = true needs a momentum above 0");
  return ERR_OK;
}

static void slots_release(OptimSlots *slots) {
  variable_release(slots->param);
  for (int i = 0; i < OPTIM_SLOTS; i++) variable_release(slots->slot[i]);
}

static void optimizer_deinit(Object *object) {
  Optimizer *opt = (Optimizer *)object;
  for (int i = 0; i < opt->n_slots; i++) slots_release(&opt->slots[i]);
  free(opt->slots);
}

/* -- records ----------------------------------------------------------------------- */

#define AT(field) .offset = offsetof(Optimizer, field)
#define LR(default_)                                                                   \
  {.name = "lr", .kind = OPT_REAL, AT(lr), .value = default_, .alias = "learning_rate", \
   .position = 1, .lo = 0, .hi = 1e9, .doc = "learning rate"}
#define COMMON(decay_doc, decay_default)                                               \
  {.name = "weight_decay", .kind = OPT_REAL, AT(weight_decay), .value = decay_default, \
   .lo = 0, .hi = 1e9, .doc = decay_doc},                                              \
  {.name = "clipnorm", .kind = OPT_REAL, AT(clipnorm), .value = "none", .lo = 0,       \
   .hi = 1e9, .open = true, .doc = "largest norm of each parameter's gradient"},       \
  {.name = "global_clipnorm", .kind = OPT_REAL, AT(global_clipnorm), .value = "none",  \
   .lo = 0, .hi = 1e9, .open = true, .doc = "largest norm of all gradients together"}, \
  {.name = "clipvalue", .kind = OPT_REAL, AT(clipvalue), .value = "none", .lo = 0,     \
   .hi = 1e9, .open = true,                                                            \
   .doc = "largest absolute value of a gradient's element; an infinite one counts as it"}, \
  {.name = "schedule", .kind = OPT_OBJECT, AT(schedule), .family = &schedule_family,   \
   .alias = "lr_schedule", .doc = "changes the rate by epoch or step"}
#define COUPLED "added to the gradient: w times this (coupled)"
#define BETAS                                                                          \
  {.name = "beta1", .kind = OPT_REAL, AT(beta1), .value = "0.9", .alias = "beta_1",    \
   .lo = 0, .hi = 1, .open_hi = true, .doc = "decay of the first moment"},             \
  {.name = "beta2", .kind = OPT_REAL, AT(beta2), .value = "0.999", .alias = "beta_2",  \
   .lo = 0, .hi = 1, .open_hi = true, .doc = "decay of the second moment"},            \
  {.name = "eps", .kind = OPT_REAL, AT(eps), .value = "1e-8", .alias = "epsilon",      \
   .lo = 0, .hi = 1e9, .doc = "added outside the square root (Keras: 1e-7)"}

static const Option sgd_options[] = {
    LR("0.01"),
    {.name = "momentum", .kind = OPT_REAL, AT(momentum), .value = "0", .lo = 0, .hi = 1,
     .doc = "share of the velocity that is kept"},
    {.name = "nesterov", .kind = OPT_BOOL, AT(nesterov), .value = "false",
     .doc = "look ahead along the velocity"},
    COMMON(COUPLED, "0"),
    {0}};
static const Option adam_options[] = {LR("0.001"), BETAS, COMMON(COUPLED, "0"), {0}};
static const Option adamw_options[] = {
    LR("0.001"), BETAS,
    COMMON("lr times this share is taken from w itself (Keras: 0.004)", "0.01"), {0}};

static const char *const velocity_names[] = {"velocity", NULL};
static const char *const moment_names[] = {"moment1", "moment2", NULL};

const OptimKind
    optim_sgd = {{.name = "SGD", .alias = "sgd", .family = &optim_family,
                  .size = sizeof(Optimizer), .options = sgd_options, .check = check_sgd,
                  .deinit = optimizer_deinit,
                  .doc = "Stochastic gradient descent, with momentum if wanted.",
                  .equation = "v <- momentum v + g;  w <- w - lr v;  nesterov: w <- w - "
                              "lr (g + momentum v)",
                  .source = "Sutskever et al., ICML 2013, section 2"},
                 velocity_names, update_sgd, has_momentum, false},
    optim_adam = {{.name = "Adam", .alias = "adam", .family = &optim_family,
                   .size = sizeof(Optimizer), .options = adam_options,
                   .deinit = optimizer_deinit,
                   .doc = "Adaptive moments, with corrected bias.",
                   .equation = "m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  "
                               "w <- w - lr m/(1 - b1^t) / (sqrt(v/(1 - b2^t)) + eps); "
                               "t counts the updates of this w",
                   .source = "Kingma & Ba, ICLR 2015, algorithm 1"},
                  moment_names, update_adam_coupled, NULL, true},
    optim_adamw = {{.name = "AdamW", .alias = "adamw", .family = &optim_family,
                    .size = sizeof(Optimizer), .options = adamw_options,
                    .deinit = optimizer_deinit,
                    .doc = "Adam with weight decay apart from the gradient.",
                    .equation = "as Adam, and w <- w - lr weight_decay w",
                    .source = "Loshchilov & Hutter, ICLR 2019, algorithm 2"},
                   moment_names, update_adamw, NULL, true};

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

/* -- slots ------------------------------------------------------------------------- */

/* The slots of a parameter, NULL: none. `*hint`: where they probably are; moved to the place
 * after them, where those of the next parameter are when several are asked for in order. */
static OptimSlots *find_slots(const Optimizer *opt, const Variable *param, int *hint) {
  int at = *hint < opt->n_slots && opt->slots[*hint].param == param ? *hint : 0;
  while (at < opt->n_slots && opt->slots[at].param != param) at++;
  if (at == opt->n_slots) return NULL;
  *hint = at + 1;
  return &opt->slots[at];
}

/* The same, made where there are none. NULL: no memory. */
static OptimSlots *slots_of(Optimizer *opt, Variable *param, int *hint, Fault *fault) {
  OptimSlots *slots = find_slots(opt, param, hint);
  if (slots) return slots;
  if (opt->n_slots == opt->slot_capacity) {
    int wanted = opt->slot_capacity ? 2 * opt->slot_capacity : 16;
    OptimSlots *larger = realloc(opt->slots, (size_t)wanted * sizeof *larger);
    if (!larger) {
      fault_memory(fault, (size_t)wanted * sizeof *larger);
      return NULL;
    }
    opt->slots = larger;
    opt->slot_capacity = wanted;
  }
  must(opt->slots);
  slots = &opt->slots[opt->n_slots++];
  *slots = (OptimSlots){.param = variable_retain(param)};
  *hint = opt->n_slots;
  return slots;
}

/* Slot i as a variable, perhaps without a value. */
static Variable *slot_variable(OptimSlots *slots, int i, const char *what, Fault *fault) {
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

const char *const *optimizer_slot_names(const Optimizer *opt) { return kind_of(opt)->slots; }

Variable *optimizer_slot(const Optimizer *opt, const Variable *param, int s) {
  const OptimSlots *slots = find_slots(opt, param, &(int){0});
  return slots ? slots->slot[s] : NULL;
}

Err optimizer_set_slot(Graph *graph, Optimizer *opt, Variable *param, int s, Node *value,
                       Fault *fault) {
  OptimSlots *slots = slots_of(opt, param, &(int){0}, fault);
  Variable *v = slots ? slot_variable(slots, s, kind_of(opt)->slots[s], fault) : NULL;
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
    if (slots) slots->t++;     /* an optimizer without slots counts nothing */
  }
}

OptimMark optimizer_mark(const Optimizer *opt) {
  return (OptimMark){opt->t, opt->rate, opt->n_slots};
}

void optimizer_rollback(Optimizer *opt, const OptimMark *mark) {
  opt->t = mark->t;
  opt->rate = mark->rate;
  while (opt->n_slots > mark->n_slots) slots_release(&opt->slots[--opt->n_slots]);
}

/* The group of a count, made where there is none yet: value[g] is the count of group g. */
static int group_of(OptimNumbers *numbers, double t) {
  for (int g = 0; g < numbers->n_groups; g++)
    if (numbers->value[g] == t) return g;
  numbers->value[numbers->n_groups] = t;
  return numbers->n_groups++;
}

Err optim_numbers_init(OptimNumbers *out, const Optimizer *opt, Variable *const *params,
                       int n, Fault *fault) {
  size_t most = NUMBERS_SHARED + (size_t)n * NUMBERS_OF_GROUP;
  size_t n_bytes = most * (sizeof(double) + sizeof(real)) + (size_t)n * sizeof(int);
  *out = (OptimNumbers){.n_params = n, .value = calloc(1, n_bytes)};
  if (!out->value) return fault_memory(fault, n_bytes);
  /* cppcheck-suppress [invalidPointerCast] ; one block, its parts side by side */
  out->input = (real *)(out->value + most);
  /* cppcheck-suppress [invalidPointerCast] */
  out->group = (int *)(out->input + most);
  int hint = 0;
  for (int i = 0; kind_of(opt)->corrects && i < n; i++) {
    const OptimSlots *slots = find_slots(opt, params[i], &hint);
    out->group[i] = group_of(out, slots ? (double)slots->t : 0);
  }
  out->n = NUMBERS_SHARED + out->n_groups * NUMBERS_OF_GROUP;
  return ERR_OK;
}

void optim_numbers_deinit(OptimNumbers *numbers) {
  free(numbers->value);
  *numbers = (OptimNumbers){0};
}

/* The counts after this step, into both places of each group; false: they differ in one. */
static bool count_groups(const Optimizer *opt, Variable *const *params,
                         OptimNumbers *numbers) {
  double *count = numbers->value + NUMBERS_SHARED;
  int hint = 0, n_seen = 0;
  for (int i = 0; numbers->n_groups && i < numbers->n_params; i++) {
    const OptimSlots *slots = find_slots(opt, params[i], &hint);
    double t = slots ? (double)slots->t + 1 : 1;
    double *of_group = count + numbers->group[i] * NUMBERS_OF_GROUP;
    if (numbers->group[i] == n_seen) {
      n_seen++;
      of_group[0] = of_group[1] = t;
    }
    if (of_group[0] != t) return false;
  }
  return true;
}

/* -- clipping ---------------------------------------------------------------------- */

static bool given(double option) { return !isnan(option); }

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

/* Replaces gradients by clipped ones where that is elementwise; gives for each parameter
 * the factor on its gradient. */
static void clip(Graph *graph, const Optimizer *opt, Node **grads, int n, Node **scale) {
  Node *one = graph_scalar(graph, 1), *all = NULL;
  Node **norm = calloc((size_t)n + 1, sizeof *norm);
  bool any = given(opt->clipnorm) || given(opt->global_clipnorm);
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
                     "optim.%s: the schedule counts epochs, which only train.fit knows; "
                     "allowed here: per = \"step\"", opt->object.kind->name);
  int64_t t = schedule->per == PER_EPOCH ? opt->epoch - 1 : opt->t;
  return schedule_rate(opt->schedule, t, opt->lr, &opt->rate, fault);
}

static double correction(double beta, double t) { return 1 / (1 - pow(beta, t)); }

Err optimizer_begin(Optimizer *opt, Variable *const *params, OptimNumbers *numbers,
                    bool *grouped, Fault *fault) {
  double *value = numbers->value;
  *grouped = count_groups(opt, params, numbers);
  if (!*grouped) return ERR_OK;
  if (set_rate(opt, fault)) return fault->code;
  opt->t++;
  value[NUMBER_LR] = opt->rate;
  value[NUMBER_MOMENTUM] = opt->momentum;
  value[NUMBER_DECAY] = opt->weight_decay;
  for (int i = NUMBERS_SHARED; i < numbers->n; i += NUMBERS_OF_GROUP) {
    value[i] = correction(opt->beta1, value[i]);
    value[i + 1] = correction(opt->beta2, value[i + 1]);
  }
  for (int i = 0; i < numbers->n; i++) numbers->input[i] = (real)value[i];
  return ERR_OK;
}

static int count_slots(const Optimizer *opt) {
  const OptimKind *kind = kind_of(opt);
  int n = 0;
  if (kind->wants_slots && !kind->wants_slots(opt)) return 0;
  while (kind->slots[n]) n++;
  return n;
}

Err optimizer_slots(Graph *graph, Optimizer *opt, Variable *const *params, int n,
                    Variable **out, int *n_each) {
  int k = *n_each = count_slots(opt), hint = 0;
  for (int i = 0; k && i < n; i++) {
    OptimSlots *slots = slots_of(opt, params[i], &hint, &graph->fault);
    for (int s = 0; slots && s < k; s++)
      out[i * k + s] = slot_ready(graph, slots, s, kind_of(opt)->slots[s]);
    if (graph->fault.code) return graph->fault.code;
  }
  return ERR_OK;
}

static void emit_one(Graph *graph, const Optimizer *opt, Node *const *number,
                     Variable *param, Variable *const *slots, int n_slots, Node *grad,
                     Node *scale, Node **w, Node **slot) {
  Node *read[OPTIM_SLOTS] = {0};
  for (int s = 0; s < n_slots; s++) read[s] = variable_read(graph, slots[s]);
  Node *update = kind_of(opt)->update(graph, opt, number, variable_read(graph, param), grad,
                                      read, scale);
  *w = graph_pick(graph, update, 0);
  for (int s = 0; s < n_slots; s++) slot[s] = graph_pick(graph, update, 1 + s);
}

/* The numbers of a parameter of group g; those of a kind without corrections are NULL. */
static void numbers_of(const OptimNumbers *numbers, Node *const *number, int g,
                       Node *out[OPTIM_NUMBERS]) {
  for (int k = 0; k < OPTIM_NUMBERS; k++) {
    int at = k < NUMBERS_SHARED ? k : k + g * NUMBERS_OF_GROUP;
    out[k] = at < numbers->n ? number[at] : NULL;
  }
}

Err optimizer_emit(Graph *graph, Optimizer *opt, const OptimNumbers *numbers,
                   Node *const *number, Variable *const *params, Variable *const *slots,
                   Node *const *grads, Node **w, Node **slot) {
  int n = numbers->n_params, k = count_slots(opt);
  Node **nodes = malloc((size_t)(2 * n + 1) * sizeof *nodes), *own[OPTIM_NUMBERS];
  if (!nodes) return fault_memory(&graph->fault, (size_t)(2 * n + 1) * sizeof *nodes);
  Node **scale = nodes + n;
  for (int i = 0; i < n; i++) nodes[i] = grads[i];
  clip(graph, opt, nodes, n, scale);
  for (int i = 0; i < n && !graph->fault.code; i++) {
    numbers_of(numbers, number, numbers->group[i], own);
    emit_one(graph, opt, own, params[i], slots + i * k, k, nodes[i], scale[i], &w[i],
             slot + i * k);
  }
  free(nodes);
  return graph->fault.code;
}

static uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

int optimizer_words(const Optimizer *opt, const OptimNumbers *numbers, uint64_t *out) {
  const double settings[] = {opt->beta1, opt->beta2, opt->eps, opt->clipnorm,
                             opt->global_clipnorm, opt->clipvalue};
  int n = 0;
  out[n++] = (uint64_t)(uintptr_t)opt->object.kind;
  out[n++] = (uint64_t)opt->nesterov;
  out[n++] = (uint64_t)count_slots(opt);
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    out[n++] = bits_of(settings[i]);
  out[n++] = (uint64_t)numbers->n_groups;
  must(n <= OPTIM_WORDS);
  for (int i = 0; numbers->n_groups > 1 && i < numbers->n_params; i++)
    out[n++] = (uint64_t)numbers->group[i];
  return n;
}
