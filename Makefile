# `make help` lists the targets. VENV=… names another virtual environment, PYTHON=… the interpreter that creates it.
VENV ?= .venv
PY = "$(VENV)/bin/python"
export VENV PYTHON
# Tests run on up to four cores. The tests of a file stay on one core, and files keep their order, because they share servers.
PARALLEL = -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Generator and gateway may start together on an empty database and migrate at once: the second tries again, with its
# errors shown.
MIGRATE = $(PY) manage.py migrate --verbosity 0

.DEFAULT_GOAL := help
.PHONY: help run test test-kafka test-network test-postgres test-clients test-helm test-deploy check audit lock wheels fmt openapi up up-all down logs restart gen proc rec gtw bench bench-accepts bench-pipeline bench-page bench-churn bench-soak bench-hostile bench-charts bench-replay bench-feed bench-keys bench-sockets bench-reconnect bench-peers bench-scale bench-alerts bench-alert-ledger bench-stream alerts-demo shot local dev

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 15

run: local ## run everything on this machine without Docker; the page is on http://localhost:8081
	@exec $(PY) manage.py runstack

test: dev ## run all tests with their own Redis and Kafka
	@exec $(PY) -m pytest --cov $(PARALLEL)

test-kafka: dev ## test the pipeline on three real Kafka brokers, with faults: needs Java 17, and Maven for the first run
	@exec $(PY) -m pytest -m kafka

test-network: dev ## cut brokers off in network namespaces and fill their disks, in 6 minutes: needs root, Java 17, Maven once
	@exec $(PY) -m tests.kafka.network

test-postgres: dev ## run the tests that use the database on their own PostgreSQL
	@exec .ci/postgres $(PY) -m pytest --database $(PARALLEL)

test-clients: ## test the protocol with third-party clients, the examples and Autobahn's cases: needs Node with npm, and Go
	@sh .ci/venv clients
	@exec $(PY) -m pytest -m clients

test-helm: dev ## test the Helm chart with Helm and the schemas of Kubernetes: needs Go 1.26, which builds Helm once
	@exec $(PY) -m pytest -m helm

test-deploy: dev ## run docker-compose.yml on a Docker engine of its own: needs root, docker.io, debootstrap, Go, Maven
	@exec $(PY) -m pytest -m deploy -raP

check: dev ## check lint, format, types, import contracts, migrations and deployment settings
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c "from importlinter.cli import lint_imports_command as run; run()"
	@$(PY) manage.py makemigrations --check --dry-run
	@SECRET_KEY=$$($(PY) -c "import secrets; print(secrets.token_urlsafe(50))") APP_ENV=production \
		EMAIL_URL=dummymail:// GATEWAY_ALLOWED_ORIGINS=https://stocks.example \
		$(PY) manage.py check --deploy --fail-level WARNING

audit: ## look for weaknesses in code and packages, and list the packages: AUDIT=--offline leaves the network out
	@VENV=.venv-audit sh .ci/venv audit
	@VENV=.venv-audit sh .ci/audit $(AUDIT)

lock: ## write requirements*.txt with hashes from requirements*.in: LOCK=--upgrade takes the newest versions
	@VENV=.venv-audit sh .ci/venv audit
	@PATH=.venv-audit/bin:$$PATH .venv-audit/bin/python .ci/lock $(LOCK)

wheels: ## check that all requirements*.txt have wheels for each system and each version of Python; needs PyPI
	@VENV=.venv-audit sh .ci/venv audit
	@PATH=.venv-audit/bin:$$PATH .venv-audit/bin/python .ci/wheels

fmt: dev ## format the code
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

openapi: dev ## write docs/openapi.json from the code
	@exec $(PY) manage.py openapi docs/openapi.json

up: ## start the infrastructure in Docker: three Kafka brokers, Valkey, PostgreSQL
	docker compose up -d --wait kafka-1 kafka-2 kafka-3 valkey postgres

up-all: ## start infrastructure, services and proxy in Docker
	BUILD_COMMIT="$${BUILD_COMMIT:-$$(git describe --always --dirty 2>/dev/null)}" docker compose up -d --build --wait

down: ## stop the containers; volumes stay
	docker compose --profile "*" down

logs: ## follow the logs of the containers
	docker compose --profile "*" logs -f

restart: ## restart the containers
	docker compose --profile "*" restart

gen: local ## run the generator with the settings of .env
	@$(MIGRATE) 2>/dev/null || $(MIGRATE)
	@exec $(PY) manage.py runkafkagen

proc: local ## run the processor with the settings of .env
	@exec $(PY) manage.py runprocessor

rec: local ## run the recorder with the settings of .env
	@$(MIGRATE) 2>/dev/null || $(MIGRATE)
	@exec $(PY) manage.py runrecorder

gtw: local ## run gateway and page with the settings of .env
	@$(MIGRATE) 2>/dev/null || $(MIGRATE)
	@exec $(PY) manage.py rungateway

bench: dev ## measure the gateway
	@exec $(PY) -m tests.bench.gateway

bench-accepts: dev ## measure what a new client costs: the front against plain daphne
	@exec $(PY) -m tests.bench.scale.accepts

bench-churn: dev ## measure the gateway with 100,000 clients that connect and disconnect
	@exec $(PY) -m tests.bench.churn

bench-soak: dev ## run 20 minutes of mixed load with faults on the gateway
	@exec $(PY) -m tests.bench.soak

bench-hostile: dev ## measure page, socket and feed while one address sends hostile requests
	@exec $(PY) -m tests.bench.hostile

bench-pipeline: dev ## measure generator, processor and recorder, on three real brokers if Java is installed
	@exec $(PY) -m tests.bench.pipeline

bench-page: dev ## measure the page in a browser: 200 rows, frames, memory, traffic, the first paint
	@exec $(PY) -m tests.bench.page

bench-charts: dev ## measure chart queries over 21.6 million minute bars; on PostgreSQL too if it is installed
	@exec $(PY) -m tests.bench.charts

bench-alerts: dev ## measure the alert engine with a million alerts on 500 symbols
	@exec $(PY) -m tests.bench.alerts

bench-alert-ledger: dev ## kill alert engines for 12 minutes and compare 100,000 alerts with a plain computation, on PostgreSQL
	@exec .ci/postgres $(PY) -m tests.bench.alert_ledger $(LEDGER)

bench-replay: dev ## records a day of 500 symbols three times and compares the rows
	@exec $(PY) -m tests.bench.replay

bench-sockets: dev ## hold 100,000 sockets on this machine
	@exec $(PY) -m tests.bench.scale.many_sockets

bench-reconnect: dev ## kill the only gateway and measure how soon 10,000 clients are live again
	@exec $(PY) -m tests.bench.draining.killing

bench-keys: dev ## measure what size, bid and ask cost gateway and processor
	@exec $(PY) -m tests.bench.feed.extra_keys

bench-feed: dev ## compare real prices with the ledger of a fake exchange, under faults and load, in 45 minutes
	@exec $(PY) -m tests.bench.feed

bench-peers: dev ## measure the gateway beside other servers that are installed, or whose paths PEERS names
	@exec $(PY) -m tests.bench.peers $(PEERS)

bench-scale: dev ## lose and restart gateway machines under 20,000 sockets, in network namespaces: needs root and haproxy
	@exec $(PY) -m tests.bench.scale

bench-stream: dev ## measure /stream beside /ws: updates per CPU second
	@exec $(PY) -m tests.bench.gateway "1,000 x 4 x 10, streams" "1,000 x own 20 of 500 x 5, streams"

alerts-demo: dev ## cause faults on a running system and print the alerts that fire, in half an hour; needs Prometheus, and Java 17 for one fault
	@exec $(PY) -m tests.monitoring.demo

shot: dev ## take pictures of the page, also of the states of real sources
	@$(PY) -m tests.browser.shots
	@exec $(PY) -m tests.browser.feed_shots

local:
	@sh .ci/venv local

dev:
	@sh .ci/venv dev
