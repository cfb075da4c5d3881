// Package channels turns what providers push, and what files hold, into events of the contract: help desks, survey tools,
// stores, messengers, forums and mail.
//
// One request passes through it like this. [Hooks.Receive] finds the source that the operator configured, proves with its
// [Scheme] and secrets that the bytes are the provider's own, answers a handshake if it is one, and hands the raw bytes to
// the channel's [Adapter]. That reads them, cleans the words (HTML, quoted replies, invisible characters), puts ratings on
// their scale, and returns events that keep the contract. Nothing here publishes, stores or waits: the caller does.
//
// An event's id is the provider's id of the thing said, not of the delivery: what is sent again is a repetition, and what
// was edited is the same event with another body. Ids that only the provider understands name their channel
// ("zendesk:390011"), so that customers of two channels are never one by chance.
//
// The package refuses to trust: a source without a secret is a fault of configuration, an unknown source and a wrong
// signature are answered alike, and no error or log line holds a secret or what a customer wrote.
package channels
