package decisionapi

import (
	"fmt"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// FilterReply says which records of an object a user may list or export: as a tree, and as a condition of PostgreSQL.
type FilterReply struct {
	// Decision is false where no record may be, or not before somebody has approved.
	Decision    bool         `json:"decision"`
	Obligations []Obligation `json:"obligations,omitempty"`
	Filter      *Node        `json:"filter,omitempty"`
	SQL         *SQL         `json:"sql,omitempty"`
}

// Node is a condition on a record. Exactly one of its forms is set: Any, All, or a comparison.
type Node struct {
	// Any takes in what one of the nodes takes in; of no nodes, nothing.
	Any *[]Node `json:"any,omitempty"`
	// All takes in what all of the nodes take in; of no nodes, everything.
	All *[]Node `json:"all,omitempty"`
	// Fact is owner, department, participants or id of the record of Object; Field is a field of the record itself.
	Fact     string   `json:"fact,omitempty"`
	Field    string   `json:"field,omitempty"`
	Object   string   `json:"object,omitempty"`
	Operator string   `json:"operator,omitempty"`
	Values   []string `json:"values,omitempty"`
}

// SQL is the filter as a condition of PostgreSQL over tables, or aliases, with the objects' names and columns with the
// facts' and fields'. Values are parameters, each an array of text; none stands in the condition.
type SQL struct {
	Where      string     `json:"where"`
	Parameters [][]string `json:"parameters"`
}

// filter answers which records may be listed or exported.
func (a *asked) filter() (any, error) {
	var e entities
	for name := range a.body.members() {
		e.read(a.body, name, &a.options)
	}
	if err := a.body.end(); err != nil {
		return nil, err
	}
	q := &a.work.question
	if err := e.question(q, a.policy); err != nil {
		return nil, err
	}
	now, err := a.instant(q)
	if err != nil {
		return nil, err
	}
	reply := &FilterReply{}
	if q.subjectType != subjectUser {
		return reply, a.logDecision(q, denied, now)
	}
	q.request.Record = nil
	if _, err := a.recall(&e, &q.request, now); err != nil {
		return nil, err
	}
	f := a.policy.Filter(now, &q.request)
	reply.Decision = f.Effect == access.Allow
	if f.Effect == access.NeedsApproval {
		for _, o := range a.policy.Explain(now, &q.request).Obligations {
			reply.Obligations = append(reply.Obligations, Obligation{Type: ObligationApproval, Approvers: o.Approvers, Guardrail: o.Guardrail})
		}
	}
	if reply.Decision {
		form := a.policy.Form(q.request.Object)
		tree := treeOf(&f, q.request.Object, &form)
		w := sqlWriter{object: q.request.Object, parameters: [][]string{}}
		w.node(&tree)
		reply.Filter, reply.SQL = &tree, &SQL{w.text.String(), w.parameters}
	}
	return reply, a.logDecision(q, &Reply{Decision: reply.Decision}, now)
}

// treeOf writes a filter as a tree.
func treeOf(f *access.Filter, object string, form *access.Form) Node {
	clauses := make([]Node, 0, len(f.Clauses))
	for i := range f.Clauses {
		clauses = append(clauses, clauseNode(f, &f.Clauses[i], object, form))
	}
	return Node{Any: &clauses}
}

func clauseNode(f *access.Filter, c *access.Clause, object string, form *access.Form) Node {
	all := []Node{}
	for _, w := range c.Where {
		node := Node{Field: w.Field, Object: object, Operator: string(w.Operator), Values: w.Values}
		if (w.Field == form.OwnerField || w.Field == form.DepartmentField) && w.Operator != access.OperatorIn {
			// An empty owner or department is none, which meets no condition.
			node.Operator, node.Values = string(access.OperatorNotIn), append([]string{""}, w.Values...)
		}
		all = append(all, node)
	}
	if len(c.Among) > 0 {
		all = append(all, Node{Fact: "id", Object: object, Operator: string(access.OperatorIn), Values: c.Among})
	}
	var ways []Node
	for _, way := range []Node{
		{Fact: "owner", Object: f.Decides, Values: c.Owners}, {Fact: "participants", Object: f.Decides, Values: c.Participants},
		{Fact: "department", Object: f.Decides, Values: c.Departments}, {Fact: "id", Object: object, Values: c.IDs},
	} {
		if len(way.Values) > 0 {
			way.Operator = string(access.OperatorIn)
			ways = append(ways, way)
		}
	}
	if !c.Everything {
		all = append(all, Node{Any: &ways})
	}
	return Node{All: &all}
}

// sqlWriter writes a tree as a condition.
type sqlWriter struct {
	object     string
	text       strings.Builder
	parameters [][]string
}

func (w *sqlWriter) node(n *Node) {
	switch {
	case n.Any != nil:
		w.join(*n.Any, " OR ", "FALSE")
	case n.All != nil:
		w.join(*n.All, " AND ", "TRUE")
	default:
		w.comparison(n)
	}
}

func (w *sqlWriter) join(nodes []Node, operator, empty string) {
	if len(nodes) == 0 {
		w.text.WriteString(empty)
		return
	}
	w.text.WriteString("(")
	for i := range nodes {
		if i > 0 {
			w.text.WriteString(operator)
		}
		w.node(&nodes[i])
	}
	w.text.WriteString(")")
}

// comparison compares a column. Where it is null every comparison is, which takes nothing in: as the engine has it.
func (w *sqlWriter) comparison(n *Node) {
	column := identifier(n.Object) + "." + identifier(n.Fact+n.Field)
	if n.Operator == string(access.OperatorExists) {
		w.text.WriteString(column + " IS NOT NULL")
		return
	}
	w.parameters = append(w.parameters, n.Values)
	at := fmt.Sprintf("$%d::text[]", len(w.parameters))
	switch {
	case n.Fact == "participants":
		w.text.WriteString(column + " && " + at)
	case n.Operator == string(access.OperatorNotIn):
		// In NFC, as values are: another spelling is no other value. Where they are to be equal, that would cost the index,
		// and another spelling takes nothing in.
		w.text.WriteString("NOT (normalize(" + column + ", NFC) = ANY(" + at + "))")
	default:
		w.text.WriteString(column + " = ANY(" + at + ")")
	}
}

// identifier quotes a name for SQL.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
