"""catalogue.py: makes catalogue.safetensors, what PyTorch 1.13 computes, in float64, for
layers, losses, optimizers and schedules; tests/nn/test_catalogue.lua compares with it.

    scripts/install-deps bench
    /usr/bin/python3 tests/nn/reference/catalogue.py

Inputs follow from integers, which the test makes alike: the file holds results alone. The test
reads the file alone, and needs no Python. `error` of a trajectory: how far float32 is from
float64 in PyTorch itself.
"""
import json
import math
import pathlib
import struct

import torch

ROWS, COLUMNS, STEPS = 6, 5, 25


def numbers(shape, phase, scale=1.0):
    v = [((37 * i + 29 * phase) % 101 - 50) / 50 * scale for i in range(math.prod(shape))]
    return torch.tensor(v, dtype=torch.float64).reshape(shape)


# -- layers: the result, and the gradients of sum(y c) by inputs and parameters ------------

F = torch.nn.functional
ROW, IMAGE = (ROWS, COLUMNS), (2, 4, 3, 2)

# What is computed, shapes of the inputs, shapes of the parameters; what PyTorch has no
# function for is its equation.
LAYERS = {
    "prelu": (F.prelu, [ROW], [(COLUMNS,)]),
    "prelu_shared": (F.prelu, [ROW], [(1,)]),
    "prelu_channels": (F.prelu, [IMAGE], [(4,)]),
    "rrelu": (F.rrelu, [ROW], []),
    "maxout": (lambda x: x.reshape(2, 2, 2, 3, 2).amax(2), [IMAGE], []),
    "glu": (F.glu, [IMAGE], []),
    "glu_channels": (lambda x: F.glu(x, 1), [IMAGE], []),
    "batch_norm_last": (lambda x, w, b: F.batch_norm(
        x.transpose(1, 3), None, None, w, b, True).transpose(1, 3), [IMAGE], [(2,), (2,)]),
    "batch_norm_3": (lambda x, w, b: F.batch_norm(
        x.transpose(1, 2), None, None, w, b, True).transpose(1, 2), [IMAGE], [(3,), (3,)]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), [IMAGE],
                      [(4,), (4,)]),
    "rms_norm": (lambda x, w: w * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt(),
                 [ROW], [(COLUMNS,)]),
    "weight_norm": (lambda x, g, v, b: F.linear(x, torch._weight_norm(v, g, 0), b), [ROW],
                    [(3, 1), (3, COLUMNS), (3,)]),
    "bilinear": (F.bilinear, [ROW, (ROWS, 4)], [(3, COLUMNS, 4), (3,)]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [ROW], []),
}


def layers(cases):
    for name, (function, inputs, parameters) in cases.items():
        all_of = [numbers(shape, 3 + i, 2) for i, shape in enumerate(inputs + parameters)]
        for t in all_of:
            t.requires_grad_()
        y = function(*all_of)
        (y * numbers(y.shape, 11)).sum().backward()
        yield f"layer.{name}.y", y.detach()
        for i, t in enumerate(all_of):
            yield f"layer.{name}.{i + 1}", t.grad


# -- losses: value of each example or element, and the gradient of their mean ------------

def focal(z, t, gamma, alpha):
    p = torch.sigmoid(z)
    yes = t * (1 - p) ** gamma * torch.nn.functional.softplus(-z)
    no = (1 - t) * p ** gamma * torch.nn.functional.softplus(z)
    return (yes + no if alpha is None else alpha * yes + (1 - alpha) * no).mean()


def class_focal(z, t, gamma):
    p = torch.softmax(z, 1)
    return -(t * (1 - p) ** gamma * torch.log_softmax(z, 1)).sum(1).mean()


def pairs(y, t, margin):
    d = torch.stack([(y[i] - y[j]).norm() for i in range(ROWS) for j in range(i)])
    alike = torch.stack([t[i] == t[j] for i in range(ROWS) for j in range(i)])
    return torch.where(alike, d ** 2, (margin - d).clamp(min=0) ** 2).mean() / 2


def triplets(y, t, margin):
    every = [(a, p, n) for a in range(ROWS) for p in range(ROWS) for n in range(ROWS)
             if a != p and t[a] == t[p] and t[a] != t[n]]
    a, p, n = (y[list(index)] for index in zip(*every))
    return torch.nn.TripletMarginLoss(margin, eps=0.0)(a, p, n)


def hard_triplets(y, t, margin):
    values = []
    for a in range(ROWS):
        near = [(y[a] - y[j]).norm() for j in range(ROWS) if t[j] == t[a] and j != a]
        far = [(y[a] - y[j]).norm() for j in range(ROWS) if t[j] != t[a]]
        if near and far:
            values.append((max(near) - min(far) + margin).clamp(min=0))
    return torch.stack(values).mean()


LOSSES = {
    "categorical_focal": (lambda y, t: class_focal(y, t, 2.0), "shares"),
    "sparse_focal": (lambda y, t: class_focal(
        y, torch.nn.functional.one_hot(t, COLUMNS).double(), 1.5), "labels"),
    "contrastive": (lambda y, t: pairs(y, t, 1.0), "alike"),
    "contrastive_far": (lambda y, t: pairs(y, t, 7.0), "alike"),
    "triplet": (lambda y, t: hard_triplets(y, t, 1.0), "alike"),
    "triplet_all": (lambda y, t: triplets(y, t, 2.5), "alike"),
    "huber": (torch.nn.HuberLoss(), "numbers"),
    "huber_2": (torch.nn.HuberLoss(delta=0.3), "numbers"),
    "smooth_l1": (torch.nn.SmoothL1Loss(), "numbers"),
    "smooth_l1_2": (torch.nn.SmoothL1Loss(beta=0.3), "numbers"),
    "poisson": (torch.nn.PoissonNLLLoss(), "numbers"),
    "poisson_rate": (torch.nn.PoissonNLLLoss(log_input=False, eps=1e-7), "rates"),
    "cosine": (lambda y, t: torch.nn.CosineEmbeddingLoss()(
        y, t, torch.ones(ROWS, dtype=torch.float64)), "numbers"),
    "kl_divergence": (lambda y, t: torch.nn.KLDivLoss(reduction="batchmean")(
        torch.log_softmax(y, 1), t), "shares"),
    "hinge": (lambda y, t: (1 - (2 * t - 1) * y).clamp(min=0).mean(), "yes_no"),
    "squared_hinge": (lambda y, t: (1 - (2 * t - 1) * y).clamp(min=0).square().mean(),
                      "yes_no"),
    "multi_margin": (torch.nn.MultiMarginLoss(margin=0.7), "labels"),
    "multi_margin_2": (torch.nn.MultiMarginLoss(p=2), "labels"),
    "sparse_smoothed": (torch.nn.CrossEntropyLoss(label_smoothing=0.2), "labels"),
    "categorical_smoothed": (torch.nn.CrossEntropyLoss(label_smoothing=0.2), "shares"),
    "binary_smoothed": (lambda y, t: torch.nn.BCEWithLogitsLoss()(y, 0.8 * t + 0.1),
                        "yes_no"),
    "focal": (lambda y, t: focal(y, t, 2.0, None), "yes_no"),
    "focal_2": (lambda y, t: focal(y, t, 1.5, 0.25), "yes_no"),
    "log_cosh": (lambda y, t: torch.log(torch.cosh(y - t)).mean(), "numbers"),
}


def loss_inputs(kind):
    y, t = numbers((ROWS, COLUMNS), 1, 2), numbers((ROWS, COLUMNS), 2)
    if kind == "rates":
        y, t = y.abs() + 0.1, t.abs()
    if kind == "shares":
        t = torch.softmax(2 * t, 1)
    if kind == "yes_no":
        t = (t > 0).double()
    if kind == "labels":
        t = torch.arange(ROWS) * 3 % COLUMNS
    if kind == "alike":
        y, t = y + 0.3 * y ** 2, torch.tensor([0, 1, 0, 1, 2, 0])  # no distance twice
    return y, t


def losses():
    for name, (loss, kind) in LOSSES.items():
        y, t = loss_inputs(kind)
        y.requires_grad_()
        value = loss(y, t)
        value.backward()
        yield f"loss.{name}.value", value.detach().reshape(1)
        yield f"loss.{name}.gradient", y.grad


# -- optimizers: a parameter after each of 25 steps with given gradients -----------------

class NAdam:
    """By its equation: PyTorch 1.13 multiplies one momentum into the product twice."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, momentum_decay=0.004,
                 weight_decay=0.0):
        self.w, self.t, self.product = params[0], 0, 1.0
        self.m, self.v = torch.zeros_like(self.w), torch.zeros_like(self.w)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.decay, self.weight_decay = momentum_decay, weight_decay

    def momentum(self, t):
        return self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.decay))

    @torch.no_grad()
    def step(self):
        self.t += 1
        now, after = self.momentum(self.t), self.momentum(self.t + 1)
        self.product *= now
        g = self.w.grad + self.weight_decay * self.w
        self.m.mul_(self.betas[0]).add_(g, alpha=1 - self.betas[0])
        self.v.mul_(self.betas[1]).addcmul_(g, g, value=1 - self.betas[1])
        root = (self.v / (1 - self.betas[1] ** self.t)).sqrt() + self.eps
        ahead = g * ((1 - now) / (1 - self.product))
        ahead += self.m * (after / (1 - self.product * after))
        self.w -= self.lr * ahead / root


class Clipped:
    """Another optimizer's steps, with gradients whose norm, or whose elements, are cut;
    PyTorch's own clip of norms adds 1e-6 to the norm. The rate falls by `gamma`."""

    def __init__(self, params, make, norm=None, value=None, gamma=1.0, **options):
        self.w, self.norm, self.value = params[0], norm, value
        self.inner = make(params, **options)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.inner, gamma)

    def step(self):
        if self.value:
            torch.nn.utils.clip_grad_value_([self.w], self.value)
        if self.norm:
            self.w.grad *= min(1.0, self.norm / self.w.grad.norm().item())
        self.inner.step()
        self.schedule.step()


class Rooted:
    """Keras's RMSprop and Adagrad, of which eps is inside the root."""

    def __init__(self, params, lr, eps, rho=None):
        self.w, self.lr, self.eps, self.rho = params[0], lr, eps, rho
        self.s = torch.zeros_like(self.w)

    @torch.no_grad()
    def step(self):
        g = self.w.grad
        self.s = self.s + g * g if self.rho is None else self.rho * self.s + (
            1 - self.rho) * g * g
        self.w -= self.lr * g / (self.s + self.eps).sqrt()


class Accumulated:
    """One step with the mean of so many gradients."""

    def __init__(self, params, make, every, **options):
        self.w, self.inner, self.every = params[0], make(params, **options), every
        self.waiting = []

    def step(self):
        self.waiting.append(self.w.grad)
        if len(self.waiting) == self.every:
            self.w.grad = sum(self.waiting) / self.every
            self.inner.step()
            self.waiting = []


class Lookahead:
    def __init__(self, params, make, every, share, **options):
        self.w, self.inner, self.every, self.share = (
            params[0], make(params, **options), every, share)
        self.slow, self.t = self.w.detach().clone(), 0

    @torch.no_grad()
    def step(self):
        self.inner.step()
        self.t += 1
        if self.t % self.every == 0:
            self.slow += self.share * (self.w - self.slow)
            self.w.copy_(self.slow)


class Muon:
    def __init__(self, params, lr, momentum=0.95, nesterov=True, weight_decay=0.0):
        self.w, self.lr, self.momentum, self.nesterov, self.decay = (
            params[0], lr, momentum, nesterov, weight_decay)
        self.m = torch.zeros_like(self.w)

    @torch.no_grad()
    def step(self):
        g = self.w.grad
        self.m = self.momentum * self.m + g
        m = g + self.momentum * self.m if self.nesterov else self.m
        x = m / (m.norm() + 1e-7)
        if x.shape[0] > x.shape[1]:
            x = x.T
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        if m.shape[0] > m.shape[1]:
            x = x.T
        scale = max(1.0, m.shape[1] / m.shape[0]) ** 0.5
        self.w -= self.lr * (scale * x + self.decay * self.w)


class Lbfgs:
    """One gradient a step; PyTorch asks for it by a function."""

    def __init__(self, params, **options):
        self.inner = torch.optim.LBFGS(params, max_iter=1, tolerance_grad=0,
                                       tolerance_change=0, **options)

    def step(self):
        self.inner.step(lambda: torch.zeros(()))


Adam, SGD = torch.optim.Adam, torch.optim.SGD
OPTIMIZERS = {
    "lbfgs": (Lbfgs, dict(lr=0.1, history_size=10)),
    "lbfgs_2": (Lbfgs, dict(lr=0.3, history_size=2)),
    "adam_amsgrad": (Adam, dict(lr=0.01, amsgrad=True, betas=(0.9, 0.8))),
    "adamw_amsgrad": (torch.optim.AdamW, dict(lr=0.01, amsgrad=True, weight_decay=0.1)),
    "sgd_dampening": (SGD, dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    "adagrad_lr_decay": (torch.optim.Adagrad, dict(lr=0.05, lr_decay=0.1)),
    "adam_clipnorm": (Clipped, dict(make=Adam, norm=0.7, lr=0.01, gamma=0.9)),
    "adam_clipvalue": (Clipped, dict(make=Adam, value=0.2, lr=0.01, weight_decay=0.1)),
    "sgd_clips": (Clipped, dict(make=SGD, value=0.3, norm=0.5, gamma=0.8, lr=0.1,
                                momentum=0.9)),
    "rmsprop_inside": (Rooted, dict(lr=0.01, eps=1e-3, rho=0.9)),
    "adagrad_inside": (Rooted, dict(lr=0.05, eps=1e-3)),
    "adam_accumulated": (Accumulated, dict(make=Adam, every=4, lr=0.01)),
    "sgd_accumulated": (Accumulated, dict(make=SGD, every=5, lr=0.1, momentum=0.9)),
    "adam_lookahead": (Lookahead, dict(make=Adam, every=5, share=0.5, lr=0.01)),
    "sgd_lookahead": (Lookahead, dict(make=SGD, every=3, share=0.8, lr=0.1)),
    "muon": (Muon, dict(lr=0.02)),
    "muon_2": (Muon, dict(lr=0.02, momentum=0.5, nesterov=False, weight_decay=0.1)),
    "adagrad": (torch.optim.Adagrad, dict(lr=0.05)),
    "adagrad_decay": (torch.optim.Adagrad, dict(lr=0.05, eps=1e-3, weight_decay=0.1)),
    "adadelta": (torch.optim.Adadelta, dict(lr=1.0)),
    "adadelta_2": (torch.optim.Adadelta, dict(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.1)),
    "adamax": (torch.optim.Adamax, dict(lr=0.01)),
    "adamax_2": (torch.optim.Adamax, dict(lr=0.01, betas=(0.8, 0.9), weight_decay=0.1)),
    "nadam": (NAdam, dict(lr=0.01)),
    "nadam_2": (NAdam, dict(lr=0.01, betas=(0.8, 0.9), momentum_decay=0.1,
                                        weight_decay=0.1)),
    "radam": (torch.optim.RAdam, dict(lr=0.01)),
    "radam_2": (torch.optim.RAdam, dict(lr=0.01, betas=(0.8, 0.9), weight_decay=0.1)),
    "rmsprop": (torch.optim.RMSprop, dict(lr=0.01, alpha=0.9)),
    "rmsprop_2": (torch.optim.RMSprop, dict(lr=0.01, alpha=0.8, momentum=0.5, centered=True,
                                            weight_decay=0.1)),
    "adam": (torch.optim.Adam, dict(lr=0.01, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01, weight_decay=0.1)),
    "sgd": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)),
}


def trajectory(make, options, dtype):
    w = numbers((ROWS, COLUMNS), 3).to(dtype).requires_grad_()
    optimizer, rows = make([w], **options), []
    for t in range(STEPS):
        w.grad = numbers((ROWS, COLUMNS), 13 * t, 0.5).to(dtype)
        optimizer.step()
        rows.append(w.detach().double().clone())
    return torch.stack(rows)


def optimizers():
    for name, (make, options) in OPTIMIZERS.items():
        exact = trajectory(make, options, torch.float64)
        error = (trajectory(make, options, torch.float32) - exact).abs().amax()
        yield f"optimizer.{name}.w", exact
        yield f"optimizer.{name}.error", error.reshape(1)


# -- groups: a matrix and a vector with rates and decays of their own ---------------------

GROUPS = {
    "sgd": (SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01, weight_decay=0.1)),
}


def grouped(make, options):
    w = numbers((ROWS, COLUMNS), 3).requires_grad_()
    b = numbers((1, COLUMNS), 4).requires_grad_()
    own = dict(params=[b], lr=0.03, weight_decay=0.0)
    optimizer, rows = make([dict(params=[w]), own], **options), []
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for t in range(STEPS):
        w.grad = numbers((ROWS, COLUMNS), 13 * t, 0.5)
        b.grad = numbers((1, COLUMNS), 7 * t, 0.5)
        optimizer.step()
        schedule.step()
        rows.append(torch.cat([w.detach(), b.detach()]).clone())
    return torch.stack(rows)


def groups():
    for name, (make, options) in GROUPS.items():
        yield f"groups.{name}.w", grouped(make, options)


# -- schedules: the rate at 25 times ------------------------------------------------------

S = torch.optim.lr_scheduler
SCHEDULES = {
    "multi_step": lambda o: S.MultiStepLR(o, [3, 10, 11], gamma=0.3),
    "polynomial": lambda o: S.PolynomialLR(o, total_iters=12, power=2),
    "cosine": lambda o: S.CosineAnnealingLR(o, T_max=30, eta_min=0.02),
    "cosine_restarts": lambda o: S.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.02),
    "one_cycle": lambda o: S.OneCycleLR(o, max_lr=0.2, total_steps=25),
    "exponential": lambda o: S.ExponentialLR(o, gamma=0.9),
    "step": lambda o: S.StepLR(o, 4, gamma=0.5),
}


def schedules():
    for name, make in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
        schedule, rates = make(optimizer), []
        for t in range(STEPS):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if t + 1 < STEPS:
                schedule.step()
        yield f"schedule.{name}", torch.tensor(rates, dtype=torch.float64)


# -- the file -----------------------------------------------------------------------------

def write(path, tensors):
    """safetensors: the length of a JSON header, the header, then the bytes."""
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.contiguous().numpy().astype("<f8").tobytes()
        header[name] = {"dtype": "F64", "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    write(pathlib.Path(__file__).with_suffix(".safetensors"),
          {**dict(layers(LAYERS)), **dict(losses()), **dict(optimizers()), **dict(groups()),
           **dict(schedules())})
