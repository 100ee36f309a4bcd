"""attention.py: makes attention.safetensors, what PyTorch 1.13 computes, in float64, for
embeddings, attention and the blocks of a Transformer; tests/nn/test_layer_attention_reference.lua
compares with it.

    scripts/install-deps bench
    /usr/bin/python3 tests/nn/reference/attention.py

Inputs and parameters follow from integers, which the test makes alike: the file holds results
and gradients alone, in the shapes and the order that they have here. PyTorch keeps its matrices
transposed, and those of query, key and value as one.
"""
import pathlib

import torch

from catalogue import numbers, write

N, T, S, F, H, U = 2, 4, 5, 6, 2, 7
MASK = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=torch.bool)
CAUSAL = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
PAIRS = torch.tensor([[[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]],
                      [[0, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 1, 1]]], dtype=torch.bool)
BAND = torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]],
                    dtype=torch.bool)


def norm(m):
    return [(m.weight, None, False), (m.bias, None, False)]


def linear_pair(a, b):
    return [(a.weight, None, True), (b.weight, None, True), (a.bias, None, False),
            (b.bias, None, False)]


def heads(m):
    thirds = [slice(i * F, (i + 1) * F) for i in range(3)]
    if m.in_proj_weight is None:
        weights = [(w, None, True) for w in (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)]
    else:
        weights = [(m.in_proj_weight, part, True) for part in thirds]
    return (weights + [(m.out_proj.weight, None, True)]
            + [(m.in_proj_bias, part, False) for part in thirds]
            + [(m.out_proj.bias, None, False)])


def view(entry, of):
    _, part, turned = entry
    t = of if part is None else of[part]
    return t.t() if turned else t


def encoder_parts(m):
    return norm(m.norm1) + heads(m.self_attn) + norm(m.norm2) + linear_pair(m.linear1, m.linear2)


def decoder_parts(m):
    return (norm(m.norm1) + heads(m.self_attn) + norm(m.norm2) + heads(m.multihead_attn)
            + norm(m.norm3) + linear_pair(m.linear1, m.linear2))


def results(module, parts, shapes, call, counts, dtype):
    """The result, then the gradients of sum(y c) by inputs and parameters, in order."""
    module = module.to(dtype)
    module.zero_grad()
    x = [numbers(shape, 3 + i).to(dtype).requires_grad_() for i, shape in enumerate(shapes)]
    with torch.no_grad():
        for i, entry in enumerate(parts(module)):
            at = view(entry, entry[0])
            at.copy_(numbers(at.shape, 11 + i, 0.8))
    y = call(module, *x)
    if counts is not None:
        y = y * counts[:, :, None]
    (y * numbers(y.shape, 2).to(dtype)).sum().backward()
    return [y.detach()] + [t.grad for t in x] + [view(e, e[0].grad) for e in parts(module)]


def case(name, module, *how):
    """In float64; and how far float32 is from that, of each."""
    of = {d: [t.double().clone() for t in results(module, *how, d)]
          for d in (torch.float64, torch.float32)}
    for i, t in enumerate(of[torch.float64]):
        yield f"{name}.{i}", t
        yield f"{name}.float.{i}", (of[torch.float32][i] - t).abs().max()


def attention(**options):
    return torch.nn.MultiheadAttention(F, H, batch_first=True, **options)


def layer(kind, **options):
    return kind(F, H, U, dropout=0.0, batch_first=True, **options).train()


def cases():
    yield from case("self", attention(), heads, [(N, T, F)], lambda m, x: m(x, x, x)[0], None)
    yield from case("causal", attention(), heads, [(N, T, F)],
                    lambda m, x: m(x, x, x, attn_mask=CAUSAL)[0], None)
    yield from case("masked", attention(), heads, [(N, T, F)],
                    lambda m, x: m(x, x, x, key_padding_mask=~MASK)[0], MASK)
    yield from case("pairs", attention(), heads, [(N, T, F)],
                    lambda m, x: m(x, x, x, attn_mask=~PAIRS.repeat_interleave(H, 0))[0], None)
    yield from case("cross", attention(kdim=3, vdim=5), heads, [(N, T, F), (N, S, 3), (N, S, 5)],
                    lambda m, q, k, v: m(q, k, v)[0], None)
    for first in False, True:
        when = "pre" if first else "post"
        options = {"norm_first": first}
        yield from case(f"encoder_{when}",
                        layer(torch.nn.TransformerEncoderLayer, activation="gelu", **options),
                        encoder_parts, [(N, T, F)],
                        lambda m, x: m(x, src_key_padding_mask=~MASK), MASK)
        yield from case(f"decoder_{when}", layer(torch.nn.TransformerDecoderLayer, **options),
                        decoder_parts, [(N, T, F), (N, S, F)],
                        lambda m, x, z: m(x, z, tgt_mask=CAUSAL), None)
    yield from case("decoder_pairs", layer(torch.nn.TransformerDecoderLayer), decoder_parts,
                    [(N, T, F), (N, S, F)],
                    lambda m, x, z: m(x, z, tgt_mask=~PAIRS.repeat_interleave(H, 0),
                                      memory_mask=~BAND), None)
    ids = torch.tensor([[2, 4, 2, 1], [7, 4, 4, 2]]) - 1
    yield from case("embedding", torch.nn.Embedding(7, 3), lambda m: [(m.weight, None, False)],
                    [], lambda m: m(ids), None)


if __name__ == "__main__":
    write(pathlib.Path(__file__).with_suffix(".safetensors"), dict(cases()))
