/* plan_private.h: what plan.c compiles and plan_run.c runs. */
#ifndef GRAPH_PLAN_PRIVATE_H
#define GRAPH_PLAN_PRIVATE_H

#include "graph/graph_private.h"
#include "graph/ops_walk.h"
#include "graph/plan.h"
#include "kernel/kernel.h"

/* A group runs up to TILE elements at a time through all members, in BLOCKs of about so
 * many that threads take. Values inside it live in TILES tiles, which fit into the
 * first cache together. ROWS rows that repeat are written out, to about WIDE
 * elements. */
enum {
  PLAN_TILE = 1024,
  PLAN_BLOCK = 4 * PLAN_TILE,
  PLAN_TILES = 8,
  PLAN_MEMBERS = 32,
  PLAN_ROWS = 8,
  PLAN_WIDE = 512
};

typedef enum PlanPlaceKind { IN_ARENA, IN_INPUT, IN_ROOT, IN_TILE } PlanPlaceKind;

typedef struct PlanPlace {
  PlanPlaceKind kind;
  int index;     /* of the input, root or tile */
  size_t offset; /* in bytes: in the arena, or into the input or root */
} PlanPlace;

typedef struct PlanMember {
  OpCall *call;       /* pointers filled in at each run, but those of tiles */
  Elements *elements; /* in a group; else NULL */
  PlanPlace *in, *out;
  const char *layer, *file; /* for messages */
  int line;
} PlanMember;

/* Where a member of a group finds the elements of a tile. */
typedef enum PlanCourse {
  COURSE_WHOLE, /* in the array, one after the other */
  COURSE_ONE,   /* it is one element */
  COURSE_ROW,   /* a row that repeats: a bias of many rows */
  COURSE_TILE   /* in a tile of the thread */
} PlanCourse;

typedef struct PlanOperand {
  PlanCourse course;
  int index; /* of the row or tile */
} PlanOperand;

typedef struct PlanPart {
  bool direct; /* a tile is one call of the kernel: with these strides */
  PlanOperand in[MAX_ARGS], out;
  int64_t stride[MAX_ARGS];
} PlanPart;

/* How a group runs tile by tile (plan_tiles.c). */
typedef struct PlanTiles {
  PlanPart *parts;        /* one of each member */
  int64_t n, tile, block; /* elements: all; of a tile; of a block */
  int64_t row, times;     /* elements of a row that repeats, rows of a tile */
  const Array *rows[PLAN_ROWS];
  int n_rows;
} PlanTiles;

/* A group whose members are steps (plan_expression.c). */
typedef struct PlanExpression {
  Expression steps;
  void ***stream,
      ***number; /* per stream, and per number: the pointer to it in a call */
} PlanExpression;

/* Items one after the other that go through the batch by rows (plan_chain.c). */
typedef struct PlanChain {
  int first_item, n_items;
  int64_t n_rows, block; /* rows: all; of a block */
} PlanChain;

/* A group, one op, or a product with the update that reads it (plan_renew.c). */
typedef struct PlanItem {
  PlanMember *members;
  PlanTiles *tiles;                 /* of a group; else NULL */
  const PlanExpression *expression; /* NULL: it runs tile by tile */
  const PlanChain *chain;           /* of which it is part; else NULL */
  int n_members;
  bool is_group;
  int64_t rows; /* of a block of a product with its update; else 0 */
  OpSplit split;
  size_t scratch, scratch_bytes; /* of its call: offset in the arena, all threads' */
} PlanItem;

/* The blocks of an item in a phase of its job, or of what is measured beside them, from
 * number `first` on; in the first phase the first item of a chain stands for all of
 * it. */
typedef struct PlanShare {
  int64_t first;
  int item, watch; /* -1: the other */
} PlanShare;

/* A phase of a job: the blocks of all items that have it, one after the other, are one
 * parallel loop; in the first phase what is measured beside them comes before. */
typedef struct PlanPhase {
  const PlanShare *shares; /* those of items in the order of these */
  int n_shares;
  int64_t n_blocks;
} PlanPhase;

/* Items that do not depend on each other, but for those of a chain. */
typedef struct PlanJob {
  int first_item, n_items, n_phases;
  PlanPhase *phases;
  int64_t work;
  int watch; /* first of those measured beside its first phase; -1: none */
} PlanJob;

/* A pointer of a call, and where it comes from. */
typedef struct PlanFix {
  void **where;
  PlanPlace place;
} PlanFix;

typedef struct PlanCopy {
  PlanPlace from, to;
  size_t n_bytes;
  void *source, *target; /* filled in at each run */
} PlanCopy;

/* An array whose range the proof needs. It is known, or measured beside the job that
 * reads it, or follows from the ranges of what it is computed from, or is measured at
 * the end. Most are known: these lie in lists of their own, which stay in the cache. */
typedef struct PlanWatch {
  const Array *array; /* of a call that reads it */
  int job, next;      /* where it is measured, and the next one there; -1: at the end */
  const OpCall
      *maker; /* from whose inputs it follows, with watches `from`; NULL: not */
  int from[2];
  const OpCall *cover; /* from whose result it follows (Op.covers); NULL: not */
  int pool;            /* that its range goes into */
  int64_t n_elements;
  int64_t first_part, n_parts; /* its blocks in `parts` */
} PlanWatch;

/* Calls of the commit that differ in their arrays alone: those of all parameters, as a
 * rule. One proof is for all, of inputs that are anywhere where an input of one of them
 * is. */
typedef struct PlanLate {
  OpCall call; /* of the first, without memory of its arrays */
  int *in;     /* the pool of each input, or which result of an earlier such call */
  int made;    /* its first result in `made` */
} PlanLate;

/* A new value of a variable: which root, which result of a late call. */
typedef struct PlanRenewed {
  int root, made;
} PlanRenewed;

/* A watch of an input of the plan, which may be known. */
typedef struct PlanKnown {
  int watch, input, pool;
} PlanKnown;

/* What is measured at the end by one thread, and what that widens. */
typedef struct PlanPiece {
  int first_span, n_spans;
  int64_t n_elements; /* of all its spans */
  Range *into, found;
} PlanPiece;

/* All pieces of a run, with room for the blocks of all watches. The first n_static are
 * those of every run: small arrays in the arena. */
typedef struct PlanPending {
  PlanPiece *pieces;
  RealSpan *spans;
  int64_t n_pieces, n_static, work;
  int n_spans;
} PlanPending;

/* Memory of the plan, handed out in pieces from `at` on. */
typedef struct PlanBlock {
  struct PlanBlock *next;
  unsigned char *at;
  size_t n_free;
  _Alignas(16) unsigned char data[];
} PlanBlock;

struct Plan {
  PlanBlock *blocks; /* all memory of the plan */
  PlanItem *items;
  PlanJob *jobs;
  PlanFix *fixes;    /* first those into the arena */
  const void *arena; /* for which these are filled in */
  int *checked;      /* items whose op may refuse its data, in order */
  PlanWatch *watches;
  PlanKnown *known;
  int *others;  /* watches that are neither known nor pending in every run */
  Range *pools; /* of this run: of all watches that are the same input of calls that
                   are alike; of a factor alone */
  PlanLate *late;
  PlanRenewed *renewed;
  Range *made;           /* per result of a late call, of this run */
  Range *parts;          /* of the watches, per block */
  PlanPending pending;   /* of every run */
  PlanPlace *span_place; /* of its spans */
  bool unprovable;  /* a call of the commit has no rule `range`: nothing is proved */
  PlanCopy *copies; /* at the end of compute, the rest at the end of commit */
  Node **leaves, **draws; /* until plan_release_nodes */
  Attr **draw_attr;       /* key and position of each draw, in its call */
  int n_items, n_jobs, n_compute_jobs, n_fixes, n_arena_fixes, n_checked, n_leaves,
      n_draws;
  int n_copies, n_compute_copies, n_watches, n_known, n_others;
  int n_pools, n_late, n_renewed;
  PlanSize size;
  Text passes; /* what each pass found; only where graph->dump is set */
};

/* Measures block `block` of a watch. */
void plan_measure(const Plan *plan, int watch, int64_t block);

/* Runs block `block` of a group. */
void plan_run_group(const PlanItem *item, int64_t block);

/* Rows first .. first + n - 1 of n_rows of a group that runs tile by tile. */
void plan_run_rows(const PlanItem *item, int64_t n_rows, int64_t first, int64_t n);

/* Runs a block of a product with its update. */
enum { RENEWAL_PHASES = 2 };
void plan_run_renewal(const PlanItem *item, int phase, int64_t block);

int64_t plan_chain_blocks(const PlanChain *chain);
/* Runs block `block` of a chain; `may_stop`: an interrupt ends it early. */
void plan_run_chain(const Plan *plan, const PlanChain *chain, int64_t block,
                    bool may_stop);

/* Elements first .. first + n - 1 of it. */
void plan_run_expression(const PlanExpression *e, int64_t first, int64_t n);

#endif
