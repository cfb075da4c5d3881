package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
)

func TestExceptionsCarryTheEnginesNumber(t *testing.T) {
	for text, want := range map[string]int{
		"Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)": 60,
		"Code: 62. ":        62,
		"Code: x. oh":       codeUnknownException,
		"something else":    codeUnknownException,
		" Code: 394. gone ": 394,
	} {
		if got := parseException(text).Code; got != want {
			t.Errorf("%q: code %d, want %d", text, got, want)
		}
	}
	wrapped := fmt.Errorf("insert: %w", exceptionf(codeSameID, "X", "twice"))
	if got := asException(wrapped).Code; got != codeSameID {
		t.Errorf("a wrapped exception has code %d, want %d", got, codeSameID)
	}
	if got := asException(io.ErrUnexpectedEOF); got.Code != codeUnknownException || errors.Is(got, io.EOF) {
		t.Errorf("another error becomes %v", got)
	}
}

func TestStatusOfCodesIsTheServers(t *testing.T) {
	for code, want := range map[int]int{
		60:                 http.StatusNotFound,
		81:                 http.StatusNotFound,
		115:                http.StatusNotFound,
		62:                 http.StatusBadRequest,
		27:                 http.StatusBadRequest,
		516:                http.StatusForbidden,
		48:                 http.StatusNotImplemented,
		159:                http.StatusRequestTimeout,
		codeTooManyQueries: http.StatusServiceUnavailable,
		codeTooLarge:       http.StatusRequestEntityTooLarge,
		241:                http.StatusInternalServerError,
		394:                http.StatusInternalServerError,
		codeSameID:         http.StatusInternalServerError,
	} {
		if got := httpStatus(code); got != want {
			t.Errorf("code %d: status %d, want %d", code, got, want)
		}
	}
}
