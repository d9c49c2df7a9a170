#!/bin/sh
# Makes a key and a self-signed certificate for CERTIFICATE_NAMES. Renews it at a start within its last 30 days.
# Never changes a certificate that the operator has put in its place, as certificate.pem and key.pem.
set -eu
umask 077
cd /var/lib/stockwatch/certificate
if [ -s key.pem ] && [ -s certificate.pem ]; then
    if [ "$(openssl x509 -in certificate.pem -noout -subject -nameopt RFC2253)" != "subject=CN=stockwatch self-signed" ]; then
        echo "stockwatch: certificate.pem is not self-signed by this script and stays"
        exit
    fi
    if openssl x509 -in certificate.pem -noout -checkend 2592000 >/dev/null; then
        echo "stockwatch: the self-signed certificate is valid for another 30 days"
        exit
    fi
fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 397 -subj "/CN=stockwatch self-signed" \
    -addext "subjectAltName=$CERTIFICATE_NAMES" -keyout new-key.pem -out new-certificate.pem 2>/dev/null
mv new-key.pem key.pem
mv new-certificate.pem certificate.pem
echo "stockwatch: made a self-signed certificate for $CERTIFICATE_NAMES"
