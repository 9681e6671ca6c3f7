#!/bin/sh
# manage.py with the settings and secrets of this machine's units, as root:  sh /opt/erip/deploy/manage.sh settings check
set -eu
cd "$(dirname "$0")/.."
export DJANGO_SETTINGS_MODULE=erip.settings.production ERIP_STATE_DIR=/var/lib/erip
secrets=/etc/erip/secrets
for name in DATABASE_URL ERIP_SECRET_KEY ERIP_SENTINEL_PASSWORD ERIP_FLOWER_LOGIN; do
  [ ! -e "$secrets/$name" ] || export "${name}_FILE=$secrets/$name"
done
# It changes what migrations declared, as the owner of the tables; no other command here has that login.
if [ "${1:-}" = backfill ] && [ -e "$secrets/DATABASE_OWNER_URL" ]; then
  export DATABASE_OWNER_URL_FILE=$secrets/DATABASE_OWNER_URL
fi
export ERIP_BROKER_URL_FILE=$secrets/broker-leader
# As systemd reads them: each line is NAME=VALUE, perhaps in quotes, and nothing in it is carried out.
for file in /etc/erip/tls.env /etc/erip/settings.env; do
  [ -e "$file" ] || continue
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      [A-Z]*=*) ;;
      *) continue ;;
    esac
    value=${line#*=}
    case $value in
      \"*\") value=${value#\"} value=${value%\"} ;;
      \'*\') value=${value#\'} value=${value%\'} ;;
    esac
    export "${line%%=*}=$value"
  done < "$file"
done
exec .venv/bin/python -W ignore manage.py "$@"
