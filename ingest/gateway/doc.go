// Package gateway is the front door for feedback over HTTP: CloudEvents in, messages of the log out, an answer only after
// the log has them.
//
// One event passes through it like this. [Gateway.Handler] reads the body within its bounds (bytes, decoded bytes, ratio
// of gzip), takes it apart as CloudEvents in structured, batch or binary mode or builds an event from the convenience
// form of POST /v1/feedback, and has package schemas judge each one. If any is faulty nothing is published and the answer
// names every fault, its field, value and bound. Otherwise each event becomes one message, on the shard of its customer,
// in the bytes it came in, and [Log] gets them all in one call. 202 means that they are committed.
//
// A request may be sent again at any time: an event is known by tenant, source and id, and one that arrives twice is
// counted as a duplicate further on and stored once. That is why a publish whose outcome is unknown is answered with 503
// and not with a guess. Only POST /v1/feedback without an id makes one up, so that there a retry is a new event; clients
// that retry send an id or the header Idempotency-Key.
//
// The gateway refuses to store, to drop and to guess: it keeps no queue and no event, never answers 202 before the log
// did, and does not repair a faulty event. Nothing a customer wrote appears in its logs or metrics.
package gateway
