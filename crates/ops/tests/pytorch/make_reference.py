"""Writes reference.txt: what PyTorch makes of small inputs, for tests/against_pytorch.rs.

Run from this folder: python make_reference.py (torch 2.x, CPU). Each line is a name, the dimensions and the values.
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
lines = []


def put(name, tensor):
    tensor = tensor.detach()
    dims = "x".join(map(str, tensor.shape)) or "scalar"
    lines.append(f"{name} {dims} " + " ".join(f"{value:.9g}" for value in tensor.flatten().tolist()))


def operator(name, run, **inputs):
    """Inputs, result and the gradients of (result · direction) with respect to every floating input."""
    for tensor in inputs.values():
        if tensor.is_floating_point():
            tensor.requires_grad_()
    y = run(**inputs)
    direction = torch.randn_like(y)
    (y * direction).sum().backward()
    put(f"{name}.y", y)
    put(f"{name}.direction", direction)
    for key, tensor in inputs.items():
        put(f"{name}.{key}", tensor.float())
        if tensor.grad is not None:
            put(f"{name}.{key}.grad", tensor.grad)


operator("conv_transpose2d", lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, 2, 1),
         x=torch.randn(2, 3, 3, 4), weight=torch.randn(3, 2, 4, 4), bias=torch.randn(2))
operator("conv2d", lambda x, weight, bias: F.conv2d(x, weight, bias, 2, 1),
         x=torch.randn(2, 3, 6, 5), weight=torch.randn(2, 3, 3, 3), bias=torch.randn(2))
operator("linear", lambda x, weight, bias: F.linear(x, weight, bias),
         x=torch.randn(3, 5), weight=torch.randn(4, 5), bias=torch.randn(4))
operator("prelu", lambda x, weight: F.prelu(x, weight),
         x=torch.cat([torch.randn(2, 3, 5), torch.zeros(2, 3, 1)], 2), weight=torch.rand(3))
operator("leaky_relu", lambda x: F.leaky_relu(x, 0.1), x=torch.cat([torch.randn(9), torch.zeros(1)]))
operator("squared_error", lambda x, target: ((x - target) ** 2).sum() / (2 * len(x)),
         x=torch.randn(3, 4), target=torch.randn(3, 4))
operator("softmax_cross_entropy", lambda x, target: F.cross_entropy(x, target),
         x=torch.randn(4, 5) * 10, target=torch.tensor([0, 4, 2, 2]))

# Five steps of Adam with coupled decay on Σ (w − a)⁴, so that gradients change.
w, a = nn.Parameter(torch.randn(7)), torch.randn(7)
put("adam.start", w)
put("adam.a", a)
optimiser = torch.optim.Adam([w], lr=0.05, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01)
for _ in range(5):
    optimiser.zero_grad()
    ((w - a) ** 4).sum().backward()
    optimiser.step()
put("adam.end", w)
put("adam.m", optimiser.state[w]["exp_avg"])
put("adam.v", optimiser.state[w]["exp_avg_sq"])

# Whole numbers, so that windows have several maxima.
operator("max_pool2d_floor", lambda x: F.max_pool2d(x, 3, 2), x=(torch.randn(2, 2, 6, 8) * 2).round())
operator("max_pool2d_ceil", lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), x=(torch.randn(2, 2, 6, 8) * 2).round())
operator("local_response_norm", lambda x: F.local_response_norm(x, 5, 1e-4, 0.75, 1.0), x=torch.randn(2, 7, 2, 3) * 100)

with open("reference.txt", "w") as file:
    file.write("\n".join(lines) + "\n")
