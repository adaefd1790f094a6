/** `revoked_reason` of a session, `expired` where it has none, and `other` for those that are not listed. */
export type EndReason =
  | "expired"
  | "logout"
  | "ended_by_owner"
  | "ended_by_operator"
  | "password_changed"
  | "reported_by_owner"
  | "refresh_token_reused"
  | "session_limit"
  | "account_disabled"
  | "other";

/** The codes of a refused password. */
export type Weakness = "password_too_short" | "password_too_long" | "password_guessable";

/** What the elements say. Whoever gives all of it has a catalogue of one language. */
export interface Texts {
  loading: string;
  retry: string;
  cancel: string;
  save: string;
  missing: string;
  failed: string;
  unavailable: string;
  tooMany: string;
  forbidden: string;

  signedOutTitle: string;
  signedOutText: string;
  sessionEnded: string;
  sessionExpired: string;

  sessionsTitle: string;
  sessionsOf: (email: string) => string;
  onlyThis: string;
  thisDevice: string;
  support: string;
  onLoginPage: string;
  withApp: string;
  within: string;
  from: string;
  lastUsed: string;
  now: string;
  begun: string;
  expires: string;
  ended: string;
  byPassword: string;
  inTwoSteps: string;
  name: string;
  nameRefused: string;
  rename: string;
  renamed: string;
  end: string;
  endQuestion: (name: string) => string;
  hasEnded: (name: string) => string;
  endOthers: (count: number) => string;
  endOthersQuestion: (count: number) => string;
  othersEnded: (count: number) => string;
  listChanged: string;
  endedSessions: string;
  noneEnded: string;
  /** Why sessions have ended. */
  reasons: Record<EndReason, string>;

  securityTitle: string;
  password: string;
  passwordText: string;
  currentPassword: string;
  newPassword: string;
  passwordHint: string;
  passwordButton: string;
  passwordWrong: string;
  /** What is wrong with a new password. */
  weaknesses: Record<Weakness, string>;
  passwordChanged: (sessions: number) => string;

  confirmTitle: string;
  confirmText: string;
  confirmButton: string;
  code: string;
  codeHint: string;
  codeWrong: string;

  twoStep: string;
  twoStepText: string;
  isOn: string;
  isOff: string;
  turnOn: string;
  turnOff: string;
  turnOffText: string;
  turnOffButton: string;
  scan: string;
  qr: string;
  openApp: string;
  byHand: string;
  enterCode: string;
  appCodeWrong: string;
  endOtherDevices: string;
  endOtherDevicesHint: string;
  twoStepOn: string;
  twoStepOff: string;
  newCodes: string;
  codesTitle: string;
  codesText: string;
  codesReplaced: string;
  copy: string;
  copied: string;
  download: string;
  codesFile: string;
  kept: string;

  devices: string;
  devicesText: string;
  remove: string;
  removeAll: string;
  devicesRemoved: string;

  alerts: string;
  alertsLabel: string;
  alertsHint: string;
  saved: string;
}

type Some<T> = { [K in keyof T]?: (T[K] extends Record<string, string> ? Some<T[K]> : T[K]) | undefined };

/** What an app says in its own words. */
export type SomeTexts = Some<Texts>;

type Write = (...given: unknown[]) => string;

// Takes the text of a catalogue where the function of an app throws, of which the page is told.
function guarded(write: Write, otherwise: Write): Write {
  return (...given) => {
    try {
      return write(...given);
    } catch (error) {
      reportError(error);
      return otherwise(...given);
    }
  };
}

/** Returns texts of an app, with those of a catalogue where it has none. */
export function completed<T extends object>(catalogue: T, own?: Some<T>): T {
  const texts = Object.entries(catalogue).map(([name, text]) => {
    const other = own?.[name as keyof T] as unknown;
    if (typeof text === "object") return [name, completed(text, other as object | undefined)];
    return [name, typeof other === "function" ? guarded(other as Write, text) : (other ?? text)];
  });
  return Object.fromEntries(texts);
}

export const english: Texts = {
  loading: "Loading …",
  retry: "Try again",
  cancel: "Cancel",
  save: "Save",
  missing: "Fill in this field.",
  failed: "That did not work. Please try again.",
  unavailable: "The server cannot be reached. Please try again in a moment.",
  tooMany: "That was tried too often. Please wait a while.",
  forbidden: "You cannot do this here.",

  signedOutTitle: "You are not logged in",
  signedOutText: "Log in to see this.",
  sessionEnded: "This session was ended.",
  sessionExpired: "This session was not used for too long.",

  sessionsTitle: "Where you are logged in",
  sessionsOf: (email) => `The devices and apps that are logged in as ${email}. End those that you do not know.`,
  onlyThis: "You are logged in nowhere else.",
  thisDevice: "This device",
  support: "Support",
  onLoginPage: "Logged in on the login page",
  withApp: "Logged in with an app",
  within: "Apps",
  from: "From",
  lastUsed: "Last used",
  now: "Now",
  begun: "Logged in",
  expires: "Ends without use",
  ended: "Ended",
  byPassword: "with a password",
  inTwoSteps: "in two steps",
  name: "Name",
  nameRefused: "A name has up to 100 characters and no control characters.",
  rename: "Rename",
  renamed: "The name is saved.",
  end: "End",
  endQuestion: (name) => `${name} is logged out at once. End this session?`,
  hasEnded: (name) => `${name} is logged out.`,
  endOthers: (count) => (count === 1 ? "End the other session" : `End all ${count} others`),
  endOthersQuestion: (count) =>
    count === 1
      ? "One device or app is logged out at once. This one stays logged in."
      : `${count} devices and apps are logged out at once. This one stays logged in.`,
  othersEnded: (count) => (count === 1 ? "One session is ended." : `${count} sessions are ended.`),
  listChanged: "The list has changed.",
  endedSessions: "Ended sessions",
  noneEnded: "There are none.",
  reasons: {
    expired: "it was not used any more",
    logout: "logged out there",
    ended_by_owner: "ended by you",
    ended_by_operator: "ended by those who run this site",
    password_changed: "the password was changed",
    reported_by_owner: "you reported it",
    refresh_token_reused: "a copy of its token was used",
    session_limit: "too many devices were logged in",
    account_disabled: "the account was disabled",
    other: "the account changed",
  },

  securityTitle: "Security",
  password: "Password",
  passwordText: "A new password logs out all of your other devices.",
  currentPassword: "Current password",
  newPassword: "New password",
  passwordHint: "At least 8 characters. A few words that do not belong together are easy to keep in mind.",
  passwordButton: "Change the password",
  passwordWrong: "This password is wrong.",
  weaknesses: {
    password_too_short: "A password has at least 8 characters.",
    password_too_long: "This password is too long.",
    password_guessable: "This password is easy to guess. Use a few words, but no common phrase.",
  },
  passwordChanged: (sessions) =>
    sessions === 0
      ? "Your password is changed."
      : sessions === 1
        ? "Your password is changed. One other session is ended."
        : `Your password is changed. ${sessions} other sessions are ended.`,

  confirmTitle: "Confirm that it is you",
  confirmText: "Enter your password again. What you entered before is kept.",
  confirmButton: "Confirm",
  code: "Code",
  codeHint: "Six digits from your authenticator app, or a recovery code.",
  codeWrong: "This code is wrong, or was used before.",

  twoStep: "Two-step login",
  twoStepText: "A login needs a code of an app on your phone as well as the password.",
  isOn: "On",
  isOff: "Off",
  turnOn: "Turn on",
  turnOff: "Turn two-step login off",
  turnOffText: "From then on the password alone is enough. The recovery codes and trusted devices are deleted.",
  turnOffButton: "Turn off",
  scan: "Scan this picture with an authenticator app.",
  qr: "QR code with the secret for your app",
  openApp: "Open it in an app on this device",
  byHand: "Enter the secret by hand",
  enterCode: "Enter the code that the app shows.",
  appCodeWrong: "This code is wrong. Enter the one that the app shows now. Is the clock of the phone right?",
  endOtherDevices: "Log out all other devices",
  endOtherDevicesHint: "They were logged in without a code.",
  twoStepOn: "Two-step login is on.",
  twoStepOff: "Two-step login is off.",
  newCodes: "Make new recovery codes",
  codesTitle: "Your recovery codes",
  codesText:
    "With each of these codes you can log in once if you lose your phone. Keep them where you find them without it. " +
    "They are not shown again.",
  codesReplaced: "The former codes are not valid any more.",
  copy: "Copy",
  copied: "Copied.",
  download: "Download",
  codesFile: "recovery-codes.txt",
  kept: "I have kept them",

  devices: "Trusted devices",
  devicesText: "These browsers log in without a code.",
  remove: "Remove",
  removeAll: "Remove all",
  devicesRemoved: "Removed. The next login there asks for a code.",

  alerts: "Alerts",
  alertsLabel: "Email me about unusual logins",
  alertsHint: "A new device, another country, or two places too far apart.",
  saved: "Saved.",
};
