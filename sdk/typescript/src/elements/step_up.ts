import { codeOf } from "./calls.js";
import { h } from "./dom.js";
import type { Host } from "./element.js";
import { actions, button, codeField, form, onEscape, password, username } from "./parts.js";

// What a call was answered with that needs a recent login, where the app's `onStepUp` did not see to it.
const REFUSALS = ["insufficient_user_authentication", "second_factor_required"];

// What is thrown where somebody does not want to authenticate again. Nothing is said of it.
const CANCELLED = Symbol("cancelled");

// Asks for the password and, where it is needed, for a code. The place is hidden meanwhile, and keeps what was typed.
function ask(host: Host, place: HTMLElement, email: string, needsCode: boolean): Promise<boolean> {
  const { client, root, texts } = host;
  const former = root.activeElement as HTMLElement | null;
  return new Promise((resolve) => {
    const word = password("current-password", texts.password);
    const code = codeField(texts.code, texts.codeHint);
    code.row.hidden = !needsCode;
    const done = (isDone: boolean) => {
      made.remove();
      place.hidden = false;
      former?.focus();
      resolve(isDone);
    };
    const send = async () => {
      const typed = code.row.hidden ? {} : { code: code.input.value.trim() };
      try {
        await client.reauthenticate({ password: word.input.value, ...typed });
        done(true);
      } catch (error) {
        const why = codeOf(error);
        if (why === "invalid_credentials") word.refuse(texts.passwordWrong);
        else if (why === "mfa_required" || why === "invalid_code") {
          const isMissing = code.row.hidden;
          code.row.hidden = false;
          code.refuse(isMissing ? texts.missing : texts.codeWrong);
        } else throw error;
      }
    };
    const made = form(
      texts,
      [word, code],
      send,
      { part: "form step-up", ...onEscape(() => done(false)) },
      h("h4", {}, texts.confirmTitle),
      h("p", {}, texts.confirmText),
      username(email),
      word.row,
      code.row,
      actions(button(texts.confirmButton, undefined, "primary"), button(texts.cancel, () => done(false))),
    );
    place.after(made);
    place.hidden = true;
    word.input.focus();
  });
}

/** Does what may need a recent login, and asks for one in the place of a form, which keeps what was typed. */
export async function confirmed<T>(
  host: Host,
  place: HTMLElement,
  { email, hasCode }: { email: string; hasCode: boolean },
  act: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const code = codeOf(error) ?? "";
      if (!REFUSALS.includes(code)) throw error;
      if (!(await ask(host, place, email, hasCode || code === "second_factor_required"))) throw CANCELLED;
    }
  }
}
