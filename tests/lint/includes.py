#!/usr/bin/env python3
"""Includes point one way. A room is a folder of runtime/ or tools/, or another folder as a whole; it may include those whose
libraries its own library names in a CMakeLists.txt, and no room may, over others, come back to itself. Tests may include
anything."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The rooms of libraries that neither room() nor tools_room() makes.
LIBRARIES = {"tardigrad_kernels": "kernels", "tardigrad_data": "data", "tardigrad_models": "models",
             "tardigrad_command_line": "tools/cli", "tardigrad_program": "tools/cli", "tardigrad_report": "tools/report", "tardigrad_live": "tools/live",
             "tardigrad_tensorboard": "tools/tensorboard"}
TOPS = ("kernels", "data", "models", "runtime", "tools")
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"(.*?)"')
LINKS = re.compile(r"^\s*(room|tools_room|target_link_libraries)\(([^)]*)\)", re.MULTILINE)


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("runtime", "tools") else parts[0]


def allowed_rooms():
    """{room: what it may include}."""
    commands = [(path.parent.relative_to(ROOT).as_posix(), kind, words.split())
                for top in TOPS for path in (ROOT / top).rglob("CMakeLists.txt")
                for kind, words in LINKS.findall(path.read_text())]
    libraries = dict(LIBRARIES)
    for _, kind, words in commands:
        if kind == "room":
            libraries["tardigrad_" + words[0]] = "runtime/" + words[0]
        elif kind == "tools_room":
            libraries["tardigrad_" + words[0]] = "tools/" + words[2]
    allowed = {}
    for folder, kind, words in commands:
        target = words[0] if kind == "target_link_libraries" else "tardigrad_" + words[0]
        room = libraries.get(target, folder)
        allowed.setdefault(room, set()).update({libraries[word] for word in words[1:] if word in libraries} - {room})
    return allowed


def wrong_includes(allowed):
    for top in TOPS:
        for source in sorted((ROOT / top).rglob("*")):
            if source.suffix not in SUFFIXES:
                continue
            name = str(source.relative_to(ROOT))
            room = room_of(name)
            for number, line in enumerate(source.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if found and room_of(found[1]) != room and room_of(found[1]) not in allowed.get(room, set()):
                    yield f'{name}:{number}: "{found[1]}"; {room}/ may include: {" ".join(sorted(allowed.get(room, [])))}'


def circles(allowed):
    """Rooms that reach themselves."""
    for room in allowed:
        reached, todo = set(), [room]
        while todo:
            new = allowed.get(todo.pop(), set()) - reached
            reached |= new
            todo += new
        if room in reached:
            yield f"{room}/ may include, over others, itself"


def main():
    allowed = allowed_rooms()
    trouble = [*wrong_includes(allowed), *circles(allowed)]
    print("\n".join(trouble), end="\n" if trouble else "")
    sys.exit(1 if trouble else 0)


if __name__ == "__main__":
    main()
