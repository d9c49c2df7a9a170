// Computes the server's time. The wall clock of the browser may be wrong and is never read.
// Times are in milliseconds, except timestamps.

const CLOCK_ERROR_MS = 1000; // two clocks differ a little

// Returns the age in milliseconds of `timestamp`, which is in unix microseconds.
// Returns undefined if there is no timestamp, and NaN if the timestamp is in the future.
export function ageOf(timestamp, serverTime) {
  if (timestamp === undefined) return undefined;
  const age = serverTime - timestamp / 1000;
  return age < -CLOCK_ERROR_MS ? NaN : Math.max(0, age);
}

export class ServerClock {
  #offset;

  // `serverTime` is a unix time, and `localTime` is performance.now() at the same moment.
  constructor(serverTime, localTime) {
    this.set(serverTime, localTime);
  }

  set(serverTime, localTime) {
    this.#offset = serverTime - localTime;
  }

  now(localTime) {
    return localTime + this.#offset;
  }
}
