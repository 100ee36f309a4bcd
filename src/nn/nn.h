/* nn.h: layers and nets. A net is a layer; there is no second type.
 *
 * Invariants
 *   - A layer's variables exist from its construction on (so that they can be listed),
 *     and get shape and initial value when it is built: at its first use, or by
 *     layer_build. A layer is built when its variables have values; nothing else
 *     remembers it, so a step that is rolled back also takes back the build.
 *   - Names are those of the net that is asked, whatever other nets share its layers:
 *     per kind a count from 1 in the order of traversal, nested containers included
 *     (dense_1, dense_2, batch_norm_1); a given name replaces it. State names are
 *     <layer>.<variable>: dense_1.weight. A tensor that two layers share has one, that
 *     of the first.
 *   - A layer draws from the streams of the outermost net in which it was built, for
 *     ever: no net that takes it up later changes what it draws.
 *   - A forward makes nodes and computes nothing. What it changes (running statistics)
 *     changes through variable_assign, in program order.
 *   - Tensors go from layer to layer through ports, as many as there are, each with the
 *     mask of its steps. None is dropped: a layer that takes one refuses two, and a
 *     layer that mixes steps and knows no mask refuses a masked one.
 *
 * Ownership. A container retains its layers; `owner` points back without a
 * reference. */
#ifndef NN_NN_H
#define NN_NN_H

#include "base/json.h"
#include "base/record.h"
#include "graph/graph.h"
#include "nn/activation.h"
#include "nn/init.h"
#include "nn/loss.h"
#include "nn/metric.h"
#include "nn/regular.h"
#include "nn/optim.h"

typedef struct Layer Layer;
typedef struct LayerKind LayerKind;

enum { VARIABLE_NAME = 64 }; /* bytes of a tensor's own name, with its end */

/* What goes from layer to layer. mask [N, T], of an x [N, T, ...]: 1 at the steps that
 * count, 0 at those that do not; NULL: all count. n is 0 after a fault, which then
 * is in graph->fault. The nodes are borrowed. */
enum { MAX_PORTS = 8 };
typedef struct Port {
  Node *x, *mask;
} Port;
typedef struct Ports {
  int n;
  Port v[MAX_PORTS];
} Ports;

/* Is it [N, T, ..., features]? */
static inline bool port_is_sequence(const Port *port) {
  return port->mask || (port->x && port->x->sequence);
}

/* One tensor; none where it is NULL. */
static inline Ports layer_ports_of(Node *x, Node *mask) {
  return (Ports){.n = x != NULL, .v = {{x, mask}}};
}

/* A net's number in the run, and when it was given. */
typedef struct NetNumber {
  int64_t n;        /* 0: none */
  uint32_t step;    /* the transaction; 0: none */
  uint32_t seeding; /* graph->count.seeding of that time */
} NetNumber;

/* How a variable got its initial value. */
typedef struct InitNote {
  Init *init;        /* retained; NULL: it got none */
  InitCall call;     /* of it, without shape and stream */
  double std;        /* deviation of the elements that it got */
  const char *since; /* what has replaced them: "lsuv"; NULL: nothing */
} InitNote;

/* What keeps small the first variables of a layer, in the order of its kind's list, and
 * its result; each may be NULL. Number i is for one variable, or for as many as the
 * kind says (regular_span), one behind the other. */
enum { REGULAR_VARS = 4 };
typedef struct LayerRegular {
  Regularizer *penalty[REGULAR_VARS], *activity;
  Constraint *limit[REGULAR_VARS];
  uint32_t step; /* private: in which the variables were penalized last */
} LayerRegular;

struct Layer {
  Object object;
  /* options of every layer: LAYER_OPTIONS */
  char *given_name;     /* NULL: counted */
  IntList input_shape;  /* of one example; n 0: inferred at first use */
  LayerRegular regular; /* of those with LAYER_REGULARIZER, LAYER_CONSTRAINT */
  /* read-only */
  char *name;        /* in the net that was asked last; NULL: none was */
  const char *label; /* the name, interned in the session; NULL: not yet */
  Layer *owner;      /* container it came to first, or NULL; no reference */
  int n_vars;
  Variable **var;              /* n_vars of them, NULL: not made with it (layer_var) */
  InitNote *note;              /* for each, of its build; NULL: none was built */
  const char *const *var_name; /* of these: the kind's vars, or a custom layer's own */
  Shape input, output; /* of the first ports of its last forward; valid when `seen` */
  int n_inputs;        /* of that forward */
  bool seen;
  Layer *reader; /* its first variable is read through it (LayerKind.weight): the
                    layer around it; NULL: as it is; no reference */
  Node **watch;  /* where a forward notes what it gives before its activation; NULL: it
                    notes nothing */
  Object *trained; /* of a net: what it was trained with (trained.h); or NULL */
  /* private to net.c */
  Layer *owned, *sibling; /* list of all whose owner this is; next one of that list */
  NetNumber number;       /* of the outermost: its number in the run */
  char *stream;         /* its name in the net of whose streams it draws; NULL: none */
  NetNumber stream_net; /* that net's number */
  const Layer *namer;   /* the net whose names it has; to be compared alone */
  uint64_t named;       /* its signature when it named all its layers */
  bool visited;
};

/* One case for the tests that every layer goes through: options by name, as text (of
 * layers "Dense 3": a kind and its first option), shapes of the inputs and of the first
 * output. */
enum { SAMPLE_OPTIONS = 6, SAMPLE_INPUTS = 3 };
typedef struct LayerSample {
  struct {
    const char *name, *value;
  } options[SAMPLE_OPTIONS]; /* a NULL name ends */
  Shape in[SAMPLE_INPUTS];   /* rank 0 ends */
  Shape out;                 /* rank 0 ends a list of samples */
} LayerSample;
#define LAYER_SAMPLES_END                                                              \
  {                                                                                    \
    .out = { 0 }                                                                       \
  }

struct LayerKind {
  Kind kind;
  const char *prefix;      /* of counted names: "dense" */
  const char *const *vars; /* names of its variables, NULL-terminated; NULL: none */
  const LayerSample *samples;
  int64_t sample_ids; /* their first inputs are whole numbers from 1 to it, of which
                         there is no gradient; 0: any numbers */
  /* Gives the variables shape and initial value (layer_give) for such inputs. NULL:
   * nothing to build. */
  Err (*build)(Graph *graph, Layer *layer, const Ports *in, Fault *fault);
  /* One tensor to one; NULL after a fault, which is then in graph->fault. */
  Node *(*forward)(Graph *graph, Layer *layer, Node *x);
  /* In place of it, for what takes or gives several, or masks. */
  Ports (*ports)(Graph *graph, Layer *layer, const Ports *in);
  /* Is it read after the layer was made, as its options that make the layers inside are
   * not? NULL: all are. */
  bool (*reads)(const Option *field);
  /* The layers inside, borrowed; returns how many. NULL: a leaf. */
  int (*children)(Layer *layer, Layer *const **out);
  /* Traits */
  bool keeps_time;  /* step t of the result follows from step t of the input alone:
                       a mask passes through */
  bool knows_masks; /* `ports` says what becomes of masks */
  bool gives_steps; /* a result [N, T, ...] of it has its features along the last axis;
                       other layers that keep time or know masks give what they got */
  bool recurrent;   /* its struct begins with RecurrentLayer (nn/recurrent.h) */
  const char *norm; /* its name for nn.norm: "batch"; NULL: it is no normalization */
  bool shares;      /* another layer may hold its variables, too */
  /* Of what it keeps from call to call: as at first. NULL: it keeps nothing. */
  Err (*reset)(Graph *graph, Layer *layer);
  /* Would it use statistics of the batch in training? NULL: never. */
  bool (*uses_batch)(const Layer *layer);
  /* The layers that layer_add appends to. NULL: it holds no such list. */
  ObjectList *(*growing)(Layer *layer);
  size_t activation; /* of a leaf: offset of its option of that name; 0: it has none */
  const ActivationKind *as_activation; /* it may be an activation, of this kind */
  int regular_span; /* variables that share each of LayerRegular's; 0: 1 */
  int units_axis; /* of its first variable, a weight: the axis of the units, from 1; 0:
                     it has no such weight */
  /* What a layer inside, whose reader this is, takes for its first variable v. */
  Node *(*weight)(Graph *graph, Layer *layer, Node *v);
};

extern const Family layer_family; /* module "nn" */

static inline const LayerKind *layer_kind(const Layer *layer) {
  return (const LayerKind *)layer->object.kind;
}
/* Variable number `i` of the kind; NULL: the layer was made without it. */
static inline Variable *layer_var(const Layer *layer, int i) {
  return i < layer->n_vars ? layer->var[i] : NULL;
}

/* -- for the kinds ----------------------------------------------------------------- */

#define LAYER_OPTIONS                                                                  \
  {.name = "name", .kind = OPT_TEXT, .offset = offsetof(Layer, given_name),            \
   .doc = "name in the net, unique there, in place of a counted one as dense_1"},      \
  {.name = "input_shape", .kind = OPT_INTS, .offset = offsetof(Layer, input_shape),    \
   .doc = "shape of one example, to build the net before its first use"}

#define LAYER_ACTIVATION(type)                                                         \
  {.name = "activation", .kind = OPT_OBJECT, .offset = offsetof(type, activation),     \
   .family = &activation_family,                                                       \
   .doc = "activation function that is applied to the result"}
#define LAYER_BIAS(type, text)                                                         \
  {.name = "bias", .kind = OPT_BOOL, .offset = offsetof(type, bias), .value = "true",  \
   .alias = "use_bias", .doc = text}
#define LAYER_INIT(type, text)                                                         \
  {.name = "init", .kind = OPT_OBJECT, .offset = offsetof(type, init),                 \
   .family = &init_family, .value = "glorot_uniform", .alias = "kernel_initializer",   \
   .doc = text}
#define LAYER_BIAS_INIT(type, text)                                                    \
  {.name = "bias_init", .kind = OPT_OBJECT, .offset = offsetof(type, bias_init),       \
   .family = &init_family, .value = "zeros", .alias = "bias_initializer", .doc = text}

/* The options `word`_regularizer and `word`_constraint of variable i of the kind's
 * list, or of its i-th regular_span of them, i < REGULAR_VARS: all that a layer says
 * for them. `what`: what help calls the variable, if not so. Units lie along the kind's
 * units_axis, or along the last axis. */
#define LAYER_REGULARIZER(i, word, alias_) LAYER_REGULARIZER_OF(i, word, word, alias_)
#define LAYER_REGULARIZER_OF(i, word, what, alias_)                                    \
  LAYER_REGULAR(word "_regularizer", penalty[i], &regularizer_family, alias_,          \
                "penalty on the " what ", " IN_THE_LOSS)
#define LAYER_CONSTRAINT(i, word, alias_) LAYER_CONSTRAINT_OF(i, word, word, alias_)
#define LAYER_CONSTRAINT_OF(i, word, what, alias_)                                     \
  LAYER_REGULAR(word "_constraint", limit[i], &constraint_family, alias_,              \
                "bounds the " what " after each update")
#define LAYER_ACTIVITY_REGULARIZER                                                     \
  LAYER_REGULAR("activity_regularizer", activity, &regularizer_family, NULL,           \
                "penalty on the result, per row, " IN_THE_LOSS)
#define LAYER_REGULAR(name_, field, family_, alias_, text)                             \
  {.name = name_, .kind = OPT_OBJECT, .offset = offsetof(Layer, regular.field),        \
   .family = family_, .value = "none", .alias = alias_, .quiet = true, .doc = text}
#define IN_THE_LOSS                                                                    \
  "part of the loss of train.step and train.fit, not of val_loss and net:evaluate"

/* The activation that layer `maker` does, by the name `word`: a layer may have
 * variables and draw, and change the shape. As an activation it is an object with that
 * layer. */
#define ACTIVATION_OF_LAYER(word, maker, initializer, text, formula, paper)            \
  static const Option word##_options[] = {                                             \
      {.name = "layer", .kind = OPT_OBJECT, .offset = offsetof(Activation, layer),     \
       .family = &layer_family, .value = maker, .doc = "that does it: nn." maker},     \
      {0}};                                                                            \
  const ActivationKind activation_##word = {                                           \
      .kind = {.name = #word, .family = &activation_family, .size = sizeof(Activation),\
               .options = word##_options, .doc = text, .equation = formula,            \
               .source = paper},                                                       \
      .init = initializer,                                                             \
      .apply = layer_activate}
Node *layer_activate(Graph *graph, const Activation *self, Node *x);
/* y through the layer's option `activation`, if it has one. */
Node *layer_activated(Graph *graph, Layer *layer, Node *y);

/* Room for n variables, of which there is none yet. */
Err layer_reserve(Layer *layer, int n, const char *const *names,
                  Fault *fault) WARN_UNUSED;
/* Makes variable number `i` of the kind, without name and value. */
Err layer_declare(Layer *layer, int i, bool trainable, Fault *fault) WARN_UNUSED;
/* Is it a name of 1 to `longest` bytes, UTF-8 without control characters? Names stand
 * in files and messages. `whose`: "a layer". */
Err layer_check_name(const char *name, const char *whose, int longest,
                     Fault *fault) WARN_UNUSED;
/* Takes up a child: its owner is this layer, unless it has one already. */
void layer_adopt(Layer *layer, Layer *child);
/* The same of the layer that does its activation, if one does: of a leaf's check. */
void layer_adopt_activation(Layer *layer);
/* The common part of every kind's deinit. */
void layer_deinit(Object *object);
/* The deviation of the value's elements into the variable's note. `since` as there. */
Err layer_note_value(Graph *graph, Layer *layer, int i, Node *value,
                     const char *since) WARN_UNUSED;
/* At build: variable `i` gets `shape` and the values of `init`, drawn from the stream
 * ("init", "net<k>/<layer>.<variable>"). */
Err layer_give(Graph *graph, Layer *layer, int i, Init *init, const Shape *shape,
               double fan_in, double fan_out, Fault *fault) WARN_UNUSED;
/* The same of one number everywhere. */
Err layer_give_constant(Graph *graph, Layer *layer, int i, double value,
                        const Shape *shape, Fault *fault) WARN_UNUSED;
/* At build, of an input: "<layer>: expects <expects>, got 32x784". */
Err layer_refuse_input(const Layer *layer, const char *expects, const Shape *got,
                       Fault *fault);
/* The same in graph->fault; returns NULL. */
Node *layer_refuse(Graph *graph, Layer *layer, const char *expects, const Shape *got);
/* Its value as a node, to which gradients flow, as its reader has it; NULL where there
 * is none. */
Node *layer_read(Graph *graph, const Layer *layer, int i);
/* Are there `least` to `most` tensors? Else a fault in graph->fault. */
bool layer_takes(Graph *graph, Layer *layer, const Ports *in, int least, int most);
/* y, ... = function(x, ...): tensors without masks. */
Ports layer_function(Graph *graph, Layer *layer, Callable *function, const Ports *in);
/* "net1/dropout_1": the name of a layer's streams, in the outermost net around the one
 * that is called when it first asks. Writes to and returns `buffer`; NULL after a
 * fault, which is then in graph->fault. */
enum { STREAM_NAME = 160 };
char *layer_stream(Graph *graph, Layer *layer, char *buffer);
/* A dropout's factors, drawn from the layer's stream for `purpose`: 0 at that rate,
 * else 1 / (1 - rate). NULL: nothing is dropped, for the rate is 0 or neither training
 * nor graph->dropout asks for it; or after a fault, which is then in graph->fault. */
Node *layer_drop(Graph *graph, Layer *layer, const char *purpose, double rate,
                 const Shape *shape);
/* One child in its place: builds it if need be, labels the nodes, forwards. */
Ports layer_forward(Graph *graph, Layer *layer, const Ports *in);

/* -- nets -------------------------------------------------------------------------- */

/* y, ... = net(x, ...): inference unless graph->training. Builds what is not built yet.
 * The results are marked as outputs of a net. Steps that a mask leaves out are read as
 * 0. */
Ports layer_call_ports(Graph *graph, Layer *net, const Ports *in);
/* y = net(x, ...), with its mask: a net that gives more than one is a fault. */
Port layer_call_one(Graph *graph, Layer *net, const Ports *in);
/* The same of one x without a mask. */
Node *layer_call(Graph *graph, Layer *net, Node *x);

/* Builds for n inputs of such shapes, each of one example without the batch axis. */
Err layer_build(Graph *graph, Layer *net, const IntList *shape, int n,
                Fault *fault) WARN_UNUSED;
/* All variables have values. */
bool layer_built(Layer *net);

/* The number of the outermost net around `layer` in the run, of which its streams are
 * named; 0: not given yet, or before the seed was set. Set to put back what it was. */
int64_t layer_number(const Graph *graph, Layer *layer);
void layer_set_number(const Graph *graph, Layer *layer, int64_t number);
/* Does it draw from streams that are named already? Then of the net stream_net, as
 * stream. Set to put back what they were. */
bool layer_has_stream(const Graph *graph, const Layer *layer);
Err layer_set_stream(const Graph *graph, Layer *layer, int64_t net, const char *name,
                     Fault *fault) WARN_UNUSED;

/* Builds now if the first layer was given its input_shape, or the net has seen one
 * input, in a step that was taken back; else does nothing. */
Err layer_prepare(Graph *graph, Layer *net, Fault *fault) WARN_UNUSED;

/* Appends to a Sequential (retained). */
Err layer_add(Layer *sequential, Layer *layer, Fault *fault) WARN_UNUSED;

/* Returns new. */
Layer *layer_activation_new(Activation *activation, Fault *fault);
/* A layer of the user: `forward` (retained) takes and gives tensors; `layers` and
 * `variables` are what it trains, in order; names are copied. */
Layer *layer_custom_new(Callable *forward, Layer *const *layers, int n_layers,
                        Variable *const *variables, const char *const *names,
                        int n_variables, Fault *fault);

/* Names all layers of the net and their variables; a fault, and no name changed, when
 * two share one. Every function below does it first. */
Err layer_name(Layer *net, Fault *fault) WARN_UNUSED;

/* The layers directly inside, borrowed; returns how many. */
int layer_children(Layer *layer, Layer *const **out);
/* The layer and all inside it, containers before what they hold, each once. The list is
 * the caller's (free v), the layers are borrowed. */
typedef struct LayerList {
  int n;
  int64_t room;
  Layer **v;
} LayerList;
Err layer_list(Layer *net, LayerList *out, Fault *fault) WARN_UNUSED;

/* Variables in order, each once, under the names "<layer>.<variable>" that they have in
 * this net. The list with its names is the caller's (state_deinit), the variables are
 * borrowed. parameters: the trainable ones, frozen included; trained: the same without
 * names. */
typedef struct StateList {
  int n;
  Variable **v;
  char **name; /* NULL: as the variables are called by themselves */
} StateList;
Err layer_state(Layer *net, StateList *out, Fault *fault) WARN_UNUSED;
Err layer_parameters(Layer *net, StateList *out, Fault *fault) WARN_UNUSED;
Err layer_trained(Layer *net, StateList *out, Fault *fault) WARN_UNUSED;
void state_deinit(StateList *list);
/* The name of number i; NULL: it has none. */
const char *state_name(const StateList *list, int i);

/* Assigns the values by name; nothing is changed on a fault, which lists the names that
 * are missing or unknown, or both shapes where they differ. */
typedef struct NamedValue {
  const char *name;
  Node *value;
} NamedValue;
Err layer_load(Graph *graph, Layer *net, const NamedValue *values, int n,
               Fault *fault) WARN_UNUSED;

/* The state as .safetensors, with what the net was trained with; load as above. */
Err layer_save(Graph *graph, Layer *net, const char *path, Fault *fault) WARN_UNUSED;
Err layer_load_file(Graph *graph, Layer *net, const char *path,
                    Fault *fault) WARN_UNUSED;

/* Freezes (or thaws) the variables whose state name matches the pattern (`*` any text,
 * `?` one character), and those in layers whose name does, all that is in a container
 * and its activation included; a fault when there are none. Frozen variables are not
 * trained; a normalization with frozen running statistics uses them in training too. */
Err layer_freeze(Layer *net, const char *pattern, bool frozen,
                 Fault *fault) WARN_UNUSED;

/* What layers keep from call to call (recurrent state) is again what it was at
 * first. */
Err layer_reset_states(Graph *graph, Layer *net, Fault *fault) WARN_UNUSED;

/* Table of layer, output shape, parameters, trainable; totals; with a loss: which form
 * of the cross-entropy it takes (loss may be NULL); `init`: how each variable got its
 * initial value, and the deviation that this has. */
Err layer_summary(Graph *graph, Layer *net, const Loss *loss, bool init, Text *out,
                  Fault *fault) WARN_UNUSED;

/* A list of maps, one for each parameter whose initial value was drawn: variable, rule,
 * fan, gain, std (of the rule), drawn (the elements' own). NULL and a fault. */
Json *layer_init_record(Layer *net, Fault *fault);

/* Layer-sequential unit variance: see init_lsuv.c. Builds the net for the batch. */
typedef struct Lsuv {
  Object object;
  double tolerance; /* of the variance, around 1 */
  int64_t trials;   /* for each layer, at most */
} Lsuv;
Err layer_lsuv(Graph *graph, Layer *net, const Ports *in, const Lsuv *lsuv,
               Fault *fault) WARN_UNUSED;

/* A line per layer, nested as the containers are: what it was made with, but for
 * defaults, and what it took and gave of one example, once it was used. A leaf is one
 * line. */
void layer_add_lines(Text *out, Layer *net);

/* Outputs for all rows of the inputs, in batches, evaluated. predict_classes: labels
 * from 1 as fit and evaluate read them (trained.h): for each row that of its largest
 * output, for each yes-no output 1 (no) or 2 (yes); an output that is NaN is a fault.
 */
Node *layer_predict(Graph *graph, Layer *net, const Ports *in, int64_t batch);
Node *layer_predict_classes(Graph *graph, Layer *net, const Ports *in, int64_t batch);

/* The layer itself, or one inside, that would use statistics of the batch in training;
 * NULL: there is none. */
const Layer *layer_needs_batches(Layer *net);

#endif
