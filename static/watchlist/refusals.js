// Says why the gateway refuses connections, by the reason in the answer of /ws/status.

const KICKED = 4504; // the operator closed the connection, and refuses this client for a time
const OPERATOR = "refused by operator";
const UNKNOWN_SECONDS = 60; // of a refusal, if the gateway does not answer

const REASONS = {
  origin: "not allowed from this site",
  "address rate": "too many connections from your address",
  full: "the server is full",
  "sign in": "signed out: reload the page",
  "no tickers": "the database does not answer",
};

// Shows the reason. `isKicked`: the gateway has closed the connection with KICKED.
export async function explain(response, status, socket, isKicked) {
  const { ok, reason, retry_after: seconds } = response.ok ? await response.json() : {};
  if (isKicked) wait(status, socket, ok ? 1 : seconds || UNKNOWN_SECONDS);
  else if (reason === OPERATOR) socket.stop(KICKED); // this function is then called again
  else status.setRefusalReason(REASONS[reason] ?? "");
}

// Connects again when the operator refuses this client no longer.
function wait(status, socket, seconds) {
  status.setRefusalReason("The operator closed this connection");
  setTimeout(() => socket.retry(), seconds * 1000);
}
