// Tells the server's time. The browser's wall clock may be wrong and is never read. All times in milliseconds.

const CLOCK_ERROR_MS = 1000; // two clocks differ a little

// The age of a timestamp in unix microseconds: undefined without one, NaN if it is in the future.
export function ageOf(timestamp, serverTime) {
  if (timestamp === undefined) return undefined;
  const age = serverTime - timestamp / 1000;
  return age < -CLOCK_ERROR_MS ? NaN : Math.max(0, age);
}

export class ServerClock {
  #offset;

  // `serverTime`: unix time; `localTime`: performance.now() of that moment.
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
