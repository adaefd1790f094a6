# Texte der Konsole für Betreiber.

admin-navigation = Konsole
admin-dashboard = Übersicht
admin-users = Personen
admin-sessions = Sitzungen
admin-audit = Audit-Log
admin-own = Ihr Konto
admin-yes = Ja
admin-no = Nein
admin-filter = Anzeigen
admin-found = { $count ->
    [0] Nichts wurde gefunden
    [one] Eine Zeile
   *[other] { $count } Zeilen
}
admin-none-here = Hier wurde nichts gefunden
admin-none-here-more = Auf der nächsten Seite geht die Suche weiter.
admin-time = Zeit
admin-person = Person
admin-state = Zustand

## Die Übersicht

admin-numbers = Zurzeit
admin-accounts = Konten
admin-counted = Gezählt am { $at }.
admin-by-device = Laufende Sitzungen nach Gerät
admin-period = Zeitraum
admin-period-day = 24 Stunden
admin-period-week = 7 Tage
admin-period-month = 31 Tage
admin-logins = Anmeldungen
admin-refreshes = Erneuerungen von Tokens
admin-limited = Von Begrenzungen abgelehnt
admin-plot-label = { $title } im Verlauf. Die Tabelle darunter hat dieselben Zahlen.
admin-plot-table = Als Tabelle
admin-plot-empty = In dieser Zeit war nichts.
admin-health = Gesundheit
admin-database = Datenbank
admin-database-well = { $engine } antwortet und ist beschreibbar.
admin-database-read-only = { $engine } antwortet, ist aber nicht beschreibbar.
admin-database-away = { $engine } antwortet nicht.
admin-cache = Cache
admin-cache-memory = Im Speicher dieses Servers.
admin-cache-redis = Redis antwortet.
admin-cache-away = Redis antwortet nicht.
admin-mail = E-Mails
admin-mail-state = { $waiting } warten, { $failed } in den letzten zwei Wochen aufgegeben.
admin-clock = Uhr
admin-clock-state = { $millis ->
    [0] Dieselbe Zeit wie die Datenbank.
   *[other] { $millis } ms neben der Uhr der Datenbank.
}
admin-log = Widerrufe
admin-log-state = Zuletzt gelesen vor { $seconds ->
    [0] weniger als einer Sekunde
    [one] einer Sekunde
   *[other] { $seconds } Sekunden
}.

## Personen

admin-search = Name oder E-Mail-Adresse
admin-search-refused = Geben Sie bis zu 254 Zeichen ein.
admin-role = Rolle
admin-role-refused = Eine Rolle hat bis zu 64 Buchstaben, Ziffern und . _ : - und beginnt mit einem Buchstaben oder einer Ziffer.
admin-last-login = Letzte Anmeldung
admin-users-none = Niemand wurde gefunden
admin-state-active = Aktiv
admin-state-disabled = Gesperrt
admin-state-deletion = Wird gelöscht
admin-state-unverified = Adresse nicht bestätigt
admin-state-invited = Ohne Passwort
admin-verified = Adresse bestätigt
admin-id = Kennung
admin-password-since = Seit { $at }
admin-two-steps = Anmeldung in zwei Schritten
admin-disabled-since = Gesperrt seit
admin-deleted-on = Wird gelöscht am
admin-devices = Vertraute Geräte
admin-devices-none = Kein Gerät meldet sich ohne Code an.
admin-device-times = Vertraut seit { $created }, zuletzt benutzt { $used }, bis { $expires }

## Sitzungen

admin-session = Sitzung
admin-kind = Art
admin-kind-app = App
admin-kind-browser = Browser
admin-user-filter = E-Mail-Adresse oder Kennung
admin-user-refused = Das ist weder eine E-Mail-Adresse noch eine Kennung.
admin-sessions-live = Laufende Sitzungen
admin-sessions-ended = Beendete Sitzungen
admin-sessions-none = Keine Sitzung wurde gefunden
admin-sessions-all = Alle Sitzungen dieser Person

## Das Audit-Log

admin-event = Ereignis
admin-details = Einzelheiten
admin-by = Durch { $person }
admin-actor = Ausgeführt von
admin-outcome = Ergebnis
admin-outcome-success = Erfolg
admin-outcome-failure = Fehlschlag
admin-session-filter = Kennung einer Sitzung
admin-session-refused = Das ist nicht die Kennung einer Sitzung.
admin-from = Von (UTC)
admin-to = Bis (UTC)
admin-audit-none = Kein Eintrag wurde gefunden
admin-audit-all = Alle Einträge zu dieser Person
admin-audit-session = Alle Einträge zu dieser Sitzung
admin-entry = Eintrag im Audit-Log
admin-request = Anfrage

## Änderungen

admin-changes = Änderungen
admin-do-it = Ja, ausführen
admin-roles = Rollen
admin-roles-hint = Außer „user“, die alle haben. Durch Leerzeichen getrennt.
admin-roles-refused = Eine Rolle hat bis zu 64 Buchstaben, Ziffern und . _ : -, und es gibt höchstens 32.
admin-disable = Sperren
admin-disable-text = { $person } wird überall abgemeldet und kann sich nicht anmelden, bis das Konto entsperrt ist.
admin-enable = Entsperren
admin-enable-text = { $person } kann sich wieder anmelden.
admin-give-role = Rolle geben
admin-give-role-text = { $person } bekommt die Rolle { $role }.
admin-take-role = Rolle nehmen
admin-take-role-of = { $role } nehmen
admin-take-role-text = { $person } verliert die Rolle { $role }.
admin-end-session = Diese Sitzung beenden?
admin-end-session-text = { $person } wird sofort abgemeldet: { $session }.
admin-end-sessions = Alle Sitzungen beenden
admin-end-sessions-text = { $person } wird sofort überall abgemeldet.
admin-reset-mfa = Anmeldung in zwei Schritten zurücksetzen
admin-reset-mfa-text = { $person } meldet sich von nun an nur mit dem Passwort an. Wiederherstellungscodes und vertraute Geräte werden gelöscht, und eine E-Mail sagt es.
admin-delete-devices = Vertraute Geräte löschen
admin-delete-devices-text = { $person } braucht auf jedem Gerät bei der nächsten Anmeldung einen Code.
admin-delete = Löschen
admin-delete-text = { $person } wird überall abgemeldet. Das Konto wird nach einer Frist gelöscht, in der ein Link in einer E-Mail es erhält.
admin-delete-at-once = Sofort löschen
admin-delete-at-once-text = Das Konto von { $person } wird sofort gelöscht, mit seinen Daten. Niemand kann es zurückholen.
admin-cancel-deletion = Konto behalten
admin-cancel-deletion-text = Das Konto von { $person } wird nicht gelöscht.
admin-invite = Noch einmal einladen
admin-invite-text = { $person } bekommt eine E-Mail mit einem Link, um ein Passwort zu wählen. Frühere Links enden.
admin-reset-password = Link für ein neues Passwort schicken
admin-reset-password-text = { $person } bekommt eine E-Mail mit einem Link, um ein neues Passwort zu setzen. Das jetzige gilt bis dahin.
admin-invite-new = Person einladen
admin-invite-new-text = An diese Adresse geht eine E-Mail mit einem Link, um ein Passwort zu wählen.
admin-invite-button = Einladen
admin-done-entry = Eintrag im Audit-Log
admin-done-nothing = Es war nichts zu ändern.
admin-done = Erledigt.
admin-done-disabled = Das Konto ist gesperrt.
admin-done-enabled = Das Konto ist entsperrt.
admin-done-roles = Die Rollen sind geändert.
admin-done-ended = Die Sitzungen sind beendet.
admin-done-mfa = Die Anmeldung in zwei Schritten ist zurückgesetzt.
admin-done-devices = Die vertrauten Geräte sind gelöscht.
admin-done-deletion = Das Konto wird am { $at } gelöscht. Bis dahin kann es behalten werden.
admin-done-deleted = Das Konto und seine Daten sind gelöscht.
admin-done-kept = Das Konto bleibt.
admin-done-email = Eine E-Mail ist unterwegs.
admin-done-retried = Die E-Mails werden jetzt versucht.
admin-done-rotated = Neue Schlüssel sind veröffentlicht.
admin-done-revoked = Der Schlüssel ist widerrufen.

## Clients

admin-clients = Clients
admin-client = Client
admin-clients-none = Kein Client ist registriert
admin-clients-text = Ein Client ist ein Backend, das nach Tokens fragt, oder ein Dienst mit eigenen Tokens.
admin-client-new = Client registrieren
admin-client-button = Registrieren
admin-scopes = Scopes
admin-scopes-hint = Was er darf, durch Leerzeichen getrennt. „introspect“, „revocations“ und „token-exchange“ sind Rechte auf diesem Server.
admin-scopes-refused = Das sind keine Scopes.
admin-audiences = Audiences
admin-audiences-hint = Für wen seine Tokens sein dürfen, durch Leerzeichen getrennt.
admin-audiences-refused = Das sind keine Audiences.
admin-lifetime = Gültigkeit seiner Tokens
admin-seconds = { $seconds } Sekunden
admin-algorithm = Algorithmus
admin-secrets = Geheimnisse
admin-secrets-text = Es kann zwei geben, damit eines ersetzt werden kann, während es benutzt wird.
admin-secret-of = Geheimnis { $number }, ausgestellt { $at }
admin-secret-delete = Geheimnis { $number } löschen
admin-add-secret = Weiteres Geheimnis ausstellen
admin-add-secret-text = { $client } bekommt ein weiteres Geheimnis, das einmal gezeigt wird. Das jetzige gilt weiter.
admin-delete-secret = Dieses Geheimnis löschen?
admin-delete-secret-text = { $client } kann sich mit dem Geheimnis { $number } nicht mehr ausweisen.
admin-client-disable = Sperren
admin-client-disable-text = { $client } wird abgewiesen, ebenso seine Access-Tokens, bis er entsperrt ist.
admin-client-enable = Entsperren
admin-client-enable-text = { $client } wird wieder eingelassen.
admin-client-delete = Löschen
admin-client-delete-text = { $client } wird mit seinen Geheimnissen gelöscht, und seine Access-Tokens werden widerrufen.
admin-secret-title = Das Geheimnis des Clients
admin-secret-text = Bewahren Sie es jetzt auf: Es wird nur dieses eine Mal gezeigt.
admin-secret-kept = Ich habe es aufbewahrt

## Signaturschlüssel

admin-keys = Schlüssel
admin-keys-text = Schlüssel signieren Access-Tokens. Sie werden von selbst ersetzt; widerrufen Sie einen nur, wenn ihn jemand anderes haben könnte.
admin-key = Schlüssel
admin-key-from = Signiert ab
admin-key-ended = Signiert bis
admin-key-next = Signiert später
admin-key-active = Signiert
admin-key-retired = Prüft nur noch
admin-key-removed = Beendet
admin-key-revoked = Widerrufen
admin-rotate = Schlüssel ersetzen
admin-rotate-text = Neue Schlüssel werden jetzt veröffentlicht und signieren, sobald alle Backends sie kennen können. Niemand wird abgemeldet.
admin-revoke = Diesen Schlüssel widerrufen?
admin-revoke-key = Widerrufen: { $key }
admin-revoke-link = Widerrufen
admin-revoke-text = Alle Access-Tokens, die der Schlüssel { $key } signiert hat, werden sofort abgewiesen. Apps holen sich von selbst neue.

## E-Mails

admin-mail-waiting = Wartend
admin-mail-failed = Aufgegeben
admin-mail-failed-text = Ihre Texte sind gelöscht, weil sie Links enthielten. Öffnen Sie die Person, um einen neuen Link zu schicken.
admin-mail-none = Solche E-Mails gibt es nicht
admin-recipient = Empfänger
admin-attempts = Versuche
admin-next-attempt = Nächster Versuch
admin-last-error = Letzter Fehler
admin-retry = Jetzt noch einmal versuchen?
admin-retry-one = Diese E-Mail wird sofort versucht, wenn es nicht ohnehin in den nächsten fünf Minuten geschieht.
admin-retry-all = Alle wartenden E-Mails werden sofort versucht, außer denen, bei denen es ohnehin in den nächsten fünf Minuten geschieht.
admin-retry-button = Alle jetzt versuchen
admin-retry-link = Jetzt versuchen
admin-retry-email = Jetzt versuchen: { $recipient }

## Ablehnungen

admin-refused-forbidden = Das dürfen nur Administratoren, in einer eigenen Sitzung.
admin-refused-missing = Hier ist nichts. Vielleicht wurde es gelöscht.
admin-refused-own = Das geht mit dem eigenen Konto nicht.
admin-refused-disabled = Das Konto ist gesperrt.
admin-refused-deletion = Das Konto wird gelöscht.
admin-refused-no-deletion = Das Konto wird nicht gelöscht, oder es ist zu spät, es zu behalten.
admin-refused-last = Das ist der letzte Administrator. Geben Sie zuerst jemand anderem mit einem Passwort die Rolle „admin“.
admin-refused-password = Das Konto hat schon ein Passwort. Schicken Sie stattdessen einen Link für ein neues.
admin-refused-mfa = Die Anmeldung in zwei Schritten ist nicht eingeschaltet.
admin-refused-emails = An diese Adresse gingen zu viele E-Mails. Versuchen Sie es später noch einmal.
admin-refused-secrets = Der Client hat zwei Geheimnisse. Löschen Sie zuerst eines.

## Für jemanden handeln

acting-title = Für diese Person handeln
acting-text = Eine Viertelstunde lang sehen Sie die Seiten von { $email } wie diese Person selbst und können nichts ändern. Sie kann in ihrer Aktivität lesen, dass Sie es getan haben und warum.
acting-reason = Grund
acting-reason-hint = 3 bis 200 Zeichen, zum Beispiel die Nummer einer Anfrage.
acting-reason-refused = Ein Grund hat 3 bis 200 Zeichen in einer Zeile.
acting-button = Beginnen
acting-banner = Sie handeln für { $person }. { $minutes ->
    [one] Noch eine Minute.
   *[other] Noch { $minutes } Minuten.
}
acting-end = Beenden
acting-refused = Während Sie für jemanden handeln, können Sie nichts ändern.
acting-ended-title = Sie handeln für niemanden mehr
acting-ended = Die Zeit ist vorbei, oder die Sitzung wurde beendet.
acting-console = Zur Konsole

## Die Mitglieder geschlossener Mengen

admin-device-desktop = Computer
admin-device-mobile = Telefone
admin-device-tablet = Tablets
admin-device-tv = Fernseher
admin-device-console = Spielkonsolen
admin-device-bot = Bots
admin-device-program = Programme
admin-login-succeeded = Gelungen
admin-login-refused = Abgelehnt
admin-outcome-unavailable = Datenbank nicht erreichbar
admin-refresh-rotated = Neue Tokens
admin-refresh-replayed = Sofort wiederholt
admin-refresh-recovered = Später wiederholt
admin-refresh-caught-up = Neuer als die Datenbank
admin-refresh-invalid = Unbekanntes Token
admin-refresh-reused = Kopiertes Token
admin-refresh-revoked = Sitzung beendet
admin-refresh-expired = Sitzung abgelaufen
admin-refresh-already = Kopie einer früheren Anfrage
admin-refresh-doubted = Token gerade ersetzt
admin-refresh-unproven = Ohne Nachweis des Schlüssels
admin-limit = Begrenzung
admin-limit-login-account = Anmeldungen an einem Konto
admin-limit-login-address = Anmeldungen von einer IP-Adresse
admin-limit-register-address = Registrierungen von einer IP-Adresse
admin-limit-refresh-session = Erneuerungen einer Sitzung
admin-limit-refresh-address = Erneuerungen von einer IP-Adresse
admin-limit-forgot-account = E-Mails an ein Konto
admin-limit-mfa-account = Codes für ein Konto
admin-limit-write-account = Änderungen durch ein Konto
admin-limit-search-account = Abfragen durch ein Konto
admin-reason = Grund
admin-end-logout = abgemeldet
admin-end-owner = vom Inhaber auf einem anderen Gerät beendet
admin-end-operator = von den Betreibern beendet
admin-end-reused = eine Kopie ihres Tokens wurde benutzt
admin-end-password = das Passwort wurde geändert
admin-end-reported = vom Inhaber gemeldet
admin-end-proved = die E-Mail-Adresse wurde zum ersten Mal bestätigt
admin-end-disabled = das Konto wurde gesperrt
admin-end-deleted = das Konto wurde gelöscht
admin-end-limit = zu viele Sitzungen
admin-end-changed = das Konto hat sich geändert
admin-end-token = das Token wurde widerrufen
admin-end-key = der Signaturschlüssel wurde widerrufen
admin-end-client = der Client wurde gelöscht
admin-event-impersonation = Ein Administrator hat für diese Person gehandelt
admin-email-verify = Adresse bestätigen
admin-email-reset = Neues Passwort
admin-email-invitation = Einladung
admin-email-change-old = Wechsel der Adresse, an die jetzige
admin-email-change-new = Wechsel der Adresse, an die neue
admin-email-changed = Adresse geändert
admin-email-login = Ungewöhnliche Anmeldung
admin-email-reused = Kopiertes Token
admin-email-password = Passwort geändert
admin-email-mfa = Anmeldung in zwei Schritten geändert
admin-email-codes = Viele falsche Codes
admin-email-alerts = Hinweise abgeschaltet
admin-email-limit = Zu viele Sitzungen
admin-email-deletion = Konto wird gelöscht
admin-email-kept = Konto bleibt
admin-email-deleted = Konto gelöscht
