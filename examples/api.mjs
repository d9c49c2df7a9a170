// Reads prices and keeps a list over HTTP: node api.mjs http://localhost:8081 AAPL BTC/USD
// Prints the quotes and the number of one-minute bars of the last day. If the environment variable STOCKWATCH_TOKEN has
// a personal token with the scopes `read` and `lists`, also puts the symbols into a list called API.

const [site, ...symbols] = process.argv.slice(2);
const token = process.env.STOCKWATCH_TOKEN;

// Returns the JSON of an answer. Waits as long as the server says after too many requests.
async function call(method, path, { body, query = {} } = {}) {
  const address = new URL(`/api/v1${path}`, site);
  for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  for (;;) {
    const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
    if (answer.ok) return answer.json();
    const wait = answer.headers.get("Retry-After");
    if (![429, 503].includes(answer.status) || wait === null) {
      console.error(`refused: ${(await answer.json()).detail}`);
      process.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(wait)));
  }
}

// Yields all bars of the last day, page by page.
async function* readBars(symbol) {
  const query = { range: "1d", limit: 500 };
  for (;;) {
    const page = await call("GET", `/bars/${encodeURIComponent(symbol)}`, { query });
    yield* page.bars;
    if (page.next_page_token === null) return;
    query.page_token = page.next_page_token;
  }
}

// Gives the list with this name these symbols, and creates the list if there is none.
async function keepList(name) {
  const { lists } = await call("GET", "/lists");
  const found = lists.find((list) => list.name === name);
  if (found) return call("PATCH", `/lists/${found.id}`, { body: { symbols } });
  return call("POST", "/lists", { body: { name, symbols } });
}

const { quotes, errors } = await call("GET", "/quotes", { query: { symbols: symbols.join(",") } });
for (const { symbol, price } of quotes) console.log(symbol, price);
for (const { symbol, code } of errors) console.error(symbol, code);
for (const { symbol } of quotes) {
  let count = 0;
  for await (const _bar of readBars(symbol)) count += 1;
  console.log(symbol, count, "bars");
}
if (token) {
  const { list } = await keepList("API");
  console.log("list", list.name, "version", list.version, ...list.symbols);
}
