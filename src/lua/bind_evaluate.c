/* bind_evaluate.c: net:evaluate(set, { options }). */
#include "lua/net_private.h"
#include "lua/session.h"
#include "nn/trained.h"
#include <stddef.h>
#include <string.h>

typedef struct Evaluation {
  Object object;
  Loss *loss;
  ObjectList metrics;
  int64_t batch_size;
  bool standard_error;
} Evaluation;

static const Option evaluation_options[] = {
    {.name = "loss", .kind = OPT_OBJECT, .offset = offsetof(Evaluation, loss),
     .family = &loss_family,
     .doc = "the loss to measure; default: the one that the net was trained with, "
            "unless metrics are given"},
    {.name = "metrics", .kind = OPT_OBJECTS, .offset = offsetof(Evaluation, metrics),
     .family = &metric_family, .value = "none",
     .doc = "the metrics to measure; default: those that the net was trained with; "
            "without such, accuracy where the targets are labels that the loss knows "
            "as classes; {}: none"},
    {.name = "batch_size", .kind = OPT_INT, .offset = offsetof(Evaluation, batch_size),
     .value = "256", .lo = 1, .hi = 1e9, .doc = "rows that are computed at once"},
    {.name = "standard_error", .kind = OPT_BOOL,
     .offset = offsetof(Evaluation, standard_error), .value = "false",
     .doc = "adds a table `standard_error`: how far each metric would be off on other "
            "rows, by the number of rows (equations: help of the metrics), NaN where "
            "it is not known"},
    {0}};

static const Family evaluation_family;
const Kind evaluation_kind = {.name = "evaluate", .family = &evaluation_family,
                              .size = sizeof(Evaluation), .options = evaluation_options,
                              .doc = "Measures a net on a data set."};
static const Kind *const evaluation_kinds[] = {&evaluation_kind, NULL};
static const Family evaluation_family = {.name = "evaluation",
                                         .module = "net",
                                         .kinds = evaluation_kinds};
const FamilyBinding evaluation_binding = {.family = &evaluation_family};

/* Does the loss (or NULL) know labels as classes? */
static bool knows_classes(const Loss *loss) {
  if (!loss) return true;
  LossTargets targets = loss_targets(loss);
  return targets != TARGETS_OWN && targets != TARGETS_NUMBERS &&
         targets != TARGETS_ALIKE;
}

/* What was not asked: loss and metrics that the net was trained with, else the accuracy
 * where there are classes. A net that was not trained, on a set without classes:
 * mse. */
static Err add_defaults(Evaluation *e, const Layer *net, Dataset *set,
                        bool metrics_given, Fault *fault) {
  const Option *loss = &evaluation_options[0], *metrics = &evaluation_options[1];
  const ObjectList *trained = layer_metrics(net);
  if (metrics_given) return ERR_OK;
  Err err = dataset_load(set, fault);
  if (!err && !e->loss && layer_loss(net))
    err = option_set_object(&e->object, loss, &layer_loss(net)->object, fault);
  if (err) return err;
  if (trained->n)
    return option_set_objects(&e->object, metrics, trained->v, trained->n, fault);
  if (dataset_has_labels(set) && knows_classes(e->loss))
    return option_set_text(&e->object, metrics, "accuracy", fault);
  return e->loss ? ERR_OK : option_set_text(&e->object, loss, "mse", fault);
}

/* Is the option among those in the table at `arg`? */
static bool is_given(lua_State *L, int arg, const char *option) {
  if (lua_type(L, arg) != LUA_TTABLE) return false;
  bool given = lua_getfield(L, arg, option) != LUA_TNIL;
  lua_pop(L, 1);
  return given;
}

/* A matrix as a tensor; releases it. */
static void push_matrix(lua_State *L, Tensor **matrix) {
  Node *node = graph_const(session_graph(L), *matrix);
  tensor_release(*matrix);
  *matrix = NULL;
  if (!node) bind_raise_graph_fault(L);
  bind_push_node(L, node);
}

static void push_errors(lua_State *L, const Evaluation *e, const double *error) {
  lua_createtable(L, 0, e->metrics.n);
  for (int i = 0; i < e->metrics.n; i++) {
    bind_push_real(L, error[i]);
    lua_setfield(L, -2, metric_name((const Metric *)e->metrics.v[i]));
  }
}

static void push_measures(lua_State *L, const Evaluation *e, const double *value,
                          const MeasureDetails *details) {
  lua_createtable(L, 0, e->metrics.n + 1);
  if (e->loss) {
    bind_push_real(L, value[0]);
    lua_setfield(L, -2, "loss");
  }
  for (int i = 0; i < e->metrics.n; i++) {
    if (details->table[i]) push_matrix(L, &details->table[i]);
    else bind_push_real(L, value[i + 1]);
    lua_setfield(L, -2, metric_name((const Metric *)e->metrics.v[i]));
  }
}

int net_evaluate(lua_State *L) {
  Layer *net = bind_check_object(L, 1, &layer_family);
  Dataset *set = bind_check_dataset(L, 2);
  bool metrics_given = is_given(L, 3, "metrics");
  Evaluation *e = (Evaluation *)bind_object_from_args(L, 3, &evaluation_kind);
  bind_push_object(L, &e->object);
  object_release(e);
  Fault fault = {0};
  int scope = bind_enter_call(L);
  if (add_defaults(e, net, set, metrics_given, &fault))
    return bind_raise_fault(L, &fault);
  size_t n = (size_t)e->metrics.n;
  double *value = lua_newuserdatauv(L, (1 + 2 * n) * sizeof *value, 0);
  Tensor **table = lua_newuserdatauv(L, (1 + n) * sizeof(Tensor *), 0);
  for (size_t i = 0; i < n; i++) table[i] = NULL;
  double *error = value + 1 + n;
  MeasureDetails details = {e->standard_error ? error : NULL, table};
  if (train_evaluate(session_graph(L), net, set, e->loss, &e->metrics, e->batch_size,
                     value, &details, &fault)) {
    for (size_t i = 0; i < n; i++) tensor_release(table[i]);
    return bind_raise_fault(L, &fault);
  }
  push_measures(L, e, value, &details);
  if (e->standard_error) {
    push_errors(L, e, error);
    lua_setfield(L, -2, "standard_error");
  }
  graph_scope_end(session_graph(L), scope);
  return 1;
}
