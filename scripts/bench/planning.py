"""planning.py BUILD [MOST]: what planning a step costs, and how it grows with the step.

For each shape of planning.lua, for 1,250 nodes and twice as many up to MOST (160,000): the
nodes of the graph, ms of the processor, and how many times as long it took as half of it; the
least of three processes. Expected: at most 80 ms for 20,000 nodes, and 2.3 times for twice as
many from there on."""

import os
import re
import subprocess
import sys

SHAPES = ("unrolled", "deep", "widths", "wide", "nets", "shared")
ROUNDS = 3
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "planning.lua")


def output(words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def nodes_of(runner, given):
    """As the last line of a dumped plan says."""
    last = output([runner, "plan-dump", SCRIPT, *given]).splitlines()[-1]
    return int(re.match(r"(\d+) nodes", last).group(1))


def milliseconds(runner, given):
    return float(output([runner, "--threads", "1", SCRIPT, *given]))


def main():
    runner = os.path.join(sys.argv[1], "runner")
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 160000
    for shape in SHAPES:
        before, wanted = None, 1250
        while wanted <= most:
            given = [f"shape={shape}", f"nodes={wanted}"]
            took = min(milliseconds(runner, given) for _ in range(ROUNDS))
            n_nodes = nodes_of(runner, given)
            grown = f", {took / before:.2f} times as long" if before else ""
            print(f"planning: {shape}: {n_nodes} nodes in {took:.1f} ms{grown}", flush=True)
            before, wanted = took, 2 * wanted


if __name__ == "__main__":
    main()
