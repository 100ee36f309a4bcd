/* query.c: questions to the index; see query.h.
 *
 * A question becomes one SQL statement, and each row that it gives a map: a key for
 * each column that is not NULL. What the user typed gets into the statement quoted by
 * SQLite (%Q), or as a bound number. A key becomes an expression: a column of `trial`,
 * or a look into `field`. */
#include "lab/query.h"
#include "base/text.h"
#include "lab/index_private.h"
#include "lab/level.h"
#include "lab/stat.h"
#include "lab/trial.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Ask {
  Index *index;
  const Query *query;
  Fault *fault;     /* of the first that fails: nothing is asked after it */
  Json *names;      /* of all fields, as QUERY_NAMES gives them */
  sqlite3_str *sql; /* the statement in the making; NULL: none is begun */
  double number[FILTER_TERMS * FILTER_VALUES]; /* in place of its "?" */
  int n_numbers;
  sqlite3_stmt *fields; /* those of a trial; NULL: not prepared yet */
  int64_t n_all;        /* of the last statement: rows without its limit */
} Ask;

/* -- a statement and its rows ------------------------------------------------------ */

/* In the format of sqlite3_mprintf. */
static void add(Ask *ask, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (!ask->sql) ask->sql = sqlite3_str_new(ask->index->db);
  sqlite3_str_vappendf(ask->sql, format, args);
  va_end(args);
}

static void put_field(Json *map, const char *key, sqlite3_stmt *s) {
  Fault ignored = {0};
  const char *text = index_text(s, 4);
  Json *parsed;
  switch ((JsonKind)sqlite3_column_int(s, 2)) {
  case JSON_KIND_INT: json_put_int(map, key, strtoll(text, NULL, 10)); break;
  case JSON_KIND_NUMBER: json_put_number(map, key, sqlite3_column_double(s, 3)); break;
  case JSON_KIND_TEXT: json_put_text(map, key, text); break;
  default:
    parsed = json_parse(text, strlen(text), &ignored);
    json_put(map, key, parsed ? parsed : json_map());
  }
}

/* The trial's maps. */
static void put_fields(Ask *ask, Json *row, int64_t trial) {
  int n = ask->query->whole ? INDEX_KINDS : INDEX_NAMED;
  if (!ask->fields)
    ask->fields = index_prepare(ask->index,
                                "SELECT kind, key, type, number, text FROM field "
                                "WHERE trial = ?",
                                ask->fault);
  for (int k = 0; k < n; k++) json_put(row, index_kinds[k], json_map());
  sqlite3_bind_int64(ask->fields, 1, trial);
  while (index_next(ask->index, ask->fields, ask->fault)) {
    Json *map = json_find(row, index_text(ask->fields, 0));
    if (map && json_kind(map) == JSON_KIND_MAP)
      put_field(map, index_text(ask->fields, 1), ask->fields);
  }
  sqlite3_reset(ask->fields);
}

static void put_column(Json *row, sqlite3_stmt *s, int column, const char *key) {
  switch (sqlite3_column_type(s, column)) {
  case SQLITE_INTEGER: json_put_int(row, key, sqlite3_column_int64(s, column)); break;
  case SQLITE_FLOAT: json_put_number(row, key, sqlite3_column_double(s, column)); break;
  case SQLITE_TEXT: json_put_text(row, key, index_text(s, column)); break;
  default: break;
  }
}

/* In place of the column "number" come the maps of that trial; "n_all" is no part of a
 * row.
 */
static Json *row_of(Ask *ask, sqlite3_stmt *s) {
  Json *row = json_map();
  for (int i = 0; i < sqlite3_column_count(s); i++) {
    const char *key = sqlite3_column_name(s, i);
    if (strcmp(key, "number") == 0) put_fields(ask, row, sqlite3_column_int64(s, i));
    else if (strcmp(key, "n_all") == 0) ask->n_all = sqlite3_column_int64(s, i);
    else if (text_has_word("belongs damaged", key))
      json_put_bool(row, key, sqlite3_column_int(s, i) != 0);
    else put_column(row, s, i, key);
  }
  return row;
}

/* Ends the statement, runs it: a list of its rows. */
static Json *collect(Ask *ask) {
  char *text = sqlite3_str_finish(ask->sql);
  sqlite3_stmt *s = NULL;
  Json *rows = json_list();
  ask->sql = NULL;
  if (!text) fault_memory(ask->fault, 0);
  else if (!ask->fault->code) s = index_prepare(ask->index, text, ask->fault);
  for (int i = 0; s && i < ask->n_numbers; i++)
    sqlite3_bind_double(s, i + 1, ask->number[i]);
  ask->n_numbers = 0;
  ask->n_all = 0;
  while (index_next(ask->index, s, ask->fault)) json_push(rows, row_of(ask, s));
  sqlite3_finalize(s);
  sqlite3_free(text);
  return rows;
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

enum { N_FACTS = sizeof facts / sizeof *facts, KEY_NAMES = 1024, LEVELS_SHOWN = 20 };

/* What a key means: a fact, or a field. */
typedef struct KeyRef {
  const struct Fact *fact;
  const char *kind, *key; /* borrowed from the names */
} KeyRef;

static const struct Fact *find_fact(const char *key) {
  for (int i = 0; i < N_FACTS; i++)
    if (strcmp(facts[i].name, key) == 0) return &facts[i];
  return NULL;
}

bool query_is_fact(const char *key) { return find_fact(key) != NULL; }

static Json *names_of(Ask *ask) {
  add(ask, "SELECT DISTINCT kind, key FROM name");
  if (ask->query->experiment)
    add(ask, " WHERE experiment = %Q", ask->query->experiment);
  add(ask, " ORDER BY CASE kind WHEN 'factors' THEN 0 WHEN 'args' THEN 1 ELSE 2 END,"
           " CASE kind WHEN 'factors' THEN place ELSE 0 END, key");
  return collect(ask);
}

/* Says which keys there are, of that kind (NULL: all, and facts), or the nearest. */
static void unknown_key(Ask *ask, const char *kind, const char *key) {
  const char *all[KEY_NAMES], *what = kind ? "value" : "key";
  int n = 0;
  Text list = {0};
  for (int i = 0; !kind && i < N_FACTS; i++) all[n++] = facts[i].name;
  for (int64_t i = 0; i < json_count(ask->names) && n < KEY_NAMES; i++) {
    const Json *name = json_item(ask->names, i);
    if (!kind || strcmp(json_text(name, "kind"), kind) == 0)
      all[n++] = json_text(name, "key");
  }
  const char *nearest = text_nearest(key, all, n);
  for (int i = 0; i < n; i++) text_addf(&list, " %s", all[i]);
  if (nearest)
    fault_set(ask->fault, ERR_USAGE, "unknown %s \"%s\"; did you mean \"%s\"?", what,
              key, nearest);
  else
    fault_set(ask->fault, ERR_USAGE, "unknown %s \"%s\"; there %s%s", what, key,
              n ? "are:" : "is none", list.data ? list.data : "");
  text_deinit(&list);
}

/* A field of that kind; NULL: the first of any. False: there is none. */
static bool look_up(const Ask *ask, const char *kind, const char *key, KeyRef *out) {
  for (int64_t i = 0; i < json_count(ask->names); i++) {
    const Json *field = json_item(ask->names, i);
    const char *its_kind = json_text(field, "kind"), *name = json_text(field, "key");
    size_t n = strlen(its_kind);
    if (kind && strcmp(its_kind, kind) != 0) continue;
    bool whole = strncmp(key, its_kind, n) == 0 && key[n] == '.' &&
                 strcmp(key + n + 1, name) == 0;
    *out = (KeyRef){.kind = its_kind, .key = name};
    if (whole || strcmp(key, name) == 0) return true;
  }
  return false;
}

static KeyRef find_field(Ask *ask, const char *kind, const char *key) {
  KeyRef found;
  if (look_up(ask, kind, key, &found)) return found;
  unknown_key(ask, kind, key);
  return (KeyRef){.kind = "", .key = ""};
}

static KeyRef find_key(Ask *ask, const char *key) {
  const struct Fact *fact = find_fact(key);
  if (fact) return (KeyRef){.fact = fact};
  return find_field(ask, NULL, key);
}

/* -- conditions -------------------------------------------------------------------- */

/* As the fields were read: SQLite's own CAST knows neither inf nor hexadecimal. "50%"
 * is 0.5, as compare shows what is recorded as a share. */
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

static void check_allowed(Ask *ask, const FilterTerm *term, FactType type,
                          const char *value) {
  const char *names[TRIAL_STATES];
  Text list = {0};
  int n = allowed_values(type, names);
  bool found = n == 0;
  for (int i = 0; i < n; i++) {
    found |= strcmp(value, names[i]) == 0;
    text_addf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  const char *nearest = text_nearest(value, names, n);
  if (!found)
    fault_set(ask->fault, ERR_USAGE, "%s: no %s is called \"%s\"; allowed: %s%s%s%s",
              term->word, term->key, value, list.data ? list.data : "",
              nearest ? "; did you mean \"" : "", nearest ? nearest : "",
              nearest ? "\"?" : "");
  text_deinit(&list);
}

static void check_values(Ask *ask, const FilterTerm *term, const KeyRef *key) {
  FactType type = key->fact ? key->fact->type : FACT_NUMBER;
  bool ordered = term->op != FILTER_EQ && term->op != FILTER_NE;
  if (ordered && type != FACT_NUMBER && type != FACT_TIME)
    fault_set(ask->fault, ERR_USAGE, "%s: allowed for %s: = and !=", term->word,
              term->key);
  for (int i = 0; i < term->n_values; i++) {
    double number;
    if (type == FACT_NUMBER && (ordered || key->fact) &&
        !read_number(term->values[i], &number))
      fault_set(ask->fault, ERR_USAGE, "%s: got \"%s\", allowed: a number", term->word,
                term->values[i]);
    check_allowed(ask, term, type, term->values[i]);
  }
}

/* The value's comparison with a column of numbers, of texts, or of both. */
static void add_comparison(Ask *ask, const char *number, const char *text, FilterOp op,
                           const char *value) {
  const char *name = filter_op_name(op == FILTER_NE ? FILTER_EQ : op);
  double parsed;
  bool numeric = number && read_number(value, &parsed);
  bool textual = text && (op == FILTER_EQ || op == FILTER_NE || !number);
  if (numeric) {
    must(ask->n_numbers < FILTER_TERMS * FILTER_VALUES);
    ask->number[ask->n_numbers++] = parsed;
    add(ask, "%s %s ?", number, name);
  }
  if (textual) add(ask, "%s%s %s %Q", numeric ? " OR " : "", text, name, value);
  if (!numeric && !textual) add(ask, "0");
}

static void add_term(Ask *ask, const FilterTerm *term) {
  KeyRef key = find_key(ask, term->key);
  const char *not = term->op == FILTER_NE ? "NOT " : "", *number = "number",
             *text = "text";
  check_values(ask, term, &key);
  if (key.fact) {
    bool numeric = key.fact->type == FACT_NUMBER;
    number = numeric ? key.fact->name : NULL;
    text = numeric ? NULL : key.fact->name;
    add(ask, " AND %s IS NOT NULL AND %s((", key.fact->name, not );
  } else {
    add(ask,
        " AND EXISTS (SELECT 1 FROM field WHERE trial = t.number AND kind = %Q AND "
        "key = %Q AND %s(",
        key.kind, key.key, not );
  }
  for (int i = 0; i < term->n_values; i++) {
    add(ask, i > 0 ? " OR " : "");
    add_comparison(ask, number, text, term->op, term->values[i]);
  }
  add(ask, "))");
}

/* " FROM trial t WHERE ..."; `all`: also those that no longer belong. */
static void add_where(Ask *ask, const Filter *filter, bool all) {
  const char *experiment = ask->query->experiment, *start = ask->query->start;
  add(ask, " FROM trial t WHERE %s", all ? "1" : "belongs");
  if (experiment) add(ask, " AND experiment = %Q", experiment);
  if (start) add(ask, " AND substr(id, 1, length(%Q)) = %Q", start, start);
  for (int i = 0; i < filter->n; i++) add_term(ask, &filter->v[i]);
}

/* Numbers before texts, what is not there last. */
static void add_sort_key(Ask *ask, const char *sort) {
  const char *direction = *sort == '-' ? "DESC" : "ASC";
  KeyRef key = find_key(ask, sort + (*sort == '-'));
  if (key.fact) {
    add(ask, "%s %s NULLS LAST, ", key.fact->name, direction);
    return;
  }
  static const char *const columns[] = {"number", "text"};
  for (int i = 0; i < 2; i++)
    add(ask,
        "(SELECT f.%s FROM field f WHERE f.trial = t.number AND f.kind = %Q AND f.key "
        "= %Q) %s NULLS LAST, ",
        columns[i], key.kind, key.key, direction);
}

static void add_limit(Ask *ask) {
  if (ask->query->limit > 0) add(ask, " LIMIT %d", (int)ask->query->limit);
}

/* ", nullif(sum(state = 'pending'), 0) AS pending ..." for every state: those that
 * occur. */
static void add_state_counts(Ask *ask, const char *of) {
  for (int i = 0; i < TRIAL_STATES; i++)
    add(ask, ", nullif(sum(%s state = %Q), 0) AS %s", of,
        trial_state_name((TrialState)i), trial_state_name((TrialState)i));
}

/* -- answers ----------------------------------------------------------------------- */

/* Where it is follows from its names: what the file of the index says may be anybody's.
 */
static Json *answer_trials(Ask *ask) {
  const Query *query = ask->query;
  add(ask,
      "SELECT experiment, id, experiment || iif(cell = '', '/', '/trials/') || id AS "
      "path, seed, state, attempts, seconds, started, digest, fingerprint, message, "
      "purpose, belongs, %s number, count(*) OVER () AS n_all",
      query->whole ? "damaged," : "");
  add_where(ask, &query->filter, query->all);
  add(ask, " ORDER BY ");
  if (query->start) add(ask, "id <> %Q, ", query->start);
  if (query->sort) add_sort_key(ask, query->sort);
  add(ask,
      "experiment, cell = '', purpose = 'tuning', iif(cell = '', id, NULL), number");
  add_limit(ask);
  return collect(ask);
}

/* Of the metric of complete trials; NULL where there is none. The squares are of the
 * distances from the mean, which each trial is given first. Of an infinite mean there
 * is no sd. Where values differ by rounding only the sums hold a trace of it, which is
 * no spread (stat.h). */
static void add_moments(Ask *ask) {
  add(ask,
      ", count(value) AS n, iif(min(value) = max(value), min(value), mean) AS mean, "
      "iif(count(value) > 1 AND abs(mean) < 9e999, "
      "iif(max(value) - min(value) <= %!.17g * (abs(min(value)) + abs(max(value))), "
      "0.0, sum((value - mean) * (value - mean)) / (count(value) - 1)), NULL) AS sd",
      STAT_ROUNDING);
}

/* From the variance. The values of one trial mean nothing here. */
static void finish_cell(Json *row) {
  double variance;
  if (json_find_number(row, "sd", &variance))
    json_put_number(row, "sd", sqrt(variance));
  json_put(row, "values", json_map());
}

/* All numbers of a cell are of the same trials, those that are asked for. */
static Json *answer_cells(Ask *ask) {
  const Query *query = ask->query;
  const char *sort = query->sort ? query->sort : "", *key = sort + (*sort == '-');
  if (*sort && strcmp(key, "mean") != 0)
    fault_set(ask->fault, ERR_USAGE,
              "cells are sorted by mean or -mean, or as planned; got \"%s\"", sort);
  KeyRef metric = query->metric ? find_field(ask, "values", query->metric)
                                : (KeyRef){0};
  add(ask,
      "WITH chosen AS (SELECT t.*, (SELECT f.number FROM field f WHERE f.trial = "
      "t.number AND t.state = 'complete' AND f.kind = %Q AND f.key = %Q) AS value",
      metric.kind, metric.key);
  add_where(ask, &query->filter, query->all);
  add(ask, " AND cell <> '') SELECT experiment, cell, purpose, count(*) AS trials, "
           "min(number) AS number, count(*) OVER () AS n_all");
  if (query->metric) add_moments(ask);
  add_state_counts(ask, "");
  add(ask, " FROM (SELECT *, avg(value) OVER (PARTITION BY experiment, cell, purpose) "
           "AS mean FROM chosen) GROUP BY experiment, cell, purpose ORDER BY ");
  if (*sort) add(ask, "mean %s NULLS LAST, ", *sort == '-' ? "DESC" : "ASC");
  add(ask, "experiment, purpose = 'tuning', number");
  add_limit(ask);
  Json *rows = collect(ask);
  for (int64_t i = 0; i < json_count(rows); i++) finish_cell(json_item(rows, i));
  return rows;
}

static Json *answer_entries(Ask *ask) {
  add(ask, "SELECT experiment, iif(cell = '', 'runs', 'study') AS kind, sum(belongs) "
           "AS trials");
  add_state_counts(ask, "belongs AND");
  add(ask, ", nullif(sum(NOT belongs), 0) AS others, max(started) AS last");
  add_where(ask, &ask->query->filter, true);
  add(ask, " GROUP BY 1, 2 ORDER BY 1, 2 DESC");
  return collect(ask);
}

static Json *answer_names(Ask *ask) { return json_share(ask->names); }

/* -- filters that fit nothing ------------------------------------------------------ */

/* " FROM field f WHERE ...": that field of the trials of the query, its filter aside.
 */
static void add_field(Ask *ask, const KeyRef *key) {
  static const Filter none;
  add(ask,
      " FROM field f WHERE f.kind = %Q AND f.key = %Q AND f.trial IN (SELECT number",
      key->kind, key->key);
  add_where(ask, &none, ask->query->all);
  add(ask, ")");
}

static bool is_missed(Ask *ask, const Filter *alone) {
  add(ask, "SELECT 1 AS fits");
  add_where(ask, alone, ask->query->all);
  add(ask, " LIMIT 1");
  Json *rows = collect(ask);
  bool missed = json_count(rows) == 0;
  json_free(rows);
  return missed && !ask->fault->code;
}

/* "act has: relu, tanh; did you mean relu?": levels, each once, as planned. Where
 * numbers are compared, no level is one and there is a value of that name, that was
 * meant. Of numbers the digits say nothing about what is near. */
static void say_levels(Ask *ask, const FilterTerm *term, const KeyRef *key, Text *out) {
  const char *names[LEVELS_SHOWN], *nearest = NULL;
  bool numbers = term->op == FILTER_EQ || term->op == FILTER_NE;
  int n = 0;
  add(ask, "SELECT f.text, max(f.number IS NOT NULL) AS is_number");
  add_field(ask, key);
  add(ask, " GROUP BY f.text ORDER BY min(f.trial)");
  Json *rows = collect(ask);
  for (int64_t i = 0; i < json_count(rows); i++) {
    numbers |= json_int(json_item(rows, i), "is_number") != 0;
    if (n < LEVELS_SHOWN) names[n++] = json_text(json_item(rows, i), "text");
  }
  text_addf(out, "%s has: ", term->key);
  for (int i = 0; i < n; i++) text_addf(out, "%s%s", i ? ", " : "", names[i]);
  if (json_count(rows) > n) text_add(out, ", ...");
  KeyRef meant;
  bool value = !numbers && look_up(ask, "values", key->key, &meant);
  for (int i = 0; !value && !nearest && i < term->n_values; i++)
    if (level_is_word(term->values[i]))
      nearest = text_nearest(term->values[i], names, n);
  if (value)
    text_addf(out, "; did you mean values.%s%s?", key->key,
              term->word + strlen(term->key));
  else if (nearest) text_addf(out, "; did you mean %s?", nearest);
  json_free(rows);
}

/* Nothing where there is no number. A share is recorded from 0 to 1; a
 * number of percent is written 50%. */
static void say_range(Ask *ask, const FilterTerm *term, const KeyRef *key, Text *out) {
  double low, high, wanted = strtod(term->values[0], NULL);
  add(ask, "SELECT min(f.number) AS low, max(f.number) AS high");
  add_field(ask, key);
  Json *rows = collect(ask);
  const Json *range = json_count(rows) ? json_item(rows, 0) : NULL;
  if (json_find_number(range, "low", &low) && json_find_number(range, "high", &high)) {
    text_addf(out, "%s goes from %.4g to %.4g", term->key, low, high);
    if (low >= 0 && high <= 1 && wanted > 1 && wanted <= 100)
      text_addf(out, "; did you mean %s%%?", term->word);
  }
  json_free(rows);
}

static Json *answer_misses(Ask *ask) {
  Json *misses = json_list();
  for (int i = 0; i < ask->query->filter.n; i++) {
    FilterTerm *term = &ask->query->filter.v[i];
    KeyRef key = find_key(ask, term->key);
    Text line = {0};
    if (key.fact || !is_missed(ask, &(Filter){.v = term, .n = 1})) continue;
    (strcmp(key.kind, "values") == 0 ? say_range : say_levels)(ask, term, &key, &line);
    if (line.n_bytes && !line.failed) json_push_text(misses, line.data);
    text_deinit(&line);
  }
  return misses;
}

/* -- asking ------------------------------------------------------------------------ */

static Json *(*const answers[])(Ask *ask) = {
    [QUERY_ENTRIES] = answer_entries, [QUERY_TRIALS] = answer_trials,
    [QUERY_CELLS] = answer_cells, [QUERY_NAMES] = answer_names,
    [QUERY_MISSES] = answer_misses};

/* Where the index turns out to be of no use, that of the one built instead: half an
 * answer is none. */
Err query_ask(Index *index, QueryAnswer what, const Query *query, Json **out,
              int64_t *n_all, Fault *fault) {
  do {
    Ask ask = {.index = index, .query = query, .fault = fault};
    ask.names = names_of(&ask);
    *out = answers[what](&ask);
    if (n_all) *n_all = ask.n_all;
    json_free(ask.names);
    sqlite3_finalize(ask.fields);
    if (!fault->code) return ERR_OK;
    json_free(*out);
    *out = NULL;
  } while (!index_renew(index, NULL, fault));
  return fault->code;
}
