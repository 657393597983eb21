#!/usr/bin/env bash
# Installs a package with dpkg on a throw-away copy of this machine, runs a node from it, removes it.
#
#   deploy/test-deb.sh PACKAGE.deb
#
# Needs root and Linux's overlay filesystem: the copy is an overlay over / in a mount namespace of
# its own, so that dpkg, its database and the maintainer scripts are the real ones, and nothing of it
# is left when the script ends. Everything is bounded in time.
set -euo pipefail
export LC_ALL=C.UTF-8

die() { printf '✗ %s\n' "$*" >&2; exit 1; }
ok() { printf '✓ %s\n' "$*"; }

outside() {
    [ $# = 1 ] && [ -f "$1" ] || die "usage: deploy/test-deb.sh PACKAGE.deb"
    [ "$(id -u)" = 0 ] || die "this test mounts and runs dpkg: run it as root"
    local tool
    for tool in dpkg dpkg-deb unshare setpriv chroot timeout; do
        command -v "$tool" >/dev/null || die "$tool is missing"
    done
    local scratch
    scratch="$(mktemp -d)"
    # shellcheck disable=SC2064
    trap "rmdir '$scratch'" EXIT
    local here
    here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
    # The PID namespace takes every process with it, whatever happens.
    timeout --signal=KILL 300 unshare --mount --pid --fork --kill-child --propagation private \
        bash "$here/test-deb.sh" --overlay "$scratch" "$(realpath "$1")"
    ok "the package is sound"
}

overlay() {
    local scratch="$1" package="$2" here
    here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
    mount -t tmpfs -o mode=0755 tmpfs "$scratch"
    mkdir "$scratch"/{upper,work,root}
    mount -t overlay overlay \
        -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root" \
        || die "no overlay can be mounted over /"
    local root="$scratch/root"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    # As on a machine where systemd does not run, such as a container: the scripts must cope.
    mount -t tmpfs -o mode=0755 tmpfs "$root/run"
    cp "$package" "$root/tmp/fenbu.deb"
    cp "$here/test-deb.sh" "$here/node.example.toml" "$root/tmp/"
    # No cargo, no toolchain, no variables of ours.
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/nonexistent \
        bash /tmp/test-deb.sh --inside
}

dir=/var/lib/fenbu
# As the unit does it: the node's own user, no other rights.
as_node=(setpriv --reuid fenbu --regid fenbu --clear-groups --no-new-privs --inh-caps=-all --)
fb() { "${as_node[@]}" fenbu --dir "$dir" --lang en "$@"; }

inside() {
    cd /
    ! command -v cargo >/dev/null || die "cargo is in the PATH of an installed machine"
    # A machine that has it already starts from nothing.
    dpkg --purge fenbu >/dev/null 2>&1 || true
    rm -rf "$dir"
    ! getent passwd fenbu >/dev/null || userdel fenbu

    check_files
    dpkg --install /tmp/fenbu.deb >/tmp/install.log 2>&1 || { cat /tmp/install.log; die "dpkg refuses it"; }
    grep -q 'fenbu init' /tmp/install.log || die "the installation does not say what to do next"
    ok "dpkg installs it and its dependencies are there"
    check_installed
    check_unit
    run_node
    check_removal
}

check_files() {
    local list expected
    list="$(dpkg-deb --contents /tmp/fenbu.deb)"
    if awk '$2 != "root/root"' <<<"$list" | grep -q .; then die "not everything belongs to root: $list"; fi
    if awk '$1 !~ /^[-d]r[w-][x-]r-[x-]r-[x-]$/' <<<"$list" | grep -q .; then die "odd modes: $list"; fi
    expected="\
./lib/systemd/system/fenbu.service
./usr/bin/fenbu
./usr/share/bash-completion/completions/fenbu
./usr/share/doc/fenbu/RUNBOOK.md
./usr/share/doc/fenbu/RUNBOOK.zh-CN.md
./usr/share/doc/fenbu/changelog.gz
./usr/share/doc/fenbu/copyright
./usr/share/doc/fenbu/node.example.toml
./usr/share/fish/vendor_completions.d/fenbu.fish
./usr/share/zsh/vendor-completions/_fenbu"
    # A manual page comes along where the sources have one.
    list="$(awk '$1 ~ /^-/ {print $6}' <<<"$list" | grep -v /man1/ | sort)"
    [ "$list" = "$expected" ] || { diff <(echo "$expected") <(echo "$list") || true; die "other files than expected"; }
    [ "$(dpkg-deb --field /tmp/fenbu.deb Depends | tr -d '0-9.')" = "libc (>= )" ] \
        || die "it depends on more than libc6: $(dpkg-deb --field /tmp/fenbu.deb Depends)"
    ok "the package holds what it should, owned by root"
}

check_installed() {
    dpkg --verify fenbu | grep -q . && die "installed files differ from the package's sums"
    [ "fenbu $(dpkg-query --show --showformat='${Version}' fenbu | tr '~' '-')" = "$(fenbu --version)" ] \
        || die "the package and fenbu --version disagree"
    fenbu --help | grep -q 'node' || die "fenbu --help does not name the node command"
    [ "$(stat -c '%U:%G %a' "$dir")" = "fenbu:fenbu 700" ] || die "$dir is $(stat -c '%U:%G %a' "$dir")"
    [ "$(getent passwd fenbu | cut -d: -f6,7)" = "$dir:/usr/sbin/nologin" ] || die "the user fenbu is odd"
    bash -n /usr/share/bash-completion/completions/fenbu || die "the completions for bash do not parse"
    ok "fenbu runs from the package; user and folder are private"
}

check_unit() {
    if ! command -v systemd-analyze >/dev/null; then
        printf '  systemd-analyze is not here: the unit is not checked\n'
        return
    fi
    local said
    said="$(systemd-analyze verify /lib/systemd/system/fenbu.service 2>&1 | grep fenbu || true)"
    [ -z "$said" ] || die "systemd-analyze verify: $said"
    ok "systemd accepts the unit"
}

run_node() {
    fb init --name 'Head office' >/tmp/init.log 2>&1 \
        || { cat /tmp/init.log; die "fenbu init fails"; }
    cmp "$dir/fenbu.toml" /tmp/node.example.toml \
        || die "deploy/node.example.toml is not what fenbu init writes: copy it from there"
    cmp /tmp/node.example.toml /usr/share/doc/fenbu/node.example.toml
    [ "$(stat -c '%U %a' "$dir/node.key")" = "fenbu 600" ] || die "node.key can be read by others"

    local notified=/tmp/notified
    listen_for_ready "$notified"
    # Port 0: whatever runs on this machine already is not disturbed.
    "${as_node[@]}" env ${NOTIFY_SOCKET:+NOTIFY_SOCKET="$NOTIFY_SOCKET"} FENBU_LISTEN=127.0.0.1:0 \
        fenbu node run --dir "$dir" 2>/tmp/node.log &
    local node=$!
    fb status --wait ready --timeout 60s -o name >/tmp/name 2>/tmp/status.log \
        || { cat /tmp/status.log /tmp/node.log; die "the node does not answer"; }
    grep -Eq '^[0-9a-f]{64}$' /tmp/name || die "fenbu status -o name prints '$(cat /tmp/name)'"
    [ "$(stat -c '%U %a' "$dir/node.sock")" = "fenbu 600" ] || die "others may use the socket"
    fb status --json | grep -q '"schema": *"fenbu.status/1"' || die "fenbu status --json has no schema"
    fb doctor >/tmp/doctor.log 2>&1 || { cat /tmp/doctor.log; die "fenbu doctor finds problems"; }
    if [ -n "${NOTIFY_SOCKET:-}" ]; then
        wait_for_line 'READY=1' "$notified" || die "Type=notify, and the node never says READY=1"
        ok "the node tells systemd that it is ready"
    fi
    if "${as_node[@]}" timeout 20 env FENBU_LISTEN=127.0.0.1:0 fenbu node run --dir "$dir" 2>/tmp/second.log; then
        die "a second daemon starts on the same folder"
    fi
    grep -q 'already running' /tmp/second.log || { cat /tmp/second.log; die "the second daemon does not say why it ends"; }
    kill -HUP "$node"
    fb status -o name >/dev/null || { cat /tmp/node.log; die "a reload ends the node"; }
    kill -TERM "$node"
    wait "$node" || { cat /tmp/node.log; die "the node ends with code $?"; }
    [ ! -e "$dir/node.sock" ] || die "the socket is left behind"
    local code=0
    fb status >/dev/null 2>&1 || code=$?
    [ "$code" = 3 ] || die "without a daemon fenbu status ends with $code instead of 3"
    ok "a node starts, answers, refuses a second daemon, survives a reload, stops cleanly"
}

# Stands in for systemd's end of Type=notify, where there is a Python to do it.
listen_for_ready() {
    local into="$1" python
    python="$(command -v python3)" || return 0
    "$python" -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/notify"); os.chmod("/run/notify", 0o777)
with open(sys.argv[1], "wb", buffering=0) as out:
    while True: out.write(s.recv(4096) + b"\n")
' "$into" &
    export NOTIFY_SOCKET=/run/notify
    local tries=0
    until [ -S /run/notify ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || die "the stand-in for systemd does not start"
        sleep 0.1
    done
}

wait_for_line() {
    local tries=0
    until grep -qx "$1" "$2"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || return 1
        sleep 0.1
    done
}

check_removal() {
    dpkg --install /tmp/fenbu.deb >/dev/null 2>&1 || die "it cannot be installed over itself"
    [ -f "$dir/node.key" ] || die "an upgrade loses the node"
    dpkg --purge fenbu >/tmp/purge.log 2>&1 || { cat /tmp/purge.log; die "it cannot be removed"; }
    ! command -v fenbu >/dev/null || die "the command is left behind"
    [ -f "$dir/node.key" ] && grep -q 'is kept' /tmp/purge.log || die "a purge loses the node, or keeps it silently"
    ok "upgrade and removal keep the node's folder"
}

case "${1:-}" in
    --overlay) shift; overlay "$@" ;;
    --inside) inside ;;
    *) outside "$@" ;;
esac
