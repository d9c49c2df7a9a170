// A shared worker: all pages of a browser get the updates of one stream.

import { SharedStream } from "./stream.js";

const stream = new SharedStream();
globalThis.onconnect = ({ ports: [port] }) => stream.accept(port);
