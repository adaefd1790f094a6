# Texte der Seiten für Leute, die sich hier anmelden.

email = E-Mail-Adresse
password = Passwort
cancel = Abbrechen
save = Speichern
logout = Abmelden

## Die Anmeldung

login-title = Anmelden
login-button = Anmelden
login-no-email = Das ist keine E-Mail-Adresse.
login-wrong = Die E-Mail-Adresse oder das Passwort ist falsch.
login-disabled = Dieses Konto ist gesperrt.
login-unverified = Diese E-Mail-Adresse ist noch nicht bestätigt. Wir haben Ihnen eine E-Mail mit einem Link geschickt.
login-deleted = Dieses Konto wird am { $at } gelöscht. Der Link in der E-Mail dazu erhält es.
code-title = Noch ein Schritt
code = Code
code-hint = Sechs Ziffern aus Ihrer Authenticator-App.
code-recovery-instead = Stattdessen einen Wiederherstellungscode verwenden
code-recovery = Wiederherstellungscode
code-recovery-hint = Jeder Ihrer Wiederherstellungscodes gilt einmal.
code-missing = Geben Sie einen Code ein.
code-remember = Auf diesem Gerät 30 Tage lang nach keinem Code fragen
code-button = Anmelden
code-wrong = Dieser Code ist falsch oder wurde schon benutzt.
code-expired = Das hat zu lange gedauert. Melden Sie sich noch einmal an.

## Sitzungen

sessions-title = Wo Sie angemeldet sind
sessions-of = Die Geräte und Apps, die als { $email } angemeldet sind. Beenden Sie, was Sie nicht kennen.
sessions-ended = Beendet
session-this = Dieses Gerät
session-impersonation = Support
session-browser = Auf dieser Seite angemeldet
session-app = Mit einer App angemeldet
session-within = Apps
session-from = Von
session-last-used = Zuletzt benutzt
session-now = Jetzt
session-begun = Angemeldet
session-expires = Endet ohne Benutzung
session-ended = Beendet
session-password = mit einem Passwort
session-two-steps = in zwei Schritten
session-name = Name
session-name-refused = Ein Name hat bis zu 100 Zeichen und keine Steuerzeichen.
session-rename = Umbenennen
session-end = { $session } beenden
end-title = Diese Sitzung beenden?
end-question = { $session } wird sofort abgemeldet.
end-others-title = Alle anderen Sitzungen beenden?
end-others-question = { $count ->
    [one] Ein Gerät oder eine App wird sofort abgemeldet. Dieses Gerät bleibt angemeldet.
   *[other] { $count } Geräte und Apps werden sofort abgemeldet. Dieses Gerät bleibt angemeldet.
}
end-others-link = { $count ->
    [one] Die andere Sitzung beenden
   *[other] Alle { $count } anderen beenden
}
end-button = Beenden
reason-expired = sie wurde nicht mehr benutzt
reason-logout = dort abgemeldet
reason-ended = von Ihnen beendet
reason-operator = von den Betreibern dieser Seite beendet
reason-password = das Passwort wurde geändert
reason-reported = Sie haben sie gemeldet
reason-reused = eine Kopie ihres Tokens wurde benutzt
reason-limit = zu viele Geräte waren angemeldet
reason-disabled = das Konto wurde gesperrt
reason-other = das Konto hat sich geändert

## Ein Konto und seine Formulare

account-navigation = Ihr Konto
sessions-tab = Geräte
security-tab = Sicherheit
activity-tab = Aktivität
profile-tab = Profil
to-login = Anmelden
login-forgot = Passwort vergessen?
login-register = Konto anlegen

confirm-text = Bestätigen Sie mit dem Passwort von { $email }, dass Sie es sind. Ihre Eingaben bleiben erhalten.
confirm-wrong = Dieses Passwort ist falsch.
confirm-no-code = Geben Sie auch einen Code ein.
confirm-button = Bestätigen
once-title = Das ist bereits geschehen
once-text = Das Formular wurde schon gesendet, deshalb ist nichts noch einmal geschehen. Ein Geheimnis wird nur einmal angezeigt: Wenn Sie es nicht aufbewahrt haben, erzeugen Sie ein neues.

register-title = Konto anlegen
register-name = Name (freiwillig)
register-button = Konto anlegen
register-login = Ich habe schon ein Konto
register-taken = Zu dieser E-Mail-Adresse gibt es schon ein Konto. Melden Sie sich an oder fordern Sie ein neues Passwort an.
register-closed-title = Keine Registrierung
register-closed = Auf dieser Seite kann niemand selbst ein Konto anlegen. Bitten Sie die Betreiber um eine Einladung.
registered-title = Sehen Sie in Ihre E-Mails
registered-text = Wir haben einen Link an { $email } geschickt. Öffnen Sie ihn, um die Adresse zu bestätigen, und melden Sie sich dann an.
password-hint = Mindestens 8 Zeichen. Ein paar Wörter, die nicht zusammengehören, kann man sich gut merken.

forgot-title = Passwort vergessen?
forgot-text = Geben Sie die E-Mail-Adresse Ihres Kontos ein. Sie bekommen einen Link, um ein neues Passwort zu wählen.
forgot-button = Link senden
forgot-done-title = Sehen Sie in Ihre E-Mails
forgot-done-text = Falls { $email } hier ein Konto hat, ist eine E-Mail mit einem Link unterwegs. Das kann einige Minuten dauern; sehen Sie auch im Spam-Ordner nach.

profile-title = Ihr Profil
profile-name-hint = Apps können ihn anzeigen. Lassen Sie das Feld leer, wenn Sie keinen angeben wollen.
profile-name-done = Ihr Name ist gespeichert.
profile-language = Sprache
profile-language-label = Sprache der Seiten und E-Mails
profile-language-browser = Wie der Browser es wünscht
profile-language-done = Ihre Sprache ist gespeichert.
profile-verified = Bestätigt
profile-unverified = Nicht bestätigt
profile-resend = Bestätigungs-E-Mail noch einmal senden
profile-verification-done = Eine E-Mail mit einem Link ist unterwegs.
profile-pending = Ein Wechsel zu { $email } wartet auf beide Adressen: Öffnen Sie die Links in den zwei E-Mails.
profile-pending-cancel = Wechsel abbrechen
profile-email-change = E-Mail-Adresse ändern
profile-new-email = Neue E-Mail-Adresse
profile-new-email-hint = Beide Adressen bekommen eine E-Mail mit einem Link. Nichts ändert sich, bevor beide geöffnet wurden.
profile-email-button = Links senden
profile-email-done = E-Mails an beide Adressen sind unterwegs.
profile-email-cancelled-done = Der Wechsel ist abgebrochen.
profile-email-unchanged = Das ist schon Ihre Adresse.

data-title = Ihre Daten
data-text = Eine Datei im Format JSON mit allem, was über Sie gespeichert ist, außer Passwörtern und Geheimnissen.
data-export = Meine Daten herunterladen
data-ready = Die Datei ist bereit.
data-delete = Mein Konto löschen

delete-title = Konto löschen?
delete-text = { $email } wird überall abgemeldet. Sie bekommen eine E-Mail mit einem Link, der das Konto erhält, falls Sie es sich anders überlegen; danach werden alle Daten gelöscht.
delete-button = Mein Konto löschen
delete-last-administrator = Dieses Konto ist das letzte mit Administratorrechten. Geben Sie sie zuerst jemand anderem.
deleted-title = Ihr Konto wird gelöscht
deleted-text = Sie sind überall abgemeldet. Am { $at } werden das Konto und seine Daten gelöscht. Bis dahin erhält es der Link in der E-Mail, die wir Ihnen geschickt haben.

security-title = Sicherheit
security-password-text = Ein neues Passwort meldet alle Ihre anderen Geräte ab.
security-current-password = Bisheriges Passwort
security-password-button = Passwort ändern
security-password-done = Ihr Passwort ist geändert. Alle anderen Geräte sind abgemeldet.
security-alerts-done = Gespeichert.
security-devices-done = Entfernt. Die nächste Anmeldung dort verlangt einen Code.
security-two-step-off-done = Die Anmeldung in zwei Schritten ist aus.

two-step = Anmeldung in zwei Schritten
two-step-text = Eine Anmeldung braucht außer dem Passwort einen Code einer App auf Ihrem Telefon: Wer nur Ihr Passwort erfährt, kann sich damit nicht anmelden.
two-step-is-on = Ein
two-step-is-off = Aus
two-step-turn-on = Einschalten
two-step-turn-off = Anmeldung in zwei Schritten ausschalten
two-step-off-text = Danach genügt das Passwort allein. Die Wiederherstellungscodes und vertrauten Geräte werden gelöscht.
two-step-off-button = Ausschalten
two-step-title = Anmeldung in zwei Schritten einschalten
two-step-scan = Scannen Sie dieses Bild mit einer Authenticator-App.
two-step-qr = QR-Code mit dem Geheimnis für Ihre App
two-step-open = In einer App auf diesem Gerät öffnen
two-step-by-hand = Das Geheimnis von Hand eingeben
two-step-enter = Geben Sie den Code ein, den die App zeigt.
two-step-end-others = Alle anderen Geräte abmelden
two-step-end-others-hint = Sie wurden ohne Code angemeldet.
two-step-wrong = Dieser Code ist falsch. Geben Sie den ein, den die App jetzt zeigt. Geht die Uhr des Telefons richtig?
two-step-replaced = Das Bild wurde ersetzt, weil diese Seite noch einmal geöffnet wurde. Scannen Sie das folgende.
two-step-done = Die Anmeldung in zwei Schritten ist ein.

codes-title = Ihre Wiederherstellungscodes
codes-done = Die bisherigen Codes gelten nicht mehr.
codes-text = Mit jedem dieser Codes können Sie sich einmal anmelden, wenn Sie Ihr Telefon verlieren. Bewahren Sie sie dort auf, wo Sie sie ohne das Telefon finden. Sie werden nicht noch einmal gezeigt.
codes-left = { $count ->
    [0] Sie haben keine Wiederherstellungscodes mehr. Erzeugen Sie neue.
    [one] Sie haben noch einen Wiederherstellungscode.
   *[other] Sie haben noch { $count } Wiederherstellungscodes.
}
codes-replace = Neue Wiederherstellungscodes erzeugen
codes-download = Herunterladen
codes-copy = Kopieren
codes-copied = Kopiert.
codes-print = Drucken
codes-kept = Ich habe sie aufbewahrt

devices-title = Vertraute Geräte
devices-text = Diese Browser melden sich ohne Code an.
devices-remove = { $device } entfernen
devices-remove-all = Alle entfernen

alerts-title = Benachrichtigungen
alerts-label = Bei ungewöhnlichen Anmeldungen eine E-Mail schicken
alerts-hint = Ein neues Gerät, ein anderes Land oder zwei zu weit entfernte Orte. Von Änderungen des Passworts erfahren Sie immer.

activity-title = Aktivität
activity-text = Was mit Ihrem Konto geschehen ist, das Neueste zuerst.
activity-filter = Filter
activity-what = Was
activity-everything = Alles
activity-outcome = Ergebnis
activity-any-outcome = Alle
activity-failed = Nur Abgelehntes
activity-succeeded = Nur Gelungenes
activity-from = Von
activity-to = Bis
activity-show = Anzeigen
activity-all = Alles anzeigen
activity-nothing = Es gibt nichts anzuzeigen.
activity-failure = Abgelehnt
activity-by-others = Von den Betreibern
activity-newest = Neueste
activity-older = Ältere
activity-export = Als CSV herunterladen

not-me-title = Waren Sie das nicht?
not-me-question = Wir melden { $session } sofort ab und vertrauen keinem Ihrer Geräte mehr. Dann wählen Sie ein neues Passwort.
not-me-button = Das war ich nicht
session-not-me = Das war ich nicht
security-reported-done = Wir haben das Gerät abgemeldet. Wer es benutzt hat, kennt vielleicht Ihr Passwort: Wählen Sie jetzt ein neues.
ended-title = Sie sind abgemeldet
ended-text = { $session } wurde am { $at } abgemeldet: { $reason }.
ended-text-plain = Dieser Browser ist nicht mehr angemeldet.
ended-login = Wieder anmelden
password-accepted = Dieses Passwort ist schwer zu erraten.
sessions-changed = Die Liste hat sich geändert.
other-title = Jetzt ist ein anderes Konto angemeldet
other-text = Es hat sich nichts geändert. Die Seite gehörte zu einem anderen Konto als dem, das in diesem Browser jetzt angemeldet ist: Laden Sie sie neu.
