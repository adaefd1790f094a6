// The revoked sessions, a million in some 45 MB: a table of numbers, with open addressing and linear probing. It is made
// of parts that grow by themselves, so that growing never needs the whole table twice.

const PARTS = 64;
const SMALLEST = 64;
// Of the places of a part, so many are used at most before it grows.
const MOST_USED = 0.75;

// Returns a UUID as four numbers.
export function numbers(id) {
  return [
    parseInt(id.slice(0, 8), 16),
    parseInt(id.slice(9, 13) + id.slice(14, 18), 16),
    parseInt(id.slice(19, 23) + id.slice(24, 28), 16),
    parseInt(id.slice(28, 36), 16),
  ];
}

class Part {
  constructor(places) {
    this.mask = places - 1;
    this.used = 0;
    this.ids = new Uint32Array(places * 4);
    // The second of the end of each entry, 0 for a free place, and the snapshot in which it was seen last.
    this.ends = new Uint32Array(places);
    this.snapshots = new Uint8Array(places);
  }

  // Returns the place of an id, or the free one in which it would be.
  find([a, b, c, d]) {
    const { ids, ends, mask } = this;
    // The last bytes of a UUID are random in every version that is used for ids; the last six bits chose the part.
    let place = ((d >>> 6) ^ c) & mask;
    while (ends[place] !== 0) {
      const at = place * 4;
      if (ids[at] === a && ids[at + 1] === b && ids[at + 2] === c && ids[at + 3] === d) break;
      place = (place + 1) & mask;
    }
    return place;
  }

  set(id, end, snapshot) {
    const place = this.find(id);
    if (this.ends[place] === 0) {
      this.ids.set(id, place * 4);
      this.used += 1;
    }
    this.ends[place] = Math.max(this.ends[place], end);
    this.snapshots[place] = snapshot;
  }

  // Returns a part with those entries that are to be kept, and room for as many again.
  rebuilt(isKept) {
    let kept = 0;
    for (let place = 0; place <= this.mask; place += 1) {
      if (this.ends[place] !== 0 && isKept(this.ends[place], this.snapshots[place])) kept += 1;
    }
    let places = SMALLEST;
    while (kept + 1 > places * MOST_USED) places *= 2;
    const part = new Part(places);
    for (let place = 0; place <= this.mask; place += 1) {
      if (this.ends[place] === 0 || !isKept(this.ends[place], this.snapshots[place])) continue;
      part.set(this.ids.subarray(place * 4, place * 4 + 4), this.ends[place], this.snapshots[place]);
    }
    return part;
  }
}

export class Sessions {
  #parts = Array.from({ length: PARTS }, () => new Part(SMALLEST));

  // Adds a session, until the second `end` at least.
  add(sid, end, snapshot) {
    const id = numbers(sid);
    const which = id[3] % PARTS;
    let part = this.#parts[which];
    if (part.used + 1 > (part.mask + 1) * MOST_USED) {
      part = this.#parts[which] = part.rebuilt(() => true);
    }
    part.set(id, Math.min(Math.max(end, 1), 0xffffffff), snapshot);
  }

  // Returns the second of the end of a session's entry, 0 if there is none. Takes the numbers of the session.
  endOf(id) {
    const part = this.#parts[id[3] % PARTS];
    return part.used === 0 ? 0 : part.ends[part.find(id)];
  }

  // Removes those that have ended by the second `now`, and, if a snapshot is given, those of others.
  remove(now, snapshot) {
    const isKept = (end, seen) => end > now && (snapshot === undefined || seen === snapshot);
    for (const [which, part] of this.#parts.entries()) {
      if (part.used > 0) this.#parts[which] = part.rebuilt(isKept);
    }
  }

  get size() {
    return this.#parts.reduce((size, part) => size + part.used, 0);
  }
}
