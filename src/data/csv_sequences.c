/* csv_sequences.c: tables of sequences, x [n, t, features] under a mask.
 *
 *   id,a,b,class      a row for each step: rows of one id, wherever they are, are the
 *   s1,.5,2,yes       steps of one sequence, in the order of the file
 *   s1,.6,2,yes
 *
 *   a;b;class         a row for each sequence: each feature's field holds the numbers
 * of .5 .6;2 2;yes     all steps */
#include "base/array.h"
#include "base/ints.h"
#include "data/csv_table.h"
#include "data/sources.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- a row for each step ----------------------------------------------------------- */

Err csv_note_step(Table *t, int64_t row, const CsvField *f, Fault *fault) {
  Err err = ARRAY_ROOM(t->steps, t->step_room, row + 1, fault);
  char *id = malloc(f->n_bytes + 1);
  if (!id) return fault_memory(fault, f->n_bytes);
  csv_copy(f, id, f->n_bytes + 1);
  Token token = {id, strlen(id)};
  int64_t number = 0;
  if (!err && !t->ids) t->ids = vocabulary_new(0, false, fault);
  if (!err) err = t->ids ? vocabulary_add(t->ids, token, &number, fault) : ERR_MEMORY;
  if (!err) t->steps[row] = (CsvStep){number - 1, 0, f->line};
  free(id);
  return err;
}

/* Numbers the steps within their sequences. */
static Err number_steps(Table *t, Fault *fault) {
  int64_t n = t->ids->tokens.n, *count = calloc((size_t)n, sizeof *count);
  if (!count) return fault_memory(fault, (size_t)n * sizeof *count);
  for (int64_t i = 0; i < t->n_rows; i++) {
    t->steps[i].place = count[t->steps[i].sequence]++;
    t->longest = most(t->longest, t->steps[i].place + 1);
  }
  free(count);
  return ERR_OK;
}

/* The rows of a tensor in the places of their steps, [n, longest, ...], 0 elsewhere.
 * NULL and a fault. */
static Tensor *fold_steps(const Table *t, const Tensor *from, MemoryCount *memory,
                          Fault *fault) {
  Shape shape = {.rank = from->a.shape.rank + 1,
                 .dim = {t->ids->tokens.n, t->longest}};
  memcpy(shape.dim + 2, from->a.shape.dim + 1,
         (size_t)(from->a.shape.rank - 1) * sizeof *shape.dim);
  int64_t n_row = shape_stride(&from->a.shape, 0);
  size_t n_bytes = (size_t)n_row * dtype_bytes(from->a.dtype);
  Tensor *out = source_zeros(memory, from->a.dtype, &shape, fault);
  for (int64_t i = 0; out && i < t->n_rows; i++) {
    int64_t at = t->steps[i].sequence * t->longest + t->steps[i].place;
    memcpy((char *)out->a.data + (size_t)at * n_bytes,
           (const char *)from->a.data + (size_t)i * n_bytes, n_bytes);
  }
  return out;
}

/* One row for each sequence, that of its first step, which all others have too. `what`:
 * "target". */
static Tensor *fold_equal(const Table *t, const Tensor *from, const char *what,
                          MemoryCount *memory, Fault *fault) {
  Shape shape = from->a.shape;
  shape.dim[0] = t->ids->tokens.n;
  int64_t n_row = shape_stride(&shape, 0);
  Tensor *out = tensor_new(memory, from->a.dtype, &shape, fault);
  for (int64_t i = 0; out && i < t->n_rows * n_row; i++) {
    const CsvStep *step = &t->steps[i / n_row];
    int64_t at = step->sequence * n_row + i % n_row;
    double value = array_get(&from->a, i);
    if (step->place == 0) array_set(&out->a, at, value);
    else if (array_get(&out->a, at) != value) {
      fault_set(fault, ERR_DATA,
                "line %lld: another %s than in the first row of sequence \"%.40s\"; "
                "each_step = true gives one for each step",
                (long long)step->line, what, t->ids->tokens.v[step->sequence]);
      tensor_release(out);
      return NULL;
    }
  }
  return out;
}

/* In place of the tensor what is made of it. */
static Err replace(Tensor **tensor, Tensor *made) {
  tensor_release(*tensor);
  *tensor = made;
  return made ? ERR_OK : ERR_DATA;
}

static Err fold_targets(const Table *t, MemoryCount *memory, Fault *fault) {
  Rows *out = t->out;
  const struct { Tensor **tensor; const char *what; } parts[] = {
      {&out->y, "target"}, {&out->weight, "weight"}};
  for (int i = 0; i < 2; i++) {
    Tensor **part = parts[i].tensor;
    if (!*part) continue;
    Tensor *made = t->csv->each_step
                       ? fold_steps(t, *part, memory, fault)
                       : fold_equal(t, *part, parts[i].what, memory, fault);
    if (replace(part, made)) return fault->code;
  }
  return ERR_OK;
}

Err csv_fold(Table *t, MemoryCount *memory, Fault *fault) {
  Rows *out = t->out;
  Err err = number_steps(t, fault);
  if (!err)
    err = memory_holds_all(t->ids->tokens.n * t->longest,
                           (t->n_features + 2) * (int64_t)sizeof(real), fault);
  if (err) return err;
  out->mask = source_zeros(memory, DT_REAL, &SHAPE_OF(t->ids->tokens.n, t->longest),
                           fault);
  if (!out->mask) return fault->code;
  for (int64_t i = 0; i < t->n_rows; i++)
    tensor_reals(out->mask)[t->steps[i].sequence * t->longest + t->steps[i].place] = 1;
  err = fold_targets(t, memory, fault);
  if (!err && replace(&out->x, fold_steps(t, out->x, memory, fault))) err = fault->code;
  return err;
}

/* -- a row for each sequence ------------------------------------------------------- */

bool csv_is_series(const Table *t, const Column *column) {
  return t->csv->inside && !column->target && !column->ignored && !column->weight;
}

/* The next number of the field, from *at on, where that moves to; a blank as the
 * delimiter is any number of them. False at the end. */
static bool next_number(const Table *t, const CsvField *f, size_t *at, CsvField *out) {
  char delimiter = *t->csv->inside;
  while (delimiter == ' ' && *at < f->n_bytes && f->at[*at] == ' ') (*at)++;
  if (*at > f->n_bytes || (delimiter == ' ' && *at == f->n_bytes)) return false;
  const char *from = f->at + *at;
  const char *end = memchr(from, delimiter, f->n_bytes - *at);
  size_t n = end ? (size_t)(end - from) : f->n_bytes - *at;
  *at += n + 1;
  while (n > 0 && *from == ' ') from++, n--;
  while (n > 0 && from[n - 1] == ' ') n--;
  *out = (CsvField){.at = from, .n_bytes = n, .line = f->line};
  return true;
}

bool csv_holds_numbers(const Table *t, const CsvField *f) {
  CsvField number;
  double value;
  size_t at = 0;
  int64_t n = 0;
  for (; next_number(t, f, &at, &number); n++)
    if (!csv_number(&number, &value)) return false;
  return n > 0;
}

static Err odd_number(const Column *column, int64_t i, const CsvField *f, int64_t step,
                      Fault *fault) {
  char shown[SHOWN];
  return fault_set(fault, ERR_DATA,
                   "line %lld, column %lld (\"%s\"): step %lld is \"%s\", allowed: a "
                   "number",
                   (long long)f->line, (long long)(i + 1), column->name,
                   (long long)step, csv_copy(f, shown, sizeof shown));
}

Err csv_look_at_series(Table *t, int64_t row, int64_t i, const CsvField *f,
                       Fault *fault) {
  Column *column = &t->columns[i];
  CsvField number;
  double value;
  size_t at = 0;
  int64_t n = 0;
  for (; next_number(t, f, &at, &number); n++)
    if (!csv_number(&number, &value) || !isfinite(value) || !real_holds(value))
      return odd_number(column, i, &number, n + 1, fault);
  if (n == 0)
    return fault_set(fault, ERR_DATA, "line %lld, column %lld (\"%s\"): no steps",
                     (long long)f->line, (long long)(i + 1), column->name);
  Err err = ARRAY_ROOM(t->steps, t->step_room, row + 1, fault);
  if (err) return err;
  must(t->steps);
  CsvStep *own = &t->steps[row];
  if (t->n_steps_of <= row) *own = (CsvStep){i, n, f->line};
  t->n_steps_of = row + 1;
  if (own->place == n) return ERR_OK;
  return fault_set(fault, ERR_DATA,
                   "line %lld, column %lld (\"%s\"): %lld steps, column \"%s\" has "
                   "%lld",
                   (long long)f->line, (long long)(i + 1), column->name, (long long)n,
                   t->columns[own->sequence].name, (long long)own->place);
}

void csv_end_series(Table *t) {
  int64_t n_dropped = 0;
  for (int64_t row = 0; row < t->n_steps_of; row++) {
    bool drop = n_dropped < t->n_dropped && t->dropped[n_dropped] == row;
    n_dropped += drop;
    if (!drop) t->longest = most(t->longest, t->steps[row].place);
  }
}

void csv_fill_series(Table *t, int64_t row, const Column *column, const CsvField *f) {
  Rows *out = t->out;
  CsvField number;
  size_t at = 0;
  for (int64_t k = 0; next_number(t, f, &at, &number); k++) {
    int64_t step = row * t->longest + k;
    double value = 0;
    must(csv_number(&number, &value));
    tensor_reals(out->x)[step * t->n_features + column->place] = (real)value;
    tensor_reals(out->mask)[step] = 1;
  }
}
