package fanout

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Text is a string that need not be UTF-8: names and messages in a database's own encoding, and paths. JSON has no way to say
// those, so one that is not UTF-8 travels as U+0000 and its base64. No name and no path has a character of value 0.
type Text string

const notUTF8 = "\x00"

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	s := string(t)
	if !utf8.ValidString(s) || strings.HasPrefix(s, notUTF8) {
		s = notUTF8 + base64.StdEncoding.EncodeToString([]byte(s))
	}
	return json.Marshal(s)
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if packed, ok := strings.CutPrefix(s, notUTF8); ok {
		raw, err := base64.StdEncoding.DecodeString(packed)
		if err != nil {
			return fmt.Errorf("a text that is not UTF-8: %w", err)
		}
		s = string(raw)
	}
	*t = Text(s)
	return nil
}

// Texts are several.
type Texts []string

// MarshalJSON implements json.Marshaler.
func (t Texts) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	all := make([]Text, len(t))
	for i, s := range t {
		all[i] = Text(s)
	}
	return json.Marshal(all)
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Texts) UnmarshalJSON(b []byte) error {
	var all []Text
	if err := json.Unmarshal(b, &all); err != nil || all == nil {
		*t = nil
		return err
	}
	*t = make(Texts, len(all))
	for i, s := range all {
		(*t)[i] = string(s)
	}
	return nil
}
