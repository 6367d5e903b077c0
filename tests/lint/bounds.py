#!/usr/bin/env python3
"""What grows beyond these bounds is to be divided: 400 lines a file, 25 sources a folder, 20 private functions a class."""

import collections
import pathlib
import re
import sys

sys.dont_write_bytecode = True
import dialect  # noqa: E402

MOST_LINES, MOST_SOURCES, MOST_PRIVATE = 400, 25, 20
SOURCES = {".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".js", ".css", ".html", ".cmake"}
# What is many by its nature: a few files a kernel, a file a part of CUDA.
LARGE_FOLDERS = {"kernels", "tests/kernels", "tests/cuda_emulation"}
CLASS = re.compile(r"^ *(class|struct) (\w+)(?:<[^;{]*>)?(?: final)?\s*(?::[^;{]*)?\{", re.MULTILINE)
ACCESS = re.compile(r"\s*(public|protected|private):")


def members(code, start):
    """Text of each declaration in the class whose bracket is at `start`."""
    end = dialect.behind(code, start) - 1
    place = start + 1
    while place < end:
        access = ACCESS.match(code, place)
        if access:
            yield access[0].strip()
            place = access.end()
            continue
        begin = place
        while place < end and code[place] not in ";{":
            place = dialect.behind(code, place) if code[place] in "([" else place + 1
        is_body = place < end and code[place] == "{"
        yield code[begin:place].strip()
        place = dialect.behind(code, place) if is_body else place + 1


def is_function(declaration):
    """Not a member whose type or first value has parentheses, nor the rest of a constructor's list of members."""
    while "<" in declaration and (shorter := re.sub(r"<[^<>]*>", "", declaration)) != declaration:
        declaration = shorter
    return "(" in declaration.partition(" = ")[0] and not re.match(r"(using|friend|static_assert)\b|,", declaration)


def private_functions(text):
    """(place, class, how many private functions it declares)"""
    code = dialect.code_of(text)
    for found in CLASS.finditer(code):
        access, count = "private" if found[1] == "class" else "public", 0
        for member in members(code, found.end() - 1):
            label = ACCESS.match(member)
            access = label[1] if label else access
            count += access == "private" and is_function(member)
        yield found.start(), found[2], count


def findings(texts):
    """Of {name: text}."""
    folders = collections.Counter(str(pathlib.PurePath(name).parent) for name in texts)
    for folder, count in folders.items():
        if count > MOST_SOURCES and folder not in LARGE_FOLDERS:
            yield f"{folder}/ has {count} sources, over {MOST_SOURCES}"
    for name, text in texts.items():
        lines = text.count("\n")
        if lines > MOST_LINES:
            yield f"{name} has {lines} lines, over {MOST_LINES}"
        if pathlib.PurePath(name).suffix in dialect.SUFFIXES:
            for place, class_name, count in private_functions(text):
                if count > MOST_PRIVATE:
                    yield f"{name}:{dialect.line_of(text, place)}: {class_name} has {count} private functions, over {MOST_PRIVATE}"


def main():
    texts = {str(path.relative_to(dialect.ROOT)): path.read_text()
             for folder in dialect.FOLDERS for path in sorted((dialect.ROOT / folder).rglob("*"))
             if path.suffix in SOURCES or path.name == "CMakeLists.txt"}
    found = list(findings(texts))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
