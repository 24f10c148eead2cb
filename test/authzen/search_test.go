package authzen

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// searchTable is search.tsv: who may do what to which record, as the search scenario publishes it. Of these answers to
// subject searches those to the other searches follow: whoever is found by one must be found by the others.
type searchTable struct {
	records, actions []string
	users            map[[2]string][]string // by record and action
}

func readSearchTable(t *testing.T) searchTable {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(certification, "search.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	table := searchTable{actions: strings.Split(lines[0], "\t")[1:], users: map[[2]string][]string{}}
	for _, line := range lines[1:] {
		columns := strings.Split(line, "\t")
		table.records = append(table.records, columns[0])
		for i, action := range table.actions {
			table.users[[2]string{columns[0], action}] = strings.Fields(columns[i+1])
		}
	}
	if len(table.records) != 20 || len(table.actions) != 3 {
		t.Fatalf("%d records, %d actions: is the table whole?", len(table.records), len(table.actions))
	}
	return table
}

func (s searchTable) may(user, action, record string) bool {
	return slices.Contains(s.users[[2]string{record, action}], user)
}

// find asks for the ids, or the names, of what a search finds.
func (p pdp) find(t *testing.T, to, question string) (names []string) {
	t.Helper()
	for _, result := range body[found](t, p.ask(t, "search/"+to, question)).Results {
		for _, member := range []string{"id", "name"} {
			if name, ok := result[member].(string); ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func where(names []string, holds func(string) bool) (all []string) {
	for _, name := range names {
		if holds(name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func TestSearchScenario(t *testing.T) {
	p, table := serve(t, certification), readSearchTable(t)
	same := func(question string, got, want []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %v, want %v", question, got, want)
		}
	}
	users := []string{"alice", "bob", "carol", "dan", "erin", "felix"}
	for _, record := range table.records {
		resource := fmt.Sprintf(`"resource":{"type":"record","id":"%s"}`, record)
		for _, action := range table.actions {
			question := fmt.Sprintf(`{"subject":{"type":"user"},"action":{"name":"%s"},%s}`, action, resource)
			same(question, p.find(t, "subject", question), where(users, func(user string) bool { return table.may(user, action, record) }))
		}
		for _, user := range users {
			question := fmt.Sprintf(`{"subject":{"type":"user","id":"%s"},%s}`, user, resource)
			same(question, p.find(t, "action", question), where(table.actions, func(action string) bool { return table.may(user, action, record) }))
		}
	}
	for _, user := range append(users, "nobody") {
		for _, action := range table.actions {
			question := fmt.Sprintf(`{"subject":{"type":"user","id":"%s"},"action":{"name":"%s"},"resource":{"type":"record"}}`, user, action)
			same(question, p.find(t, "resource", question), where(table.records, func(record string) bool { return table.may(user, action, record) }))
		}
	}
}

// A result of a search is a question that is allowed, and what is not found is one that is not.
func TestSearchesAgreeWithEvaluations(t *testing.T) {
	p, table := serve(t, certification), readSearchTable(t)
	for _, record := range table.records {
		for _, action := range table.actions {
			for _, user := range []string{"alice", "bob", "carol", "dan", "erin", "felix"} {
				got := p.ask(t, "evaluation", fmt.Sprintf(`{"subject":{"type":"user","id":"%s"},"action":{"name":"%s"},"resource":{"type":"record","id":"%s"}}`, user, action, record))
				if is := body[struct{ Decision bool }](t, got).Decision; is != table.may(user, action, record) {
					t.Errorf("%s %s %s: %t", user, action, record, is)
				}
			}
		}
	}
}
