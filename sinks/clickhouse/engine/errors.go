package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Exception is an error as ClickHouse reports it: a stable number, and text
// that reads "Code: N. DB::Exception: … (NAME)".
type Exception struct {
	// Code is ClickHouse's error number, such as 60 for UNKNOWN_TABLE; 1002
	// (UNKNOWN_EXCEPTION) when the engine's text carries none.
	Code int
	// Text is the engine's message, unchanged.
	Text string
}

// Error is the engine's text.
func (e *Exception) Error() string { return e.Text }

// The error numbers that the front itself raises or looks at. They are
// ClickHouse's, from its ErrorCodes.cpp.
const (
	codeBadArguments       = 36
	codeNotImplemented     = 48
	codeSyntax             = 62
	codeCannotWrite        = 75
	codeUnknownCompression = 89
	codeUnknownSetting     = 115
	codeTooManyQueries     = 202
	codeSameID             = 216
	codeAborted            = 236
	codeCannotDecompress   = 271
	codeIntoOutfile        = 358
	codeNoSession          = 372
	codeSessionLocked      = 373
	codeBadSessionTimeout  = 374
	codeTooManyBytes       = 396
	codeAccessDenied       = 497
	codeAuthentication     = 516
	codeTooLarge           = 619
	codeUnknownException   = 1002
)

// errNoResult is a null answer of the library, which its header rules out.
var errNoResult = errors.New("the engine returned no result")

// exceptionf is an exception raised by the front in ClickHouse's own form.
func exceptionf(code int, name, format string, args ...any) *Exception {
	return &Exception{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

// parseException reads the number out of the engine's text.
func parseException(text string) *Exception {
	e := &Exception{Code: codeUnknownException, Text: strings.TrimSpace(text)}
	if rest, ok := strings.CutPrefix(e.Text, "Code: "); ok {
		if digits, _, ok := strings.Cut(rest, "."); ok {
			if n, err := strconv.Atoi(digits); err == nil {
				e.Code = n
			}
		}
	}
	return e
}

// asException is err as a client will see it.
func asException(err error) *Exception {
	var e *Exception
	if errors.As(err, &e) {
		return e
	}
	return exceptionf(codeUnknownException, "UNKNOWN_EXCEPTION", "%s", err)
}

// httpStatus is the status a ClickHouse server answers with for a code. Codes
// not listed are 500; 202 is 503 rather than the server's 500, so that clients
// and load balancers see that trying again later helps.
func httpStatus(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 516, 512, 497: // UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED, SET_NON_GRANTED_ROLE, ACCESS_DENIED
		return http.StatusForbidden
	case 36, 427, 6, 25, 26, 38, 41, 72, 428, 441, 676, 27, 376, 15, 44, 154, 155, 8, 167, 168, 11, 62, 117, 53, 321:
		// BAD_ARGUMENTS, CANNOT_COMPILE_REGEXP, the CANNOT_PARSE_… family,
		// DUPLICATE_COLUMN, ILLEGAL_COLUMN, UNKNOWN_ELEMENT_IN_AST and its kin,
		// SYNTAX_ERROR, INCORRECT_DATA, TYPE_MISMATCH, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		return http.StatusBadRequest
	case 60, 46, 47, 50, 56, 81, 115, 64, 63, 73, 336, 78, 511:
		// UNKNOWN_… TABLE, FUNCTION, IDENTIFIER, TYPE, STORAGE, DATABASE, SETTING,
		// DIRECTION_OF_SORTING, AGGREGATE_FUNCTION, FORMAT, DATABASE_ENGINE,
		// TYPE_OF_QUERY, ROLE
		return http.StatusNotFound
	case 619: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 209, 76, 439, codeTooManyQueries: // SOCKET_TIMEOUT, CANNOT_OPEN_FILE, CANNOT_SCHEDULE_TASK
		return http.StatusServiceUnavailable
	case 381: // HTTP_LENGTH_REQUIRED
		return http.StatusLengthRequired
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	default:
		return http.StatusInternalServerError
	}
}
