# Three images from one wheel: `worker`, the default, `controlplane` and `runner`. Nothing here assumes a processor: every locked dependency has wheels
# for amd64 and arm64. BASE is a Debian with Python 3.11 to 3.13 as python3, its pip and its venv; in production, pin it by digest.
# The images hold what container/rootfs.py takes from BASE, and one environment each.

ARG BASE=python:3.13-slim

FROM ${BASE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# For `strip`; whichever version the base's Debian has will do.
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils && rm -r /var/lib/apt/lists/*
COPY requirements/build.txt requirements/
RUN python3 -m venv tools && tools/bin/pip install --quiet --require-hashes -r requirements/build.txt

FROM tools AS wheel
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY controlplane/ controlplane/
COPY worker/ worker/
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# Dependencies come before the wheel, so that a change of the code does not fetch them again. Sources of compiled modules, headers, stubs,
# tests and symbols for debuggers are never read at run time.
FROM tools AS dependencies
COPY requirements/worker.txt requirements/controlplane.txt requirements/runner.txt requirements/
RUN for program in worker controlplane runner; do \
        python3 -m venv --without-pip /opt/$program \
        && tools/bin/pip --python /opt/$program/bin/python3 install --quiet --require-hashes -r requirements/$program.txt || exit 1; \
    done \
    && find /opt -type f -name '*.[ch]' -delete -o -type f -name '*.py[xi]' -delete -o -type f -name '*.px[di]' -delete \
    && find /opt -type d -name tests -prune -exec rm -r {} + \
    && find /opt -type f -name '*.so' -exec strip --strip-unneeded {} +

FROM dependencies AS environments
COPY --from=wheel /build/dist/ dist/
RUN for program in worker controlplane runner; do \
        tools/bin/pip --python /opt/$program/bin/python3 install --quiet --no-deps --no-index dist/*.whl || exit 1; \
    done \
    && rm -r /opt/worker/lib/python3*/site-packages/controlplane /opt/runner/lib/python3*/site-packages/controlplane \
    && for program in worker controlplane; do \
        rm -r /opt/$program/lib/python3*/site-packages/worker/actions /opt/$program/lib/python3*/site-packages/worker/actionrunner || exit 1; \
    done \
    && rm /opt/worker/bin/synthetics-controlplane /opt/worker/bin/private-action-runner \
    && rm /opt/controlplane/bin/synthetics-worker /opt/controlplane/bin/private-action-runner \
    && rm /opt/runner/bin/synthetics-worker /opt/runner/bin/synthetics-controlplane

FROM dependencies AS root
COPY container/rootfs.py .
RUN python3 rootfs.py /rootfs /opt \
    && install -d -m 1777 /rootfs/tmp \
    && install -d -o 10001 -g 10001 -m 0755 /rootfs/etc/datadog \
    && install -d -o 10001 -g 10001 -m 0750 /rootfs/etc/dd-action-runner/config \
    && install -d -o 10001 -g 10001 -m 0750 /rootfs/var/lib/action-runner \
    && install -d -o 10001 -g 10001 -m 0750 /rootfs/var/lib/controlplane \
    && install -d -o 10001 -g 10001 -m 0750 /rootfs/var/spool/synthetics

FROM scratch AS base
COPY --from=root /rootfs/ /
# An arbitrary user has no entry in /etc/passwd and owns nothing: its home is the only writable place.
ENV HOME=/tmp PATH=/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.vendor="Open private location" \
      org.opencontainers.image.version="${VERSION}"

FROM base AS controlplane
LABEL org.opencontainers.image.title="open-private-location-controlplane" \
      org.opencontainers.image.description="Schedules the tests of private locations, hands them out, and keeps their results"
COPY --from=environments /opt/controlplane /opt/controlplane
ENV PATH=/opt/controlplane/bin:$PATH CONTROLPLANE_DATABASE=/var/lib/controlplane/controlplane.db
VOLUME /var/lib/controlplane
EXPOSE 8080
ENTRYPOINT ["synthetics-controlplane"]
CMD ["serve", "--listen", "0.0.0.0:8080"]

FROM base AS runner
LABEL org.opencontainers.image.title="open-private-action-runner" \
      org.opencontainers.image.description="Carries out signed orders inside a private network, over outbound HTTPS alone"
COPY --from=environments /opt/runner /opt/runner
# The container's own network is what keeps the figures from strangers; probes come from outside of it.
ENV PATH=/opt/runner/bin:$PATH ACTION_RUNNER_PROBES_HOST=0.0.0.0
# Not healthy is not ready: an outage of the control plane shows here, and stops nothing.
HEALTHCHECK --start-period=30s --interval=30s --timeout=10s --retries=3 CMD ["private-action-runner", "status"]
ENTRYPOINT ["private-action-runner"]

FROM base AS worker
LABEL org.opencontainers.image.title="open-private-location" \
      org.opencontainers.image.description="Runs API tests inside a private network, over outbound HTTPS alone"
COPY --from=environments /opt/worker /opt/worker
ENV PATH=/opt/worker/bin:$PATH
# The worker writes the time (epoch milliseconds) while its poller makes progress, during an outage of the control plane too.
HEALTHCHECK --start-period=30s --interval=10s --timeout=2s --retries=3 \
    CMD ["/bin/sh", "-c", "[ $(( $(cat /tmp/liveness.date) + 120000 )) -gt $(date +%s%3N) ]"]
ENTRYPOINT ["synthetics-worker"]
