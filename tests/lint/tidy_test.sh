#!/usr/bin/env bash
# clang-tidy finds nothing by .clang-tidy in the program's own sources. $1: the build folder (compile_commands.json).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || { echo "skipped: no clang-tidy"; exit 77; }
exec python3 "$here/tidy.py" "$tidy" "$1"
