/* query.c: questions to the index; see query.h.
 *
 * A query becomes one SQL statement; what the user typed only ever gets into it as a
 * bound value. A key becomes an expression: a column of `trial`, or a look into
 * `field`. */
#include "lab/query.h"
#include "base/text.h"
#include "lab/index_private.h"
#include "lab/names.h"
#include "lab/stat_sample.h"
#include "lab/trial.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- a statement in the making ----------------------------------------------------- */

/* Each value of a filter as number and as text, each term's kind and key; a few
 * besides: of experiment, metric, sort. */
enum { BINDS = FILTER_TERMS * (2 * FILTER_VALUES + 2) + 16 };

typedef struct Bind {
  const char *text; /* borrowed; NULL: the number */
  double number;
} Bind;

typedef struct Sql {
  Text text;
  Bind bind[BINDS];
  int n_binds;
} Sql;

/* Adds a "?" for the value. */
static void add_any(Sql *sql, Bind value) {
  must(sql->n_binds < BINDS);
  text_add(&sql->text, "?");
  sql->bind[sql->n_binds++] = value;
}

static void add_bind(Sql *sql, const char *value) {
  add_any(sql, (Bind){.text = value});
}

static void add_number(Sql *sql, double value) {
  add_any(sql, (Bind){.number = value});
}

static sqlite3_stmt *prepare(Index *index, const Sql *sql, Fault *fault) {
  if (sql->text.failed) {
    fault_memory(fault, sql->text.n_bytes);
    return NULL;
  }
  sqlite3_stmt *s = index_prepare(index, sql->text.data, fault);
  for (int i = 0; s && i < sql->n_binds; i++) {
    const Bind *bind = &sql->bind[i];
    if (bind->text) sqlite3_bind_text(s, i + 1, bind->text, -1, SQLITE_STATIC);
    else sqlite3_bind_double(s, i + 1, bind->number);
  }
  return s;
}

/* -- keys -------------------------------------------------------------------------- */

typedef enum FactType {
  FACT_NUMBER, FACT_TEXT, FACT_TIME, FACT_STATE, FACT_PURPOSE
} FactType;

static const struct Fact { const char *name; FactType type; } facts[] = {
    {"experiment", FACT_TEXT}, {"id", FACT_TEXT},          {"cell", FACT_TEXT},
    {"seed", FACT_NUMBER},     {"purpose", FACT_PURPOSE},  {"state", FACT_STATE},
    {"attempts", FACT_NUMBER}, {"seconds", FACT_NUMBER},   {"started", FACT_TIME},
    {"digest", FACT_TEXT},     {"fingerprint", FACT_TEXT}, {"message", FACT_TEXT}};

enum { N_FACTS = sizeof facts / sizeof *facts, KEY_NAMES = 1024 };

static const char *const kinds[] = {"factors", "args", "values"};

/* What a key stands for: a fact, or a field. */
typedef struct KeyRef {
  const struct Fact *fact;
  const char *kind, *key; /* key is borrowed from the names */
} KeyRef;

/* Everything that a query may be given; what it has no use for is 0. */
typedef struct Question {
  const Query *query;
  const char *experiment, *start;
  int64_t *n_all;
} Question;

typedef Err Answer(Index *index, const Question *question, Json **out, Fault *fault);

/* The answer, new. Where the index turns out to be of no use, that of the one built
 * instead: half an answer is none. */
static Err ask(Index *index, Answer *answer, const Question *question, Json **out,
               Fault *fault) {
  *out = NULL;
  while (answer(index, question, out, fault)) {
    json_free(*out);
    *out = NULL;
    if (index_renew(index, NULL, fault)) break;
  }
  return fault->code;
}

static Err names_of(Index *index, const char *experiment, Json **out, Fault *fault) {
  Sql sql = {0};
  text_add(&sql.text, "SELECT DISTINCT kind, key FROM name");
  if (experiment) {
    text_add(&sql.text, " WHERE experiment = ");
    add_bind(&sql, experiment);
  }
  text_add(&sql.text,
           " ORDER BY CASE kind WHEN 'factors' THEN 0 WHEN 'args' THEN 1 ELSE 2 END,"
           " CASE kind WHEN 'factors' THEN place ELSE 0 END, key");
  sqlite3_stmt *s = prepare(index, &sql, fault);
  Json *names = json_list();
  while (index_next(index, s, fault)) {
    Json *name = json_map();
    json_put_text(name, "kind", index_text(s, 0));
    json_put_text(name, "key", index_text(s, 1));
    json_push(names, name);
  }
  sqlite3_finalize(s);
  text_deinit(&sql.text);
  *out = names;
  return fault->code;
}

static Err answer_names(Index *index, const Question *question, Json **out,
                        Fault *fault) {
  return names_of(index, question->experiment, out, fault);
}

Err query_names(Index *index, const char *experiment, Json **out, Fault *fault) {
  return ask(index, answer_names, &(Question){.experiment = experiment}, out, fault);
}

static bool is_kind(const Json *name, const char *kind) {
  return !kind || strcmp(json_text(name, "kind"), kind) == 0;
}

/* Says which keys there are, of that kind (NULL: all, and facts), or the nearest. */
static Err unknown_key(const Json *names, const char *kind, const char *key,
                       Fault *fault) {
  const char *all[KEY_NAMES], *what = kind ? "value" : "key";
  int n = 0;
  for (int i = 0; !kind && i < N_FACTS; i++) all[n++] = facts[i].name;
  for (int64_t i = 0; i < json_count(names) && n < KEY_NAMES; i++)
    if (is_kind(json_item(names, i), kind))
      all[n++] = json_text(json_item(names, i), "key");
  const char *nearest = text_nearest(key, all, n);
  if (nearest)
    return fault_set(fault, ERR_USAGE, "unknown %s \"%s\"; did you mean \"%s\"?", what,
                     key, nearest);
  if (n == 0)
    return fault_set(fault, ERR_USAGE, "unknown %s \"%s\"; there is none", what, key);
  fault_set(fault, ERR_USAGE, "unknown %s \"%s\"; there are:", what, key);
  for (int i = 0; i < n; i++) {
    size_t at = strlen(fault->text);
    snprintf(fault->text + at, sizeof fault->text - at, " %s", all[i]);
  }
  return fault->code;
}

/* Of that kind; NULL: the first of any. */
static Err find_field(const Json *names, const char *kind, const char *key, KeyRef *out,
                      Fault *fault) {
  for (int64_t i = 0; i < json_count(names); i++) {
    const Json *field = json_item(names, i);
    if (!is_kind(field, kind)) continue;
    const char *its_kind = json_text(field, "kind"), *name = json_text(field, "key");
    size_t n_kind = strlen(its_kind);
    bool whole = strncmp(key, its_kind, n_kind) == 0 && key[n_kind] == '.' &&
                 strcmp(key + n_kind + 1, name) == 0;
    if (!whole && strcmp(key, name) != 0) continue;
    *out = (KeyRef){.kind = its_kind, .key = name};
    return ERR_OK;
  }
  return unknown_key(names, kind, key, fault);
}

static const struct Fact *find_fact(const char *key) {
  for (int i = 0; i < N_FACTS; i++)
    if (strcmp(facts[i].name, key) == 0) return &facts[i];
  return NULL;
}

bool query_is_fact(const char *key) { return find_fact(key) != NULL; }

static Err find_key(const Json *names, const char *key, KeyRef *out, Fault *fault) {
  *out = (KeyRef){.fact = find_fact(key)};
  return out->fact ? ERR_OK : find_field(names, NULL, key, out, fault);
}

/* -- conditions -------------------------------------------------------------------- */

/* As the fields were read: SQLite's own CAST knows neither inf nor hexadecimal. "50%"
 * is 0.5, as compare tells what is recorded as a share. */
static bool read_number(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  if (end != text && *end == '%' && !end[1]) {
    *out /= 100;
    end++;
  }
  return end != text && !*end && !isnan(*out);
}

/* All values that a fact may have; 0: there is no list of them. */
static int allowed_values(FactType type, const char *out[TRIAL_STATES]) {
  static const char *const purposes[] = {"report", "tuning"};
  if (type == FACT_PURPOSE) memcpy(out, purposes, sizeof purposes);
  for (int i = 0; type == FACT_STATE && i < TRIAL_STATES; i++)
    out[i] = trial_state_name((TrialState)i);
  return type == FACT_STATE ? TRIAL_STATES : type == FACT_PURPOSE ? 2 : 0;
}

static Err check_allowed(const FilterTerm *term, FactType type, const char *value,
                         Fault *fault) {
  const char *names[TRIAL_STATES];
  char list[256] = "";
  int n = allowed_values(type, names);
  for (int i = 0; i < n; i++) {
    if (strcmp(value, names[i]) == 0) return ERR_OK;
    size_t at = strlen(list);
    snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", names[i]);
  }
  if (n == 0) return ERR_OK;
  const char *nearest = text_nearest(value, names, n);
  return fault_set(fault, ERR_USAGE, "%s: no %s is called \"%s\"; allowed: %s%s%s%s",
                   term->word, term->key, value, list,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

static Err check_values(const FilterTerm *term, const KeyRef *key, Fault *fault) {
  FactType type = key->fact ? key->fact->type : FACT_NUMBER;
  bool ordered = term->op != FILTER_EQ && term->op != FILTER_NE;
  if (ordered && type != FACT_NUMBER && type != FACT_TIME)
    return fault_set(fault, ERR_USAGE, "%s: allowed for %s: = and !=", term->word,
                     term->key);
  for (int i = 0; i < term->n_values; i++) {
    double number;
    const char *value = term->values[i];
    if (type == FACT_NUMBER && (ordered || key->fact) && !read_number(value, &number))
      return fault_set(fault, ERR_USAGE, "%s: got \"%s\", allowed: a number",
                       term->word, value);
    if (check_allowed(term, type, value, fault)) return fault->code;
  }
  return ERR_OK;
}

/* The value's comparison with a column of numbers, of texts, or of both. */
static void add_comparison(Sql *sql, const char *number, const char *text, FilterOp op,
                           const char *value) {
  const char *name = filter_op_name(op == FILTER_NE ? FILTER_EQ : op);
  double parsed;
  bool numeric = number && read_number(value, &parsed);
  bool textual = text && (op == FILTER_EQ || op == FILTER_NE || !number);
  text_add(&sql->text, "(");
  if (numeric) {
    text_addf(&sql->text, "%s %s ", number, name);
    add_number(sql, parsed);
  }
  if (numeric && textual) text_add(&sql->text, " OR ");
  if (textual) {
    text_addf(&sql->text, "%s %s ", text, name);
    add_bind(sql, value);
  }
  if (!numeric && !textual) text_add(&sql->text, "0");
  text_add(&sql->text, ")");
}

static void add_term(Sql *sql, const FilterTerm *term, const KeyRef *key) {
  const char *number = NULL, *text = NULL;
  if (key->fact) {
    if (key->fact->type == FACT_NUMBER) number = key->fact->name;
    else text = key->fact->name;
    text_addf(&sql->text, " AND %s IS NOT NULL AND %s(", key->fact->name,
              term->op == FILTER_NE ? "NOT " : "");
  } else {
    number = "f.number";
    text = "f.text";
    text_add(&sql->text,
             " AND EXISTS(SELECT 1 FROM field f WHERE f.trial = t.number AND f.kind = "
             "");
    add_bind(sql, key->kind);
    text_add(&sql->text, " AND f.key = ");
    add_bind(sql, key->key);
    text_addf(&sql->text, " AND %s(", term->op == FILTER_NE ? "NOT " : "");
  }
  for (int i = 0; i < term->n_values; i++) {
    if (i > 0) text_add(&sql->text, " OR ");
    add_comparison(sql, number, text, term->op, term->values[i]);
  }
  text_add(&sql->text, key->fact ? ")" : "))");
}

/* " FROM trial t WHERE ..." */
static Err add_where(Sql *sql, const Query *query, const Json *names, Fault *fault) {
  text_add(&sql->text, " FROM trial t WHERE 1");
  if (query->experiment) {
    text_add(&sql->text, " AND t.experiment = ");
    add_bind(sql, query->experiment);
  }
  if (!query->all) text_add(&sql->text, " AND t.belongs");
  for (int i = 0; i < query->filter.n; i++) {
    KeyRef key;
    const FilterTerm *term = &query->filter.v[i];
    Err err = find_key(names, term->key, &key, fault);
    if (!err) err = check_values(term, &key, fault);
    if (err) return err;
    add_term(sql, term, &key);
  }
  return ERR_OK;
}

/* Numbers before texts, what is not there last. */
static Err add_order(Sql *sql, const Query *query, const Json *names, Fault *fault) {
  KeyRef key = {0};
  text_add(&sql->text, " ORDER BY ");
  if (query->sort) {
    const char *direction = query->sort[0] == '-' ? "DESC" : "ASC";
    if (find_key(names, query->sort + (query->sort[0] == '-'), &key, fault))
      return fault->code;
    if (key.fact) {
      text_addf(&sql->text, "t.%s %s NULLS LAST, ", key.fact->name, direction);
    } else {
      static const char *const columns[] = {"number", "text"};
      for (int i = 0; i < 2; i++) {
        text_addf(&sql->text,
                  "(SELECT f.%s FROM field f WHERE f.trial = t.number AND f.kind = ",
                  columns[i]);
        add_bind(sql, key.kind);
        text_add(&sql->text, " AND f.key = ");
        add_bind(sql, key.key);
        text_addf(&sql->text, ") %s NULLS LAST, ", direction);
      }
    }
  }
  text_add(&sql->text,
           "t.experiment, t.path NOT LIKE '%/trials/%', t.purpose = 'tuning', CASE "
           "WHEN t.cell = '' THEN t.id END, t.number");
  return ERR_OK;
}

/* -- trials ------------------------------------------------------------------------ */

#define TRIAL_COLUMNS                                                                  \
  "t.number, t.experiment, t.id, t.path, t.seed, t.state, t.attempts, t.seconds, "     \
  "t.started, t.digest, t.fingerprint, t.message, t.purpose, t.belongs"

static Json *parsed(const char *text) {
  Fault ignored = {0};
  Json *json = json_parse(text, strlen(text), &ignored);
  return json ? json : json_map();
}

static Json *field_value(sqlite3_stmt *s) {
  const char *text = index_text(s, 4);
  Json *holder = json_map();
  switch ((JsonKind)sqlite3_column_int(s, 2)) {
  case JSON_KIND_INT: json_put_int(holder, "v", strtoll(text, NULL, 10)); break;
  case JSON_KIND_NUMBER:
    json_put_number(holder, "v", sqlite3_column_double(s, 3));
    break;
  case JSON_KIND_TEXT: json_put_text(holder, "v", text); break;
  case JSON_KIND_BOOL: json_put_bool(holder, "v", strcmp(text, "true") == 0); break;
  case JSON_KIND_NULL: json_put_text(holder, "v", NULL); break;
  default: json_put(holder, "v", parsed(text)); break;
  }
  Json *value = json_share(json_find(holder, "v"));
  json_free(holder);
  return value;
}

/* All fields of the trial that is its parameter. */
static sqlite3_stmt *prepare_fields(Index *index, Fault *fault) {
  return index_prepare(index,
                       "SELECT kind, key, type, number, text FROM field WHERE trial = "
                       "?",
                       fault);
}

/* Puts factors, args and values, by a statement of prepare_fields. */
static void put_fields(Index *index, Json *row, int64_t trial, sqlite3_stmt *fields,
                       Fault *fault) {
  Json *map[3];
  for (int k = 0; k < 3; k++) map[k] = json_map();
  sqlite3_bind_int64(fields, 1, trial);
  while (index_next(index, fields, fault)) {
    const char *kind = index_text(fields, 0);
    for (int k = 0; k < 3; k++)
      if (strcmp(kind, kinds[k]) == 0)
        json_put(map[k], index_text(fields, 1), field_value(fields));
  }
  sqlite3_reset(fields);
  for (int k = 0; k < 3; k++) json_put(row, kinds[k], map[k]);
}

static void put_column(Json *row, sqlite3_stmt *s, int column, const char *key) {
  switch (sqlite3_column_type(s, column)) {
  case SQLITE_INTEGER: json_put_int(row, key, sqlite3_column_int64(s, column)); break;
  case SQLITE_FLOAT: json_put_number(row, key, sqlite3_column_double(s, column)); break;
  case SQLITE_TEXT: json_put_text(row, key, index_text(s, column));
  default: break;
  }
}

/* Where it is follows from its names: what the file of the index says may be
 * anybody's. */
static void put_path(Json *row) {
  const char *experiment = "", *id = "";
  Text path = {0};
  json_get_text(json_find(row, "experiment"), &experiment);
  json_get_text(json_find(row, "id"), &id);
  text_addf(&path, name_is_run(id) ? "%s/%s" : "%s/trials/%s", experiment, id);
  json_put_text(row, "path", path.data);
  text_deinit(&path);
}

static Json *trial_row_json(Index *index, sqlite3_stmt *s, sqlite3_stmt *fields,
                            Fault *fault) {
  static const char *const keys[] = {"experiment", "id", "path", "seed", "state",
                                     "attempts",
                                     "seconds", "started", "digest", "fingerprint",
                                     "message", "purpose"};
  Json *row = json_map();
  for (int i = 0; i < 12; i++) put_column(row, s, i + 1, keys[i]);
  put_path(row);
  json_put_bool(row, "belongs", sqlite3_column_int(s, 13) != 0);
  put_fields(index, row, sqlite3_column_int64(s, 0), fields, fault);
  return row;
}

/* Runs a statement that selects TRIAL_COLUMNS. */
static Err collect(Index *index, const Sql *sql, Json **out, Fault *fault) {
  sqlite3_stmt *s = prepare(index, sql, fault);
  sqlite3_stmt *fields = prepare_fields(index, fault);
  Json *rows = json_list();
  while (index_next(index, s, fault))
    json_push(rows, trial_row_json(index, s, fields, fault));
  sqlite3_finalize(s);
  sqlite3_finalize(fields);
  *out = rows;
  return fault->code;
}

static Err count_all(Index *index, const Query *query, const Json *names,
                     const char *what, int64_t *out, Fault *fault) {
  Sql sql = {0};
  text_addf(&sql.text, "SELECT %s", what);
  Err err = add_where(&sql, query, names, fault);
  sqlite3_stmt *s = err ? NULL : prepare(index, &sql, fault);
  *out = 0;
  if (index_next(index, s, fault)) *out = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  text_deinit(&sql.text);
  return fault->code;
}

static void add_limit(Sql *sql, const Query *query) {
  if (query->limit > 0) text_addf(&sql->text, " LIMIT %ld", query->limit);
}

static Err answer_trials(Index *index, const Question *question, Json **out,
                         Fault *fault) {
  const Query *query = question->query;
  Json *names = NULL;
  Sql sql = {0};
  Err err = names_of(index, query->experiment, &names, fault);
  text_add(&sql.text, "SELECT " TRIAL_COLUMNS);
  if (!err) err = add_where(&sql, query, names, fault);
  if (!err) err = add_order(&sql, query, names, fault);
  add_limit(&sql, query);
  if (!err) err = collect(index, &sql, out, fault);
  if (!err && query->limit > 0)
    err = count_all(index, query, names, "count(*)", question->n_all, fault);
  else if (!err) *question->n_all = json_count(*out);
  text_deinit(&sql.text);
  json_free(names);
  return err;
}

Err query_trials(Index *index, const Query *query, Json **out, int64_t *n_all,
                 Fault *fault) {
  return ask(index, answer_trials, &(Question){.query = query, .n_all = n_all}, out,
             fault);
}

/* -- filters that fit nothing ------------------------------------------------------ */

/* "SELECT <what>" of the field among the trials of the query, its filter aside. */
static Err add_field(Sql *sql, const char *what, const Query *query, const KeyRef *key,
                     Fault *fault) {
  Query all = *query;
  all.filter.n = 0;
  text_addf(&sql->text, "SELECT %s FROM field f JOIN (SELECT t.number AS trial", what);
  Err err = add_where(sql, &all, NULL, fault);
  text_add(&sql->text, ") c ON c.trial = f.trial WHERE f.kind = ");
  add_bind(sql, key->kind);
  text_add(&sql->text, " AND f.key = ");
  add_bind(sql, key->key);
  return err;
}

/* Puts the levels of the field among the trials of the query, its filter aside: each
 * once, as planned. *numbers: is one of them a number? */
static Err put_levels(Index *index, const Query *query, const KeyRef *key, Json *row,
                      bool *numbers, Fault *fault) {
  Sql sql = {0};
  Json *levels = json_list();
  Err err = add_field(&sql, "f.text, max(f.number IS NOT NULL)", query, key, fault);
  text_add(&sql.text, " GROUP BY f.text ORDER BY min(f.trial)");
  sqlite3_stmt *s = err ? NULL : prepare(index, &sql, fault);
  *numbers = false;
  while (index_next(index, s, fault)) {
    json_push_text(levels, index_text(s, 0));
    *numbers |= sqlite3_column_int(s, 1) != 0;
  }
  sqlite3_finalize(s);
  text_deinit(&sql.text);
  json_put(row, "levels", levels);
  return fault->code;
}

static bool is_a_value(const Json *names, const char *key) {
  for (int64_t i = 0; i < json_count(names); i++)
    if (is_kind(json_item(names, i), "values") &&
        strcmp(json_text(json_item(names, i), "key"), key) == 0)
      return true;
  return false;
}

/* Puts the least and the greatest number of the field among the trials of the query,
 * its filter aside; nothing where there is none. */
static Err put_range(Index *index, const Query *query, const KeyRef *key, Json *row,
                     Fault *fault) {
  Sql sql = {0};
  Err err = add_field(&sql, "min(f.number), max(f.number)", query, key, fault);
  sqlite3_stmt *s = err ? NULL : prepare(index, &sql, fault);
  if (index_next(index, s, fault)) {
    put_column(row, s, 0, "low");
    put_column(row, s, 1, "high");
  }
  sqlite3_finalize(s);
  text_deinit(&sql.text);
  return fault->code;
}

/* Adds the term with that number to the misses, if it is one. */
static Err add_miss(Index *index, const Query *query, const Json *names, int term,
                    Json *misses, Fault *fault) {
  Query alone = *query;
  KeyRef key;
  int64_t n;
  bool numbers;
  alone.filter = (Filter){.v = &query->filter.v[term], .n = 1};
  if (find_key(names, alone.filter.v->key, &key, fault)) return fault->code;
  if (key.fact) return ERR_OK;
  if (count_all(index, &alone, names, "count(*)", &n, fault) || n) return fault->code;
  Json *row = json_map();
  FilterOp op = alone.filter.v->op;
  json_put_int(row, "term", term);
  json_put_text(row, "key", key.key);
  json_push(misses, row);
  if (strcmp(key.kind, "values") == 0) return put_range(index, query, &key, row, fault);
  Err err = put_levels(index, query, &key, row, &numbers, fault);
  json_put_bool(row, "value",
                op != FILTER_EQ && op != FILTER_NE && !numbers &&
                    is_a_value(names, key.key));
  return err;
}

static Err answer_misses(Index *index, const Question *question, Json **out,
                         Fault *fault) {
  const Query *query = question->query;
  Json *names = NULL;
  Err err = names_of(index, query->experiment, &names, fault);
  *out = json_list();
  for (int i = 0; !err && i < query->filter.n; i++)
    err = add_miss(index, query, names, i, *out, fault);
  json_free(names);
  return err;
}

Err query_misses(Index *index, const Query *query, Json **out, Fault *fault) {
  return ask(index, answer_misses, &(Question){.query = query}, out, fault);
}

static Err answer_starting(Index *index, const Question *question, Json **out,
                           Fault *fault) {
  const char *experiment = question->experiment, *start = question->start;
  Sql sql = {0};
  text_add(&sql.text,
           "SELECT " TRIAL_COLUMNS " FROM trial t WHERE substr(t.id, 1, length(");
  add_bind(&sql, start);
  text_add(&sql.text, ")) = ");
  add_bind(&sql, start);
  if (experiment) {
    text_add(&sql.text, " AND t.experiment = ");
    add_bind(&sql, experiment);
  }
  text_add(&sql.text, " ORDER BY t.id <> ");
  add_bind(&sql, start);
  text_add(&sql.text, ", t.experiment, t.number");
  Err err = collect(index, &sql, out, fault);
  text_deinit(&sql.text);
  return err;
}

Err query_starting(Index *index, const char *experiment, const char *start, Json **out,
                   Fault *fault) {
  return ask(index, answer_starting,
             &(Question){.experiment = experiment, .start = start}, out, fault);
}

/* -- cells and entries ------------------------------------------------------------- */

/* ", sum(t.state = 'pending') ..." for every state. */
static void add_state_counts(Text *text) {
  for (int i = 0; i < TRIAL_STATES; i++)
    text_addf(text, ", sum(t.state = '%s')", trial_state_name((TrialState)i));
}

/* Of the states that occur; `column` is the first of the counts. */
static void put_state_counts(Json *row, sqlite3_stmt *s, int column) {
  for (int i = 0; i < TRIAL_STATES; i++) {
    int64_t n = sqlite3_column_int64(s, column + i);
    if (n > 0) json_put_int(row, trial_state_name((TrialState)i), n);
  }
}

/* The metric of a complete trial, else NULL. */
static void add_metric(Sql *sql, const KeyRef *metric) {
  if (!metric->kind) {
    text_add(&sql->text, "NULL");
    return;
  }
  text_add(&sql->text, "(SELECT f.number FROM field f WHERE f.trial = t.number AND "
                       "t.state = 'complete' AND f.kind = ");
  add_bind(sql, metric->kind);
  text_add(&sql->text, " AND f.key = ");
  add_bind(sql, metric->key);
  text_add(&sql->text, ")");
}

/* One row per cell. All its numbers are of the same trials, those that are asked for;
 * the squares are of the distances from the mean, which each trial is given first. */
static Err add_cells(Sql *sql, const Query *query, const KeyRef *metric,
                     const Json *names, Fault *fault) {
  text_add(&sql->text, "WITH chosen AS (SELECT t.*, ");
  add_metric(sql, metric);
  text_add(&sql->text, " AS value");
  Err err = add_where(sql, query, names, fault);
  text_add(&sql->text,
           " AND t.cell <> '') SELECT min(number) AS first, experiment, cell, purpose, "
           "count(*), count(value), mean, sum((value - mean) * (value - mean)), "
           "min(value), max(value)");
  add_state_counts(&sql->text);
  text_add(&sql->text,
           " FROM (SELECT *, avg(value) OVER (PARTITION BY experiment, cell, purpose) "
           "AS mean FROM chosen) t GROUP BY experiment, cell, purpose");
  return err;
}

/* Of an infinite mean there is no sd. Where values differ by rounding only the sums
 * hold a trace of it, which is no spread (stat_sample.h). */
static void put_moments(Json *row, sqlite3_stmt *s, int column) {
  int64_t n = sqlite3_column_int64(s, column);
  double squares = sqlite3_column_double(s, column + 2);
  double low = sqlite3_column_double(s, column + 3),
         high = sqlite3_column_double(s, column + 4);
  bool alike = high - low <= STAT_ROUNDING * (fabs(low) + fabs(high));
  json_put_int(row, "n", n);
  if (n > 0 && low == high) json_put_number(row, "mean", low);
  else put_column(row, s, column + 1, "mean");
  if (n > 1 && isfinite(sqlite3_column_double(s, column + 1)))
    json_put_number(row, "sd", alike ? 0 : sqrt(squares / (double)(n - 1)));
}

static Json *cell_row(Index *index, sqlite3_stmt *s, sqlite3_stmt *fields,
                      bool has_metric, Fault *fault) {
  static const char *const keys[] = {"experiment", "cell", "purpose", "trials"};
  Json *row = json_map();
  for (int i = 0; i < 4; i++) put_column(row, s, i + 1, keys[i]);
  put_fields(index, row, sqlite3_column_int64(s, 0), fields, fault);
  json_put(row, "values", json_map()); /* those of one trial stand for nothing here */
  if (has_metric) put_moments(row, s, 5);
  put_state_counts(row, s, 10);
  return row;
}

static Err collect_cells(Index *index, const Sql *sql, bool has_metric, Json **out,
                         Fault *fault) {
  sqlite3_stmt *s = prepare(index, sql, fault);
  sqlite3_stmt *fields = prepare_fields(index, fault);
  Json *rows = json_list();
  while (index_next(index, s, fault))
    json_push(rows, cell_row(index, s, fields, has_metric, fault));
  sqlite3_finalize(s);
  sqlite3_finalize(fields);
  *out = rows;
  return fault->code;
}

static Err add_cell_order(Sql *sql, const Query *query, Fault *fault) {
  const char *sort = query->sort ? query->sort : "";
  bool down = sort[0] == '-';
  if (*sort && strcmp(sort + down, "mean") != 0)
    return fault_set(fault, ERR_USAGE,
                     "cells are sorted by mean or -mean, or as planned; got \"%s\"",
                     sort);
  text_add(&sql->text, " ORDER BY ");
  if (*sort) text_addf(&sql->text, "mean %s NULLS LAST, ", down ? "DESC" : "ASC");
  text_add(&sql->text, "experiment, purpose = 'tuning', first");
  add_limit(sql, query);
  return ERR_OK;
}

static Err answer_cells(Index *index, const Question *question, Json **out,
                        Fault *fault) {
  const Query *query = question->query;
  Json *names = NULL;
  KeyRef metric = {0};
  Sql sql = {0};
  Err err = names_of(index, query->experiment, &names, fault);
  if (!err && query->metric)
    err = find_field(names, "values", query->metric, &metric, fault);
  if (!err) err = add_cells(&sql, query, &metric, names, fault);
  if (!err) err = add_cell_order(&sql, query, fault);
  if (!err) err = collect_cells(index, &sql, metric.kind, out, fault);
  if (!err && query->limit > 0)
    err = count_all(index, query, names,
                    "count(DISTINCT CASE WHEN t.cell <> '' THEN t.experiment || '/' || "
                    "t.cell || t.purpose END)",
                    question->n_all, fault);
  else if (!err) *question->n_all = json_count(*out);
  text_deinit(&sql.text);
  json_free(names);
  return err;
}

Err query_cells(Index *index, const Query *query, Json **out, int64_t *n_all,
                Fault *fault) {
  return ask(index, answer_cells, &(Question){.query = query, .n_all = n_all}, out,
             fault);
}

static Json *entry_row(sqlite3_stmt *s) {
  Json *row = json_map();
  json_put_text(row, "experiment", index_text(s, 0));
  json_put_text(row, "kind", sqlite3_column_int(s, 1) ? "study" : "runs");
  json_put_int(row, "trials", sqlite3_column_int64(s, 2));
  put_state_counts(row, s, 5);
  if (sqlite3_column_int64(s, 3))
    json_put_int(row, "others", sqlite3_column_int64(s, 3));
  put_column(row, s, 4, "last");
  return row;
}

static Err answer_entries(Index *index, const Question *question, Json **out,
                          Fault *fault) {
  const Query *query = question->query;
  Json *names = NULL;
  Sql sql = {0};
  Err err = names_of(index, query->experiment, &names, fault);
  text_add(&sql.text, "SELECT t.experiment, t.cell <> '' AS study, sum(t.belongs), "
                      "sum(NOT t.belongs), max(t.started)");
  for (int i = 0; i < TRIAL_STATES; i++)
    text_addf(&sql.text, ", sum(t.belongs AND t.state = '%s')",
              trial_state_name((TrialState)i));
  Query whole = *query;
  whole.all = true;
  if (!err) err = add_where(&sql, &whole, names, fault);
  text_add(&sql.text, " GROUP BY 1, 2 ORDER BY 1, 2 DESC");
  sqlite3_stmt *s = err ? NULL : prepare(index, &sql, fault);
  Json *rows = json_list();
  while (index_next(index, s, fault)) json_push(rows, entry_row(s));
  sqlite3_finalize(s);
  text_deinit(&sql.text);
  json_free(names);
  *out = rows;
  return fault->code;
}

Err query_entries(Index *index, const Query *query, Json **out, Fault *fault) {
  return ask(index, answer_entries, &(Question){.query = query}, out, fault);
}
