#!/bin/sh
# Installs the real clients and servers that tests drive (GDAL's tools, Chromium, curl, PostgreSQL with PostGIS; MapLibre GL) where apt and npm are there and may be used. Never fails.
missing=""
command -v gdalinfo >/dev/null 2>&1 || missing="$missing gdal-bin"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v pdftotext >/dev/null 2>&1 || missing="$missing poppler-utils"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 || missing="$missing postgresql-postgis"
if [ ! -f var/clients/node_modules/maplibre-gl/dist/maplibre-gl.mjs ] && command -v npm >/dev/null 2>&1; then
    echo "installing MapLibre GL for the tests"
    npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix var/clients maplibre-gl@6.17.0 >/dev/null 2>&1 \
        || echo "could not install MapLibre GL: the tests that drive it will be skipped"
fi
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing$missing for the tests"
    (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing) >/dev/null 2>&1 \
        || echo "could not install$missing: the tests that drive them will be skipped"
else
    echo "not installed:$missing; the tests that drive them will be skipped"
fi
exit 0
