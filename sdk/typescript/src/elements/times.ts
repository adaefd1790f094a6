import { h } from "./dom.js";

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

// As long as this after its use a session counts as used now: keyturn notes uses once a minute.
const NOW = 180_000;

/** Makes the times of an element, in its language. */
export function timesOf(language: string | undefined) {
  const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const at = (time: string) => absolute.format(Date.parse(time));

  return {
    /** Shows a time of the server's. */
    absolute: (time: string) => h("time", { datetime: time }, at(time)),
    /** Shows how long ago a time was, by the server's clock. `now` is said of the last few minutes. */
    relative(time: string, serverNow: number, now?: string): Node {
      const ago = serverNow - Date.parse(time);
      if (ago < NOW && now) return h("span", {}, now);
      const [unit, length] = UNITS.find(([, length]) => ago >= length) ?? UNITS[2];
      return h("time", { datetime: time, title: at(time) }, relative.format(-Math.floor(ago / length), unit));
    },
  };
}
