/* run_record.c: what a session records; see run_record.h. */
#include "lua/run_record.h"
#include "base/out.h"
#include "base/sys.h"
#include "base/version.h"
#include "kernel/gemm.h"
#include "lab/script.h"
#include <stdlib.h>

RunRecord *run_record_new(uint64_t seed) {
  RunRecord *record = calloc(1, sizeof *record);
  if (!record) return NULL;
  record->config = json_map();
  record->origins = json_map();
  json_put_text(record->origins, "seed", "default");
  json_put_int(record->config, "seed", (int64_t)seed);
  json_put(record->config, "args", json_map());
  run_record_clear_results(record);
  return record;
}

void run_record_clear_results(RunRecord *record) {
  json_free(record->results);
  json_free(record->rows);
  record->results = json_map();
  record->rows = json_map();
}

void run_record_free(RunRecord *record) {
  if (!record) return;
  if (record->is_open) trial_deinit(&record->run);
  json_free(record->config);
  json_free(record->origins);
  json_free(record->results);
  json_free(record->rows);
  free(record);
}

void run_record_describe(const Session *s, Json *meta) {
  json_putf(meta,
            "runner %s numerics %d lua %s blis %s blis_kernels %s simd %s real %s",
            RUNNER_VERSION, NUMERICS, LUA_RELEASE, gemm_version(), gemm_kernel_set(),
            simd_name(simd_level()), REAL_NAME);
  json_put_text(meta, "flags", RUNNER_FLAGS);
  json_putf(meta, "threads %d script %s", s->graph.par.threads, s->launch.script);
  char *path = s->launch.script ? script_path(s->launch.script) : NULL;
  if (path) json_put_text(meta, "script_path", path);
  free(path);
  json_put(meta, "sources", json_share(s->record->origins));
}

Err run_record_trial(Session *s, Trial **out, Fault *fault) {
  RunRecord *record = s->record;
  *out = record->of_study;
  if (!s->launch.script || s->in_trial) return ERR_OK;
  if (!record->is_open) {
    Json *config = json_share(record->config), *meta = json_map();
    run_record_describe(s, meta);
    if (trial_init(&record->run, s->launch.runs, s->launch.script, config, meta, fault))
      return fault->code;
    record->is_open = true;
  }
  *out = &record->run;
  return ERR_OK;
}

Err run_record_end(Trial *trial, const Json *values, const Fault *end) {
  Fault storage = {0};
  TrialEnd how = trial_end_of(end, values);
  if (!trial->directory) return ERR_OK;
  if (trial_finish(trial, &how, &storage)) err_print("runner: %s\n", storage.text);
  else err_print("record: %s\n", trial->directory);
  return storage.code;
}
