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
code-hint = Sechs Ziffern aus Ihrer Authenticator-App oder einer Ihrer Wiederherstellungscodes.
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
