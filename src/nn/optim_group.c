/* optim_group.c: parameters with a rate or a weight decay of their own, found by their
 * names, as net:parameters() shows them. */
#include "nn/optim.h"
#include <fnmatch.h>
#include <math.h>
#include <string.h>

/* -- the record -------------------------------------------------------------------- */

static Err check(Object *object, Fault *fault) {
  const OptimGroup *group = (const OptimGroup *)object;
  if (!group->pattern)
    return fault_set(fault, ERR_VALUE,
                     "optim.group: option \"pattern\" is missing: a name or a pattern "
                     "of names, as in { \"*.bias\", weight_decay = 0 }");
  if (!isnan(group->lr) || !isnan(group->weight_decay)) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "optim.group: \"%s\": says nothing; allowed: lr, weight_decay",
                   group->pattern);
}

#define AT(field) .offset = offsetof(OptimGroup, field)
static const Option options[] = {
    {.name = "pattern", .kind = OPT_TEXT, AT(pattern), .position = 1,
     .alias = "params",
     .doc = "pattern of names of variables or layers: \"*.bias\", \"dense_1\", "
            "\"batch_norm_*\""},
    {.name = "lr", .kind = OPT_REAL, AT(lr), .value = "none", .lo = 0, .hi = 1e9,
     .alias = "learning_rate",
     .doc = "their learning rate, in place of the optimizer's; the schedule changes it "
            "likewise"},
    {.name = "weight_decay", .kind = OPT_REAL, AT(weight_decay), .value = "none",
     .lo = 0, .hi = 1e9, .doc = "their weight decay in place of the optimizer's"},
    {0}};

static const Kind group_kind = {
    .name = "group", .family = &optim_group_family, .size = sizeof(OptimGroup),
    .options = options, .check = check,
    .example = "local groups = { { \"*.bias\", weight_decay = 0 } }\n"
               "print(optim.SGD(0.1, { weight_decay = 0.01, groups = groups }))",
    .doc = "Parameters with a rate or a weight decay of their own: one of "
                    "the list "
           "`groups` of an optimizer, where a table says the same: { \"*.bias\", "
           "weight_decay = 0 }."};

static const Kind *const kinds[] = {&group_kind, NULL};
const Family optim_group_family = {.name = "parameter group",
                                   .module = "optim",
                                   .kinds = kinds};

/* -- which parameters -------------------------------------------------------------- */

/* The name, or the part before its last point, which is the layer's. */
static bool fits(const OptimGroup *group, const char *name) {
  const char *point = strrchr(name, '.');
  char layer[256];
  if (fnmatch(group->pattern, name, 0) == 0) return true;
  if (!point || (size_t)(point - name) >= sizeof layer) return false;
  memcpy(layer, name, (size_t)(point - name));
  layer[point - name] = 0;
  return fnmatch(group->pattern, layer, 0) == 0;
}

static OptimGroup *group_at(const Optimizer *opt, int i) {
  return (OptimGroup *)opt->groups.v[i];
}

OptimGroup *optimizer_group(const Optimizer *opt, const Variable *param) {
  for (int i = 0; i < opt->groups.n; i++)
    if (fits(group_at(opt, i), param->name ? param->name : "")) return group_at(opt, i);
  return NULL;
}

double optim_group_decay(const Optimizer *opt, const OptimGroup *group) {
  return group && !isnan(group->weight_decay) ? group->weight_decay : opt->weight_decay;
}

void optimizer_meet(Optimizer *opt, Variable *const *v, int n) {
  for (int i = 0; i < opt->groups.n; i++)
    for (int k = 0; !group_at(opt, i)->met && k < n; k++)
      group_at(opt, i)->met = fits(group_at(opt, i), v[k]->name ? v[k]->name : "");
}

Err optimizer_check_groups(const Optimizer *opt, Fault *fault) {
  for (int i = 0; i < opt->groups.n; i++)
    if (!group_at(opt, i)->met)
      return fault_set(fault, ERR_VALUE,
                       "optim.%s: option \"groups\": \"%s\" is the name of no variable "
                       "or layer that is trained; net:parameters() shows the names",
                       opt->object.kind->name, group_at(opt, i)->pattern);
  return ERR_OK;
}
