"""PyTorch's train step of the generators digits-v2 and digits-v1 (SPEC section 4), to compare ours with.

Usage: python pytorch_digits_v2.py [--net digits-v2|digits-v1] [--batch N] [--steps N] [--threads N]
Prints one JSON line: {"net", "batch", "ms_best", "ms_median"}.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn

LEVELS = [10, 10, 3, 6]  # digit, style, colour, transform


class Generator(nn.Module):
    def __init__(self, widths, hidden, activation, upsampling):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(levels, width), activation(width), nn.Linear(width, width), activation(width))
            for levels, width in zip(LEVELS, widths)
        )
        layers, n_in = [], sum(widths)
        for n_out in hidden:
            layers += [nn.Linear(n_in, n_out), activation(n_out)]
            n_in = n_out
        self.trunk = nn.Sequential(*layers)
        self.last = nn.Linear(n_in, 256 * 7 * 7)
        self.last_activation = activation(256)
        self.upsampling = upsampling

    def forward(self, one_hots):
        x = torch.cat([branch(one_hot) for branch, one_hot in zip(self.branches, one_hots)], 1)
        x = self.last(self.trunk(x)).view(-1, 256, 7, 7)
        return self.upsampling(self.last_activation(x))


def build(net):
    if net == "digits-v2":
        upsampling = nn.Sequential(
            nn.ConvTranspose2d(256, 256, 4, 2, 1), nn.PReLU(256), nn.ConvTranspose2d(256, 3, 2, 2, 0), nn.ReLU()
        )
        return Generator([512, 512, 128, 256], [2048, 2048], nn.PReLU, upsampling)
    upsampling = nn.Sequential(
        nn.ConvTranspose2d(256, 256, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(256, 92, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(92, 92, 5, 1, 2), nn.ReLU(), nn.ConvTranspose2d(92, 3, 5, 1, 2),
    )
    return Generator([256, 512, 256, 512], [1024, 1024], lambda _: nn.ReLU(), upsampling)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=["digits-v2", "digits-v1"], default="digits-v2")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    generator = build(args.net)
    optimiser = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    one_hots = [nn.functional.one_hot(torch.randint(n, (args.batch,)), n).float() for n in LEVELS]
    target = torch.rand(args.batch, 3, 28, 28)
    times = []
    for step in range(args.steps + 2):
        start = time.perf_counter()
        optimiser.zero_grad()
        loss = ((generator(one_hots) - target) ** 2).sum() / (2 * args.batch)
        loss.backward()
        optimiser.step()
        loss.item()
        if step >= 2:  # the first steps allocate
            times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({
        "net": args.net, "batch": args.batch,
        "ms_best": round(min(times), 2), "ms_median": round(statistics.median(times), 2),
    }))


if __name__ == "__main__":
    main()
