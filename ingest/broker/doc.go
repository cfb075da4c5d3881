// Package broker is the nats-server that Earshot carries inside its own process, for the installations that want no other.
//
// One event passes through it like this. A client, ours or anybody's, connects to [Broker.URL] and publishes. What an
// adapter publishes below feedback.in. is renamed by the server itself, which spreads the keys over the shards; the
// stream of that shard stores it in a file and syncs the file before it answers. Readers connect to the same URL. Nothing
// in this package knows what a stream holds.
//
// A write that fails, because the disk is full for instance, freezes its stream until the server is started anew; a
// watchdog does that, in place and on the same port, as soon as the disk has room again. Clients reconnect by themselves.
//
// The package refuses to listen anywhere but on a loopback address, because the embedded server knows no users; to
// promise a write that is not synced; to create streams, which is the work of package stream; and to be a cluster.
package broker
