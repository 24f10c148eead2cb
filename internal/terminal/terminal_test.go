package terminal_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	. "github.com/crmaccess/crm-access-operator/internal/terminal"
)

func TestWhatATerminalObeysOrHidesIsWrittenAsAnEscape(t *testing.T) {
	for text, want := range map[string]string{
		"李婷 (Li Ting)":           "李婷 (Li Ting)",
		"a\x1b[2Jb":              `a\x1b[2Jb`,
		"one\ntwo\tthree":        `one\ntwo\tthree`,
		"a\u202egnp.exe":         `a\u202egnp.exe`,
		"zero\u200bwidth":        `zero\u200bwidth`,
		"\u2066isolated\u2069":   `\u2066isolated\u2069`,
		"filler\u3164":           `filler\u3164`,
		"joined\u034f":           `joined\u034f`,
		"variant\ufe0f":          `variant\ufe0f`,
		"tag\U000e0041":          `tag\U000e0041`,
		"broken\xff":             `broken\xff`,
		"replaced\ufffd":         `replaced\ufffd`,
		"a\u00a0no-break\u3000x": "a\u00a0no-break\u3000x",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is written %s, want %s", text, got, want)
		}
	}
}

func TestColumnsStandBelowEachOtherAlsoInChinese(t *testing.T) {
	var out bytes.Buffer
	err := WriteTable(&out, []string{"WHO", "MAY"}, [][]string{{"李婷", "read"}, {"e\u0301ric\x1b", "export"}, {"ann", ""}})
	if want := "WHO       MAY\n李婷      read\ne\u0301ric\\x1b  export\nann\n"; err != nil || out.String() != want {
		t.Errorf("%v:\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestJSONCarriesEveryTextAndShowsATerminalNothingToObey(t *testing.T) {
	const hostile = "a\u202eb\u200b\U000e0041\x1b\u3164<&>"
	var out bytes.Buffer
	if err := WriteJSON(&out, map[string]string{"name": hostile}); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != hostile {
		t.Errorf("%v: %q came back as %q", err, hostile, back["name"])
	}
	if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !Shows(r) }); i >= 0 {
		t.Errorf("at %d stands what a terminal does not show: %q", i, out.String())
	}
}
