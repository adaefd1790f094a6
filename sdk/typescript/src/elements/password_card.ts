import { codeOf, fieldCodeOf } from "./calls.js";
import { h } from "./dom.js";
import { actions, button, card, form, password, succeed, username } from "./parts.js";
import type { Account, SecurityCard } from "./security.js";
import type { Weakness } from "./texts.js";

/** Makes the card to change the password. */
export function passwordCard({ host, me, call }: Account): SecurityCard {
  const { texts } = host;
  const current = password("current-password", texts.currentPassword);
  const next = password("new-password", texts.newPassword, texts.passwordHint);

  async function send(): Promise<void> {
    const body = { current_password: current.input.value, new_password: next.input.value };
    try {
      const detail = await call<{ sessions_revoked: number }>(made, "POST", "password/change", body);
      made.reset();
      succeed(host, made, texts.passwordChanged(detail.sessions_revoked));
      host.tell("keyturn-password-changed", detail);
    } catch (error) {
      const weak = fieldCodeOf(error, "new_password");
      if (codeOf(error) === "invalid_credentials") current.refuse(texts.passwordWrong);
      else if (weak) next.refuse(texts.weaknesses[weak as Weakness] ?? texts.weaknesses.password_guessable);
      else throw error;
    }
  }

  const made: HTMLFormElement = form(
    texts,
    [current, next],
    send,
    {},
    username(me().user.email),
    current.row,
    next.row,
    actions(button(texts.passwordButton, undefined, "primary")),
  );
  return { root: card("password", texts.password, h("p", {}, texts.passwordText), made), show() {} };
}
