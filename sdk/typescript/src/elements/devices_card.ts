import type { components } from "../wire.js";
import { h, named } from "./dom.js";
import { actions, attempt, button, card, succeed } from "./parts.js";
import type { Account, SecurityCard } from "./security.js";
import { timesOf } from "./times.js";

type Device = components["schemas"]["TrustedDevice"];

/** Makes the card of the devices that need no code. It is there while there are any. */
export function devicesCard({ host, call }: Account): SecurityCard {
  const { texts } = host;
  const times = timesOf(host.language);
  const list = h("ul", { part: "list", role: "list" });
  const all = actions(button(texts.removeAll, () => remove(""), "danger"));
  const body = h("div", { part: "form" }, h("p", {}, texts.devicesText), list, all);
  const root = card("devices", texts.devices, body);
  let shown = "";

  function remove(query: string): Promise<void> {
    return attempt(body, texts, async () => {
      const path = `trusted-devices${query}`;
      const detail = await call<{ devices_removed: number }>(body, "DELETE", path);
      await host.refresh();
      succeed(host, body, texts.devicesRemoved);
      host.tell("keyturn-trusted-devices-removed", detail);
    });
  }

  function row({ id, device, ip_address, last_used_at }: Device): HTMLElement {
    const name = h("strong", { id: `device-${id}` }, named(device.label));
    const place = ip_address === null ? [] : [", ", named(ip_address)];
    const used = h("p", { part: "hint" }, `${texts.lastUsed}: `, times.absolute(last_used_at), ...place);
    const press = () => remove(`?id=${encodeURIComponent(id)}`);
    const away = button(texts.remove, press, "", `remove-${id} device-${id}`);
    return h("li", { part: "row" }, h("div", {}, name, used), away);
  }

  return {
    root,
    show(devices) {
      const state = JSON.stringify(devices);
      if (state === shown) return;
      shown = state;
      const hadFocus = root.contains(host.root.activeElement);
      list.replaceChildren(...devices.map(row));
      root.hidden = devices.length === 0;
      if (hadFocus) (root.hidden ? root.previousElementSibling : root)?.querySelector("h3")?.focus();
    },
  };
}
