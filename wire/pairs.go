package wire

import "errors"

// ParsePairs reads key=value pairs as libpq writes them, and only what is written: nothing comes from the environment or
// from files. Its errors never hold a value.
func ParsePairs(text string) (map[string]string, error) {
	p, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, errors.New("no key=value pair")
	}
	return p, nil
}

// FormatPairs writes key=value pairs so that libpq, [ParseConfig] and ParsePairs read them back, sorted by key.
func FormatPairs(pairs map[string]string) string { return params(pairs).String() }
