"""trainings.py: makes trainings.safetensors, whole trainings of small nets by PyTorch 1.13 in
float64; tests/train/test_reference.lua trains the same nets and compares.

    scripts/install-deps bench
    /usr/bin/python3 tests/nn/reference/trainings.py

The file holds, of each training: the batches (x, t: one batch after the other, used in turn),
`begin.` the first value of each parameter and statistic, `end.` the last, `loss` of each step,
`gradient` the largest element of any gradient on the way, and after `float.` the results of
PyTorch in float32.
"""
import pathlib

import torch
from catalogue import write

STEPS, ROWS, COLUMNS = 40, 16, 5
N = torch.nn
SCHEDULES = torch.optim.lr_scheduler


def targets(kind, n):
    noise = torch.randn(n, 3)
    return noise.argmax(1) if kind == "labels" else noise


# Name of each training: the layers, with the name that each has in ours, the loss, the kind of
# its targets, the optimizer, its schedule, the clips.
TRAININGS = {
    "batch_norm": dict(
        layers=lambda: [("dense_1", N.Linear(COLUMNS, 8, bias=False)),
                        ("batch_norm_1", N.BatchNorm1d(8)), ("relu", N.ReLU()),
                        ("dense_2", N.Linear(8, 3))],
        loss=N.CrossEntropyLoss(), targets="labels",
        optimizer=lambda w: torch.optim.Adam(w, lr=0.02), norm=0.3,
        schedule=lambda o: SCHEDULES.CosineAnnealingLR(o, T_max=STEPS)),
    "layer_norm": dict(
        layers=lambda: [("dense_1", N.Linear(COLUMNS, 8)), ("layer_norm_1", N.LayerNorm(8)),
                        ("prelu_1", N.PReLU(8)), ("dense_2", N.Linear(8, 3))],
        loss=N.MSELoss(), targets="numbers",
        optimizer=lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9, nesterov=True,
                                            weight_decay=0.01)),
    "glu": dict(
        layers=lambda: [("dense_1", N.Linear(COLUMNS, 8)), ("gelu", N.GELU()),
                        ("dense_2", N.Linear(8, 8)), ("glu", N.GLU()),
                        ("dense_3", N.Linear(4, 3))],
        loss=N.CrossEntropyLoss(label_smoothing=0.1), targets="labels",
        optimizer=lambda w: torch.optim.AdamW(w, lr=0.02, weight_decay=0.1)),
    "group_norm": dict(
        layers=lambda: [("dense_1", N.Linear(COLUMNS, 8)), ("selu", N.SELU()),
                        ("group_norm_1", N.GroupNorm(2, 8)), ("dense_2", N.Linear(8, 6)),
                        ("mish", N.Mish()), ("dense_3", N.Linear(6, 3))],
        loss=N.HuberLoss(delta=0.7), targets="numbers",
        optimizer=lambda w: torch.optim.RMSprop(w, lr=0.005, alpha=0.9, momentum=0.5,
                                                centered=True), value=0.05,
        schedule=lambda o: SCHEDULES.ExponentialLR(o, 0.95)),
    "radam": dict(
        layers=lambda: [("dense_1", N.Linear(COLUMNS, 8)), ("tanh", N.Tanh()),
                        ("dense_2", N.Linear(8, 8)), ("batch_norm_1", N.BatchNorm1d(8)),
                        ("silu", N.SiLU()), ("dense_3", N.Linear(8, 3))],
        loss=N.SmoothL1Loss(), targets="numbers",
        optimizer=lambda w: torch.optim.RAdam(w, lr=0.1, eps=1e-3),
        schedule=lambda o: SCHEDULES.StepLR(o, 10, gamma=0.5)),
}


def values_of(layers):
    """Parameters and statistics in our layout, of which a weight of Dense is [in, out]."""
    found = {}
    for name, layer in layers:
        for key, v in layer.state_dict().items():
            if key == "num_batches_tracked":
                continue
            turned = v.T if isinstance(layer, N.Linear) and key == "weight" else v
            found[f"{name}.{key}"] = turned.double().clone()
    return found


def clip(parameters, norm, value):
    """PyTorch's own clip of norms adds 1e-6 to the norm."""
    if value:
        N.utils.clip_grad_value_(parameters, value)
    if norm:
        total = torch.stack([p.grad.square().sum() for p in parameters]).sum().sqrt()
        for p in parameters:
            p.grad *= min(1.0, norm / total.item())


def trained(case, x, t, dtype):
    """Values before and after, the losses, and the largest gradient."""
    torch.manual_seed(3)
    layers = case["layers"]()
    net = N.Sequential(*(layer for _, layer in layers))
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn(p.shape)
    net.to(dtype)
    begin, losses, largest = values_of(layers), [], 0.0
    parameters = list(net.parameters())
    optimizer = case["optimizer"](parameters)
    schedule = case.get("schedule", lambda o: None)(optimizer)
    for step in range(STEPS):
        now = step % len(x)
        target = t[now] if case["targets"] == "labels" else t[now].to(dtype)
        optimizer.zero_grad()
        loss = case["loss"](net(x[now].to(dtype)), target)
        loss.backward()
        largest = max([largest] + [p.grad.abs().max().item() for p in parameters])
        clip(parameters, case.get("norm"), case.get("value"))
        optimizer.step()
        if schedule:
            schedule.step()
        losses.append(loss.detach().double())
    end = {f"end.{name}": v for name, v in values_of(layers).items()}
    return begin, {"loss": torch.stack(losses), **end}, largest


def trainings():
    """All inputs are values of float32, so that both precisions begin alike."""
    for name, case in TRAININGS.items():
        torch.manual_seed(7)
        x = torch.randn(4, ROWS, COLUMNS)
        t = targets(case["targets"], 4 * ROWS).reshape(4, ROWS, -1)
        t = t.squeeze(-1) if case["targets"] == "labels" else t
        begin, exact, largest = trained(case, x, t, torch.float64)
        _, rounded, _ = trained(case, x, t, torch.float32)
        # Labels of ours count from 1.
        yield f"{name}.x", x.double()
        yield f"{name}.t", t.double() + (1 if case["targets"] == "labels" else 0)
        yield f"{name}.gradient", torch.tensor([largest], dtype=torch.float64)
        for key, v in begin.items():
            yield f"{name}.begin.{key}", v
        for key, v in exact.items():
            yield f"{name}.{key}", v
            yield f"{name}.float.{key}", rounded[key]


if __name__ == "__main__":
    write(pathlib.Path(__file__).with_suffix(".safetensors"), dict(trainings()))
