"""Loads weights that the tests wrote into PyTorch and writes what the networks give to reference.json.

small.safetensors is of tests/generators.rs, small_classifier.safetensors of tests/classifiers.rs.
To make all files anew:
    MULTIGEN_WRITE_REFERENCE=1 cargo test -p multigen-models --test generators --test classifiers
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


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 5, 2), nn.Conv2d(4, 6, 5, padding=2)
        self.conv3, self.conv4 = nn.Conv2d(6, 5, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1)
        self.conv5 = nn.Conv2d(6, 4, 3, padding=1)
        self.norm, self.pool = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75), nn.MaxPool2d(3, 2, ceil_mode=True)
        self.activation = nn.LeakyReLU(0.2)

        def head(levels, fc6):
            return nn.ModuleDict({"fc6": nn.Linear(4, fc6), "fc7": nn.Linear(fc6, 8), "fc8": nn.Linear(8, levels)})
        self.person, self.emotion = head(5, 7), head(3, 6)

    def forward(self, x):
        x = self.pool(self.norm(self.activation(self.conv1(x))))
        x = self.pool(self.norm(self.activation(self.conv2(x))))
        for conv in (self.conv3, self.conv4, self.conv5):
            x = self.activation(conv(x))
        x = self.pool(x).flatten(1)

        def read(head):
            return head["fc8"](self.activation(head["fc7"](self.activation(head["fc6"](x)))))
        return read(self.person), read(self.emotion)


generator = Generator()
generator.load_state_dict(load_file(DIR / "small.safetensors"), strict=True)
one_hot = nn.functional.one_hot
with torch.no_grad():
    images, mask_logits = generator(
        one_hot(torch.tensor([0, 3, 1]), 4).float(), one_hot(torch.tensor([2, 1, 0]), 3).float()
    )
figures = {"images": images.flatten().tolist(), "mask_logits": mask_logits.flatten().tolist()}

classifier = Classifier()
classifier.load_state_dict(load_file(DIR / "small_classifier.safetensors"), strict=True)
pixels = torch.arange(3 * 3 * 28 * 28) * 37 % 101
person, emotion = classifier(((pixels.float() / 50 - 1) * 100).view(3, 3, 28, 28))
(person.sum() + emotion.sum()).backward()
figures |= {"person": person.flatten().tolist(), "emotion": emotion.flatten().tolist()}
parameters = dict(classifier.named_parameters())
for name in ("conv1.weight", "conv3.bias", "person.fc6.weight"):
    figures[name] = parameters[name].grad.flatten().tolist()
(DIR / "reference.json").write_text(json.dumps(figures) + "\n")
