# etcd-drill itself, and nothing else: no shell, no certificates, no etcd. docs/ci.md says what works in it, and what does not.
#
#   make image
FROM scratch
COPY build/image/etcd-drill /etcd-drill
# A folder of this user: everything that is written lies in it.
COPY --chown=65532:65532 build/image/work /work
ENV HOME=/work TMPDIR=/work/tmp ETCD_DRILL_STATE_DIR=/work/state ETCD_DRILL_CACHE_DIR=/work/cache
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/etcd-drill"]
