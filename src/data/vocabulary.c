/* vocabulary.c: see vocabulary.h. */
#include "data/vocabulary.h"
#include "base/array.h"
#include "base/hash.h"
#include "base/ints.h"
#include "base/input.h"
#include "base/json.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

const char *const side_names[] = {[SIDE_RIGHT] = "right", [SIDE_LEFT] = "left", NULL};

/* -- names ------------------------------------------------------------------------- */

void names_deinit(Names *names) {
  for (int64_t i = 0; i < names->n; i++) free(names->v[i]);
  free(names->v);
  *names = (Names){0};
}

Err names_add(Names *names, const char *name, size_t n_bytes, Fault *fault) {
  Err err = ARRAY_ROOM(names->v, names->room, names->n + 1, fault);
  if (err) return err;
  char *copy = malloc(n_bytes + 1);
  if (!copy) return fault_memory(fault, n_bytes + 1);
  memcpy(copy, name, n_bytes);
  copy[n_bytes] = 0;
  names->v[names->n++] = copy;
  return ERR_OK;
}

Err names_copy(Names *out, const Names *names, Fault *fault) {
  for (int64_t i = 0; i < names->n; i++) {
    Err err = names_add(out, names->v[i], strlen(names->v[i]), fault);
    if (err) return err;
  }
  return ERR_OK;
}

/* -- life -------------------------------------------------------------------------- */

Vocabulary *vocabulary_new(int sort, bool lower, Fault *fault) {
  Vocabulary *v = calloc(1, sizeof *v);
  int64_t *slot = v ? calloc(FIRST_SLOTS, sizeof *slot) : NULL;
  if (!slot) {
    free(v);
    fault_memory(fault, sizeof *v);
    return NULL;
  }
  *v = (Vocabulary){.refs = 1, .sort = sort, .lower = lower, .slot = slot,
                    .n_slots = FIRST_SLOTS};
  return v;
}

Vocabulary *vocabulary_retain(Vocabulary *v) {
  if (v) v->refs++;
  return v;
}

void vocabulary_release(Vocabulary *v) {
  if (!v || --v->refs > 0) return;
  names_deinit(&v->tokens);
  free(v->slot);
  free(v);
}

static void *retain_thing(void *v) { return vocabulary_retain(v); }
static void release_thing(void *v) { vocabulary_release(v); }

const RefType vocabulary_ref_type = {"vocabulary", retain_thing, release_thing};

/* -- tokens by hash ---------------------------------------------------------------- */

static bool is_token(const char *name, Token token) {
  return strlen(name) == token.n_bytes && memcmp(name, token.at, token.n_bytes) == 0;
}

static Token token_of(const char *name) { return (Token){name, strlen(name)}; }

/* The slot of the token, or the free one where it would be. */
static int64_t *slot_of(const Vocabulary *v, Token token) {
  uint64_t mask = (uint64_t)v->n_slots - 1;
  uint64_t at = hash_bytes(HASH_BEGIN, token.at, token.n_bytes);
  for (at = hash_word(at, 0) & mask;; at = (at + 1) & mask) {
    int64_t number = v->slot[at];
    if (!number) return &v->slot[at];
    must(number <= v->tokens.n && v->tokens.v);
    if (is_token(v->tokens.v[number - 1], token)) return &v->slot[at];
  }
}

int64_t vocabulary_find(const Vocabulary *v, Token token) { return *slot_of(v, token); }

/* Twice as many, so that at least half of them are free. */
static Err widen(Vocabulary *v, Fault *fault) {
  int64_t n = 2 * v->n_slots, *slot = calloc((size_t)n, sizeof *slot);
  if (!slot) return fault_memory(fault, (size_t)n * sizeof *slot);
  free(v->slot);
  v->slot = slot;
  v->n_slots = n;
  for (int64_t i = 0; i < v->tokens.n; i++)
    *slot_of(v, token_of(v->tokens.v[i])) = i + 1;
  return ERR_OK;
}

Err vocabulary_add(Vocabulary *v, Token token, int64_t *number, Fault *fault) {
  int64_t found = vocabulary_find(v, token);
  if (number) *number = found ? found : v->tokens.n + 1;
  if (found) return ERR_OK;
  Err err = 2 * (v->tokens.n + 1) > v->n_slots ? widen(v, fault) : ERR_OK;
  if (!err) err = names_add(&v->tokens, token.at, token.n_bytes, fault);
  if (err) return err;
  *slot_of(v, token) = v->tokens.n;
  if (is_token(TOKEN_UNKNOWN, token)) v->unknown = v->tokens.n;
  return ERR_OK;
}

Vocabulary *vocabulary_with(const Vocabulary *v, const char *token, Fault *fault) {
  Vocabulary *out = vocabulary_new(v->sort, v->lower, fault);
  Err err = out ? ERR_OK : ERR_MEMORY;
  for (int64_t i = 0; i < v->tokens.n && !err; i++)
    err = vocabulary_add(out, token_of(v->tokens.v[i]), NULL, fault);
  if (!err) err = vocabulary_add(out, token_of(token), NULL, fault);
  if (!err) return out;
  vocabulary_release(out);
  return NULL;
}

uint64_t vocabulary_hash(const Vocabulary *v) {
  uint64_t hash = hash_word(hash_word(HASH_BEGIN, (uint64_t)v->sort), v->lower);
  for (int64_t i = 0; i < v->tokens.n; i++)
    hash = hash_bytes(hash, v->tokens.v[i], strlen(v->tokens.v[i]) + 1);
  return hash;
}

/* -- texts as numbers -------------------------------------------------------------- */

static Err no_number(const Vocabulary *v, Token token, int64_t line, Fault *fault) {
  enum { SHOWN = 60 };
  uint32_t code;
  int n = (int)least((int64_t)token.n_bytes, SHOWN);
  utf8_next(token.at, token.at + token.n_bytes, &code);
  if (v->sort == TOKEN_WORDS)
    return fault_set(fault, ERR_DATA,
                     "line %lld: word \"%.*s\" is not in the vocabulary (unknown = "
                     "true makes one that has " TOKEN_UNKNOWN ")",
                     (long long)line, n, token.at);
  return fault_set(fault, ERR_DATA,
                   "line %lld: character \"%.*s\" (U+%04X) is not in the vocabulary",
                   (long long)line, n, token.at, (unsigned)code);
}

/* Into room for as many numbers as there are bytes. */
static Err put_numbers(const Vocabulary *v, Tokens text, int32_t *out, int64_t *n,
                       Fault *fault) {
  Token token;
  for (*n = 0; tokens_next(&text, &token); (*n)++) {
    out[*n] = (int32_t)vocabulary_number(v, token);
    bool ends_line = *token.at == '\n';
    if (!out[*n]) return no_number(v, token, text.line - ends_line, fault);
  }
  return ERR_OK;
}

int32_t *vocabulary_encode(const Vocabulary *v, const char *at, size_t n_bytes,
                           int64_t line, int64_t *n, Fault *fault) {
  Text small = {0};
  if (v->lower) tokens_lower(&small, at, n_bytes);
  if (v->lower) at = small.data, n_bytes = small.n_bytes;
  int64_t size = (int64_t)n_bytes * (int64_t)sizeof(int32_t);
  int32_t *out = NULL;
  Err err = small.failed ? fault_memory(fault, n_bytes) : memory_holds(size, fault);
  if (!err) {
    out = malloc((size_t)most(size, 1));
    if (!out) err = fault_memory(fault, (size_t)size);
  }
  if (!err)
    err = put_numbers(v, (Tokens){at, at + n_bytes, v->sort, line}, out, n, fault);
  text_deinit(&small);
  if (!err) return out;
  free(out);
  return NULL;
}

Err vocabulary_decode(const Vocabulary *v, const int64_t *number, int64_t n, Text *out,
                      Fault *fault) {
  bool any = false;
  text_add(out, "");
  for (int64_t i = 0; i < n; i++) {
    if (number[i] < 0 || number[i] > v->tokens.n)
      return fault_set(fault, ERR_VALUE,
                       "got %lld, allowed: numbers of tokens, 1 to %lld, and 0, which "
                       "is padding",
                       (long long)number[i], (long long)v->tokens.n);
    const char *token = number[i] ? v->tokens.v[number[i] - 1] : "";
    if (!*token || !strcmp(token, TOKEN_START) || !strcmp(token, TOKEN_END)) continue;
    if (any && v->sort == TOKEN_WORDS) text_add(out, " ");
    text_add(out, token);
    any = true;
  }
  return out->failed ? fault_memory(fault, (size_t)n) : ERR_OK;
}

/* -- as JSON ----------------------------------------------------------------------- */

Err vocabulary_text(const Vocabulary *v, Text *out, Fault *fault) {
  Json *map = json_map(), *tokens = json_list();
  json_put_text(map, "by", token_sorts[v->sort]);
  json_put_bool(map, "lower", v->lower);
  for (int64_t i = 0; i < v->tokens.n; i++) json_push_text(tokens, v->tokens.v[i]);
  json_put(map, "tokens", tokens);
  Err err = json_write(map, 0, out, fault);
  json_free(map);
  return err;
}

/* The sort of that name; -1. */
static int sort_named(const char *name) {
  for (int i = 0; token_sorts[i]; i++)
    if (strcmp(token_sorts[i], name) == 0) return i;
  return -1;
}

static Err add_listed(Vocabulary *v, const Json *tokens, Fault *fault) {
  for (int64_t i = 0; i < json_count(tokens); i++) {
    const char *token = NULL;
    int64_t before = v->tokens.n;
    bool ok = json_get_text(json_item(tokens, i), &token) && *token;
    Err err = ok ? vocabulary_add(v, token_of(token), NULL, fault) : ERR_OK;
    if (err) return err;
    if (v->tokens.n == before)
      return fault_set(fault, ERR_DATA, "token %lld of the vocabulary is %s",
                       (long long)i + 1, ok ? "there twice" : "no text");
  }
  return ERR_OK;
}

Vocabulary *vocabulary_from_text(const char *text, size_t n_bytes, Fault *fault) {
  Json *map = json_parse(text, n_bytes, fault);
  if (!map) return NULL;
  bool is_map = json_kind(map) == JSON_KIND_MAP, lower = false;
  const Json *tokens = is_map ? json_find(map, "tokens") : NULL;
  int sort = is_map ? sort_named(json_text_or(map, "by", "")) : -1;
  Vocabulary *v = NULL;
  if (sort < 0 || !json_find_bool(map, "lower", &lower) || !tokens ||
      json_kind(tokens) != JSON_KIND_LIST)
    fault_set(fault, ERR_DATA,
              "is no vocabulary: { \"by\": \"characters\" or \"words\", \"lower\": "
              "..., \"tokens\": [...] }");
  else v = vocabulary_new(sort, lower, fault);
  if (v && add_listed(v, tokens, fault)) {
    vocabulary_release(v);
    v = NULL;
  }
  json_free(map);
  return v;
}
