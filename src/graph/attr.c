/* attr.c: the kinds of attributes, and lists in the words of a node. */
#include "graph/attr.h"
#include <stdio.h>

/* -- kinds ------------------------------------------------------------------------- */

static void print_int(Text *out, const Attr *at) {
  text_addf(out, "%lld", (long long)at->i);
}

static void print_real(Text *out, const Attr *at) { text_addf(out, "%g", at->f); }

static void print_bool(Text *out, const Attr *at) {
  text_add(out, at->i ? "true" : "false");
}

static void print_axis(Text *out, const Attr *at) {
  text_addf(out, "%lld", (long long)at->i + 1);
}

static void print_dtype(Text *out, const Attr *at) {
  text_addf(out, "\"%s\"", dtype_name((DType)at->i));
}

/* A range of no elements ends before it begins. */
static void print_range(Text *out, const Attr *at) {
  long long first = at[0].i + 1, step = at[2].i, last = first + (at[1].i - 1) * step;
  text_addf(out, step == 1 ? "{%lld, %lld}" : "{%lld, %lld, %lld}", first, last, step);
}

static void print_pad(Text *out, const Attr *at) {
  text_addf(out, "{%lld, %lld}", (long long)at[0].i, (long long)at[1].i);
}

const AttrType attr_types[N_ATTR_KINDS] = {
    [ATTR_INT] = {.width = 1, .print = print_int},
    [ATTR_REAL] = {.width = 1, .print = print_real},
    [ATTR_BOOL] = {.width = 1, .allowed = "true or false", .print = print_bool},
    [ATTR_AXIS] = {.width = 1, .allowed = "an axis: 1, 2, ... or -1 for the last",
                   .print = print_axis},
    [ATTR_DTYPE] = {.width = 1, .allowed = "\"real\", \"int32\" or \"uint8\"",
                    .print = print_dtype},
    [ATTR_STREAM] = {.width = 2},
    [ATTR_INTS] = {.is_list = true, .width = 1, .print = print_int},
    [ATTR_AXES] = {.is_list = true, .width = 1, .allowed = "an axis or a list of axes",
                   .preset = "all", .print = print_axis},
    [ATTR_PERM] = {.is_list = true, .width = 1,
                   .allowed = "every axis once, in the new order",
                   .preset = "reversed", .print = print_axis},
    [ATTR_SHAPE] = {.is_list = true, .width = 1, .allowed = "sizes, or a list of them",
                    .print = print_int},
    [ATTR_RANGES] = {.is_list = true, .width = 3,
                     .allowed = "for each axis: a position, {first, last, step}, or "
                                "nil: all",
                     .preset = "all", .print = print_range},
    [ATTR_PADS] = {.is_list = true, .width = 2,
                   .allowed = "for each axis: a number, or {before, after}",
                   .preset = "0", .print = print_pad}};

/* -- for people -------------------------------------------------------------------- */

/* "a list of 2 to 4 whole numbers", and what is short for one. */
static int add_count(char *buffer, size_t n_bytes, const OpAttr *attr) {
  int least = attr->n_least, most = attr->n_most;
  if (most == 0) return snprintf(buffer, n_bytes, "a list of whole numbers");
  if (least == most)
    return snprintf(buffer, n_bytes, "%d whole numbers, or one for %s%s", most,
                    most == 2 ? "both" : "all", attr->lo || attr->hi ? "," : "");
  return snprintf(buffer, n_bytes, "a list of %d to %d whole numbers", least, most);
}

const char *attr_allowed(const OpAttr *attr, char *buffer, size_t n_bytes) {
  const AttrType *type = &attr_types[attr->kind];
  if (type->allowed || attr->kind == ATTR_STREAM) return type->allowed;
  int n = attr->kind == ATTR_INTS ? add_count(buffer, n_bytes, attr)
                                  : snprintf(buffer, n_bytes, "a %snumber",
                                             attr->kind == ATTR_INT ? "whole " : "");
  bool ranged = attr->lo != 0 || attr->hi != 0;
  char lo[32], hi[32];
  if (ranged && n > 0 && (size_t)n < n_bytes)
    snprintf(buffer + n, n_bytes - (size_t)n, " from %s to %s",
             text_number(lo, attr->lo), text_number(hi, attr->hi));
  return buffer;
}

static void print_one(Text *out, const AttrType *type, const Attr *at) {
  if (!type->is_list) {
    type->print(out, at);
    return;
  }
  text_add(out, "{");
  for (int k = 0; k < at->i; k += type->width) {
    if (k) text_add(out, ", ");
    type->print(out, at + 1 + k);
  }
  text_add(out, "}");
}

void attr_print_all(Text *out, const OpAttr *attrs, const Attr *at, bool first) {
  for (const OpAttr *a = attrs; a && a->name; at += attr_length(a->kind, at), a++) {
    if (!attr_types[a->kind].print) continue;
    text_addf(out, "%s%s = ", first ? "" : ", ", a->name);
    print_one(out, &attr_types[a->kind], at);
    first = false;
  }
}

bool attr_fit(const OpAttr *attrs, const Attr *at, int n_words) {
  for (const OpAttr *a = attrs; a && a->name; a++) {
    const AttrType *type = &attr_types[a->kind];
    if (n_words < 1) return false;
    if (type->is_list && (at->i < 0 || at->i >= n_words || at->i % type->width))
      return false;
    int n = attr_length(a->kind, at);
    at += n;
    n_words -= n;
  }
  return n_words == 0;
}

/* -- lists in C -------------------------------------------------------------------- */

int ints_to_attr(Attr *attr, const int64_t *v, int n) {
  attr[0].i = n;
  for (int k = 0; k < n; k++) attr[1 + k].i = v[k];
  return 1 + n;
}

int shape_to_attr(Attr *attr, const Shape *s) {
  return ints_to_attr(attr, s->dim, s->rank);
}

Shape shape_from_attr(const Attr *attr) {
  Shape s = {(int)attr[0].i, {0}};
  for (int a = 0; a < s.rank; a++) s.dim[a] = attr[1 + a].i;
  return s;
}

int axes_to_attr(Attr *attr, unsigned axes, int rank) {
  int n = 1;
  for (int a = 0; a < (~axes ? 32 : rank); a++)
    if (axes >> a & 1) attr[n++].i = a;
  attr[0].i = n - 1;
  return n;
}

unsigned attr_axes(const Attr *attr) {
  unsigned axes = 0;
  for (int k = 1; k <= attr[0].i; k++) axes |= 1u << attr[k].i;
  return axes;
}
