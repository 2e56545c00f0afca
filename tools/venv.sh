# Sourced by the other tools: makes a virtual environment with edgecam in it, once, and again when pyproject.toml changes.
# shellcheck shell=bash

# make_venv FOLDER EXTRAS [OPTION...]: FOLDER is relative to the checkout; EXTRAS is a list as in pip's brackets, or
# empty; the options are those of `python -m venv`.
# Speaks on stderr only. The interpreter is $PYTHON, python3 unless set.
make_venv() {
    local folder=$1 extras=$2 python=${PYTHON:-python3} stamp
    shift 2
    stamp=$("$python" --version 2>&1; echo "$extras${*:+ $*}"; sha256sum pyproject.toml) || return 1
    [ "$(cat "$folder/edgecam-stamp" 2>/dev/null)" = "$stamp" ] && return 0
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "edgecam: $("$python" --version 2>&1) is too old: set PYTHON to a Python 3.11 or newer" >&2
        return 1
    }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module || return 1
    echo "edgecam: setting up $folder (about a minute, once)" >&2
    rm -rf "$folder"
    "$python" -m venv "$@" "$folder" >&2 || return 1
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}" >&2 || {
        echo "edgecam: the packages could not be installed; see the lines above (is the package index reachable?)" >&2
        return 1
    }
    printf '%s\n' "$stamp" > "$folder/edgecam-stamp"
}

# TensorFlow 2.18 has no wheels past Python 3.12: where python3 is newer, an older one is looked for, unless $PYTHON says.
choose_python_for_tensorflow() {
    local candidate
    if [ -n "${PYTHON:-}" ] || python3 -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
        return 0
    fi
    for candidate in python3.12 python3.11; do
        if command -v "$candidate" >/dev/null; then
            PYTHON=$candidate
            return 0
        fi
    done
    echo "edgecam: TensorFlow 2.18 wants Python 3.11 or 3.12, $(python3 --version 2>&1) is newer: set PYTHON to one" >&2
    return 1
}

# Debian ships Python without ensurepip; the package that has it is named after the version.
install_venv_module() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "edgecam: installing python3-venv" >&2
        apt-get update -qq >&2 && apt-get install -y -qq python3-venv >&2 && return 0
    fi
    echo "edgecam: this Python cannot make virtual environments: apt-get install python3-venv" >&2
    return 1
}

# The tests have a software Edge TPU in C; where no compiler can be had they are left out, and say so.
want_compiler() {
    echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1 && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "edgecam: installing gcc and libc6-dev, for the software Edge TPU of the tests" >&2
        apt-get update -qq >&2 && apt-get install -y -qq gcc libc6-dev >&2 && return 0
    fi
    echo "edgecam: no C compiler, so no Edge TPU tests: apt-get install gcc libc6-dev" >&2
}

# The tests look at a real window, on an X server without a monitor; where none can be had they skip, and say so.
want_x_server() {
    command -v Xvfb >/dev/null && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "edgecam: installing xvfb, for the tests of the window" >&2
        apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends xvfb >&2 && return 0
    fi
    echo "edgecam: no X server, so no tests of the window: apt-get install xvfb" >&2
}

# The tests talk to a real MQTT broker of their own; where none can be had they skip, and say so. The package would start
# a broker for the whole machine, and at every boot: neither is wanted.
want_mosquitto() {
    PATH=$PATH:/usr/sbin command -v mosquitto >/dev/null && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "edgecam: installing mosquitto, for the tests of MQTT" >&2
        apt-get update -qq >&2 && install_without_starting mosquitto openssl && disable_service mosquitto && return 0
    fi
    echo "edgecam: no MQTT broker, so no tests of MQTT: apt-get install mosquitto openssl" >&2
}

# install_without_starting PACKAGE...: Debian asks policy-rc.d whether a service may start; 101 means no.
install_without_starting() {
    local policy=/usr/sbin/policy-rc.d made="" status=0
    if [ ! -e "$policy" ]; then
        made=$policy
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
    fi
    apt-get install -y -qq --no-install-recommends "$@" >&2 || status=$?
    [ -z "$made" ] || rm -f "$made"
    return "$status"
}

disable_service() {
    if command -v systemctl >/dev/null; then
        systemctl disable --quiet "$1" >&2 || true
    elif [ -x /usr/sbin/update-rc.d ]; then
        /usr/sbin/update-rc.d "$1" disable >&2 || true
    fi
}
