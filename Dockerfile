# An image of keyturn that holds one program, the C library, certificate authorities, and nothing else: no shell, no
# package manager, no root. It needs no capability, and of its file system it writes only to /var/lib/keyturn.
#
#   docker build -t keyturn .
#
# docs/deployment.md tells how to run it.

ARG RUST=rust:1.95-bookworm

FROM ${RUST} AS build

# Writes into the program which crates it is made of, for scanners to read (a list of 4 KB).
RUN cargo install --locked --version 0.7.7 cargo-auditable

# The dependencies alone, in a layer that lasts until one of these files changes.
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY crates crates
RUN mkdir -p src benches/load && \
    echo 'fn main() {}' > src/main.rs && cp src/main.rs benches/load/main.rs && touch src/lib.rs && \
    cargo auditable build --release --locked --bin keyturn

ARG REVISION=unknown
COPY migrations migrations
COPY src src
COPY LICENSE-MIT LICENSE-APACHE ./
# Newer than what was compiled above, whatever the context says.
RUN touch src/main.rs src/lib.rs && \
    BUILD_COMMIT=${REVISION} cargo auditable build --release --locked --bin keyturn

# The root file system: the program, the libraries that it is linked with, and what these read. What the packages are
# stands where scanners look for it.
RUN set -eu; \
    install -D target/release/keyturn /image/usr/bin/keyturn; \
    for library in $(ldd target/release/keyturn | grep -o '/[^ ]*' || true); do \
        install -D "$library" "/image$library"; \
    done; \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt; \
    install -D -m 644 -t /image/usr/share/doc/keyturn LICENSE-MIT LICENSE-APACHE; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf; \
    echo 'keyturn:x:10001:10001::/var/lib/keyturn:/sbin/nologin' > /image/etc/passwd; \
    echo 'keyturn:x:10001:' > /image/etc/group; \
    install -D -m 644 /etc/os-release /image/etc/os-release; \
    mkdir -p /image/var/lib/dpkg/status.d; \
    for package in libc6 libgcc-s1 ca-certificates; do \
        dpkg-query --status "$package" > "/image/var/lib/dpkg/status.d/$package"; \
    done; \
    install -d -m 1777 /image/tmp; \
    install -d -m 700 /data/keyturn

FROM scratch

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="keyturn" \
      org.opencontainers.image.description="An auth server for access and refresh tokens, with sessions that can be seen and ended at once" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /image/ /
COPY --from=build --chown=10001:10001 /data/ /var/lib/

# PORT and not BIND: platforms set it to what they want, and BIND overrides it. It means all addresses, of IPv6 too.
ENV PORT=8080 \
    DATA_DIR=/var/lib/keyturn \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
VOLUME ["/var/lib/keyturn"]
EXPOSE 8080
# Requests that have begun end first, within 30 seconds; wait 35 before you kill it.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/usr/bin/keyturn", "health"]
ENTRYPOINT ["/usr/bin/keyturn"]
CMD ["serve"]
