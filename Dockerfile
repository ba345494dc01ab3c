# For those who have a container engine; `cargo xtask image` makes an image of the same program without one.
#
#   docker build --tag harbor-robot-operator .
#   docker buildx build --platform linux/amd64,linux/arm64 --tag registry.example.com/platform/harbor-robot-operator --push .
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-pip
COPY . /source
WORKDIR /source
RUN cargo xtask image --binaries --out /out

FROM scratch
ARG TARGETARCH
COPY --from=build /source/target/tools/python/certifi/cacert.pem /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/harbor-robot-operator-linux-$TARGETARCH /harbor-robot-operator
USER 65532:65532
ENTRYPOINT ["/harbor-robot-operator"]
CMD ["run"]
