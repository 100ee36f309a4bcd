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

POOLS_OF_STEPS = {
    "max_steps": (steps(lambda x: F.max_pool1d(x, 3, 2, 1, 2, True)), [SEQUENCE], []),
    "average_steps": (steps(lambda x: F.avg_pool1d(x, 3, 2, 1, True, True)), [SEQUENCE], []),
    "average_steps_alone": (steps(lambda x: F.avg_pool1d(x, 4, 2, 2, True, False)), [SEQUENCE],
                            []),
    "lp_steps": (steps(lambda x: F.lp_pool1d(x, 2, 2, 3, True)), [SEQUENCE], []),
    "adaptive_average_steps": (steps(lambda x: F.adaptive_avg_pool1d(x, 4)), [SEQUENCE], []),
    "adaptive_max_steps": (steps(lambda x: F.adaptive_max_pool1d(x, 4)), [SEQUENCE], []),
    "global_average_steps": (lambda x: x.mean(1), [SEQUENCE], []),
    "global_max_steps": (lambda x: x.max(1)[0], [SEQUENCE], []),
}

SIZES = {
    "nearest": (lambda x: F.interpolate(x, scale_factor=(2.0, 3.0)), [IMAGE], []),
    "nearest_size": (lambda x: F.interpolate(x, size=(5, 8)), [IMAGE], []),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"), [IMAGE], []),
    "bilinear_size": (lambda x: F.interpolate(x, size=(5, 13), mode="bilinear"), [IMAGE], []),
    "bilinear_aligned": (lambda x: F.interpolate(x, size=(5, 13), mode="bilinear",
                                                 align_corners=True), [IMAGE], []),
}

CHANNELS = (2, 4, 7, 6)


def conv(x, w, b=None, padding=(0, 0, 0, 0), **options):
    """The padding at the left, the right, the top, the bottom."""
    return F.conv2d(F.pad(x, padding), w, b, **options)


def separable(x, w, point, b):
    return F.conv2d(F.conv2d(x, w, padding=1, groups=4), point, b)


def transpose_same(x, w, b):
    """Of kernel 4 and stride 3: one pixel is too many."""
    return F.conv_transpose2d(x, w, b, stride=3)[:, :, :21, :18]


CONVOLUTIONS = {
    "conv2d": (conv, [CHANNELS], [(6, 4, 3, 2), (6,)]),
    "conv2d_options": (lambda x, w, b: conv(x, w, b, (1, 0, 2, 3), stride=(2, 1),
                                            dilation=(1, 2), groups=2),
                       [CHANNELS], [(6, 2, 3, 2), (6,)]),
    "depthwise": (lambda x, w, b: conv(x, w, b, (1, 1, 1, 1), stride=2, groups=4),
                  [CHANNELS], [(8, 1, 3, 3), (8,)]),
    "separable": (separable, [CHANNELS], [(8, 1, 3, 3), (5, 8, 1, 1), (5,)]),
    "transpose": (F.conv_transpose2d, [CHANNELS], [(4, 3, 2, 3), (3,)]),
    "transpose_options": (lambda x, w, b: F.conv_transpose2d(
        x, w, b, stride=(2, 3), padding=(1, 2), output_padding=(1, 2), dilation=(2, 1),
        groups=2), [CHANNELS], [(4, 3, 3, 4), (6,)]),
    "transpose_same": (transpose_same, [CHANNELS], [(4, 3, 4, 4), (3,)]),
    "conv1d": (steps(F.conv1d), [SEQUENCE], [(5, 4, 3), (5,)]),
    "conv1d_options": (steps(lambda x, w, b: F.conv1d(x, w, b, 2, 3, 2, 2)), [SEQUENCE],
                       [(6, 2, 3), (6,)]),
    "conv1d_causal": (steps(lambda x, w, b: F.conv1d(F.pad(x, (6, 0)), w, b, dilation=3)),
                      [SEQUENCE], [(5, 4, 3), (5,)]),
}

NORMS = {
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [CHANNELS],
                   [(4,), (4,)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [CHANNELS], [(4,), (4,)]),
    "instance_norm_images": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), [CHANNELS],
                             [(4,), (4,)]),
    "layer_norm_channels": (lambda x, w, b: F.layer_norm(
        x.permute(0, 2, 3, 1), (4,), w, b).permute(0, 3, 1, 2), [CHANNELS], [(4,), (4,)]),
}

LAYERS = {**POOLS, **POOLS_OF_STEPS, **SIZES, **CONVOLUTIONS, **NORMS}


if __name__ == "__main__":
    catalogue.write(pathlib.Path(__file__).with_suffix(".safetensors"),
                    dict(catalogue.layers(LAYERS)))
