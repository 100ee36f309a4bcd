"""workers.py BUILD: trials per second of two workers against one, one thread each.

Three pairs, in turn; the median of the pairs' ratios is what counts, for other load on the
machine hits both sides of a pair. Wants two cores that are free: 1.8 times is expected."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

PAIRS = 3


def seconds(runner, jobs):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "workers.lua")
    with tempfile.TemporaryDirectory() as runs:
        begin = time.monotonic()
        subprocess.run(
            [runner, "--runs", runs, "--jobs", str(jobs), "--threads", "1", script],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - begin


def main():
    runner = os.path.join(sys.argv[1], "runner")
    ratios = []
    for pair in range(PAIRS):
        one, two = seconds(runner, 1), seconds(runner, 2)
        ratios.append(one / two)
        print(f"workers: pair {pair + 1}: one {one:.2f} s, two {two:.2f} s, "
              f"{ratios[-1]:.2f} times")
    print(f"workers: two workers do {statistics.median(ratios):.2f} times the trials of one "
          f"(median of {PAIRS}; expected: at least 1.8 on two free cores)")


if __name__ == "__main__":
    main()
