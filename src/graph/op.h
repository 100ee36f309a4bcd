/* op.h: the record of a primitive op. One record beside its code (ops_<family>.c), one
 * line in ops.def; dispatch, the Lua binding, argument checks, help, the manual,
 * gradient checks, reference checks and thread checks come from it. */
#ifndef GRAPH_OP_H
#define GRAPH_OP_H

#include "graph/attr.h"
#include "kernel/kernel.h"
#include <float.h>
#include <math.h>

/* -- one application of an op ------------------------------------------------------ */

/* What infer sees and fills. */
typedef struct OpInfer {
  const Op *op;
  int n_in;
  Node *const *in;
  const Attr *attr;
  int n_attr;
  int n_out;                /* preset from the record */
  Shape out_shape[MAX_OUT]; /* fill these */
  DType out_dtype[MAX_OUT]; /* preset to DT_REAL */
  Fault *fault;             /* text without the op's name, which is put before it */
} OpInfer;

/* What run sees: raw arrays. Inputs are contiguous. */
typedef struct OpCall {
  const Op *op;
  int n_in, n_out, n_attr;
  const Array *in;
  Array *out;
  const Attr *attr;
  void *scratch;         /* as many bytes as split asked for, 64-byte aligned */
  size_t own, own_bytes; /* where in it the memory of threads begins, what each has */
  const Array *ahead; /* may be fetched meanwhile, for what runs next; NULL: nothing */
} OpCall;

/* How the work is cut: phases run one after the other, the blocks of a phase in any
 * order on any thread. All of it depends on shapes and attributes alone. */
typedef struct OpSplit {
  int n_phases;         /* as op_phases says */
  int64_t *n_blocks;    /* of each phase; preset to 1 */
  int64_t work;         /* about: scalar operations in all; preset to the elements of
                           inputs and outputs together */
  size_t scratch_bytes; /* that all blocks share; preset to 0 */
  size_t own_bytes;     /* that a block has alone while it runs; preset to 0 */
} OpSplit;

/* How an op goes row by row along axis 0: row i of outputs `out` depends on row i of
 * inputs `in` (bits) and on the whole of the others, whatever the other rows are. */
typedef struct OpByRow {
  unsigned in, out;
  unsigned checked; /* inputs that `check` looks at */
  int64_t step;     /* rows begin at its multiples; a power of 2 */
} OpByRow;

/* Elementwise ops: n elements of y from as many of each input whose stride is 1, or
 * from the one of an input whose stride is 0. y may be an input. */
typedef void OpTile(const OpCall *call, real *y, const real *const *in,
                    const int64_t *stride, int64_t n);

/* Where all elements x of an array lie: lo <= x <= hi. Not finite: an element may be
 * anything, NaN too. */
typedef struct Range {
  double lo, hi;
} Range;

#define RANGE_UNKNOWN ((Range){-INFINITY, INFINITY})
/* Numbers of a proof are exact up to this one: it leaves room for the rounding of
 * kernels. */
#define RANGE_LIMIT ((double)REAL_MAX / 1024)
/* Below it, in size, reals count as zero. */
#ifdef REAL_DOUBLE
#define REAL_SMALLEST DBL_MIN
#else
#define REAL_SMALLEST ((double)FLT_MIN)
#endif
/* Everything up to `size` in size. */
static inline Range range_around(double size) {
  return size <= RANGE_LIMIT ? (Range){-size, size} : RANGE_UNKNOWN;
}
/* Largest |x| in a range. */
static inline double range_size(Range r) { return -r.lo > r.hi ? -r.lo : r.hi; }
static inline bool range_known(Range r) { return isfinite(r.lo) && isfinite(r.hi); }

/* -- samples: inputs for the tests that every op goes through ---------------------- */

typedef struct SampleIn {
  Shape shape;
  DType dtype;   /* real: spread over [lo, hi]; integers: over [lo, hi] */
  double lo, hi; /* both 0: [-2, 2], and away from 0 by at least 0.05 */
} SampleIn;

enum { MAX_SAMPLE_IN = 10 };
typedef struct Sample {
  int n_in;
  SampleIn in[MAX_SAMPLE_IN];
  int n_attr;
  const Attr *attr; /* words, as in a node: attr.h */
} Sample;

/* -- the record -------------------------------------------------------------------- */

enum { ANY_NUMBER = -1 }; /* n_in of ops over a list of inputs */

typedef enum OpFlags {
  OP_ELEMENTWISE = 1,          /* output element i depends on elements i of the
                                  (broadcast) inputs alone; has `scalar` */
  OP_VIEW = 4,                 /* output may share input 0's storage: see `view` */
  OP_NO_GRAD = 8,              /* not differentiable in any input: its vjp is
                                  vjp_none */
  OP_DRAW = 16,                /* takes random words; its last attribute is a STREAM */
  OP_INTERNAL = 32,            /* made by gradients and layers, not from Lua */
  OP_LEAF = 64,                /* const and read: never run */
  OP_UPDATE = 128,             /* an optimizer's: runs last, may write over its
                                  inputs */
  OP_EXACT = 256               /* elementwise: beside an int32 input all are taken
                                  exactly, as doubles, through `scalar`, and the result
                                  is rounded once */
} OpFlags;

struct Op {
  const char *name;  /* "softmax"; also the Lua method, unless internal */
  const char *alias; /* other Lua names, blank-separated */
  int n_in, n_out;
  int n_optional;   /* how many of the last inputs may be left out */
  int n_conditions; /* how many of the first inputs only select: their type has no
                       part in the result's */
  unsigned flags;
  const char *const
      *inputs;          /* names of the inputs, for messages and help; NULL: x, y, z */
  const OpAttr *attrs;  /* OP_ATTRS: ends at the first without a name; NULL: none */
  const char *doc;      /* one line: what it gives, shapes */
  const char *equation; /* "y = exp(x)" */
  const char *source;   /* paper and section, where there is one */
  const void *own;      /* what the functions of its family read beside it; or NULL */

  /* What users may give beyond what infer takes: casts of integers, promotion of ranks,
   * foldings. Emits other nodes as needed; inputs are not NULL. NULL: graph_apply. */
  Node *(*make)(Graph *graph, Node *const *in, int n_in, const Attr *attr, int n_attr);
  /* Shapes and types of the outputs; a fault where inputs do not fit. */
  Err (*infer)(OpInfer *io);
  /* Data that cannot be used (a label out of range); before run, serial. May be
   * NULL. */
  Err (*check)(const OpCall *call, Fault *fault);
  /* How many phases the work has, one or more. NULL: one. */
  int (*phases)(const OpCall *call);
  /* May be NULL: each phase is one block. */
  void (*split)(const OpCall *call, OpSplit *split);
  /* Computes block `block` of phase `phase` into call->out. */
  void (*run)(const OpCall *call, int phase, int64_t block);
  /* Does it go row by row? `how` is preset to no inputs, output 0, steps of 1. May be
   * NULL: it does not, unless it is elementwise. */
  bool (*by_row)(const Node *node, OpByRow *how);
  /* Phase 0 of rows first .. first + n - 1. */
  void (*run_rows)(const OpCall *call, int64_t first, int64_t n);
  /* Where the outputs lie if the inputs lie in `in` (all known); RANGE_UNKNOWN where
   * some step of the computation might leave what a real can hold. May be NULL: not
   * known. Its result is a proof: a step whose updates it proves finite is not
   * looked at before it is written over the old values. Of an OP_UPDATE, of elementwise
   * ops that rules of optimizers are made of (range.h), and of ops that make large
   * gradients. */
  void (*range)(const OpCall *call, const Range *in, Range *out);
  /* Of an op that makes one number of its input: where all elements of the input lie,
   * if the number is `value`. It is a proof, too. May be NULL. */
  Range (*covers)(double value);
  /* OP_ELEMENTWISE: what run does, on any stretch of a real output. */
  OpTile *tile;
  /* The same as a step of an expression; its number p is the first attribute, q the
   * second, or 1 - p. EXPR_NONE: rules of optimizers that use the op run op by op, tile
   * by tile. */
  ExpressionOp step;
  /* OP_VIEW: offset in elements into input 0's storage, or -1 when it must be copied by
   * run (for example a slice that is not of the leading axis). */
  int64_t (*view)(const Node *node);
  /* Gradient as nodes: given gy[o] for each output (NULL: zero), set gx[i] for those
   * inputs that have one (leave NULL: none). `want[i]`: the gradient of input i is
   * needed. */
  void (*vjp)(Graph *graph, Node *y, Node *const *gy, const bool *want, Node **gx);
  /* Of a gradient: the same, but 0 where input 0 is not above 0: what relu makes of it,
   * in one pass. NULL: that takes an op more. */
  Node *(*above_zero)(Graph *graph, Node *gx);
  /* The same outputs by simpler ops, for ops too large to differentiate by hand: a NULL
   * vjp differentiates the expansion, and the tests compare both. Fills out[n_out]. */
  void (*expand)(Graph *graph, Node *y, Node **out);

  /* What follows for the values (output 0) from what is known of the inputs: known.h.
   * NULL: nothing. */
  Known (*known)(const Node *node);

  /* Plain reference in double. Elementwise: one element. Others: whole arrays, with
   * shapes in call (its data pointers are not used) and integers given as doubles. */
  double (*scalar)(const double *in, const Attr *attr);
  void (*reference)(const OpCall *call, const double *const *in, double *const *out);
  double tolerance;      /* of the float kernel against the reference, in units of
                            float eps times max(1, |y|inf); 0: 16 */
  const Sample *samples; /* at least three, ended by n_in == 0 && n_attr < 0 */
};

#define SAMPLES_END                                                                    \
  { .n_in = 0, .n_attr = -1 }

/* Every op, in the order of ops.def. */
typedef enum OpId {
#define OP(name) OP_##name,
#include "graph/ops.def"
#undef OP
  N_OPS
} OpId;

#define OP(name) extern const Op op_record_##name;
#include "graph/ops.def"
#undef OP

extern const Op *const op_table[N_OPS];

/* As a user means it: through the record's `make`, where there is one. */
static inline Node *op_make(Graph *graph, const Op *op, Node *const *in, int n_in,
                            const Attr *attr, int n_attr) {
  return op->make ? op->make(graph, in, n_in, attr, n_attr)
                  : graph_apply(graph, op, in, n_in, attr, n_attr);
}

/* The call as a step of an expression, without registers. */
ExpressionStep op_step(const OpCall *call);

int op_phases(const OpCall *call);
/* For records: two. */
int op_two_phases(const OpCall *call);
/* How the op's work is cut: its record's split over the presets. `n_blocks`: room for
 * as many as there are phases. */
OpSplit op_split(const OpCall *call, int n_phases, int64_t *n_blocks);

/* Bytes of a call's memory: what its blocks share, then what each thread has. */
size_t op_memory_bytes(const OpSplit *split, int threads);
void op_set_own(OpCall *call, const OpSplit *split);
/* For run: as many bytes as split asked for, 64-byte aligned, that no other block has
 * meanwhile; NULL where it asked for none. What earlier blocks left is in them, and in
 * the cache of the thread. */
void *op_own(const OpCall *call);

/* What holds every value of the inputs of a selection: uint8 when all but conditions
 * are, int32 when all are integers, else real. */
DType infer_selected(const OpInfer *io);

/* For infer: output 0 has the shape to which all inputs are broadcast. */
Err infer_broadcast(OpInfer *io) WARN_UNUSED;

/* For infer: is input i real? Else a fault that names it. */
Err infer_need_real(const OpInfer *io, int i) WARN_UNUSED;

/* The explicit statement that nothing flows back. */
void vjp_none(Graph *graph, Node *y, Node *const *gy, const bool *want, Node **gx);

#endif
