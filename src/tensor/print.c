/* print.c: tensors for people.
 *
 * A small tensor is printed whole, in columns of equal width; a large one (over
 * WHOLE_COUNT elements or wider than the terminal) as edge rows and columns with "..."
 * between. The first line always says shape and dtype, and for a large tensor min, mean
 * and max. More than two axes print as a matrix per leading index. */
#include "tensor/tensor.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE_COUNT = 1000, EDGE = 3, CELL = 40 };

/* One format for all elements, so that columns line up. */
typedef struct Style {
  bool integral;
  bool scientific;
  int decimals;
  int width;
} Style;

static void cell_text(char *cell, const Style *style, double v) {
  if (isnan(v)) snprintf(cell, CELL, "nan");
  else if (isinf(v)) snprintf(cell, CELL, v > 0 ? "inf" : "-inf");
  else if (style->integral) snprintf(cell, CELL, "%.0f", v);
  else if (style->scientific) snprintf(cell, CELL, "%.4e", v);
  else snprintf(cell, CELL, "%.*f", style->decimals, v);
}

/* Looks at the elements that will be shown (all, of a small tensor). */
static Style style_of(const Array *a, int64_t n) {
  Style style = {.integral = true, .decimals = 4};
  double largest = 0;
  for (int64_t i = 0; i < n; i++) {
    double v = fabs(array_get(a, i));
    if (!isfinite(v)) continue;
    if (v != floor(v) || v >= 1e15) style.integral = false;
    if (v > largest) largest = v;
  }
  style.scientific = !style.integral && (largest >= 1e6 || largest < 1e-3);
  if (largest >= 1000) style.decimals = 2;
  for (int64_t i = 0; i < n; i++) {
    char cell[CELL];
    cell_text(cell, &style, array_get(a, i));
    int width = (int)strlen(cell);
    if (width > style.width) style.width = width;
  }
  return style;
}

typedef struct Page {
  Text *out;
  const Array *a;
  Style style;
  int64_t rows, cols; /* of one matrix */
  bool elide_rows, elide_cols;
} Page;

static bool inside_edge(int64_t i, int64_t n) { return i < EDGE || i >= n - EDGE; }

static void print_row(const Page *p, int64_t base) {
  for (int64_t j = 0; j < p->cols; j++) {
    if (p->elide_cols && !inside_edge(j, p->cols)) {
      if (j == EDGE) text_add(p->out, "  ...");
      continue;
    }
    char cell[CELL];
    cell_text(cell, &p->style, array_get(p->a, base + j));
    text_addf(p->out, "  %*s", p->style.width, cell);
  }
  text_add(p->out, "\n");
}

static void print_matrix(const Page *p, int64_t base) {
  for (int64_t i = 0; i < p->rows; i++) {
    if (p->elide_rows && !inside_edge(i, p->rows)) {
      if (i == EDGE) text_add(p->out, "  ...\n");
      continue;
    }
    print_row(p, base + i * p->cols);
  }
}

/* "[2, 1, :, :]" before each matrix of a tensor with more than two axes. */
static void print_leading_index(const Page *p, const Shape *shape, int64_t matrix) {
  char text[SHAPE_TEXT] = "";
  for (int axis = shape->rank - 3; axis >= 0; axis--) {
    char rest[SHAPE_TEXT];
    memcpy(rest, text, sizeof rest);
    snprintf(text, sizeof text, "%lld, %.100s",
             (long long)(matrix % shape->dim[axis] + 1), rest);
    matrix /= shape->dim[axis];
  }
  text_addf(p->out, "[%s:, :]\n", text);
}

static void print_head(Text *out, const Tensor *t, bool summarised) {
  char shape[SHAPE_TEXT];
  int64_t n = tensor_count(t);
  text_addf(out, "tensor %s %s", shape_text(shape, &t->a.shape),
            dtype_name(t->a.dtype));
  if (summarised) {
    double lo = INFINITY, hi = -INFINITY, sum = 0;
    int64_t n_bad = 0;
    for (int64_t i = 0; i < n; i++) {
      double v = array_get(&t->a, i);
      if (!isfinite(v)) {
        n_bad++;
        continue;
      }
      if (v < lo) lo = v;
      if (v > hi) hi = v;
      sum += v;
    }
    int digits = t->a.dtype == DT_REAL ? 6 : 10; /* every int32 whole */
    text_addf(out, "  min %.*g  mean %.6g  max %.*g", digits, lo,
              sum / (double)(n - n_bad), digits, hi);
    if (n_bad) text_addf(out, "  not finite: %lld", (long long)n_bad);
  }
  text_add(out, "\n");
}

void tensor_print(Text *out, const Tensor *t, int columns) {
  const Shape *shape = &t->a.shape;
  int64_t n = tensor_count(t);
  if (shape->rank == 0) {
    char number[CELL];
    double v = array_get(&t->a, 0);
    int digits = t->a.dtype == DT_REAL && sizeof(real) == 4 ? 8 : 16;
    if (isnan(v)) snprintf(number, sizeof number, "nan");
    else snprintf(number, sizeof number, "%.*g", digits, v);
    text_addf(out, "%s\n", number);
    return;
  }
  Page p = {.out = out, .a = &t->a};
  p.cols = shape->dim[shape->rank - 1];
  p.rows = shape->rank > 1 ? shape->dim[shape->rank - 2] : 1;
  bool summarised = n > WHOLE_COUNT;
  p.style = style_of(&t->a, summarised ? 4096 < n ? 4096 : n : n);
  p.elide_rows = summarised && p.rows > 2 * EDGE;
  p.elide_cols = p.cols > 2 * EDGE && (summarised || (p.style.width + 2) * p.cols >
                                                         (columns > 20 ? columns : 80));
  print_head(out, t, summarised);
  if (n == 0) return;
  int64_t n_matrices = n / (p.rows * p.cols);
  for (int64_t m = 0; m < n_matrices; m++) {
    if (summarised && n_matrices > 2 * EDGE && !inside_edge(m, n_matrices)) {
      if (m == EDGE) text_add(out, "...\n");
      continue;
    }
    if (shape->rank > 2) print_leading_index(&p, shape, m);
    print_matrix(&p, m * p.rows * p.cols);
  }
}
