#!/bin/sh
# image_base.sh NAME CACHE: a base image made from Debian's packages instead of from a registry.
# CACHE keeps the root as a tar file, for the packages take a minute to fetch and unpack.
set -eu
name=$1
tar=$2/debian-trixie-python.tar
if [ ! -f "$tar" ]; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        trixie "$root" >&2
    # The build inside may only reach the package index as this machine does.
    if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/pip.conf"; fi
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc
    mkdir -p "$2"
    tar -C "$root" --exclude=./dev/* -cf "$tar.part" .
    mv "$tar.part" "$tar"
fi
container=$(buildah from scratch)
buildah add -q "$container" "$tar" / >&2
buildah commit -q --rm "$container" "$name"
