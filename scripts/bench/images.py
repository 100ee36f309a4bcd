"""images.py BUILD: nets of convolutions against PyTorch's, and convolutions alone against
oneDNN's, which PyTorch computes them with; in turns and ratios as compare.py has them, with
the OpenBLAS kernels that are fastest on the products of compare.py's smaller rows.

Memory: by how much a fresh process grew at most, by making the net and by its steps;
PyTorch's, by those in both layouts that it tries. Environment: BENCH_THREADS,
BENCH_SECONDS, BENCH_ROWS as in compare.py."""

import os
import statistics
import sys

import compare
import openblas
from compare import Entrant, Worker

# What a net is called, and ours.lua's words for its step.
NETS = {"lenet": ("LeNet 5x5 (32, 64, 1024) b64 Adam", "batch=64 optimizer=adam"),
        "lenet5": ("LeNet-5 (6, 16, 120, 84) b128 momentum", "batch=128 optimizer=momentum")}
# N C H F R stride padding groups
CONVOLUTIONS = {
    "LeNet's second": "64 32 14 64 5 1 2 1",
    "16 to 16, 28x28": "64 16 28 16 3 1 1 1",
    "32 to 32, 14x14": "64 32 14 32 3 1 1 1",
    "64 to 64, 7x7": "64 64 7 64 3 1 1 1",
    "64 to 64, 28x28": "16 64 28 64 3 1 1 1",
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


def start_ours(name, threads, command):
    return Worker(name, command, {"OMP_NUM_THREADS": str(threads)})


def measure_net(build, threads, settings, name, budget_s):
    """Times, their ratio, and what each process grew by: they are started for this net."""
    title, words = NETS[name]
    torch = compare.torch_worker("images_torch.py", threads, settings)
    ours = start_ours("runner", threads, [os.path.join(build, "runner"), "--threads",
                                          str(threads), os.path.join(compare.HERE, "ours.lua")])
    try:
        for worker in (torch, ours):
            worker.tell("ready", "-")
        before = [memory_mb(w, "VmRSS") for w in (ours, torch)]
        ours.tell("make", "net", f"net={name} {words} lr=0.0001 classes=10")
        layout = torch.tell("make", "net", name)
        mine, theirs = Entrant(ours, "net"), Entrant(torch, "net")
        compare.take_turns([mine, theirs], budget_s)
        grown = [memory_mb(w, "VmHWM") - b for w, b in zip((ours, torch), before)]
    finally:
        for worker in (torch, ours):
            worker.close()
    return [title, f"{1e3 * mine.s:.2f}", f"{1e3 * theirs.s:.2f}", layout,
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


def measure_nets(build, threads, settings, names, budget_s):
    rows = [measure_net(build, threads, settings, name, budget_s) for name in names]
    compare.print_table(["net", "ours ms", "torch ms", "torch's layout", "torch/ours",
                         "ours MB", "torch MB"], rows)


def measure_convolutions(build, threads, settings, names, budget_s):
    torch = compare.torch_worker("images_torch.py", threads, settings)
    ours = start_ours("convolutions", threads,
                      [os.path.join(build, "bench", "convolutions"), str(threads)])
    try:
        rows = [measure_convolution(ours, torch, name, budget_s / 3) for name in names]
    finally:
        for worker in (torch, ours):
            worker.close()
    head = ["convolution, GFLOP/s"]
    for name in RESULTS.values():
        head += [name, "oneDNN", "ratio"]
    compare.print_table([*head, "mean"], rows)


def main(build):
    (budget_s,) = compare.numbers("BENCH_SECONDS", "5", float)
    counts = compare.numbers("BENCH_THREADS", "1 2", int)
    word = os.environ.get("BENCH_ROWS", "")
    nets = [name for name, (title, _) in NETS.items() if word in title or word in name]
    convolutions = [name for name in CONVOLUTIONS if word in name]
    if not nets and not convolutions:
        return      # the word is of a row of another case
    kernels = openblas.fastest(lambda settings: compare.try_torch(counts[0], settings),
                               compare.ROWS[:2])
    compare.print_kernels(kernels)
    for threads in counts:
        for names, measure in ((nets, measure_nets), (convolutions, measure_convolutions)):
            if names:
                print(f"\nimages: {threads} thread{'s' if threads > 1 else ''}", flush=True)
                measure(build, threads, kernels[0].settings, names, budget_s)
                sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (compare.Bench, BrokenPipeError) as failed:
        sys.exit(f"images.py: {failed}")
