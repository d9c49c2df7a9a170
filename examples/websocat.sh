#!/bin/sh
# Prints updates as they come: ./websocat.sh ws://localhost:8081/ws AAPL GOOG
# websocat does not say why a connection ended, so this comes back always, also where the gateway says that it need not.
url=$1
shift
symbols=$(printf '"%s",' "$@")
while :; do
    printf '[%s]\n' "${symbols%,}" | websocat --no-close --ping-interval 20 --ping-timeout 60 "$url"
    sleep "$(awk -v seed="$$" 'BEGIN { srand(seed); print 0.5 + 2 * rand() }')"
done
