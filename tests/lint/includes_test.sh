#!/usr/bin/env bash
# Includes point one way, that in which the libraries link (includes.py).
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
exec python3 "$(dirname "$0")/includes.py"
