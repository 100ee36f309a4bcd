/* trained.h: what a net remembers of how it was trained: loss and metrics. So that
 * evaluate and predict_classes read its outputs as the fit did. It goes with the net's
 * files and resume points, but for functions of the user. */
#ifndef NN_TRAINED_H
#define NN_TRAINED_H

#include "base/json.h"
#include "nn/nn.h"

/* Retains both. `vocabulary`: of the texts that the net is trained on, in a form that
 * its reader knows; NULL: they have none, and that of earlier ones stays. */
Err layer_remember(Layer *net, Loss *loss, const ObjectList *metrics,
                   const char *vocabulary, Fault *fault) WARN_UNUSED;

/* Borrowed; NULL: it was not trained by a fit. */
Loss *layer_loss(const Layer *net);
/* Borrowed; empty: none. */
const ObjectList *layer_metrics(const Layer *net);

/* Borrowed; NULL: none. */
const char *layer_vocabulary(const Layer *net);

/* How `output`, made by the net, says classes: as the loss and the options of an
 * accuracy among the metrics have it; where neither decides, the largest of
 * several outputs counts. */
Reading layer_reading(const Layer *net, const Node *output);

/* Returns new; NULL: it remembers nothing that JSON can hold. */
Json *layer_trained_json(const Layer *net);
/* Takes it over. ERR_DATA: it is something else; then nothing has changed.
 * NULL is a no-op. */
Err layer_trained_from_json(Layer *net, const Json *json, Fault *fault) WARN_UNUSED;

/* The same as text, in the metadata of a file, under this name. */
#define TRAINED_META "trained_with"
Err layer_trained_text(const Layer *net, Text *out, Fault *fault) WARN_UNUSED;
Err layer_trained_from_text(Layer *net, const char *text, Fault *fault) WARN_UNUSED;

#endif
