/* sequences.c: drawn tasks over sequences, by which memory over many steps is measured.
 *
 * Row i takes draw i of the stream "data" of its kind, so it does not depend on how
 * many there are. Symbols are numbers from 1, or one feature each. Where lengths
 * differ, what fills a row up is 0, behind it, and the set has a mask. */
#include "data/draws.h"
#include "data/sources.h"
#include "data/token_rows.h"
#include <stdlib.h>
#include <string.h>

typedef enum Encoding { ENCODE_CODE, ENCODE_ONE_HOT } Encoding;

typedef struct Sequences {
  Source source;
  int64_t n, length, shortest, delay, n_symbols, seed;
  int encoding; /* an Encoding */
  bool each, decoder;
} Sequences;

/* A row as it is made: numbers for t steps, all 0 before. */
typedef struct Draft {
  int64_t t;
  double *x;      /* [steps, features], or symbols [steps] */
  double *y;      /* [steps], or one number */
  double *weight; /* [steps] */
} Draft;

/* What the rows of a kind are. */
typedef struct Task {
  int64_t n_steps;
  int64_t n_symbols; /* that x is of; 0: x are two real numbers a step */
  int64_t n_classes; /* 0: y is a real number */
  bool each;         /* y at each step */
  bool weighted;     /* a weight for each step */
  int64_t n_decoder; /* first steps of a second input, which begins behind the first
                        one; 0: none */
  void (*make)(const Sequences *s, Words *words, Draft *row);
} Task;

enum { REALS = 2 };

/* -- rows -------------------------------------------------------------------------- */

static bool is_one_hot(const Sequences *s, const Task *task) {
  return task->n_symbols > 0 && s->encoding == ENCODE_ONE_HOT;
}

/* Of one input of so many steps. */
static Tensor *new_input(const Sequences *s, const Task *task, int64_t n_steps,
                         Fault *fault) {
  int64_t symbols = task->n_symbols, n_step = symbols ? symbols : REALS;
  bool one_hot = is_one_hot(s, task), flat = symbols > 0 && !one_hot;
  Shape shape = flat ? SHAPE_OF(s->n, n_steps) : SHAPE_OF(s->n, n_steps, n_step);
  DType dtype = symbols ? tokens_dtype(one_hot ? 1 : symbols) : DT_REAL;
  int64_t step_bytes = (flat ? 1 : n_step) * (int64_t)dtype_bytes(dtype);
  if (memory_holds_all(s->n * n_steps, step_bytes, fault)) return NULL;
  return source_zeros(s->source.memory, dtype, &shape, fault);
}

static Err new_rows(const Sequences *s, const Task *task, Rows *out, Fault *fault) {
  MemoryCount *memory = s->source.memory;
  Shape steps = SHAPE_OF(s->n, task->n_steps - task->n_decoder);
  Shape y = task->each ? steps : task->n_classes ? SHAPE_OF(s->n) : SHAPE_OF(s->n, 1);
  out->n_classes = task->n_classes;
  out->x = new_input(s, task, steps.dim[1], fault);
  if (out->x && task->n_decoder) {
    out->more[0] = new_input(s, task, task->n_decoder, fault);
    out->n_more = out->more[0] != NULL;
    if (!out->n_more) return fault->code;
  }
  if (out->x)
    out->y = tensor_new(memory, task->n_classes ? DT_INT32 : DT_REAL, &y, fault);
  if (!out->y) return fault->code;
  if (s->shortest) out->mask = tensor_new(memory, DT_REAL, &steps, fault);
  if (task->weighted) out->weight = tensor_new(memory, DT_REAL, &steps, fault);
  bool lacking = (s->shortest && !out->mask) || (task->weighted && !out->weight);
  return lacking ? fault->code : ERR_OK;
}

/* n steps of x, from `from` on, into row i of an input. */
static void put_input(const Sequences *s, const Task *task, const double *from,
                      Tensor *x, int64_t i) {
  int64_t n_steps = x->a.shape.dim[1], n_step = task->n_symbols ? 1 : REALS;
  bool one_hot = is_one_hot(s, task);
  for (int64_t k = 0; k < n_steps * n_step; k++) {
    int64_t at = i * n_steps * n_step + k;
    if (!one_hot) array_set(&x->a, at, from[k]);
    else if (from[k] > 0)
      array_set(&x->a, at * task->n_symbols + (int64_t)from[k] - 1, 1);
  }
}

static void put_row(const Sequences *s, const Task *task, const Draft *row, Rows *out,
                    int64_t i) {
  int64_t n_steps = out->x->a.shape.dim[1], n_y = task->each ? n_steps : 1;
  put_input(s, task, row->x, out->x, i);
  if (out->n_more) put_input(s, task, row->x + n_steps, out->more[0], i);
  for (int64_t k = 0; k < n_y; k++) array_set(&out->y->a, i * n_y + k, row->y[k]);
  for (int64_t k = 0; k < n_steps && out->mask; k++)
    tensor_reals(out->mask)[i * n_steps + k] = k < row->t;
  for (int64_t k = 0; k < n_steps && out->weight; k++)
    tensor_reals(out->weight)[i * n_steps + k] = (real)row->weight[k];
}

static Err load(Source *source, const Task *task, Rows *out, Fault *fault) {
  const Sequences *s = (const Sequences *)source;
  int64_t n_x = task->n_steps * REALS;
  size_t n_bytes = (size_t)(n_x + 2 * task->n_steps) * sizeof(double);
  double *all = malloc(n_bytes);
  Err err = all ? new_rows(s, task, out, fault) : fault_memory(fault, n_bytes);
  for (int64_t i = 0; i < s->n && !err; i++) {
    Words words = {source_stream(source, s->seed, source->object.kind->name,
                                 (uint64_t)i), 0};
    Draft row = {task->n_steps, all, all + n_x, all + n_x + task->n_steps};
    if (s->shortest)
      row.t = s->shortest + words_below(&words, task->n_steps - s->shortest + 1);
    memset(all, 0, n_bytes);
    task->make(s, &words, &row);
    put_row(s, task, &row, out, i);
  }
  free(all);
  return err;
}

/* -- options ----------------------------------------------------------------------- */

static const char *const encoding_names[] = {
    [ENCODE_CODE] = "code", [ENCODE_ONE_HOT] = "onehot", NULL};

#define AT(field) .offset = offsetof(Sequences, field)
#define COUNT COUNT_OPTION(Sequences, "number of rows" SAME_ROWS)
#define LENGTH(default_, least_, doc_)                                                 \
  {.name = "length", .kind = OPT_INT, AT(length), .value = default_, .lo = least_,     \
   .hi = 1e6, .doc = doc_}
#define SHORTEST                                                                       \
  {.name = "shortest", .kind = OPT_INT, AT(shortest), .value = "0", .lo = 0,           \
   .hi = 1e6,                                                                          \
   .doc = "steps of the shortest row: lengths are drawn, from it to `length`; what "   \
          "follows is 0 and the set has a mask. 0: all are of one length"}
#define ENCODING                                                                       \
  {.name = "encoding", .kind = OPT_CHOICE, AT(encoding), .value = "code",              \
   .choices = encoding_names,                                                          \
   .doc = "code: a step is the number of its symbol, from 1, as nn.Embedding takes "   \
          "it; onehot: a feature for each symbol, 1 for the one that it is"}
#define SYMBOLS(default_, doc_)                                                        \
  {.name = "symbols", .kind = OPT_INT, AT(n_symbols), .value = default_, .lo = 1,      \
   .hi = 1e5, .doc = doc_}
#define SEED SEED_OPTION(Sequences)

/* `least_length`: as that of the option `length`. */
static Err check_shortest(const Object *object, int64_t least_length, Fault *fault) {
  const Sequences *s = (const Sequences *)object;
  if (!s->shortest || (s->shortest >= least_length && s->shortest <= s->length))
    return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "data.%s: option \"shortest\": got %lld, allowed: %lld to "
                   "\"length\", "
                   "%lld, or 0",
                   object->kind->name, (long long)s->shortest, (long long)least_length,
                   (long long)s->length);
}

/* -- the adding problem ------------------------------------------------------------ */

enum { ADDING_LEAST = 2 };

static void make_adding(const Sequences *s, Words *words, Draft *row) {
  int64_t half = row->t / 2, first = words_below(words, half);
  int64_t second = half + words_below(words, row->t - half);
  (void)s;
  for (int64_t k = 0; k < row->t; k++) row->x[2 * k] = words_uniform(words, 0, 1);
  row->x[2 * first + 1] = row->x[2 * second + 1] = 1;
  row->y[0] = row->x[2 * first] + row->x[2 * second];
}

static Err adding_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const Sequences *s = (const Sequences *)source;
  return load(source, &(Task){.n_steps = s->length, .make = make_adding}, out, fault);
}

static Err adding_check(Object *object, Fault *fault) {
  return check_shortest(object, ADDING_LEAST, fault);
}

static const Option adding_options[] = {
    COUNT, LENGTH("100", ADDING_LEAST, "steps of a row"), SHORTEST, SEED, {0}};

const SourceKind dataset_adding_problem = {
    .kind = {.name = "adding_problem", .family = &dataset_family,
             .size = sizeof(Sequences),
             .options = adding_options, .check = adding_check, .deinit = source_deinit,
             .example = "print(data.adding_problem { n = 2, length = 6 }:tensors())",
             .doc = "The adding problem: of two features of each step, [length, 2], "
                    "the first is uniform in [0, 1), the second marks two steps by 1, "
                    "one in each half. y [n, 1] is the sum of the two numbers marked. "
                    "Answering 1 always has a mean squared error of 1/6.",
             .source = "Hochreiter, Schmidhuber, \"Long short-term memory\", Neural "
                       "Computation 1997, section 5.4; marks as in Arjovsky, Shah, "
                       "Bengio, \"Unitary evolution recurrent neural networks\", ICML "
                       "2016"},
    .draws = true,
    .load = adding_load};

/* -- copying memory ---------------------------------------------------------------- */

/* Symbols, then blanks, of which the one at which to begin is the delimiter. */
static void make_copying(const Sequences *s, Words *words, Draft *row) {
  int64_t blank = s->n_symbols + 1, answer = s->length + s->delay;
  for (int64_t k = 0; k < row->t; k++) row->x[k] = row->y[k] = (double)blank;
  for (int64_t k = 0; k < s->length; k++) {
    row->x[k] = (double)words_below(words, s->n_symbols) + 1;
    row->y[answer + k] = row->x[k];
  }
  row->x[answer - 1] = (double)blank + 1;
}

static Err copying_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const Sequences *s = (const Sequences *)source;
  Task task = {.n_steps = s->delay + 2 * s->length, .n_symbols = s->n_symbols + 2,
               .n_classes = s->n_symbols + 1, .each = true, .make = make_copying};
  return load(source, &task, out, fault);
}

static const Option copying_options[] = {
    COUNT,
    {.name = "delay", .kind = OPT_INT, AT(delay), .value = "100", .lo = 1, .hi = 1e6,
     .doc = "steps from the last symbol to the first answer"},
    LENGTH("10", 1, "number of symbols to be remembered"),
    SYMBOLS("8", "different symbols; the next number is the blank, then the delimiter"),
    ENCODING,
    SEED,
    {0}};

const SourceKind dataset_copying_memory = {
    .kind = {.name = "copying_memory", .family = &dataset_family,
             .size = sizeof(Sequences),
             .options = copying_options, .deinit = source_deinit,
             .example = "local set = data.copying_memory { n = 2, length = 2, delay = "
                        "3 }\n"
                        "print(set:tensors())",
             .doc = "Copying memory: `length` symbols, then blanks for `delay` steps, "
                    "the last of which is a delimiter, then as many blanks as there "
                    "were symbols. y, one label a step, is the blank until then, and "
                    "the symbols in their order behind the delimiter.",
             .equation = "without memory: cross-entropy = length ln(symbols) / (delay "
                         "+ 2 length)",
             .source = "Hochreiter, Schmidhuber 1997; as in Arjovsky, Shah, Bengio, "
                       "\"Unitary evolution recurrent neural networks\", ICML 2016, "
                       "section 5.1"},
    .draws = true,
    .load = copying_load};

/* -- temporal order ---------------------------------------------------------------- */

enum { ORDER_LEAST = 10, ORDER_SYMBOLS = 6, ORDER_CLASSES = 4 };

/* One of the two in [t/10, 2t/10), the other in [4t/10, 5t/10). */
static void make_order(const Sequences *s, Words *words, Draft *row) {
  int64_t t = row->t, which[2];
  (void)s;
  for (int64_t k = 0; k < t; k++) row->x[k] = 3 + (double)words_below(words, 4);
  for (int i = 0; i < 2; i++) {
    int64_t begin = (i ? 4 : 1) * t / 10, end = (i ? 5 : 2) * t / 10;
    int64_t at = begin + words_below(words, end - begin);
    which[i] = words_below(words, 2);
    row->x[at] = 1 + (double)which[i];
  }
  row->y[0] = 1 + 2 * (double)which[0] + (double)which[1];
}

static Err order_load(Source *source, int part, Rows *out, Fault *fault) {
  static const char *const names[] = {"AA", "AB", "BA", "BB"};
  (void)part;
  Task task = {.n_steps = ((const Sequences *)source)->length,
               .n_symbols = ORDER_SYMBOLS, .n_classes = ORDER_CLASSES,
               .make = make_order};
  Err err = load(source, &task, out, fault);
  for (int k = 0; k < ORDER_CLASSES && !err; k++)
    err = names_add(&out->class_names, names[k], 2, fault);
  return err;
}

static Err order_check(Object *object, Fault *fault) {
  return check_shortest(object, ORDER_LEAST, fault);
}

static const Option order_options[] = {
    COUNT, LENGTH("100", ORDER_LEAST, "steps of a row"), SHORTEST, ENCODING, SEED, {0}};

const SourceKind dataset_temporal_order = {
    .kind = {.name = "temporal_order", .family = &dataset_family,
             .size = sizeof(Sequences),
             .options = order_options, .check = order_check, .deinit = source_deinit,
             .example = "print(data.temporal_order { n = 2, length = 10 }:tensors())",
             .doc = "Temporal order: among symbols c d e f (3 to 6) there are two that "
                    "are A or B (1, 2), one in the second tenth of the row, one in the "
                    "fifth tenth. The class is which they were: AA, AB, BA, BB.",
             .source = "Hochreiter, Schmidhuber 1997, section 5.6; as in Pascanu, "
                       "Mikolov, Bengio, \"On the difficulty of training recurrent "
                       "neural networks\", ICML 2013"},
    .draws = true,
    .load = order_load};

/* -- parity ------------------------------------------------------------------------ */

enum { PARITY_CLASSES = 2 };

static void make_parity(const Sequences *s, Words *words, Draft *row) {
  int64_t ones = 0;
  for (int64_t k = 0; k < row->t; k++) {
    int64_t bit = words_below(words, 2);
    ones += bit;
    row->x[k] = 1 + (double)bit;
    row->y[s->each ? k : 0] = 1 + (double)(ones % 2);
  }
}

static Err parity_load(Source *source, int part, Rows *out, Fault *fault) {
  static const char *const names[] = {"even", "odd"};
  const Sequences *s = (const Sequences *)source;
  (void)part;
  Task task = {.n_steps = s->length, .n_symbols = PARITY_CLASSES,
               .n_classes = PARITY_CLASSES, .each = s->each, .make = make_parity};
  Err err = load(source, &task, out, fault);
  for (int k = 0; k < PARITY_CLASSES && !err; k++)
    err = names_add(&out->class_names, names[k], strlen(names[k]), fault);
  return err;
}

static Err parity_check(Object *object, Fault *fault) {
  return check_shortest(object, 1, fault);
}

static const Option parity_options[] = {
    COUNT, LENGTH("20", 1, "bits of a row"), SHORTEST,
    {.name = "each", .kind = OPT_BOOL, AT(each), .value = "false",
     .doc = "a label at each step, [n, length]: the parity of the bits so far; else "
            "one label, that of all"},
    ENCODING, SEED, {0}};

const SourceKind dataset_parity = {
    .kind = {.name = "parity", .family = &dataset_family, .size = sizeof(Sequences),
             .options = parity_options, .check = parity_check, .deinit = source_deinit,
             .example = "print(data.parity { n = 2, length = 8 }:tensors())",
             .doc = "Parity: bits, of which 1 is 0 and 2 is 1 (onehot: [length, 2]); "
                    "the class is even or odd, by the number of ones. Every bit "
                    "counts: without any one of them the answer is a guess.",
             .source = "Minsky, Papert, \"Perceptrons\", 1969; as sequences: "
                       "Hochreiter, Schmidhuber 1997"},
    .draws = true,
    .load = parity_load};

/* -- symbols to copy --------------------------------------------------------------- */

/* Symbols, the delimiter, the symbols but the last: y is the next one. Both inputs of a
 * decoder are the same numbers, cut in front of the delimiter. */
static void make_copy(const Sequences *s, Words *words, Draft *row) {
  int64_t n = s->length;
  for (int64_t k = 0; k < n; k++) {
    row->x[k] = (double)words_below(words, s->n_symbols) + 1;
    if (k < n - 1) row->x[n + 1 + k] = row->x[k];
  }
  row->x[n] = (double)s->n_symbols + 1;
  if (s->decoder) {
    memcpy(row->y, row->x, (size_t)n * sizeof *row->y);
    return;
  }
  memcpy(row->y, row->x + 1, (size_t)(2 * n - 1) * sizeof *row->y);
  row->y[2 * n - 1] = row->x[n - 1];
  for (int64_t k = n; k < 2 * n; k++) row->weight[k] = 1;
}

static Err copy_load(Source *source, int part, Rows *out, Fault *fault) {
  const Sequences *s = (const Sequences *)source;
  (void)part;
  Task task = {.n_steps = 2 * s->length, .n_symbols = s->n_symbols + 1,
               .n_classes = s->n_symbols + 1, .each = true, .weighted = !s->decoder,
               .n_decoder = s->decoder ? s->length : 0, .make = make_copy};
  return load(source, &task, out, fault);
}

static const Option copy_options[] = {
    COUNT, LENGTH("10", 1, "number of symbols to be copied"),
    SYMBOLS("10", "different symbols; the next number is the delimiter"),
    {.name = "decoder", .kind = OPT_BOOL, AT(decoder), .value = "false",
     .doc = "x are two, for an encoder and a decoder: the symbols; and the delimiter "
            "with all symbols but the last. y are the symbols"},
    ENCODING, SEED, {0}};

const SourceKind dataset_copy_symbols = {
    .kind = {.name = "copy_symbols", .family = &dataset_family,
             .size = sizeof(Sequences),
             .options = copy_options, .deinit = source_deinit,
             .example = "print(data.copy_symbols { n = 2, length = 3 }:tensors())",
             .doc = "Symbols to be copied: `length` of them, a delimiter, and the same "
                    "symbols again but for the last, [2 length]. y, one label a step, "
                    "is the next symbol; steps before the delimiter, where it cannot "
                    "be known, weigh 0. As a task for Transformers.",
             .source = "Graves, Wayne, Danihelka, \"Neural Turing machines\", "
                       "arXiv:1410.5401, section 4.1"},
    .draws = true,
    .load = copy_load};
