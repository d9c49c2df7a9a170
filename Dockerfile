# One image for every service; docker-compose.yml names the command of each.
# The tag names no patch release, so that `docker compose build --pull` renews Python and Debian with their security fixes.
FROM python:3.13-slim-trixie AS packages
COPY requirements.txt .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: -r requirements.txt

FROM python:3.13-slim-trixie
# A volume that Compose mounts on an empty folder gets its owner.
RUN useradd --system --uid 10001 --no-create-home stockwatch \
    && install -d -o stockwatch /var/lib/stockwatch/certificate
# Without a SECRET_KEY, a container ends with one line instead of using the published key of development.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 APP_ENV=production
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/stockwatch
COPY . .
RUN python -m compileall -q stockwatch feeds watchlist
# The commit that `stockwatch_build_info` names. The image has no git checkout to read it from.
ARG BUILD_COMMIT=""
ENV BUILD_COMMIT=$BUILD_COMMIT
LABEL org.opencontainers.image.title="stockwatch" \
    org.opencontainers.image.licenses="BSD-3-Clause" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision=$BUILD_COMMIT
USER stockwatch
EXPOSE 8081
# The exec form makes Python process 1, so that signals from Docker reach it.
CMD ["python", "manage.py", "rungateway", "--host", "0.0.0.0"]
HEALTHCHECK --interval=10s --timeout=30s --start-period=300s --retries=6 \
    CMD ["python", "-m", "stockwatch.probe", "http://127.0.0.1:8081/readyz"]
