#!/usr/bin/env bash
# The drill of action.yml. It takes the inputs from the variables INPUT_*, builds etcd-drill from the source beside it, unless
# ETCD_DRILL_PROGRAM names one, and runs it; the exit code is that of the drill. etcd-drill itself writes the step's summary, its
# outputs and annotations; the folder of the evidence is added here.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}}

program=${ETCD_DRILL_PROGRAM:-}
if [[ -z $program ]]; then
  program=$temp/etcd-drill
  CGO_ENABLED=0 go build -C "$root" -trimpath -buildvcs=false -o "$program" ./cmd/etcd-drill
fi

folder=$(mktemp -d "$temp/drill-XXXXXX")
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
  echo "folder=$folder" >>"$GITHUB_OUTPUT"
fi

# Data directories do not stay: whoever uploads the folder does not want to hand on what is in them.
args=(run --out "$folder" --keep none)
option() {
  if [[ -n $2 ]]; then
    args+=("$1" "$2")
  fi
}
case ${INPUT_SOURCE:-} in
  "" | snapshot | db) option --source "${INPUT_SOURCE:-}" ;;
  *) option --snapshot "$INPUT_SOURCE" ;;
esac
option --members "${INPUT_MEMBERS:-}"
option --etcd-version "${INPUT_VERSION:-}"
option --rto "${INPUT_RTO:-}"
option --rpo "${INPUT_RPO:-}"
option --max-lost "${INPUT_MAX_LOST:-}"

more=()
read -r -d '' -a more <<<"${INPUT_ARGS:-}" || true # it ends at the end of the text, which read calls a failure
exec "$program" "${args[@]}" ${more[@]+"${more[@]}"}
