#!/usr/bin/env bash
# Prints the project's own files that end in one of the given suffixes, one a line, relative to the root of the
# repository, which becomes the current folder of whoever sources this: sources cpp h cu cuh
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
sources() {
  local suffix
  for suffix in "$@"; do
    find kernels runtime models data tests tools -name "*.$suffix"
  done | sort
}
