/** Where a session is kept: one short text. What it throws, or does not keep, is a failure of kind `storage`. */
export interface TokenStorage {
  /**
   * Whether several tabs read it. The access token is then kept in it too, so that one tab refreshes for all. Without,
   * the text is the refresh token and what belongs to it, under 256 bytes.
   */
  readonly shared?: boolean;
  get(): string | null | undefined | Promise<string | null | undefined>;
  set(text: string): unknown;
  remove(): unknown;
  /** Calls back when another tab has changed the text, with the former one if it was removed. Returns what ends it. */
  watch?(changed: (removed?: string) => void): () => void;
}

/** Keeps a session until the page or process ends. */
export function memoryStorage(): TokenStorage {
  let kept: string | undefined;
  return {
    get: () => kept,
    set: (text) => {
      kept = text;
    },
    remove: () => {
      kept = undefined;
    },
  };
}

/** Keeps a session in `localStorage`, for all tabs of an origin. Scripts of the page can read it. */
export function webStorage(name = "keyturn"): TokenStorage {
  return {
    shared: true,
    get: () => localStorage.getItem(name),
    set: (text) => localStorage.setItem(name, text),
    remove: () => localStorage.removeItem(name),
    watch(changed) {
      // With a key of null, all was cleared.
      const told = ({ key, oldValue, newValue }: StorageEvent) => {
        if (key === name || key === null) changed(newValue === null ? (oldValue ?? undefined) : undefined);
      };
      addEventListener("storage", told);
      return () => removeEventListener("storage", told);
    },
  };
}

/** What `AsyncStorage` and others of its kind have. */
export interface AsyncStore {
  getItem(name: string): Promise<string | null>;
  setItem(name: string, text: string): Promise<unknown>;
  removeItem(name: string): Promise<unknown>;
}

/** Keeps a session in a store of one process, such as a phone's keychain. */
export function asyncStorage(store: AsyncStore, name = "keyturn"): TokenStorage {
  return {
    get: () => store.getItem(name),
    set: (text) => store.setItem(name, text),
    remove: () => store.removeItem(name),
  };
}

/** Returns `localStorage` if there is a page that may use it, and else memory. */
export function defaultStorage(): TokenStorage {
  try {
    if (typeof document !== "undefined" && localStorage) return webStorage();
  } catch {
    // It is blocked.
  }
  return memoryStorage();
}
