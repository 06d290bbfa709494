package pgdump

// literal reads the rest of a string, after its first quote, as a field of COPY text. escapes tells that a backslash is written
// twice in it; no other escape is pg_dump's.
func (r *insertReader) literal(escapes bool) {
	from := r.offset() - 1
	for r.err == nil {
		if !r.has(1) {
			r.truncatedAt(from, "a string that begins here has no end")
			return
		}
		run := r.pos
		for r.pos < len(r.buf) && !r.special[r.buf[r.pos]] {
			r.pos++
		}
		r.out = append(r.out, r.buf[run:r.pos]...)
		r.flushLarge()
		if r.pos == len(r.buf) {
			continue
		}
		switch c := r.buf[r.pos]; {
		case c == '\'':
			r.pos++
			if !r.has(1) || r.buf[r.pos] != '\'' {
				return
			}
			r.pos++
			r.out = append(r.out, '\'')
		case c == '\\':
			r.pos++
			if escapes && !r.accept(`\`) {
				r.failf(ErrDamaged, "pg_dump writes no such escape in a string: %s", r.clip())
			}
			r.out = append(r.out, `\\`...)
		case c >= 0x80:
			r.character(from)
		case c == 0:
			r.failf(ErrDamaged, "a zero byte")
		default:
			r.pos++
			r.out = append(r.out, '\\', copyEscape(c))
		}
	}
}

// copyEscape is the letter that stands for a control character behind a backslash in COPY text.
func copyEscape(c byte) byte {
	switch c {
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	default:
		return 'v'
	}
}

// character copies one character of several bytes, which may look like quotes and backslashes, and are not escaped.
func (r *insertReader) character(from int64) {
	if !r.has(2) {
		r.truncatedAt(from, "a string that begins here ends within a character")
		return
	}
	n := r.wide.width(r.buf[r.pos], r.buf[r.pos+1])
	if !r.has(n) {
		r.truncatedAt(from, "a string that begins here ends within a character")
		return
	}
	for _, c := range r.buf[r.pos : r.pos+n] {
		if c < '0' { // no byte of such a character is smaller
			r.failf(ErrDamaged, "a character is cut off: %s", r.clip())
			return
		}
	}
	r.out = append(r.out, r.buf[r.pos:r.pos+n]...)
	r.pos += n
}
