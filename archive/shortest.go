package archive

import (
	"bytes"
	"math"
	"math/bits"
	"strconv"
)

// appendShortest appends the number in text as PostgreSQL from version 12 on prints the value of real (size 32) or double
// precision (size 64) that is nearest to it; text as it is where it is no number of that type.
//
// The form is that of src/common/d2s.c and f2s.c of PostgreSQL: the fewest digits that read back, and of those the
// nearest; without an exponent from 1e-4 to below 1e15 (1e6 for real).
func appendShortest(dst, text []byte, size int) []byte {
	number, short := parseDecimal(text, size)
	if !number || short {
		return append(dst, text...)
	}
	v, err := strconv.ParseFloat(string(text), size) // does not escape: no copy is made
	if err != nil {
		return append(dst, text...) // too large for the type
	}
	return appendFloat(dst, v, size)
}

// parseDecimal says whether text is a number as servers print it, -?D+(.D+)?(e[+-]?D+)?, and whether it is the shortest
// form for sure: few digits, none of them needless, and no exponent wanted.
func parseDecimal(text []byte, size int) (number, short bool) {
	// With as many digits as these no two numbers have the same value, so none is shorter.
	sure := 15
	if size == 32 {
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
func appendFloat(dst []byte, v float64, size int) []byte {
	low, high := 1e-4, 1e15       // of the numbers without exponent
	tieLow, tieHigh := 4e15, 1e41 // see appendStrict
	if size == 32 {
		low, high = float64(float32(1e-4)), 1e6
		tieLow, tieHigh = 4e6, 1e21
	}
	abs := math.Abs(v)
	if abs >= tieLow && abs <= tieHigh {
		return appendStrict(dst, v, size)
	}
	format := byte('e')
	if abs == 0 || abs >= low && abs < high {
		format = 'f'
	}
	at := len(dst)
	dst = strconv.AppendFloat(dst, v, format, -1, size)
	if n := fractionBits(v); n > 0 && n <= maxTieBits {
		return evenTie(dst, at, v, size, format, n)
	}
	return dst
}

// maxTieBits is the most binary digits behind the point that a number of at most 18 decimal digits can have.
const maxTieBits = 26

// fractionBits is the number of binary digits behind the point of v, 0 or less for an integer. Its decimal form has as many.
func fractionBits(v float64) int {
	b := math.Float64bits(v)
	mantissa := b&(1<<52-1) | 1<<52
	return 1075 - int(b>>52&0x7ff) - bits.TrailingZeros64(mantissa)
}

// evenTie looks at the shortest form of v, in dst from at on. Where v lies half way between two such forms, which
// it does if it has exactly one digit more, PostgreSQL takes the even one. Go does not always (float32 of 2^-12).
func evenTie(dst []byte, at int, v float64, size int, format byte, fraction int) []byte {
	mantissa, exp := splitDecimal(dst[at:])
	if fraction != 1-exp || mantissa%2 == 0 {
		return dst
	}
	precision := -exp
	if format == 'e' {
		precision = len(strconv.FormatInt(max(mantissa, -mantissa), 10)) - 1
	}
	even := strconv.AppendFloat(nil, v, format, precision, size) // exact, and of two the even one
	if nearest(even, v, size) {
		return append(dst[:at], even...)
	}
	return dst
}

// appendStrict appends v, which takes an exponent, where the shortest form that Go knows may be no good: a decimal
// exactly half way between two values reads as the one whose last bit is 0, so Go takes it for that (1e23). PostgreSQL
// takes none but those nearer to v than to any other value (9.999999999999999e+22). For reasons of size there are
// such decimals only from 4e15 to 1e41 (4e6 to 1e21 for real).
func appendStrict(dst []byte, v float64, size int) []byte {
	at := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, size)
	if nearest(dst[at:], v, size) {
		return dst
	}
	for precision := range 17 {
		for _, step := range []int64{0, 1, -1} {
			dst = strconv.AppendFloat(dst[:at], v, 'e', precision, size)
			mantissa, exp := splitDecimal(dst[at:])
			dst = appendDecimal(dst[:at], mantissa+step, exp)
			if nearest(dst[at:], v, size) {
				return dst
			}
		}
	}
	return dst
}

// nearest says whether text reads as v, and would if it were a very little more or less.
func nearest(text []byte, v float64, size int) bool {
	const more, less = "0000000000000000000000000000000000000001", "9999999999999999999999999999999999999999"
	mantissa, exp := splitDecimal(text)
	sign := ""
	if mantissa < 0 {
		sign, mantissa = "-", -mantissa
	}
	e := "e" + strconv.Itoa(exp-len(more))
	a, errA := strconv.ParseFloat(sign+strconv.FormatInt(mantissa, 10)+more+e, size)
	b, errB := strconv.ParseFloat(sign+strconv.FormatInt(mantissa-1, 10)+less+e, size)
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
