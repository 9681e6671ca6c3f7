#!/bin/sh
# Puts the files of `erip.ops.deploy` in place on one machine, each readable by the user of its process alone; as root:
#   sh deploy/install-host.sh RENDERED NODE...     e.g. rendered redis-1 sentinel-1 etcd-1 postgres-1 web-1
# It can be repeated, after certificates were renewed for example. It starts nothing: docs/how-to/three-hosts.md.
set -eu
[ "$#" -ge 2 ] || { sed -n '3p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
rendered=$1
shift
for node; do
  [ -d "$rendered/$node" ] || { echo "install-host: there is no $rendered/$node" >&2; exit 2; }
done
etc=/etc/erip

place() { # OWNER MODE FILE PATH: in one step, so that nobody reads half of a file
  install -d "$(dirname "$4")"
  install -o "$1" -g "$1" -m "$2" "$3" "$4.new"
  mv "$4.new" "$4"
}
once() { # what its server, or whoever replaces a member of etcd, rewrites stays as it is
  [ -e "$4" ] || place "$@"
}
keys() { # OWNER FOLDER: certificates with their keys, and the authorities
  [ -d "$2" ] || return 0
  (cd "$2" && find . -type f -name '*.pem') | while read -r file; do place "$1" 0400 "$2/$file" "$etc/tls/$file"; done
  (cd "$2" && find . -type f -name 'ca.crt') | while read -r file; do place root 0444 "$2/$file" "$etc/tls/$file"; done
}

install -d -m 0755 "$etc" "$etc/tls"
install -d -m 0700 "$etc/secrets"
cp -r "$here/systemd/." "$here/systemd-site/." /etc/systemd/system/
platform=
user() { # the platform's
  getent passwd erip >/dev/null || useradd --system --user-group --home-dir /var/lib/erip erip
}
for node; do
  from="$rendered/$node"
  if [ -e "$from/etcd.yml" ]; then
    once etcd 0400 "$from/etcd.yml" "$etc/etcd.yml"
    place etcd 0400 "$from/door.cfg" "$etc/door.cfg"
    place etcd 0400 "$from/keeper.toml" "$etc/keeper.toml"
    keys etcd "$from/tls"
  fi
  if [ -e "$from/patroni.yml" ]; then
    place postgres 0400 "$from/patroni.yml" /etc/patroni/patroni.yml
    install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/15
    keys postgres "$from/tls"
  fi
  for kind in redis sentinel; do
    [ -e "$from/$kind.conf" ] || continue
    install -d -o redis -g redis -m 0700 "$etc/redis" /var/lib/redis /var/lib/redis/sentinel
    once redis 0600 "$from/$kind.conf" "$etc/redis/$kind.conf"
    keys redis "$from/tls"
  done
  if [ -e "$from/haproxy.cfg" ]; then
    place haproxy 0400 "$from/haproxy.cfg" /etc/haproxy/erip.cfg
    keys haproxy "$from/tls"
  fi
  if [ -e "$from/flower-tls.env" ]; then
    user
    place root 0644 "$from/flower-tls.env" "$etc/flower-tls.env"
    keys erip "$from/tls"
  fi
  [ ! -e "$from/tls.env" ] || platform=$node
done
if [ -n "$platform" ]; then
  user
  place root 0644 "$rendered/$platform/tls.env" "$etc/tls.env"
  keys erip "$rendered/$platform/tls"
  keys erip "$rendered/platform/tls"
  keys erip "$rendered/leaders/tls"
  shows=/etc/systemd/system/erip-web.service.d/flower.conf
  if grep -q '^ERIP_FLOWER_URL=' "$rendered/$platform/tls.env"; then
    place root 0644 "$here/systemd-flower/erip-web.conf" "$shows"
  else
    rm -f "$shows"
  fi
fi
echo "install-host: in place:" "$@"
