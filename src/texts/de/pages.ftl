# Texte der Seiten. Ein Text enthält kein Markup: Links und Code sind Werte, die die Vorlagen einsetzen.

time = { $day }. { $month ->
    [1] Januar
    [2] Februar
    [3] März
    [4] April
    [5] Mai
    [6] Juni
    [7] Juli
    [8] August
    [9] September
    [10] Oktober
    [11] November
   *[12] Dezember
} { $year }, { $time } Uhr (UTC)

## Auf jeder Seite

skip-to-content = Zum Inhalt springen
form-refused = Bitte prüfen Sie Ihre Eingabe.
choice-refused = Wählen Sie etwas aus der Liste.
day-refused = Geben Sie einen Tag ein, zum Beispiel 2026-12-31.
days-reversed = Der letzte Tag liegt vor dem ersten.
cursor-title = Diese Seite der Liste gibt es nicht mehr
cursor-text = Die Liste hat sich geändert, oder der Link ist unvollständig.
cursor-first = Zur ersten Seite
icon-phone = Telefon
icon-tablet = Tablet
icon-desktop = Computer
icon-tv = Fernseher oder Konsole
icon-terminal = Programm
icon-unknown = Unbekanntes Gerät
icon-warning = Warnung
icon-check = Erledigt
page-previous = Vorige Seite
to-first-page = Zur Startseite
page-next = Nächste Seite
page-navigation = Seiten

## Die erste Seite

welcome-works = keyturn läuft
welcome-what = Das ist keyturn, ein Auth-Server: Er registriert Personen, meldet sie an und gibt Tokens aus, die Ihr Backend prüfen kann. Er läuft nur für diesen Computer.
welcome-next = Die nächsten Schritte
welcome-try = Probieren Sie die API im { $explorer } aus: Legen Sie ein Konto an und sehen Sie sich dessen Sitzung an.
welcome-email = Lesen Sie die erste E-Mail: Ihr Link steht im Log des Servers.
welcome-verify = Prüfen Sie Tokens in Ihrem Backend: mit den Schlüsseln von { $keys }, dem Issuer { $issuer } und der Audience { $audience }.
welcome-guides = Lesen Sie die Anleitungen im Ordner { $folder } des Quelltexts: zu Apps, zu Backends und zum Betrieb.
welcome-people = Dieser Server verwaltet die Konten von { $site }. Um sich bei einer App oder Website anzumelden, öffnen Sie sie. Hier sehen Sie, wo Sie angemeldet sind, und ändern Ihr Passwort.
welcome-account = Ihr Konto
welcome-developers = Für Entwickler
welcome-explorer = API-Explorer
welcome-explorer-about = { $explorer }: alle Routen, zum Nachlesen und Ausprobieren
welcome-openapi-about = { $document }, für Generatoren von Clients
welcome-metadata = Metadaten
welcome-keys = Schlüssel
welcome-metadata-about = { $metadata } und { $keys }, für Backends
welcome-health = Zustand
welcome-health-about = { $health }: ob dieser Server Anfragen beantworten kann

## Die Seiten, zu denen Links in E-Mails führen

account = Konto
name = Name
created = Angelegt
device = Gerät
place = Ort
new-password = Neues Passwort

verify-new-title = Haben Sie dieses Konto angelegt?
verify-new-email = Ein Konto bei { $site } hat die E-Mail-Adresse { $email }.
verify-new-advice = Bestätigen Sie es nur, wenn Sie es selbst angelegt haben. Sofern Sie hier nicht angemeldet sind, werden die Anmeldung in zwei Schritten und frühere Einstellungen entfernt.
verify-refuse = Nein, ich habe dieses Konto nicht angelegt
verify-title = Ist das Ihre E-Mail-Adresse?
verify-text = Ein Konto bei { $site } hat die E-Mail-Adresse { $email }. Bestätigen Sie sie nur, wenn sie Ihnen gehört.
verify-button = Ja, sie gehört mir
verified-title = Ihre E-Mail-Adresse ist bestätigt
verified-text = Diese E-Mail-Adresse gehört zu Ihrem Konto bei { $site }. Sie können diese Seite schließen.
disowned-title = Danke für den Hinweis
disowned-text = Wer auch immer das Konto bei { $site } angelegt hat, ist abgemeldet und kann sich nicht wieder anmelden. Wenn Sie es selbst verwenden möchten, fordern Sie dort ein neues Passwort an.

reset-title = Neues Passwort wählen
reset-text = Für Ihr Konto bei { $site }. Danach sind alle Geräte abgemeldet.
reset-first-proof = Die Anmeldung in zwei Schritten und frühere Einstellungen werden entfernt, weil diese E-Mail-Adresse zum ersten Mal bestätigt wird.
reset-button = Passwort festlegen
reset-done-title = Ihr Passwort ist festgelegt
reset-done-text = Alle Geräte wurden abgemeldet. Melden Sie sich ab jetzt mit dem neuen Passwort an.
invitation-title = Passwort wählen
invitation-text = Für Ihr Konto bei { $site }. Dort melden Sie sich mit dieser E-Mail-Adresse und dem Passwort an.
invitation-done-title = Ihr Konto ist bereit
invitation-done-text = Sie können sich bei { $site } mit dieser E-Mail-Adresse und diesem Passwort anmelden.

change-old-title = Ihre E-Mail-Adresse ändern?
change-old-text = Die E-Mail-Adresse Ihres Kontos bei { $site } soll von { $email } zu { $new } geändert werden.
change-old-button = Ja, ändern
change-new-title = Diese E-Mail-Adresse verwenden?
change-new-text = Ein Konto bei { $site } soll die E-Mail-Adresse { $new } verwenden.
change-new-button = Ja, verwenden
change-both = Bevor nicht beide Adressen bestätigt haben, ändert sich nichts.
change-half-title = Noch eine Adresse muss bestätigen
change-half-text = Öffnen Sie auch den Link in der E-Mail, die wir an die andere Adresse geschickt haben.
changed-title = Ihre E-Mail-Adresse ist geändert
changed-text = Melden Sie sich ab jetzt mit der neuen Adresse an.

report-title = Waren Sie das nicht?
report-one = Wir melden dieses Gerät sofort von Ihrem Konto bei { $site } ab und schicken Ihnen eine E-Mail mit einem Link, um ein neues Passwort zu wählen.
report-all = Wir melden sofort alle Geräte von Ihrem Konto bei { $site } ab, auch Ihres, und schicken Ihnen eine E-Mail mit einem Link, um ein neues Passwort zu wählen.
report-button = Das war ich nicht
reported-title = Das fremde Gerät ist abgemeldet
reported-text = Ihr Passwort könnte weiterhin bekannt sein. Wir haben Ihnen eine E-Mail mit einem Link geschickt: Wählen Sie jetzt ein neues, das Sie nirgends sonst benutzen.

keep-title = Ihr Konto behalten?
keep-text = Ihr Konto bei { $site } soll mit seinen Daten gelöscht werden. Sie können es behalten, wie es ist.
keep-button = Mein Konto behalten
kept-title = Ihr Konto bleibt bestehen
kept-text = Sie können sich wieder anmelden, mit demselben Passwort wie zuvor. Wenn Sie die Löschung nicht selbst verlangt haben, kennt jemand anderes dieses Passwort: Wählen Sie jetzt ein neues.

## Abgelehnte Passwörter

password-too-short = Ein Passwort hat mindestens { $count } Zeichen. Ein paar Wörter, die nicht zusammengehören, sind leicht zu merken.
password-too-long = Dieses Passwort ist zu lang. Es kann { $count } Zeichen haben, mit Umlauten, Emoji oder anderen Schriften weniger.
password-guessable = Dieses Passwort ist leicht zu erraten.
password-personal = Wer rät, probiert zuerst häufige Wörter und persönliche Angaben.
password-rows-of-keys = Gerade Reihen von Tasten sind leicht zu erraten.
password-keyboard-pattern = Kurze Muster auf der Tastatur sind leicht zu erraten.
password-repeated-letter = Wiederholungen wie „aaa“ sind leicht zu erraten.
password-repeated-part = Wiederholungen wie „abcabcabc“ sind kaum schwerer zu erraten als „abc“.
password-top-10 = Es ist eines der zehn häufigsten Passwörter.
password-top-100 = Es ist eines der hundert häufigsten Passwörter.
password-common = Es ist ein sehr häufiges Passwort.
password-similar = Es ähnelt einem häufigen Passwort.
password-sequence = Folgen wie „abc“ oder „6543“ sind leicht zu erraten.
password-recent-year = Jahre der letzten Zeit sind leicht zu erraten.
password-single-word = Ein einzelnes Wort ist leicht zu erraten.
password-date = Ein Datum ist oft leicht zu erraten.
password-name = Namen allein sind leicht zu erraten.
password-common-name = Häufige Namen sind leicht zu erraten.
password-use-words = Nehmen Sie ein paar Wörter, aber keine gängige Wendung.
password-no-symbols = Sonderzeichen, Ziffern oder Großbuchstaben braucht es nicht.
password-add-words = Fügen Sie noch ein oder zwei Wörter hinzu, am besten seltene.
password-capitals = Großbuchstaben helfen nicht viel.
password-all-capitals = Nur Großbuchstaben sind fast so leicht zu erraten wie gar keine.
password-reversed = Umgedrehte Wörter sind nicht viel schwerer zu erraten.
password-substitutions = Ersetzungen wie „@“ für „a“ helfen nicht viel.
password-more-turns = Nehmen Sie ein längeres Muster mit mehr Wendungen.
password-avoid-repeats = Vermeiden Sie Wiederholungen von Wörtern und Zeichen.
password-avoid-sequences = Vermeiden Sie Folgen.
password-avoid-recent-years = Vermeiden Sie Jahre der letzten Zeit.
password-avoid-own-years = Vermeiden Sie Jahre, die mit Ihnen zu tun haben.
password-avoid-own-dates = Vermeiden Sie Daten und Jahre, die mit Ihnen zu tun haben.

## Ablehnungen

refused-link-title = Dieser Link funktioniert nicht
refused-link = Der Link ist nicht mehr gültig: Er wurde verwendet, ist abgelaufen oder wurde durch einen neueren ersetzt.
refused-link-another = Wenn Sie Ihr Passwort vergessen haben, fordern Sie dort, wo Sie sich anmelden, noch eine E-Mail an. Wenn Sie eingeladen wurden, fragen Sie die Person, die Sie eingeladen hat.
refused-taken-title = Diese E-Mail-Adresse ist vergeben
refused-taken = Ein anderes Konto hat diese E-Mail-Adresse.
refused-later-title = Bitte versuchen Sie es gleich noch einmal
refused-too-many = Es waren zu viele Versuche. Versuchen Sie es { $minutes ->
    [one] in einer Minute
   *[other] in { $minutes } Minuten
} noch einmal.
later-button = Noch einmal versuchen
refused-unavailable = Der Server kann das im Moment nicht ausführen. Es hat sich nichts geändert.
refused-title = Das hat nicht geklappt
refused-missing-title = Nicht gefunden
refused-form = Das Formular konnte nicht gelesen werden. Gehen Sie zurück, laden Sie die Seite neu und senden Sie es noch einmal ab.
refused-method = Unter dieser Adresse lässt sich nichts öffnen: Sie nimmt nur ein Formular entgegen. Öffnen Sie die Seite des Formulars, und schicken Sie es von dort.
refused-repeated = Ein Feld des Formulars wurde zweimal gesendet. Gehen Sie zurück, laden Sie die Seite neu und senden Sie es noch einmal ab.
refused-too-slow = Das Formular brauchte zu lange, um anzukommen. Prüfen Sie Ihre Verbindung und versuchen Sie es dann noch einmal.
refused-too-large = Das Formular ist zu groß.
refused-cookie = Ein Cookie dieser Website kann nicht gelesen werden. Löschen Sie die Cookies dieser Website und versuchen Sie es dann noch einmal.
refused-origin = Das Formular kam von einer anderen Adresse als der von { $site }. Öffnen Sie die Seite dort und senden Sie es noch einmal.
refused-other = Etwas ist schiefgegangen. Wenn es wieder vorkommt, wenden Sie sich an die Betreiber von { $site }.

## Geräte

device-on = { $program } unter { $on }
device-browser-on = Browser unter { $on }
device-app-on = App unter { $on }
device-unknown = Unbekanntes Gerät

## Die erste Administratorin, der erste Administrator

setup-title = Ersten Administrator anlegen
setup-text = Noch verwaltet niemand diesen Server. In seinem Log steht ein Code, der zeigt, dass Sie ihn betreiben.
setup-code = Einrichtungscode
setup-code-hint = Er beginnt mit kts_ und gilt einmal, eine Stunde lang nach dem Start des Servers. Ein Neustart erzeugt einen neuen.
setup-code-wrong = Dieser Code ist falsch, wurde benutzt oder ist abgelaufen. Starten Sie den Server neu, um einen neuen zu bekommen.
setup-taken = Ein anderes Konto hat diese E-Mail-Adresse. Wählen Sie eine andere, oder machen Sie jenes Konto auf der Kommandozeile zum Administrator.
setup-button = Anlegen und anmelden
setup-closed = Inzwischen hat jemand anderes diesen Server eingerichtet. Wenn es jemand aus Ihrem Team war, bitten Sie dort um ein Konto.
