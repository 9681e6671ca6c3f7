#!/bin/sh
# Installs the servers that `make up HA=1` needs and that no wheel carries, on Debian or Ubuntu, as root. The packages
# would start services of their own: they are kept from it. What was installed before is left as it is.
set -eu
# pgbouncer is for the tests
packages="haproxy etcd-server redis-server redis-sentinel pgbouncer"
# for tests alone, which are skipped without them: with TOOLS=1
extra=${TOOLS:+prometheus prometheus-alertmanager pgbackrest iproute2 nftables}

lacking() { # PACKAGES: those that are not installed
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf ' %s' "$package"
  done
}
missing=$(lacking $packages)
wanted=$(lacking $extra)
if [ -z "$missing$wanted" ]; then
  echo "ha-deps: all there:" $packages $extra
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  if [ -z "$missing" ]; then
    echo "ha-deps: all there:" $packages
    exit 0
  fi
  echo "ha-deps: only root can install$missing: sudo make ha-deps" >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "ha-deps: no apt-get here: install HAProxy 2.4 or newer and etcd 3.4 or newer by other means" >&2
  exit 1
fi

echo "ha-deps: installing$missing$wanted; no service of them is started"
policy=/usr/sbin/policy-rc.d
mine=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  mine=1
fi
trap '[ -z "$mine" ] || rm -f "$policy"' EXIT
export DEBIAN_FRONTEND=noninteractive
install() { # PACKAGES
  apt-get install -y -q --no-install-recommends "$@" ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; }
}
[ -z "$missing" ] || install $missing
[ -z "$wanted" ] || install $wanted || echo "ha-deps: not to be had here:$wanted; the tests that use them are skipped" >&2
if command -v systemctl >/dev/null; then
  for package in $missing $wanted; do
    systemctl disable --quiet "${package%-server}" "$package" 2>/dev/null || true
  done
fi
echo "ha-deps: done"
