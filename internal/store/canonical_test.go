package store_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

func FuzzAppendStringWritesWhatEncodingJSONWrites(f *testing.F) {
	for b := range 0x100 {
		f.Add(string([]byte{'a', byte(b), 'z'}))
	}
	for _, s := range []string{"", "华东一部", "\u2028 \u2029 \u202a", "<script>&", `\"`, "😀\U0010ffff", "\xed\xa0\x80", "a\xf0\x9f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := string(store.AppendString(nil, s)) + "\n"; got != want.String() {
			t.Errorf("%q: got %s, want %s", s, got, want.String())
		}
	})
}
