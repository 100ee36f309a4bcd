/* lines.c: the lines of texts as examples: names, words, sentences, each with its
 * class.
 *
 *   read      the files, cut into lines; classes by file, or by what is in front of a
 *             delimiter
 *   number    the vocabulary of all lines, and their tokens by number
 *   fill      x [n, t] of numbers, 0 where a line is shorter, and the mask */
#include "base/array.h"
#include "base/file.h"
#include "base/ints.h"
#include "data/plain.h"
#include "data/sources.h"
#include "data/token_rows.h"
#include <stdlib.h>
#include <string.h>

typedef enum Predict { PREDICT_CLASS, PREDICT_EACH } Predict;

typedef struct LinesSource {
  Source source;
  TextList paths, classes;
  char *delimiter, *package;
  VocabularyPlan plan;
  int64_t length;
  int padding, truncate; /* a Side each */
  int predict;           /* a Predict */
} LinesSource;

typedef struct Line {
  const char *at; /* in the text of its file, without its end */
  size_t n_bytes;
  int64_t number; /* in its file, from 1 */
  int file;
  int64_t class;    /* from 1; 0: none */
  int64_t first, n; /* its tokens among all */
} Line;

typedef struct Lines {
  const LinesSource *source;
  Text *texts; /* one for each file */
  int n_files; /* that are read */
  Line *v;
  int64_t n, room;
  Vocabulary *labels; /* names of classes, in the order in which they came */
  int32_t *tokens;    /* of all lines, by number */
  int64_t n_tokens, token_room;
} Lines;

static void lines_deinit(Lines *l) {
  for (int i = 0; i < l->n_files; i++) text_deinit(&l->texts[i]);
  free(l->texts);
  free(l->v);
  free(l->tokens);
  vocabulary_release(l->labels);
}

/* -- read -------------------------------------------------------------------------- */

/* The class of a file, where files are classes: its name in `classes`, else the file's,
 * without ".gz" and ".txt", which no other has. */
static Err class_of_file(Lines *l, int file, int64_t *class, Fault *fault) {
  const LinesSource *s = l->source;
  int64_t n_before = l->labels->tokens.n;
  *class = 0;
  if (s->predict == PREDICT_EACH || s->delimiter || (s->paths.n == 1 && !s->classes.n))
    return ERR_OK;
  const char *name = s->classes.n ? s->classes.v[file] : file_name(s->paths.v[file]);
  size_t n = strlen(name);
  static const char *const ends[] = {".gz", ".txt"};
  for (int i = 0; i < 2 && !s->classes.n; i++) {
    size_t n_end = strlen(ends[i]);
    if (n > n_end && memcmp(name + n - n_end, ends[i], n_end) == 0) n -= n_end;
  }
  Err err = vocabulary_add(l->labels, (Token){name, n}, class, fault);
  if (err || s->classes.n || *class > n_before) return err;
  return fault_set(fault, ERR_VALUE,
                   "another file is called \"%.*s\", too, and each is a class; classes "
                   "= { ... } names them",
                   (int)n, name);
}

/* What is in front of the delimiter is the class of the line, which loses it. */
static Err take_label(Lines *l, Line *line, Fault *fault) {
  const char *delimiter = l->source->delimiter;
  if (!delimiter) return ERR_OK;
  const char *at = memmem(line->at, line->n_bytes, delimiter, strlen(delimiter));
  if (!at || at == line->at)
    return fault_set(fault, ERR_DATA, "line %lld: %s the delimiter \"%s\"",
                     (long long)line->number,
                     at ? "no class in front of"
                        : "has a class and no text, for there "
                          "is not",
                     strcmp(delimiter, "\t") == 0 ? "\\t" : delimiter);
  Token label = {line->at, (size_t)(at - line->at)};
  line->n_bytes -= label.n_bytes + strlen(delimiter);
  line->at = at + strlen(delimiter);
  return vocabulary_add(l->labels, label, &line->class, fault);
}

static bool is_blank(const char *at, size_t n_bytes) {
  Token token;
  return !tokens_next(&(Tokens){at, at + n_bytes, TOKEN_WORDS, 1}, &token);
}

/* Lines that are blank are left out. */
static Err cut_lines(Lines *l, int file, int64_t class, Fault *fault) {
  const Text *text = &l->texts[file];
  const char *end = text->data + text->n_bytes, *next;
  int64_t number = 1, before = l->n;
  Err err = ERR_OK;
  for (const char *at = text->data; at < end && !err; at = next, number++) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    next = stop ? stop + 1 : end;
    if (!stop) stop = end;
    if (stop > at && stop[-1] == '\r') stop--;
    Line line = {at, (size_t)(stop - at), number, file, class, 0, 0};
    if (is_blank(at, line.n_bytes)) continue;
    err = take_label(l, &line, fault);
    if (!err && is_blank(line.at, line.n_bytes))
      err = fault_set(fault, ERR_DATA, "line %lld: has a class and no text",
                      (long long)number);
    if (!err) err = ARRAY_ROOM(l->v, l->room, l->n + 1, fault);
    if (!err) l->v[l->n++] = line;
  }
  if (!err && l->n == before) err = fault_set(fault, ERR_DATA, "has no lines of text");
  return err;
}

/* The lines of the file that is open. */
static Err read_lines(Lines *l, Input *in, Fault *fault) {
  int file = l->n_files++;
  int64_t class;
  Err err = plain_read(in, &l->texts[file], fault);
  if (!err) err = class_of_file(l, file, &class, fault);
  return err ? err : cut_lines(l, file, class, fault);
}

/* -- number ------------------------------------------------------------------------ */

static Err add_tokens(Lines *l, const int32_t *v, int64_t n, Fault *fault) {
  Err err = ARRAY_ROOM(l->tokens, l->token_room, l->n_tokens + n, fault);
  if (err) return err;
  memcpy(l->tokens + l->n_tokens, v, (size_t)n * sizeof *v);
  l->n_tokens += n;
  return ERR_OK;
}

/* One for the start or the end of a line; of no token nothing. */
static Err add_mark(Lines *l, const Vocabulary *v, const char *mark, Fault *fault) {
  int32_t number = (int32_t)vocabulary_find(v, (Token){mark, strlen(mark)});
  if (number) return add_tokens(l, &number, 1, fault);
  return fault_set(fault, ERR_DATA,
                   "the vocabulary has no %s, which predict = \"each\" needs", mark);
}

static Err number_line(Lines *l, const Vocabulary *v, Line *line, Fault *fault) {
  bool each = l->source->predict == PREDICT_EACH;
  int64_t n;
  line->first = l->n_tokens;
  Err err = each ? add_mark(l, v, TOKEN_START, fault) : ERR_OK;
  if (err) return err;
  int32_t *own = vocabulary_encode(v, line->at, line->n_bytes, line->number, &n, fault);
  err = own ? add_tokens(l, own, n, fault) : fault->code;
  free(own);
  if (!err && each) err = add_mark(l, v, TOKEN_END, fault);
  line->n = l->n_tokens - line->first - each; /* the last is a target alone */
  return err;
}

static Err number_lines(Lines *l, Rows *out, Fault *fault) {
  static const char *const marks[] = {TOKEN_START, TOKEN_END, NULL}, *const none[] = {
                                                                         NULL};
  const LinesSource *s = l->source;
  TokenCount count = {.plan = &s->plan};
  Err err = ERR_OK;
  for (int64_t i = 0; i < l->n && !err; i++)
    err = token_count_add(&count, l->v[i].at, l->v[i].n_bytes, fault);
  if (!err)
    out->vocabulary = token_count_end(&count, s->predict == PREDICT_EACH ? marks : none,
                                      fault);
  if (!err && !out->vocabulary) err = ERR_MEMORY;
  for (int64_t i = 0; i < l->n && !err; i++) {
    err = number_line(l, out->vocabulary, &l->v[i], fault);
    if (err) fault_prefix(fault, "%s", s->paths.v[l->v[i].file]);
  }
  token_count_deinit(&count);
  return err;
}

/* -- fill -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of classes; those that lines bring are sorted, and the lines' classes with
 * them. */
static Err name_classes(Lines *l, Rows *out, Fault *fault) {
  const Names *came = &l->labels->tokens;
  Err err = names_copy(&out->class_names, came, fault);
  out->n_classes = came->n;
  if (err || !l->source->delimiter || came->n == 0) return err;
  Names *sorted = &out->class_names;
  qsort(sorted->v, (size_t)sorted->n, sizeof *sorted->v, by_name);
  int64_t *place = malloc((size_t)came->n * sizeof *place);
  if (!place) return fault_memory(fault, (size_t)came->n * sizeof *place);
  for (int64_t i = 0; i < sorted->n; i++) {
    Token name = {sorted->v[i], strlen(sorted->v[i])};
    place[vocabulary_find(l->labels, name) - 1] = i + 1;
  }
  for (int64_t i = 0; i < l->n; i++) l->v[i].class = place[l->v[i].class - 1];
  free(place);
  return ERR_OK;
}

static Err new_rows(const Lines *l, int64_t t, Rows *out, Fault *fault) {
  MemoryCount *memory = l->source->source.memory;
  bool each = l->source->predict == PREDICT_EACH, labelled = l->labels->tokens.n > 0;
  DType dtype = tokens_dtype(out->vocabulary->tokens.n);
  int64_t per_step = (int64_t)dtype_bytes(dtype) + (int64_t)sizeof(real) + each * 4;
  Err err = memory_holds_all(l->n * t, per_step, fault);
  if (err) return err;
  Shape steps = SHAPE_OF(l->n, t), y = each ? steps : SHAPE_OF(l->n);
  out->x = tensor_new(memory, dtype, &steps, fault);
  if (out->x) out->mask = tensor_new(memory, DT_REAL, &steps, fault);
  if (out->mask && (each || labelled))
    out->y = source_zeros(memory, DT_INT32, &y, fault);
  if (!out->mask || ((each || labelled) && !out->y)) return fault->code;
  return ERR_OK;
}

static void put_line(const Lines *l, int64_t i, int64_t t, Rows *out) {
  const LinesSource *s = l->source;
  const Line *line = &l->v[i];
  const int32_t *own = l->tokens + line->first;
  TokenRow row = tokens_put(own, line->n, &out->x->a, out->mask, i, t, s->padding,
                            s->truncate);
  int32_t *y = out->y ? out->y->a.data : NULL;
  if (y && s->predict == PREDICT_CLASS) y[i] = (int32_t)line->class;
  for (int64_t k = 0; y && s->predict == PREDICT_EACH && k < row.n; k++)
    y[i * t + row.step + k] = own[row.from + k + 1];
}

static Err fill(Lines *l, Rows *out, Fault *fault) {
  const LinesSource *s = l->source;
  int64_t t = s->length;
  Err err = s->predict == PREDICT_EACH ? tokens_are_classes(out, fault)
                                       : name_classes(l, out, fault);
  for (int64_t i = 0; i < l->n && !s->length; i++) t = most(t, l->v[i].n);
  if (!err) err = new_rows(l, t, out, fault);
  for (int64_t i = 0; i < l->n && !err; i++) put_line(l, i, t, out);
  return err;
}

/* -- the kind ---------------------------------------------------------------------- */

static Err lines_begin(Lines *l, Source *source, Fault *fault) {
  *l = (Lines){.source = (const LinesSource *)source};
  l->texts = calloc((size_t)l->source->paths.n, sizeof *l->texts);
  l->labels = vocabulary_new(TOKEN_CHARACTERS, false, fault);
  if (l->texts && l->labels) return ERR_OK;
  return fault_memory(fault, (size_t)l->source->paths.n * sizeof *l->texts);
}

static Err lines_end(Lines *l, Rows *out, Fault *fault) {
  Err err = number_lines(l, out, fault);
  return err ? err : fill(l, out, fault);
}

/* Of one file, which is open. */
Err lines_parse(Source *source, Input *in, Rows *out, Fault *fault) {
  Lines l;
  Err err = lines_begin(&l, source, fault);
  if (!err) err = read_lines(&l, in, fault);
  if (!err) err = lines_end(&l, out, fault);
  lines_deinit(&l);
  return err;
}

static Err read_file(Lines *l, const char *path, Fault *fault) {
  Input in;
  Err err = package_check(path, l->source->package, fault);
  if (err) return err;
  err = input_open_packed(&in, path, fault);
  if (!err) err = read_lines(l, &in, fault);
  input_close(&in);
  if (err) fault_prefix(fault, "%s", path);
  return err;
}

static Err lines_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const TextList *paths = &((const LinesSource *)source)->paths;
  Lines l;
  Err err = lines_begin(&l, source, fault);
  for (int i = 0; i < paths->n && !err; i++) err = read_file(&l, paths->v[i], fault);
  if (!err) err = lines_end(&l, out, fault);
  lines_deinit(&l);
  return err;
}

static Err lines_check(Object *object, Fault *fault) {
  const LinesSource *s = (const LinesSource *)object;
  if (s->paths.n == 0)
    return fault_set(fault, ERR_VALUE, "data.lines: option \"path\" is missing");
  if (s->delimiter && !*s->delimiter)
    return fault_set(fault, ERR_VALUE,
                     "data.lines: option \"delimiter\": got \"\", allowed: a text, as "
                     "\"\\t\"");
  if (s->classes.n && s->delimiter)
    return fault_set(fault, ERR_VALUE,
                     "data.lines: option \"classes\": got names, but each line has "
                     "its class in front of the delimiter");
  if (s->classes.n && s->classes.n != s->paths.n)
    return fault_set(fault, ERR_VALUE,
                     "data.lines: option \"classes\": got %d names for %d files, "
                     "allowed: one for each",
                     s->classes.n, s->paths.n);
  return vocabulary_plan_check(&s->plan, "data.lines", fault);
}

static void lines_add_key(const Source *source, Text *out) {
  vocabulary_plan_add_key(&((const LinesSource *)source)->plan, out);
}

static const char *const predict_names[] = {
    [PREDICT_CLASS] = "class", [PREDICT_EACH] = "each", NULL};

#define AT(field) .offset = offsetof(LinesSource, field)

static const Option lines_options[] = {
    {.name = "path", .kind = OPT_TEXTS, AT(paths), .position = 1,
     .doc = "text file in UTF-8, plain or gzipped, or a list of them, of which each is "
            "a class"},
    {.name = "classes", .kind = OPT_TEXTS, AT(classes),
     .doc = "names of the files' classes, one for each; files of one name are one "
            "class. Not given: the names of the files, which then differ"},
    {.name = "delimiter", .kind = OPT_TEXT, AT(delimiter), .value = "none",
     .alias = "sep",
     .doc = "what is in front of it is the class of a line, what is behind it the "
            "text: \"\\t\". Classes are sorted by name"},
    {.name = "length", .kind = OPT_INT, AT(length), .value = "0", .lo = 0, .hi = 1e6,
     .alias = "max_length output_sequence_length maxlen",
     .doc = "steps of a row; 0: those of the longest line"},
    SIDE_OPTIONS(LinesSource, "lines"),
    {.name = "predict", .kind = OPT_CHOICE, AT(predict), .value = "class",
     .choices = predict_names,
     .doc = "class: y is the class of the line, [n]. each: at each step the token "
            "after it, [n, length], for a language model: x begins with <start>, and "
            "the last target is <end>"},
    VOCABULARY_OPTIONS(LinesSource, plan, "true"),
    PACKAGE_OPTION(LinesSource, package),
    {0}};

const SourceKind dataset_lines = {
    .kind = {.name = "lines",
             .family = &dataset_family,
             .size = sizeof(LinesSource),
             .options = lines_options,
             .check = lines_check,
             .deinit = source_deinit,
             .call = "data.lines({ \"en.txt\", \"de.txt\" }, { length = 20 })",
             .doc = "Lines of text, each an example: names, words, sentences. x are "
                    "the numbers of their characters or words, [length], 0 where a "
                    "line is shorter, and the set has a mask; nn.Embedding takes x as "
                    "it is. set.vocabulary makes numbers of texts and texts of "
                    "numbers."},
    .add_key = lines_add_key,
    .load = lines_load};
