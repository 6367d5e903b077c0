"""Loss, logits and gradient of one minibatch by PyTorch, for pytorch_test.cpp.

    python3 pytorch_gradient.py FOLDER BATCH CHANNELS HEIGHT WIDTH

Reads from FOLDER network.toml, for 10 classes, parameters.f32 and images.f32 (little-endian float32), and labels.i32.
The module is what tools/models/pytorch_module.py prints. Writes state.txt, a line "name extent extent ..." for each
tensor of its state dict, into which the parameters go in this order, loss.f64, logits.f64 and gradient.f64.
Computes in float64, so that all the rounding that the test sees is tardigrad's, and without dropout.
"""

import pathlib
import sys

import torch
from torch import nn

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/models"))
import pytorch_module  # noqa: E402


def read(path, dtype):
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=dtype)


def write(path, tensor):
    path.write_bytes(bytes(tensor.detach().contiguous().view(-1).numpy()))


folder = pathlib.Path(sys.argv[1])
batch, *shape = map(int, sys.argv[2:])
scope = {}
exec(pytorch_module.module_source((folder / "network.toml").read_text(), shape, 10), scope)
model = scope["Network"]().double().eval()

flat = read(folder / "parameters.f32", torch.float32).double()
state, offset = model.state_dict(), 0
for name, tensor in state.items():
    state[name] = flat[offset:offset + tensor.numel()].view(tensor.shape)
    offset += tensor.numel()
assert offset == flat.numel(), f"{offset} parameters, expected {flat.numel()}"
model.load_state_dict(state)
(folder / "state.txt").write_text("".join(" ".join([name, *map(str, tensor.shape)]) + "\n"
                                          for name, tensor in state.items()))

images = read(folder / "images.f32", torch.float32).double().view(batch, *shape)
labels = read(folder / "labels.i32", torch.int32).long()
logits = model(images)
loss = nn.functional.cross_entropy(logits, labels)
loss.backward()
named = dict(model.named_parameters())
write(folder / "loss.f64", loss)
write(folder / "logits.f64", logits)
write(folder / "gradient.f64", torch.cat([named[name].grad.view(-1) for name in state]))
