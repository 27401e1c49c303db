"""Loads small.safetensors, which tests/generators.rs wrote, into PyTorch and writes what it draws to reference.json.

To make both files anew:
    MULTIGEN_WRITE_REFERENCE=1 cargo test -p multigen-models --test generators
    python crates/models/tests/pytorch/reference.py
"""

import json
import pathlib

import torch
from safetensors.torch import load_file
from torch import nn

DIR = pathlib.Path(__file__).parent


class Branch(nn.Module):
    def __init__(self, levels):
        super().__init__()
        self.fc1, self.prelu1 = nn.Linear(levels, 3), nn.PReLU(3)
        self.fc2, self.prelu2 = nn.Linear(3, 2), nn.PReLU(2)

    def forward(self, x):
        return self.prelu2(self.fc2(self.prelu1(self.fc1(x))))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleDict({"digit": Branch(4), "colour": Branch(3)})
        self.fc3, self.prelu3 = nn.Linear(4, 6), nn.PReLU(6)
        self.fc5, self.prelu5 = nn.Linear(6, 16), nn.PReLU(4)
        self.deconv1, self.prelu_deconv1 = nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.PReLU(3)
        self.deconv2 = nn.ConvTranspose2d(3, 3, 2, 2, 0)
        self.mask_head = nn.Conv2d(3, 2, 1)

    def forward(self, digit, colour):
        x = torch.cat([self.branches["digit"](digit), self.branches["colour"](colour)], 1)
        x = self.prelu3(self.fc3(x))
        x = self.prelu5(self.fc5(x).view(-1, 4, 2, 2))
        images = torch.relu(self.deconv2(self.prelu_deconv1(self.deconv1(x))))
        return images, self.mask_head(images)


generator = Generator()
generator.load_state_dict(load_file(DIR / "small.safetensors"), strict=True)
one_hot = nn.functional.one_hot
with torch.no_grad():
    images, mask_logits = generator(
        one_hot(torch.tensor([0, 3, 1]), 4).float(), one_hot(torch.tensor([2, 1, 0]), 3).float()
    )
figures = {"images": images.flatten().tolist(), "mask_logits": mask_logits.flatten().tolist()}
(DIR / "reference.json").write_text(json.dumps(figures) + "\n")
