#!/bin/bash
# booted.sh BINARY starts the systemd unit in a Debian of its own and looks whether it does what docs/how-to/systemd.md says: rights, a secret by
# LoadCredential, Envoy's socket for Envoy's user alone, orders, reload, restart after a crash, stop, and an end for good where the
# configuration is refused. By hand: it needs root, systemd-nspawn and mmdebstrap, fetches some 60 MB and takes a minute or more.
set -euo pipefail

cd "$(dirname -- "$0")/.."
binary=$(realpath -- "${1:?usage: booted.sh BINARY}")
folder=$(mktemp -d /tmp/exequatur-booted-XXXXXX)
trap 'rm -rf -- "$folder"' EXIT
root=$folder/root
mmdebstrap --quiet --variant=apt --include=systemd,systemd-sysv,libnss-systemd bookworm "$root"

install -m 0755 "$binary" "$root/usr/bin/exequatur"
install -m 0644 packaging/systemd/exequatur.service "$root/etc/systemd/system/"
mkdir -p "$root/etc/exequatur/policies" "$root/etc/exequatur/secrets" "$root/etc/systemd/system/exequatur.service.d"
head -c 32 /dev/urandom | base64 >"$root/etc/exequatur/secrets/nonce"
chmod 0600 "$root/etc/exequatur/secrets/nonce"
(cd "$folder" && "$binary" dev issuer --print >"$root/etc/exequatur/jwks.json")
token=$(cd "$folder" && "$binary" dev token --issuer https://sts.example.com --audience https://api.example.com --agent crm-bot)
cat >"$root/etc/exequatur/policies/notes.cedarschema" <<'SCHEMA'
entity Note;
action ReadNote appliesTo { principal: [Exequatur::Agent], resource: [Note], context: Exequatur::Context };
SCHEMA
echo '@id("read") permit (principal, action == Action::"ReadNote", resource);' >"$root/etc/exequatur/policies/reading.cedar"
cat >"$root/etc/exequatur/exequatur.yaml" <<'CONFIGURATION'
listen: { grpc: "unix:/run/exequatur/grpc.sock", grpc_peers: [1234], admin: "unix:/run/exequatur/admin.sock" }
policies: ./policies
protected_resources: [{ resource: https://api.example.com }]
issuers:
  - { name: corp, issuer: https://sts.example.com, jwks: { file: jwks.json }, audiences: [https://api.example.com], claims: { agent: client_id } }
sender_constraint: { require: none, dpop: { nonce_secret_file: /run/credentials/exequatur.service/nonce } }
store: { embedded: { path: /var/lib/exequatur/state } }
routes:
  - { name: read, match: { host: api.example.com, path: "/notes/{id}", methods: [GET] }, action: ReadNote, resource: { type: Note, id: "{id}" } }
records: { file: /var/lib/exequatur/decisions.jsonl, mode: required }
CONFIGURATION
cat >"$root/etc/systemd/system/exequatur.service.d/local.conf" <<'DROP_IN'
[Service]
LoadCredential=nonce:/etc/exequatur/secrets/nonce
RuntimeDirectoryMode=0755
DROP_IN

cat >"$root/root/look.sh" <<'LOOK'
configuration=(--config /etc/exequatur/exequatur.yaml)
shown() { systemctl show --property "$1" --value exequatur; }
expect() { if [ "$2" = "$3" ]; then echo "  $1: $2"; else echo "WRONG $1: $2, not $3"; fi; }
until_() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "WRONG: this never held: $*"; }
ready() { /usr/bin/exequatur healthcheck "${configuration[@]}"; }
asked_as() {
    setpriv --reuid "$1" --clear-groups /usr/bin/exequatur check --server unix:/run/exequatur/grpc.sock --host api.example.com --path /notes/1 \
        --header "Authorization: Bearer $(cat /token)" 2>&1 | head -1
}
restarted() { [ "$(shown NRestarts)" = 1 ] && ready; }
failed() { [ "$(shown ActiveState)" = failed ]; }

until_ ready
process=$(shown MainPID)
for field in CapEff CapBnd; do expect "$field" "$(sed -n "s/^$field:\t//p" "/proc/$process/status")" 0000000000000000; done
expect "no new privileges, a filter" "$(sed -n 's/^\(NoNewPrivs\|Seccomp\):\t//p' "/proc/$process/status" | tr '\n' ' ')" "1 2 "
expect "the folder of records" "$(stat -Lc '%U %a' /var/lib/exequatur)" "exequatur 700"
expect "the socket of orders" "$(stat -c '%U %a' /run/exequatur/admin.sock)" "exequatur 600"
expect "the secret" "$(stat -c '%U %a' /run/credentials/exequatur.service/nonce)" "exequatur 400"
expect "Envoy's user" "$(asked_as 1234)" permit
case $(asked_as 1235) in *"no server answers"*) echo "  another user: no answer" ;; *) echo "WRONG: another user got an answer" ;; esac
expect "an order" "$(/usr/bin/exequatur agents suspend corp:crm-bot --reason trial "${configuration[@]}" >/dev/null 2>&1; asked_as 1234)" "deny agent_suspended"
systemctl reload exequatur
expect "reload" "$?" 0
expect "the same process" "$(shown MainPID)" "$process"
kill -KILL "$process"
until_ restarted
systemctl stop exequatur
expect "stop" "$(shown Result)" success
echo 'nonsense: 1' >>/etc/exequatur/exequatur.yaml
systemctl start exequatur
until_ failed
sleep 5
expect "a refused configuration is not tried again" "$(shown NRestarts) $(shown ExecMainStatus)" "0 3"
echo looked
LOOK
echo "$token" >"$root/token"
cat >"$root/etc/systemd/system/look.service" <<'UNIT'
[Unit]
After=exequatur.service
[Service]
Type=oneshot
ExecStart=/bin/bash /root/look.sh
StandardOutput=append:/root/looked
StandardError=append:/root/looked
TimeoutStartSec=120
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
UNIT
wanted=$root/etc/systemd/system/multi-user.target.wants
mkdir -p "$wanted"
ln -sf ../exequatur.service ../look.service "$wanted/"

timeout 180 systemd-nspawn --quiet --register=no --keep-unit --private-network --directory "$root" --boot >"$folder/boot" 2>&1 || true
cat "$root/root/looked" || { tail -30 "$folder/boot"; exit 1; }
grep -qx looked "$root/root/looked" && ! grep -q WRONG "$root/root/looked"
