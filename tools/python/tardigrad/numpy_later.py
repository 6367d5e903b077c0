"""NumPy, loaded when it is first used: it takes longer to load than all else here."""

import importlib.util
import sys


def load_later(name: str):
    """A module that is imported at the first look at one of its attributes."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    loader = spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


np = load_later("numpy")
