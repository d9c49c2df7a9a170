// One conversation by the package ws: sends what it is given, prints each event as a line of JSON, ends with the close.
import WebSocket from "ws";

const [url, ...requests] = process.argv.slice(2);
const socket = new WebSocket(url);
const say = (event) => console.log(JSON.stringify(event));

socket.on("open", () => requests.forEach((request) => socket.send(request)));
socket.on("message", (text, binary) => say({ text: text.toString(), binary }));
socket.on("ping", () => say({ ping: true }));
socket.on("close", (code) => say({ code }));
socket.on("error", (error) => say({ error: error.message }));
