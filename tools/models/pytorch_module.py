#!/usr/bin/env python3
"""Prints the PyTorch module that a network file describes (models/networks/README.md), as Python source:

    pytorch_module.py FILE.toml|- [--images CxHxW] [--classes N]

    tardigrad models resnet8 | python3 tools/models/pytorch_module.py - > resnet8.py
    python3 -c 'from resnet8 import Network; print(Network())'

Images and classes are those that `tardigrad models` was asked for, where the text comes from it, and else 3x32x32 and 10.
Its state dict has the names and shapes of the model that `tardigrad train` saves, so that one goes over to the other by
load_state_dict. It needs Python 3.11, and no PyTorch to print. A file should be one that `tardigrad models` takes, which checks
all of it; PyTorch refuses names that its modules have for themselves, such as "forward".
"""

import argparse
import pathlib
import re
import sys
import tomllib

HEAD = '''# The network of {file}, for images of {images} in {classes} classes.

from collections import OrderedDict

from torch import nn


class Residual(nn.Module):
    """Adds what two branches make of the same input."""

    def __init__(self, branch, shortcut):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class Network(nn.Sequential):
    def __init__(self):
        super().__init__(OrderedDict([
'''
TAIL = "        ]))\n"
USUAL_NAMES = {"linear": "fc", "residual": "block", "group_norm": "norm", "layer_norm": "norm", "max_pool": "pool",
               "avg_pool": "pool", "global_avg_pool": "pool"}
KINDS = ("conv", "linear", "relu", "gelu", "group_norm", "layer_norm", "max_pool", "avg_pool", "global_avg_pool",
         "dropout", "flatten", "residual", "block")


class Printer:
    """Walks the layers of a file, with the shape that goes through them: (channels, height, width) or (features,)."""

    def __init__(self, document, classes):
        self.blocks = document.get("blocks", {})
        self.classes = classes

    def layers(self, layers, shape, indent, numbers):
        """(lines, shape behind) of a list of layers; `numbers` counts the kinds of its scope."""
        lines = []
        for layer in layers:
            layer = {layer: True} if isinstance(layer, str) else layer
            kind = next(key for key in layer if key in KINDS)
            if kind == "block":
                for _ in range(layer.get("repeat", 1)):
                    more, shape = self.layers(self.blocks[layer["block"]], shape, indent, numbers)
                    lines += more
                continue
            usual = USUAL_NAMES.get(kind, kind)
            if "name" not in layer:
                numbers[usual] = numbers.get(usual, 0) + 1
            name = layer.get("name", f"{usual}{numbers.get(usual)}")
            module, shape = getattr(self, kind)(layer, shape, indent)
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
                raise ValueError(f"{name!r} is no name")
            lines.append(f'{indent}("{name}", {module}),\n')
        return lines, shape

    def sequential(self, layers, shape, indent):
        lines, shape = self.layers(layers, shape, indent + "    ", {})
        if not lines:
            return "nn.Sequential()", shape
        return "nn.Sequential(OrderedDict([\n" + "".join(lines) + indent + "]))", shape

    def residual(self, layer, shape, indent):
        branch, behind = self.sequential(layer["residual"], shape, indent)
        shortcut, _ = self.sequential(layer.get("shortcut", []), shape, indent)
        return f"Residual({branch}, {shortcut})", behind

    def conv(self, layer, shape, _):
        kernel, stride, padding = layer["kernel"], layer.get("stride", 1), layer.get("padding", 0)
        options = "".join(f", {key}={layer[key]}" for key in ("stride", "padding", "groups", "bias") if key in layer)
        sides = ((side + 2 * padding - kernel) // stride + 1 for side in shape[1:])
        return f"nn.Conv2d({shape[0]}, {layer['conv']}, {kernel}{options})", (layer["conv"], *sides)

    def linear(self, layer, shape, _):
        outputs = self.classes if layer["linear"] == "classes" else layer["linear"]
        return f"nn.Linear({shape[0]}, {outputs})", (outputs,)

    def pool(self, module, layer, kernel, shape):
        stride, padding = layer.get("stride", kernel), layer.get("padding", 0)
        sides = ((side + 2 * padding - kernel) // stride + 1 for side in shape[1:])
        return f"nn.{module}({kernel}, {stride}, {padding})", (shape[0], *sides)

    def max_pool(self, layer, shape, _):
        return self.pool("MaxPool2d", layer, layer["max_pool"], shape)

    def avg_pool(self, layer, shape, _):
        return self.pool("AvgPool2d", layer, layer["avg_pool"], shape)

    def global_avg_pool(self, _layer, shape, _):
        return "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())", shape[:1]

    def group_norm(self, layer, shape, _):
        return f"nn.GroupNorm({layer['group_norm']}, {shape[0]})", shape

    def layer_norm(self, _layer, shape, _):
        return f"nn.LayerNorm({list(shape)})", shape

    def dropout(self, layer, shape, _):
        return f"nn.Dropout({layer['dropout']})", shape

    def relu(self, _layer, shape, _):
        return "nn.ReLU()", shape

    def gelu(self, _layer, shape, _):
        return "nn.GELU()", shape

    def flatten(self, _layer, shape, _):
        size = 1
        for extent in shape:
            size *= extent
        return "nn.Flatten()", (size,)


def module_source(text, images, classes, file="a network file"):
    """Source of the module of a network file's text, for images (channels, height, width)."""
    document, images = tomllib.loads(text), tuple(images)
    lines, _ = Printer(document, classes).layers(document["layers"], images, "            ", {})
    shape = "x".join(map(str, images))
    return HEAD.format(file=ascii(file), images=shape, classes=classes) + "".join(lines) + TAIL


def asked_for(text):
    """Images and classes that `tardigrad models` has written below a network."""
    found = re.findall(r"^# On images of (\d+x\d+x\d+), (\d+) classes:$", text, re.MULTILINE)
    return found[-1] if found else ("3x32x32", "10")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", help="a network file, or - for the standard input")
    parser.add_argument("--images", help="channels, height and width, such as 3x32x32")
    parser.add_argument("--classes", type=int)
    options = parser.parse_args()
    try:
        binary = sys.stdin.buffer.read() if options.file == "-" else pathlib.Path(options.file).read_bytes()
        text = binary.decode("utf-8-sig")
        images, classes = asked_for(text)
        shape = re.fullmatch(r"(\d+)x(\d+)x(\d+)", options.images or images)
        if not shape:
            sys.exit(f"pytorch_module.py: --images {options.images}: expected CHANNELSxHEIGHTxWIDTH, such as 3x32x32")
        file = "the standard input" if options.file == "-" else options.file
        print(module_source(text, map(int, shape.groups()), options.classes or int(classes), file), end="")
    except OSError as error:
        sys.exit(f"pytorch_module.py: {options.file}: {error.strerror}, expected a network file")
    except (LookupError, TypeError, ValueError, StopIteration, ArithmeticError, RecursionError) as error:
        sys.exit(f"pytorch_module.py: {options.file}: expected a network that tardigrad models takes ({error!r})")


if __name__ == "__main__":
    main()
