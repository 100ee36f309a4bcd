"""images_torch.py THREADS: PyTorch's side of images.py, by the orders of ours.lua, but for
"make ID NET", and "make ID RESULT N C H F R STRIDE PAD GROUPS": one convolution, which PyTorch
gives to oneDNN.

Of the layouts of memory, channels before or behind the pixels, the faster one is taken, of
nets and of convolutions; the answer to "make" says which."""

import sys
import time

import torch
from orders import serve
from torch import nn
from torch.nn import functional

LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def lenet():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(3136, 1024), nn.ReLU(), nn.Linear(1024, 10))
    return net, torch.optim.Adam(net.parameters(), lr=1e-4), 64


def lenet5():
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    return net, torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9), 128


NETS = {"lenet": lenet, "lenet5": lenet5}


def step_of(name, layout):
    torch.manual_seed(1)
    net, optimizer, batch = NETS[name]()
    net.to(memory_format=layout)
    x = torch.randn(batch, 1, 28, 28).contiguous(memory_format=layout)
    y = torch.randint(0, 10, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return step


def convolution_of(words, layout):
    n, c, h, f, r, stride, pad, groups = map(int, words[1:])
    out = (h + 2 * pad - r) // stride + 1
    x = torch.randn(n, c, h, h).contiguous(memory_format=layout)
    w = torch.randn(f, c // groups, r, r).contiguous(memory_format=layout)
    y = torch.randn(n, f, out, out).contiguous(memory_format=layout)
    pairs = [[stride] * 2, [pad] * 2, [1] * 2]
    if words[0] == "y":
        return lambda: functional.conv2d(x, w, None, *pairs, groups)
    wanted = [words[0] == "x", words[0] == "w", False]
    return lambda: torch.ops.aten.convolution_backward(
        y, x, w, None, *pairs, False, [0, 0], groups, wanted)


def best_seconds(call):
    call()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def make(words):
    """The call with the faster layout, and that layout's name."""
    build = step_of if len(words) == 1 else convolution_of
    given = words[0] if len(words) == 1 else words
    seconds = {name: best_seconds(build(given, layout)) for name, layout in LAYOUTS.items()}
    name = min(seconds, key=seconds.get)
    return build(given, LAYOUTS[name]), name


def answer(calls, words):
    order, name = words[:2]
    if order == "ready":
        return ""
    if order == "make":
        calls[name], layout = make(words[2:])
        calls[name]()
        return layout
    if order == "run":
        for _ in range(int(words[2])):
            calls[name]()
        return ""
    if order == "drop":
        del calls[name]
        return ""
    raise ValueError(f"unknown order {order}")


def main():
    torch.set_flush_denormal(True)
    torch.set_num_threads(int(sys.argv[1]))
    calls = {}
    serve(lambda words: answer(calls, words))


main()
