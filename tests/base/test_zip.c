/* ZIP archives: what is written is read back, stored, deflated and with wide sizes;
 * what is damaged is refused. */
#include "hostile.h"
#include "tempdir.h"
#include "base/zip.h"

enum { N = 3, LONG = 5000 };
static const char *const names[N] = {"a.npy", "größe/ä.npy", "empty"};
static char body[LONG];

static void fill(void) {
  for (int i = 0; i < LONG; i++) body[i] = (char)(i % 7 ? 'x' : i);
}

/* The archive's bytes: "head" and a body that gets shorter. */
static char *archive(ZipMethod method, bool wide, size_t *n_bytes) {
  Fault fault = {0};
  const char *path = temp_path("a.zip");
  FILE *file = fopen(path, "wb+");
  ZipWriter zip;
  fill();
  zip_begin(&zip, file, method);
  if (wide) zip.wide_from = 0;
  for (int i = 0; i < N; i++) {
    size_t n = i == 2 ? 0 : (size_t)(LONG >> i);
    assert_int_equal(zip_add(&zip, names[i], i == 2 ? "" : "head", i == 2 ? 0 : 4, body,
                             n, &fault),
                     ERR_OK);
  }
  assert_int_equal(zip_finish(&zip, &fault), ERR_OK);
  fclose(file);
  char *bytes = temp_read(path, n_bytes);
  assert_non_null(bytes);
  return bytes;
}

static bool read_entry(const ZipFile *zip, const ZipEntry *entry, Fault *fault) {
  Input in;
  Text text = {0};
  Err err = zip_entry_open(&in, zip, entry, fault);
  if (!err) err = input_rest(&in, 1 << 20, &text, fault);
  input_close(&in);
  text_deinit(&text);
  return !err;
}

static bool read_all(Input *in, Fault *fault) {
  ZipFile zip;
  bool fine = !zip_open(&zip, in, fault);
  for (int i = 0; fine && i < zip.n; i++)
    fine = read_entry(&zip, &zip.entries[i], fault);
  zip_close(&zip);
  return fine;
}

static void assert_comes_back(ZipMethod method, bool wide) {
  size_t n_bytes;
  Fault fault = {0};
  char *bytes = archive(method, wide, &n_bytes);
  Input in;
  ZipFile zip;
  input_memory(&in, bytes, n_bytes);
  assert_int_equal(zip_open(&zip, &in, &fault), ERR_OK);
  assert_int_equal(zip.n, N);
  assert_int_equal(zip.n_bytes, 4 + LONG + 4 + LONG / 2);
  for (int i = 0; i < N; i++) {
    Input entry;
    Text text = {0};
    const ZipEntry *e = &zip.entries[i];
    assert_string_equal(e->name, names[i]);
    assert_int_equal(e->method, method);
    assert_int_equal(zip_entry_open(&entry, &zip, e, &fault), ERR_OK);
    assert_int_equal(input_rest(&entry, 1 << 20, &text, &fault), ERR_OK);
    input_close(&entry);
    assert_int_equal(text.n_bytes, e->n_bytes);
    if (i < 2) assert_memory_equal(text.data, "head", 4);
    if (i < 2) assert_memory_equal(text.data + 4, body, (size_t)(LONG >> i));
    text_deinit(&text);
  }
  if (method == ZIP_DEFLATED)
    assert_true(zip.entries[0].n_packed < zip.entries[0].n_bytes / 4);
  zip_close(&zip);
  input_close(&in);
  free(bytes);
}

TEST(what_is_written_is_read_back) {
  assert_comes_back(ZIP_STORED, false);
  assert_comes_back(ZIP_DEFLATED, false);
  assert_comes_back(ZIP_STORED, true);
  assert_comes_back(ZIP_DEFLATED, true);
}

TEST(the_same_entries_give_the_same_bytes) {
  size_t n, m;
  char *once = archive(ZIP_DEFLATED, false, &n),
       *again = archive(ZIP_DEFLATED, false, &m);
  assert_int_equal(n, m);
  assert_memory_equal(once, again, n);
  free(once);
  free(again);
}

TEST(what_is_cut_off_is_refused_and_no_flipped_bit_harms) {
  size_t n;
  char *bytes = archive(ZIP_DEFLATED, true, &n);
  refuses_prefixes(read_all, bytes, 0, n);
  survives_flips(read_all, bytes, n);
  free(bytes);
}

/* A byte of an entry that differs is seen by its checksum, its size or its header. */
TEST(a_changed_byte_of_what_is_stored_is_refused) {
  size_t n;
  char *bytes = archive(ZIP_STORED, false, &n);
  bytes[30 + strlen(names[0]) + 10] ^= 1;
  refuses(read_all, bytes, n, "");
  free(bytes);
}

TEST(an_entry_that_its_own_header_names_otherwise_is_refused) {
  size_t n;
  char *bytes = archive(ZIP_STORED, false, &n);
  bytes[30] ^= 1; /* the first letter of the first name */
  refuses(read_all, bytes, n, "an entry differs from its directory");
  free(bytes);
}

TEST(what_is_no_archive_is_said_to_be_none) {
  refuses(read_all, "", 0, "no zip file");
  refuses(read_all, "PK", 2, "no zip file");
}
