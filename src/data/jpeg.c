/* jpeg.c: the door to libjpeg-turbo, by its own interface. Orientation marks of cameras
 * (EXIF) are left aside. A file that is cut off is refused; of other damage, as bytes
 * too many between two segments, libjpeg warns and goes on, and the warning goes with
 * the picture. */
#include "data/image.h"
#include <stdio.h>
#include <turbojpeg.h>

/* A marker is 0xff and a byte; in pictures 0xff is written as 0xff 0x00, and the
 * markers RST0 to RST7, which have no length, may stand among them. */
enum {
  END_OF_IMAGE = 0xd9,
  TEMPORARY = 0x01,
  RST_MASK = 0xf8,
  RST0 = 0xd0,
  START = 0xd8
};

/* Has the marker a length behind it, and that many bytes? */
static bool has_length(int marker) {
  return marker != TEMPORARY && marker != START && (marker & RST_MASK) != RST0;
}

/* Is there an end of the image, behind all the segments? One inside of a segment, as
 * that of a small picture in EXIF, does not count. */
static bool is_whole(const unsigned char *bytes, size_t n_bytes) {
  for (size_t at = 2; at + 1 < n_bytes;) {
    int marker = bytes[at] == 0xff ? bytes[at + 1] : 0;
    if (marker == END_OF_IMAGE) return true;
    if (marker == 0 || marker == 0xff) {
      at++;
      continue;
    }
    at += 2;
    if (!has_length(marker)) continue;
    if (n_bytes - at < 2) return false;
    at += (size_t)bytes[at] << 8 | bytes[at + 1];
  }
  return false;
}

/* A block of 64 pixels takes at least a bit. */
enum { PIXELS_PER_BYTE = 8 * 64 };

/* Of what a call has returned: a warning is noted, anything worse a fault. */
static Err judge(tjhandle jpeg, int rc, Image *out, Fault *fault) {
  if (rc == 0) return ERR_OK;
  if (tjGetErrorCode(jpeg) != TJERR_WARNING)
    return fault_set(fault, ERR_DATA, "damaged: %s", tjGetErrorStr2(jpeg));
  snprintf(out->warning, sizeof out->warning, "%s", tjGetErrorStr2(jpeg));
  return ERR_OK;
}

static Err decode(tjhandle jpeg, Image *out, const unsigned char *bytes, size_t n_bytes,
                  Fault *fault) {
  int width = 0, height = 0, subsampling, space = 0;
  int rc = tjDecompressHeader3(jpeg, bytes, n_bytes, &width, &height, &subsampling,
                               &space);
  if (judge(jpeg, rc, out, fault)) return fault->code;
  if (space == TJCS_CMYK || space == TJCS_YCCK)
    return fault_set(fault, ERR_DATA,
                     "is a %s picture; allowed: grey or colour (RGB, YCbCr); convert "
                     "it, by the profile of its inks",
                     space == TJCS_CMYK ? "CMYK" : "YCCK");
  bool grey = space == TJCS_GRAY;
  Err err = image_reserve(out, height, width, grey ? 1 : 3, 8, n_bytes, PIXELS_PER_BYTE,
                          fault);
  if (err) return err;
  int flags = TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT; /* endless scans are an error */
  rc = tjDecompress2(jpeg, bytes, n_bytes, out->pixels, width, 0, height,
                     grey ? TJPF_GRAY : TJPF_RGB, flags);
  return judge(jpeg, rc, out, fault);
}

Err jpeg_decode(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault) {
  if (!is_whole(bytes, n_bytes)) return fault_set(fault, ERR_DATA, "truncated");
  tjhandle jpeg = tjInitDecompress();
  if (!jpeg) return fault_memory(fault, n_bytes);
  Err err = decode(jpeg, out, bytes, n_bytes, fault);
  tjDestroy(jpeg);
  return err;
}
