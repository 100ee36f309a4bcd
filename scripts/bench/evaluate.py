"""evaluate.py BUILD [OTHER ...]: what a net:evaluate costs, planned against naive.

Rows through 10 blocks of Dense, BatchNorm and tanh, batches of 64, one thread. The planned and
the naive executor of BUILD, and of each OTHER build its own way, take turns as in compare.py; a
ratio is the median of those within rounds. The measures must be the same to the last digit.

Environment: BENCH_SECONDS (time for the turns of a row, default 5)."""

import os
import sys

from compare import Bench, Entrant, Worker, numbers, print_table, ratio, take_turns, \
    with_quartiles

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "evaluate.lua")
ROWS, BLOCKS, BATCH = 65536, 10, 64
EXPECTED = {20: 3.0, 100: 1.5}      # width: planned is to be so many times as fast


def start(build, executor):
    command = [os.path.join(build, "runner"), "--threads", "1", SCRIPT]
    return Worker(f"{build} {executor}", command, {"RUNNER_EXECUTOR": executor})


def measure(workers, width, budget_s):
    spec = f"width={width} blocks={BLOCKS} rows={ROWS} batch={BATCH}"
    for worker in workers:
        worker.tell("make", "it", spec)
    said = {worker.tell("run", "it", 1) for worker in workers}
    if len(said) != 1:
        raise Bench(f"width {width}: the measures differ: {', '.join(sorted(said))}")
    entrants = [Entrant(worker, "it") for worker in workers]
    take_turns(entrants, budget_s)
    for worker in workers:
        worker.tell("drop", "it")
    return entrants


def main(build, others):
    (budget_s,) = numbers("BENCH_SECONDS", "5", float)
    workers = [start(build, "planned"), start(build, "naive")]
    workers += [start(other, "planned") for other in others]
    lines = []
    for width, expected in EXPECTED.items():
        planned, *rest = measure(workers, width, budget_s)
        for entrant in rest:
            lines.append([f"width {width}, against {entrant.worker.name}",
                          f"{1e3 * planned.s:.1f}", f"{1e3 * entrant.s:.1f}",
                          with_quartiles(ratio(entrant, planned)), f"{expected:.1f}"])
    for worker in workers:
        worker.close()
    print(f"\nevaluate {ROWS} rows, {BLOCKS} blocks, batches of {BATCH}, one thread")
    print_table(["row", "planned ms", "other ms", "times as fast", "expected"], lines)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except Bench as failed:
        sys.exit(f"evaluate.py: {failed}")
