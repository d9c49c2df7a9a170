// Says why the gateway refuses connections, by the reason in the answer of /ws/status.

export const REASONS = {
  origin: "not allowed from this site",
  "address rate": "too many connections from your address",
  full: "the server is full",
  "sign in": "signed out: reload the page",
  "no tickers": "the database does not answer",
};
