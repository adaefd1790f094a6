# Texts of the console for operators.

admin-navigation = Console
admin-dashboard = Overview
admin-users = People
admin-sessions = Sessions
admin-audit = Audit log
admin-own = Your account
admin-yes = Yes
admin-no = No
admin-filter = Show
admin-found = { $count ->
    [0] Nothing was found
    [one] One row
   *[other] { $count } rows
}
admin-none-here = Nothing was found here
admin-none-here-more = There is more to look through on the next page.
admin-time = Time
admin-person = Person
admin-state = State

## The overview

admin-numbers = At the moment
admin-accounts = Accounts
admin-counted = Counted on { $at }.
admin-by-device = Live sessions by device
admin-period = Period
admin-period-day = 24 hours
admin-period-week = 7 days
admin-period-month = 31 days
admin-logins = Logins
admin-refreshes = Refreshes
admin-limited = Refused by rate limits
admin-plot-label = { $title } over time. The table below has the same numbers.
admin-plot-table = As a table
admin-plot-empty = There was nothing in this time.
admin-health = Health
admin-database = Database
admin-database-well = { $engine } answers and can be written to.
admin-database-read-only = { $engine } answers, but cannot be written to.
admin-database-away = { $engine } does not answer.
admin-cache = Cache
admin-cache-memory = In the memory of this server.
admin-cache-redis = Redis answers.
admin-cache-away = Redis does not answer.
admin-mail = Emails
admin-mail-state = { $waiting } waiting, { $failed } given up in the last two weeks.
admin-clock = Clock
admin-clock-state = { $millis ->
    [0] The same as the database’s.
   *[other] { $millis } ms off the database’s.
}
admin-log = Revocations
admin-log-state = Read { $seconds ->
    [0] less than a second
    [one] a second
   *[other] { $seconds } seconds
} ago.

## People

admin-search = Name or email address
admin-search-refused = Enter up to 254 characters.
admin-role = Role
admin-role-refused = A role has up to 64 letters, digits and . _ : -, and begins with a letter or digit.
admin-last-login = Last login
admin-users-none = Nobody was found
admin-state-active = Active
admin-state-disabled = Disabled
admin-state-deletion = To be deleted
admin-state-unverified = Address not verified
admin-state-invited = Without a password
admin-verified = Address verified
admin-id = Id
admin-password-since = Since { $at }
admin-two-steps = Two-step login
admin-disabled-since = Disabled since
admin-deleted-on = Will be deleted
admin-devices = Trusted devices
admin-devices-none = No device logs in without a code.
admin-device-times = Trusted since { $created }, last used { $used }, until { $expires }

## Sessions

admin-session = Session
admin-kind = Kind
admin-kind-app = App
admin-kind-browser = Browser
admin-user-filter = Email address or id
admin-user-refused = This is neither an email address nor an id.
admin-sessions-live = Live sessions
admin-sessions-ended = Ended sessions
admin-sessions-none = No session was found
admin-sessions-all = All sessions of this person

## The audit log

admin-event = Event
admin-details = Details
admin-by = By { $person }
admin-actor = Done by
admin-outcome = Outcome
admin-outcome-success = Success
admin-outcome-failure = Failure
admin-session-filter = Id of a session
admin-session-refused = This is not the id of a session.
admin-from = From (UTC)
admin-to = To (UTC)
admin-audit-none = No entry was found
admin-audit-all = All entries about this person
admin-audit-session = All entries about this session
admin-entry = Entry of the audit log
admin-request = Request

## Changes

admin-changes = Changes
admin-do-it = Yes, do it
admin-roles = Roles
admin-roles-hint = Besides “user”, which everybody has. With spaces between them.
admin-roles-refused = A role has up to 64 letters, digits and . _ : -, and there are 32 at most.
admin-disable = Disable
admin-disable-text = { $person } is logged out everywhere and cannot log in until the account is enabled again.
admin-enable = Enable
admin-enable-text = { $person } can log in again.
admin-give-role = Give role
admin-give-role-text = { $person } gets the role { $role }.
admin-take-role = Take role
admin-take-role-of = Take { $role }
admin-take-role-text = { $person } loses the role { $role }.
admin-end-session = End this session?
admin-end-session-text = { $person } is logged out from { $session } at once.
admin-end-sessions = End all sessions
admin-end-sessions-text = { $person } is logged out everywhere at once.
admin-reset-mfa = Reset two-step login
admin-reset-mfa-text = { $person } logs in with the password alone from now on. Recovery codes and trusted devices are deleted, and an email says so.
admin-delete-devices = Delete trusted devices
admin-delete-devices-text = { $person } needs a code at the next login from each device.
admin-delete = Delete
admin-delete-text = { $person } is logged out everywhere. The account is deleted after a grace period, in which a link in an email keeps it.
admin-delete-at-once = Delete at once
admin-delete-at-once-text = The account of { $person } is deleted at once, with its data. Nobody can bring it back.
admin-cancel-deletion = Keep the account
admin-cancel-deletion-text = The account of { $person } is not deleted.
admin-invite = Invite again
admin-invite-text = { $person } gets an email with a link to choose a password. Earlier links end.
admin-reset-password = Send a link for a new password
admin-reset-password-text = { $person } gets an email with a link to set a new password. The present one stays valid until then.
admin-invite-new = Invite a person
admin-invite-new-text = An email with a link to choose a password goes to this address.
admin-invite-button = Invite
admin-done-entry = Entry in the audit log
admin-done-nothing = Nothing had to be changed.
admin-done = Done.
admin-done-disabled = The account is disabled.
admin-done-enabled = The account is enabled.
admin-done-roles = The roles are changed.
admin-done-ended = The sessions are ended.
admin-done-mfa = Two-step login is reset.
admin-done-devices = The trusted devices are deleted.
admin-done-deletion = The account will be deleted on { $at }. Until then it can be kept.
admin-done-deleted = The account and its data are deleted.
admin-done-kept = The account is kept.
admin-done-email = An email is on its way.
admin-done-retried = The emails are tried now.
admin-done-rotated = New keys are published.
admin-done-revoked = The key is revoked.

## Clients

admin-clients = Clients
admin-client = Client
admin-clients-none = No client is registered
admin-clients-text = A client is a backend that asks about tokens, or a service with tokens of its own.
admin-client-new = Register a client
admin-client-button = Register
admin-scopes = Scopes
admin-scopes-hint = What it may do, with spaces between them. “introspect”, “revocations” and “token-exchange” are permissions on this server.
admin-scopes-refused = These are not scopes.
admin-audiences = Audiences
admin-audiences-hint = Whom its tokens may be for, with spaces between them.
admin-audiences-refused = These are not audiences.
admin-lifetime = Lifetime of its tokens
admin-seconds = { $seconds } seconds
admin-algorithm = Algorithm
admin-secrets = Secrets
admin-secrets-text = There can be two, so that one can be replaced while it is in use.
admin-secret-of = Secret { $number }, issued { $at }
admin-secret-delete = Delete secret { $number }
admin-add-secret = Issue another secret
admin-add-secret-text = { $client } gets another secret, which is shown once. The present one stays valid.
admin-delete-secret = Delete this secret?
admin-delete-secret-text = { $client } cannot authenticate with secret { $number } any more.
admin-client-disable = Disable
admin-client-disable-text = { $client } is refused, and so are its access tokens, until it is enabled again.
admin-client-enable = Enable
admin-client-enable-text = { $client } is let in again.
admin-client-delete = Delete
admin-client-delete-text = { $client } is deleted with its secrets, and its access tokens are revoked.
admin-secret-title = The secret of the client
admin-secret-text = Keep it now: it is shown this once.
admin-secret-kept = I have kept it

## Signing keys

admin-keys = Keys
admin-keys-text = Keys sign access tokens. They are replaced by themselves; revoke one only if somebody else may have it.
admin-key = Key
admin-key-from = Signs from
admin-key-ended = Signs until
admin-key-next = Signs later
admin-key-active = Signs
admin-key-retired = Verifies only
admin-key-removed = Ended
admin-key-revoked = Revoked
admin-rotate = Replace the keys
admin-rotate-text = New keys are published now, and sign as soon as all backends can know them. Nobody is logged out.
admin-revoke = Revoke this key?
admin-revoke-key = Revoke { $key }
admin-revoke-link = Revoke
admin-revoke-text = All access tokens that the key { $key } has signed are refused at once. Apps get new ones by themselves.

## Emails

admin-mail-waiting = Waiting
admin-mail-failed = Given up
admin-mail-failed-text = Their messages are deleted, because they contained links. Open the person to send a new link.
admin-mail-none = There are no such emails
admin-recipient = Recipient
admin-attempts = Attempts
admin-next-attempt = Next attempt
admin-last-error = Last error
admin-retry = Try again now?
admin-retry-one = This email is tried at once, unless it would be within five minutes anyway.
admin-retry-all = All emails that wait are tried at once, except those that would be within five minutes anyway.
admin-retry-button = Try all now
admin-retry-link = Try now
admin-retry-email = Try now: { $recipient }

## Refusals

admin-refused-forbidden = Only administrators may do this, in a session of their own.
admin-refused-missing = There is nothing here. It may have been deleted.
admin-refused-own = This is not possible with your own account.
admin-refused-disabled = The account is disabled.
admin-refused-deletion = The account is to be deleted.
admin-refused-no-deletion = The account is not to be deleted, or it is too late to keep it.
admin-refused-last = This is the last administrator. Give somebody else with a password the role “admin” first.
admin-refused-password = The account has a password already. Send a link for a new one instead.
admin-refused-mfa = Two-step login is not enabled.
admin-refused-emails = This address was sent too many emails. Try again later.
admin-refused-secrets = The client has two secrets. Delete one first.

## Acting for a person

acting-title = Act for this person
acting-text = For a quarter of an hour you see the pages of { $email } as they do, and can change nothing. They can read in their activity that you did, and why.
acting-reason = Reason
acting-reason-hint = 3 to 200 characters, such as the number of a ticket.
acting-reason-refused = A reason has 3 to 200 characters on one line.
acting-button = Begin
acting-banner = You act for { $person }. { $minutes ->
    [one] One minute left.
   *[other] { $minutes } minutes left.
}
acting-end = End
acting-refused = While you act for somebody, you can change nothing.
acting-ended-title = You act for nobody any more
acting-ended = The time is over, or the session was ended.
acting-console = To the console

## The members of closed sets

admin-device-desktop = Computers
admin-device-mobile = Phones
admin-device-tablet = Tablets
admin-device-tv = TVs
admin-device-console = Game consoles
admin-device-bot = Bots
admin-device-program = Programs
admin-login-succeeded = Succeeded
admin-login-refused = Refused
admin-outcome-unavailable = Database unavailable
admin-refresh-rotated = New tokens
admin-refresh-replayed = Repeated at once
admin-refresh-recovered = Repeated later
admin-refresh-caught-up = Newer than the database
admin-refresh-invalid = Unknown token
admin-refresh-reused = Copied token
admin-refresh-revoked = Session ended
admin-refresh-expired = Session expired
admin-refresh-already = Copy of an earlier request
admin-refresh-doubted = Token just replaced
admin-refresh-unproven = Without proof of the key
admin-limit = Limit
admin-limit-login-account = Logins to one account
admin-limit-login-address = Logins from one IP address
admin-limit-register-address = Registrations from one IP address
admin-limit-refresh-session = Refreshes of one session
admin-limit-refresh-address = Refreshes from one IP address
admin-limit-forgot-account = Emails to one account
admin-limit-mfa-account = Codes for one account
admin-limit-write-account = Changes by one account
admin-limit-search-account = Lookups by one account
admin-reason = Reason
admin-end-logout = logged out
admin-end-owner = ended by its owner on another device
admin-end-operator = ended by an operator
admin-end-reused = a copy of its token was used
admin-end-password = the password was changed
admin-end-reported = reported by its owner
admin-end-proved = the email address was confirmed for the first time
admin-end-disabled = the account was disabled
admin-end-deleted = the account was deleted
admin-end-limit = too many sessions
admin-end-changed = the account changed
admin-end-token = the token was revoked
admin-end-key = the signing key was revoked
admin-end-client = the client was deleted
admin-event-impersonation = An administrator acted for this person
admin-email-verify = Confirm an address
admin-email-reset = New password
admin-email-invitation = Invitation
admin-email-change-old = Change of address, to the present one
admin-email-change-new = Change of address, to the new one
admin-email-changed = Address changed
admin-email-login = Unusual login
admin-email-reused = Copied token
admin-email-password = Password changed
admin-email-mfa = Two-step login changed
admin-email-codes = Many wrong codes
admin-email-alerts = Alerts turned off
admin-email-limit = Too many sessions
admin-email-deletion = Account will be deleted
admin-email-kept = Account is kept
admin-email-deleted = Account deleted
