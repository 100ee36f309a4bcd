/* methods.c: the records of methods.h. */
#include "data/methods.h"
#include "data/sources.h"
#include <math.h>

#define AT(type, field) .offset = offsetof(type, field)

/* -- split ------------------------------------------------------------------------- */

static const Option split_options[] = {
    {.name = "part", .kind = OPT_REAL, AT(SplitCall, part), .position = 1, .lo = 0,
     .hi = 1e15, .open = true,
     .doc = "what the first set gets: a share below 1, or a number of rows (1 is one "
            "row, 1.0 is refused)"},
    {.name = "shuffle", .kind = OPT_BOOL, AT(SplitCall, shuffle), .value = "true",
     .doc = "draw the rows (stream \"split\"); else the first rows make the first set"},
    {.name = "stratify", .kind = OPT_BOOL, AT(SplitCall, stratify), .value = "false",
     .doc = "share out each class in proportion"},
    SEED_OPTION(SplitCall),
    {0}};

static Err split_check(Object *object, Fault *fault) {
  double part = ((SplitCall *)object)->part;
  if (part < 1 || part == floor(part)) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "set.split: option \"part\": got %g, allowed: a fraction below 1, "
                   "or a whole number of rows",
                   part);
}

const Kind split_method = {
    .name = "split", .family = &dataset_methods, .size = sizeof(SplitCall),
    .options = split_options, .check = split_check,
    .call = "set:split(0.5)",
    .doc = "two sets that share the rows out, each in the order of this one; the same "
           "call gives the same split. The first is the one to train on: its means "
           "fill in what is missing in both (data.csv, missing = \"mean\")"};

/* -- shuffle, take ----------------------------------------------------------------- */

static const Option shuffle_options[] = {
    SEED_OPTION(ShuffleCall),
    {0}};

const Kind shuffle_method = {
    .name = "shuffle", .family = &dataset_methods, .size = sizeof(ShuffleCall),
    .options = shuffle_options,
    .call = "set:shuffle()",
    .doc = "the same rows in a random order (stream \"order\"), another one at each "
           "call"};

static const Option take_options[] = {
    {.name = "n", .kind = OPT_INT, AT(TakeCall, n), .position = 1, .lo = 1, .hi = 1e15,
     .doc = "number of rows"},
    {0}};

const Kind take_method = {
    .name = "take", .family = &dataset_methods, .size = sizeof(TakeCall),
    .options = take_options, .call = "set:take(5)", .doc = "the first n rows"};

static const Option buckets_options[] = {
    {.name = "n", .kind = OPT_INT, AT(BucketsCall, n), .position = 1, .value = "8",
     .lo = 1, .hi = 1000,
     .doc = "number of buckets at most, of about equally many rows: so many shapes of "
            "batches there are, each with a plan"},
    {0}};

const Kind buckets_method = {
    .name = "buckets", .family = &dataset_methods, .size = sizeof(BucketsCall),
    .options = buckets_options,
    .example = "local set = data.parity { n = 40, length = 12, shortest = 2 }\n"
               "for x in set:buckets(3):batches(10) do print(x.shape[2]) end",
    .doc = "rows in buckets by their lengths: a batch that is trained on has rows of "
           "one bucket, or of neighbouring ones, and is cut to the steps that they "
           "need; batches come in a random order. Nets whose layers take any number of "
           "steps learn from the same steps in less time. Evaluations get all steps. "
           "Targets and weights [n, t, ...] are cut, too"};

/* -- by classes -------------------------------------------------------------------- */

static const Option only_options[] = {
    {.name = "classes", .kind = OPT_TEXTS, AT(OnlyCall, classes), .position = 1,
     .doc = "labels or names of classes: { 1, \"Pullover\" }"},
    {.name = "renumber", .kind = OPT_BOOL, AT(OnlyCall, renumber), .value = "true",
     .doc = "number the classes 1, 2, ... in this order; else labels stay, and with "
            "them the number of classes"},
    {0}};

const Kind only_method = {
    .name = "only", .family = &dataset_methods, .size = sizeof(OnlyCall),
    .options = only_options, .call = "set:only { 1, 3 }",
    .doc = "the rows of some classes, in their order"};

static const Option labels_options[] = {
    {.name = "n", .kind = OPT_INT, AT(LabelsCall, n), .position = 1, .lo = 1,
     .hi = 1e15, .doc = "number of rows that keep their labels"},
    SEED_OPTION(LabelsCall),
    {0}};

const Kind labels_method = {
    .name = "labels", .family = &dataset_methods, .size = sizeof(LabelsCall),
    .options = labels_options,
    .call = "set:labels(2)",
    .doc = "two sets: n rows with labels, each class in proportion, and all others "
           "without targets, as for pretraining (stream \"split\"); the same call "
           "gives the same rows"};

static const char *const balance_names[] = {
    [BALANCE_REPEAT] = "repeat", [BALANCE_DROP] = "drop", NULL};

static const Option balance_options[] = {
    {.name = "by", .kind = OPT_CHOICE, AT(BalanceCall, by), .position = 1,
     .value = "repeat",
     .choices = balance_names,
     .doc = "repeat: rows of the smaller classes occur several times, up to the "
            "largest class; drop: rows of the larger classes are left out, down to the "
            "smallest. Split the set before: a row that occurs twice may else be in "
            "both parts"},
    SEED_OPTION(BalanceCall),
    {0}};

const Kind balance_method = {
    .name = "balance", .family = &dataset_methods, .size = sizeof(BalanceCall),
    .options = balance_options,
    .call = "set:balance()",
    .doc = "as many rows of each class as of any other; which ones are there once "
           "more, or are kept, is drawn (stream \"split\"). A row that is there twice "
           "is augmented alike in an epoch"};

static const Option mask_tokens_options[] = {
    {.name = "share", .kind = OPT_REAL, AT(MaskTokensCall, share), .position = 1,
     .value = "0.15", .lo = 0, .hi = 1, .alias = "mlm_probability",
     .doc = "probability of a token to be chosen; of each row one is, at least"},
    {.name = "hidden", .kind = OPT_REAL, AT(MaskTokensCall, hidden), .value = "0.8",
     .lo = 0, .hi = 1, .doc = "share of the chosen that become <mask>"},
    {.name = "other", .kind = OPT_REAL, AT(MaskTokensCall, other), .value = "0.1",
     .lo = 0, .hi = 1,
     .doc = "share of the chosen that become any token; the others stay"},
    SEED_OPTION(MaskTokensCall),
    {0}};

static Err mask_tokens_check(Object *object, Fault *fault) {
  const MaskTokensCall *call = (const MaskTokensCall *)object;
  if (call->hidden + call->other <= 1) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "set.mask_tokens: options \"hidden\" and \"other\": got %g and %g, "
                   "allowed: shares that sum to 1 at most",
                   call->hidden, call->other);
}

const Kind mask_tokens_method = {
    .name = "mask_tokens", .family = &dataset_methods, .size = sizeof(MaskTokensCall),
    .options = mask_tokens_options, .check = mask_tokens_check,
    .example = "local set = data.set(tensor.randint(1, 9, 4, 6)):mask_tokens()\n"
               "for x, y, weight in set:batches(4) do print(x, weight) end",
    .doc = "masked language modelling: y are the tokens of x, [n, t], of which "
           "some are hidden, drawn for each row and epoch anew (stream \"augment\"); "
           "where nothing is trained the same ones each time. Only these count: they "
           "have weight 1. <mask> is a token more, the last class, unless the "
           "vocabulary, as that of another such set, has it",
    .source = "Devlin, Chang, Lee, Toutanova, \"BERT\", NAACL 2019, section 3.1"};

static const Option k_fold_options[] = {
    {.name = "k", .kind = OPT_INT, AT(FoldCall, k), .position = 1, .value = "5",
     .lo = 2, .hi = 1e6, .doc = "number of folds"},
    {.name = "shuffle", .kind = OPT_BOOL, AT(FoldCall, shuffle), .value = "true",
     .doc = "draw the rows (stream \"split\"); else a fold is a run of rows"},
    {.name = "stratify", .kind = OPT_BOOL, AT(FoldCall, stratify), .value = "false",
     .doc = "share out each class in proportion"},
    SEED_OPTION(FoldCall),
    {0}};

const Kind k_fold_method = {
    .name = "k_fold", .family = &dataset_methods, .size = sizeof(FoldCall),
    .options = k_fold_options,
    .call = "set:k_fold(3)",
    .doc = "k pairs of sets: for i, fold in ipairs(set:k_fold(5)) do ... fold.train, "
           "fold.validation end. Each row is validated on once; missing values of both "
           "are filled in by the means of fold.train"};

/* -- normalize --------------------------------------------------------------------- */

static const char *const per_names[] = {
    [PER_ALL] = "all", [PER_CHANNEL] = "channel", [PER_FEATURE] = "feature", NULL};

static const Option normalize_options[] = {
    {.name = "per", .kind = OPT_CHOICE, AT(NormalizeCall, per), .value = "feature",
     .choices = per_names,
     .doc = "one mean and deviation for each feature, for each channel (the first "
            "axis of a row), or for all"},
    {0}};

const Kind normalize_method = {
    .name = "normalize", .family = &dataset_methods, .size = sizeof(NormalizeCall),
    .options = normalize_options,
    .call = "set:normalize()",
    .doc = "the set with mean 0 and standard deviation 1, and the transform that did "
           "it: other:normalize(transform) applies it to another set. A constant "
           "feature is only centred",
    .equation = "x' = (x - mean) / sqrt(mean((x - mean)^2))"};

/* -- transform --------------------------------------------------------------------- */

static const Option transform_options[] = {
    {.name = "transforms", .kind = OPT_OBJECTS, AT(TransformCall, transforms),
     .position = 1,
     .family = &transform_family, .doc = "one transform, or several, in their order"},
    {0}};

const Kind transform_method = {
    .name = "transform", .family = &dataset_methods, .size = sizeof(TransformCall),
    .options = transform_options,
    .call = "set:transform { data.random_noise(0.1) }",
    .doc = "the set whose rows go through these transforms, after those that it has. "
           "Random ones draw in train.fit's training and in set:batches, for each row "
           "and epoch anew (stream \"augment\"), whatever the batch size; "
           "net:evaluate, validation (also where it is split off this set), test and "
           "set:tensors get rows as they are where nothing is trained"};

/* -- batches ----------------------------------------------------------------------- */

static const Option batches_options[] = {
    {.name = "batch_size", .kind = OPT_INT, AT(BatchesCall, batch_size), .position = 1,
     .value = "32", .lo = 1, .hi = 1e9, .doc = "rows per batch"},
    {.name = "shuffle", .kind = OPT_CHOICE, AT(BatchesCall, shuffle), .value = "epoch",
     .choices = shuffle_names, .yes = "epoch", .no = "none",
     .doc = "a new order at each call, the same one each time, or the set's own"},
    {.name = "drop_last", .kind = OPT_BOOL, AT(BatchesCall, drop_last),
     .value = "false",
     .doc = "leave out a last batch that is not full"},
    SEED_OPTION(BatchesCall),
    {.name = "training", .kind = OPT_BOOL, AT(BatchesCall, training), .value = "true",
     .doc = "random transforms of the set are drawn; else rows are as in an "
            "evaluation"},
    {.name = "name", .kind = OPT_TEXT, AT(BatchesCall, name), .value = "none",
     .doc = "name of the random streams of the order and of the transforms; none: the "
            "name of the data set"},
    {0}};

const Kind batches_method = {
    .name = "batches", .family = &dataset_methods, .size = sizeof(BatchesCall),
    .options = batches_options,
    .example = "local set = data.spirals { n = 12, classes = 3 }\n"
               "for x, y in set:batches(4) do print(x, y) end",
    .doc = "iterator over one epoch: for x, y in set:batches(32) do ... end"};

static const Kind *const method_kinds[] = {
    &split_method,   &shuffle_method, &take_method,      &only_method,
    &labels_method,  &balance_method, &k_fold_method,    &normalize_method,
    &transform_method, &batches_method, &mask_tokens_method, &buckets_method, NULL};

const Family dataset_methods = {
    .name = "data set method", .module = "set", .kinds = method_kinds,
    .example = "local set = data.spirals { n = 12, classes = 3 }\nprint(%s)"};
