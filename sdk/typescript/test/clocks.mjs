// Clocks for tests.

/** A clock that a test sets. With `auto`, whoever waits is served at once, and the time goes on. */
export class HandClock {
  time = 1000;
  timers = new Set();

  now = () => this.time;

  after = (milliseconds, call) => {
    const timer = { at: this.time + milliseconds, call };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  };

  advance(milliseconds) {
    const end = this.time + milliseconds;
    for (;;) {
      const due = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers.delete(due);
      this.time = Math.max(this.time, due.at);
      due.call();
    }
    this.time = end;
  }
}

/** The real time, `factor` times as fast, and with leaps. */
export function fastClock(factor) {
  let leapt = 0;
  return {
    now: () => performance.now() * factor + leapt,
    after(milliseconds, call) {
      const timer = setTimeout(call, milliseconds / factor);
      return () => clearTimeout(timer);
    },
    leap(milliseconds) {
      leapt += milliseconds;
    },
  };
}
