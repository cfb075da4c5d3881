package stream

// What the tests of the parts need that nobody outside may use.
var (
	PublishBatch  = publishBatch
	ParseDelivery = parseDelivery
	PlainSubject  = plainSubject
	Fit           = fit
)

// Sequence returns the stream sequence of a parsed delivery.
func (d delivery) Sequence() uint64 { return d.seq }

// String is for comparing in tests.
func (d delivery) Nanos() int64 { return d.time.UnixNano() }

// Count returns the consumer's own count.
func (d delivery) Count() uint64 { return d.count }

// ConsumerName names the consumer that a shard reads by, "" when it has none.
func (s *Shard) ConsumerName() string { return s.reader.name }
