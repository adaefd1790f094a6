# A client in a shell that has heard of no network that fails: it takes each failure for the end of the session.
ask() { curl -sf -H 'content-type: application/json' "$@"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
keep() {
    printf '%s' "$1" | field access_token >"$KEYTURN_FOLDER/access"
    printf '%s' "$1" | field refresh_token >"$KEYTURN_FOLDER/refresh"
}
get() { curl -sf -H "authorization: Bearer $(cat "$KEYTURN_FOLDER/access")" "$KEYTURN_URL/api/v1/auth/me" >/dev/null; }
refresh() {
    answer=$(ask "$KEYTURN_URL/api/v1/sessions/refresh" -d "{\"refresh_token\":\"$(cat "$KEYTURN_FOLDER/refresh")\"}") ||
        { rm -f "$KEYTURN_FOLDER/refresh"; echo '{"signedOut":"refused"}'; return 1; }
    keep "$answer"
}
for step in $KEYTURN_STEPS; do
    ok=true
    case $step in
    login) answer=$(ask "$KEYTURN_URL/api/v1/auth/login" -d "{\"email\":\"$KEYTURN_EMAIL\",\"password\":\"$KEYTURN_PASSWORD\"}") && keep "$answer" || ok=false ;;
    call) [ -f "$KEYTURN_FOLDER/refresh" ] && { get || { refresh && get; }; } || ok=false ;;
    logout) rm "$KEYTURN_FOLDER/refresh" ;;
    esac
    echo "{\"step\":\"$step\",\"ok\":$ok}"
done
