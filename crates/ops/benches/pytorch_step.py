"""PyTorch's train step of the networks of SPEC section 4, to compare ours with.

Usage: python pytorch_step.py --net NET [--batch N] [--steps N] [--threads N]
       python pytorch_step.py --list
Prints one JSON line: {"step_ms": [of each step], "threads", "memory_before_bytes" (network built), "peak_memory_bytes"}; with --list {"nets", "torch"}.
"""

import argparse
import json
import time

import torch
from torch import nn

DIGITS = [10, 10, 3, 6]  # digit, style, colour, transform
KDEF = [70, 3, 2, 6]  # person, emotion, session, transform
HEADS = [(65, 4096), (4, 1024)]  # person, emotion: levels and the width of fc6


class Generator(nn.Module):
    """Branches of two layers, concatenated; fully connected layers; a feature map; transposed convolutions."""

    def __init__(self, levels, widths, hidden, feature_map, activation, upsampling):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(n, width), activation(width), nn.Linear(width, width), activation(width))
            for n, width in zip(levels, widths)
        )
        layers, n_in = [], sum(widths)
        for n_out in hidden:
            layers += [nn.Linear(n_in, n_out), activation(n_out)]
            n_in = n_out
        self.trunk = nn.Sequential(*layers)
        channels, size = feature_map
        self.feature_map = (channels, size, size)
        self.last = nn.Linear(n_in, channels * size * size)
        self.last_activation = activation(channels)
        self.upsampling = upsampling

    def forward(self, one_hots):
        x = torch.cat([branch(one_hot) for branch, one_hot in zip(self.branches, one_hots)], 1)
        x = self.last(self.trunk(x)).view(-1, *self.feature_map)
        return self.upsampling(self.last_activation(x))


class AlexNet(nn.Module):
    """Multi-task AlexNet: convolutions, then for each factor fc6, fc7, fc8."""

    def __init__(self, image_size, stride):
        super().__init__()
        def norm_and_pool():
            return [nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75), nn.MaxPool2d(3, 2, ceil_mode=True)]
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride), nn.LeakyReLU(0.2), *norm_and_pool(),
            nn.Conv2d(96, 256, 5, padding=2), nn.LeakyReLU(0.2), *norm_and_pool(),
            nn.Conv2d(256, 384, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(384, 384, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(384, 256, 3, padding=1), nn.LeakyReLU(0.2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten(),
        )
        with torch.no_grad():
            n_in = self.features(torch.zeros(1, 3, image_size, image_size)).shape[1]
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(n_in, fc6), nn.LeakyReLU(0.2), nn.Dropout(0.5),
                nn.Linear(fc6, 4096), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.Linear(4096, n),
            )
            for n, fc6 in HEADS
        )

    def forward(self, images):
        x = self.features(images)
        return [head(x) for head in self.heads]


def digits_v2():
    upsampling = nn.Sequential(
        nn.ConvTranspose2d(256, 256, 4, 2, 1), nn.PReLU(256), nn.ConvTranspose2d(256, 3, 2, 2, 0), nn.ReLU()
    )
    return Generator(DIGITS, [512, 512, 128, 256], [2048, 2048], (256, 7), nn.PReLU, upsampling)


def digits_v1():
    upsampling = nn.Sequential(
        nn.ConvTranspose2d(256, 256, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(256, 92, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(92, 92, 5, 1, 2), nn.ReLU(), nn.ConvTranspose2d(92, 3, 5, 1, 2),
    )
    return Generator(DIGITS, [256, 512, 256, 512], [1024, 1024], (256, 7), lambda _: nn.ReLU(), upsampling)


def kdef_small():
    upsampling = nn.Sequential(
        nn.ConvTranspose2d(512, 512, 5, 2, 1), nn.LeakyReLU(0.1), nn.ConvTranspose2d(512, 184, 5, 2, 1),
        nn.LeakyReLU(0.1), nn.ConvTranspose2d(184, 3, 5, 2, 1),
    )
    return Generator(KDEF, [512, 512, 128, 256], [2048, 2048], (512, 8), lambda _: nn.LeakyReLU(0.1), upsampling)


# Each network with the factors' levels that it is given, or none where it is given images, and the images' size.
NETS = {
    "digits-v1": (digits_v1, DIGITS, 28),
    "digits-v2": (digits_v2, DIGITS, 28),
    "kdef-small": (kdef_small, KDEF, 71),
    "alexnet-71": (lambda: AlexNet(71, 1), None, 71),
    "alexnet-71-s2": (lambda: AlexNet(71, 2), None, 71),
}


def reconstruction(net, levels, batch, size):
    one_hots = [nn.functional.one_hot(torch.randint(n, (batch,)), n).float() for n in levels]
    target = torch.rand(batch, 3, size, size)
    return lambda: ((net(one_hots) - target) ** 2).sum() / (2 * batch)


def classification(net, batch, size):
    images = torch.rand(batch, 3, size, size)
    labels = [torch.randint(n, (batch,)) for n, _ in HEADS]
    return lambda: sum(nn.functional.cross_entropy(logits, label) for logits, label in zip(net(images), labels))


def memory(name):
    """A line such as "VmHWM:  123456 kB" of Linux's /proc/self/status, in bytes; None elsewhere."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))
    except (OSError, StopIteration):
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=list(NETS), default="digits-v2")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the networks instead")
    args = parser.parse_args()
    if args.list:
        print(json.dumps({"nets": list(NETS), "torch": torch.__version__}))
        return
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    build, levels, size = NETS[args.net]
    net = build()
    is_classifier = levels is None
    compute_loss = classification(net, args.batch, size) if is_classifier else reconstruction(net, levels, args.batch, size)
    # The classifier's biases learn twice as fast and do not decay.
    weights = [p for name, p in net.named_parameters() if not (is_classifier and name.endswith("bias"))]
    groups = [{"params": weights}]
    if is_classifier:
        biases = [p for name, p in net.named_parameters() if name.endswith("bias")]
        groups.append({"params": biases, "lr": 4e-4, "weight_decay": 0.0})
    optimiser = torch.optim.Adam(groups, lr=2e-4, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    times, memory_before_bytes = [], memory("VmRSS:")
    for step in range(args.steps + 2):
        start = time.perf_counter()
        optimiser.zero_grad()
        loss = compute_loss()
        loss.backward()
        optimiser.step()
        loss.item()
        if step >= 2:  # the first steps allocate
            times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({
        "step_ms": times, "threads": torch.get_num_threads(),
        "memory_before_bytes": memory_before_bytes, "peak_memory_bytes": memory("VmHWM:"),
    }))


if __name__ == "__main__":
    main()
