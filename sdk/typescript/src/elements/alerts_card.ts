import { actions, button, card, checkbox, form, succeed } from "./parts.js";
import type { Account, SecurityCard } from "./security.js";

/** Makes the card of what emails tell. */
export function alertsCard({ host, me, call }: Account): SecurityCard {
  const { texts } = host;
  const box = checkbox(texts.alertsLabel, texts.alertsHint);
  let saved: boolean | undefined;

  async function send(): Promise<void> {
    const { alerts } = await call<{ alerts: boolean }>(made, "PATCH", "me", { alerts: box.input.checked });
    saved = alerts;
    succeed(host, made, texts.saved);
    host.tell("keyturn-alerts-changed", { alerts });
  }

  const made: HTMLFormElement = form(texts, [], send, {}, box.row, actions(button(texts.save)));
  return {
    root: card("alerts", texts.alerts, made),
    show() {
      const { alerts } = me();
      if (alerts !== saved) box.input.checked = saved = alerts;
    },
  };
}
