"""trials.py BUILD [N]: what a study costs beyond its trials: N (10,000) that do nothing.

Prints the time per trial, and of that what lies beyond the worker's own time (wall_s of its
record: from its claim to the end of its script); then how long ls and show take, the first
time (the index is made) and later; then how long an ls takes, and how many trials a second
are done, while 8 workers write, with an ls in a loop beside them and without."""

import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

# ext4 takes no inode that was deleted in the last five seconds, and searches past all of
# those for each new file: what was removed just before, by whomever, would count here.
SETTLE_S = 6

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trials.lua")
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def seconds(words):
    begin = time.monotonic()
    subprocess.run(words, check=True, **QUIET)
    return time.monotonic() - begin


def study(runner, runs, n, jobs):
    return [runner, "--runs", runs, "--jobs", str(jobs), "--threads", "1", SCRIPT, f"n={n}"]


def own_seconds(runs):
    own = []
    for path in glob.glob(os.path.join(runs, "trials", "trials", "*", "meta.json")):
        with open(path, encoding="utf-8") as file:
            own.append(json.load(file)["wall_s"])
    return sum(own)


def overhead(runner, runs, n):
    start = seconds(study(runner, runs + "-start", 10, 1))
    time.sleep(SETTLE_S)
    before = os.times()
    whole = seconds(study(runner, runs, n, 1)) - start
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    own = own_seconds(runs)
    print(f"trials: {n} trials, one worker: {1e3 * whole / n:.2f} ms a trial, "
          f"{1e3 * (whole - own) / n:.2f} ms beyond the worker's own time "
          f"(expected: under 1 ms, on two free cores); {1e3 * cpu / n:.2f} ms of processor "
          f"time, all together")


def queries(runner, runs):
    trial = max(os.listdir(os.path.join(runs, "trials", "trials")), key=len)
    asked = [("ls", ["ls"]), ("ls trials", ["ls", "trials"]),
             ("ls trials --cells", ["ls", "trials", "--cells"]),
             ("ls trials a=3 loss<100", ["ls", "trials", "a=3", "loss<100"]),
             ("show by id", ["show", trial]), ("show by prefix", ["show", trial[:-1]]),
             ("show trials", ["show", "trials"])]
    print(f"trials: ls trials, the first time: "
          f"{seconds([runner, '--runs', runs, 'ls', 'trials']):.3f} s")
    for name, words in asked:
        took = [seconds([runner, "--runs", runs, *words]) for _ in range(3)]
        print(f"trials: {name}: {statistics.median(took):.3f} s (expected: under 0.2 s)")


def beside(runner, runs, n, listing):
    """Trials a second with 8 workers; seconds of each ls that ran beside them."""
    begin, took = time.monotonic(), []
    with subprocess.Popen(study(runner, runs, n, 8), **QUIET) as process:
        while process.poll() is None:
            if listing and os.path.exists(os.path.join(runs, "trials")):
                took.append(seconds([runner, "--runs", runs, "ls", "trials"]))
            else:
                time.sleep(0.05)
    assert process.returncode == 0
    return n / (time.monotonic() - begin), took


def main():
    runner = os.path.join(sys.argv[1], "runner")
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    with tempfile.TemporaryDirectory() as place:
        runs = os.path.join(place, "runs")
        overhead(runner, runs, n)
        queries(runner, runs)
        alone, _ = beside(runner, runs + "-alone", n // 5, False)
        rate, took = beside(runner, runs + "-beside", n // 5, True)
        print(f"trials: 8 workers: {alone:.0f} trials a second; with an ls in a loop {rate:.0f}, "
              f"each of {len(took)} ls in {statistics.median(took):.3f} s, "
              f"at most {max(took):.3f} s")


if __name__ == "__main__":
    main()
