/* images.c: pictures in a folder, a class in each of its folders.
 *
 * Names are sorted by bytes, folders and files alike, so the same files give the same
 * order everywhere. Hidden files, and those that do not end like pictures, do not count. */
#include "base/ints.h"
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

/* -- the files ----------------------------------------------------------------------- */

static bool ends_like_picture(const char *name) {
  static const char *const suffixes[] = {".png", ".jpg", ".jpeg"};
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    size_t n = strlen(name), n_suffix = strlen(suffixes[i]);
    if (n > n_suffix && strcasecmp(name + n - n_suffix, suffixes[i]) == 0) return true;
  }
  return false;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of what stands in a directory, apart from what does not count, sorted: folders
 * and pictures. */
static Err list_directory(const char *dir, Names *folders, Names *files, Fault *fault) {
  DIR *handle = opendir(dir);
  if (!handle)
    return fault_set(fault, ERR_DATA, "%s: cannot be read: %s", dir, strerror(errno));
  Err err = ERR_OK;
  for (struct dirent *entry; !err && (entry = readdir(handle));) {
    struct stat at;
    const char *name = entry->d_name;
    if (*name == '.' || fstatat(dirfd(handle), name, &at, 0) != 0) continue;
    if (S_ISDIR(at.st_mode)) err = names_add(folders, name, strlen(name), fault);
    else if (ends_like_picture(name)) err = names_add(files, name, strlen(name), fault);
  }
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
static Err add_class(const char *dir, const char *folder, Names *paths, Fault *fault) {
  Names inner = {0}, files = {0};
  Text path = {0};
  text_addf(&path, "%s/%s", dir, folder);
  Err err = path.failed ? fault_memory(fault, strlen(dir))
                        : list_directory(path.data, &inner, &files, fault);
  if (!err && inner.n > 0)
    err = fault_set(fault, ERR_DATA, "%s: holds the folder \"%s\"; allowed: pictures of one "
                    "class", path.data, inner.v[0]);
  if (!err && files.n == 0)
    err = fault_set(fault, ERR_DATA, "%s: holds no pictures (.png .jpg .jpeg)", path.data);
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
} Listing;

static void listing_deinit(Listing *list) {
  names_deinit(&list->paths);
  names_deinit(&list->classes);
  free(list->ends);
}

static Err list_pictures(const char *dir, Listing *out, Fault *fault) {
  Names files = {0};
  Err err = list_directory(dir, &out->classes, &files, fault);
  int64_t n = out->classes.n;
  if (!err && n > 0 && files.n > 0)
    err = fault_set(fault, ERR_DATA, "%s: holds pictures (\"%s\") beside folders of classes "
                    "(\"%s\"); allowed: one or the other", dir, files.v[0],
                    out->classes.v[0]);
  if (!err && n == 0 && files.n == 0)
    err = fault_set(fault, ERR_DATA, "%s: holds neither folders nor pictures "
                    "(.png .jpg .jpeg)", dir);
  if (!err && n > 0) {
    out->ends = malloc((size_t)n * sizeof *out->ends);
    if (!out->ends) err = fault_memory(fault, (size_t)n * sizeof *out->ends);
  }
  for (int64_t k = 0; k < n && !err; k++) {
    err = add_class(dir, out->classes.v[k], &out->paths, fault);
    out->ends[k] = out->paths.n;
  }
  for (int64_t i = 0; n == 0 && i < files.n && !err; i++)
    err = add_path(&out->paths, dir, "", files.v[i], fault);
  names_deinit(&files);
  return err;
}

/* -- the pictures -------------------------------------------------------------------- */

enum { FILE_LIMIT = 1 << 28 };

static Err read_picture(const char *path, const Images *images, Image *out, Fault *fault) {
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

/* The first picture says what all must be like. */
static Err new_rows(const Image *first, int64_t n, MemoryCount *memory, Rows *out,
                    Fault *fault) {
  Shape shape = SHAPE_OF(n, first->channels, first->height, first->width);
  int64_t n_bytes = 0;
  if (__builtin_mul_overflow(n, shape_stride(&shape, 0), &n_bytes)) n_bytes = INT64_MAX;
  Err err = memory_holds(n_bytes, fault);
  if (err) return err;
  out->x = tensor_new(memory, DT_UINT8, &shape, fault);
  return out->x ? ERR_OK : fault->code;
}

static Err check_alike(const Image *image, const Rows *rows, const char *path,
                       const char *first, Fault *fault) {
  must(rows->x);
  const int64_t *d = rows->x->a.shape.dim;
  if (image->height != d[2] || image->width != d[3])
    return fault_set(fault, ERR_DATA, "%s: a picture of %lld x %lld pixels, %s has %lld x "
                     "%lld; size = {height, width} makes them alike", path,
                     (long long)image->height, (long long)image->width, first,
                     (long long)d[2], (long long)d[3]);
  if (image->channels != d[1])
    return fault_set(fault, ERR_DATA, "%s: %s, %s is not; channels = 1 or 3 makes them "
                     "alike", path, image->channels == 1 ? "is grey" : "has colours", first);
  return ERR_OK;
}

/* Pixels to planes. */
static void put_row(const Image *image, uint8_t *out) {
  int64_t n = image->height * image->width;
  for (int k = 0; k < image->channels; k++)
    for (int64_t i = 0; i < n; i++) *out++ = image->pixels[i * image->channels + k];
}

static void show_progress(int64_t n_done, int64_t n, double *last_s) {
  double now_s = clock_s();
  if (!out_progress_on() || now_s - *last_s < 0.1) return;
  *last_s = now_s;
  out_progress("data.images: %lld of %lld read", (long long)n_done, (long long)n);
}

static Err read_pictures(const Images *images, const Names *paths, Rows *out,
                         Fault *fault) {
  Err err = ERR_OK;
  double last_s = clock_s();
  for (int64_t i = 0; i < paths->n && !err; i++) {
    if (interrupt_pending()) err = fault_set(fault, ERR_INTERRUPT, "interrupted");
    Image image = {0};
    if (!err) err = read_picture(paths->v[i], images, &image, fault);
    if (!err && i == 0) err = new_rows(&image, paths->n, images->source.memory, out, fault);
    if (!err) err = check_alike(&image, out, paths->v[i], paths->v[0], fault);
    if (!err)
      put_row(&image, (uint8_t *)out->x->a.data + i * shape_stride(&out->x->a.shape, 0));
    image_deinit(&image);
    show_progress(i + 1, paths->n, &last_s);
  }
  out_progress_end(false);
  return err;
}

static Err images_load(Source *source, int part, Rows *out, Fault *fault) {
  (void)part;
  const Images *images = (const Images *)source;
  Listing list = {0};
  Err err = list_pictures(images->dir, &list, fault);
  if (!err) err = read_pictures(images, &list.paths, out, fault);
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
  if (images->scale) out->scale = 1.0 / 255;
  listing_deinit(&list);
  return err;
}

/* -- the kind ------------------------------------------------------------------------ */

static Err images_check(Object *object, Fault *fault) {
  const Images *images = (const Images *)object;
  if (images->size.n > 2)
    return fault_set(fault, ERR_VALUE, "data.images: option \"size\": got %d numbers, "
                     "allowed: {height, width}, or one for both", images->size.n);
  if (images->channels == 2)
    return fault_set(fault, ERR_VALUE, "data.images: option \"channels\": got 2, allowed: "
                     "1 (grey), 3 (colour), 0 (as in the files)");
  return ERR_OK;
}

#define AT(field) .offset = offsetof(Images, field)

static const Option images_options[] = {
    {.name = "dir", .kind = OPT_TEXT, AT(dir), .position = 1,
     .doc = "folder with a folder of .png, .jpg, .jpeg files for each class, or with such "
            "files alone: then there are no labels"},
    {.name = "size", .kind = OPT_INTS, AT(size), .lo = 1, .hi = 4096,
     .doc = "{height, width}, or one for both, in pixels: others are resized (bilinear); "
            "not given: all must agree"},
    {.name = "channels", .kind = OPT_INT, AT(channels), .value = "0", .lo = 0, .hi = 3,
     .doc = "1: grey; 3: red, green, blue; 0: as in the files, which must agree. "
            "Transparency is dropped"},
    {.name = "scale", .kind = OPT_BOOL, AT(scale), .value = "true",
     .doc = "batches hold x / 255, from 0 to 1"},
    {0}};

const SourceKind images_kind = {
    .kind = {.name = "images",
             .family = &dataset_family,
             .size = sizeof(Images),
             .options = images_options,
             .check = images_check,
             .deinit = source_deinit,
             .doc = "pictures in folders, [channels, height, width]; classes are the "
                    "folders, in sorted order; uint8 in memory, read on first use"},
    .load = images_load};
