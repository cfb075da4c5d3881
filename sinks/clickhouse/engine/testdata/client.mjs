// What a program written against the official JavaScript client does, against
// the URL in argv: insert, select, parameters, sessions, errors, cancelling and
// streams. It prints one line of JSON for each step; the test compares them.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Readable } from "node:stream";

const [url, database, modules] = process.argv.slice(2);
const require = createRequire(pathToFileURL(modules + "/"));
const { createClient } = require("@clickhouse/client");

const say = (step, value) => console.log(JSON.stringify({ step, value }));
const client = createClient({ url, database, clickhouse_settings: { async_insert: 0 } });

say("ping", (await client.ping()).success);

await client.command({
  query: "CREATE TABLE t (id UInt64, name String, tags Array(String)) ENGINE = MergeTree ORDER BY id",
});
const inserted = await client.insert({
  table: "t",
  values: [
    { id: 1, name: "one", tags: [] },
    { id: 2, name: "it's \"two\"\n", tags: ["a", "ü"] },
  ],
  format: "JSONEachRow",
});
say("insert", [inserted.executed, inserted.summary.written_rows]);

await client.insert({
  table: "t",
  values: Readable.from((function* () { for (let i = 3; i <= 10000; i++) yield { id: i, name: "n" + i, tags: ["x"] }; })()),
  format: "JSONEachRow",
});
await client.insert({ table: "t", values: Readable.from(["10001,csv,\"['y']\"\n", "10002,csv,[]\n"], { objectMode: false }), format: "CSV" });

const all = await client.query({ query: "SELECT count() AS n, sum(id) AS s FROM t", format: "JSONEachRow" });
say("rows", await all.json());

const doc = await client.query({ query: "SELECT * FROM t WHERE id <= {max: UInt64} ORDER BY id", query_params: { max: 2 } });
const { rows, data } = await doc.json();
say("document", [rows, data]);

const parameters = await client.query({
  query: "SELECT {s: String} AS s, {a: Array(UInt32)} AS a, {d: DateTime64(3)} AS d, {n: Nullable(String)} AS n, {m: Map(String, UInt8)} AS m, {b: Bool} AS b",
  query_params: { s: "tab\t'quote' \\ line\n", a: [1, 2], d: new Date(Date.UTC(2026, 1, 28, 23, 59, 59, 999)), n: null, m: { k: 1 }, b: true },
  format: "JSONEachRow",
  clickhouse_settings: { session_timezone: "UTC" },
});
say("parameters", await parameters.json());

const stream = await client.query({ query: "SELECT number, toString(number) AS s FROM numbers(1000000)", format: "JSONCompactEachRow" });
let n = 0, sum = 0;
for await (const batch of stream.stream()) {
  for (const row of batch) {
    const [number] = row.json();
    n++;
    sum += Number(number);
  }
}
say("stream", [n, sum]);

const failure = async (what) => {
  try {
    await what();
    return "no error";
  } catch (e) {
    return [e.code, e.type];
  }
};
say("unknown table", await failure(() => client.query({ query: "SELECT * FROM nowhere" })));
say("bad insert", await failure(() => client.insert({ table: "t", values: [{ id: "not a number" }], format: "JSONEachRow" })));
say("broken stream", await failure(async () => {
  const broken = await client.query({ query: "SELECT number, throwIf(number = 600000, 'too far') FROM numbers(800000)", format: "JSONCompactEachRow" });
  for await (const _ of broken.stream());
}));

const session = createClient({ url, database, session_id: "js-" + database, max_open_connections: 1 });
await session.command({ query: "CREATE TEMPORARY TABLE kept (x Int32)" });
await session.insert({ table: "kept", values: [{ x: 42 }], format: "JSONEachRow" });
say("session", await (await session.query({ query: "SELECT x FROM kept", format: "JSONEachRow" })).json());
await session.close();

const packed = createClient({ url, database, compression: { request: true, response: true } });
await packed.insert({ table: "t", values: [{ id: 20000, name: "packed", tags: [] }], format: "JSONEachRow" });
say("compressed", await (await packed.query({ query: "SELECT name FROM t WHERE id = 20000", format: "JSONEachRow" })).json());
await packed.close();

const query_id = "js-cancel-" + database;
const abort = new AbortController();
const slow = client.query({ query: "SELECT sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1", query_id, abort_signal: abort.signal });
const running = async () => Number((await (await client.query({ query: "SELECT count() AS n FROM system.processes WHERE query_id = {id: String}", query_params: { id: query_id }, format: "JSONEachRow" })).json())[0].n);
const pause = () => new Promise((go) => setTimeout(go, 10));
while ((await running()) === 0) await pause();
abort.abort();
say("cancelled", await slow.then(() => false, () => true));
while ((await running()) !== 0) await pause();
say("gone", true);

await client.exec({ query: "DROP TABLE t" });
await client.close();
