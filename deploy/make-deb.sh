#!/usr/bin/env bash
# Builds the Debian package; needs no root.
#
#   deploy/make-deb.sh [--binary PATH] [--out DIR]
#
#   --binary PATH  package this fenbu instead of building one
#   --out DIR      where the package goes (default: target/debian)
#
# The same sources and SOURCE_DATE_EPOCH (default: the time of the last commit) give the same bytes.
# The last line on stdout is the package's path; everything else goes to stderr.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
die() { printf 'make-deb: %s\n' "$*" >&2; exit 1; }
say() { printf 'make-deb: %s\n' "$*" >&2; }

binary="" out=""
while [ $# -gt 0 ]; do
    case "$1" in
        --binary) binary="${2:?--binary lacks a path}"; shift 2 ;;
        --out) out="${2:?--out lacks a folder}"; shift 2 ;;
        -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "there is no flag or argument $1; see --help" ;;
    esac
done

for tool in dpkg dpkg-deb objdump readelf gzip strip; do
    command -v "$tool" >/dev/null || die "$tool is missing: install dpkg, binutils and gzip"
done

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH="$(git -C "$root" log -1 --format=%ct 2>/dev/null)" \
        || die "this is no git clone: set SOURCE_DATE_EPOCH to the seconds since 1970 to put into the package"
fi
export SOURCE_DATE_EPOCH

target="${CARGO_TARGET_DIR:-$root/target}"
out="${out:-$target/debian}"

# Paths of the building machine are cut from the binary: they differ between machines and name people.
build() {
    local cargo_home="${CARGO_HOME:-$HOME/.cargo}"
    local separator=$'\x1f'
    say "building the release (cargo build --profile dist --locked --package fenbu)"
    # A folder of its own: these flags would make every other release build start anew.
    CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$cargo_home=cargo${separator}--remap-path-prefix=$root=fenbu" \
        cargo build --profile dist --locked --package fenbu \
        --manifest-path "$root/Cargo.toml" --target-dir "$target/package" >&2
    binary="$target/package/dist/fenbu"
}
[ -n "$binary" ] || build
[ -x "$binary" ] || die "$binary is no program"

# "fenbu 0.1.0", from the program itself, so that the package cannot claim another version.
version="$("$binary" --version)" || die "$binary does not run here"
version="${version#fenbu }"
[[ "$version" =~ ^[0-9]+\.[0-9]+\.[0-9]+[^[:space:]]*$ ]] || die "$binary is no fenbu: it says it is version '${version%%$'\n'*}'"
manifest_version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")"
[ "$version" = "$manifest_version" ] \
    || die "$binary is version $version, Cargo.toml says $manifest_version: build it again"
# A pre-release sorts before its release.
deb_version="${version/-/\~}"
architecture="$(dpkg --print-architecture)"

# What it links to must come with libc6, which brings libgcc_s itself.
needed="$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')"
for library in $needed; do
    case "$library" in
        libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | libgcc_s.so.1 | ld-linux*.so.*) ;;
        *) die "$binary needs $library, which the package does not depend on" ;;
    esac
done
glibc="$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)"
[ -n "$glibc" ] || die "$binary names no version of glibc"

stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
install_file() { install -D -m "$1" "$2" "$stage/$3"; }

install_file 755 "$binary" usr/bin/fenbu
strip --strip-unneeded "$stage/usr/bin/fenbu"
install_file 644 "$root/deploy/fenbu.service" lib/systemd/system/fenbu.service
doc=usr/share/doc/fenbu
for file in node.example.toml RUNBOOK.md RUNBOOK.zh-CN.md; do
    install_file 644 "$root/deploy/$file" "$doc/$file"
done
gzip -9n <"$root/deploy/CHANGELOG.md" >"$stage/$doc/changelog.gz"
cat >"$stage/$doc/copyright" <<EOF
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: fenbu

Files: *
Copyright: the fenbu maintainers
License: Apache-2.0
 On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.
EOF
if [ -f "$root/deploy/fenbu.1" ]; then
    mkdir -p "$stage/usr/share/man/man1"
    gzip -9n <"$root/deploy/fenbu.1" >"$stage/usr/share/man/man1/fenbu.1.gz"
fi

completions() {
    mkdir -p "$(dirname "$stage/$2")"
    "$binary" --lang en completions "$1" >"$stage/$2" || die "$binary has no completions for $1"
}
completions bash usr/share/bash-completion/completions/fenbu
completions zsh usr/share/zsh/vendor-completions/_fenbu
completions fish usr/share/fish/vendor_completions.d/fenbu.fish

mkdir "$stage/DEBIAN"
for script in postinst prerm postrm; do
    install -m 755 "$root/deploy/debian/$script" "$stage/DEBIAN/$script"
done
# Of the files alone: what a folder takes depends on the file system.
size_kib="$(find "$stage" -path "$stage/DEBIAN" -prune -o -type f -printf '%s\n' | awk '{n += $1} END {print int(n / 1024) + 1}')"
cat >"$stage/DEBIAN/control" <<EOF
Package: fenbu
Version: $deb_version
Architecture: $architecture
Maintainer: The fenbu maintainers <fenbu@localhost>
Installed-Size: $size_kib
Depends: libc6 (>= $glibc)
Section: net
Priority: optional
Description: federated record node
 Each office runs a node, writes locally at once, and merges with the others
 over QUIC without conflicts. This package holds the fenbu command, which
 administers a node and runs its daemon, and a systemd unit.
EOF
(cd "$stage" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) \
    >"$stage/DEBIAN/md5sums"
chmod 644 "$stage/DEBIAN/control" "$stage/DEBIAN/md5sums" "$stage/$doc"/*.gz "$stage/$doc/copyright"
chmod 644 "$stage"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}/*
find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
package="$out/fenbu_${deb_version}_${architecture}.deb"
# One thread and one format, so that the bytes do not depend on the machine; older dpkgs read xz.
dpkg-deb --root-owner-group --threads-max=1 --uniform-compression -Zxz --build "$stage" "$package" >&2
printf '%s\n' "$package"
