#!/usr/bin/env python3
"""Executes the notebooks of tools/python/examples. Exit code 77: no nbclient, or no kernel or matplotlib for it."""

import pathlib
import sys

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "tools" / "python" / "examples"

try:
    import ipykernel  # noqa: F401
    import matplotlib  # noqa: F401
    import nbclient
    import nbformat
except ImportError as error:
    print(error)
    sys.exit(77)

for path in sorted(EXAMPLES.glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    if not {"image/png", "text/plain"} <= kinds:
        sys.exit(f"{path.name}: no picture, or nothing shown, expected both: {kinds}")
    print(f"{path.name}: executed")
