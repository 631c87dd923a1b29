#!/bin/sh
# Installs the real clients and servers that tests drive (GDAL's tools, Chromium, curl, PostgreSQL) where apt is there and may be used. Never fails.
missing=""
command -v gdalinfo >/dev/null 2>&1 || missing="$missing gdal-bin"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v pdftotext >/dev/null 2>&1 || missing="$missing poppler-utils"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing$missing for the tests"
    (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing) >/dev/null 2>&1 \
        || echo "could not install$missing: the tests that drive them will be skipped"
else
    echo "not installed:$missing; the tests that drive them will be skipped"
fi
exit 0
