"""sequences.py BUILD: a training step of networks of sequences against PyTorch's.

Each net is made by the same name in ours.lua and torch_side.py; the step is traced once
(static), the batch is fixed random data. They take turns as in compare.py, with the OpenBLAS
kernels that are fastest on the products of compare.py's smaller rows. `floor` is what PyTorch's
time over ours must be at least, on one thread and on two.

Environment: BENCH_THREADS="1 2", BENCH_ROWS=word (nets with that word in their name),
BENCH_SECONDS (time for the turns of a row, default 5).
"""

import os
import sys
from dataclasses import dataclass

import openblas
from compare import ROWS, Bench, Entrant, OtherLoad, Worker, numbers, print_kernels, \
    print_table, ratio, start_torch, take_turns, try_torch, with_quartiles

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Net:
    name: str           # as the scripts know it
    what: str
    batch: int
    optimizer: str
    floor: tuple        # PyTorch's time over ours, at least: on one thread, on two

    def order(self):
        return (f"net={self.name} batch={self.batch} optimizer={self.optimizer} lr=0.001 "
                f"classes=10 static=true")


NETS = [
    Net("lstm", "LSTM 28x28, 128 units", 64, "adam", (2.5, 3.2)),
    Net("gru", "GRU 28x28, 128 units", 64, "adam", (2.5, 3.2)),
    Net("transformer", "Transformer, 2 blocks, 32x64, 4 heads, ff 128", 32, "adam", (2.0, 2.4)),
]


def measure(ours, torch, net, budget_s):
    ours.tell("make", net.name, net.order())
    torch.tell("make", net.name, net.order())
    mine, theirs = Entrant(ours, net.name), Entrant(torch, net.name)
    others = OtherLoad([ours, torch])
    take_turns([mine, theirs], budget_s)
    load = others.cores()
    for entrant in (mine, theirs):
        entrant.worker.tell("drop", net.name)
    return mine, theirs, load


def measure_threads(build, threads, settings, nets, budget_s):
    torch, about = start_torch(threads, settings)
    command = [os.path.join(build, "runner"), "--threads", str(threads),
               os.path.join(HERE, "ours.lua")]
    ours = Worker("runner", command, {"OMP_NUM_THREADS": str(threads)})
    lines = []
    for net in nets:
        mine, theirs, load = measure(ours, torch, net, budget_s)
        lines.append([f"{net.what}, b{net.batch}, {net.optimizer}", f"{1e3 * mine.s:.2f}",
                      f"{1e3 * theirs.s:.2f}", with_quartiles(ratio(theirs, mine)),
                      f"{net.floor[min(threads, 2) - 1]:.1f}", f"{load:.1f}"])
    for worker in (ours, torch):
        worker.close()
    print(f"\n== {threads} thread{'s' if threads > 1 else ''}: PyTorch {about['version']}, "
          f"OpenBLAS kernels {about['openblas_kernels']}")
    print_table(["net", "ours ms", "torch ms", "torch/ours", "floor", "other load"], lines)
    sys.stdout.flush()


def main(build):
    counts = numbers("BENCH_THREADS", "1 2", int)
    (budget_s,) = numbers("BENCH_SECONDS", "5", float)
    word = os.environ.get("BENCH_ROWS", "")
    nets = [net for net in NETS if word in net.name]
    if not nets:
        return      # the word is of a row of another case
    kernels = openblas.fastest(lambda settings: try_torch(counts[0], settings), ROWS[:2])
    print_kernels(kernels)
    for threads in counts:
        measure_threads(build, threads, kernels[0].settings, nets, budget_s)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (Bench, BrokenPipeError) as failed:
        sys.exit(f"sequences.py: {failed}")
