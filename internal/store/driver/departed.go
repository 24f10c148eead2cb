package driver

import (
	"encoding/json"
	"slices"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/store"
)

// departed are the people whose account ends by changes: it goes, is no longer Active, or another one takes its name, which
// the uid of its declaration tells. What they shared and received ends with it, and does not begin anew with the next
// account of the name.
func departed(changes []store.Change) []string {
	var people []string
	for _, c := range changes {
		if c.Before == "" {
			continue
		}
		var before, after struct {
			UID   string           `json:"uid"`
			User  string           `json:"user_name"`
			State access.UserState `json:"state"`
		}
		switch {
		case c.Table == store.TableUser:
			if json.Unmarshal([]byte(c.Before), &before) != nil || before.State != access.StateActive {
				continue
			}
			if json.Unmarshal([]byte(c.After), &after) != nil || after.State != access.StateActive || after.User != before.User {
				people = append(people, before.User)
			}
		case c.Table == store.TableSource && c.Owner.Kind == access.KindUser:
			if json.Unmarshal([]byte(c.Before), &before) != nil || json.Unmarshal([]byte(c.After), &after) != nil || after.UID != before.UID {
				people = append(people, c.Owner.Name)
			}
		}
	}
	slices.Sort(people)
	return slices.Compact(people)
}
