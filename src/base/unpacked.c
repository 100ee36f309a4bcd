/* unpacked.c: see unpacked.h. */
#include "base/unpacked.h"
#include "base/file.h"
#include "base/ints.h"
#include "base/pack.h"
#include "base/path.h"
#include <stdlib.h>
#include <string.h>

/* What a gzipped file says of its content, behind it. */
typedef struct Trailer {
  uint32_t crc, n_bytes;
} Trailer;

/* False where the file is not gzipped. */
static bool read_trailer(Trailer *out, const char *path) {
  enum { LEAST = 18, SIZE = 8 }; /* of a gzipped file; of what is behind the content */
  unsigned char magic[2], b[SIZE];
  Input in;
  Fault none = {0};
  bool ok = !input_open(&in, path, &none) && in.n_bytes >= LEAST &&
            !input_read(&in, magic, 2, &none) && pack_is_gzip(magic) &&
            !input_seek(&in, in.n_bytes - SIZE, &none) &&
            !input_read(&in, b, SIZE, &none);
  input_close(&in);
  if (ok) *out = (Trailer){little_32(b), little_32(b + 4)};
  return ok;
}

/* "" where there is no such directory. */
static Path cache_directory(void) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (cache && *cache == '/') return path_of("%s/runner", cache);
  return home && *home == '/' ? path_of("%s/.cache/runner", home) : path_of("%s", "");
}

static bool make_copy(const char *copy, const char *path, Trailer trailer) {
  Input in;
  Text bytes = {0};
  Fault none = {0};
  bool ok = !input_open_packed(&in, path, &none) &&
            !input_rest(&in, trailer.n_bytes, &bytes, &none) &&
            bytes.n_bytes == trailer.n_bytes &&
            crc_add(0, bytes.data, bytes.n_bytes) == trailer.crc &&
            !file_put(copy, bytes.data, bytes.n_bytes, PUBLISH_DRAFT, &none);
  input_close(&in);
  text_deinit(&bytes);
  return ok;
}

static bool open_copy(Input *out, const char *copy, Trailer trailer) {
  Fault none = {0};
  if (!file_exists(copy) || input_open(out, copy, &none)) return false;
  if (out->n_bytes == trailer.n_bytes) {
    input_seal(out, trailer.n_bytes, trailer.crc);
    return true;
  }
  input_close(out);
  return false;
}

bool unpacked_open(Input *out, const char *path, bool anew) {
  Trailer trailer;
  Fault none = {0};
  Path cache = cache_directory();
  *out = (Input){0};
  if (!*cache.s || !read_trailer(&trailer, path)) return false;
  Path copy = path_of("%s/%s.%08x-%u", cache.s, file_name(path), trailer.crc,
                      trailer.n_bytes);
  if (!anew && open_copy(out, copy.s, trailer)) return true;
  return !file_make_dirs(cache.s, &none) && make_copy(copy.s, path, trailer) &&
         open_copy(out, copy.s, trailer);
}
