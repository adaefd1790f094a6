import type { SignedOutReason } from "../errors.js";

/** What the elements tell of, as events that bubble. */
export interface ElementEvents {
  /** Nobody is logged in, or not any more. */
  "keyturn-signed-out": { reason: SignedOutReason | undefined };
  "keyturn-session-ended": { session_id: string };
  /** All but the present session were ended. */
  "keyturn-sessions-ended": { sessions_revoked: number };
  "keyturn-session-renamed": { session_id: string; name: string | null };
  "keyturn-password-changed": { sessions_revoked: number };
  "keyturn-two-step-changed": { enabled: boolean };
  /** New recovery codes are shown. */
  "keyturn-recovery-codes-replaced": null;
  "keyturn-trusted-devices-removed": { devices_removed: number };
  "keyturn-alerts-changed": { alerts: boolean };
}
