// Sends the given requests with the package ws, prints each event as a line of JSON, and ends with the connection.
import WebSocket from "ws";

const [url, ...requests] = process.argv.slice(2);
const socket = new WebSocket(url);
const print = (event) => console.log(JSON.stringify(event));

socket.on("open", () => requests.forEach((request) => socket.send(request)));
socket.on("message", (text, binary) => print({ text: text.toString(), binary }));
socket.on("ping", () => print({ ping: true }));
socket.on("close", (code) => print({ code }));
socket.on("error", (error) => print({ error: error.message }));
