// Package stream is the log: the JetStream streams Earshot needs, the way into them and the way out.
//
// One event passes through it like this. [Provision] has made the streams. The gateway hands an event to
// [Publisher.Publish]; what other callers hand over meanwhile joins it in one atomic batch of its shard, and every caller
// returns when the batch is stored and synced. A worker reads it in order with [Shard.Read], announces with
// [Shard.SavePlan] what it is going to insert, and closes the range with [Shard.Commit], which publishes insights, dead
// letters and the checkpoint together or not at all. Both writes are compare-and-swaps: whoever finds that somebody else
// wrote the ledger meanwhile gets [schemas.ErrLost].
//
// A write whose answer is lost is never guessed about. The publisher tells its callers ([ErrUnknown]), who send again,
// since the worker counts a repeated event as a duplicate. The ledger's writes carry a name of their own, so that a look
// into the stream says whether they happened.
//
// The package refuses to change a stream it does not understand, to look into an event, and to decide what is a
// duplicate. It sets no Nats-Msg-Id: in an atomic batch one repeated id has the whole batch refused, other people's
// events included; and a commit needs none, because its outcomes are stored exactly when its checkpoint is.
package stream
