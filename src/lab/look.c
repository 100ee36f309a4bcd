/* look.c: what a trial's directory says; see look.h. */
#include "lab/look.h"
#include "base/file.h"
#include "lab/lock.h"
#include <stdio.h>
#include <string.h>

enum { JSON_LIMIT = 1 << 26 };

Json *look_json(const char *directory, const char *name, Fault *fault) {
  Text path = {0}, text = {0};
  Json *json = NULL;
  text_addf(&path, "%s/%s", directory, name);
  if (path.failed) {
    fault_memory(fault, strlen(directory));
  } else if (file_exists(path.data)) {
    if (file_read(path.data, JSON_LIMIT, &text, fault) == ERR_OK) {
      json = json_parse(text.data ? text.data : "", text.n_bytes, fault);
      if (!json) fault_prefix(fault, "%s", path.data);
    }
    if (fault->code == ERR_DATA) fault->code = ERR_STORAGE;   /* a file of ours */
  }
  text_deinit(&path);
  text_deinit(&text);
  return json;
}

Json *look_last_attempt(const Json *meta) {
  const Json *attempts = json_find(meta, "attempts");
  if (!attempts || json_kind(attempts) != JSON_KIND_LIST || !json_count(attempts))
    return NULL;
  return json_item(attempts, json_count(attempts) - 1);
}

/* Without a result and a lock. */
static TrialState state_by_attempt(const Json *meta) {
  const char *name;
  TrialState state;
  const Json *attempt = look_last_attempt(meta);
  if (!attempt || json_find(attempt, LOOK_TAKEN_BACK)) return TRIAL_PENDING;
  if (!json_get_text(json_find(attempt, "state"), &name)) return TRIAL_STALE;
  bool known = trial_state_parse(name, &state);
  return known && state == TRIAL_INTERRUPTED ? state : TRIAL_PENDING;
}

static TrialState state_of(const Look *look, const char *directory) {
  const char *name;
  TrialState state = TRIAL_STALE;
  if (look->result) {
    if (json_get_text(json_find(look->result, "state"), &name))
      trial_state_parse(name, &state);
    return state;
  }
  return lock_held(directory) ? TRIAL_RUNNING : state_by_attempt(look->meta);
}

Err look_open(Look *out, const char *directory, Fault *fault) {
  Fault ignored = {0};
  *out = (Look){.result = look_json(directory, "result.json", fault)};
  if (!out->result && fault->code) return fault->code;
  out->meta = look_json(directory, "meta.json", &ignored);
  out->state = state_of(out, directory);
  if (out->result || out->state == TRIAL_RUNNING) return ERR_OK;
  /* published and unlocked between the two looks? */
  out->result = look_json(directory, "result.json", fault);
  if (out->result) {
    json_free(out->meta);
    out->meta = look_json(directory, "meta.json", &ignored);
    out->state = state_of(out, directory);
  }
  return fault->code;
}

void look_close(Look *look) {
  json_free(look->meta);
  json_free(look->result);
  *look = (Look){0};
}

static void copy_text(char *out, size_t n_bytes, const Json *json) {
  const char *text;
  if (json_get_text(json, &text)) snprintf(out, n_bytes, "%s", text);
}

void look_info(const Look *look, TrialInfo *out) {
  const Json *attempts = json_find(look->meta, "attempts");
  const Json *last = look_last_attempt(look->meta);
  const char *message;
  *out = (TrialInfo){.state = look->state};
  if (last) out->attempts = (int)json_count(attempts);
  json_get_number(json_find(last, "wall_s"), &out->seconds);
  copy_text(out->fingerprint, sizeof out->fingerprint, json_find(look->meta, "fingerprint"));
  copy_text(out->digest, sizeof out->digest, json_find(look->result, "digest"));
  out->values = json_share(json_find(look->result, "values"));
  if (json_get_text(json_find(look->result ? look->result : last, "message"), &message))
    out->message = text_copy(message);
}
