package stream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// MaxBatch is how many messages one atomic batch may hold; nats-server refuses more.
const MaxBatch = 1000

// maxBatchBytes bounds a batch, so that its staging file stays within one block of the server's file store (8 MiB) as a
// rule, and a gathering batch within the memory of a small machine.
const maxBatchBytes = 8 << 20

// Headers of the batch protocol (NATS architecture decision 50) and of compare-and-swap.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
	headerExpectedLast  = "Nats-Expected-Last-Subject-Sequence"
	headerRollup        = "Nats-Rollup"
	headerTTL           = "Nats-TTL"
)

// What can come of a batch besides success and [schemas.ErrLost]. The first two are kinds of [schemas.ErrUnavailable].
var (
	// ErrUnknown says that the answer to a commit did not come: the batch is stored as a whole or not at all, and only
	// a look into the stream tells which.
	ErrUnknown = fmt.Errorf("%w: it did not say in time whether the batch is stored", schemas.ErrUnavailable)
	// ErrFull says that the stream has reached its limits and stores nothing new. Nothing of the batch was stored.
	ErrFull = fmt.Errorf("%w: the stream is full: process or remove what it holds, or raise its limits", schemas.ErrUnavailable)
	// ErrDuplicate says that the batch holds a message id the stream has seen. Nothing of the batch was stored.
	ErrDuplicate = errors.New("the batch holds a message id that was used before")
	// ErrRefused says that the batch can never be stored as it is. Nothing of it was stored.
	ErrRefused = errors.New("the log refuses the message")
)

// Codes of nats-server 2.15's errors (server/errors.json) that a batch can meet, and what each means to a caller.
const (
	codeInsufficient      = 10023 // server limits
	codeAccountResources  = 10002
	codeStorageExceeded   = 10047
	codeMessageTooLarge   = 10054
	codeWrongLastSequence = 10071
	codeStoreFailed       = 10077 // limits of the stream with discard new, or the disk
	codeNotReady          = 10163
	codeWrongLastConstant = 10164
	codeTooManyRequests   = 10167
	codeIncomplete        = 10176 // a part did not arrive, or 10 s passed: the server has dropped the batch
	codeBatchTooLarge     = 10199
	codeDuplicateID       = 10201
	codeTooManyInflight   = 10210
)

// pubAck is the answer to a publish.
type pubAck struct {
	Error  *jetstream.APIError `json:"error"`
	Stream string              `json:"stream"`
	Seq    uint64              `json:"seq"` // of the last message
	Count  int                 `json:"count"`
}

// publishBatch stores all messages or none, in order, one after the other, and returns the sequence of the last. The
// messages must belong to one stream; their headers are written to. A lone message goes out as a plain publish, which the
// server stores without staging it first.
func publishBatch(ctx context.Context, nc *nats.Conn, msgs []*nats.Msg) (uint64, error) {
	switch {
	case len(msgs) == 0:
		return 0, fmt.Errorf("publish a batch of no messages: %w", ErrRefused)
	case len(msgs) > MaxBatch:
		return 0, fmt.Errorf("publish a batch of %d messages, where at most %d go: %w", len(msgs), MaxBatch, ErrRefused)
	case len(msgs) == 1:
		return commit(ctx, nc, msgs[0], 1)
	}
	id := rand.Text()
	for i, m := range msgs {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header[headerBatchID] = []string{id}
		m.Header[headerBatchSequence] = []string{strconv.Itoa(i + 1)}
	}
	last := len(msgs) - 1
	msgs[last].Header[headerBatchCommit] = []string{"1"}

	// The first message asks for an answer, which is empty, so that a stream that takes no batch is found out before
	// the rest is sent.
	reply, err := nc.RequestMsgWithContext(ctx, msgs[0])
	if err != nil {
		kind := errAgain // without its end the batch is nothing
		if c := classifyClient(err); errors.Is(c, ErrRefused) {
			kind = c
		}
		return 0, fmt.Errorf("begin a batch on %s: %w: %w", msgs[0].Subject, kind, err)
	}
	if len(reply.Data) > 0 {
		_, err := readAck(reply.Data)
		if err == nil {
			err = fmt.Errorf("%w: its server knows no atomic batches: run nats-server 2.12 or newer", ErrRefused)
		}
		return 0, fmt.Errorf("begin a batch on %s: %w", msgs[0].Subject, err)
	}
	for _, m := range msgs[1:last] {
		if err := nc.PublishMsg(m); err != nil {
			return 0, fmt.Errorf("publish a batch on %s: %w: %w", m.Subject, classifyClient(err), err)
		}
	}
	return commit(ctx, nc, msgs[last], len(msgs))
}

// commit sends the message that decides the batch and reads what became of it.
func commit(ctx context.Context, nc *nats.Conn, m *nats.Msg, count int) (uint64, error) {
	reply, err := nc.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return 0, fmt.Errorf("publish on %s: no stream takes it: %w: %w", m.Subject, schemas.ErrUnavailable, err)
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrConnectionClosed):
		return 0, fmt.Errorf("publish on %s: %w: %w", m.Subject, classifyClient(err), err)
	case err != nil:
		return 0, fmt.Errorf("publish on %s: %w: %w", m.Subject, ErrUnknown, err)
	}
	ack, err := readAck(reply.Data)
	if err != nil {
		return 0, fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
	if count > 1 && ack.Count != count {
		return 0, fmt.Errorf("publish on %s: sent %d messages, the log counts %d: %w", m.Subject, count, ack.Count, ErrUnknown)
	}
	return ack.Seq, nil
}

// readAck reads an answer to a publish.
func readAck(data []byte) (pubAck, error) {
	var ack pubAck
	if err := json.Unmarshal(data, &ack); err != nil || ack.Error == nil && (ack.Stream == "" || ack.Seq == 0) {
		return ack, fmt.Errorf("%w: its answer was %.200q", ErrUnknown, data)
	}
	if ack.Error != nil {
		return ack, fmt.Errorf("%w: %w", classifyServer(int(ack.Error.ErrorCode), ack.Error.Code), ack.Error)
	}
	return ack, nil
}

// classifyServer says what an error of the server means.
func classifyServer(code, status int) error {
	switch code {
	case codeWrongLastSequence, codeWrongLastConstant:
		return schemas.ErrLost
	case codeStoreFailed, codeInsufficient, codeAccountResources, codeStorageExceeded:
		return ErrFull
	case codeDuplicateID:
		return ErrDuplicate
	case codeIncomplete:
		return errIncomplete
	case codeTooManyInflight, codeTooManyRequests, codeNotReady:
		return errAgain
	case codeMessageTooLarge, codeBatchTooLarge:
		return ErrRefused
	}
	if status >= 500 {
		return schemas.ErrUnavailable
	}
	return ErrRefused
}

// errAgain marks what was surely not stored and may well be when sent once more. It is a kind of unavailability.
var errAgain = fmt.Errorf("%w: the batch was dropped", schemas.ErrUnavailable)

// errIncomplete is errAgain with a suspicion: a broken connection swallows a part of a batch, but so does a message that
// its stream does not take, and that one will again.
var errIncomplete = fmt.Errorf("%w: a part of it did not reach the stream", errAgain)

// classifyClient says what an error of the client library means.
func classifyClient(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return ErrRefused
	}
	return schemas.ErrUnavailable
}
