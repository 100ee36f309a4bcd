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
    {0}};

static const Family evaluation_family;
const Kind evaluation_kind = {.name = "evaluate", .family = &evaluation_family,
                              .size = sizeof(Evaluation), .options = evaluation_options,
                              .doc = "Measures a net on a data set."};
static const Kind *const evaluation_kinds[] = {&evaluation_kind, NULL};
static const Family evaluation_family = {"evaluation", "net", evaluation_kinds, NULL};
const FamilyBinding evaluation_binding = {.family = &evaluation_family};

/* Does the loss (or NULL) know labels as classes? */
static bool knows_classes(const Loss *loss) {
  if (!loss) return true;
  LossTargets targets = loss_targets(loss);
  return targets != TARGETS_OWN && targets != TARGETS_NUMBERS;
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

static void push_measures(lua_State *L, const Evaluation *e, const double *value) {
  lua_createtable(L, 0, e->metrics.n + 1);
  if (e->loss) {
    bind_push_real(L, value[0]);
    lua_setfield(L, -2, "loss");
  }
  for (int i = 0; i < e->metrics.n; i++) {
    bind_push_real(L, value[i + 1]);
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
  double *value = lua_newuserdatauv(L, (1 + (size_t)e->metrics.n) * sizeof *value, 0);
  if (train_evaluate(session_graph(L), net, set, e->loss, &e->metrics, e->batch_size,
                     value, &fault))
    return bind_raise_fault(L, &fault);
  graph_scope_end(session_graph(L), scope);
  push_measures(L, e, value);
  return 1;
}
