/* The reader of FANN's text files takes any bytes. The first says whether outputs
 * become labels. */
#include "options.h"
#include "fuzz/fuzz.h"
#include "data/sources.h"

FUZZ(fann) {
  Fault fault = {0};
  MemoryCount count = {0};
  Rows rows = {.scale = 1};
  Input in;
  if (n_bytes < 1) return;
  Source *source = (Source *)object_new(family_find(&dataset_family, "fann", &fault),
                                        &fault);
  must(source);
  const Option *labels = option_find(source->object.kind, "labels", &fault);
  must(!give_bool(&source->object, labels, bytes[0] % 2, &fault));
  source->memory = &count;
  input_memory(&in, bytes + 1, n_bytes - 1);
  Err err = fann_parse(source, &in, &rows, &fault);
  must(err == fault.code && (err || (rows.x && rows.y)));
  rows_deinit(&rows);
  input_close(&in);
  must(count.now_bytes == 0);
  object_release(source);
}

FUZZ_CUTS(fann)
