#!/bin/sh
# Install the workflow and its software, in the versions of the lock, into a folder: what both container recipes do.
#   containers/install.sh /opt/correlatives
# Needs Python 3.11, make, and a network, or the folder wheels/ beside the workflow (make wheels).
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
target=${1:?Say where: containers/install.sh /opt/correlatives}

if [ -e "$target" ] && [ -n "$(ls -A "$target")" ]; then
    echo "$target is not empty" >&2
    exit 1
fi
mkdir -p "$target"
for part in Snakefile workflow config scripts envs profiles Makefile requirements.lock pyproject.toml \
    README.md LICENSE CITATION.cff wheels; do
    if [ -e "$source/$part" ]; then
        cp -R "$source/$part" "$target/"
    elif [ "$part" != wheels ]; then
        echo "$source/$part is missing" >&2
        exit 1
    fi
done
make -C "$target" setup
rm -rf "$target/wheels"
# Nobody may be able to write here later: what Python would cache is cached now.
"$target/.venv/bin/python" -m compileall -q "$target/scripts"
"$target/.venv/bin/snakemake" --version
