"""compare.py: the bench: a training step of runner against PyTorch's, in turn.

    compare.py BUILD            BUILD: where runner, bench/peaks and bench/products are

For each number of threads, one process of runner (ours.lua), one of PyTorch (torch_side.py)
and one that computes the products of matrices alone (products.c) live side by side and take
turns; the others sleep. A turn is some tens of milliseconds of steps, timed here, the same
way for all. All figures come from rounds of such turns: a time is the median of its turns,
a ratio the median of the ratios within rounds, so that other load on the machine, which
changes slowly against a round, falls out.

Bounds, measured in the same run (peaks.c):
    arithmetic   operations of the products / peak of fused multiply-adds
    bytes        bytes of a step / bandwidth of copying as many bytes
where the bytes of a step are, 4 each, with P parameters, s moments per parameter (SGD 0,
Adam 2), a batch of B, inputs I, and U hidden and output units,
    P (6 + 2s)   w: read forward, read backward, read and written by the optimizer;
                 gradient: written, read; moments: read, written
    6 B U        y: written; read by the next product, by the gradient of its weight, by
                 the derivative; dy: written, read twice (each hidden unit with a norm 4
                 more: its input written and read, the gradient between too)
    2 B I        the input: read forward and for the first weight's gradient
A share of a bound is bound / time: 100 % would be a step that does nothing else.
"products" is the time of the products alone / time of the step. "other load" is how many
cores other processes kept busy meanwhile: figures with much of it are not worth keeping,
above all those of as many threads as there are cores.

Libraries choose their kernels for themselves: settings such as BLIS_ARCH_TYPE in the caller's
environment are not passed on (LIBRARY_SETTINGS). But OpenBLAS does not know newer processors
and takes slow kernels there, so its kernel sets are measured first, and the fastest one
is PyTorch's in all rows (openblas.py); it is printed, with the speed of each.

Environment: BENCH_THREADS="1 2", BENCH_JSON=path, BENCH_ROWS=word (rows with that word in
their name), BENCH_SECONDS (time for the turns of a row, default 5).
"""

import glob
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import openblas

HERE = os.path.dirname(os.path.abspath(__file__))
TURN_S = 0.06           # what a turn takes at least
MIN_ROUNDS, MAX_ROUNDS = 5, 31
# Settings of libraries, which choose for themselves here whatever the caller's shell says.
LIBRARY_SETTINGS = ("ATEN_", "BLIS_", "DNNL_", "GOMP_", "GOTO", "KMP_", "MKL_", "OMP_",
                    "ONEDNN_", "OPENBLAS_")


# -- rows ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A net and how it is trained; its fields are the words of the order `make`."""

    hidden: tuple
    activation: str
    norm: str
    batch: int
    optimizer: str
    inputs: int = 784
    classes: int = 10
    lr: float = 1e-4
    init: str = "glorot_uniform"
    scaled: bool = False
    static: bool = False

    @property
    def name(self):
        first, n = self.hidden[0], len(self.hidden)
        same = n > 2 and set(self.hidden) == {first}
        middle = f"{n}x{first}" if same else "-".join(map(str, self.hidden))
        words = [f"{self.inputs}-{middle}-{self.classes}", self.activation]
        if self.norm != "none":
            words.append(f"{self.norm} norm")
        return " ".join(words + [f"b{self.batch}", self.optimizer.upper()
                                 if self.optimizer == "sgd" else self.optimizer.title()])

    def order(self, **changes):
        fields = {**asdict(self), **changes}
        fields["hidden"] = ",".join(map(str, self.hidden))
        return " ".join(f"{k}={str(v).lower()}" for k, v in fields.items())

    def products(self):
        """M, N, K, A transposed, B transposed of each product of a step: Y = X W forward;
        dW = X' dY and, but for the first layer, dX = dY W' backward."""
        widths = [self.inputs, *self.hidden, self.classes]
        layers = list(zip(widths, widths[1:]))
        found = [(self.batch, n, k, 0, 0) for k, n in layers]
        for i, (k, n) in reversed(list(enumerate(layers))):
            found.append((k, n, self.batch, 1, 0))
            if i > 0:
                found.append((self.batch, k, n, 0, 1))
        return found

    def operations(self):
        return sum(2 * m * n * k for m, n, k, _, _ in self.products())

    def bytes(self):
        widths = [self.inputs, *self.hidden, self.classes]
        units = sum(self.hidden)
        weights = sum(k * n for k, n in zip(widths, widths[1:]))
        vectors = self.classes + units * (1 if self.norm == "none" else 2)
        slots = {"sgd": 0, "adam": 2}[self.optimizer]
        per_hidden = 6 if self.norm == "none" else 10
        values = (weights + vectors) * (6 + 2 * slots)
        values += self.batch * (per_hidden * units + 6 * self.classes + 2 * self.inputs)
        return 4 * values


ROWS = [
    Row((300, 100), "relu", "batch", 32, "sgd"),
    Row((100,) * 20, "tanh", "none", 32, "adam"),
    Row((100,) * 20, "sigmoid", "batch", 64, "adam"),
    Row((100,) * 20, "relu", "layer", 64, "adam"),
    Row((512, 512), "relu", "none", 128, "adam"),
    Row((2048,) * 3, "relu", "none", 256, "adam"),
    Row((32, 16), "tanh", "none", 10000, "adam", inputs=4, classes=4),
]


# -- processes that take turns ---------------------------------------------------------


class Bench(Exception):
    """Why the bench cannot go on, in a sentence."""


def is_setting(name):
    return name.startswith(LIBRARY_SETTINGS)


class Worker:
    """A process that obeys orders, one line each way."""

    def __init__(self, name, command, environment):
        self.name = name
        kept = {k: v for k, v in os.environ.items() if not is_setting(k)}
        self.process = subprocess.Popen(command, env={**kept, **environment}, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise Bench(f"{self.name} ended with exit status {self.process.wait()}")
        return line.strip()

    def tell(self, *words):
        """Gives an order; the answer's text. "no" is an exception."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        verdict, _, text = self.hear().partition(" ")
        if verdict != "ok":
            raise Bench(f"{self.name}: {' '.join(map(str, words))[:200]}: {text}")
        return text

    def seconds(self, what, count):
        start = time.perf_counter()
        self.tell("run", what, count)
        return time.perf_counter() - start

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def openblas_directory():
    found = glob.glob("/usr/lib/*/openblas-openmp/libblas.so.3")
    if not found:
        raise Bench("OpenBLAS was not found (/usr/lib/*/openblas-openmp/libblas.so.3); "
                    "in Debian: libopenblas0-openmp")
    return os.path.dirname(found[0])


def check_libraries(about):
    """PyTorch must compute with OpenBLAS, and nothing else of the kind be mapped."""
    names = {os.path.basename(path).split(".")[0] for path in about["libraries"]}
    expected = ("libopenblas", "libblas", "liblapack")
    foreign = [n for n in names if not n.startswith(expected)]
    outside = [p for p in about["libraries"] if "openblas" not in p]
    if any(n.startswith("libopenblas") for n in names) and not foreign and not outside:
        return
    raise Bench("PyTorch does not compute with OpenBLAS, so the comparison would say "
                "nothing; it has mapped: " + (", ".join(about["libraries"]) or "no BLAS"))


def torch_worker(script, threads, settings):
    """PyTorch with these settings of OpenBLAS, which LD_LIBRARY_PATH puts first, whatever the
    system's libblas.so.3 is."""
    path = os.pathsep.join(filter(None, [openblas_directory(),
                                         os.environ.get("LD_LIBRARY_PATH")]))
    environment = {"OMP_NUM_THREADS": str(threads), "LD_LIBRARY_PATH": path, **settings}
    return Worker("PyTorch", [sys.executable, "-B", os.path.join(HERE, script), str(threads)],
                  environment)


def start_torch(threads, settings):
    """The bench's PyTorch, and what it says of itself."""
    torch = torch_worker("torch_side.py", threads, settings)
    about = json.loads(torch.hear())
    check_libraries(about)
    return torch, about


def try_torch(threads, settings):
    """The same, or None where PyTorch does not live with these settings."""
    try:
        return start_torch(threads, settings)
    except Bench:
        if not settings:
            raise
        return None


def start_workers(build, threads, settings):
    """Ours, PyTorch's and the products', and what PyTorch says of itself."""
    environment = {"OMP_NUM_THREADS": str(threads)}
    torch, about = start_torch(threads, settings)
    ours = Worker("runner", [os.path.join(build, "runner"), "--threads", str(threads),
                             os.path.join(HERE, "ours.lua")], environment)
    program = os.path.join(build, "bench", "products")
    products = Worker("products", [program, str(threads)], environment)
    return {"ours": ours, "torch": torch, "products": products}, about


# -- measuring -------------------------------------------------------------------------


@dataclass
class Entrant:
    """Something that is timed: a net made under the name `what` in a worker."""

    worker: Worker
    what: str
    count: int = 0          # steps in a turn
    turns: tuple = ()       # seconds per step, one of each round

    @property
    def s(self):
        return statistics.median(self.turns)


def calibrate(entrant):
    entrant.worker.seconds(entrant.what, 3)
    step_s = entrant.worker.seconds(entrant.what, 2) / 2
    entrant.count = max(2, round(TURN_S / step_s))
    return entrant.count * step_s


def take_turns(entrants, budget_s):
    """Rounds of one turn each, every second round backwards."""
    round_s = sum(calibrate(e) for e in entrants)
    rounds = min(MAX_ROUNDS, max(MIN_ROUNDS, int(budget_s / round_s)))
    for i in range(rounds):
        for e in entrants if i % 2 == 0 else entrants[::-1]:
            e.turns += (e.worker.seconds(e.what, e.count) / e.count,)
            time.sleep(0.003)       # until threads that wait for work have gone to sleep


def ratio(slow, fast):
    """Median and quartiles of slow/fast over the rounds."""
    quotients = [a / b for a, b in zip(slow.turns, fast.turns)]
    low, middle, high = statistics.quantiles(quotients, n=4)
    return {"median": middle, "quartiles": [low, high]}


class OtherLoad:
    """Cores that other processes kept busy since it was made: what may have disturbed."""

    def __init__(self, workers):
        self.workers = workers
        self.start = self.look()

    def look(self):
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:]]
        busy = sum(ticks[:3]) + sum(ticks[5:8])     # not idle, not waiting for a disk
        own = sum(worker.cpu_ticks() for worker in self.workers)
        return busy - own, time.monotonic()

    def cores(self):
        (busy, then), (busy_now, now) = self.start, self.look()
        return max(0.0, (busy_now - busy) / os.sysconf("SC_CLK_TCK") / (now - then))


def measure_peaks(build, threads, rows):
    program = [os.path.join(build, "bench", "peaks"), str(threads)]
    output = subprocess.run(program + [str(row.bytes()) for row in rows],
                            check=True, text=True, capture_output=True).stdout
    first, *copies = [line.split() for line in output.splitlines()]
    return {"fma_gflops": float(first[1]), "copy_gbs": [float(copy[2]) for copy in copies]}


def try_static(ours, row):
    """An entrant for the step that is traced once, or None where there is none."""
    try:
        ours.tell("make", "static", row.order(static=True))
    except Bench as refusal:
        if 'unknown option "static"' in str(refusal):
            return None
        raise
    return Entrant(ours, "static")


def measure_row(workers, row, fma_gflops, copy_gbs, budget_s):
    ours, torch, products = workers["ours"], workers["torch"], workers["products"]
    ours.tell("make", "row", row.order())
    how = torch.tell("make", "row", row.order())
    products.tell("make", "row", *(",".join(map(str, p)) for p in row.products()))
    mine, theirs, alone = (Entrant(w, "row") for w in (ours, torch, products))
    static = try_static(ours, row)
    entrants = [e for e in (static, mine, theirs, alone) if e]
    others = OtherLoad(workers.values())
    take_turns(entrants, budget_s)
    other_cores = others.cores()
    for e in entrants:
        e.worker.tell("drop", e.what)
    arithmetic_s = row.operations() / (fma_gflops * 1e9)
    bytes_s = row.bytes() / (copy_gbs * 1e9)
    return {
        "row": row.name, "rounds": len(mine.turns), "other_cores": other_cores,
        "torch_optimizer": how,
        "ours_ms": 1e3 * mine.s, "static_ms": 1e3 * static.s if static else None,
        "default_over_static": ratio(mine, static) if static else None,
        "torch_ms": 1e3 * theirs.s, "ratio": ratio(theirs, mine),
        "products_ms": 1e3 * alone.s, "products_share": 1 / ratio(mine, alone)["median"],
        "operations": row.operations(), "bytes": row.bytes(), "copy_gbs": copy_gbs,
        "arithmetic_share": arithmetic_s / mine.s, "bytes_share": bytes_s / mine.s,
    }


# -- what our own steps must not cost --------------------------------------------------


def against(ours, title, row, other, budget_s, prepare=lambda what: None):
    """Our step on `other` over our step on `row`; prepare() may change the former."""
    ours.tell("make", "one", row.order())
    ours.tell("make", "two", other.order())
    prepare("two")
    one, two = Entrant(ours, "one"), Entrant(ours, "two")
    others = OtherLoad([ours])
    take_turns([one, two], budget_s)
    other_cores = others.cores()
    ours.tell("drop", "one")
    ours.tell("drop", "two")
    return {"test": title, "row": row.name, "one_ms": 1e3 * one.s, "two_ms": 1e3 * two.s,
            "ratio": ratio(two, one), "other_cores": other_cores}


def measure_own(ours, budget_s):
    deep = (100,) * 20
    swish = Row(deep, "swish", "none", 32, "adam")
    fashion = Row((300, 100), "relu", "batch", 32, "adam", scaled=True)

    # Healthy: N(0, 1) weights at this width keep the gradient's size through the depth.
    # The other: Glorot's divide it by about four in each layer.
    sigmoid = Row((100,) * 30, "sigmoid", "none", 32, "adam", init="normal")
    vanishing = Row((100,) * 30, "sigmoid", "none", 32, "adam")

    def starve(what):
        ours.tell("run", what, 20)
        ours.tell("scale", what, 0)
        ours.tell("run", what, 2000)

    return [
        against(ours, "swish in Lua / built in", swish,
                Row(deep, "lua_swish", "none", 32, "adam"), budget_s),
        against(ours, "after 2,000 steps at zero gradient / healthy", fashion, fashion,
                budget_s, starve),
        against(ours, "vanishing gradient / healthy", sigmoid, vanishing, budget_s,
                lambda what: ours.tell("run", what, 500)),
    ]


# -- saying it -------------------------------------------------------------------------


def percent(share):
    return f"{100 * share:.0f} %"


def with_quartiles(r):
    return f"{r['median']:.2f} [{r['quartiles'][0]:.2f} .. {r['quartiles'][1]:.2f}]"


def print_table(head, rows):
    """The first column to the left, the others to the right."""
    width = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    for line in [head, *rows]:
        cells = [line[0].ljust(width[0])]
        cells += [cell.rjust(w) for cell, w in zip(line[1:], width[1:])]
        print("  ".join(cells).rstrip())


def print_rows(results):
    static = any(r["static_ms"] for r in results)
    more = ["static ms", "ours/static"] if static else []
    head = ["row", "ours ms", *more, "torch ms", "torch/ours", "products",
            "of FMA peak", "of copy speed", "other load"]
    lines = []
    for r in results:
        traced = r["default_over_static"]
        more = [f"{r['static_ms']:.3f}", with_quartiles(traced)] if static else []
        lines.append([r["row"], f"{r['ours_ms']:.3f}", *more,
                      f"{r['torch_ms']:.3f}", with_quartiles(r["ratio"]),
                      percent(r["products_share"]), percent(r["arithmetic_share"]),
                      percent(r["bytes_share"]), f"{r['other_cores']:.1f}"])
    print_table(head, lines)


def print_own(results):
    print_table(["our steps, a / b", "b ms", "a ms", "a/b", "other load"],
                [[f"{r['test']} ({r['row']})", f"{r['one_ms']:.3f}", f"{r['two_ms']:.3f}",
                  with_quartiles(r["ratio"]), f"{r['other_cores']:.1f}"] for r in results])


def print_threads(tables):
    first, *others = tables
    for other in others:
        a, b = first["threads"], other["threads"]
        print(f"\nours, {a} thread / {b} threads, and PyTorch's")
        print_table(["row", "ours", "torch"],
                    [[x["row"], f"{x['ours_ms'] / y['ours_ms']:.2f}",
                      f"{x['torch_ms'] / y['torch_ms']:.2f}"]
                     for x, y in zip(first["rows"], other["rows"])])


def print_head(about, threads, peaks):
    plural = "s" if threads > 1 else ""
    print(f"\n== {threads} thread{plural}: PyTorch {about['version']} ({about['simd']}) "
          f"with {about['threads']}, OpenBLAS kernels {about['openblas_kernels']}; "
          f"FMA peak {peaks['fma_gflops']:.0f} GFLOP/s, copying "
          f"{min(peaks['copy_gbs']):.0f} to {max(peaks['copy_gbs']):.0f} GB/s")
    for library in about["libraries"]:
        print(f"   PyTorch has mapped {library}")
    sys.stdout.flush()


# -- the run ---------------------------------------------------------------------------


def measure_threads(build, threads, settings, rows, own, budget_s):
    workers, about = start_workers(build, threads, settings)
    try:
        peaks = measure_peaks(build, threads, rows)
        print_head(about, threads, peaks)
        results = [measure_row(workers, row, peaks["fma_gflops"], copy, budget_s)
                   for row, copy in zip(rows, peaks["copy_gbs"])]
        print_rows(results)
        own_results = measure_own(workers["ours"], budget_s) if own else []
        if own:
            print()
            print_own(own_results)
    finally:
        for worker in workers.values():
            worker.close()
    return {"threads": threads, "torch": about, "fma_gflops": peaks["fma_gflops"],
            "rows": results, "own": own_results}


def numbers(name, default, kind):
    """The positive numbers in an environment variable."""
    text = os.environ.get(name) or default
    try:
        found = [kind(word) for word in text.split()]
    except ValueError:
        found = []
    if not found or not all(0 < n <= 1024 for n in found):
        raise Bench(f"{name}={text}: allowed: numbers above 0, as in {name}=\"{default}\"")
    return found


def chosen_rows():
    word = os.environ.get("BENCH_ROWS", "")
    rows = [row for row in ROWS if word in row.name]
    if not rows:
        names = "\n  ".join(row.name for row in ROWS)
        raise Bench(f"BENCH_ROWS={word}: no such row; there are\n  {names}")
    return rows, not word


def print_verdict(tables):
    slower = [f"{r['row']} ({t['threads']} thread{'s' if t['threads'] > 1 else ''})"
              for t in tables for r in t["rows"] if not r["ratio"]["median"] > 1]
    total = sum(len(t["rows"]) for t in tables)
    print(f"\n{total - len(slower)} of {total} rows faster than PyTorch"
          + ("" if not slower else "; not: " + "; ".join(slower)))


def print_kernels(kernels):
    print("\nOpenBLAS on the products of these rows, GFLOP/s; PyTorch's is the first:")
    for candidate in kernels:
        print(f"  {candidate.gflops:6.1f}  {candidate.said}")
    sys.stdout.flush()


def run(build):
    counts = numbers("BENCH_THREADS", "1 2", int)
    (budget_s,) = numbers("BENCH_SECONDS", "5", float)
    rows, own = chosen_rows()
    version = subprocess.run([os.path.join(build, "runner"), "--version"], check=True,
                             text=True, capture_output=True).stdout.strip()
    print(version.replace("\n", " · "))
    ignored = sorted(filter(is_setting, os.environ))
    if ignored:
        print("not passed on, so that each library chooses for itself (OpenBLAS's are tried):",
              *ignored)
    print("times: medians of turns side by side; ratios: medians [quartiles] in rounds;\n"
          "products: share of matrix products alone; of FMA peak, of copy speed: bound /\n"
          "time of ours; other load: cores that other processes kept busy meanwhile")
    kernels = openblas.fastest(lambda settings: try_torch(counts[0], settings), rows)
    print_kernels(kernels)
    tables = [measure_threads(build, n, kernels[0].settings, rows, own and n == counts[0], budget_s)
              for n in counts]
    print_threads(tables)
    print_verdict(tables)
    if os.environ.get("BENCH_JSON"):
        with open(os.environ["BENCH_JSON"], "w", encoding="utf-8") as file:
            tried = [{"kernels": c.kernels, "settings": c.settings, "gflops": c.gflops}
                     for c in kernels]
            json.dump({"version": version, "openblas": tried, "tables": tables}, file,
                      indent=1)
            file.write("\n")


def main():
    try:
        run(sys.argv[1])
    except (Bench, BrokenPipeError) as fault:
        sys.exit(f"bench: {fault}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
