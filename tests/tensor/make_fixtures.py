"""make_fixtures.py: writes tests/tensor/fixtures with NumPy (Debian's python3-numpy).

  /usr/bin/python3 tests/tensor/make_fixtures.py

The files are kept in the tree, so that the tests need no NumPy; test_file.lua says what
is in them.
"""
import io
import os
import numpy as np

TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]


class Pipe(io.RawIOBase):
    """A file that cannot seek: zip sizes then stand behind the data."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def values(code):
    """Three values that the type holds exactly."""
    if code == "b1":
        return np.array([1, 0, 1], "b1")
    if code[0] == "f":
        return np.array([-1.5, 0.25, 1000])
    low = -2 if code[0] == "i" else 2
    return np.array([low, 0, 100])


def types():
    """One array per type and byte order, by names such as "f4_low" and "f4_high"."""
    arrays = {}
    for code in TYPES:
        for order, name in ("<", "low"), (">", "high"):
            arrays["%s_%s" % (code, name)] = values(code).astype(order + code)
    return arrays


def write_version(path, array, version):
    with open(path, "wb") as file:
        np.lib.format.write_array(file, array, version=version)


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures"))
    counted = np.arange(24, dtype="f4").reshape(2, 3, 4)
    np.save("row_major.npy", counted)
    np.save("column_major.npy", np.asfortranarray(counted))
    np.save("column_major_high.npy", np.asfortranarray(counted.astype(">i8")))
    np.save("scalar.npy", np.array(7, "i4"))
    np.save("empty.npy", np.zeros((0, 3), "f4"))
    write_version("version_2.npy", np.array([1, 2, 3], "u1"), (2, 0))
    write_version("version_3.npy", np.array([1, 2, 3], "u1"), (3, 0))
    np.save("large_int.npy", np.array([0, 2**31], "i8"))
    np.save("complex.npy", np.array([1j]))
    np.save("records.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))
    np.save("text.npy", np.array(["ab"]))
    np.savez("types.npz", **types())
    np.savez_compressed("compressed.npz", counted=counted, ones=np.ones((20, 20), "u1"))
    np.savez("mixed.npz", counted=counted, names=np.array(["ab"]), waves=np.array([1j]),
             table=np.zeros(2, [("a", "f4"), ("b", "i4")]), any=np.array([{}], object),
             deep=np.zeros((1,) * 7), n=np.array(7))
    np.savez("no_numbers.npz", names=np.array(["ab"]))
    np.savez(Pipe("streamed.npz"), counted=counted, n=np.array(7))


main()
