"""statistics.py: makes statistics.json, the numbers that tests/lab/test_stat.c compares with.

    scripts/install-deps reference
    /usr/bin/python3 tests/lab/reference/statistics.py

SciPy and statsmodels compute everything; the data come from a fixed seed. The tests read
the JSON file alone, and need no Python.
"""
import itertools
import json
import pathlib

import numpy as np
import pandas as pd
import scipy
import statsmodels
from scipy import special, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

random = np.random.default_rng(20250301)
ALPHA = 0.05


def t_critical(p, df):
    """SciPy's inverse of the t distribution is good to about 1e-9 (for one degree of
    freedom and p = .001 the ninth digit is wrong): Newton's steps on its tail, which is
    better, mend that."""
    t = first = stats.t.isf(p / 2, df)
    for _ in range(5):
        t += (stats.t.sf(t, df) - p / 2) / stats.t.pdf(t, df)
    assert abs(t - first) <= 1e-7 * max(1, first)
    return t


def t_interval(values):
    half = t_critical(ALPHA, len(values) - 1) * stats.sem(values)
    low, high = np.mean(values) - half, np.mean(values) + half
    assert np.allclose([low, high], stats.t.interval(1 - ALPHA, len(values) - 1,
                       np.mean(values), stats.sem(values)), rtol=1e-6)
    return low, high


def distributions():
    """Rows: arguments, then the value."""
    degrees = [1, 2, 3, 4, 7.5, 9, 19, 39, 207, 5000]
    sizes = [0, 1e-8, 0.1, 0.5, 1, 2, 5, 20, 300]
    ratios = [1e-6, 0.1, 0.9, 1, 3, 40, 1e4]
    pairs = [(1, 1), (1, 9), (3, 27), (6, 9), (2, 207), (23, 207), (40, 3)]
    betas = [(0.5, 0.5), (1, 1), (2, 5), (0.5, 100), (100, 0.5), (30, 40), (1000, 900)]
    return {
        "beta": [[a, b, x, special.betainc(a, b, x)]
                 for a, b in betas for x in [0, 1e-6, 0.1, 0.4, 0.525, 0.9, 0.999, 1]],
        "t_tail": [[t, df, 2 * stats.t.sf(t, df)] for df in degrees for t in sizes],
        "t_critical": [[p, df, t_critical(p, df)]
                       for df in degrees for p in [0.001, 0.01, 0.05, 0.1, 0.5, 0.99]],
        "f_tail": [[f, a, b, stats.f.sf(f, a, b)] for a, b in pairs for f in ratios],
        "normal_critical": [[p, stats.norm.isf(p / 2)]
                            for p in [1e-6, 0.001, 0.01, 0.05, 0.3, 0.9]],
    }


def samples():
    rows = []
    for n in [3, 4, 5, 10, 31]:
        for values in [random.normal(0.88, 0.004, n), random.lognormal(0, 1, n)]:
            low, high = t_interval(values)
            rows.append({"values": values.tolist(), "mean": np.mean(values),
                         "sd": np.std(values, ddof=1), "median": np.median(values),
                         "min": values.min(), "max": values.max(),
                         "low": low, "high": high})
    return rows


def sign_flip(differences):
    """Share of all sign patterns with a sum at least as far from 0 as the one seen."""
    n = len(differences)
    seen = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    extreme = 0
    for first in range(0, 2**n, 2**16):
        patterns = np.arange(first, min(first + 2**16, 2**n))
        signs = 1 - 2 * ((patterns[:, None] >> np.arange(n)) & 1)
        extreme += int((np.abs(signs @ differences) >= seen).sum())
    return extreme / 2**n


def check_sign_flip(a, b, p):
    """SciPy's exact permutation test says the same (it holds all patterns at once)."""
    if len(a) > 12:
        return
    result = stats.permutation_test((a, b), lambda x, y, axis: np.mean(x - y, axis=axis),
                                    permutation_type="samples", n_resamples=np.inf,
                                    vectorized=True)
    assert abs(result.pvalue - p) < 1e-12, (result.pvalue, p)


def paired():
    rows = []
    cases = [(n, effect) for n in [2, 3, 5, 8, 12, 16, 20] for effect in [0, 0.004]]
    for n, effect in cases:
        seed = random.normal(0, 0.004, n)
        a = 0.88 + effect + seed + random.normal(0, 0.003, n)
        b = 0.88 + seed + random.normal(0, 0.003, n)
        if n == 8:      # test sets are counted: differences tie
            a, b = np.round(a, 3), np.round(b, 3)
        differences = a - b
        differences[np.abs(differences) < 1e-12] = 0
        test = stats.ttest_rel(a, b)
        mean_low, mean_high = t_interval(differences)
        p = sign_flip(differences)
        check_sign_flip(a, b, p)
        won = float((differences > 0).sum() + 0.5 * (differences == 0).sum())
        low, high = proportion_confint(won, n, ALPHA, method="wilson")
        rows.append({"differences": differences.tolist(), "mean": differences.mean(),
                     "sd": differences.std(ddof=1), "low": mean_low,
                     "high": mean_high, "t": test.statistic, "p_t": test.pvalue,
                     "d_z": differences.mean() / differences.std(ddof=1), "p": p,
                     "won": won / n, "won_low": low, "won_high": high})
    return rows


def holm():
    families = [[0.04], [0.01, 0.02, 0.03], [0.05, 0.001, 0.02, 0.02, 0.9, 0.3],
                [0.5, 0.6, 0.7], [0.0078125] * 6, random.uniform(0, 0.1, 25).tolist()]
    return [{"p": p, "adjusted": multipletests(p, ALPHA, method="holm")[1].tolist()}
            for p in families]


def wilson():
    rows = []
    for won, n in [(0, 1), (1, 1), (0, 10), (10, 10), (7, 10), (4.5, 10), (3, 8),
                   (0.5, 12), (60, 100)]:
        low, high = proportion_confint(won, n, ALPHA, method="wilson")
        rows.append([won, n, low, high])
    return rows


def effect(row, total, residual):
    ms = residual["sum_sq"] / residual["df"]
    return {"df": row["df"], "ss": row["sum_sq"], "f": row["F"], "p": row["PR(>F)"],
            "eta2": row["sum_sq"] / total,
            "omega2": (row["sum_sq"] - row["df"] * ms) / (total + ms)}


def anova(levels, n_blocks):
    """y ~ full factorial + block, type II (all types agree: the grid is balanced)."""
    names = "abcd"[:len(levels)]
    frame = pd.DataFrame(list(itertools.product(*map(range, levels), range(n_blocks))),
                         columns=[*names, "block"])
    shift = [random.normal(0, 1, n) for n in levels]
    both = random.normal(0, 0.5, levels[:2])
    block = random.normal(0, 0.7, n_blocks)
    frame["y"] = [sum(s[i] for s, i in zip(shift, row)) + both[tuple(row[:-1][:2])] +
                  block[row[-1]] + random.normal(0, 0.6)
                  for row in frame[[*names, "block"]].itertuples(index=False, name=None)]
    factors = " * ".join(f"C({name})" for name in names)
    table = anova_lm(ols(f"y ~ {factors} + C(block)", frame).fit(), typ=2)
    total = float(((frame["y"] - frame["y"].mean()) ** 2).sum())
    residual = table.loc["Residual"]
    terms = [f"C({name})" for name in names]
    pairs = [":".join(pair) for pair in itertools.combinations(terms, 2)]
    higher = [":".join(terms)] if len(terms) == 3 else []
    rows = [effect(table.loc[name], total, residual)
            for name in [*terms, *pairs, *higher, "C(block)"]]
    rows.append({"df": residual["df"], "ss": residual["sum_sq"],
                 "eta2": residual["sum_sq"] / total})
    rows.append({"df": len(frame) - 1, "ss": total, "eta2": 1.0})
    return {"levels": list(levels), "blocks": n_blocks, "values": frame["y"].tolist(),
            "effects": rows}


def brown_forsythe():
    rows = []
    for sizes, spreads in [((5, 5), (1, 1)), ((10, 10, 10), (1, 2, 5)), ((4, 7, 3), (1, 1, 3))]:
        groups = [random.normal(0, spread, n) for n, spread in zip(sizes, spreads)]
        rows.append({"sizes": list(sizes), "values": np.concatenate(groups).tolist(),
                     "p": stats.levene(*groups, center="median").pvalue})
    return rows


def section(name, rows):
    """A row a line."""
    if isinstance(rows, str):
        return f"{json.dumps(name)}: {json.dumps(rows)}"
    return f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, rows)) + "\n]"


def main():
    data = {"made_with": f"scipy {scipy.__version__}, statsmodels {statsmodels.__version__}",
            **distributions(), "samples": samples(), "paired": paired(), "holm": holm(),
            "wilson": wilson(),
            "anova": [anova((4,), 5), anova((2, 3), 2), anova((4, 3), 10),
                      anova((4, 3, 2), 10), anova((2, 2, 3), 4)],
            "brown_forsythe": brown_forsythe()}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text("{\n" + ",\n".join(section(*item) for item in data.items()) + "\n}\n")
    print(f"{path}: {path.stat().st_size} bytes")


main()
