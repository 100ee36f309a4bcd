/* look.c: what a trial's directory says; see look.h. */
#include "lab/look.h"
#include "base/file.h"
#include "base/lock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_LIMIT = 1 << 26 };

/* The map of the text; else NULL and an ERR_DATA fault. */
static Json *parse_map(const Text *text, const char *path, Fault *fault) {
  Json *json = json_parse(text->data ? text->data : "", text->n_bytes, fault);
  if (json && json_kind(json) == JSON_KIND_MAP) return json;
  if (json) fault_set(fault, ERR_DATA, "is JSON, but no map");
  json_free(json);
  fault_prefix(fault, "%s", path);
  return NULL;
}

/* As look_json; but the fault is ERR_DATA where the file could be read and is no
 * record. */
static Json *read_json(const char *directory, const char *name, Fault *fault) {
  Text path = {0}, text = {0};
  Json *json = NULL;
  bool there = false;
  text_addf(&path, "%s/%s", directory, name);
  if (path.failed) {
    fault_memory(fault, strlen(directory));
  } else if (file_read_any(path.data, JSON_LIMIT, &text, &there, fault)) {
    bool refused = fault->code == ERR_DATA && text.n_bytes <= JSON_LIMIT;
    if (refused) fault->code = ERR_STORAGE; /* by the system: a file of ours */
  } else if (there) {
    json = parse_map(&text, path.data, fault);
  }
  text_deinit(&path);
  text_deinit(&text);
  return json;
}

Json *look_json(const char *directory, const char *name, Fault *fault) {
  Json *json = read_json(directory, name, fault);
  if (fault->code == ERR_DATA) fault->code = ERR_STORAGE;
  return json;
}

/* Is there such a field, of another kind? */
static bool misfits(const Json *map, const char *key, JsonKind kind) {
  const Json *field = json_find(map, key);
  return field && json_kind(field) != kind;
}

/* What keeps it from being a meta.json; NULL: nothing. */
static const char *meta_flaw(const Json *meta) {
  const Json *attempts = json_find(meta, "attempts");
  if (misfits(meta, "attempts", JSON_KIND_LIST)) return "\"attempts\" is no list";
  if (misfits(meta, "data", JSON_KIND_MAP)) return "\"data\" is no map";
  if (misfits(meta, "rows", JSON_KIND_MAP)) return "\"rows\" is no map";
  for (int64_t i = 0; attempts && i < json_count(attempts); i++)
    if (json_kind(json_item(attempts, i)) != JSON_KIND_MAP)
      return "one of \"attempts\" is no map";
  return NULL;
}

Json *look_meta(const char *directory, char **damage) {
  Fault fault = {0};
  Json *meta = look_json(directory, "meta.json", &fault);
  const char *flaw = meta ? meta_flaw(meta) : NULL;
  if (flaw) fault_set(&fault, ERR_STORAGE, "%s/meta.json: %s", directory, flaw);
  *damage = fault.code ? text_copy(fault.text) : NULL;
  if (!fault.code) return meta;
  json_free(meta);
  return NULL;
}

Json *look_last_attempt(const Json *meta) {
  const Json *attempts = json_find(meta, "attempts");
  if (misfits(meta, "attempts", JSON_KIND_LIST) || !json_count(attempts)) return NULL;
  Json *last = json_item(attempts, json_count(attempts) - 1);
  return json_kind(last) == JSON_KIND_MAP ? last : NULL;
}

/* Without a result and a lock. */
static TrialState state_by_attempt(const Json *meta) {
  const char *name;
  TrialState state;
  const Json *attempt = look_last_attempt(meta);
  if (!attempt || json_find(attempt, LOOK_TAKEN_BACK)) return TRIAL_PENDING;
  if (!json_find_text(attempt, "state", &name)) return TRIAL_STALE;
  bool known = trial_state_parse(name, &state);
  return known && state == TRIAL_INTERRUPTED ? state : TRIAL_STALE;
}

static bool result_state(const Json *result, TrialState *state) {
  const char *name;
  return json_find_text(result, "state", &name) && trial_state_parse(name, state) &&
         (trial_state_is_published(*state) || *state == TRIAL_INTERRUPTED);
}

/* What keeps it from being a result; NULL: nothing. */
static const char *flaw_of(const Json *result) {
  TrialState state;
  if (!result_state(result, &state)) return "names no state that a result has";
  if (misfits(result, "values", JSON_KIND_MAP)) return "\"values\" is no map";
  return NULL;
}

/* *out is result.json if it is one, else NULL; then *damage (freed before) is new where
 * the file is there and is none. */
static Err read_result(const char *directory, Json **out, char **damage, Fault *fault) {
  Fault own = {0};
  free(*damage);
  *damage = NULL;
  *out = read_json(directory, "result.json", &own);
  const char *flaw = *out ? flaw_of(*out) : NULL;
  if (*out && !flaw) return ERR_OK;
  if (flaw) fault_set(&own, ERR_DATA, "%s/result.json: %s", directory, flaw);
  json_free(*out);
  *out = NULL;
  if (own.code == ERR_DATA) *damage = text_copy(own.text);
  else if (own.code) return fault_pass(fault, &own);
  return ERR_OK;
}

static TrialState state_of(const Look *look, const char *directory) {
  TrialState state = TRIAL_STALE;
  if (look->result && result_state(look->result, &state)) return state;
  if (lock_held(directory)) return TRIAL_RUNNING;
  return look->damage ? TRIAL_STALE : state_by_attempt(look->meta);
}

Err look_open(Look *out, const char *directory, Fault *fault) {
  *out = (Look){0};
  Err err = read_result(directory, &out->result, &out->damage, fault);
  if (err) return err;
  out->meta = look_meta(directory, &out->meta_damage);
  out->state = state_of(out, directory);
  if (out->result || out->state == TRIAL_RUNNING) return ERR_OK;
  /* published and unlocked between the two looks? */
  err = read_result(directory, &out->result, &out->damage, fault);
  if (out->result) {
    json_free(out->meta);
    free(out->meta_damage);
    out->meta = look_meta(directory, &out->meta_damage);
    out->state = state_of(out, directory);
  }
  return err;
}

void look_close(Look *look) {
  json_free(look->meta);
  json_free(look->result);
  free(look->damage);
  free(look->meta_damage);
  *look = (Look){0};
}

Err look_published(const char *directory, bool *published, Fault *fault) {
  char *damage = NULL;
  Json *result;
  TrialState state;
  Err err = read_result(directory, &result, &damage, fault);
  *published = result && result_state(result, &state) &&
               trial_state_is_published(state);
  json_free(result);
  free(damage);
  return err;
}

static void copy_text(char *out, size_t n_bytes, const Json *json) {
  const char *text;
  if (json_get_text(json, &text)) snprintf(out, n_bytes, "%s", text);
}

void look_info(const Look *look, TrialInfo *out) {
  const Json *attempts = json_find(look->meta, "attempts");
  const Json *last = look_last_attempt(look->meta);
  const char *message;
  *out = (TrialInfo){.state = look->state, .damaged = look->damage != NULL};
  if (last) out->attempts = (int)json_count(attempts);
  json_find_number(last, "wall_s", &out->seconds);
  const Json *maker = look->result && json_find(look->result, "fingerprint")
                          ? look->result
                          : look->meta;
  copy_text(out->fingerprint, sizeof out->fingerprint, json_find(maker, "fingerprint"));
  copy_text(out->started, sizeof out->started, json_find(look->meta, "started"));
  copy_text(out->digest, sizeof out->digest, json_find(look->result, "digest"));
  out->values = json_share(json_find(look->result, "values"));
  out->data = json_share(json_find(look->meta, "data"));
  out->rows = json_share(json_find(look->meta, "rows"));
  if (look->damage) out->message = text_copy(look->damage);
  else if (json_find_text(look->result ? look->result : last, "message", &message))
    out->message = text_copy(message);
  else if (look->meta_damage) out->message = text_copy(look->meta_damage);
}
