# Texts of the pages of people who log in here.

email = Email address
password = Password
cancel = Cancel
save = Save
logout = Log out

## The login

login-title = Log in
login-button = Log in
login-no-email = This is not an email address.
login-wrong = The email address or the password is wrong.
login-disabled = This account is disabled.
login-unverified = This email address is not verified yet. We have sent you an email with a link.
login-deleted = This account is to be deleted on { $at }. The link in the email that tells of it keeps the account.
code-title = One more step
code = Code
code-hint = Six digits from your authenticator app.
code-recovery-instead = Use a recovery code instead
code-recovery = Recovery code
code-recovery-hint = Each of your recovery codes is valid once.
code-missing = Enter a code.
code-remember = Ask for no code on this device for 30 days
code-button = Log in
code-wrong = This code is wrong, or was used before.
code-expired = That took too long. Log in again.

## Sessions

sessions-title = Where you are logged in
sessions-of = The devices and apps that are logged in as { $email }. End those that you do not know.
sessions-ended = Ended
session-this = This device
session-impersonation = Support
session-browser = Logged in on this site
session-app = Logged in with an app
session-within = Apps
session-from = From
session-last-used = Last used
session-now = Now
session-begun = Logged in
session-expires = Ends without use
session-ended = Ended
session-password = with a password
session-two-steps = in two steps
session-name = Name
session-name-refused = A name has up to 100 characters and no control characters.
session-rename = Rename
session-end = End { $session }
end-title = End this session?
end-question = { $session } is logged out at once.
end-others-title = End all other sessions?
end-others-question = { $count ->
    [one] One device or app is logged out at once. This one stays logged in.
   *[other] { $count } devices and apps are logged out at once. This one stays logged in.
}
end-others-link = { $count ->
    [one] End the other session
   *[other] End all { $count } others
}
end-button = End
reason-expired = it was not used any more
reason-logout = logged out there
reason-ended = ended by you
reason-operator = ended by those who run this site
reason-password = the password was changed
reason-reported = you reported it
reason-reused = a copy of its token was used
reason-limit = too many devices were logged in
reason-disabled = the account was disabled
reason-other = the account changed

## An account and its forms

account-navigation = Your account
sessions-tab = Devices
security-tab = Security
activity-tab = Activity
profile-tab = Profile
to-login = Log in
login-forgot = Forgot your password?
login-register = Create an account

confirm-text = To confirm that it is you, enter the password of { $email } again. What you entered is kept.
confirm-wrong = This password is wrong.
confirm-no-code = Enter a code, too.
confirm-button = Confirm
once-title = This was done already
once-text = The form was sent before, so nothing was done again. A secret is shown only once: if you have not kept it, make a new one.

register-title = Create an account
register-name = Name (optional)
register-button = Create account
register-login = I have an account
register-taken = This email address has an account already. Log in, or ask for a new password.
register-closed-title = Registration is closed
register-closed = On this site people cannot create accounts by themselves. Ask whoever runs it for an invitation.
registered-title = Check your emails
registered-text = We have sent a link to { $email }. Open it to confirm the address, then log in.
password-hint = At least 8 characters. A few words that do not belong together are easy to keep in mind.

forgot-title = Forgot your password?
forgot-text = Enter the email address of your account. You get a link to choose a new password.
forgot-button = Send the link
forgot-done-title = Check your emails
forgot-done-text = If { $email } has an account here, an email with a link is on its way. It may take a few minutes; look into the folder for spam, too.

profile-title = Your profile
profile-name-hint = Apps can show it. Leave it empty for none.
profile-name-done = Your name is saved.
profile-language = Language
profile-language-label = Language of pages and emails
profile-language-browser = As the browser asks
profile-language-done = Your language is saved.
profile-verified = Verified
profile-unverified = Not verified
profile-resend = Send the verification email again
profile-verification-done = An email with a link is on its way.
profile-pending = A change to { $email } waits for both addresses: open the links in the two emails.
profile-pending-cancel = Cancel the change
profile-email-change = Change the email address
profile-new-email = New email address
profile-new-email-hint = Both addresses get an email with a link. Nothing changes before both were opened.
profile-email-button = Send the links
profile-email-done = Emails to both addresses are on their way.
profile-email-cancelled-done = The change is cancelled.
profile-email-unchanged = This is your address already.

data-title = Your data
data-text = A file in the format JSON with all that is stored about you, except passwords and secrets.
data-export = Download my data
data-ready = The file is ready.
data-delete = Delete my account

delete-title = Delete your account?
delete-text = { $email } is logged out everywhere. You get an email with a link that keeps the account, should you change your mind; after that, all of its data is deleted.
delete-button = Delete my account
delete-last-administrator = This account is the last administrator’s. Make somebody else an administrator first.
deleted-title = Your account is to be deleted
deleted-text = You are logged out everywhere. On { $at } the account and its data are deleted. Until then the link in the email that we have sent you keeps it.

security-title = Security
security-password-text = A new password logs out all of your other devices.
security-current-password = Current password
security-password-button = Change the password
security-password-done = Your password is changed. All other devices are logged out.
security-alerts-done = Saved.
security-devices-done = Removed. The next login there asks for a code.
security-two-step-off-done = Two-step login is off.

two-step = Two-step login
two-step-text = A login needs a code of an app on your phone as well as the password: whoever learns your password cannot log in with it alone.
two-step-is-on = On
two-step-is-off = Off
two-step-turn-on = Turn on
two-step-turn-off = Turn two-step login off
two-step-off-text = From then on the password alone is enough. The recovery codes and trusted devices are deleted.
two-step-off-button = Turn off
two-step-title = Turn on two-step login
two-step-scan = Scan this picture with an authenticator app.
two-step-qr = QR code with the secret for your app
two-step-open = Open it in an app on this device
two-step-by-hand = Enter the secret by hand
two-step-enter = Enter the code that the app shows.
two-step-end-others = Log out all other devices
two-step-end-others-hint = They were logged in without a code.
two-step-wrong = This code is wrong. Enter the one that the app shows now. Is the clock of the phone right?
two-step-replaced = The picture was replaced, because this page was opened once more. Scan the one below.
two-step-done = Two-step login is on.

codes-title = Your recovery codes
codes-done = The former codes are not valid any more.
codes-text = With each of these codes you can log in once if you lose your phone. Keep them where you find them without it. They are not shown again.
codes-left = { $count ->
    [0] You have no recovery codes left. Make new ones.
    [one] You have one recovery code left.
   *[other] You have { $count } recovery codes left.
}
codes-replace = Make new recovery codes
codes-download = Download
codes-copy = Copy
codes-copied = Copied.
codes-print = Print
codes-kept = I have kept them

devices-title = Trusted devices
devices-text = These browsers log in without a code.
devices-remove = Remove { $device }
devices-remove-all = Remove all

alerts-title = Alerts
alerts-label = Email me about unusual logins
alerts-hint = A new device, another country, or two places too far apart. Changes of your password are always told.

activity-title = Activity
activity-text = What happened to your account, newest first.
activity-filter = Filter
activity-what = What
activity-everything = Everything
activity-outcome = Outcome
activity-any-outcome = All
activity-failed = Only what was refused
activity-succeeded = Only what succeeded
activity-from = From
activity-to = To
activity-show = Show
activity-all = Show all
activity-nothing = There is nothing to show.
activity-failure = Refused
activity-by-others = By those who run this site
activity-newest = Newest
activity-older = Older
activity-export = Download as CSV

not-me-title = Was this not you?
not-me-question = We log { $session } out at once and trust none of your devices any more. Then you choose a new password.
not-me-button = This wasn’t me
session-not-me = This wasn’t me
security-reported-done = We have logged that device out. Whoever used it may know your password: choose a new one now.
ended-title = You are logged out
ended-text = { $session } was logged out on { $at }: { $reason }.
ended-text-plain = This browser is not logged in any more.
ended-login = Log in again
password-accepted = This password is hard to guess.
sessions-changed = The list has changed.
other-title = Another account is logged in now
other-text = Nothing has changed. The page was shown to another account than the one that this browser is logged in to now: load it again.
