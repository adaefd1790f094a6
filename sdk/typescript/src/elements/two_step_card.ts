import type { components } from "../wire.js";
import { codeOf } from "./calls.js";
import { h, svg } from "./dom.js";
import { actions, attempt, badge, button, card, checkbox, codeField, form, question, succeed } from "./parts.js";
import type { Account, SecurityCard } from "./security.js";

type Schemas = components["schemas"];

// Makes the picture of the server's anew: markup that is parsed is what pages with Trusted Types forbid.
function qrOf(markup: string, label: string): SVGElement | undefined {
  const box = /viewBox="([\d. ]+)"/.exec(markup)?.[1];
  const path = /\bd="([\d. MmHhVvLlZz,-]+)"/.exec(markup)?.[1];
  if (!box || !path) return undefined;
  const attributes = { part: "qr", viewBox: box, role: "img", "aria-label": label, "shape-rendering": "crispEdges" };
  return svg("svg", attributes, svg("path", { d: path }));
}

function save(name: string, text: string): void {
  const href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}

/** Makes the card of two-step login: off, being turned on, on, and its recovery codes. */
export function twoStepCard({ host, me, call }: Account): SecurityCard {
  const { texts } = host;
  const area = h("div", { part: "form" });
  const root = card("two-step", texts.twoStep, area);
  let shown: boolean | undefined;
  // Whether something is asked, or shown that is not shown again.
  let isBusy = false;

  function headed(isOn: boolean): void {
    const state = isOn ? badge(texts.isOn, "success") : badge(texts.isOff);
    root.querySelector("h3")!.replaceChildren(`${texts.twoStep} `, state);
  }

  function overview(focused = true, done?: string): void {
    isBusy = false;
    shown = me().mfa_enabled;
    headed(shown);
    const off = button(texts.turnOff, turningOff, "danger");
    const offer = shown ? [button(texts.newCodes, replaceCodes), off] : [button(texts.turnOn, begin, "primary")];
    area.replaceChildren(h("p", {}, texts.twoStepText), actions(...offer));
    if (focused) root.querySelector("h3")?.focus();
    if (done) succeed(host, area, done);
  }

  const begin = () =>
    attempt(area, texts, async () => {
      enrol(await call<Schemas["TotpEnrolment"]>(area, "POST", "mfa/totp"));
    });

  function enrol({ otpauth_uri, qr_svg, secret }: Schemas["TotpEnrolment"]): void {
    isBusy = true;
    const code = codeField(texts.code);
    code.input.inputMode = "numeric";
    const others = checkbox(texts.endOtherDevices, texts.endOtherDevicesHint);
    const send = async () => {
      const body = { code: code.input.value, revoke_other_sessions: others.input.checked };
      try {
        const { recovery_codes } = await call<Schemas["RecoveryCodes"]>(steps, "POST", "mfa/totp/confirm", body);
        codes(recovery_codes, texts.twoStepOn);
        host.tell("keyturn-two-step-changed", { enabled: true });
        void host.refresh();
      } catch (error) {
        const why = codeOf(error);
        if (why !== "invalid_code" && why !== "invalid_input") throw error;
        code.refuse(texts.appCodeWrong);
      }
    };
    const grouped = (secret.match(/.{1,4}/g) ?? []).join(" ");
    const shownSecret = h("code", { part: "code", dir: "ltr", translate: "no" }, grouped);
    const picture = qrOf(qr_svg, texts.qr);
    const buttons = actions(button(texts.turnOn, undefined, "primary"), button(texts.cancel, () => overview()));
    const link = h("a", { part: "link", href: otpauth_uri }, texts.openApp);
    const byHand = h("details", { open: !picture }, h("summary", {}, texts.byHand), h("p", {}, shownSecret));
    const scan = h("li", {}, texts.scan, picture, h("p", {}, link), byHand);
    const entry = form(texts, [code], send, {}, code.row, others.row, buttons);
    const steps = h("ol", {}, scan, h("li", {}, texts.enterCode, entry));
    area.replaceChildren(steps);
    root.querySelector("h3")?.focus();
  }

  function codes(list: string[], done: string): void {
    isBusy = true;
    headed(true);
    const text = list.join("\n");
    const copy = async () => {
      await navigator.clipboard.writeText(text);
      succeed(host, area, texts.copied);
    };
    const items = list.map((code) => h("li", {}, h("code", { part: "code", dir: "ltr" }, code)));
    area.replaceChildren(
      h("h4", {}, texts.codesTitle),
      h("p", {}, texts.codesText),
      h("ul", { part: "codes", role: "list", translate: "no" }, ...items),
      actions(
        button(texts.download, () => save(texts.codesFile, `${text}\n`)),
        "clipboard" in navigator && button(texts.copy, () => attempt(area, texts, copy)),
      ),
      actions(button(texts.kept, keep, "primary")),
    );
    root.querySelector("h3")?.focus();
    succeed(host, area, done);
  }

  function keep(): void {
    overview();
    host.renew();
  }

  const replaceCodes = () =>
    attempt(area, texts, async () => {
      const { recovery_codes } = await call<Schemas["RecoveryCodes"]>(area, "POST", "mfa/recovery-codes");
      codes(recovery_codes, texts.codesReplaced);
      host.tell("keyturn-recovery-codes-replaced", null);
    });

  function turningOff(): void {
    isBusy = true;
    const act = async () => {
      await call(asked, "DELETE", "mfa/totp");
      await host.refresh();
      overview(true, texts.twoStepOff);
      host.tell("keyturn-two-step-changed", { enabled: false });
    };
    const back = () => overview();
    const asked: HTMLElement = question(texts, texts.turnOffText, texts.turnOffButton, act, back);
    area.replaceChildren(asked);
    asked.focus();
  }

  return {
    root,
    show() {
      if (!isBusy && shown !== me().mfa_enabled) overview(area.contains(host.root.activeElement));
    },
  };
}
