package render_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"time"

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

func TestAPlanIsToldInTheSameBytesWhereverItIsTold(t *testing.T) {
	local, processors := time.Local, runtime.GOMAXPROCS(0)
	defer func() {
		time.Local = local
		runtime.GOMAXPROCS(processors)
	}()
	t.Setenv("LANG", "zh_CN.UTF-8")
	for ending, f := range forms {
		want := told(t, f, numbered(40, 5), English)
		for i := range 10 {
			time.Local = time.FixedZone("", (i-5)*3600)
			runtime.GOMAXPROCS(1 + i%3)
			if !bytes.Equal(told(t, f, numbered(40, 5), English), want) {
				t.Errorf("%s: told again, the bytes differ", ending)
			}
		}
	}
}

func TestAPlanOfNothingSaysSo(t *testing.T) {
	nothing := &plan.Plan{Base: "main", Head: "HEAD", At: now}
	for lang, want := range map[Lang]string{English: "no change of access", Chinese: "访问权限没有变化"} {
		for _, f := range []form{Table, Markdown, HTML} {
			if out := told(t, f, nothing, lang); !bytes.Contains(bytes.ToLower(out), []byte(want)) {
				t.Errorf("%s does not say %s", out, want)
			}
		}
	}
}
