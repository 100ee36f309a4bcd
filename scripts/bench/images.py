"""images.py BUILD: nets of convolutions against PyTorch's, and convolutions alone against
oneDNN's, which PyTorch computes them with; in turns and ratios as compare.py has them.

Memory: by how much a fresh process grew at most, by making the net and by its steps;
PyTorch's, by those in both layouts that it tries. Environment: BENCH_THREADS,
BENCH_SECONDS, BENCH_ROWS as in compare.py."""

import os
import statistics
import sys

import compare
from compare import Entrant, Worker

NETS = {"lenet": "LeNet 5x5 (32, 64, 1024) b64 Adam",
        "lenet5": "LeNet-5 (6, 16, 120, 84) b128 momentum"}
# N C H F R stride padding groups
CONVOLUTIONS = {
    "LeNet's second": "64 32 14 64 5 1 2 1",
    "16 to 16, 28x28": "64 16 28 16 3 1 1 1",
    "32 to 32, 14x14": "64 32 14 32 3 1 1 1",
    "64 to 64, 7x7": "64 64 7 64 3 1 1 1",
    "LeNet's first": "64 1 28 32 5 1 2 1",
    "1x1, 64 to 64": "64 64 14 64 1 1 0 1",
    "stride 2, 16 to 32": "64 16 28 32 3 2 1 1",
    "depthwise, 32": "64 32 14 32 3 1 1 32",
}
RESULTS = {"y": "forward", "x": "data", "w": "weights"}


def operations(text):
    n, c, h, f, r, stride, pad, groups = map(int, text.split())
    return 2 * n * f * (c // groups) * r * r * ((h + 2 * pad - r) // stride + 1) ** 2


def memory_mb(worker, word):
    with open(f"/proc/{worker.process.pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields[word].split()[0]) / 1024


def start(build, threads):
    """PyTorch's worker and ours."""
    environment, count = {"OMP_NUM_THREADS": str(threads)}, str(threads)
    torch = Worker("PyTorch", [sys.executable, "-B",
                               os.path.join(compare.HERE, "images_torch.py"), count],
                   {**environment, "LD_LIBRARY_PATH": compare.openblas_directory()})
    ours = Worker("runner", [os.path.join(build, "runner"), "--threads", count,
                             os.path.join(compare.HERE, "images.lua")], environment)
    alone = Worker("convolutions", [os.path.join(build, "bench", "convolutions"), count],
                   environment)
    for worker in (torch, ours, alone):
        worker.tell("ready", "-")
    return torch, ours, alone


def measure_net(build, threads, name, budget_s):
    """Times, their ratio, and what each process grew by: they are started for this net."""
    torch, ours, alone = start(build, threads)
    try:
        before = [memory_mb(w, "VmRSS") for w in (ours, torch)]
        ours.tell("make", "net", name)
        layout = torch.tell("make", "net", name)
        mine, theirs = Entrant(ours, "net"), Entrant(torch, "net")
        compare.take_turns([mine, theirs], budget_s)
        grown = [memory_mb(w, "VmHWM") - b for w, b in zip((ours, torch), before)]
    finally:
        for worker in (torch, ours, alone):
            worker.close()
    return [NETS[name], f"{1e3 * mine.s:.2f}", f"{1e3 * theirs.s:.2f}", layout,
            compare.with_quartiles(compare.ratio(theirs, mine)),
            f"{grown[0]:.0f}", f"{grown[1]:.0f}"]


def measure_convolution(ours, torch, name, budget_s):
    """GFLOP/s of ours and theirs for each result, and ours / theirs."""
    text, cells, speeds = CONVOLUTIONS[name], [name], []
    for result in RESULTS:
        ours.tell("make", "conv", result, text)
        torch.tell("make", "conv", result, text)
        mine, theirs = Entrant(ours, "conv"), Entrant(torch, "conv")
        compare.take_turns([mine, theirs], budget_s)
        for worker in (ours, torch):
            worker.tell("drop", "conv")
        speed = compare.ratio(theirs, mine)["median"]
        speeds.append(speed)
        cells += [f"{operations(text) / e.s / 1e9:.0f}" for e in (mine, theirs)]
        cells.append(f"{speed:.2f}")
    return cells + [f"{statistics.mean(speeds):.2f}"]


def chosen(names):
    word = os.environ.get("BENCH_ROWS", "")
    return [key for key, name in names.items() if word in name or word in key]


def measure_threads(build, threads, budget_s):
    print(f"\nimages: {threads} thread{'s' if threads > 1 else ''}", flush=True)
    nets = [measure_net(build, threads, name, budget_s) for name in chosen(NETS)]
    compare.print_table(["net", "ours ms", "torch ms", "torch's layout", "torch/ours",
                         "ours MB", "torch MB"], nets)
    torch, ours, alone = start(build, threads)
    try:
        rows = [measure_convolution(alone, torch, name, budget_s / 3)
                for name in chosen({name: name for name in CONVOLUTIONS})]
    finally:
        for worker in (torch, ours, alone):
            worker.close()
    head = ["convolution, GFLOP/s"]
    for name in RESULTS.values():
        head += [name, "oneDNN", "ratio"]
    print()
    compare.print_table([*head, "mean"], rows)
    sys.stdout.flush()


def main():
    try:
        (budget_s,) = compare.numbers("BENCH_SECONDS", "5", float)
        for threads in compare.numbers("BENCH_THREADS", "1 2", int):
            measure_threads(sys.argv[1], threads, budget_s)
    except (compare.Bench, BrokenPipeError) as fault:
        sys.exit(f"bench: {fault}")


main()
