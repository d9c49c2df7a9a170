// Tells the server's time. The browser's wall clock may be wrong and is never read. All times in milliseconds.

const TOLERANCE_MS = 1000;

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

  // The age of an update: undefined without one, NaN if it is unknown because the producer's clock is ahead. A second
  // ahead is not: our estimate of the server's time lags by the delay of the network.
  ageOf(timestamp, localTime) {
    if (timestamp === undefined) return undefined;
    const age = this.now(localTime) - timestamp / 1000;
    return age < -TOLERANCE_MS ? NaN : Math.max(age, 0);
  }
}
