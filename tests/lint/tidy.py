#!/usr/bin/env python3
"""Runs clang-tidy on what a build compiles of the program's own sources: tidy.py CLANG_TIDY BUILD_FOLDER [COMMIT]

With a commit, on what has changed since: those sources, and for a header that has, one that includes it.

Nearly all of its time goes into headers, so sources are read several at a time, as one file that includes them, and that
of all targets. Where that finds something, or cannot be compiled since two sources use a name each for themselves, its
halves are read, down to one source, and only what is found in one alone counts. Some checks look at the main file alone:
sources with declarations that these are about are read alone by those checks, too.
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("kernels", "runtime", "models", "data", "tools")
AT_ONCE = 40
TAKE_ARGUMENT = ("-isystem", "-include")
OF_TARGET = ("-D", "-I", "-isystem")
OF_CODE = ("-fsanitize", "-fno-sanitize", "--param")  # what is made of sources; some of it clang does not know
OF_MAIN_FILE = "-*,misc-unused-using-decls,misc-unused-alias-decls"
INCLUDES = re.compile(r'^#include "(.*)"', re.MULTILINE)
DECLARES = re.compile(r"^(using\s+(?!namespace\b)[\w:]+::\w+\s*;|namespace\s+\w+\s*=)", re.MULTILINE)


def own_sources(build):
    """(source, directory, command without source and object) of each, also of those that CMake has compiled together."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        sources = [pathlib.Path(entry["file"]).resolve()]
        if sources[0].name.startswith("unity_"):
            sources = [pathlib.Path(source) for source in INCLUDES.findall(sources[0].read_text())]
        words = shlex.split(entry["command"])
        output = words.index("-o")
        for source in sources:
            if source.suffix == ".cpp" and source.is_relative_to(ROOT) and source.relative_to(ROOT).parts[0] in FOLDERS:
                yield source, entry["directory"], words[:output]


def changed_since(commit, sources):
    """Those of the sources that show all that has changed since the commit."""
    names = subprocess.run(["git", "diff", "--name-only", commit], cwd=ROOT, capture_output=True, text=True, check=True)
    changed = {ROOT / name for name in names.stdout.splitlines()}
    if any(path.name == ".clang-tidy" or path == pathlib.Path(__file__).resolve() for path in changed):
        return set(sources)
    chosen = changed & set(sources)
    texts = {source: source.read_text() for source in sources}
    for header in (path for path in changed if path.suffix == ".h" and path.exists()):
        include = f'#include "{header.relative_to(ROOT)}"'
        users = [source for source in sources if include in texts[source]]
        if users and not chosen.intersection(users):
            chosen.add(next((user for user in users if user.stem == header.stem), users[0]))
    return chosen


def for_reading(command):
    """What of a command matters for reading sources, in pieces of a word or of an option and its argument."""
    words = iter(command)
    for word in words:
        if word in TAKE_ARGUMENT:
            yield word, next(words)
        elif not word.startswith(OF_CODE):
            yield (word,)


def batches(build, commit):
    """[(directory, command, sources)]: sources of all targets whose commands agree but for paths and definitions, which
    a batch has of all of them."""
    commands = {}
    own = list(own_sources(build))
    chosen = {source for source, *_ in own}
    if not chosen:
        sys.exit(f"{build}/compile_commands.json names none of the program's sources")
    if commit:
        chosen = changed_since(commit, chosen)
    for source, directory, command in own:
        if source not in chosen:
            continue
        pieces = list(for_reading(command))
        shared = tuple(piece for piece in pieces if not piece[0].startswith(OF_TARGET))
        union, sources = commands.setdefault((directory, shared), ({}, []))
        union.update(dict.fromkeys(pieces))
        sources.append(source)
    for (directory, _), (pieces, sources) in commands.items():
        for part in range(0, len(sources), AT_ONCE):
            yield directory, [word for piece in pieces for word in piece], sources[part:part + AT_ONCE]


def run(tidy, database, source, *options):
    """What clang-tidy says, or nothing where it has found nothing."""
    command = [tidy, "-p", database, "--quiet", "--extra-arg=-Wno-unknown-warning-option", *options, source]
    result = subprocess.run([str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False)
    return "" if result.returncode == 0 else result.stdout or f"exit code {result.returncode}: {source}\n"


def check(tidy, database, directory, command, sources):
    """What is found in sources of one command."""
    database.mkdir()
    together = database / "sources.cpp"
    (database / "compile_commands.json").write_text(json.dumps(
        [{"directory": directory, "file": str(file), "arguments": [*command, "-c", str(file)]}
         for file in [together, *sources]]))
    if len(sources) == 1:
        return run(tidy, database, sources[0])
    together.write_text("".join(f'#include "{source}"  // NOLINT(bugprone-suspicious-include)\n' for source in sources))
    # There a source may well use another's names.
    if run(tidy, database, together, f"--config-file={ROOT / '.clang-tidy'}", "--extra-arg=-Wno-shadow"):
        half = len(sources) // 2
        return "".join(check(tidy, database / part, directory, command, some)
                       for part, some in (("first", sources[:half]), ("second", sources[half:])))
    return "".join(run(tidy, database, source, f"--checks={OF_MAIN_FILE}", f"--warnings-as-errors={OF_MAIN_FILE}")
                   for source in sources if DECLARES.search(source.read_text()))


def main():
    tidy, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    todo = list(batches(build, sys.argv[3] if len(sys.argv) > 3 else None))
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda part, batch: check(tidy, pathlib.Path(folder) / str(part), *batch), itertools.count(), todo)
        text = "".join(found)
    print(text, end="")
    sys.exit(1 if text else 0)


if __name__ == "__main__":
    main()
