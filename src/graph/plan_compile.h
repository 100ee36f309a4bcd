/* plan_compile.h: the state that the passes of plan.c work on, for plan_verify.c and
 * tests.
 *
 * Values are numbered node * MAX_OUT + output. */
#ifndef GRAPH_PLAN_COMPILE_H
#define GRAPH_PLAN_COMPILE_H

#include "graph/ops.h"
#include "graph/plan_arena.h"
#include "graph/plan_private.h"

enum { NOBODY = -1 };

/* Of one node of the walk, while compiling. */
typedef struct Spot {
  int64_t value; /* the value that output 0 stands for: its own, or an alias's */
  size_t offset; /* in bytes, into that value */
  int group;     /* NOBODY: none */
  int64_t next;  /* member of that group, or of the item; NOBODY */
  int64_t with;  /* of a gradient: the update that it is made with (plan_renew.c), and
                    the other way round; NOBODY */
  int item;      /* that computes it; NOBODY: leaf or alias */
  int64_t end;   /* first of the ends (find_ends) made soon after it; of an end: the
                    next of those; NOBODY */
  bool late;     /* an update that only updates read: runs at commit */
  bool read;     /* by something */
  bool is_end;
  bool computes; /* neither leaf nor alias */
  bool chained;  /* of a leader (plan_chain.c): its item is part of a chain */
  int stage;     /* of a leader */
} Spot;

typedef struct Group {
  const Shape *shape;
  int64_t first, last; /* members; it runs in the place of the last one */
  int n_members;
  bool closed;
  uint32_t rule; /* of all members: an optimizer's for one parameter; 0: none */
  bool late;     /* runs at commit */
} Group;

/* Of one value. */
typedef struct Life {
  PlanPlace place;
  int born, dies;  /* jobs; born NOBODY: not computed here */
  int last_item;   /* that reads it */
  int n_last;      /* items of the job `dies` that read it */
  bool outside;    /* read by another item than its own, or a root */
  int late_reader; /* place in item_nodes of the last that reads it at commit; NOBODY */
  bool scattered; /* read at commit by several items, or other elements than are made */
  int64_t heir;   /* value that takes over its memory; NOBODY */
  bool inherits;  /* it is such a value */
  size_t n_bytes;
} Life;

typedef struct Compiler {
  Graph *graph;
  Plan *plan;
  Walk walk;
  Spot *spots;
  Group *groups;
  int n_groups;
  int rule_group;  /* the last that is part of an optimizer's rule; NOBODY */
  Life *lives;     /* first of output 0 of all nodes, then of output 1, ..: life_of */
  int *item_first; /* per item: its nodes in item_nodes */
  int64_t *item_nodes;
  int *item_job;
  int *item_chain; /* the first item of the chain that it is part of; NOBODY */
  int64_t *turns;  /* leaders of items, in order */
  int64_t n_turns;
  int64_t n_rows; /* of the batch, in chains; 0: there are none */
  int n_items, n_updates;
  int64_t *copy_root; /* roots that are copied at the end */
  Node *const *roots; /* the caller's */
  int n_roots;
} Compiler;

/* A pass: what it does to the compiler's state; what must hold after it; what it found,
 * for people. */
typedef struct PlanPass {
  const char *name;
  Err (*run)(Compiler *c);
  Err (*verify)(const Compiler *c, Fault *fault);
  void (*print)(const Compiler *c, Text *out);
} PlanPass;

/* In their order; ends with a NULL name. */
extern const PlanPass plan_passes[];

/* Ready for the first pass; plan_new and tests. The plan is the caller's. */
Err compiler_init(Compiler *c, Graph *graph, Node *const *roots, int n_roots);
void compiler_deinit(Compiler *c);

static inline int64_t value_of(int64_t node, int output) {
  return node * MAX_OUT + output;
}
/* Hardly a node has more than one output: so those of the others lie apart. */
static inline Life *life_of(const Compiler *c, int64_t value) {
  return &c->lives[value % MAX_OUT * c->walk.n + value / MAX_OUT];
}

/* Is it a new value of a variable, which may be written over the old one at commit? */
static inline bool plan_renews(const Node *root) {
  return root->op == &op_record_renew;
}

/* Does the node run, that is: is it neither leaf nor alias? */
static inline bool plan_computes(const Compiler *c, int64_t node) {
  return c->spots[node].computes;
}

/* The node that the item of a node is known by: the last of its group, or of the item.
 */
static inline int64_t plan_leader(const Compiler *c, int64_t node) {
  const Spot *spot = &c->spots[node];
  if (spot->group != NOBODY) return c->groups[spot->group].last;
  return spot->with > node ? spot->with : node;
}
/* The first node of that item; the others are each the `next` of the one before. */
static inline int64_t plan_first_node(const Compiler *c, int64_t leader) {
  const Spot *spot = &c->spots[leader];
  if (spot->group != NOBODY) return c->groups[spot->group].first;
  return spot->with != NOBODY ? spot->with : leader;
}

/* Does `in` stand for the whole of a value, element for element, that is output 0? */
static inline bool plan_is_direct(const Compiler *c, const Node *in) {
  const Spot *spot = &c->spots[in->index];
  return spot->offset == 0 && spot->value % MAX_OUT == 0 &&
         shape_equal(&in->shape, &c->walk.v[spot->value / MAX_OUT]->shape);
}

/* Finds the gradients that are made with their updates: in the pass `order`. */
Err plan_join_products(Compiler *c);
/* Cuts such an item, which has its calls: in the pass `calls`. */
void plan_cut_renewal(PlanItem *item, int64_t *n_blocks);
/* Fills turns, and finds the chains: in the pass `order`. */
Err plan_find_turns(Compiler *c);
/* The same of late items, after the others: in the order in which gradients are made,
 * for there a thread finds those in its cache that it made itself. */
Err plan_find_late_turns(Compiler *c);
/* Cuts the chains into blocks: in the pass `calls`. */
Err plan_emit_chains(Compiler *c);
/* Values of chains take over the memory of others: in the pass `place`. */
void plan_reuse_rows(Compiler *c);
/* Memory that lives as long as the plan, zeroed; NULL and the graph's fault. */
void *plan_alloc(Compiler *c, size_t n_bytes);
/* Cuts a group that has its calls: in the pass `calls`. */
Err plan_cut_tiles(Compiler *c, PlanItem *item);
/* Which of its values are in tiles: in the pass `connect`. */
void plan_place_tiles(const PlanItem *item);
/* Makes an expression of the item, where it can be one: in the pass `connect`. */
Err plan_find_expression(Compiler *c, int item);
/* Lists what is to be watched: in the pass `connect`. */
Err plan_watch(Compiler *c);
size_t plan_value_bytes(const Node *node, int output);

/* The passes of plan_emit.c. */
Err emit_calls(Compiler *c);
Err emit_pointers(Compiler *c);
void print_calls(const Compiler *c, Text *out);
void print_pointers(const Compiler *c, Text *out);

Err verify_resolve(const Compiler *c, Fault *fault);
Err verify_group(const Compiler *c, Fault *fault);
Err verify_order(const Compiler *c, Fault *fault);
Err verify_jobs(const Compiler *c, Fault *fault);
Err verify_calls(const Compiler *c, Fault *fault);
Err verify_place(const Compiler *c, Fault *fault);
Err verify_connect(const Compiler *c, Fault *fault);

#endif
