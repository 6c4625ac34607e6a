# Sourced by the other scripts: a Python, uv where it is, and an environment made of locked packages.
# shellcheck shell=bash

export UV_PYTHON_DOWNLOADS=never # the machine's own Pythons only

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# The real path of an interpreter that runs and is of the version asked for ("3.12"; else 3.11 or later).
# Being found is not enough: a version manager's stand-in may exist for a Python that is not set up.
real_python() { # CANDIDATE [VERSION]
    "$1" -c '
import os, sys
if sys.version_info < (3, 11) or sys.argv[1:] not in ([], ["%d.%d" % sys.version_info[:2]]):
    sys.exit(1)
print(os.path.realpath(sys.executable))' "${@:2}" 2>/dev/null
}

find_python() { # [VERSION]
    local version=${1:-} candidate
    local -a candidates=()
    if [[ -n $version ]]; then
        candidates=("python$version")
    elif [[ -n ${PYTHON:-} ]]; then
        real_python "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or later"
        return
    else
        candidates=(python3.11 python3.12 python3.13 python3.14 python3 python)
    fi
    candidates+=("${PYENV_ROOT:-$HOME/.pyenv}/versions/${version:-3}".*/bin/python)
    for candidate in "${candidates[@]}"; do
        real_python "$candidate" ${version:+"$version"} && return
    done
    [[ -n $version ]] || fail "Python 3.11 or later is needed and none was found; PYTHON=/path/to/python names one"
    return 1
}

find_uv() {
    command -v uv || { [[ -x .tools/bin/uv ]] && printf '%s\n' .tools/bin/uv; }
}

# DIR becomes an environment with exactly the packages of REQUIREMENTS and, editable, the project;
# nothing happens when it is one already. Uses $uv when that is set, else the interpreter's own pip.
make_environment() { # DIR PYTHON REQUIREMENTS
    local dir=$1 python=$2 requirements=$3 stamp
    stamp="$PWD $("$python" -V) $(cat "$requirements" pyproject.toml | cksum)"
    [[ -f $dir/.stamp && $(<"$dir/.stamp") == "$stamp" ]] && return
    if [[ -n ${uv:-} ]]; then
        if [[ $("$dir/bin/python" -V 2>/dev/null) != "$("$python" -V)" ]]; then
            "$uv" venv --quiet --clear --python "$python" "$dir"
        fi
        "$uv" pip sync --quiet --python "$dir" --require-hashes "$requirements"
        "$uv" pip install --quiet --python "$dir" --no-deps --no-build-isolation --editable .
    else
        make_venv "$dir" "$python"
        "$dir/bin/python" -m pip install --quiet --require-hashes --requirement "$requirements"
        "$dir/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
    fi
    printf '%s\n' "$stamp" >"$dir/.stamp"
}

make_venv() { # DIR PYTHON
    "$2" -m venv --clear "$1" ||
        fail "$2 cannot make a virtual environment: install its venv module (Debian: python3-venv), or uv"
}
