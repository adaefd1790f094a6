import type { components } from "../wire.js";
import { alertsCard } from "./alerts_card.js";
import { call } from "./calls.js";
import { devicesCard } from "./devices_card.js";
import { h } from "./dom.js";
import { type Host, KeyturnElement, type View } from "./element.js";
import { headline } from "./parts.js";
import { passwordCard } from "./password_card.js";
import { confirmed } from "./step_up.js";
import { twoStepCard } from "./two_step_card.js";

type Schemas = components["schemas"];

/** What the cards know of whom they are about. */
export interface Account {
  readonly host: Host;
  readonly me: () => Schemas["Me"];
  /** Calls a route below `/api/v1/auth/` that may need a recent login, which is asked for in a place. */
  call<T>(place: HTMLElement, method: string, path: string, body?: object): Promise<T>;
}

/** A card, and how it shows what is known now. */
export interface SecurityCard {
  readonly root: HTMLElement;
  show(devices: Schemas["TrustedDevice"][]): void;
}

function securityView(host: Host): View {
  const { client, texts } = host;
  const content = h("div", { part: "content" }, h("slot", { name: "heading" }, headline(texts.securityTitle)));
  let me: Schemas["Me"] | undefined;
  let cards: SecurityCard[] = [];

  const account: Account = {
    host,
    me: () => me!,
    call(place, method, path, body) {
      const who = { email: me!.user.email, hasCode: me!.mfa_enabled };
      return confirmed(host, place, who, () => call(client, method, path, body));
    },
  };

  async function load(signal: AbortSignal): Promise<() => void> {
    const found = await client.me({ signal });
    const path = "trusted-devices";
    const { trusted_devices: devices } = found.mfa_enabled
      ? await call<Schemas["TrustedDeviceList"]>(client, "GET", path, undefined, signal)
      : { trusted_devices: [] };
    return () => {
      const isOther = me?.user.id !== found.user.id;
      me = found;
      if (isOther) {
        for (const card of cards) card.root.remove();
        cards = [passwordCard, twoStepCard, devicesCard, alertsCard].map((make) => make(account));
        content.append(...cards.map((card) => card.root));
      }
      for (const card of cards) card.show(devices);
    };
  }

  function follow(signal: AbortSignal): void {
    const ask = () => document.visibilityState === "visible" && void host.refresh();
    document.addEventListener("visibilitychange", ask, { signal });
  }

  return { content, load, follow };
}

/** `<keyturn-security>`: the password, two-step login, trusted devices and alerts of somebody. */
export class KeyturnSecurity extends KeyturnElement {
  protected view(host: Host): View {
    return securityView(host);
  }
}
