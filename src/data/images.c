/* images.c: pictures in a folder, a class in each of its folders.
 *
 * Names are sorted by bytes, folders and files alike, so the same files give the same
 * order everywhere. Hidden files, and those that do not end like pictures, do not
 * count; pictures of types that are not read are counted and said, once for each data
 * set.
 *
 * Samples stay whole numbers: uint8, or int32 where a picture has 16 bits; then those
 * of 8 bits are multiplied by 257, so that all go from 0 to 65,535. */
#include "base/out.h"
#include "base/sys.h"
#include "data/image.h"
#include "data/sources.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct Images {
  Source source;
  char *dir;
  IntList size;
  int64_t channels;
  bool scale;
} Images;

/* -- the files --------------------------------------------------------------------- */

static const char *const read_types[] = {".png", ".jpg", ".jpeg", NULL};
#define READ_TYPES ".png .jpg .jpeg"

/* What else ends like a picture: left out, and said. */
static const char *const other_types[] = {
    ".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".avif", ".jp2", ".jfif",
    ".pgm", ".ppm", ".pnm", ".tga", ".svg", ".ico", NULL};
enum { N_OTHER = sizeof other_types / sizeof *other_types - 1 };

/* Files of each of the other types. */
typedef struct Others {
  int64_t n[N_OTHER];
} Others;

/* Its index among the types, -1: none of them. */
static int type_of(const char *name, const char *const *types) {
  size_t n = strlen(name);
  for (int i = 0; types[i]; i++) {
    size_t n_type = strlen(types[i]);
    if (n > n_type && strcasecmp(name + n - n_type, types[i]) == 0) return i;
  }
  return -1;
}

/* ".gif 3, .webp 1" into `buffer`; their number. */
static int64_t list_others(const Others *others, char *buffer, size_t n_bytes) {
  int64_t n = 0;
  size_t used = 0;
  *buffer = 0;
  for (int i = 0; i < N_OTHER; i++) {
    if (!others->n[i]) continue;
    if (used < n_bytes)
      used += (size_t)snprintf(buffer + used, n_bytes - used, "%s%s %lld",
                               n ? ", " : "", other_types[i], (long long)others->n[i]);
    n += others->n[i];
  }
  return n;
}

/* A folder without pictures that are read, which may hold others. */
static Err no_pictures(const char *dir, const char *what, const Others *others,
                       Fault *fault) {
  char list[200];
  if (!list_others(others, list, sizeof list))
    return fault_set(fault, ERR_DATA, "%s: holds %s (" READ_TYPES ")", dir, what);
  return fault_set(fault, ERR_DATA,
                   "%s: holds %s (" READ_TYPES "), only pictures of types "
                   "that are not read: %s",
                   dir, what, list);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the entry of a directory to one of the lists. What leads nowhere (a link whose
 * file is gone) would be missing from a class without a word, so it is a fault. */
static Err list_entry(DIR *handle, const char *dir, const char *name, Names *folders,
                      Names *files, Others *others, Fault *fault) {
  struct stat at;
  if (fstatat(dirfd(handle), name, &at, 0) != 0)
    return fault_set(fault, ERR_DATA, "%s/%s: cannot be read: %s%s", dir, name,
                     strerror(errno),
                     errno == ENOENT ? " (a link that leads nowhere?)" : "");
  if (S_ISDIR(at.st_mode)) return names_add(folders, name, strlen(name), fault);
  int other = type_of(name, other_types);
  if (other >= 0) others->n[other]++;
  if (type_of(name, read_types) < 0) return ERR_OK;
  if (!S_ISREG(at.st_mode))
    return fault_set(fault, ERR_DATA, "%s/%s: is no file", dir, name);
  return names_add(files, name, strlen(name), fault);
}

/* The names of what is in a directory, apart from what does not count, sorted:
 * folders and pictures; the others are counted. */
static Err list_directory(const char *dir, Names *folders, Names *files, Others *others,
                          Fault *fault) {
  DIR *handle = opendir(dir);
  if (!handle)
    return fault_set(fault, ERR_DATA, "%s: cannot be read: %s", dir, strerror(errno));
  Err err = ERR_OK;
  for (struct dirent *entry; !err && (entry = readdir(handle));)
    if (*entry->d_name != '.')
      err = list_entry(handle, dir, entry->d_name, folders, files, others, fault);
  closedir(handle);
  if (folders->n) qsort(folders->v, (size_t)folders->n, sizeof *folders->v, by_name);
  if (files->n) qsort(files->v, (size_t)files->n, sizeof *files->v, by_name);
  return err;
}

static Err add_path(Names *paths, const char *dir, const char *folder, const char *file,
                    Fault *fault) {
  Text path = {0};
  text_addf(&path, "%s/%s%s%s", dir, folder, *folder ? "/" : "", file);
  Err err = path.failed ? fault_memory(fault, strlen(dir))
                        : names_add(paths, path.data, path.n_bytes, fault);
  text_deinit(&path);
  return err;
}

/* The paths of one class's pictures. */
static Err add_class(const char *dir, const char *folder, Names *paths, Others *others,
                     Fault *fault) {
  Names inner = {0}, files = {0};
  Others own = {0};
  Text path = {0};
  text_addf(&path, "%s/%s", dir, folder);
  Err err = path.failed ? fault_memory(fault, strlen(dir))
                        : list_directory(path.data, &inner, &files, &own, fault);
  if (!err && inner.n > 0)
    err = fault_set(fault, ERR_DATA,
                    "%s: holds the folder \"%s\"; allowed: pictures of one "
                    "class",
                    path.data, inner.v[0]);
  if (!err && files.n == 0) err = no_pictures(path.data, "no pictures", &own, fault);
  for (int i = 0; i < N_OTHER; i++) others->n[i] += own.n[i];
  for (int64_t i = 0; i < files.n && !err; i++)
    err = add_path(paths, dir, folder, files.v[i], fault);
  names_deinit(&inner);
  names_deinit(&files);
  text_deinit(&path);
  return err;
}

/* All paths, in order; ends[k] is where those of class k end. Without folders there are
 * no classes. */
typedef struct Listing {
  Names paths, classes;
  int64_t *ends;
  Others others; /* of all folders */
} Listing;

static void listing_deinit(Listing *list) {
  names_deinit(&list->paths);
  names_deinit(&list->classes);
  free(list->ends);
}

static Err list_pictures(const char *dir, Listing *out, Fault *fault) {
  Names files = {0};
  Err err = list_directory(dir, &out->classes, &files, &out->others, fault);
  int64_t n = out->classes.n;
  if (!err && n > 0 && files.n > 0)
    err = fault_set(fault, ERR_DATA,
                    "%s: holds pictures (\"%s\") beside folders of classes (\"%s\"); "
                    "allowed: one or the other",
                    dir, files.v[0], out->classes.v[0]);
  if (!err && n == 0 && files.n == 0)
    err = no_pictures(dir, "neither folders nor pictures", &out->others, fault);
  if (!err && n > 0) {
    out->ends = malloc((size_t)n * sizeof *out->ends);
    if (!out->ends) err = fault_memory(fault, (size_t)n * sizeof *out->ends);
  }
  for (int64_t k = 0; k < n && !err; k++) {
    err = add_class(dir, out->classes.v[k], &out->paths, &out->others, fault);
    out->ends[k] = out->paths.n;
  }
  for (int64_t i = 0; n == 0 && i < files.n && !err; i++)
    err = add_path(&out->paths, dir, "", files.v[i], fault);
  names_deinit(&files);
  return err;
}

/* -- the pictures ------------------------------------------------------------------ */

enum { FILE_LIMIT = 1 << 28 };

static Err read_picture(const char *path, const Images *images, Image *out,
                        Fault *fault) {
  Input in;
  Text bytes = {0};
  *out = (Image){0};
  Err err = input_open(&in, path, fault);
  if (!err) err = input_rest(&in, FILE_LIMIT, &bytes, fault);
  if (!err)
    err = image_decode(out, (const unsigned char *)bytes.data, bytes.n_bytes,
                       (int)images->channels, fault);
  input_close(&in);
  text_deinit(&bytes);
  const IntList *size = &images->size;
  if (!err && size->n > 0 &&
      (out->height != size->v[0] || out->width != size->v[size->n - 1])) {
    Image whole = *out;
    err = image_resize(out, &whole, size->v[0], size->v[size->n - 1], fault);
    image_deinit(&whole);
  }
  if (err) fault_prefix(fault, "%s", path);
  return err;
}

/* The first picture says what all must be like; bits: of the set's samples. */
static Err new_rows(const Image *first, int64_t n, int bits, MemoryCount *memory,
                    Rows *out, Fault *fault) {
  DType dtype = bits == 16 ? DT_INT32 : DT_UINT8;
  Shape shape = SHAPE_OF(n, first->channels, first->height, first->width);
  Err err = memory_holds_all(n, shape_stride(&shape, 0) * (int64_t)dtype_bytes(dtype),
                             fault);
  if (err) return err;
  out->x = tensor_new(memory, dtype, &shape, fault);
  return out->x ? ERR_OK : fault->code;
}

static Err check_alike(const Image *image, const Rows *rows, const char *path,
                       const char *first, Fault *fault) {
  must(rows->x);
  const int64_t *d = rows->x->a.shape.dim;
  if (image->height != d[2] || image->width != d[3])
    return fault_set(fault, ERR_DATA,
                     "%s: a picture of %lld x %lld pixels, %s has %lld x %lld; size = "
                     "{height, width} makes them alike",
                     path, (long long)image->height, (long long)image->width, first,
                     (long long)d[2], (long long)d[3]);
  if (image->channels != d[1])
    return fault_set(fault, ERR_DATA,
                     "%s: %s, %s is not; channels = 1 or 3 makes them "
                     "alike",
                     path, image->channels == 1 ? "is grey" : "has colours", first);
  return ERR_OK;
}

static int bits_of(const Rows *rows) { return rows->x->a.dtype == DT_INT32 ? 16 : 8; }

enum { FROM_8_TO_16 = 257 }; /* 255 * 257 = 65535 */

/* Rows of 8 bits as rows of 16; the first n_filled of them hold pictures. */
static Err widen(Rows *rows, int64_t n_filled, MemoryCount *memory, Fault *fault) {
  Tensor *narrow = rows->x;
  const int64_t *d = narrow->a.shape.dim;
  Image first = {.height = d[2], .width = d[3], .channels = (int)d[1]};
  Rows wide = {0};
  Err err = new_rows(&first, d[0], 16, memory, &wide, fault);
  if (err) return err;
  int64_t n = n_filled * shape_stride(&narrow->a.shape, 0);
  int32_t *to = wide.x->a.data;
  const uint8_t *from = narrow->a.data;
  for (int64_t i = 0; i < n; i++) to[i] = FROM_8_TO_16 * from[i];
  tensor_release(narrow);
  rows->x = wide.x;
  return ERR_OK;
}

/* Scaled, pictures of 8 and of 16 bits are comparable; as they are, they are not. */
static Err match_bits(const Images *images, const Image *image, Rows *rows,
                      int64_t n_filled, const char *path, const char *first,
                      Fault *fault) {
  int bits = bits_of(rows);
  if (image->bits == bits) return ERR_OK;
  if (!images->scale)
    return fault_set(fault, ERR_DATA,
                     "%s: has %d bits a channel, %s has %d; scale = true makes them "
                     "comparable, from 0 to 1",
                     path, image->bits, first, bits);
  return bits == 16 ? ERR_OK : widen(rows, n_filled, images->source.memory, fault);
}

/* Pixels to planes, picture i. */
static void put_picture(const Image *image, Rows *rows, int64_t i) {
  int64_t n = image->height * image->width, at = i * shape_stride(&rows->x->a.shape, 0);
  bool wide = bits_of(rows) == 16;
  int factor = wide && image->bits == 8 ? FROM_8_TO_16 : 1;
  for (int k = 0; k < image->channels; k++)
    for (int64_t p = 0; p < n; p++, at++) {
      int sample = image_sample(image, p * image->channels + k);
      if (wide) ((int32_t *)rows->x->a.data)[at] = factor * sample;
      else ((uint8_t *)rows->x->a.data)[at] = (uint8_t)sample;
    }
}

static void show_progress(int64_t n_done, int64_t n, double *last_s) {
  double now_s = clock_s();
  if (!out_progress_on() || now_s - *last_s < 0.1) return;
  *last_s = now_s;
  out_progress("data.images: %lld of %lld read", (long long)n_done, (long long)n);
}

/* Of pictures that a decoder warned of. */
typedef struct Warnings {
  int64_t n;
  const char *first; /* path, borrowed */
  char text[sizeof((Image *)0)->warning];
} Warnings;

static void note_warning(Warnings *warnings, const Image *image, const char *path) {
  if (!*image->warning || warnings->n++) return;
  warnings->first = path;
  memcpy(warnings->text, image->warning, sizeof warnings->text);
}

static Err add_picture(const Images *images, const Names *paths, int64_t i, Rows *out,
                       Warnings *warnings, Fault *fault) {
  const char *path = paths->v[i], *first = paths->v[0];
  Image image = {0};
  Err err = read_picture(path, images, &image, fault);
  if (!err && i == 0)
    err = new_rows(&image, paths->n, image.bits, images->source.memory, out, fault);
  if (!err) err = check_alike(&image, out, path, first, fault);
  if (!err) err = match_bits(images, &image, out, i, path, first, fault);
  if (!err) {
    put_picture(&image, out, i);
    note_warning(warnings, &image, path);
  }
  image_deinit(&image);
  return err;
}

static Err read_pictures(const Images *images, const Names *paths, Rows *out,
                         Fault *fault) {
  Err err = ERR_OK;
  Warnings warnings = {0};
  double last_s = clock_s();
  for (int64_t i = 0; i < paths->n && !err; i++) {
    if (interrupt_pending()) err = fault_set(fault, ERR_INTERRUPT, "interrupted");
    if (!err) err = add_picture(images, paths, i, out, &warnings, fault);
    show_progress(i + 1, paths->n, &last_s);
  }
  out_progress_end(false);
  if (!err && images->scale) out->scale = 1.0 / (bits_of(out) == 16 ? 65535 : 255);
  if (!err && warnings.n > 0)
    err_print("data.images: %s: %lld of %lld pictures are read with a warning; the "
              "first: %s: %s\n",
              images->dir, (long long)warnings.n, (long long)paths->n, warnings.first,
              warnings.text);
  return err;
}

static void say_others(const char *dir, const Others *others) {
  char list[200];
  int64_t n = list_others(others, list, sizeof list);
  if (n > 0)
    err_print("data.images: %s: %lld %s left out (%s); read are " READ_TYPES "\n", dir,
              (long long)n, n == 1 ? "picture is" : "pictures are", list);
}

static Err images_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const Images *images = (const Images *)source;
  Listing list = {0};
  Err err = list_pictures(images->dir, &list, fault);
  if (!err) err = read_pictures(images, &list.paths, out, fault);
  if (!err) say_others(images->dir, &list.others);
  if (!err && list.classes.n > 0) {
    out->y = tensor_new(source->memory, DT_INT32, &SHAPE_OF(list.paths.n), fault);
    if (!out->y) err = fault->code;
  }
  if (!err && out->y) {
    int32_t *y = out->y->a.data;
    for (int64_t k = 0, i = 0; k < list.classes.n; k++)
      while (i < list.ends[k]) y[i++] = (int32_t)k + 1;
    out->n_classes = list.classes.n;
    out->class_names = list.classes;
    list.classes = (Names){0};
  }
  listing_deinit(&list);
  return err;
}

/* -- the kind ---------------------------------------------------------------------- */

static Err images_check(Object *object, Fault *fault) {
  const Images *images = (const Images *)object;
  if (images->size.n > 2)
    return fault_set(fault, ERR_VALUE,
                     "data.images: option \"size\": got %d numbers, allowed: {height, "
                     "width}, or one for both",
                     images->size.n);
  if (images->channels == 2)
    return fault_set(fault, ERR_VALUE,
                     "data.images: option \"channels\": got 2, allowed: 1 (grey), 3 "
                     "(colour), 0 (as in the files)");
  return ERR_OK;
}

#define AT(field) .offset = offsetof(Images, field)

static const Option images_options[] = {
    {.name = "dir", .kind = OPT_TEXT, AT(dir), .position = 1,
     .doc = "folder with a folder of " READ_TYPES " files for each class, or with such "
            "files alone: then there are no labels. Pictures of other types are left "
            "out and counted"},
    {.name = "size", .kind = OPT_INTS, AT(size), .lo = 1, .hi = 4096,
     .doc = "{height, width}, or one for both, in pixels: others are resized "
            "(bilinear); not given: all must agree"},
    {.name = "channels", .kind = OPT_INT, AT(channels), .value = "0", .lo = 0, .hi = 3,
     .doc = "1: grey; 3: red, green, blue; 0: as in the files, which must agree (a "
            "palette is its colours). Transparency is dropped, also that of a palette"},
    {.name = "scale", .kind = OPT_BOOL, AT(scale), .value = "true",
     .doc = "batches hold x / 255, or x / 65535 where a picture has 16 bits a "
            "channel: from 0 to 1. false: the samples of the files, which must have "
            "equal bits"},
    {0}};

const SourceKind dataset_images = {
    .kind = {.name = "images",
             .family = &dataset_family,
             .size = sizeof(Images),
             .options = images_options,
             .check = images_check,
             .deinit = source_deinit,
             .call = "data.images \"pictures\"",
             .doc = "Pictures in folders, [channels, height, width]. Classes are the "
                    "folders, in sorted order. Pictures are read at first use and are "
                    "uint8 in memory (int32 with 16 bits a channel). The samples are "
                    "those of the file: no gamma or colour profile changes them, grey "
                    "of 1, 2 or 4 bits is spread over 0 to 255, and the orientation "
                    "that a camera notes (EXIF) is ignored. A damaged picture is an "
                    "error; one that the JPEG library only warns of is read and "
                    "counted."},
    .load = images_load};
