#!/usr/bin/env bash
# clang-tidy finds nothing by .clang-tidy in the program's own sources: with LINT_ALL=1 in all of them, else in what has
# changed since they left the branch main, on main in the last 8 commits, more than are landed at once. $1: the build
# folder (compile_commands.json).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || { echo "skipped: no clang-tidy"; exit 77; }

# Prints the commit; nothing where there is none to compare with.
base() {
  local commit
  cd "$here"
  commit=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null) || return 0
  if [ "$commit" = "$(git rev-parse HEAD)" ]; then commit=$(git rev-list --first-parent --max-count=9 HEAD | tail -n 1); fi
  echo "$commit"
}

since=()
if [ -z "${LINT_ALL:-}" ]; then mapfile -t since < <(base); fi
exec python3 "$here/tidy.py" "$tidy" "$1" "${since[@]}"
