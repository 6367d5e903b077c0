#!/usr/bin/env python3
"""Includes point one way. A room is a folder of runtime/ or tools/, or another folder as a whole; it may include what stands
behind it here, and no room may, over others, come back to itself. Tests may include anything."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = {"kernels", "runtime/base"}
ALLOWED = {
    "kernels": set(),
    "data": {"kernels"},
    "models": {*BASE, "data", "runtime/device", "runtime/objective"},
    "runtime/base": {"kernels"},
    "runtime/device": BASE,
    "runtime/objective": {*BASE, "runtime/device"},
    "runtime/methods": BASE,
    "runtime/telemetry": {*BASE, "runtime/objective"},
    "runtime/checkpoint": {*BASE, "runtime/device", "runtime/objective", "runtime/telemetry"},
    "runtime/events": {*BASE, "runtime/telemetry"},
    "runtime/server": {*BASE, "runtime/checkpoint", "runtime/device", "runtime/methods"},
    "runtime/verify": {*BASE, "runtime/methods", "runtime/server"},
    "runtime/execution": {*BASE, "runtime/checkpoint", "runtime/device", "runtime/events", "runtime/methods",
                          "runtime/objective", "runtime/server"},
    "runtime/coordinator": {*BASE, "runtime/checkpoint", "runtime/device", "runtime/events", "runtime/execution",
                            "runtime/methods", "runtime/objective", "runtime/server", "runtime/telemetry",
                            "runtime/verify"},
    "tools/fetch": set(),
    "tools/options": {"data", "models", "runtime/base", "runtime/methods", "runtime/telemetry"},
    "tools/report": {"runtime/base", "runtime/telemetry"},
    "tools/tensorboard": {"runtime/base", "runtime/telemetry"},
    "tools/live": {"runtime/base", "runtime/checkpoint", "runtime/telemetry", "tools/report"},
    "tools/train": {*BASE, "data", "models", "runtime/checkpoint", "runtime/coordinator", "runtime/device",
                    "runtime/events", "runtime/execution", "runtime/methods", "runtime/objective",
                    "runtime/telemetry", "tools/live", "tools/options", "tools/tensorboard"},
    "tools/compare": {"data", "runtime/base", "runtime/coordinator", "runtime/device", "runtime/telemetry",
                      "tools/options", "tools/report", "tools/train"},
    "tools/cli": {"runtime/base", "runtime/coordinator", "runtime/device", "tools/compare", "tools/options",
                  "tools/report", "tools/train"},
    "tools/bench": {"data", "kernels", "models", "runtime/base", "runtime/coordinator", "runtime/telemetry", "tools/live",
                    "tools/report"},
}
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"(.*?)"')


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("runtime", "tools") else parts[0]


def wrong_includes():
    for top in ("kernels", "data", "models", "runtime", "tools"):
        for source in sorted((ROOT / top).rglob("*")):
            if source.suffix not in SUFFIXES:
                continue
            name = str(source.relative_to(ROOT))
            room = room_of(name)
            for number, line in enumerate(source.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if found and room_of(found[1]) != room and room_of(found[1]) not in ALLOWED.get(room, set()):
                    yield f'{name}:{number}: "{found[1]}"; {room}/ may include: {" ".join(sorted(ALLOWED.get(room, [])))}'


def circles():
    """Rooms that reach themselves."""
    for room in ALLOWED:
        reached, todo = set(), [room]
        while todo:
            new = ALLOWED.get(todo.pop(), set()) - reached
            reached |= new
            todo += new
        if room in reached:
            yield f"tests/lint/includes.py: {room}/ may include, over others, itself"


def main():
    trouble = [*wrong_includes(), *circles()]
    print("\n".join(trouble), end="\n" if trouble else "")
    sys.exit(1 if trouble else 0)


if __name__ == "__main__":
    main()
