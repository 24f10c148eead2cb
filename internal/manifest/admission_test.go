package manifest

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/crmaccess/crm-access-operator/internal/testenv"
)

// The API server's tests read the same cases: what admission refuses is refused offline in the same words.
func TestGrammarOffline(t *testing.T) {
	for _, c := range testenv.Grammar(t) {
		t.Run(c.Name, func(t *testing.T) {
			data, err := json.Marshal(c.Object.Object)
			if err != nil {
				t.Fatal(err)
			}
			_, err = LoadFS(fstest.MapFS{"case.yaml": {Data: data}})
			switch {
			case c.Refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.Refused != "" && err == nil:
				t.Errorf("accepted, want it refused with %q", c.Refused)
			case c.Refused != "" && !strings.Contains(err.Error(), c.Refused):
				t.Errorf("refused with %v, want %q", err, c.Refused)
			}
		})
	}
}
