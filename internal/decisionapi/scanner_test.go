package decisionapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// readWhole reads a body that nobody knows a member of, and says what was wrong with it.
func readWhole(body string) error {
	var r reader
	r.begin([]byte(body))
	for range r.members() {
	}
	return r.end()
}

// FuzzBodies: a body is read if and only if jsontext reads it, too. Beyond that only what the reader itself asks for is refused.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,-0,0.5,1e9,2E+3,-1.25e-7],"b":{"c":null,"d":true,"e":false}}`, ` { "a" : [ ] , "b" : "x" } `,
		`{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":-}`, `{"a":1e}`, `{"a":+1}`, `{"a":1 2}`, `{"a":nul}`, `{"a":truex}`,
		`{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1}`, `{"a":{]}`, `{}}`, `{} {}`,
		`{"a":"\u00e9\ud83d\ude00\n\/"}`, `{"a":"\ud800"}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\`, `{"a":"`, "{\"a\":\"\t\"}", "{\"a\":\"\xff\"}", "{\"\xff\":1}",
		`{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, `{"客户":"甲"}`, "{\"a\":1\u00a0}", "\ufeff{}", `{"a":1}//`, "{\"a\":\"\x00\"}", "{\x00}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		err := readWhole(body)
		valid := jsontext.Value(body).IsValid()
		switch {
		case err == nil && !valid:
			t.Fatalf("reads %q, which is no JSON", body)
		case err != nil && valid && !isRule(err):
			t.Fatalf("refuses %q: %v", body, err)
		case err != nil && !valid && strings.Contains(err.Error(), "something follows the object") && jsontext.Value(strings.TrimSpace(body)).IsValid():
			t.Fatalf("tells of %q: %v", body, err)
		}
	})
}

// isRule says whether JSON is refused by a rule of the reader's own.
func isRule(err error) bool {
	for _, rule := range []string{"want a JSON object", "given twice, or spelt like another name", "nested deeper than", "more than 20000 values"} {
		if strings.Contains(err.Error(), rule) {
			return true
		}
	}
	return false
}

func TestOfManyNamesNoneIsGivenTwice(t *testing.T) {
	for _, count := range []int{2, fewNames, fewNames + 1, 1000} {
		var members strings.Builder
		for i := range count {
			fmt.Fprintf(&members, `"n%d":{"n0":{},"n1":1},`, i)
		}
		if err := readWhole(`{"x":{` + members.String() + `"n":1},"n0":1}`); err != nil {
			t.Errorf("%d names, each once: %v", count, err)
		}
		for _, again := range []int{0, count / 2, count - 1} {
			err := readWhole(fmt.Sprintf(`{"x":{%s"n%d":1}}`, members.String(), again))
			if want := fmt.Sprintf("x.n%d: given twice", again); err == nil || err.Error() != want {
				t.Errorf("%d names, and one of them again: %v, want %s", count, err, want)
			}
		}
	}
}

func TestABatchIsReadIntoTheMemoryOfTheOneBefore(t *testing.T) {
	body := []byte(`{"evaluations":[` + strings.Repeat(`{"resource":{"type":"customer","id":"c","properties":{"owner":"lina","region":"east"}}},`, 99) + `{}]}`)
	var work workspace
	read := func() {
		work.reader.begin(body)
		a := asked{handler: &handler{}, body: &work.reader}
		for name := range work.reader.members() {
			if name == "evaluations" && len(a.items()) != 100 {
				t.Error("some are missing")
			}
		}
		if err := work.reader.end(); err != nil {
			t.Error(err)
		}
		work.reader.forget()
	}
	for range 10 {
		read() // until there is memory for all of it
	}
	// The body's own text, and some for all of it; none for each.
	if allocations := testing.AllocsPerRun(10, read); allocations > 20 {
		t.Errorf("%v allocations for a batch of 100", allocations)
	}
}
