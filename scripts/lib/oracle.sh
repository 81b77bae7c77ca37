#!/usr/bin/env bash
# The packages of the independent reader. Sourced, not run, in the folder of the repository.

# Sets `venv` to a folder that is used again as long as the wanted versions stay the same.
make_venv() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/forebay wanted=tests/oracle/requirements.txt
    venv=$cache/oracle-$(sha256sum $wanted | cut -c1-12)
    mkdir -p "$cache"
    (
        flock 9
        if [ ! -e "$venv/complete" ]; then
            rm -rf "$venv"
            python3 -m venv "$venv" && "$venv/bin/python" -m pip install -q -r $wanted && touch "$venv/complete"
        fi
    ) 9>"$cache/oracle.lock"
}
