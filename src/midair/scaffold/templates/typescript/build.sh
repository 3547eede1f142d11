#!/bin/sh
set -e
# Installed when package.json has changed since, and at the first time.
[ node_modules -nt package.json ] || { npm install --no-audit --no-fund && touch node_modules; }
node_modules/.bin/tsc
