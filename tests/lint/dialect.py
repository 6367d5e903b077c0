#!/usr/bin/env python3
"""What neither clang-format nor clang-tidy holds of how sources are written: dialect.py [--mend] [FILE...]

- Braces: a statement that fits on the line of its if, for or while stands there without any; others have them, and so has
  a check of GoogleTest behind an if, since there is an if with an else in it.
- Tests: TEST(Suite, WhatIsTrueOfIt), in words that begin with capitals; no suite is called a Test (but a DeathTest, which
  GoogleTest runs first).
- Namespaces: those of the folder, and at most one more within.
- Words: template <typename T>, 1U and 0.5F; neither [[nodiscard]] nor typedef; and what one source has for itself is in an
  unnamed namespace, not static.

--mend puts braces, typename and suffixes right; clang-format -i then lays the lines out. Without files: all sources."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("kernels", "runtime", "models", "data", "tools", "tests")
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
COLUMNS = 110
# The longest folder that a file is in counts.
NAMESPACES = {"": "tardigrad", "data/": "tardigrad::data", "models/": "tardigrad::models",
              "tests/data/": "tardigrad::data", "tests/models/": "tardigrad::models",
              "tests/cuda_emulation/": "tardigrad::emulation"}
WITHIN = {"assets", "bench", "channels_last", "cpu", "cuda", "detail", "fuzz", "onednn", "plain", "testing"}
# Literals, comments and what the preprocessor reads.
NO_CODE = re.compile(r'R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/'
                     r'|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
CONTROL = re.compile(r"\b(?:if(?: constexpr)?|for|while) ?(?=\()|\belse\b(?! if\b)")
TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP)\(\s*(\w+),\s*(\w+)", re.MULTILINE)
CHECK = re.compile(r"(EXPECT|ASSERT)_")
NAMESPACE = re.compile(r"^namespace (tardigrad[\w:]*) \{", re.MULTILINE)
UNWANTED = re.compile(r"\[\[nodiscard\]\]|\btypedef\b|^(?:inline )?static\b", re.MULTILINE)
CLASS_PARAMETER = re.compile(r"(?:(?<=<)|(?<=, ))class\b")
NUMBER = re.compile(r"(?<![\w.])(0x[\da-fA-F']+(?=[ul])|0x[\da-fA-F.']+p[+-]?\d+|[\d.']+(?:e[+-]?\d+)?)(f|u?ll?|u)\b")
CLOSING = {"(": ")", "[": "]", "{": "}"}


def code_of(text):
    """The text with blanks for all that is no code, at the same places."""
    return NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def behind(code, start):
    """Where what the bracket at `start` opens has ended."""
    closing = CLOSING[code[start]]
    place = start + 1
    while code[place] != closing:
        place = behind(code, place) if code[place] in CLOSING else place + 1
    return place + 1


def past_blanks(code, place):
    return place + len(code[place:]) - len(code[place:].lstrip())


def end_of_head(code, control):
    """Behind the condition of an if, for or while, or the word else."""
    return behind(code, control.end()) if code[control.end()] == "(" else control.end()


def end_of_statement(code, start):
    control = CONTROL.match(code, start)
    if control:
        end = end_of_statement(code, past_blanks(code, end_of_head(code, control)))
        following = past_blanks(code, end)
        return end_of_statement(code, following) if re.match(r"else\b", code[following:]) else end
    if code.startswith("else if", start):
        return end_of_statement(code, start + len("else "))
    place = start
    while code[place] not in ";{" or (code[place] == "{" and place != start):
        place = behind(code, place) if code[place] in CLOSING else place + 1
    return behind(code, place) if code[place] == "{" else place + 1


def wrong_braces(text, code):
    """(place, what is wrong, the text mended) of each, the last first."""
    for control in reversed(list(CONTROL.finditer(code))):
        head = end_of_head(code, control)
        start = past_blanks(code, head)
        if code[start] == ";":  # of a do, or does nothing
            continue
        end = end_of_statement(code, start)
        is_else = control[0] == "else" or code[:control.start()].endswith("else ")
        is_branch = is_else or re.match(r"\s*else\b", code[end:])
        if control[0].startswith("if"):
            is_branch = is_branch or CHECK.match(code, past_blanks(code, start + (code[start] == "{")))
        if code[start] != "{":
            if is_branch or "\n" in text[head:end]:
                line = text.index("\n", end)
                yield control.start(), "needs braces", text[:head] + " {" + text[head:line] + "\n}" + text[line:]
            continue
        body = text[start + 1:end - 1].strip()
        first = text[text.rfind("\n", 0, control.start()) + 1:head]
        if is_branch or "\n" in first + body or not is_plain(code[start + 1:end - 1].strip(), body):
            continue
        if len(first) + 1 + len(body) <= COLUMNS:
            yield control.start(), "fits on one line without braces", text[:head] + " " + body + text[end:]


def is_plain(code, text):
    """True of one statement, without a comment, that clang-format lets follow another on its line."""
    return (code == text or "//" not in text) and code.endswith(";") and not CONTROL.match(code) \
        and not re.match(r"(do|switch|case|default|const)\b", code) and end_of_statement(code, 0) == len(code)


def wrong_words(code):
    """(place, word, the right one) of each, the last first."""
    found = [(found.start(), found[0], "typename") for found in CLASS_PARAMETER.finditer(code)]
    found += [(number.start(), number[0], number[1] + number[2].upper()) for number in NUMBER.finditer(code)]
    return sorted(found, reverse=True)


def mended(text):
    for place, word, right in wrong_words(code_of(text)):
        text = text[:place] + right + text[place + len(word):]
    while True:
        wrong = next(wrong_braces(text, code_of(text)), None)
        if not wrong:
            return text
        text = wrong[2]


def line_of(text, place):
    return text.count("\n", 0, place) + 1


def namespace_of(name):
    return NAMESPACES[max((folder for folder in NAMESPACES if name.startswith(folder)), key=len)]


def findings(name, text):
    """(place, what is wrong) of each."""
    code = code_of(text)
    for place, what, _ in wrong_braces(text, code):
        yield place, what
    for place, word, right in wrong_words(code):
        yield place, f"{word} is written as {right}"
    for found in TEST.finditer(code):
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", found[1]) or re.search(r"(?<!Death)Test$", found[1]):
            yield found.start(), f"{found[1]} is no name of a suite"
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", found[2]):
            yield found.start(), f"{found[2]} is not written as other names of tests are"
    own = namespace_of(name)
    for found in NAMESPACE.finditer(code):
        more = found[1].removeprefix(own)
        if not found[1].startswith(own) or more and more.removeprefix("::") not in WITHIN:
            yield found.start(), f"{found[1]} is no namespace of this folder, whose own is {own}"
    for found in UNWANTED.finditer(code):
        yield found.start(), f"{found[0]} is not used here"


def main():
    mend = "--mend" in sys.argv[1:]
    files = [pathlib.Path(name).resolve() for name in sys.argv[1:] if name != "--mend"]
    files = files or [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    wrong = False
    for path in (path for path in files if path.suffix in SUFFIXES):
        text = path.read_text()
        if mend:
            if mended(text) != text:
                path.write_text(mended(text))
            continue
        name = str(path.relative_to(ROOT))
        for place, what in sorted(findings(name, text)):
            wrong = True
            print(f"{name}:{line_of(text, place)}: {what}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
