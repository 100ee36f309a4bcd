/* jpeg.c: the door to libjpeg-turbo, by its own interface. Orientation marks of cameras
 * are left aside. */
#include "data/image.h"
#include <turbojpeg.h>

/* A block of 64 pixels takes at least a bit. */
enum { PIXELS_PER_BYTE = 8 * 64 };

Err jpeg_decode(Image *out, const unsigned char *bytes, size_t n_bytes, Fault *fault) {
  tjhandle jpeg = tjInitDecompress();
  if (!jpeg) return fault_memory(fault, n_bytes);
  int width, height, subsampling, space = 0;
  Err err = ERR_OK;
  if (tjDecompressHeader3(jpeg, bytes, n_bytes, &width, &height, &subsampling, &space) != 0)
    err = fault_set(fault, ERR_DATA, "damaged: %s", tjGetErrorStr2(jpeg));
  bool grey = space == TJCS_GRAY;
  if (!err && (space == TJCS_CMYK || space == TJCS_YCCK))
    err = fault_set(fault, ERR_DATA, "is a CMYK picture; allowed: grey or colour");
  if (!err)
    err = image_reserve(out, height, width, grey ? 1 : 3, n_bytes, PIXELS_PER_BYTE, fault);
  /* What would end in a grey rest of the picture is an error; so are endless scans. */
  int flags = TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT;
  if (!err && tjDecompress2(jpeg, bytes, n_bytes, out->pixels, width, 0, height,
                            grey ? TJPF_GRAY : TJPF_RGB, flags) != 0)
    err = fault_set(fault, ERR_DATA, "damaged: %s", tjGetErrorStr2(jpeg));
  tjDestroy(jpeg);
  return err;
}
