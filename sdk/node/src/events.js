// The stream of events (HTML, "Server-sent events").

// The longest line and the longest data of an event, in characters.
const MAX_LENGTH = 65_536;

export class Events {
  #rest = "";
  #event = { name: "" };

  // Reads a part of the stream, however it is divided. Returns the events that it ends.
  read(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    if (this.#rest.length > MAX_LENGTH) throw new SyntaxError("a line is too long");
    for (const line of lines) {
      if (line === "") {
        if (this.#event.data !== undefined) events.push(this.#event);
        this.#event = { name: "" };
        continue;
      }
      const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (field === "event") this.#event.name = value ?? "";
      if (field === "id") this.#event.id = value ?? "";
      if (field === "data") {
        const before = this.#event.data;
        this.#event.data = before === undefined ? (value ?? "") : `${before}\n${value ?? ""}`;
        if (this.#event.data.length > MAX_LENGTH) throw new SyntaxError("an event is too long");
      }
    }
    return events;
  }
}
