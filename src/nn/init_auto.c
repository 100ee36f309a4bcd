/* init_auto.c: the initializer that the literature gives for the activation which
 * follows. Each activation names it in its record. */
#include "nn/init.h"

static Init *resolved(const InitCall *call, Fault *fault) {
  const char *name = call->follows ? call->follows->init : NULL;
  return (Init *)family_make(&init_family, name ? name : "glorot_uniform", fault);
}

static Node *auto_make(Graph *graph, const Init *self, const InitCall *call) {
  (void)self;
  if (!call->placed) {
    fault_set(&graph->fault, ERR_VALUE,
              "init.auto: it is not known which activation follows: allowed in layers "
              "that have one, and in nn.Sequential; else name the initializer, as "
              "\"he_normal\"");
    return NULL;
  }
  Init *init = resolved(call, &graph->fault);
  Node *node = init ? init_make(graph, init, call) : NULL;
  object_release(init);
  return node;
}

static void auto_rule(const Init *self, const InitCall *call, InitRule *out) {
  Fault ignored = {0};
  (void)self;
  Init *init = resolved(call, &ignored);
  if (init) *out = init_rule(init, call);
  object_release(init);
}

const InitKind init_auto = {
    .kind = {.name = "auto", .family = &init_family, .size = sizeof(Init),
             .doc = "Chooses what the literature gives for the activation that "
                    "follows, in the layer or after it in nn.Sequential, past "
                    "normalizations and dropouts: he_normal for relu and its kin, "
                    "lecun_normal for selu, else glorot_uniform. net:summary { init = "
                    "true } says which.",
             .source = "Glorot & Bengio, AISTATS 2010; He et al., ICCV 2015; Klambauer "
                       "et al., NIPS 2017, section 2"},
    .make = auto_make, .rule = auto_rule};
