package topology

import (
	"context"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// FloatColumns is [fanout.FloatColumns], for packages that do not import the engine.
func FloatColumns(ctx context.Context, conn *wire.Conn, oids []uint32, d Dialect) (map[uint32]string, error) {
	return fanout.FloatColumns(ctx, conn, oids, d)
}

// LayoutEqual is [fanout.LayoutEqual].
const LayoutEqual = fanout.LayoutEqual
