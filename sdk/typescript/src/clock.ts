/** How time passes. What the time of day is does not matter. */
export interface Clock {
  /** Milliseconds since any moment, never set back. */
  now(): number;
  /** Calls back after so many milliseconds; returns what prevents it. */
  after(milliseconds: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => (typeof performance === "undefined" ? Date.now() : performance.now()),
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Waits for a promise, unless the signal says no. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason ?? Object.assign(new Error("aborted"), { name: "AbortError" }));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
