#!/usr/bin/env bash
# Which commit the sources of a build are said to be of (tools/cmake/commit.cmake): that of their work tree, whether it was
# changed, that of an archive which git made of it, or none. Exit code 77: no git.
set -euo pipefail
command -v git >/dev/null || { echo "skipped: no git"; exit 77; }
cmake_files=$(cd "$(dirname "$0")/../../../tools/cmake" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# said FOLDER GIT: the two constants of the header that is made of the sources there.
said() {
  cmake -DSOURCE="$1" -DHEADER="$work/commit.h" -DGIT="$2" -P "$1/tools/cmake/commit.cmake"
  sed -nE 's/.*(built_commit|changed_sources) = ([^;]*);.*/\2/p' "$work/commit.h" | tr -d '"' | xargs
}
expect() {  # WHAT EXPECTED GOT
  [ "$2" = "$3" ] || { echo "$1: expected '$2', got '$3'" >&2; exit 1; }
}

mkdir -p "$work/tree/tools"
cp -r "$cmake_files" "$work/tree/tools/cmake"
echo 'tools/cmake/archived_commit.txt export-subst' >"$work/tree/.gitattributes"
in_tree() { git -C "$work/tree" -c user.name=a -c user.email=a@example.org "$@"; }
in_tree init -q
in_tree add .
in_tree commit -q -m first
commit=$(in_tree rev-parse HEAD)

expect "a work tree" "$commit false" "$(said "$work/tree" git)"
expect "a work tree without git" "false" "$(said "$work/tree" "")"
mkdir "$work/archive"
in_tree archive HEAD | tar -x -C "$work/archive"
expect "an archive" "$commit false" "$(said "$work/archive" git)"
expect "an archive without git" "$commit false" "$(said "$work/archive" "")"
echo '# changed' >>"$work/tree/tools/cmake/commit.cmake"
expect "a changed work tree" "$commit true" "$(said "$work/tree" git)"
mkdir "$work/tree/copy"
cp -r "$work/tree/tools" "$work/tree/copy"
expect "a copy within another work tree" "false" "$(said "$work/tree/copy" git)"
