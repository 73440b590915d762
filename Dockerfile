# etcd-drill itself, and nothing else: no shell, no certificates, no etcd. docs/ci.md says what works in it, and what does not.
#
#   make image
FROM scratch
COPY build/image/etcd-drill /etcd-drill
# A folder of this user: everything that is written lies in it.
COPY --chown=65532:65532 build/image/drill /drill
ENV HOME=/drill TMPDIR=/drill/tmp ETCD_DRILL_STATE_DIR=/drill/state ETCD_DRILL_CACHE_DIR=/drill/cache
WORKDIR /drill
USER 65532:65532
ENTRYPOINT ["/etcd-drill"]
