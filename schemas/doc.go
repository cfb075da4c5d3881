// Package schemas is the contract that every other part of Earshot keeps: what an event is, how it is named, where it is
// stored in the log, which labels and scores it can carry, and what the exactly-once ledger records about it.
//
// One event passes through it like this. A channel sends CloudEvents 1.0 bytes; [DecodeStructured] or [DecodeBinary]
// turns them into an [Event] or into [Problems], all faults at once. [Event.Identity] names the occurrence for ever,
// [Event.LogSubject] and [Shard] say where in the log it belongs. The processors add [Labels] and [Scores] and the result
// is a [Row], which a [Plan] announces, the fact table stores and a [Checkpoint] closes.
//
// The package refuses to know a broker, a database, a clock or a file: it imports nothing of Earshot, and whatever
// depends on time takes the time as an argument.
package schemas
