import { type ElementOptions, KeyturnElement } from "./elements/element.js";
import type { ElementEvents } from "./elements/events.js";
import { KeyturnSecurity } from "./elements/security.js";
import { KeyturnSessions } from "./elements/sessions.js";

export type { ElementOptions } from "./elements/element.js";
export type { ElementEvents } from "./elements/events.js";
export { german } from "./elements/german.js";
export { type Texts, english } from "./elements/texts.js";
export type { KeyturnSecurity, KeyturnSessions };

declare global {
  interface HTMLElementTagNameMap {
    "keyturn-sessions": KeyturnSessions;
    "keyturn-security": KeyturnSecurity;
  }
  // Of elements, the document and the window.
  interface GlobalEventHandlersEventMap extends KeyturnEventMap {}
}

type KeyturnEventMap = { [E in keyof ElementEvents]: CustomEvent<ElementEvents[E]> };

/**
 * Defines `<keyturn-sessions>` and `<keyturn-security>`, and gives them what they have unless an element is given its
 * own. Where they are defined already, by another copy of this module too, those get it. Does nothing on a server.
 */
export function defineElements(options: ElementOptions = {}): void {
  if (typeof customElements === "undefined") return;
  const classes = { "keyturn-sessions": KeyturnSessions, "keyturn-security": KeyturnSecurity };
  for (const [name, own] of Object.entries(classes)) {
    const known = customElements.get(name) as typeof KeyturnElement | undefined;
    (known ?? own).defaults = options;
    if (!known) customElements.define(name, own);
  }
}
