import {
  type DetailedHTMLProps,
  type HTMLAttributes,
  type ReactNode,
  createContext,
  createElement,
  useContext,
  useSyncExternalStore,
} from "react";
import type { Client } from "./client.js";
import type { ElementOptions, KeyturnElement } from "./elements/element.js";
import type { ElementEvents } from "./elements/events.js";
import { type KeyturnError, type SignedOutReason, isKeyturnError } from "./errors.js";
import type { components } from "./wire.js";

/** What the elements of `@keyturn/client/elements` take in JSX, from React 19 on. */
type ElementProps = DetailedHTMLProps<HTMLAttributes<KeyturnElement>, KeyturnElement> &
  ElementOptions & { [E in keyof ElementEvents as `on${E}`]?: (event: CustomEvent<ElementEvents[E]>) => void };

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "keyturn-sessions": ElementProps;
      "keyturn-security": ElementProps;
    }
  }
}

/** What is known of who is logged in. */
export type SessionState =
  | { status: "loading" }
  | { status: "signed_in"; me: components["schemas"]["Me"] }
  | { status: "signed_out"; reason?: SignedOutReason }
  /** It is not known, because keyturn cannot be asked. Nobody was logged out. */
  | { status: "unknown"; error: KeyturnError };

interface Store {
  state: SessionState;
  subscribe(changed: () => void): () => void;
}

const LOADING: SessionState = { status: "loading" };
const Context = createContext<Client | undefined>(undefined);
const stores = new WeakMap<Client, Store>();

// Follows a client while somebody watches.
function follow(client: Client): Store {
  const watchers = new Set<() => void>();
  let turn = 0;
  let ends: (() => void)[] = [];
  const show = (state: SessionState) => {
    store.state = state;
    for (const changed of watchers) changed();
  };
  const load = async () => {
    const own = (turn += 1);
    let state: SessionState;
    try {
      state = { status: "signed_in", me: await client.me() };
    } catch (error) {
      if (!isKeyturnError(error) || error.kind === "disposed") return;
      if (error.kind === "signed_out") state = { status: "signed_out", ...(error.reason && { reason: error.reason }) };
      else state = { status: "unknown", error };
    }
    if (own === turn) show(state);
  };
  const store: Store = {
    state: LOADING,
    subscribe(changed) {
      if (watchers.size === 0) {
        ends = [
          client.on("signedIn", load),
          client.on("refreshed", () => store.state.status === "unknown" && load()),
          client.on("signedOut", ({ reason }) => {
            turn += 1;
            show({ status: "signed_out", reason });
          }),
        ];
        void load();
      }
      watchers.add(changed);
      return () => {
        watchers.delete(changed);
        if (watchers.size === 0) for (const end of ends.splice(0)) end();
      };
    },
  };
  return store;
}

/** Gives a client to the components within. Make the client once, outside of components. */
export function KeyturnProvider({ client, children }: { client: Client; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** Returns the client of the provider around. */
export function useKeyturn(): Client {
  const client = useContext(Context);
  if (!client) throw new Error("there is no KeyturnProvider around this component");
  return client;
}

/** Returns who is logged in, and renders again when that changes, in this tab or another. */
export function useSession(): SessionState {
  const client = useKeyturn();
  let store = stores.get(client);
  if (!store) stores.set(client, (store = follow(client)));
  const { subscribe } = store;
  return useSyncExternalStore(subscribe, () => store.state, () => LOADING);
}
