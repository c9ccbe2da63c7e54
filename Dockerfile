# The base is an argument, so that the image can be built from any Debian-like root with Python
# 3.11 or later and its venv module; tests/journeys/image_base.sh makes one without a registry.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /opt/pyproxy \
 && python3 -m venv /opt/build \
 && /opt/pyproxy/bin/python -m pip install --only-binary :all: --require-hashes -r requirements.lock \
 && /opt/build/bin/python -m pip install --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY proxy ./proxy
# Both steps work without an index: the project is built with what the lock has already brought.
RUN /opt/build/bin/python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/pyproxy/bin/python -m pip install --no-index --no-deps /wheels/*.whl \
 && /opt/pyproxy/bin/python -m pip uninstall --yes pip

FROM ${BASE}
LABEL org.opencontainers.image.title="pyproxy" \
      org.opencontainers.image.description="A TLS-terminating reverse proxy in Python that takes the place of nginx and certbot." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 pyproxy \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pyproxy --shell /usr/sbin/nologin pyproxy \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/pyproxy
COPY --from=build /opt/pyproxy /opt/pyproxy
ENV PATH=/opt/pyproxy/bin:/usr/local/bin:/usr/bin:/bin \
    PYPROXY_CONFIG=/etc/pyproxy/proxy.yaml \
    PYTHONDONTWRITEBYTECODE=1
# Docker and Podman let every user of a container bind ports below 1024, so nothing needs root.
USER 10001:10001
WORKDIR /var/lib/pyproxy
VOLUME /var/lib/pyproxy
EXPOSE 80 443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["pyproxy", "health"]
# The exec form: pyproxy is process 1, gets the signals itself and reaps its children.
ENTRYPOINT ["pyproxy"]
CMD ["serve", "--config", "/etc/pyproxy/proxy.yaml"]
