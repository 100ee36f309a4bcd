"""openblas.py: which of its kernel sets OpenBLAS is fastest with on this processor.

OpenBLAS chooses by the processor's model, and takes one of twenty years ago (Prescott) where
it does not know the model. PyTorch on it then looks several times slower than it is. So the
bench tries every set that the processor can run (OPENBLAS_CORETYPE), OpenBLAS's own choice,
and the caller's own settings, each in a process of its own, on the products of the rows that
are to be measured, in turn; the fastest is the peer.
"""

import math
import os
from dataclasses import dataclass, field

# Sets of x86-64, and the flags of /proc/cpuinfo that a processor needs for one. Of a set
# that the library was built without, OpenBLAS takes another: the probe sees that.
KERNEL_SETS = [
    ("PRESCOTT", "pni"),
    ("NEHALEM", "sse4_2"),
    ("SANDYBRIDGE", "avx"),
    ("HASWELL", "avx2 fma"),
    ("ZEN", "avx2 fma"),
    ("SKYLAKEX", "avx512f avx512dq avx512bw avx512vl avx512cd"),
    ("COOPERLAKE", "avx512f avx512dq avx512bw avx512vl avx512cd avx512_bf16"),
    ("SAPPHIRERAPIDS", "avx512f avx512dq avx512bw avx512vl avx512cd avx512_bf16 amx_bf16"),
]
PREFIX = "OPENBLAS_"
ROUNDS = 5
PRODUCT_S = 0.004       # what the repetitions of one product take at least in a round


@dataclass
class Candidate:
    """Settings to start PyTorch with, what it computes with then, and how fast that is."""

    label: str
    settings: dict
    kernels: str = ""
    best_s: dict = field(default_factory=dict)      # product -> seconds
    gflops: float = 0.0

    @property
    def said(self):
        return f"{self.kernels} ({self.label})"


def cpu_flags(path="/proc/cpuinfo"):
    """The flags of the first processor; none where the file has no such line."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                return set(value.split())
    return set()


def candidates(flags, environment):
    """OpenBLAS's own choice first, then what the caller sets, then the sets."""
    found = [Candidate("its own choice", {})]
    own = {k: v for k, v in environment.items() if k.startswith(PREFIX)}
    if own:
        said = " ".join(f"{k}={v}" for k, v in sorted(own.items()))
        found.append(Candidate(said, own))
    for name, needed in KERNEL_SETS:
        if flags.issuperset(needed.split()):
            setting = {PREFIX + "CORETYPE": name}
            if {k: v.upper() for k, v in own.items()} != setting:
                found.append(Candidate(f"{PREFIX}CORETYPE={name}", setting))
    return found


def is_honest(candidate):
    """Does it compute with the set that was asked for, or was none asked for?"""
    asked = candidate.settings.get(PREFIX + "CORETYPE", candidate.kernels)
    return asked.lower() == candidate.kernels.lower()


def measure(workers, products):
    """Best times of the products, in rounds over all candidates."""
    for _ in range(ROUNDS):
        for candidate, worker in workers:
            for product in products:
                words = ",".join(map(str, product))
                took_s = float(worker.tell("product", words, PRODUCT_S))
                best_s = candidate.best_s.get(product, math.inf)
                candidate.best_s[product] = min(best_s, took_s)


def rate(candidate, rows):
    """GFLOP/s: the geometric mean over the rows, of all products of a step together."""
    logs = []
    for row in rows:
        seconds = sum(candidate.best_s[product] for product in row.products())
        logs.append(math.log(row.operations() / seconds / 1e9))
    return math.exp(sum(logs) / len(logs))


def fastest(start, rows):
    """All candidates that run, the fastest first. start(settings) gives a worker that
    multiplies, and what it says of itself; None where it does not live."""
    workers = []
    try:
        for candidate in candidates(cpu_flags(), os.environ):
            started = start(candidate.settings)
            if not started:
                continue
            worker, about = started
            workers.append((candidate, worker))
            candidate.kernels = about["openblas_kernels"]
        running = [(c, w) for c, w in workers if is_honest(c)]
        measure(running, sorted({p for row in rows for p in row.products()}))
    finally:
        for _, worker in workers:
            worker.close()
    tried = [candidate for candidate, _ in running]
    for candidate in tried:
        candidate.gflops = rate(candidate, rows)
    return sorted(tried, key=lambda c: -c.gflops)
