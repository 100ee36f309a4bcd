/* What every reader of data files must survive: cut, flipped and lying files. */
#include "options.h"
#include "base/pack.h"
#include "data/sources.h"
#include "files.h"
#include "hostile.h"

/* -- text -------------------------------------------------------------------------- */

/* place: of a column, 0: no option is set. */
static Source *source_of(const char *name, const char *option, int place) {
  Fault fault = {0};
  const Kind *kind = family_find(&dataset_family, name, &fault);
  Object *o = object_new(kind, &fault);
  Err err = ERR_OK;
  if (place) err = give_number(o, option_find(kind, option, &fault), place, &fault);
  if (err) fail_msg("%s", fault.text);
  return (Source *)o;
}

static bool read_rows(const char *name, const char *option, int place, ParseRows *parse,
                      Input *in, Fault *fault) {
  Source *source = source_of(name, option, place);
  Rows rows = {.scale = 1};
  Err err = parse(source, in, &rows, fault);
  if (!err)
    assert_int_equal(rows.x->a.shape.dim[0],
                     rows.y ? rows.y->a.shape.dim[0] : rows.x->a.shape.dim[0]);
  rows_deinit(&rows);
  object_release(source);
  return !err;
}

static bool read_csv(Input *in, Fault *fault) {
  return read_rows("csv", "target", -1, csv_parse, in, fault);
}

static bool read_categories(Input *in, Fault *fault) {
  return read_rows("csv", "categorical", 1, csv_parse, in, fault);
}

static bool read_text(Input *in, Fault *fault) {
  return read_rows("text", NULL, 0, text_parse, in, fault);
}

static bool read_fann(Input *in, Fault *fault) {
  return read_rows("fann", NULL, 0, fann_parse, in, fault);
}

/* Any prefix of a table or text may be a good one: none may crash. */
static void survives_prefixes(Reader *reader, const char *bytes, size_t n) {
  for (size_t i = 0; i <= n; i++) {
    Fault fault = {0};
    hostile_read(reader, bytes, i, &fault);
  }
}

TEST(tables_cut_and_flipped) {
  static const char table[] = "\xEF\xBB\xBF"
                              "a,b,\"c \"\"x\"\"\"\r\n1,2.5,\"u\nv\"\r\n"
                              "-3,4e1,w\n\n5,6,\xc3\xa9";
  size_t n = sizeof table - 1;
  accepts(read_csv, table, n);
  survives_prefixes(read_csv, table, n);
  survives_flips(read_csv, table, n);
  survives_flips(read_categories, "x,1\ny,2\nx,3\n", 12);
}

TEST(odd_tables) {
  refuses(read_csv, "\"", 1, "never closed");
  refuses(read_csv, "\"\"\"", 3, "never closed");
  refuses(read_csv, "\r\n\r \n\t", 6, "is empty");
  refuses(read_csv, ",", 1, "missing");
  refuses(read_csv, "1,2\n,", 5, "missing");
  accepts(read_csv, "1,\"\"\"\"", 6);
  Text wide = {0};
  for (int i = 0; i < 1000001; i++) text_add(&wide, ",");
  refuses(read_csv, wide.data, wide.n_bytes, "more than 1000000 columns");
  wide.n_bytes = 0;
  for (int i = 0; i < 1001; i++) text_addf(&wide, "name%d,1\n", i);
  refuses(read_categories, wide.data, wide.n_bytes, "allowed: 1000");
  text_deinit(&wide);
}

TEST(texts_cut_and_flipped) {
  static const char text[] = "Any text of more than thirty-two characters: \xc3\xa9, "
                             "\xe2\x82\xac, \xf0\x9f\x98\x80.";
  accepts(read_text, text, sizeof text - 1);
  survives_prefixes(read_text, text, sizeof text - 1);
  survives_flips(read_text, text, sizeof text - 1);
  static const char *const bad[] = {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
                                    "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
                                    "\xe2\x82"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    refuses(read_text, bad[i], strlen(bad[i]), "not UTF-8");
}

TEST(fann_cut_and_flipped) {
  static const char file[] = "2 3 1\n1 -2.5 3e1\n0.5\n4 5 6\n1";
  size_t n = sizeof file - 1;
  accepts(read_fann, file, n);
  refuses_prefixes(read_fann, file, 0, n);
  survives_flips(read_fann, file, n);
  static const struct { const char *text, *says; } bad[] = {
      {"", "ends in line 1"},
      {"2 1 1\n1\n2\n3\n", "ends in line 5"},
      {"1 1 1\n1\n2\n3\n", "line 4: more numbers"},
      {"1 1 1\n1 x", "line 2: got \"x\""},
      {"1 1 1\n1 nan", "got \"nan\""},
      {"1 1 1\n1,2", "got \"1,2\""},
      {"0 1 1", "the head says 0 rows"},
      {"1.5 1 1", "1.5 rows"},
      {"1 -1 1", "-1 inputs"},
      {"1e15 1e15 1", "1e+15 rows"},
      {"5 5 5\n1", "more than 7 bytes can be"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    refuses(read_fann, bad[i].text, strlen(bad[i].text), bad[i].says);
}

/* -- bytes ------------------------------------------------------------------------- */

static bool read_idx(Input *in, Fault *fault) {
  Tensor *t = idx_parse(in, NULL, fault);
  tensor_release(t);
  return t != NULL;
}

static bool read_packed_idx(Input *in, Fault *fault) {
  Input unpacked;
  if (unpack_open(&unpacked, in, in->n_bytes, PACK_GZIP, fault)) return false;
  bool accepted = read_idx(&unpacked, fault);
  input_close(&unpacked);
  return accepted;
}

static bool read_cifar(Input *in, Fault *fault) {
  int64_t n = 0;
  if (cifar10_count(in, &n, fault)) return false;
  Rows rows = {.x = tensor_new(NULL, DT_UINT8, &SHAPE_OF(n, 3, 32, 32), fault),
               .y = tensor_new(NULL, DT_INT32, &SHAPE_OF(n), fault)};
  bool accepted = !cifar10_parse(in, &rows, 0, fault);
  rows_deinit(&rows);
  return accepted;
}

TEST(idx_flipped) {
  Bytes b = idx_header(0x0C, SIZES(2, 2));
  bytes_add(&b, "0123456789abcdef", 16);
  refuses_prefixes(read_idx, b.v, 0, b.n);
  survives_flips(read_idx, b.v, b.n);
}

TEST(gzip_cut_and_flipped) {
  Bytes b = image_bytes(3, 3, 3);
  size_t n;
  char *packed = temp_read(put_gz("x.gz", &b), &n);
  refuses_prefixes(read_packed_idx, packed, 0, n);
  survives_flips(read_packed_idx, packed, n);
  free(packed);
}

/* Two files in a row are one, as gzip has it; anything else behind the end is
 * refused. */
TEST(gzip_members_in_a_row) {
  Bytes b = image_bytes(3, 3, 3), first = b, second = {.n = b.n - 20};
  size_t n, m;
  first.n = 20;
  memcpy(second.v, b.v + 20, second.n);
  char *packed = temp_read(put_gz("x.gz", &first), &n);
  char *more = temp_read(put_gz("y.gz", &second), &m);
  memcpy(packed + n, more, m);
  refuses_prefixes(read_packed_idx, packed, 0, n + m);
  memcpy(packed + n + m, "junk", 4);
  refuses(read_packed_idx, packed, n + m + 4, "damaged");
  free(packed);
  free(more);
}

/* 64 MB of zeros in 64 KB, behind sizes that the zeros fit, and behind others: what is
 * not claimed is not unpacked. */
TEST(gzip_that_unpacks_to_much) {
  const char *path = temp_path("bomb.gz");
  Bytes head = idx_header(8, SIZES(2, 2));
  gzFile file = gzopen(path, "wb9");
  static unsigned char zeros[1 << 20];
  gzwrite(file, head.v, (unsigned)head.n);
  for (int i = 0; i < 64; i++) gzwrite(file, zeros, sizeof zeros);
  assert_int_equal(gzclose(file), Z_OK);
  Fault fault = {0};
  MemoryCount memory = {0};
  assert_null(idx_read(path, false, &memory, &fault));
  assert_non_null(strstr(fault.text, "bytes after the data"));
  assert_true(memory.peak_bytes < 1000);
  Input in;
  Text text = {0};
  fault_clear(&fault);
  assert_int_equal(input_open_packed(&in, path, &fault), ERR_OK);
  assert_int_equal(input_rest(&in, 1 << 20, &text, &fault), ERR_DATA);
  assert_non_null(strstr(fault.text, "larger than"));
  assert_true(text.n_bytes < 2 << 20);
  text_deinit(&text);
  input_close(&in);
}

TEST(cifar_cut) {
  unsigned char *records = calloc(2, 3073);
  records[3073] = 9;
  for (size_t n = 0; n < 2 * 3073; n += n < 3000 ? 100 : 1)
    if (n != 3073) {
      Fault fault = {0};
      assert_false(hostile_read(read_cifar, records, n, &fault));
    }
  accepts(read_cifar, records, 2 * 3073);
  records[3073] = 10;
  refuses(read_cifar, records, 2 * 3073, "label 10 in record 2");
  free(records);
}
