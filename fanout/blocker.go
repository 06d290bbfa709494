package fanout

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgark/pgark/wire"
)

// whoHoldsQuery finds what keeps a waiting session from its lock. Its blanks are the segment of a holder that the server
// does not know as a session of its own; which session a is holder h; and the condition on the waiting lock w, with which
// the holder shares node and relation.
const whoHoldsQuery = `SELECT n.nspname, c.relname, h.mode, COALESCE(h.pid, 0), COALESCE(a.usename, ''), COALESCE(a.application_name, ''),
  COALESCE(a.state, ''), COALESCE(pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start)::pg_catalog.text, ''),
  COALESCE(pg_catalog.substr(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'), 1, 80), ''),
  COALESCE((SELECT x.gid FROM pg_catalog.pg_locks t JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = t.transactionid
    WHERE h.pid IS NULL AND t.virtualtransaction = h.virtualtransaction AND t.locktype = 'transactionid' LIMIT 1), ''), %s
FROM pg_catalog.pg_locks w
JOIN pg_catalog.pg_locks h ON h.locktype = 'relation' AND h.granted AND h.relation = w.relation AND h.database = w.database
  AND h.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
JOIN pg_catalog.pg_class c ON c.oid = w.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity a ON %s
WHERE w.locktype = 'relation' AND NOT w.granted AND %s
ORDER BY a.xact_start LIMIT 3`

// whoHolds says, for people, who keeps the session with a process number from its locks, and which table, quoted, an
// autovacuum has that can be moved to make way.
func whoHolds(ctx context.Context, conn *wire.Conn, pid uint32, segments bool) (who, vacuumed string, err error) {
	number := strconv.FormatUint(uint64(pid), 10)
	place := "''"
	activity := "a.pid = h.pid"
	waits := "w.pid = " + number + " AND h.pid IS DISTINCT FROM w.pid"
	if segments {
		// One session has a process on every segment; pg_locks shows them all. Who is on a segment alone has no session here.
		place = "CASE WHEN a.pid IS NULL AND h.gp_segment_id >= 0 THEN h.gp_segment_id::pg_catalog.text ELSE '' END"
		activity = "a.sess_id = h.mppsessionid"
		waits = `h.gp_segment_id = w.gp_segment_id AND h.mppsessionid <> w.mppsessionid
  AND w.mppsessionid = (SELECT s.sess_id FROM pg_catalog.pg_stat_activity s WHERE s.pid = ` + number + ")"
	}
	rows, err := conn.QueryStrings(ctx, fmt.Sprintf(whoHoldsQuery, place, activity, waits))
	if err != nil {
		return "", "", err
	}
	var texts []string
	for _, r := range rows {
		texts = append(texts, blockerText(r, segments))
		// One against wraparound gives way to nobody.
		if strings.HasPrefix(r[8], "autovacuum: ") && !strings.Contains(r[8], "wraparound") {
			vacuumed = wire.QualifiedName(r[0], r[1])
		}
	}
	return strings.Join(texts, "; "), vacuumed, nil
}

func blockerText(r []string, segments bool) string {
	text := "table " + wire.QualifiedName(r[0], r[1]) + " is locked (" + r[2] + ") by "
	if r[3] == "0" {
		if segments {
			return text + "a transaction that is prepared and not yet ended: the cluster ends it by itself, unless a segment is " +
				"in trouble; see pg_prepared_xacts on the segments, in utility mode"
		}
		if r[9] == "" {
			return text + "a prepared transaction (see pg_prepared_xacts there): end it with COMMIT PREPARED or ROLLBACK PREPARED"
		}
		return text + "the prepared transaction " + strconv.Quote(r[9]) +
			": end it with COMMIT PREPARED or ROLLBACK PREPARED " + wire.Literal(r[9])
	}
	text += "session " + r[3]
	if r[10] != "" {
		text += ", which is there on segment " + r[10] + " alone (see pg_stat_activity there, in utility mode)"
	}
	var about []string
	for _, x := range [][2]string{{"user ", r[4]}, {"application ", r[5]}, {"", r[6]}, {"transaction open for ", r[7]}} {
		if x[1] != "" {
			about = append(about, x[0]+x[1])
		}
	}
	if len(about) > 0 {
		text += " (" + strings.Join(about, ", ") + ")"
	}
	if r[8] != "" {
		text += ": " + r[8]
	}
	return text
}
