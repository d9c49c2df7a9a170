# `make help` says what there is. VENV=… names another virtual environment, PYTHON=… the interpreter to make it with.
VENV ?= .venv
PY = "$(VENV)/bin/python"
export VENV PYTHON
# Generator and gateway, started together on an empty database, migrate at once: who loses tries again and says why.
MIGRATE = $(PY) manage.py migrate --verbosity 0

.DEFAULT_GOAL := help
.PHONY: help run test test-kafka test-postgres test-clients check fmt up up-all down logs restart gen proc rec gtw bench bench-pipeline bench-page bench-churn bench-soak bench-charts bench-replay shot local dev

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 15

run: local ## everything on this machine, without Docker: the page is on http://localhost:8081
	@exec $(PY) manage.py runstack

test: dev ## all tests, with a Redis and a Kafka of their own
	@exec $(PY) -m pytest --cov

test-kafka: dev ## the pipeline on three real Kafka brokers, faults and all: needs Java 17, and Maven the first time
	@exec $(PY) -m pytest -m kafka

test-postgres: dev ## the tests that touch the database, on a PostgreSQL of their own
	@exec .ci/postgres $(PY) -m pytest --database

test-clients: ## the protocol with clients by other hands, the examples, Autobahn's cases: needs Node with npm, and Go
	@sh .ci/venv clients
	@exec $(PY) -m pytest -m clients

check: dev ## lint, format, types, import contracts, migrations, deployment settings
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c "from importlinter.cli import lint_imports_command as run; run()"
	@$(PY) manage.py makemigrations --check --dry-run
	@SECRET_KEY=$$($(PY) -c "import secrets; print(secrets.token_urlsafe(50))") APP_ENV=production \
		$(PY) manage.py check --deploy --fail-level WARNING

fmt: dev ## write the code as the linter wants it
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

up: ## infrastructure in Docker: three Kafka brokers, Valkey, PostgreSQL, kafka-ui
	docker compose up -d --wait

up-all: ## infrastructure and services in Docker
	docker compose --profile services up -d --build --wait

down: ## stop what Docker runs; volumes stay
	docker compose --profile services down

logs: ## follow what Docker runs
	docker compose --profile services logs -f

restart: ## restart what Docker runs
	docker compose --profile services restart

gen: local ## the generator alone, as .env says
	@$(MIGRATE) 2>/dev/null || $(MIGRATE)
	@exec $(PY) manage.py runkafkagen

proc: local ## the processor alone, as .env says
	@exec $(PY) manage.py runprocessor

rec: local ## the recorder alone, as .env says
	@$(MIGRATE) 2>/dev/null || $(MIGRATE)
	@exec $(PY) manage.py runrecorder

gtw: local ## gateway and page alone, as .env says
	@$(MIGRATE) 2>/dev/null || $(MIGRATE)
	@exec $(PY) manage.py rungateway

bench: dev ## measure the gateway
	@exec $(PY) -m tests.bench.gateway

bench-churn: dev ## 100,000 clients come to the gateway and go
	@exec $(PY) -m tests.bench.churn

bench-soak: dev ## 20 minutes of mixed load with faults on the gateway
	@exec $(PY) -m tests.bench.soak

bench-pipeline: dev ## measure generator, processor and recorder, on three real brokers where Java is
	@exec $(PY) -m tests.bench.pipeline

bench-page: dev ## measure the page in a browser: 200 rows, frames, memory, traffic, the first paint
	@exec $(PY) -m tests.bench.page

bench-charts: dev ## measure questions for charts among 21.6 million minutes; PostgreSQL too where it is installed
	@exec $(PY) -m tests.bench.charts

bench-replay: dev ## record a day of 500 symbols twice and compare
	@exec $(PY) -m tests.bench.replay

shot: dev ## pictures of the page
	@exec $(PY) -m tests.browser.shots

local:
	@sh .ci/venv local

dev:
	@sh .ci/venv dev
