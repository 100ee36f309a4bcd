/* summary.c: nets as text: the table of summary(), and the lines that print shows. */
#include "nn/nn.h"
#include "graph/ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Counts {
  int64_t all, trained;
} Counts;

static void count_variable(Counts *c, const Variable *v) {
  if (!v || !v->trainable || !v->has_value) return;
  int64_t n = shape_count(&v->current->shape);
  c->all += n;
  if (!v->frozen) c->trained += n;
}

static Counts count_layer(const Layer *layer) {
  Counts c = {0};
  for (int i = 0; i < layer->n_vars; i++) count_variable(&c, layer->var[i]);
  return c;
}

/* Of the whole net: one that two layers have counts once. */
static Err count_net(Layer *net, Counts *out, Fault *fault) {
  StateList list;
  Err err = layer_trained(net, &list, fault);
  *out = (Counts){0};
  for (int i = 0; !err && i < list.n; i++) count_variable(out, list.v[i]);
  if (!err) state_deinit(&list);
  return err;
}

/* "N x 300": the batch axis is not fixed. */
static char *output_text(char *buffer, size_t n_bytes, const Layer *layer) {
  size_t used = (size_t)snprintf(buffer, n_bytes, layer->seen ? "N" : "?");
  for (int i = 1; layer->seen && i < layer->output.rank && used < n_bytes; i++)
    used += (size_t)snprintf(buffer + used, n_bytes - used, " x %lld",
                             (long long)layer->output.dim[i]);
  return buffer;
}

static const char *trained_text(Counts c) {
  if (c.all == 0) return "";
  if (c.trained == 0) return "frozen";
  return c.trained == c.all ? "yes" : "partly";
}

/* "dense_1 (relu)": with the activation that it was made with. */
static void add_label(Text *out, const Layer *layer) {
  text_add(out, layer->name);
  for (const Option *opt = layer->object.kind->options; opt && opt->name; opt++) {
    Value value = {0};
    if (opt->family == &activation_family) option_get(&layer->object, opt, &value);
    if (value.kind == VALUE_OBJECT)
      text_addf(out, " (%s)", ((const Object *)value.as.ref)->kind->name);
  }
}

static void add_rows(const LayerList *list, Text *out) {
  enum { RULE = 68 };
  char rule[RULE + 1], shape[SHAPE_TEXT];
  memset(rule, '-', RULE);
  rule[RULE] = 0;
  text_addf(out, "%-26s %-18s %12s  %s\n%s\n", "Layer", "Output", "Parameters",
            "Trainable", rule);
  for (int i = 0; i < list->n; i++) {
    Layer *layer = list->v[i], *const *child = NULL;
    if (layer_children(layer, &child) && !layer->n_vars) continue;
    Counts c = count_layer(layer);
    char count[32];
    snprintf(count, sizeof count, "%lld", (long long)c.all);
    Text label = {0};
    add_label(&label, layer);
    text_addf(out, "%-26s %-18s %12s  %s\n", label.data ? label.data : "",
              output_text(shape, sizeof shape, layer), layer_built(layer) ? count : "?",
              trained_text(c));
    text_deinit(&label);
  }
  text_addf(out, "%s\n", rule);
}

/* Which form of a cross-entropy the loss takes for what the net gives. */
static Err add_form(Graph *graph, Layer *net, const Loss *loss, Text *out,
                    Fault *fault) {
  bool training = graph->training;
  int scope = graph_scope_begin(graph);
  graph->training = false;
  Node *y = layer_call(graph, net, op_full(graph, 0, &net->input));
  graph->training = training;
  const char *form = y ? loss_form_text(loss, loss_form(loss, y)) : "";
  text_addf(out, "loss %s%s%s\n", loss->object.kind->name, *form ? ": " : "", form);
  graph_scope_end(graph, scope);
  return graph_ok(graph, fault);
}

/* -- initial values ---------------------------------------------------------------- */

/* A number in six places, blank where there is none. */
static const char *short_number(char buffer[32], double value) {
  if (isnan(value)) return "";
  snprintf(buffer, 32, "%.4g", value);
  return buffer;
}

/* "auto: he_normal"; one that was replaced since "lsuv". */
static void init_name(const InitNote *note, const InitRule *rule, char *out,
                      size_t n_bytes) {
  const char *given = note->init->object.kind->name;
  bool chosen = strcmp(given, rule->name) != 0;
  if (note->since) snprintf(out, n_bytes, "%s", note->since);
  else
    snprintf(out, n_bytes, "%s%s%s", chosen ? given : "", chosen ? ": " : "",
             rule->name);
}

static InitRule rule_of(const Layer *layer, int i) {
  InitCall call = layer->note[i].call;
  call.shape = &layer->var[i]->current->shape;
  InitRule rule = init_rule(layer->note[i].init, &call);
  if (layer->note[i].since)
    rule = (InitRule){.name = rule.name, .fan = NAN, .gain = NAN, .std = NAN};
  return rule;
}

static void add_init_row(const Layer *layer, int i, Text *out) {
  const InitNote *note = &layer->note[i];
  InitRule rule = rule_of(layer, i);
  char name[96], fan[64], number[4][32];
  init_name(note, &rule, name, sizeof name);
  snprintf(fan, sizeof fan, "%s%s%s", rule.mode ? rule.mode : "", rule.mode ? " " : "",
           short_number(number[0], rule.fan));
  text_addf(out, "%-26s %-22s %-14s %8s %10s %10s\n", layer->var[i]->name, name, fan,
            short_number(number[1], rule.gain), short_number(number[2], rule.std),
            short_number(number[3], note->std));
}

static bool has_note(const Layer *layer, int i) {
  return layer->note && layer->note[i].init && layer->var[i]->has_value;
}

static void add_inits(const LayerList *list, Text *out) {
  text_addf(out, "\n%-26s %-22s %-14s %8s %10s %10s\n", "Initial value", "Rule", "Fan",
            "Gain", "Deviation", "Drawn");
  for (int k = 0; k < list->n; k++)
    for (int i = 0; i < list->v[k]->n_vars; i++)
      if (has_note(list->v[k], i)) add_init_row(list->v[k], i, out);
}

Json *layer_init_record(Layer *net, Fault *fault) {
  LayerList list;
  if (layer_list(net, &list, fault)) return NULL;
  Json *out = json_list();
  for (int k = 0; k < list.n; k++)
    for (int i = 0; i < list.v[k]->n_vars; i++) {
      const Layer *layer = list.v[k];
      if (!has_note(layer, i)) continue;
      InitRule rule = rule_of(layer, i);
      char name[96];
      if (rule.std == 0) continue; /* nothing was drawn */
      init_name(&layer->note[i], &rule, name, sizeof name);
      json_push(out, json_mapf("variable %s rule %s mode %s fan %g gain %g std %g "
                               "drawn %g",
                               layer->var[i]->name, name, rule.mode, rule.fan,
                               rule.gain, rule.std, layer->note[i].std));
    }
  free(list.v);
  return out;
}

Err layer_summary(Graph *graph, Layer *net, const Loss *loss, bool init, Text *out,
                  Fault *fault) {
  LayerList list;
  Counts total;
  Err err = layer_prepare(graph, net, fault);
  if (!err) err = count_net(net, &total, fault);
  if (!err) err = layer_list(net, &list, fault);
  if (err) return err;
  add_rows(&list, out);
  text_addf(out, "total: %lld parameters, %lld trainable\n", (long long)total.all,
            (long long)total.trained);
  if (init) add_inits(&list, out);
  free(list.v);
  if (!layer_built(net)) {
    text_add(out, "not built yet: sizes follow at first use, or by net:build(shape)\n");
    return ERR_OK;
  }
  return loss && net->seen && net->n_inputs == 1
             ? add_form(graph, net, loss, out, fault)
             : ERR_OK;
}

/* -- lines ------------------------------------------------------------------------- */

/* Of one example, "28x28"; of a number "1". */
static void add_sizes(Text *out, const Shape *shape) {
  if (shape->rank < 2) text_add(out, "1");
  for (int i = 1; i < shape->rank; i++)
    text_addf(out, i > 1 ? "x%lld" : "%lld", (long long)shape->dim[i]);
}

/* Layers that stand in many places make more lines than there are layers. */
enum { MOST_LINES = 1000 };

static void add_layer(Text *out, Layer *layer, int depth, int *n_lines) {
  Layer *const *child = NULL;
  int n = layer_kind(layer)->children ? layer_children(layer, &child) : 0;
  /* A function alone, as of a table with `forward`, holds nothing. */
  bool container = layer_kind(layer)->children &&
                   (n || !object_has_call(&layer->object));
  object_add_call(out, &layer->object, container ? &layer_family : NULL);
  if (layer->seen && !container) {
    text_add(out, "  ");
    add_sizes(out, &layer->input);
    text_add(out, " -> ");
    add_sizes(out, &layer->output);
  }
  if (container) text_add(out, n ? " {\n" : " {}");
  if (!n) return;
  for (int i = 0; i < n && ++*n_lines < MOST_LINES; i++) {
    text_addf(out, "%*s[%d] ", 2 * depth + 2, "", i + 1);
    add_layer(out, child[i], depth + 1, n_lines);
    text_add(out, "\n");
  }
  if (*n_lines >= MOST_LINES) text_addf(out, "%*s...\n", 2 * depth + 2, "");
  text_addf(out, "%*s}", 2 * depth, "");
}

void layer_add_lines(Text *out, Layer *net) {
  int n_lines = 0;
  add_layer(out, net, 0, &n_lines);
}
