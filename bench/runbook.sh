#!/usr/bin/env bash
# The recovery page of etcd as a person types it, without this project: what a drill is measured against.
#
# Usage: IMAGE=… LOAD=… [KEYS=10000] [N=3] runbook.sh
# IMAGE holds /etcd, /etcdctl and /etcdutl; LOAD is the program built from ./bench/load. Prints one line per step:
# its name and the seconds that it took.
set -euo pipefail
: "${IMAGE:?}" "${LOAD:?}"
keys=${KEYS:-10000} n=${N:-3}
work=$(mktemp -d)
net=etcd-runbook-$$

cleanup() {
  for i in $(seq "$n"); do docker rm -f "$net-m$i" "$net-r$i" >/dev/null 2>&1 || true; done
  docker network rm "$net" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

begin=$EPOCHREALTIME last=$EPOCHREALTIME
step() {
  local now=$EPOCHREALTIME
  printf '%-28s %6.2f s\n' "$1" "$(bc <<<"$now - $last")"
  last=$now
}

# members PREFIX DATADIR FLAG… starts the members called PREFIX1 … PREFIXn, each on its folder below the work folder.
members() {
  local prefix=$1 data=$2
  shift 2
  for i in $(seq "$n"); do
    docker run -d --name "$net-$prefix$i" --network "$net" -v "$work/$prefix$i:/data" "$IMAGE" /etcd \
      --name "m$i" --data-dir "$data" \
      --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://$net-$prefix$i:2379" \
      --listen-peer-urls http://0.0.0.0:2380 --initial-advertise-peer-urls "http://$net-$prefix$i:2380" "$@" >/dev/null
  done
  until docker exec "$net-${prefix}1" /etcdctl endpoint health >/dev/null 2>&1; do sleep 0.2; done
}

initial_cluster() {
  local list=""
  for i in $(seq "$n"); do list+="m$i=http://$net-$1$i:2380,"; done
  echo "${list%,}"
}

docker network create "$net" >/dev/null
members m /data/d --initial-cluster "$(initial_cluster m)" --initial-cluster-token first
step "cluster of $n up"

address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$net-m1")
"$LOAD" "http://$address:2379" "$keys" 256 >/dev/null
step "load $keys keys"

for i in $(seq 2 "$n"); do docker kill "$net-m$i" >/dev/null; done
step "kill $((n - 1))"

docker exec "$net-m1" /etcdctl snapshot save /data/snapshot.db >/dev/null 2>&1
step "snapshot save"

docker rm -f "$net-m1" >/dev/null
step "stop survivor"

for i in $(seq "$n"); do
  docker run --rm -v "$work:/w" "$IMAGE" /etcdutl snapshot restore /w/m1/snapshot.db --name "m$i" --data-dir "/w/r$i" \
    --initial-cluster "$(initial_cluster r)" --initial-cluster-token second \
    --initial-advertise-peer-urls "http://$net-r$i:2380" >/dev/null 2>&1
done
step "restore $n members"

members r /data --initial-cluster "$(initial_cluster r)" --initial-cluster-token second
step "restored cluster up"

docker exec "$net-r1" /etcdctl get /k/ --prefix --count-only -w fields | grep -q "\"Count\" : $keys$"
step "count keys"
last=$begin
step TOTAL
