// Package broker is the nats-server that Earshot carries inside its own process, for the installations that want no other.
//
// One event passes through it like this. A client, ours or anybody's, connects to [Broker.URL] and publishes. What an
// adapter publishes below feedback.in. is renamed by the server itself, which spreads the keys over the shards; the
// stream of that shard stores it in a file and syncs the file before it answers. Readers connect to the same URL. Of what
// the streams hold, this package knows the subjects of the log and nothing else.
//
// A write that fails, because the disk is full for instance, freezes its stream until the server is started anew; a
// watchdog does that, in place and on the same port, as soon as the disk has room again. Clients reconnect by themselves.
//
// Nothing but the disk bounds what the streams take together. The end of the disk is kept for the ledger: events are refused
// before that, so that what was accepted can still be dealt with, and taken again when there is room (see [Broker.Room]).
//
// The package refuses to listen anywhere but on a loopback address, because the embedded server knows no users; to
// promise a write that is not synced; to create streams, which is the work of package stream; and to be a cluster.
package broker
