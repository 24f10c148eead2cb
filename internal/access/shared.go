package access

import "github.com/crmaccess/crm-access-operator/internal/schedule"

// ShareFact is one record that somebody shares with somebody else for a while: a fact of the run, which no declaration
// asks for. It gives the recipient nothing of its own, only what the maker has on the record at that instant.
type ShareFact struct {
	ID        string
	Maker     string
	Recipient string
	Object    string
	// Record is the id of the record. It is the object's own record, also where another's decides about it.
	Record  string
	Actions []string
	// Level is the highest level of a field.
	Level Level
	// Restricted makes every field but OnlyFields none.
	Restricted bool
	OnlyFields []string
	Window     schedule.Window
}
