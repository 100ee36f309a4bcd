/* The JSON reader takes any bytes; what it accepts is written and read back to the
 * same. */
#include "fuzz/fuzz.h"
#include "base/json.h"
#include <string.h>

static Text written(const Json *json) {
  Text text = {0};
  Fault fault = {0};
  must(json_write(json, 0, &text, &fault) == ERR_OK);
  return text;
}

FUZZ(json) {
  Fault fault = {0};
  Json *json = json_parse((const char *)bytes, n_bytes, &fault);
  must(!json == (fault.code != ERR_OK));
  if (!json) return;
  Text once = written(json);
  Json *again = json_parse(once.data, once.n_bytes, &fault);
  must(again);
  Text twice = written(again);
  must(once.n_bytes == twice.n_bytes &&
       memcmp(once.data, twice.data, once.n_bytes) == 0);
  text_deinit(&once);
  text_deinit(&twice);
  json_free(again);
  json_free(json);
}

FUZZ_CUTS(json)
