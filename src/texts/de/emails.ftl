# Texte der E-Mails. Sie haben kein Markup. Ein Text, der mit einem Doppelpunkt endet, steht vor einem Link.

email-hello = Guten Tag,
email-sent-by = Gesendet von { $site }.
email-expires = Der Link funktioniert einmal, bis zum { $at }.
email-when = Wann: { $time }
email-device = Gerät: { $device }
email-place = Ort: { $place }
email-ip = IP-Adresse: { $ip }
email-if-not-you = Wenn Sie das waren, ist nichts zu tun. Wenn nicht, beenden Sie alle Sitzungen und wählen Sie ein neues Passwort:
email-if-login-not-yours = Wenn Sie das waren, ist nichts zu tun. Wenn nicht, beenden Sie diese Sitzung und wählen Sie ein neues Passwort:
email-if-unknown = Wenn Sie davon nichts wissen, wenden Sie sich an die Betreiber von { $site }. Sie können auch alle Sitzungen beenden und ein neues Passwort wählen:
email-not-me = Das war ich nicht

## Eine E-Mail-Adresse, die zu bestätigen ist

email-verify-subject = Bestätigen Sie Ihre E-Mail-Adresse für { $site }
email-verify-new = Bei { $site } wurde ein Konto mit dieser E-Mail-Adresse angelegt. Wenn Sie das waren, bestätigen Sie die Adresse:
email-verify-changed = Die Betreiber von { $site } haben Ihrem Konto dort diese E-Mail-Adresse gegeben. Wenn das Konto Ihnen gehört, bestätigen Sie die Adresse:
email-verify-button = E-Mail-Adresse bestätigen
email-verify-new-ignore = Wenn Sie das nicht waren, öffnen Sie den Link und sagen Sie es dort, oder ignorieren Sie diese E-Mail.
email-verify-changed-ignore = Wenn Sie dort kein Konto haben, ignorieren Sie diese E-Mail.

## Ein neues Passwort

email-reset-subject = Wählen Sie ein neues Passwort für { $site }
email-reset = Jemand möchte das Passwort Ihres Kontos bei { $site } zurücksetzen. Wenn Sie das waren, wählen Sie ein neues Passwort:
email-reset-operator = Die Betreiber von { $site } haben Ihnen einen Link geschickt, um ein neues Passwort für Ihr Konto zu wählen:
email-reset-button = Neues Passwort wählen
email-reset-after = Mit einem neuen Passwort werden Sie auf allen Geräten abgemeldet. Wenn Sie das nicht waren, ignorieren Sie diese E-Mail: Ihr Passwort bleibt, wie es ist.
email-reset-operator-after = Mit einem neuen Passwort werden Sie auf allen Geräten abgemeldet. Ohne den Link bleibt Ihr Passwort, wie es ist.
email-reset-reported = Sie haben uns gemeldet, dass jemand anderes in Ihrem Konto bei { $site } angemeldet war. Wir haben das Gerät abgemeldet, aber Ihr Passwort könnte bekannt sein. Wählen Sie jetzt ein neues:
email-reset-reported-after = Nehmen Sie ein Passwort, das Sie nirgends sonst benutzen. Ein neues Passwort meldet Sie auf allen Geräten ab.

## Eine Einladung

email-invitation-subject = Sie sind zu { $site } eingeladen
email-invitation = Die Betreiber von { $site } haben für Sie ein Konto mit dieser E-Mail-Adresse angelegt. Wählen Sie ein Passwort, um es zu benutzen:
email-invitation-button = Passwort wählen
email-invitation-ignore = Wenn Sie nicht wissen, worum es geht, ignorieren Sie diese E-Mail: Ohne ein Passwort kann niemand das Konto benutzen.

## Eine andere E-Mail-Adresse

email-change-old-subject = Bestätigen Sie die neue E-Mail-Adresse Ihres Kontos bei { $site }
email-change-old = Jemand möchte die E-Mail-Adresse Ihres Kontos bei { $site } ändern. Wenn Sie das waren, bestätigen Sie die Änderung:
email-change-old-to = Jemand möchte die E-Mail-Adresse Ihres Kontos bei { $site } in { $email } ändern. Wenn Sie das waren, bestätigen Sie die Änderung:
email-change-old-button = Änderung bestätigen
email-change-old-after = Nichts ändert sich, bevor nicht auch die neue Adresse bestätigt hat. Wenn Sie das nicht waren, öffnen Sie den Link nicht und ändern Sie Ihr Passwort: Jemand anderes ist in Ihrem Konto angemeldet.
email-change-new-subject = Bestätigen Sie Ihre neue E-Mail-Adresse für { $site }
email-change-new = Diese E-Mail-Adresse wurde als die neue eines Kontos bei { $site } angegeben. Wenn Sie das waren, bestätigen Sie sie:
email-change-new-button = E-Mail-Adresse bestätigen
email-change-new-after = Nichts ändert sich, bevor nicht auch die bisherige Adresse bestätigt hat. Wenn Sie das nicht waren, ignorieren Sie diese E-Mail.
email-changed-subject = Die E-Mail-Adresse Ihres Kontos bei { $site } wurde geändert
email-changed = Die E-Mail-Adresse Ihres Kontos bei { $site } wurde geändert, nachdem beide Adressen es bestätigt hatten.
email-changed-to = Die E-Mail-Adresse Ihres Kontos bei { $site } wurde in { $email } geändert, nachdem beide Adressen es bestätigt hatten.
email-changed-operator = Die E-Mail-Adresse Ihres Kontos bei { $site } wurde von den Betreibern von { $site } geändert.
email-changed-operator-to = Die E-Mail-Adresse Ihres Kontos bei { $site } wurde von den Betreibern von { $site } in { $email } geändert.
email-changed-after = Melden Sie sich ab jetzt mit der neuen Adresse an; auch unsere E-Mails gehen dorthin.
email-changed-if-not-you = Wenn Sie diese Änderung nicht bestätigt haben, wenden Sie sich an die Betreiber von { $site }.
email-changed-if-unknown = Wenn Sie von dieser Änderung nichts wissen, wenden Sie sich an die Betreiber von { $site }.

## Warnungen

email-login-subject = Neue Anmeldung bei Ihrem Konto bei { $site }
email-login = Jemand hat sich bei Ihrem Konto bei { $site } angemeldet.
email-login-travel = Die Anmeldung kam von einem Ort, den Sie seit der letzten kaum erreicht haben können.
email-login-country = Die Anmeldung kam aus einem Land, in dem Sie sich noch nie angemeldet haben.
email-login-new-device = Die Anmeldung kam von einem Gerät, das Sie noch nie benutzt haben.
email-reused-subject = Sicherheitswarnung: Eine Sitzung Ihres Kontos bei { $site } wurde beendet
email-reused = Wir haben eine Sitzung Ihres Kontos bei { $site } beendet, weil ein Schlüssel, der sie angemeldet hält, zweimal benutzt wurde. Entweder hat die App einen Fehler gemacht, oder jemand hat den Schlüssel kopiert. Niemand kann diesen Schlüssel mehr benutzen.
email-reused-advice = Um dieses Gerät wieder zu benutzen, melden Sie sich dort an. Wenn Sie glauben, dass jemand anderes Zugang hatte, beenden Sie alle Sitzungen und wählen Sie ein neues Passwort:
email-reused-button = Mein Konto sichern
email-password-subject = Das Passwort Ihres Kontos bei { $site } wurde geändert
email-password = Das Passwort Ihres Kontos bei { $site } wurde geändert.
email-password-operator = Das Passwort Ihres Kontos bei { $site } wurde von den Betreibern von { $site } geändert.
email-codes-wrong-subject = Vielleicht kennt jemand Ihr Passwort für { $site }
email-codes-wrong = Jemand hat bei { $site } Ihr Passwort eingegeben und danach falsche Codes des zweiten Faktors, inzwischen zehn. Niemand wurde damit eingelassen. Das war der letzte Versuch:
email-alerts-subject = E-Mails über ungewöhnliche Anmeldungen bei { $site } wurden abgestellt
email-alerts = Sie bekommen keine E-Mails über ungewöhnliche Anmeldungen bei Ihrem Konto bei { $site } mehr. Andere Warnungen erreichen Sie weiterhin.
email-limit-subject = Ein Gerät wurde von Ihrem Konto bei { $site } abgemeldet
email-limit = Ihr Konto bei { $site } kann auf einer begrenzten Zahl von Geräten zugleich angemeldet sein. Wegen einer neuen Anmeldung haben wir das am längsten nicht benutzte abgemeldet, zuletzt benutzt am { $at }.
email-limit-device = Ihr Konto bei { $site } kann auf einer begrenzten Zahl von Geräten zugleich angemeldet sein. Wegen einer neuen Anmeldung haben wir das am längsten nicht benutzte abgemeldet: { $device }, zuletzt benutzt am { $at }.
email-limit-new-login = Die neue Anmeldung:

## Die Anmeldung in zwei Schritten

email-mfa-enabled-subject = Die Anmeldung in zwei Schritten bei { $site } wurde eingeschaltet
email-mfa-enabled = Die Anmeldung in zwei Schritten ist für Ihr Konto bei { $site } jetzt eingeschaltet: Jede Anmeldung fragt nach einem Code aus Ihrer App.
email-mfa-disabled-subject = Die Anmeldung in zwei Schritten bei { $site } wurde ausgeschaltet
email-mfa-disabled = Die Anmeldung in zwei Schritten wurde für Ihr Konto bei { $site } ausgeschaltet: Anmeldungen fragen nur nach Ihrem Passwort.
email-mfa-disabled-operator = Die Anmeldung in zwei Schritten wurde für Ihr Konto bei { $site } von den Betreibern von { $site } ausgeschaltet: Anmeldungen fragen nur nach Ihrem Passwort.
email-mfa-codes-subject = Neue Wiederherstellungscodes für Ihr Konto bei { $site }
email-mfa-codes = Ihr Konto bei { $site } hat neue Wiederherstellungscodes. Die alten funktionieren nicht mehr.
email-mfa-used-subject = Ein Wiederherstellungscode Ihres Kontos bei { $site } wurde benutzt
email-mfa-used = Einer der Wiederherstellungscodes Ihres Kontos bei { $site } wurde benutzt. Er funktioniert nicht noch einmal.

## Die Löschung eines Kontos

email-deletion-subject = Ihr Konto bei { $site } wird gelöscht
email-deletion = Ihr Konto bei { $site } und seine Daten werden am { $at } gelöscht. Sie wurden überall abgemeldet, und bis dahin kann sich niemand anmelden.
email-deletion-operator = Die Betreiber von { $site } haben das veranlasst.
email-deletion-keep = Wenn Sie das waren, ist nichts zu tun. Wenn nicht, oder wenn Sie es sich anders überlegt haben, behalten Sie das Konto:
email-deletion-operator-keep = Wenn Sie das Konto behalten möchten, können Sie das hier tun:
email-deletion-button = Mein Konto behalten
email-deletion-expires = Der Link funktioniert einmal, bis dahin.
email-deletion-ask = Wenn Sie das Konto behalten möchten, wenden Sie sich an die Betreiber von { $site }.
email-kept-subject = Ihr Konto bei { $site } bleibt bestehen
email-kept = Die Löschung Ihres Kontos bei { $site } wurde zurückgenommen. Sie können sich wieder anmelden, mit demselben Passwort wie zuvor.
email-kept-operator = Die Löschung Ihres Kontos bei { $site } wurde von den Betreibern von { $site } zurückgenommen. Sie können sich wieder anmelden, mit demselben Passwort wie zuvor.
email-kept-if-not-you = Wenn weder Sie noch die Betreiber von { $site } die Löschung verlangt haben, kennt jemand anderes Ihr Passwort: Wählen Sie jetzt ein neues.
email-deleted-subject = Ihr Konto bei { $site } wurde gelöscht
email-deleted = Ihr Konto bei { $site } und seine Daten wurden gelöscht, wie Sie oder die Betreiber von { $site } es verlangt hatten. Das ist die letzte E-Mail darüber.
