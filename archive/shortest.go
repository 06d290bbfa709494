package archive

import (
	"bytes"
	"math"
	"strconv"
)

// appendShortest appends the number in text as PostgreSQL from version 12 on prints the value of real (bits 32) or double
// precision (bits 64) that is nearest to it; text as it is where it is no number of that type.
//
// The form is that of src/common/d2s.c and f2s.c of PostgreSQL: the fewest digits that read back, and of those the
// nearest; without an exponent from 1e-4 to below 1e15 (1e6 for real).
func appendShortest(dst, text []byte, bits int) []byte {
	number, short := parseDecimal(text, bits)
	if !number || short {
		return append(dst, text...)
	}
	v, err := strconv.ParseFloat(string(text), bits) // does not escape: no copy is made
	if err != nil {
		return append(dst, text...) // too large for the type
	}
	return appendFloat(dst, v, bits)
}

// parseDecimal says whether text is a number as servers print it, -?D+(.D+)?(e[+-]?D+)?, and whether it is the shortest
// form for sure: few digits, none of them needless, and no exponent wanted.
func parseDecimal(text []byte, bits int) (number, short bool) {
	// With as many digits as these no two numbers have the same value, so none is shorter.
	sure := 15
	if bits == 32 {
		sure = 6
	}
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	whole := digits(text)
	if whole == 0 {
		return false, false
	}
	first := text[0]
	text = text[whole:]
	short = whole == 1 || first != '0'
	significant := whole
	if len(text) > 0 && text[0] == '.' {
		n := digits(text[1:])
		if n == 0 {
			return false, false
		}
		significant += n
		if whole == 1 && first == '0' {
			zeros := 0
			for zeros < n && text[1+zeros] == '0' {
				zeros++
			}
			short = short && zeros < 4
			significant -= 1 + zeros
		}
		short = short && text[n] != '0'
		text = text[1+n:]
	}
	short = short && significant <= sure
	if len(text) == 0 {
		return true, short
	}
	if text[0] != 'e' {
		return false, false
	}
	text = text[1:]
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	n := digits(text)
	return n > 0 && n == len(text), false
}

// digits returns how many digits text begins with.
func digits(text []byte) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// appendFloat appends the canonical form of v.
func appendFloat(dst []byte, v float64, bits int) []byte {
	low, high := 1e-4, 1e15       // of the numbers without exponent
	tieLow, tieHigh := 4e15, 1e41 // see tie
	if bits == 32 {
		low, high = float64(float32(1e-4)), 1e6
		tieLow, tieHigh = 4e6, 1e21
	}
	format := byte('e')
	size := math.Abs(v)
	if size == 0 || size >= low && size < high {
		format = 'f'
	}
	if size >= tieLow && size <= tieHigh {
		return appendStrict(dst, v, bits)
	}
	return strconv.AppendFloat(dst, v, format, -1, bits)
}

// appendStrict appends v, which takes an exponent, where the shortest form that Go knows may be no good: a decimal
// exactly half way between two values reads as the one whose last bit is 0, so Go takes it for that (1e23). PostgreSQL
// takes none but those nearer to v than to any other value (9.999999999999999e+22). For reasons of size there are
// such decimals only from 4e15 to 1e41 (4e6 to 1e21 for real).
func appendStrict(dst []byte, v float64, bits int) []byte {
	at := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, bits)
	if nearest(dst[at:], v, bits) {
		return dst
	}
	for precision := range 17 {
		for _, step := range []int64{0, 1, -1} {
			dst = strconv.AppendFloat(dst[:at], v, 'e', precision, bits)
			mantissa, exp := splitDecimal(dst[at:])
			dst = appendDecimal(dst[:at], mantissa+step, exp)
			if nearest(dst[at:], v, bits) {
				return dst
			}
		}
	}
	return dst
}

// nearest says whether text reads as v, and would if it were a very little more or less.
func nearest(text []byte, v float64, bits int) bool {
	const more, less = "0000000000000000000000000000000000000001", "9999999999999999999999999999999999999999"
	mantissa, exp := splitDecimal(text)
	sign := ""
	if mantissa < 0 {
		sign, mantissa = "-", -mantissa
	}
	e := "e" + strconv.Itoa(exp-len(more))
	a, errA := strconv.ParseFloat(sign+strconv.FormatInt(mantissa, 10)+more+e, bits)
	b, errB := strconv.ParseFloat(sign+strconv.FormatInt(mantissa-1, 10)+less+e, bits)
	return errA == nil && errB == nil && a == v && b == v
}

// splitDecimal takes "-1.25e+20" for -125 and 18.
func splitDecimal(text []byte) (mantissa int64, exp int) {
	digits, power, _ := bytes.Cut(text, []byte{'e'})
	whole, fraction, _ := bytes.Cut(digits, []byte{'.'})
	// Both are numbers: they are what strconv wrote.
	mantissa, _ = strconv.ParseInt(string(whole)+string(fraction), 10, 64)
	exp, _ = strconv.Atoi(string(power))
	return mantissa, exp - len(fraction)
}

// appendDecimal is the reverse of splitDecimal; it leaves out needless zeros.
func appendDecimal(dst []byte, mantissa int64, exp int) []byte {
	if mantissa < 0 {
		dst, mantissa = append(dst, '-'), -mantissa
	}
	for mantissa != 0 && mantissa%10 == 0 {
		mantissa, exp = mantissa/10, exp+1
	}
	text := strconv.FormatInt(mantissa, 10)
	exp += len(text) - 1
	dst = append(dst, text[0])
	if len(text) > 1 {
		dst = append(append(dst, '.'), text[1:]...)
	}
	dst = append(dst, 'e')
	if exp < 0 {
		dst, exp = append(dst, '-'), -exp
	} else {
		dst = append(dst, '+')
	}
	if exp < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(exp), 10)
}
