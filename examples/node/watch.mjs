// Prints updates: node watch.mjs ws://localhost:8081/ws AAPL GOOG
import WebSocket from "ws";

const [url, ...symbols] = process.argv.slice(2);
let wait = 500; // milliseconds

function fail(message) {
  console.error(message);
  process.exit(1);
}

function watch() {
  const address = new URL(url);
  address.searchParams.set("heartbeat", "15");
  const socket = new WebSocket(address);
  // A dead connection sends no close. Three missed heartbeats count as a loss.
  const silence = setTimeout(() => socket.terminate(), 45_000);

  socket.on("open", () => socket.send(JSON.stringify({ action: "subscribe", id: "1", payload: { symbols } })));
  socket.on("message", (text) => {
    silence.refresh();
    const frame = JSON.parse(text);
    if (frame === null || typeof frame !== "object") return;
    // An update may have more keys, also one named `type`.
    if ("price" in frame && "seq_id" in frame) console.log(String(text));
    else if (frame.type === "error") fail(frame.message);
    else if (frame.type === "ack") {
      wait = 500;
      console.error("rejected:", frame.rejected ?? {});
    }
  });
  socket.on("unexpected-response", (request, { statusCode }) => {
    if (statusCode !== 429 && statusCode < 500) fail(`refused: ${statusCode}`);
    socket.terminate();
  });
  socket.on("error", (error) => console.error(error.message));
  socket.on("close", (code) => {
    clearTimeout(silence);
    if (code >= 4500 && code <= 4999) fail(`closed for good: ${code}`);
    setTimeout(watch, wait * (0.5 + Math.random() / 2));
    wait = Math.min(8000, wait * 2);
  });
}

watch();
