// Tells the server's time. The browser's wall clock may be wrong and is never read. All times in milliseconds.

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
