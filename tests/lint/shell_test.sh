#!/usr/bin/env bash
# The scripts give shellcheck nothing to say.
set -euo pipefail
source "$(dirname "$0")/sources.sh"
command -v shellcheck >/dev/null || { echo "skipped: no shellcheck"; exit 77; }
sources sh | xargs shellcheck -x -P SCRIPTDIR
