#!/usr/bin/env python3
"""Makes manual pages of what the program says of itself: man_pages.py PROGRAM VERSION FOLDER.

Written are tardigrad.1 and tardigrad-COMMAND.1 for each command, from `tardigrad help COMMAND`.
"""

import os
import pathlib
import re
import subprocess
import sys


def help_of(program, *words):
    text = subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True,
                          env={**os.environ, "COLUMNS": "200"}).stdout
    return re.sub(r"\n {20,}(?=\S)", "  ", text)  # what an option does, on the option's line


def escaped(text):
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\&\1", text)


def name_line(command, text):
    title = text.split("\n\n")[0].strip().splitlines()[0]
    return f"{command} \\- {escaped(title.removeprefix(command + ': ').rstrip('.'))}"


def body(text):
    """Headings become sections, flags and commands tagged paragraphs, lines that are indented otherwise examples."""
    lines = [".SH DESCRIPTION"]
    example = False
    for line in text.splitlines():
        tagged = re.match(r"  (-\S.*?|\w[\w-]*)(?: {2,}(.*))?$", line)
        is_example = bool(re.match(r"  +\S", line)) and not (tagged and (line.lstrip().startswith("-") or tagged[2]))
        if is_example != example:
            lines.append(".nf" if is_example else ".fi")
            example = is_example
        if is_example:
            lines.append(escaped(line))
        elif re.match(r"Usage: ", line):
            continue
        elif re.match(r"\S[^.]*:$", line):
            lines.append(f".SH {escaped(line[:-1].upper())}")
        elif re.match(r"Example: ", line):
            lines += [".SH EXAMPLE", escaped(line.removeprefix("Example: ").capitalize()) + ":"]
        elif tagged:
            lines += [".TP", f".B {escaped(tagged[1])}", escaped(re.sub(" +", " ", tagged[2] or ""))]
        elif not line.strip():
            lines.append(".PP")
        else:
            lines.append(escaped(line))
    return "\n".join(lines + ([".fi"] if example else []))


def page(command, version, text):
    usage = next(line for line in text.splitlines() if line.startswith("Usage: ")).removeprefix("Usage: ")
    return (f".TH {command.upper()} 1 \"\" \"tardigrad {version}\" \"User Commands\"\n.SH NAME\n{name_line(command, text)}\n"
            f".SH SYNOPSIS\n.B {escaped(usage)}\n{body(text)}\n")


def main():
    program, version, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    text = help_of(program)
    (folder / "tardigrad.1").write_text(page("tardigrad", version, text))
    commands = re.findall(r"^  ([a-z]+)  ", text[text.index("Subcommands:"):], re.MULTILINE)
    for command in commands:
        name = f"tardigrad-{command}"
        (folder / f"{name}.1").write_text(page(name, version, help_of(program, command)))


if __name__ == "__main__":
    main()
