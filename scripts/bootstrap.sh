#!/bin/sh
# Make the virtual environment $1 and install the project into it with everything pinned.
# Needs only a Python from 3.10 to 3.13; where the distribution split venv off, it is installed
# if we are root, and named if we are not.
set -eu
venv=$1

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.10 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "No Python 3.10-3.13 found. Install one, or name it: make PYTHON=/path/to/python3.11" >&2
    exit 1
}

python=$(find_python)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing python$version-venv, which this system keeps apart from Python."
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "python$version-venv" >/dev/null
    else
        echo "Python has no venv module here. Run: sudo apt-get install python$version-venv" >&2
        exit 1
    fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# torch goes first and alone: asked for beside others, pip may take the build with CUDA even
# where a CPU build satisfies the pin.
echo "Installing packages into $venv (about 2 GB; a few minutes the first time)."
pip install --constraint constraints.txt torch
pip install --constraint constraints.txt --editable '.[api,eval,dev]'
