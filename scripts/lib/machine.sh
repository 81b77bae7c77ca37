#!/usr/bin/env bash
# What a machine must have, for the scripts that build. Sourced, not run.

has() { command -v "$1" >/dev/null; }

# Finds cargo, also where rustup has put it and no shell knows of it yet.
find_cargo() {
    if ! has cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
    if ! has cargo; then
        echo "cargo not found: install Rust as https://rustup.rs says" >&2
        return 1
    fi
}

# Debian packages without which nothing can be built.
missing_to_build() {
    if ! has cc || ! has c++ || ! has make; then echo build-essential; fi
    has cmake || echo cmake
    has pkg-config || echo pkg-config
    if ! has pkg-config || ! pkg-config --exists openssl; then echo libssl-dev; fi
}

# Installs the packages that the function $1 names, as root on Debian; else says which are missing, and fails.
provide() {
    local packages
    mapfile -t packages < <("$1")
    if [ ${#packages[@]} -eq 0 ]; then return 0; fi
    if has apt-get && [ "$(id -u)" = 0 ]; then
        echo "installing ${packages[*]}" >&2
        if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"; } >&2; then
            echo "could not install ${packages[*]}" >&2
        fi
        mapfile -t packages < <("$1")
        if [ ${#packages[@]} -eq 0 ]; then return 0; fi
    fi
    echo "missing here: sudo apt-get install ${packages[*]}" >&2
    return 1
}
