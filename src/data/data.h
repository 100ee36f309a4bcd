/* data.h: data sets, views of them, batches.
 *
 *   Source    where rows come from: an Object of family "dataset" (a record with
 *             options). Loaded on first use, then kept: x as it is in the file (images
 *             stay uint8), y as int32 labels that count from 1, or targets.
 *   Dataset   a view of one part of a source: a list of rows (splits, subsets,
 *             shuffles) and a chain of transforms, applied when a batch is assembled.
 *             Immutable.
 *   Batches   walks a Dataset in an order.
 *
 * Randomness comes from Streams that the caller names; row numbers inside this floor
 * count from 0, labels from 1. Every pointer returned is new unless it says borrowed.
 */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include "base/philox.h"
#include "base/record.h"
#include "data/transform.h"
#include "data/vocabulary.h"
#include "tensor/tensor.h"

/* -- sources ----------------------------------------------------------------------- */

/* What a row consists of: several tensors, where a net takes several. */
enum { MAX_INPUTS = 8 };

typedef struct Rows {
  Tensor *x;                    /* [n, ...features] */
  Tensor *more[MAX_INPUTS - 1]; /* further inputs [n, ...], as they are */
  int n_more;
  Tensor *y;              /* int32 labels, [n] or one at each place of x [n, t];
                             or targets [n, ...] of any type; NULL: none */
  Tensor *weight;         /* real, 0 or more: what each row counts, [n], or each step
                             of a row, [n, t]; NULL: all count alike */
  Tensor *mask;           /* real, of an x [n, t, ...]: 1 at the steps that count, 0 at
                             those that do not, [n, t]; NULL: all do */
  int64_t n_classes;      /* 0: y are not labels */
  Names class_names;      /* n_classes of them, or none */
  Names feature_names;    /* one for each feature, or none */
  Vocabulary *vocabulary; /* of x, whose numbers are tokens; NULL: they are not */
  bool missing;           /* x, which is real, holds NaN where there is no value */
  double scale;           /* unit of x: batches hold x * scale; 1: as it is */
} Rows;

enum { MAX_PARTS = 3 };

/* The sources that live of those that were put into it. All zero: none. */
typedef struct SourceList {
  struct Source *first;
} SourceList;

typedef struct Source {
  Object object;
  /* set by whoever makes it, before first use */
  MemoryCount *memory;  /* for its tensors; may be NULL */
  uint64_t run_seed;    /* of sources that draw, unless they name their own */
  bool read[MAX_PARTS]; /* asked for since whoever keeps the source cleared it */
  /* private */
  bool loaded[MAX_PARTS];
  Rows rows[MAX_PARTS];
  SourceList *list;              /* in which it is; NULL: in none */
  struct Source *before, *after; /* in that list */
} Source;

typedef struct SourceKind {
  Kind kind;
  const char *const *parts; /* "train", "test"; NULL-terminated; NULL: one, "" */
  bool draws;               /* the rows follow from the seed of the run */
  bool given;               /* they are in memory from the start */
  /* Adds what tells two of equal options apart; NULL: nothing does. */
  void (*add_key)(const Source *source, Text *out);
  /* Fills `out`; what it has set on failure is released by the caller. */
  Err (*load)(Source *source, int part, Rows *out, Fault *fault);
} SourceKind;

/* The constructors of module "data": its list in source.c names them all. */
extern const Family dataset_family;

/* Puts a new one into the list, which must outlive it. */
void source_enlist(SourceList *list, Source *source);

/* Do its rows follow from run_seed? Are they in memory from the start? */
bool source_draws(const Source *source);
bool source_given(const Source *source);
/* Adds what its text leaves out: vocabularies, and the seed of the run where it draws;
 * of rows that are in memory what their hash leaves out. Sources of equal texts and
 * keys have equal rows. */
void source_add_key(const Source *source, Text *out);
/* "train"; "" of a source that has one part only. */
const char *source_part(const Source *source, int part);
/* Of the rows of a part that is loaded: SHA-256 of shapes, types and values. */
void source_hash(const Source *source, int part, char out[SHA256_TEXT]);
/* Number of parts: 1 or more. */
int source_parts(const Source *source);
/* Loads the part unless that is done; the rows are borrowed. NULL and a fault else. */
const Rows *source_rows(Source *source, int part, Fault *fault);

/* Are all files of Fashion-MNIST where they are looked for? ERR_DATA that says what to
 * do. */
Err fashion_mnist_check(Fault *fault) WARN_UNUSED;

/* -- data sets --------------------------------------------------------------------- */

typedef struct Dataset Dataset;

/* All rows of a part of the source (retained); nothing is read. */
Dataset *dataset_open(Source *source, int part, Fault *fault);
Dataset *dataset_retain(Dataset *set);
void dataset_release(Dataset *set);    /* NULL is a no-op */
extern const RefType dataset_ref_type; /* of options that hold one */

/* "fashion_mnist.train", "spirals", "set": for messages and summaries; borrowed. */
const char *dataset_name(const Dataset *set);

Source *dataset_source(const Dataset *set); /* borrowed */
/* Tells views of the same part of a source apart: which rows, how transformed. Reads
 * nothing; the whole part as it is gives 0. */
uint64_t dataset_view_hash(const Dataset *set);

bool dataset_loaded(const Dataset *set);
/* These load the source if need be. */
Err dataset_load(Dataset *set, Fault *fault) WARN_UNUSED;
Err dataset_count(Dataset *set, int64_t *n, Fault *fault) WARN_UNUSED;
/* Of a loaded set (else a caller's bug). */
int64_t dataset_n(const Dataset *set);
bool dataset_has_y(const Dataset *set);
/* The targets of a row (from 0) of a set that has some, and of those after it that lie
 * behind it in memory: borrowed, [1 or more, ...]. */
Array dataset_targets(const Dataset *set, int64_t row);
/* The same of weights and mask; data NULL: the set has none. */
Array dataset_weights(const Dataset *set, int64_t row);
Array dataset_mask(const Dataset *set, int64_t row);
int dataset_inputs(const Dataset *set);         /* tensors that a row consists of */
Shape dataset_input(const Dataset *set, int i); /* of tensor i of a row, from 0 */
bool dataset_has_labels(const Dataset *set);
int64_t dataset_classes(const Dataset *set);                       /* 0: no labels */
const char *dataset_class_name(const Dataset *set, int64_t label); /* or NULL */
/* The label of the class of that name; 0: a fault that says the nearest. */
int64_t dataset_class_of(const Dataset *set, const char *name, Fault *fault);
const char *dataset_feature_name(const Dataset *set,
                                 int64_t feature);  /* from 1; or NULL */
Vocabulary *dataset_vocabulary(const Dataset *set); /* of x; borrowed, or NULL */
/* Do numbers mean the same in two loaded sets? ERR_DATA where a token has another one
 * in `like`, or a class of a name that both have. */
Err dataset_check_numbers(const Dataset *set, const Dataset *like,
                          Fault *fault) WARN_UNUSED;

/* -- missing values ------------------------------------------------------------------
 * Where rows lack values, a view fills them in with means of the features over the rows
 * that are trained on. Which those are is decided once, for a view and all made of it:
 * by dataset_complete, by dataset_split (the first part decides for both), by
 * transform_normalize and dataset_apply. Batches of a view for which nothing is decided
 * take the means of its own rows. */

/* Are values missing, and nothing decided? False of a set that is not loaded. */
bool dataset_lacks(const Dataset *set);
/* The set with the means of `like`, which may be the set itself: those decided for it,
 * else of its rows, in the units of the source. Returns new, NULL and a fault where a
 * feature has no value in any row, or features differ. Nothing missing, or decided by
 * the set itself: the set, retained. */
Dataset *dataset_complete(Dataset *set, Dataset *like, Fault *fault);

/* A set without rows where rows are needed: ERR_DATA, "data set is empty: <name>
 * (what)". train.fit and net:evaluate call it too. */
Err dataset_need_rows(Dataset *set, const char *what, Fault *fault) WARN_UNUSED;

/* The set cut in two: the first gets `n_first` rows, or the share `fraction` of them
 * when n_first is 0 (rounded; both parts get at least one row). Rows are drawn from
 * `stream` (shuffle false: the first ones are the first part) and keep their order
 * within a part. stratify: each class is shared out in proportion. Missing values of
 * both are filled in by the first part's means, unless that is decided. */
typedef struct SplitOptions {
  double fraction;
  int64_t n_first;
  bool shuffle, stratify;
  Stream stream;
} SplitOptions;
Err dataset_split(Dataset *set, const SplitOptions *options, Dataset **first,
                  Dataset **second, Fault *fault) WARN_UNUSED;

/* The same rows; batches for training have rows of like lengths, and as many steps as
 * they need: at most n different numbers of steps. ERR_VALUE where there is no mask. */
Dataset *dataset_buckets(Dataset *set, int64_t n, Fault *fault);
Dataset *dataset_shuffle(Dataset *set, Stream stream, Fault *fault);
/* The first n rows; n from 1 to the count. */
Dataset *dataset_take(Dataset *set, int64_t n, Fault *fault);
/* The rows of the view with these numbers (from 0), in that order. */
Dataset *dataset_subset(Dataset *set, const int64_t *rows, int64_t n, Fault *fault);

/* -- rows by class and in turn ----------------------------------------------------- */

/* Labels as shares of all classes, real [n, classes]: 1 for the class of the row.
 * Targets that are reals stay as they are. */
Dataset *dataset_one_hot(Dataset *set, Fault *fault);
/* n rows with their labels, each class in proportion, and the others without any. */
Err dataset_labels(Dataset *set, int64_t n, Stream stream, Dataset **labelled,
                   Dataset **rest, Fault *fault) WARN_UNUSED;
/* The rows of n classes (labels from 1), in the order of the set. renumber: the first
 * of these classes becomes label 1 of n, and so on. */
Dataset *dataset_only(Dataset *set, const int64_t *classes, int n, bool renumber,
                      Fault *fault);
/* Tokens of each row hidden and to be found again, as the masker says, whose numbers
 * of tokens follow from the set: y are the tokens, weight is 1 at the hidden
 * ones. ERR_VALUE where x are no tokens. */
struct Masker;
Dataset *dataset_mask_tokens(Dataset *set, const struct Masker *like, Fault *fault);
/* As many rows of each class as there are of the largest (oversample: rows come again),
 * or of the smallest. */
Dataset *dataset_balance(Dataset *set, bool oversample, Stream stream, Fault *fault);

/* k times the set cut in two: every row is in one of the k second sets. Means for
 * missing values as in dataset_split. */
typedef struct FoldOptions {
  int64_t k;
  bool shuffle, stratify;
  Stream stream;
} FoldOptions;
/* Into k places each, which hold NULL so far and are the caller's, also after a
 * failure. */
Err dataset_k_fold(Dataset *set, const FoldOptions *options, Dataset **train,
                   Dataset **validation, Fault *fault) WARN_UNUSED;

/* -- rows in memory ---------------------------------------------------------------- */

/* The rows of several sets, one behind the other, as their batches have them: copied,
 * and then independent of where they came from. ERR_VALUE where a transform draws: it
 * would draw no more. */
Dataset *dataset_gather(Dataset *const *sets, int n, Fault *fault);
/* ERR_VALUE where a transform draws. */
Err dataset_settled(Dataset *set, Fault *fault) WARN_UNUSED;

/* -- transforms -------------------------------------------------------------------- */

/* The set with the transform after those that it has; the features must fit. */
Dataset *dataset_apply(Dataset *set, Transform *transform, Fault *fault);
/* Are there any that may draw? */
bool dataset_augments(const Dataset *set);

/* Normalization, x -> (x - shift) * scale: one pair for all, per channel (first feature
 * axis), or per feature. It holds the means of the rows it was made of, for what others
 * lack. */
typedef enum Per { PER_ALL, PER_CHANNEL, PER_FEATURE } Per;

/* Mean 0 and standard deviation 1 on the rows of `set` (after its transforms, as they
 * are where nothing is trained); where the deviation is 0, only the mean is taken away.
 * Returns new. */
Transform *transform_normalize(Dataset *set, Per per, Fault *fault);
/* Of a normalization alone. */
int64_t transform_n(const Transform *transform); /* numbers held: 1, C or all */
double transform_shift(const Transform *transform, int64_t i);
double transform_scaling(const Transform *transform, int64_t i);
int64_t transform_n_means(const Transform *transform); /* for missing values; 0: none */
double transform_mean(const Transform *transform, int64_t i);
/* Shifts, then scales, transform_n of each, as a tensor of *out for rows of the shape
 * x: the caller's (free). NULL and a fault where the rows are of other features. */
double *transform_pairs(const Transform *t, const Shape *x, Shape *out, Fault *fault);
/* -- batches ----------------------------------------------------------------------- */

typedef enum ShuffleMode { SHUFFLE_EPOCH, SHUFFLE_ONCE, SHUFFLE_NONE } ShuffleMode;
extern const char *const shuffle_names[]; /* "epoch" "once" "none" NULL */

/* From where random transforms draw: row r of the source by draw (epoch, r) of the
 * key. */
typedef struct Augment {
  uint64_t key, epoch;
} Augment;

/* Rows given by number into memory of the right shape: x [n, ...features] real, y [n]
 * int32 or [n, ...] (data NULL: not wanted). Allocates nothing. The set is loaded.
 * augment NULL: not for training. */
void dataset_fill(const Dataset *set, const int64_t *rows, int64_t n, const Array *x,
                  const Array *y, const Augment *augment);

typedef struct BatchOptions {
  int64_t batch_size; /* at least 1 */
  ShuffleMode shuffle;
  bool drop_last; /* leave out a last batch that is not full */
  Stream order;   /* epoch e (from 0) is shuffled by draw order.draw + e;
                     SHUFFLE_ONCE: always by order.draw */
  bool training;  /* random transforms draw: epoch e from augment.key, by
                     epoch augment.draw + e */
  Stream augment;
} BatchOptions;

typedef struct Batches {
  /* read-only */
  Dataset *set; /* retained */
  BatchOptions options;
  int64_t n_rows, n_batches; /* rows of the set; batches per epoch */
  int64_t epoch;             /* from 0 */
  int64_t at;                /* batches given in this epoch */
  int64_t *order;            /* row numbers, of this epoch */
  struct Buckets *buckets;   /* of a set that has some, for training; else NULL */
  struct Batch *whole;       /* a batch before it is cut; with buckets alone */
} Batches;

/* Loads the set; an empty one, or one with less than a batch under drop_last, is an
 * error. Begins epoch 0. */
Err batches_open(Batches *out, Dataset *set, const BatchOptions *options,
                 Fault *fault) WARN_UNUSED;
void batches_close(Batches *batches);                /* of all zero: a no-op */
void batches_epoch(Batches *batches, int64_t epoch); /* from 0 */

/* Rows with all that belongs to them, from the data set to loss and metrics. All zero:
 * none. */
typedef struct Batch {
  int n_x;
  Tensor *x[MAX_INPUTS]; /* real */
  Tensor *y;             /* NULL: the set has no targets */
  Tensor *weight;        /* NULL: all rows count alike */
  Tensor *mask;          /* of x[0]; NULL: all steps count */
} Batch;

/* Number of rows. */
static inline int64_t batch_rows(const Batch *batch) {
  return batch->x[0]->a.shape.dim[0];
}

void batch_deinit(Batch *batch);

/* The next batch into `batch`, whose tensors are the caller's: those that no one else
 * refers to and whose shape fits are filled again, others are released and replaced.
 * `*more` is false at the end of the epoch (the tensors stay). */
Err batches_next(Batches *batches, Batch *batch, bool *more, Fault *fault) WARN_UNUSED;
/* All rows as one batch, in the set's order; where it has none, the fault names
 * `what`. Of a fault `out` is the caller's too. */
Err batch_of_all(Batch *out, Dataset *set, const char *what, Fault *fault) WARN_UNUSED;

/* As dataset_gather of one set, of which `all` is one batch of all rows, with another x
 * in place of its only one, and, unless that is NULL, other targets; whole numbers, one
 * a row, are labels. */
Dataset *dataset_remake(Dataset *set, const Batch *all, Tensor *x, Tensor *y,
                        Fault *fault);

#endif
