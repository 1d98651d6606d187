# The image for the daemon, for workers and for each command; see docs/how-to/containers.md. Build it in this directory:
#
#     docker build -t rowhooks .
#     docker build -t rowhooks --build-arg EXTRAS=daemon,otel,uvloop .
#
# Receivers are not in it: mount them, with rowhooks.toml, at /etc/rowhooks, or copy them there in an image FROM this one.
ARG BASE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE} AS build
ARG EXTRAS=daemon,plan,uvloop
WORKDIR /src
COPY . .
# Exact versions, as the tests have them. The modules are compiled here, because nothing can be written later.
RUN python3 -m venv --without-pip /opt/rowhooks \
 && python3 -m pip --python /opt/rowhooks/bin/python install --no-cache-dir --compile --constraint constraints.txt \
    ".[${EXTRAS}]"

FROM ${BASE}
LABEL org.opencontainers.image.title="rowhooks" \
      org.opencontainers.image.description="Runs Python receivers when rows of a PostgreSQL database change" \
      org.opencontainers.image.licenses="Apache-2.0"
# libpq asks for the name of the user. Any other user id works too, if the DSN names the login.
RUN useradd --uid 10001 --no-log-init --home-dir /etc/rowhooks --no-create-home --shell /usr/sbin/nologin rowhooks
COPY --from=build /opt/rowhooks /opt/rowhooks
# PIP_PYTHON: `pip install` in an image FROM this one installs beside rowhooks.
ENV PATH=/opt/rowhooks/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_PYTHON=/opt/rowhooks/bin/python \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ROWHOOKS_HTTP_LISTEN=0.0.0.0:9187
WORKDIR /etc/rowhooks
# By number, so that Kubernetes knows that it is not root.
USER 10001:10001
EXPOSE 9187
# Of the daemon. Not by urllib, which would ask a proxy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["python", "-c", "import http.client, os, sys; daemon = http.client.HTTPConnection('127.0.0.1', int(os.environ['ROWHOOKS_HTTP_LISTEN'].rpartition(':')[2]), timeout=4); daemon.request('GET', '/livez'); sys.exit(daemon.getresponse().status != 200)"]
# As a process of its own, without a shell: SIGTERM reaches it.
ENTRYPOINT ["rowhooks"]
CMD ["run"]
