# The operator and the decider in an image: two static binaries, no shell, no package, an unprivileged user. It runs with a read-only
# root; it writes to /var/lib/crm-access-operator (the embedded store) and /tmp, which are mounted.
#
#   docker build --build-arg VERSION=$(git describe --tags --always --dirty) -t crm-access-operator:dev .

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The modules first: they change less often than the sources.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/manager ./cmd/decider
# scratch has no mkdir: the folders that are mounted come from here, where no mount is given too.
RUN mkdir -p /root-fs/var/lib/crm-access-operator /root-fs/tmp && chmod 1777 /root-fs/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /root-fs/ /
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/manager /out/decider /
USER 65532:65532
ENTRYPOINT ["/manager"]
