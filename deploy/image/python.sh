#!/bin/sh
# Makes the virtual environment of the image, below a folder:  sh python.sh FOLDER
# Each file that is fetched has a hash in requirements.txt, or in builders.txt for what builds packages without a wheel.
set -eu
root=$1
home=/opt/erip/.venv
umask 022
[ ! -s /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca
[ ! -s /run/secrets/pip ] || export PIP_CONFIG_FILE=/run/secrets/pip
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1 PYTHONHASHSEED=0
# Compilers tell where and when they ran, unless they are kept from it.
export CFLAGS="-g0 -ffile-prefix-map=/=." LDFLAGS="-s -Wl,--build-id=none"

python3.11 -I pins.py requirements.in requirements.txt > runtime.txt
python3.11 -m venv tools
tools/bin/pip install -q --require-hashes -r builders.txt
tools/bin/pip wheel -q --require-hashes --no-deps --no-build-isolation -r runtime.txt -w wheels
sed -n 's/^\([A-Za-z0-9][^\\]*==[^\\]*\).*/\1/p' runtime.txt > names.txt
python3.11 -m venv --without-pip "$home"
tools/bin/pip --python "$home/bin/python" install -q --no-index --find-links wheels --no-deps --no-compile -r names.txt

# For shells, of which there is none.
rm -f "$home"/bin/activate* "$home"/bin/Activate*
# Tests of packages, of which some hold keys.
find "$home" -depth -type d \( -name tests -o -path '*/tornado/test' -o -path '*/Crypto/SelfTest' \) -exec rm -rf {} +
find "$home" -type d -name __pycache__ -prune -exec rm -rf {} +
# Not all files of all packages are for this Python.
python3.11 -m compileall -q -j 1 --invalidation-mode unchecked-hash "$home/lib" > /dev/null || true
mkdir -p "$root/opt/erip"
mv "$home" "$root$home"
chmod -R u=rwX,go=rX "$root"
chown -R 0:0 "$root"
