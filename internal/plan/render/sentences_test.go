package render

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
	"github.com/crmaccess/crm-access-operator/internal/schedule"
)

// formatsOf are the texts that calls of some functions are given, in the files of a package. A constant counts as its text.
func formatsOf(t *testing.T, folder string, functions ...string) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, folder)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		constants := make(map[string]string)
		ast.Inspect(tree, func(n ast.Node) bool {
			if spec, is := n.(*ast.ValueSpec); is && len(spec.Names) == len(spec.Values) {
				for i, value := range spec.Values {
					constants[spec.Names[i].Name] = textOf(value, nil)
				}
			}
			call, is := n.(*ast.CallExpr)
			if !is {
				return true
			}
			called, is := call.Fun.(*ast.SelectorExpr)
			if !is || !slices.Contains(functions, called.Sel.Name) {
				return true
			}
			for _, argument := range call.Args {
				if text := textOf(argument, constants); strings.Contains(text, " ") {
					texts = append(texts, text)
				}
			}
			return true
		})
	}
	return texts
}

func textOf(e ast.Expr, constants map[string]string) string {
	switch x := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(x.Value); x.Kind == token.STRING && err == nil {
			return text
		}
	case *ast.Ident:
		return constants[x.Name]
	case *ast.BinaryExpr: // "nothing is inherited from "+name
		if text := textOf(x.X, constants); strings.HasSuffix(text, " ") {
			return text + "%s"
		}
	}
	return ""
}

func TestEverySentenceOfTheEngineIsThereInChinese(t *testing.T) {
	sentences := slices.Concat(formatsOf(t, "../../access", "find", "unknown", "misses", "role"), formatsOf(t, "..", "saying"))
	if len(sentences) < 50 {
		t.Fatalf("%d sentences were found", len(sentences))
	}
	for _, rule := range plan.DefaultRules() {
		sentences = append(sentences, rule.Why)
	}
	for _, sentence := range sentences {
		chinese, there := chineseSentences[sentence]
		if !there {
			t.Errorf("%q has no Chinese", sentence)
		}
		if a, b := len(verbs.FindAllString(sentence, -1)), len(verbs.FindAllString(chinese, -1)); there && a != b {
			t.Errorf("%q takes %d, and %q takes %d", sentence, a, chinese, b)
		}
	}
}

func TestEverySentenceIsInEnglishInTheEngine(t *testing.T) {
	known := make(map[string]bool)
	for _, folder := range []string{".", "..", "../../access"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if _, is := n.(*ast.KeyValueExpr); is && filepath.Base(file) == "sentences.go" {
					return false // what a language knows is not said by that
				}
				if literal, is := n.(*ast.BasicLit); is && literal.Kind == token.STRING {
					if text, err := strconv.Unquote(literal.Value); err == nil {
						known[text], known[text+"%s"], known[text+" %s"] = true, true, true
					}
				}
				return true
			})
		}
	}
	for sentence := range chineseSentences {
		if !known[sentence] {
			t.Errorf("nobody says %q", sentence)
		}
	}
}

func TestRulesAreToldInTheWordsOfTheEngine(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	target := access.Target{Objects: []string{"customer", "lead"}, Actions: []string{"export"}}
	every := access.Target{Objects: []string{access.Any}, Actions: []string{access.Any}}
	windows := []access.Span{{Window: schedule.Window{NotBefore: 100, NotAfter: 200}}, {Window: schedule.Unbounded}}
	by := []access.Approver{{ManagerOfSubject: true}, {Role: "sales-director"}, {User: "li-ting"}}
	for _, rule := range []access.GuardrailRule{
		{Deny: &access.DenyRule{Target: every}},
		{Deny: &access.DenyRule{Target: target, When: access.DenyWhen{Channels: []string{"mobile", "api"}, Devices: []string{"unmanaged"}, ReasonMissing: true, Windows: windows}}},
		{Limit: &access.LimitRule{Target: target, MaxRowsPerRequest: number(500), MaxRowsPerDay: number(1000), MaxRecordsOwned: number(50)}},
		{Approve: &access.ApproveRule{Target: target, When: access.ApproveWhen{ScopeAtMost: "own", OtherDepartment: true, RowsOver: number(5)}, By: by}},
		{Approve: &access.ApproveRule{Target: every}},
		{Cap: &access.CapRule{Objects: []string{access.Any}, Classes: []string{"secret"}, Fields: []string{"phone"}, Level: "masked"}},
		{Separate: &access.SeparateRule{Duties: []access.Duty{{Object: "payment", Action: "create"}, {Object: "payment", Action: "approve"}}}},
		{Admit: &access.AdmitRule{When: access.AdmitWhen{PrivilegedRole: true, Roles: []string{"a", "b"}, Temporary: true, OtherDepartment: true, External: true}, Approvals: 2, By: by, MaxDuration: 744 * time.Hour, MinHolders: number(2), MaxHolders: number(3)}},
		{Admit: &access.AdmitRule{Approvals: 1}},
	} {
		if got := english.rule(&rule).plain(); got != rule.Words() {
			t.Errorf("tells\n%s\nwant\n%s", got, rule.Words())
		}
		for _, piece := range chinese.rule(&rule) {
			if piece.voice == engine || piece.voice == ours && strings.ContainsFunc(strings.NewReplacer("1970-01-01T00:01:40Z", "", "1970-01-01T00:03:20Z", "").Replace(piece.text), isLetter) {
				t.Errorf("%q is no Chinese, in %q", piece.text, chinese.rule(&rule).plain())
			}
		}
	}
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func TestWhatIsPutIntoASentenceStaysAName(t *testing.T) {
	p := chinese.told(`unknown action of customer "exprot": it is left out of the grant`, "unknown %s %q: %s", []string{"action of customer", "exprot", "it is left out of the grant"})
	if got, want := p.plain(), "未知的操作，对象 customer， exprot：该项不计入授权"; got != want {
		t.Errorf("tells %q, want %q", got, want)
	}
	for _, piece := range p {
		if strings.ContainsFunc(piece.text, isLetter) != (piece.voice == named) {
			t.Errorf("%q is said in voice %d", piece.text, piece.voice)
		}
	}
	if got := chinese.told("something new", "something %s", []string{"new"}); got.plain() != "something new" || got[0].voice != engine {
		t.Errorf("tells %q of what it does not know", got.plain())
	}
	if got := chinese.approver("a regional-manager").plain() + chinese.approver("zhou-lan").plain(); got != "角色 regional-managerzhou-lan" {
		t.Errorf("tells %q", got)
	}
}
