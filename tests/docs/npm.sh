# A stand-in for npm, which would ask its registry.

# Lays the packages of the tests into the folder, in a folder of their own where others come to them.
lay() {
    if [[ -e node_modules ]]; then return; fi
    if [[ " $*" != *' ../'* ]]; then
        ln -s "$modules" node_modules
    else
        mkdir node_modules
        cp -al "$modules/." node_modules 2>/dev/null || cp -a "$modules/." node_modules
    fi
}

version_of() { "$node" -p 'require(process.argv[1]).version' "$1/package.json"; }

install() {
    lay "$@"
    for package; do
        case $package in
        -*) ;;
        ../*)
            target=node_modules/$("$node" -p 'require(process.argv[1]).name' "$PWD/$package/package.json")
            echo "$package $target" >>node_modules/.from
            ;;
        *)
            installed=$(version_of "$modules/${package%@*}")
            [[ $package == ?*@* && $installed. == "${package##*@}".* ]] ||
                { echo "the tests have $package in version $installed" >&2 && exit 1; }
            ;;
        esac
    done
    # At every install npm links folders that it is not told to copy, and what they import is not beside them then.
    if [[ -e node_modules/.from ]]; then
        while read -r package target; do
            rm -rf "$target"
            mkdir -p "${target%/*}"
            if [[ " $*" == *' --install-links'* ]] || grep -qsx 'install-links=true' .npmrc; then
                mkdir "$target"
                (cd "$package" && tar --create --exclude=./node_modules .) | tar --extract --directory "$target"
            else
                ln -s "$PWD/$package" "$target"
            fi
        done <node_modules/.from
    fi
}

case $1 in
install) install "${@:2}" ;;
run)
    script=$("$node" -p 'require("./package.json").scripts[process.argv[1]]' "$2")
    PATH=$PWD/node_modules/.bin:$PATH exec bash -ec "$script"
    ;;
*) echo "this npm cannot $1" >&2 && exit 1 ;;
esac
