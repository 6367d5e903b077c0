#!/usr/bin/env bash
# clang-tidy finds nothing by .clang-tidy in the program's own sources. $1: the build folder (compile_commands.json).
set -euo pipefail
source "$(dirname "$0")/sources.sh"
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || { echo "skipped: no clang-tidy"; exit 77; }
build=$1
# Only what this build compiles: without CUDA, say, some sources are left out.
sources cpp | grep -v '^tests/' | while read -r file; do
  if grep -q "\"file\": .*/$file\"" "$build/compile_commands.json"; then echo "$file"; fi
done | xargs -P "$(nproc)" -n 4 "$tidy" -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null
