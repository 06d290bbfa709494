package fanout

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// pathMark stands in the script of a tar archive for the directory into which a person has extracted it.
const pathMark = "$$PATH$$"

// tarScriptHead is what the script says to that person, in pg_dump's words.
const tarScriptHead = `--
-- NOTE:
--
-- File paths need to be edited. Search for ` + pathMark + ` and
-- replace it with the path to the directory containing
-- the extracted data files.
--
`

// writeTarScript writes the script that a tar archive holds for people: it makes the database anew, and the server reads rows and large
// objects from the extracted members. cat is the catalog that toc was made of, which alone knows the server's product.
func writeTarScript(ctx context.Context, w io.Writer, toc *pgdump.TOC, cat *archive.Catalog, o ScriptOptions) error {
	written := toc.Catalog()
	written.Product, written.Encoding = cat.Product, cat.Encoding
	o.Clean, o.Create = true, true
	for i := range written.Entries {
		if e := &written.Entries[i]; e.Kind == kindDatabase && canConnect(e.Name) != nil {
			o.Clean, o.Create = false, false // then it is for whatever database the person has made
		}
	}
	plan, err := NewPlan(written, o.PlanOptions)
	if err != nil {
		return err
	}
	if o.RestrictKey == "" {
		o.RestrictKey = tarRestrictKey(toc)
	}
	s := &script{w: bufio.NewWriterSize(w, 64<<10), plan: plan, members: make(map[int32]string)}
	if s.key, err = restrictKey(&o); err != nil {
		return err
	}
	for i := range toc.Entries {
		if e := &toc.Entries[i]; e.HadDumper {
			s.members[e.ID] = e.File
		}
	}
	s.print(tarScriptHead)
	if err := s.write(ctx); err != nil {
		return err
	}
	return s.w.Flush()
}

// tarRestrictKey is the key of the script's \restrict: the same for the same archive, so that writing it twice gives the same bytes. All text
// of the script is in the table of contents; who wants to know the key before would have to put it into that, and change it so.
func tarRestrictKey(toc *pgdump.TOC) string {
	sum := sha256.Sum256(toc.Append([]byte("restrict\n")))
	return hex.EncodeToString(sum[:])
}

// copyMember has the server read an entry's rows from its member. As pg_dump has it, a COPY without rows comes before.
func (s *script) copyMember(e *archive.Entry) error {
	s.print(e.Copy)
	s.print("\\.\n")
	statement, found := strings.CutSuffix(strings.TrimSpace(e.Copy), " FROM stdin;")
	if !found {
		return fmt.Errorf("%.60q is no COPY statement", e.Copy)
	}
	s.print(statement, " FROM '"+pathMark+"/", s.members[e.ID], "';\n\n")
	return s.err()
}

// lobMemberPiece is how much of a large object the server reads at once.
const lobMemberPiece = 16 << 20

// lobMembers has the server read the contents of the large objects of a BLOBS entry, which are there and empty, from their members.
func (s *script) lobMembers(e *archive.Entry) error {
	for _, oid := range s.plan.largeObjectsOf(e) {
		file := "'" + pathMark + "/blob_" + oid + ".dat'"
		s.print("SELECT pg_catalog.lo_put('", oid, "', at, pg_catalog.pg_read_binary_file(", file, fmt.Sprintf(", at, %d))", lobMemberPiece),
			"\n    FROM pg_catalog.generate_series(0, (pg_catalog.pg_stat_file(", file, fmt.Sprintf(")).size - 1, %d) AS at;\n", lobMemberPiece))
	}
	s.print("\n")
	return s.err()
}

// largeObjectsOf gives the numbers of the large objects whose contents a BLOBS entry has: those of the group that it belongs to, or, up to
// version 1.15 of the format, all.
func (p *Plan) largeObjectsOf(blobs *archive.Entry) []string {
	var oids []string
	for _, id := range blobs.Deps {
		if group := p.byID[id]; group != nil && group.Kind == kindBlobMetadata {
			for oid := range strings.Lines(group.DDL) {
				if oid = strings.TrimRight(oid, "\n"); isNumber(oid) {
					oids = append(oids, oid)
				}
			}
		}
	}
	if len(oids) > 0 {
		return oids
	}
	for _, e := range p.order {
		if e.Kind == kindBlob && isNumber(e.Name) {
			oids = append(oids, e.Name)
		}
	}
	return oids
}
