"""optimizers.py BUILD: what a step of each optimizer costs beside Adam's, byte for byte.

The pass over parameter, gradient and slots alone, on one thread, for 270,000 and
670,000 parameters: each sample of each optimizer's record in turn, by optimizers.c.
Bytes are those that the pass must move: it reads the gradient, reads and writes the
parameter and each slot. Expected: at most 1.3 times as long per byte as Adam's; a ratio
is the median of those within rounds.

Environment: BENCH_ROUNDS (default 31)."""

import os
import subprocess
import sys

from compare import Bench, numbers, print_table

SIZES, EXPECTED, REAL_BYTES = (270000, 670000), 1.3, 4


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else sum(values[middle - 1:middle + 1]) / 2


def measure(build, elements, rounds):
    command = [os.path.join(build, "bench", "optimizers"), str(elements), str(rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        name, sample, slots, times = line.split("\t")
        n_bytes = REAL_BYTES * (3 + 2 * int(slots))
        yield name, sample, n_bytes, [float(t) for t in times.split()]


def main(build):
    (rounds,) = numbers("BENCH_ROUNDS", "31", int)
    for elements in SIZES:
        cases = list(measure(build, elements, rounds))
        adam = next((c for c in cases if c[:2] == ("Adam", "")), None)
        if not adam:
            raise Bench("Adam without options is not among the samples")
        rows = []
        for name, sample, n_bytes, times in cases:
            ratios = [t / n_bytes / (a / adam[2]) for t, a in zip(times, adam[3])]
            rows.append([f"{name} {sample}", str(n_bytes), f"{median(times):.3f}",
                         f"{n_bytes / median(times):.1f}", f"{median(ratios):.2f}"])
        print(f"\n{elements} parameters, one thread; expected at most {EXPECTED}")
        print_table(["optimizer", "bytes", "ns", "GB/s", "of Adam per byte"], rows)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Bench as failed:
        sys.exit(f"optimizers.py: {failed}")
