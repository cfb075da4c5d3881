package engine

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// abi is the part of libchdb's C interface that the engine calls, bound by
// name. Handles cross as uintptr: they are C addresses, never Go ones, and the
// garbage collector must not look at them. Go memory that crosses is copied by
// the library before a call returns, so pinning it for the call is enough.
type abi struct {
	connect       func(argc int32, argv unsafe.Pointer) uintptr
	closeConn     func(conn uintptr)
	queryN        func(conn uintptr, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) uintptr
	streamQuery   func(conn uintptr, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) uintptr
	streamFetch   func(conn, result uintptr) uintptr
	streamCancel  func(conn, result uintptr)
	destroyResult func(result uintptr)
	streamInsert  func(conn uintptr, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) uintptr
	streamAppend  func(stream uintptr, data unsafe.Pointer, n uintptr) int32
	streamDone    func(stream uintptr) uintptr
	cancelInsert  func(stream uintptr)
	insertError   func(stream uintptr) uintptr
	destroyInsert func(stream uintptr)
	buffer        func(result uintptr) uintptr
	length        func(result uintptr) uintptr
	errorText     func(result uintptr) uintptr
	rowsRead      func(result uintptr) uint64
	bytesRead     func(result uintptr) uint64
	storageRows   func(result uintptr) uint64
	storageBytes  func(result uintptr) uint64
	rowsWritten   func(result uintptr) uint64
	bytesWritten  func(result uintptr) uint64
	handlers      func(enabled int32)
	version       func() uintptr

	process process
}

// loadABI opens the library at path and binds every function by name. Opening
// the same file again returns the same library: the loader counts references
// and the engine never unloads it, because its threads may outlive a close.
func loadABI(path string) (*abi, error) {
	a := &abi{}
	if err := a.process.bind(); err != nil {
		return nil, err
	}
	var handle uintptr
	var err error
	a.process.guard(func() { handle, err = dlopen(path) })
	if err != nil {
		return nil, fmt.Errorf("load engine library %s: %w; delete the file to have it fetched again, or set CHDB_LIB_PATH to another copy", path, err)
	}
	for _, f := range []struct {
		name string
		into any
	}{
		{"chdb_connect", &a.connect},
		{"chdb_close_conn", &a.closeConn},
		{"chdb_query_with_params_n", &a.queryN},
		{"chdb_stream_query_with_params_n", &a.streamQuery},
		{"chdb_stream_fetch_result", &a.streamFetch},
		{"chdb_stream_cancel_query", &a.streamCancel},
		{"chdb_destroy_query_result", &a.destroyResult},
		{"chdb_stream_insert_with_params_n", &a.streamInsert},
		{"chdb_stream_append", &a.streamAppend},
		{"chdb_stream_done", &a.streamDone},
		{"chdb_stream_cancel_insert", &a.cancelInsert},
		{"chdb_stream_insert_error", &a.insertError},
		{"chdb_destroy_insert_stream", &a.destroyInsert},
		{"chdb_result_buffer", &a.buffer},
		{"chdb_result_length", &a.length},
		{"chdb_result_error", &a.errorText},
		{"chdb_result_rows_read", &a.rowsRead},
		{"chdb_result_bytes_read", &a.bytesRead},
		{"chdb_result_storage_rows_read", &a.storageRows},
		{"chdb_result_storage_bytes_read", &a.storageBytes},
		{"chdb_result_rows_written", &a.rowsWritten},
		{"chdb_result_bytes_written", &a.bytesWritten},
		{"chdb_set_signal_handlers_enabled", &a.handlers},
		{"chdb_version", &a.version},
	} {
		addr, err := dlsym(handle, f.name)
		if err != nil {
			return nil, fmt.Errorf("engine library %s lacks %s: %w; CHDB_LIB_PATH must name libchdb %s", path, f.name, err, Version)
		}
		purego.RegisterFunc(f.into, addr)
	}
	a.process.guard(func() { a.handlers(0) })
	return a, nil
}

// open connects with one --name=value argument a string and returns the handle
// that closeConn takes, or 0 when the engine refused.
func (a *abi) open(args []string) uintptr {
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := make([]unsafe.Pointer, 0, len(args)+2)
	for _, arg := range append([]string{"earshot"}, args...) {
		b := append([]byte(strings.ReplaceAll(arg, "\x00", "")), 0)
		pins.Pin(&b[0])
		argv = append(argv, unsafe.Pointer(&b[0]))
	}
	argv = append(argv, nil)
	pins.Pin(&argv[0])
	var handle uintptr
	a.process.guard(func() { handle = a.connect(int32(len(argv)-1), unsafe.Pointer(&argv[0])) })
	return handle
}

// pointed reads the pointer-sized word at a C address: chdb_connect returns
// the address of the connection, and the calls take the connection.
func pointed(addr uintptr) uintptr {
	return *(*uintptr)(cPointer(addr))
}

// cPointer turns a C address into a pointer without tripping the vet check
// that guards Go addresses: this memory is the library's.
func cPointer(addr uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&addr))
}

// cString copies the NUL-terminated text at a C address.
func cString(addr uintptr) string {
	if addr == 0 {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(cPointer(addr), n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(cPointer(addr)), n))
}

// bytesOf is the address and length of b for one call; b stays alive and still
// because the caller keeps it until the call returns.
func bytesOf(b []byte) (unsafe.Pointer, uintptr) {
	if len(b) == 0 {
		return nil, 0
	}
	return unsafe.Pointer(&b[0]), uintptr(len(b))
}
