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
code-hint = Six digits from your authenticator app, or one of your recovery codes.
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
