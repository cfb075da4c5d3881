# The earshot binary in an image of its own, for use with a NATS and a ClickHouse that run elsewhere (docker-compose.yml
# shows the three together).
#
# The binary is built without cgo but still loads the system's C library at its start, because it can load the embedded
# ClickHouse engine; so the image needs a glibc: Debian, not Alpine and not an empty image. For the embedded engine in a
# container, mount the library and set CHDB_LIB_PATH.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /earshot ./cmd/earshot \
 && mkdir -p /empty

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /earshot /usr/local/bin/earshot
COPY --from=build --chown=65532:65532 /empty /var/lib/earshot
USER 65532:65532
ENV EARSHOT_DATA_DIR=/var/lib/earshot \
    EARSHOT_GATEWAY_ADDR=0.0.0.0:8080 \
    EARSHOT_LOG_FORMAT=json
EXPOSE 8080
# Neither curl nor wget is in the image; bash is, and can speak to a port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["earshot"]
CMD ["up"]
