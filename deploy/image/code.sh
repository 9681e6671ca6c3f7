#!/bin/sh
# Compiles the code below a folder, and makes it everybody's to read and nobody's to change:  sh code.sh FOLDER
set -eu
cd "$1"
find . -type d -name __pycache__ -prune -exec rm -rf {} +
PYTHONHASHSEED=0 python3.11 -m compileall -q -j 1 --invalidation-mode unchecked-hash -p / opt/erip
chmod -R u=rwX,go=rX .
chown -R 0:0 .
