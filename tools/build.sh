#!/usr/bin/env bash
# Configures and builds into a folder: tools/build.sh FOLDER TARGETS [CMake option…], with blanks between several targets.
# Prints what happens only if it fails; CMake's choices are in FOLDER/configure.log.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
read -ra targets <<<"$2"
shift 2
mkdir -p "$folder"
if ! cmake -S . -B "$folder" -G Ninja "$@" >"$folder/configure.log" 2>&1; then
  cat "$folder/configure.log" >&2
  exit 1
fi
grep '^-- tardigrad:' "$folder/configure.log" | sed 's/^-- //' || true
if ! ninja -C "$folder" "${targets[@]}" >"$folder/build.log" 2>&1; then
  grep -vE '^\[[0-9]+/[0-9]+\] ' "$folder/build.log" | head -n 100 >&2
  exit 1
fi
