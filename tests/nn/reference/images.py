"""images.py: makes images.safetensors, what PyTorch 1.13 computes, in float64, for layers of
images and of steps along a sequence; tests/nn/test_layer_pool.lua and its like compare with it.

    scripts/install-deps bench
    /usr/bin/python3 tests/nn/reference/images.py

Inputs and cases are as in catalogue.py. Sequences are [N, T, F] in the tests, [N, F, T] in
PyTorch: `steps` turns them.
"""
import pathlib

import torch

import catalogue

F = torch.nn.functional
IMAGE, SEQUENCE = (2, 3, 7, 6), (2, 9, 4)


def steps(function):
    return lambda x, *rest: function(x.transpose(1, 2), *rest).transpose(1, 2)


def lp(x, p, **options):
    return F.lp_pool2d(x, p, **options)


POOLS = {
    "max": (lambda x: F.max_pool2d(x, 2), [IMAGE], []),
    "max_options": (lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1), (2, 2), True),
                    [IMAGE], []),
    "max_ceil": (lambda x: F.max_pool2d(x, 3, 2, 1, 1, True), [IMAGE], []),
    "average": (lambda x: F.avg_pool2d(x, 2), [IMAGE], []),
    "average_padding": (lambda x: F.avg_pool2d(x, (3, 2), (2, 1), 1, True, True), [IMAGE], []),
    "average_image": (lambda x: F.avg_pool2d(x, (3, 2), (2, 1), 1, True, False), [IMAGE], []),
    "lp_2": (lambda x: lp(x, 2, kernel_size=2), [IMAGE], []),
    "lp_4": (lambda x: lp(x, 4, kernel_size=(3, 2), stride=(2, 3), ceil_mode=True), [IMAGE], []),
    # lp_pool2d has no gradient where a sum is 0; that of a plain sum is 1
    "lp_1": (lambda x: 4 * F.avg_pool2d(x, 2), [IMAGE], []),
    "adaptive_average": (lambda x: F.adaptive_avg_pool2d(x, (3, 4)), [IMAGE], []),
    "adaptive_max": (lambda x: F.adaptive_max_pool2d(x, (3, None)), [IMAGE], []),
    "adaptive_more": (lambda x: F.adaptive_avg_pool2d(x, (9, 4)), [IMAGE], []),
    "global_average": (lambda x: x.mean((2, 3)), [IMAGE], []),
    "global_max": (lambda x: x.flatten(2).max(2)[0], [IMAGE], []),
}

LAYERS = {**POOLS}


if __name__ == "__main__":
    catalogue.write(pathlib.Path(__file__).with_suffix(".safetensors"),
                    dict(catalogue.layers(LAYERS)))
