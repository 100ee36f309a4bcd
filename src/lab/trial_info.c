/* trial_info.c: what is known of a trial; see trial_info.h. */
#include "lab/trial_info.h"
#include <stdio.h>
#include <stdlib.h>

void trial_info_deinit(TrialInfo *info) {
  Json *const maps[] = {info->factors, info->args, info->values, info->rows,
                        info->data};
  for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) json_free(maps[i]);
  free(info->message);
  *info = (TrialInfo){0};
}

void trial_info_of_row(const Json *row, TrialInfo *out) {
  const char *message = json_text_or(row, "message", NULL);
  *out = (TrialInfo){.seed = json_int(row, "seed"),
                     .damaged = json_bool(row, "damaged"),
                     .belongs = json_bool(row, "belongs"),
                     .attempts = (int)json_int(row, "attempts"),
                     .message = message ? text_copy(message) : NULL,
                     .values = json_share(json_find(row, "values")),
                     .rows = json_share(json_find(row, "rows")),
                     .data = json_share(json_find(row, "data"))};
  json_find_number(row, "seconds", &out->seconds);
  trial_state_parse(json_text(row, "state"), &out->state);
  snprintf(out->id, sizeof out->id, "%s", json_text(row, "id"));
  snprintf(out->started, sizeof out->started, "%s", json_text(row, "started"));
  snprintf(out->fingerprint, sizeof out->fingerprint, "%s",
           json_text(row, "fingerprint"));
  snprintf(out->digest, sizeof out->digest, "%s", json_text(row, "digest"));
}
