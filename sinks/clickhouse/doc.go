// Package clickhouse is the store: it writes rows into the fact table, proves what is there, brings the tables and views
// into being, and answers questions.
//
// One event passes through it as a row. The worker hands [Store.Insert] the rows of one month; they leave as one
// column-wise block in one insert, which the table keeps as one part or not at all. When the answer is not a clean one,
// the worker asks: [Store.Kill] ends whatever still runs under the insert's token, [Store.ReadBack] says how many rows of
// the range are stored and what their digests sum to, [Store.Stored] says which. What the rows tell is read through the
// views that [Store.Migrate] creates, with [Store.Query] and [Store.Named].
//
// The package refuses to guess and to retry: an error carries its class (see [Error]), and what follows from it is the
// caller's to decide. It refuses an insert that would fall into two partitions, since that could be stored by half. It
// does not know whether it talks to the embedded engine or to a server: both speak HTTP.
package clickhouse
