# A client in a shell that has heard of no network that fails: it takes each failure for the end of the session.
post() { curl -sf -H 'content-type: application/json' "$KEYTURN_URL$1" -d "$2"; }
get() { curl -sf -H "authorization: Bearer $(cat "$KEYTURN_FOLDER/access")" "$KEYTURN_URL$1" >/dev/null; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
keep() {
    printf '%s' "$1" | field access_token >"$KEYTURN_FOLDER/access"
    printf '%s' "$1" | field refresh_token >"$KEYTURN_FOLDER/refresh"
}
login() {
    body="{\"email\":\"$KEYTURN_EMAIL\",\"password\":\"$KEYTURN_PASSWORD\"}"
    answer=$(post /api/v1/auth/login "$body") && keep "$answer"
}
refresh() {
    if answer=$(post /api/v1/sessions/refresh "{\"refresh_token\":\"$(cat "$KEYTURN_FOLDER/refresh")\"}"); then
        keep "$answer"
    else
        rm "$KEYTURN_FOLDER/refresh"
        echo '{"signedOut":"refused"}'
        return 1
    fi
}
call() { [ -f "$KEYTURN_FOLDER/refresh" ] && { get /api/v1/auth/me || { refresh && get /api/v1/auth/me; }; }; }
logout() { rm "$KEYTURN_FOLDER/refresh"; }

for step in $KEYTURN_STEPS; do
    if $step; then ok=true; else ok=false; fi
    echo "{\"step\":\"$step\",\"ok\":$ok}"
done
