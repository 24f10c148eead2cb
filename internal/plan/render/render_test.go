package render_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/crmaccess/crm-access-operator/internal/plan"
	. "github.com/crmaccess/crm-access-operator/internal/plan/render"
)

type form func(io.Writer, *plan.Plan, Options) error

var forms = map[string]form{"txt": Table, "md": Markdown, "json": JSON, "html": HTML}

func told(t *testing.T, f form, p *plan.Plan, lang Lang) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := f(&out, p, Options{Lang: lang}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestEverythingThatAPlanSaysIsTold(t *testing.T) {
	for ending, f := range forms {
		for _, lang := range []Lang{English, Chinese} {
			held(t, "everything/plan."+string(lang)+"."+ending, told(t, f, everything(), lang))
		}
	}
}
