/* trained.c: what a net remembers of how it was trained; see trained.h. */
#include "nn/trained.h"
#include "base/record_json.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct Trained {
  Object object;
  Loss *loss;
  ObjectList metrics;
  char *vocabulary;
} Trained;

static const Option trained_options[] = {
    {.name = "loss", .kind = OPT_OBJECT, .offset = offsetof(Trained, loss),
     .family = &loss_family, .doc = "what was minimized"},
    {.name = "metrics", .kind = OPT_OBJECTS, .offset = offsetof(Trained, metrics),
     .family = &metric_family, .value = "none",
     .doc = "what is measured beside the loss"},
    {.name = "vocabulary", .kind = OPT_TEXT, .offset = offsetof(Trained, vocabulary),
     .value = "none", .doc = "of the texts that it was trained on"},
    {0}};

enum { OPTION_LOSS, OPTION_METRICS, OPTION_VOCABULARY };

static const Family trained_family;
static const Kind trained_kind = {.name = "trained", .family = &trained_family,
                                  .size = sizeof(Trained), .options = trained_options,
                                  .doc = "How a net was trained."};
static const Kind *const trained_kinds[] = {&trained_kind, NULL};
static const Family trained_family = {.name = "training",
                                      .module = "net",
                                      .kinds = trained_kinds};

static const Trained *trained_of(const Layer *net) {
  return (const Trained *)net->trained;
}

/* Takes the reference. */
static void replace(Layer *net, Object *trained) {
  object_release(net->trained);
  net->trained = trained;
}

Err layer_remember(Layer *net, Loss *loss, const ObjectList *metrics,
                   const char *vocabulary, Fault *fault) {
  Object *trained = object_new(&trained_kind, fault);
  if (!trained) return fault->code;
  const Option *options = trained_options;
  if (!vocabulary) vocabulary = layer_vocabulary(net);
  Err err = ERR_OK;
  if (loss)
    err = option_set_object(trained, &options[OPTION_LOSS], &loss->object, fault);
  if (!err)
    err = option_set_objects(trained, &options[OPTION_METRICS], metrics->v, metrics->n,
                             fault);
  if (!err && vocabulary)
    err = option_set_text(trained, &options[OPTION_VOCABULARY], vocabulary, fault);
  if (err) object_release(trained);
  else replace(net, trained);
  return err;
}

Loss *layer_loss(const Layer *net) {
  return net->trained ? trained_of(net)->loss : NULL;
}

const ObjectList *layer_metrics(const Layer *net) {
  static const ObjectList none;
  return net->trained ? &trained_of(net)->metrics : &none;
}

const char *layer_vocabulary(const Layer *net) {
  return net->trained ? trained_of(net)->vocabulary : NULL;
}

Reading layer_reading(const Layer *net, const Node *output) {
  const ObjectList *metrics = layer_metrics(net);
  Reading reading = reading_of(layer_loss(net), output, NULL);
  for (int i = metrics->n - 1; i >= 0; i--) {
    const Metric *metric = (const Metric *)metrics->v[i];
    if (metric_kind(metric)->read) metric_kind(metric)->read(metric, &reading);
  }
  if (reading.as == READ_UNKNOWN)
    reading.as = reading_width(&output->shape) > 1 ? READ_CATEGORICAL : READ_BINARY;
  return reading;
}

/* -- as JSON ----------------------------------------------------------------------- */

Json *layer_trained_json(const Layer *net) {
  if (!net->trained) return NULL;
  const Trained *trained = trained_of(net);
  Json *map = json_map(), *list = json_list();
  for (int i = 0; i < trained->metrics.n; i++)
    if (!object_has_call(trained->metrics.v[i]))
      json_push(list, object_values(trained->metrics.v[i], NULL));
  if (trained->loss && !object_has_call(&trained->loss->object))
    json_put(map, "loss", object_values(&trained->loss->object, NULL));
  json_put(map, "metrics", list);
  if (trained->vocabulary) json_put_text(map, "vocabulary", trained->vocabulary);
  return map;
}

/* Returns new. */
static Object *object_of(const Family *family, const Json *json, Fault *fault) {
  const char *name = NULL;
  if (!json || json_kind(json) != JSON_KIND_MAP ||
      !json_find_text(json, "kind", &name)) {
    fault_set(fault, ERR_DATA, "a %s has no name", family->name);
    return NULL;
  }
  Object *object = family_make(family, name, fault);
  if (object && object_set_values(object, json, NULL, fault)) {
    object_release(object);
    return NULL;
  }
  return object;
}

Err layer_trained_from_json(Layer *net, const Json *json, Fault *fault) {
  if (!json) return ERR_OK;
  const Json *list = json_kind(json) == JSON_KIND_MAP ? json_find(json, "metrics")
                                                      : NULL;
  const Json *saved = list ? json_find(json, "loss") : NULL;
  if (!list || json_kind(list) != JSON_KIND_LIST)
    return fault_set(fault, ERR_DATA, "the metrics are missing");
  Object *loss = saved ? object_of(&loss_family, saved, fault) : NULL;
  ObjectList metrics = {0, calloc((size_t)json_count(list) + 1, sizeof *metrics.v)};
  Err err = saved && !loss ? ERR_DATA
            : metrics.v    ? ERR_OK
                           : fault_memory(fault, (size_t)json_count(list));
  while (!err && metrics.n < json_count(list)) {
    Object *metric = object_of(&metric_family, json_item(list, metrics.n), fault);
    if (metric) metrics.v[metrics.n++] = metric;
    else err = ERR_DATA;
  }
  const char *vocabulary = json_text_or(json, "vocabulary", NULL);
  if (!err) err = layer_remember(net, (Loss *)loss, &metrics, vocabulary, fault);
  for (int i = 0; i < metrics.n; i++) object_release(metrics.v[i]);
  free(metrics.v);
  object_release(loss);
  return err;
}

Err layer_trained_text(const Layer *net, Text *out, Fault *fault) {
  Json *json = layer_trained_json(net);
  Err err = json ? json_write(json, 0, out, fault) : ERR_OK;
  json_free(json);
  return err;
}

Err layer_trained_from_text(Layer *net, const char *text, Fault *fault) {
  Json *json = json_parse(text, strlen(text), fault);
  Err err = json ? layer_trained_from_json(net, json, fault) : fault->code;
  json_free(json);
  return err;
}
