# Texts of the emails. They have no markup. A text that ends with a colon stands before a link.

email-hello = Hello,
email-sent-by = Sent by { $site }.
email-expires = The link works once, until { $at }.
email-when = When: { $time }
email-device = Device: { $device }
email-place = Place: { $place }
email-ip = IP address: { $ip }
email-if-not-you = If that was you, there is nothing to do. If it was not, end all sessions and choose a new password:
email-if-login-not-yours = If that was you, there is nothing to do. If it was not, end that session and choose a new password:
email-if-unknown = If you do not know of this, contact those who run { $site }. You can also end all sessions and choose a new password:
email-not-me = This wasn't me

## An email address to confirm

email-verify-subject = Confirm your email address for { $site }
email-verify-new = An account at { $site } was created with this email address. If that was you, confirm the address:
email-verify-changed = Those who run { $site } have given your account there this email address. If the account is yours, confirm the address:
email-verify-button = Confirm email address
email-verify-new-ignore = If it was not you, open the link and say so, or ignore this email.
email-verify-changed-ignore = If you have no account there, ignore this email.

## A new password

email-reset-subject = Choose a new password for { $site }
email-reset = Somebody asked to reset the password of your account at { $site }. If that was you, choose a new password:
email-reset-operator = Those who run { $site } have sent you a link to choose a new password for your account:
email-reset-button = Choose a new password
email-reset-after = Setting a new password logs you out on all devices. If it was not you, ignore this email: your password stays the same.
email-reset-operator-after = Setting a new password logs you out on all devices. Without it your password stays the same.
email-reset-reported = You told us that somebody else was logged in to your account at { $site }. We have logged them out, but they may know your password. Choose a new one now:
email-reset-reported-after = Take a password that you use nowhere else. Setting it logs you out on all devices.

## An invitation

email-invitation-subject = You are invited to { $site }
email-invitation = Those who run { $site } have created an account for you, with this email address. Choose a password to use it:
email-invitation-button = Choose a password
email-invitation-ignore = If you do not know what this is about, ignore this email: without a password, nobody can use the account.

## A change of email address

email-change-old-subject = Confirm the new email address of your account at { $site }
email-change-old = Somebody asked to change the email address of your account at { $site }. If that was you, confirm the change:
email-change-old-to = Somebody asked to change the email address of your account at { $site } to { $email }. If that was you, confirm the change:
email-change-old-button = Confirm the change
email-change-old-after = Nothing changes until the new address has confirmed it too. If it was not you, do not open the link, and change your password: somebody else is logged in to your account.
email-change-new-subject = Confirm your new email address for { $site }
email-change-new = This email address was given as the new one of an account at { $site }. If that was you, confirm it:
email-change-new-button = Confirm email address
email-change-new-after = Nothing changes until the present address has confirmed it too. If it was not you, ignore this email.
email-changed-subject = The email address of your account at { $site } was changed
email-changed = The email address of your account at { $site } was changed, after both addresses had confirmed it.
email-changed-to = The email address of your account at { $site } was changed to { $email }, after both addresses had confirmed it.
email-changed-operator = The email address of your account at { $site } was changed by those who run { $site }.
email-changed-operator-to = The email address of your account at { $site } was changed to { $email } by those who run { $site }.
email-changed-after = From now on, log in with the new address; our emails go there too.
email-changed-if-not-you = If you did not confirm this change, contact those who run { $site }.
email-changed-if-unknown = If you do not know of this change, contact those who run { $site }.

## Alerts

email-login-subject = New login to your account at { $site }
email-login = Somebody has logged in to your account at { $site }.
email-login-travel = It came from a place that you can hardly have reached since your last login.
email-login-country = It came from a country where you have not logged in before.
email-login-new-device = It came from a device that you have not used before.
email-reused-subject = Security alert: a session of your account at { $site } was ended
email-reused = We have ended one session of your account at { $site }, because a key that keeps it logged in was used twice. Either the app made a mistake, or somebody has copied the key. Nobody can use that key any more.
email-reused-advice = To use that device again, log in there. If you think that somebody else had access, end all sessions and choose a new password:
email-reused-button = Secure my account
email-password-subject = The password of your account at { $site } was changed
email-password = The password of your account at { $site } was changed.
email-password-operator = The password of your account at { $site } was changed by those who run { $site }.
email-codes-wrong-subject = Somebody may know your password for { $site }
email-codes-wrong = Somebody entered your password at { $site }, and then wrong codes of the second factor: ten by now. Nobody was let in by them. This was the last:
email-alerts-subject = Emails about unusual logins were disabled at { $site }
email-alerts = You get no more emails about unusual logins to your account at { $site }. Other security emails still reach you.
email-limit-subject = A device was logged out of your account at { $site }
email-limit = Your account at { $site } can be logged in on a limited number of devices at once. Because of a new login, we have logged out the one used least recently, last used on { $at }.
email-limit-device = Your account at { $site } can be logged in on a limited number of devices at once. Because of a new login, we have logged out the one used least recently: { $device }, last used on { $at }.
email-limit-new-login = The new login:

## Two-step login

email-mfa-enabled-subject = Two-step login was enabled at { $site }
email-mfa-enabled = Two-step login is now enabled for your account at { $site }: each login asks for a code from your app.
email-mfa-disabled-subject = Two-step login was disabled at { $site }
email-mfa-disabled = Two-step login of your account at { $site } was disabled: logins ask for your password only.
email-mfa-disabled-operator = Two-step login of your account at { $site } was disabled by those who run { $site }: logins ask for your password only.
email-mfa-codes-subject = New recovery codes for your account at { $site }
email-mfa-codes = Your account at { $site } has new recovery codes. The old ones no longer work.
email-mfa-used-subject = A recovery code of your account at { $site } was used
email-mfa-used = One of the recovery codes of your account at { $site } was used. It will not work again.

## The deletion of an account

email-deletion-subject = Your account at { $site } will be deleted
email-deletion = Your account at { $site } and its data will be deleted on { $at }. You have been logged out everywhere, and nobody can log in until then.
email-deletion-operator = Those who run { $site } have asked for this.
email-deletion-keep = If that was you, there is nothing to do. If it was not, or you have changed your mind, keep the account:
email-deletion-operator-keep = If you want to keep the account, you can do so:
email-deletion-button = Keep my account
email-deletion-expires = The link works once, until then.
email-deletion-ask = If you want to keep the account, ask those who run { $site }.
email-kept-subject = Your account at { $site } is kept
email-kept = The deletion of your account at { $site } was cancelled. You can log in again, with the same password as before.
email-kept-operator = The deletion of your account at { $site } was cancelled by those who run { $site }. You can log in again, with the same password as before.
email-kept-if-not-you = If neither you nor those who run { $site } asked for the deletion, somebody else knows your password: choose a new one now.
email-deleted-subject = Your account at { $site } was deleted
email-deleted = Your account at { $site } and its data were deleted, as you or those who run { $site } had asked. This is the last email about it.
