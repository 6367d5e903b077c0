"""Loss, logits and gradient of one minibatch by PyTorch, for pytorch_test.cpp.

    python3 pytorch_gradient.py FOLDER mlp|cnn BATCH CHANNELS HEIGHT WIDTH

Reads from FOLDER parameters.f32 and images.f32 (little-endian float32), labels.i32, and layout.txt, which has a line
"name extent extent ..." for each tensor of the parameters. Writes loss.f64, logits.f64 and gradient.f64.
Computes in float64, so that all the rounding that the test sees is tardigrad's.
"""

import pathlib
import sys
from collections import OrderedDict

import torch
from torch import nn


def mlp(inputs):
    return [("flatten", nn.Flatten()), ("fc1", nn.Linear(inputs, 128)), ("relu", nn.ReLU()),
            ("fc2", nn.Linear(128, 10))]


def cnn(channels, height, width):
    layers = []
    for i, outputs in enumerate((32, 64, 128), 1):
        layers += [(f"conv{i}", nn.Conv2d(channels, outputs, 3, padding=1)), (f"relu{i}", nn.ReLU()),
                   (f"pool{i}", nn.MaxPool2d(2))]
        channels = outputs
    inputs = channels * (height // 8) * (width // 8)
    return layers + [("flatten", nn.Flatten()), ("fc1", nn.Linear(inputs, 256)), ("relu4", nn.ReLU()),
                     ("fc2", nn.Linear(256, 10))]


def read(path, dtype):
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=dtype)


def write(path, tensor):
    path.write_bytes(bytes(tensor.detach().contiguous().view(-1).numpy()))


folder, architecture = pathlib.Path(sys.argv[1]), sys.argv[2]
batch, *shape = map(int, sys.argv[3:])
layers = mlp(shape[0] * shape[1] * shape[2]) if architecture == "mlp" else cnn(*shape)
model = nn.Sequential(OrderedDict(layers)).double()

flat = read(folder / "parameters.f32", torch.float32).double()
state, offset = OrderedDict(), 0
for line in (folder / "layout.txt").read_text().splitlines():
    name, *extents = line.split()
    extents = [int(extent) for extent in extents]
    count = torch.Size(extents).numel()
    state[name] = flat[offset:offset + count].view(extents)
    offset += count
assert offset == flat.numel()
model.load_state_dict(state)  # strict: the same names and shapes, none missing

images = read(folder / "images.f32", torch.float32).double().view(batch, *shape)
labels = read(folder / "labels.i32", torch.int32).long()
logits = model(images)
loss = nn.functional.cross_entropy(logits, labels)
loss.backward()
named = dict(model.named_parameters())
write(folder / "loss.f64", loss)
write(folder / "logits.f64", logits)
write(folder / "gradient.f64", torch.cat([named[name].grad.view(-1) for name in state]))
