"""lbfgs.py: makes lbfgs.safetensors, steps of torch.optim.LBFGS (PyTorch 1.13, float64) with and
without its line search; tests/nn/test_optim_lbfgs.lua does the same steps.

    scripts/install-deps bench
    /usr/bin/python3 tests/nn/reference/lbfgs.py

Of each case: `x`, `t`, the rows of the net; `begin.` and `end.` the parameters; `loss` that each
step returns; `path` of the first parameter after each step.
"""
import pathlib

import torch
from catalogue import write

SEARCH = dict(line_search_fn="strong_wolfe")
# Steps and options. `rosenbrock` is of one parameter, all others of a small net.
CASES = {
    "rosenbrock": (30, dict(max_iter=1, history_size=10, **SEARCH)),
    "rosenbrock_20": (3, dict(max_iter=20, history_size=5, **SEARCH)),
    "search": (25, dict(max_iter=1, history_size=10, **SEARCH)),
    "short_rate": (12, dict(lr=0.05, max_iter=1, history_size=3, **SEARCH)),
    "long_rate": (10, dict(lr=30.0, max_iter=1, history_size=10, **SEARCH)),
    "several": (4, dict(max_iter=6, max_eval=9, history_size=4, **SEARCH)),
    "tolerance": (6, dict(max_iter=30, history_size=10, tolerance_change=1e-3, **SEARCH)),
    "gradient": (3, dict(max_iter=50, max_eval=500, history_size=10, tolerance_grad=3e-2,
                         tolerance_change=0, **SEARCH)),
    "none": (6, dict(lr=0.3, max_iter=5, history_size=10)),
}


def rosenbrock(p):
    a, b = p[:-1], p[1:]
    return ((1 - a).square() + 100 * (b - a.square()).square()).sum()


def net_of():
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return net


def case_of(name):
    """The parameters by our names, in our layout, the loss, and what it is of."""
    if name.startswith("rosenbrock"):
        p = torch.linspace(-1.2, 1.1, 6).requires_grad_()
        return {"p": p}, lambda: rosenbrock(p), {}
    torch.manual_seed(5)
    net, x, t = net_of(), torch.randn(20, 4), torch.randn(20, 2)
    named = {"dense_1.weight": net[0].weight, "dense_1.bias": net[0].bias,
             "dense_2.weight": net[2].weight, "dense_2.bias": net[2].bias}
    return named, lambda: torch.nn.functional.mse_loss(net(x), t), dict(x=x, t=t)


def ours(named):
    return {key: (v.T if v.dim() == 2 else v).detach().clone() for key, v in named.items()}


def trained(name, steps, options):
    named, loss, found = case_of(name)
    optimizer = torch.optim.LBFGS(list(named.values()), **options)

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    found.update({f"begin.{key}": v for key, v in ours(named).items()})
    losses, path = [], []
    for _ in range(steps):
        losses.append(optimizer.step(closure).detach().reshape(1))
        path.append(next(iter(ours(named).values())).reshape(-1))
    found.update({f"end.{key}": v for key, v in ours(named).items()})
    found.update(loss=torch.cat(losses), path=torch.stack(path))
    return {f"{name}.{key}": v for key, v in found.items()}


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    tensors = {}
    for name, (steps, options) in CASES.items():
        tensors.update(trained(name, steps, options))
        print(name, tensors[f"{name}.loss"].tolist()[-3:])
    write(pathlib.Path(__file__).with_name("lbfgs.safetensors"), tensors)
