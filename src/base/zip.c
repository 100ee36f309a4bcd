/* zip.c: see zip.h. Layout, all numbers little-endian:
 *
 *   per entry    local header (30 bytes, name, extra), bytes
 *   directory    per entry 46 bytes, name, extra, comment
 *   zip64 end    56 bytes, and a locator of 20     only where 32 bits do not do
 *   end          22 bytes, comment
 *
 * A size or offset of 0xFFFFFFFF means that the value is in an extra field (number 1)
 * with 8 bytes, in the order: bytes, packed bytes, offset. */
#include "base/zip.h"
#include "base/ints.h"
#include "base/pack.h"
#include <stdlib.h>
#include <string.h>

enum {
  LOCAL_MARK = 0x04034b50, ENTRY_MARK = 0x02014b50, END_MARK = 0x06054b50,
  WIDE_END_MARK = 0x06064b50, LOCATOR_MARK = 0x07064b50,
  LOCAL_BYTES = 30, ENTRY_BYTES = 46, END_BYTES = 22, WIDE_END_BYTES = 56,
  LOCATOR_BYTES = 20, COMMENT_MAX = 0xFFFF, ENCRYPTED = 1, SIZES_BEHIND = 8,
  UTF8 = 0x800
};
static const uint32_t wide_32 = 0xFFFFFFFF;

/* -- reading: the end -------------------------------------------------------------- */

typedef struct Directory {
  uint64_t n, n_bytes, at;
  int64_t end; /* what it must not reach into */
} Directory;

static Err wrong(Fault *fault, const char *what) {
  return fault_set(fault, ERR_DATA, "is damaged, or no zip file: %s", what);
}

static Err read_wide_end(Directory *dir, Input *in, int64_t end_at, Fault *fault) {
  unsigned char b[WIDE_END_BYTES];
  if (end_at < LOCATOR_BYTES + WIDE_END_BYTES) return wrong(fault, "no zip64 end");
  Err err = input_seek(in, end_at - LOCATOR_BYTES, fault);
  if (!err) err = input_read(in, b, LOCATOR_BYTES, fault);
  if (err) return err;
  uint64_t at = little_64(b + 8);
  if (little_32(b) != LOCATOR_MARK ||
      at > (uint64_t)(end_at - LOCATOR_BYTES - WIDE_END_BYTES))
    return wrong(fault, "no zip64 end");
  err = input_seek(in, (int64_t)at, fault);
  if (!err) err = input_read(in, b, WIDE_END_BYTES, fault);
  if (err) return err;
  if (little_32(b) != WIDE_END_MARK || little_32(b + 16) || little_32(b + 20))
    return wrong(fault, "no zip64 end");
  *dir = (Directory){little_64(b + 32), little_64(b + 40), little_64(b + 48),
                     (int64_t)at};
  return ERR_OK;
}

/* The end's mark comes before a comment that reaches to the end of the file. */
static Err find_end(Directory *dir, Input *in, Fault *fault) {
  int64_t n = least(in->n_bytes, END_BYTES + COMMENT_MAX);
  unsigned char *tail = malloc((size_t)most(n, 1));
  if (!tail) return fault_memory(fault, (size_t)n);
  Err err = input_seek(in, in->n_bytes - n, fault);
  if (!err) err = input_read(in, tail, n, fault);
  int64_t at = n - END_BYTES;
  while (!err && at >= 0 &&
         (little_32(tail + at) != END_MARK ||
          at + END_BYTES + little_16(tail + at + 20) != n))
    at--;
  if (!err && at < 0) err = wrong(fault, "its directory is missing (truncated?)");
  if (!err) {
    const unsigned char *b = tail + at;
    int64_t end_at = in->n_bytes - n + at;
    *dir = (Directory){little_16(b + 10), little_32(b + 12), little_32(b + 16), end_at};
    if (dir->n == 0xFFFF || dir->n_bytes == wide_32 || dir->at == wide_32)
      err = read_wide_end(dir, in, end_at, fault);
    else if (little_32(b + 4) || little_16(b + 8) != dir->n)
      err = wrong(fault, "it is one of several disks");
  }
  free(tail);
  if (err) return err;
  if (dir->at > (uint64_t)dir->end || dir->n_bytes > (uint64_t)dir->end - dir->at ||
      dir->n > dir->n_bytes / ENTRY_BYTES || dir->n > INT32_MAX)
    return wrong(fault, "its directory does not fit into it");
  return ERR_OK;
}

/* -- reading: the entries ---------------------------------------------------------- */

/* Takes from the extra field the 8-byte values of those of `v` (n of them) that say so.
 * False where one is missing or too large. */
static bool widen(uint64_t *const *v, int n, const unsigned char *extra,
                  size_t n_extra) {
  const unsigned char *wide = NULL;
  size_t n_wide = 0;
  for (size_t at = 0; n_extra - at >= 4;) {
    size_t n_field = little_16(extra + at + 2);
    if (n_field > n_extra - at - 4) return false;
    if (little_16(extra + at) == 1) wide = extra + at + 4, n_wide = n_field;
    at += 4 + n_field;
  }
  for (int i = 0; i < n; i++) {
    if (*v[i] != wide_32) continue;
    if (!wide || n_wide < 8) return false;
    *v[i] = little_64(wide);
    wide += 8, n_wide -= 8;
    if (*v[i] > INT64_MAX / 4) return false;
  }
  return true;
}

/* Reads the directory's entry at `b`, of which n bytes are left; *used of them. */
static Err read_entry(ZipEntry *entry, const unsigned char *b, size_t n, size_t *used,
                      Fault *fault) {
  if (n < ENTRY_BYTES || little_32(b) != ENTRY_MARK)
    return wrong(fault, "its directory");
  size_t n_name = little_16(b + 28), n_extra = little_16(b + 30);
  *used = ENTRY_BYTES + n_name + n_extra + little_16(b + 32);
  if (*used > n) return wrong(fault, "its directory");
  const unsigned char *name = b + ENTRY_BYTES;
  if (n_name == 0 || memchr(name, 0, n_name)) return wrong(fault, "a name");
  uint64_t n_packed = little_32(b + 20), n_bytes = little_32(b + 24),
           at = little_32(b + 42);
  uint64_t *const wide[] = {&n_bytes, &n_packed, &at};
  if (!widen(wide, 3, name + n_name, n_extra)) return wrong(fault, "a zip64 field");
  *entry = (ZipEntry){.method = little_16(b + 10), .flags = little_16(b + 8),
                      .crc = little_32(b + 16), .n_packed = (int64_t)n_packed,
                      .n_bytes = (int64_t)n_bytes, .header_at = (int64_t)at};
  entry->name = malloc(n_name + 1);
  if (!entry->name) return fault_memory(fault, n_name + 1);
  memcpy(entry->name, name, n_name);
  entry->name[n_name] = 0;
  if (entry->flags & ENCRYPTED)
    return fault_set(fault, ERR_DATA, "\"%s\" is encrypted", entry->name);
  if (entry->method != ZIP_STORED && entry->method != ZIP_DEFLATED)
    return fault_set(fault, ERR_DATA,
                     "\"%s\" is packed by method %d; allowed: stored, "
                     "deflated",
                     entry->name, entry->method);
  return ERR_OK;
}

/* Sizes that the entry's own header must name, too. */
static bool header_agrees(const ZipEntry *entry, const unsigned char *b,
                          const unsigned char *rest) {
  size_t n_name = little_16(b + 26), n_extra = little_16(b + 28);
  if (n_name != strlen(entry->name) || memcmp(rest, entry->name, n_name) != 0 ||
      little_16(b + 8) != entry->method || little_16(b + 6) != entry->flags)
    return false;
  if (entry->flags & SIZES_BEHIND) return true;
  uint64_t n_packed = little_32(b + 18), n_bytes = little_32(b + 22);
  uint64_t *const wide[] = {&n_bytes, &n_packed};
  return widen(wide, 2, rest + n_name, n_extra) && little_32(b + 14) == entry->crc &&
         n_packed == (uint64_t)entry->n_packed && n_bytes == (uint64_t)entry->n_bytes;
}

/* Follows the entry to its own header and to its bytes, which end before `end`. */
static Err find_data(ZipEntry *entry, Input *in, int64_t end, Fault *fault) {
  unsigned char b[LOCAL_BYTES], *rest = NULL;
  if (entry->header_at > end - LOCAL_BYTES)
    return wrong(fault, "an entry lies outside");
  Err err = input_seek(in, entry->header_at, fault);
  if (!err) err = input_read(in, b, LOCAL_BYTES, fault);
  if (err) return err;
  int64_t n_rest = little_16(b + 26) + little_16(b + 28);
  entry->data_at = entry->header_at + LOCAL_BYTES + n_rest;
  if (little_32(b) != LOCAL_MARK || entry->data_at > end ||
      entry->n_packed > end - entry->data_at)
    return wrong(fault, "an entry lies outside");
  if (entry->n_bytes > (entry->method == ZIP_STORED ? entry->n_packed
                                                    : unpack_bound(entry->n_packed)) ||
      (entry->method == ZIP_STORED && entry->n_bytes != entry->n_packed))
    return wrong(fault, "an entry cannot unpack to its size");
  rest = malloc((size_t)n_rest + 1);
  if (!rest) return fault_memory(fault, (size_t)n_rest);
  err = input_read(in, rest, n_rest, fault);
  if (!err && !header_agrees(entry, b, rest))
    err = wrong(fault, "an entry differs from its directory");
  free(rest);
  return err;
}

static int by_place(const void *a, const void *b) {
  const ZipEntry *p = *(const ZipEntry *const *)a, *q = *(const ZipEntry *const *)b;
  return (p->header_at > q->header_at) - (p->header_at < q->header_at);
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const ZipEntry *const *)a)->name,
                (*(const ZipEntry *const *)b)->name);
}

/* No two entries of one name, none that shares bytes with another. */
static Err check_apart(const ZipFile *zip, Fault *fault) {
  const ZipEntry **sorted = malloc(((size_t)zip->n + 1) * sizeof *sorted);
  if (!sorted) return fault_memory(fault, (size_t)zip->n * sizeof *sorted);
  for (int i = 0; i < zip->n; i++) sorted[i] = &zip->entries[i];
  Err err = ERR_OK;
  qsort(sorted, (size_t)zip->n, sizeof *sorted, by_name);
  for (int i = 1; i < zip->n && !err; i++)
    if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
      err = fault_set(fault, ERR_DATA, "holds \"%s\" twice", sorted[i]->name);
  qsort(sorted, (size_t)zip->n, sizeof *sorted, by_place);
  for (int i = 1; i < zip->n && !err; i++)
    if (sorted[i]->header_at < sorted[i - 1]->data_at + sorted[i - 1]->n_packed)
      err = wrong(fault, "entries overlap");
  free(sorted);
  return err;
}

static Err read_entries(ZipFile *zip, const Directory *dir, const unsigned char *bytes,
                        Fault *fault) {
  Err err = ERR_OK;
  size_t at = 0;
  while (!err && zip->n < (int)dir->n) {
    size_t used = 0;
    ZipEntry *entry = &zip->entries[zip->n++];
    err = read_entry(entry, bytes + at, dir->n_bytes - at, &used, fault);
    at += used;
    if (!err) err = find_data(entry, zip->in, (int64_t)dir->at, fault);
    if (!err && __builtin_add_overflow(zip->n_bytes, entry->n_bytes, &zip->n_bytes))
      err = wrong(fault, "its sizes");
  }
  if (!err && at != dir->n_bytes) err = wrong(fault, "its directory");
  return err ? err : check_apart(zip, fault);
}

Err zip_open(ZipFile *out, Input *in, Fault *fault) {
  *out = (ZipFile){.in = in};
  Directory dir = {0};
  Err err = find_end(&dir, in, fault);
  if (!err) err = input_seek(in, (int64_t)dir.at, fault);
  if (!err) err = input_holds(in, (int64_t)dir.n_bytes, fault);
  if (err) return err;
  unsigned char *bytes = malloc(dir.n_bytes + 1);
  out->entries = calloc(dir.n + 1, sizeof *out->entries);
  err = bytes && out->entries ? input_read(in, bytes, (int64_t)dir.n_bytes, fault)
                              : fault_memory(fault, dir.n * sizeof *out->entries);
  if (!err) err = read_entries(out, &dir, bytes, fault);
  free(bytes);
  return err;
}

void zip_close(ZipFile *zip) {
  for (int i = 0; i < zip->n; i++) free(zip->entries[i].name);
  free(zip->entries);
  *zip = (ZipFile){0};
}

Err zip_entry_open(Input *out, const ZipFile *zip, const ZipEntry *entry,
                   Fault *fault) {
  *out = (Input){0};
  Err err = input_seek(zip->in, entry->data_at, fault);
  if (err) return err;
  if (entry->method == ZIP_STORED) {
    input_part(out, zip->in, entry->n_packed, entry->crc);
    return ERR_OK;
  }
  err = unpack_open(out, zip->in, entry->n_packed, PACK_DEFLATE, fault);
  if (!err) input_seal(out, entry->n_bytes, entry->crc);
  return err;
}

/* -- writing ----------------------------------------------------------------------- */

static void put(Text *out, uint64_t v, int n_bytes) {
  for (int i = 0; i < n_bytes; i++, v >>= 8) {
    char byte = (char)(v & 255);
    text_add_bytes(out, &byte, 1);
  }
}

void zip_begin(ZipWriter *out, FILE *file, ZipMethod method) {
  *out = (ZipWriter){.file = file, .method = method, .wide_from = (int64_t)1 << 31};
}

/* What a local header and the directory say alike: version to flags to name length. The
 * date is the first there is, 1980-01-01. Wide sizes stand in the extra field. */
static void put_common(Text *out, const ZipEntry *entry, bool wide, size_t n_extra) {
  put(out, wide ? 45 : 20, 2);
  put(out, (uint64_t)entry->flags, 2);
  put(out, (uint64_t)entry->method, 2);
  put(out, 0, 2);
  put(out, 0x21, 2);
  put(out, entry->crc, 4);
  put(out, wide ? wide_32 : (uint64_t)entry->n_packed, 4);
  put(out, wide ? wide_32 : (uint64_t)entry->n_bytes, 4);
  put(out, strlen(entry->name), 2);
  put(out, n_extra, 2);
}

static void put_local(Text *out, const ZipEntry *entry, bool wide) {
  put(out, LOCAL_MARK, 4);
  put_common(out, entry, wide, wide ? 20 : 0);
  text_add(out, entry->name);
  if (!wide) return;
  put(out, 1, 2);
  put(out, 16, 2);
  put(out, (uint64_t)entry->n_bytes, 8);
  put(out, (uint64_t)entry->n_packed, 8);
}

static void put_entry(ZipWriter *zip, const ZipEntry *entry, bool wide) {
  Text *out = &zip->directory;
  wide |= entry->header_at >= zip->wide_from;
  put(out, ENTRY_MARK, 4);
  put(out, wide ? 45 : 20, 2);
  put_common(out, entry, wide, wide ? 28 : 0);
  put(out, 0, 10); /* no comment, first disk, no attributes */
  put(out, wide ? wide_32 : (uint64_t)entry->header_at, 4);
  text_add(out, entry->name);
  if (!wide) return;
  put(out, 1, 2);
  put(out, 24, 2);
  put(out, (uint64_t)entry->n_bytes, 8);
  put(out, (uint64_t)entry->n_packed, 8);
  put(out, (uint64_t)entry->header_at, 8);
}

static Err put_packed(ZipWriter *zip, ZipEntry *entry, const void *head, size_t n_head,
                      const void *body, size_t n_body, Fault *fault) {
  Packer *packer = pack_open(zip->file, fault);
  if (!packer) return fault->code;
  pack_write(packer, head, n_head);
  pack_write(packer, body, n_body);
  entry->n_packed = pack_close(packer);
  return ERR_OK;
}

/* The packed size is known only afterwards: the local header is then written again. */
Err zip_add(ZipWriter *zip, const char *name, const void *head, size_t n_head,
            const void *body, size_t n_body, Fault *fault) {
  ZipEntry entry = {.name = (char *)name, .method = zip->method, .flags = UTF8,
                    .crc = crc_add(crc_add(0, head, n_head), body, n_body),
                    .n_bytes = (int64_t)(n_head + n_body), .header_at = zip->at};
  if (strlen(name) > 0xFFFF) return fault_set(fault, ERR_VALUE, "a name is too long");
  entry.n_packed = entry.n_bytes;
  bool wide = entry.n_bytes >= zip->wide_from;
  Text header = {0};
  Err err = ERR_OK;
  put_local(&header, &entry, wide);
  fwrite(header.data, 1, header.n_bytes, zip->file);
  if (zip->method == ZIP_DEFLATED) {
    err = put_packed(zip, &entry, head, n_head, body, n_body, fault);
    header.n_bytes = 0;
    put_local(&header, &entry, wide);
    fseeko(zip->file, (off_t)zip->at, SEEK_SET);
    fwrite(header.data, 1, header.n_bytes, zip->file);
    fseeko(zip->file, 0, SEEK_END);
  } else {
    fwrite(head, 1, n_head, zip->file);
    fwrite(body, 1, n_body, zip->file);
  }
  zip->at += (int64_t)header.n_bytes + entry.n_packed;
  zip->n++;
  put_entry(zip, &entry, wide);
  if (!err && (header.failed || zip->directory.failed))
    err = fault_memory(fault, header.n_bytes);
  text_deinit(&header);
  return err;
}

static void put_end(ZipWriter *zip, size_t n_directory) {
  Text *out = &zip->directory;
  bool wide = zip->n >= 0xFFFF || zip->at >= zip->wide_from;
  uint64_t n = (uint64_t)zip->n, at = (uint64_t)zip->at;
  if (wide) {
    put(out, WIDE_END_MARK, 4);
    put(out, WIDE_END_BYTES - 12, 8);
    put(out, 45, 2);
    put(out, 45, 2);
    put(out, 0, 8);
    put(out, n, 8);
    put(out, n, 8);
    put(out, n_directory, 8);
    put(out, at, 8);
    put(out, LOCATOR_MARK, 4);
    put(out, 0, 4);
    put(out, at + n_directory, 8);
    put(out, 1, 4);
  }
  put(out, END_MARK, 4);
  put(out, 0, 4);
  put(out, wide ? 0xFFFF : n, 2);
  put(out, wide ? 0xFFFF : n, 2);
  put(out, wide ? wide_32 : n_directory, 4);
  put(out, wide ? wide_32 : at, 4);
  put(out, 0, 2);
}

Err zip_finish(ZipWriter *zip, Fault *fault) {
  Text *directory = &zip->directory;
  put_end(zip, directory->n_bytes);
  Err err = directory->failed ? fault_memory(fault, directory->n_bytes) : ERR_OK;
  if (!err) fwrite(directory->data, 1, directory->n_bytes, zip->file);
  text_deinit(directory);
  *zip = (ZipWriter){0};
  return err;
}
