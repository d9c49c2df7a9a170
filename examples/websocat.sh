#!/bin/sh
# Prints updates: ./websocat.sh ws://localhost:8081/ws AAPL GOOG
# websocat does not report why a connection ended, so this loop always reconnects, even if that is useless.
url=$1
shift
symbols=$(printf '"%s",' "$@")
while :; do
    printf '[%s]\n' "${symbols%,}" | websocat --no-close --ping-interval 20 --ping-timeout 60 "$url"
    sleep "$(awk -v seed="$$" 'BEGIN { srand(seed); print 0.5 + 2 * rand() }')"
done
