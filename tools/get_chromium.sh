#!/bin/sh
# The tests of the pages drive a Chromium or Chrome: finds one, or installs Debian's where that is possible; else says so.
# It never fails: without a browser those tests are skipped, and pytest names them.

for name in "${EUCENTRIC_CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
    exit 0
  fi
done

without="the tests of the web pages in a browser are left out; install Chromium, or set EUCENTRIC_CHROMIUM to one."
if [ "$(id -u)" -ne 0 ]; then
  echo "No Chromium or Chrome is here, and only root may install one: $without" >&2
elif ! command -v apt-get >/dev/null 2>&1; then
  echo "No Chromium or Chrome is here, and no apt-get to install one: $without" >&2
else
  echo "Installing Debian's chromium, for the tests of the web pages ..." >&2
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends chromium; } >/dev/null 2>&1; then
    echo "It could not be installed: $without" >&2
  fi
fi
exit 0
