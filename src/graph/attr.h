/* attr.h: attributes of ops: of what kinds they are, and how a node holds them: as
 * words, one attribute behind the other in the order of the op's record. A list is its
 * count, then its values; so the words of an op are read from left to right, and
 * different lists are different words. Axes, indices and labels count from 0 there,
 * from 1 in Lua. */
#ifndef GRAPH_ATTR_H
#define GRAPH_ATTR_H

#include "base/text.h"
#include "graph/graph.h"

typedef enum AttrKind {
  ATTR_INT,    /* .i */
  ATTR_REAL,   /* .f */
  ATTR_BOOL,   /* .i: 0 or 1 */
  ATTR_AXIS,   /* .i: an axis of input 0; Lua: 1 ..., -1 is the last */
  ATTR_DTYPE,  /* .i: DType; Lua: its name */
  ATTR_STREAM, /* two .i: key and draw of a Stream; never given in Lua */
  /* lists of .i */
  ATTR_INTS,   /* whole numbers */
  ATTR_AXES,   /* axes of input 0, ascending; Lua: one or a list; default all */
  ATTR_PERM,   /* an order of the axes of input 0; default reversed */
  ATTR_SHAPE,  /* dims (a -1 is inferred by reshape) */
  ATTR_RANGES, /* per axis of input 0 three values: start, count, step; Lua: a number,
                  or {first, last[, step]} with inclusive ends, or nil: all */
  ATTR_PADS,   /* per axis of input 0 two values: before, after */
  N_ATTR_KINDS
} AttrKind;

/* An attribute in the record of an op. */
typedef struct OpAttr {
  const char *name;
  AttrKind kind;
  const char *value; /* default as text, of a list "1 2"; NULL: required, or as the kind
                        says */
  double lo, hi;     /* range of INT, REAL and each of INTS; both 0: any finite */
  int n_least, n_most; /* values of INTS; both 0: ATTR_VALUES at most */
  const char *doc;
} OpAttr;

/* Values of a list given in Lua. */
enum { ATTR_VALUES = 1 << 16 };

/* What is known of a kind beside how Lua gives it (lua/bind_ops.c). */
typedef struct AttrType {
  bool is_list;
  int width;           /* words of one, or of each element of a list */
  const char *allowed; /* in Lua, for people; NULL: numbers, as the range says */
  const char *preset;  /* for people, where none is given; NULL: the record's */
  void (*print)(Text *out, const Attr *at); /* one, or one element; NULL: not shown */
} AttrType;

extern const AttrType attr_types[N_ATTR_KINDS];

/* The words of the attribute at `at`. */
static inline int attr_length(AttrKind kind, const Attr *at) {
  return attr_types[kind].is_list ? 1 + (int)at->i : attr_types[kind].width;
}
/* A list with an element for each axis, which may be a list itself? */
static inline bool attr_per_axis(AttrKind kind) {
  return attr_types[kind].is_list && attr_types[kind].width > 1;
}
/* What comes behind the list at `list`. */
static inline const Attr *attr_behind(const Attr *list) { return list + 1 + list->i; }

/* What may be given, for people; written to `buffer` where it is composed. */
const char *attr_allowed(const OpAttr *attr, char *buffer, size_t n_bytes);
/* As Lua gives them: "axes = {1, 2}, keepdims = true", behind a comma unless they are
 * the first. */
void attr_print_all(Text *out, const OpAttr *attrs, const Attr *at, bool first);
/* Are the words those of a node with these attributes? */
bool attr_fit(const OpAttr *attrs, const Attr *at, int n_words);

/* -- lists in C -------------------------------------------------------------------- */

/* Words of the longest list of each kind that C code makes. */
enum { SHAPE_ROOM = 1 + MAX_RANK, AXES_ROOM = 1 + 32, RANGES_ROOM = 1 + 3 * MAX_RANK,
       PADS_ROOM = 1 + 2 * MAX_RANK };

/* Each returns how many words it wrote. */
int shape_to_attr(Attr *attr, const Shape *s);
Shape shape_from_attr(const Attr *attr);
/* A bit set of axes; ~0u: all of `rank`. */
int axes_to_attr(Attr *attr, unsigned axes, int rank);
unsigned attr_axes(const Attr *attr);
int ints_to_attr(Attr *attr, const int64_t *v, int n);

/* -- in records and samples -------------------------------------------------------- */

/* The list of a record's attributes, which ends by itself. */
#define OP_ATTRS(...) ((const OpAttr[]){__VA_ARGS__, {.name = NULL}})
/* In a Sample, the words of its attributes. */
#define ATTRS(...)                                                                     \
  .n_attr = ATTR_COUNT(__VA_ARGS__), .attr = (const Attr[]) { __VA_ARGS__ }
#define ATTR_COUNT(...) (int)(sizeof((const Attr[]){__VA_ARGS__}) / sizeof(Attr))
/* Among them a list of values; one without any. */
#define ATTR_LIST(...) {.i = ATTR_COUNT(__VA_ARGS__)}, __VA_ARGS__
#define ATTR_EMPTY                                                                     \
  { .i = 0 }

#endif
