# Python, which makes no environments, and whose pip asks no index: it installs what the tests have already.

case "$*" in
'-m venv '*)
    mkdir -p "$3/bin"
    touch "$3/bin/activate"
    ;;
'-m pip install '*)
    for package in "${@:4}"; do
        case $package in
        # Where Python finds it without being told.
        ../*) cp -R "$package"/keyturn_* . ;;
        *) "$python" -c 'import importlib.metadata, sys; importlib.metadata.version(sys.argv[1])' "$package" ;;
        esac
    done
    ;;
*) exec "$python" "$@" ;;
esac
