"""torch_side.py: PyTorch's side of the bench: the same orders on stdin as ours.lua.

    torch_side.py THREADS

Before the orders it prints what it is: a line of JSON with the version, the libraries of
linear algebra that are mapped into the process, OpenBLAS's kernel set, and the threads.
Written as one ordinarily writes PyTorch for speed on a CPU: modules, zero_grad with
set_to_none, denormals flushed, and of the optimizer's two implementations (for each
tensor, for all tensors) the one that is faster for this net.
"""

import ctypes
import json
import re
import sys
import time

import torch
from orders import serve
from torch import nn
from torch.nn import functional

NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "swish": nn.SiLU}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


class Last(nn.Module):
    """What a recurrent layer gives at its last step."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0][:, -1]


def lstm():
    return nn.Sequential(Last(nn.LSTM(28, 128, batch_first=True)), nn.Linear(128, 10))


def gru():
    return nn.Sequential(Last(nn.GRU(28, 128, batch_first=True)), nn.Linear(128, 10))


def transformer():
    block = nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(block, 2), nn.Flatten(), nn.Linear(2048, 10))


NETS = {"lstm": (lstm, (28, 28)), "gru": (gru, (28, 28)),
        "transformer": (transformer, (32, 64))}


def mapped_libraries():
    """Paths of the mapped libraries that have to do with linear algebra."""
    words = ("blas", "blis", "lapack", "mkl", "atlas")
    with open("/proc/self/maps", encoding="ascii") as maps:
        paths = {line.split(maxsplit=5)[-1].strip() for line in maps if "/" in line}
    return sorted(p for p in paths if any(w in p.rsplit("/", 1)[-1] for w in words))


def openblas_kernels(paths):
    """The kernel set that OpenBLAS chose for this processor, or None."""
    for path in paths:
        if "libopenblas" in path:
            library = ctypes.CDLL(path)
            library.openblas_get_corename.restype = ctypes.c_char_p
            return library.openblas_get_corename().decode()
    return None


def describe():
    a = torch.randn(200, 200)
    torch.mm(a, a)
    paths = mapped_libraries()
    return {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "simd": re.search("CPU capability usage: (.*)", torch.__config__.show())[1],
        "libraries": paths,
        "openblas_kernels": openblas_kernels(paths),
    }


def make_net(spec):
    """The net and the shape of one example."""
    if "net" in spec:
        make, shape = NETS[spec["net"]]
        return make(), shape
    layers = []
    width = int(spec["inputs"])
    plain = spec["norm"] == "none"
    for units in map(int, spec["hidden"].split(",")):
        layers.append(nn.Linear(width, units, bias=plain))
        if not plain:
            layers.append(NORMS[spec["norm"]](units))
        layers.append(ACTIVATIONS[spec["activation"]]())
        width = units
    layers.append(nn.Linear(width, int(spec["classes"])))
    return nn.Sequential(*layers), (int(spec["inputs"]),)


class Step:
    """One net with its optimizer and data; calling it is one training step."""

    def __init__(self, spec, foreach):
        torch.manual_seed(1)
        batch, classes = int(spec["batch"]), int(spec["classes"])
        self.net, shape = make_net(spec)
        self.net.train()
        kind = OPTIMIZERS[spec["optimizer"]]
        self.optimizer = kind(self.net.parameters(), lr=float(spec["lr"]),
                              foreach=foreach)
        self.x = torch.randn(batch, *shape)
        self.y = torch.randint(0, classes, (batch,))
        self.loss = None

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = functional.cross_entropy(self.net(self.x), self.y)
        self.loss.backward()
        self.optimizer.step()

    def seconds(self, count):
        start = time.perf_counter()
        for _ in range(count):
            self()
        return time.perf_counter() - start


def faster(spec):
    """The step with the faster implementation of the optimizer: the best of interleaved
    trials of about 50 ms decides."""
    steps = {foreach: Step(spec, foreach) for foreach in (False, True)}
    for step in steps.values():
        step.seconds(3)
    count = 1 + int(0.05 / max(step.seconds(2) / 2 for step in steps.values()))
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(4):
        for foreach, step in steps.items():
            best[foreach] = min(best[foreach], step.seconds(count))
    foreach = min(best, key=best.get)
    return steps[foreach], "foreach" if foreach else "each tensor"


def product_seconds(product, least_s):
    """Seconds of one product M, N, K, A transposed, B transposed, of as many as it takes."""
    m, n, k, turn_a, turn_b = map(int, product.split(","))
    a = torch.randn(k, m).t() if turn_a else torch.randn(m, k)
    b = torch.randn(n, k).t() if turn_b else torch.randn(k, n)
    out = torch.empty(m, n)
    count, took_s = 1, 0.0
    while took_s < least_s:
        start = time.perf_counter()
        for _ in range(count):
            torch.mm(a, b, out=out)
        took_s = time.perf_counter() - start
        per_s = took_s / count
        count = max(2 * count, int(1.2 * least_s / max(per_s, 1e-9)))
    return per_s


def answer(steps, words):
    order, name = words[:2]
    if order == "product":
        return product_seconds(name, float(words[2]))
    if order == "make":
        steps[name], how = faster(dict(word.split("=", 1) for word in words[2:]))
        return how
    if order == "run":
        for _ in range(int(words[2])):
            steps[name]()
        return f"loss {steps[name].loss.item():.6g}"
    if order == "drop":
        del steps[name]
        return ""
    raise ValueError(f"unknown order {order}")


def main():
    # Before the pool's threads start: they inherit the control word.
    torch.set_flush_denormal(True)
    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps(describe()), flush=True)
    steps = {}
    serve(lambda words: answer(steps, words))


main()
