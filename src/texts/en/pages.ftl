# Texts of the pages. A text has no markup: links and code are values, which the templates put in.

time = { $day } { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
} { $year }, { $time } UTC

## On every page

skip-to-content = Skip to the content
form-refused = Please check what you entered.
choice-refused = Choose one from the list.
day-refused = Enter a day such as 2026-12-31.
days-reversed = The last day is before the first.
cursor-title = This page of the list does not exist any more
cursor-text = The list has changed, or the link is not complete.
cursor-first = To the first page
icon-phone = Phone
icon-tablet = Tablet
icon-desktop = Computer
icon-tv = TV or console
icon-terminal = Program
icon-unknown = Unknown device
icon-warning = Warning
icon-check = Done
page-previous = Previous page
to-first-page = To the first page
page-next = Next page
page-navigation = Pages

## The first page

welcome-works = keyturn works
welcome-what = This is keyturn, an auth server: it registers people, logs them in, and gives out tokens that your backend can verify. It runs for this computer alone.
welcome-next = What to do next
welcome-try = Try the API in the { $explorer }: register an account, and look at its session.
welcome-email = Read the first email: its link is printed in the log of the server.
welcome-verify = Verify tokens in your backend, with the keys of { $keys }, the issuer { $issuer } and the audience { $audience }.
welcome-guides = Read the guides in the folder { $folder } of the source: apps, backends, and the way to production.
welcome-people = This server keeps the accounts of { $site }. To log in to an app or a website, open it. Here you see where you are logged in, and change your password.
welcome-account = Your account
welcome-developers = For developers
welcome-explorer = API explorer
welcome-explorer-about = { $explorer }: every route, to read and to try
welcome-openapi-about = { $document }, for generators of clients
welcome-metadata = Metadata
welcome-keys = keys
welcome-metadata-about = { $metadata } and { $keys }, for backends
welcome-health = Health
welcome-health-about = { $health }: whether this server can serve requests

## The pages that links in emails lead to

account = Account
name = Name
created = Created
device = Device
place = Place
new-password = New password

verify-new-title = Did you create this account?
verify-new-email = An account at { $site } has the email address { $email }.
verify-new-advice = Confirm it only if you created it yourself. Unless you are logged in here, two-step login and settings from before are removed.
verify-refuse = No, I did not create this account
verify-title = Is this your email address?
verify-text = An account at { $site } has the email address { $email }. Confirm it only if it is yours.
verify-button = Yes, it is mine
verified-title = Your email address is verified
verified-text = This email address belongs to your account at { $site }. You can close this page.
disowned-title = Thank you for telling us
disowned-text = Whoever created the account at { $site } is logged out and cannot log in again. If you want to use it yourself, ask for a new password there.

reset-title = Choose a new password
reset-text = For your account at { $site }. All devices are logged out then.
reset-first-proof = Two-step login and settings from before are removed, because this email address is confirmed for the first time.
reset-button = Set the password
reset-done-title = Your password is set
reset-done-text = All devices were logged out. Log in with the new password from now on.
invitation-title = Choose a password
invitation-text = For your account at { $site }. You log in there with this email address and the password.
invitation-done-title = Your account is ready
invitation-done-text = You can log in at { $site } with this email address and password.

change-old-title = Change your email address?
change-old-text = The email address of your account at { $site } is to change from { $email } to { $new }.
change-old-button = Yes, change it
change-new-title = Use this email address?
change-new-text = An account at { $site } is to use the email address { $new }.
change-new-button = Yes, use it
change-both = Nothing changes before both addresses have confirmed.
change-half-title = One more address to confirm
change-half-text = Open the link in the email that we sent to the other address, too.
changed-title = Your email address is changed
changed-text = Log in with the new address from now on.

report-title = Was this not you?
report-one = We log that device out of your account at { $site } at once, and send you an email with a link to choose a new password.
report-all = We log all devices out of your account at { $site } at once, yours too, and send you an email with a link to choose a new password.
report-button = This wasn’t me
reported-title = We have logged them out
reported-text = They may still know your password. We have sent you an email with a link to choose a new one: do it now, and take one that you use nowhere else.

keep-title = Keep your account?
keep-text = Your account at { $site } is to be deleted, with its data. You can keep it as it is.
keep-button = Keep my account
kept-title = Your account is kept
kept-text = You can log in again, with the same password as before. If you did not ask for the deletion yourself, somebody else knows that password: choose a new one now.

## Passwords that are refused

password-too-short = A password has at least { $count } characters. A few words that do not belong together are easy to keep in mind.
password-too-long = This password is too long. It can have { $count } characters, and fewer with accents, emoji or other scripts.
password-guessable = This password is easy to guess.
password-personal = Guessers try common words and personal details first.
password-rows-of-keys = Straight rows of keys are easy to guess.
password-keyboard-pattern = Short keyboard patterns are easy to guess.
password-repeated-letter = Repeats like “aaa” are easy to guess.
password-repeated-part = Repeats like “abcabcabc” are only slightly harder to guess than “abc”.
password-top-10 = It is one of the ten most common passwords.
password-top-100 = It is one of the hundred most common passwords.
password-common = It is a very common password.
password-similar = It is similar to a common password.
password-sequence = Sequences like “abc” or “6543” are easy to guess.
password-recent-year = Recent years are easy to guess.
password-single-word = A word by itself is easy to guess.
password-date = Dates are often easy to guess.
password-name = Names by themselves are easy to guess.
password-common-name = Common names are easy to guess.
password-use-words = Use a few words, but no common phrase.
password-no-symbols = It needs no symbols, digits or capitals.
password-add-words = Add another word or two. Uncommon words are better.
password-capitals = Capitals do not help very much.
password-all-capitals = All capitals are almost as easy to guess as none.
password-reversed = Reversed words are not much harder to guess.
password-substitutions = Substitutions like “@” for “a” do not help very much.
password-more-turns = Use a longer keyboard pattern with more turns.
password-avoid-repeats = Avoid repeated words and characters.
password-avoid-sequences = Avoid sequences.
password-avoid-recent-years = Avoid recent years.
password-avoid-own-years = Avoid years that are associated with you.
password-avoid-own-dates = Avoid dates and years that are associated with you.

## Refusals

refused-link-title = This link does not work
refused-link = The link is no longer valid: it was used, has expired, or a newer one has replaced it.
refused-link-another = If you have forgotten your password, ask for another email where you log in. If you were invited, ask whoever invited you.
refused-taken-title = This email address is taken
refused-taken = Another account has this email address.
refused-later-title = Please try again in a moment
refused-too-many = There were too many attempts. Try again { $minutes ->
    [one] in one minute
   *[other] in { $minutes } minutes
}.
later-button = Try again
refused-unavailable = The server cannot do this at the moment. Nothing has changed.
refused-title = That did not work
refused-missing-title = Not found
refused-form = The form could not be read. Go back, load the page again and send it once more.
refused-method = Nothing can be opened at this address: it only receives a form. Open the page of the form, and send it from there.
refused-repeated = A field of the form was sent twice. Go back, load the page again and send it once more.
refused-too-slow = The form took too long to arrive. Check your connection, then try again.
refused-too-large = The form is too large.
refused-cookie = A cookie of this site cannot be read. Delete the cookies of this site, then try again.
refused-origin = The form was sent from another address than that of { $site }. Open the page there, and send it again.
refused-other = Something went wrong. If it happens again, tell those who run { $site }.

## Devices

device-on = { $program } on { $on }
device-browser-on = Browser on { $on }
device-app-on = App on { $on }
device-unknown = Unknown device

## The first administrator

setup-title = Create the first administrator
setup-text = Nobody administers this server yet. Its log has a code, which shows that you run it.
setup-code = Set-up code
setup-code-hint = It begins with kts_, and is valid once, for an hour after the server was started. A restart makes a new one.
setup-code-wrong = This code is wrong, was used or has expired. Restart the server for a new one.
setup-taken = Another account has this email address. Choose another, or make that account an administrator on the command line.
setup-button = Create and log in
setup-closed = Somebody else has set up this server in the meantime. If it was somebody on your team, ask them for an account.
