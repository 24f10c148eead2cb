package command

import (
	"cmp"
	"io"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// answer is what can prints, wherever it comes from.
type answer struct {
	effect access.Effect
	level  access.Level
	// at is the instant that the answer holds for.
	at          string
	causes      []decisionapi.Cause
	approvers   []approval
	nearestMiss string
	nearMisses  []string
}

// approval is one that the request needs: the guardrail that asks, and who may give it.
type approval struct {
	Guardrail string   `json:"guardrail"`
	Approvers []string `json:"approvers"`
}

// word is the first line.
func (a *answer) word(q *canQuestion) string {
	if q.field != "" && a.effect == access.Allow {
		return strings.ToUpper(a.level.String())
	}
	return a.effect.String()
}

func (a *answer) exitCode(q *canQuestion) int {
	switch {
	case a.effect == access.NeedsApproval:
		return ExitApproval
	case a.effect == access.Deny, q.field != "" && a.level == access.LevelNone:
		return ExitNo
	}
	return ExitOK
}

func (a *answer) print(w io.Writer, q *canQuestion, o *canOptions) error {
	if o.output == "json" {
		return terminal.WriteJSON(w, a.document(q, o))
	}
	printLine(w, "%s", a.word(q))
	for _, cause := range a.causes {
		printLine(w, "%s", cause.Text)
		if o.why {
			printPath(w, cause)
		}
	}
	for _, needed := range a.approvers {
		if o.why {
			printLine(w, "who may approve for %s: %s", needed.Guardrail, cmp.Or(strings.Join(needed.Approvers, ", "), "nobody"))
		}
	}
	if a.nearestMiss != "" {
		printLine(w, "nearest: %s", a.nearestMiss)
	}
	if o.why {
		for _, near := range a.nearMisses {
			if near != a.nearestMiss {
				printLine(w, "near: %s", near)
			}
		}
	}
	return nil
}

// printPath says how the access comes about: binding or grant, the role held, the roles it inherits from.
func printPath(w io.Writer, cause decisionapi.Cause) {
	if cause.From == "" {
		return
	}
	path := cause.Path
	if _, name, _ := strings.Cut(cause.From, "/"); name == path {
		path = "" // a temporary grant's own tuple
	}
	if path != "" {
		path = " > " + path
	}
	printLine(w, "  path: %s%s", cause.From, path)
	if cause.Until != "" {
		printLine(w, "  until: %s", cause.Until)
	}
}

// canDocument is the JSON output of can. Its members stay; new ones may come.
type canDocument struct {
	// Answer is the first line of the text output.
	Answer   string `json:"answer"`
	Decision string `json:"decision"`
	User     string `json:"user"`
	Action   string `json:"action"`
	Object   string `json:"object"`
	Record   string `json:"record,omitempty"`
	Field    string `json:"field,omitempty"`
	Level    string `json:"level,omitempty"`
	// At is the instant that the answer holds for.
	At          string              `json:"at"`
	Causes      []decisionapi.Cause `json:"causes"`
	Approvals   []approval          `json:"approvals,omitempty"`
	NearestMiss string              `json:"nearestMiss,omitempty"`
	NearMisses  []string            `json:"nearMisses,omitempty"`
}

func (a *answer) document(q *canQuestion, o *canOptions) canDocument {
	d := canDocument{
		Answer: a.word(q), Decision: a.effect.String(),
		User: q.user, Action: q.action, Object: q.object, Record: q.id, Field: q.field,
		At: a.at, Causes: a.causes, Approvals: a.approvers, NearestMiss: a.nearestMiss,
	}
	if q.field != "" {
		d.Level = a.level.String()
	}
	if o.why {
		d.NearMisses = a.nearMisses
	}
	return d
}
