package engine

import (
	"errors"
	"fmt"
	"io"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// recode turns the engine's Native output, which has the layout of protocol
// revision 0, into that of the client's revision: since 54454 a column carries a
// byte that says whether its values are stored in a special way, and any
// revision above 0 puts a header before each block. The library has no setting
// for it, so blocks are decoded and encoded again. before is called ahead of
// each write.
func recode(in io.Reader, out io.Writer, revision uint64, sc *column.ServerContext, before func()) error {
	revision = min(revision, proto.DBMS_TCP_PROTOCOL_VERSION)
	reader := chproto.NewReader(in)
	buffer := new(chproto.Buffer)
	for {
		block := proto.Block{ServerContext: sc}
		err := block.Decode(reader, 0)
		if errors.Is(err, io.EOF) && len(block.Columns) == 0 {
			return nil
		}
		if err != nil {
			var x *Exception
			if errors.As(err, &x) {
				return x
			}
			return fmt.Errorf("read native block: %w", err)
		}
		buffer.Reset()
		if err := encode(&block, buffer, revision); err != nil {
			return fmt.Errorf("write native block: %w", err)
		}
		before()
		if _, err := out.Write(buffer.Buf); err != nil {
			return err
		}
	}
}

// encode writes a block. A block without rows is names and types only: the
// column encoders would add a prefix that readers do not expect there.
func encode(block *proto.Block, buffer *chproto.Buffer, revision uint64) error {
	if err := block.EncodeHeader(buffer, revision); err != nil {
		return err
	}
	for i, c := range block.Columns {
		if block.Rows() > 0 {
			if err := block.EncodeColumn(buffer, revision, i); err != nil {
				return err
			}
			continue
		}
		buffer.PutString(c.Name())
		buffer.PutString(string(c.Type()))
		if revision >= proto.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION {
			buffer.PutBool(false)
		}
	}
	return nil
}

// columns is what the column types want to know of the engine.
func (a about) columns() *column.ServerContext {
	v := proto.ParseVersion(a.version)
	return &column.ServerContext{VersionMajor: v.Major, VersionMinor: v.Minor, VersionPatch: v.Patch, Timezone: a.location}
}
