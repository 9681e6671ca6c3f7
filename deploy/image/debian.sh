#!/bin/sh
# Lays the packages of debian.txt into a folder, without their scripts:  sh debian.sh FOLDER
# For each there is what dpkg knows of it in var/lib/dpkg/status.d, where scanners look when an image has no dpkg.
set -eu
root=$1
here=$(cd "$(dirname "$0")" && pwd)
status=$root/var/lib/dpkg/status.d
umask 022
mkdir -p "$root" /build/debs
cd /build/debs
apt-get download -q $(grep -v '^#' "$here/debian.txt")
for deb in *.deb; do dpkg-deb -x "$deb" "$root"; done
mkdir -p "$status"
for deb in *.deb; do
  name=$(dpkg-deb -f "$deb" Package)
  dpkg-deb -f "$deb" > "$status/$name"
  # What a package calls its configuration is not among its sums.
  { dpkg-deb -I "$deb" md5sums
    dpkg-deb -I "$deb" conffiles 2>/dev/null | sed 's,^/,,' | (cd "$root" && xargs -r md5sum); } > "$status/$name.md5sums"
done
cd "$root"

# What their scripts would have made.
mkdir -p etc/ssl/certs
find usr/share/ca-certificates -name '*.crt' | LC_ALL=C sort | while IFS= read -r one; do cat "$one"; echo; done > etc/ssl/certs/ca-certificates.crt
rm -rf usr/share/ca-certificates
printf '%s\n' 'root:x:0:0:root:/:/usr/sbin/nologin' 'erip:x:10001:10001:ERIP:/run/erip:/usr/sbin/nologin' > etc/passwd
printf '%s\n' 'root:x:0:' 'erip:x:10001:' > etc/group
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' > etc/nsswitch.conf
echo UTC > etc/timezone
ln -sf /usr/share/zoneinfo/Etc/UTC etc/localtime

# Python is the only program.
find bin sbin usr/bin usr/sbin usr/libexec ! -type d ! -name python3.11 -delete 2>/dev/null || true
# Modules whose libraries are left out (a terminal's, NIS, Berkeley DB, SQLite), and those for tests of Python itself.
find usr/lib/python3.11/lib-dynload \( -name '_curses*' -o -name 'readline.*' -o -name 'nis.*' -o -name '_dbm.*' \
  -o -name '_sqlite3.*' -o -name '_test*' -o -name '_xxtest*' -o -name 'xxlimited*' \) -delete
rm -rf usr/lib/python3.11/sitecustomize.py usr/lib/python3.11/sqlite3 usr/lib/python3.11/curses usr/lib/python3.11/pydoc_data
# What only people read, but for the licences.
find usr/share/doc -type f ! -name copyright -delete
rm -rf usr/share/man usr/share/info usr/share/lintian usr/share/bug usr/share/gcc usr/share/gdb \
  usr/share/pixmaps usr/share/applications usr/share/base-files etc/default etc/profile.d etc/skel etc/update-motd.d \
  etc/issue etc/issue.net etc/ca-certificates etc/python3.11
rm -rf boot home media mnt opt root srv var/backups var/local var/mail var/opt var/spool var/cache var/tmp var/lock var/run
find . -depth -type d -empty ! -path ./tmp ! -path ./proc ! -path ./sys ! -path ./dev ! -path ./run -delete
mkdir -p dev proc sys run/erip tmp
# Kubernetes gives a pod its token below /var/run.
ln -s /run var/run

PYTHONHASHSEED=0 python3.11 -m compileall -q -j 1 --invalidation-mode unchecked-hash -p / usr/lib/python3.11
chmod -R u=rwX,go=rX .
chmod 1777 tmp
chmod 0700 run/erip
chown -R 0:0 .
chown 10001:10001 run/erip
