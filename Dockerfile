# One image for every part of Airflow; docker-compose.yml says which part a container is.
FROM python:3.11.14-slim-bookworm AS build

WORKDIR /opt/tiering
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# The environment is a layer of its own: it changes with the lock only.
COPY requirements.lock ./
RUN python -m pip install --quiet "$(grep -oE '^uv==[0-9.]+' requirements.lock)" \
    && uv pip sync --python /opt/venv/bin/python --require-hashes --compile-bytecode requirements.lock

# Overlays need more packages: EXTRA_LOCK names a lock beside requirements.lock (docker/compose.celery.yml).
ARG EXTRA_LOCK=""
COPY requirements*.lock ./
RUN if [ -n "$EXTRA_LOCK" ]; then \
        uv pip install --python /opt/venv/bin/python --no-deps --require-hashes --compile-bytecode -r "$EXTRA_LOCK"; \
    fi

COPY pyproject.toml README.md ./
COPY plugins plugins
RUN uv pip install --python /opt/venv/bin/python --no-deps --no-build-isolation -e . \
    && python -m compileall -q plugins

FROM python:3.11.14-slim-bookworm

# Code and environment belong to root; the user can write into its two volumes only.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/airflow tiering \
    && install -d -o tiering -g tiering -m 0700 /var/lib/airflow /var/lib/tiering
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/tiering /opt/tiering
COPY dags /opt/tiering/dags
COPY dbt_project /opt/tiering/dbt_project
COPY expectations /opt/tiering/expectations
COPY profiles /opt/tiering/profiles
COPY schemes /opt/tiering/schemes
COPY sample_company /opt/tiering/sample_company

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TIERING_HOME=/opt/tiering \
    TIERING_VAR=/var/lib/tiering \
    AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/tiering/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/tiering/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False

USER tiering
WORKDIR /var/lib/tiering
VOLUME ["/var/lib/airflow", "/var/lib/tiering"]
CMD ["airflow", "version"]
