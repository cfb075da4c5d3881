package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
)

// Class says what a caller may do about an error.
type Class uint8

// The classes.
const (
	// Retryable: the same request can succeed later, once whatever stands in its way is gone. It may also have succeeded
	// unseen, so whoever retries an insert reads back first.
	Retryable Class = iota
	// Permanent: these very rows or this very statement will be refused for ever.
	Permanent
	// Cancelled: the caller gave up. That says nothing about the request, least of all that its rows are bad.
	Cancelled
)

// String names the class.
func (c Class) String() string {
	return [...]string{"retryable", "permanent", "cancelled"}[c]
}

// Error is an error of the store. Callers that do not import this package find its class by the methods Permanent and
// Code.
type Error struct {
	Op     string // what was attempted
	Class  Class
	Reason string // why it has that class
	Err    error
	code   int
}

// Error is what was attempted and what came of it.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether a retry is pointless.
func (e *Error) Permanent() bool { return e.Class == Permanent }

// Code is the server's error code, 0 where the server did not speak.
func (e *Error) Code() int { return e.code }

// Codes of the server that are used by name.
const (
	unknownDatabase = 81
	serverCancelled = 394
)

// verdict is a line of the error table.
type verdict struct {
	code   int
	name   string
	class  Class
	reason string
}

// The error table. The rule behind it: permanent is only what condemns the rows or the statement by themselves, because a
// worker makes a dead letter of what is refused for good. A fault of the server's state or of its configuration (a table
// dropped or altered, a password changed, a disk full) is retryable, however long it lasts: the events wait in the log
// until somebody has repaired it.

// rowVerdicts are the codes by which the server refuses values.
var rowVerdicts = [...]verdict{
	{6, "CANNOT_PARSE_TEXT", Permanent, "a value cannot be read as its column's type"},
	{26, "CANNOT_PARSE_QUOTED_STRING", Permanent, "a value cannot be read as its column's type"},
	{27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", Permanent, "a value cannot be read as its column's type"},
	{38, "CANNOT_PARSE_DATE", Permanent, "a value cannot be read as a date"},
	{41, "CANNOT_PARSE_DATETIME", Permanent, "a value cannot be read as a time"},
	{69, "ARGUMENT_OUT_OF_BOUND", Permanent, "a value is outside what its type can hold"},
	{72, "CANNOT_PARSE_NUMBER", Permanent, "a value cannot be read as a number"},
	{117, "INCORRECT_DATA", Permanent, "the block's contents contradict themselves"},
	{131, "TOO_LARGE_STRING_SIZE", Permanent, "a text is longer than the server takes"},
	{128, "TOO_LARGE_ARRAY_SIZE", Permanent, "an array is longer than the server takes"},
	{190, "SIZES_OF_ARRAYS_DONT_MATCH", Permanent, "arrays that belong together differ in length"},
	{321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", Permanent, "a value is outside what its type can hold"},
	{349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", Permanent, "a NULL stands where the column takes none"},
	{376, "CANNOT_PARSE_UUID", Permanent, "a value cannot be read as a UUID"},
	{407, "DECIMAL_OVERFLOW", Permanent, "a value is outside what its type can hold"},
	{467, "CANNOT_PARSE_BOOL", Permanent, "a value cannot be read as true or false"},
	{469, "VIOLATED_CONSTRAINT", Permanent, "a row breaks a constraint of the table"},
}

// verdicts are all other codes whose class is known. What is permanent among them is so for a statement that a person has
// written; an insert is the program's own, so there the same code means that table and program have drifted apart.
var verdicts = [...]verdict{
	{36, "BAD_ARGUMENTS", Permanent, "the statement's arguments are wrong whenever it is sent"},
	{42, "NUMBER_OF_ARGUMENTS_DOESNT_MATCH", Permanent, "the statement calls a function with too many or too few arguments"},
	{43, "ILLEGAL_TYPE_OF_ARGUMENT", Permanent, "the statement calls a function with the wrong type"},
	{46, "UNKNOWN_FUNCTION", Permanent, "the statement calls a function this server does not have"},
	{47, "UNKNOWN_IDENTIFIER", Permanent, "the statement names a column that does not exist"},
	{48, "NOT_IMPLEMENTED", Permanent, "the server cannot do this at all"},
	{62, "SYNTAX_ERROR", Permanent, "the statement cannot be read"},
	{73, "UNKNOWN_FORMAT", Permanent, "the server does not know the format"},
	{252, "TOO_MANY_PARTS", Retryable, "merges lag behind inserts: wait"},
	{386, "NO_COMMON_TYPE", Permanent, "the statement compares what cannot be compared"},
	{456, "UNKNOWN_QUERY_PARAMETER", Permanent, "a parameter of the statement has no value"},
	{457, "BAD_QUERY_PARAMETER", Permanent, "a parameter's value does not fit its type"},

	{10, "NOT_FOUND_COLUMN_IN_BLOCK", Retryable, "table and program are of different versions: migrate, the events wait"},
	{16, "NO_SUCH_COLUMN_IN_TABLE", Retryable, "table and program are of different versions: migrate, the events wait"},
	{20, "NUMBER_OF_COLUMNS_DOESNT_MATCH", Retryable, "table and program are of different versions: migrate, the events wait"},
	{53, "TYPE_MISMATCH", Retryable, "table and program are of different versions: migrate, the events wait"},
	{70, "CANNOT_CONVERT_TYPE", Retryable, "table and program are of different versions: migrate, the events wait"},
	{60, "UNKNOWN_TABLE", Retryable, "the table is missing, which is no fault of the rows: migrate, the events wait"},
	{81, "UNKNOWN_DATABASE", Retryable, "the database is missing, which is no fault of the rows: migrate, the events wait"},
	{57, "TABLE_ALREADY_EXISTS", Retryable, "another process was faster"},
	{115, "UNKNOWN_SETTING", Retryable, "the server is older than this program: update it, the events wait"},
	{159, "TIMEOUT_EXCEEDED", Retryable, "the server ran out of the time it was given"},
	{160, "TOO_SLOW", Retryable, "the server expected to run out of time"},
	{164, "READONLY", Retryable, "the user or the table may not write now"},
	{192, "UNKNOWN_USER", Retryable, "the credentials are wrong: correct them, the events wait"},
	{193, "WRONG_PASSWORD", Retryable, "the credentials are wrong: correct them, the events wait"},
	{497, "ACCESS_DENIED", Retryable, "the user lacks a right: grant it, the events wait"},
	{516, "AUTHENTICATION_FAILED", Retryable, "the credentials are wrong: correct them, the events wait"},
	{201, "QUOTA_EXCEEDED", Retryable, "the quota is renewed in time"},
	{202, "TOO_MANY_SIMULTANEOUS_QUERIES", Retryable, "the server is busy"},
	{203, "NO_FREE_CONNECTION", Retryable, "the server is busy"},
	{209, "SOCKET_TIMEOUT", Retryable, "the network failed, and the outcome is not known"},
	{210, "NETWORK_ERROR", Retryable, "the network failed, and the outcome is not known"},
	{216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", Retryable, "a former attempt still runs: end it first"},
	{218, "TABLE_IS_DROPPED", Retryable, "the table is being replaced"},
	{225, "NO_ZOOKEEPER", Retryable, "the cluster's coordination is away"},
	{236, "ABORTED", Retryable, "the server is shutting down"},
	{241, "MEMORY_LIMIT_EXCEEDED", Retryable, "the server is short of memory now"},
	{242, "TABLE_IS_READ_ONLY", Retryable, "the replica has lost its coordination"},
	{243, "NOT_ENOUGH_SPACE", Retryable, "the disk is full: free space, the events wait"},
	{74, "CANNOT_READ_FROM_FILE_DESCRIPTOR", Retryable, "the server's disk failed"},
	{75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", Retryable, "the server's disk failed or is full"},
	{76, "CANNOT_OPEN_FILE", Retryable, "the server's disk failed or is out of descriptors"},
	{319, "UNKNOWN_STATUS_OF_INSERT", Retryable, "the outcome is not known: read back"},
	{394, "QUERY_WAS_CANCELLED", Retryable, "somebody killed the query, which says nothing about its rows"},
	{425, "SYSTEM_ERROR", Retryable, "the server's operating system refused something"},
	{999, "KEEPER_EXCEPTION", Retryable, "the cluster's coordination is away"},
	{1000, "POCO_EXCEPTION", Retryable, "the server's own transport failed"},
	{1001, "STD_EXCEPTION", Retryable, "the server's own code failed, such as a rename on a bad disk"},
	{1002, "UNKNOWN_EXCEPTION", Retryable, "the server cannot say what failed"},
}

// Classify tells the class of an error and why. Errors that the table does not know are retryable: to retry for ever
// costs time and is seen in the metrics, to bury a good event costs the event.
func Classify(err error) (Class, string) {
	if holds(err, context.Canceled) || holds(err, context.DeadlineExceeded) {
		return Cancelled, "the caller gave up"
	}
	var own *Error
	if errors.As(err, &own) {
		return own.Class, own.Reason
	}
	if c := code(err); c != 0 {
		for _, table := range [...][]verdict{rowVerdicts[:], verdicts[:]} {
			for i := range table {
				if table[i].code == c {
					return table[i].class, table[i].reason
				}
			}
		}
		return Retryable, "the code is not in the table"
	}
	if errors.Is(err, ch.ErrBatchInvalid) {
		return Permanent, "the driver cannot encode a value"
	}
	var network net.Error
	if errors.As(err, &network) {
		return Retryable, "the network failed, and the outcome is not known"
	}
	return Retryable, "the transport failed, and the outcome is not known"
}

// holds reports whether the very target is in the chain of err. [errors.Is] would also find the time-outs of the network,
// which call themselves an exceeded deadline, although the caller set none.
func holds(err, target error) bool {
	if err == target {
		return true
	}
	switch x := err.(type) {
	case interface{ Unwrap() error }:
		return holds(x.Unwrap(), target)
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			if holds(e, target) {
				return true
			}
		}
	}
	return false
}

// code is the server's error code in err, 0 where the server did not speak.
func code(err error) int {
	var x *ch.Exception
	if errors.As(err, &x) {
		return int(x.Code)
	}
	return 0
}

// wrap says what was attempted and puts the error in its class; nil stays nil.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	class, reason := Classify(err)
	return &Error{Op: op, Class: class, Reason: reason, Err: err, code: code(err)}
}

// wrapInsert is wrap for an insert: only what condemns the rows is permanent.
func wrapInsert(op string, err error) error {
	wrapped := wrap(op, err)
	own, ok := wrapped.(*Error)
	if !ok || own.Class != Permanent || own.code == 0 {
		return wrapped
	}
	for i := range rowVerdicts {
		if rowVerdicts[i].code == own.code {
			return wrapped
		}
	}
	own.Class, own.Reason = Retryable, "table and program are of different versions: migrate, the events wait"
	return own
}

// refuse is a permanent error of the caller's making.
func refuse(op, format string, args ...any) error {
	return &Error{Op: op, Class: Permanent, Reason: "the request itself is wrong", Err: fmt.Errorf(format, args...)}
}

// advise ends an error of the first contact with what to do about it.
func advise(err error) error {
	switch c := code(err); {
	case c == 192 || c == 193 || c == 516:
		return fmt.Errorf("%w; check the user and password in the DSN", err)
	case c == 497:
		return fmt.Errorf("%w; create the database yourself or grant the user CREATE DATABASE", err)
	case c != 0 || holds(err, context.Canceled):
		return err
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"), strings.Contains(err.Error(), "tls:"):
		return fmt.Errorf("%w; use http:// for a plain port and https:// for a TLS port", err)
	}
	return fmt.Errorf("%w; is the server running there, and is it its HTTP port (8123 as a rule)?", err)
}
