"""recurrent.py: makes recurrent.safetensors, what PyTorch 1.13 computes, in float64, for its
recurrent layers; tests/nn/test_layer_recurrent.lua compares with it.

    scripts/install-deps bench
    /usr/bin/python3 tests/nn/reference/recurrent.py

Inputs follow from integers, as in catalogue.py. Of each layer: h of all steps, the last state,
and the gradients of sum(y c) + sum(state d) by x, the first state and every weight, in the
order of PyTorch's parameters.
"""
import pathlib

import torch

from catalogue import numbers, write

N, T, F, H = 3, 4, 5, 3
LAYERS = {
    "rnn_tanh": (torch.nn.RNN, {}),
    "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, {}),
    "lstm_no_bias": (torch.nn.LSTM, {"bias": False}),
    "lstm_both": (torch.nn.LSTM, {"bidirectional": True}),
    "gru": (torch.nn.GRU, {}),
    "gru_no_bias": (torch.nn.GRU, {"bias": False}),
    "gru_both": (torch.nn.GRU, {"bidirectional": True}),
}


def results(name, make, options):
    layer = make(F, H, batch_first=True, **options).double()
    for i, p in enumerate(layer.parameters()):
        p.data = numbers(p.shape, 5 + i)
    directions = 2 if options.get("bidirectional") else 1
    states = 2 if make is torch.nn.LSTM else 1
    x = numbers((N, T, F), 1).requires_grad_()
    first = [numbers((directions, N, H), 2 + i).requires_grad_() for i in range(states)]
    y, last = layer(x, tuple(first) if states > 1 else first[0])
    last = list(last) if states > 1 else [last]
    total = (y * numbers(y.shape, 11)).sum()
    for i, state in enumerate(last):
        total = total + (state * numbers(state.shape, 13 + i)).sum()
    total.backward()
    yield f"{name}.y", y.detach()
    for i, state in enumerate(last):
        yield f"{name}.last_{i + 1}", state.detach()
    yield f"{name}.gx", x.grad
    for i, state in enumerate(first):
        yield f"{name}.gfirst_{i + 1}", state.grad
    for parameter, p in layer.named_parameters():
        yield f"{name}.g_{parameter}", p.grad


if __name__ == "__main__":
    write(pathlib.Path(__file__).with_suffix(".safetensors"),
          {key: value for name, (make, options) in LAYERS.items()
           for key, value in results(name, make, options)})
