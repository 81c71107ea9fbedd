# syntax=docker/dockerfile:1

# The toolchain and the headers stay in this stage.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /voice
COPY . .
# The caches belong to the builder, not to the image: the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/voice/target \
    cargo build --locked --release -p voice \
    && cp target/release/voice /usr/local/bin/voice

FROM debian:bookworm-slim
# libssl3 for the Kafka client, certificates for calls to providers, curl for the health check.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    # Not named voice: Debian has a group of that name, for modems.
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin callcentre
COPY --from=build /usr/local/bin/voice /usr/local/bin/voice
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/health/ready"]
# A role, such as `api --listen 0.0.0.0:8080`, or a tool, such as `migrate`.
ENTRYPOINT ["voice"]
CMD ["--help"]
